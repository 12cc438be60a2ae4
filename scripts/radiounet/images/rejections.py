"""Rejections: what stands in place of a product that bad data did not allow."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

from radiounet.errors import BadDataError
from radiounet.images.reading import ecsv_table, fits_header, hdf5_store, reading
from radiounet.images.words import one_line, printable, save_figure, visible
from radiounet.images.writing import atomic, write_ecsv, write_json


@dataclass(frozen=True)
class Rejection:
    """Why a field or mosaic could not be used: one row of ``rejected``."""

    name: str
    stage: str
    file: str
    reason: str


class RejectedInputError(BadDataError):
    """An input product of a stage is itself rejected; the rejection is passed on."""

    def __init__(self, rejection: Rejection):
        super().__init__(rejection.reason)
        self.rejection = rejection


def write_rejected(path: str | Path, rejection: Rejection) -> None:
    """Write the stand-in of a product that could not be made.

    FITS: a primary HDU with no data and the rejection in its header. HDF5: no
    data set, the rejection as attributes. ECSV and JSON: a ``rejected`` entry. PNG: a
    picture of the reason, for people only.
    """
    from astropy.io import fits
    from astropy.table import Table

    # a file name may hold bytes that are no text, which no file could take
    entries = {name: visible(text) for name, text in asdict(rejection).items()}
    suffix = Path(path).suffix
    if suffix == ".fits":
        header = fits.Header([("REJECTED", True, "no product: see REJSTAGE, REJFILE, REJREASN")])
        for key, name in _REJECTION_CARDS.items():
            header[key] = printable(entries[name])
        with atomic(path) as temporary:
            fits.PrimaryHDU(None, header).writeto(temporary, overwrite=True)
    elif suffix == ".h5":
        import h5py

        with atomic(path) as temporary, h5py.File(temporary, "w") as store:
            store.attrs["rejected"] = json.dumps(entries)
    elif suffix == ".ecsv":
        write_ecsv(path, Table(names=["name"], dtype=[str], meta={"rejected": entries}))
    elif suffix == ".png":
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 2))
        text = one_line(f"{rejection.name} rejected in {rejection.stage}: {rejection.reason}")
        figure.text(0.02, 0.5, textwrap.fill(text, 100), va="center")
        with atomic(path) as temporary:
            save_figure(figure, temporary, dpi=110)
    else:
        write_json(path, {"rejected": entries})


_REJECTION_CARDS = {"REJNAME": "name", "REJSTAGE": "stage", "REJFILE": "file", "REJREASN": "reason"}


def read_rejection(path: str | Path) -> Rejection | None:
    """Return the rejection that stands in a product's place, or None.

    Raises
    ------
    UnreadableError
        The product is damaged; other failures as by `radiounet.images.reading.reading`.
    """
    suffix = Path(path).suffix
    if suffix == ".fits":
        with reading(path), open(path, "rb") as stream:
            block = stream.read(2880)
        # a card of its own; the same letters may stand in a HISTORY
        if not any(block.startswith(b"REJECTED=", start) for start in range(0, len(block), 80)):
            return None
        header = fits_header(path)
        with reading(path):
            return Rejection(**{name: header[key] for key, name in _REJECTION_CARDS.items()})
    if suffix == ".h5":
        with hdf5_store(path) as store:
            entries = json.loads(store.attrs.get("rejected", "null"))
    elif suffix == ".ecsv":
        with reading(path):
            text = Path(path).read_text(encoding="utf-8")
        # a table of a survey is read by whoever needs it, and its long header need not be read twice
        entries = ecsv_table(path).meta.get("rejected") if "rejected" in text else None
    else:
        entries = _json(path).get("rejected")
    with reading(path):
        return Rejection(**entries) if entries else None


def _json(path: str | Path) -> dict:
    with reading(path):
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))


def read_left_out(path: str | Path) -> list[Rejection]:
    """Fields that a mosaic was made without; failures as by `radiounet.images.reading.reading`."""
    content = _json(path)
    with reading(path):
        rows = [] if "rejected" in content else content["left_out"]
        return [Rejection(**entries) for entries in rows]
