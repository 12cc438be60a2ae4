"""Labels that people gave to the pixels of an image: a FITS image of numbers, or DS9 regions."""

import logging
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from regions import PixCoord, PixelRegion, Region, Regions
from scipy import ndimage

from radiounet.errors import BadDataError
from radiounet.images.bare_planes import open_numbers, require_same_pixels
from radiounet.images.geometry import to_pixels, to_sky
from radiounet.images.image import Plane
from radiounet.images.resampling import places_of
from radiounet.network.masks import EIGHT_NEIGHBOURS, NO_DATA

logger = logging.getLogger(__name__)

DS9 = ".reg"
OPEN_SHAPES = re.compile(
    r"(?:^|;)\s*[#+-]?\s*(vector|ruler|segment|projection|line|compass)\s*\(\s*[\d+-]", re.I | re.M
)
"""What DS9 draws that holds no pixels, and that may be read as nothing at all."""
WORDS = re.compile(r"\{[^}\n]*\}|(?<==)(?:\"[^\"\n]*\"|'[^'\n]*')")
JOINED = re.compile(r"\|\|[ \t]*(?=[+-]?[ \t]*[a-z]+[ \t]*[(\d])", re.I)
"""Between two shapes on one line, of which the library reads only the first."""
MOST_NAMED = 10
LARGEST = 2**24 - 1
"""Largest label: from the next one on, float32 takes two for one."""


@dataclass(frozen=True)
class Labels:
    """Regions of an image that people labelled.

    Attributes
    ----------
    numbers : ndarray of float32, ``[y, x]``
        Number of each pixel's region, 0 outside all regions, NaN where it is not known.
    names : dict of int to str
        What each region is called, those without a pixel too.
    """

    numbers: np.ndarray
    names: dict[int, str]


@cache
def say_once(note: str) -> None:
    """Log a warning, however often the image that it is about is read."""
    logger.warning("%s", note)


def named(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def read_labels(path: str | Path, image: Plane) -> Labels:
    """Labelled region of each pixel of an image.

    Parameters
    ----------
    path : path
        A file of DS9 regions (``.reg``): each is a region of its own, whose number is its place in the
        file. Where two overlap, the later one counts; an excluded one (``-circle``) takes its pixels from
        those above it. Text is left out, with a warning. Or a FITS image with the pixels of the image: 0
        no diffuse emission, 1, 2, ... the regions, 255 or NaN unknown. With no number above 1, pixels
        that touch are one region. If it has celestial axes, they must be those of the image.
    image : Plane

    Raises
    ------
    NotFitsError, TruncatedError
        The FITS file cannot be read.
    ShapeMismatchError
        The FITS file has other pixels than the image.
    BadDataError
        It holds other numbers; the file of regions cannot be read as a whole, holds one
        without an area, or none that holds a pixel of the image.
    """
    if Path(path).suffix.lower() == DS9:
        return _drawn(path, image)
    stored = open_numbers(path)
    require_same_pixels(image, stored, "its image")
    labels = stored.window()
    labels[labels == NO_DATA] = np.nan
    in_range = (labels >= 0) & (labels <= LARGEST)
    strange = labels[~np.isnan(labels) & ~(in_range & (labels == np.rint(labels)))]
    if strange.size:
        raise BadDataError(
            f"{path} holds {strange[0]:.9g}; a label is 0, 1, 2, ... {LARGEST} or {NO_DATA} (unknown)"
        )
    if not (labels == 0).any():
        say_once(f"{path} has no pixel of 0: it says nowhere that there is no diffuse emission")
    present = np.unique(labels[labels > 0]).astype(int).tolist()
    if present != [1]:
        return Labels(labels, {number: f"label {number}" for number in present})
    # with no numbers to tell regions apart, those that touch are one
    parts, _ = ndimage.label(labels == 1, EIGHT_NEIGHBOURS)
    names = {
        number: f"pixels from x = {place[1].start}, y = {place[0].start}"
        for number, place in enumerate(ndimage.find_objects(parts), 1)
    }
    return Labels(np.where(np.isnan(labels), np.nan, parts).astype(np.float32), names)


def _drawn(path: str | Path, image: Plane) -> Labels:
    try:
        # texts may hold anything, and say nothing of pixels
        text = JOINED.sub("\n", WORDS.sub("{}", Path(path).read_text(encoding="utf-8-sig")))
        with warnings.catch_warnings():
            # what it cannot read it would leave out
            warnings.simplefilter("error", AstropyUserWarning)
            regions = Regions.parse(text, format="ds9")
    except (OSError, ValueError, KeyError, TypeError, AstropyUserWarning) as error:
        raise BadDataError(f"{path} cannot be read as DS9 regions: {error}") from error
    if drawn := OPEN_SHAPES.search(text):
        raise BadDataError(_without_area(path, drawn.group(1)))
    texts = sum(_kind(one) == "text" for one in regions)
    if texts:
        say_once(f"{path}: {texts} text annotation{'s' * (texts > 1)} left out: a text has no area")
    numbers = np.zeros(image.data.shape, np.float32)
    names, on_image = {}, False
    for number, region in enumerate(regions, 1):
        if _kind(region) == "text":
            continue
        inside, included = _pixels(region, image, path), region.meta.get("include", True)
        numbers[inside] = number if included else 0
        if included:
            names[number] = f"region {number} ({_kind(region)})"
            on_image |= bool(inside.any())
    if names and not on_image:
        raise BadDataError(
            f"{path}: no region of {len(names)} holds a pixel of the image: they are of another part of the "
            "sky, or smaller than a pixel"
        )
    return Labels(numbers, names)


def _kind(region: Region) -> str:
    return type(region).__name__.removesuffix("Region").removesuffix("Sky").removesuffix("Pixel").lower()


def _without_area(path: str | Path, kind: str) -> str:
    return f"{path}: a {kind} has no area; draw what holds emission as a closed shape"


@dataclass(frozen=True)
class _SkyOf:
    """What `regions` asks of a WCS to draw a shape, in the shape's own frame: angles are from that north."""

    wcs: WCS
    frame: BaseCoordinateFrame

    def world_to_pixel(self, sky: SkyCoord) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows of positions."""
        return _columns_and_rows(self.wcs, sky)

    def pixel_to_world(self, x: np.ndarray, y: np.ndarray) -> SkyCoord:
        """Positions of columns and rows."""
        return SkyCoord(*to_sky(self.wcs, x, y), unit="deg").transform_to(self.frame)


def _columns_and_rows(wcs: WCS, sky: SkyCoord) -> tuple[np.ndarray, np.ndarray]:
    return to_pixels(wcs, sky.icrs.ra.deg, sky.icrs.dec.deg)


def _pixels(region: Region, image: Plane, path: str | Path) -> np.ndarray:
    """Pixels whose centre a region holds, bool ``[y, x]``; none for one on another part of the sky."""
    kind, places = _kind(region), getattr(region, "vertices", getattr(region, "center", None))
    if places is None:  # a line
        raise BadDataError(_without_area(path, kind))
    try:
        flat = _in_pixels(region, places, image.wcs)
        drawn = None if flat is None else flat.to_mask(mode="center").to_image(image.data.shape)
    except NotImplementedError:  # by `regions`, of a point or a text
        raise BadDataError(_without_area(path, kind)) from None
    except (ValueError, np.linalg.LinAlgError) as error:
        raise BadDataError(f"{path}: a {kind} cannot be drawn on the image: {error}") from error
    return np.zeros(image.data.shape, bool) if drawn is None else drawn > 0


def _in_pixels(region: Region, places: SkyCoord | PixCoord, wcs: WCS) -> PixelRegion | None:
    """Region in pixels; None where the projection does not show its middle, or one of its corners."""
    if isinstance(region, PixelRegion):
        return region if np.isfinite(places.xy).all() else None
    if not np.isfinite(_columns_and_rows(wcs, places)).all():
        return None
    sky = _SkyOf(wcs, places.frame.replicate_without_data())
    # on oblong pixels a circle of the sky is none
    return region.to_pixel(sky, **({"as_ellipse": True} if _kind(region).startswith("circle") else {}))


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
    there = np.full(moved.data.shape, np.nan, np.float32)
    for rows, inside, place in places_of(moved.wcs, moved.data.shape, image):
        # the last row reaches half a pixel beyond its middle
        row, column = np.minimum(np.floor(place + 0.5).astype(int).T, np.array(labels.shape) - 1).T
        there[rows][inside] = labels[row, column]
    return there
