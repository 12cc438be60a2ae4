"""Masks and probability maps compared with reference ones of the same mosaics."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from radiounet.errors import BadDataError, ConfigError, NotInArchiveError
from radiounet.images.geometry import pixel_scales_arcsec, to_pixels, to_sky
from radiounet.images.image import StoredPlane, open_plane, require_same_grid
from radiounet.images.products import Products
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import ecsv_table
from radiounet.images.rejections import RejectedInputError, read_rejection
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.writing import write_json
from radiounet.measuring.scores import divide
from radiounet.network.masks import NO_DATA
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.segmentation import VerifyOptions
from radiounet.settings.urls import public_text
from radiounet.survey.archive import fetched, fill_template

logger = logging.getLogger(__name__)

VERDICTS = ("identical", "equal", "not compared", "different")
"""From the best to the worst."""

# ours and the reference, by kind: mask and probability
Planes = dict[str, tuple[StoredPlane, StoredPlane]]


@dataclass(frozen=True)
class Agreement:
    """How far a product agrees with its reference.

    Attributes
    ----------
    pixels : int
        Defined in both, of whichever was compared on fewer.
    data_only_ours, data_only_reference : int
        Defined in one alone, of whichever has more of them.
    differing : int or None
        Mask pixels that differ, of those defined in both.
    masked_only_ours, masked_only_reference : int or None
        The same by which of them marks the pixel.
    iou, dice : float or None
        Of the masks; None where neither marks a pixel, which counts as full agreement.
    largest_difference : float or None
        Of the probabilities; None where none were compared.
    """

    pixels: int
    data_only_ours: int
    data_only_reference: int
    differing: int | None = None
    masked_only_ours: int | None = None
    masked_only_reference: int | None = None
    iou: float | None = None
    dice: float | None = None
    largest_difference: float | None = None

    def passes(self, options: VerifyOptions) -> bool:
        """Whether this is within what the configuration allows; what only one side defines never is."""
        mask = self.iou is None or self.iou >= options.min_iou
        maps = self.largest_difference is None or self.largest_difference <= options.max_difference
        same_data = self.pixels > 0 and not self.data_only_ours and not self.data_only_reference
        return same_data and mask and maps


@dataclass(frozen=True)
class Difference:
    """One pixel in which a product and its reference differ, and where that is.

    Attributes
    ----------
    kind : str
        ``mask`` or ``probability``.
    pixels : int
        How many differ in this way.
    which : str
        Which of them this is: the first (bottom to top, left to right), or the one that
        differs most.
    x_px, y_px : int
        Counted from 0, along the array's columns and rows.
    ra_deg, dec_deg : float
        ICRS.
    ours, reference : float or None
        Values; None where there is no data.
    clusters : list of str
        Clusters inside whose R500 it lies.
    island : str or None
        The nearest island of ours; None where the mosaic has none.
    island_distance_arcmin : float or None
        From its centre.
    """

    kind: str
    pixels: int
    which: str
    x_px: int
    y_px: int
    ra_deg: float
    dec_deg: float
    ours: float | None
    reference: float | None
    clusters: list[str]
    island: str | None
    island_distance_arcmin: float | None


def agreement(
    masks: tuple[np.ndarray, np.ndarray] | None, maps: tuple[np.ndarray, np.ndarray] | None
) -> Agreement:
    """Compare masks, probability maps, or both.

    Where the reference is 0 and ours undefined nothing is missing: the published code
    writes zeros where it never predicts, mode ``reference`` no data.

    Parameters
    ----------
    masks : (ndarray, ndarray) or None, ``[y, x]``
        Ours and the reference's: 0, 1, and 255 or NaN where there is no data.
    maps : (ndarray, ndarray) or None, ``[y, x]``
        Probabilities, NaN where there are none.
    """
    mask: dict[str, Any] = {}
    largest_difference = None
    counts = []
    for pair in (masks, maps):
        if pair is None:
            continue
        ours, theirs = _defined(*pair)
        counts.append([int(one.sum()) for one in (ours & theirs, ours & ~theirs, theirs & ~ours)])
        one, other = (values[ours & theirs] for values in pair)
        if pair is maps:
            largest_difference = float(np.abs(one.astype(float) - other).max(initial=0))
            continue
        mask_ours, mask_theirs = one > 0, other > 0
        both, either = int((mask_ours & mask_theirs).sum()), int((mask_ours | mask_theirs).sum())
        mask = {
            "differing": either - both,
            "masked_only_ours": int((mask_ours & ~mask_theirs).sum()),
            "masked_only_reference": int((mask_theirs & ~mask_ours).sum()),
            "iou": divide(both, either) if either else None,
            "dice": divide(2 * both, both + either) if either else None,
        }
    pixels, only_ours, only_reference = np.array(counts).T
    sums = int(pixels.min()), int(only_ours.max()), int(only_reference.max())
    return Agreement(*sums, **mask, largest_difference=largest_difference)


def _defined(ours: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each has data; the reference's zeros outside ours count for none."""
    here, there = (np.isfinite(one) & (one != NO_DATA) for one in (ours, reference))
    return here, there & (here | (reference != 0))


def verify_mosaic(
    name: str, products: Products, options: VerifyOptions, download: DownloadOptions, out: str
) -> dict[str, object]:
    """Compare the products of one mosaic with reference ones, and write what was found as JSON.

    Parameters
    ----------
    name : str
    products : Products
        Mask, probability map, cluster table and islands of the mosaic.
    options : VerifyOptions
        Where the references are, and what may differ.
    download : DownloadOptions
    out : str
        JSON: ``identical`` (files of the same bytes, by kind), ``mosaic`` (an `Agreement`),
        ``clusters`` (a list; of each name, position and an `Agreement` inside R500),
        ``differences`` (a list of `Difference`), ``verdict``: ``identical``, ``equal``
        where the mosaic and each cluster are within what the options allow, or ``different``.

    Raises
    ------
    ShapeMismatchError
        A reference is on another grid, or on another sky.
    NotInArchiveError, NotFitsError, TruncatedError, CelestialError
        A reference cannot be had, or is no image.
    """
    if options.masks is None and options.probabilities is None:
        raise ConfigError("verify.masks or verify.probabilities must say where the references are")
    identical, planes = _open_pairs(name, products, options, download, Path(out))
    grid = next(iter(planes.values()))[0]
    whole = _of_window(planes, slice(None), slice(None))
    apertures = [*_apertures(_rows(products.clusters(name)), grid)]
    clusters = [(row, _of_window(planes, *window, circle)) for row, window, circle in apertures]
    # an aperture may lie where there is no data at all
    passed = [one.passes(options) for one in (whole, *(one for _, one in clusters if one.pixels))]
    verdict = "identical" if all(identical.values()) else "equal" if all(passed) else "different"
    places = _differences(planes, [row for row, *_ in apertures], _rows(products.islands(name)))
    for one in places:
        logger.info("%s: %s", name, words_of(one))
    found: dict[str, object] = {
        "name": name,
        "identical": identical,
        "mosaic": asdict(whole),
        "clusters": [
            {"name": str(row["name"]), "ra_deg": float(row["ra_deg"]), "dec_deg": float(row["dec_deg"])}
            | asdict(one)
            for row, one in clusters
        ],
        "differences": [asdict(one) for one in places],
        "verdict": verdict,
    }
    logger.info("%s: %s", name, verdict)
    write_json(out, found)
    return found


def _open_pairs(
    name: str, products: Products, options: VerifyOptions, download: DownloadOptions, out: Path
) -> tuple[dict[str, bool], Planes]:
    """Whether files are the same bytes, and the planes in them, by kind."""
    identical, planes = {}, {}
    for kind, template, own in (
        ("mask", options.masks, products.mask(name)),
        ("probability", options.probabilities, products.probability(name)),
    ):
        if template is None:
            continue
        address = fill_template(template, mosaic=name)
        try:
            with fetched(address, out.with_name(f".{name}.{kind}.fits"), download) as reference:
                if rejection := read_rejection(reference):
                    raise NotInArchiveError(f"the reference of {name} is itself rejected: {rejection.reason}")
                identical[kind] = sha256_of(own) == sha256_of(reference)
                ours, theirs = (open_plane(path, brightness=False) for path in (own, reference))
                require_same_grid(ours, theirs, f"{kind} of {name} and its reference")
                planes[kind] = ours, theirs
                # the file is mapped: what is open stays readable
        except BadDataError as error:
            if getattr(error, "file", None) != str(own):
                error.file = public_text(address)
            raise
    return identical, planes


def _of_window(planes: Planes, rows: slice, columns: slice, inside: np.ndarray | None = None) -> Agreement:
    def parts(kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        if kind not in planes:
            return None
        ours, theirs = (one.window(rows, columns) for one in planes[kind])
        if inside is not None:
            ours[~inside] = theirs[~inside] = np.nan
        return ours, theirs

    return agreement(parts("mask"), parts("probability"))


def _rows(table: str) -> Table:
    """Rows of a stage's table; none, and a word in the log, where it is not there."""
    if not Path(table).is_file():
        logger.warning("there is no %s: the masks are compared without it", table)
        return Table()
    if rejection := read_rejection(table):
        raise RejectedInputError(rejection)
    return ecsv_table(table)


def _apertures(
    clusters: Table, plane: StoredPlane
) -> Iterator[tuple[Table.Row, tuple[slice, slice], np.ndarray]]:
    """Rows of a cluster table, and of each the window and the disc of R500 in it."""
    ny, nx = plane.data.shape
    for row in clusters:
        x, y = to_pixels(plane.wcs, row["ra_deg"], row["dec_deg"])
        radius_deg = row["r500_arcmin"] / 60
        if not np.isfinite([x, y, radius_deg]).all():
            logger.warning("cluster %s has no place or no R500 on this mosaic: not compared", row["name"])
            continue
        half = 1.1 * 3600 * radius_deg / pixel_scales_arcsec(plane.wcs, x, y)[1] + 1
        rows = slice(max(int(y - half), 0), min(int(y + half) + 2, ny))
        columns = slice(max(int(x - half), 0), min(int(x + half) + 2, nx))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            logger.warning("cluster %s lies off this mosaic: not compared", row["name"])
            continue
        v, u = np.mgrid[rows, columns]
        there = unit_vectors(*to_sky(plane.wcs, u.ravel(), v.ravel()))
        apart = separation_deg(unit_vectors(row["ra_deg"], row["dec_deg"]), there).reshape(u.shape)
        yield row, (rows, columns), apart <= radius_deg


def _differences(planes: Planes, clusters: Sequence[Table.Row], islands: Table) -> list[Difference]:
    """Where masks and maps differ: one pixel for each way in which they do."""
    found = []
    for kind, pair in planes.items():
        ours, theirs = (one.window() for one in pair)
        here, there = _defined(ours, theirs)
        apart = (
            np.abs(ours - theirs)
            if kind == "probability"
            else ((ours > 0) != (theirs > 0)).astype(np.float32)
        )
        apart[~(here & there)] = 0
        which = "largest" if kind == "probability" else "first"
        for differs, order, said in ((apart > 0, apart, which), (here != there, here != there, "first")):
            if not differs.any():
                continue
            y, x = (int(at) for at in np.unravel_index(np.argmax(order), order.shape))
            values = _value(ours[y, x]), _value(theirs[y, x])
            place = SkyCoord(*to_sky(pair[0].wcs, x, y), unit="deg")
            inside = [str(row["name"]) for row in clusters if _distance(place, row) <= row["r500_arcmin"]]
            sky = float(place.ra.deg), float(place.dec.deg)
            count, near = int(differs.sum()), _nearest(place, islands)
            found.append(Difference(kind, count, said, x, y, *sky, *values, inside, *near))
    return found


def _value(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) and value != NO_DATA else None


def _distance(place: SkyCoord, rows: Table | Table.Row) -> np.ndarray:
    """Of rows with a position, arcmin."""
    there = unit_vectors(np.asarray(rows["ra_deg"], float), np.asarray(rows["dec_deg"], float))
    return 60 * separation_deg(unit_vectors(place.ra.deg, place.dec.deg), there)


def _nearest(place: SkyCoord, islands: Table) -> tuple[str | None, float | None]:
    if not len(islands):
        return None, None
    distances = _distance(place, islands)
    nearest = int(np.argmin(distances))
    return str(islands["name"][nearest]), float(distances[nearest])


def words_of(one: Difference) -> str:
    """Say in words what differs, and where."""
    island = (
        "no island here"
        if one.island is None
        else f"{one.island_distance_arcmin:.1f}' from the centre of island {one.island}"
    )
    clusters = "".join(f", inside R500 of {name}" for name in one.clusters)
    ours, reference = ("no data" if value is None else f"{value:.6g}" for value in (one.ours, one.reference))
    if None in (one.ours, one.reference):
        verbs = "has data on one side only", "have data on one side only"
    else:
        verbs = "differs", "differ"
    counted = f"1 pixel {verbs[0]}" if one.pixels == 1 else f"{one.pixels} pixels {verbs[1]}"
    return (
        f"{one.kind}: {counted}, {one.which} at RA {one.ra_deg:.5f}, Dec {one.dec_deg:+.5f} "
        f"(x {one.x_px}, y {one.y_px}, from 0): ours {ours}, reference {reference}; {island}{clusters}"
    )
