"""Scores of a catalogue's decisions and classes beside those that people gave; no files and no figures.

A cluster hosts diffuse emission where its label has a halo, a relic or a candidate of
either, as Botteon et al. (2022) count them; it does not where the label says so (NDE).
All other labels are left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from scipy.stats import bootstrap, rankdata

from radiounet.measuring.label_matching import Match
from radiounet.measuring.labels import CLASSES
from radiounet.measuring.scores import score_decisions

HOSTS = {"RH", "RR", "cRH", "cRR"}
DETECTED = 0.5
"""Probability from which `radiounet.measuring.scores.score_decisions` calls a cluster a host."""

INTERVAL = 0.68
RESAMPLES = 1000
SEED = 0

VERDICTS = ("true positive", "false negative", "false positive", "true negative")
"""What a decision about a labelled cluster can be."""
NO_CLASS = "none"
CONFUSION = ("RH", "RR", "RH+RR", "U", "NDE", "N/A", NO_CLASS)
"""Rows and columns of the confusion of classes, candidates among the classes that they may be."""


def joined_classes(classes: Sequence[str] | None) -> str:
    """Classes as a catalogue writes them, such as ``RH+RR``; '' where there is none."""
    return "+".join(classes or ())


def hosts_emission(classes: Sequence[str]) -> bool | None:
    """Whether a label says that a cluster hosts diffuse emission; None where it does not say."""
    if HOSTS & set(classes):
        return True
    return False if tuple(classes) == ("NDE",) else None


def verdict(match: Match) -> str:
    """Word for what the catalogue made of a labelled cluster."""
    truth = hosts_emission(match.label.classes)
    if truth is None:
        return "left out"
    if np.isnan(match.entry.p_diffuse):
        return "not measured"
    found = match.entry.p_diffuse >= DETECTED
    return f"{'true' if found == truth else 'false'} {'positive' if found else 'negative'}"


def matched_table(matches: Sequence[Match], meta: dict) -> Table:
    """Table of all matched clusters, in the order of the labels.

    Parameters
    ----------
    matches : sequence of Match
    meta : dict
        Provenance.

    Returns
    -------
    Table
        Columns name, label_name, matched_by, separation_arcmin, label_class, class, p_diffuse, verdict.
    """
    columns: dict[str, tuple[list, str]] = {
        "name": ([one.entry.name for one in matches], "Name in the catalogue"),
        "label_name": ([one.label.name for one in matches], "Name in the table of labels"),
        "matched_by": ([one.how for one in matches], "How the two were matched"),
        "separation_arcmin": ([one.separation_arcmin for one in matches], "Distance of the two positions"),
        "label_class": ([joined_classes(one.label.classes) for one in matches], "Class of the label"),
        "class": ([joined_classes(one.entry.classes) for one in matches], "Class of the catalogue"),
        "p_diffuse": (
            [one.entry.p_diffuse for one in matches],
            "Probability of hosting detectable diffuse emission",
        ),
        "verdict": (
            [verdict(one) for one in matches],
            f"p_diffuse of {DETECTED:g} or more, beside the label",
        ),
    }
    table = Table({name: values for name, (values, _) in columns.items()}, meta=meta)
    for name, (_, description) in columns.items():
        table[name].description = description
    table["separation_arcmin"].unit = "arcmin"
    return table


def score_labels(p_diffuse: np.ndarray, hosts: np.ndarray) -> dict[str, Any]:
    """Scores with intervals that hold 68 % of the probability.

    Those of shares are Wilson's (1927); those of ROC-AUC and Brier score are percentiles
    of seeded bootstrap samples, hosts and empty clusters drawn apart.

    Parameters
    ----------
    p_diffuse : ndarray, ``[cluster]``
    hosts : ndarray of bool, ``[cluster]``

    Returns
    -------
    dict
        recall, accuracy, precision, roc_auc, brier: value, low and high each; NaN where
        undefined. reliability: as of `radiounet.measuring.scores.score_decisions`, with
        fraction_low and fraction_high. roc: false_rate and true_rate, ``[threshold]``.
    """
    from sklearn.metrics import roc_curve

    scores: dict[str, Any] = score_decisions(p_diffuse, hosts)
    yes = p_diffuse >= DETECTED
    counts = {
        "recall": ((yes & hosts).sum(), hosts.sum()),
        "accuracy": ((yes == hosts).sum(), hosts.size),
        "precision": ((yes & hosts).sum(), yes.sum()),
    }
    intervals = {name: share_interval(*of) for name, of in counts.items()}
    for name, statistic in (("roc_auc", _roc_auc), ("brier", _brier)):
        intervals[name] = _bootstrap(statistic, p_diffuse[hosts], p_diffuse[~hosts])
    for name, (low, high) in intervals.items():
        scores[name] = {"value": scores[name], "low": low, "high": high}
    for row in scores["reliability"]:
        found = round(row["fraction"] * row["count"]) if row["count"] else 0
        row["fraction_low"], row["fraction_high"] = share_interval(found, row["count"])
    both = hosts.any() and not hosts.all()
    false_rate, true_rate, _ = roc_curve(hosts, p_diffuse) if both else ([], [], [])
    return scores | {"roc": {"false_rate": false_rate, "true_rate": true_rate}}


def share_interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a binomial share; NaN for none of none."""
    if not of:
        return float("nan"), float("nan")
    low, high = binom_conf_interval(count, of, INTERVAL, interval="wilson")
    return float(low), float(high)


def _roc_auc(hosts: np.ndarray, empties: np.ndarray, axis: int) -> np.ndarray:
    """ROC-AUC of many samples at once, by the ranks of the hosts (Mann & Whitney 1947)."""
    ranks = rankdata(np.concatenate([hosts, empties], axis=axis), axis=axis)
    count, others = hosts.shape[axis], empties.shape[axis]
    of_hosts = np.take(ranks, range(count), axis=axis).sum(axis=axis)
    return (of_hosts - count * (count + 1) / 2) / (count * others)


def _brier(hosts: np.ndarray, empties: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(np.concatenate([1 - hosts, empties], axis=axis) ** 2, axis=axis)


def _bootstrap(statistic: Callable, hosts: np.ndarray, empties: np.ndarray) -> tuple[float, float]:
    """Percentiles of a score over resampled clusters; NaN without two hosts and two empty clusters."""
    if min(len(hosts), len(empties)) < 2:
        return float("nan"), float("nan")
    found = bootstrap(
        (hosts, empties),
        statistic,
        n_resamples=RESAMPLES,
        batch=100,
        confidence_level=INTERVAL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def confusion(matches: Sequence[Match]) -> np.ndarray:
    """Numbers of clusters, ``[class of the label, class of the catalogue]``, in the order of `CONFUSION`.

    Candidates count as what they are candidates of; what is uncertain beside a halo or relic does not count.
    """
    counts = np.zeros((len(CONFUSION), len(CONFUSION)), int)
    for match in matches:
        row, column = (
            CONFUSION.index(_group(classes)) for classes in (match.label.classes, match.entry.classes or ())
        )
        counts[row, column] += 1
    return counts


def _group(classes: Sequence[str]) -> str:
    kinds = {one.removeprefix("c") for one in classes}
    emission = "+".join(one for one in ("RH", "RR") if one in kinds)
    return emission or next((one for one in CLASSES if one in kinds), NO_CLASS)
