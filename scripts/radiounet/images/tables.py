"""Tables as others write them: VOTable, FITS, ECSV, CSV and other text, or any format astropy reads.

Values stay as the file has them; `radiounet.survey.cluster_tables` and `radiounet.survey.lists`
say what they mean.
"""

import csv
import gzip
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import votable
from astropy.io.ascii import convert_numpy
from astropy.io.votable.tree import CooSys, Resource, TableElement, VOTableFile
from astropy.table import Table
from astropy.units import UnitsWarning

from radiounet.errors import BadDataError, TransientError
from radiounet.images.unit_words import unit_of

logger = logging.getLogger(__name__)

DELIMITERS = ",;\t"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)
"""A decimal number as text tables write it; Fortran's D stands for E."""
QUANTITY = re.compile(
    rf"{NUMBER.pattern}|[+-]?\d{{1,3}}[:hd ]\s*\d{{1,2}}([:m' ]\s*\d{{1,2}}(\.\d*)?[s\"]?)?", re.ASCII
)
"""A number, also a sexagesimal one."""
MISSING = {"", "-", "--", "---", "...", "nan", "null", "none", "n/a", "na", "masked"}
MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
"""Hyphens and dashes that papers print for a minus sign, as ``-``."""
NO_QUANTITY = {"text", "string", "str", "char"}
"""What stands for a unit above texts."""
MAX_BYTES = 1 << 30  # of a packed table
AS_TEXT = {"*": [convert_numpy(str)]}  # how the readers of astropy leave text as it is


class TableError(BadDataError):
    """A file that is not a table, or one that cannot be read."""


class IncompleteTableError(TableError):
    """The service says that it did not send all rows (OVERFLOW)."""


class ServiceError(TransientError):
    """The service answered with an error, in its own words."""


def read_table(path: str | Path) -> Table:
    """Read a table, its format known by its first bytes.

    Text tables (CSV with commas, semicolons or tabs, columns separated by spaces,
    a header line that may begin with ``#``) come as columns of strings. A data line
    that begins with ``#`` is a row where it has as many fields as the header.
    The frames that a VOTable names are ``coosys`` in the metadata.

    Raises
    ------
    FileNotFoundError
    TableError
        Not a table.
    IncompleteTableError
        A VOTable whose service cut it off.
    ServiceError
        A VOTable that holds an error of its service.
    TransientError
        The file system failed.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise TableError(f"{path} is not a file")
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except (NotADirectoryError, PermissionError) as error:
        raise TableError(f"{path} cannot be opened: {error.strerror}") from error
    except OSError as error:
        raise TransientError(f"{path} cannot be read: {error}") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", UnitsWarning)  # units are judged where they are needed
        try:
            if content.startswith(b"\x1f\x8b"):
                content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise TableError(f"{path} unpacks to more than {MAX_BYTES >> 20} MiB")
            table = _reader(content)(path, content)
        except (TableError, TransientError):
            raise
        except Exception as error:  # every reader of astropy raises its own kind
            what = " ".join(str(error).split())[:300] or type(error).__name__
            raise TableError(f"{path} cannot be read as a table: {what}") from error
    for text in dict.fromkeys(str(one.message) for one in caught):
        logger.warning("%s: %s", path, text)
    return table


def _reader(content: bytes) -> Callable[[str | Path, bytes], Table]:
    start = content[:500].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return _read_votable
    if start.startswith(b"SIMPLE  ="):
        return lambda _, content: Table.read(io.BytesIO(content), format="fits")
    if start.startswith(b"# %ECSV"):
        return lambda _, content: _read_ecsv(_decode(content))
    if b"\0" in start and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return lambda path, _: Table.read(path)
    return lambda path, content: _read_text(path, _decode(content))


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_votable(path: str | Path, content: bytes) -> Table:
    if b"<VOTABLE" not in content[:5000].upper() and b":VOTABLE" not in content[:5000].upper():
        raise TableError(f"{path} is not a VOTable: it begins with {content[:30]!r}")
    document = votable.parse(io.BytesIO(content), verify="ignore")
    _check_status(path, document)
    for table in document.iter_tables():
        if table.fields:
            result = table.to_table(use_names_over_ids=True)
            result.meta["coosys"] = sorted({str(one.system) for one in document.iter_coosys() if one.system})
            return result
    raise TableError(f"{path} is an answer without a table")


POSITION_UCDS = ("pos.eq.ra", "pos.eq.dec")


def votable_of(table: Table, description: str) -> VOTableFile:
    """VOTable of a table, with its description, and the frame of its positions.

    Parameters
    ----------
    table : Table
        Columns whose UCD is a right ascension or declination are ICRS; the UCD is ``info.meta["ucd"]``.
    description : str
        What its rows are.
    """
    document = votable.from_table(table)
    content = document.get_first_table()
    content.description = description
    frame = CooSys(ID="icrs", system="ICRS")
    document.resources[0].coordinate_systems.append(frame)
    for field in content.fields:
        if str(field.ucd or "").startswith(POSITION_UCDS):
            field.ref = frame.ID
    return document


def _check_status(path: str | Path, document: VOTableFile) -> None:
    """Look for what a service says of its answer (DALI 1.1, section 4.4; cone searches: ``Error``)."""
    for info in _infos(document):
        name, value = str(info.name or info.ID or "").upper(), str(info.value or "").strip()
        words = " ".join((info.content or "").split())
        if name == "QUERY_STATUS" and value.upper() == "OVERFLOW":
            raise IncompleteTableError(f"{path} is truncated, its service says OVERFLOW: {words}")
        if name == "QUERY_STATUS" and value.upper() == "ERROR":
            raise ServiceError(f"{path} holds an error of its service: {words or 'no words'}")
        if name in ("ERROR", "ERRORS"):
            raise ServiceError(f"{path} holds an error of its service: {words or value}")


def _infos(element: VOTableFile | Resource | TableElement) -> Iterator[votable.tree.Info]:
    yield from element.infos
    for inner in (*getattr(element, "resources", ()), *getattr(element, "tables", ())):
        yield from _infos(inner)


def _read_ecsv(text: str) -> Table:
    text = text.replace("\r\n", "\n")
    comma = re.search(r"^# delimiter: *['\"]?,", text, re.MULTILINE)
    return Table.read(quote_number_signs(text, "," if comma else " "), format="ascii.ecsv")


def quote_number_signs(text: str, delimiter: str) -> str:
    """Quote the cells of ECSV or CSV that hold ``#``: readers take what follows for a comment.

    Some look for it at the beginning of a row, others, such as pandas, anywhere.

    Parameters
    ----------
    text : str
        Comment lines, a header, rows of one line each.
    delimiter : str
    """
    lines = text.split("\n")
    names = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    width = len(_fields(lines[names], delimiter)) if names < len(lines) else 0
    for number in range(names + 1, len(lines)):
        if "#" in lines[number] and len(cells := _fields(lines[number], delimiter)) == width:
            lines[number] = delimiter.join(_quoted(cell, delimiter) for cell in cells)
    return "\n".join(lines)


def _quoted(cell: str, delimiter: str) -> str:
    """Cell of a row, in quotes where it needs them; a cell between blanks must not be empty."""
    is_plain = (cell or delimiter != " ") and not any(sign in cell for sign in ("#", '"', delimiter))
    return cell if is_plain and cell == cell.strip() else '"' + cell.replace('"', '""') + '"'


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line.strip(" \r")], delimiter=delimiter, skipinitialspace=True), [])


def _read_text(path: str | Path, text: str) -> Table:
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if not lines:
        raise TableError(f"{path} is empty")
    if lines[0].startswith("Title:"):
        return Table.read(lines, format="ascii.mrt")
    if lines[0].startswith(("|", "\\")) and not lines[-1].startswith(("|", "\\")):
        return Table.read(lines, format="ascii.ipac")
    ruled = len(lines) > 1 and not lines[1].strip("-= ")
    if ruled or lines[0].startswith(("|", "\\", "===")):
        kind = ".fixed_width" if lines[0].startswith("|") else ""
        return Table.read(lines, format=f"ascii{kind}", comment="\0", converters=AS_TEXT)
    at = _header(lines)
    header, rest = lines[at].lstrip("# "), lines[at + 1 :]
    delimiter = _delimiter(header)
    if delimiter == " " and header.count("|") > 1:
        raise TableError(f"{path} separates its columns by |: save it with commas or tabs in their place")
    names = _fields(header, delimiter)
    units, rest = _units_of(rest, delimiter)
    if units:
        logger.info("%s: units are taken from the line below its header: %s", path, delimiter.join(units))
    rows, comments = [], 0
    stream = (line.strip(" ") + "\n" for line in rest)
    for row in csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True):
        if len(row) != len(names) and row[0].startswith("#"):
            comments += 1
        elif len(row) > len(names) or (len(row) < len(names) and delimiter == " "):
            raise TableError(
                f"{path} cannot be read as a table: its header has {len(names)} columns, "
                f"a row has {len(row)}: {delimiter.join(row)[:100]!r}"
            )
        else:
            rows.append([field.strip() for field in row] + [""] * (len(names) - len(row)))
    if comments:
        logger.info("%s: %d lines are comments", path, comments)
    columns = np.array(rows, dtype=str).reshape(len(rows), len(names)).T
    table = Table(list(columns), names=[name.strip() for name in names])
    if units and len(units) != len(names):
        raise TableError(
            f"{path}: the line of units below its header has {len(units)} entries for {len(names)} columns; "
            'separate them by tabs or commas, or write "" where there is none'
        )
    for name, unit in zip(table.colnames, units or [""] * len(names), strict=True):
        if unit.strip():
            table[name].unit = unit.strip()
    return table


def _units_of(lines: list[str], delimiter: str) -> tuple[list[str], list[str]]:
    """Units of the columns, and the lines with data.

    VizieR rules off its header, with a line of units above the rule. Others have a line of units alone: of
    words that are units, above numbers.
    """
    for number, line in enumerate(lines[:2]):
        fields = [field.strip() for field in _fields(line, delimiter)]
        if "---" in line and all(field and not field.strip("-") for field in fields):
            return (_fields(lines[0], delimiter) if number else []), lines[number + 1 :]
        if _has_number(line, delimiter):
            break
    units = _line_of_units(lines[0], delimiter) if len(lines) > 1 else []
    values = [field.strip() for field in _fields(lines[1].translate(MINUS), delimiter)] if units else []
    below = [
        value for unit, value in zip(units, values, strict=False) if unit and value.lower() not in MISSING
    ]
    if below and len(units) == len(values) and all(QUANTITY.fullmatch(value) for value in below):
        return units, lines[1:]
    return [], lines


def _line_of_units(line: str, delimiter: str) -> list[str]:
    """Units in a line, or comment, that has them in some fields and nothing in the others; else []."""
    fields = [field.strip() for field in _fields(line.lstrip("# ").translate(MINUS), delimiter)]
    units = [field[1:-1].strip() if field[:1] + field[-1:] in ("[]", "()") else field for field in fields]
    units = ["" if unit.lower() in (*MISSING, *NO_QUANTITY) else unit for unit in units]
    return units if any(units) and all(not unit or _is_unit(unit) for unit in units) else []


def _is_unit(text: str) -> bool:
    try:
        unit_of(text)
    except ValueError:
        return False
    return not NUMBER.fullmatch(text)


def _delimiter(header: str) -> str:
    return next((one for one in DELIMITERS if one in header), " ")


def _header(lines: Sequence[str]) -> int:
    """Index of the header: the first line, or the last comment of as many fields, no units, above numbers."""
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if first < len(lines) and not _has_number(lines[first], _delimiter(lines[first])):
        return first
    for number in reversed(range(first)):
        delimiter = _delimiter(lines[number])
        width = len(_fields(lines[number].lstrip("# "), delimiter))
        if first < len(lines) and width != len(_fields(lines[first], delimiter)):
            continue
        if not (_has_number(lines[number], delimiter) or _line_of_units(lines[number], delimiter)):
            return number
    return min(first, len(lines) - 1)


def _has_number(line: str, delimiter: str) -> bool:
    return any(NUMBER.fullmatch(field.strip()) for field in _fields(line, delimiter))
