"""The tables that the stages wrote of one mosaic, read for merging.

Most of the time that astropy needs for such a table goes into the YAML of its header, which describes
every column. Here the columns are known: their names are checked, and only the metadata of the
table are parsed.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from radiounet.errors import UnreadableError
from radiounet.images.reading import reading
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
