"""Scores of masks and probabilities: numbers from arrays, no files and no networks.

Pixels are counted by score and truth as they come (`PixelCounts`), so that any
number of images takes the memory of one: scikit-learn would need all scores at once.
Undefined scores are NaN.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

# networks say 1e-4 of most pixels: without the fine steps these would all be ties
EDGES = np.concatenate([[0.0], np.geomspace(1e-6, 1e-3, 61)[:-1], np.arange(1, 1000) / 1000])
EDGES = EDGES.astype(np.float32)  # as `radiounet.network.masks.make_mask` compares
CURVE_STEP = 5  # every fifth threshold is enough to draw
RELIABILITY_BINS = 10
DIGITS = 5


class PixelCounts:
    """Numbers of true and other pixels in bins of the score.

    Bin k holds scores from ``EDGES[k]`` on; "at threshold k" means all pixels
    with a score of at least ``EDGES[k]``.

    Parameters
    ----------
    counts : ndarray, ``[truth, bin]``, optional
        Other and true pixels that are counted already, for scores of Dice and precision in bins of any
        rising score.
    """

    def __init__(self, counts: np.ndarray | None = None) -> None:
        self._counts = np.zeros((2, len(EDGES)), np.int64) if counts is None else counts

    def add(self, score: np.ndarray, truth: np.ndarray) -> None:
        """Count the pixels of an image.

        Parameters
        ----------
        score : ndarray, ``[y, x]``
            0..1; NaN pixels are not counted.
        truth : ndarray of bool, ``[y, x]``
        """
        known = ~np.isnan(score)
        bins = np.searchsorted(EDGES, score[known], side="right") - 1
        for value in (0, 1):
            chosen = bins[truth[known] == value]
            self._counts[value] += np.bincount(chosen, minlength=len(EDGES))

    def _above(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of false and true pixels at each threshold."""
        false, true = np.cumsum(self._counts[:, ::-1], axis=1)[:, ::-1]
        return false, true

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """Receiver operating characteristic.

        Returns
        -------
        false_rate, true_rate : ndarray, ``[threshold]``
            Shares of the other and of the true pixels at or above the threshold,
            from (0, 0), above all thresholds, to (1, 1).
        """
        false, true = self._above()
        rates = (np.append(part, 0)[::-1] for part in (false, true))
        return tuple(divide(part, part[-1]) for part in rates)

    def roc_auc(self) -> float:
        """Area under `roc` (trapezoids: pixels of one bin count as ties, half)."""
        false_rate, true_rate = self.roc()
        return float(np.trapezoid(true_rate, false_rate))

    def precision_recall(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision ``TP / (TP + FP)`` and recall ``TP / P`` at each threshold of `EDGES`."""
        false, true = self._above()
        return divide(true, true + false), divide(true, true[0])

    def average_precision(self) -> float:
        """``sum_k (R_k - R_(k+1)) P_k`` over the thresholds, without interpolation."""
        precision, recall = self.precision_recall()
        steps = recall - np.append(recall[1:], 0)
        return float(np.sum(np.where(steps > 0, steps * np.nan_to_num(precision), steps)))

    def dice(self) -> np.ndarray:
        """``2 TP / (2 TP + FP + FN)`` (Dice 1945) at each threshold of `EDGES`."""
        false, true = self._above()
        return divide(2 * true, true + false + true[0])

    def reliability(self) -> list[dict[str, float]]:
        """Share of true pixels in ten bins of the score: low, high, count and fraction."""
        edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
        bins = np.searchsorted(edges[1:-1].astype(np.float32), EDGES, side="right")
        false, true = (np.bincount(bins, part, RELIABILITY_BINS) for part in self._counts)
        return [
            {"low": low, "high": high, "count": int(yes + no), "fraction": float(divide(yes, yes + no))}
            for low, high, yes, no in zip(edges[:-1], edges[1:], true, false, strict=True)
        ]

    def curves(self) -> dict[str, np.ndarray]:
        """Threshold, false_rate, true_rate, precision, recall, dice, thinned out for drawing."""
        false_rate, true_rate = (part[::-1][:-1] for part in self.roc())
        precision, recall = self.precision_recall()
        curves = {
            "threshold": EDGES,
            "false_rate": false_rate,
            "true_rate": true_rate,
            "precision": precision,
            "recall": recall,
            "dice": self.dice(),
        }
        return {name: curve[::CURVE_STEP] for name, curve in curves.items()}


def divide(part: npt.ArrayLike, whole: npt.ArrayLike) -> Any:
    """``part / whole``, NaN where that is 0 / 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part, float) / whole


def roc_auc(probability: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a true case has the higher probability, ties counted half; NaN without both kinds."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, probability)) if truth.any() and not truth.all() else float("nan")


def score_decisions(probability: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    """Scores of probabilities of yes/no cases, decided at 0.5.

    Parameters
    ----------
    probability : ndarray, ``[case]``
    truth : ndarray of bool, ``[case]``

    Returns
    -------
    dict
        roc_auc, accuracy, recall, precision, brier (mean squared error, Brier
        1950) and reliability: low, high, count, mean probability and true
        fraction in ten bins.
    """
    yes = probability >= 0.5
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    which = np.minimum((probability * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    reliability = []  # scikit-learn's calibration_curve leaves out empty bins and the numbers of cases
    for index, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        chosen = which == index
        count = int(chosen.sum())
        mean = divide(probability[chosen].sum(), count)
        fraction = divide(truth[chosen].sum(), count)
        reliability.append(
            {"low": low, "high": high, "count": count, "probability": mean, "fraction": fraction}
        )
    return {
        "roc_auc": roc_auc(probability, truth),
        "accuracy": divide((yes == truth).sum(), truth.size),
        "recall": divide((yes & truth).sum(), truth.sum()),
        "precision": divide((yes & truth).sum(), yes.sum()),
        "brier": divide(((probability - truth) ** 2).sum(), truth.size),
        "reliability": reliability,
    }


def plain(value: Any) -> Any:
    """Turn NumPy values into what JSON holds: five significant digits, None where not finite."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating | np.ndarray):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def card_metrics(scores: dict) -> dict[str, object]:
    """Summary of `radiounet.learning.evaluation.evaluate` for a model's card, one level deep."""
    pixels, objects, clusters = scores["pixels"], scores["objects"], scores["clusters"]
    return {
        "threshold": scores["threshold"],
        "peak": scores["peak"],
        **{key: pixels[key] for key in ("dice", "best_dice", "precision", "recall")},
        **{key: pixels[key] for key in ("roc_auc", "average_precision")},
        "objects": objects["all"]["count"],
        "objects_found": objects["all"]["recall"],
        "objects_found_snr_above_4": objects["snr_above_4"]["recall"],
        "objects_found_snr_1_to_2": objects["snr_1_to_2"]["recall"],
        "false_islands_per_deg2": scores["false_islands"]["per_deg2"],
        "area_deg2": scores["area_deg2"],
        "flux_recovered": scores["flux"]["median"],
        **{
            f"cluster_{key}": clusters.get(key)
            for key in ("roc_auc", "accuracy", "recall", "precision", "brier")
        },
    }


def precision_summary(counts: np.ndarray) -> dict[str, float]:
    """Best Dice over all thresholds, and average precision, from a histogram; 0 where undefined.

    Parameters
    ----------
    counts : ndarray, ``[truth, bin]``
        Pixels without and with emission by rising score.
    """
    pixels = PixelCounts(counts)
    scores = {"dice": np.nan_to_num(pixels.dice()).max(), "ap": np.nan_to_num(pixels.average_precision())}
    return {name: float(one) for name, one in scores.items()}
