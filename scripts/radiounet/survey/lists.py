"""Lists of a survey, from their public sources or files, in the form the job graph reads.

Written once by the ``fetch_lists`` rule; parsing the Snakefile reads plain CSV only.
"""

import csv
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from radiounet.errors import ConfigError, NotFitsError
from radiounet.images.fits_check import check_fits
from radiounet.images.products import NAME_PATTERN
from radiounet.images.repeats import require_unique
from radiounet.images.squares import Mosaic
from radiounet.images.tables import IncompleteTableError, TableError, read_table
from radiounet.images.writing import atomic
from radiounet.settings.archive import Archive
from radiounet.settings.releases import Release
from radiounet.settings.urls import public_text
from radiounet.survey.archive import fetch
from radiounet.survey.cells import HealpixCells, NearestPointing
from radiounet.survey.fields import Field, fields_in_footprint
from radiounet.survey.survey import list_paths, read_list

logger = logging.getLogger(__name__)

FIELD_COLUMNS = ("name", "ra_deg", "dec_deg", "member")
CHECKSUM_COLUMNS = ("name", "file", "checksum")


class ListError(NotFitsError):
    """A list that cannot be read; says which columns it must have."""


@dataclass
class _Lists:
    """What is written of one release: its mosaics, which fields of the grid it has, known checksums."""

    mosaics: list[Mosaic]
    members: list[bool]
    checksums: list[tuple[str, str, str]]


def fetch_lists(archive: Archive, release: Release) -> None:
    """Fetch and write the lists of one release: its mosaics, and the grid of fields.

    Its mosaics are the HEALPix cells that its footprint reaches, or the pointings of its table.

    Raises
    ------
    ListError, IncompleteTableError
        An answer that is not a list, or not the whole one.
    TransientError, NotInArchiveError
        From the download, or in the words of the service.
    ConfigError
        The release has no source of a list, or a footprint coarser than its cells.
    """
    folder = Path(archive.list_folder)
    if release.fields is None or (release.footprint is None and release.mosaics is None):
        raise ConfigError(f"release {release.name} has no source of its fields, or of its mosaics")
    grid = read_grid(_bring(archive, release.fields, folder / f"{release.name}_grid.download"))
    found = _of_footprint(archive, release, grid) if release.footprint else _of_table(archive, release, grid)
    members = zip(grid, found.members, strict=True)
    rows = [(field.name, field.ra_deg, field.dec_deg, int(is_member)) for field, is_member in members]
    paths = list_paths(archive.list_folder, release.name)
    write_list(paths["fields"], FIELD_COLUMNS, sorted(rows))
    write_list(paths["checksums"], CHECKSUM_COLUMNS, sorted(found.checksums))
    write_mosaic_list(paths["mosaics"], found.mosaics)


def _of_footprint(archive: Archive, release: Release, grid: Sequence[Field]) -> _Lists:
    from mocpy import MOC

    path = Path(archive.list_folder) / f"{release.name}_footprint.fits"
    moc = MOC.from_fits(_bring(archive, str(release.footprint), path, check_fits))
    cells = HealpixCells(release)
    mosaics = [cells.geometry(pixel) for pixel in cells.of_footprint(moc)]
    return _Lists(mosaics, fields_in_footprint(grid, moc), [])


def _of_table(archive: Archive, release: Release, grid: Sequence[Field]) -> _Lists:
    source = str(release.mosaics)
    table = _read_table(_bring(archive, source, Path(archive.list_folder) / f"{release.name}.download"))
    rows_used = _all_fields(table, public_text(source))
    pointings = [pointing for pointing in rows_used if pointing]
    names = {pointing.name for pointing in pointings}
    cells = NearestPointing(release)
    mosaics = [cells.geometry(pointing, grid) for pointing in pointings]
    return _Lists(mosaics, [field.name in names for field in grid], _checksums(table, rows_used))


def write_mosaic_list(path: str | Path, mosaics: Sequence[Mosaic]) -> None:
    """Write the list of mosaics that `radiounet.survey.survey.read_survey` reads."""
    rows = [(m.name, m.ra_deg, m.dec_deg, m.n_px) for m in mosaics]
    write_list(path, ("name", "ra_deg", "dec_deg", "n_px"), sorted(rows))


def _accept(path: Path) -> None:
    """Leave the judgement to the reader of the table."""


def _bring(archive: Archive, source: str, path: Path, check: Callable[[Path], None] = _accept) -> Path:
    fetch(source, path, archive.download, check=check)
    return path


def write_list(path: str | Path, columns: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Write a list as CSV."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def _checksums(table: Table, pointings: Sequence[Field | None]) -> list[tuple[str, str, str]]:
    """Take the Adler-32 of the 6" mosaics, which the TAP service knows."""
    if "adler32" not in table.colnames:
        return []
    known = zip(pointings, table["adler32"], strict=True)
    return [
        (p.name, "mosaic-blanked.fits", f"adler32:{str(value).strip().zfill(8)}")
        for p, value in known
        if p and value is not np.ma.masked and str(value).strip()
    ]


def read_checksums(paths: Sequence[str | Path], name: str) -> dict[str, str]:
    """Known checksums of a mosaic's or field's files, by file name; missing lists are empty.

    Raises
    ------
    ConfigError
        A file is another one than its list, or has two checksums of that mosaic or field.
    """
    known: dict[str, str] = {}
    for path in filter(os.path.isfile, paths):
        rows = [row for row in read_list(path, CHECKSUM_COLUMNS) if row["name"] == name]
        require_unique(path, "file", (f"{row['file']} of {name}" for row in rows), ConfigError)
        known |= {row["file"]: row["checksum"] for row in rows}
    return known


def read_grid(path: str | Path) -> list[Field]:
    """Read the survey's progress list (``# Pointing,RA,DEC,...``), or any table with name, ra, dec in deg."""
    return _fields(_read_table(path), path)


def _read_table(path: str | Path) -> Table:
    try:
        table = read_table(path)
    except IncompleteTableError:
        raise
    except TableError as error:
        raise ListError(str(error)) from error
    table.convert_bytestring_to_unicode()
    return table


COLUMN_NAMES = {
    "name": ("name", "mosaic_id", "field", "pointing"),
    "ra": ("ra", "ra_deg", "centeralpha"),
    "dec": ("dec", "dec_deg", "centerdelta"),
}


def _fields(table: Table, path: str | Path) -> list[Field]:
    """Fields of a list; a row with no usable name or position is left out, and the log says so."""
    return [field for field in _all_fields(table, path) if field is not None]


def _all_fields(table: Table, path: str | Path) -> list[Field | None]:
    """One field per row, None where it has no usable name or position."""
    by_lower = {name.lower(): name for name in table.colnames}
    found = {}
    for wanted, candidates in COLUMN_NAMES.items():
        column = next((by_lower[name] for name in candidates if name in by_lower), None)
        if column is None:
            raise ListError(f"{path} has no column {' or '.join(candidates)}; it has {table.colnames}")
        found[wanted] = table[column]
    rows = zip(found["name"], found["ra"], found["dec"], strict=True)
    if any(np.ma.getmaskarray(np.ma.asarray(column)).any() for column in found.values()):
        raise ListError(f"{path} has a row without name, ra or dec")
    try:
        places = [(str(name).strip(), float(ra), float(dec)) for name, ra, dec in rows]
    except ValueError as error:
        raise ListError(f"{path}: positions must be numbers in deg: {error}") from error
    fields: list[Field | None] = []
    known: set[str] = set()
    for name, ra, dec in places:
        wrong = _fault(name, ra, dec, known)
        if wrong:
            logger.warning("%s: row %d, %r, is left out: %s", path, len(fields) + 1, name, wrong)
        known.add(name)
        fields.append(None if wrong else Field(name, ra % 360 % 360, dec))
    if not any(fields):
        raise ListError(f"{path} has no rows that can be used ({len(places)} in all)")
    return fields


def _fault(name: str, ra_deg: float, dec_deg: float, known: set[str]) -> str:
    """What is wrong with a row; '' for nothing."""
    if not re.fullmatch(NAME_PATTERN, name):
        return f"a name must look like {NAME_PATTERN}, since it becomes part of a path"
    if name in known:
        return "its name is in the list already"
    if not -360 <= ra_deg <= 360:
        return f"right ascension {ra_deg} deg is outside -360..360"
    if not -90 <= dec_deg <= 90:
        return f"declination {dec_deg} deg is outside -90..90"
    return ""
