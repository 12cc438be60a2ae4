"""Background and noise of an image, for detection and for flux densities.

The background is what stays the same over tens of arcminutes: a pedestal, a slow
gradient, the bowl of missing short spacings. The noise is measured on what changes within
a few beams, so that neither Galactic emission nor a halo raises it.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from radiounet.errors import AllBlankError
from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.noise import BOX_PX as BOX_RMS_PX
from radiounet.images.noise import LARGE_PX, in_threads, join_boxes, join_strips, robust_rms

BOX_PX = 48
"""Side of the boxes whose medians the background is made of; 3.6' at 4.5 arcsec."""
NEIGHBOURHOOD_BOXES = 13
"""Side of the square of boxes that share one level; 47' at 4.5 arcsec."""
LOW_PERCENT = 30.0
"""Percentile of the boxes' medians: emission may fill more than half of the neighbourhood."""
PERCENTILE_BIAS = 0.7
"""How far that lies below the level of blank sky, over the noise divided by the square root of the
beams in a box; `tests/unit/images/test_background.py` holds it to 0.03 of the noise."""
FILTER_BEAMS = 5.0
"""Side of the box whose mean is removed before the noise is measured, beams."""
CLIP_SNR = 4.0
NOISE_KEPT = 0.947
"""What that leaves of noise that is correlated like the beam; measured."""
LEAST_FILLED = 0.2


def measure_background(image: np.ndarray) -> np.ndarray:
    """Level of an image on the scale of `NEIGHBOURHOOD_BOXES` boxes.

    The median of every box of `BOX_PX`; of these medians a low percentile over the
    neighbourhood, joined smoothly. Unlike the mean or the mode it is not drawn up by a halo
    that fills half of the neighbourhood (compare SExtractor, Bertin & Arnouts 1996, A&AS 117,
    393, whose mode of each box would be).

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Brightness, any unit, NaN where blank.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        In the unit of `image`; finite everywhere.

    Raises
    ------
    AllBlankError
        The image holds no data.
    """
    medians = _box_medians(image)
    known = np.isfinite(medians)
    if not known.any():
        raise AllBlankError("the background cannot be measured: the image holds no data")
    levels = _low_percentiles(medians)
    nearest = ndimage.distance_transform_edt(
        ~np.isfinite(levels), return_distances=False, return_indices=True
    )
    levels = ndimage.gaussian_filter(levels[tuple(nearest)], NEIGHBOURHOOD_BOXES / 6, mode="nearest")
    return _spread(levels.astype(np.float32), image.shape)


def subtract_background(
    image: np.ndarray, rms: np.ndarray, beam_px: float, emission: np.ndarray | None = None
) -> np.ndarray:
    """Image minus the level of blank sky, for flux densities and for detection by ``asinh(I / rms)``.

    `measure_background` takes a low percentile, which lies below the level of blank sky. The
    difference is corrected (`PERCENTILE_BIAS`).

    Parameters
    ----------
    image, rms : ndarray, ``[y, x]``
        Brightness and its local rms, one unit; NaN where blank.
    beam_px : float
        FWHM of the beam that the image was made with, px.
    emission : ndarray of bool, ``[y, x]``, optional
        Pixels whose emission must not count for background, such as those of a mask. Ignored
        where they leave no other pixel with data.

    Returns
    -------
    ndarray of float32, ``[y, x]``

    Raises
    ------
    AllBlankError
        As `measure_background`.
    """
    level = measure_background(image if emission is None else _without(image, emission))
    per_box = BOX_PX / (np.sqrt(FWHM_AREA) * beam_px)
    level += (PERCENTILE_BIAS / per_box) * rms
    return np.subtract(image, level, out=level, casting="same_kind")


def _without(image: np.ndarray, emission: np.ndarray) -> np.ndarray:
    """Image that is blank where there is emission, unless that leaves nothing."""
    sky = image.astype(np.float32)
    sky[emission] = np.nan
    return sky if np.isfinite(sky).any() else image


def background_arcmin(pixel_arcsec: float) -> float:
    """Scale of `measure_background`: side of the square of boxes that share one level, arcmin."""
    return round(NEIGHBOURHOOD_BOXES * BOX_PX * pixel_arcsec / 60, 6)  # a pixel scale has rounding errors


def _box_medians(image: np.ndarray) -> np.ndarray:
    parts = [slice(start, start + BOX_PX) for start in range(0, image.shape[0], BOX_PX)]
    medians = np.stack(in_threads(lambda rows: _medians_along(image[rows]), parts, image.shape))
    if not np.isfinite(medians).any() and np.isfinite(image).any():
        medians[:] = np.nanmedian(image)
    return medians


def _medians_along(strip: np.ndarray) -> np.ndarray:
    """Median of each box of a strip of boxes, NaN where too little of it is known."""
    boxes = [strip[:, start : start + BOX_PX] for start in range(0, strip.shape[1], BOX_PX)]
    known = [np.isfinite(box) for box in boxes]
    medians = np.full(len(boxes), np.nan, np.float32)
    whole = [n for n, box in enumerate(boxes) if known[n].all() and box.size == BOX_PX**2]
    if whole:  # all at once
        medians[whole] = np.median(np.stack([boxes[n].ravel() for n in whole]), axis=1)
    for n in sorted({*range(len(boxes))} - {*whole}):
        values = boxes[n][known[n]]
        if values.size >= LEAST_FILLED * boxes[n].size:
            medians[n] = np.median(values)
    return medians


def _low_percentiles(values: np.ndarray) -> np.ndarray:
    """Percentile `LOW_PERCENT` of each neighbourhood of boxes, NaN where none of them is known."""
    margin = NEIGHBOURHOOD_BOXES // 2
    around = sliding_window_view(
        np.pad(values, margin, constant_values=np.nan), (NEIGHBOURHOOD_BOXES, NEIGHBOURHOOD_BOXES)
    )
    ordered = np.sort(around.reshape(*values.shape, -1), axis=-1)  # NaN last
    last = np.isfinite(ordered).sum(axis=-1) - 1
    place = LOW_PERCENT / 100 * np.maximum(last, 0)
    low = place.astype(int)
    low, high = (
        np.take_along_axis(ordered, one[..., None], axis=-1)[..., 0].astype(float)
        for one in (low, np.minimum(low + 1, np.maximum(last, 0)))
    )
    return low + (high - low) * (place - np.floor(place))


def _spread(levels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation of box values to pixels."""
    rows, columns = (
        np.clip((np.arange(side) + 0.5) / BOX_PX - 0.5, 0, boxes - 1)
        for side, boxes in zip(shape, levels.shape, strict=True)
    )
    return join_boxes(levels, rows, columns)


def measure_rms(image: np.ndarray, beam_px: float) -> np.ndarray:
    """Local noise from what changes within `FILTER_BEAMS`.

    The mean over a box is taken away, bright sources clipped before; then the median
    absolute deviation as in `radiounet.images.noise.local_rms`.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Brightness without background, any unit, NaN where blank.
    beam_px : float
        FWHM of the beam, px.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        Standard deviation in the unit of `image`; finite and positive everywhere.

    Raises
    ------
    AllBlankError
        No part of the image holds enough varying data.
    """
    step = math.isqrt(image.size // LARGE_PX) or 1  # to clip, the noise of a large image need not be exact
    limit = CLIP_SNR * robust_rms(image[::step, ::step])
    side = 2 * round(FILTER_BEAMS * beam_px / 2) + 1
    box_px = min(BOX_RMS_PX, *image.shape)
    rms = join_strips(lambda rows: _small_scales(image, rows, side, limit), image.shape, box_px)
    return rms / np.float32(NOISE_KEPT)


def _small_scales(image: np.ndarray, rows: slice, side: int, limit: float) -> np.ndarray:
    """Rows of an image less the mean over squares, in which bright pixels are clipped."""
    first = max(rows.start - side // 2, 0)
    part = image[first : rows.stop + side // 2]
    known = np.isfinite(part)
    clipped = np.clip(np.where(known, part, 0), -limit, limit).astype(np.float32)
    weight = ndimage.uniform_filter(known.astype(np.float32), side)
    part = part - ndimage.uniform_filter(clipped, side) / np.maximum(weight, 1e-3)
    return part[rows.start - first : rows.stop - first]


def normalise(image: np.ndarray, beam_px: float) -> np.ndarray:
    """Input of the network of several classes: ``asinh((I - background) / noise)``.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Brightness, any unit, NaN where blank.
    beam_px : float
        FWHM of the beam, px.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        0 where blank.

    Raises
    ------
    AllBlankError
        As `measure_background` and `measure_rms`.
    """
    plane = (image - measure_background(image)).astype(np.float32, copy=False)
    plane /= measure_rms(plane, beam_px)
    np.arcsinh(plane, out=plane)
    plane[~np.isfinite(plane)] = 0
    return plane
