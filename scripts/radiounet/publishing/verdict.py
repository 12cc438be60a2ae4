"""One verdict of all mosaics that were compared with reference masks, as JSON and as a page."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from radiounet.images.rejections import read_rejection
from radiounet.images.words import markdown, markdown_table
from radiounet.images.writing import atomic, write_json
from radiounet.publishing.verification import VERDICTS, Difference, words_of

logger = logging.getLogger(__name__)


def merge_verifications(paths: Sequence[str], out: str) -> dict[str, object]:
    """One verdict of all mosaics, as JSON and, beside it, as a page of Markdown.

    Parameters
    ----------
    paths : sequence of str
        From `verify_mosaic`; a rejected one stands for a mosaic that could not be compared.
    out : str
        ``verdict`` (the worst of all, see `VERDICTS`), ``counts`` of each, and ``mosaics``, each with its
        own and, where it was compared, the entries of `verify_mosaic`.
    """
    mosaics: list[dict] = []
    for path in paths:
        rejection = read_rejection(path)
        if rejection is not None:
            mosaics.append({"name": rejection.name, "verdict": "not compared", "reason": rejection.reason})
        else:
            mosaics.append(json.loads(Path(path).read_text(encoding="utf-8")))
    verdicts = [one["verdict"] for one in mosaics]
    verdict = max(verdicts, key=VERDICTS.index)
    counts = {rank: verdicts.count(rank) for rank in VERDICTS}
    found = {"verdict": verdict, "counts": counts, "mosaics": mosaics}
    write_json(out, found)
    with atomic(Path(out).with_suffix(".md")) as temporary:
        temporary.write_text(_page(verdict, counts, mosaics), encoding="utf-8")
    logger.info("verdict: %s (%s)", verdict, counts)
    return found


def _of_whole(key: str) -> Callable[[dict], object]:
    return lambda one: one["mosaic"][key] if "mosaic" in one else None


def _worst_cluster(one: dict) -> float | None:
    return min((c["iou"] for c in one.get("clusters", ()) if c["iou"] is not None), default=None)


MOSAIC_COLUMNS: dict[str, Callable[[dict], object]] = {
    "mosaic": lambda one: one["name"],
    "verdict": lambda one: f"{one['verdict']}: {one['reason']}" if "reason" in one else one["verdict"],
    "IoU": _of_whole("iou"),
    "Dice": _of_whole("dice"),
    "mask pixels that differ": _of_whole("differing"),
    "masked only in ours": _of_whole("masked_only_ours"),
    "masked only in the reference": _of_whole("masked_only_reference"),
    "data only in ours": _of_whole("data_only_ours"),
    "data only in the reference": _of_whole("data_only_reference"),
    "largest difference of probability": _of_whole("largest_difference"),
    "worst cluster's IoU": _worst_cluster,
}
"""Columns of the page, by head; a cell without a value is empty."""

RULE = """\
A mosaic is `identical` where the files have the same bytes. It is `equal` where, in the whole mosaic and
inside R500 of each of its clusters, the same pixels have data in both, the IoU of the masks is at least
`verify.min_iou`, and probabilities differ by at most `verify.max_difference`. Otherwise it is `different`,
also where masks and probabilities agree and a single pixel has data on one side only. A 0 of the reference
where ours has no data counts as no data, too."""


def _page(verdict: str, counts: dict[str, int], mosaics: list[dict]) -> str:
    counted = ", ".join(f"{number} {rank}" for rank, number in counts.items())
    of_all = "1 mosaic" if len(mosaics) == 1 else f"{len(mosaics)} mosaics"
    rows = [[_cell(of(one)) for of in MOSAIC_COLUMNS.values()] for one in mosaics]
    lines = [f"# Verdict: {verdict}", "", f"Of {of_all}: {counted}.", "", RULE, ""]
    lines += markdown_table([*MOSAIC_COLUMNS], rows)
    places = [
        f"- {markdown(one['name'])}, {markdown(words_of(Difference(**place)))}"
        for one in mosaics
        for place in one.get("differences", ())
    ]
    if places:
        lines += ["", "## Where they differ", "", *places]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
