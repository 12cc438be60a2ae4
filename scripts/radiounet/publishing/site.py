"""The results site of a finished run: one page, and data and pictures that it loads."""

import json
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import healpy
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import ConfigError
from radiounet.images.geometry import outline, to_sky
from radiounet.images.products import Products, Publication, SiteFiles, segment_files
from radiounet.images.provenance import PACKAGE
from radiounet.images.reading import fits_header, reading
from radiounet.images.regional_products import products_at
from radiounet.images.rejections import read_rejection
from radiounet.images.words import write_if_changed, write_script
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.catalogue_objects import files_of, read_catalogues
from radiounet.publishing.research_object import CRATE, NO_LIMITS
from radiounet.publishing.side_by_side import side_by_side
from radiounet.publishing.site_sources import SiteSources, write_mosaic
from radiounet.publishing.site_tables import (
    NOWHERE,
    columns_of,
    flag_names,
    hosts_of,
    list_of,
    rows_by_mosaic,
    stems_of,
)
from radiounet.settings.config import load_config
from radiounet.settings.publish import require_aladin
from radiounet.settings.releases import PUBLISHED_RELEASES, Release
from radiounet.settings.yaml_file import read_yaml
from radiounet.survey.cells import cell_pixel

logger = logging.getLogger(__name__)

ASSETS = Path(__file__).with_name("pages")
STYLE = PACKAGE / "templates/site.css"
"""Style sheet of the results site, of the pages for labels, and of the live page."""
PAGE = "index.html"
ALADIN = "aladin.js"
HIPS = ("image", "probability", "mask")
SIDE_POINTS = 3
"""Points along each side of a mosaic's outline."""
MADE_WITH = {
    "MODEL": "Network",
    "MODELSHA": "SHA-256 of its weights",
    "CARDSHA": "SHA-256 of the settings in its card",
    "SEGMODE": "Tiling mode",
    "PRECIS": "Arithmetic",
    "THREADS": "CPU threads of the inference",
    "THRESH": "Threshold of the mask, probability",
    "MASKPEAK": "Probability that an island must reach",
    "MINBEAMS": "Smallest island, beam areas",
    "BKGSCALE": "Scale of the background taken away, arcmin",
    "RUNETVER": "Version of radiounet",
    "CODEHASH": "Hash of its code",
}
"""Cards of a mask that say how it was made."""


def write_site(
    results: str | Path,
    folder: str | Path,
    aladin: str | Path | None,
    processes: int,
    mosaics: Sequence[str] | None = None,
    published: Collection[str] | None = None,
    *,
    with_status: bool = True,
) -> list[str]:
    """Write the results site of a run; files that would not change are left alone.

    It is ``index.html`` and the folder ``site``, which need no server. Other files of `folder` are not
    touched; the page lists them for download.

    Parameters
    ----------
    results : path
        Products of a survey, such as ``results/dr2``, or a folder of ``radiounet segment``.
    folder : path
        Publication to write to.
    aladin : path or None
        Aladin Lite (``aladin.js``), which is copied to the site to show its HiPS.
    processes : int
        At most, over mosaics.
    mosaics : sequence of str, optional
        Of the run (default: all that have a table of islands, or a row in a catalogue).
    published : collection of str, optional
        Names of the files that can be downloaded (default: all of `folder`).
    with_status : bool
        Show the state of the latest run and its failed jobs, which a finished survey does not have.

    Returns
    -------
    list of str
        Paths of all its files.

    Raises
    ------
    ConfigError
        There are no catalogues; `folder` has a folder ``site`` of something else; `aladin` is not
        there, or something else.
    """
    if aladin is not None:
        require_aladin(aladin)
    results, files = str(results).rstrip("/"), SiteFiles(str(folder).rstrip("/"))
    tables = read_catalogues(results)
    clusters, islands = (
        tables.get(kind, Table({"name": [], "mosaic": []})) for kind in ("cluster", "island")
    )
    _require_own(files)
    release = release_of_run(results)
    described = _mosaics(results, release, [clusters, islands], mosaics)
    names = [one["name"] for one in described]
    catalogues = {"clusters": clusters, "islands": islands}
    stems = stems_of(catalogues)
    rows = {kind: rows_by_mosaic(table) for kind, table in catalogues.items()}
    written = {files.data("run"), *_copy_assets(files, aladin)}
    for kind, table in catalogues.items():
        if len(table):
            content = list_of(kind, table, stems[kind], names)
            write_script(files.data(kind), kind, content)
            written.add(files.data(kind))
    by_mosaic = [
        (name, {kind: rows[f"{kind}s"].get(name, []) for kind in ("cluster", "island")})
        for name in (*names, NOWHERE)
    ]
    sources = SiteSources(results, files.root, catalogues, stems, hosts_of(clusters, stems["clusters"]))
    jobs = [(name, mine) for name, mine in by_mosaic if any(mine.values())]
    jobs.sort(key=lambda job: -sum(map(len, job[1].values())))  # the last ones to be short
    for made in side_by_side(partial(write_mosaic, sources), jobs, processes, "mosaics of the site"):
        written.update(made)
    _remove_others(files, written)
    downloads = _downloads(files, published)
    run = _run(results, files, release, catalogues, described, downloads)
    status = _status(Products(results), files) if with_status else None
    write_script(files.data("run"), "run", run | {"aladin": aladin is not None, "status": status})
    logger.info("%d cluster rows, %d islands on %d mosaics", len(clusters), len(islands), len(described))
    return sorted(written)


def restore_page(folder: str) -> None:
    """Write the page of a site that is known to be ours, if only its page was lost."""
    write_if_changed(SiteFiles(folder).page(), (ASSETS / PAGE).read_bytes())


def _require_own(files: SiteFiles) -> None:
    page, folder = Path(files.page()), Path(files.folder())
    mark = (ASSETS / PAGE).read_bytes().splitlines()[1]
    is_ours = page.is_file() and mark in page.read_bytes()
    if page.is_file() and not is_ours:
        raise ConfigError(f"{page} exists and is not part of a results site: give another folder")
    if folder.is_dir() and any(folder.iterdir()) and not is_ours:
        raise ConfigError(f"{folder} exists and is not part of a results site: give another folder")


def _copy_assets(files: SiteFiles, aladin: str | Path | None) -> list[str]:
    """Copy the page and what it loads; where they are now."""
    # the page first: a folder with other files of a site and no page is refused
    copies = {files.page(): ASSETS / PAGE} | {
        files.code(one.name): one
        for one in sorted(ASSETS.iterdir())
        if one.name != PAGE and not one.name.startswith("label")
    }
    copies[files.code(STYLE.name)] = STYLE
    if aladin is not None:
        copies[files.code(ALADIN)] = Path(aladin)
    for target, source in copies.items():
        write_if_changed(target, source.read_bytes())
    return list(copies)


def _remove_others(files: SiteFiles, written: set[str]) -> None:
    """Remove what an earlier site had and this one has not."""
    kept = {Path(one) for one in written}
    for path in sorted(Path(files.folder()).rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()


def release_of_run(results: str) -> Release | None:
    """The release that a run is of, by its configuration or else by the name of its folder."""
    products = Products(results)
    with suppress(ConfigError, ValueError):
        if Path(products.configuration()).is_file():
            return load_config(read_yaml(products.configuration())).survey_release
    return PUBLISHED_RELEASES.get(products.release)


def _mosaics(
    results: str, release: Release | None, tables: Iterable[Table], mosaics: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Mosaics of the run: name, state, outline."""
    named = {name for table in tables for name in rows_by_mosaic(table)} - {NOWHERE}
    named |= set(_with_tables(results) if mosaics is None else mosaics)
    found = []
    for name in sorted(named):
        mask = files_of(results, name)["mask"]
        rejection = read_rejection(mask) if Path(mask).is_file() else None
        state = "rejected" if rejection else "done"
        found.append({"name": name, "state": state, "outline": _outline(release, name, mask)})
    return found


def _with_tables(results: str) -> list[str]:
    """Mosaics that have a table of islands; neighbours, which only show outskirts of clusters, have none."""
    if Path(segment_files(results)["mask"]).is_file():
        return []
    products = products_at(results)
    names, catalogue = products.mosaics("islands"), products.catalogue("islands", "vot")
    merged = read_votable(catalogue).meta.get("mosaics") if Path(catalogue).is_file() else None
    if merged not in (None, str(len(names))):
        logger.warning(
            "%s has tables of %d mosaics, its catalogue is of %s: those of an earlier run are shown, too",
            results,
            len(names),
            merged,
        )
    return names


def _outline(release: Release | None, name: str, mask: str) -> list[float]:
    """Outline of a mosaic's cell or, where that is not known, its square: RA, Dec, RA, ... in deg."""
    if release and release.nside:
        vectors = healpy.boundaries(release.nside, cell_pixel(name), SIDE_POINTS)
        ra, dec = healpy.vec2ang(vectors.T, lonlat=True)
    elif not Path(mask).is_file() or read_rejection(mask):
        return []
    else:
        header = fits_header(mask)
        x, y = outline((header["NAXIS2"], header["NAXIS1"]), SIDE_POINTS)
        ra, dec = to_sky(WCS(header), x, y)
    return [round(float(one), 3) for place in zip(ra, dec, strict=True) for one in place]


def _run(
    results: str,
    files: SiteFiles,
    release: Release | None,
    catalogues: dict[str, Table],
    mosaics: list[dict[str, Any]],
    downloads: list[list[Any]],
) -> dict[str, Any]:
    """What the page says of the run as a whole."""
    masks = [files_of(results, one["name"])["mask"] for one in mosaics if one["state"] == "done"]
    header = next((fits_header(mask) for mask in masks if Path(mask).is_file()), fits.Header())
    made = [[label, str(header[key])] for key, label in MADE_WITH.items() if key in header]
    rejected = Products(results).catalogue("rejected", "vot")
    rows: list[list[str]] = []
    if Path(rejected).is_file():
        with reading(rejected):
            table = Table.read(rejected)
        # without the folder, which is one of the machine of the run
        rows = [
            [str(row["name"]), str(row["stage"]), Path(str(row["file"])).name, str(row["reason"])]
            for row in table
        ]
    published = {name for name, *_ in downloads}
    hips = [kind for kind in HIPS if Path(files.root, "hips", kind, "properties").is_file()]
    return {
        "title": release.title if release else Products(results).release,
        "made": made,
        "mosaics": mosaics,
        "counts": {kind: len(table) for kind, table in catalogues.items()},
        "columns": {kind: columns_of(kind, table) for kind, table in catalogues.items()},
        "flags": {kind: flag_names(table) for kind, table in catalogues.items()},
        "rejected": rows,
        "hips": [_hips(files, kind) for kind in hips],
        "downloads": downloads,
        "notes": [NO_LIMITS] if CRATE in published and Publication.completeness() not in published else [],
    }


def _status(products: Products, files: SiteFiles) -> dict[str, Any] | None:
    """Jobs that failed, the state of the latest run without its times, and where its live page is.

    The page of the run and the site lead to each other if the site is that of the run's folder.
    """
    path = products.status_file()
    if not Path(path).is_file():
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        failed = [{key: one[key] for key in ("rule", "name", "last_words")} for one in content["failed"]]
        state, mosaics = content["state"], content["mosaics"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.warning("%s is damaged, the site says nothing of the last run (%s)", path, error)
        return None
    is_beside = Path(files.root).resolve() == Path(products.publication()).resolve()
    page = Path(os.path.relpath(products.status_page(), files.root)).as_posix() if is_beside else None
    return {"state": state, "mosaics": mosaics, "failed": failed, "page": page}


def _hips(files: SiteFiles, kind: str) -> dict[str, str]:
    lines = Path(files.root, "hips", kind, "properties").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {"kind": kind} | {key.strip(): value.strip() for key, _, value in pairs}


def _downloads(files: SiteFiles, published: Collection[str] | None) -> list[list[Any]]:
    """Folders and files beside the site, but for their checksums: name, how many files, bytes."""
    root = Path(files.root)
    if not root.is_dir():
        return []
    found, others = [], (files.page(), files.folder(), Publication(files.root).at(Publication.checksums()))
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or str(path) in others:
            continue
        inside = [one for one in path.rglob("[!.]*") if one.is_file()] if path.is_dir() else [path]
        if published is not None:
            inside = [one for one in inside if one.relative_to(root).as_posix() in published]
        if inside:
            size = sum(one.stat().st_size for one in inside)
            found.append([f"{path.name}/" if path.is_dir() else path.name, len(inside), size])
    return found
