"""Clusters and islands of one mosaic on the results site: numbers, pictures, cut-outs, regions."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import BadDataError, ConfigError
from radiounet.images.image import StoredPlane, open_plane
from radiounet.images.products import SiteFiles
from radiounet.images.provenance import code_hash
from radiounet.images.reading import fits_header
from radiounet.images.words import one_line, write_if_changed, write_script
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.publishing.catalogue_objects import (
    CatalogueObject,
    cut,
    cutout_header,
    files_of,
    write_regions,
)
from radiounet.publishing.compressed_maps import PROBABILITY_STEP, compressed, compressed_file, rounded
from radiounet.publishing.site_pictures import draw_pictures
from radiounet.publishing.site_tables import row_of, shown_hosts

logger = logging.getLogger(__name__)

NOISE_STEPS = 16
"""Steps per rms of the compressed images: rounding adds less than 0.02 % to the noise."""


@dataclass(frozen=True)
class SiteSources:
    """Clusters and islands of a run.

    Attributes
    ----------
    results, out : str
        Folder of the run's products, and of the publication.
    tables : dict of str to Table
        ``clusters`` and ``islands``.
    stems : dict of str to list of str
        Names of files of the rows.
    hosts : dict of str to list of dict
        See `radiounet.publishing.site_tables.hosts_of`.
    """

    results: str
    out: str
    tables: dict[str, Table]
    stems: dict[str, list[str]]
    hosts: dict[str, list[dict[str, str]]]


def write_mosaic(sources: SiteSources, job: tuple[str, Mapping[str, Sequence[int]]]) -> list[str]:
    """Write the files of all clusters and islands of a mosaic, unless they are there.

    Parameters
    ----------
    sources : SiteSources
    job : str, mapping of str to sequence of int
        The mosaic, and its rows in the tables of ``cluster`` and ``island``.

    Returns
    -------
    list of str
        Files of the site.
    """
    mosaic, rows = job
    tables = {kind: sources.tables[f"{kind}s"][found] for kind, found in rows.items()}
    stems = {kind: [sources.stems[f"{kind}s"][row] for row in found] for kind, found in rows.items()}
    files, products = SiteFiles(sources.out), files_of(sources.results, mosaic)
    hosts = [shown_hosts(sources.hosts.get(str(name), []), mosaic) for name in tables["island"]["name"]]
    made_from = _fingerprint(products, tables, stems, hosts)
    script = files.mosaic(mosaic)
    known = _read(script)
    if known.get("made_from") == made_from and all(
        Path(sources.out, one).is_file() for one in known["files"]
    ):
        return [script, *(f"{sources.out}/{one}" for one in known["files"])]
    content: dict[str, Any] = {"made_from": made_from, "clusters": {}, "islands": {}}
    written: list[str] = []
    opened = cache(partial(open_plane, brightness=False))
    for kind, table in tables.items():
        for row, stem in zip(table, stems[kind], strict=True):
            source = CatalogueObject(kind, row, products)
            content[f"{kind}s"][stem] = _write_source(source, opened, files, mosaic, stem, written)
    for stem, of_it in zip(stems["island"], hosts, strict=True):
        content["islands"][stem]["clusters"] = of_it
    content["files"] = [str(Path(one).relative_to(sources.out)) for one in written]
    write_script(script, f"mosaics/{mosaic}", content)
    return [script, *written]


def _write_source(
    source: CatalogueObject,
    opened: Callable[[str], StoredPlane],
    files: SiteFiles,
    mosaic: str,
    stem: str,
    written: list[str],
) -> dict:
    """Files of one cluster or island; what the page needs to know of it."""
    entry: dict[str, Any] = {"row": row_of(source.row)}
    try:
        cutout, _ = cut(source)
        maps = {kind: opened(source.files[kind]).window(*cutout.part) for kind in ("probability", "mask")}
    except (BadDataError, ConfigError, FileNotFoundError) as error:
        # a purged scratch, or a cluster that was not measured: the page says so
        logger.info("no picture of %s: %s", one_line(source.row["name"]), error)
        return entry
    pictures = draw_pictures(cutout, maps["probability"], *source.place)
    for kind, content in pictures.files.items():
        path = files.picture(mosaic, stem, kind)
        write_if_changed(path, content)
        written.append(path)
    name, (planes, regions) = (
        one_line(source.row["name"]),
        (files.cutout(mosaic, stem), files.regions(mosaic, stem)),
    )
    write_if_changed(planes, _cutout_file(cutout, maps, cutout_header(cutout, source, name)))
    write_regions(regions, cutout, source, name)
    written += [planes, regions]
    return entry | {"view": pictures.view}


def _cutout_file(cutout: StoredCutout, maps: dict[str, np.ndarray], header: fits.Header) -> bytes:
    """Image, residual, probability and mask as one tile-compressed FITS file."""
    plain = header.copy()
    del plain["BUNIT"]
    step = (cutout.rms_jy if cutout.rms_jy > 0 else 1.0) / NOISE_STEPS
    return compressed_file(
        rounded(cutout.image, header, step, np.int32, "IMAGE"),
        rounded(cutout.measured, header, step, np.int32, "RESIDUAL"),
        rounded(maps["probability"], plain, PROBABILITY_STEP, name="PROBABILITY"),
        compressed(maps["mask"].astype(np.uint8), plain, "MASK"),
        about=[header.cards[key] for key in ("OBJECT", "RUNETVER", "CODEHASH")],
    )


def _fingerprint(
    paths: Mapping[str, str],
    tables: Mapping[str, Table],
    stems: Mapping[str, Sequence[str]],
    hosts: Sequence[Sequence[dict[str, str]]],
) -> str:
    """What the files of a mosaic depend on: code, rows, and how and from what its products were made."""
    header = fits_header(paths["mask"]) if Path(paths["mask"]).is_file() else {}
    keys = (
        "MODELSHA",
        "CARDSHA",
        "INPUTSHA",
        "IMAGESHA",
        "SEGMODE",
        "THRESH",
        "MASKPEAK",
        "MINBEAMS",
        "PRECIS",
    )
    made = {key: str(header.get(key)) for key in keys}
    sizes = {kind: Path(path).stat().st_size if Path(path).is_file() else -1 for kind, path in paths.items()}
    rows = {kind: [row_of(row) for row in table] for kind, table in tables.items()}
    content = [code_hash(), made, sizes, rows, stems, hosts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _read(script: str) -> dict[str, Any]:
    """Content of an earlier script of a mosaic; empty where there is none."""
    if not Path(script).is_file():
        return {}
    _, _, rest = Path(script).read_text(encoding="ascii").partition(",")
    try:
        return json.loads(rest.removesuffix(");\n"))
    except ValueError:
        return {}
