"""Tables of components in: LoTSS, PyBDSF, or any other with position, total flux density and size."""

import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.units import UnitsWarning

from radiounet.errors import ConfigError
from radiounet.images.provenance import provenance
from radiounet.images.reading import naming, reading
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.tables import ServiceError, TableError, read_table
from radiounet.images.words import printable
from radiounet.images.writing import atomic
from radiounet.settings.components import ComponentTable
from radiounet.survey.cluster_columns import TEXT, column_numbers, parse_unit
from radiounet.survey.cluster_tables import check_frame

UNITS = {
    "ra": u.deg,
    "dec": u.deg,
    "flux": u.Jy,
    "flux_error": u.Jy,
    "major": u.arcsec,
    "minor": u.arcsec,
    "angle": u.deg,
}
"""Our columns, in the units that we use."""
KNOWN = {
    "ra": ("ra",),
    "dec": ("dec",),
    "flux": ("total_flux", "flux"),
    "flux_error": ("e_total_flux", "flux_error"),
    "major": ("dc_maj", "major"),
    "minor": ("dc_min", "minor"),
    "angle": ("dc_pa", "pa", "angle"),
}
"""Names of columns that are recognised, lower case: of LoTSS and PyBDSF, and our own."""
WITH_BEAM = {"major": ("maj", "major"), "minor": ("min", "minor"), "angle": ("pa", "angle")}
"""The same of sizes that hold the beam."""
OPTIONAL = ("flux_error",)
IMPLIED = ("ra", "dec", "angle")
"""Columns that are in deg where nothing states a unit."""
SAME_DEG = 1e-6
MAX_NAMED = 5
SETTING = "measure.components"


@dataclass(frozen=True)
class ComponentList:
    """Components on the sky, arrays ``[component]``.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray
        ICRS.
    flux_jy, error_jy : ndarray
        Total flux density and its error.
    major_arcsec, minor_arcsec, angle_deg : ndarray
        FWHM without the beam, 0 for a point, and position angle, north to east.
    """

    ra_deg: np.ndarray
    dec_deg: np.ndarray
    flux_jy: np.ndarray
    error_jy: np.ndarray
    major_arcsec: np.ndarray
    minor_arcsec: np.ndarray
    angle_deg: np.ndarray

    def __len__(self) -> int:
        return len(self.ra_deg)

    def __getitem__(self, rows: np.ndarray) -> "ComponentList":
        return ComponentList(*(getattr(self, one.name)[rows] for one in fields(self)))


def read_components(
    path: str | Path, options: ComponentTable, around: tuple[float, float, float] | None = None
) -> ComponentList:
    """Read a table of components, or those of its rows that lie in a disc.

    Of a FITS table only these rows and columns are in memory.

    Parameters
    ----------
    path : path
        Any format that `radiounet.images.tables.read_table` reads.
    options : ComponentTable
        Its columns and units.
    around : (float, float, float), optional
        Centre, ICRS deg, and radius, deg. Rows elsewhere are not looked at.

    Raises
    ------
    ConfigError
        A column is missing or stands twice, a unit is missing or of another kind, or positions are in
        another frame.
    TableError
        Not a table, no rows, no position, flux density or size where there must be one, or the same
        component twice.
    """
    with naming(path):
        try:
            table = _open(path)
        except FileNotFoundError:
            raise ConfigError(f"there is no table of components {path}: see {SETTING}") from None
        except ServiceError as error:
            raise TableError(f"the table of components cannot be read: {error}") from error
        check_frame(table, path)
        if not len(table):
            raise TableError(f"{path} has no rows: leave {SETTING} out where there are no components")
        reader = _Reader(path, table, options)
        rows = np.arange(len(table))
        ra, dec = reader.values("ra", rows), reader.values("dec", rows)
        _require(path, np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90), rows, "no position")
        if around is not None:
            rows = rows[separation_deg(unit_vectors(*around[:2]), unit_vectors(ra, dec)) <= around[2]]
        return _checked(path, reader, rows, ra[rows] % 360, dec[rows], options)


def _open(path: str | Path) -> Table:
    """Read a table; of FITS only what is asked for later."""
    if Path(path).is_file():
        with reading(path, TableError, TableError), open(path, "rb") as stream:
            is_fits = stream.read(9) == b"SIMPLE  ="
        if is_fits:
            with reading(path, TableError, TableError), warnings.catch_warnings():
                warnings.simplefilter("ignore", UnitsWarning)  # units are judged where they are needed
                return Table.read(path, format="fits", memmap=True, mask_invalid=False)
    return read_table(path)


def _checked(
    path: str | Path,
    reader: "_Reader",
    rows: np.ndarray,
    ra: np.ndarray,
    dec: np.ndarray,
    options: ComponentTable,
) -> ComponentList:
    flux, major, minor, angle = (reader.values(name, rows) for name in ("flux", "major", "minor", "angle"))
    _require(path, flux > 0, rows, "no flux density above 0")
    _require(
        path, (minor >= 0) & (major >= minor) & np.isfinite(major), rows, "no size, the longer axis first"
    )
    angle = np.where(np.isfinite(angle), angle, 0.0)
    lone = np.full(len(rows), np.nan)
    error = reader.values("flux_error", rows) if "flux_error" in reader.columns else lone
    error = np.where(error >= 0, error, options.flux_error * flux)
    if options.beam_arcsec is not None:
        major, minor = (np.sqrt(np.maximum(one**2 - options.beam_arcsec**2, 0)) for one in (major, minor))
    same = np.round(np.stack([ra / SAME_DEG, dec / SAME_DEG]))
    _, first, count = np.unique(np.vstack([same, flux]), axis=1, return_index=True, return_counts=True)
    if (count > 1).any():
        places = ", ".join(f"{rows[one] + 1}" for one in sorted(first[count > 1])[:MAX_NAMED])
        raise TableError(
            f"{path} lists {(count > 1).sum():,} components more than once, first in rows {places}: "
            "each would be subtracted as often; remove the copies"
        )
    return ComponentList(ra, dec, flux, error, major, minor, angle)


def _require(path: str | Path, good: np.ndarray, rows: np.ndarray, what: str) -> None:
    if not good.all():
        bad = rows[~good] + 1
        named = ", ".join(map(str, bad[:MAX_NAMED])) + (", ..." if len(bad) > MAX_NAMED else "")
        raise TableError(
            f"{path}: {len(bad):,} of {len(good):,} components have {what} (rows {named}): "
            "correct or remove these rows"
        )


class _Reader:
    """Columns of a table by our names, as numbers in our units."""

    def __init__(self, path: str | Path, table: Table, options: ComponentTable):
        self._path, self._given = path, {str(key): text for key, text in options.units.items()}
        known = KNOWN | (WITH_BEAM if options.beam_arcsec is not None else {})
        named = {str(key): name for key, name in options.columns.items()}
        self.columns = {
            ours: table[found]
            for ours in KNOWN
            if (found := self._find(table, named.get(ours), known[ours])) is not None
        }
        lacking = [one for one in KNOWN if one not in self.columns and one not in OPTIONAL]
        if lacking:
            fitted = set(lacking) <= {"major", "minor"} and options.beam_arcsec is None
            advice = f", or {SETTING}.beam_arcsec for sizes that hold the beam" if fitted else ""
            raise ConfigError(
                f"{path} has no column for {', '.join(f'{one} ({known[one][0]})' for one in lacking)} of its "
                f"components: name it in {SETTING}.columns{advice}; it has {', '.join(table.colnames)}"
            )

    def _find(self, table: Table, named: str | None, known: tuple[str, ...]) -> str | None:
        if named is not None:
            if named not in table.colnames:
                raise ConfigError(
                    f"{self._path} has no column {named}, which {SETTING}.columns names; "
                    f"it has {', '.join(table.colnames)}"
                )
            return named
        for one in known:
            found = [name for name in table.colnames if name.strip().lower() == one]
            if len(found) > 1:
                raise ConfigError(
                    f"{self._path} has the columns {' and '.join(found)}: name the right one in "
                    f"{SETTING}.columns"
                )
            if found:
                return found[0]
        return None

    def values(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Numbers of a column, ``[row]``, in our unit; NaN where there is none."""
        column = self.columns[name][rows]
        if column.ndim != 1 or column.dtype.kind not in f"fiu{TEXT}":
            raise ConfigError(f"{self._path}: the column of {name} does not hold one number per row")
        unit = self._unit(name, column)
        plain, wrong = column_numbers(column, unit, None)
        if wrong:
            row, text = next(iter(wrong.items()))
            raise TableError(f"{self._path}: {name} of row {rows[row] + 1} is no number: {text!r}")
        try:
            return np.asarray(unit.to(UNITS[name], plain), float)
        except u.UnitConversionError:
            raise ConfigError(
                f"{self._path}: {name} is in {unit}, which cannot become {UNITS[name]}: "
                f"state its unit in {SETTING}.units, or another column in {SETTING}.columns"
            ) from None

    def _unit(self, name: str, column: Any) -> u.UnitBase:
        stated = str(getattr(column, "unit", None) or "").strip().strip("-")
        where = f"{self._path}: {name}"
        if name in self._given:
            return parse_unit(self._given[name], f"{SETTING}.units: {name}")
        if stated:
            try:
                return parse_unit(stated, where)
            except ConfigError as error:
                raise ConfigError(f"{error}; state it in {SETTING}.units") from None
        if name in IMPLIED:
            return u.deg
        raise ConfigError(
            f"{where} has no unit, such as {'mJy' if 'flux' in name else 'arcsec'}: "
            f"state it in {SETTING}.units"
        )


def write_components(path: str | Path, components: ComponentList, source: str) -> None:
    """Write a table of components with our columns (FITS).

    Parameters
    ----------
    source : str
        Where it is from, for its header.
    """
    columns = {
        ours: getattr(components, one.name) for ours, one in zip(UNITS, fields(components), strict=True)
    }
    primary = fits.PrimaryHDU(header=fits.Header(provenance()))
    primary.header.add_history(printable(f"components: {source}"))
    with atomic(path) as temporary:
        hdus = [primary, fits.table_to_hdu(Table(columns, units=UNITS))]
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
