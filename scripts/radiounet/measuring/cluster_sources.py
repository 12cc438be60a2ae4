"""The halo and the relics of a cluster, from the islands of its cut-out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import astropy.units as u
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from radiounet.images.geometry import to_sky
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.words import enumerated
from radiounet.measuring.cutouts import MARGIN_BEAMS, Cutout, MeasuredMosaic, cut_out
from radiounet.measuring.diffuse_classes import (
    FLAGS,
    HALO_R500,
    RELIC_R500,
    Decision,
    Place,
    classify_cluster,
    classify_island,
    counted_candidates,
    island_flags,
)
from radiounet.measuring.fluxes import flux_at_150, power_w_hz, region_flux
from radiounet.measuring.islands import designation, footprint_text, island_centre, touches_blank
from radiounet.measuring.objects import MeasuredObject, measure_object
from radiounet.measuring.rows import class_means, fit_row, notes_of, origin_columns
from radiounet.measuring.separation import MIN_PIECE_BEAMS
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import SAME_PLACE_ARCSEC
from radiounet.survey.cosmology import arcmin_per_kpc, flat_cosmology
from radiounet.survey.survey import Cluster, join_notes

LEAST_PART = 0.25
"""Least part of an island's pixels that makes a cluster one of its owners."""


@dataclass(frozen=True)
class ClusterIsland:
    """An island in its cluster, or the part of it that belongs to this cluster."""

    name: str
    number: int
    measured: MeasuredObject
    place: Place
    flags: dict[str, bool]
    decision: Decision
    shared: bool


class ClusterSources:
    """Measures the islands that belong to clusters of one mosaic.

    Parameters
    ----------
    mosaic : MeasuredMosaic
    options : MeasureOptions
    frequency_hz : float
        Of the image.
    clusters : sequence of Cluster
        All that can be measured. An island belongs to those that are nearest, in units of R500, to
        `LEAST_PART` of its pixels or more, or to a piece of `MIN_PIECE_BEAMS` or more that reaches into
        `HALO_R500`: each has the part that is nearest to it. If there is none, it belongs to the one that
        is nearest to its centre. What lies in a known R500 goes to no cluster whose R500 is assumed,
        but to another owner, or else to the known cluster. Only a piece of less than `MIN_PIECE_BEAMS`
        stays with the rest.
    """

    def __init__(
        self,
        mosaic: MeasuredMosaic,
        options: MeasureOptions,
        frequency_hz: float,
        clusters: Sequence[Cluster],
    ):
        self._mosaic, self._options, self._frequency_hz = mosaic, options, frequency_hz
        self._clusters = clusters
        self._vectors = unit_vectors([c.ra_deg for c in clusters], [c.dec_deg for c in clusters])
        self._radii_arcmin = np.array([c.r500_arcmin for c in clusters])
        self._places = _places(clusters, self._vectors)
        self._known_parts: dict[int, dict[Cluster, np.ndarray]] = {}
        self.footprints: dict[str, str] = {}
        """Of the islands that clusters name, see `radiounet.measuring.islands.footprint_text`."""

    def measure(
        self, cluster: Cluster, cutout: Cutout, p_diffuse: float, coverage: float
    ) -> tuple[dict[str, object], np.ndarray]:
        """Measure a cluster on its cut-out.

        Returns
        -------
        row : dict
            Columns that follow from the cut-out, see `radiounet.measuring.columns.CLUSTERS`.
        own : ndarray of bool, ``[y, x]``
            Pixels of the islands that the row names, as far as these belong to the cluster.
        """
        options = self._options
        y, x = np.indices(cutout.residual.shape)
        ra, dec = to_sky(
            self._mosaic.plane.wcs, (x + cutout.origin[1]).ravel(), (y + cutout.origin[0]).ravel()
        )
        distance = np.hypot(*offset_arcmin(cluster, ra, dec)).reshape(y.shape)
        aperture = distance <= cluster.r500_arcmin
        whole = region_flux(cutout, aperture, options.calibration_error)
        masked = aperture & cutout.known & (cutout.labels > 0)
        own = self._own_pixels(cluster, cutout)
        mine = masked & own
        islands = self._islands(cluster, cutout, distance, mine)
        owners = self._owners(cutout, masked)
        others = sorted({owner.name for owner in owners if self._place(owner) != self._place(cluster)})
        fluxes = [one.measured.flux.flux_jy for one in islands]
        decisions, names = [one.decision for one in islands], [one.name for one in islands]
        decision = classify_cluster(decisions, fluxes, p_diffuse, coverage, others, names)
        row: dict[str, object] = {
            "class": decision.label,
            "reason": join_notes(decision.reason, "R500 is assumed" if cluster.assumed_size else ""),
            "flux_r500_mjy": 1e3 * whole.flux_jy,
            "flux_r500_err_mjy": 1e3 * whole.error_jy,
            "compact_mjy": 1e3 * whole.compact_jy,
            "compact_count": whole.compact_count,
            "blanked_fraction": whole.blanked_fraction,
            **origin_columns(cutout, aperture),
            "note": notes_of(cutout, *(one.measured.cutout for one in islands)),
            "island_count": len(islands),
            "islands": "; ".join(names),
            **{f"flag_{name}": any(one.flags[name] for one in islands) for name in FLAGS},
            "flag_shared": bool(others) or any(one.shared for one in islands),
        }
        if mine.any():
            inside = region_flux(cutout, mine, options.calibration_error)
            row |= {"flux_mjy": 1e3 * inside.flux_jy, "flux_err_mjy": 1e3 * inside.error_jy}
        named = np.isin(cutout.labels, [one.number for one in islands])
        counted = compress(islands, counted_candidates(decisions, fluxes))
        return row | self._of_kinds(cluster, list(counted)), own & named

    def _place(self, cluster: Cluster) -> int:
        """What tells clusters apart: two rows at one place share their islands."""
        return self._places[cluster.ra_deg, cluster.dec_deg]

    def _own_pixels(self, cluster: Cluster, cutout: Cutout) -> np.ndarray:
        """Pixels of a cut-out in islands, or parts of them, that belong to a cluster, bool ``[y, x]``."""
        own = np.zeros(cutout.labels.shape, bool)
        for label in np.unique(cutout.labels[cutout.labels > 0]):
            part = self._part(cluster, int(label))
            if part is not None:
                own[self._within(cutout, int(label), part)] = True
        return own

    def _owners(self, cutout: Cutout, region: np.ndarray) -> list[Cluster]:
        """Clusters that the islands in a region of a cut-out, bool ``[y, x]``, belong to there."""
        return [
            owner
            for label in np.unique(cutout.labels[region]).tolist()
            for owner, part in self._parts(label).items()
            if region[self._within(cutout, label, part)].any()
        ]

    def _within(self, cutout: Cutout, label: int, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns in a cut-out of a part of an island, bool ``[pixel]``."""
        places = np.stack([one[part] for one in self._pixels(label)]) - cutout.origin[:, None]
        inside = (places >= 0) & (places < np.array(cutout.labels.shape)[:, None])
        y, x = places[:, inside.all(axis=0)]
        return y, x

    def _part(self, cluster: Cluster, label: int) -> np.ndarray | None:
        """Which of an island's pixels are a cluster's, bool ``[pixel]``; None if it is another's."""
        owners = self._parts(label).items()
        return next((part for owner, part in owners if self._place(owner) == self._place(cluster)), None)

    def _islands(
        self, cluster: Cluster, cutout: Cutout, distance: np.ndarray, mine: np.ndarray
    ) -> list[ClusterIsland]:
        """Islands of a cluster, the brightest first: those centred near it, and those of its own pixels."""
        labels, regions = self._mosaic.islands
        counts, reaching = np.bincount(regions), np.unique(cutout.labels[mine])
        found = []
        near = (cutout.labels > 0) & (distance <= RELIC_R500 * cluster.r500_arcmin)
        for label in np.unique(cutout.labels[near]):
            one = self._island(cluster, int(label), bool(counts[regions[label - 1]] > 1))
            if one is not None and (one.place.distance_r500 <= RELIC_R500 or label in reaching):
                found.append(one)
        return sorted(found, key=lambda one: -one.measured.flux.flux_jy)

    def _island(self, cluster: Cluster, label: int, blended: bool) -> ClusterIsland | None:
        """One island with its surroundings, which may reach beyond the cluster's; None if it is another's."""
        mosaic = self._mosaic
        parts, mine = self._parts(label), self._part(cluster, label)
        if mine is None:
            return None
        y, x = (one[mine] for one in self._pixels(label))
        cutout = cut_out(mosaic, mosaic.around(mosaic.boxes[label - 1], MARGIN_BEAMS * mosaic.beam_px))
        island = np.zeros(cutout.labels.shape, bool)
        island[y - cutout.origin[0], x - cutout.origin[1]] = True
        island &= cutout.known
        if not island.any():
            return None
        measured = measure_object(cutout, island, self._options.calibration_error)
        shape = measured.shape
        ra, dec = to_sky(mosaic.plane.wcs, shape.x + cutout.origin[1], shape.y + cutout.origin[0])
        east, north = offset_arcmin(cluster, np.array([ra]), np.array([dec]))[:, 0]
        # at the island, where its angle is measured: near a pole north is another direction at the cluster
        here = replace(cluster, ra_deg=float(ra), dec_deg=float(dec))
        back = offset_arcmin(here, np.array(cluster.ra_deg), np.array(cluster.dec_deg))
        radial = np.degrees(np.arctan2(*back))
        turned = abs((shape.angle_deg - radial + 90) % 180 - 90)
        place = Place(float(np.hypot(east, north) / cluster.r500_arcmin), float(turned))
        means = class_means(cutout, island)
        whole = (cutout.labels == label) & cutout.known  # whose name the catalogue of islands has
        _, _, sky = island_centre(mosaic, *(np.stack(np.nonzero(whole)) + cutout.origin[:, None]))
        y, x = np.stack(np.nonzero(island)) + cutout.origin[:, None]
        low = bool(abs(sky.galactic.b.deg) < self._options.galactic_latitude_deg)
        flags = island_flags(measured, means, low, touches_blank(y, x, mosaic.plane.data), blended)
        decision = classify_island(measured, flags, means, place)
        if len(parts) > 1:
            others = sorted(owner.name for owner in parts if self._place(owner) != self._place(cluster))
            why = f"{decision.reason}; a part of an island shared with {enumerated(others)}"
            decision = Decision(decision.label, why)
        shared = len(parts) > 1 or self._shared(cluster, y, x)
        self.footprints[designation(sky)] = footprint_text(
            *to_sky(mosaic.plane.wcs, *self._pixels(label)[::-1])
        )
        return ClusterIsland(designation(sky), label, measured, place, flags, decision, shared)

    def _pixels(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of an island in the mosaic."""
        rows, columns = self._mosaic.boxes[label - 1]
        y, x = np.nonzero(self._mosaic.islands[0][rows, columns] == label)
        return y + rows.start, x + columns.start

    def _parts(self, label: int) -> dict[Cluster, np.ndarray]:
        """Which of an island's pixels (bool, ``[pixel]``) are whose; see the class for who owns what."""
        if label not in self._known_parts:
            self._known_parts[label] = self._shared_out(*self._pixels(label))
        return self._known_parts[label]

    def _shared_out(self, y: np.ndarray, x: np.ndarray) -> dict[Cluster, np.ndarray]:
        places = unit_vectors(*to_sky(self._mosaic.plane.wcs, x, y))
        middle = places.mean(axis=0)
        middle /= np.linalg.norm(middle)
        apart = 60 * separation_deg(middle, self._vectors)
        first = int(np.argmin(apart / self._radii_arcmin))
        reach = 60 * separation_deg(middle, places).max()
        near = [int(n) for n in np.flatnonzero(apart < RELIC_R500 * self._radii_arcmin + reach)]
        # of rows at one place one with a known size rather than a guess, then the largest
        near = sorted(
            {*near, first}, key=lambda n: (not self._clusters[n].assumed_size, self._radii_arcmin[n], -n)
        )
        near = list({self._place(self._clusters[n]): n for n in near}.values())
        distances = np.stack(
            [60 * separation_deg(self._vectors[n], places) / self._radii_arcmin[n] for n in near]
        )
        assumed = np.array([self._clusters[n].assumed_size for n in near])
        # what lies in a known R500 belongs to no cluster whose size is a guess
        known = (distances[~assumed] < 1).any(axis=0)
        allowed = distances.copy()
        allowed[np.ix_(assumed, known)] = np.inf
        own = allowed.argmin(axis=0) == np.arange(len(near))[:, None]
        counts = own.sum(axis=1)
        central = (own & (allowed < HALO_R500)).any(axis=1)
        piece = MIN_PIECE_BEAMS * self._mosaic.plane.resolution_area_px
        large = (counts >= LEAST_PART * len(y)) | (central & (counts >= piece))
        named = [self._place(self._clusters[n]) for n in near]
        owners = np.flatnonzero(large).tolist() or [named.index(self._place(self._clusters[first]))]
        # in a known R500, and all owners are guesses: the known cluster's if it is a piece
        kept = own & np.isinf(allowed[owners]).all(axis=0)
        owners += np.flatnonzero(kept.sum(axis=1) >= piece).tolist()
        taken = np.isfinite(allowed[owners]).any(axis=0)
        nearest = np.where(taken, allowed[owners], distances[owners]).argmin(axis=0)
        parts = {self._clusters[near[k]]: nearest == n for n, k in enumerate(owners)}
        return {cluster: part for cluster, part in parts.items() if part.any()}

    def _shared(self, cluster: Cluster, y: np.ndarray, x: np.ndarray) -> bool:
        """Whether an island reaches into R500 of another cluster as well."""
        places = unit_vectors(*to_sky(self._mosaic.plane.wcs, x, y))
        reach = 60 * separation_deg(places[0], places).max()
        near = np.flatnonzero(60 * separation_deg(places[0], self._vectors) <= self._radii_arcmin + reach)
        return any(
            (60 * separation_deg(self._vectors[n], places) <= self._radii_arcmin[n]).any()
            for n in near.tolist()
            if self._place(self._clusters[n]) != self._place(cluster)
        )

    def _of_kinds(self, cluster: Cluster, islands: Sequence[ClusterIsland]) -> dict[str, object]:
        halos = [one for one in islands if one.decision.label == "cRH"]
        relics = [one for one in islands if one.decision.label == "cRR"]
        row: dict[str, object] = {"halo_count": len(halos), "relic_count": len(relics)}
        kpc = _kpc_per_arcmin(cluster, self._options)
        if halos:
            row |= self._source("halo", halos, cluster, kpc)
            measured = halos[0].measured
            row |= fit_row(measured, self._options.calibration_error)
            if measured.fit is not None:
                kpc_per_px = measured.cutout.pixel_arcsec / 60 * kpc
                row["halo_re_kpc"] = measured.fit.radius_px * kpc_per_px
                row["halo_re_err_kpc"] = measured.fit.radius_error_px * kpc_per_px
        if relics:
            row |= self._source("relic", relics, cluster, kpc)
            first = relics[0]
            arcmin = first.place.distance_r500 * cluster.r500_arcmin
            row |= {
                "relic_width_kpc": first.measured.shape.width_arcmin * kpc,
                "relic_distance_kpc": arcmin * kpc,
                "relic_distance_r500": np.nan if cluster.assumed_size else first.place.distance_r500,
                "relic_tangential_deg": first.place.tangential_deg,
            }
        return row

    def _source(
        self, kind: str, islands: Sequence[ClusterIsland], cluster: Cluster, kpc: float
    ) -> dict[str, object]:
        """Flux density of all islands of a kind, and the sizes of the brightest."""
        totals = np.array([one.measured.total_jy for one in islands])
        flux = float(totals[:, 0].sum())
        noise = float(np.linalg.norm(totals[:, 2]))
        error = float(np.hypot(noise, self._options.calibration_error * flux))
        power, power_error = power_w_hz(flux, error, self._frequency_hz, cluster.redshift, self._options)
        at_150, at_150_error = flux_at_150(flux, error, self._frequency_hz, self._options)
        las = islands[0].measured.shape.las_arcmin
        return {
            f"{kind}_flux_mjy": 1e3 * flux,
            f"{kind}_flux_err_mjy": 1e3 * error,
            f"{kind}_s150_mjy": 1e3 * at_150,
            f"{kind}_s150_err_mjy": 1e3 * at_150_error,
            f"{kind}_p150_w_hz": power,
            f"{kind}_p150_err_w_hz": power_error,
            f"{kind}_las_arcmin": las,
            f"{kind}_lls_kpc": las * kpc,
        }


def _places(clusters: Sequence[Cluster], vectors: np.ndarray) -> dict[tuple[float, float], int]:
    """Place of each cluster: a number that those within `SAME_PLACE_ARCSEC` of each other share."""
    if not clusters:
        return {}
    pairs = KDTree(vectors).query_pairs(np.radians(SAME_PLACE_ARCSEC / 3600), output_type="ndarray")
    near = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=2 * [len(clusters)])
    _, numbers = connected_components(near, directed=False)
    return {(one.ra_deg, one.dec_deg): int(n) for one, n in zip(clusters, numbers, strict=True)}


def _kpc_per_arcmin(cluster: Cluster, options: MeasureOptions) -> float:
    """NaN for an unknown redshift."""
    if not cluster.redshift > 0:
        return float("nan")
    return 1 / arcmin_per_kpc(cluster.redshift, flat_cosmology(options.h0, options.omega_m))


def cluster_sizes(cluster: Cluster, options: MeasureOptions) -> dict[str, object]:
    """R500 in kpc and the mass inside it, ``M500 = 500 rho_c 4 pi R500^3 / 3``; NaN if not known."""
    radius = cluster.r500_arcmin * _kpc_per_arcmin(cluster, options)
    if cluster.assumed_size or not np.isfinite(radius):
        return {"r500_kpc": np.nan, "m500_msun": np.nan}
    density = 500 * flat_cosmology(options.h0, options.omega_m).critical_density(cluster.redshift)
    mass = (density * 4 / 3 * np.pi * (radius * u.kpc) ** 3).to_value(u.solMass)
    return {"r500_kpc": radius, "m500_msun": float(f"{mass:.6g}")}  # the same digits on all machines


def offset_arcmin(cluster: Cluster, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Angles from a cluster towards east and north, ``[2, position]``; their hypotenuse is the distance."""
    ra, dec = np.radians(cluster.ra_deg), np.radians(cluster.dec_deg)
    centre = unit_vectors(cluster.ra_deg, cluster.dec_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    places = unit_vectors(ra_deg, dec_deg)
    flat = np.stack([places @ east, places @ north])
    length = np.hypot(*flat)
    distance = 60 * separation_deg(centre, places)
    return flat * np.divide(distance, length, out=np.zeros_like(length), where=length > 0)
