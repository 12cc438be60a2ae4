"""Median of what lies inside a disc around every pixel."""

import numpy as np

from radiounet.images.compiled import compiled

# brightness over noise is ranked in 1023 steps of its arcsinh, about 1 % each
_LOWEST, _HIGHEST, _STEPS = np.arcsinh(-10.0), np.arcsinh(1e4), 1023
_UNKNOWN = _STEPS + 1
NOTHING = float(np.sinh(_LOWEST))
"""The median where no pixel is known."""


def masked_median(snr: np.ndarray, known: np.ndarray, diameter_px: float) -> np.ndarray:
    """Median of the known pixels inside a disc, to about 1 %.

    The same as `skimage.filters.rank.median`, which searches the whole histogram for every pixel and is
    slower.

    Parameters
    ----------
    snr : ndarray, ``[y, x]``
        Brightness over noise, finite.
    known : ndarray of bool, ``[y, x]``
    diameter_px : float

    Returns
    -------
    ndarray, ``[y, x]``
        `NOTHING` where no pixel is known.
    """
    scale = (_HIGHEST - _LOWEST) / _STEPS
    steps = np.clip(np.rint((np.arcsinh(snr) - _LOWEST) / scale), 0, _STEPS).astype(np.int16)
    steps[~known] = _UNKNOWN
    radius = round(diameter_px / 2)
    halves = np.sqrt(radius**2 - np.arange(-radius, radius + 1) ** 2 + 0.5).astype(np.int64)
    padded = np.pad(steps, radius + 1, constant_values=_UNKNOWN)
    # look up the value of each step
    return np.sinh(np.arange(_STEPS + 1) * scale + _LOWEST)[_running_median(padded, halves)]


@compiled()
def _running_median(steps: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Lowest step that more than half of the known pixels do not exceed; 0 where none is known.

    The histogram moves along a row with the disc (Huang et al. 1979, IEEE Trans. ASSP 27, 13).

    Parameters
    ----------
    steps : ndarray of int16, ``[y, x]``
        0 to `_STEPS`, or `_UNKNOWN`; with a border of one pixel more than the disc's radius.
    halves : ndarray of int64, ``[row]``
        Half width of the disc in each of its rows.
    """
    border = len(halves) // 2 + 1
    ny, nx = steps.shape[0] - 2 * border, steps.shape[1] - 2 * border
    medians = np.zeros((ny, nx), np.int16)
    histogram = np.zeros(_UNKNOWN + 1, np.int64)
    for y in range(ny):
        histogram[:] = 0
        number, below, median = 0, 0, 0
        for row in range(len(halves)):
            for x in range(border - 1 - halves[row], border + halves[row]):
                step = steps[y + 1 + row, x]
                histogram[step] += 1
                number += step < _UNKNOWN
        for x in range(nx):
            for row in range(len(halves)):
                added = steps[y + 1 + row, x + border + halves[row]]
                gone = steps[y + 1 + row, x + border - 1 - halves[row]]
                histogram[added] += 1
                histogram[gone] -= 1
                number += (added < _UNKNOWN) - (gone < _UNKNOWN)
                below += (added < median) - (gone < median)
            if number == 0:
                continue
            while 2 * below > number:
                median -= 1
                below -= histogram[median]
            while 2 * (below + histogram[median]) <= number:
                below += histogram[median]
                median += 1
            medians[y, x] = median
    return medians
