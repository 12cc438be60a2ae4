"""Columns of cluster tables as numbers: their units, their limits, and what is wrong with single rows."""

import re
import shlex
import textwrap
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle

from radiounet.errors import ConfigError
from radiounet.images.tables import MINUS, MISSING, NUMBER
from radiounet.images.unit_words import unit_of
from radiounet.images.words import outside_text


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

    def fault(self, value: float, digits: int = 6) -> str:
        """A value outside, with its unit, so that it can be told from the limits."""
        return f"{outside_text(value, self.low, self.high, digits)}{self.unit_text}"

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
"""Physical limits. What lies outside counts as not known, and a note says so."""

LOGARITHMS = 12.0, 16.0
"""Of cluster masses in solMass. In 1e14 solMass no three clusters have as much."""

TEXT = "SUO"  # kinds of columns that hold texts

DEFAULT_UNITS = {"ra": u.deg, "dec": u.deg, "z": u.dimensionless_unscaled, "M500": u.Unit("1e14 solMass")}
"""Units of columns that name none. That of M500 holds for text tables, which cannot name one."""

SIGNS = MINUS | str.maketrans("\u00b0\u2032\u2033", "dms")  # degree, minute and second of arc
NO_UNIT = {"redshift", "none", "dimensionless", "unitless"}


def parse_unit(text: str, where: str) -> u.UnitBase:
    """Read a unit, see `radiounet.images.unit_words.unit_of`.

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
    if text.startswith("["):
        raise ConfigError(f"{where}: {text} is a logarithm, which is written dex(solMass), for example")
    try:
        return unit_of(text)
    except ValueError as error:
        why = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise ConfigError(f"{where}: {text} is not a unit: {why}") from None


class Rows:
    """The rows of a table: its columns as numbers, and notes on what is wrong with them.

    Parameters
    ----------
    path : path
        Of the table, for errors.
    count : int
        Its rows.
    units : dict of str to Unit, optional
        Units that the user gave to columns. None where nobody was asked: advice then names no option.
    """

    def __init__(self, path: str | Path, count: int, units: dict[str, u.UnitBase] | None = None):
        self._path = path
        self._count = count
        self._given = units or {}
        self._asked = units is not None
        self._notes: dict[int, list[str]] = defaultdict(list)
        self.impossible = np.zeros(count, bool)
        """Rows of a redshift or size that cannot be; one of 0 or less says that it is not known."""

    def note(self, where: np.ndarray, words: Callable[[int], str]) -> None:
        """Add a note to some rows, ``[row]`` of bool."""
        for row in np.flatnonzero(where).tolist():
            self._notes[row].append(words(row))

    def notes(self) -> list[str]:
        """All notes of each row."""
        return ["; ".join(self._notes.get(row, ())) for row in range(self._count)]

    def unit(self, name: str, column: Any) -> u.UnitBase:
        """Unit of a column: the one given by the user, its own, or the one taken for granted."""
        unit = self._stated(name, column)
        if unit is None and not (name == "M500" and column.dtype.kind not in TEXT):
            unit = DEFAULT_UNITS.get(name)
        if unit is None:
            raise ConfigError(
                f"{self._path}: the column {name} has no unit (such as Mpc, arcmin, 1e14 solMass): "
                f"{self._advice(name)}"
            )
        return unit

    def _stated(self, name: str, column: Any) -> u.UnitBase | None:
        text = str(getattr(column, "unit", None) or "").strip()
        if name in self._given:
            unit = self._given[name]
        elif text.strip("-") and not (name == "z" and text.lower() in NO_UNIT):
            try:
                unit = parse_unit(text, f"{self._path}: column {name}")
            except ConfigError as error:
                raise ConfigError(f"{error}; {self._advice(name)}") from None
        else:
            return None
        return u.hourangle if name == "ra" and unit == u.hour else unit

    def _advice(self, name: str, unit: str = "") -> str:
        """How the user states the unit of a column."""
        if not self._asked:
            return f"write {unit or 'a unit'} for {name} into the table"
        given = shlex.quote(f"{name}={unit or 'UNIT'}")
        return f"give {given} with --unit or, in the configuration, measure.unit"

    def values(self, name: str, column: Any, limit: Limit | None = None) -> tuple[np.ndarray, np.ndarray]:
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
        plain, wrong = column_numbers(column, unit, sexagesimal)
        if wrong and len(wrong) == len(plain):
            raise ConfigError(
                f"{self._path}: {limit.words} must be a number; {name} has texts such as {wrong[0]!r}"
            )
        if name == "ra" and sexagesimal == u.deg:
            self._doubt_degrees(column, plain)
        known = plain[np.isfinite(plain)]
        as_logarithms = (known >= LOGARITHMS[0]) & (known <= LOGARITHMS[1])
        doubtful = name == "M500" and self._stated(name, column) is None and as_logarithms.all()
        if doubtful and known.size <= 2:  # one or two clusters may be that massive
            self.note(
                np.isfinite(plain),
                lambda row: (
                    f"M500 {plain[row]:g} was taken for 1e14 solMass; if it is a logarithm, "
                    f"{self._advice('M500', 'dex(solMass)')}"
                ),
            )
        elif doubtful:
            raise ConfigError(
                f"{self._path}: M500 is {known.min():g}..{known.max():g}, which may be logarithms: "
                f"{self._advice('M500', 'dex(solMass)')}; if they are masses, 1e14 solMass instead"
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
        self.note(outside, lambda row: f"{limit.words} {limit.fault(values[row])} is outside {limit}")
        if name == "M500" and self._stated(name, column) is None:
            in_solar_masses = outside & ~limit.refuses(plain)
            hint = f"taken in {unit}: if it is in solar masses, {self._advice('M500', 'solMass')}"
            self.note(in_solar_masses, lambda _: hint)
        refused = outside.copy()
        refused[list(wrong)] = True
        if sexagesimal is None:
            self.impossible |= refused & ~(values <= 0) & ~(plain <= 0)
        return np.where(outside, np.nan, values), refused

    def _doubt_degrees(self, column: Any, plain: np.ndarray) -> None:
        """Say of right ascensions such as ``12:34:56`` whose unit is degrees that they may be hours."""
        if column.dtype.kind not in TEXT:
            return
        texts = column_texts(column)
        doubtful = [np.isfinite(value) and ":" in text for text, value in zip(texts, plain, strict=True)]
        self.note(
            np.array(doubtful),
            lambda row: (
                f"the right ascension {texts[row]} was read in degrees, as its unit says; "
                f"if it is in hours, {self._advice('ra', 'hourangle')}"
            ),
        )


def column_numbers(
    column: Any, unit: u.UnitBase, sexagesimal: u.UnitBase | None
) -> tuple[np.ndarray, dict[int, str]]:
    """Return plain numbers, NaN where masked or missing, and the texts that are none, by row."""
    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    if column.dtype.kind not in TEXT:
        plain = column.unmasked if hasattr(column, "unmasked") else np.ma.getdata(column)
        return np.where(mask, np.nan, np.asarray(getattr(plain, "value", plain), float)), {}
    values, wrong = np.full(column.shape, np.nan), {}
    for row, text in enumerate(column_texts(column)):
        text = text.translate(SIGNS)
        if text.lower() in MISSING:
            continue
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


def column_texts(column: Any) -> list[str]:
    """Texts of a column, '' where masked."""
    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    return ["" if gone else _plain_text(value) for value, gone in zip(column, mask, strict=True)]


def _plain_text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value).strip()
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()
