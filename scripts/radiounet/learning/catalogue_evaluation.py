"""A catalogue of clusters judged by labels of people, from beginning to end."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.products import catalogue_evaluation_files
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.words import save_figure
from radiounet.images.writing import atomic, write_ecsv, write_json
from radiounet.learning.catalogue_figure import draw_labels, score_text
from radiounet.learning.catalogue_report import SCORES, report_text
from radiounet.learning.recalibration import (
    Recalibration,
    fit_recalibration,
    held_out_probabilities,
    recalibrated_catalogue,
    require_both_kinds,
)
from radiounet.measuring.label_matching import WAYS, Match, match_labels
from radiounet.measuring.label_scores import (
    CONFUSION,
    DETECTED,
    VERDICTS,
    confusion,
    hosts_emission,
    joined_classes,
    matched_table,
    score_labels,
    verdict,
)
from radiounet.measuring.labels import Entry, Label, read_catalogue, read_entries, read_labels
from radiounet.measuring.scores import plain

logger = logging.getLogger(__name__)


def evaluate_catalogue(
    catalogue: str,
    labels: str,
    folder: str,
    columns: Sequence[str] = (),
    meanings: Sequence[str] = (),
    recalibrate: bool = False,
) -> None:
    """Write scores, tables and figures of a catalogue of clusters beside labels.

    See `radiounet.images.products.catalogue_evaluation_files` for what is written.

    Parameters
    ----------
    catalogue, labels : str
        See `radiounet.measuring.labels.read_catalogue` and `radiounet.measuring.labels.read_labels`.
    folder : str
    columns, meanings : sequence of str
        Of the labels.
    recalibrate : bool
        Also fit ``p_diffuse`` to the labels, and write a copy of the catalogue with what follows.

    Raises
    ------
    ConfigError
        A table cannot be used; no label is of a cluster, none fits, or none says whether there is
        emission; too few labels to recalibrate, or labels that ``p_diffuse`` contradicts.
    """
    table = read_catalogue(catalogue)
    entries, given = read_entries(table, catalogue), read_labels(labels, columns, meanings)
    of_clusters = [one for one in given if not one.of_island]
    if not of_clusters:
        raise ConfigError(
            f"all labels of {labels} are of islands: give labels of clusters (radiounet label --of clusters)"
        )
    matches = match_labels(of_clusters, entries)
    if not matches:
        raise ConfigError(
            f"no name and no position of {labels} ({len(of_clusters)} rows) is in {catalogue} "
            f"({len(entries)} clusters)"
        )
    judged = [one for one in matches if verdict(one) in VERDICTS]
    if not judged:
        raise ConfigError(
            f"{labels}: no cluster has both p_diffuse and a label of a host or of an empty cluster"
        )
    p_diffuse = np.array([one.entry.p_diffuse for one in judged])
    hosts = np.array([hosts_emission(one.label.classes) for one in judged], bool)
    evaluation: dict[str, Any] = _summary(given, entries, matches) | {
        "origin": _origin(catalogue, labels),
        "scores": {"p_diffuse": score_labels(p_diffuse, hosts)},
        "classes": CONFUSION,
        "confusion": _confusions(matches),
    }
    tables = {"matched": matched_table(matches, evaluation["origin"])}
    if recalibrate:
        fit = _recalibration(p_diffuse, hosts)
        evaluation["scores"]["recalibrated"] = score_labels(held_out_probabilities(p_diffuse, hosts), hosts)
        found = asdict(fit) | {"hosts": int(hosts.sum()), "empty_clusters": int((~hosts).sum())}
        evaluation["recalibration"] = found
        meta = {f"recalibration_{name}": value for name, value in found.items()}
        tables["recalibrated"] = recalibrated_catalogue(table, fit, evaluation["origin"] | meta)
    _write(folder, plain(evaluation), tables)


def _write(folder: str, evaluation: dict[str, Any], tables: dict[str, Table]) -> None:
    """Write all files, those of an earlier evaluation removed first."""
    files = catalogue_evaluation_files(folder)
    for path in files.values():
        Path(path).unlink(missing_ok=True)
    for name, table in tables.items():
        write_ecsv(files[name], table)
    with atomic(files["picture"]) as temporary:
        save_figure(draw_labels(evaluation["scores"], evaluation["confusion"]), temporary, dpi=110)
    with atomic(files["page"]) as temporary:
        temporary.write_text(report_text(evaluation), encoding="utf-8")
    write_json(files["evaluation"], evaluation)
    logger.info("%s", ", ".join(f"{what}: {number}" for what, number in evaluation["counts"].items()))
    for probability, scores in evaluation["scores"].items():
        words = (f"{name} {score_text(scores[name])}" for name in SCORES)
        logger.info("%s: %s", probability, ", ".join(words))


def _origin(catalogue: str, labels: str) -> dict[str, str]:
    files = {"catalogue": catalogue, "labels": labels}
    return {
        "version": __version__,
        "codehash": code_hash(),
        **{name: Path(path).name for name, path in files.items()},
        **{f"{name}_sha256": sha256_of(path) for name, path in files.items()},
    }


def _summary(labels: Sequence[Label], entries: Sequence[Entry], matches: Sequence[Match]) -> dict[str, dict]:
    """Numbers of clusters, and names of those that do not count."""
    names = {
        "labels without a cluster in the catalogue": _others(
            [one for one in labels if not one.of_island], [one.label for one in matches]
        ),
        "clusters of the catalogue without a label": _others(entries, [one.entry for one in matches]),
        "not measured, p_diffuse is missing": [
            one.label.name for one in matches if verdict(one) == "not measured"
        ],
    }
    if of_islands := [one.name for one in labels if one.of_island]:
        names["left out, the label is of an island"] = of_islands
    for one in matches:
        if verdict(one) == "left out":
            what = f"left out, the label is {joined_classes(one.label.classes) or 'empty'}"
            names.setdefault(what, []).append(one.label.name)
    how = Counter(one.how for one in matches)
    verdicts = Counter(map(verdict, matches))
    counts = {
        "labels": len(labels),
        "clusters in the catalogue": len(entries),
        "matched": len(matches),
        **{f"matched by {one}": how[one] for one in WAYS},
        "hosts": verdicts["true positive"] + verdicts["false negative"],
        "empty clusters": verdicts["true negative"] + verdicts["false positive"],
        **{what: len(found) for what, found in names.items()},
        **{f"{one}s": verdicts[one] for one in VERDICTS},
    }
    return {"counts": counts, "names": names}


def _others(rows: Sequence[Label | Entry], matched: Sequence[Label | Entry]) -> list[str]:
    known = set(map(id, matched))
    return [one.name for one in rows if id(one) not in known]


def _recalibration(p_diffuse: np.ndarray, hosts: np.ndarray) -> Recalibration:
    require_both_kinds(hosts)
    fit = fit_recalibration(p_diffuse, hosts)
    if fit.slope <= 0:
        raise ConfigError(
            f"the labels contradict p_diffuse (slope {fit.slope:.3g}): clusters would change their order"
        )
    return fit


def _confusions(matches: Sequence[Match]) -> dict[str, np.ndarray] | None:
    """Confusion of the classes of all matched clusters, and of those that are detected."""
    if matches[0].entry.classes is None:
        return None
    detected = [one for one in matches if one.entry.p_diffuse >= DETECTED]
    return {"all": confusion(matches), "detected": confusion(detected)}
