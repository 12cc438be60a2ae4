"""What a method finds in fields whose truth is known, and the card of a trained model.

A method turns an image into a score per pixel. Its threshold and its cluster
probability are settled on calibration fields (`calibrate`) and measured on
held-out ones (`evaluate`), one field in memory at a time.
"""

import csv
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import yaml
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.baselines import multiscale_filter, smoothed_threshold
from radiounet.cards import Card, Normalisation, Weights
from radiounet.errors import BadDataError
from radiounet.hosts import HostCalibration, field_features, fit_hosts
from radiounet.image import FWHM_AREA
from radiounet.inference import predict_plane
from radiounet.masks import EIGHT_NEIGHBOURS, make_mask
from radiounet.network import ARCHITECTURES, load_model
from radiounet.pairs import BEAM_ARCSEC, NORMALISATIONS, UNKNOWN, read_pair
from radiounet.products import atomic, sha256_of, write_json
from radiounet.recipe import TrainOptions
from radiounet.scores import (
    EDGES,
    PixelCounts,
    card_metrics,
    divide,
    false_islands,
    plain,
    score_decisions,
    score_objects,
    summarise_flux,
    summarise_objects,
)
from radiounet.simulate import CAUSES
from radiounet.sky import PIXEL_ARCSEC

logger = logging.getLogger(__name__)

DETECTABLE_SIGMA = 1.0
FAINT_SIGMA = 0.1
MIN_COVERAGE = 0.5
CURVE_STEP = 5  # every fifth threshold is enough to draw

Score = Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]


@dataclass(frozen=True)
class Method:
    """Something that says how likely each pixel is diffuse emission.

    Attributes
    ----------
    name : str
    score : callable
        Image and local noise in Jy/beam, ``[y, x]``, pixel scale and beam in arcsec,
        to a score 0..1 per pixel.
    threshold : float
        Where its mask begins as long as no calibration says otherwise.
    """

    name: str
    score: Score
    threshold: float = 0.5


def network_method(
    name: str,
    model: keras.Model,
    normalisation: Normalisation,
    tile_px: int,
    core_px: int,
    threshold: float = 0.5,
    flips: bool = False,
) -> Method:
    """Make a method of a network; with `flips`, of its mean over the image and its three mirrors."""

    def score(image: np.ndarray, rms: np.ndarray, pixel_arcsec: float, beam_arcsec: float) -> np.ndarray:
        plane = normalisation(image, rms)
        mirrors = [(), (0,), (1,), (0, 1)] if flips else [()]
        parts = [np.flip(predict_plane(model, np.flip(plane, m), tile_px, core_px), m) for m in mirrors]
        return np.mean(parts, axis=0)

    return Method(name, score, threshold)


def model_method(folder: str | Path, flips: bool = False) -> Method:
    """Make a method of a model folder, called as its card is.

    Raises
    ------
    ModelError
        As `radiounet.network.load_model`.
    """
    model, card = load_model(folder)
    return network_method(
        card.name, model, card.normalisation, card.tile_px, card.core_px, card.threshold, flips
    )


BASELINES = (Method("smoothed threshold", smoothed_threshold), Method("multiscale filter", multiscale_filter))


@dataclass(frozen=True)
class Field:
    """One field with its truth; planes ``[y, x]``.

    Attributes
    ----------
    image, noise : ndarray of float32
        Jy/beam, the image NaN where blank; the noise as measured on the image.
    known, mask : ndarray of bool
        Pixels that count, and among these the truth.
    truth, strength : ndarray of float32
        Diffuse emission in Jy/beam and in units of the true noise. A labelled image
        has its label for both, so that fractions of flux are fractions of area.
    objects : ndarray of int
        Number of each pixel's object, 0 for none.
    table : Table
        The objects: object, kind, peak_sigma, las_arcmin, flux_jy.
    cause : ndarray of uint8 or None
        Index into `radiounet.simulate.CAUSES`; None for a labelled image.
    clusters : Table
        y_px, x_px, r500_arcmin, galactic; no rows for a labelled image.
    beam_arcsec : float
        FWHM of the beam; a few simulated images have a coarser one than the survey.
    """

    image: np.ndarray
    noise: np.ndarray
    known: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    strength: np.ndarray
    objects: np.ndarray
    table: Table
    cause: np.ndarray | None
    clusters: Table
    beam_arcsec: float

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam, px."""
        return _beam_area_px(self.beam_arcsec)

    @property
    def area_deg2(self) -> float:
        """Solid angle of the pixels that count, deg2."""
        return float(self.known.sum() * (PIXEL_ARCSEC / 3600) ** 2)


def read_field(path: str, truth_sigma: float) -> Field:
    """Read a simulated field, or an image with its labels as ``IMAGE.fits:LABELS.fits``.

    Parameters
    ----------
    path : str
        As for `radiounet.pairs.read_pair`.
    truth_sigma : float
        The truth mask of a simulated field begins at this many times its true noise.

    Raises
    ------
    BadDataError
        As `radiounet.pairs.read_pair`; an image in other units than Jy/beam; a
        simulated field without lists of objects and clusters.
    """
    pair = read_pair(path, truth_sigma)
    if pair.normalisation is not None:
        raise BadDataError(f"{path} is in Jy/pixel; only images in Jy/beam can be evaluated")
    classes = pair.classes()
    known, mask = classes != UNKNOWN, classes == 1
    truth = np.where(known, pair.truth, 0)
    planes = (pair.image, pair.rms, known, mask, truth)
    if not pair.scalable:
        objects, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        return Field(*planes, truth, objects, _labelled(count), None, _no_clusters(), BEAM_ARCSEC)
    try:
        with fits.open(path) as hdus:
            beam_arcsec = 3600 * hdus[0].header["BMAJ"]
            rms, objects, cause = (hdus[name].data.copy() for name in ("RMS", "OBJECTS", "CAUSE"))
            table, clusters = (
                Table.read(hdus, hdu=name, mask_invalid=False, character_as_bytes=False)
                for name in ("OBJECT_LIST", "CLUSTERS")
            )
    except KeyError as error:
        raise BadDataError(f"{path} was simulated by an older version: {error.args[0]}") from None
    return Field(*planes, truth / rms, objects, table, cause, clusters, beam_arcsec)


def _labelled(count: int) -> Table:
    unknown = np.full(count, np.nan)
    return Table(
        {
            "object": np.arange(1, count + 1),
            "kind": np.full(count, "labelled"),
            "peak_sigma": unknown,
            "las_arcmin": unknown,
            "flux_jy": unknown,
        }
    )


def _no_clusters() -> Table:
    return Table({name: np.empty(0) for name in ("y_px", "x_px", "r500_arcmin")})


def _score(method: Method, field: Field) -> np.ndarray:
    """Score of every pixel that counts, float32 ``[y, x]``, NaN elsewhere."""
    score = method.score(field.image, field.noise, PIXEL_ARCSEC, field.beam_arcsec)
    return np.where(field.known, score, np.nan).astype(np.float32)


def _beam_area_px(beam_arcsec: float) -> float:
    return float(FWHM_AREA * (beam_arcsec / PIXEL_ARCSEC) ** 2)


def _mask(score: np.ndarray, threshold: float) -> np.ndarray:
    """Mask as the workflow makes it: islands of a beam of the survey or more."""
    return make_mask(score, threshold, _beam_area_px(BEAM_ARCSEC)) == 1


@dataclass(frozen=True)
class Calibration:
    """What a method owes to the calibration fields.

    Attributes
    ----------
    threshold : float
        Of highest Dice.
    hosts : HostCalibration or None
        Turns what a cluster's aperture shows into its probability; None where the
        fields hold no clusters, or only such with or without diffuse emission.
    """

    threshold: float
    hosts: HostCalibration | None = None


def calibrate(method: Method, paths: Sequence[str], options: TrainOptions) -> Calibration:
    """Settle a method's threshold and cluster probability.

    Parameters
    ----------
    method : Method
    paths : sequence of str
        Calibration fields, see `read_field`.
    options : TrainOptions
        Its `truth_sigma` counts.
    """
    counts, scores = PixelCounts(), []
    for path in paths:
        field = read_field(path, options.truth_sigma)
        score = _score(method, field)
        counts.add(score, field.mask)
        scores.append(score.astype(np.float16))  # all fields are held, and half precision is enough
        logger.info("%s: predicted calibration field %s", method.name, path)
    threshold = counts.best_threshold()
    threshold = threshold if np.isfinite(threshold) else method.threshold
    cases = _Cases()
    for path, score in zip(paths, scores, strict=True):
        cases.add(read_field(path, options.truth_sigma), score.astype(np.float32), threshold, options)
    features, hosts = cases.decided()
    both = hosts.any() and not hosts.all()
    return Calibration(threshold, fit_hosts(features, hosts) if both else None)


class _Cases:
    """Clusters: what their apertures show, and the strongest true emission inside R500."""

    def __init__(self) -> None:
        self._features: list[np.ndarray] = []
        self._labels: list[str] = []

    def add(self, field: Field, score: np.ndarray, threshold: float, options: TrainOptions) -> None:
        labels = np.array([_cluster_label(field, row, options.truth_sigma) for row in field.clusters])
        covered = labels != "uncovered"
        self._labels += labels.tolist()
        if not covered.any():
            return
        self._features.append(
            field_features(
                score,
                _mask(score, threshold),
                field.image,
                field.noise,
                field.clusters[covered],
                PIXEL_ARCSEC,
                field.beam_arcsec,
            )
        )

    def decided(self) -> tuple[np.ndarray, np.ndarray]:
        """Features ``[cluster, feature]`` and whether each hosts emission, undetectable ones left out."""
        labels = np.array([one for one in self._labels if one != "uncovered"])
        chosen = np.isin(labels, ("host", "empty"))
        if not chosen.any():
            return np.empty((0, 0)), np.empty(0, bool)
        return np.concatenate(self._features)[chosen], labels[chosen] == "host"

    def summary(self, calibration: Calibration) -> dict[str, object]:
        """Return numbers of clusters and the scores of their probabilities."""
        counts = Counter(self._labels)
        result = {name: counts[name] for name in ("host", "empty", "undetectable", "uncovered")}
        features, hosts = self.decided()
        if calibration.hosts is None or not hosts.size:
            return result
        return result | score_decisions(np.asarray(calibration.hosts.probability(features)), hosts)


def _cluster_label(field: Field, row: Table.Row, truth_sigma: float) -> str:
    """Tell ``host``, ``empty`` or ``undetectable``; ``uncovered`` where half the aperture has no data."""
    y, x, radius = row["y_px"], row["x_px"], row["r500_arcmin"] * 60 / PIXEL_ARCSEC
    low = np.maximum(np.floor([y - radius, x - radius]).astype(int), 0)
    high = np.maximum(np.ceil([y + radius, x + radius]).astype(int) + 1, 0)
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    known = field.known[part]
    dy, dx = np.ogrid[: known.shape[0], : known.shape[1]]
    inside = known & (np.hypot(dy + low[0] - y, dx + low[1] - x) <= radius)
    if inside.sum() < MIN_COVERAGE * np.pi * radius**2:
        return "uncovered"
    strongest = field.strength[part][inside].max()
    if strongest >= DETECTABLE_SIGMA:
        return "host"
    return "empty" if strongest < truth_sigma else "undetectable"


def evaluate(
    method: Method, paths: Sequence[str], options: TrainOptions, calibration: Calibration | None = None
) -> dict[str, object]:
    """Measure a method on held-out fields.

    Parameters
    ----------
    method : Method
    paths : sequence of str
        Held-out fields, see `read_field`.
    options : TrainOptions
        Its `truth_sigma` counts.
    calibration : Calibration, optional
        From `calibrate`; without it the method's own threshold holds and clusters
        are counted but get no probability.

    Returns
    -------
    dict
        Plain numbers, lists and texts (JSON), undefined ones None: ``method``,
        ``fields``, ``area_deg2``, ``threshold``, and the blocks ``pixels``,
        ``objects``, ``flux``, ``false_islands`` (1/deg2), ``clusters``.
    """
    calibration = calibration or Calibration(method.threshold)
    counts, cases, causes = PixelCounts(), _Cases(), Counter()
    results, area, masks = [], 0.0, np.zeros(3)
    for path in paths:
        field = read_field(path, options.truth_sigma)
        score = _score(method, field)
        said = _mask(score, calibration.threshold)
        counts.add(score, field.mask)
        masks += [(said & field.mask).sum(), said.sum(), field.mask.sum()]
        results += score_objects(
            said, field.image, field.truth, field.mask, field.objects, field.table, field.beam_area_px
        )
        causes += _false(said, field)
        cases.add(field, score, calibration.threshold, options)
        area += field.area_deg2
        logger.info("%s: evaluated held-out field %s", method.name, path)
    hit, said_px, true_px = masks
    return plain(
        {
            "method": method.name,
            "fields": len(paths),
            "area_deg2": area,
            "threshold": calibration.threshold,
            "pixels": {
                "dice": divide(2 * hit, said_px + true_px),
                "precision": divide(hit, said_px),
                "recall": divide(hit, true_px),
                "roc_auc": counts.roc_auc(),
                "average_precision": counts.average_precision(),
                "curves": _curves(counts),
            },
            "objects": summarise_objects(results),
            "flux": summarise_flux(results),
            "false_islands": {
                "per_deg2": divide(sum(causes.values()), area),
                "by_cause": {name: divide(number, area) for name, number in sorted(causes.items())},
            },
            "clusters": cases.summary(calibration),
        }
    )


def _false(said: np.ndarray, field: Field) -> Counter[str]:
    return false_islands(said, field.mask, field.strength > FAINT_SIGMA, field.cause, CAUSES)


def _curves(counts: PixelCounts) -> dict[str, np.ndarray]:
    false_rate, true_rate = (part[::-1][:-1] for part in counts.roc())
    precision, recall = counts.precision_recall()
    curves = {
        "threshold": EDGES,
        "false_rate": false_rate,
        "true_rate": true_rate,
        "precision": precision,
        "recall": recall,
        "dice": counts.dice(),
    }
    return {name: curve[::CURVE_STEP] for name, curve in curves.items()}


def publish_model(
    held_out: Sequence[str],
    calibration: Sequence[str],
    weights: str,
    curve: str,
    options: TrainOptions,
    name: str,
    folder: str,
) -> dict[str, object]:
    """Evaluate weights and write the model's folder: weights, learning curve, metrics, card.

    Parameters
    ----------
    held_out, calibration : sequence of str
        Fields, see `read_field`.
    weights, curve : str
        From `radiounet.training`.
    options : TrainOptions
        As the weights were trained with.
    name : str
        Name of the model.
    folder : str
        Written: ``network.weights.h5``, ``learning_curve.csv``, ``metrics.json`` and
        ``card.yaml``.

    Returns
    -------
    dict
        As `evaluate`.
    """
    model = ARCHITECTURES[options.architecture](options.tile_px, options.widths)
    model.load_weights(weights)
    normalisation = NORMALISATIONS[options.normalisation]
    method = network_method(name, model, normalisation, options.tile_px, options.core_px)
    found = calibrate(method, calibration, options)
    scores = evaluate(method, held_out, options, found)
    out = Path(folder)
    weights_file = "network.weights.h5"
    for source, target in ((weights, out / weights_file), (curve, out / "learning_curve.csv")):
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    write_json(out / "metrics.json", scores)
    card = Card(
        name=name,
        architecture=options.architecture,
        widths=tuple(options.widths),
        tile_px=options.tile_px,
        core_px=options.core_px,
        normalisation=normalisation,
        unit="Jy/beam",
        beam_arcsec=BEAM_ARCSEC,
        pixel_arcsec=PIXEL_ARCSEC,
        threshold=found.threshold,
        hosts=found.hosts,
        training=_training_record(name, model, options, curve),
        metrics={"on": f"{len(held_out)} held-out fields", **card_metrics(scores)},
        weights=Weights(file=weights_file, sha256=sha256_of(out / weights_file)),
        licence="BSD-3-Clause",
        citation="see CITATION.cff of this workflow",
    )
    with atomic(out / "card.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(json.loads(card.model_dump_json()), sort_keys=False))
    return scores


def _training_record(name: str, model: keras.Model, options: TrainOptions, curve: str) -> dict[str, object]:
    with open(curve, newline="") as stream:
        seconds = int(float(list(csv.DictReader(stream))[-1]["seconds"]))
    return {
        "data": "radiounet.simulate; see SimulateOptions",
        "command": f"make model MODEL={name}",
        "options": options.model_dump(mode="json"),
        "parameters": model.count_params(),
        "wall_time_s": seconds,
        "backend": f"keras {keras.__version__}, {keras.backend.backend()}",
    }
