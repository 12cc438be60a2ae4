"""Compiled loops of mosaicking: resampling, primary beam, facets.

Compiled at the first call and kept on disk by numba. They let other threads run: who
calls them decides how many work at once.
"""

import numpy as np

from radiounet.images.compiled import compiled

LEAST_SHARE = 1e-7
"""Below it a pixel does not count: coordinates are rounded, and a blank must not spread by that."""


@compiled(nogil=True)
def _sorted(a, b, c):
    low, high = min(a, b), max(a, b)
    return min(low, c), max(low, min(high, c)), max(high, c)


@compiled(nogil=True, error_model="numpy")
def _bilinear(plane, row, column, y, x):
    """Value between the four pixels whose first is (row, column); NaN where one that counts is NaN."""
    upper = (1 - x) * plane[row, column] + x * plane[row, column + 1]
    lower = (1 - x) * plane[row + 1, column] + x * plane[row + 1, column + 1]
    value = (1 - y) * upper + y * lower
    if np.isfinite(value):
        return value
    value = 0.0
    for dy in range(2):
        for dx in range(2):
            share = (y if dy else 1 - y) * (x if dx else 1 - x)
            if share > LEAST_SHARE:
                value += share * plane[row + dy, column + dx]
    return value


@compiled(nogil=True, error_model="numpy")
def _inside(position, length):
    """Position on a line of pixels, moved onto the outer centres within half a pixel; NaN beyond."""
    if not (-0.5 <= position <= length - 0.5):
        return np.nan
    return min(max(position, 0.0), length - 1.0)


@compiled(nogil=True, error_model="numpy")
def accumulate(total, weights, image, weight, corner, shape, nodes, step, facets, shifts, scale):
    """Add one resampled image to the sums of a block of a mosaic.

    Parameters
    ----------
    total, weights : ndarray of float64, ``[y, x]``
        Sums of weight times image, and of weight, over the block; changed.
    image, weight : ndarray of float32, ``[y, x]``
        A window of the image to add and of its weights.
    corner, shape : (int, int)
        First row and column of the window, and shape of the whole image.
    nodes : ndarray of float64, ``[2, node y, node x]``
        Row and column in the whole image at every `step`-th pixel of the block; the
        last nodes lie on or beyond its last pixels.
    step : int
        Pixels of the block between two nodes.
    facets : ndarray of int16, ``[y, x]``
        Facet that each pixel of the window belongs to, below 0 for none; empty if
        the image has no facets.
    shifts : ndarray of float64, ``[facet, 2]``
        What to add to row and column in a facet, px.
    scale : float
        The image counts multiplied by it, its weights divided by its square.

    Returns
    -------
    inside, added, unusable : int
        Pixels of the block that lie on the image, those that it gave something to, and those
        left out because its weight there is infinite or below 0.
    """
    ny, nx = total.shape
    inside = added = unusable = 0
    last_y, last_x = corner[0] + image.shape[0] - 2, corner[1] + image.shape[1] - 2
    for y in range(ny):
        node_y = y // step
        up = (y - node_y * step) / step
        for node_x in range((nx + step - 1) // step):
            upper, lower = nodes[:, node_y, node_x : node_x + 2], nodes[:, node_y + 1, node_x : node_x + 2]
            left_v, right_v = (
                upper[0, 0] + up * (lower[0, 0] - upper[0, 0]),
                upper[0, 1] + up * (lower[0, 1] - upper[0, 1]),
            )
            left_u, right_u = (
                upper[1, 0] + up * (lower[1, 0] - upper[1, 0]),
                upper[1, 1] + up * (lower[1, 1] - upper[1, 1]),
            )
            if step == 1:  # what lies beside and below may be off the sky
                left_v, left_u = upper[0, 0], upper[1, 0]
                right_v, right_u = left_v, left_u
            for x in range(node_x * step, min((node_x + 1) * step, nx)):
                along = (x - node_x * step) / step
                v = left_v + along * (right_v - left_v)
                u = left_u + along * (right_u - left_u)
                # written so that NaN lies outside
                if not (-0.5 <= v <= shape[0] - 0.5 and -0.5 <= u <= shape[1] - 0.5):
                    continue
                inside += 1
                if facets.size:
                    near_v, near_u = int(np.floor(v + 0.5)) - corner[0], int(np.floor(u + 0.5)) - corner[1]
                    if not (0 <= near_v < facets.shape[0] and 0 <= near_u < facets.shape[1]):
                        continue
                    facet = facets[near_v, near_u]
                    if facet < 0:
                        continue
                    v += shifts[facet, 0]
                    u += shifts[facet, 1]
                v, u = _inside(v, shape[0]), _inside(u, shape[1])
                if not (corner[0] <= v <= last_y + 1 and corner[1] <= u <= last_x + 1):
                    continue
                row, column = min(int(v), last_y), min(int(u), last_x)
                place = (row - corner[0], column - corner[1], v - row, u - column)
                much = _bilinear(weight, *place)
                if much > 0:
                    value = _bilinear(image, *place)
                    if np.isfinite(value) and much < np.inf:
                        much /= scale * scale
                        total[y, x] += much * scale * value
                        weights[y, x] += much
                        added += 1
                    elif much == np.inf:
                        unusable += 1
                elif much < 0:
                    unusable += 1
    return inside, added, unusable


@compiled(nogil=True, error_model="numpy")
def primary_beam(app, true, beam_cut, median):
    """Primary beam ``app / true`` of a field, zero below the cut and where undefined.

    Parameters
    ----------
    app, true : ndarray of float32, ``[y, x]``
        Apparent and true flux of the same field, NaN where blank.
    beam_cut : float
        The survey uses 0.3.
    median : bool
        Take the median of 3 x 3 pixels, undefined ones as 0; at an edge the pixels
        there count for those beyond it.

    Returns
    -------
    ndarray of float32, ``[y, x]``
    """
    ny, nx = app.shape
    ratio = np.empty((ny, nx), np.float32)
    for y in range(ny):
        for x in range(nx):
            value = app[y, x] / true[y, x]
            ratio[y, x] = value if np.isfinite(value) else np.float32(0)
    beam = np.empty((ny, nx), np.float32)
    for y in range(ny):
        above, below = max(y - 1, 0), min(y + 1, ny - 1)
        # median of the highest low, the middle middle and the lowest high of three columns
        three = np.empty((3, nx + 2), np.float32)
        if median:
            for x in range(nx):
                three[:, x + 1] = _sorted(ratio[above, x], ratio[y, x], ratio[below, x])
            three[:, 0], three[:, nx + 1] = three[:, 1], three[:, nx]
        for x in range(nx):
            value = ratio[y, x]
            if median:
                low = max(three[0, x], three[0, x + 1], three[0, x + 2])
                middle = _sorted(three[1, x], three[1, x + 1], three[1, x + 2])[1]
                high = min(three[2, x], three[2, x + 1], three[2, x + 2])
                value = _sorted(low, middle, high)[1]
            blank = not (np.isfinite(app[y, x]) and np.isfinite(true[y, x]))
            beam[y, x] = 0 if blank or value < beam_cut else value
    return beam


@compiled(nogil=True)
def facets_of_pixels(corners, starts, numbers, first_row, first_column, shape):
    """Facet that each pixel's centre lies in, by the even-odd rule.

    Parameters
    ----------
    corners : ndarray of float64, ``[corner, 2]``
        Row and column of all polygons' corners, one polygon after another.
    starts : ndarray of int
        Where each polygon begins in `corners`, and the end of the last.
    numbers : ndarray of int
        Facet of each polygon.
    first_row, first_column : int
        Of the window.
    shape : (int, int)
        Of the window.

    Returns
    -------
    ndarray of int16, ``[y, x]``
        -1 where no polygon is; the last polygon where several are.
    """
    facets = np.full(shape, -1, np.int16)
    for y in range(shape[0]):
        crossings = np.empty(len(corners))
        row = float(first_row + y)
        for polygon in range(len(numbers)):
            first, end = starts[polygon], starts[polygon + 1]
            count = 0
            for n in range(first, end):
                y0, x0 = corners[n]
                y1, x1 = corners[n + 1 if n + 1 < end else first]
                if (y0 <= row) != (y1 <= row):
                    crossings[count] = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
                    count += 1
            crossings[:count].sort()
            for n in range(0, count - 1, 2):
                begin = max(int(np.ceil(crossings[n])) - first_column, 0)
                stop = min(int(np.ceil(crossings[n + 1])) - first_column, shape[1])
                for x in range(begin, stop):
                    facets[y, x] = numbers[polygon]
    return facets
