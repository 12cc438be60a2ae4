"""Blanks written as numbers."""

from collections.abc import Callable, Iterator

import numpy as np
from astropy.io import fits
from scipy import ndimage

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


def flaws(
    plane: np.ndarray,
    header: fits.Header,
    factor: float | None,
    whole: Values | None = None,
) -> Iterator[tuple[np.ndarray, str]]:
    """What of an image, or of a part of one, cannot be brightness: areas of -9999, pixels too bright.

    The brightest may have `BRIGHTEST_JY`, in another unit what 32 bits hold.

    Parameters
    ----------
    plane : ndarray of float32, ``[y, x]``
        Jy/beam, NaN where blank.
    header : astropy.io.fits.Header
    factor : float or None
        By which the numbers of the file were multiplied; None if they are in a unit of their own.
    whole : callable, optional
        Where `plane` is a part of an image, gives values from all over it, see `sample`.

    Yields
    ------
    where : ndarray of bool, ``[y, x]``
    why : str
    """
    unit, limit = (" Jy/beam", BRIGHTEST_JY) if factor else ("", np.nextafter(LARGEST, np.float32(0)))
    while True:
        number = sentinel(plane, factor or 1.0, whole)
        brightest = max(np.fmax.reduce(plane, axis=None), -np.fmin.reduce(plane, axis=None))
        if number is not None:
            where, why = plane == np.nanmin(plane), f"areas of {number:g}: write NaN where the image is blank"
        elif brightest > limit:
            where = np.abs(plane) > limit
            why = (
                f"a pixel of {brightest:.3g}{unit}{' or more' if brightest == LARGEST else ''}; "
                f"are BUNIT {header.get('BUNIT')!r} and BSCALE {header.get('BSCALE', 1)} right?"
            )
        else:
            return
        yield where, why
        plane = np.where(where, np.float32(np.nan), plane)


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


def sentinel(image: np.ndarray, factor: float = 1.0, whole: Values | None = None) -> float | None:
    """Lowest number of an image, where it must stand for a blank, such as -9999; else None.

    It fills a solid area, see `solid_zeros`, and is `FAR_BELOW`. Zeros tell nothing of the brightness of
    an image; where it has no other values, the number is -99 or lower. A part of an image is compared with
    the whole: the number may fill it.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        NaN where blank.
    factor : float
        By which the numbers of the file were multiplied.
    whole : callable, optional
        See `flaws`.

    Returns
    -------
    float or None
        As in the file.
    """
    lowest = np.fmin.reduce(image, axis=None)
    blank = image == lowest
    if not lowest < 0 or blank.sum() < SOLID_PX**2 or solid_zeros(~blank) is None:
        return None
    number = float(lowest) / factor
    for values in (image,) if whole is None else (whole(), image):
        others = values[(values > lowest) & (values != 0)]
        if others.size:
            return None if -lowest < FAR_BELOW * np.median(np.abs(others)) else number
    return None if round(number, 3) > -LEAST_SENTINEL else number  # the factor rounds


def blank_infinities(plane: np.ndarray, numbers: np.ndarray) -> None:
    """Make infinities NaN, but those that are a finite number of the file: the largest number of 32 bits.

    Such a number is no blank, but a mistake, which `flaws` names.

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
        corners = _eroded(corners, axis)
    if not corners.any():
        return None
    areas, count = ndimage.label(zero)
    solid = np.zeros(count + 1, bool)
    solid[areas[: corners.shape[0], : corners.shape[1]][corners]] = True
    return solid[areas]


def _eroded(mask: np.ndarray, axis: int) -> np.ndarray:
    """Where a run of `SOLID_PX` begins along an axis; of the whole length where that is shorter."""
    mask = np.moveaxis(mask, axis, 0)
    side = min(SOLID_PX, len(mask))
    starts = len(mask) - side + 1
    result = mask[:starts].copy(order="K")
    for step in range(1, side):
        result &= mask[step : step + starts]
    return np.moveaxis(result, 0, axis)
