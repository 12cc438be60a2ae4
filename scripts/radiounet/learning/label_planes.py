"""Labels that people gave to the pixels of an image: a FITS image of numbers, or DS9 regions."""

from pathlib import Path

import numpy as np
from regions import PixelRegion, Region, Regions
from reproject import reproject_interp

from radiounet.errors import BadDataError, ShapeMismatchError
from radiounet.images.fits_planes import open_image
from radiounet.images.image import Plane
from radiounet.network.masks import NO_DATA

DS9 = ".reg"


def read_labels(path: str | Path, image: Plane) -> np.ndarray:
    """Number of the labelled region of each pixel of an image.

    Parameters
    ----------
    path : path
        A file of DS9 regions (``.reg``): each is a region of its own, whose number is its place in the
        file; where two overlap, the later one counts. Or a FITS image with the pixels of the image: 0 no
        diffuse emission, 1, 2, ... the regions, 255 unknown.
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
        It holds other numbers; the file of regions cannot be read, or holds one without an area.
    """
    if Path(path).suffix == DS9:
        return _drawn(path, image)
    data, _, _ = open_image(path)
    labels = np.asarray(data, np.float32).reshape(data.shape[-2:])
    if labels.shape != image.data.shape:
        raise ShapeMismatchError(
            f"{path} has {labels.shape} pixels [y, x], its image {image.data.shape}: labels need the same"
        )
    labels[labels == NO_DATA] = np.nan
    strange = labels[np.isfinite(labels) & ((labels != np.rint(labels)) | (labels < 0))]
    if strange.size:
        raise BadDataError(f"{path} holds {strange[0]:g}; a label is 0, 1, 2, ... or {NO_DATA} (unknown)")
    return labels


def _drawn(path: str | Path, image: Plane) -> np.ndarray:
    try:
        regions = Regions.read(path, format="ds9")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"{path} is no readable file of DS9 regions: {error}") from error
    numbers = np.zeros(image.data.shape, np.float32)
    for number, region in enumerate(regions, 1):
        inside = _pixels(region, image, path)
        numbers[inside] = number if region.meta.get("include", True) else 0
    return numbers


def _pixels(region: Region, image: Plane, path: str | Path) -> np.ndarray:
    """Pixels whose centre a region holds, bool ``[y, x]``."""
    flat = region if isinstance(region, PixelRegion) else region.to_pixel(image.wcs)
    try:
        drawn = flat.to_mask(mode="center").to_image(image.data.shape)
    except NotImplementedError:
        kind = type(region).__name__.removesuffix("Region").removesuffix("Sky").removesuffix("Pixel").lower()
        raise BadDataError(
            f"{path}: a {kind} has no area; draw what holds emission as a closed shape"
        ) from None
    return np.zeros(image.data.shape, bool) if drawn is None else drawn > 0


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
