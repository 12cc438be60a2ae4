"""The catalogue against known truth: flux densities, radii, classes and flags.

On held-out images of a simulated sky (``own``: the default options; or a sky of
``radiounet/settings/skies``), or on the outside sky (``outside``, needs ../shared/data). With
``--halos``: exponential halos of known radius, added to the same images.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from astropy.table import Row, Table

from common import SHARED, print_table
from radiounet.images.beams import Beam
from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs, read_plane
from radiounet.images.noise import local_rms
from radiounet.measuring.apertures import box_around
from radiounet.measuring.cluster_sources import ClusterSources
from radiounet.measuring.cutouts import MARGIN_BEAMS, MeasuredMosaic, cut_out
from radiounet.measuring.diffuse_classes import RELIC_R500
from radiounet.measuring.islands import measure_islands
from radiounet.measuring.mocks import Canvas, halo
from radiounet.measuring.objects import MeasuredObject, measure_object
from radiounet.network.architectures.registry import ARCHITECTURES
from radiounet.network.inference import Predictor, open_model
from radiounet.network.masks import make_mask
from radiounet.network.model_cards import ModelCard, model_folder, network_input
from radiounet.network.tiling import layout, stitch
from radiounet.running.parsers import new_parser
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.named_skies import read_sky
from radiounet.settings.releases import DR2
from radiounet.settings.simulate import HELD_OUT
from radiounet.simulation.simulate import CLASSES, DIFFUSE_SNR, simulate_pair
from radiounet.survey.survey import Cluster

FIRST_SEED = HELD_OUT + 70_000
OPTIONS = MeasureOptions()
FREQUENCY_HZ = 144e6
LEAST_MJY = 5.0
FOUND = 0.3
"""Part of an object's flux density in islands where it counts as found."""
IN_IMAGE = 0.8
HALO_PX = (8.0, 40.0)
HALO_SNR = (10.0, 60.0)
GALACTIC = CLASSES.index("Galactic")


@dataclass(frozen=True)
class Truth:
    """What an image holds; planes ``[y, x]``.

    Attributes
    ----------
    truth : ndarray
        Diffuse emission, Jy/beam.
    owner : ndarray of int
        Number of each pixel's object in `objects`.
    objects : Table
        number, kind, flux_mjy, y_px, x_px.
    galactic : ndarray of bool
        Where there is Galactic emission.
    clusters : list of Cluster
    """

    plane: Plane
    truth: np.ndarray
    owner: np.ndarray
    objects: Table
    galactic: np.ndarray
    clusters: list[Cluster]


def simulated(sky: str, count: int) -> Iterator[Truth]:
    """Held-out images of one of the own skies, at the survey's beam."""
    options = read_sky(sky).model_copy(
        update={"coarse_fraction": 0.0, "zoom_fraction": 0.0, "cutout_fraction": 0.0}
    )
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        pair = simulate_pair(options, seed)
        wcs = grid_wcs(180.0, 45.0, len(pair.image), DR2.pixel_arcsec)
        plane = Plane(pair.image, wcs, Beam(DR2.beam_arcsec, DR2.beam_arcsec))
        rows = [(n, o.kind, 1e3 * o.flux_jy, o.y_px, o.x_px) for n, o in enumerate(pair.objects, 1)]
        clusters = []
        for number, one in enumerate(pair.clusters):
            ra, dec = to_sky(wcs, one.x_px, one.y_px)
            clusters.append(Cluster(f"C{number}", float(ra), float(dec), one.redshift, one.r500_arcmin))
        yield Truth(
            plane,
            pair.truth,
            pair.numbers,
            _objects(rows),
            (pair.classes >> GALACTIC & 1) > 0,
            clusters,
        )


def outside() -> Iterator[Truth]:
    """Fields of the outside sky; of the first one all is on Galactic emission."""
    for folder in sorted((SHARED / "outside_sky").glob("field_*")):
        plane = read_plane(folder / "image.fits")
        with fits.open(folder / "truth.fits.fz") as hdus:
            truth, owner = hdus["DIFFUSE"].data, hdus["OWNER"].data.astype(int)
        found = Table.read(folder / "objects.ecsv")
        rows = [(int(o["id"]), str(o["kind"]), float(o["flux_mjy"]), o["y"], o["x"]) for o in found]
        clusters = [
            Cluster(str(c["name"]), float(c["ra"]), float(c["dec"]), float(c["z"]), float(c["R500"]))
            for c in Table.read(folder / "clusters.ecsv")
        ]
        galactic = np.full(truth.shape, folder.name.endswith("00"))
        yield Truth(plane, truth, owner, _objects(rows), galactic, clusters)


def _objects(rows: list[tuple]) -> Table:
    names = ("number", "kind", "flux_mjy", "y_px", "x_px")
    return Table(rows=rows, names=names) if rows else Table({name: [] for name in names})


def segment(plane: Plane, predictor: Predictor, card: ModelCard) -> MeasuredMosaic:
    """Predict an image in memory as the workflow does in files."""
    shown = network_input(card.normalisation, plane.data, card.beam_arcsec / card.pixel_arcsec)
    surrounded = ARCHITECTURES[card.architecture].surrounded
    where = layout(shown.shape, card.tile_px, card.core_px, "exact", surrounded)
    padded = np.zeros(where.padded, shown.dtype)
    padded[where.place] = shown
    starts, cores = (
        np.concatenate(one) for one in zip(*predictor.cores(padded, where.starts(), where), strict=True)
    )
    maps = np.moveaxis(cores, -1, 0) if cores.ndim == 4 else cores[None]
    planes = [stitch(np.ascontiguousarray(one), starts, where) for one in maps]
    probability = np.where(np.isfinite(plane.data), planes[0], np.nan).astype(np.float32)
    area_px = FWHM_AREA * (card.beam_arcsec / card.pixel_arcsec) ** 2
    mask = make_mask(probability, card.threshold, area_px, card.peak)
    classes = {
        name: np.rint(255 * one).astype(np.uint8) for name, one in zip(card.classes, planes[1:], strict=True)
    }
    return MeasuredMosaic.of(plane, probability, mask, classes)


def measured_islands(mosaic: MeasuredMosaic) -> Iterator[tuple[np.ndarray, MeasuredObject]]:
    """Pixels ``[2, pixel]`` of each island, and what was measured."""
    labels, _ = mosaic.islands
    for label in range(1, labels.max() + 1):
        pixels = np.stack(np.nonzero(labels == label))
        rows, columns = (
            slice(low, high + 1) for low, high in zip(pixels.min(axis=1), pixels.max(axis=1), strict=True)
        )
        cutout = cut_out(mosaic, mosaic.around((rows, columns), MARGIN_BEAMS * mosaic.beam_px))
        island = (cutout.labels == label) & cutout.known
        if island.any():
            yield pixels, measure_object(cutout, island, OPTIONS.calibration_error)


def flux_rows(one: Truth, mosaic: MeasuredMosaic) -> list[tuple[float, float, float, bool]]:
    """True and measured flux density and its error of islands of found objects, mJy; whether of a profile.

    An object's flux density is shared out over its islands, as its emission is.
    """
    truth = np.where(np.isfinite(one.plane.data), one.truth, 0)
    numbers = np.array(one.objects["number"], int)
    size = max([*numbers, 0]) + 1
    in_islands = np.bincount(one.owner[mosaic.mask == 1], truth[mosaic.mask == 1], size)
    in_image = np.bincount(one.owner.ravel(), truth.ravel(), size)
    total = np.zeros(size)
    total[numbers] = one.objects["flux_mjy"]
    area = mosaic.plane.beam_area_px
    whole = 1e3 * in_image / area > IN_IMAGE * total
    found = (in_islands > FOUND * in_image) & whole & (total > 0)
    rows = []
    for pixels, measured in measured_islands(mosaic):
        y, x = pixels
        mine = np.bincount(one.owner[y, x], truth[y, x], size)
        mine[0] = 0
        if not found[mine.argmax()] or not mine.any():
            continue
        # objects that were not found, or lie partly outside, count with what the island shows of them
        shown = np.where(found, total * mine / np.maximum(in_islands, 1e-30), 1e3 * mine / area)
        if (true := float(shown.sum())) > LEAST_MJY:
            flux, error, _ = measured.total_jy
            rows.append((true, 1e3 * flux, 1e3 * error, measured.is_profile))
    return rows


KINDS = {"halo": "RH", "mini-halo": "RH", "megahalo": "RH", "relic": "RR"}


def class_rows(one: Truth, mosaic: MeasuredMosaic) -> list[tuple[str, str]]:
    """True and decided class of clusters with found halos and relics."""
    sources = ClusterSources(mosaic, OPTIONS, FREQUENCY_HZ, one.clusters)
    truth = np.where(np.isfinite(one.plane.data), one.truth, 0)
    rows = []
    for cluster in one.clusters:
        box = box_around(mosaic.plane, cluster, RELIC_R500)
        if box is None or not np.isfinite(mosaic.plane.data[box]).any():
            continue
        found = set()
        for row in one.objects:
            if KINDS.get(row["kind"]) is None or not _belongs(row, cluster, one, mosaic):
                continue
            mine = one.owner == row["number"]
            if truth[mine & (mosaic.mask == 1)].sum() > FOUND * truth[mine].sum() > 0:
                found.add(KINDS[row["kind"]])
        if found:
            decided = sources.measure(cluster, cut_out(mosaic, box), 1.0, 1.0)[0]["class"]
            rows.append(("+".join(sorted(found)), str(decided)))
    return rows


def _belongs(row: Row, cluster: Cluster, one: Truth, mosaic: MeasuredMosaic) -> bool:
    """Whether an object lies within `RELIC_R500` of a cluster, and nearer to it than to another."""
    ra, dec = to_sky(mosaic.plane.wcs, row["x_px"], row["y_px"])
    places = np.array([(c.ra_deg, c.dec_deg, c.r500_arcmin) for c in one.clusters])
    east = (places[:, 0] - ra) * np.cos(np.radians(dec))
    distances = 60 * np.hypot(east, places[:, 1] - dec) / places[:, 2]
    nearest = int(distances.argmin())
    return one.clusters[nearest] == cluster and distances[nearest] < RELIC_R500


def galactic_rows(one: Truth, mosaic: MeasuredMosaic) -> list[tuple[bool, bool]]:
    """Whether an island lies on Galactic emission more than on diffuse, and whether it is flagged."""
    labels, _ = mosaic.islands
    diffuse = one.truth > DIFFUSE_SNR * mosaic.rms
    rows = []
    for label, island in zip(_labels(labels), measure_islands(mosaic, OPTIONS), strict=False):
        inside = labels == label
        real = diffuse[inside].mean() < 0.5 and one.galactic[inside].mean() > 0.5
        rows.append((bool(real), bool(island.row["flag_galactic"])))
    return rows


def _labels(labels: np.ndarray) -> list[int]:
    return [int(label) for label in np.unique(labels) if label]


def halo_rows(one: Truth, seed: int, predictor: Predictor, card: ModelCard) -> list[tuple[float, ...]]:
    """True and fitted e-folding radius and flux density of one halo added to an image where it is found."""
    rng = np.random.default_rng([2026, seed])
    radius, snr = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (HALO_PX, HALO_SNR))
    image, area = one.plane.data, one.plane.beam_area_px
    y0, x0 = rng.uniform(0.2, 0.8, 2) * len(image)
    canvas = Canvas.around(one.plane, y0, x0)
    mock = halo(canvas, (y0, x0), radius, rng.uniform(0.6, 1), rng.uniform(0, np.pi))
    rms = float(local_rms(image)[int(y0), int(x0)])
    # S/N of the flux density within the e-folding radius, which is 1 - 2 / e of the whole
    flux_mjy = 1e3 * snr * rms * np.sqrt(2 * np.pi * radius**2 / area) / (1 - 2 / np.e)
    shown = image.copy()
    shown[mock.box] += np.float32(1e-3 * flux_mjy) * mock.light
    mosaic = segment(replace(one.plane, data=shown), predictor, card)
    label = mosaic.islands[0][int(y0), int(x0)] if (mosaic.mask == 1).any() else 0
    if label == 0 or (one.owner[mosaic.islands[0] == label] > 0).mean() > 0.1:
        return []
    for pixels, measured in measured_islands(mosaic):
        if mosaic.islands[0][tuple(pixels[:, 0])] == label:
            fitted = measured.fit.radius_px if measured.fit and not measured.fit.flag else np.nan
            return [(radius, fitted, flux_mjy, 1e3 * measured.total_jy[0], 1e3 * measured.total_jy[1])]
    return []


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.nanpercentile(values, [16, 50, 84])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _robust(pulls: np.ndarray) -> str:
    low, middle, high = np.percentile(pulls, [16, 50, 84])
    return f"median {middle:+.2f}, half width of 68 % {(high - low) / 2:.2f}; mean {pulls.mean():+.2f}"


def _accuracy(classes: list[tuple[str, str]]) -> str:
    right = sum(decided.replace("c", "") == true for true, decided in classes)
    return f"{right} of {len(classes)}"


def main() -> None:
    """Measure and print a table."""
    parser = new_parser(description=__doc__)
    parser.add_argument("sky", choices=("own", "wide", "shifted_a", "shifted_b", "outside"))
    parser.add_argument("--model", default="lotss-pair")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--halos", action="store_true")
    args = parser.parse_args()
    predictor, card = open_model(model_folder(args.model), batch=None)
    scenes = outside() if args.sky == "outside" else simulated(args.sky, args.images)
    fluxes, classes, galactic, halos, seconds, islands = [], [], [], [], 0.0, 0
    for seed, one in enumerate(scenes):
        if args.halos:
            halos += halo_rows(one, seed, predictor, card)
            continue
        mosaic = segment(one.plane, predictor, card)
        started = time.process_time()
        fluxes += flux_rows(one, mosaic)
        seconds += time.process_time() - started
        islands += int(mosaic.islands[0].max())
        classes += class_rows(one, mosaic)
        galactic += galactic_rows(one, mosaic)
    rows: list[list[object]] = []
    if args.halos:
        true_re, re, true, flux, error = np.array(halos).T
        rows += [["halos added and found", len(halos)], ["r_e over truth", _spread(re / true_re)]]
        rows += [
            ["flux density over truth", _spread(flux / true)],
            ["its pulls", _robust((flux - true) / error)],
        ]
    else:
        true, flux, error, profile = np.array(fluxes).T
        rows += [[f"islands of found objects above {LEAST_MJY:g} mJy", len(true)]]
        rows += [["flux density over truth", _spread(flux / true)]]
        if profile.any():
            rows += [["of those with a profile", _spread((flux / true)[profile > 0])]]
        rows += [["pulls", _robust((flux - true) / error)]]
        rows += [["class of clusters with found objects", _accuracy(classes)]]
        rows += [["", "; ".join(f"{a} as {b}: {n}" for (a, b), n in sorted(Counter(classes).items()))]]
        for text, real in (("on Galactic emission", True), ("others", False)):
            flags = [flag for on_it, flag in galactic if on_it is real]
            rows += [[f"islands {text} flagged Galactic", f"{sum(flags)} of {len(flags)}"]]
        rows += [["CPU s per island", f"{seconds / max(islands, 1):.2f}"]]
    print_table([f"{args.model}, {args.sky}", ""], rows)


if __name__ == "__main__":
    main()
