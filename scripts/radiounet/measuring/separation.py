"""Touching objects of a mask, cut into islands of their own.

A halo and a relic that touch, or two halos joined by a bridge, are one connected region of a
mask. They are cut along the valley in the brightness between them: a watershed of the smoothed
image, whose basins are merged again unless both sides of a valley stand out from it.

How it is done, region by region:

1. Compact sources are taken out, because they would make islands of their own. A pixel is
   compact where it stands out from the median of the region within `LEVEL_BEAMS`; it and its
   surroundings get the median. The median is that of the region's own pixels, so a narrow relic
   survives. It is used rather than a morphological opening (Rudnick 2002, PASP 114, 427), which
   takes the lowest of many noisy pixels and so loses faint emission.
2. What remains is smoothed with a Gaussian of `SMOOTH_BEAMS`, again over the region's pixels only;
   each counts by its probability, so a pixel that the network doubts, such as one of a radio
   galaxy, counts less.
3. Each maximum has its basin (`skimage.segmentation.watershed`). From the highest saddle down, two
   basins are merged unless the fainter maximum rises above their saddle by `VALLEY` of its own
   height (so that a clumpy object stays whole) and by `SIGNIFICANCE` times the noise of the
   smoothed image (so that noise cuts nothing).
4. Pieces smaller than `MIN_PIECE_BEAMS` are merged with the neighbour of the highest saddle.
"""

import numpy as np
from scipy import ndimage
from skimage.morphology import disk, local_maxima
from skimage.segmentation import watershed

from radiounet.images.gaussian import FWHM_AREA, FWHM_TO_SIGMA
from radiounet.measuring.compact import LEVEL_BEAMS, is_sharp
from radiounet.measuring.running_median import masked_median
from radiounet.network.masks import EIGHT_NEIGHBOURS

SMOOTH_BEAMS = 2.0
"""FWHM of the Gaussian."""
VALLEY = 0.6
"""The saddle lies below the fainter maximum by at least this fraction of it."""
SIGNIFICANCE = 6.0
"""It lies below it by at least this many times the rms of the smoothed noise."""
MIN_PIECE_BEAMS = 5.0
"""Smallest piece, beam areas."""


def separate(
    mask: np.ndarray, image_snr: np.ndarray, probability: np.ndarray, beam_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Label the islands of a mask, and cut those that hold several objects.

    Parameters
    ----------
    mask : ndarray of uint8, ``[y, x]``
        0 no, 1 diffuse, 255 no data.
    image_snr : ndarray, ``[y, x]``
        Brightness over the local noise; NaN where blank.
    probability : ndarray, ``[y, x]``
        0..1.
    beam_px : float
        FWHM of the beam with which the image was made, px.

    Returns
    -------
    labels : ndarray of int32, ``[y, x]``
        0 outside the mask, else the number of the island: from 1, by first pixel, from bottom
        to top. An island is connected (8 neighbours), and every pixel of the mask is in one.
    parents : ndarray of int32, ``[island]``
        Connected region, numbered in the same way, that island ``i + 1`` was cut from.
    """
    labels, count = ndimage.label(mask == 1, EIGHT_NEIGHBOURS)
    parts = ndimage.find_objects(labels)
    pieces, first, parents = {}, [], []
    for region, part in enumerate(parts, start=1):
        inside = labels[part] == region
        cut = pieces[region] = _cut(inside, image_snr[part], probability[part], beam_px)
        for y, x in _first_pixels(inside if cut is None else cut):
            first.append((part[0].start + y, part[1].start + x))
            parents.append(region)
    order = sorted(range(len(first)), key=first.__getitem__)
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    _renumber(labels, parts, pieces, np.split(numbers, np.searchsorted(parents, np.arange(2, count + 1))))
    return labels, np.array(parents, np.int32)[order]


def _first_pixels(pieces: np.ndarray) -> list[tuple[int, int]]:
    """Row and column of the first pixel of pieces 1, 2, ..."""
    values, where = np.unique(pieces, return_index=True)
    return list(zip(*np.unravel_index(where[values > 0], pieces.shape), strict=True))


def _renumber(labels: np.ndarray, parts: list, pieces: dict, numbers: list[np.ndarray]) -> None:
    """Write the islands' numbers over those of the regions; below zero at first, to tell them apart."""
    for (region, cut), part, mine in zip(pieces.items(), parts, numbers, strict=False):
        inside = labels[part] == region
        labels[part][inside] = -mine[0] if cut is None else -mine[cut[inside] - 1]
    np.negative(labels, out=labels)


def _cut(inside: np.ndarray, snr: np.ndarray, probability: np.ndarray, beam_px: float) -> np.ndarray | None:
    """Pieces of one region, numbered from 1, on its bounding box ``[y, x]``; None if it stays whole."""
    min_area_px = MIN_PIECE_BEAMS * FWHM_AREA * beam_px**2
    if np.count_nonzero(inside) < 2 * min_area_px:
        return None
    height = smooth_brightness(inside, snr, probability, beam_px)
    basins, count = _basins(inside, height)
    if count < 2:
        return None
    tree = _Merging(basins, height, count)
    noise = 1 / np.hypot(1, SMOOTH_BEAMS)  # noise with the beam's correlation, smoothed further
    tree.merge_shallow(SIGNIFICANCE * noise)
    tree.merge_small(min_area_px)
    roots, pieces = np.unique([tree.root(basin) for basin in range(count + 1)], return_inverse=True)
    return pieces[basins] if len(roots) > 2 else None


def smooth_brightness(
    inside: np.ndarray, snr: np.ndarray, probability: np.ndarray, beam_px: float
) -> np.ndarray:
    """S/N of a region without compact sources, smoothed.

    Parameters
    ----------
    inside : ndarray of bool, ``[y, x]``
        The region; what lies outside has no influence.
    snr : ndarray, ``[y, x]``
        NaN where blank.
    probability : ndarray, ``[y, x]``
        Weight of each pixel.
    beam_px : float
        FWHM, px.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        In units of the noise of one pixel; 0 outside the region, and far from any data.
    """
    known = inside & np.isfinite(snr)
    values = np.where(known, snr, 0).astype(np.float32)
    median = masked_median(values, known, LEVEL_BEAMS * beam_px)
    compact = known & is_sharp(values, median)
    compact = ndimage.binary_dilation(compact, disk(round(beam_px / 2)))  # the wings of the beam
    weight = np.where(known, probability, 0).astype(np.float32)
    values = np.where(compact, median, values) * weight
    sigma = SMOOTH_BEAMS * beam_px * FWHM_TO_SIGMA
    summed, weight = (
        ndimage.gaussian_filter(plane, sigma, mode="constant", truncate=3) for plane in (values, weight)
    )
    return np.divide(summed, weight, out=np.zeros_like(summed), where=inside & (weight > 1e-6))


def _basins(inside: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, int]:
    """Basin of every maximum, numbered from 1, ``[y, x]``; and how many there are."""
    # a frame lower than all else makes maxima at the border of the box count as well
    framed = np.pad(np.where(inside, height, -np.inf), 1, constant_values=-np.inf)
    tops = local_maxima(framed, connectivity=2)[1:-1, 1:-1]
    tops, count = ndimage.label(tops, EIGHT_NEIGHBOURS)
    return watershed(-height, tops, connectivity=EIGHT_NEIGHBOURS, mask=inside), count


class _Merging:
    """Basins while they are merged; each has its height and area, each pair its saddle."""

    def __init__(self, basins: np.ndarray, height: np.ndarray, count: int):
        self.peak = ndimage.maximum(height, basins, np.arange(count + 1))
        self.area = np.bincount(basins.ravel(), minlength=count + 1)
        self.saddles = _saddles(basins, height)
        self._above = list(range(count + 1))

    def root(self, basin: int) -> int:
        """Basin that this one was merged into."""
        while self._above[basin] != basin:
            self._above[basin] = self._above[self._above[basin]]
            basin = self._above[basin]
        return basin

    def _join(self, one: int, other: int) -> None:
        if self.peak[one] < self.peak[other]:
            one, other = other, one
        self._above[other] = one
        self.area[one] += self.area[other]

    def merge_shallow(self, min_depth: float) -> None:
        """Merge what no deep valley parts, from the highest saddle down."""
        for saddle, one, other in self.saddles:
            one, other = self.root(one), self.root(other)
            fainter = min(self.peak[one], self.peak[other])
            if one != other and fainter - saddle < max(min_depth, VALLEY * fainter):
                self._join(one, other)

    def merge_small(self, min_area_px: float) -> None:
        """Merge pieces that are too small, the smallest first, across their highest saddle."""
        while True:
            pairs = [(saddle, self.root(a), self.root(b)) for saddle, a, b in self.saddles]
            pairs = [pair for pair in pairs if pair[1] != pair[2]]
            small = min((one for pair in pairs for one in pair[1:]), key=self.area.__getitem__, default=0)
            if not pairs or self.area[small] >= min_area_px:
                return
            self._join(*next(pair[1:] for pair in pairs if small in pair[1:]))


def _saddles(basins: np.ndarray, height: np.ndarray) -> list[tuple[float, int, int]]:
    """Highest saddle between each two basins that touch (8 neighbours), the highest first."""
    found: dict[tuple[int, int], float] = {}
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: basins.shape[0] - dy, max(-dx, 0) : basins.shape[1] - max(dx, 0)]
        there = np.s_[dy:, max(dx, 0) : basins.shape[1] + min(dx, 0)]
        one, other = basins[here], basins[there]
        border = (one != other) & (one > 0) & (other > 0)
        level = np.minimum(height[here], height[there])[border].tolist()
        low, high = np.minimum(one, other)[border].tolist(), np.maximum(one, other)[border].tolist()
        for pair, saddle in zip(zip(low, high, strict=True), level, strict=True):
            found[pair] = max(found.get(pair, -np.inf), saddle)
    return sorted(((saddle, *pair) for pair, saddle in found.items()), key=lambda s: (-s[0], s[1:]))
