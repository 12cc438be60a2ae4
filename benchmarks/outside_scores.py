"""Measure a method on the sets of ../shared/data that it was not made with.

A method is a `score`: an image ``[y, x]`` in Jy/beam, NaN where blank, to a probability
per pixel; and the threshold and peak of its mask (`radiounet.network.masks.make_mask`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.images.gaussian import FWHM_AREA, FWHM_TO_SIGMA
from radiounet.images.image import Plane, open_plane, read_plane
from radiounet.images.resampling import to_model_grid
from radiounet.learning.outside import (
    MIN_AREA_PX,
    ObjectTruth,
    RegionTruth,
    Scan,
    aperture,
    area_deg2,
    islands_above,
)
from radiounet.measuring.scores import PixelCounts, divide, roc_auc
from radiounet.network.model_cards import BEAM_PX
from radiounet.settings.releases import DR2

Score = Callable[[np.ndarray, float], np.ndarray]
"""Image in Jy/beam, ``[y, x]``, and FWHM of its beam in px, to a probability per pixel."""
GALACTIC = "field_11_00"
TRUTH_SNR = 0.25
DETECTABLE_SNR = 3.0
BRIGHT_SNR = 4.0
CROP = (slice(200, 1100), slice(300, 1200))
SHIFTS_PX = (7, 64)
INNER = (slice(100, -100),) * 2
SKIES = {"noise": (0.0, 0.0), "+0.5": (0.5, 0.0), "-0.5": (-0.5, 0.0), "slope": (0.0, 1.0)}
SKY_JY = 1e-4
REPEATS = 6


@dataclass(frozen=True)
class Field:
    """A field of outside_sky: what is true, the objects to be found, the clusters, and what a method says."""

    truth: ObjectTruth
    objects: Table
    clusters: Table
    probability: np.ndarray


def predict(score: Score, image: np.ndarray, beam_px: float = BEAM_PX) -> np.ndarray:
    """Probability, float32 ``[y, x]``, NaN where the image is."""
    return np.where(np.isfinite(image), score(image, beam_px), np.nan).astype(np.float32)


def read_field(score: Score, folder: Path) -> Field:
    """Read a field and predict it.

    Objects count that are detectable: an integrated S/N of 3 and an area of a beam, both
    above half the noise (columns ``snr_int`` and ``area_beams_mask``). So do clusters,
    within their R500; those without diffuse emission are the other class.
    """
    image = read_plane(folder / "image.fits").data
    with fits.open(folder / "truth.fits.fz") as hdus:
        names = ("DIFFUSE", "SIGMA_1E7", "OWNER", "AMBIGUOUS")
        diffuse, sigma, owner, ambiguous = (hdus[name].data for name in names)
    objects = Table.read(folder / "objects.ecsv")
    objects = objects[(objects["snr_int"] >= DETECTABLE_SNR) & (objects["area_beams_mask"] >= 1)]
    clusters = Table.read(folder / "clusters.ecsv")
    seen = (clusters["snr_true"] >= DETECTABLE_SNR) & (clusters["truth_px_r500"] >= MIN_AREA_PX)
    clusters = clusters[(seen | ~clusters["has_diffuse"]) & (clusters["nan_frac_r500"] < 0.5)]
    known = np.isfinite(image) & (ambiguous == 0)
    mask = diffuse > TRUTH_SNR * 1e-7 * sigma
    truth = ObjectTruth(known, diffuse, mask, owner, ambiguous > 0, np.array(objects["id"]))
    return Field(truth, objects, clusters, predict(score, image))


def measure_outside(score: Score, threshold: float, peak: float | None, folder: Path) -> dict[str, dict]:
    """Scores on outside_sky: of ``all`` fields, the ``galactic`` one, and the ``others``."""
    fields = {path.name: read_field(score, path) for path in sorted(folder.glob("field_*"))}
    groups = {
        "all": list(fields.values()),
        "galactic": [fields[GALACTIC]],
        "others": [field for name, field in fields.items() if name != GALACTIC],
    }
    return {name: _measure(group, threshold, peak) for name, group in groups.items()}


def _measure(fields: list[Field], threshold: float, peak: float | None) -> dict[str, object]:
    counts, scan, found = PixelCounts(), Scan(), []
    marked, false, area = np.zeros(3, int), 0, 0.0
    for field in fields:
        truth = field.truth
        counts.add(np.where(truth.known, field.probability, np.nan), truth.mask)
        scan.add(field.probability, truth, DR2.pixel_arcsec)
        islands = islands_above(field.probability, threshold)
        kept, judgement = islands.kept(peak), truth.judge(islands)
        mask, true = kept[islands.labels] & truth.known, truth.mask & truth.known
        marked += [(mask & true).sum(), mask.sum(), true.sum()]
        found.append(judgement.found(kept))
        false += judgement.false(kept)
        area += area_deg2(truth.known, DR2.pixel_arcsec)
    dice = float(divide(2 * marked[0], marked[1] + marked[2]))
    return {
        "dice": dice,
        "best_dice": float(np.fmax(np.max(counts.dice()), dice)),
        "average_precision": counts.average_precision(),
        "roc_auc": counts.roc_auc(),
        "objects": _objects(fields, np.concatenate(found)),
        "false_per_deg2": false / area,
        "area_deg2": area,
        "at_one_false": scan.best(),
        "clusters": _clusters(fields),
        "largest": max(float(np.nanmax(field.probability[field.truth.known])) for field in fields),
    }


def _objects(fields: list[Field], found: np.ndarray) -> dict[str, tuple[int, int]]:
    """Objects found and objects there, of each kind and of a high peak."""
    kind = np.concatenate([np.array(field.objects["kind"], str) for field in fields])
    peak = np.concatenate([field.objects["peak_ujy"] / field.objects["sigma_ujy"] for field in fields])
    groups = {
        "all": np.ones(found.size, bool),
        "halo": kind == "halo",
        "relic": kind == "relic",
        "filament": np.isin(kind, ("filament", "bridge")),
        "bright": np.array(peak) > BRIGHT_SNR,
    }
    return {name: (int(found[chosen].sum()), int(chosen.sum())) for name, chosen in groups.items()}


def _clusters(fields: list[Field]) -> dict[str, float]:
    values: list[tuple[float, float]] = []
    hosts: list[bool] = []
    for field in fields:
        for row in field.clusters:
            place = row["y"], row["x"], row["R500"] * 60 / DR2.pixel_arcsec
            values.append(aperture(field.probability, field.truth.known, *place))
            hosts.append(row["has_diffuse"])
    largest, mean = np.array(values).T
    truth = np.array(hosts, bool)
    aucs = {"auc_largest": roc_auc(largest, truth), "auc_mean": roc_auc(mean, truth)}
    return {**aucs, "hosts": int(truth.sum()), "empty": int((~truth).sum())}


def measure_nvss(score: Score, threshold: float, peak: float | None, folder: Path) -> dict[str, dict]:
    """Scores on nvss_relics, ``as_is`` at 4.5"/px, and with the ``beam`` as wide in px as the survey's."""
    ways: dict[str, dict] = {}
    for way in ("as_is", "beam"):
        scan, found, false, area = Scan(), [], 0, 0.0
        for path in sorted(folder.glob("*.regions.fits.fz")):
            image = read_plane(folder / path.name.replace(".regions.fits.fz", ".fits"))
            moved = on_grid(image, way)
            truth = RegionTruth(np.isfinite(moved.data), regions_on(path, image, moved))
            beam_px = float(np.sqrt(moved.resolution_area_px / FWHM_AREA))
            probability = predict(score, moved.data, beam_px)
            islands = islands_above(probability, threshold)
            kept, judgement = islands.kept(peak), truth.judge(islands)
            found.append(judgement.found(kept))
            false += judgement.false(kept)
            area += area_deg2(truth.known, moved.pixel_arcsec)
            scan.add(probability, truth, moved.pixel_arcsec)
        all_found = np.concatenate(found)
        ways[way] = {
            "regions": (int(all_found.sum()), all_found.size),
            "false_per_deg2": false / area,
            "area_deg2": area,
            "at_one_false": scan.best(),
        }
    return ways


def on_grid(image: Plane, way: str) -> Plane:
    """Image as the workflow regrids it (``as_is``), or with the survey's pixels per beam (``beam``)."""
    if way == "as_is":
        return to_model_grid(image, DR2.pixel_arcsec, DR2.beam_arcsec)
    return to_model_grid(image, image.beam.major_arcsec / BEAM_PX, image.beam.major_arcsec)


def regions_on(path: Path, image: Plane, moved: Plane) -> np.ndarray:
    """Numbers of the regions on the grid that their image was moved to."""
    from reproject import reproject_interp

    regions = open_plane(path, brightness=False).window()
    shape = moved.data.shape
    there, _ = reproject_interp((regions, image.wcs), moved.wcs, shape, order="nearest-neighbor")
    return np.nan_to_num(there).round().astype(int)


def overlap_and_difference(
    probabilities: tuple[np.ndarray, np.ndarray], masks: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Compare two predictions of the same sky.

    Returns
    -------
    overlap : float
        Intersection over union of the masks; NaN where both are empty.
    largest : float
        Largest difference of the probabilities.
    """
    first, second = masks
    largest = np.nanmax(np.abs(probabilities[0] - probabilities[1]))
    return float(divide((first & second).sum(), (first | second).sum())), float(largest)


def measure_consistency(
    score: Score, threshold: float, peak: float | None, field: Path
) -> dict[str, tuple[float, float]]:
    """Overlap of masks and largest difference of probability: whole field to ``crop`` and shifted ones.

    In the part 100 px inside of the crop's edges. A shift drops that many first rows and columns.
    """
    image = read_plane(field / "image.fits").data
    whole = _predicted(score, threshold, peak, image)
    result = {}
    shifts = {f"shift of {shift} px": (slice(shift, None),) * 2 for shift in SHIFTS_PX}
    for name, part in ({"crop": CROP} | shifts).items():
        again = _predicted(score, threshold, peak, image[part])
        pairs = [(first[part][INNER], second[INNER]) for first, second in zip(whole, again, strict=True)]
        result[name] = overlap_and_difference(*pairs)
    return result


def _predicted(
    score: Score, threshold: float, peak: float | None, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probability and mask of an image."""
    probability = predict(score, image)
    islands = islands_above(probability, threshold)
    return probability, islands.kept(peak)[islands.labels]


def blank_sky(side_px: int, pedestal: float, gradient: float, seed: int) -> np.ndarray:
    """Noise as the beam correlates it, of 1 sigma, on a pedestal and a slope along x.

    Pedestal and rise from the first to the last column are in sigma.
    """
    white = np.random.default_rng(seed).normal(size=(side_px, side_px))
    noise = ndimage.gaussian_filter(white, BEAM_PX * FWHM_TO_SIGMA, mode="wrap")
    slope = gradient * np.linspace(-0.5, 0.5, side_px)
    return (noise / noise.std() + pedestal + slope).astype(np.float32)


def measure_blank_sky(
    score: Score, threshold: float, peak: float | None, side_px: int
) -> dict[str, tuple[float, float]]:
    """Mean and largest share of small cut-outs of noise that is masked, for each of `SKIES`."""
    result = {}
    for name, (pedestal, gradient) in SKIES.items():
        skies = [SKY_JY * blank_sky(side_px, pedestal, gradient, seed) for seed in range(REPEATS)]
        shares = [float(_predicted(score, threshold, peak, sky)[1].mean()) for sky in skies]
        result[name] = float(np.mean(shares)), max(shares)
    return result
