"""FITS images of numbers, such as labels and models, whose header may say nothing of the sky."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.errors import CelestialError, ShapeMismatchError
from radiounet.images.fits_planes import open_image
from radiounet.images.headers import celestial_axes
from radiounet.images.image import Plane, StoredPlane, open_plane, require_same_grid


@dataclass(frozen=True)
class BarePlane:
    """A plane in its file with no place on the sky.

    Attributes
    ----------
    path : path
    data : ndarray, ``[y, x]``
        As in the file.
    header : astropy.io.fits.Header
        From `radiounet.images.headers.legible`.
    """

    path: str | Path
    data: np.ndarray
    header: fits.Header

    def window(self) -> np.ndarray:
        """Return the plane as a new array of float32, ``[y, x]``."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(self.data, np.float32, order="C")


def open_numbers(path: str | Path) -> StoredPlane | BarePlane:
    """Open the one plane of a FITS image, in any HDU, compressed in tiles or not.

    Raises
    ------
    NotFitsError, TruncatedError
        The file cannot be read.
    CelestialError, ShapeMismatchError
        It holds no image, or more than one plane.
    TransientError
        It cannot be read now.
    """
    try:
        return open_plane(path, brightness=False)
    except CelestialError:
        data, header, _ = open_image(path)
    if np.prod(data.shape[:-2]) != 1:
        raise ShapeMismatchError(f"{path} has shape {data.shape}; one plane [y, x] is needed")
    return BarePlane(path, data.reshape(data.shape[-2:]), header)


def require_same_order(image: str | Path, numbers: str | Path) -> None:
    """Refuse an image of which latitude is the first axis beside numbers that tell no axes, or the reverse.

    Planes are read with longitude along their rows; nothing says whether bare numbers lie as in the file
    of the other.

    Raises
    ------
    ShapeMismatchError
    """
    paths = image, numbers
    axes = [celestial_axes(open_image(path)[1]) for path in paths]
    for one, bare, order in zip(paths, paths[::-1], axes, strict=True):
        if None in axes and order and order[0] > order[1]:
            raise ShapeMismatchError(
                f"{one} has latitude along its first axis, and {bare} does not say what its axes are: "
                "write the cards of the axes into both headers"
            )


def require_same_pixels(
    image: Plane | StoredPlane | BarePlane, numbers: StoredPlane | BarePlane, path: str | Path
) -> None:
    """Refuse numbers of other pixels than those of their image.

    Parameters
    ----------
    image, numbers : Plane, StoredPlane or BarePlane
    path : path
        Of the image.

    Raises
    ------
    ShapeMismatchError
        They differ in shape or, where both have one, in their grid.
    """
    if image.data.shape != numbers.data.shape:
        raise ShapeMismatchError(
            f"{numbers.path} has {numbers.data.shape} pixels [y, x], {path} {image.data.shape}: both need "
            "the same"
        )
    if not (isinstance(image, BarePlane) or isinstance(numbers, BarePlane)):
        require_same_grid(image, numbers, f"{numbers.path} and {path}")
