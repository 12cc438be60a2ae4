"""Ways to find diffuse emission that can be evaluated: networks, and baselines without learning."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radiounet.learning.baselines import multiscale_filter, smoothed_threshold
from radiounet.network.cluster_probability import HostCalibration
from radiounet.network.inference import Predictor, open_model
from radiounet.network.model_cards import Normalisation, network_input

Score = Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]


@dataclass(frozen=True)
class Method:
    """Something that says how likely each pixel is diffuse emission.

    Attributes
    ----------
    name : str
    score : callable
        Image and local rms in Jy/beam, ``[y, x]``, pixel scale and beam in arcsec,
        to a score 0..1 per pixel.
    threshold : float
        Where its mask begins as long as no calibration says otherwise.
    """

    name: str
    score: Score
    threshold: float = 0.5


def network_method(
    name: str,
    predictor: Predictor,
    normalisation: Normalisation,
    tile_px: int,
    core_px: int,
    threshold: float = 0.5,
) -> Method:
    """Make a method of a network."""

    def score(image: np.ndarray, rms: np.ndarray, pixel_arcsec: float, beam_arcsec: float) -> np.ndarray:
        plane = network_input(normalisation, image, beam_arcsec / pixel_arcsec)
        return predictor.plane(plane, tile_px, core_px)

    return Method(name, score, threshold)


@dataclass(frozen=True)
class Calibration:
    """Thresholds derived from the calibration images.

    Attributes
    ----------
    threshold : float
        Where the mask begins.
    peak : float or None
        What an island must reach somewhere, see `radiounet.network.masks.make_mask`.
    host_calibration : HostCalibration or None
        Turns what a cluster's aperture shows into its probability; None where the
        images hold no clusters, or only such with or without diffuse emission.
    """

    threshold: float
    host_calibration: HostCalibration | None = None
    peak: float | None = None


def model_method(folder: str | Path, note: str = "") -> tuple[Method, Calibration]:
    """Make a method of a model folder.

    Returns
    -------
    method : Method
        Called as the card is, with the note in brackets.
    calibration : Calibration
        Of the card.

    Raises
    ------
    ModelError
        As `radiounet.network.engine.load_model`.
    """
    predictor, card = open_model(folder)
    name = f"{card.name} ({note})" if note else card.name
    sides = (card.tile_px, card.core_px)
    method = network_method(name, predictor, card.normalisation, *sides, card.threshold)
    return method, Calibration(card.threshold, card.host_calibration, card.peak)


BASELINES = (Method("smoothed threshold", smoothed_threshold), Method("multiscale filter", multiscale_filter))
BY_HAND = Method("smoothed threshold, 3 sigma", smoothed_threshold)
