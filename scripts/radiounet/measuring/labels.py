"""Classes that people gave to clusters: a table of labels, and the rows of a catalogue beside it.

The classes are those of Botteon et al. (2022): RH radio halo, RR radio relic, cRH and cRR
candidates of the two, U uncertain, NDE no diffuse emission, N/A image not usable.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.tables import MINUS, MISSING, ServiceError, TableError, read_table
from radiounet.images.words import one_line, outside_text
from radiounet.survey.cluster_columns import Rows, column_numbers, column_texts
from radiounet.survey.cluster_tables import POSITION_COLUMNS, check_frame

logger = logging.getLogger(__name__)

CLASSES = ("RH", "RR", "cRH", "cRR", "U", "NDE", "N/A")
ALONE = {"NDE", "N/A"}
"""Classes that no other class can stand beside."""

NO_CLASS = MISSING - {"n/a", "na", "none"}
"""Texts that say nothing; ``none`` may well mean that there is no emission."""
WORDS = (
    {one.lower(): one for one in CLASSES} | {"na": "N/A"} | {f"{one.lower()}s": one for one in CLASSES[:4]}
)
BETWEEN_WORDS = re.compile(r"[\s+,;/&()]+|\band\b")
COUNT = re.compile(r"^\d+x?")  # of relics

COLUMNS = {"name": ("name",), "class": ("class",), **POSITION_COLUMNS}
"""What the columns of a table of labels are called, in lower case."""
KIND, ISLAND = "kind", "island"
"""A column, and what it holds for an island, as ``radiounet label --of islands`` writes them."""

MAX_NAMED = 10  # in one error


@dataclass(frozen=True)
class Label:
    """One row of a table of labels.

    Attributes
    ----------
    name : str
    classes : tuple of str
        Of `CLASSES`, in their order; empty where the table has none.
    ra_deg, dec_deg : float
        ICRS; NaN where the table has no position.
    of_island : bool
        The label is of an island, and says nothing of a cluster.
    """

    name: str
    classes: tuple[str, ...]
    ra_deg: float
    dec_deg: float
    of_island: bool = False


@dataclass(frozen=True)
class Entry:
    """One cluster of a catalogue, whichever images show it.

    Attributes
    ----------
    name : str
    other_names : tuple of str
    classes : tuple of str or None
        See `Label`; None for a catalogue without the column ``class``.
    ra_deg, dec_deg : float
        ICRS, may be NaN.
    p_diffuse : float
        Probability of hosting diffuse emission, 0..1; NaN where it was not measured.
    """

    name: str
    other_names: tuple[str, ...]
    classes: tuple[str, ...] | None
    ra_deg: float
    dec_deg: float
    p_diffuse: float


def parse_classes(text: str, meanings: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Read the classes of one cluster, such as ``RH``, ``RH+RR``, ``cRH, 2 RR`` or ``N/A``.

    Parameters
    ----------
    text : str
        Classes in upper or lower case, with numbers of relics or without.
    meanings : mapping of str to str, optional
        What other texts, or single words, mean: in lower case, with single blanks. That of a class holds
        for each of its spellings.

    Returns
    -------
    tuple of str
        Each class once, in the order of `CLASSES`; empty where the text says that there is none.

    Raises
    ------
    ValueError
        An unknown word; no diffuse emission, or no image, beside another class.
    """
    meanings = meanings or {}
    whole = " ".join(text.lower().split())
    if whole in meanings:
        return parse_classes(meanings[whole])
    if whole.translate(MINUS) in NO_CLASS:
        return ()
    found: set[str] = set()
    for part in BETWEEN_WORDS.split(whole.replace("n/a", "na")):
        word = COUNT.sub("", part)
        known = WORDS.get(word, "")
        meant = next((meanings[one] for one in (part, word, known.lower()) if one in meanings), None)
        if meant is not None:
            found.update(parse_classes(meant))
        elif known:
            found.add(known)
        elif word:
            raise ValueError(f"{part!r} is none of {', '.join(CLASSES)}")
    if not found:
        raise ValueError(f"no class in {text!r}")
    if found & ALONE and len(found) > 1:
        raise ValueError(f"{' and '.join(sorted(found))} exclude each other")
    return tuple(one for one in CLASSES if one in found)


def read_labels(path: str | Path, columns: Sequence[str] = (), meanings: Sequence[str] = ()) -> list[Label]:
    """Read a table of labels: columns ``name`` and ``class``, in any case, and positions if it has any.

    Parameters
    ----------
    path : path
        Any format that `radiounet.images.tables.read_table` reads.
    columns : sequence of str
        Such as ``class=Type``, where a column has another name than those of `COLUMNS`.
    meanings : sequence of str
        Such as ``halo=RH`` or ``cRH=U``: what a text or a word in the class means.

    Returns
    -------
    list of Label
        As many as the table has rows, in its order.

    Raises
    ------
    ConfigError
        Not a table, or one without rows; a column is missing; a name comes twice; a class is not
        understood.
    TransientError
        The file system failed.
    """
    table = _read(path, "table of labels")
    found = _columns(table, path, _assignments("--column", columns))
    if not len(table):
        raise ConfigError(f"{path} has no rows: give a table that holds labels")
    meant = _assignments("--class", meanings)
    wrong = []
    for text, one in meant.items():
        try:
            parse_classes(one)
        except ValueError as error:
            wrong.append(f"--class {text}={one}: {error}")
    if wrong:
        raise ConfigError(_listed(wrong))
    names = [one or f"(row {row})" for row, one in enumerate(column_texts(found["name"]), start=1)]
    kinds = column_texts(table[KIND]) if KIND in table.colnames else [""] * len(table)
    of_island = [one == ISLAND for one in kinds]
    _require_unique(path, names, of_island)
    advice = "; say what a text means with --class TEXT=CLASS"
    classes = _understood(path, names, column_texts(found["class"]), meant, advice)
    ra, dec = (np.full(len(table), np.nan) for _ in range(2))
    if {"ra", "dec"} <= set(found):
        check_frame(table, path)
        ra, dec = _positions(path, names, found["ra"], found["dec"], of_island)
    return [Label(*cells) for cells in zip(names, classes, ra.tolist(), dec.tolist(), of_island, strict=True)]


def _positions(
    path: str | Path, names: Sequence[str], ra_column: object, dec_column: object, of_island: Sequence[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """RA and Dec of all rows, deg; both are NaN, with a warning, where either cannot be used."""
    rows = Rows(path, len(names))
    ra, no_ra = rows.values("ra", ra_column)
    dec, no_dec = rows.values("dec", dec_column)
    rows.note(np.isnan(ra) & ~no_ra & ~np.isnan(dec), lambda _: "no right ascension")
    rows.note(np.isnan(dec) & ~no_dec & ~np.isnan(ra), lambda _: "no declination")
    lost = np.isnan(ra) | np.isnan(dec)
    notes = [
        f"{one_line(name)}: {note}"
        for name, note, is_island in zip(names, rows.notes(), of_island, strict=True)
        if note and not is_island  # labels of islands are matched by name in any case
    ]
    if notes:
        logger.warning(
            "%s: %d of %d labels have a position that cannot be used, and are matched by name only: %s",
            *(path, len(notes), len(names), _listed(notes)),
        )
    return np.where(lost, np.nan, ra), np.where(lost, np.nan, dec)


def read_entries(table: Table, path: str | Path) -> list[Entry]:
    """Clusters of a catalogue; where several own images show one, the measured row of most coverage.

    Parameters
    ----------
    table : Table
        As `read_catalogue` gives it.
    path : path
        Where it is from, for errors.

    Raises
    ------
    ConfigError
        ``p_diffuse`` is no probability; a class is not understood.
    """
    none = [""] * len(table)
    names = column_texts(table["name"])
    others = column_texts(table["other_names"]) if "other_names" in table.colnames else none
    numbers = {}
    for name in ("ra_deg", "dec_deg", "p_diffuse", *{"coverage"}.intersection(table.colnames)):
        numbers[name], wrong = column_numbers(table[name], u.dimensionless_unscaled, None)
        if wrong:
            raise ConfigError(f"{path}: {name} has texts such as {next(iter(wrong.values()))!r}")
    p_diffuse = numbers["p_diffuse"]
    outside = p_diffuse[(p_diffuse < 0) | (p_diffuse > 1)]
    if outside.size:
        raise ConfigError(f"{path}: p_diffuse is {outside_text(outside[0], 0, 1)}, not 0..1")
    classes: Sequence[tuple[str, ...] | None] = [None] * len(table)
    if "class" in table.colnames:
        classes = _understood(path, names, column_texts(table["class"]), {})
    covered = np.nan_to_num(numbers.pop("coverage", np.zeros(len(table))))
    entries: dict[object, tuple[float, Entry]] = {}
    cells = zip(names, others, classes, *(one.tolist() for one in numbers.values()), strict=True)
    for row, (name, other, of_it, ra, dec, p) in enumerate(cells):
        is_placed = np.isfinite([ra, dec]).all()
        place = (plain_name(name), ra, dec) if is_placed else row
        rank = -1.0 if np.isnan(p) else float(covered[row])
        if place not in entries or rank > entries[place][0]:
            entries[place] = rank, Entry(name, _names_of(other), of_it, ra, dec, p)
    return [entry for _, entry in entries.values()]


def read_catalogue(path: str | Path) -> Table:
    """Read a catalogue of clusters of this library, in any of its formats.

    Raises
    ------
    ConfigError
        Not a table, or without ``name``, ``ra_deg``, ``dec_deg`` or ``p_diffuse``.
    """
    table = _read(path, "catalogue")
    missing = {"name", "ra_deg", "dec_deg", "p_diffuse"} - set(table.colnames)
    if missing:
        raise ConfigError(
            f"{path} is no catalogue of clusters: it has no column {', '.join(sorted(missing))}"
        )
    return table


def plain_name(name: str) -> str:
    """Return a name without blanks, in lower case, with plain minus signs, for comparison."""
    return "".join(name.translate(MINUS).casefold().split())


def _read(path: str | Path, what: str) -> Table:
    try:
        return read_table(path)
    except FileNotFoundError:
        raise ConfigError(f"there is no {what} {path}") from None
    except (TableError, ServiceError) as error:
        raise ConfigError(f"the {what} cannot be read: {error}") from error


def _assignments(option: str, given: Iterable[str]) -> dict[str, str]:
    """What names are given, in lower case."""
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, value = (" ".join(part.split()) for part in one.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{option} {one!r}: two words with = between them are expected")
        if pairs.setdefault(name.lower(), value) != value:
            raise ConfigError(f"{option} gives {name} twice, as {pairs[name.lower()]} and as {value}")
    return pairs


def _columns(table: Table, path: str | Path, given: Mapping[str, str]) -> dict[str, object]:
    """Columns of a table of labels, by our names."""
    if wrong := set(given) - set(COLUMNS):
        raise ConfigError(f"--column {', '.join(sorted(wrong))}: give {', '.join(COLUMNS)}")
    by_lower = {name.strip().lower(): name for name in reversed(table.colnames)}
    found = {}
    required = {"name", "class", *given}
    if required & POSITION_COLUMNS.keys():
        required |= POSITION_COLUMNS.keys()
    for ours, theirs in COLUMNS.items():
        wanted = (given[ours].lower(),) if ours in given else theirs
        name = next((by_lower[one] for one in wanted if one in by_lower), None)
        if name is not None:
            found[ours] = table[name]
        elif ours in required:
            raise ConfigError(
                f"{path} has no column {wanted[0]}, but {', '.join(table.colnames)}; "
                f"say which one is meant with --column {ours}=COLUMN"
            )
    if len(absent := POSITION_COLUMNS.keys() - found.keys()) == 1:
        logger.warning(
            "%s has no column %s, but %s: its labels are matched by name only; say which one is meant with "
            "--column %s=COLUMN",
            path,
            *(*absent, ", ".join(table.colnames), *absent),
        )
    return found


def _require_unique(path: str | Path, names: Sequence[str], of_island: Sequence[bool]) -> None:
    rows = defaultdict(list)
    for row, (name, is_island) in enumerate(zip(names, of_island, strict=True), start=1):
        rows[plain_name(name), is_island].append(row)
    double = [
        f"{names[found[0] - 1]} (rows {', '.join(map(str, found))})"
        for found in rows.values()
        if len(found) > 1
    ]
    if double:
        raise ConfigError(f"{path} has several rows of one name: {_listed(double)}")


def _understood(
    path: str | Path,
    names: Sequence[str],
    texts: Sequence[str],
    meanings: Mapping[str, str],
    advice: str = "",
) -> list[tuple[str, ...]]:
    """Classes of all rows, or one error that names every text that is not understood."""
    classes: list[tuple[str, ...]] = []
    wrong: dict[str, str] = {}
    for name, text in zip(names, texts, strict=True):
        try:
            classes.append(parse_classes(text, meanings))
        except ValueError as error:
            wrong.setdefault(text, f"class of {name}: {error}")
    if wrong:
        raise ConfigError(f"{path}: {_listed(list(wrong.values()))}{advice}")
    return classes


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return "; ".join(texts[:MAX_NAMED]) + more


def _names_of(other_names: str) -> tuple[str, ...]:
    """Names in a text such as ``mcxc: J1259.7+2756; own: Coma``; a list need not be named."""
    parts = (part.strip() for part in other_names.split(";"))
    return tuple(part.partition(": ")[2] or part for part in parts if part)
