"""Masks and probability maps held against reference ones of the same mosaics."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from radiounet.archive import fetch, fill_template
from radiounet.config import DownloadOptions, VerifyOptions
from radiounet.errors import ConfigError
from radiounet.image import StoredPlane, open_plane, require_same_grid
from radiounet.masks import NO_DATA
from radiounet.products import Products, atomic, read_rejection, sha256_of, write_json
from radiounet.scores import divide

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """How far a product agrees with its reference.

    Attributes
    ----------
    pixels : int
        Defined in both, of whichever was compared on fewer.
    only_ours, only_reference : int
        Defined in one alone.
    differing : int or None
        Mask pixels that differ, of those defined in both.
    iou, dice : float or None
        Of the masks; None where neither marks a pixel, which counts as full agreement.
    largest_difference : float or None
        Of the probabilities; None where none were compared.
    """

    pixels: int
    only_ours: int
    only_reference: int
    differing: int | None = None
    iou: float | None = None
    dice: float | None = None
    largest_difference: float | None = None

    def passes(self, options: VerifyOptions) -> bool:
        """Whether this is within what the configuration allows; what only one side defines never is."""
        mask = self.iou is None or self.iou >= options.min_iou
        maps = self.largest_difference is None or self.largest_difference <= options.max_difference
        return self.pixels > 0 and not self.only_ours and not self.only_reference and mask and maps


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
    found: dict[str, float | None] = {}
    counts = []
    for pair in (masks, maps):
        if pair is None:
            continue
        ours, theirs = (np.isfinite(one) & (one != NO_DATA) for one in pair)
        theirs &= ours | (pair[1] != 0)
        counts.append([int(one.sum()) for one in (ours & theirs, ours & ~theirs, theirs & ~ours)])
        one, other = (values[ours & theirs] for values in pair)
        if pair is maps:
            found["largest_difference"] = float(np.abs(one.astype(float) - other).max(initial=0))
            continue
        both, either = int(((one > 0) & (other > 0)).sum()), int(((one > 0) | (other > 0)).sum())
        found["differing"] = either - both
        found["iou"] = divide(both, either) if either else None
        found["dice"] = divide(2 * both, both + either) if either else None
    pixels, only_ours, only_reference = np.array(counts).T
    return Agreement(int(pixels.min()), int(only_ours.max()), int(only_reference.max()), **found)


def verify_mosaic(
    name: str, products: Products, options: VerifyOptions, download: DownloadOptions, out: str
) -> dict[str, object]:
    """Compare the products of one mosaic with reference ones, and write what was found as JSON.

    Parameters
    ----------
    name : str
    products : Products
        Mask, probability map and cluster table of the mosaic.
    options : VerifyOptions
        Where the references are, and what may differ.
    download : DownloadOptions
    out : str
        JSON: ``identical`` (files of the same bytes, by kind), ``mosaic`` (an `Agreement`),
        ``clusters`` (an `Agreement` inside R500 of each, by name), ``verdict``:
        ``identical``, ``equal`` within what the options allow, or ``different``.

    Raises
    ------
    ShapeMismatchError
        A reference is on another grid.
    NotInArchiveError, NotFitsError, TruncatedError
        A reference cannot be had.
    """
    if options.masks is None and options.probabilities is None:
        raise ConfigError("verify.masks or verify.probabilities must say where the references are")
    identical: dict[str, bool] = {}
    planes: dict[str, tuple[StoredPlane, StoredPlane]] = {}
    for kind, template, own in (
        ("mask", options.masks, products.mask(name)),
        ("probability", options.probabilities, products.probability(name)),
    ):
        if template is None:
            continue
        reference = Path(out).with_name(f".{name}.{kind}.fits")
        fetch(fill_template(template, mosaic=name), reference, download)
        try:
            identical[kind] = sha256_of(own) == sha256_of(reference)
            pair = tuple(open_plane(path, brightness=False) for path in (own, reference))
            require_same_grid(*pair, f"{kind} of {name} and its reference")
            planes[kind] = pair
            # the file is mapped: what is open stays readable
        finally:
            reference.unlink(missing_ok=True)
    whole = _of_window(planes, slice(None), slice(None))
    clusters = {
        row["name"]: _of_window(planes, *window, circle)
        for row, window, circle in _apertures(products.clusters(name), next(iter(planes.values()))[0])
    }
    # an aperture may lie where there is no data at all
    passed = [one.passes(options) for one in (whole, *(one for one in clusters.values() if one.pixels))]
    verdict = "identical" if all(identical.values()) else "equal" if all(passed) else "different"
    found = {
        "name": name,
        "identical": identical,
        "mosaic": asdict(whole),
        "clusters": {name: asdict(one) for name, one in clusters.items()},
        "verdict": verdict,
    }
    logger.info("%s: %s", name, verdict)
    write_json(out, found)
    return found


def _of_window(
    planes: dict[str, tuple[StoredPlane, StoredPlane]],
    rows: slice,
    columns: slice,
    inside: np.ndarray | None = None,
) -> Agreement:
    def parts(kind: str) -> tuple[np.ndarray, ...] | None:
        if kind not in planes:
            return None
        windows = [one.window(rows, columns) for one in planes[kind]]
        if inside is not None:
            for window in windows:
                window[~inside] = np.nan
        return tuple(windows)

    return agreement(parts("mask"), parts("probability"))


def _apertures(table: str, plane: StoredPlane):
    """Rows of a cluster table, and of each the window and the disc of R500 in it."""
    clusters = Table.read(table, format="ascii.ecsv") if Path(table).exists() else ()
    ny, nx = plane.data.shape
    scale = np.sqrt(np.abs(np.linalg.det(plane.wcs.pixel_scale_matrix))) * 60
    for row in clusters:
        x, y = plane.wcs.wcs_world2pix([[row["ra"], row["dec"]]], 0)[0]
        radius = row["r500_arcmin"] / scale
        if not np.isfinite(radius):
            continue
        low_y, high_y = max(int(y - radius), 0), min(int(y + radius) + 2, ny)
        low_x, high_x = max(int(x - radius), 0), min(int(x + radius) + 2, nx)
        if low_y >= high_y or low_x >= high_x:
            continue
        v, u = np.mgrid[low_y:high_y, low_x:high_x]
        yield row, (slice(low_y, high_y), slice(low_x, high_x)), np.hypot(v - y, u - x) <= radius


def merge_verifications(paths: Sequence[str], out: str) -> dict[str, object]:
    """One verdict of all mosaics, as JSON and, beside it, as a page of Markdown.

    Parameters
    ----------
    paths : sequence of str
        From `verify_mosaic`; a rejected one stands for a mosaic that could not be compared.
    out : str
        ``verdict`` (the worst of all; ``different`` where one could not be compared),
        ``counts``, and ``mosaics``, each with its verdict.
    """
    mosaics = []
    for path in paths:
        rejection = read_rejection(path)
        if rejection is not None:
            mosaics.append({"name": rejection.name, "verdict": "not compared", "reason": rejection.reason})
        else:
            mosaics.append(json.loads(Path(path).read_text()))
    ranks = ("identical", "equal", "different", "not compared")
    verdicts = [one["verdict"] for one in mosaics]
    worst = max(verdicts, key=ranks.index)
    counts = {rank: verdicts.count(rank) for rank in ranks}
    found = {
        "verdict": "different" if worst == "not compared" else worst,
        "counts": counts,
        "mosaics": mosaics,
    }
    write_json(out, found)
    with atomic(Path(out).with_suffix(".md")) as temporary:
        temporary.write_text(_page(found))
    logger.info("verdict: %s (%s)", found["verdict"], counts)
    return found


def _page(found: dict[str, object]) -> str:
    counts = ", ".join(f"{number} {rank}" for rank, number in found["counts"].items())
    heads = [
        "mosaic",
        "verdict",
        "IoU",
        "Dice",
        "pixels that differ",
        "largest difference",
        "worst cluster's IoU",
    ]
    lines = [f"# Verdict: {found['verdict']}", "", f"{counts} of all mosaics.", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for one in found["mosaics"]:
        if "mosaic" not in one:
            lines.append(f"| {one['name']} | not compared: {one['reason']} |{' |' * (len(heads) - 2)}")
            continue
        whole = one["mosaic"]
        low = min((c["iou"] for c in one["clusters"].values() if c["iou"] is not None), default=None)
        keys = ("iou", "dice", "differing", "only_ours", "only_reference", "largest_difference")
        cells = [*(whole[key] for key in keys), low]
        shown = ["" if cell is None else f"{cell:.6g}" for cell in cells]
        lines.append(f"| {one['name']} | {one['verdict']} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"
