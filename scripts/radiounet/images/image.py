"""FITS images in and out: one celestial plane, its unit, beam and grid."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, overload

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    BrightnessError,
    CelestialError,
    GridError,
    ShapeMismatchError,
)
from radiounet.images.axes import require_total_intensity
from radiounet.images.beams import Beam, check_beam, choose_beam, read_resolution
from radiounet.images.blanks import (
    BRIGHTEST_JY,
    Values,
    blank_infinities,
    brightest,
    flaws,
    sample,
    solid_zeros,
)
from radiounet.images.fits_planes import celestial_plane, open_image
from radiounet.images.geometry import (
    grid_header,
    middle,
    outline,
    pixel_area_arcsec2,
    pixel_areas_arcsec2,
    pixel_scales_arcsec,
    pixels_in,
    to_sky,
)
from radiounet.images.reading import naming, reading
from radiounet.images.squares import SCALE_TOLERANCE, Mosaic, offsets_deg
from radiounet.images.units import unit_factor
from radiounet.images.words import outside_text, printable

logger = logging.getLogger(__name__)

WIDEST_DEG = 60.0
"""Widest image that one tangent plane still shows without stretching it by a seventh."""


@dataclass
class Plane:
    """One celestial plane of an image.

    Attributes
    ----------
    data : ndarray of float32, ``[y, x]``
        Jy/beam; NaN where blank.
    wcs : astropy.wcs.WCS
        Celestial, 2-D, longitude first, in the image's own frame and projection. It is
        asked by `radiounet.images.geometry` only, whose positions are ICRS.
    beam : Beam
        What Jy/beam refers to.
    resolution : Beam or None
        The beam the image was made with, where that is coarser than `beam`
        (see `radiounet.images.resampling.to_model_grid`); it says how many pixels are independent.
    notes : list of str
        What was done to the image that a user must know; kept as HISTORY.
    """

    data: np.ndarray
    wcs: WCS
    beam: Beam
    resolution: Beam | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def pixel_arcsec(self) -> float:
        """Root of a pixel's solid angle in the middle of the image, arcsec."""
        return float(np.sqrt(pixel_area_arcsec2(self.wcs, *middle(self.data.shape))))

    @property
    def made_with(self) -> Beam:
        """The beam that the image was made with, whatever Jy/beam refers to."""
        return self.resolution or self.beam

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam in pixels of the middle of the image."""
        return self.beam.area_arcsec2 / self.pixel_arcsec**2

    @property
    def resolution_area_px(self) -> float:
        """Solid angle of the beam the image was made with, in pixels of the middle of the image."""
        return self.made_with.area_arcsec2 / self.pixel_arcsec**2

    def relative_area(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Solid angles of pixels where they lie, ``[pixel]``, over that of one in the middle of the image."""
        return pixel_areas_arcsec2(self.wcs, x, y) / self.pixel_arcsec**2

    def header(self) -> fits.Header:
        """Header with the grid, beam, unit and notes of this plane."""
        header = grid_header(self.wcs)
        for key in ("DATE-REF", "MJDREF"):
            header.remove(key, ignore_missing=True)
        header.update(self.beam.cards())
        if self.resolution and self.resolution != self.beam:
            header.update(self.resolution.cards("RES", ", resolution of the image"))
        header["BUNIT"] = "JY/BEAM"
        for note in self.notes:
            header.add_history(printable(note))
        return header


@dataclass(frozen=True)
class StoredPlane:
    """A celestial plane in its file: a window of it is in memory once asked for.

    Attributes
    ----------
    path : path
    data : ndarray, ``[y, x]``
        As in the file and mapped from there, unless its numbers are scaled integers.
    wcs : astropy.wcs.WCS
        Celestial, 2-D, longitude first, with ``array_shape``; see `Plane`.
    header : astropy.io.fits.Header
        From `radiounet.images.headers.legible`.
    """

    path: str | Path
    data: np.ndarray
    wcs: WCS
    header: fits.Header
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, kw_only=True)

    def window(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Part of the plane as a new array of float32, ``[y, x]``, its numbers as they are."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(self.data[rows, columns], np.float32, order="C")

    @cached_property
    def _blank_zeros(self) -> np.ndarray | None:
        """Where 0 stands for a blank, bool ``[y, x]``; by the whole plane: no window's edge tells."""
        return solid_zeros(self.data)

    def known(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """The same, NaN where blank; a solid area of 0 is among floating-point numbers only."""
        plane = StoredPlane.window(self, rows, columns)
        zero = plane == 0 if self.header["BITPIX"] < 0 else None
        blank_infinities(plane, self.data[rows, columns])
        if zero is not None and zero.any():
            with self._lock:  # one of several threads looks at the whole plane
                blank = self._blank_zeros
            if blank is not None:
                plane[zero & blank[rows, columns]] = np.nan
        return plane

    def brightest(self) -> float:
        """What no pixel of `window` exceeds; see `radiounet.images.blanks.brightest`."""
        return brightest(self.header, self.path)

    def flaws(
        self, part: np.ndarray, rows: slice, columns: slice, whole: Values | None = None
    ) -> Iterator[tuple[np.ndarray, str]]:
        """What of a part of the plane cannot be brightness; see `radiounet.images.blanks.flaws`."""
        return flaws(part, self.data[rows, columns], self.header, self.brightest(), whole)


@dataclass(frozen=True)
class StoredImage(StoredPlane):
    """A celestial plane of brightness in its file.

    Attributes
    ----------
    beam : Beam
        What Jy/beam refers to.
    factor : float
        Brings the numbers to Jy/beam.
    """

    beam: Beam
    factor: float

    def window(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Part of the plane as a new array of float32, ``[y, x]`` Jy/beam, NaN where blank."""
        plane = self.known(rows, columns)
        if self.factor != 1:
            with np.errstate(over="ignore"):
                plane *= np.float32(self.factor)
            blank_infinities(plane, self.data[rows, columns])
        return plane

    def brightest(self) -> float:
        """The same, in Jy/beam."""
        return BRIGHTEST_JY

    def require_brightness(self, part: np.ndarray, rows: slice, columns: slice) -> None:
        """Raise `BrightnessError` if something of what `window` gave there cannot be brightness."""
        whole = None if part.shape == self.data.shape else partial(sample, self.window, self.data.shape)
        for _, why in self.flaws(part, rows, columns, whole):
            raise BrightnessError(f"{self.path}: {why}")


@overload
def open_plane(path: str | Path, *, brightness: Literal[False]) -> StoredPlane: ...
@overload
def open_plane(
    path: str | Path, *, brightness: Literal[True] = True, beam: Beam | None = None
) -> StoredImage: ...
def open_plane(path: str | Path, *, brightness: bool = True, beam: Beam | None = None) -> StoredPlane:
    """Open the celestial plane of a FITS image; see `read_plane`, but for errors in its pixels.

    Parameters
    ----------
    path : path
    brightness : bool
        Require a Jy/beam unit, a beam and total intensity; False for weights and noise maps,
        whose headers often lack them.
    beam : Beam, optional
        Counts instead of that of the header.
    """
    with naming(path):
        data, header, beams = open_image(path, beams=brightness and beam is None)
        wcs, plane = celestial_plane(data, header, path)
        if not brightness:
            return StoredPlane(path, plane, wcs, header)
        require_total_intensity(header, path)
        factor = unit_factor(header, path)
        beam = choose_beam(beam, header, beams, path)
        longest = float(pixel_scales_arcsec(wcs, *middle(plane.shape))[0])
        check_beam(beam, longest, plane.shape, path)
    return StoredImage(path, plane, wcs, header, beam, factor)


def read_plane(path: str | Path, *, beam: Beam | None = None) -> Plane:
    """Read the celestial plane of a FITS image.

    Handles 2-D images and those with further axes of length 1, in any HDU, any BITPIX, any
    celestial frame and projection, any spelling of Jy/beam, and the beam where AIPS and
    CASA put it. Blank are NaN, infinity, the value of BLANK, and solid areas of 0 among
    floating-point numbers (see `radiounet.images.blanks.solid_zeros`).

    Parameters
    ----------
    path : path
    beam : Beam, optional
        Counts instead of that of the header.

    Returns
    -------
    Plane

    Raises
    ------
    NotFitsError, TruncatedError, CelestialError, GridError, StokesError, UnitError, BeamError
        By the part of the file that cannot be used.
    AllBlankError, BrightnessError
        By its pixels.
    TransientError
        The file cannot be read now.
    """
    stored = open_plane(path, beam=beam)
    with reading(path):
        plane = stored.window()
    with naming(path):
        stored.require_brightness(plane, slice(None), slice(None))
        if np.isnan(plane).all():
            raise AllBlankError(f"{path}: all {plane.size} pixels are blank (NaN or zero)")
        resolution = read_resolution(stored.header, stored.beam, path)
    return Plane(plane, stored.wcs, stored.beam, resolution)


def read_part(path: str | Path, rows: slice, columns: slice) -> Plane:
    """Read a part of the celestial plane of a FITS image; see `read_plane`, but for errors in its pixels."""
    stored = open_plane(path)
    with naming(path):
        resolution = read_resolution(stored.header, stored.beam, path)
    return Plane(stored.window(rows, columns), stored.wcs[rows, columns], stored.beam, resolution)


def require_same_grid(first: Plane | StoredPlane, second: Plane | StoredPlane, names: str) -> None:
    """Raise `ShapeMismatchError` unless two planes share shape and coordinates (to 0.01 px)."""
    if first.data.shape != second.data.shape:
        raise ShapeMismatchError(f"{names} differ in shape: {first.data.shape} and {second.data.shape}")
    if not has_same_grid(first, second):
        raise ShapeMismatchError(f"{names} differ in their coordinates")


def has_same_grid(first: Plane | StoredPlane, second: Plane | StoredPlane) -> bool:
    """Whether two planes share shape and, at corners, edges and in the middle, coordinates (to 0.01 px)."""
    if first.data.shape != second.data.shape:
        return False
    y, x = np.meshgrid(*(np.linspace(0, side - 1, 3) for side in first.data.shape), indexing="ij")
    places = np.stack([x, y])
    there, here = (np.stack(pixels_in(a.wcs, b.wcs, x, y)) for a, b in ((second, first), (first, second)))
    known = np.isfinite(there)
    if not (known == np.isfinite(here)).all() or not known[:, 1, 1].all():
        return False
    return np.allclose(there[known], places[known], rtol=0, atol=0.01)


def covering_square(
    wcs: WCS, shape: tuple[int, int], pixel_arcsec: float, path: str | Path = "the image"
) -> Mosaic:
    """Square of sky, north up, around the middle of an image, whose SIN grid (`grid_wcs`) holds all of it.

    Raises
    ------
    CelestialError
        The image is wider than one tangent plane shows.
    """
    ra, dec = (float(one) for one in to_sky(wcs, *middle(shape)))
    x, y = outline(shape, steps=32)
    half = np.abs(offsets_deg(ra, dec, *to_sky(wcs, x, y))).max()
    if not half <= WIDEST_DEG / 2:
        wide = outside_text(2 * half, 0, WIDEST_DEG, 3)
        size = f"{wide} deg wide" if np.isfinite(half) else "not on the sky up to its borders"
        raise CelestialError(f"{path} is {size}; at most {WIDEST_DEG:g} deg can be shown: cut it into parts")
    # a tenth of a pixel allows for rounding and for the curvature of the sky
    return Mosaic("image", ra, dec, int(np.ceil(2 * half * 3600 / pixel_arcsec - 0.1)))


def place_of(path: str | Path, pixel_arcsec: float) -> tuple[float, float, int]:
    """Centre (ICRS deg) and side in pixels of the square that an image covers, from its header alone.

    An image that cannot be read gets a place that owns no sky; reading it
    later says why.

    Raises
    ------
    TransientError
        The file cannot be read now.
    """
    try:
        with naming(path):
            data, header, _ = open_image(path)
            wcs, plane = celestial_plane(data, header, path)
            place = covering_square(wcs, plane.shape, pixel_arcsec, path)
    except BadDataError as error:
        logger.warning("%s", error)
        return 0.0, -90.0, 0
    return place.ra_deg, place.dec_deg, place.n_px


def grid_wcs(ra_deg: float, dec_deg: float, n_px: int, pixel_arcsec: float) -> WCS:
    """SIN grid of a mosaic: reference pixel N/2 (FITS), north up, east left, ICRS."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [n_px / 2, n_px / 2]
    wcs.wcs.cdelt = [-pixel_arcsec / 3600, pixel_arcsec / 3600]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    wcs.array_shape = (n_px, n_px)
    return wcs


def mosaic_wcs(mosaic: Mosaic, pixel_arcsec: float) -> WCS:
    """Grid of a mosaic of the survey."""
    return grid_wcs(mosaic.ra_deg, mosaic.dec_deg, mosaic.n_px, pixel_arcsec)


def scales_over(plane: Plane) -> np.ndarray:
    """Sides of pixels in the middle and at the corners of an image, ``[5, 2]`` arcsec, longest first.

    A projection stretches most at the corners, so what holds there holds all over: a SIN
    grid grows by 1 % at 8 deg from its centre, a TAN grid at 6 deg. NaN off the sky.
    """
    x, y = outline(plane.data.shape)
    across, up = middle(plane.data.shape)
    # pixels, not their edges: at the limb of a projection the outer edge can be off the sky
    x, y = np.clip(x, 0, 2 * across), np.clip(y, 0, 2 * up)
    return pixel_scales_arcsec(plane.wcs, np.append(x, across), np.append(y, up))


def has_scale(plane: Plane, pixel_arcsec: float) -> bool:
    """Whether an image has square pixels of that side all over, within 1 %."""
    # written so that NaN says no
    return bool(np.all(np.abs(scales_over(plane) - pixel_arcsec) <= SCALE_TOLERANCE * pixel_arcsec))


def check_grid(plane: Plane, pixel_arcsec: float, beam_arcsec: float, path: str | Path) -> None:
    """Raise `GridError` unless a plane has a model's pixel scale and beam."""
    if not has_scale(plane, pixel_arcsec):
        scales = scales_over(plane)
        raise GridError(
            f"{path}: pixels of {scales.min():.3f} to {scales.max():.3f} arcsec, "
            f"the model needs {pixel_arcsec}"
        )
    if not plane.beam.matches(beam_arcsec):
        raise GridError(
            f"{path}: beam {plane.beam.major_arcsec:.2f} x {plane.beam.minor_arcsec:.2f} arcsec, "
            f"the model needs {beam_arcsec}"
        )
