"""The page of figures of an evaluation."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

MISSING = "–"
# Okabe & Ito (2008): told apart by the colour-blind too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
CAUSE_COLOURS = {
    "noise": "#BBBBBB",
    "faint diffuse": "#009E73",
    "compact source": "#56B4E9",
    "radio galaxy": "#0072B2",
    "remnant": "#CC79A7",
    "spiral galaxy": "#F0E442",
    "Galactic emission": "#E69F00",
    "artefact": "#D55E00",
    "unknown": "#666666",
}
FLUX_EDGES = np.geomspace(1e-4, 10, 11)
MIN_PER_BIN = 3
RATIO_RANGE = (0.1, 100.0)  # drawn; what lies beyond has an arrow on the border
Scores = dict


def number_text(value: float | None, form: str) -> str:
    """Text of a score, or a dash where it is undefined."""
    return MISSING if value is None else format(value, form)


def causes_met(methods: Sequence[Scores]) -> list[str]:
    """Causes that any method met, in the order of the colours."""
    met = {cause for one in methods for cause in one["false_islands"]["by_cause"]}
    return [cause for cause in CAUSE_COLOURS if cause in met] + sorted(met - set(CAUSE_COLOURS))


def draw_evaluation(methods: Sequence[Scores]) -> Figure:
    """Draw curves of pixels, objects, false islands, clusters and fluxes, methods in colours.

    What the images tell nothing of, such as clusters where there are none, is left out.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`; numbers of objects of several sets are shown from the
        lowest to the highest.

    Returns
    -------
    Figure
        12 inch wide, up to eight panels in two columns.
    """
    draws = [draw for draw, holds in _PANELS if any(holds(one) for one in methods)]
    rows = (len(draws) + 1) // 2
    figure = Figure(figsize=(12, 3.9 * rows), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in panels[len(draws) :]:
        axes.remove()
    for draw, axes in zip(draws, panels, strict=False):
        draw(axes, methods)
        axes.grid(color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
    names = [one["method"] for one in methods]
    columns = min(len(methods), 4)
    figure.legend(panels[0].get_lines(), names, loc="outside upper center", ncols=columns, frameon=False)
    return figure


def _coloured(methods: Sequence[Scores]) -> list[tuple[Scores, str]]:
    return [(one, COLOURS[index % len(COLOURS)]) for index, one in enumerate(methods)]


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in values], float)


def _with_value(name: str, value: float | None) -> str:
    return f"{name}: {number_text(value, '.3f')}"


def _legend_below(axes: Axes) -> None:
    """Legend below the axes: in them, curves may lie anywhere."""
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)


def _draw_roc(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        curves, label = one["pixels"]["curves"], _with_value("AUC", one["pixels"]["roc_auc"])
        false_rate = np.maximum(_floats(curves["false_rate"]), 1e-6)
        axes.plot(false_rate, _floats(curves["true_rate"]), color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xlim(1e-5, 1)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: ROC", "false positive rate", "true positive rate")
    _legend_below(axes)


def _draw_precision_recall(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        pixels, curves = one["pixels"], one["pixels"]["curves"]
        label = _with_value("average precision", pixels["average_precision"])
        axes.plot(_floats(curves["recall"]), _floats(curves["precision"]), color=colour, label=label)
        axes.plot(*_floats([pixels["recall"], pixels["precision"]]), "o", color=colour)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: precision and recall (dot: the mask)", "recall", "precision")
    _legend_below(axes)


def _draw_dice(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        pixels = one["pixels"]
        label = _with_value(f"mask from {one['threshold']:g}", pixels["dice"])
        axes.plot(pixels["curves"]["threshold"], _floats(pixels["curves"]["dice"]), color=colour, label=label)
        axes.plot(*_floats([one["threshold"], pixels["dice"]]), "o", color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: Dice (dot: the mask)", "threshold of the score", "Dice")
    _legend_below(axes)


def _draw_recall(axes: Axes, methods: Sequence[Scores], key: str) -> None:
    bins = methods[0]["objects"][key]
    counts = zip(*([row["count"] for row in one["objects"][key]] for one in methods), strict=True)
    for index, (one, colour) in enumerate(_coloured(methods)):
        rows = one["objects"][key]
        recall, count = _floats([row["recall"] for row in rows]), np.array([row["count"] for row in rows])
        # binomial standard error, Agresti & Coull (1998): not zero at 0 and at 1
        share = (np.nan_to_num(recall) * count + 2) / (count + 4)
        error = np.sqrt(share * (1 - share) / (count + 4))
        places = np.arange(len(rows)) + 0.06 * (index - (len(methods) - 1) / 2)
        axes.errorbar(places, recall, error, color=colour, marker="o", markersize=4, elinewidth=0.8)
    names = [_bin_name(row["low"], row["high"]) for row in bins]
    numbers = ["–".join(map(str, sorted({min(same), max(same)}))) for same in counts]
    axes.set_xticks(range(len(bins)), [f"{n}\n({number})" for n, number in zip(names, numbers, strict=True)])
    axes.set_xlim(-0.5, len(bins) - 0.5)
    axes.set_ylim(-0.02, 1.05)


def _bin_name(low: float, high: float | None) -> str:
    return f"> {low:g}" if high is None else f"{low:g}–{high:g}"


def _draw_recall_of_peak(axes: Axes, methods: Sequence[Scores]) -> None:
    _draw_recall(axes, methods, "by_peak_snr")
    _label(axes, "Objects found, by brightness", "peak S/N (number of objects)", "fraction found")


def _draw_recall_of_size(axes: Axes, methods: Sequence[Scores]) -> None:
    _draw_recall(axes, methods, "by_las_arcmin")
    label = "largest extent above a tenth of the peak, arcmin (number of objects)"
    _label(axes, "Objects found, by size", label, "fraction found")


def _draw_false_islands(axes: Axes, methods: Sequence[Scores]) -> None:
    left = np.zeros(len(methods))
    places = range(len(methods))
    for cause in causes_met(methods):
        width = np.array([one["false_islands"]["by_cause"].get(cause, 0.0) for one in methods])
        axes.barh(places, width, 0.45, left=left, color=CAUSE_COLOURS.get(cause, "#000000"), label=cause)
        left += width
    axes.set_yticks([])
    axes.set_xlim(0, 1.15 * max(left.max(), 0.1))
    for place, (total, (one, colour)) in enumerate(zip(left, _coloured(methods), strict=True)):
        axes.text(total, place, f" {total:.2f}", va="center", fontsize=9)
        axes.text(0, place - 0.25, f" {one['method']}", va="bottom", fontsize=9, color=colour)
    # room for the legend below the last bar
    axes.set_ylim(len(methods) - 0.5 + 0.4 * len(methods), -0.8)
    _label(axes, "False islands, by cause", "islands per deg²", "")
    if left.any():
        axes.legend(fontsize=8, loc="lower center", ncols=3, framealpha=0.85)


def _draw_reliability(axes: Axes, methods: Sequence[Scores]) -> None:
    below = axes.inset_axes((0, 0, 1, 0.22), sharex=axes)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--")
    for one, colour in _coloured(methods):
        rows = one["clusters"].get("reliability", [])
        if not rows:
            continue
        full = [row for row in rows if row["count"]]
        label = _with_value("Brier", one["clusters"]["brier"])
        probability, true = ([row[key] for row in full] for key in ("probability", "fraction"))
        axes.plot(probability, true, color=colour, marker="o", markersize=4, label=label)
        edges = [rows[0]["low"], *(row["high"] for row in rows)]
        below.stairs([row["count"] for row in rows], edges, color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.32, 1.05)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    below.set_facecolor("none")
    below.spines[["top", "right"]].set_visible(False)
    below.tick_params(labelbottom=False, labelsize=7)
    below.yaxis.tick_right()
    below.yaxis.set_label_position("right")
    below.set_ylabel("clusters", fontsize=8)
    _label(axes, "Clusters: reliability (steps: numbers)", "probability", "fraction with diffuse emission")
    if len(axes.get_legend_handles_labels()[0]):
        _legend_below(axes)


def _draw_beyond(axes: Axes, x: np.ndarray, ratio: np.ndarray, colour: str, alpha: float = 1.0) -> None:
    """Draw arrows on the border towards ratios that lie beyond it."""
    low, high = RATIO_RANGE
    for border, marker, beyond in ((low, "v", ratio < low), (high, "^", ratio > high)):
        ratios = np.full(beyond.sum(), border)
        (arrows,) = axes.plot(x[beyond], ratios, marker, color=colour, alpha=alpha, clip_on=False, zorder=3)
        arrows.set_in_layout(False)


def _draw_flux(axes: Axes, methods: Sequence[Scores]) -> None:
    axes.axhline(1, color="#999999", linewidth=0.8, linestyle="--")
    for index, (one, colour) in enumerate(_coloured(methods)):
        true, ratio = (np.array(one["flux"][key], float) for key in ("true_jy", "ratio"))
        axes.plot(1e3 * true, ratio, ".", color=colour, markersize=6, alpha=0.35)
        _draw_beyond(axes, 1e3 * true, ratio, colour, 0.35)
        which = np.digitize(true, FLUX_EDGES)
        bins = [one for one in np.unique(which) if (which == one).sum() >= MIN_PER_BIN]
        middle = np.array([np.median(true[which == one]) for one in bins]) * (1 + 0.03 * index)
        low, mid, high = np.array(
            [np.percentile(ratio[which == one], (16, 50, 84)) for one in bins]
        ).T.reshape(3, -1)
        for ends in (low, mid, high):
            _draw_beyond(axes, 1e3 * middle, ends, colour)
        low, mid, high = np.clip((low, mid, high), *RATIO_RANGE)
        axes.errorbar(
            1e3 * middle, mid, (mid - low, high - mid), color=colour, marker="o", markersize=4, elinewidth=0.8
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*RATIO_RANGE)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    title = "Objects above 2 rms: all sources in the mask (16, 50, 84 %)"
    x = f"true flux density in mJy (arrows: ratios beyond {RATIO_RANGE[0]:g} to {RATIO_RANGE[1]:g})"
    _label(axes, title, x, "sum in the mask / true flux density")


def _has_objects(key: str) -> Callable[[Scores], bool]:
    return lambda scores: any(row["count"] for row in scores["objects"][key])


_PANELS: tuple[tuple[Callable[[Axes, Sequence[Scores]], None], Callable[[Scores], bool]], ...] = (
    (_draw_roc, bool),
    (_draw_precision_recall, bool),
    (_draw_dice, bool),
    (_draw_recall_of_peak, _has_objects("by_peak_snr")),
    (_draw_recall_of_size, _has_objects("by_las_arcmin")),
    (_draw_false_islands, bool),
    (_draw_reliability, lambda scores: bool(scores["clusters"].get("reliability"))),
    (_draw_flux, lambda scores: bool(scores["flux"]["count"])),
)
"""Panels, and whether scores hold what one shows; those of pixels and false islands always."""
