"""Pairs that the simulator wrote, and how to put chosen values into them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.io import fits
from astropy.table import Table

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.simulate import write_pair


@cache
def _written(options: str, seed: int) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pair.fits"
        write_pair(path, SimulateOptions.model_validate_json(options), seed)
        return path.read_bytes()


def write_simulated(path: Path, options: SimulateOptions, seed: int = 1) -> str:
    """Write a pair as the simulator does; one that was asked for before is not simulated again."""
    path.write_bytes(_written(options.model_dump_json(), seed))
    return str(path)


def edit_pair(path: str | Path, planes: dict | None = None, tables: dict | None = None, **cards) -> None:
    """Replace pixels, rows and header cards of a pair; names and types stay those of the simulator."""
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cards)
        for name, plane in (planes or {}).items():
            hdus[name].data = np.asarray(plane, hdus[name].data.dtype.newbyteorder("="))
        for name, columns in (tables or {}).items():
            new, old = Table(columns), Table.read(hdus, hdu=name, mask_invalid=False)
            assert set(new.colnames) == set(old.colnames)
            full = Table({key: np.asarray(new[key], old.dtype[key]) for key in old.colnames})
            hdus[name] = fits.BinTableHDU(full, name=name)
