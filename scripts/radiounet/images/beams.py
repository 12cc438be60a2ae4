"""Restoring beams: what one is, and where headers hide it."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import BeamError, ConfigError
from radiounet.images.gaussian import FWHM_AREA, FWHM_TO_SIGMA, beam_numbers
from radiounet.images.geometry import jacobian, north_of_reference_deg
from radiounet.images.headers import is_number
from radiounet.images.squares import BEAM_TOLERANCE

logger = logging.getLogger(__name__)

WIDEST_BEAM_ARCSEC = 3600.0
"""A wider beam is one that was written in arcsec."""
SMALLEST_BEAM_PX = 0.5
"""A beam below half a pixel was not what the image was made with."""
ROUNDING = 1e-3
"""Part of a beam that headers lose by rounding."""
NUMBER = r"\s*([-+\d.]+(?:[EeDd][-+]?\d+)?)"
AIPS = re.compile(rf"CLEAN\s+BMAJ={NUMBER}\s+BMIN={NUMBER}\s+BPA={NUMBER}")
KEYS = ("BMAJ", "BMIN", "BPA")
BEAM_HELP = "beam of the image: MAJ,MIN,PA or one FWHM, arcsec and deg (default: as in its header)"
ADVICE = (
    "write BMAJ, BMIN and BPA (deg) into its header; radiounet segment also takes --beam, and a run "
    "mosaics.images[].beam"
)


@dataclass(frozen=True)
class Beam:
    """Restoring beam: FWHM of the axes in arcsec, position angle in deg (north to east).

    The north is that at the reference position of an image, see `beam_jacobian`.
    """

    major_arcsec: float
    minor_arcsec: float
    angle_deg: float = 0.0

    @property
    def mean_arcsec(self) -> float:
        """Geometric mean of both axes, FWHM in arcsec."""
        return float(np.sqrt(self.major_arcsec * self.minor_arcsec))

    @property
    def area_arcsec2(self) -> float:
        """Solid angle of the Gaussian, arcsec2."""
        return FWHM_AREA * self.major_arcsec * self.minor_arcsec

    @property
    def covariance_arcsec2(self) -> np.ndarray:
        """Covariance of the Gaussian, order east, north; arcsec2."""
        angle = np.radians(self.angle_deg)
        axes = np.array([[np.sin(angle), np.cos(angle)], [-np.cos(angle), np.sin(angle)]])
        widths = FWHM_TO_SIGMA * np.array([self.major_arcsec, self.minor_arcsec])
        return axes.T @ np.diag(widths**2) @ axes

    def matches(self, fwhm_arcsec: float) -> bool:
        """Whether this is the circular beam of that width, within 2 %."""
        allowed = BEAM_TOLERANCE * fwhm_arcsec
        return (
            abs(self.major_arcsec - fwhm_arcsec) <= allowed
            and abs(self.minor_arcsec - fwhm_arcsec) <= allowed
        )

    def is_about(self, other: "Beam") -> bool:
        """Whether two beams have the same axes and, unless they are round, direction, within 2 %."""
        mine, others = ((one.major_arcsec, one.minor_arcsec) for one in (self, other))
        turned_deg = abs((self.angle_deg - other.angle_deg + 90) % 180 - 90)
        same_axes = np.allclose(mine, others, rtol=BEAM_TOLERANCE, atol=0)
        return same_axes and (self.is_round or turned_deg <= 90 * BEAM_TOLERANCE)

    def __str__(self) -> str:
        return f"{self.major_arcsec:.4g} x {self.minor_arcsec:.4g} arcsec at {self.angle_deg:.4g} deg"

    @property
    def is_round(self) -> bool:
        """Whether the axes are equal within 2 %, so that the angle says nothing."""
        return self.minor_arcsec >= (1 - BEAM_TOLERANCE) * self.major_arcsec

    def cards(self, prefix: str = "", of: str = "") -> dict[str, tuple[float, str]]:
        """Cards ``BMAJ``, ``BMIN`` and ``BPA``, deg: `prefix` before their names, `of` behind the unit."""
        values = self.major_arcsec / 3600, self.minor_arcsec / 3600, self.angle_deg
        return {prefix + key: (value, f"deg{of}") for key, value in zip(KEYS, values, strict=True)}

    @classmethod
    def from_text(cls, text: str) -> "Beam":
        """Beam given by a user: ``MAJ,MIN,PA``, or ``FWHM`` of a round one, in arcsec and deg.

        Raises
        ------
        ConfigError
        """
        try:
            return _checked(cls(*beam_numbers(text)), f"the beam {text!r}", "")
        except (ValueError, BeamError) as error:
            raise ConfigError(str(error)) from None


def choose_beam(given: Beam | None, header: fits.Header, table: Table | None, path: str | Path) -> Beam:
    """Beam that counts for an image: a given one, or that of its header; see `read_beam`.

    A given one that replaces another of the header is told in the log.
    """
    if given is None:
        return read_beam(header, table, path)
    try:
        own = read_beam(header, table, path)
    except BeamError:  # which is why one is given
        return given
    if not given.is_about(own):
        logger.warning("%s: the beam of its header, %s, is replaced by the given one, %s", path, own, given)
    return given


def read_beam(header: fits.Header, table: Table | None, path: str | Path) -> Beam:
    """Beam of an image.

    Taken from BMAJ, BMIN and BPA (deg), unless both axes are 0; else from the last
    ``CLEAN BMAJ=`` in AIPS's HISTORY; else from CASA's table BEAMS.

    Parameters
    ----------
    header : astropy.io.fits.Header
    table : Table or None
        Extension BEAMS of the file.
    path : path
        For messages.

    Raises
    ------
    BeamError
        None of them, or one that is no beam.
    """
    cards = [header[key] for key in ("BMAJ", "BMIN") if key in header]
    if any(card != 0 for card in cards):  # 0 is how programs write that there is none
        return _of_cards(header, path)
    found = AIPS.findall("\n".join(str(line) for line in header.get("HISTORY", [])))
    if found:
        major, minor, angle = (float(text.upper().replace("D", "E")) for text in found[-1])
        return _checked(Beam(3600 * major, 3600 * minor, angle), f"{path} (HISTORY)")
    if table is not None:
        return _of_table(table, path)
    if cards:
        return _of_cards(header, path)
    raise BeamError(f"{path} has no BMAJ and no BMIN: {ADVICE}")


def read_resolution(header: fits.Header, beam: Beam, path: str | Path) -> Beam:
    """Beam that the image was made with, where an earlier stage wrote that it is another."""
    given = [header.get(key) for key in ("RESBMAJ", "RESBMIN")]
    if given == [None, None]:
        return beam
    angle = header.get("RESBPA", 0.0)  # older versions did not write it
    if not all(is_number(one) and 0 < one * 3600 < np.inf for one in given):
        raise BeamError(f"{path}: RESBMAJ {given[0]} and RESBMIN {given[1]} deg are no beam")
    if not is_number(angle):
        raise BeamError(f"{path}: RESBPA {angle} deg is no angle")
    return Beam(given[0] * 3600, given[1] * 3600, angle)


def _of_cards(header: fits.Header, path: str | Path) -> Beam:
    missing = [key for key in ("BMAJ", "BMIN") if key not in header]
    if missing:
        raise BeamError(f"{path} has no {missing[0]}: {ADVICE}")
    values = []
    for key in KEYS:
        try:
            values.append(float(header.get(key, np.nan)))
        except (ValueError, TypeError, OverflowError):
            raise BeamError(f"{path} has a beam that is no number: {key} is {header[key]!r}") from None
    written = f"BMAJ {header['BMAJ']}, BMIN {header['BMIN']}; both must be in deg"
    return _checked(Beam(3600 * values[0], 3600 * values[1], values[2]), f"{path} ({written})")


def _of_table(table: Table, path: str | Path) -> Beam:
    """The one beam of CASA's table of the beams of channels and polarisations."""
    columns = {name.upper(): table[name] for name in table.colnames}
    if not len(table) or not set(KEYS) <= set(columns):
        raise BeamError(f"{path}: its table BEAMS has {len(table)} rows and the columns {table.colnames}")
    try:
        sides = [_in(u.arcsec, columns[key]) for key in ("BMAJ", "BMIN")]
        rows = np.stack([*sides, _in(u.deg, columns["BPA"])], axis=1)
    except (u.UnitsError, ValueError, TypeError) as error:
        raise BeamError(f"{path}: its table BEAMS cannot be understood: {error}") from None
    if not np.allclose(rows, rows[0], rtol=ROUNDING, equal_nan=True):
        raise BeamError(
            f"{path}: the {len(rows)} beams of its table BEAMS differ; one image has one beam: {ADVICE}"
        )
    return _checked(Beam(*(float(value) for value in rows[0])), f"{path} (table BEAMS)")


def _in(unit: u.UnitBase, column: Any) -> np.ndarray:
    """Numbers of a column, in a unit that is also its own where it names none."""
    return u.Quantity(np.ma.filled(column, np.nan), column.unit or unit, dtype=float).to_value(unit)


def _checked(beam: Beam, where: str, advice: str = f": {ADVICE}") -> Beam:
    """The beam with its axes in order and an angle, if it can be one."""
    major, minor, angle = beam.major_arcsec, beam.minor_arcsec, beam.angle_deg
    sides = np.array([major, minor])
    if not (np.isfinite(sides).all() and (sides > 0).all() and (sides < WIDEST_BEAM_ARCSEC).all()):
        raise BeamError(f"{where} has an unusable beam of {major:g} x {minor:g} arcsec")
    if minor > major * (1 + ROUNDING):
        raise BeamError(f"{where} has an unusable beam: BMIN, {minor:g} arcsec, above BMAJ, {major:g}")
    beam = Beam(max(major, minor), min(major, minor), angle)
    if np.isfinite(angle) and abs(angle) <= 360:
        return beam
    if beam.is_round:
        return Beam(beam.major_arcsec, beam.minor_arcsec)
    raise BeamError(f"{where} has an unusable beam: {major:g} x {minor:g} arcsec with BPA {angle}{advice}")


def beam_jacobian(wcs: WCS, beam: Beam, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Pixel steps in arcsec, east and north as at the reference position, where a beam's angle is counted.

    An image is restored with one beam all over its plane: its angle is counted from north at the reference
    position, and elsewhere local north is turned from there.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, 2-D, longitude first.
    beam : Beam
    x, y : array_like
        Columns and rows from 0; any shape.

    Returns
    -------
    ndarray, ``[..., (east, north), (x, y)]``
        arcsec per pixel, as `radiounet.images.geometry.jacobian`; the very same for a circle.
    """
    matrix = jacobian(wcs, x, y)
    if beam.major_arcsec == beam.minor_arcsec:
        return matrix
    turn = np.radians(north_of_reference_deg(wcs, x, y))
    rows = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1)) @ matrix


def falls_between(beam: Beam, pixel_arcsec: float) -> bool:
    """Whether pixels are wider than half of a beam, so that sums over them vary with a source's place."""
    return 2 * pixel_arcsec > (1 + BEAM_TOLERANCE) * beam.minor_arcsec


def check_beam(beam: Beam, pixel_arcsec: float, shape: tuple[int, int], path: str | Path) -> None:
    """Raise `BeamError` unless a beam can be that of an image: wider than its pixels, narrower than it.

    `pixel_arcsec` is the longer side of its pixels.
    """
    narrow, wide = beam.minor_arcsec / pixel_arcsec, beam.major_arcsec / pixel_arcsec
    if narrow < SMALLEST_BEAM_PX or wide > min(shape):
        raise BeamError(
            f"{path} has an unusable beam of {beam.major_arcsec:.3g} x {beam.minor_arcsec:.3g} arcsec: "
            f"its {shape[1]} x {shape[0]} pixels measure {pixel_arcsec:.3g} arcsec"
        )
