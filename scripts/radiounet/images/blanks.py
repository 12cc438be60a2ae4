"""Blanks written as numbers."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from radiounet.errors import BrightnessError

SOLID_PX = 5
"""Side of a square of equal pixels that noise does not make: some 25."""
BRIGHTEST_JY = 1e10
"""Per beam: a hundred times the quiet Sun at any radio frequency, and far above all else in the sky."""
FAR_BELOW = 100.0
"""Times the median of the absolute values: no brightness of an image is so far below zero."""
LEAST_SENTINEL = 99.0
"""Below zero, in the unit of the file, where there are no values to compare with."""


def require_brightness(
    plane: np.ndarray, raw: np.ndarray, factor: float, header: fits.Header, path: str | Path
) -> None:
    """Refuse an image, or a part of one, whose values cannot be brightness.

    Parameters
    ----------
    plane : ndarray of float32, ``[y, x]``
        Jy/beam, NaN where blank.
    raw : ndarray, ``[y, x]``
        The numbers of the file.
    factor : float
        Brings these to Jy/beam.
    header : astropy.io.fits.Header
    path : path
        For messages.

    Raises
    ------
    BrightnessError
        Areas of a number such as -9999, or a pixel above `BRIGHTEST_JY`.
    """
    blank = np.isnan(plane)
    values = raw[blank]
    if (np.isfinite(values) & (values != 0)).any():
        brightest = np.inf  # more than 32 bits hold
    elif blank.all():
        return
    else:
        brightest = max(np.nanmax(plane), -np.nanmin(plane))
        if (value := sentinel(plane, factor)) is not None:
            raise BrightnessError(f"{path}: areas of {value:g}: write NaN where the image is blank")
    if brightest > BRIGHTEST_JY:
        raise BrightnessError(
            f"{path}: a pixel of {brightest:.3g} Jy/beam; are BUNIT {header.get('BUNIT')!r} "
            f"and BSCALE {header.get('BSCALE', 1)} right?"
        )


def not_brightness(plane: np.ndarray, factor: float) -> np.ndarray:
    """Where the values of a part of an image cannot be brightness, bool ``[y, x]``.

    Parameters
    ----------
    plane, factor
        See `require_brightness`.
    """
    bad = np.abs(plane) > BRIGHTEST_JY
    rest = np.where(bad, np.float32(np.nan), plane)
    if np.isfinite(rest).any() and sentinel(rest, factor) is not None:
        bad |= rest == np.nanmin(rest)
    return bad


def sentinel(image: np.ndarray, factor: float = 1.0) -> float | None:
    """Lowest number of an image, where it must stand for a blank, such as -9999; else None.

    It fills a solid area, see `solid_zeros`, and is `FAR_BELOW`. Zeros tell nothing of the brightness of
    an image; where it has no other values, the number is -99 or lower.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        NaN where blank.
    factor : float
        By which the numbers of the file were multiplied.

    Returns
    -------
    float or None
        As in the file.
    """
    lowest = np.nanmin(image)
    blank = image == lowest
    if lowest >= 0 or blank.sum() < SOLID_PX**2:
        return None
    others = np.abs(image[~blank & (image != 0) & np.isfinite(image)])
    number = float(lowest) / factor
    if others.size and -lowest < FAR_BELOW * np.median(others):
        return None
    if not others.size and round(number, 3) > -LEAST_SENTINEL:  # the factor rounds
        return None
    return None if solid_zeros(~blank) is None else number


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
