"""Tables of clusters in: which column is what, in which unit, and which rows can be measured."""

import logging
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle
from astropy.cosmology import FlatLambdaCDM
from astropy.table import QTable, Table

from radiounet.errors import ConfigError
from radiounet.images.tables import NUMBER, ServiceError, TableError, read_table
from radiounet.images.words import writable
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cosmology import r500
from radiounet.survey.survey import Cluster

logger = logging.getLogger(__name__)

COLUMNS = ("name", "ra", "dec", "z", "M500", "R500")
MISSING = {"", "-", "--", "---", "...", "nan", "null", "none", "n/a", "na", "masked"}
MAX_NAMED = 10  # names in one line of the log
MAX_NOTES = 50  # lines of it


@dataclass(frozen=True)
class Limit:
    """What a quantity of a galaxy cluster can be; both ends belong to it."""

    words: str
    low: float
    high: float
    unit: u.UnitBase

    def refuses(self, values: np.ndarray) -> np.ndarray:
        """Whether each value lies outside; NaN does not."""
        return (values < self.low) | (values > self.high)

    @property
    def unit_text(self) -> str:
        """Its unit after a space; nothing for pure numbers."""
        return f" {self.unit}" if str(self.unit) else ""

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}{self.unit_text}"


LIMITS = {
    "ra": Limit("right ascension", -180, 360, u.deg),
    "dec": Limit("declination", -90, 90, u.deg),
    # the Local Group's own motion hides smaller ones; the farthest known cluster has 2.5
    "z": Limit("redshift", 1e-3, 5, u.dimensionless_unscaled),
    # from poor groups to five times the most massive cluster known (2e15)
    "M500": Limit("M500", 1e12, 1e16, u.solMass),
    # those of these masses, at the densities of z = 5 and 0
    "R500": Limit("R500", 0.02, 4, u.Mpc),
    # less than a pixel; twice the Virgo cluster, the largest on the sky
    "angle": Limit("R500", 0.05, 320, u.arcmin),
}
"""Physical limits. A row outside is not measured, and says why."""

LOGARITHMS = 12.0, 16.0
"""Of cluster masses in solMass. In 1e14 solMass no three clusters have as much."""

TEXT = "SUO"  # kinds of columns that hold texts

DEFAULT_UNITS = {"ra": u.deg, "dec": u.deg, "z": u.dimensionless_unscaled, "M500": u.Unit("1e14 solMass")}
"""Units of columns that name none. That of M500 holds for text tables, which cannot name one."""

UNIT_WORDS = {
    **dict.fromkeys(("degree", "degrees", "deg", "degs"), "deg"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "hms", "hourangle"), "hourangle"),
    **dict.fromkeys(("arcminute", "arcminutes", "arcmins", "arcmin", "amin"), "arcmin"),
    **dict.fromkeys(("arcsecond", "arcseconds", "arcsecs", "arcsec", "asec"), "arcsec"),
    **dict.fromkeys(("radian", "radians", "rad"), "rad"),
    **dict.fromkeys(
        ("msun", "msol", "m_sun", "m_sol", "msolar", "solmass", "solarmass", "sunmass"), "solMass"
    ),
    "mpc": "Mpc",
    "kpc": "kpc",
}
SIGNS = str.maketrans("\u2212\u00b0\u2032\u2033", "-dms")  # minus, degree, minute and second of arc
NO_UNIT = {"redshift", "none", "dimensionless", "unitless"}
SEXAGESIMAL = {"h:m:s": u.hourangle, "d:m:s": u.deg}


def read_clusters(path: str | Path, options: MeasureOptions) -> list[Cluster]:
    """Read a cluster table: every row of it.

    Columns ``name, ra, dec, z`` and ``M500`` (mass) or ``R500`` (length or angle),
    upper or lower case. Positions are ICRS, in deg where no unit is given, or
    sexagesimal text (RA in hours). Sizes need units; a text table has none, and
    gives M500 in 1e14 solMass or takes ``--unit``. R500 is used where a row has
    both. A row that cannot be measured has NaN for R500, for its position where
    that is at fault, and says why in `note`.

    Parameters
    ----------
    path : path
        Any format that `radiounet.images.tables.read_table` reads.
    options : MeasureOptions
        Cosmology, and units of columns that name none or a wrong one.

    Returns
    -------
    list of Cluster
        As many as the table has rows, in its order.

    Raises
    ------
    ConfigError
        Not a table; a column or a unit is missing or of another kind.
    TransientError
        The file system failed.
    """
    try:
        table = read_table(path)
    except FileNotFoundError:
        raise ConfigError(f"there is no cluster table {path}") from None
    except (TableError, ServiceError) as error:
        raise ConfigError(f"the cluster table cannot be read: {error}") from error
    _check_frame(table, path)
    columns = _columns(table, path)
    rows = _Rows(path, len(table), _given_units(options.unit, columns))
    ra, no_ra = rows.values("ra", columns["ra"])
    dec, no_dec = rows.values("dec", columns["dec"])
    lost = np.isnan(ra) | np.isnan(dec)
    rows.note(lost & ~no_ra & ~no_dec, lambda _: "no position")
    redshift, bad_redshift = rows.values("z", columns["z"])
    size = _angular_size(rows, columns, redshift, bad_redshift, options)
    ra, dec, size = (np.where(lost, np.nan, one) for one in (ra % 360 % 360, dec, size))
    names = _stable_names(_text(columns["name"]), ra, dec, rows)
    cells = zip(names, ra.tolist(), dec.tolist(), redshift.tolist(), size.tolist(), rows.notes(), strict=True)
    return [Cluster(*cell) for cell in cells]


def _check_frame(table: Table, path: str | Path) -> None:
    """Refuse a table that says its positions are neither ICRS nor FK5 J2000 (the same within 0.1 arcsec)."""
    stated = [table.meta[key] for key in ("RADESYS", "RADECSYS") if isinstance(table.meta.get(key), str)]
    frames = [
        str(one).strip().lower().removeprefix("eq_") for one in (*stated, *table.meta.get("coosys", ()))
    ]
    equinox = table.meta.get("EQUINOX")
    equinox = str(equinox).strip().lstrip("J") if isinstance(equinox, str | float | int) else "2000"
    if frames and not {"icrs", "fk5"} & set(frames):
        raise ConfigError(f"{path} says its frame is {', '.join(frames)}: positions must be ICRS")
    if "icrs" not in frames and not (NUMBER.fullmatch(equinox) and float(equinox) == 2000):
        raise ConfigError(f"{path} says its equinox is {equinox}: positions must be ICRS")


def _columns(table: Table, path: str | Path) -> dict[str, object]:
    """Find the columns, by our names."""
    found = defaultdict(list)
    for name in table.colnames:
        found[name.strip().lower()].append(name)
    double = [" and ".join(found[one.lower()]) for one in COLUMNS if len(found[one.lower()]) > 1]
    if double:
        raise ConfigError(
            f"{path} has the columns {'; '.join(double)}: rename or remove those that are not meant"
        )
    columns = {one: table[found[one.lower()][0]] for one in COLUMNS if found[one.lower()]}
    if not {"name", "ra", "dec", "z"} <= set(columns) or not {"M500", "R500"} & set(columns):
        raise ConfigError(
            f"{path} needs the columns name, ra, dec, z, and M500 or R500 with units; "
            f"it has {', '.join(table.colnames)}"
        )
    for name, column in columns.items():
        if not hasattr(column, "dtype") or column.ndim != 1 or column.dtype.kind not in f"fiu{TEXT}":
            raise ConfigError(f"{path}: the column {name} holds neither one number nor one text per row")
    return columns


def _given_units(given: Sequence[str], columns: dict[str, object]) -> dict[str, u.UnitBase]:
    units = {}
    by_lower = {name.lower(): name for name in columns}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or name.strip().lower() not in by_lower:
            raise ConfigError(f"unit {one!r}: write COLUMN=UNIT with a column of {', '.join(columns)}")
        units[by_lower[name.strip().lower()]] = parse_unit(text, f"unit {one!r}")
    return units


def parse_unit(text: str, where: str) -> u.UnitBase:
    """Read a unit as catalogues spell it: ``10+14Msun``, ``10**14 solMass``, ``DEGREE``, ``h:m:s``.

    Parameters
    ----------
    text : str
    where : str
        Whose unit it is, for the error.

    Raises
    ------
    ConfigError
    """
    text = text.strip()
    if text.lower().strip('"') in SEXAGESIMAL:
        return SEXAGESIMAL[text.lower().strip('"')]
    if text.startswith("["):
        raise ConfigError(f"{where}: {text} is a logarithm, which is written dex(solMass), for example")
    words = re.sub(r"[A-Za-z_]+", lambda word: UNIT_WORDS.get(word[0].lower(), word[0]), text)
    try:
        return u.Unit(words)
    except (ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ConfigError(f"{where}: {text} is not a unit: {why}") from None


class _Rows:
    """The rows of a table: its columns as numbers, and notes on what is wrong with them."""

    def __init__(self, path: str | Path, count: int, units: dict[str, u.UnitBase]):
        self._path = path
        self._count = count
        self._given = units
        self._notes: dict[int, list[str]] = defaultdict(list)

    def note(self, where: np.ndarray, words: Callable[[int], str]) -> None:
        """Add a note to some rows, ``[row]`` of bool."""
        for row in np.flatnonzero(where).tolist():
            self._notes[row].append(words(row))

    def notes(self) -> list[str]:
        """All notes of each row."""
        return ["; ".join(self._notes.get(row, ())) for row in range(self._count)]

    def unit(self, name: str, column) -> u.UnitBase:
        """Unit of a column: the one given by the user, its own, or the one taken for granted."""
        unit = self._stated(name, column)
        if unit is None and not (name == "M500" and column.dtype.kind not in TEXT):
            unit = DEFAULT_UNITS.get(name)
        if unit is None:
            raise ConfigError(
                f"{self._path}: the column {name} has no unit (such as Mpc, arcmin, 1e14 solMass); "
                f"give it with --unit {name}=UNIT or, in the configuration, measure.unit"
            )
        return unit

    def _stated(self, name: str, column) -> u.UnitBase | None:
        text = str(getattr(column, "unit", None) or "").strip()
        if name in self._given:
            unit = self._given[name]
        elif text.strip("-") and not (name == "z" and text.lower() in NO_UNIT):
            try:
                unit = parse_unit(text, f"{self._path}: column {name}")
            except ConfigError as error:
                raise ConfigError(
                    f"{error}; give another with --unit {name}=UNIT or, in the configuration, measure.unit"
                ) from None
        else:
            return None
        return u.hourangle if name == "ra" and unit == u.hour else unit

    def values(self, name: str, column, limit: Limit | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of a column, in the unit of its limit.

        Returns
        -------
        values : ndarray, ``[row]``
            NaN where there is no number, or none within the limit.
        refused : ndarray of bool, ``[row]``
            Where there is something that cannot be used, and a note says so.
        """
        limit, unit = limit or LIMITS[name], self.unit(name, column)
        sexagesimal = None
        if name in ("ra", "dec"):
            sexagesimal = self._stated(name, column) or (u.hourangle if name == "ra" else u.deg)
        plain, wrong = _numbers(column, unit, sexagesimal)
        if wrong and len(wrong) == len(plain):
            raise ConfigError(
                f"{self._path}: {limit.words} must be a number; {name} has texts such as {wrong[0]!r}"
            )
        known = plain[np.isfinite(plain)]
        as_logarithms = (known >= LOGARITHMS[0]) & (known <= LOGARITHMS[1])
        if name == "M500" and self._stated(name, column) is None and known.size > 2 and as_logarithms.all():
            raise ConfigError(
                f"{self._path}: M500 is {known.min():g}..{known.max():g}, which may be logarithms; give its "
                "unit with --unit or, in the configuration, measure.unit: 'M500=dex(solMass)' or "
                "'M500=1e14 solMass'"
            )
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(unit.to(limit.unit, plain), float)
        except u.UnitsError:
            raise ConfigError(
                f"{self._path}: the column {name} is in {unit}, which is no unit of {limit.words}"
            ) from None
        for row, text in wrong.items():
            self._notes[row].append(f"{limit.words} {text!r} cannot be read")
        outside = limit.refuses(values)
        self.note(outside, lambda row: f"{limit.words} {values[row]:.6g}{limit.unit_text} is outside {limit}")
        refused = outside.copy()
        refused[list(wrong)] = True
        return np.where(outside, np.nan, values), refused


def _numbers(column, unit: u.UnitBase, sexagesimal: u.UnitBase | None) -> tuple[np.ndarray, dict[int, str]]:
    """Return plain numbers, NaN where masked or missing, and the texts that are none, by row."""
    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    if column.dtype.kind not in TEXT:
        plain = column.unmasked if hasattr(column, "unmasked") else np.ma.getdata(column)
        return np.where(mask, np.nan, np.asarray(getattr(plain, "value", plain), float)), {}
    values, wrong = np.full(column.shape, np.nan), {}
    for row, text in enumerate(_text(column)):
        if text.lower() in MISSING:
            continue
        text = text.translate(SIGNS)
        number = _number(text)
        if number is None and sexagesimal is not None:
            number = _sexagesimal(text, sexagesimal, unit)
        if number is None:
            wrong[row] = text[:40]
        else:
            values[row] = number
    return values, wrong


def _number(text: str) -> float | None:
    if NUMBER.fullmatch(text):
        return float(re.sub("[dD]", "e", text))
    return {"inf": np.inf, "+inf": np.inf, "-inf": -np.inf}.get(text.lower().removesuffix("inity"))


def _sexagesimal(text: str, written: u.UnitBase, wanted: u.UnitBase) -> float | None:
    """Read ``12 34 56.7`` or ``12h34m56.7s``."""
    if not text.isascii():  # digits of other scripts
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # 60 minutes
        try:
            return float(Angle(text, written).to_value(wanted))
        except (ValueError, TypeError, Warning, u.UnitsError):
            return None


def _text(column) -> list[str]:
    """Texts of a column, '' where masked."""
    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    return ["" if gone else _plain_text(value) for value, gone in zip(column, mask, strict=True)]


def _plain_text(value: object) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    return str(value).strip()


def _angular_size(
    rows: _Rows, columns: dict, redshift: np.ndarray, bad_redshift: np.ndarray, options: MeasureOptions
) -> np.ndarray:
    """R500 in arcmin, ``[row]``: from R500, and from M500 where that is not known; NaN where neither is."""
    cosmology = FlatLambdaCDM(options.h0, options.omega_m)
    known = np.isfinite(redshift)
    safe = np.where(known, redshift, 1.0)
    size = length = np.full(redshift.shape, np.nan)
    refused = np.zeros(redshift.shape, bool)
    if "R500" in columns and rows.unit("R500", columns["R500"]).is_equivalent(u.arcmin):
        size, refused = rows.values("R500", columns["R500"], LIMITS["angle"])
    elif "R500" in columns:
        length, refused = rows.values("R500", columns["R500"])
    if "M500" in columns:
        mass, bad_mass = rows.values("M500", columns["M500"])
        refused = refused | bad_mass
        length = np.where(np.isnan(length), r500(mass * u.solMass, safe, cosmology).to_value(u.Mpc), length)
    open_ = np.isnan(size)
    angle = np.degrees(length / cosmology.angular_diameter_distance(safe).to_value(u.Mpc)) * 60
    outside = open_ & known & LIMITS["angle"].refuses(angle)
    rows.note(
        outside, lambda row: f"R500 at its redshift, {angle[row]:.4g} arcmin, is outside {LIMITS['angle']}"
    )
    rows.note(open_ & np.isnan(length) & ~refused, lambda _: "neither M500 nor R500")
    rows.note(open_ & ~known & ~bad_redshift, lambda _: "no redshift")
    return np.where(open_, np.where(known & ~outside, angle, np.nan), size)


def _stable_names(names: list[str], ra: np.ndarray, dec: np.ndarray, rows: _Rows) -> list[str]:
    """Names of one line; those missing are made from the position, or the place in the table."""
    plain = [writable(name).strip() for name in names]
    changed = np.array([one != name for one, name in zip(plain, names, strict=True)], bool)
    rows.note(changed, lambda _: "line ends or control characters of its name are spaces here")
    names = plain
    count = Counter(filter(None, names))
    rows.note(np.array([not name for name in names], bool), lambda _: "no name in the table")
    rows.note(
        np.array([count[name] > 1 for name in names], bool),
        lambda row: f"{count[names[row]]} rows have this name",
    )
    return [name or position_name(ra[row], dec[row]) or f"row {row + 1}" for row, name in enumerate(names)]


def position_name(ra_deg: float, dec_deg: float) -> str:
    """Name of a position, ``J1234.5+5432``, truncated as the IAU asks; '' for NaN."""
    if not np.isfinite([ra_deg, dec_deg]).all():
        return ""
    tenths = int(ra_deg * 40 + 1e-6)  # of a minute of time
    minutes = int(abs(dec_deg) * 60 + 1e-6)
    sign = "-" if dec_deg < 0 else "+"
    return f"J{tenths // 600:02d}{tenths % 600 / 10:04.1f}{sign}{minutes // 60:02d}{minutes % 60:02d}"


def log_notes(clusters: Sequence[Cluster], path: str | Path) -> None:
    """Say in the log what is wrong with rows of a cluster table, and with how many."""
    named = defaultdict(list)
    for cluster in clusters:
        if cluster.note:
            named[cluster.note].append(cluster.name)
    for note, names in list(named.items())[:MAX_NOTES]:
        more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        count = "1 cluster" if len(names) == 1 else f"{len(names):,} clusters"
        logger.warning("%s of %s: %s (%s%s)", count, path, note, ", ".join(names[:MAX_NAMED]), more)
    if len(named) > MAX_NOTES:
        logger.warning("%d more notes on clusters of %s: see the column note", len(named) - MAX_NOTES, path)


PUBLISHED = {
    "psz2": {"name": "Name", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "M500": "MSZ"},
    "mcxc": {"name": "MCXC", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "R500": "R500"},
}
PUBLISHED_UNITS = {"ra": u.deg, "dec": u.deg, "M500": 1e14 * u.solMass, "R500": u.Mpc}


def convert_catalogue(path: str | Path, catalogue: str) -> QTable:
    """Bring a published catalogue (VizieR VOTable, or another table with its column names) to our columns.

    Raises
    ------
    ConfigError
        A column is missing.
    TableError
        Not a table, one without rows, or a number that is none.
    ServiceError
        The service answered with an error.
    """
    table = read_table(path)
    result = QTable()
    for ours, theirs in PUBLISHED[catalogue].items():
        if theirs not in table.colnames:
            raise ConfigError(f"{path}: {catalogue} has no column {theirs}; it has {table.colnames}")
        column = table[theirs]
        if ours == "name":
            result[ours] = [writable(text) for text in _text(column)]
            continue
        unit = PUBLISHED_UNITS.get(ours, u.dimensionless_unscaled)
        values, wrong = _numbers(column, unit, None)
        if wrong:
            raise TableError(
                f"{path}: {theirs} of {catalogue} must be a number: {next(iter(wrong.values()))!r}"
            )
        result[ours] = values * unit if ours in PUBLISHED_UNITS else values
    if not len(table):
        raise TableError(f"{path}: {catalogue} has no rows")
    return result
