"""Labels that people gave to candidates, as images of labels that a network can be trained with."""

import logging
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radiounet.errors import ConfigError
from radiounet.images.geometry import grid_header, middle, outline, to_sky
from radiounet.images.image import StoredPlane, open_plane
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.writing import atomic, write_fits
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.labels import plain_name
from radiounet.network.masks import NO_DATA
from radiounet.publishing.catalogue_objects import CatalogueObject, cut
from radiounet.publishing.known_labels import Known
from radiounet.publishing.labelling import CHANCE, LABELS, LabelTable, candidates_by_name

logger = logging.getLogger(__name__)

UNSURE = "unsure"
SUFFIX = ".labels.fits"
DIFFUSE = ("halo", "relic", "halo and relic")
"""Labels of diffuse emission; the others but `UNSURE` say that there is none."""


def write_label_pairs(results: str, labels: str, folder: str) -> list[str]:
    """Write images of labels, 0 no, 1 diffuse, 255 unknown, of all mosaics with labelled candidates.

    ============================================================  =======  ==============  ========
    pixels                                                        diffuse  something else  `UNSURE`
    ============================================================  =======  ==============  ========
    a labelled island, on every mosaic                            1        0               255
    islands of a labelled cluster, without a label of their own   1        0               255
    R500 of a labelled cluster, where no island is                0        0               255
    ============================================================  =======  ==============  ========

    All other pixels are 255. So are, whatever the table says:

    - R500 of a diffuse cluster, where no island is, if the label does not say where the emission is: the
      cluster has no island of its own, or each has a label of its own and none is diffuse
    - where no island of the table is, what is within two beams of one that is diffuse, unsure or without
      a label
    - what the label of a cluster says of pixels within two beams of an island that was labelled on
      another mosaic, if the label of that island says something else
    - islands that two labels of clusters, or two of islands, call differently

    Parameters
    ----------
    results : path
        Products of a survey, such as ``results/dr2``, or a folder of ``radiounet segment``.
    labels : path
        Table of ``radiounet label``.
    folder : path
        For ``<mosaic>.labels.fits`` and ``pairs.txt``, for ``radiounet train --pairs @FILE``.

    Returns
    -------
    list of str
        The pairs, ``IMAGE:LABELS``, whole paths.

    Raises
    ------
    ConfigError
        No table of labels, one without a label that says something, or names that the catalogues of
        these results do not have; clusters were measured by an older version; or the folder holds labels
        of other results.
    """
    rows = _rows_that_count(labels)
    candidates = _by_mask(_labelled(results, labels, rows))
    images = {mask: some[0].source.files["image"] for mask, some in candidates.items()}
    planes = _planes(candidates, images, labels)
    paths = {mask: str(Path(folder, f"{Path(mask).stem}{SUFFIX}")) for mask in planes}
    # whole paths, since a training may begin in another folder
    pairs = [f"{os.path.abspath(images[mask])}:{os.path.abspath(path)}" for mask, path in paths.items()]
    inputs = {Path(one).resolve() for one in (labels, *images, *images.values())}
    if taken := [path for path in paths.values() if Path(path).resolve() in inputs]:
        raise ConfigError(f"{taken[0]} is read and would be overwritten: give --out another folder")
    list_of_pairs = Path(folder, "pairs.txt")
    _require_same_results(list_of_pairs, results, paths.values())
    _remove_left_out(list_of_pairs, paths.values())
    # before the labels: a run that is killed among them can be repeated
    with atomic(list_of_pairs) as temporary:
        temporary.write_text("\n".join(pairs) + "\n", encoding="utf-8")
    for mask, path in paths.items():
        header = grid_header(open_plane(mask, brightness=False).wcs)
        header.update(provenance())
        header.add_history(f"labels {sha256_of(labels)}")
        write_fits(path, planes[mask].unpacked(), header)
    counts = Counter(str(row["label"]) for row in rows)
    logger.info("%d images with %s", len(pairs), ", ".join(f"{n} {label}" for label, n in counts.items()))
    return pairs


def _rows_that_count(labels: str) -> list[dict[str, object]]:
    """Rows of a table of labels, but for clusters that are unsure, of which nothing follows."""
    if not Path(labels).is_file():
        raise ConfigError(f"there is no file {labels}: give the table that radiounet label wrote")
    given = LabelTable(labels, "").rows
    if not given:
        raise ConfigError(f"{labels} holds no label: nothing can be trained with it")
    if all(row["label"] == UNSURE for row in given):
        raise ConfigError(f"{labels} has only labels that are unsure: nothing can be trained with it")
    return [row for row in given if (row["kind"], row["label"]) != ("cluster", UNSURE)]


@dataclass(frozen=True)
class _Candidate:
    """A labelled candidate; `diffuse` is None where the label is unsure. Islands are cut out already."""

    source: CatalogueObject
    diffuse: bool | None
    island: StoredCutout | None

    @property
    def cutout(self) -> StoredCutout:
        return self.island or cut(self.source)[0]


@dataclass(frozen=True)
class _Packed:
    """A plane of labels, most of which are one number."""

    content: bytes
    shape: tuple[int, ...]

    def unpacked(self) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self.content), np.uint8).reshape(self.shape)


def _by_mask(labelled: Iterable[tuple[CatalogueObject, str]]) -> dict[str, list[_Candidate]]:
    """Candidates of each mosaic, by the path of its mask, which they are sorted by."""
    found: dict[str, list[_Candidate]] = {}
    for source, label in labelled:
        island = cut(source)[0] if source.kind == "island" else None
        diffuse = None if label == UNSURE else label in DIFFUSE
        found.setdefault(source.files["mask"], []).append(_Candidate(source, diffuse, island))
    return {mask: found[mask] for mask in sorted(found)}


def _known(mask: str, candidates: Mapping[str, Sequence[_Candidate]]) -> Known:
    """What labels say of a mosaic: those of its own candidates, and of islands that other mosaics show."""
    mosaic, own = open_plane(mask, brightness=False), candidates[mask]
    cutouts = [one.cutout for one in own]
    known = Known.of(mosaic, cutouts[0].residual)
    for one, cutout in zip(own, cutouts, strict=True):
        known.add(cutout, one.source, one.diffuse)
    centre, reach_deg = _circle(mosaic)
    for one in (one for other, some in candidates.items() if other != mask for one in some):
        if one.island is None or one.island.own is None:
            continue
        extent_deg = float(one.source.row["extent_arcmin"]) / 60
        if separation_deg(centre, unit_vectors(*one.source.place)) <= reach_deg + extent_deg:
            known.add_sky(one.island.own, one.island.residual.wcs, one.diffuse)
    return known


def _circle(mosaic: StoredPlane) -> tuple[np.ndarray, float]:
    """Middle of a mosaic, unit vector, and radius of a circle around it, deg; all sky if that is unknown."""
    shape = mosaic.data.shape
    centre, border = (
        unit_vectors(*to_sky(mosaic.wcs, *pixels)) for pixels in (middle(shape), outline(shape, steps=8))
    )
    distances = separation_deg(centre, border)
    if not np.isfinite(distances).all():
        return unit_vectors(0, 90), 180.0
    return centre, float(distances.max())


def _planes(
    candidates: Mapping[str, Sequence[_Candidate]], images: Mapping[str, str], labels: str
) -> dict[str, _Packed]:
    """Labels of each mosaic of which any pixel is known, ``[y, x]``, by the path of its mask."""
    planes, contradicted = {}, 0
    for mask in candidates:
        known = _known(mask, candidates)
        plane = known.labels()
        if (plane == NO_DATA).all():
            logger.warning("%s is left out: its labels apply to none of its pixels", images[mask])
            continue
        planes[mask] = _Packed(zlib.compress(plane.tobytes(), 1), plane.shape)
        contradicted += known.contradicted
    if not planes:
        raise ConfigError(f"{labels}: no label applies to a pixel: nothing can be trained with it")
    if contradicted:
        logger.warning(
            "%d pixels have labels that contradict each other; they count as unknown", contradicted
        )
    return planes


def _listed(list_of_pairs: Path) -> dict[Path, str]:
    """Images by their labels, links in whose paths are resolved, of the list of an earlier run."""
    if not list_of_pairs.is_file():
        return {}
    pairs = list_of_pairs.read_text(encoding="utf-8").splitlines()
    return {Path(labels).resolve(): image for image, _, labels in (pair.rpartition(":") for pair in pairs)}


def _require_same_results(list_of_pairs: Path, results: str, paths: Iterable[str]) -> None:
    """Raise `ConfigError` if a folder holds labels that other results gave, or that nobody knows of."""
    advice = "give --out another folder"
    listed = _listed(list_of_pairs)
    if there := [path for path in paths if Path(path).exists() and Path(path).resolve() not in listed]:
        raise ConfigError(f"{there[0]} is there, and no {list_of_pairs.name} that lists it: {advice}")
    roots, images = _both(results), listed.values()
    for image in images:
        if not any(one.is_relative_to(root) for one in _both(image) for root in roots):
            raise ConfigError(f"{list_of_pairs} lists {image}, which is not of {results}: {advice}")


def _both(path: str) -> tuple[Path, Path]:
    """A path as it is written, and without links, which either part of it may be."""
    return Path(os.path.abspath(path)), Path(path).resolve()


def _remove_left_out(list_of_pairs: Path, paths: Iterable[str]) -> None:
    """Remove images of labels that an earlier run wrote, and this one does not."""
    folder = list_of_pairs.parent.resolve()
    for old in _listed(list_of_pairs).keys() - {Path(path).resolve() for path in paths}:
        if old.parent == folder and old.name.endswith(SUFFIX) and old.is_file():
            logger.warning("%s is removed: its image has no labels any more", old)
            old.unlink()


def _labelled(results: str, path: str, rows: list[dict[str, object]]) -> list[tuple[CatalogueObject, str]]:
    """Candidates with their labels."""
    wrong = [str(row["kind"]) for row in rows if row["kind"] not in CHANCE]
    if wrong:
        raise ConfigError(f"{path} has a row of the kind {wrong[0]!r}: kinds are {', '.join(CHANCE)}")
    known: dict[tuple[str, str], list[CatalogueObject]] = {}
    for kind in sorted({str(row["kind"]) for row in rows}):
        by_name = candidates_by_name(results, kind, "catalogue")
        known |= {(kind, name): same for name, same in by_name.items()}
    found = [_seen(known.get((str(row["kind"]), plain_name(str(row["name"]))), []), row) for row in rows]
    if missing := [row for row, one in zip(rows, found, strict=True) if one is None]:
        image = f" on image {missing[0]['mosaic']}" if missing[0]["mosaic"] else ""
        raise ConfigError(
            f"{path} labels {missing[0]['name']}{image} ({len(missing)} such), which {results} does not "
            "have: give the results that were labelled"
        )
    wrong = [str(row["label"]) for row in rows if row["label"] not in LABELS]
    if wrong:
        raise ConfigError(f"{path} has the label {wrong[0]}: labels are {', '.join(LABELS)}")
    return [(one, str(row["label"])) for row, one in zip(rows, found, strict=True) if one is not None]


def _seen(images: Sequence[CatalogueObject], row: Mapping[str, object]) -> CatalogueObject | None:
    """Of all images that show a candidate the one on which it was labelled; the first where none is named."""
    mosaic = str(row["mosaic"])
    return next((one for one in images if mosaic in ("", str(one.row["mosaic"]))), None)
