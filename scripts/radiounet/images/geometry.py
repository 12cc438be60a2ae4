"""Between pixels and the sky: the only module that asks an image's WCS for positions.

Positions are ICRS, whatever frame an image is in. Pixels count from 0, as arrays do.
"""

import numpy as np
import numpy.typing as npt
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    FK4NoETerms,
    Galactic,
    SkyCoord,
    Supergalactic,
)
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.wcs import NoConvergence
from scipy import ndimage

from radiounet.errors import CelestialError

CYLINDERS = ("CAR", "CEA", "MER")
"""Projections whose columns are longitudes."""
EQUINOXES = 1800.0, 2100.0
AREA_STEP_PX = 64
FK4_BEFORE = 1984.0
"""An equinox without RADESYS is FK4 before, FK5 after (FITS standard 4.0, section 8.3)."""


def frame_of(wcs: WCS) -> BaseCoordinateFrame:
    """Celestial frame of a WCS, by CTYPE, RADESYS, EQUINOX and the date of observation.

    Raises
    ------
    CelestialError
        A frame that is not one of the sky (Earth, Sun, planets), or an unknown one.
    """
    kind, system, equinox = wcs.wcs.ctype[wcs.wcs.lng][:4], wcs.wcs.radesys.strip().upper(), wcs.wcs.equinox
    if kind == "GLON":
        return Galactic()
    if kind == "SLON":
        return Supergalactic()
    if np.isfinite(equinox) and not EQUINOXES[0] <= equinox <= EQUINOXES[1]:
        raise CelestialError(f"EQUINOX {equinox} is not a year between 1800 and 2100")
    given = np.isfinite(equinox)
    if not system:
        system = "ICRS" if not given else "FK4" if equinox < FK4_BEFORE else "FK5"
    besselian = system.startswith("FK4")
    when = Time(
        equinox if given else 1950.0 if besselian else 2000.0, format="byear" if besselian else "jyear"
    )
    if kind == "ELON" and system in ("ICRS", "FK5"):
        return BarycentricMeanEcliptic(equinox=when)
    if kind.startswith("RA"):
        if system == "ICRS":
            return ICRS()
        if system == "FK5":
            return FK5(equinox=when)
        if besselian and system in ("FK4", "FK4-NO-E"):
            frame = FK4 if system == "FK4" else FK4NoETerms
            observed = wcs.wcs.mjdobs
            return frame(equinox=when, obstime=Time(observed, format="mjd") if observed > 0 else when)
    raise CelestialError(f"CTYPE {kind} with RADESYS {system or 'not given'} is no frame of the sky")


def grid_header(wcs: WCS) -> fits.Header:
    """Cards of a grid, with its distortion if it has one."""
    return wcs.to_header(relax=wcs.sip is not None)


def centre_cylinder(wcs: WCS, shape: tuple[int, int]) -> None:
    """Put the reference of a cylindrical projection into the middle of an image that reaches beyond 180 deg.

    Columns are longitudes there, so this changes no coordinate; without it wcslib gives those beyond none.
    """
    matrix = wcs.pixel_scale_matrix
    is_cylinder = wcs.wcs.ctype[0][5:] in CYLINDERS and wcs.wcs.crval[1] == 0
    if not is_cylinder or matrix[0, 1] != 0 or matrix[1, 0] != 0 or wcs.sip is not None:
        return
    first, middle_px, last = 0.5, (shape[1] + 1) / 2, shape[1] + 0.5
    longitudes = (np.array([first, middle_px, last]) - wcs.wcs.crpix[0]) * matrix[0, 0]
    if np.abs(longitudes).max() <= 180:
        return
    reference, crval = wcs.wcs.crpix.copy(), wcs.wcs.crval.copy()
    # off the equator, where both have positions: a pole that is turned or mirrored would show
    half = 0.4 * (360 - min(abs(longitudes[1]), 360))
    offsets = np.array([[-half, 20.0], [0.0, 0.0], [half, -20.0]]) + [longitudes[1] / 2, 0]
    pixels = reference + offsets / np.diag(matrix)
    before = wcs.wcs_pix2world(pixels, 1)
    wcs.wcs.crval = [(crval[0] + longitudes[1]) % 360, 0.0]
    wcs.wcs.crpix = [middle_px, reference[1]]
    wcs.wcs.set()
    change = (wcs.wcs_pix2world(pixels, 1) - before + 180) % 360 - 180
    if not (np.abs(change) < 1e-9).all():  # written so that NaN says no
        wcs.wcs.crval, wcs.wcs.crpix = crval, reference
        wcs.wcs.set()


def is_equatorial_j2000(wcs: WCS) -> bool:
    """Whether a WCS is ICRS or FK5 of J2000, whose axes differ by 20 mas at most."""
    frame = frame_of(wcs)
    return any(frame.is_equivalent_frame(one) for one in (ICRS(), FK5(equinox="J2000")))


def to_sky(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Positions of pixels.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, 2-D, longitude first.
    x, y : array_like
        Columns and rows from 0; any shape.

    Returns
    -------
    ra_deg, dec_deg : ndarray
        ICRS, RA 0..360; NaN where the projection has no sky.
    """
    longitude, latitude = _native(wcs, x, y)
    frame = frame_of(wcs)
    if not frame.is_equivalent_frame(ICRS()):
        longitude, latitude = _change(frame, ICRS(), longitude, latitude)
    return longitude % 360, latitude


def to_pixels(wcs: WCS, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of ICRS positions, deg: columns and rows from 0, NaN where the projection has none."""
    longitude, latitude = np.broadcast_arrays(np.asarray(ra_deg, float), np.asarray(dec_deg, float))
    frame = frame_of(wcs)
    if not frame.is_equivalent_frame(ICRS()):
        longitude, latitude = _change(ICRS(), frame, longitude, latitude)
    return _pixels(wcs, longitude, latitude)


def pixels_in(image: WCS, grid: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of an image, columns and rows, at which pixels of a grid lie; NaN where there are none."""
    longitude, latitude = _native(grid, x, y)
    frames = frame_of(grid), frame_of(image)
    if not frames[0].is_equivalent_frame(frames[1]):
        longitude, latitude = _change(*frames, longitude, latitude)
    return _pixels(image, longitude, latitude)


def _native(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude in the WCS's own frame, deg."""
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    sky = wcs.all_pix2world(np.column_stack([x.ravel(), y.ravel()]), 0).T
    return sky[0].reshape(x.shape), sky[1].reshape(x.shape)


def _pixels(wcs: WCS, longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.column_stack([longitude.ravel(), latitude.ravel()])
    known = np.isfinite(places).all(axis=1)
    found = np.full_like(places, np.nan)
    if known.any():
        found[known] = _undistorted(wcs, places[known])
    return found[:, 0].reshape(longitude.shape), found[:, 1].reshape(longitude.shape)


def _undistorted(wcs: WCS, places: np.ndarray) -> np.ndarray:
    """Pixels of places, both ``[place, 2]``; NaN far from an image whose distortion has no inverse there."""
    try:
        return wcs.all_world2pix(places, 0)
    except NoConvergence as error:
        found = error.best_solution
        for lost in (error.divergent, error.slow_conv):
            if lost is not None:
                found[lost] = np.nan
        return found


def _change(
    old: BaseCoordinateFrame, new: BaseCoordinateFrame, longitude: np.ndarray, latitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    place = SkyCoord(longitude, latitude, unit="deg", frame=old).transform_to(new)
    return place.spherical.lon.deg, place.spherical.lat.deg


def jacobian(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """How far one step along the columns and along the rows leads on the sky.

    From the positions half a pixel to either side, on the sphere; so it holds for any
    projection, at any distance from the reference pixel.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, 2-D, longitude first.
    x, y : array_like
        Columns and rows from 0; any shape.

    Returns
    -------
    ndarray, ``[..., (east, north), (x, y)]``
        arcsec per pixel; north is that of the WCS's own frame. NaN where the projection has no
        sky, within half a pixel.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    longitude, latitude = np.radians(_native(wcs, x, y))
    zero = np.zeros_like(longitude)
    east = np.stack([-np.sin(longitude), np.cos(longitude), zero], axis=-1)
    north = np.stack(
        [-np.sin(latitude) * np.cos(longitude), -np.sin(latitude) * np.sin(longitude), np.cos(latitude)],
        axis=-1,
    )
    steps = [
        _vectors(wcs, x + dx / 2, y + dy / 2) - _vectors(wcs, x - dx / 2, y - dy / 2)
        for dx, dy in ((1, 0), (0, 1))
    ]
    rows = [np.stack([np.sum(step * axis, axis=-1) for step in steps], axis=-1) for axis in (east, north)]
    return np.degrees(np.stack(rows, axis=-2)) * 3600


def _vectors(wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    longitude, latitude = np.radians(_native(wcs, x, y))
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)],
        axis=-1,
    )


def north_of_reference_deg(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Position angle, where pixels lie, of the direction that is north at the reference position.

    0 there, and all over a cylindrical projection; meridians meet at the poles, so that it differs most
    near them. By the rotation nearest to what leads from the plane of the projection to the sky, which
    stretches as well.

    Parameters
    ----------
    wcs, x, y
        See `jacobian`.

    Returns
    -------
    ndarray
        deg, from north through east in the WCS's own frame.
    """
    sky_of_plane = jacobian(wcs, x, y) @ np.linalg.inv(wcs.pixel_scale_matrix)
    turn = np.arctan2(
        sky_of_plane[..., 0, 1] - sky_of_plane[..., 1, 0], sky_of_plane[..., 0, 0] + sky_of_plane[..., 1, 1]
    )
    # LONPOLE turns the plane of a projection whose reference is its own pole
    own_turn = 180 - wcs.wcs.lonpole if wcs.wcs.theta0 == 90 else 0.0
    return np.degrees(turn) + own_turn


def pixel_area_arcsec2(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Solid angle of pixels where they lie, arcsec2; see `jacobian`."""
    return np.abs(_determinant(jacobian(wcs, x, y)))


def _determinant(matrix: np.ndarray) -> np.ndarray:
    """Of ``[..., 2, 2]``; NaN in, NaN out, of which numpy's own warns."""
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def pixel_areas_arcsec2(wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Solid angles of many pixels of one part of an image, ``[pixel]`` arcsec2.

    Exact on a lattice, linear in between. Over 64 px of 4.5", 1.4e-3 rad, a scale that
    varies with the cosine of an angle departs from a line by 1.4e-3^2 / 8, or 2.5e-7.
    """
    nodes, place = [], []
    for one in (x, y):
        start = np.floor(np.min(one))
        count = max(int(np.ceil((np.max(one) - start) / AREA_STEP_PX)) + 1, 2)
        nodes.append(start + AREA_STEP_PX * np.arange(count))
        place.append((np.asarray(one) - start) / AREA_STEP_PX)
    areas = pixel_area_arcsec2(wcs, *np.meshgrid(*nodes))
    return ndimage.map_coordinates(areas, place[::-1], order=1)


def pixel_scales_arcsec(wcs: WCS, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Longest and shortest side of pixels where they lie, ``[..., 2]`` arcsec.

    The singular values of the `jacobian`: the same however the pixels are turned.
    """
    matrix = jacobian(wcs, x, y)
    square, area = np.sum(matrix**2, axis=(-2, -1)), np.abs(_determinant(matrix))
    # of the sum and difference of the two; numpy's own routine fails where one is NaN
    total, apart = np.sqrt(square + 2 * area), np.sqrt(np.maximum(square - 2 * area, 0))
    return np.stack([(total + apart) / 2, (total - apart) / 2], axis=-1)


def middle(shape: tuple[int, int]) -> tuple[float, float]:
    """Column and row of the middle of an image of a shape ``[y, x]``."""
    return (shape[1] - 1) / 2, (shape[0] - 1) / 2


def outline(shape: tuple[int, int], steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows along the border of an image, on its outermost pixels' outer edges.

    Parameters
    ----------
    shape : (int, int)
        ``[y, x]``.
    steps : int
        Points per side.
    """
    part = np.arange(steps) / steps
    one, zero = np.ones(steps), np.zeros(steps)
    x = np.concatenate([part, one, 1 - part, zero]) * shape[1] - 0.5
    y = np.concatenate([zero, part, one, 1 - part]) * shape[0] - 0.5
    return x, y
