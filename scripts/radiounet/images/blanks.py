"""Blanks written as numbers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from radiounet.errors import UnitError
from radiounet.images.units import unit_factor

SOLID_PX = 5
"""Side of a square of equal pixels that noise does not make: some 25."""
BRIGHTEST_JY = 1e10
"""Per beam: a hundred times the quiet Sun at any radio frequency, and far above all else in the sky."""
FAR_BELOW = 100.0
"""Times the median of the absolute values: no brightness of an image is so far below zero."""
LEAST_SENTINEL = 99.0
"""Below zero, in the unit of the file, where there are no values to compare with."""
LARGEST = np.finfo(np.float32).max
SAMPLE_PX = 256
Values = Callable[[], np.ndarray]


def brightest(header: fits.Header, path: str | Path) -> float:
    """What no pixel of a file exceeds, in the unit of the file.

    It is `BRIGHTEST_JY`; in a unit that is not one of brightness, what 32 bits hold.
    """
    most = float(np.nextafter(LARGEST, np.float32(0)))
    try:
        return min(BRIGHTEST_JY / unit_factor(header, path), most)
    except UnitError:
        return most


def flaws(
    plane: np.ndarray, numbers: np.ndarray, header: fits.Header, limit: float, whole: Values | None = None
) -> Iterator[tuple[np.ndarray, str]]:
    """What of an image, or of a part of one, cannot be brightness: areas of -9999, pixels too bright.

    Parameters
    ----------
    plane : ndarray of float32, ``[y, x]``
        NaN where blank.
    numbers : ndarray, ``[y, x]``
        As in the file.
    header : astropy.io.fits.Header
    limit : float
        What no pixel exceeds, in the unit of `plane`, see `brightest`.
    whole : callable, optional
        Where `plane` is a part of an image, gives values from all over it, see `sample`.

    Yields
    ------
    where : ndarray of bool, ``[y, x]``
    why : str
    """
    values = sentinels(plane, numbers, whole)
    for value in values:
        where = plane == value
        yield where, f"areas of {float(numbers[where][0]):g}: write NaN where the image is blank"
    rest = np.where(np.isin(plane, values), np.float32(np.nan), plane) if values else plane
    beyond = []
    if np.fmax.reduce(rest, axis=None) > limit:
        beyond.append(rest > limit)
    if np.fmin.reduce(rest, axis=None) < -limit:
        beyond.append(rest < -limit)
    for where in beyond:
        given = np.asarray(numbers[where], np.float64)
        number = given[np.argmax(np.abs(given))]
        unit, scale = header.get("BUNIT"), header.get("BSCALE", 1)
        yield where, f"a pixel of {number:g}; are BUNIT {unit!r} and BSCALE {scale} right?"


def sample(read: Callable[[slice, slice], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Values from all over an image, some `SAMPLE_PX` along each axis, ``[y, x]``.

    Parameters
    ----------
    read : callable
        Rows and columns to the values there.
    shape : (int, int)
        Of the image, ``[y, x]``.
    """
    rows, columns = (slice(None, None, max(side // SAMPLE_PX, 1)) for side in shape)
    return read(rows, columns)


def sentinels(image: np.ndarray, numbers: np.ndarray, whole: Values | None = None) -> list[np.floating]:
    """Values of an image that must stand for a blank, such as -9999.

    Each fills a solid area, see `solid_zeros`, and is `FAR_BELOW` the values that fill none. Zeros tell
    nothing of the brightness of an image; where it has no other values, the number is -99 or lower. A part
    of an image is compared with the whole: the number may fill it.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        NaN where blank.
    numbers : ndarray, ``[y, x]``
        As in the file.
    whole : callable, optional
        See `flaws`.
    """
    solid = solid_values(image)
    if not solid:
        return []
    for values in (image,) if whole is None else (whole(), image):
        others = values[(values > solid[0]) & (values != 0)]
        others = others[~np.isin(others, solid)]
        if others.size:
            least = FAR_BELOW * np.median(np.abs(others))
            return [value for value in solid if -value >= least]
    # BSCALE rounds
    return [value for value in solid if round(float(numbers[image == value][0]), 3) <= -LEAST_SENTINEL]


def solid_values(image: np.ndarray) -> list[np.floating]:
    """Values below zero that fill a square of 5 x 5 px somewhere in an image ``[y, x]``, ascending."""
    for axis, side in enumerate(image.shape):
        if side == 1:  # a neighbour along each axis, as in a wider image
            image = np.repeat(image, 2, axis)
    height, width = (min(SOLID_PX, side) for side in image.shape)
    # every square holds one of these pixels, with the next ones below and beside it: noise has no such three
    below, beside = image[1 :: height - 1, :: width - 1], image[:: height - 1, 1 :: width - 1]
    ny, nx = len(below), beside.shape[1]
    corner = image[:: height - 1, :: width - 1][:ny, :nx]
    if not ((corner == below[:, :nx]) & (corner == beside[:ny]) & (corner < 0)).any():
        return []
    runs = _eroded(image[:, 1:] == image[:, :-1], 1, width - 1)
    squares = _eroded(runs, 0, height)
    squares &= _eroded(image[1:, : squares.shape[1]] == image[:-1, : squares.shape[1]], 0, height - 1)
    values = image[: squares.shape[0], : squares.shape[1]][squares]
    return list(np.unique(values[values < 0]))


def blank_infinities(plane: np.ndarray, numbers: np.ndarray) -> None:
    """Set infinities to NaN, except numbers that are finite in the file but exceed float32.

    These become its largest number: they are no blanks, but mistakes, which `flaws` names.

    Parameters
    ----------
    plane : ndarray of float32, ``[y, x]``
        Changed.
    numbers : ndarray, ``[y, x]``
        As in the file.
    """
    infinite = np.isinf(plane)
    if infinite.any():
        given = np.isfinite(numbers[infinite])
        plane[infinite] = np.where(given, np.copysign(LARGEST, plane[infinite]), np.nan)


def solid_zeros(image: np.ndarray) -> np.ndarray | None:
    """Where zeros stand for a blank: in solid areas.

    Surveys fill what they did not observe with 0, which leaves whole areas of it; a
    single 0 is a measured value. An area is solid where it holds a square of 5 x 5 px;
    all zeros that touch it by a side, one after another, belong to it.

    Parameters
    ----------
    image : ndarray, ``[y, x]``

    Returns
    -------
    ndarray of bool, ``[y, x]``, or None
        None where no area is solid.
    """
    zero = np.asarray(image == 0)
    corners = zero  # of squares of zeros
    for axis in (0, 1):
        corners = _eroded(corners, axis, min(SOLID_PX, corners.shape[axis]))
    if not corners.any():
        return None
    areas, count = ndimage.label(zero)
    solid = np.zeros(count + 1, bool)
    solid[areas[: corners.shape[0], : corners.shape[1]][corners]] = True
    return solid[areas]


def _eroded(mask: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Where a run of that many begins along an axis."""
    mask = np.moveaxis(mask, axis, 0)
    starts = len(mask) - side + 1
    result = mask[:starts].copy(order="K")
    for step in range(1, side):
        result &= mask[step : step + starts]
    return np.moveaxis(result, 0, axis)
