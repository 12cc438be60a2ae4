"""Labels that people gave to candidates, as images of labels that a network can be trained with."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from scipy import ndimage
from skimage.morphology import disk

from radiounet.errors import ConfigError
from radiounet.images.geometry import grid_header, pixels_in, to_pixels
from radiounet.images.image import Plane, StoredPlane, open_plane
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.words import one_line
from radiounet.images.writing import atomic, write_fits
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import Part
from radiounet.measuring.labels import plain_name
from radiounet.network.masks import NO_DATA
from radiounet.publishing.catalogue_objects import CatalogueObject, cut
from radiounet.publishing.labelling import CHANCE, LABELS, LabelTable, candidates_by_name

logger = logging.getLogger(__name__)

UNSURE = "unsure"
SUFFIX = ".labels.fits"
DIFFUSE = ("halo", "relic", "halo and relic")
"""Labels of diffuse emission; the others but `UNSURE` say that there is none."""
WING_BEAMS = 2.0
"""Around diffuse islands nothing is known: their wings are fainter than the mask."""


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
    - where no island of the table is, what is within `WING_BEAMS` of one that is diffuse, unsure or without
      a label
    - what the label of a cluster says of pixels within `WING_BEAMS` of an island that was labelled on
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
        The pairs, ``IMAGE:LABELS``.

    Raises
    ------
    ConfigError
        No table of labels, one without a label that says something, or names that the catalogues of
        these results do not have; clusters were measured by an older version; or the folder holds labels
        of other results.
    """
    rows = _rows_that_count(labels)
    known, images = _known(_labelled(results, labels, rows))
    planes = _planes(known, images, labels)
    paths = {mask: str(Path(folder, f"{Path(mask).stem}{SUFFIX}")) for mask in planes}
    pairs = [f"{images[mask]}:{path}" for mask, path in paths.items()]
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
        write_fits(path, planes[mask], header)
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


def _known(labelled: Iterable[tuple[CatalogueObject, str]]) -> tuple[dict[str, "Known"], dict[str, str]]:
    """What labels say of each mosaic, and its image, by the path of its mask."""
    known: dict[str, Known] = {}
    images: dict[str, str] = {}
    islands: list[tuple[str, np.ndarray, WCS, bool | None]] = []
    for source, label in labelled:
        cutout, _ = cut(source)
        mask, diffuse = source.files["mask"], None if label == UNSURE else label in DIFFUSE
        if mask not in known:
            known[mask] = Known.of(open_plane(mask, brightness=False), cutout.residual)
            images[mask] = source.files["image"]
        known[mask].add(cutout, source, diffuse)
        if source.kind == "island" and cutout.own is not None:
            islands.append((mask, cutout.own, cutout.residual.wcs, diffuse))
    for mask, *island in islands:
        for other in known.keys() - {mask}:
            known[other].add_sky(*island)
    return known, images


def _planes(known: Mapping[str, "Known"], images: Mapping[str, str], labels: str) -> dict[str, np.ndarray]:
    """Labels of each mosaic of which any pixel is known, ``[y, x]``, sorted by the path of its mask."""
    planes = {mask: known[mask].labels() for mask in sorted(known)}
    unknown = [mask for mask, plane in planes.items() if (plane == NO_DATA).all()]
    for mask in unknown:
        logger.warning("%s is left out: its labels apply to none of its pixels", images[mask])
        del planes[mask]
    if not planes:
        raise ConfigError(f"{labels}: no label applies to a pixel: nothing can be trained with it")
    if contradicted := sum(known[mask].contradicted for mask in planes):
        logger.warning(
            "%d pixels have labels that contradict each other; they count as unknown", contradicted
        )
    return planes


def _listed(list_of_pairs: Path) -> dict[Path, str]:
    """Images by their labels, of the list of an earlier run."""
    if not list_of_pairs.is_file():
        return {}
    pairs = list_of_pairs.read_text(encoding="utf-8").splitlines()
    return {Path(labels).absolute(): image for image, _, labels in (pair.rpartition(":") for pair in pairs)}


def _require_same_results(list_of_pairs: Path, results: str, paths: Iterable[str]) -> None:
    """Raise `ConfigError` if a folder holds labels that other results gave, or that nobody knows of."""
    advice = "give --out another folder"
    listed = _listed(list_of_pairs)
    if there := [path for path in paths if Path(path).exists() and Path(path).absolute() not in listed]:
        raise ConfigError(f"{there[0]} is there, and no {list_of_pairs.name} that lists it: {advice}")
    for image in listed.values():
        if not Path(image).absolute().is_relative_to(Path(results).absolute()):
            raise ConfigError(f"{list_of_pairs} lists {image}, which is not of {results}: {advice}")


def _remove_left_out(list_of_pairs: Path, paths: Iterable[str]) -> None:
    """Remove images of labels that an earlier run wrote, and this one does not."""
    folder = list_of_pairs.parent.absolute()
    for old in _listed(list_of_pairs).keys() - {Path(path).absolute() for path in paths}:
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


@dataclass(frozen=True)
class _Host:
    """A cluster that is labelled as diffuse: part of the mosaic, R500 and own islands there, ``[y, x]``."""

    name: str
    part: Part
    inside: np.ndarray
    own: np.ndarray


@dataclass(frozen=True)
class Known:
    """What the labels of all candidates say of a mosaic; planes of bool.

    Attributes
    ----------
    wcs : astropy.wcs.WCS
    reach_px : int
        How far the wings of islands reach.
    by_island : ndarray, ``[3, y, x]``
        Islands that are no diffuse emission, those that are, and those that are unsure, by their own labels,
        whichever mosaic these were given on.
    by_cluster : ndarray, ``[2, y, x]``
        Islands that are no diffuse emission, and those that are, by labels of clusters.
    beside : ndarray, ``[3, y, x]``
        Around islands that were labelled on other mosaics, by what these labels say.
    empty : ndarray, ``[y, x]``
        Where cut-outs of clusters show no island.
    seen : ndarray, ``[y, x]``
        All islands of the cut-outs of candidates.
    parts : list of (slice, slice)
        These cut-outs.
    hosts : list of _Host
        Clusters with diffuse emission.
    """

    wcs: WCS
    reach_px: int
    by_island: np.ndarray
    by_cluster: np.ndarray
    beside: np.ndarray
    empty: np.ndarray
    seen: np.ndarray
    parts: list[Part] = field(default_factory=list)
    hosts: list[_Host] = field(default_factory=list)

    @classmethod
    def of(cls, mosaic: Plane | StoredPlane, cutout: Plane) -> "Known":
        """Nothing yet, of a mosaic with the beam of a cut-out of it."""
        shape, beam_px = mosaic.data.shape, cutout.made_with.major_arcsec / cutout.pixel_arcsec
        by_island, by_cluster, beside = (np.zeros((count, *shape), bool) for count in (3, 2, 3))
        empty, seen = np.zeros((2, *shape), bool)
        return cls(mosaic.wcs, round(WING_BEAMS * beam_px), by_island, by_cluster, beside, empty, seen)

    def add(self, cutout: StoredCutout, source: CatalogueObject, diffuse: bool | None) -> None:
        """Take in one candidate: its islands, and for a cluster what is empty inside R500.

        An island with a `diffuse` of None is unsure.
        """
        if cutout.own is None:
            raise ConfigError(
                f"{source.files['cutouts']} does not say which islands belong to which cluster, because an "
                "older version made it: measure its clusters again"
            )
        part = cutout.part
        if source.kind == "cluster":
            distance_arcmin = _distance_px(cutout, source.place) * cutout.residual.pixel_arcsec / 60
            inside = distance_arcmin <= float(source.row["r500_arcmin"])
            self.empty[part] |= inside & (cutout.islands == 0)
            if diffuse:
                self.hosts.append(_Host(one_line(source.row["name"]), part, inside, cutout.own))
            self.by_cluster[int(bool(diffuse))][part] |= cutout.own
        else:
            self.by_island[_said(diffuse)][part] |= cutout.own
        self.seen[part] |= cutout.islands > 0
        self.parts.append(part)

    def add_sky(self, island: np.ndarray, wcs: WCS, diffuse: bool | None) -> None:
        """Take in the label of an island, bool ``[y, x]``, on another mosaic, for the sky that it covers."""
        rows, columns = np.nonzero(island)
        places = np.stack(pixels_in(self.wcs, wcs, columns, rows))[::-1]
        shape, margin = self.empty.shape, self.reach_px + 1
        places = places[:, _lie_on(places, shape)]
        if not places.size:
            return
        ends = np.clip([places.min(axis=1) - margin, places.max(axis=1) + margin + 1], 0, shape)
        vertical, horizontal = (slice(*both) for both in ends.astype(int).T.tolist())
        part = vertical, horizontal
        y, x = np.mgrid[part]
        there = np.stack(pixels_in(wcs, self.wcs, x, y))[::-1]
        inside = _lie_on(there, island.shape)
        covered = np.zeros(inside.shape, bool)
        covered[inside] = island[tuple(np.rint(there[:, inside]).astype(int))]
        self.by_island[_said(diffuse)][part] |= covered
        self.beside[_said(diffuse)][part] |= ndimage.binary_dilation(covered, disk(self.reach_px)) & ~covered
        self.seen[part] |= covered
        self.parts.append(part)

    @property
    def decided(self) -> tuple[np.ndarray, np.ndarray]:
        """Islands that are no diffuse emission, and those that are, ``[y, x]``: in both where labels differ.

        The label of an island counts more than that of its cluster.
        """
        taken = self.by_island.any(axis=0) | self.beside[UNSURE_ISLAND]
        by_cluster = self.by_cluster & ~(taken | self.beside[1::-1])  # beside one of the same label it counts
        other, diffuse = self.by_island[:2] | by_cluster
        return other, diffuse

    @property
    def contradicted(self) -> int:
        """Pixels that are diffuse by one label and not by another that counts as much."""
        return int(np.count_nonzero(np.logical_and(*self.decided)))

    def labels(self) -> np.ndarray:
        """Return 0, 1 and, where nothing is known, 255, ``[y, x]`` uint8."""
        other, diffuse = self.decided
        labels = np.full(diffuse.shape, NO_DATA, np.uint8)
        labels[self.empty & ~self._hidden()] = 0
        for part in self.parts:  # an island without a label may be diffuse
            faint = ndimage.binary_dilation((diffuse | (self.seen & ~other))[part], disk(self.reach_px))
            labels[part][faint] = NO_DATA
        labels[other] = 0
        labels[diffuse] = 1
        labels[(diffuse & other) | self.by_island[UNSURE_ISLAND]] = NO_DATA
        return labels

    def _hidden(self) -> np.ndarray:
        """R500 of clusters with diffuse emission that no island shows, ``[y, x]``."""
        hidden = np.zeros(self.empty.shape, bool)
        for one in self.hosts:
            if self._shows(one):
                continue
            hidden[one.part] |= one.inside
            logger.warning(
                "%s is labelled as diffuse, but %s: what no other label decides inside its R500 is not known",
                one.name,
                "its islands have other labels" if one.own.any() else "has no island of its own",
            )
        return hidden

    def _shows(self, host: _Host) -> bool:
        """Whether one of the islands of a host is diffuse by its own label, or has none."""
        islands, count = ndimage.label(host.own, np.ones((3, 3)))
        labelled = self.by_island[:, *host.part]
        of_their_own = np.unique(islands[labelled.any(axis=0) & host.own])
        return bool((host.own & labelled[1]).any() or len(of_their_own) < count)


UNSURE_ISLAND = 2
"""Its plane in `Known.by_island`."""


def _said(diffuse: bool | None) -> int:
    """Plane of a label in `Known.by_island`."""
    return UNSURE_ISLAND if diffuse is None else int(diffuse)


def _lie_on(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which positions, ``[(y, x), ...]`` pixels or NaN, lie on a plane of some shape, bool ``[...]``."""
    y, x = places
    return (y > -0.5) & (y < shape[0] - 0.5) & (x > -0.5) & (x < shape[1] - 0.5)


def _distance_px(cutout: StoredCutout, place: tuple[float, float]) -> np.ndarray:
    """Distance of every pixel of a cut-out from a position, ``[y, x]``."""
    x, y = (float(one) for one in to_pixels(cutout.residual.wcs, *place))
    rows, columns = np.indices(cutout.islands.shape)
    return np.hypot(rows - y, columns - x)
