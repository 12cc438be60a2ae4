"""From cores to probability, and from probability to mask."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from radiounet.images.frequencies import copy_frequency
from radiounet.images.image import Plane, read_plane
from radiounet.images.origins import origin_error
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.reading import hdf5_store, reading
from radiounet.images.writing import write_fits
from radiounet.network.model_cards import ModelCard, model_folder, read_card
from radiounet.network.tiling import Layout, has_data, read_layout, stitch
from radiounet.settings.segmentation import Segmentation

logger = logging.getLogger(__name__)

NO_DATA = 255
EIGHT_NEIGHBOURS = np.ones((3, 3), int)
ROUNDING = 1e-5
"""By how much a float32 softmax may exceed 1."""


def make_mask(
    probability: np.ndarray, threshold: float, min_area_px: float, peak: float | None = None
) -> np.ndarray:
    """Threshold a probability map and drop islands that are small or nowhere certain.

    Two thresholds, as in Canny (1986): the lower one says how far emission reaches,
    the higher one whether it is there. On 35 Mpx scikit-image's hysteresis threshold and removal of small
    objects take five times as long; its thresholds join 4 neighbours and exclude their own value.

    Parameters
    ----------
    probability : ndarray, ``[y, x]``
        0..1, NaN where there is no data.
    threshold : float
        A pixel belongs to the mask from this probability on.
    min_area_px : float
        Connected regions (8 neighbours) smaller than this are dropped.
    peak : float, optional
        So are regions that reach this probability nowhere.

    Returns
    -------
    ndarray of uint8, ``[y, x]``
        0 no, 1 diffuse, 255 no data.
    """
    blank = np.isnan(probability)
    above = probability >= np.float32(threshold)
    labels, count = ndimage.label(above, EIGHT_NEIGHBOURS)
    inside = labels[above]  # few of all pixels
    kept = np.bincount(inside, minlength=count + 1) >= max(min_area_px, 1)
    if peak is not None:
        kept &= np.bincount(labels[probability >= np.float32(peak)], minlength=count + 1) > 0
    mask = np.zeros(probability.shape, np.uint8)
    mask[above] = kept[inside]
    mask[blank] = NO_DATA
    return mask


def stitch_cores(
    cores: str, image: str, model: str, options: Segmentation, probability_path: str, mask_path: str
) -> None:
    """Join cores into the probability map, and make the mask.

    The probability map of a network of several classes has an extension for each other class,
    0 where the map is NaN.
    In mode ``exact`` the probability is NaN where the image is; in ``reference`` mode blank
    pixels keep what the network said, and only the border that it never predicts is NaN.

    Raises
    ------
    OriginError
        The cores are those of another image or model, or not all there.
    """
    card = read_card(model_folder(model))
    plane = read_plane(image)
    with hdf5_store(cores) as store:
        with reading(cores):
            attributes, starts = dict(store.attrs), store["starts"][...]
        _check_cores(cores, attributes, image, card)
        where = read_layout(store, card)
        wanted = where.starts()
        _check_complete(cores, starts, wanted[has_data(plane.data, wanted, where, attributes["mode"])])
        with reading(cores):
            probability = stitch(store["cores"], starts, where)
            classes = [stitch(one, starts, where) for one in store.get("classes", ())]
    check_probabilities(cores, probability, where, starts)
    finish_maps(plane, image, probability, classes, attributes, card, options, probability_path, mask_path)


def finish_maps(
    plane: Plane,
    image: str,
    probability: np.ndarray,
    classes: Sequence[np.ndarray],
    made_from: Mapping[str, Any],
    card: ModelCard,
    options: Segmentation,
    probability_path: str,
    mask_path: str,
) -> None:
    """Blank a stitched probability map as its image is, make its mask, and write both.

    Parameters
    ----------
    plane : Plane
        The image.
    image : str
        Its file.
    probability : ndarray of float32, ``[y, x]``
        NaN where no core lies; changed here.
    classes : sequence of ndarray of uint8, ``[y, x]``
        Of the classes of the card; changed here.
    made_from : mapping
        ``image_sha256``, ``input_sha256``, ``mode`` and ``precision``; ``threads`` of a CPU.
    card : ModelCard
    options : Segmentation
    probability_path, mask_path : str
    """
    if made_from["mode"] != "reference":
        probability[np.isnan(plane.data)] = np.nan
    for one in classes:
        one[np.isnan(probability)] = 0
    threshold, peak = card.thresholds(options.threshold)
    if card.host_calibration and options.threshold and (threshold, peak) != card.thresholds(None):
        logger.warning(
            "p_diffuse is calibrated for masks of %s with threshold %g and peak %g; "
            "with threshold %g alone it may be off",
            *(card.name, *card.thresholds(None), threshold),
        )
    min_area_px = options.min_island_beams * plane.beam_area_px
    mask = make_mask(probability, threshold, min_area_px, peak)
    made = {
        "model": card.name,
        "modelsha": card.weights.sha256,
        "cardsha": card.sha256,
        "imagesha": made_from["image_sha256"],
        "inputsha": made_from["input_sha256"],
        "segmode": made_from["mode"],
        "precis": made_from["precision"],
        "threads": made_from.get("threads"),
        "bkgscale": card.background_arcmin,
    }
    cleaned = {"thresh": threshold, "maskpeak": peak, "minbeams": options.min_island_beams}
    planes = dict(zip(card.classes, classes, strict=True))
    write_maps(plane, image, probability, mask, made, cleaned, probability_path, mask_path, planes)


def write_maps(
    plane: Plane,
    image: str,
    probability: np.ndarray,
    mask: np.ndarray,
    made: Mapping[str, str | float | None],
    cleaned: Mapping[str, float],
    probability_path: str,
    mask_path: str,
    classes: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a probability map and its mask with the grid of their image.

    Parameters
    ----------
    plane : Plane
        The image.
    image : str
        Its file.
    probability : ndarray of float32, ``[y, x]``
    mask : ndarray of uint8, ``[y, x]``
    made, cleaned : mapping
        How both were made, and the mask from the map: see `radiounet.images.provenance.provenance`.
    classes : mapping of str to ndarray of uint8, ``[y, x]``, optional
        Of the other classes, see `radiounet.images.writing.write_fits`.
    """
    header = plane.header()
    copy_frequency(header, image)
    header.extend(provenance(**made))
    header["BUNIT"] = ("", "probability, 0..1")
    write_fits(probability_path, probability, header, classes=classes)
    header["BUNIT"] = ("", "0 no, 1 diffuse, 255 no data")
    header.extend(provenance(**cleaned)[-len(cleaned) :])
    write_fits(mask_path, mask, header)


def _check_cores(cores: str, attributes: Mapping[str, object], image: str, card: ModelCard) -> None:
    """Raise `OriginError` unless cores were predicted from this image with the weights of this card."""
    if attributes["model_sha256"] != card.weights.sha256:
        raise origin_error(cores, f"{cores} was predicted with other weights than those of {card.name}")
    found = sha256_of(image)
    if attributes["image_sha256"] != found:
        raise origin_error(
            cores,
            f"{cores} was predicted from another image than {image}: "
            f"SHA-256 {attributes['image_sha256']}, not {found}",
        )


def _check_complete(cores: str, starts: np.ndarray, wanted: np.ndarray) -> None:
    """Raise `OriginError` unless a file holds exactly the cores wanted.

    Parameters
    ----------
    cores : str
        Its name.
    starts, wanted : ndarray, ``[core, 2]``
        See `radiounet.network.tiling.Layout`; in any order.
    """
    there, needed = ({(int(y), int(x)) for y, x in one} for one in (starts, wanted))
    if len(starts) != len(there) or there != needed:
        raise origin_error(
            cores,
            f"{cores} is not complete: {len(needed - there)} of {len(needed)} cores are missing",
        )


def check_probabilities(cores: str, plane: np.ndarray, where: Layout, starts: np.ndarray) -> None:
    """Raise `OriginError` where a core that was predicted holds no probabilities.

    Parameters
    ----------
    cores : str
        Name of their file.
    plane : ndarray, ``[y, x]``
        Stitched.
    where : Layout
    starts : ndarray, ``[core, 2]``
        Of the predicted cores.
    """
    for start in starts:
        part = plane[where.core_of(start)[0]]
        # so that NaN is caught, too
        if part.size and not (part.min() >= 0 and part.max() <= 1 + ROUNDING):
            place = tuple(int(one) for one in start)
            raise origin_error(
                cores, f"{cores} holds numbers that are no probabilities (0..1) in the core at {place}"
            )
