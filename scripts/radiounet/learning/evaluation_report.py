"""The table of an evaluation, and its page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from radiounet.images.model_files import EVALUATION_FILES
from radiounet.images.words import markdown_table, save_figure
from radiounet.images.writing import atomic_together
from radiounet.learning.evaluation import DICE_SHARE, FEW_FALSE_PER_DEG2
from radiounet.learning.evaluation_figure import MISSING, Scores, causes_met, draw_evaluation, number_text
from radiounet.measuring.object_scores import UNKNOWN

FEW_FALSE = f"objects found at {FEW_FALSE_PER_DEG2:g} false island per deg2 or fewer"
KINDS = {
    "halos, mini-halos and megahalos": ("halo", "mini-halo", "megahalo"),
    "relics": ("relic",),
    "filaments and bridges": ("filament", "bridge"),
}
"""Rows of objects by kind, and the kinds in them."""
CLUSTER_SCORES = {
    "roc_auc": "cluster ROC-AUC",
    "accuracy": "cluster accuracy at p = 0.5",
    "recall": "cluster recall at p = 0.5",
    "precision": "cluster precision at p = 0.5",
    "brier": "cluster Brier score",
}


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
        One row per score, its name first; a dash where it is undefined. Scores that are undefined for
        all methods, such as those of clusters on images without any, have no row.
    """
    causes = causes_met(methods)
    if causes == [UNKNOWN]:
        causes = []  # the row of all false islands says the same
    # what a catalogue says of them is not known of clusters on labelled images
    catalogue = {} if methods[0]["labelled"] else CLUSTER_SCORES
    lines: list[tuple[str, Callable[[Scores], str]]] = [
        ("threshold of the mask", lambda s: number_text(s["threshold"], "g")),
        ("peak that an island of the mask reaches", lambda s: number_text(s["peak"], "g")),
        ("Dice of the mask", lambda s: number_text(s["pixels"]["dice"], ".3f")),
        ("best Dice of all thresholds", lambda s: number_text(s["pixels"]["best_dice"], ".3f")),
        ("objects found, all", lambda s: _recall(s["objects"]["all"])),
        ("objects found, peak S/N above 4", lambda s: _recall(s["objects"]["snr_above_4"])),
        ("objects found, peak S/N 1 to 2", lambda s: _recall(s["objects"]["snr_1_to_2"])),
        *((f"objects found, {name}", _of_kinds(kinds)) for name, kinds in KINDS.items()),
        (FEW_FALSE, _at_few_false),
        ("... its threshold and peak", _mask_of_few_false),
        ("false islands, 1/deg2", lambda s: number_text(s["false_islands"]["per_deg2"], ".2f")),
        *((f"... {cause}, 1/deg2", _of_cause(cause)) for cause in causes),
        ("pixel ROC-AUC", lambda s: number_text(s["pixels"]["roc_auc"], ".4f")),
        ("pixel average precision", lambda s: number_text(s["pixels"]["average_precision"], ".3f")),
        *((name, _of_clusters("clusters", key)) for key, name in CLUSTER_SCORES.items()),
        *(
            (f"{name}, by catalogue", _of_clusters("clusters_by_catalogue", key))
            for key, name in catalogue.items()
        ),
        ("flux in the mask (all sources in it) over truth (16 to 84 %)", _flux),
    ]
    rows = [[name, *(value(one) for one in methods)] for name, value in lines]
    return ["", *(one["method"] for one in methods)], [row for row in rows if {*row[1:]} != {MISSING}]


def _recall(part: dict) -> str:
    return MISSING if not part["count"] else f"{part['recall']:.3f} of {part['count']}"


def _of_kinds(kinds: Sequence[str]) -> Callable[[Scores], str]:
    def text(scores: Scores) -> str:
        parts = [part for kind, part in scores["objects"]["by_kind"].items() if kind in kinds]
        count, found = (sum(part[key] for part in parts) for key in ("count", "found"))
        return _recall({"count": count, "recall": found / max(count, 1)})

    return text


def _at_few_false(scores: Scores) -> str:
    best = scores["few_false"]
    if not best["count"]:
        return MISSING
    return f"{best['found'] / best['count']:.3f} of {best['count']} ({100 * best['masked']:.1f} %)"


def _mask_of_few_false(scores: Scores) -> str:
    best = scores["few_false"]
    if not best["count"] or best["threshold"] is None:
        return MISSING
    return f"{best['threshold']:.3g}, {best['peak']:.3g}"


def _of_cause(cause: str) -> Callable[[Scores], str]:
    return lambda scores: number_text(scores["false_islands"]["by_cause"].get(cause, 0.0), ".2f")


def _of_clusters(block: str, key: str) -> Callable[[Scores], str]:
    return lambda scores: number_text(scores[block].get(key), ".3f")


def _flux(scores: Scores) -> str:
    flux = scores["flux"]
    if not flux["count"]:
        return MISSING
    return f"{flux['median']:.2f} ({flux['p16']:.2f} to {flux['p84']:.2f})"


def _introduction(methods: Sequence[Scores]) -> list[str]:
    """Lines that say what was measured on: once where that is the same for all."""
    told = [_measured_on(one) for one in methods]
    if len({*told}) == 1:
        return told[:1]
    return [f"- {one['method']}: {text}" for one, text in zip(methods, told, strict=True)]


def _measured_on(scores: Scores) -> str:
    """Sentences that say what was measured on."""
    labelled = scores["labelled"]
    images, objects = (
        f"{number} {noun}{'s' * (number != 1)}"
        for number, noun in (
            (scores["images"], "image" if labelled else "held-out image"),
            (scores["objects"]["all"]["count"], "diffuse object"),
        )
    )
    known = f"{images}, {scores['area_deg2']:.1f} deg2; {objects}; {_clusters(scores)}"
    if labelled.get("clusters_outside"):
        known += f" Not counted either: {labelled['clusters_outside']} clusters outside their image."
    if labelled.get("without_data"):
        known += (
            f" {labelled['without_data']} of {labelled['regions']} regions hold no pixel with data and do "
            "not count."
        )
    return known


def _clusters(scores: Scores) -> str:
    clusters, listed = scores["clusters"], scores["clusters_by_catalogue"]
    if not any(clusters[name] for name in ("host", "empty", "undetectable", "uncovered")):
        return "no clusters."
    by_image = (
        f"{clusters['host']} clusters with detectable diffuse emission and {clusters['empty']} "
        f"without (not counted: {clusters['undetectable']} with undetectable emission, "
        f"{clusters['uncovered']} not covered)."
    )
    if scores["labelled"]:
        return by_image
    return (
        f"{by_image} By the catalogue, {listed['host']} of the same clusters "
        f"were given diffuse emission of their own and {listed['empty']} were not."
    )


def write_evaluation(methods: Sequence[Scores], folder: str | Path, left_out: Sequence[str] = ()) -> None:
    """Write `EVALUATION_FILES` into a folder, see `fill_evaluation`."""
    with atomic_together(*(Path(folder) / name for name in EVALUATION_FILES)) as (page, figure):
        fill_evaluation(methods, page, figure, left_out)


def fill_evaluation(
    methods: Sequence[Scores], page: Path, figure: Path, left_out: Sequence[str] = ()
) -> None:
    """Fill the page of an evaluation and its figure, under the names that they have while they are written.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`: of several methods on the same images, or of one on
        several sets, whose names are then those of the methods.
    page, figure : Path
        Markdown and PNG.
    left_out : sequence of str, optional
        Names of methods that were not measured, for nothing was simulated to settle them on.
    """
    notes = []
    if left_out:
        notes.append(
            f"Not measured, because no images were simulated to settle them on: {', '.join(left_out)}."
        )
    heads, rows = evaluation_table(methods)
    if any(row[0] == FEW_FALSE for row in rows):
        notes.append(
            f"{FEW_FALSE[0].upper()}{FEW_FALSE[1:]}: the threshold and the peak with which each method finds "
            "most objects on these same images, so expect less on others. The Dice coefficient of its mask "
            f"is at least {DICE_SHARE:g} of the highest one with so few. Its share of the area is given."
        )
    lines = [
        "# Evaluation",
        "",
        *_introduction(methods),
        "",
        *markdown_table(heads, rows),
        "",
        *(line for note in notes for line in (note, "")),
        "![curves of every method](evaluation.png)",
        "",
    ]
    page.write_text("\n".join(lines), encoding="utf-8")
    save_figure(draw_evaluation(methods), figure, dpi=100)
