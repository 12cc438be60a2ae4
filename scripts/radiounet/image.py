"""FITS images in and out: one celestial plane, its unit, beam and grid."""

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, WCSSUB_LATITUDE, WCSSUB_LONGITUDE, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    BeamError,
    CelestialError,
    GridError,
    NotFitsError,
    ShapeMismatchError,
    TruncatedError,
    UnitError,
)
from radiounet.gaussian import FWHM_AREA
from radiounet.products import provenance, sha256_of, write_fits
from radiounet.sky import PIXEL_ARCSEC, Mosaic

logger = logging.getLogger(__name__)

SCALE_TOLERANCE = 0.01
BEAM_TOLERANCE = 0.02
WIDEST_BEAM_ARCSEC = 3600.0
"""A wider beam is one that was written in arcsec."""


@dataclass(frozen=True)
class Beam:
    """Restoring beam: FWHM of the axes in arcsec, position angle in deg (north to east)."""

    major_arcsec: float
    minor_arcsec: float
    angle_deg: float = 0.0

    @property
    def area_arcsec2(self) -> float:
        """Solid angle of the Gaussian, arcsec2."""
        return FWHM_AREA * self.major_arcsec * self.minor_arcsec

    def matches(self, fwhm_arcsec: float) -> bool:
        """Whether this is the circular beam of that width, within 2 %."""
        allowed = BEAM_TOLERANCE * fwhm_arcsec
        return (
            abs(self.major_arcsec - fwhm_arcsec) <= allowed
            and abs(self.minor_arcsec - fwhm_arcsec) <= allowed
        )


@dataclass
class Plane:
    """One celestial plane of an image.

    Attributes
    ----------
    data : ndarray of float32, ``[y, x]``
        Jy/beam where a unit is required; NaN where blank.
    wcs : astropy.wcs.WCS
        Celestial, 2-D, RA 0..360 deg.
    beam : Beam or None
        What Jy/beam refers to; None only where none was required.
    resolution : Beam or None
        The beam the image was made with, where that is coarser than `beam`
        (see `to_model_grid`); it says how many pixels are independent.
    notes : list of str
        What was done to the image that a user must know; kept as HISTORY.
    """

    data: np.ndarray
    wcs: WCS
    beam: Beam | None
    resolution: Beam | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def pixel_arcsec(self) -> float:
        """Mean pixel scale, arcsec."""
        return float(np.mean(proj_plane_pixel_scales(self.wcs)) * 3600)

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam in pixels."""
        return self.beam.area_arcsec2 / self.pixel_arcsec**2

    @property
    def resolution_area_px(self) -> float:
        """Solid angle of the beam the image was made with, in pixels."""
        return (self.resolution or self.beam).area_arcsec2 / self.pixel_arcsec**2

    def header(self) -> fits.Header:
        """Header with the grid, beam, unit and notes of this plane."""
        header = self.wcs.to_header()
        for key in ("DATE-REF", "MJDREF"):
            header.remove(key, ignore_missing=True)
        if self.beam:
            header["BMAJ"] = (self.beam.major_arcsec / 3600, "deg")
            header["BMIN"] = (self.beam.minor_arcsec / 3600, "deg")
            header["BPA"] = (self.beam.angle_deg, "deg")
        if self.resolution and self.resolution != self.beam:
            header["RESBMAJ"] = (self.resolution.major_arcsec / 3600, "deg, resolution of the image")
            header["RESBMIN"] = (self.resolution.minor_arcsec / 3600, "deg, resolution of the image")
        header["BUNIT"] = "JY/BEAM"
        for note in self.notes:
            header.add_history(note)
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
        Celestial, 2-D, RA 0..360 deg, with ``array_shape``.
    beam : Beam or None
    factor : float or None
        Brings the numbers to Jy/beam, and 0 stands for a blank; None where no
        brightness was required: numbers as they are.
    header : astropy.io.fits.Header
    """

    path: str | Path
    data: np.ndarray
    wcs: WCS
    beam: Beam | None
    factor: float | None
    header: fits.Header

    def window(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Part of the plane as a new array of float32, ``[y, x]``, NaN where blank."""
        plane = np.array(self.data[rows, columns], np.float32, order="C")
        if self.factor is not None:
            if self.factor != 1:
                plane *= np.float32(self.factor)
            plane[~np.isfinite(plane) | (plane == 0)] = np.nan
        return plane


def open_plane(path: str | Path, *, brightness: bool = True) -> StoredPlane:
    """Open the celestial plane of a FITS image; see `read_plane`, but for `AllBlankError`."""
    try:
        data, header = _open(path)
        wcs, plane = _celestial(data, header, path)
        factor = unit_factor(header, path) if brightness else None
        beam = _beam(header, path) if brightness else None
    except BadDataError as error:
        error.file = str(path)
        raise
    wcs.array_shape = plane.shape
    return StoredPlane(path, plane, wcs, beam, factor, header)


def read_plane(path: str | Path, *, brightness: bool = True) -> Plane:
    """Read the celestial plane of a FITS image.

    Handles 2-D images and 4-D ones with length-1 axes, any BITPIX, any case of
    BUNIT, RA below 0, and NaN or exactly zero blanks.

    Parameters
    ----------
    path : path
    brightness : bool
        Require a Jy/beam unit and a beam; False for weights and noise maps,
        whose headers often lack both.

    Returns
    -------
    Plane

    Raises
    ------
    NotFitsError, TruncatedError, CelestialError, UnitError, BeamError, AllBlankError
    """
    stored = open_plane(path, brightness=brightness)
    plane, header, beam = stored.window(), stored.header, stored.beam
    if brightness and np.isnan(plane).all():
        error = AllBlankError(f"{path}: all {plane.size} pixels are blank (NaN or zero)")
        error.file = str(path)
        raise error
    known = brightness and "RESBMAJ" in header
    resolution = Beam(header["RESBMAJ"] * 3600, header["RESBMIN"] * 3600) if known else beam
    return Plane(plane, stored.wcs, beam, resolution)


def _open(path: str | Path) -> tuple[np.ndarray, fits.Header]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path) as hdus:
                hdu = next((hdu for hdu in hdus if hdu.header.get("NAXIS", 0) >= 2), None)
                if hdu is None or not hdu.is_image:
                    raise CelestialError(f"{path} holds no image")
                return hdu.data, hdu.header
    except FileNotFoundError:
        raise NotFitsError(f"there is no file {path}") from None
    except (TypeError, ValueError, KeyError, fits.VerifyError) as error:  # short data, lost keywords
        raise TruncatedError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise NotFitsError(f"{path} is not a readable FITS file: {error}") from error


def _celestial(data: np.ndarray, header: fits.Header, path) -> tuple[WCS, np.ndarray]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            full = WCS(header)
            # longitude first, whatever their order in the file
            wcs = full.sub([WCSSUB_LONGITUDE, WCSSUB_LATITUDE])
    except (ValueError, KeyError, MemoryError) as error:
        raise CelestialError(f"{path}: its coordinates cannot be read: {error}") from error
    if wcs.naxis != 2 or not wcs.has_celestial:
        raise CelestialError(f"{path}: no pair of celestial axes among {list(full.wcs.ctype)}")
    longitude, latitude = full.wcs.lng, full.wcs.lat
    others = [axis for axis in range(data.ndim) if axis not in (longitude, latitude)]
    extra = [data.shape[data.ndim - 1 - axis] for axis in others]
    if any(length != 1 for length in extra):
        raise CelestialError(f"{path}: shape {data.shape} is more than one celestial plane")
    order = [data.ndim - 1 - axis for axis in (*others, latitude, longitude)]
    plane = np.transpose(data, order)[(0,) * len(others)]
    wcs.wcs.crval = [wcs.wcs.crval[0] % 360, wcs.wcs.crval[1]]
    return wcs, plane


def unit_factor(header: fits.Header, path, default: str = "") -> float:
    """Factor that brings an image to Jy/beam; `default` is its unit where the header has none.

    Raises
    ------
    UnitError
    """
    text = str(header.get("BUNIT", "")).strip() or default
    if not text:
        raise UnitError(f"{path} has no BUNIT; an image must be in Jy/beam")
    known = {"jy/beam": 1.0, "jybeam-1": 1.0, "jybm-1": 1.0, "mjy/beam": 1e-3, "ujy/beam": 1e-6}
    factor = known.get(text.lower().replace(" ", "").replace("**", "").replace(".", "").replace("^", ""))
    if factor is None:
        raise UnitError(f"{path} has BUNIT {text!r}; an image must be in Jy/beam")
    return factor


def _beam(header: fits.Header, path) -> Beam:
    missing = [key for key in ("BMAJ", "BMIN") if key not in header]
    if missing:
        raise BeamError(f"{path} has no {' and no '.join(missing)}: the beam must be in the header, deg")
    try:
        beam = Beam(float(header["BMAJ"]) * 3600, float(header["BMIN"]) * 3600, float(header.get("BPA", 0.0)))
    except (ValueError, TypeError) as error:
        raise BeamError(f"{path} has a beam that is no number: {error}") from None
    sides = np.array([beam.major_arcsec, beam.minor_arcsec])
    if not (np.isfinite(sides).all() and (sides > 0).all() and (sides < WIDEST_BEAM_ARCSEC).all()):
        raise BeamError(
            f"{path} has an unusable beam: BMAJ {header['BMAJ']}, BMIN {header['BMIN']}; both must be in deg"
        )
    return beam


def require_same_grid(first: Plane | StoredPlane, second: Plane | StoredPlane, names: str) -> None:
    """Raise `ShapeMismatchError` unless two planes share shape and coordinates (to 0.01 px)."""
    if first.data.shape != second.data.shape:
        raise ShapeMismatchError(f"{names} differ in shape: {first.data.shape} and {second.data.shape}")
    corners = np.array([[0, 0], [first.data.shape[1] - 1, first.data.shape[0] - 1]], float)
    there = second.wcs.wcs_world2pix(first.wcs.wcs_pix2world(corners, 0), 0)
    if not np.allclose(there, corners, atol=0.01):
        raise ShapeMismatchError(f"{names} differ in their coordinates")


def place_of(path: str | Path) -> tuple[float, float, int]:
    """Centre (ICRS deg) and longer side in 4.5" pixels of an image, from its header alone.

    An image that cannot be read gets a place that owns no sky; reading it
    later says why.
    """
    try:
        data, header = _open(path)
        wcs, plane = _celestial(data, header, path)
    except (NotFitsError, TruncatedError, CelestialError) as error:
        logger.warning("%s", error)
        return 0.0, -90.0, 0
    ny, nx = plane.shape
    ra, dec = wcs.wcs_pix2world([[(nx - 1) / 2, (ny - 1) / 2]], 0)[0]
    scale = np.mean(proj_plane_pixel_scales(wcs)) * 3600
    return float(ra), float(dec), int(np.ceil(max(nx, ny) * scale / PIXEL_ARCSEC))


def grid_wcs(ra_deg: float, dec_deg: float, n_px: int, pixel_arcsec: float) -> WCS:
    """SIN grid of a mosaic: reference pixel N/2 (FITS), north up, east left."""
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


def check_grid(plane: Plane, pixel_arcsec: float, beam_arcsec: float, path) -> None:
    """Raise `GridError` unless a plane has a model's pixel scale and beam."""
    scales = proj_plane_pixel_scales(plane.wcs) * 3600
    if np.any(np.abs(scales - pixel_arcsec) > SCALE_TOLERANCE * pixel_arcsec):
        raise GridError(f"{path}: pixels of {scales.round(3)} arcsec, the model needs {pixel_arcsec}")
    if not plane.beam.matches(beam_arcsec):
        raise GridError(
            f"{path}: beam {plane.beam.major_arcsec:.2f} x {plane.beam.minor_arcsec:.2f} arcsec, "
            f"the model needs {beam_arcsec}"
        )


def to_model_grid(plane: Plane, pixel_arcsec: float, beam_arcsec: float) -> Plane:
    """Bring an image to a model's beam and pixel scale.

    A finer beam is convolved to the model's; a coarser one stays, and the
    brightness is scaled by the beam-area ratio, so that a source wider than
    both beams has the Jy/beam it would have at the model's resolution.

    Parameters
    ----------
    plane : Plane
    pixel_arcsec, beam_arcsec : float
        Of the model.

    Returns
    -------
    Plane
        On a SIN grid around the image's centre, north up, east left; the very
        same object when nothing was to do.
    """
    scales = proj_plane_pixel_scales(plane.wcs) * 3600
    same_scale = np.all(np.abs(scales - pixel_arcsec) <= SCALE_TOLERANCE * pixel_arcsec)
    if same_scale and plane.beam.matches(beam_arcsec) and _north_up(plane.wcs):
        return plane
    if not plane.beam.matches(beam_arcsec):
        plane = _to_beam(plane, beam_arcsec)
    if not same_scale or not _north_up(plane.wcs):
        plane = _to_scale(plane, pixel_arcsec)
    return plane


def _north_up(wcs: WCS) -> bool:
    matrix = wcs.pixel_scale_matrix
    size = np.abs(matrix).max()
    return bool(matrix[0, 0] < 0 < matrix[1, 1] and max(abs(matrix[0, 1]), abs(matrix[1, 0])) < 1e-3 * size)


def _to_beam(plane: Plane, beam_arcsec: float) -> Plane:
    from radio_beam import Beam as RadioBeam
    from radio_beam.utils import BeamError as DeconvolutionError
    from scipy.signal import oaconvolve

    native = plane.beam
    ratio = beam_arcsec**2 / (native.major_arcsec * native.minor_arcsec)
    have = RadioBeam(native.major_arcsec * u.arcsec, native.minor_arcsec * u.arcsec, native.angle_deg * u.deg)
    want = RadioBeam(beam_arcsec * u.arcsec)
    try:
        kernel_beam = want.deconvolve(have)
    except (DeconvolutionError, ValueError):
        note = (
            f"beam {native.major_arcsec:.2f} x {native.minor_arcsec:.2f} arcsec is coarser than the "
            f"model's {beam_arcsec} arcsec: Jy/beam scaled by {ratio:.4g}, resolution unchanged"
        )
        logger.warning("%s", note)
        data = plane.data * np.float32(ratio)
        notes = [*plane.notes, "WARNING " + note]
        return Plane(data, plane.wcs, Beam(beam_arcsec, beam_arcsec), native, notes)
    kernel = kernel_beam.as_kernel(plane.pixel_arcsec * u.arcsec).array.astype(np.float32)
    kernel /= kernel.sum()
    blank = np.isnan(plane.data)
    smooth = oaconvolve(np.where(blank, np.float32(0), plane.data), kernel, mode="same")
    # a blank or the border is unknown, not dark: weigh by what the kernel could see
    seen = oaconvolve((~blank).astype(np.float32), kernel, mode="same")
    data = (smooth * ratio / np.maximum(seen, 0.1)).astype(np.float32)
    data[blank] = np.nan
    note = f"convolved from {native.major_arcsec:.2f} x {native.minor_arcsec:.2f} to {beam_arcsec} arcsec"
    return Plane(data, plane.wcs, Beam(beam_arcsec, beam_arcsec), None, [*plane.notes, note])


def _to_scale(plane: Plane, pixel_arcsec: float) -> Plane:
    from reproject import reproject_interp

    ny, nx = plane.data.shape
    centre = plane.wcs.wcs_pix2world([[(nx - 1) / 2, (ny - 1) / 2]], 0)[0]
    n_px = 2 * int(np.ceil(max(nx, ny) * plane.pixel_arcsec / pixel_arcsec / 2))
    target = grid_wcs(float(centre[0] % 360), float(centre[1]), n_px, pixel_arcsec)
    blank = np.isnan(plane.data)
    # a cubic spline spreads NaN over whole rows, so the blanks travel apart
    filled = np.where(blank, np.float32(0), plane.data)
    data, inside = reproject_interp((filled, plane.wcs), target, (n_px, n_px), order="bicubic")
    gone, _ = reproject_interp((blank.astype(np.float32), plane.wcs), target, (n_px, n_px), order="bilinear")
    data = data.astype(np.float32)
    data[(inside == 0) | ~(gone < 0.5)] = np.nan
    note = f"regridded from {plane.pixel_arcsec:.3f} to {pixel_arcsec} arcsec pixels (bicubic)"
    return Plane(data, target, plane.beam, plane.resolution, [*plane.notes, note])


def copy_frequency(header: fits.Header, source: str | Path) -> None:
    """Give a product the frequency of the image it was made from, where that has one (Hz)."""
    origin = fits.getheader(source)
    axes = [n for n in range(3, origin["NAXIS"] + 1) if str(origin.get(f"CTYPE{n}", "")).startswith("FREQ")]
    value = origin.get("RESTFRQ", origin.get(f"CRVAL{axes[0]}") if axes else None)
    if value:
        header["RESTFRQ"] = (float(value), "Hz")


def prepare_image(source: str, target: str, pixel_arcsec: float, beam_arcsec: float) -> None:
    """Bring the user's own image to a model's beam and pixel scale, and write it."""
    plane = to_model_grid(read_plane(source), pixel_arcsec, beam_arcsec)
    for note in plane.notes:
        logger.info("%s: %s", source, note)
    header = plane.header()
    copy_frequency(header, source)
    header.extend(provenance(inputsha=sha256_of(source)))
    write_fits(target, plane.data, header)
