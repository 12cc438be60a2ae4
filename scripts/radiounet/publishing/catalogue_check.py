"""Whether the catalogues of a run are what it left: alike in all formats, and merged from its tables."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.reading import reading
from radiounet.images.words import writable
from radiounet.measuring.catalogue import comment_lines, history_of, join_limits, merge_tables
from radiounet.measuring.columns import number_formats
from radiounet.measuring.mosaic_tables import read_tables

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
        options = {"csv": {"format": "ascii.csv", "comment": "#"}}.get(suffix, {})
        with reading(path):
            other = Table.read(path, **options)
        if len(other) != len(table) or other.colnames != table.colnames:
            raise ConfigError(f"{path} was changed: it has other rows or columns than {paths[kind, 'vot']}")
        if wrong := _other_metadata(path, suffix, table.meta, other.meta):
            raise ConfigError(f"{path} was changed: its {wrong} differs from that of {paths[kind, 'vot']}")
        forms = number_formats(table) if suffix == "csv" else {}
        for name in table.colnames if len(table) else ():
            if not _agree(table[name], other[name], suffix, forms.get(name)):
                raise ConfigError(
                    f"{path} was changed: its column {name} differs from that of {paths[kind, 'vot']}"
                )
    return table


def _other_metadata(path: str, suffix: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """What of the metadata differs from those of the VOTable; '' for nothing."""
    if suffix == "csv":
        expected = comment_lines(ours)
        with open(path, encoding="utf-8") as stream:
            lines = [line.rstrip("\n") for line in islice(stream, len(expected))]
        return ", ".join(sorted(set(lines) ^ set(expected)))
    if suffix == "fits":
        with fits.open(path) as hdus:
            found = hdus[1].header
        return "HISTORY" if [*found.get("HISTORY", ())] != [*history_of(ours).get("HISTORY", ())] else ""
    names = ours.keys() | theirs.keys()
    return ", ".join(sorted(one for one in names if str(ours.get(one)) != writable(str(theirs.get(one)))))


def _agree(ours: Any, theirs: Any, suffix: str, form: str | None) -> bool:
    """Whether columns of two formats hold the same; `form` is how CSV rounds its numbers."""
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
        Whose tables were merged.
    tables : mapping of str to Table
        Catalogues of islands and clusters, see `read_votable`.

    Raises
    ------
    ConfigError
        A table was made anew or changed since they were merged, or tables were made in different ways.
    """
    for kind in ("islands", "clusters"):
        merged, _ = merge_tables(kind, read_tables(kind, map(getattr(products, kind), mosaics)))
        if kind == "clusters" and "limits" in tables[kind].meta:
            limits, _ = merge_tables("limits", read_tables("limits", map(products.limits, mosaics)))
            merged = join_limits(merged, limits)
        path = products.catalogue(kind, "vot")
        _check_metadata(path, merged, tables[kind])
        _check_rows(path, merged, tables[kind])


def _check_metadata(path: str, merged: Table, catalogue: Table) -> None:
    for key in merged.meta.keys() - OF_THE_MERGE:
        if len(merged) and writable(str(merged.meta[key])) != catalogue.meta.get(key):
            raise ConfigError(
                f"{path} was not merged from the tables of its mosaics: its {key} is "
                f"{catalogue.meta.get(key)}, theirs {merged.meta[key]}; run the workflow again"
            )


def _check_rows(path: str, merged: Table, catalogue: Table) -> None:
    """Raise unless a catalogue has the rows of the tables and, beside them, only unmeasured clusters."""
    known = {_key(row): number for number, row in enumerate(catalogue)}
    places = [known.pop(_key(row), -1) for row in merged]
    strange = [key for key, number in known.items() if _is_measured(catalogue[number])]
    if -1 in places or strange:
        name, mosaic, *_ = strange[0] if strange else _key(merged[places.index(-1)])
        raise ConfigError(
            f"{path} was not merged from the table of mosaic {mosaic}: only one of them has a row {name}; "
            "run the workflow again"
        )
    same = catalogue[places]
    for name in merged.colnames if places else ():
        ours, theirs = merged[name], same[name]
        if _agree(ours, theirs, "vot", None):
            continue
        odd = next(n for n in range(len(merged)) if not _agree(ours[[n]], theirs[[n]], "vot", None))
        raise ConfigError(
            f"{path} was not merged from the table of mosaic {merged['mosaic'][odd]}: {name} of "
            f"{merged['name'][odd]} is {theirs[odd]}, not {ours[odd]}; run the workflow again"
        )


def _key(row: Any) -> tuple[str, str, float, float]:
    return str(row["name"]), str(row["mosaic"]), float(row["ra_deg"]), float(row["dec_deg"])


def _is_measured(row: Any) -> bool:
    """Whether a row was made by a stage; the merge adds clusters that no mosaic could measure."""
    return "coverage" not in row.colnames or bool(np.isfinite(row["coverage"]))
