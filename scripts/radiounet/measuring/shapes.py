"""Sizes and orientations of islands on the sky."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.signal import oaconvolve
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from radiounet.images.gaussian import FWHM_TO_SIGMA, gaussian_kernel
from radiounet.images.geometry import to_sky
from radiounet.images.squares import offsets_deg
from radiounet.measuring.cutouts import Cutout

LEVEL_SNR = 3.0
"""Where the largest angular size ends, rms of the smoothed image."""
SMOOTH_BEAMS = 2.0
"""FWHM of the smoothed image, beams; its rms is that of the image over this."""
PIXEL_VARIANCE = 1 / 12
"""Second moment of a square pixel along each axis, px2."""
EDGE_BEAMS = 0.5
"""Width of the edge of an island, beams."""
HIGHEST_EDGE = 0.6
"""Highest brightness of the edge, over the mean, for which widths are corrected: by up to a factor of 1.6."""
LONG = 1.001
"""Least axis ratio with a long axis; far from its middle, a projection makes a pixel as long as this."""


@dataclass(frozen=True)
class Shape:
    """What an island looks like on the sky.

    Attributes
    ----------
    y, x : float
        Centroid of the residual in the cut-out, px.
    extent_arcmin : float
        Largest size of the pixels with data.
    las_arcmin : float
        Largest size above 3 rms of the image smoothed to two beams; NaN where nothing is.
    width_arcmin : float
        FWHM across the long axis, from second moments, without the beam. Those of a Gaussian that ends at an
        isophote are ``1 - level`` of the whole, with its `edge_level`. 0 if they are less than the beam's.
    axis_ratio : float
        Long over short axis, from second moments of square pixels, with the beam; 1 at least.
    angle_deg : float
        Position angle of the long axis, north to east, 0..180; NaN where no axis is the long one.
    """

    y: float
    x: float
    extent_arcmin: float
    las_arcmin: float
    width_arcmin: float
    axis_ratio: float
    angle_deg: float


def island_shape(cutout: Cutout, island: np.ndarray) -> Shape:
    """Measure the shape of an island on the residual image.

    Parameters
    ----------
    cutout : Cutout
    island : ndarray of bool, ``[y, x]``
    """
    inside = island & cutout.known
    y, x = np.nonzero(inside)
    weight = np.maximum(cutout.filled[y, x], 0).astype(np.float64)
    if not weight.sum() > 0:
        weight = np.ones(y.size)
    centre = np.array([np.average(y, weights=weight), np.average(x, weights=weight)])
    east, north = on_sky_arcmin(cutout, y - centre[0], x - centre[1], centre)
    dy, dx = np.eye(2)
    offsets, pixel = np.stack([east, north]), on_sky_arcmin(cutout, dy, dx, centre)
    # without the variance of a pixel a line would have no width
    moments = (weight * offsets) @ offsets.T / weight.sum() + PIXEL_VARIANCE * pixel @ pixel.T
    (small, large), axes = np.linalg.eigh(moments)
    across = axes[:, 0] @ pixel
    blur = across @ (cutout.covariance + PIXEL_VARIANCE * np.eye(2)) @ across
    ratio = float(np.sqrt(large / small))
    shown = 1 - float(np.clip(edge_level(cutout, island), 0, HIGHEST_EDGE))
    return Shape(
        float(centre[0]),
        float(centre[1]),
        largest_size(cutout, inside, centre),
        largest_size(cutout, inside & (smoothed_snr(cutout) > LEVEL_SNR), centre),
        float(np.sqrt(small / shown - blur) / FWHM_TO_SIGMA) if small > blur else 0.0,
        ratio,
        float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1])) % 180) if ratio > LONG else np.nan,
    )


def edge_level(cutout: Cutout, island: np.ndarray) -> float:
    """Brightness at the edge of an island over its mean; 0 where that is not positive, or it has no edge.

    Parameters
    ----------
    cutout : Cutout
    island : ndarray of bool, ``[y, x]``
    """
    width = max(round(EDGE_BEAMS * cutout.mosaic.beam_px), 1)
    solid = island | cutout.others(island)  # a border with another island is no isophote
    edge = island & cutout.known & ~ndimage.binary_erosion(solid, iterations=width) & ~cutout.blanked
    mean = cutout.filled[island & cutout.known].mean() if (island & cutout.known).any() else 0.0
    return float(cutout.filled[edge].mean() / mean) if edge.any() and mean > 0 else 0.0


def on_sky_arcmin(cutout: Cutout, dy: np.ndarray, dx: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Offsets on the sky around a place of the cut-out, ``[(east, north), pixel]`` arcmin; ICRS."""
    y, x = place + cutout.origin
    half = 0.5 * np.array([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]])
    ra, dec = to_sky(cutout.mosaic.plane.wcs, x + half[0], y + half[1])
    east, north = offsets_deg(ra[0], dec[0], ra[1:], dec[1:])
    return 60 * np.stack([east[::2] - east[1::2], north[::2] - north[1::2]]) @ np.stack([dx, dy])


def smoothed_snr(cutout: Cutout) -> np.ndarray:
    """Residual smoothed to `SMOOTH_BEAMS` over its rms, ``[y, x]``.

    Both axes of the beam grow alike, so a beam-correlated noise falls by the ratio of the widths.
    """
    kernel = gaussian_kernel((SMOOTH_BEAMS**2 - 1) * cutout.covariance)
    smooth = oaconvolve(cutout.filled, kernel, mode="same")
    return smooth * SMOOTH_BEAMS / cutout.rms


def largest_size(cutout: Cutout, region: np.ndarray, centre: np.ndarray) -> float:
    """Largest angular size of a region (bool, ``[y, x]``) around a centre, arcmin; NaN if it is empty."""
    y, x = np.nonzero(region)
    if not y.size:
        return float("nan")
    side = cutout.pixel_arcsec / 60
    east, north = on_sky_arcmin(cutout, y - centre[0], x - centre[1], centre) / side
    return largest_size_px(north, east) * side


def largest_size_px(y: np.ndarray, x: np.ndarray) -> float:
    """Largest distance between two pixels of an island, plus one pixel for their extent.

    Parameters
    ----------
    y, x : ndarray, ``[pixel]``
        Along two perpendicular directions, px.
    """
    points = np.stack([y, x], axis=1).astype(float)
    if len(points) > 3:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:  # all on one line: its ends lie farthest apart
            along = points[:, np.ptp(points, axis=0).argmax()]
            points = points[[along.argmin(), along.argmax()]]
    return 1.0 + (float(pdist(points).max()) if len(points) > 1 else 0.0)
