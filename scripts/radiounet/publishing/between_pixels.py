"""Compiled loop of the HiPS: brightness between the pixels of a mosaic."""

import numpy as np

from radiounet.images.compiled import compiled


@compiled(nogil=True)
def between_pixels(plane, y, x):
    """Value at places between four pixels, weighted by their distances; NaN where one of the four is.

    Parameters
    ----------
    plane : ndarray of float32, ``[y, x]``
    y, x : ndarray of float64, ``[place]``
        Rows and columns from 0, all on the plane.

    Returns
    -------
    ndarray of float32, ``[place]``
    """
    last_y, last_x = plane.shape[0] - 1, plane.shape[1] - 1
    found = np.empty(len(y), np.float32)
    for n in range(len(y)):
        row, column = max(min(int(y[n]), last_y - 1), 0), max(min(int(x[n]), last_x - 1), 0)
        above, right = min(row + 1, last_y), min(column + 1, last_x)
        up, along = y[n] - row, x[n] - column
        lower = (1 - along) * plane[row, column] + along * plane[row, right]
        upper = (1 - along) * plane[above, column] + along * plane[above, right]
        found[n] = (1 - up) * lower + up * upper
    return found
