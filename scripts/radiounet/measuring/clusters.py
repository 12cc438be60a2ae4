"""What the masks say of each cluster."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from radiounet.images.background import background_arcmin
from radiounet.images.geometry import pixel_areas_arcsec2, to_sky
from radiounet.images.origins import check_maps, maps_provenance
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import fits_header
from radiounet.images.writing import write_ecsv
from radiounet.measuring.apertures import box_around, mask_differences
from radiounet.measuring.cluster_sources import ClusterSources, cluster_sizes, offset_arcmin
from radiounet.measuring.columns import make_table
from radiounet.measuring.components import CompactFiles
from radiounet.measuring.cutout_files import StoredCutout, write_cutouts
from radiounet.measuring.cutouts import MeasuredMosaic, cut_out
from radiounet.measuring.diffuse_classes import LEAST_COVERAGE, RELIC_R500, classify_cluster
from radiounet.measuring.fluxes import frequency_of
from radiounet.measuring.rows import image_columns
from radiounet.measuring.table_settings import OPTIONS, settings_text
from radiounet.measuring.unmeasured import galactic_latitude_deg, unmeasured_cluster
from radiounet.network.cluster_probability import HostCalibration, beam_average, measure_aperture
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import (
    POSITION_COLUMNS,
    clusters_to_measure,
    first_of,
    list_provenance,
    log_notes,
)
from radiounet.survey.survey import Cluster, Survey, join_notes

logger = logging.getLogger(__name__)

COVERAGE_SEEN = 0.02
"""Part of R500 that other mosaics show beyond its own without a note: pixels at the border of R500."""


@dataclass
class MosaicProducts:
    """What one mosaic contributes to a cluster: its name and the paths of its products."""

    name: str
    image: str
    probability: str
    mask: str


@dataclass
class _Aperture:
    """Pixels inside R500 that one mosaic's cell owns, arrays ``[pixel]``, offsets ``[2, pixel]``.

    The solid angles, `area`, count pixels of the middle of the cluster's own mosaic.
    """

    image: np.ndarray
    probability: np.ndarray
    smooth: np.ndarray
    in_mask: np.ndarray
    offset_arcmin: np.ndarray
    rms: np.ndarray
    area: np.ndarray

    @property
    def distance_arcmin(self) -> np.ndarray:
        """From the cluster, ``[pixel]``."""
        return np.hypot(*self.offset_arcmin)


class ClusterMeter:
    """Measures clusters on the mosaics their apertures touch; opens each mosaic once.

    Probabilities and the mask come from every mosaic, each pixel from the one that owns it. Flux
    densities, profiles and islands are measured on a cut-out of the cluster's own mosaic, which
    reaches far beyond its cell.
    """

    def __init__(
        self,
        survey: Survey,
        products: Sequence[MosaicProducts],
        host_calibration: HostCalibration | None,
        options: MeasureOptions,
        clusters: Sequence[Cluster],
        compact: CompactFiles | None = None,
    ):
        self._survey = survey
        self._host_calibration = host_calibration
        if host_calibration is not None and host_calibration.share is None:
            logger.warning(
                "the model's card does not say what share of its clusters were hosts: "
                "p_diffuse is not shifted to measure.host_share"
            )
        self._options = options
        self._mosaics: dict[str, MeasuredMosaic] = {}
        for one in products:
            check_maps(one.image, one.probability, one.mask)
            # cut-outs are of the cluster's own mosaic
            own = compact if one is products[0] else None
            self._mosaics[one.name] = MeasuredMosaic.read(one.image, one.probability, one.mask, own)
        self._own = self._mosaics[products[0].name]
        self._plane = self._own.plane
        header = fits_header(products[0].image)
        frequency, self._assumed = frequency_of(header, survey.release), ""
        self._of_image = image_columns(self._plane, frequency)
        if np.isnan(frequency):
            frequency = 1e6 * survey.release.frequency_mhz
            self._assumed = f"no frequency in the image: {survey.release.frequency_mhz:g} MHz assumed"
            logger.warning(
                "%s: %s for powers and flux densities at 150 MHz; write its frequency in Hz into RESTFRQ of "
                "the header of the image that it was made from",
                *(products[0].image, self._assumed),
            )
        self._sources = ClusterSources(self._own, options, frequency, clusters)

    @property
    def footprints(self) -> dict[str, str]:
        """Those of the islands that clusters name, by name; see `ClusterSources`."""
        return self._sources.footprints

    def measure(self, cluster: Cluster, mosaic: str) -> tuple[dict[str, object], StoredCutout | None]:
        """Return one row, keys as in `radiounet.measuring.columns.CLUSTERS`, and the cut-out of the cluster.

        `p_diffuse` is the calibrated probability of the model's card (its largest
        beam-averaged probability where the card has no calibration); an aperture
        without data has NaN, and no cut-out.
        """
        parts = [self._collect(cluster, name, one) for name, one in self._mosaics.items()]
        one = _join([part for part in parts if part is not None])
        full = np.pi * cluster.r500_arcmin**2
        p_beam_max = float(one.smooth.max()) if one.smooth.size else np.nan
        coverage = float(min(one.area.sum() * (self._plane.pixel_arcsec / 60) ** 2 / full, 1.0))
        row = unmeasured_cluster(cluster, mosaic)
        row |= cluster_sizes(cluster, self._options) | self._of_image
        row |= {
            "p_beam_max": p_beam_max,
            "mask_fraction": float(one.in_mask.mean()) if one.in_mask.size else np.nan,
            "island_distance_arcmin": (
                float(one.distance_arcmin[one.in_mask].min()) if one.in_mask.any() else np.nan
            ),
            "coverage": coverage,
            "flag_coverage": coverage < LEAST_COVERAGE,
        }
        if not one.image.size:
            decision = classify_cluster([], [], np.nan, 0.0)
            row |= {"class": decision.label, "reason": decision.reason}
            row["note"] = join_notes(cluster.note, "no data inside R500")
            return row, None
        p_diffuse = p_beam_max
        row["rms_ujy"] = 1e6 * float(np.median(one.rms))
        if self._host_calibration is not None:
            latitude = galactic_latitude_deg(cluster.ra_deg, cluster.dec_deg)
            low_latitude = abs(latitude) < self._options.galactic_latitude_deg
            features = self._features(one, cluster.r500_arcmin, coverage, low_latitude)
            share = self._options.host_share
            p_diffuse = float(self._host_calibration.probability(features[None], share)[0])
        row["p_diffuse"] = p_diffuse
        own = self._own_coverage(cluster)
        box = box_around(self._plane, cluster, RELIC_R500)
        if box is None or not own > 0:
            why = "its own mosaic has no data inside R500"
            row |= {
                "class": "N/A",
                "reason": why,
                "note": join_notes(cluster.note, why),
                "flag_coverage": True,
            }
            return row, None
        cutout = cut_out(self._own, box)
        measured = min(coverage, own)
        columns, pixels = self._sources.measure(cluster, cutout, p_diffuse, measured)
        row |= columns | {"flag_coverage": measured < LEAST_COVERAGE}
        row["note"] = join_notes(cluster.note, str(row["note"]), self._assumed)
        if own < coverage - COVERAGE_SEEN:
            why = f"flux densities and islands cover only the {100 * own:.0f} % of R500 on its own mosaic"
            row["note"] = join_notes(str(row["note"]), why)
        differences = mask_differences(self._survey, self._mosaics, mosaic, cluster)
        row["note"] = join_notes(str(row["note"]), *differences)
        return row, StoredCutout.of(cutout, pixels)

    def _own_coverage(self, cluster: Cluster) -> float:
        """Part of the aperture for which the cluster's own mosaic has data, whoever owns it."""
        part = box_around(self._plane, cluster)
        if part is None:
            return 0.0
        y, x = np.nonzero(np.isfinite(self._plane.data[part]))
        y, x = y + part[0].start, x + part[1].start
        if not y.size:
            return 0.0
        ra, dec = to_sky(self._plane.wcs, x, y)
        inside = np.hypot(*offset_arcmin(cluster, ra, dec)) <= cluster.r500_arcmin
        area = self._plane.relative_area(y[inside], x[inside]).sum() if inside.any() else 0.0
        full = np.pi * cluster.r500_arcmin**2
        return float(area * (self._plane.pixel_arcsec / 60) ** 2 / full)

    def _features(self, one: _Aperture, r500_arcmin: float, coverage: float, galactic: bool) -> np.ndarray:
        return measure_aperture(
            one.probability,
            one.smooth,
            one.image / one.rms,
            one.in_mask,
            one.offset_arcmin,
            r500_arcmin,
            self._plane.resolution_area_px / one.area.mean(),
            coverage,
            galactic,
        )

    def _collect(self, cluster: Cluster, name: str, mosaic: MeasuredMosaic) -> _Aperture | None:
        plane, rms, probability, mask = mosaic.plane, mosaic.rms, mosaic.probability, mosaic.mask
        part = box_around(plane, cluster)
        if part is None:
            return None
        y, x = np.mgrid[part]
        ra, dec = to_sky(plane.wcs, x.ravel(), y.ravel())
        offset = offset_arcmin(cluster, ra, dec).reshape(2, *y.shape)
        inside = (
            (np.hypot(*offset) <= cluster.r500_arcmin)
            & ~np.isnan(probability[part])
            & np.isfinite(plane.data[part])
        )
        inside &= self._survey.owned(name, ra, dec).reshape(y.shape)
        if not inside.any():
            return None
        area_arcsec2 = pixel_areas_arcsec2(plane.wcs, x[inside], y[inside])
        smooth = beam_average(
            probability[part], plane.made_with.mean_arcsec, float(np.sqrt(area_arcsec2.mean()))
        )
        return _Aperture(
            plane.data[part][inside],
            probability[part][inside],
            smooth[inside],
            mask[part][inside] == 1,
            offset[:, inside],
            rms[part][inside],
            area_arcsec2 / self._plane.pixel_arcsec**2,
        )


def _join(parts: Sequence[_Aperture]) -> _Aperture:
    if not parts:
        empty, places = np.empty(0), np.empty((2, 0))
        return _Aperture(empty, empty, empty, np.empty(0, bool), places, empty, empty)
    names = [field.name for field in fields(_Aperture)]
    return _Aperture(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names))


def _hint_at_hours(clusters: Sequence[Cluster], units: Sequence[str]) -> str:
    """What to try where all right ascensions could be hours, and no option names their unit."""
    ra_deg = np.array([one.ra_deg for one in clusters if np.isfinite(one.ra_deg)])
    is_named = any(one.partition("=")[0].strip().lower() in POSITION_COLUMNS["ra"] for one in units)
    if is_named or not ra_deg.size or ra_deg.min() < 0 or ra_deg.max() >= 24:
        return ""
    return (
        "; all right ascensions are below 24 deg: if the table gives hours and does not say so, name their "
        "unit with --unit ra=hourangle or, in the configuration, measure.unit"
    )


def measure_clusters(
    table: str | None,
    survey: Survey,
    mosaic: str,
    products: Sequence[MosaicProducts],
    model: str,
    options: MeasureOptions,
    target: str,
    cutouts: str,
    unplaced: bool = False,
    compact: CompactFiles | None = None,
) -> None:
    """Measure the clusters whose centre a mosaic's cell owns; those that cannot be have a note.

    Writes the table, and the cut-outs that were measured, see `write_cutouts`.

    Parameters
    ----------
    table : str or None
        Table of all clusters; those of other cells are left to their owners.
    products : sequence of MosaicProducts
        The mosaic itself first, then every mosaic an aperture touches.
    model : str
        Whose card holds the calibration of `p_diffuse`.
    unplaced : bool
        List clusters without a position too, and count and name those outside; for an image that is all
        there is.
    compact : CompactFiles, optional
        Where compact sources come from, beside the image itself.
    """
    listed = clusters_to_measure(table, options) if table else []
    clusters = survey.clusters_near(mosaic, listed)
    owned = survey.members([mosaic], [c.ra_deg for c in clusters], [c.dec_deg for c in clusters])[mosaic]
    mine = [clusters[index] for index in owned]
    if any(cluster.measurable for cluster in mine):
        calibration = read_card(model_folder(model), check_weights=False).host_calibration
        near = [cluster for cluster in clusters if cluster.measurable]
        meter = ClusterMeter(survey, products, calibration, options, near, compact)
    if unplaced:
        mine += [cluster for cluster in clusters if not np.isfinite(cluster.ra_deg)]
    beside: Sequence[int] = np.setdiff1d(np.arange(len(clusters)), owned).tolist() if unplaced else []
    outside = [clusters[index].name for index in beside if np.isfinite(clusters[index].ra_deg)]
    rows, shown, footprints = [], [], {}
    for one in mine:
        if not one.measurable:
            rows.append(unmeasured_cluster(one, mosaic if np.isfinite(one.ra_deg) else ""))
            continue
        row, cutout = meter.measure(one, mosaic)
        footprints = meter.footprints
        rows.append(row)
        if cutout is not None:
            shown.append((one.name, cutout))
    if table:
        logger.log(
            logging.WARNING if unplaced and not owned else logging.INFO,
            "%d of the %d clusters of %s lie in %s, %d of these can be measured%s",
            *(len(owned), len(listed), table, mosaic, sum(one.measurable for one in mine)),
            _hint_at_hours(clusters, options.unit) if unplaced and not owned else "",
        )
        if outside:
            logger.info("outside %s: %s", mosaic, first_of(outside))
        log_notes(mine, table)
    meta = maps_provenance(products[0].probability, products[0].mask) | {
        **(list_provenance(table) if unplaced else {}),
        **({"clusters_rows": len(listed), "clusters_outside": len(outside)} if unplaced else {}),
        **({} if unplaced else {"island_footprints": footprints}),
        "measure": settings_text(options, *OPTIONS["clusters"]),
        "background_arcmin": background_arcmin(survey.release.pixel_arcsec),
        **(compact.provenance() if compact else {}),
    }
    write_cutouts(cutouts, shown, meta)
    write_ecsv(target, make_table("clusters", rows, meta | {"cutouts_sha256": sha256_of(cutouts)}))
