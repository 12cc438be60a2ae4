"""Weighted mean of images on one grid: exact coordinates on a lattice, bilinear in between.

Both the coordinates and the images are interpolated bilinearly: the former between
nodes so close that the error is below `COORDINATE_ERROR_PX`, the latter as the survey
does (ddf-pipeline `mosaic.py`, by `reproject`).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from radiounet.errors import NoOverlapError
from radiounet.images.geometry import grid_header, pixels_in
from radiounet.images.image import StoredPlane, open_plane, require_same_grid
from radiounet.images.progress_bar import with_bar
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.words import printable
from radiounet.images.writing import write_fits
from radiounet.mosaicking.flaws import Flaws, Read, Suspect, Window
from radiounet.mosaicking.joined_headers import common_cards, require_one_kind, set_common_date
from radiounet.mosaicking.kernels import accumulate

logger = logging.getLogger(__name__)

COORDINATE_ERROR_PX = 2e-4
STEP_PX = 64
LEAST_CELLS = 8
BLOCK_PX = 512
NO_FACETS = np.empty((0, 0), np.int16)
NO_SHIFTS = np.zeros((1, 2))


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

    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Rows and columns in the image, ``[2, ...]``, of any places on the grid: as `accumulate` does it."""
        row, column = (y // self.step).astype(int), (x // self.step).astype(int)
        up, along = y / self.step - row, x / self.step - column
        left = self.nodes[:, row, column] * (1 - up) + self.nodes[:, row + 1, column] * up
        right = self.nodes[:, row, column + 1] * (1 - up) + self.nodes[:, row + 1, column + 1] * up
        return left + along * (right - left)

    def of_block(self, rows: slice, columns: slice) -> np.ndarray:
        """Nodes of a block whose first row and column are multiples of `step`."""
        span = [slice(one.start // self.step, -(-one.stop // self.step) + 1) for one in (rows, columns)]
        return self.nodes[:, span[0], span[1]]


def lattice_of(grid: WCS, image: WCS, shape: tuple[int, int]) -> Lattice:
    """Lattice of a grid in an image, fine enough for `COORDINATE_ERROR_PX`.

    The nodes are exact. Between them bilinear interpolation of a smooth map errs with
    the square of their distance, so what it does between every other node tells the
    error: four times as much as between all. Where the map is not smooth, at the seam of
    an all-sky projection or at its limb, every pixel is a node.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        Celestial, with ``array_shape``.
    image : astropy.wcs.WCS
        Celestial.
    shape : (int, int)
        Of the image, ``[y, x]``; what lies elsewhere does not matter.
    """
    step = STEP_PX
    while True:
        # an odd number of nodes has every other node at both ends
        ny, nx = (2 * -(-length // (2 * step)) + 1 for length in grid.array_shape)
        nodes = np.empty((2, ny, nx))
        for start in range(0, ny, STEP_PX):  # so that little memory is used
            rows = slice(start, min(start + STEP_PX, ny))
            y, x = np.mgrid[rows, :nx] * float(step)
            nodes[:, rows] = exact_pixels(grid, image, y, x)
        # between few nodes that are all off the sky there may be some of it
        is_seen = np.isfinite(nodes).any() or step * LEAST_CELLS <= min(grid.array_shape)
        if step == 1 or (is_seen and _largest_error(nodes, shape) / 4 < COORDINATE_ERROR_PX):
            return Lattice(nodes, step)
        step //= 2


def exact_pixels(grid: WCS, image: WCS, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows and columns in an image of places on a grid, ``[2, ...]``, NaN where there is none."""
    u, v = pixels_in(image, grid, x, y)
    return np.stack([v, u])


def _largest_error(nodes: np.ndarray, shape: tuple[int, int]) -> float:
    """Largest error of bilinear interpolation between every other node, at the nodes it leaves out.

    In cells that meet an image of that shape; infinite if a part of such a cell is off the sky.
    """
    # the nine nodes of each cell of two by two, [node, axis, y, x]
    ny, nx = (one - 1 for one in nodes.shape[1:])
    cells = np.stack([nodes[:, i : i + ny : 2, j : j + nx : 2] for i in range(3) for j in range(3)])
    low, high = np.fmin.reduce(cells), np.fmax.reduce(cells)
    slack = (high - low) / 2 + 1
    last = np.array(shape)[:, None, None] - 1
    meets = ((low - slack <= last) & (high + slack >= 0)).all(axis=0)
    if not meets.any():
        return 0.0
    cells = cells[..., meets]
    if np.isnan(cells).any():
        return np.inf
    upper, lower = (cells[0] + cells[2]) / 2, (cells[6] + cells[8]) / 2
    left, right = (cells[0] + cells[6]) / 2, (cells[2] + cells[8]) / 2
    pairs = (upper, 1), (left, 3), ((upper + lower) / 2, 4), (right, 5), (lower, 7)
    return max(float(np.abs(one - cells[number]).max()) for one, number in pairs)


class Coadd:
    """Sums of weight times image, and of weight, on one grid.

    Parameters
    ----------
    grid : astropy.wcs.WCS
        Celestial, with ``array_shape``.
    threads : int
        Blocks worked on at a time.
    """

    def __init__(self, grid: WCS, threads: int = 1) -> None:
        self.grid = grid
        self._threads = threads
        self._total = np.zeros(grid.array_shape)
        self._weights = np.zeros(grid.array_shape)

    def add(
        self,
        wcs: WCS,
        shape: tuple[int, int],
        read: Read,
        scale: float = 1.0,
        facets: Callable[[Window], np.ndarray] | None = None,
        shifts: np.ndarray = NO_SHIFTS,
    ) -> tuple[int, int, int]:
        """Add one image, block by block of the grid.

        Parameters
        ----------
        wcs : astropy.wcs.WCS
            Of the image.
        shape : (int, int)
            Of the image, ``[y, x]``.
        read : callable
            A window of the image to its pixels and weights, called from several threads:
            float32 ``[y, x]``. A pixel counts where its weight is above 0 and finite, and
            neither it nor one of those it is interpolated between is NaN.
        scale : float
            The image counts multiplied by it, its weights divided by its square.
        facets : callable, optional
            A window of the image to the facet of each pixel, int16, below 0 for none.
        shifts : ndarray, ``[facet, 2]``
            How much farther, in rows and columns, a facet's sources lie in the image
            than its coordinates say, px.

        Returns
        -------
        inside, added, unusable : int
            Pixels of the grid that lie on the image, those that it gave something to, and
            those left out because its weight there is infinite or below 0.
        """
        lattice = lattice_of(self.grid, wcs, shape)
        margin = int(np.ceil(np.abs(shifts).max())) + 2

        def add_to(block: Window) -> tuple[int, int, int]:
            nodes = lattice.of_block(*block)
            window = _part_needed(nodes, shape, margin)
            if window is None:
                return 0, 0, 0
            corner = window[0].start, window[1].start
            numbers = facets(window) if facets else NO_FACETS
            sums = self._total[block], self._weights[block]
            planes = [_two_a_side(plane) for plane in read(window)]
            return accumulate(*sums, *planes, corner, shape, nodes, lattice.step, numbers, shifts, scale)

        # blocks share no pixel, so their order does not matter
        with ThreadPoolExecutor(self._threads) as pool:
            blocks = list(self._blocks())
            counts = with_bar(pool.map(add_to, blocks), "blocks of the mosaic", len(blocks))
            inside, added, unusable = zip(*counts, strict=True)
        return sum(inside), sum(added), sum(unusable)

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


def _part_needed(nodes: np.ndarray, shape: tuple[int, int], margin: int) -> Window | None:
    """The part of an image that a block needs; None where it meets none."""
    if np.isnan(nodes).all():
        return None
    low = np.floor(np.nanmin(nodes, axis=(1, 2))).astype(int) - margin
    high = np.ceil(np.nanmax(nodes, axis=(1, 2))).astype(int) + margin + 1
    spans = [slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, shape, strict=True)]
    return None if any(one.stop <= one.start for one in spans) else (spans[0], spans[1])


def _two_a_side(plane: np.ndarray) -> np.ndarray:
    """The plane, its only row or column twice: two are needed to interpolate between."""
    for axis, side in enumerate(plane.shape):
        if side == 1:
            plane = np.repeat(plane, 2, axis)
    return plane


def coadd_files(
    pairs: Sequence[tuple[str, str]], like: str, image_path: str, weights_path: str, threads: int = 1
) -> None:
    """Weighted mean of any images with given weight maps, on the grid of another file.

    Images are resampled bilinearly, in Jy/beam or any other unit that does not depend
    on the pixels' size. The result has the mean frequency of the images that give something to
    it, their beam where it is one within 2 %, and the date of observation that all have, if any.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Image and weight map, on the same grid; weights 0 or NaN where not to be used: such a pixel is
        blank. So are solid areas of 0 in the image, see `radiounet.images.blanks.solid_zeros`.
        Weights that are infinite or below 0 are left out, too, and counted in the log.
    like : str
        FITS file with the output grid.
    image_path, weights_path : str
        Written: float32, NaN where no image contributes, and the summed weights.
    threads : int

    Raises
    ------
    UnitError
        The images differ in their unit, or one of them could be milli- or megajansky.
    FrequencyError
        Their frequencies differ by more than 5 %.
    StokesError
        One is of polarised emission.
    BrightnessError
        A pixel of the grid is interpolated from what cannot be brightness: an area of a number such as -9999,
        or a pixel above 1e10 Jy/beam; where BUNIT is not known to be a brightness, beyond what 32 bits hold.
    ShapeMismatchError
        An image and its weights are not on the same grid.
    NoOverlapError
        None has a pixel with weight on the grid.
    """
    grid = open_plane(like, brightness=False).wcs
    coadd = Coadd(grid, threads)
    # sorted, so that the order given does not change a bit of the sums
    pairs = sorted(pairs)
    headers, coordinates = {}, []
    for path, _ in pairs:
        plane = open_plane(path, brightness=False)
        headers[path] = plane.header
        coordinates.append(plane.wcs)
    require_one_kind(headers)
    set_common_date(grid, coordinates)
    header, used = fits.Header(), []
    for paths in pairs:
        image, weight = (open_plane(path, brightness=False) for path in paths)
        require_same_grid(image, weight, f"{image.path} and {weight.path}")
        added = _add_pair(coadd, image, weight)
        if not added:
            logger.warning("%s has nothing to give to the grid of %s", image.path, like)
            continue
        used.append(paths[0])
        for kind, plane in (("image", image), ("weight", weight)):
            header.add_history(printable(f"{kind} {Path(plane.path).name}"))
            header.add_history(f"sha256 {sha256_of(plane.path)}")
    if not used:
        raise NoOverlapError(f"no image has a pixel with weight on the grid of {like}")
    data, weights = coadd.finish()
    header = grid_header(grid) + common_cards({path: headers[path] for path in used}, grid) + header
    header.extend(provenance(nfields=len(used)))
    write_fits(image_path, data, header)
    header.remove("BUNIT", ignore_missing=True)
    write_fits(weights_path, weights, header)


def _add_pair(coadd: Coadd, image: StoredPlane, weight: StoredPlane) -> int:
    """Add an image with its weights to the sums; to how many pixels of the grid it gave something."""

    def counted(rows: slice, columns: slice) -> np.ndarray:
        brightness, weights = image.known(rows, columns), weight.window(rows, columns)
        # a hole, or it would be a part of what is interpolated beside it
        brightness[~((weights > 0) & (weights < np.inf))] = np.nan
        return brightness

    flaws = Flaws([Suspect(image, counted)])

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        brightness, weights = counted(*window), weight.window(*window)
        weights[weights < 0] = np.inf  # so that no interpolation hides it
        flaws.mark(window, [brightness], weights)
        return brightness, weights

    add = partial(coadd.add, image.wcs, image.data.shape)
    _, added, unusable = add(read)
    if unusable:
        flaws.require_unused(add)
        logger.warning("%s is infinite or below 0 at %d pixels: left out", weight.path, unusable)
    return added
