"""The table of an evaluation, and its page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from radiounet.images.words import markdown_table, save_figure
from radiounet.images.writing import atomic
from radiounet.learning.evaluation_figure import MISSING, Scores, causes_met, draw_evaluation, number_text

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
    lines: list[tuple[str, Callable[[Scores], str]]] = [
        ("Dice of the mask", lambda s: number_text(s["pixels"]["dice"], ".3f")),
        ("best Dice of all thresholds", lambda s: number_text(s["pixels"]["best_dice"], ".3f")),
        ("objects found, all", lambda s: _recall(s["objects"]["all"])),
        ("objects found, peak S/N above 4", lambda s: _recall(s["objects"]["snr_above_4"])),
        ("objects found, peak S/N 1 to 2", lambda s: _recall(s["objects"]["snr_1_to_2"])),
        ("false islands, 1/deg2", lambda s: number_text(s["false_islands"]["per_deg2"], ".2f")),
        *((f"... {cause}, 1/deg2", _of_cause(cause)) for cause in causes),
        ("pixel ROC-AUC", lambda s: number_text(s["pixels"]["roc_auc"], ".4f")),
        ("pixel average precision", lambda s: number_text(s["pixels"]["average_precision"], ".3f")),
        *((name, _of_clusters("clusters", key)) for key, name in CLUSTER_SCORES.items()),
        *(
            (f"{name}, by catalogue", _of_clusters("clusters_by_catalogue", key))
            for key, name in CLUSTER_SCORES.items()
        ),
        ("flux in the mask (all sources in it) over truth (16 to 84 %)", _flux),
    ]
    rows = [[name, *(value(one) for one in methods)] for name, value in lines]
    return ["", *(one["method"] for one in methods)], [row for row in rows if {*row[1:]} != {MISSING}]


def _recall(part: dict) -> str:
    return MISSING if not part["count"] else f"{part['recall']:.3f} of {part['count']}"


def _of_cause(cause: str) -> Callable[[Scores], str]:
    return lambda scores: number_text(scores["false_islands"]["by_cause"].get(cause, 0.0), ".2f")


def _of_clusters(block: str, key: str) -> Callable[[Scores], str]:
    return lambda scores: number_text(scores[block].get(key), ".3f")


def _flux(scores: Scores) -> str:
    flux = scores["flux"]
    if not flux["count"]:
        return MISSING
    return f"{flux['median']:.2f} ({flux['p16']:.2f} to {flux['p84']:.2f})"


def _measured_on(scores: Scores) -> str:
    """Sentence that says what was measured on."""
    images, objects = (
        f"{number} {noun}{'s' * (number != 1)}"
        for number, noun in (
            (scores["images"], "held-out image"),
            (scores["objects"]["all"]["count"], "diffuse object"),
        )
    )
    clusters, listed = scores["clusters"], scores["clusters_by_catalogue"]
    known = f"{images}, {scores['area_deg2']:.1f} deg2; {objects}; "
    if not any(clusters[name] for name in ("host", "empty", "undetectable", "uncovered")):
        return f"{known}no clusters."
    return (
        f"{known}{clusters['host']} clusters with detectable diffuse emission and {clusters['empty']} "
        f"without (not counted: {clusters['undetectable']} with undetectable emission, "
        f"{clusters['uncovered']} not covered). By the catalogue, {listed['host']} of the same clusters "
        f"were given diffuse emission of their own and {listed['empty']} were not."
    )


def write_evaluation(methods: Sequence[Scores], folder: str | Path) -> None:
    """Write ``evaluation.md`` and ``evaluation.png`` into a folder.

    Parameters
    ----------
    methods : sequence of dict
        From `radiounet.learning.evaluation.evaluate`, all on the same images.
    """
    heads, rows = evaluation_table(methods)
    lines = [
        "# Evaluation",
        "",
        _measured_on(methods[0]),
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
