"""Lists of a survey, from their public sources or files, in the form the job graph reads.

Written once by the ``fetch_lists`` rule; parsing the Snakefile reads plain CSV only.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.table import Table

from radiounet.archive import check_fits, fetch
from radiounet.config import Archive
from radiounet.errors import NotFitsError
from radiounet.products import atomic
from radiounet.sky import (
    Field,
    Mosaic,
    cell_geometry,
    cells_of_footprint,
    fields_in_footprint,
    list_paths,
    pointing_geometry,
    read_list,
)

FIELD_COLUMNS = ("name", "ra_deg", "dec_deg", "member")
CHECKSUM_COLUMNS = ("name", "file", "checksum")


class ListError(NotFitsError):
    """A list that cannot be read; says which columns it must have."""


def fetch_lists(archive: Archive, release: str) -> None:
    """Fetch and write the lists of one release: its mosaics, and the grid of fields.

    Raises
    ------
    ListError
        An answer that is not a list.
    TransientError, NotInArchiveError
        From the download.
    """
    folder = Path(archive.list_folder)
    grid = read_grid(_bring(archive, archive.lists.fields, folder / "grid.download"))
    paths = list_paths(archive.list_folder, release)
    checksums = []
    if release == "dr3":
        from mocpy import MOC

        moc = MOC.from_fits(
            _bring(archive, archive.lists.dr3_footprint, folder / "dr3_footprint.fits", check_fits)
        )
        members = fields_in_footprint(grid, moc)
        mosaics = [cell_geometry(pixel) for pixel in cells_of_footprint(moc)]
    else:
        table = _read_table(_bring(archive, archive.lists.dr2_mosaics, folder / "dr2.download"))
        pointings = _fields(table, archive.lists.dr2_mosaics)
        names = {pointing.name for pointing in pointings}
        members = [field.name in names for field in grid]
        mosaics = [pointing_geometry(pointing, grid) for pointing in pointings]
        checksums = _checksums(table, pointings)
    rows = [(field.name, field.ra_deg, field.dec_deg, int(m)) for field, m in zip(grid, members, strict=True)]
    write_list(paths["fields"], FIELD_COLUMNS, sorted(rows))
    write_list(paths["checksums"], CHECKSUM_COLUMNS, sorted(checksums))
    write_mosaic_list(paths["mosaics"], mosaics)


def write_mosaic_list(path: str | Path, mosaics: Sequence[Mosaic]) -> None:
    """Write the list of mosaics that `radiounet.sky.read_survey` reads."""
    rows = [(m.name, m.ra_deg, m.dec_deg, m.n_px) for m in mosaics]
    write_list(path, ("name", "ra_deg", "dec_deg", "n_px"), sorted(rows))


def _accept(path: Path) -> None:
    """Leave the judgement to the reader of the table."""


def _bring(archive: Archive, source: str, path: Path, check: Callable[[Path], None] = _accept) -> Path:
    fetch(source, path, archive.download, check=check)
    return path


def write_list(path: str | Path, columns: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Write a list as CSV."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def _checksums(table: Table, pointings: Sequence[Field]) -> list[tuple[str, str, str]]:
    """Take the Adler-32 of the 6" mosaics, which the TAP service knows."""
    if "adler32" not in table.colnames:
        return []
    known = zip(pointings, table["adler32"], strict=True)
    return [
        (p.name, "mosaic-blanked.fits", f"adler32:{str(value).strip().zfill(8)}")
        for p, value in known
        if value is not np.ma.masked and str(value).strip()
    ]


def read_checksums(paths: Sequence[str | Path], name: str) -> dict[str, str]:
    """Known checksums of a mosaic's or field's files, by file name; missing lists are empty."""
    rows = [row for path in paths if Path(path).is_file() for row in read_list(path)]
    return {row["file"]: row["checksum"] for row in rows if row["name"] == name}


def read_grid(path: str | Path) -> list[Field]:
    """Read the survey's progress list (``# Pointing,RA,DEC,...``), or any table with name, ra, dec in deg."""
    return _fields(_read_table(path), path)


def _read_table(path: str | Path) -> Table:
    start = Path(path).read_bytes()[:500].lstrip()
    try:
        if start.startswith(b"<"):
            return Table.read(path, format="votable")
        return Table.read(path, format="ascii.ecsv" if start.startswith(b"# %ECSV") else "ascii.csv")
    except (ValueError, OSError, VOTableSpecError) as error:
        raise ListError(f"{path} cannot be read as a table: {error}") from error


COLUMN_NAMES = {
    "name": ("name", "mosaic_id", "field", "# pointing"),
    "ra": ("ra", "ra_deg", "centeralpha"),
    "dec": ("dec", "dec_deg", "centerdelta"),
}


def _fields(table: Table, path: str | Path) -> list[Field]:
    by_lower = {name.lower(): name for name in table.colnames}
    found = {}
    for wanted, candidates in COLUMN_NAMES.items():
        column = next((by_lower[name] for name in candidates if name in by_lower), None)
        if column is None:
            raise ListError(f"{path} has no column {' or '.join(candidates)}; it has {table.colnames}")
        found[wanted] = table[column]
    rows = zip(found["name"], found["ra"], found["dec"], strict=True)
    try:
        fields = [Field(str(name).strip(), float(ra) % 360, float(dec)) for name, ra, dec in rows]
    except ValueError as error:
        raise ListError(f"{path}: positions must be numbers in deg: {error}") from error
    if not fields or any(np.ma.getmaskarray(np.ma.asarray(column)).any() for column in found.values()):
        raise ListError(f"{path} has no rows, or a row without name, ra or dec")
    return fields
