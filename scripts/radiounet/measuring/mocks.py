"""Mock halos and relics as an image shows them, and where they can be placed."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import oaconvolve

from radiounet.images.gaussian import gaussian_kernel
from radiounet.images.geometry import pixel_area_arcsec2
from radiounet.images.image import Plane
from radiounet.measuring.cutouts import beam_covariance

REACH = 7.0
"""A mock is drawn out to this many scale lengths; 0.7 % of an exponential halo lies beyond."""
REGION = np.exp(-3)
"""Brightness over its peak where the region of a mock ends; at 3 scale lengths of a halo."""
CORE = np.exp(-1)
MOST_COVERED = 0.1
"""Largest part of a mock's core that may lie in the mask of the image without it."""
LEAST_VISIBLE = 0.5
"""Smallest part of a mock's flux density that must lie on pixels with data."""

Box = tuple[slice, slice]


@dataclass(frozen=True)
class Canvas:
    """The image that mocks are added to, around a place.

    Attributes
    ----------
    shape : (int, int)
    beam_area_px : float
        Solid angle that Jy/beam refers to, in pixels of that place.
    covariance : ndarray
        Of the Gaussian beam that the image was made with, ``[[yy, yx], [xy, xx]]``, px2.
    """

    shape: tuple[int, int]
    beam_area_px: float
    covariance: np.ndarray

    @classmethod
    def around(cls, plane: Plane, y: float, x: float) -> "Canvas":
        """What mocks around a pixel must know of an image."""
        area = plane.beam.area_arcsec2 / float(pixel_area_arcsec2(plane.wcs, x, y))
        return cls(plane.data.shape, area, beam_covariance(plane, y, x))

    @property
    def blur_px(self) -> float:
        """Largest standard deviation of the beam along rows or columns."""
        return float(np.sqrt(np.diag(self.covariance).max()))


@dataclass(frozen=True)
class Mock:
    """A mock object of 1 Jy on its part of the image.

    Attributes
    ----------
    box : (slice, slice)
        Rows and columns of the image; empty off the image.
    light : ndarray of float32, ``[y, x]``
        Jy/beam.
    peak, total : float
        Largest brightness, and the sum of all, also off the image.
    """

    box: Box
    light: np.ndarray
    peak: float
    total: float

    @property
    def core(self) -> np.ndarray:
        """Where it is bright, ``[y, x]``: within about one scale length of a halo."""
        return self.light >= CORE * self.peak

    @property
    def region(self) -> Box:
        """Rows and columns of the image within about three scale lengths."""
        bright = self.light >= REGION * self.peak
        spans = []
        for axis, part in enumerate(self.box):
            found = np.flatnonzero(bright.any(axis=1 - axis))
            start = part.start + (int(found[0]) if found.size else 0)
            spans.append(slice(start, part.start + (int(found[-1]) + 1 if found.size else 0)))
        return spans[0], spans[1]


def halo(
    canvas: Canvas, centre: tuple[float, float], radius_px: float, axis_ratio: float, angle: float
) -> Mock:
    """Elliptical exponential ``I0 exp(-r / radius)``, convolved with the beam.

    Parameters
    ----------
    canvas : Canvas
    centre : (float, float)
        Row and column.
    radius_px : float
        E-folding radius, the geometric mean of that of both axes.
    axis_ratio : float
        Minor over major axis.
    angle : float
        Of the major axis, from the columns towards the rows, rad.
    """
    major, minor = radius_px / np.sqrt(axis_ratio), radius_px * np.sqrt(axis_ratio)
    y, x = _around(centre, REACH * major + 4 * canvas.blur_px)
    dy, dx = y - centre[0], x - centre[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return _finished(canvas, np.exp(-np.hypot(along / major, across / minor)), y, x)


def relic(
    canvas: Canvas,
    cluster: tuple[float, float],
    distance_px: float,
    width_px: float,
    length_px: float,
    angle: float,
) -> Mock:
    """Arc around a cluster, with a Gaussian profile across and none along it, convolved with the beam.

    Parameters
    ----------
    canvas : Canvas
    cluster : (float, float)
        Row and column of the cluster.
    distance_px : float
        Radius of the arc.
    width_px : float
        FWHM of its profile.
    length_px : float
        Along the arc, at most half a circle.
    angle : float
        Direction of its middle from the cluster, from the columns towards the rows, rad.
    """
    towards = np.array([np.sin(angle), np.cos(angle)])
    y, x = _around(
        tuple(np.array(cluster) + distance_px * towards), length_px / 2 + width_px + 4 * canvas.blur_px
    )
    dy, dx = y - cluster[0], x - cluster[1]
    from_middle = np.arctan2(dy * towards[1] - dx * towards[0], dx * towards[1] + dy * towards[0])
    half = min(length_px / 2 / distance_px, np.pi / 2)
    across = (np.hypot(dy, dx) - distance_px) / width_px
    light = np.exp(-4 * np.log(2) * across**2) * (np.abs(from_middle) <= half)
    return _finished(canvas, light, y, x)


def _around(centre: tuple[float, float], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``[y, 1]`` and columns ``[1, x]`` of a square around a place, whatever the image holds."""
    low, high = (np.floor(np.array(centre) + sign * reach).astype(int) for sign in (-1, 1))
    y, x = np.ogrid[low[0] : high[0] + 2, low[1] : high[1] + 2]
    return y, x


def _finished(canvas: Canvas, light: np.ndarray, y: np.ndarray, x: np.ndarray) -> Mock:
    light = oaconvolve(light, gaussian_kernel(canvas.covariance), mode="same")
    light *= canvas.beam_area_px / light.sum()
    peak = float(light.max())
    starts, sides = (int(y[0, 0]), int(x[0, 0])), light.shape
    box, part = [], []
    for start, side, limit in zip(starts, sides, canvas.shape, strict=True):
        low = min(max(start, 0), limit)
        high = max(min(start + side, limit), low)
        box.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return Mock((box[0], box[1]), light[part[0], part[1]].astype(np.float32), peak, canvas.beam_area_px)


def is_free(mock: Mock, mask: np.ndarray, has_data: np.ndarray) -> bool:
    """Whether a place is fit for a mock: data under most of its light, and its core outside the mask.

    Parameters
    ----------
    mock : Mock
    mask, has_data : ndarray of bool, ``[y, x]``
        Of the whole image.
    """
    visible = mock.light[has_data[mock.box]].sum(dtype=float) / mock.total
    if visible < LEAST_VISIBLE or not mock.core.any():
        return False
    return bool(mask[mock.box][mock.core].mean() <= MOST_COVERED)
