"""A catalogue as a file: FITS, VOTable, CSV and Parquet."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.votable.tree import Info
from astropy.table import Column as TableColumn
from astropy.table import Table
from astropy.table.meta import get_yaml_from_table

from radiounet.images.tables import quote_number_signs, votable_of
from radiounet.images.words import printable, writable
from radiounet.images.writing import atomic
from radiounet.measuring.columns import number_formats

_PARQUET_TYPES = {"f": "float64", "i": "int64", "b": "bool", "U": "string"}

DESCRIPTIONS = {
    "islands": "Islands of diffuse radio emission, with or without a cluster",
    "clusters": "Clusters of galaxies with their diffuse radio emission, or its upper limit",
    "rejected": "Images and tables that could not be used, and why",
}
"""What the rows of a catalogue are."""


def write_catalogue(table: Table, path: str | Path) -> None:
    """Write FITS, VOTable (``.vot``), CSV or Parquet, by the suffix of `path`.

    In FITS the extension is named after the file (``CLUSTERS``), and the description
    and UCD of column n are the cards ``TCOMMn`` and ``TUCDn``; CSV has them in comment
    lines before the header, Parquet in the metadata of its fields (``unit``, ``ucd``,
    ``description``). FITS holds ASCII only: any other letter is a question mark there.
    """
    suffix = Path(path).suffix
    with atomic(path) as temporary:
        if suffix == ".vot":
            _write_votable(table, temporary, Path(path).stem)
        elif suffix == ".fits":
            _write_fits(table, temporary, Path(path).stem)
        elif suffix == ".parquet":
            _write_parquet(table, temporary)
        else:
            _write_csv(table, temporary)


def comment_lines(table: Table) -> list[str]:
    """Metadata and columns of a catalogue as CSV has them, before its rows."""
    lines = [writable(f"# {key}: {value}") for key, value in table.meta.items()]
    for name in table.colnames:
        column = table[name]
        unit = f" [{column.unit}]" if column.unit else ""
        lines.append(f"# {name}{unit}: {column.description} ({column.info.meta['ucd']})")
    return lines


def history_of(meta: Mapping[str, object]) -> fits.Header:
    """Metadata of a catalogue as FITS has them."""
    header = fits.Header()
    for key, value in meta.items():
        header.add_history(printable(f"{key}: {value}"))
    return header


def _write_votable(table: Table, path: Path, name: str) -> None:
    content = votable_of(table, DESCRIPTIONS.get(name, name))
    content.get_first_table().infos.extend(
        Info(name=key, value=writable(str(v))) for key, v in table.meta.items()
    )
    content.to_xml(str(path))


def _write_fits(table: Table, path: Path, name: str) -> None:
    plain = table.copy()
    plain.meta = {}
    for column in table.itercols():
        if column.dtype.kind == "U":  # FITS tables hold ASCII only
            ascii_text = np.char.encode(column, "ascii", "replace")
            plain.replace_column(column.name, TableColumn(ascii_text, unit=column.unit))
    hdu = fits.table_to_hdu(plain)
    hdu.name = name
    for number, column in enumerate(table.itercols(), start=1):
        hdu.header[f"TCOMM{number}"] = column.description
        hdu.header[f"TUCD{number}"] = column.info.meta["ucd"]
    hdu.header.extend(history_of(table.meta))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def _write_parquet(table: Table, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    fields, columns = [], []
    for name in table.colnames:
        column = table[name]
        entries = {"unit": str(column.unit or ""), "ucd": column.info.meta["ucd"]}
        columns.append(pyarrow.array(column.tolist(), _PARQUET_TYPES[column.dtype.kind]))
        fields.append(
            pyarrow.field(name, columns[-1].type, metadata=entries | {"description": column.description})
        )
    # astropy's own entries, from which its reader takes units, descriptions, metadata and lengths of texts
    whole = {"table_meta_yaml": "\n".join(get_yaml_from_table(table))}
    whole |= {
        f"table::len::{name}": str(max([1, *map(len, table[name])]))
        for name in table.colnames
        if table[name].dtype.kind == "U"
    }
    whole |= {key: writable(str(value)) for key, value in table.meta.items()}
    schema = pyarrow.schema(fields, metadata=whole)
    parquet.write_table(pyarrow.table(columns, schema=schema), path)


def _write_csv(table: Table, path: Path) -> None:
    stream = io.StringIO("\n".join(comment_lines(table)) + "\n")
    stream.seek(0, io.SEEK_END)
    table.write(stream, format="ascii.csv", formats=number_formats(table))
    path.write_text(quote_number_signs(stream.getvalue(), ","), encoding="utf-8")
