"""Labels that people gave to candidates, as images of labels that a network can be trained with."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.morphology import disk

from radiounet.errors import ConfigError
from radiounet.images.geometry import to_pixels
from radiounet.images.image import open_plane
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.writing import atomic, write_fits
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.labels import plain_name
from radiounet.network.masks import NO_DATA
from radiounet.publishing.kit import CatalogueObject, cut
from radiounet.publishing.labelling import LABELS, LabelTable, candidates

logger = logging.getLogger(__name__)

UNSURE = "unsure"
DIFFUSE = ("halo", "relic", "halo and relic")
"""Labels of diffuse emission; the others but `UNSURE` say that there is none."""
WING_BEAMS = 2.0
"""Around diffuse islands nothing is known: their wings are fainter than the mask."""


def write_label_pairs(results: str, labels: str, folder: str) -> list[str]:
    """Write images of labels, 0 no, 1 diffuse, 255 not known, of all mosaics with labelled candidates.

    A label tells of the islands of its candidate: all that reach into R500 of a cluster, or the one
    island. Where its cut-out shows no island, inside R500 of a cluster, there is no diffuse emission.
    All else is not known, and does not count in a training.

    Parameters
    ----------
    results : path
        Products of a survey, such as ``results/dr2``, or a folder of ``radiounet segment``.
    labels : path
        Table of ``radiounet label``.
    folder : path
        For ``<mosaic>.fits`` and ``pairs.txt``, the pairs as ``radiounet train`` takes them.

    Returns
    -------
    list of str
        The pairs, ``IMAGE:LABELS``.

    Raises
    ------
    ConfigError
        No table of labels, one without a label that says something, or names that the catalogues of
        these results do not have.
    """
    rows = [row for row in LabelTable(labels, "").rows if row["label"] != UNSURE]
    if not rows:
        raise ConfigError(f"{labels} has no labels but unsure ones: nothing can be trained with it")
    planes: dict[str, np.ndarray] = {}
    images: dict[str, str] = {}
    for source, label in _labelled(results, labels, rows):
        cutout, _ = cut(source)
        mask = source.files["mask"]
        if mask not in planes:
            planes[mask] = np.full(open_plane(mask, brightness=False).data.shape, NO_DATA, np.uint8)
            images[mask] = source.files["image"]
        mark(planes[mask][cutout.part], cutout, source, label in DIFFUSE)
    pairs = []
    for mask, plane in sorted(planes.items()):
        header = open_plane(mask, brightness=False).wcs.to_header()
        header.update(provenance())
        header.add_history(f"labels {sha256_of(labels)}")
        path = str(Path(folder, Path(mask).name))
        write_fits(path, plane, header)
        pairs.append(f"{images[mask]}:{path}")
    with atomic(Path(folder, "pairs.txt")) as temporary:
        temporary.write_text("\n".join(pairs) + "\n")
    counts = Counter(str(row["label"]) for row in rows)
    logger.info("%d images with %s", len(pairs), ", ".join(f"{n} {label}" for label, n in counts.items()))
    return pairs


def _labelled(results: str, path: str, rows: list[dict[str, object]]) -> list[tuple[CatalogueObject, str]]:
    """Candidates with their labels."""
    found: dict[tuple[str, str], CatalogueObject] = {}
    for kind in sorted({str(row["kind"]) for row in rows}):
        known = {plain_name(str(one.row["name"])): one for one in candidates(results, kind, "catalogue")}
        found |= {(kind, name): one for name, one in known.items()}
    named = [((str(row["kind"]), plain_name(str(row["name"]))), row) for row in rows]
    if missing := [str(row["name"]) for key, row in named if key not in found]:
        raise ConfigError(
            f"{path} labels {missing[0]} ({len(missing)} such), which {results} does not have: "
            "give the results that were labelled"
        )
    wrong = [str(row["label"]) for row in rows if row["label"] not in LABELS]
    if wrong:
        raise ConfigError(f"{path} has the label {wrong[0]}: labels are {', '.join(LABELS)}")
    return [(found[key], str(row["label"])) for key, row in named]


def mark(labels: np.ndarray, cutout: StoredCutout, source: CatalogueObject, diffuse: bool) -> None:
    """Write into the labels of a cut-out what one candidate's label says.

    Parameters
    ----------
    labels : ndarray of uint8, ``[y, x]``
        Changed: 0, 1, or 255 where nothing is known yet.
    cutout : StoredCutout
        Of the same pixels.
    source : CatalogueObject
    diffuse : bool
        Whether its islands are diffuse emission.
    """
    plane = cutout.residual
    x, y = (float(one) for one in to_pixels(plane.wcs, *source.place))
    rows, columns = np.indices(labels.shape)
    distance_px = np.hypot(rows - y, columns - x)
    if source.kind == "cluster":
        area = distance_px * plane.pixel_arcsec / 60 <= float(source.row["r500_arcmin"])
        mine = np.unique(cutout.islands[area & (cutout.islands > 0)])
    else:
        area = np.ones(labels.shape, bool)
        mine = cutout.islands[
            np.unravel_index(np.where(cutout.islands > 0, distance_px, np.inf).argmin(), area.shape)
        ]
    islands = np.isin(cutout.islands, mine) & (cutout.islands > 0)
    empty = area & (cutout.islands == 0 if diffuse else cutout.islands <= 0) & (labels == NO_DATA)
    if diffuse:
        beam_px = plane.beam.major_arcsec / plane.pixel_arcsec
        empty &= ~ndimage.binary_dilation(islands, disk(round(WING_BEAMS * beam_px)))
    labels[empty] = 0
    labels[islands] = int(diffuse)
