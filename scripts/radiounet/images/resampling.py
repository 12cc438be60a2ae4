"""The user's own images brought to the beam and the grid of a model."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from scipy import ndimage

from radiounet.errors import GridError
from radiounet.images.beams import Beam, beam_jacobian, falls_between
from radiounet.images.dates import image_date
from radiounet.images.fits_planes import open_image
from radiounet.images.frequencies import copy_frequency
from radiounet.images.gaussian import FWHM_TO_SIGMA, gaussian_kernel
from radiounet.images.geometry import (
    is_equatorial_j2000,
    jacobian,
    middle,
    pixel_scales_arcsec,
    pixels_in,
    to_pixels,
)
from radiounet.images.image import (
    Plane,
    StoredPlane,
    covering_square,
    grid_wcs,
    has_scale,
    read_plane,
    scales_over,
)
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.squares import BEAM_TOLERANCE
from radiounet.images.writing import write_fits

logger = logging.getLogger(__name__)

WARNING = "WARNING "
"""Start of notes that were logged as warnings."""

TURNED_DEG = 20.0
"""How far north may be from up. On a cut-out of a mosaic at high declination it is not
where it was at the mosaic's centre, and pixels that need no interpolation are worth more."""
ALIGNED = 1e-3
EVEN = 0.03
"""How far pixels may differ over an image for one kernel to fit all of it."""
LARGEST_SIDE_PX = 24_000
"""Side of the largest image that is made: 30 deg of 4.5" pixels, 2.3 GB."""
STRIP_PX = 256
FILL_PX = 5
"""How far into blanks values are made up: a step so far off moves a cubic spline by less than 1e-3 of it."""
FILL_SIGMA_PX = 0.7
"""Narrow, so that of what lies around the nearest counts by far the most."""


def to_model_grid(
    plane: Plane, pixel_arcsec: float, beam_arcsec: float, path: str | Path = "the image"
) -> Plane:
    """Bring an image to a model's beam and pixel scale.

    A finer beam is convolved to the model's; a coarser one stays, and the
    brightness is scaled by the beam-area ratio, so that a source wider than
    both beams has the Jy/beam it would have at the model's resolution.

    Parameters
    ----------
    plane : Plane
    pixel_arcsec, beam_arcsec : float
        Of the model.
    path : path
        For messages.

    Returns
    -------
    Plane
        On an ICRS SIN grid around the image's centre, north up, east left, that covers
        all of it; the very same object when nothing was to do or to tell: ICRS or FK5 of J2000 without
        distortion, square pixels of that scale (within 1 %) in the middle and at every
        corner, and linear terms with north up and east left, to a part in a thousand (`ALIGNED`).
        Converging meridians may turn north in the middle by `TURNED_DEG`, by any angle if a pole is on it.

    Raises
    ------
    GridError
        It would become absurdly large.
    CelestialError
        It is wider than one tangent plane shows.
    """
    seen, side = plane.made_with, pixel_scales_arcsec(plane.wcs, *middle(plane.data.shape))[0]
    if falls_between(seen, side):
        note = (
            f"the pixels, {side:.3g} arcsec, are wider than half of the beam, {seen}: "
            "flux densities of small sources will be wrong; take an image of finer pixels"
        )
        logger.warning("%s: %s", path, note)
        plane = replace(plane, notes=[*plane.notes, WARNING + note])
    fits_grid = (
        is_equatorial_j2000(plane.wcs)
        and not plane.wcs.has_distortion  # which no product has
        and has_scale(plane, pixel_arcsec)
        and _north_up(plane)
    )
    if fits_grid and abs(turned := _north_deg(plane)) >= 1:
        logger.info("%s keeps its pixels: in its middle north is %.0f deg from up", path, abs(turned))
    if not plane.beam.matches(beam_arcsec):
        if not _is_even(plane):
            # a projection that stretches: one kernel fits all of it on a SIN grid only
            plane = _to_scale(plane, float(np.nanmin(scales_over(plane))), path)
        plane = _to_beam(plane, beam_arcsec)
    return plane if fits_grid else _to_scale(plane, pixel_arcsec, path)


def _is_even(plane: Plane) -> bool:
    scales = scales_over(plane)
    return bool(np.all(np.abs(scales / scales[-1] - 1) <= EVEN))


def _north_up(plane: Plane) -> bool:
    """Whether north is up and east left, by the linear terms, and nearly so in the middle of the image."""
    matrix = plane.wcs.pixel_scale_matrix
    aligned = max(abs(matrix[0, 1]), abs(matrix[1, 0])) < ALIGNED * np.abs(matrix).max()
    if not (aligned and matrix[0, 0] < 0 < matrix[1, 1]):
        return False
    sky_of_pixels = jacobian(plane.wcs, *middle(plane.data.shape))
    if np.linalg.det(sky_of_pixels) > 0:
        return False
    return _holds_pole(plane) or abs(_north_deg(plane)) <= TURNED_DEG


def _north_deg(plane: Plane) -> float:
    """How far north is from up in the middle of an image, deg."""
    east, north = jacobian(plane.wcs, *middle(plane.data.shape))[:, 1]
    return float(np.degrees(np.arctan2(east, north)))


def _holds_pole(plane: Plane) -> bool:
    """Whether a celestial pole lies on an image, so that north has every direction there."""
    ny, nx = plane.data.shape
    x, y = to_pixels(plane.wcs, [0.0, 0.0], [90.0, -90.0])
    return bool(np.any((x >= -1) & (x <= nx) & (y >= -1) & (y <= ny)))


def _to_beam(plane: Plane, beam_arcsec: float) -> Plane:
    from scipy.signal import oaconvolve

    native = plane.beam
    ratio = beam_arcsec**2 / (native.major_arcsec * native.minor_arcsec)
    if native.major_arcsec > (1 + BEAM_TOLERANCE) * beam_arcsec:
        note = (
            f"beam {native.major_arcsec:.2f} x {native.minor_arcsec:.2f} arcsec is coarser than the "
            f"model's {beam_arcsec} arcsec: Jy/beam scaled by {ratio:.4g}, resolution unchanged"
        )
        logger.warning("%s", note)
        data = plane.data * np.float32(ratio)
        notes = [*plane.notes, WARNING + note]
        return Plane(data, plane.wcs, Beam(beam_arcsec, beam_arcsec), native, notes)
    kernel = _kernel(native, beam_arcsec, beam_jacobian(plane.wcs, native, *middle(plane.data.shape)))
    blank = np.isnan(plane.data)
    smooth = oaconvolve(np.where(blank, np.float32(0), plane.data), kernel, mode="same")
    # a blank or the border is unknown, not dark: weigh by what the kernel could see
    seen = oaconvolve((~blank).astype(np.float32), kernel, mode="same")
    data = (smooth * ratio / np.maximum(seen, 0.1)).astype(np.float32)
    data[blank] = np.nan
    note = f"convolved from {native.major_arcsec:.2f} x {native.minor_arcsec:.2f} to {beam_arcsec} arcsec"
    return Plane(data, plane.wcs, Beam(beam_arcsec, beam_arcsec), None, [*plane.notes, note])


def _kernel(beam: Beam, target_arcsec: float, sky_of_pixels: np.ndarray) -> np.ndarray:
    """What widens a beam to a round one, on pixels of any shape and direction, ``[y, x]`` float32, sum 1.

    The covariances of Gaussians add, so the kernel's is what the beam lacks along either
    of its axes, none along one that has the width already.

    Parameters
    ----------
    beam : Beam
        Not wider than the target, within 2 %.
    target_arcsec : float
        FWHM.
    sky_of_pixels : ndarray, ``[(east, north), (x, y)]``
        Arcsec per pixel, see `radiounet.images.beams.beam_jacobian`.
    """
    angle = np.radians(beam.angle_deg)
    axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
    lacking = np.maximum(target_arcsec**2 - np.array([beam.major_arcsec, beam.minor_arcsec]) ** 2, 0)
    variances = FWHM_TO_SIGMA**2 * lacking
    pixels_of_sky = np.linalg.inv(sky_of_pixels)
    spread = pixels_of_sky @ axes @ np.diag(variances) @ axes.T @ pixels_of_sky.T
    return gaussian_kernel(spread[::-1, ::-1]).astype(np.float32)


def _to_scale(plane: Plane, pixel_arcsec: float, path: str | Path) -> Plane:
    square = covering_square(plane.wcs, plane.data.shape, pixel_arcsec, path)
    # the reference pixel N/2 lies half a pixel below the middle of a grid
    n_px = 2 * int(np.ceil((square.n_px + 1) / 2))
    if n_px > LARGEST_SIDE_PX:
        raise GridError(
            f"{path} would be {n_px} x {n_px} pixels of {pixel_arcsec} arcsec, "
            f"more than {LARGEST_SIDE_PX} a side: cut it into parts"
        )
    target = grid_wcs(square.ra_deg, square.dec_deg, n_px, pixel_arcsec)
    data = _on_grid(plane, target)
    note = f"regridded from {plane.pixel_arcsec:.3f} to {pixel_arcsec} arcsec pixels (bicubic)"
    resolution = plane.resolution and beam_on(target, plane.resolution, plane)
    return Plane(data, target, beam_on(target, plane.beam, plane), resolution, [*plane.notes, note])


def beam_on(grid: WCS, beam: Beam, plane: Plane | StoredPlane) -> Beam:
    """Beam in the middle of a plane, its angle as counted on another grid.

    Unchanged where the grid's projection does not show that place.
    """
    if beam.is_round:
        return beam
    x, y = middle(plane.data.shape)
    angle = np.radians(beam.angle_deg)
    along = beam.major_arcsec * np.array([np.sin(angle), np.cos(angle)])
    step_x, step_y = np.linalg.solve(beam_jacobian(plane.wcs, beam, x, y), along)
    both = np.array([-1.0, 1.0])
    ends = np.stack(pixels_in(grid, plane.wcs, x + step_x * both, y + step_y * both))
    east, north = beam_jacobian(grid, beam, *ends.mean(axis=1)) @ np.diff(ends)[:, 0]
    turned = float(np.degrees(np.arctan2(east, north)))
    # rounded, so that the same grid gives the same angle
    return replace(beam, angle_deg=round(turned, 6) % 180) if np.isfinite(turned) else beam


def _on_grid(plane: Plane, grid: WCS) -> np.ndarray:
    """Bicubic values of a plane at the pixels of a grid, float32 ``[y, x]``, NaN where it has none."""
    blank = np.isnan(plane.data)
    # a cubic spline spreads NaN over whole rows, so the blanks travel apart
    spline = ndimage.spline_filter(_filled(plane.data, blank), output=np.float32, mode="mirror")
    blank = blank.astype(np.float32)
    result = np.full(grid.array_shape, np.nan, np.float32)
    for rows, inside, place in places_of(grid, result.shape, plane):
        values = ndimage.map_coordinates(spline, place, mode="mirror", prefilter=False)
        gone = ndimage.map_coordinates(blank, place, order=1, mode="nearest")
        result[rows][inside] = np.where(gone < 0.5, values, np.nan)
    return result


def _filled(data: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Pixels with numbers for blanks, float32 ``[y, x]``: means of the known ones around, 0 far from any.

    A step at the edge of a blank, as 0 would make it, echoes in the spline beside it.
    """
    filled = np.where(blank, np.float32(0), data)
    for block in np.ndindex(*(-(-side // STRIP_PX) for side in data.shape)):
        inner = tuple(slice(n * STRIP_PX, (n + 1) * STRIP_PX) for n in block)
        outer = tuple(slice(max(one.start - FILL_PX, 0), one.stop + FILL_PX) for one in inner)
        gone = blank[outer]
        if not gone.any() or gone.all():
            continue
        within = tuple(
            slice(one.start - wide.start, one.stop - wide.start)
            for one, wide in zip(inner, outer, strict=True)
        )
        weights, sums = (
            ndimage.gaussian_filter(one, FILL_SIGMA_PX, mode="constant", radius=FILL_PX)[within]
            for one in ((~gone).astype(float), np.where(gone, 0, data[outer]).astype(float))
        )
        near = gone[within] & (weights > 0)
        filled[inner][near] = sums[near] / weights[near]
    return filled


def places_of(
    grid: WCS, shape: tuple[int, int], image: Plane
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Where the pixels of a grid lie on an image, a strip of rows at a time so that little memory is used.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        Celestial, in any frame.
    shape : (int, int)
        Of the grid, ``[y, x]``.
    image : Plane

    Yields
    ------
    rows : slice
        Of the grid.
    inside : ndarray of bool, ``[y, x]``
        Which pixels of these rows lie on the image.
    place : ndarray, ``[(y, x), pixel]``
        Where on it those do: from -0.5 to half a pixel beyond the last row and column.
    """
    ny, nx = image.data.shape
    for start in range(0, shape[0], STRIP_PX):
        rows = slice(start, min(start + STRIP_PX, shape[0]))
        row, column = np.mgrid[rows, : shape[1]]
        x, y = pixels_in(image.wcs, grid, column, row)
        # every pixel is an area; NaN is outside
        inside = (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)
        yield rows, inside, np.stack([y[inside], x[inside]])


def prepare_image(
    source: str, target: str, pixel_arcsec: float, beam_arcsec: float, beam: Beam | None = None
) -> None:
    """Bring the user's own image to a model's beam and pixel scale, and write it.

    Parameters
    ----------
    source, target : str
    pixel_arcsec, beam_arcsec : float
        Of the model.
    beam : Beam, optional
        Of the image, instead of that of its header.
    """
    plane = to_model_grid(read_plane(source, beam=beam), pixel_arcsec, beam_arcsec, source)
    for note in plane.notes:
        if not note.startswith(WARNING):  # those are in the log already
            logger.info("%s: %s", source, note)
    header = plane.header()
    copy_frequency(header, source)
    if date := image_date(open_image(source)[1]):
        header["DATE-MAP"] = (date, "date of the image")
    header.extend(provenance(inputsha=sha256_of(source)))
    write_fits(target, plane.data, header)
