"""Scores of masks by objects: which are found, which islands are false, which clusters host any."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy import ndimage

from radiounet.measuring.scores import divide
from radiounet.network.masks import EIGHT_NEIGHBOURS

FOUND_FLUX = 0.3
FOUND_OVERLAP = 0.1
CAUSE_SHARE = 0.2
FLUX_PEAK_SNR = 2.0
FLUX_VISIBLE = 0.8
DETECTABLE_SNR = 1.0
MIN_COVERAGE = 0.5
PEAK_BINS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, np.inf)
SIZE_BINS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
NOISE = "noise"
FAINT = "faint diffuse"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ObjectResult:
    """What became of one true object.

    Attributes
    ----------
    kind, peak_snr, las_arcmin : str, float, float
        From the list of objects; the size is the largest extent of
        what is above a tenth of the peak.
    flux_jy, visible_jy, measured_jy : float
        Flux density of the whole object; true one on its pixels with data; of the
        image on those of them that were predicted.
    found : bool
    number : int
        In the plane of objects.
    """

    kind: str
    peak_snr: float
    las_arcmin: float
    flux_jy: float
    visible_jy: float
    found: bool
    measured_jy: float
    number: int


def score_objects(
    predicted: np.ndarray,
    image: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
    objects: np.ndarray,
    table: Table,
    beam_area_px: float,
    known: np.ndarray | None = None,
) -> list[ObjectResult]:
    """Look for every true object in a mask.

    An object is found where 30 % of its flux density lie inside the mask, or where
    the mask's islands that touch it overlap its part of the truth mask with an
    intersection over union above 0.1. The flux density is that of the whole object,
    parts outside the image, under blank pixels or behind other objects included.

    Objects whose peak is outside the image or under a blank pixel are counted
    nowhere, neither found nor missed; nor are those without a pixel of their own,
    behind others.

    Parameters
    ----------
    predicted : ndarray of bool, ``[y, x]``
        The mask to judge.
    image, truth : ndarray, ``[y, x]``
        Jy/beam; the image NaN where blank.
    mask : ndarray of bool, ``[y, x]``
        Truth mask.
    objects : ndarray of int, ``[y, x]``
        Number of the object a pixel belongs to, 0 for none.
    table : Table
        Columns object, kind, y_px, x_px (of the peak), peak_snr, las_arcmin,
        flux_jy (NaN: what is on the object's pixels is all of it).
    beam_area_px : float
        Solid angle of the beam, px.
    known : ndarray of bool, ``[y, x]``, optional
        Where the truth is known; other pixels of an island do not count.
    """
    labels, count = ndimage.label(predicted, EIGHT_NEIGHBOURS)
    areas = np.bincount(labels.ravel() if known is None else labels[known], minlength=count + 1)
    places = ndimage.find_objects(objects.astype(np.int32))
    results = []
    for row in table:
        number = int(row["object"])
        part = places[number - 1] if 0 < number <= len(places) else None
        if part is None or not _on_data(image, row["y_px"], row["x_px"]):
            continue
        mine = (objects[part] == number) & np.isfinite(image[part])
        if not mine.any():
            continue
        inside = mine & predicted[part]
        visible = truth[part][mine].sum(dtype=float)
        whole = np.fmax(visible, row["flux_jy"] * beam_area_px)
        share = divide(truth[part][inside].sum(dtype=float), whole)
        overlap = _overlap(labels[part], areas, mine, mine & mask[part])
        results.append(
            ObjectResult(
                str(row["kind"]),
                float(row["peak_snr"]),
                float(row["las_arcmin"]),
                float(row["flux_jy"]),
                float(visible / beam_area_px),
                bool(share >= FOUND_FLUX or overlap > FOUND_OVERLAP),
                float(image[part][inside].sum() / beam_area_px),
                number,
            )
        )
    return results


def _on_data(image: np.ndarray, y: float, x: float) -> bool:
    row, column = round(float(y)), round(float(x))
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return inside and bool(np.isfinite(image[row, column]))


def _overlap(labels: np.ndarray, areas: np.ndarray, mine: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of the islands that touch an object with its truth mask."""
    touching = np.unique(labels[mine])
    touching = touching[touching > 0]
    common = int(np.isin(labels[true], touching).sum())
    return common / max(int(areas[touching].sum() + true.sum()) - common, 1)


def recall_in_bins(values: np.ndarray, found: np.ndarray, edges: Sequence[float]) -> list[dict[str, float]]:
    """Objects and objects found, from each edge on up to the next.

    Returns
    -------
    list of dict
        Keys low, high, count, found, recall.
    """
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        chosen = (values >= low) & (values < high)
        rows.append({"low": low, "high": high} | _recall(found[chosen]))
    return rows


def _recall(found: np.ndarray) -> dict[str, float]:
    return {
        "count": int(found.size),
        "found": int(found.sum()),
        "recall": float(divide(found.sum(), found.size)),
    }


def summarise_objects(results: Sequence[ObjectResult]) -> dict[str, object]:
    """Recall of all objects, by brightness, by size (see `ObjectResult`) and by kind."""
    found = np.array([one.found for one in results], bool)
    peak = np.array([one.peak_snr for one in results], float)
    size = np.array([one.las_arcmin for one in results], float)
    kind = np.array([one.kind for one in results], str)
    return {
        "all": _recall(found),
        "snr_above_4": _recall(found[peak > 4]),
        "snr_1_to_2": _recall(found[(peak >= 1) & (peak < 2)]),
        "by_peak_snr": recall_in_bins(peak, found, PEAK_BINS),
        "by_las_arcmin": recall_in_bins(size, found, SIZE_BINS),
        "by_kind": {str(one): _recall(found[kind == one]) for one in np.unique(kind)},
    }


def summarise_flux(results: Sequence[ObjectResult]) -> dict[str, object]:
    """Measured over true flux density of the objects found that peak above 2 rms.

    Only objects of which 80 % of the flux density lie on their pixels with data.

    Returns
    -------
    dict
        count; median, p16 and p84 of the ratio; true_jy and ratio of every object.
    """
    found = [one for one in results if one.found and one.peak_snr > FLUX_PEAK_SNR and one.flux_jy > 0]
    chosen = [one for one in found if one.visible_jy >= FLUX_VISIBLE * one.flux_jy]
    ratios = [one.measured_jy / one.flux_jy for one in chosen]
    p16, median, p84 = np.percentile(ratios, (16, 50, 84)) if ratios else (np.nan,) * 3
    return {
        "count": len(chosen),
        "median": median,
        "p16": p16,
        "p84": p84,
        "true_jy": [one.flux_jy for one in chosen],
        "ratio": ratios,
    }


def false_labels(labels: np.ndarray, mask: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which islands are false, bool ``[1 + island]``: without a pixel of the truth mask, and half known.

    Parameters
    ----------
    labels : ndarray of int, ``[y, x]``
        Islands 1, 2, ...; 0 outside.
    mask, known : ndarray of bool, ``[y, x]``
        The truth mask, and where the truth is known. An island of which more than
        half is not known is not false.
    """
    size = int(labels.max(initial=0)) + 1
    true, certain, area = (
        np.bincount(labels[chosen], minlength=size) for chosen in (mask, known, labels > 0)
    )
    false = (true == 0) & (2 * certain >= area)
    false[0] = False
    return false


def false_islands(
    predicted: np.ndarray,
    mask: np.ndarray,
    known: np.ndarray,
    faint: np.ndarray,
    cause: np.ndarray | None,
    causes: Sequence[str],
) -> Counter[str]:
    """Count the false islands of a mask (8 neighbours; see `false_labels`) by cause.

    The cause is "faint diffuse" where the island holds diffuse emission too faint
    for the truth mask; else the structure that covers most of it, if that is at
    least 20 % of its pixels; else "noise".

    Parameters
    ----------
    predicted, mask, known : ndarray of bool, ``[y, x]``
        The mask to judge, the truth mask, and where the truth is known.
    faint : ndarray of bool, ``[y, x]``
        Diffuse emission of any brightness worth naming.
    cause : ndarray of uint8, ``[y, x]``, or None
        Index into `causes`, 0 for noise; without it every cause is "unknown".
    causes : sequence of str
    """
    labels, count = ndimage.label(predicted, EIGHT_NEIGHBOURS)
    index = np.arange(count + 1)
    false = false_labels(labels, mask, known)
    if cause is None:
        return Counter({UNKNOWN: int(false[1:].sum())})
    inside = labels > 0
    pairs = labels[inside] * len(causes) + cause[inside]
    covers = np.bincount(pairs, minlength=(count + 1) * len(causes)).reshape(count + 1, len(causes))
    holds_faint = ndimage.sum_labels(faint, labels, index) > 0
    names: Counter[str] = Counter()
    for label in index[1:][false[1:]]:
        largest = 1 + int(np.argmax(covers[label, 1:]))
        if holds_faint[label]:
            names[FAINT] += 1
        elif covers[label, largest] >= CAUSE_SHARE * covers[label].sum():
            names[causes[largest]] += 1
        else:
            names[NOISE] += 1
    return names


def cluster_label(
    strength: np.ndarray, known: np.ndarray, y: float, x: float, radius_px: float, truth_snr: float
) -> str:
    """Tell what there was to be seen of a cluster.

    Parameters
    ----------
    strength : ndarray, ``[y, x]``
        True diffuse emission, whichever object's, in units of the noise.
    known : ndarray of bool, ``[y, x]``
        Pixels with data.
    y, x, radius_px : float
        Centre and R500, px.
    truth_snr : float
        Where the truth mask begins.

    Returns
    -------
    str
        ``host`` where the strongest emission inside R500 reaches 1 rms, ``empty``
        where it is below `truth_snr`, else ``undetectable``; ``uncovered`` where
        half the aperture has no data.
    """
    low = np.maximum(np.floor([y - radius_px, x - radius_px]).astype(int), 0)
    high = np.maximum(np.ceil([y + radius_px, x + radius_px]).astype(int) + 1, 0)
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    dy, dx = np.ogrid[: known[part].shape[0], : known[part].shape[1]]
    inside = known[part] & (np.hypot(dy + low[0] - y, dx + low[1] - x) <= radius_px)
    if inside.sum() < MIN_COVERAGE * np.pi * radius_px**2:
        return "uncovered"
    strongest = strength[part][inside].max()
    if strongest >= DETECTABLE_SNR:
        return "host"
    return "empty" if strongest < truth_snr else "undetectable"
