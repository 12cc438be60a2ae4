"""Labels that people gave to the pixels of an image: a FITS image of numbers, or DS9 regions."""

import re
import warnings
from pathlib import Path

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from regions import PixCoord, PixelRegion, Region, Regions
from reproject import reproject_interp

from radiounet.errors import BadDataError, CelestialError, ShapeMismatchError
from radiounet.images.fits_planes import open_image
from radiounet.images.image import Plane, open_plane, require_same_grid
from radiounet.network.masks import NO_DATA

DS9 = ".reg"
OPEN_SHAPES = re.compile(
    r"(?:^|;)\s*[#+-]?\s*(vector|ruler|segment|projection|line|compass)\s*\(\s*[\d+-]", re.I | re.M
)
"""What DS9 draws that holds no pixels, and that may be read as nothing at all."""


def read_labels(path: str | Path, image: Plane) -> np.ndarray:
    """Number of the labelled region of each pixel of an image.

    Parameters
    ----------
    path : path
        A file of DS9 regions (``.reg``): each is a region of its own, whose number is its place in the
        file. Where two overlap, the later one counts; an excluded one (``-circle``) takes its pixels from
        those above it. Or a FITS image with the pixels of the image: 0 no diffuse emission,
        1, 2, ... the regions, 255 unknown. If it has celestial axes, they must be those of the image.
    image : Plane

    Returns
    -------
    ndarray of float32, ``[y, x]``
        0 outside all regions, NaN where it is not known.

    Raises
    ------
    NotFitsError, TruncatedError
        The FITS file cannot be read.
    ShapeMismatchError
        The FITS file has other pixels than the image.
    BadDataError
        It holds other numbers; the file of regions cannot be read as a whole, or holds one
        without an area.
    """
    if Path(path).suffix == DS9:
        return _drawn(path, image)
    labels = _numbers(path, image)
    labels[labels == NO_DATA] = np.nan
    strange = labels[np.isfinite(labels) & ((labels != np.rint(labels)) | (labels < 0))]
    if strange.size:
        raise BadDataError(f"{path} holds {strange[0]:g}; a label is 0, 1, 2, ... or {NO_DATA} (unknown)")
    return labels


def _numbers(path: str | Path, image: Plane) -> np.ndarray:
    """Plane of a FITS image of labels, whose header may say nothing of the sky."""
    try:
        stored = open_plane(path, brightness=False)
    except CelestialError:
        data, _, _ = open_image(path)
        if np.prod(data.shape[:-2]) != 1:
            raise ShapeMismatchError(f"{path} has shape {data.shape}; one plane [y, x] is needed") from None
        labels = np.array(data, np.float32).reshape(data.shape[-2:])
        if labels.shape != image.data.shape:
            raise ShapeMismatchError(
                f"{path} has {labels.shape} pixels [y, x], its image {image.data.shape}: labels need the same"
            ) from None
        return labels
    require_same_grid(image, stored, f"{path} and its image")
    return np.array(stored.window(), np.float32)


def _drawn(path: str | Path, image: Plane) -> np.ndarray:
    try:
        text = Path(path).read_text(encoding="utf-8")
        with warnings.catch_warnings():
            # what it cannot read it would leave out
            warnings.simplefilter("error", AstropyUserWarning)
            regions = Regions.parse(text, format="ds9")
    except (OSError, ValueError, KeyError, TypeError, AstropyUserWarning) as error:
        raise BadDataError(f"{path} cannot be read as DS9 regions: {error}") from error
    if drawn := OPEN_SHAPES.search(text):
        raise BadDataError(_without_area(path, drawn.group(1)))
    numbers = np.zeros(image.data.shape, np.float32)
    for number, region in enumerate(regions, 1):
        inside = _pixels(region, image, path)
        numbers[inside] = number if region.meta.get("include", True) else 0
    return numbers


def _without_area(path: str | Path, kind: str) -> str:
    return f"{path}: a {kind} has no area; draw what holds emission as a closed shape"


def _pixels(region: Region, image: Plane, path: str | Path) -> np.ndarray:
    """Pixels whose centre a region holds, bool ``[y, x]``; none for one on another part of the sky."""
    nothing = np.zeros(image.data.shape, bool)
    kind = type(region).__name__.removesuffix("Region").removesuffix("Sky").removesuffix("Pixel").lower()
    try:
        if not _on_plane(region, image):
            return nothing
        flat = region if isinstance(region, PixelRegion) else region.to_pixel(image.wcs)
        drawn = flat.to_mask(mode="center").to_image(image.data.shape)
    except NotImplementedError:
        raise BadDataError(_without_area(path, kind)) from None
    except (ValueError, np.linalg.LinAlgError) as error:
        raise BadDataError(f"{path}: a {kind} cannot be drawn on the image: {error}") from error
    return nothing if drawn is None else drawn > 0


def _on_plane(region: Region, image: Plane) -> bool:
    """Whether the projection shows the middle of a region, or all its corners."""
    places = getattr(region, "vertices", None)
    places = getattr(region, "center", None) if places is None else places
    if places is None:
        return True
    shown = places if isinstance(region, PixelRegion) else PixCoord.from_sky(places, image.wcs)
    return bool(np.isfinite(shown.x).all() and np.isfinite(shown.y).all())


def move_labels(labels: np.ndarray, image: Plane, moved: Plane) -> np.ndarray:
    """Labels on the grid that their image was brought to; each pixel has that of the nearest one.

    Parameters
    ----------
    labels : ndarray, ``[y, x]``
        See `read_labels`.
    image, moved : Plane
        The image before and after.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        NaN outside the image, too.
    """
    if moved is image:
        return labels
    shape = moved.data.shape
    there, _ = reproject_interp((labels, image.wcs), moved.wcs, shape, order="nearest-neighbor")
    return there.astype(np.float32)
