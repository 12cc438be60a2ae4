"""Kits: what is needed to look at a cluster or an island again, such as cut-outs and a mask for CLEAN."""

import difflib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.products import file_stems, kit_files
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.words import one_line
from radiounet.images.writing import write_fits, write_json
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.publishing.catalogue_objects import (
    MADE_OF,
    CatalogueObject,
    cut,
    cutout_header,
    files_of,
    part_of,
    places_of,
    places_text,
    read_catalogues,
    require_products,
    write_regions,
)
from radiounet.settings.releases import OWN_IMAGES

logger = logging.getLogger(__name__)

COMPACT_RMS = 5.0
"""Where compact sources are in the mask for CLEAN, rms."""
NEAR_NAMES = 5


def find_sources(results: str, names: Sequence[str]) -> list[CatalogueObject]:
    """Find clusters and islands by their names, all of which can have a kit.

    Parameters
    ----------
    results : path
        See `radiounet.publishing.catalogue_objects.read_catalogues`.
    names : sequence of str

    Raises
    ------
    ConfigError
        There are no catalogues. Or one or more names have no kit, and each is told why: no catalogue has it
        (those nearest to it are named), several places have it, it was not measured, a product is not
        there any more.
    """
    tables = read_catalogues(results)
    known = {kind: [one_line(name) for name in table["name"]] for kind, table in tables.items()}
    every = list(dict.fromkeys(name for all_names in known.values() for name in all_names))
    stems = dict(zip(every, file_stems(every), strict=True))
    found, faults = [], []
    for name in map(one_line, names):
        try:
            if name not in stems:
                near = difflib.get_close_matches(name, sorted(every), NEAR_NAMES, 0.5)
                said = f"; did you mean {', '.join(near)}?" if near else ""
                raise ConfigError(f"no cluster or island of {results} is called {name}{said}")
            rows = [
                (kind, tables[kind][index])
                for kind, all_names in known.items()
                for index, other in enumerate(all_names)
                if other == name
            ]
            kind, row = _one_place(results, name, rows)
            source = CatalogueObject(kind, row, files_of(results, str(row["mosaic"])), stems[name])
            require_products(source, *MADE_OF[kind])
            found.append(source)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError(f"no kit is written: {'; '.join(faults)}")
    return found


def _one_place(results: str, name: str, rows: list[tuple[str, Table.Row]]) -> tuple[str, Table.Row]:
    """Of several own images that show one cluster, the row of that which has most of it."""
    places = places_of(rows)
    if len(places) > 1:
        raise ConfigError(
            f"{results} has {len(places)} clusters or islands called {name}, "
            f"at {places_text(places)}: give each a name of its own in your table, and measure again"
        )
    return max(rows, key=_coverage)


def _coverage(found: tuple[str, Table.Row]) -> float:
    kind, row = found
    return float(np.nan_to_num(row["coverage"])) if kind == "cluster" else 0.0


def require_no_other_kit(source: CatalogueObject, folder: str) -> None:
    """Raise `ConfigError` if a folder holds the kit of another cluster or island."""
    path, name = Path(kit_files(folder)["kit"]), one_line(source.row["name"])
    if path.is_file():
        other = json.loads(path.read_text(encoding="utf-8")).get("kit", name)
        if other != name:
            raise ConfigError(f"{folder} holds the kit of {other}: give another folder for that of {name}")


def write_kit(source: CatalogueObject, folder: str) -> None:
    """Write the kit of one cluster or island, see `radiounet.images.products.kit_files`.

    All planes have the same pixels, those of the mosaic: nothing is resampled.

    Parameters
    ----------
    source : CatalogueObject
    folder : path

    Raises
    ------
    ConfigError
        The source was not measured, or its mosaic is not there any more.
    """
    files, name = kit_files(folder), one_line(source.row["name"])
    cutout, read = cut(source)
    chance, marked = (part_of(source.files[kind], cutout) for kind in ("probability", "mask"))
    header = cutout_header(cutout, source, name)
    write_fits(files["image"], cutout.image, header)
    write_fits(files["residual"], cutout.measured, header)
    del header["BUNIT"]
    write_fits(files["probability"], chance, header)
    write_fits(files["mask"], marked.astype(np.uint8), header)
    _write_clean_mask(files["clean_mask"], _emission(cutout, marked == 1), header)
    write_regions(files["regions"], cutout, source, name)
    ra, dec = source.place
    content = {
        "kit": name,
        "kind": source.kind,
        "ra_deg": ra,
        "dec_deg": dec,
        **{key: str(source.row[key]) for key in ("class", "reason", "mosaic")},
        "rms_jy": cutout.rms_jy,
        "version": __version__,
        "codehash": code_hash(),
        "products": {path: sha256_of(path) for path in read},
        "files": {Path(path).name: sha256_of(path) for kind, path in files.items() if kind != "kit"},
    }
    write_json(files["kit"], content)
    logger.info("%s: %s", name, folder)


def _emission(cutout: StoredCutout, diffuse: np.ndarray) -> np.ndarray:
    """Where CLEAN has something to do: diffuse emission, compact sources and radio galaxies."""
    return diffuse | (cutout.compact > COMPACT_RMS * cutout.rms_jy) | (cutout.islands < 0)


def _write_clean_mask(path: str, emission: np.ndarray, header: fits.Header) -> None:
    """Write 0 and 1 as float32 on the axes of WSClean's images: RA, Dec, frequency, Stokes."""
    full = header.copy()
    full["WCSAXES"] = 4
    axes = {
        3: ("FREQ", header.get("RESTFRQ", 1e6 * OWN_IMAGES.frequency_mhz), 1e6, "Hz"),
        4: ("STOKES", 1.0, 1.0, ""),
    }
    for axis, (kind, value, step, unit) in axes.items():
        full[f"CTYPE{axis}"], full[f"CRPIX{axis}"], full[f"CRVAL{axis}"] = kind, 1.0, value
        full[f"CDELT{axis}"], full[f"CUNIT{axis}"] = step, unit
    write_fits(path, emission[None, None].astype(np.float32), full)
