"""The tables that the stages wrote of one mosaic, read for merging.

Most of the time that astropy needs for such a table goes into the YAML of its header, which describes
every column. Here the columns are known: their names are checked, and only the metadata of the
table are parsed.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from radiounet.errors import UnreadableError
from radiounet.images.products import Products
from radiounet.images.reading import reading
from radiounet.images.rejections import Rejection, read_left_out, read_rejection
from radiounet.measuring.columns import TABLES

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first needs libyaml
_VALUE_OF: dict[type, Callable[[str], object]] = {
    float: float,
    int: int,
    bool: {"True": True, "False": False}.__getitem__,
    str: str.strip,
}


@dataclass(frozen=True)
class MosaicTable:
    """Rows, each a value for every column, and metadata of a table."""

    rows: list[dict]
    meta: dict


@dataclass(frozen=True)
class RunTables:
    """What is merged into the catalogues of a run.

    Attributes
    ----------
    mosaics : list of str
        Mosaics of the run.
    tables : dict of str to list
        By kind, a table or its rejection for each of these mosaics, in their order.
    rejections : list of Rejection
        Of what else the run used or made: fields, neighbours, files of compact sources, further products.
    """

    mosaics: list[str]
    tables: dict[str, list[MosaicTable | Rejection]]
    rejections: list[Rejection]


def read_run_tables(
    products: Products,
    mosaics: Sequence[str],
    fields: Sequence[str],
    neighbours: Sequence[str],
    limits: bool,
    others: Sequence[str],
) -> RunTables:
    """Read the tables of a run; see `radiounet.measuring.catalogue.merge_catalogues`."""
    kinds = ("islands", "clusters", *["limits"] * limits)
    tables = {
        kind: [
            _from_root(one, products) if isinstance(one, Rejection) else one
            for one in read_tables(kind, map(getattr(products, kind), mosaics))
        ]
        for kind in kinds
    }
    used = [*map(products.field_source, fields), *map(products.mask, neighbours), *others]
    rejections = [*filter(None, map(read_rejection, used))]
    if fields:
        rejections += [
            one for name in (*mosaics, *neighbours) for one in read_left_out(products.left_out(name))
        ]
    return RunTables(list(mosaics), tables, [_from_root(one, products) for one in rejections])


def _from_root(one: Rejection, products: Products) -> Rejection:
    """A rejection whose files are named from the folder of the products, as in every region of a survey."""
    root = re.compile(rf"(?<![\w./-]){re.escape(products.root)}/")
    return Rejection(*(root.sub("", text) for text in vars(one).values()))


def read_tables(kind: str, paths: Iterable[str | Path]) -> list[MosaicTable | Rejection]:
    """Read tables of one kind, or the rejections that stand in their place."""
    return [read_rejection(path) or read_mosaic_table(kind, path) for path in paths]


def read_mosaic_table(kind: str, path: str | Path) -> MosaicTable:
    """Read a table that `radiounet.images.writing.write_ecsv` wrote.

    Parameters
    ----------
    kind : {'islands', 'clusters', 'limits'}
    path : path

    Raises
    ------
    UnreadableError
        The file is damaged or truncated, or has other columns than this version writes.
    TransientError
        See `radiounet.images.reading.reading`.
    """
    with reading(path):
        # not `splitlines`, which knows more ends of lines than ECSV
        *lines, rest = Path(path).read_text(encoding="utf-8").split("\n")
        header = [line[2:] for line in takewhile(lambda line: line.startswith("#"), lines)]
        table = list(csv.reader(lines[len(header) :], delimiter=" ", strict=True))
        if rest or not table:
            raise UnreadableError(f"{path} is truncated")
        names, *rows = table
        _require_columns(names, kind, path)
        return MosaicTable([_values(row, kind) for row in rows], _meta(header))


def _require_columns(names: Sequence[str], kind: str, path: str | Path) -> None:
    known = list(TABLES[kind])
    if names != known:
        odd = sorted(set(names) ^ set(known)) or ["their order"]
        raise UnreadableError(
            f"{path} has other columns than this version writes ({', '.join(odd)}): make it anew"
        )


def _values(row: Sequence[str], kind: str) -> dict:
    columns = TABLES[kind]
    if len(row) != len(columns):
        raise ValueError(f"a row has {len(row)} values for {len(columns)} columns")
    return {
        name: _VALUE_OF[column.kind](value)
        for (name, column), value in zip(columns.items(), row, strict=True)
    }


def _meta(header: Sequence[str]) -> dict:
    """Metadata of the table, which follow the columns in its header."""
    if "meta: !!omap" not in header:
        return {}
    text = "\n".join(header[header.index("meta: !!omap") :])
    return dict(yaml.load(text, _LOADER)["meta"])
