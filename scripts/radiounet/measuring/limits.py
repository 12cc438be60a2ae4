"""Upper limits and completeness of clusters: which flux density would have been found there."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from astropy.cosmology import FlatLambdaCDM

from radiounet.images.background import BOX_PX, NEIGHBOURHOOD_BOXES
from radiounet.images.geometry import pixel_area_arcsec2, to_pixels
from radiounet.images.origins import mask_provenance
from radiounet.images.writing import write_ecsv
from radiounet.measuring.clusters import MosaicProducts
from radiounet.measuring.columns import LIMITS, make_table
from radiounet.measuring.completeness import brightest, fluxes_found, is_rising, next_fluxes
from radiounet.measuring.injection import MockedImage, Trial
from radiounet.measuring.mocks import Mock, halo, is_free, relic
from radiounet.measuring.table_settings import OPTIONS, settings_text
from radiounet.network.model_cards import ModelCard
from radiounet.settings.limits import LimitOptions
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import TYPICAL_R500_KPC, clusters_to_measure
from radiounet.survey.cosmology import arcmin_per_kpc, flat_cosmology
from radiounet.survey.survey import Cluster, Survey, join_notes

if TYPE_CHECKING:
    from radiounet.network.inference import Predictor

logger = logging.getLogger(__name__)

ROUNDS = 6
"""In which the trials are made; the flux densities of each follow from those before."""
NEAR_R500, FAR_R500 = 0.1, 0.5
"""How far from the cluster the centre of a mock halo lies at first, and where that place is not free."""
PLACES = 20
"""Further places that are tried."""
PARTS = 50, 90
"""Percent that are found at the flux densities of the columns."""
LEAST_PLACED = 0.5
"""Part of the mocks that must find a place."""
RELIC_WIDTH_KPC, RELIC_LENGTH_KPC = (100.0, 300.0), (500.0, 1500.0)
DIAMETER = 6.0
"""Diameter of a halo in e-folding radii, for the relation of Bruno et al.; it holds 80 % of the flux."""
LARGEST_PX = 2.0 * NEIGHBOURHOOD_BOXES * BOX_PX
"""Largest mock, as long as twice the scale of the background: a larger one is taken for background, and to
draw that of a cluster as near as Virgo would take tens of gigabytes."""


@dataclass
class _Series:
    """Trials of one kind at one cluster; see `Site`."""

    expected_jy: float
    rng: np.random.Generator
    draw: Callable[[np.random.Generator, np.ndarray], Mock | None]
    flux_jy: np.ndarray = field(default_factory=lambda: np.empty(0))
    found: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    placeless: int = 0

    def next_trials(self, count: int) -> list[Trial]:
        """Mocks of the next round; those that find no place are counted.

        The sizes are stratified: each of as many parts of their ranges is drawn once.
        """
        flux = next_fluxes(self.flux_jy, self.found, self.expected_jy, count)
        parts = np.stack([self.rng.permutation(count) for _ in range(2)], axis=1)
        mocks = [self.draw(self.rng, one) for one in (parts + self.rng.random((count, 2))) / count]
        self.placeless += sum(mock is None for mock in mocks)
        return [Trial(mock, float(one)) for mock, one in zip(mocks, flux, strict=True) if mock is not None]

    def add(self, trials: Sequence[Trial], found: Sequence[bool]) -> None:
        """Take note of what became of them."""
        self.flux_jy = np.append(self.flux_jy, [trial.flux_jy for trial in trials])
        self.found = np.append(self.found, np.array(found, bool))

    def fluxes_mjy(self) -> tuple[dict[int, tuple[float, float]], str]:
        """Flux densities and their errors at which 50 and 90 % are found, mJy; and a note.

        Those that cannot be measured are left out.
        """
        tried = len(self.found) + self.placeless
        note = f"{self.placeless} of {tried} found no free place" if self.placeless else ""
        if len(self.found) < LEAST_PLACED * tried:
            return {}, note
        kept = is_rising(self.flux_jy, self.found)
        limit = 1e3 * (brightest(self.expected_jy) if kept.all() else self.flux_jy[kept].max())
        if not kept.all():
            note = join_notes(note, f"fewer were found above {limit:.3g} mJy, which do not count")
        if self.found[kept].all():
            return {}, join_notes(note, "all were found" if kept.all() else "all fainter ones were found")
        if not self.found.any():
            return {}, join_notes(note, f"none was found up to {limit:.3g} mJy")
        trials = 1e3 * self.flux_jy[kept], self.found[kept], 1e3 * self.expected_jy
        pairs = zip(PARTS, fluxes_found(*trials, [part / 100 for part in PARTS]), strict=True)
        within = {part: pair for part, pair in pairs if pair[0] <= limit}
        if missing := [f"{part} %" for part in PARTS if part not in within]:
            note = join_notes(note, f"{' and '.join(missing)} are not reached up to {limit:.3g} mJy")
        return within, note


class Site:
    """One cluster on the image."""

    def __init__(self, cluster: Cluster, scene: MockedImage, options: LimitOptions, cosmology: FlatLambdaCDM):
        self._scene, self._options = scene, options
        x, y = to_pixels(scene.plane.wcs, cluster.ra_deg, cluster.dec_deg)
        self._place = float(y), float(x)
        self._canvas = scene.canvas(*self._place)
        self._pixel_arcsec = float(np.sqrt(pixel_area_arcsec2(scene.plane.wcs, x, y)))
        per_arcmin = 60 / self._pixel_arcsec
        self._r500_px = cluster.r500_arcmin * per_arcmin
        self.notes = []
        if np.isfinite(cluster.redshift):
            self._px_per_kpc = arcmin_per_kpc(cluster.redshift, cosmology) * per_arcmin
        else:
            self._px_per_kpc = self._r500_px / TYPICAL_R500_KPC
            self.notes.append(f"no redshift: mocks as if R500 were {TYPICAL_R500_KPC:g} kpc")
        self._radius_kpc = self._that_fit("halos", options.radius_kpc, DIAMETER)
        self._length_kpc = self._that_fit("relics", RELIC_LENGTH_KPC, 1.0) if options.relics else None
        seed = zlib.crc32(f"{cluster.name} {cluster.ra_deg:.6f} {cluster.dec_deg:.6f}".encode())
        self._seed = [options.seed, seed]

    def _that_fit(
        self, kind: str, sizes_kpc: tuple[float, float], per_size: float
    ) -> tuple[float, float] | None:
        """Range of the sizes of which mocks, as long as `per_size` of them, exceed no `LARGEST_PX`."""
        most = LARGEST_PX / (per_size * self._px_per_kpc)
        if most >= sizes_kpc[1]:
            return sizes_kpc
        text = "span more than twice the scale of the background"
        if most <= sizes_kpc[0]:
            self.notes.append(f"no mock {kind}: those of {sizes_kpc[0]:g} kpc {text}")
            return None
        self.notes.append(f"mock {kind} of up to {most:.0f} kpc: larger ones {text}")
        return sizes_kpc[0], most

    @property
    def detected(self) -> bool:
        """Whether the mask holds a pixel inside R500."""
        y, x = np.nonzero(self._scene.mask)
        return bool((np.hypot(y - self._place[0], x - self._place[1]) <= self._r500_px).any())

    @property
    def bruno_jy(self) -> float:
        """Upper limit on a halo of middling size by the relation of Bruno et al."""
        middling_px = self._middling_px(self._radius_kpc or self._options.radius_kpc)
        return self._bruno_jy((DIAMETER * middling_px) ** 2)

    def _middling_px(self, range_kpc: tuple[float, float]) -> float:
        return float(np.sqrt(range_kpc[0] * range_kpc[1])) * self._px_per_kpc

    def _bruno_jy(self, area_px: float) -> float:
        """Bruno et al. 2023, A&A 672, A41: ``10^-0.091 sigma N_beam^0.789``.

        N_beam is the square of the diameter over the product of the beam's axes, all of the beam
        that the image was made with.
        """
        plane = self._scene.plane
        beam = plane.made_with
        y, x = np.clip(np.round(self._place), 0, np.array(self._scene.rms.shape) - 1).astype(int)
        rms = self._scene.rms[y, x] * beam.area_arcsec2 / plane.beam.area_arcsec2
        beams = area_px * self._pixel_arcsec**2 / (beam.major_arcsec * beam.minor_arcsec)
        return float(10**-0.091 * rms * beams**0.789)

    def series(self) -> dict[str, _Series]:
        """Trials to be made, by kind."""
        series = {}
        if sizes := self._radius_kpc:
            rng = np.random.default_rng([*self._seed, 0])
            series["halo"] = _Series(self.bruno_jy, rng, partial(self._halo, sizes))
        if lengths := self._length_kpc:
            # as a halo of its length: a thin arc is harder to find than its area says
            expected_jy = self._bruno_jy(self._middling_px(lengths) ** 2)
            rng = np.random.default_rng([*self._seed, 1])
            series["relic"] = _Series(expected_jy, rng, partial(self._relic, lengths))
        return series

    def _halo(
        self, radius_kpc: tuple[float, float], rng: np.random.Generator, parts: np.ndarray
    ) -> Mock | None:
        radius_px = _between(radius_kpc, parts[0]) * self._px_per_kpc
        low, high = self._options.axis_ratio
        ratio = low + parts[1] * (high - low)
        for number in range(1 + PLACES):
            reach_px = (FAR_R500 if number else NEAR_R500) * self._r500_px
            angle, turn = rng.uniform(0, 2 * np.pi, 2)
            distance = reach_px * np.sqrt(rng.random())
            centre = self._place[0] + distance * np.sin(angle), self._place[1] + distance * np.cos(angle)
            mock = halo(self._canvas, centre, radius_px, ratio, turn)
            if self._is_free(mock):
                return mock
        return None

    def _relic(
        self, length_kpc: tuple[float, float], rng: np.random.Generator, parts: np.ndarray
    ) -> Mock | None:
        sizes = zip((RELIC_WIDTH_KPC, length_kpc), parts, strict=True)
        width_px, length_px = (_between(range_kpc, part) * self._px_per_kpc for range_kpc, part in sizes)
        for _ in range(1 + PLACES):
            angle = rng.uniform(0, 2 * np.pi)
            mock = relic(self._canvas, self._place, self._r500_px, width_px, length_px, angle)
            if self._is_free(mock):
                return mock
        return None

    def _is_free(self, mock: Mock) -> bool:
        return is_free(mock, self._scene.mask, self._scene.has_data)


def _between(limits: tuple[float, float], part: float) -> float:
    """A place between two limits, by its logarithm."""
    return float(limits[0] * (limits[1] / limits[0]) ** part)


def find_limits(
    clusters: Sequence[Cluster], scene: MockedImage, options: LimitOptions, cosmology: FlatLambdaCDM
) -> list[dict[str, object]]:
    """Rows of clusters, keys as in `LIMITS`; the trials of all of them are predicted together.

    Parameters
    ----------
    clusters : sequence of Cluster
        With a position and a size.
    scene : MockedImage
    options : LimitOptions
    cosmology : FlatLambdaCDM
    """
    sites = [Site(cluster, scene, options, cosmology) for cluster in clusters]
    all_series = [site.series() for site in sites]
    done = 0
    for count in (len(one) for one in np.array_split(np.arange(options.trials), ROUNDS)):
        drawn = [(series, series.next_trials(count)) for one in all_series for series in one.values()]
        found = iter(scene.look([trial for _, trials in drawn for trial in trials]))
        for series, trials in drawn:
            series.add(trials, [next(found) for _ in trials])
        done += count
        logger.info("%d of %d trials of each kind and cluster are done", done, options.trials)
    return [_row(*one) for one in zip(clusters, sites, all_series, strict=True)]


def _row(cluster: Cluster, site: Site, all_series: dict[str, _Series]) -> dict[str, object]:
    row = unlimited(cluster) | {
        "detected": site.detected,
        "bruno_limit_mjy": 1e3 * site.bruno_jy,
        "limit_trials": sum(len(series.found) for series in all_series.values()),
    }
    notes = [cluster.note, *site.notes]
    for kind, series in all_series.items():
        fluxes, note = series.fluxes_mjy()
        notes.append(note and f"{kind}s: {note}")
        prefix = "" if kind == "halo" else f"{kind}_"
        for part, (flux, error) in fluxes.items():
            row[f"{prefix}flux_{part}_mjy"] = flux
            if kind == "halo":
                row[f"flux_{part}_err_mjy"] = error
    return row | {"limit_note": join_notes(*notes)}


def unlimited(cluster: Cluster) -> dict[str, object]:
    """Row of a cluster for which nothing was tried."""
    row: dict[str, object] = {name: np.nan for name, column in LIMITS.items() if column.kind is float}
    place = {"name": cluster.name, "ra_deg": cluster.ra_deg, "dec_deg": cluster.dec_deg}
    return row | place | {"detected": False, "limit_trials": 0, "limit_note": cluster.note}


def measure_limits(
    table: str | None,
    survey: Survey,
    products: MosaicProducts,
    card: ModelCard,
    open_predictor: Callable[[], Predictor],
    options: LimitOptions,
    measure: MeasureOptions,
    target: str,
) -> None:
    """Measure the limits of the clusters whose centre a mosaic's cell owns, on that mosaic alone.

    Parameters
    ----------
    table : str or None
        Table of all clusters.
    products : MosaicProducts
        Of the mosaic.
    card : ModelCard
        Of the model that made its mask.
    open_predictor : callable
        Loads its network; called only where there is a cluster to measure.
    options : LimitOptions
    measure : MeasureOptions
        Units of the table, and the cosmology.

    Raises
    ------
    OriginError
        The products do not belong together, or to another model.
    """
    clusters = clusters_to_measure(table, measure) if table else []
    mine = survey.clusters_of(products.name, survey.clusters_near(products.name, clusters))
    chosen = [cluster for cluster in mine if cluster.measurable]
    found: Iterator[dict[str, object]] = iter(())
    how: dict[str, object] = {}
    if chosen:
        from radiounet.network.devices import cpu_threads  # with the framework, which the others do without

        scene = MockedImage(products.image, products.probability, products.mask, card, open_predictor())
        found = iter(find_limits(chosen, scene, options, flat_cosmology(measure.h0, measure.omega_m)))
        how = {"limits_precis": scene.precision}
        if threads := cpu_threads():
            how["limits_threads"] = threads
    # in the order of the list, as `join_limits` tells rows of the same name and place apart
    rows = [next(found) if cluster.measurable else unlimited(cluster) for cluster in mine]
    logger.info("limits of %d clusters, %d more cannot be measured", len(chosen), len(mine) - len(chosen))
    meta = mask_provenance(products.mask) | {
        **how,
        "measure": settings_text(measure, *OPTIONS["limits"]),
        "limits": settings_text(options),
    }
    write_ecsv(target, make_table("limits", rows, meta))
