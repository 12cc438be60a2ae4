"""From probability to mask, and the islands of a mask."""

from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from radiounet.image import Plane
from radiounet.noise import local_rms

NO_DATA = 255
EIGHT_NEIGHBOURS = np.ones((3, 3), int)


def make_mask(probability: np.ndarray, threshold: float, min_area_px: float) -> np.ndarray:
    """Threshold a probability map and drop small islands.

    Parameters
    ----------
    probability : ndarray, ``[y, x]``
        0..1, NaN where there is no data.
    threshold : float
        A pixel belongs to the mask from this probability on.
    min_area_px : float
        Connected regions (8 neighbours) smaller than this are dropped.

    Returns
    -------
    ndarray of uint8, ``[y, x]``
        0 no, 1 diffuse, 255 no data.
    """
    blank = np.isnan(probability)
    above = probability >= np.float32(threshold)
    labels, count = ndimage.label(above, EIGHT_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    mask = (sizes >= max(min_area_px, 1))[labels].astype(np.uint8)
    mask[blank] = NO_DATA
    return mask


@dataclass(frozen=True)
class FluxMeasurement:
    """Integrated flux density and its error, Jy."""

    flux_jy: float
    error_jy: float


def integrate(
    image: np.ndarray, sigma: np.ndarray, beam_area_px: float, calibration_error: float
) -> FluxMeasurement:
    """Flux density of pixels: ``sum(I) / beam area``.

    The error adds the noise, ``sigma sqrt(number of beams)``, and the
    calibration error in quadrature (Cassano et al. 2013, eq. 1).

    Parameters
    ----------
    image, sigma : ndarray, ``[pixel]``
        Brightness and local noise, Jy/beam.
    beam_area_px : float
    calibration_error : float
        Fraction of the flux density.
    """
    flux = float(image.sum(dtype=np.float64)) / beam_area_px
    beams = max(image.size / beam_area_px, 1.0)
    noise = float(np.sqrt(np.mean(np.square(sigma, dtype=np.float64)) * beams))
    return FluxMeasurement(flux, float(np.hypot(noise, calibration_error * flux)))


def measure_islands(
    mask: np.ndarray, probability: np.ndarray, plane: Plane, calibration_error: float
) -> list[dict[str, object]]:
    """Measure every island of a mask.

    Parameters
    ----------
    mask : ndarray of uint8, ``[y, x]``
    probability : ndarray, ``[y, x]``
    plane : Plane
        The image, Jy/beam.
    calibration_error : float
        Fraction.

    Returns
    -------
    list of dict
        One per island, from bottom to top; keys as in `radiounet.catalogue.ISLANDS`.
        The position is the centroid weighted with probability.
    """
    labels, count = ndimage.label(mask == 1, EIGHT_NEIGHBOURS)
    if count == 0:
        return []
    rms = local_rms(plane.data)
    rows = []
    for index, part in enumerate(ndimage.find_objects(labels), start=1):
        y, x = np.nonzero((labels[part] == index) & np.isfinite(plane.data[part]))
        if y.size == 0:  # reference mode also predicts blank pixels
            continue
        y, x = y + part[0].start, x + part[1].start
        rows.append(_measure(y, x, probability, plane, rms, calibration_error))
    return rows


def _measure(y, x, probability, plane, rms, calibration_error) -> dict[str, object]:
    chance = probability[y, x].astype(np.float64)
    centre_y, centre_x = np.average(y, weights=chance), np.average(x, weights=chance)
    ra, dec = plane.wcs.wcs_pix2world([[centre_x, centre_y]], 0)[0]
    flux = integrate(plane.data[y, x], rms[y, x], plane.beam_area_px, calibration_error)
    edge = np.array(plane.data.shape) - 1
    place = SkyCoord(ra, dec, unit="deg")
    return {
        "name": designation(place),
        "ra_deg": float(ra % 360),
        "dec_deg": float(dec),
        "area_arcmin2": y.size * plane.pixel_arcsec**2 / 3600,
        "las_arcmin": largest_size_px(y, x) * plane.pixel_arcsec / 60,
        "p_mean": float(chance.mean()),
        "p_max": float(chance.max()),
        "flux_mjy": 1e3 * flux.flux_jy,
        "flux_err_mjy": 1e3 * flux.error_jy,
        "peak_sigma": float(np.max(plane.data[y, x] / rms[y, x])),
        "galactic_latitude_deg": float(place.galactic.b.deg),
        "touches_edge": bool(
            (y == 0).any() or (x == 0).any() or (y == edge[0]).any() or (x == edge[1]).any()
        ),
    }


def designation(place: SkyCoord) -> str:
    """Name from truncated coordinates, ``RUN JHHMMSS.s+DDMMSS`` (IAU rules)."""
    ra = place.ra.to_string("hourangle", sep="", precision=4, pad=True)[:8]
    dec = place.dec.to_string("deg", sep="", precision=3, pad=True, alwayssign=True)[:7]
    return f"RUN J{ra}{dec}"


def largest_size_px(y: np.ndarray, x: np.ndarray) -> float:
    """Largest distance between two pixels of an island, plus one pixel for their extent."""
    points = np.stack([y, x], axis=1).astype(float)
    if len(points) > 3:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:  # all on one line: its ends lie farthest apart
            order = np.lexsort((x, y))
            points = points[order[[0, -1]]]
    return 1.0 + (float(pdist(points).max()) if len(points) > 1 else 0.0)
