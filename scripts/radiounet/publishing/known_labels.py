"""What the labels of all candidates say of the pixels of one mosaic."""

import logging
from dataclasses import dataclass, field

import numpy as np
from astropy.wcs import WCS
from scipy import ndimage
from skimage.morphology import disk

from radiounet.errors import ConfigError
from radiounet.images.geometry import pixels_in, to_pixels
from radiounet.images.image import Plane, StoredPlane
from radiounet.images.words import one_line
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import Part
from radiounet.network.masks import NO_DATA
from radiounet.publishing.catalogue_objects import CatalogueObject

logger = logging.getLogger(__name__)

WING_BEAMS = 2.0
"""Around diffuse islands nothing is known: their wings are fainter than the mask."""


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
