"""Results of `radiounet.learning.evaluation`: a table, a page of figures, the folder of a trained model."""

import logging
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from radiounet.images.provenance import sha256_of
from radiounet.images.squares import BEAM_ARCSEC, PIXEL_ARCSEC
from radiounet.images.words import markdown_table, save_figure
from radiounet.images.writing import atomic, write_json
from radiounet.learning.evaluation import calibrate, evaluate, network_method
from radiounet.learning.learning_curve import origin_of, read_about, require_unseen
from radiounet.learning.pairs import NORMALISATIONS
from radiounet.measuring.scores import card_metrics
from radiounet.network.architectures.graphs import graphs_of
from radiounet.network.inference import Predictor
from radiounet.network.model_cards import Card, Weights, model_folder, read_card, write_card
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import options_to
from radiounet.settings.train import TrainOptions
from radiounet.settings.yaml_file import read_yaml

logger = logging.getLogger(__name__)

RECIPES = CHECKOUT / "config" / "models"
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
CLUSTER_SCORES = {
    "roc_auc": "cluster ROC-AUC",
    "accuracy": "cluster accuracy at p = 0.5",
    "recall": "cluster recall at p = 0.5",
    "precision": "cluster precision at p = 0.5",
    "brier": "cluster Brier score",
}
FLUX_EDGES = np.geomspace(1e-4, 10, 11)
MIN_PER_BIN = 3
RATIO_RANGE = (0.1, 10.0)  # drawn; what lies beyond is drawn on the border

Scores = dict


def evaluation_table(methods: Sequence[Scores]) -> tuple[list[str], list[list[str]]]:
    """Table of the scores of several methods.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`.

    Returns
    -------
    heads : list of str
        An empty corner and the names of the methods.
    rows : list of list of str
        One row per score, its name first; a dash where it is undefined.
    """
    causes = _causes(methods)
    lines: list[tuple[str, Callable[[Scores], str]]] = [
        ("Dice of the mask", lambda s: _number(s["pixels"]["dice"], ".3f")),
        ("best Dice of all thresholds", lambda s: _number(s["pixels"]["best_dice"], ".3f")),
        ("objects found, all", lambda s: _recall(s["objects"]["all"])),
        ("objects found, above 4 sigma", lambda s: _recall(s["objects"]["above_4_sigma"])),
        ("objects found, 1 to 2 sigma", lambda s: _recall(s["objects"]["1_to_2_sigma"])),
        ("false islands, 1/deg2", lambda s: _number(s["false_islands"]["per_deg2"], ".2f")),
        *((f"... {cause}, 1/deg2", _of_cause(cause)) for cause in causes),
        ("pixel ROC-AUC", lambda s: _number(s["pixels"]["roc_auc"], ".4f")),
        ("pixel average precision", lambda s: _number(s["pixels"]["average_precision"], ".3f")),
        *((name, _of_clusters("clusters", key)) for key, name in CLUSTER_SCORES.items()),
        *(
            (f"{name}, by catalogue", _of_clusters("clusters_by_catalogue", key))
            for key, name in CLUSTER_SCORES.items()
        ),
        ("flux in the mask (all sources in it) over truth (16 to 84 %)", _flux),
    ]
    return ["", *(one["method"] for one in methods)], [
        [name, *(value(one) for one in methods)] for name, value in lines
    ]


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)


def _recall(part: dict) -> str:
    return MISSING if not part["count"] else f"{part['recall']:.3f} of {part['count']}"


def _of_cause(cause: str) -> Callable[[Scores], str]:
    return lambda scores: _number(scores["false_islands"]["by_cause"].get(cause, 0.0), ".2f")


def _of_clusters(block: str, key: str) -> Callable[[Scores], str]:
    return lambda scores: _number(scores[block].get(key), ".3f")


def _flux(scores: Scores) -> str:
    flux = scores["flux"]
    if not flux["count"]:
        return MISSING
    return f"{flux['median']:.2f} ({flux['p16']:.2f} to {flux['p84']:.2f})"


def _causes(methods: Sequence[Scores]) -> list[str]:
    """Causes that any method met, in the order of the colours."""
    met = {cause for one in methods for cause in one["false_islands"]["by_cause"]}
    return [cause for cause in CAUSE_COLOURS if cause in met] + sorted(met - set(CAUSE_COLOURS))


def write_evaluation(methods: Sequence[Scores], folder: str | Path) -> None:
    """Write ``evaluation.md`` and ``evaluation.png`` into a folder.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`, all on the same images.
    """
    heads, rows = evaluation_table(methods)
    first = methods[0]
    clusters, listed = first["clusters"], first["clusters_by_catalogue"]
    lines = [
        "# Evaluation",
        "",
        f"{first['images']} held-out images, {first['area_deg2']:.1f} deg2; "
        f"{first['objects']['all']['count']} diffuse objects; {clusters['host']} clusters with "
        f"detectable diffuse emission and {clusters['empty']} without (not counted: "
        f"{clusters['undetectable']} with undetectable emission, {clusters['uncovered']} not covered). "
        f"By the catalogue, {listed['host']} of the same clusters were given diffuse emission of their "
        f"own and {listed['empty']} were not.",
        "",
        *markdown_table(heads, rows),
        "",
        "![curves of every method](evaluation.png)",
        "",
    ]
    with atomic(Path(folder) / "evaluation.md") as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    with atomic(Path(folder) / "evaluation.png") as temporary:
        save_figure(draw_evaluation(methods), temporary, dpi=100)


def draw_evaluation(methods: Sequence[Scores]) -> Figure:
    """Draw curves of pixels, objects, false islands, clusters and fluxes, methods in colours.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`.

    Returns
    -------
    Figure
        12 x 14 inch, eight panels.
    """
    figure = Figure(figsize=(12, 14), layout="constrained")
    panels = figure.subplots(4, 2).ravel()
    draws = (
        _draw_roc,
        _draw_precision_recall,
        _draw_dice,
        _draw_recall_of_peak,
        _draw_recall_of_size,
        _draw_false_islands,
        _draw_reliability,
        _draw_flux,
    )
    for draw, axes in zip(draws, panels, strict=True):
        draw(axes, methods)
        axes.grid(color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
    names = [one["method"] for one in methods]
    where = {"loc": "outside upper center", "ncols": min(len(methods), 4), "frameon": False}
    figure.legend(panels[0].get_lines(), names, **where)
    return figure


def _coloured(methods: Sequence[Scores]):
    return [(one, COLOURS[index % len(COLOURS)]) for index, one in enumerate(methods)]


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in values], float)


def _with_value(name: str, value: float | None) -> str:
    return f"{name}: {_number(value, '.3f')}"


def _inner_legend(axes: Axes, where: str) -> None:
    axes.legend(fontsize=8, loc=where, framealpha=0.85)


def _draw_roc(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        curves = one["pixels"]["curves"]
        false_rate = np.maximum(_floats(curves["false_rate"]), 1e-6)
        axes.plot(false_rate, _floats(curves["true_rate"]), color=colour)
    axes.set_xscale("log")
    axes.set_xlim(1e-5, 1)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: ROC", "false positive rate", "true positive rate")
    values = [_with_value("AUC", one["pixels"]["roc_auc"]) for one in methods]
    axes.legend(axes.get_lines(), values, fontsize=8, loc="upper left", framealpha=0.85)


def _draw_precision_recall(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        pixels, curves = one["pixels"], one["pixels"]["curves"]
        label = _with_value("average precision", pixels["average_precision"])
        axes.plot(_floats(curves["recall"]), _floats(curves["precision"]), color=colour, label=label)
        axes.plot(*_floats([pixels["recall"], pixels["precision"]]), "o", color=colour)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: precision and recall (dot: the mask)", "recall", "precision")
    _inner_legend(axes, "upper right")


def _draw_dice(axes: Axes, methods: Sequence[Scores]) -> None:
    for one, colour in _coloured(methods):
        pixels = one["pixels"]
        label = _with_value(f"mask from {one['threshold']:g}", pixels["dice"])
        axes.plot(pixels["curves"]["threshold"], _floats(pixels["curves"]["dice"]), color=colour, label=label)
        axes.plot(*_floats([one["threshold"], pixels["dice"]]), "o", color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    _label(axes, "Pixels: Dice (dot: the mask)", "threshold of the score", "Dice")
    _inner_legend(axes, "upper right")


def _draw_recall(axes: Axes, methods: Sequence[Scores], key: str) -> None:
    bins = methods[0]["objects"][key]
    for index, (one, colour) in enumerate(_coloured(methods)):
        rows = one["objects"][key]
        recall, count = _floats([row["recall"] for row in rows]), np.array([row["count"] for row in rows])
        # binomial standard error, Agresti & Coull (1998): not zero at 0 and at 1
        share = (np.nan_to_num(recall) * count + 2) / (count + 4)
        error = np.sqrt(share * (1 - share) / (count + 4))
        places = np.arange(len(rows)) + 0.06 * (index - (len(methods) - 1) / 2)
        axes.errorbar(places, recall, error, color=colour, marker="o", markersize=4, elinewidth=0.8)
    names = [_bin_name(row["low"], row["high"]) for row in bins]
    axes.set_xticks(range(len(bins)), [f"{n}\n({row['count']})" for n, row in zip(names, bins, strict=True)])
    axes.set_xlim(-0.5, len(bins) - 0.5)
    axes.set_ylim(-0.02, 1.05)


def _bin_name(low: float, high: float | None) -> str:
    return f"> {low:g}" if high is None else f"{low:g}–{high:g}"


def _draw_recall_of_peak(axes: Axes, methods: Sequence[Scores]) -> None:
    _draw_recall(axes, methods, "by_peak_sigma")
    _label(axes, "Objects found, by brightness", "peak in sigma (number of objects)", "fraction found")


def _draw_recall_of_size(axes: Axes, methods: Sequence[Scores]) -> None:
    _draw_recall(axes, methods, "by_las_arcmin")
    label = "largest extent above a tenth of the peak, arcmin (number of objects)"
    _label(axes, "Objects found, by size", label, "fraction found")


def _draw_false_islands(axes: Axes, methods: Sequence[Scores]) -> None:
    left = np.zeros(len(methods))
    places = np.arange(len(methods))
    for cause in _causes(methods):
        width = np.array([one["false_islands"]["by_cause"].get(cause, 0.0) for one in methods])
        axes.barh(places, width, 0.45, left=left, color=CAUSE_COLOURS.get(cause, "#000000"), label=cause)
        left += width
    axes.set_yticks([])
    axes.set_xlim(0, 1.15 * max(left.max(), 0.1))
    for place, total, (one, colour) in zip(places, left, _coloured(methods), strict=True):
        axes.text(total, place, f" {total:.2f}", va="center", fontsize=9)
        axes.text(0, place - 0.25, f" {one['method']}", va="bottom", fontsize=9, color=colour)
    # room for the legend below the last bar
    axes.set_ylim(len(methods) - 0.5 + 0.4 * len(methods), -0.8)
    _label(axes, "False islands, by cause", "islands per deg2", "")
    if left.any():
        axes.legend(fontsize=8, loc="lower center", ncols=3, framealpha=0.85)


def _draw_reliability(axes: Axes, methods: Sequence[Scores]) -> None:
    below = axes.inset_axes([0, 0, 1, 0.22], sharex=axes)
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
        _inner_legend(axes, "upper left")


def _draw_flux(axes: Axes, methods: Sequence[Scores]) -> None:
    axes.axhline(1, color="#999999", linewidth=0.8, linestyle="--")
    for index, (one, colour) in enumerate(_coloured(methods)):
        true, ratio = (np.array(one["flux"][key], float) for key in ("true_jy", "ratio"))
        ratio = np.clip(ratio, *RATIO_RANGE)
        axes.plot(1e3 * true, ratio, ".", color=colour, markersize=6, alpha=0.35)
        which = np.digitize(true, FLUX_EDGES)
        bins = [one for one in np.unique(which) if (which == one).sum() >= MIN_PER_BIN]
        middle = np.array([np.median(true[which == one]) for one in bins]) * (1 + 0.03 * index)
        low, mid, high = np.array(
            [np.percentile(ratio[which == one], (16, 50, 84)) for one in bins]
        ).T.reshape(3, -1)
        axes.errorbar(
            1e3 * middle, mid, (mid - low, high - mid), color=colour, marker="o", markersize=4, elinewidth=0.8
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*RATIO_RANGE)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    title = "Flux of objects found, above 2 sigma (16, 50 and 84 %)"
    _label(axes, title, "true flux density in mJy", "measured / true")


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
        Images, see `read_scene`.
    weights, curve : str
        From `radiounet.learning.training`.
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

    Raises
    ------
    ModelError
        The weights were trained on held-out images.
    """
    require_unseen(name, read_about(curve), held_out)
    model = graphs_of(options.architecture).build(options.tile_px, options.widths)
    model.load_weights(weights)
    initial = options.initial and read_card(model_folder(options.initial))
    normalisation = initial.normalisation if initial else NORMALISATIONS[options.normalisation]
    method = network_method(
        name, Predictor(model, options.architecture), normalisation, options.tile_px, options.core_px
    )
    found = calibrate(method, calibration, options)
    if found.hosts is None:
        logger.warning(
            "%s: clusters with and without diffuse emission are needed to calibrate p_diffuse; "
            "it will be the bare maximum of the probability",
            name,
        )
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
        peak=found.peak,
        hosts=found.hosts,
        training={
            "command": _command(name, options),
            **read_about(curve),
            "options": options.model_dump(mode="json"),
            "calibration": origin_of(calibration),
            "held_out": origin_of(held_out),
            "parameters": model.count_params(),
            "date": datetime.now(UTC).date().isoformat(),
        },
        metrics={"on": f"{len(held_out)} held-out images", **card_metrics(scores)},
        weights=Weights(file=weights_file, sha256=sha256_of(out / weights_file)),
        licence="BSD-3-Clause",
        citation="see CITATION.cff of this workflow",
    )
    write_card(out, card)
    return scores


def _command(name: str, options: TrainOptions) -> str:
    """What trains such a model: a recipe that says the same, or the options that are not the default."""
    recipe = RECIPES / f"{name}.yaml"
    if recipe.is_file():
        written = (read_yaml(recipe) or {}).get("train", {})
        # what it is compared with makes no other weights
        if TrainOptions.model_validate(written | {"compare": options.compare}) == options:
            return f"make model MODEL={name}"
    changed = options.model_dump(exclude_defaults=True)
    return " ".join(["scripts/train.py", *([options_to(options, *changed)] if changed else [])])
