"""The catalogues in the format of CDS: tables of fixed width, and the ReadMe that describes their bytes.

`astropy.io.ascii` (format ``cds``) reads both back. Numbers have the digits that they have in CSV.
"""

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table

from radiounet.images.words import one_line, printable
from radiounet.measuring.columns import number_formats
from radiounet.measuring.unmeasured import NOT_MEASURED
from radiounet.settings.releases import Release

UNITS = {
    "solMass": "solMass",
    "arcmin2": "arcmin2",
    "W / Hz": "W/Hz",
    "uJy / arcsec2": "uJy/arcsec2",
    "uJy / beam": "uJy",
}
NOTHING = "---"
NO_BREAK = "\xa0"
WIDTH = 80


@dataclass(frozen=True)
class _Field:
    """One column of a table of fixed width: its texts, format, unit and description."""

    name: str
    texts: list[str]
    form: str
    unit: str
    about: str
    may_lack: bool

    @property
    def width(self) -> int:
        return int(self.form[1:].split(".")[0])


def cds_files(tables: Mapping[str, Table], release: Release, creators: Sequence[str]) -> dict[str, bytes]:
    """Return ReadMe and tables (``.dat``), by name.

    Parameters
    ----------
    tables : mapping of str to Table
        Catalogues by kind; those without rows are left out.
    release : Release
    creators : sequence of str
        Authors.
    """
    fields = {kind: _fields(table) for kind, table in tables.items()}
    shown = {kind: found for kind, found in fields.items() if len(tables[kind])}
    files = {f"{kind}.dat": _data(found) for kind, found in shown.items()}
    lines = [
        f"{release.title}: diffuse radio emission by Radio U-Net",
        "=" * WIDTH,
        *_wrapped("; ".join(_ascii(name) for name in creators)),
        "",
        "Description:",
        *_wrapped(
            "Clusters of galaxies, and islands of diffuse radio emission found blindly, with positions, flux "
            f"densities, classes and flags. Positions are ICRS. {NOT_MEASURED}"
        ),
        "",
        "File Summary:",
        "-" * WIDTH,
        f"{' FileName':<20} {'Lrecl':>8} {'Records':>9}   Explanations",
        "-" * WIDTH,
        f"{'ReadMe':<20} {WIDTH:>8} {'.':>9}   This file",
    ]
    for kind, found in shown.items():
        length = sum(field.width + 1 for field in found) - 1
        lines.append(f"{kind + '.dat':<20} {length:>8} {len(tables[kind]):>9}   Catalogue of {kind}")
    lines += ["-" * WIDTH, ""]
    for kind, found in shown.items():
        lines += _described(kind, found)
    lines += ["=" * WIDTH, "(End)", ""]
    files["ReadMe"] = "\n".join(lines).encode("ascii")
    return files


def _ascii(name: str) -> str:
    """Name without accents, as CDS asks for ASCII."""
    plain = unicodedata.normalize("NFKD", one_line(name))
    return printable("".join(one for one in plain if not unicodedata.combining(one)))


def _fields(table: Table) -> list[_Field]:
    forms = number_formats(table)
    return [_field(table[name], forms.get(name, "")) for name in table.colnames]


def _field(column: Column, form_of_number: str) -> _Field:
    kind = column.dtype.kind
    values = [None if one is np.ma.masked else one for one in column]
    if kind == "f":
        texts = ["" if one is None or not np.isfinite(one) else form_of_number % one for one in values]
        form = form_of_number[-1].upper()
    elif kind == "i":
        texts, form = ["" if one is None else str(one) for one in values], "I"
    elif kind == "b":
        texts, form = [str(int(bool(one))) for one in values], "I"
    else:
        texts, form = [printable(one_line(one or "")) for one in values], "A"
    width = max([1, *map(len, texts)])
    digits = max([len(one.partition("e")[0].partition(".")[2]) for one in texts] or [0])
    described = column.description + (" (1 yes, 0 no)" if kind == "b" else "")
    if str(column.unit).endswith("/ beam"):  # which is no unit of CDS
        described += ", per beam"
    return _Field(
        column.name,
        texts,
        f"{form}{width}" + (f".{digits}" if form in "FE" else ""),
        UNITS.get(str(column.unit), str(column.unit or NOTHING).replace(" ", "")),
        printable(one_line(described)),
        "" in texts,
    )


def _data(fields: list[_Field]) -> bytes:
    rows = zip(*([_aligned(field, text) for text in field.texts] for field in fields), strict=True)
    return "".join(" ".join(row) + "\n" for row in rows).encode("ascii")


def _aligned(field: _Field, text: str) -> str:
    return text.ljust(field.width) if field.form[0] == "A" else text.rjust(field.width)


def _described(kind: str, fields: list[_Field]) -> list[str]:
    rule = "-" * WIDTH
    longest = max(len(field.name) for field in fields)
    unit = max(5, *(len(field.unit) for field in fields))
    lines = [
        f"Byte-by-byte Description of file: {kind}.dat",
        rule,
        f"   Bytes Format {'Units':<{unit}} {'Label':<{longest}} Explanations",
        rule,
    ]
    start = 1
    for field in fields:
        end = start + field.width - 1
        place = f"{start:>5}-{end:>5}" if end > start else f"{start:>11}"
        head = f"{place} {field.form:<7} {field.unit:<{unit}} {field.name:<{longest}} "
        about = ("?" if field.may_lack and field.form[0] != "A" else "") + " " + field.about
        # readers take a line that begins with a number for another column
        kept = re.sub(r" (?=\d)", NO_BREAK, about.strip())
        first, *rest = [
            one.replace(NO_BREAK, " ") for one in textwrap.wrap(kept, max(WIDTH - len(head), 20))
        ] or [""]
        lines.append(head + first)
        lines += [" " * len(head) + one for one in rest]
        start = end + 2
    return [*lines, rule, ""]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2, initial_indent="  ", subsequent_indent="  ")
