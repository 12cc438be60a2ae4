"""What a method finds in images whose truth is known.

A method turns an image into a score per pixel. Its threshold and its cluster
probability are settled on calibration images (`calibrate`; their scores are held in
memory) and measured on held-out ones (`evaluate`, one image at a time).
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from scipy import ndimage

from radiounet.errors import ConfigError
from radiounet.images.gaussian import beam_area_px
from radiounet.images.progress_bar import with_bar
from radiounet.learning.learning_curve import require_unseen
from radiounet.learning.methods import BASELINES, BY_HAND, Calibration, Method, model_method
from radiounet.learning.outside import Scan, SceneTruth
from radiounet.learning.scenes import Scene, read_scene
from radiounet.measuring.object_scores import (
    ObjectResult,
    cluster_label,
    false_islands,
    false_labels,
    score_objects,
    summarise_flux,
    summarise_objects,
)
from radiounet.measuring.scores import PixelCounts, divide, plain, score_decisions
from radiounet.network.cluster_probability import HostCalibration, field_features, fit_host_calibration
from radiounet.network.masks import EIGHT_NEIGHBOURS, make_mask
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.train import LOTSS_GRID, ImageGrid
from radiounet.simulation.simulate import CAUSES

logger = logging.getLogger(__name__)

# the steps that a network sure of itself leaves are at the upper end
THRESHOLDS = np.append(np.round(np.arange(0.04, 1, 0.04), 2), [0.98, 0.99, 0.995, 0.999])
DICE_SHARE = 0.95
"""Part of the highest Dice that a mask must have, however many objects it finds."""

FAINT_SNR = 0.1
MOST_MASKED = 0.5
"""Part of an image of which a mask without emission says that the method tells nothing apart."""
FEW_FALSE_PER_DEG2 = 1.0
"""False islands at which methods are compared, whatever masks their thresholds make."""


def _score(method: Method, scene: Scene) -> np.ndarray:
    """Score of every pixel with data, float32 ``[y, x]``, NaN elsewhere."""
    score = method.score(scene.image, scene.rms, scene.grid.pixel_arcsec, scene.beam_arcsec)
    return np.where(np.isfinite(scene.image), score, np.nan).astype(np.float32)


def _mask(score: np.ndarray, scene: Scene, threshold: float, peak: float | None = None) -> np.ndarray:
    """Mask as the workflow makes it: islands of a beam of the survey or more."""
    area_px = beam_area_px(scene.grid.beam_arcsec, scene.grid.pixel_arcsec)
    return make_mask(score, threshold, area_px, peak) == 1


def predicted_mask(method: Method, settled: Calibration, scene: Scene) -> np.ndarray:
    """Mask of an image, bool ``[y, x]``."""
    return _mask(_score(method, scene), scene, settled.threshold, settled.peak)


class _MaskCounts:
    """What masks of every threshold and peak of `THRESHOLDS` get right, ``[threshold, peak]``."""

    def __init__(self) -> None:
        self._right, self._marked, self._false = np.zeros((3, len(THRESHOLDS), len(THRESHOLDS)))
        self._true, self._area_deg2 = 0, 0.0

    def add(self, score: np.ndarray, scene: Scene) -> None:
        for row, threshold in enumerate(THRESHOLDS):
            labels, count = ndimage.label(_mask(score, scene, threshold), EIGHT_NEIGHBOURS)
            if not count:
                continue
            right = np.bincount(labels[scene.mask], minlength=count + 1)[1:]
            highest = ndimage.maximum(score, labels, np.arange(1, count + 1))
            column = np.searchsorted(THRESHOLDS.astype(np.float32), highest, side="right") - 1
            np.add.at(self._right[row], column, right)
            np.add.at(self._marked[row], column, np.bincount(labels[scene.known], minlength=count + 1)[1:])
            np.add.at(self._false[row], column, false_labels(labels, scene.mask, scene.known)[1:])
        self._true += int(scene.mask.sum())
        self._area_deg2 += scene.area_deg2

    def choices(self, max_false_per_deg2: float) -> list[tuple[float, float, float]]:
        """Threshold, peak and Dice: for each threshold the lowest peak with few false islands.

        Where none has so few, the one pair of highest Dice.
        """
        # islands of a peak and of all higher ones
        right, marked, false = (
            np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (self._right, self._marked, self._false)
        )
        dice = 2 * right / np.maximum(marked + self._true, 1)
        # a peak below the threshold says nothing, an empty mask finds nothing
        usable = np.triu(right > 0)
        allowed = usable & (false <= max_false_per_deg2 * self._area_deg2)
        places = [(int(row), int(np.argmax(allowed[row]))) for row in np.flatnonzero(allowed.any(axis=1))]
        if usable.any() and not places:
            logger.warning(
                "no mask that finds anything has %g false islands/deg2 or fewer", max_false_per_deg2
            )
            row, column = np.unravel_index(np.argmax(np.where(usable, dice, -1)), dice.shape)
            places = [(int(row), int(column))]
        return [(float(THRESHOLDS[t]), float(THRESHOLDS[p]), float(dice[t, p])) for t, p in places]


def settled_baselines(
    paths: Sequence[str], truth_snr: float, max_false_per_deg2: float, grid: ImageGrid = LOTSS_GRID
) -> list[tuple[Method, Calibration]]:
    """Baselines with their calibration, and the first of them as a person uses it: cut at 3 sigma."""
    bounds = truth_snr, max_false_per_deg2
    settled = [(one, calibrate(one, paths, *bounds, grid=grid)) for one in BASELINES]
    mask = BY_HAND.threshold, None
    return [*settled, (BY_HAND, calibrate(BY_HAND, paths, *bounds, mask, grid))]


def calibrate(
    method: Method,
    paths: Sequence[str],
    truth_snr: float,
    max_false_per_deg2: float,
    mask: tuple[float, float | None] | None = None,
    grid: ImageGrid = LOTSS_GRID,
) -> Calibration:
    """Settle a method's threshold and cluster probability.

    Each threshold gets the lowest peak that leaves at most `max_false_per_deg2`
    false islands; of these masks, those whose Dice is at least `DICE_SHARE` of the
    highest, the one that finds most objects is taken. Where no mask leaves so few, the
    one of highest Dice. Where no mask holds a pixel of the emission, a warning says so; the
    threshold is then the method's own, and the peak None.

    Parameters
    ----------
    method : Method
    paths : sequence of str
        Calibration images, see `read_scene`.
    truth_snr : float
        See `read_scene`.
    max_false_per_deg2 : float
        False islands in the calibration images, 1/deg2.
    mask : (float, float or None), optional
        Threshold and peak, where these are settled already.
    grid : ImageGrid
        See `read_scene`.

    Raises
    ------
    ConfigError
        No image holds diffuse emission to settle the mask on.
    """
    if mask is None:
        _require_truth(paths, truth_snr, grid)
    counts, scores = _MaskCounts(), []
    for path in with_bar(paths, f"{method.name}: images", len(paths)):
        scene = read_scene(path, truth_snr, grid)
        scores.append(_score(method, scene))
        if mask is None:
            counts.add(scores[-1], scene)
        logger.info("%s: predicted calibration image %s", method.name, path)
    threshold, peak = mask or _best_mask(counts, paths, scores, method, truth_snr, max_false_per_deg2, grid)
    cases = _Cases()
    for path, score in zip(paths, scores, strict=True):
        scene = read_scene(path, truth_snr, grid)
        cases.add(scene, score, _mask(score, scene, threshold, peak), truth_snr)
    features, hosts, _ = cases.decided()
    both = hosts.any() and not hosts.all()
    return Calibration(threshold, fit_host_calibration(features, hosts) if both else None, peak)


def _require_truth(paths: Sequence[str], truth_snr: float, grid: ImageGrid) -> None:
    """Raise `ConfigError` where no image holds diffuse emission, before any is predicted."""
    if not any(read_scene(path, truth_snr, grid).mask.any() for path in paths):
        raise ConfigError(
            "no calibration image holds a pixel of diffuse emission, so no threshold can be settled: "
            "give images in which some is labelled"
        )


def compared_models(
    names: Sequence[str],
    held_out: Sequence[str],
    calibration: Sequence[str],
    truth_snr: float,
    max_false_per_deg2: float,
    grid: ImageGrid,
) -> list[tuple[Method, Calibration]]:
    """Models by name or folder with the calibration of their cards, or a new one where there is none.

    Raises
    ------
    ModelError
        One is not there, or saw held-out images (`require_unseen`).
    """
    folders = [model_folder(one) for one in names]
    for folder in folders:
        card = read_card(folder)
        require_unseen(card.name, card.training, held_out)
    settled = []
    for method, known in [model_method(one, note="shipped") for one in folders]:
        anew = known.host_calibration is None
        bounds = truth_snr, max_false_per_deg2
        settled.append((method, calibrate(method, calibration, *bounds, grid=grid) if anew else known))
    return settled


def _best_mask(
    counts: _MaskCounts,
    paths: Sequence[str],
    scores: Sequence[np.ndarray],
    method: Method,
    truth_snr: float,
    max_false_per_deg2: float,
    grid: ImageGrid,
) -> tuple[float, float | None]:
    choices = counts.choices(max_false_per_deg2)
    if not choices:
        logger.warning(
            "%s: no mask holds a pixel of the diffuse emission in the calibration images: its threshold and "
            "peak are not settled, and its mask begins at %g",
            method.name,
            method.threshold,
        )
        return method.threshold, None
    found = np.zeros(len(choices))
    for path, score in zip(paths, scores, strict=True):
        scene = read_scene(path, truth_snr, grid)
        for index, (threshold, peak, _) in enumerate(choices):
            results = _objects(_mask(score, scene, threshold, peak), scene)
            found[index] += sum(one.found for one in results)
    dice = np.array([one[2] for one in choices])
    # a mask of everything finds all and has next to no Dice
    good = dice >= DICE_SHARE * dice.max()
    return choices[int(np.argmax(np.where(good, found, -1)))][:2]


def _objects(predicted: np.ndarray, scene: Scene) -> list[ObjectResult]:
    truth = (scene.truth, scene.mask, scene.objects, scene.table)
    return score_objects(predicted, scene.image, *truth, scene.beam_area_px, scene.known)


def _truth(scene: Scene, results: Sequence[ObjectResult]) -> SceneTruth:
    """Objects of an image that count, to be looked for in masks of many thresholds."""
    numbers = np.array([one.number for one in results], int)
    whole_jy = np.array([np.fmax(one.visible_jy, one.flux_jy) for one in results], float)
    planes = (scene.known, np.isfinite(scene.image), scene.truth, scene.mask, scene.objects)
    return SceneTruth(*planes, numbers, whole_jy * scene.beam_area_px)


class _Cases:
    """Clusters: what their apertures show, the true emission inside R500, what the catalogue says.

    Only those that host detectable emission or none are described.
    """

    def __init__(self) -> None:
        self._features: list[np.ndarray] = []
        self._labels: list[str] = []
        self._catalogue: list[bool] = []

    def add(self, scene: Scene, score: np.ndarray, mask: np.ndarray, truth_snr: float) -> None:
        radii_px = scene.clusters["r500_arcmin"] * 60 / scene.grid.pixel_arcsec
        places = zip(scene.clusters["y_px"], scene.clusters["x_px"], radii_px, strict=True)
        labels = [cluster_label(scene.strength, scene.known, *p, truth_snr) for p in places]
        self._labels += labels
        decided = [label in ("host", "empty") for label in labels]
        if not any(decided):
            return
        clusters = scene.clusters[decided]
        self._catalogue += clusters["diffuse"].tolist()
        planes = (score, mask, scene.image, scene.rms)
        self._features.append(field_features(*planes, clusters, scene.grid.pixel_arcsec, scene.beam_arcsec))

    def decided(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features ``[cluster, feature]``, who hosts detectable emission, who does by the catalogue."""
        features = np.concatenate(self._features) if self._features else np.empty((0, 0))
        hosts = [label == "host" for label in self._labels if label in ("host", "empty")]
        return features, np.array(hosts, bool), np.array(self._catalogue, bool)

    def summary(self, calibration: HostCalibration | None) -> dict[str, dict[str, object]]:
        """Return numbers of clusters and the scores of their probabilities, by either truth."""
        counts = Counter(self._labels)
        features, detectable, listed = self.decided()
        by_image: dict[str, object] = {
            name: counts[name] for name in ("host", "empty", "undetectable", "uncovered")
        }
        by_catalogue: dict[str, object] = {"host": int(listed.sum()), "empty": int((~listed).sum())}
        if calibration is not None and detectable.size:
            probability = np.asarray(calibration.probability(features))
            by_image |= score_decisions(probability, detectable)
            by_catalogue |= score_decisions(probability, listed)
        return {"clusters": by_image, "clusters_by_catalogue": by_catalogue}


def evaluate(
    method: Method,
    paths: Sequence[str],
    truth_snr: float,
    calibration: Calibration | None = None,
    grid: ImageGrid = LOTSS_GRID,
) -> dict[str, object]:
    """Measure a method on held-out images.

    Parameters
    ----------
    method : Method
    paths : sequence of str
        Held-out images, see `read_scene`.
    truth_snr : float
        See `read_scene`.
    calibration : Calibration, optional
        From `calibrate`; without it the method's own threshold holds and clusters
        are counted but get no probability.
    grid : ImageGrid
        See `read_scene`.

    Returns
    -------
    dict
        Plain numbers, lists and texts (JSON), undefined ones None: ``method``,
        ``images``, ``area_deg2``, ``threshold``, ``peak``, and the blocks ``pixels``,
        ``objects``, ``few_false`` (see `radiounet.learning.outside.Scan.best`), ``flux``,
        ``false_islands`` (1/deg2), ``clusters`` (is there detectable emission inside
        R500, whichever object's?), ``clusters_by_catalogue`` (was emission put into
        that cluster?) and ``labelled`` (sums of `radiounet.learning.scenes.LabelCounts`).
    """
    calibration = calibration or Calibration(method.threshold)
    counts, cases = PixelCounts(), _Cases()
    causes: Counter[str] = Counter()
    scan = Scan(beam_area_px(grid.beam_arcsec, grid.pixel_arcsec))
    labelled: Counter[str] = Counter()
    results, area, masks, filled = [], 0.0, np.zeros(3), []
    for path in with_bar(paths, f"{method.name}: images", len(paths)):
        scene = read_scene(path, truth_snr, grid)
        score = _score(method, scene)
        predicted = _mask(score, scene, calibration.threshold, calibration.peak)
        counts.add(np.where(scene.known, score, np.nan), scene.mask)
        masks += [(predicted & scene.mask).sum(), (predicted & scene.known).sum(), scene.mask.sum()]
        if (predicted & scene.known & ~scene.mask).sum() > MOST_MASKED * scene.known.sum():
            filled.append(path)
        objects = _objects(predicted, scene)
        results += objects
        scan.add(score, _truth(scene, objects), grid.pixel_arcsec)
        if scene.labels:
            labelled.update({"images": 1, **asdict(scene.labels)})
        causes += _false(predicted, scene)
        cases.add(scene, score, predicted, truth_snr)
        area += scene.area_deg2
        logger.info("%s: evaluated image %s", method.name, path)
    if filled:
        logger.warning(
            "%s: in %d of %d images, such as %s, a false mask covers more than half of the image: its "
            "objects found and false islands say nothing",
            *(method.name, len(filled), len(paths), filled[0]),
        )
    hit, predicted_px, true_px = masks
    dice = divide(2 * hit, predicted_px + true_px) if true_px else np.nan
    return plain(
        {
            "method": method.name,
            "images": len(paths),
            "area_deg2": area,
            "threshold": calibration.threshold,
            "peak": calibration.peak,
            "pixels": {
                "dice": dice,
                # without small islands the mask may be better than any bare threshold
                "best_dice": np.fmax(np.max(counts.dice()), dice) if true_px else np.nan,
                "precision": divide(hit, predicted_px),
                "recall": divide(hit, true_px),
                "roc_auc": counts.roc_auc(),
                "average_precision": counts.average_precision(),
                "reliability": counts.reliability(),
                "curves": counts.curves(),
            },
            "labelled": dict(labelled),
            "objects": summarise_objects(results),
            "few_false": scan.best(FEW_FALSE_PER_DEG2, DICE_SHARE) | {"count": len(results)},
            "flux": summarise_flux(results),
            "false_islands": {
                "per_deg2": divide(sum(causes.values()), area),
                "by_cause": {name: divide(number, area) for name, number in sorted(causes.items())},
            },
            **cases.summary(calibration.host_calibration),
        }
    )


def _false(predicted: np.ndarray, scene: Scene) -> Counter[str]:
    faint = scene.strength > FAINT_SNR
    return false_islands(predicted, scene.mask, scene.known, faint, scene.cause, CAUSES)
