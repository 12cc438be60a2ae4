"""Local noise of an image."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from radiounet.errors import AllBlankError

MAD_TO_SIGMA = 1.4826  # for a normal distribution
BOX_PX = 96
"""Side of the boxes that the noise is measured in; those of the background divide it."""
LARGE_PX = 4_000_000
"""From this size on, an image is measured by several threads."""
MOST_THREADS = 4


def robust_rms(values: np.ndarray) -> float:
    """Standard deviation of a normal core, from the median absolute deviation; ignores NaN.

    Not `astropy.stats.mad_std`: it is as fast, but more digits of the factor make other bytes of masks.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(finite - np.median(finite))))


def local_rms(image: np.ndarray, box_px: int = BOX_PX) -> np.ndarray:
    """Noise map from the median absolute deviation in boxes.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Brightness, any unit; NaN where blank.
    box_px : int
        Side of the boxes; the box values pass a 3x3 median and are joined
        bilinearly, so sources much smaller than a box do not raise them.

    Returns
    -------
    ndarray, ``[y, x]`` float32
        Standard deviation in the unit of `image`; finite and positive everywhere.

    Raises
    ------
    AllBlankError
        No box holds enough data to measure the noise.
    """
    box_px = min(box_px, *image.shape)
    return join_strips(lambda rows: image[rows], image.shape, box_px)


def join_strips(part: Callable[[slice], np.ndarray], shape: tuple[int, int], box_px: int) -> np.ndarray:
    """Noise map of an image whose rows `part` gives, strip by strip; otherwise as `local_rms`."""
    rows_of = strips(shape, box_px)
    grid = np.stack(in_threads(lambda rows: _box_rms(part(rows), box_px), rows_of, shape))
    known = np.isfinite(grid) & (grid > 0)
    if not known.any():
        raise AllBlankError("the noise cannot be measured: no box of the image holds varying data")
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    grid = ndimage.median_filter(grid[tuple(nearest)], size=3, mode="nearest")
    rows, columns = (_box_coordinates(side, box_px) for side in shape)
    return join_boxes(grid, rows, columns)


def in_threads(
    work: Callable[[slice], np.ndarray], parts: Iterable[slice], shape: tuple[int, int]
) -> list[np.ndarray]:
    """Results of work on rows of an image, in their order; several threads share that on a large image."""
    with ThreadPoolExecutor(_threads() if np.prod(shape) >= LARGE_PX else 1) as pool:
        return list(pool.map(work, parts))


def _threads() -> int:
    """Number of threads for one image, at most ``OMP_NUM_THREADS``, which Snakemake sets for each job."""
    cores = len(os.sched_getaffinity(0))
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(int(given) if given.isdecimal() and int(given) else cores, cores, MOST_THREADS)


def whole_boxes(low: int, high: int, side: int) -> slice:
    """Rows or columns from `low` to `high`, widened to whole boxes as far as an image of `side` reaches.

    A cut-out of whole boxes has the noise and the background of the whole image, but near its border.
    """
    return slice(max(low, 0) // BOX_PX * BOX_PX, min(-(-high // BOX_PX) * BOX_PX, side))


def strips(shape: tuple[int, int], box_px: int = BOX_PX) -> list[slice]:
    """Rows of the strips of boxes in which the noise of an image is measured."""
    # the last strip reaches back so that every box is full
    starts = (min(start, shape[0] - box_px) for start in range(0, shape[0], box_px))
    return [slice(start, start + box_px) for start in starts]


def _box_rms(strip: np.ndarray, box_px: int) -> np.ndarray:
    starts = np.minimum(np.arange(0, strip.shape[1], box_px), strip.shape[1] - box_px)
    boxes = np.stack([strip[:, s : s + box_px].ravel() for s in starts]).astype(np.float32)
    rms = np.full(len(boxes), np.nan, np.float32)
    known = np.isfinite(boxes).sum(axis=1)
    whole = known == boxes.shape[1]
    if whole.any():  # all at once
        middles = np.median(boxes[whole], axis=1, keepdims=True)
        rms[whole] = MAD_TO_SIGMA * np.median(np.abs(boxes[whole] - middles), axis=1)
    for index in np.flatnonzero(~whole & (known >= boxes.shape[1] // 10)):
        rms[index] = robust_rms(boxes[index])
    return rms


def join_boxes(grid: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of box values to the pixels of an image.

    Parameters
    ----------
    grid : ndarray of float32, ``[row of boxes, column of boxes]``
    rows, columns : ndarray, ``[y]`` and ``[x]``
        Fractional box index of each row and each column of pixels, from 0 to that of the last box.

    Returns
    -------
    ndarray of float32, ``[y, x]``
    """
    result = np.empty((len(rows), len(columns)), np.float32)
    low = np.floor(columns).astype(int)
    high = np.minimum(low + 1, grid.shape[1] - 1)
    part = (columns - low).astype(np.float32)
    along_x = grid[:, low] * (1 - part) + grid[:, high] * part
    other = np.empty(len(columns), np.float32)
    for row, position in zip(result, rows, strict=True):
        below = int(position)
        above = min(below + 1, grid.shape[0] - 1)
        fraction = np.float32(position - below)
        np.multiply(along_x[below], 1 - fraction, out=row)
        row += np.multiply(along_x[above], fraction, out=other)
    return result


def _box_coordinates(length: int, box_px: int) -> np.ndarray:
    """Fractional box index of each pixel, clamped to the first and last box."""
    starts = np.minimum(np.arange(0, length, box_px), length - box_px)
    centres = starts + (box_px - 1) / 2
    return np.interp(np.arange(length), centres, np.arange(len(centres)))
