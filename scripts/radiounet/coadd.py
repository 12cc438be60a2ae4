"""Weighted mean of images on one grid: exact coordinates on a lattice, bilinear in between.

Both the coordinates and the images are interpolated bilinearly: the former between
nodes so close that the error is below `COORDINATE_ERROR_PX`, the latter as the survey
does (ddf-pipeline `mosaic.py`, by `reproject`).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel, wcs_to_celestial_frame

from radiounet.errors import CelestialError
from radiounet.kernels import accumulate

logger = logging.getLogger(__name__)

COORDINATE_ERROR_PX = 2e-4
STEP_PX = 64
BLOCK_PX = 1024
NO_FACETS = np.empty((0, 0), np.int16)
NO_SHIFTS = np.zeros((1, 2))

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Lattice:
    """Where every `step`-th pixel of a grid lies in an image.

    Attributes
    ----------
    nodes : ndarray of float64, ``[2, node y, node x]``
        Row and column in the image, NaN where it has none; the last nodes lie on or
        beyond the last pixels.
    step : int
        Pixels between nodes.
    """

    nodes: np.ndarray
    step: int

    def of_block(self, rows: slice, columns: slice) -> np.ndarray:
        """Nodes of a block whose first row and column are multiples of `step`."""
        span = [slice(one.start // self.step, -(-one.stop // self.step) + 1) for one in (rows, columns)]
        return self.nodes[:, span[0], span[1]]


def lattice_of(grid: WCS, image: WCS) -> Lattice:
    """Lattice of a grid in an image, fine enough for `COORDINATE_ERROR_PX`.

    The nodes are exact. Between them bilinear interpolation of a smooth map errs with
    the square of their distance, so what it does between every other node tells the
    error: four times as much as between all.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        Celestial, with ``array_shape``.
    image : astropy.wcs.WCS
        Celestial.

    Raises
    ------
    CelestialError
        The coordinates are not smooth on any lattice.
    """
    step = STEP_PX
    while step:
        # an odd number of nodes has every other node at both ends
        counts = [2 * -(-length // (2 * step)) + 1 for length in grid.array_shape]
        y, x = np.meshgrid(*(np.arange(count) * float(step) for count in counts), indexing="ij")
        nodes = exact_pixels(grid, image, y, x)
        if np.isnan(nodes).all() or _largest_error(nodes) / 4 < COORDINATE_ERROR_PX:
            return Lattice(nodes, step)
        step //= 2
    raise CelestialError("the coordinates of the two grids are no smooth function of each other")


def exact_pixels(grid: WCS, image: WCS, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows and columns in an image of places on a grid, ``[2, ...]``, NaN where there is none."""
    if wcs_to_celestial_frame(grid).name == wcs_to_celestial_frame(image).name:
        sky = grid.wcs_pix2world(x.ravel(), y.ravel(), 0)
        u, v = image.wcs_world2pix(*sky, 0)
        return np.stack([v.reshape(y.shape), u.reshape(y.shape)])
    u, v = pixel_to_pixel(grid, image, x, y)
    return np.stack([v, u])


def _largest_error(nodes: np.ndarray) -> float:
    """Largest error of bilinear interpolation between every other node, at the nodes it leaves out."""
    half = nodes[:, ::2]
    rows = (half[:, :-1] + half[:, 1:]) / 2
    between_rows = rows[:, :, ::2] - nodes[:, 1::2, ::2]
    between_columns = (nodes[:, :, :-1:2] + nodes[:, :, 2::2]) / 2 - nodes[:, :, 1::2]
    corners = (rows[:, :, :-1:2] + rows[:, :, 2::2]) / 2 - nodes[:, 1::2, 1::2]
    errors = [np.abs(one) for one in (between_rows, between_columns, corners)]
    return max(float(np.nanmax(one, initial=0)) for one in errors)


class Coadd:
    """Sums of weight times image, and of weight, on one grid.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        Celestial, with ``array_shape``.
    """

    def __init__(self, grid: WCS) -> None:
        self.grid = grid
        self._total = np.zeros(grid.array_shape)
        self._weights = np.zeros(grid.array_shape)

    def add(
        self,
        wcs: WCS,
        shape: tuple[int, int],
        read: Callable[[Window], tuple[np.ndarray, np.ndarray] | None],
        scale: float = 1.0,
        facets: Callable[[Window], np.ndarray] | None = None,
        shifts: np.ndarray = NO_SHIFTS,
    ) -> bool:
        """Add one image, block by block of the grid.

        Parameters
        ----------
        wcs : astropy.wcs.WCS
            Of the image.
        shape : (int, int)
            Of the image, ``[y, x]``.
        read : callable
            A window of the image to its pixels and weights, float32 ``[y, x]``, or to
            None where no weight is above 0. A pixel counts where its weight is above 0
            and neither it nor one of those it is interpolated between is NaN.
        scale : float
            The image counts multiplied by it, its weights divided by its square.
        facets : callable, optional
            A window of the image to the facet of each pixel, int16, below 0 for none.
        shifts : ndarray, ``[facet, 2]``
            How much farther, in rows and columns, a facet's sources lie in the image
            than its coordinates say, px.

        Returns
        -------
        bool
            Whether anything was read: the image overlaps the grid.
        """
        lattice = lattice_of(self.grid, wcs)
        margin = int(np.ceil(np.abs(shifts).max())) + 2
        met = False
        for rows, columns in self._blocks():
            nodes = lattice.of_block(rows, columns)
            window = _window(nodes, shape, margin)
            if window is None:
                continue
            met = True
            planes = read(window)
            if planes is None:
                continue
            corner = window[0].start, window[1].start
            accumulate(
                self._total[rows, columns],
                self._weights[rows, columns],
                *planes,
                corner,
                shape,
                nodes,
                lattice.step,
                facets(window) if facets else NO_FACETS,
                shifts,
                scale,
            )
        return met

    def _blocks(self) -> Iterator[Window]:
        ny, nx = self.grid.array_shape
        for y in range(0, ny, BLOCK_PX):
            for x in range(0, nx, BLOCK_PX):
                yield slice(y, min(y + BLOCK_PX, ny)), slice(x, min(x + BLOCK_PX, nx))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean, NaN where nothing was added, and summed weights; the sums are gone.

        Returns
        -------
        image, weights : ndarray of float32, ``[y, x]``
        """
        weights = self._weights.astype(np.float32)
        with np.errstate(invalid="ignore"):
            np.divide(self._total, self._weights, out=self._total)
        image = self._total.astype(np.float32)
        del self._total, self._weights
        return image, weights


def _window(nodes: np.ndarray, shape: tuple[int, int], margin: int) -> Window | None:
    """The part of an image that a block needs; None where it meets none."""
    if np.isnan(nodes).all():
        return None
    low = np.floor(np.nanmin(nodes, axis=(1, 2))).astype(int) - margin
    high = np.ceil(np.nanmax(nodes, axis=(1, 2))).astype(int) + margin + 1
    spans = [slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, shape, strict=True)]
    # two pixels are needed to interpolate between
    return None if any(one.stop - one.start < 2 for one in spans) else (spans[0], spans[1])
