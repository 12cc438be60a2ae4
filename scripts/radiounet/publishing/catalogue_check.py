"""Whether the catalogues of a run are what it left: alike in all formats, and merged from its tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.reading import reading
from radiounet.images.rejections import Rejection, read_left_out
from radiounet.images.tables import AS_TEXT
from radiounet.images.words import writable
from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.catalogue_files import comment_lines, history_of
from radiounet.measuring.columns import REJECTED, number_formats
from radiounet.measuring.mosaic_tables import read_run_tables
from radiounet.measuring.table_settings import require_one_of_each

OF_MOSAICS = (
    "fetch_mosaic",
    "mosaic",
    "prepare_image",
    "segment",
    "find_islands",
    "measure_clusters",
    "measure_limits",
)
"""Stages whose rejections stand in the tables of a mosaic."""
ABOUT = (b"unit", b"description", b"ucd")
"""Metadata of a field of a Parquet file."""
OF_THE_MERGE = ("version", "codehash", "mosaics")
"""Metadata that the merge adds to those of the tables."""


def read_votable(path: str | Path) -> Table:
    """Catalogue of a run with units, descriptions and UCDs, texts as str; its metadata as `meta`."""
    with reading(path):
        content = parse(str(path)).get_first_table()
        table = content.to_table()
    table.meta = {info.name: info.value for info in content.infos}
    for field in content.fields:
        column = table[field.name]
        column.description = " ".join((column.description or "").split())  # the file wraps long ones
        if column.dtype.kind in "OSU":
            text = np.array([str(one) if one is not np.ma.masked else "" for one in column], str)
            table.replace_column(
                field.name, type(column)(text, name=field.name, description=column.description)
            )
        table[field.name].info.meta = {"ucd": field.ucd}
    return table


def same_in_all_formats(paths: dict[tuple[str, str], str], kind: str) -> Table:
    """Return a catalogue; raise `ConfigError` where its formats do not have the same rows."""
    table = read_votable(paths[kind, "vot"])
    for suffix in ("fits", "csv", "parquet"):
        path = paths[kind, suffix]
        texts = {name: AS_TEXT["*"] for name in table.colnames if table[name].dtype.kind == "U"}
        as_csv = {"format": "ascii.csv", "comment": "#", "converters": texts, "encoding": "utf-8"}
        options = as_csv if suffix == "csv" else {}
        with reading(path):
            other = Table.read(path, **options)
        if len(other) != len(table) or other.colnames != table.colnames:
            raise ConfigError(f"{path} was changed: it has other rows or columns than {paths[kind, 'vot']}")
        if wrong := _other_metadata(path, suffix, table, other):
            raise ConfigError(f"{path} was changed: its {wrong} differs from that of {paths[kind, 'vot']}")
        forms = number_formats(table) if suffix == "csv" else {}
        for name in table.colnames if len(table) else ():
            if not _agree(table[name], other[name], suffix, forms.get(name)):
                raise ConfigError(
                    f"{path} was changed: its column {name} differs from that of {paths[kind, 'vot']}"
                )
    return table


def _other_metadata(path: str, suffix: str, ours: Table, theirs: Table) -> str:
    """What of the metadata, or of those of a column, differs from the VOTable; '' for nothing."""
    if suffix == "csv":
        expected = comment_lines(ours)
        with open(path, encoding="utf-8") as stream:
            comments = [line.rstrip("\n") for line in takewhile(lambda line: line.startswith("#"), stream)]
        return ", ".join(sorted(set(comments) ^ set(expected))) or ("order" if comments != expected else "")
    if suffix == "fits":
        with fits.open(path) as hdus:
            header = hdus[1].header
        if [*header.get("HISTORY", ())] != [*history_of(ours.meta).get("HISTORY", ())]:
            return "HISTORY"
        found = {
            name: (str(theirs[name].unit or ""), header.get(f"TCOMM{number}"), header.get(f"TUCD{number}"))
            for number, name in enumerate(theirs.colnames, start=1)
        }
    else:
        names = ours.meta.keys() | theirs.meta.keys()
        same = {one for one in names if str(ours.meta.get(one)) == writable(str(theirs.meta.get(one)))}
        if names - same:
            return ", ".join(sorted(names - same))
        from pyarrow import parquet

        fields = {field.name: field.metadata for field in parquet.read_schema(path)}
        found = {
            name: tuple((fields[name] or {}).get(key, b"").decode() for key in ABOUT)
            for name in theirs.colnames
        }
    return ", ".join(f"column {name}" for name in ours.colnames if found[name] != _about(ours[name]))


def _about(column: Any) -> tuple[str, str, str]:
    """Unit, description and UCD of a column."""
    return str(column.unit or ""), column.description, column.info.meta["ucd"]


def _agree(ours: Any, theirs: Any, suffix: str, form: str | None) -> bool:
    """Whether columns of two formats hold the same; `form` is how CSV rounds its numbers."""
    if ours.dtype.kind == "f" and np.asarray(theirs).dtype.kind in "USO":
        return False
    if ours.dtype.kind == "f":
        one, other = (_numbers(column) for column in (ours, theirs))
        if form is not None:  # more digits than its format has are no change
            rounded = np.array([float(form % value) for value in one])
            one = np.where(one == other, other, rounded)
        return np.array_equal(one, other, equal_nan=True)
    if ours.dtype.kind == "U":
        texts = [["" if one is np.ma.masked else _text(one) for one in column] for column in (ours, theirs)]
        if suffix == "fits":
            texts[0] = [one.encode("ascii", "replace").decode() for one in texts[0]]
        return [one.strip() for one in texts[0]] == [one.strip() for one in texts[1]]
    return [str(one) for one in ours] == [str(one) for one in theirs]


def _numbers(column: Any) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(column, float), np.nan)


def _text(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def check_merged(products: Products, mosaics: Sequence[str], tables: Mapping[str, Table]) -> None:
    """Make sure that the catalogues are what the tables of the mosaics give.

    Parameters
    ----------
    products : Products
    mosaics : sequence of str
        Of the run.
    tables : mapping of str to Table
        The catalogues, see `read_votable`.

    Raises
    ------
    ConfigError
        A table was made anew or changed since they were merged, or tables were made in different ways.
    """
    listed = [Rejection(*(str(row[name]).strip() for name in REJECTED)) for row in tables["rejected"]]
    has_limits = "limits" in tables["clusters"].meta or any(one.stage == "measure_limits" for one in listed)
    run = read_run_tables(products, mosaics, [], [], has_limits, [])
    require_one_of_each(run)
    merged, rejections = merge_run(run.tables)
    for kind, table in merged.items():
        path = products.catalogue(kind, "vot")
        _check_metadata(path, table, tables[kind])
        _check_rows(path, table, tables[kind])
    path = products.catalogue("rejected", "vot")
    for one in rejections:
        if not any(_is_the_same(one, other) for other in listed):
            raise ConfigError(
                f"{path} does not say that {one.stage} rejected {one.name} ({one.reason}): "
                "run the workflow again"
            )
    if not Path(products.region_index()).is_file():  # there, another region may have rejected it
        _check_stale(path, rejections, listed, products, mosaics)


def _check_stale(
    path: str,
    rejections: Iterable[Rejection],
    listed: Iterable[Rejection],
    products: Products,
    mosaics: Sequence[str],
) -> None:
    """Raise where the catalogue says that a mosaic was rejected which is good."""
    # a field has the name of a mosaic, and may be left out of a neighbour too
    others = map(products.left_out, products.mosaics("left_out"))
    left_out = (one for path in others for one in read_left_out(path))
    known = {(one.name, one.stage) for one in (*rejections, *left_out)}
    for one in listed:
        if one.name in mosaics and one.stage in OF_MOSAICS and (one.name, one.stage) not in known:
            raise ConfigError(
                f"{path} says that {one.stage} rejected {one.name} ({one.reason}), which it no longer does: "
                "run the workflow again"
            )


def _is_the_same(one: Rejection, listed: Rejection) -> bool:
    """Whether a table was rejected as the catalogue says; paths do not count, as a run may be moved."""
    name, stage, file, reason = (writable(text).strip() for text in vars(one).values())
    if (name, stage) != (listed.name, listed.stage) or not file.endswith(listed.file):
        return False
    return not Counter(_words(listed.reason)) - Counter(_words(reason))


def _words(text: str) -> list[str]:
    return [word for word in text.split() if "/" not in word]


def _check_metadata(path: str, merged: Table, catalogue: Table) -> None:
    for key in merged.meta.keys() - OF_THE_MERGE:
        if writable(str(merged.meta[key])) != catalogue.meta.get(key):
            raise ConfigError(
                f"{path} was not merged from the tables of its mosaics: its {key} is "
                f"{catalogue.meta.get(key)}, theirs {merged.meta[key]}; run the workflow again"
            )


def _check_rows(path: str, merged: Table, catalogue: Table) -> None:
    """Raise unless a catalogue has the rows of the tables and, beside them, only unmeasured clusters."""
    wanted, found = Counter(_rows(merged)), Counter(_rows(catalogue))
    names = merged.colnames
    place = names.index("mosaic")
    for row in wanted - found:
        here, other = row[place], _nearest(row, found - wanted, place)
        odd = next((n for n, pair in enumerate(zip(row, other, strict=False)) if pair[0] != pair[1]), None)
        what = "is missing" if odd is None else f"has {names[odd]} {other[odd]}, not {row[odd]}"
        raise ConfigError(
            f"{path} was not merged from the table of mosaic {here}: {row[0]} {what}; run the workflow again"
        )
    measured = names.index("coverage") if "coverage" in names else None
    for row in found - wanted:
        if measured is None or row[measured] is not None:
            raise ConfigError(
                f"{path} was not merged from the table of mosaic {row[place]}: "
                f"that has no such row {row[0]}; run the workflow again"
            )


def _rows(table: Table) -> list[tuple]:
    """Rows as they compare: no value is None, whatever the type that a reader gave it."""
    return list(zip(*(_values(table[name]) for name in table.colnames), strict=True)) if len(table) else []


def _values(column: Any) -> list:
    if column.dtype.kind == "f":
        return [None if np.isnan(value) else float(value) + 0.0 for value in _numbers(column)]
    if column.dtype.kind == "U":
        return ["" if one is np.ma.masked else str(one).strip() for one in column]
    return [str(one) for one in column]


def _nearest(row: tuple, others: Iterable[tuple], place: int) -> tuple:
    """Row of the same name and mosaic; () for none."""
    return next((one for one in others if (one[0], one[place]) == (row[0], row[place])), ())
