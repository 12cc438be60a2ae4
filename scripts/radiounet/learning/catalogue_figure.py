"""The page of figures of a catalogue beside labels: ROC, reliability, classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radiounet.learning.evaluation_figure import COLOURS, number_text
from radiounet.measuring.label_scores import CONFUSION


def draw_labels(
    scores: Mapping[str, dict], confusions: Mapping[str, Sequence[Sequence[int]]] | None
) -> Figure:
    """Draw how well probabilities, and classes, agree with labels.

    Parameters
    ----------
    scores : mapping of str to dict
        Of `radiounet.measuring.label_scores.score_labels`, by what the probabilities are called; None
        for what is undefined.
    confusions : mapping of str to numbers, ``[class of the label][class of the catalogue]``, or None
        See `radiounet.measuring.label_scores.confusion`; None for a catalogue without classes.

    Returns
    -------
    Figure
        Panels of 6 x 5.5 inch: two, and below them one for each confusion.
    """
    count = 1 if confusions is None else 2
    figure = Figure(figsize=(12, 5.5 * count), layout="constrained")
    panels = figure.subplots(count, 2).ravel()
    for draw, axes in zip((_draw_roc, _draw_reliability), panels[:2], strict=True):
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--")
        draw(axes, scores)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.grid(color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
        # below the axes: in them, curves and points may lie anywhere
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
    for (which, counts), axes in zip((confusions or {}).items(), panels[2:], strict=True):
        _draw_confusion(axes, np.array(counts), f"Classes, {which} clusters (shade: share of the row)")
    return figure


def score_text(score: Mapping[str, float | None]) -> str:
    """Text of a score with its interval, such as ``0.830 (0.791 to 0.862)``; a dash where it is undefined."""
    value = number_text(score["value"], ".3f")
    return value if score["low"] is None else f"{value} ({score['low']:.3f} to {score['high']:.3f})"


def _draw_roc(axes: Axes, scores: Mapping[str, dict]) -> None:
    for (name, one), colour, style in zip(scores.items(), COLOURS, ("-", "--"), strict=False):
        label = f"{name}: AUC {score_text(one['roc_auc'])}"
        axes.plot(one["roc"]["false_rate"], one["roc"]["true_rate"], style, color=colour, label=label)
    axes.set_title("ROC", fontsize=11, loc="left")
    axes.set_xlabel("empty clusters at or above the threshold (false positive rate)")
    axes.set_ylabel("hosts at or above the threshold (recall)")


def _draw_reliability(axes: Axes, scores: Mapping[str, dict]) -> None:
    for (name, one), colour, style in zip(scores.items(), COLOURS, ("o-", "s--"), strict=False):
        full = [row for row in one["reliability"] if row["count"]]
        probability, fraction, low, high = (
            np.array([row[key] for row in full], float)
            for key in ("probability", "fraction", "fraction_low", "fraction_high")
        )
        axes.errorbar(
            *(probability, fraction, (np.maximum(fraction - low, 0), np.maximum(high - fraction, 0)), None),
            style,
            color=colour,
            markersize=4,
            elinewidth=0.8,
            label=f"{name}: Brier {score_text(one['brier'])}",
        )
        if name == next(iter(scores)):
            for row in full:
                axes.annotate(
                    str(row["count"]),
                    (row["probability"], row["fraction"]),
                    (4, -10),
                    fontsize=7,
                    textcoords="offset points",
                    color=colour,
                )
    axes.set_title("Reliability (68 % intervals; numbers of clusters)", fontsize=11, loc="left")
    axes.set_xlabel("mean probability of the bin")
    axes.set_ylabel("fraction of hosts")


def _draw_confusion(axes: Axes, counts: np.ndarray, title: str) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)  # one hue: told apart by the colour-blind too
    for row, column in np.argwhere(counts):
        colour = "white" if share[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(CONFUSION)), CONFUSION)
    axes.set_yticks(range(len(CONFUSION)), CONFUSION)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("class of the catalogue")
    axes.set_ylabel("class of the label")
