"""The page of a catalogue beside labels, in Markdown."""

from collections.abc import Mapping, Sequence

from radiounet.images.words import markdown, markdown_table
from radiounet.learning.catalogue_figure import score_text
from radiounet.learning.evaluation_figure import MISSING, number_text
from radiounet.learning.recalibration import FOLDS
from radiounet.measuring.label_scores import CONFUSION, DETECTED, INTERVAL
from radiounet.measuring.scores import RELIABILITY_BINS

SCORES = {
    "recall": "recall: hosts that are found",
    "accuracy": "accuracy: right decisions",
    "precision": "precision: hosts among what is found",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
}
MOST_NAMED = 50  # of one kind, on the page


def report_text(evaluation: Mapping) -> str:
    """Page of an evaluation.

    Parameters
    ----------
    evaluation : mapping
        The content of ``evaluation.json``, see `radiounet.learning.catalogue_evaluation.evaluate_catalogue`.
    """
    counts, scores, origin = evaluation["counts"], evaluation["scores"], evaluation["origin"]
    decisions = [[text, *(score_text(one[key]) for one in scores.values())] for key, text in SCORES.items()]
    lines = [
        "# Evaluation",
        "",
        f"Catalogue {markdown(origin['catalogue'])}, labels {markdown(origin['labels'])}.",
        "",
        *markdown_table(["clusters", "number"], list(counts.items())),
        "",
        "Hosts have a halo (RH), a relic (RR) or a candidate of either (cRH, cRR). Empty clusters have no "
        "diffuse emission (NDE).",
        "",
        f"## Decisions at a probability of {DETECTED:g}",
        "",
        *markdown_table(["score", *scores], decisions),
        "",
        f"In brackets: {100 * INTERVAL:g} % intervals (Wilson's for shares, otherwise bootstrap). They do "
        "not include errors of the labels.",
        "",
        *_recalibration(evaluation.get("recalibration")),
        "## Reliability",
        "",
        *_reliability(scores),
        "",
        *_classes(evaluation["confusion"]),
        "![ROC, reliability and classes](evaluation.png)",
        "",
        "## Clusters that do not count",
        "",
        *(f"- {markdown(what)}: {_named(names)}" for what, names in evaluation["names"].items()),
        "",
    ]
    return "\n".join(lines)


def _recalibration(found: Mapping | None) -> list[str]:
    if found is None:
        return []
    return [
        f"Recalibrated: p = expit({found['slope']:.4g} logit(p_diffuse) {found['offset']:+.4g}), fitted to "
        f"{found['hosts']} hosts and {found['empty_clusters']} empty clusters. Its scores are those of a "
        f"{FOLDS}-fold cross-validation: no cluster is judged by a fit that used its label. The fit holds "
        "for clusters among which hosts are as frequent as among these.",
        "",
    ]


def _reliability(scores: Mapping[str, Mapping]) -> list[str]:
    heads = ["bin"]
    rows = [[f"{low / 10:g} to {(low + 1) / 10:g}"] for low in range(RELIABILITY_BINS)]
    for name, one in scores.items():
        heads += [f"{name}: clusters", "mean probability", "fraction of hosts"]
        for row, found in zip(rows, one["reliability"], strict=True):
            fraction = {
                "value": found["fraction"],
                "low": found["fraction_low"],
                "high": found["fraction_high"],
            }
            row += [str(found["count"]), number_text(found["probability"], ".3f"), score_text(fraction)]
    return markdown_table(heads, rows)


def _classes(confusions: Mapping[str, Sequence[Sequence[int]]] | None) -> list[str]:
    if confusions is None:
        return ["The catalogue has no column `class`, so that classes are not compared.", ""]
    lines = [
        "## Classes",
        "",
        "Rows: class of the label. Columns: class of the catalogue. Candidates count as what ",
    ]
    lines[-1] += "they are candidates of; `none`: no class is given."
    for which, counts in confusions.items():
        rows = [[name, *row] for name, row in zip(CONFUSION, counts, strict=True)]
        lines += ["", f"{which.capitalize()} clusters:", "", *markdown_table(["", *CONFUSION], rows)]
    return [*lines, ""]


def _named(names: Sequence[str]) -> str:
    if not names:
        return MISSING
    more = f" and {len(names) - MOST_NAMED} more, see evaluation.json" if len(names) > MOST_NAMED else ""
    return ", ".join(map(markdown, names[:MOST_NAMED])) + more
