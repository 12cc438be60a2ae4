"""Images whose truth is known, as evaluation reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.errors import BadDataError, ConfigError, ShapeMismatchError
from radiounet.images.bare_planes import require_same_order
from radiounet.images.gaussian import FWHM_AREA, beam_area_px
from radiounet.images.geometry import to_pixels
from radiounet.images.image import Plane, check_grid, read_plane
from radiounet.images.noise import local_rms
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import fits_header, naming, reading
from radiounet.images.resampling import to_model_grid
from radiounet.images.words import parse_boolean
from radiounet.learning.label_planes import DS9, move_labels, named, read_labels, say_once
from radiounet.learning.pairs import UNKNOWN, read_pair, refuse_infinite
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.train import LOTSS_GRID, ImageGrid, pair_files
from radiounet.survey.cluster_columns import column_texts
from radiounet.survey.cluster_tables import log_notes, read_clusters

FIELD_FILES = ("image.fits", "truth.fits.fz", "objects.ecsv", "clusters.ecsv")
"""Of a field of another simulator."""
LEAST_SNR = 3.0
"""Integrated S/N of the faintest objects of such a field that count."""


@dataclass(frozen=True)
class LabelCounts:
    """What the labels and the clusters of an image hold, and what of it does not count.

    Attributes
    ----------
    regions, without_data : int
        Labelled regions, and those of them that hold no pixel with data.
    clusters_outside : int
        Clusters whose centre the image does not show.
    """

    regions: int
    without_data: int
    clusters_outside: int


@dataclass(frozen=True)
class Scene:
    """One image with its truth; planes ``[y, x]``.

    Attributes
    ----------
    image, rms : ndarray of float32
        Jy/beam, the image NaN where blank; the rms as measured on the image.
    known, mask : ndarray of bool
        Pixels that count, and among these the truth.
    truth, strength : ndarray of float32
        Diffuse emission in Jy/beam and in units of the true noise. A labelled image
        has 1 where it is labelled for both, so that fractions of flux are fractions of area.
    objects : ndarray of int
        Number of each pixel's object, 0 for none.
    table : Table
        The objects: object, kind, y_px, x_px, peak_snr, las_arcmin, flux_jy.
    cause : ndarray of uint8 or None
        Index into `radiounet.simulation.simulate.CAUSES`; None for a labelled image.
    clusters : Table
        y_px, x_px, r500_arcmin, diffuse, galactic; no rows for a labelled image without a table of clusters.
    beam_arcsec : float
        FWHM of the beam; a few simulated images have a coarser one than the survey.
    grid : ImageGrid
        Its pixel scale, and the survey's beam.
    labels : LabelCounts or None
        None for an image that was simulated.
    """

    image: np.ndarray
    rms: np.ndarray
    known: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    strength: np.ndarray
    objects: np.ndarray
    table: Table
    cause: np.ndarray | None
    clusters: Table
    beam_arcsec: float
    grid: ImageGrid
    labels: LabelCounts | None = None

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam, px."""
        return beam_area_px(self.beam_arcsec, self.grid.pixel_arcsec)

    @property
    def area_deg2(self) -> float:
        """Solid angle of the pixels that count, deg2."""
        return float(self.known.sum() * (self.grid.pixel_arcsec / 3600) ** 2)


def read_scene(path: str, truth_snr: float, grid: ImageGrid = LOTSS_GRID) -> Scene:
    """Read a simulated image, an image with its labels, or a field of another simulator.

    Parameters
    ----------
    path : str
        A file of `radiounet.simulation.simulate`. Or ``IMAGE.fits:LABELS[:CLUSTERS]``: an image in Jy/beam,
        which is brought to the grid (`radiounet.images.resampling.to_model_grid`), its labels
        (`radiounet.learning.label_planes.read_labels`) and a table of clusters as
        `radiounet.survey.cluster_tables.read_clusters` takes it. A cluster hosts diffuse emission
        where a labelled pixel lies inside its R500. Or a folder that holds `FIELD_FILES`.
    truth_snr : float
        The truth mask of a simulated image begins at this many times its true noise.
    grid : ImageGrid
        What simulated images have, and others are brought to.

    Raises
    ------
    BadDataError
        As `radiounet.learning.pairs.read_pair`, `radiounet.images.image.read_plane` and
        `radiounet.learning.label_planes.read_labels`; a simulated image without lists of
        objects and clusters.
    ConfigError
        As `radiounet.survey.cluster_tables.read_clusters`.
    """
    if Path(path).is_dir():
        return _field(Path(path), truth_snr, grid)
    image_path, *others = pair_files(path)
    return _labelled(image_path, *others, grid=grid) if others else _simulated(image_path, truth_snr, grid)


def require_apart(held_out: Sequence[str], calibration: Sequence[str]) -> None:
    """Refuse to measure on an image that thresholds are settled on.

    Parameters
    ----------
    held_out, calibration : sequence of str
        As `read_scene`.

    Raises
    ------
    ConfigError
        An image is in both: the same simulated one by its seeds, or the same bytes, whatever its labels.
    BadDataError
        An image cannot be read.
    """
    settled = {trait: path for path in calibration for trait in _traits(path)}
    for path in held_out:
        for trait in _traits(path) & settled.keys():
            raise ConfigError(
                f"{path} is to be measured on, and has the pixels or the seeds of {settled[trait]}, which "
                "thresholds are settled on: leave one of both out, or simulate it with another simulate.seed"
            )


def _traits(path: str) -> set[tuple[str, ...]]:
    """What tells an image: its bytes and, if it was simulated, its seeds."""
    image = Path(path, FIELD_FILES[0]) if Path(path).is_dir() else Path(pair_files(path)[0])
    header = fits_header(image)
    seeds = (
        [("seed", str(header["BASESEED"]), str(header["SEED"]))] if {"BASESEED", "SEED"} <= {*header} else []
    )
    return {("content", sha256_of(image)), *seeds}


def _simulated(path: str, truth_snr: float, grid: ImageGrid) -> Scene:
    pair = read_pair(path, truth_snr, grid)
    classes = pair.classes()
    known, mask = classes != UNKNOWN, classes == 1
    truth = np.where(known, pair.truth, 0)
    try:
        with fits.open(path) as hdus:
            beam_arcsec = 3600 * hdus[0].header["BMAJ"]
            rms, objects, cause = (hdus[name].data.copy() for name in ("RMS", "OBJECTS", "CAUSE"))
            table, clusters = (
                Table.read(hdus, hdu=name, mask_invalid=False, character_as_bytes=False)
                for name in ("OBJECT_LIST", "CLUSTERS")
            )
    except KeyError as error:
        raise BadDataError(f"{path} was simulated by an older version: {error.args[0]}") from None
    planes = (pair.image, pair.rms, known, mask, truth, truth / rms)
    return Scene(*planes, objects, table, cause, clusters, beam_arcsec, grid)


def _labelled(image_path: str, label_path: str, table_path: str | None = None, *, grid: ImageGrid) -> Scene:
    image = read_plane(image_path)
    labels = read_labels(label_path, image)
    if Path(label_path).suffix.lower() != DS9:
        require_same_order(image_path, label_path)
    moved = to_model_grid(image, *grid, image_path)
    numbers = move_labels(labels.numbers, image, moved)
    known = np.isfinite(moved.data) & np.isfinite(numbers)
    mask = known & (numbers > 0)
    objects = np.where(mask, numbers, 0).astype(np.int32)
    table = _regions(objects)
    seen = set(table["object"].tolist())
    hidden = [name for number, name in labels.names.items() if number not in seen]
    if hidden:
        say_once(
            f"{label_path}: {len(hidden)} of {len(labels.names)} regions hold no pixel with data and do not "
            f"count: {named(hidden)}"
        )
    clusters, outside = _clusters(table_path, moved, mask, grid)
    if outside:
        say_once(f"{table_path}: {len(outside)} clusters lie outside {image_path}: {named(outside)}")
    counts = LabelCounts(len(labels.names), len(hidden), len(outside))
    truth = mask.astype(np.float32)
    planes = (moved.data, _noise(moved, image_path), known, mask, truth, truth)
    beam_arcsec = grid.pixel_arcsec * float(np.sqrt(moved.resolution_area_px / FWHM_AREA))
    return Scene(*planes, objects, table, None, clusters, beam_arcsec, grid, counts)


def _noise(plane: Plane, path: str | Path) -> np.ndarray:
    with naming(path):
        return local_rms(plane.data)


def _regions(objects: np.ndarray) -> Table:
    """List of objects of which only the pixels are known; the first of them stands for the peak."""
    numbers = np.unique(objects[objects > 0])
    first = np.array(ndimage.maximum_position(objects > 0, objects, numbers), int).reshape(-1, 2)
    unknown = np.full(len(numbers), np.nan)
    return Table(
        {
            "object": numbers,
            "kind": np.full(len(numbers), "labelled"),
            "y_px": first[:, 0],
            "x_px": first[:, 1],
            "peak_snr": unknown,
            "las_arcmin": unknown,
            "flux_jy": unknown,
        }
    )


CLUSTER_COLUMNS = ("y_px", "x_px", "r500_arcmin", "diffuse", "galactic")


def _clusters(path: str | None, image: Plane, mask: np.ndarray, grid: ImageGrid) -> tuple[Table, list[str]]:
    """Real clusters on an image, those whose centre it shows, and the names of the others."""
    options, rows, outside = MeasureOptions(), [], []
    clusters = read_clusters(path, options, asked=False) if path else []
    if path:
        log_notes(clusters, path)
    for one in filter(attrgetter("measurable"), clusters):
        x, y = (float(value) for value in to_pixels(image.wcs, one.ra_deg, one.dec_deg))
        if not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]):
            outside.append(one.name)
            continue
        dy, dx = np.ogrid[: mask.shape[0], : mask.shape[1]]
        inside = np.hypot(dy - y, dx - x) <= one.r500_arcmin * 60 / grid.pixel_arcsec
        galactic = _at_low_latitude(one.ra_deg, one.dec_deg, options)
        rows.append((y, x, one.r500_arcmin, bool(mask[inside].any()), galactic))
    table = Table(rows=rows or None, names=CLUSTER_COLUMNS, dtype=[float, float, float, bool, bool])
    return table, outside


def _at_low_latitude(ra_deg: float, dec_deg: float, options: MeasureOptions) -> bool:
    latitude = SkyCoord(ra_deg, dec_deg, unit="deg").galactic.b.deg
    return bool(abs(latitude) < options.galactic_latitude_deg)


def _require_numbers(path: Path, table: Table, columns: Sequence[str]) -> None:
    for name in columns:
        bad = np.flatnonzero(~np.isfinite(np.ma.filled(np.ma.asarray(table[name], float), np.nan)))
        if bad.size:
            raise BadDataError(f"{path}: column {name} has no number in row {bad[0] + 1}")


def _flags(path: Path, table: Table, name: str) -> list[bool]:
    """Truth values of a column: flags, texts as `parse_boolean` takes them, or the numbers 1 and 0."""
    texts, flags = column_texts(table[name]), []
    is_number = table[name].dtype.kind == "f"
    for row, text in enumerate(texts, 1):
        try:
            flags.append(parse_boolean(text.removesuffix(".0") if is_number else text))
        except ValueError as error:
            raise BadDataError(f"{path}: column {name}, row {row}: {error}") from None
    return flags


def _field(folder: Path, truth_snr: float, grid: ImageGrid) -> Scene:
    """Field of another simulator, of which all is known.

    Objects with an integrated S/N below `LEAST_SNR`, or above half the noise on less than a beam, count
    nowhere; nor do ambiguous pixels.
    """
    image_path, truth_path, objects_path, clusters_path = (folder / name for name in FIELD_FILES)
    image = read_plane(image_path)
    check_grid(image, *grid, image_path)
    with reading(truth_path), fits.open(truth_path) as hdus:
        names = ("DIFFUSE", "SIGMA_1E7", "OWNER", "AMBIGUOUS")
        diffuse, sigma, owner, ambiguous = (np.array(hdus[name].data) for name in names)
    for name, one in zip(names, (diffuse, sigma, owner, ambiguous), strict=True):
        if one.shape != image.data.shape:
            raise ShapeMismatchError(
                f"{truth_path}: {name} has {one.shape} pixels [y, x], {image_path} {image.data.shape}"
            )
    refuse_infinite(diffuse, f"{truth_path}[DIFFUSE]")
    known = np.isfinite(image.data) & (ambiguous == 0) & (sigma > 0)
    with reading(objects_path):
        listed = Table.read(objects_path)
        _require_numbers(objects_path, listed, ("x", "y"))
        seen = np.isin(listed["id"], owner[known])
        listed = listed[(listed["snr_int"] >= LEAST_SNR) & (listed["area_beams_mask"] >= 1) & seen]
        # what lies under an ambiguous pixel, or outside, is not missed: its flux density is that which counts
        columns = {"object": "id", "kind": "kind", "y_px": "y", "x_px": "x"}
        table = Table({name: np.array(listed[old]) for name, old in columns.items()})
        table["peak_snr"] = np.array(listed["peak_ujy"] / listed["sigma_ujy"])
        table["las_arcmin"] = table["flux_jy"] = np.nan
    with reading(clusters_path):
        listed = Table.read(clusters_path)
        _require_numbers(clusters_path, listed, ("x", "y", "R500"))
        if not (np.asarray(listed["R500"]) > 0).all():
            raise BadDataError(f"{clusters_path}: R500 must be above 0 in every row")
        columns = {"y_px": "y", "x_px": "x", "r500_arcmin": "R500"}
        clusters = Table({name: np.array(listed[old]) for name, old in columns.items()})
        clusters["diffuse"] = np.array(_flags(clusters_path, listed, "has_diffuse"), bool)
        places = zip(listed["ra"], listed["dec"], strict=True)
        options = MeasureOptions()
        clusters["galactic"] = np.array([_at_low_latitude(*place, options) for place in places], bool)
    strength = np.where(known, diffuse / (1e-7 * np.maximum(sigma, 1)), 0)
    truth, mask = np.where(known, diffuse, 0), known & (strength > truth_snr)
    planes = (image.data, _noise(image, image_path), known, mask, truth, strength)
    beam_arcsec = grid.pixel_arcsec * float(np.sqrt(image.resolution_area_px / FWHM_AREA))
    return Scene(*planes, owner.astype(np.int32), table, None, clusters, beam_arcsec, grid)
