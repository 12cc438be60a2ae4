"""HiPS tiles of image, probability and mask: every position from the mosaic that owns it.

Numbering and layout follow the IVOA's HiPS 1.0 (2017). A tile at the finest order samples the owning
mosaic where its pixels lie: image and probability linearly between the four pixels around, the mask at
the nearest one. The tiles above are made from their four children: the mean of the pixels that have
data; of the mask, whether any is diffuse.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import healpy
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image, PngImagePlugin
from scipy.interpolate import RectBivariateSpline

from radiounet import __version__
from radiounet.images.geometry import to_pixels
from radiounet.images.image import StoredPlane, open_plane
from radiounet.images.products import HIPS_LAYERS, Products, Publication
from radiounet.images.provenance import code_hash
from radiounet.network.masks import NO_DATA
from radiounet.publishing.between_pixels import between_pixels
from radiounet.publishing.coverage import REACHED_ORDER
from radiounet.publishing.hips_parts import TOP_ORDER
from radiounet.publishing.records import JobFiles
from radiounet.survey.survey import Survey

WIDTH = 512
"""Pixels on a side of a tile."""
STEP = 7
"""Of the pixels of a tile that are projected: the first and the last of a row are among them."""
PLACE_ERROR_PX = 1e-4
"""How far the others may be from where they lie."""
BRIGHT_RMS = 100.0
"""White in PNG tiles of the image, rms."""
SOFT_RMS = 3.0
"""Where its scale turns from linear to logarithmic, rms."""
DIFFUSE = (0, 158, 115, 255)
"""Colour of the mask, which colour-blind people tell from others (Okabe and Ito 2008)."""
EMPTY = {"image": np.float32(np.nan), "probability": np.float32(np.nan), "mask": np.uint8(NO_DATA)}
Tile = dict[str, np.ndarray]


def tile_order(pixel_arcsec: float) -> int:
    """Coarsest order whose pixels are no larger than those of the mosaics."""
    order = TOP_ORDER
    while healpy.nside2resol(2**order * WIDTH, arcmin=True) * 60 > pixel_arcsec and order < REACHED_ORDER:
        order += 1
    return order


@dataclass(frozen=True)
class TileMaker:
    """Makes all tiles of one part, see `radiounet.publishing.hips_parts`.

    Attributes
    ----------
    survey : Survey
    products : Products
    reached : mapping of str to sequence of int
        HEALPix pixels of `radiounet.publishing.coverage.REACHED_ORDER` that may show something of a mosaic.
    rms_jy : float
        Of the survey, for the grey scale of PNG tiles.
    order : int
        Finest order, see `tile_order`.
    """

    survey: Survey
    products: Products
    reached: Mapping[str, Sequence[int]]
    rms_jy: float
    order: int

    def write(self, part: int, job_files: JobFiles) -> int:
        """Write the tiles of one part, given by its tile of `TOP_ORDER`; returns their number."""
        owners: dict[int, list[str]] = {}
        for mosaic in sorted(self.reached):
            numbers = np.asarray(self.reached[mosaic], np.int64) >> 2 * (REACHED_ORDER - self.order)
            for number in np.unique(numbers).tolist():
                owners.setdefault(number, []).append(mosaic)
        written = 0

        def make(order: int, number: int) -> Tile | None:
            nonlocal written
            first, last = number << 2 * (self.order - order), (number + 1) << 2 * (self.order - order)
            if not any(first <= one < last for one in owners):
                return None
            if order == self.order:
                tile = self._sample(number, owners[number])
            else:
                tile = _joined([make(order + 1, 4 * number + child) for child in range(4)])
            if tile is not None:
                written += 1
                for layer, plane in tile.items():
                    name = tile_name(layer, order, number)
                    job_files.put(f"{name}.fits", fits_bytes(layer, plane, order, number))
                    job_files.put(f"{name}.png", png_bytes(layer, plane, self.rms_jy))
            return tile

        make(TOP_ORDER, part)
        return written

    def _sample(self, number: int, mosaics: Sequence[str]) -> Tile | None:
        """Tile of the finest order; None where nothing is there to show."""
        tile = {layer: np.full((WIDTH, WIDTH), EMPTY[layer]) for layer in HIPS_LAYERS}
        free = np.ones((WIDTH, WIDTH), bool)
        for mosaic in mosaics:
            planes = _planes(self.products, mosaic)
            if not has_data(planes, self.order, number):
                continue
            mine = free.copy()
            if not self.survey.cells.owns_pixel(mosaic, self.order, number):
                ra, dec = tile_places(self.order, number)
                mine[free] = self.survey.owned(mosaic, ra[free], dec[free])
            if not mine.any():
                continue
            x, y = tile_pixels(planes["image"].wcs, self.order, number)
            values = sample(planes, x[mine], y[mine])
            for layer, found in values.items():
                tile[layer][mine] = found
            # own images may overlap: what one has no data of, the next may show
            free[mine] = False if self.survey.cells.disjoint else np.isnan(values["image"])
        blank = np.isnan(tile["image"]).all() and np.isnan(tile["probability"]).all()
        return None if blank and (tile["mask"] == NO_DATA).all() else tile


def tile_name(layer: str, order: int, number: int) -> str:
    """Name of a tile in a publication, without its suffix."""
    return f"{Publication.hips(layer)}/Norder{order}/Dir{number // 10000 * 10000}/Npix{number}"


def tile_places(order: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination (ICRS deg) of the pixels of a tile, ``[y, x]`` each, as in FITS."""
    return _places(order, number, _numbers())


def _places(order: int, number: int, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return healpy.pix2ang(2**order * WIDTH, number * WIDTH**2 + inside, nest=True, lonlat=True)


def tile_pixels(wcs: WCS, order: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of an image, columns and rows, where the pixels of a tile lie; ``[y, x]`` each, NaN for none.

    Every `STEP`-th is projected, and those between lie on bicubic splines. Where these miss the pixels in
    the middle between, where HEALPix bends at declinations of 41.8 deg, all are projected.
    """
    axis, numbers = np.arange(WIDTH), _numbers()
    knots, middles = slice(None, None, STEP), slice(STEP // 2, None, STEP)
    known, control = (
        to_pixels(wcs, *_places(order, number, numbers[part, part])) for part in (knots, middles)
    )
    if not (np.isfinite(known).all() and np.isfinite(control).all()):
        return to_pixels(wcs, *tile_places(order, number))
    x, y = (RectBivariateSpline(axis[knots], axis[knots], one)(axis, axis) for one in known)
    missed = np.abs([x[middles, middles] - control[0], y[middles, middles] - control[1]]).max()
    return (x, y) if missed < PLACE_ERROR_PX else to_pixels(wcs, *tile_places(order, number))


@lru_cache(maxsize=1)
def _numbers() -> np.ndarray:
    """Number of each pixel inside its tile, ``[y, x]``: bits of the rows from the top, and of the columns."""
    axis = np.arange(WIDTH, dtype=np.int64)
    spread = np.sum([(axis >> bit & 1) << 2 * bit for bit in range(WIDTH.bit_length())], axis=0)
    return spread[::-1, None] + 2 * spread[None, :]


@lru_cache(maxsize=9)
def _planes(products: Products, mosaic: str) -> dict[str, StoredPlane]:
    maps = {
        kind: open_plane(getattr(products, kind)(mosaic), brightness=False)
        for kind in ("probability", "mask")
    }
    return {"image": open_plane(products.image(mosaic)), **maps}


def has_data(planes: Mapping[str, StoredPlane], order: int, number: int) -> bool:
    """Whether the part of a mosaic that a tile may show holds any data; True where that is not known."""
    knots = _numbers()[::STEP, ::STEP]
    x, y = to_pixels(planes["image"].wcs, *_places(order, number, knots))
    if not np.isfinite([x, y]).all():
        return True
    margin = 2 * STEP  # pixels between the knots may lie a little beyond them
    columns, rows = (
        slice(max(int(one.min()) - margin, 0), max(int(one.max()) + margin, 0)) for one in (x, y)
    )
    brightness, chance = (planes[layer].window(rows, columns) for layer in ("image", "probability"))
    marked = planes["mask"].window(rows, columns)
    return bool(np.isfinite(brightness).any() or np.isfinite(chance).any() or (marked != NO_DATA).any())


def sample(planes: Mapping[str, StoredPlane], x: np.ndarray, y: np.ndarray) -> Tile:
    """Image (Jy/beam), probability and mask of a mosaic at some places.

    Parameters
    ----------
    planes : mapping of str to StoredPlane
        Of the mosaic.
    x, y : ndarray, ``[place]``
        Columns and rows of its image, from 0.

    Returns
    -------
    dict of str to ndarray, ``[place]``
        NaN, or 255 in the mask, where the mosaic has no data.
    """
    ny, nx = planes["image"].data.shape
    inside = (x >= 0) & (y >= 0) & (x <= nx - 1) & (y <= ny - 1)  # NaN is outside
    found: Tile = {layer: np.full(x.shape, EMPTY[layer]) for layer in HIPS_LAYERS}
    if not inside.any():
        return found
    x, y = x[inside], y[inside]
    columns, rows = (slice(int(one.min()), int(one.max()) + 2) for one in (x, y))
    place = y - rows.start, x - columns.start
    for layer in ("image", "probability"):
        part = planes[layer].window(rows, columns)
        found[layer][inside] = between_pixels(part, *place)
    nearest = tuple(np.rint(one).astype(int) for one in place)
    found["mask"][inside] = planes["mask"].window(rows, columns)[nearest].astype(np.uint8)
    return found


def _joined(children: Sequence[Tile | None]) -> Tile | None:
    """Tile above four, in the order of their numbers."""
    if all(one is None for one in children):
        return None
    half = WIDTH // 2
    joined = {layer: np.full((WIDTH, WIDTH), EMPTY[layer]) for layer in HIPS_LAYERS}
    for number, child in enumerate(children):
        if child is not None:
            y, x = (1 - (number & 1)) * half, (number >> 1) * half
            for layer, plane in child.items():
                joined[layer][y : y + half, x : x + half] = HALVED[layer](plane)
    return joined


def _mean(plane: np.ndarray) -> np.ndarray:
    """Mean of the finite ones of each 2 by 2 pixels; NaN where there is none."""
    blocks = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
    return np.where(count, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _any(plane: np.ndarray) -> np.ndarray:
    """Whether any of each 2 by 2 pixels is diffuse; 255 where none has data."""
    blocks = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2)
    diffuse, known = (blocks == 1).any(axis=(1, 3)), (blocks != NO_DATA).any(axis=(1, 3))
    return np.where(known, diffuse, NO_DATA).astype(np.uint8)


HALVED: dict[str, Callable[[np.ndarray], np.ndarray]] = {"image": _mean, "probability": _mean, "mask": _any}


def fits_bytes(layer: str, plane: np.ndarray, order: int | None = None, number: int | None = None) -> bytes:
    """FITS file of a tile, or of an Allsky; 255 in a mask is BLANK."""
    hdu = fits.PrimaryHDU(plane)
    if order is not None:
        hdu.header["ORDER"], hdu.header["NPIX"] = order, number
    if plane.dtype.kind == "u":
        hdu.header["BLANK"] = NO_DATA
    if layer == "image":
        hdu.header["BUNIT"] = "JY/BEAM"
    hdu.header["CODEHASH"] = code_hash()
    stream = io.BytesIO()
    hdu.writeto(stream)
    return stream.getvalue()


def png_bytes(layer: str, plane: np.ndarray, rms_jy: float) -> bytes:
    """PNG of a tile: north up where FITS has it up, so that its first row is the last one there."""
    shaded = shade(layer, plane, rms_jy)[::-1]
    if shaded.shape[-1] == 2 and (shaded[..., 1] == 255).all():  # half the time and bytes
        shaded = np.ascontiguousarray(shaded[..., 0])
    picture = Image.fromarray(shaded)
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", f"radiounet {__version__}, code {code_hash()}")
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=2, pnginfo=about)
    return stream.getvalue()


def shade(layer: str, plane: np.ndarray, rms_jy: float) -> np.ndarray:
    """Grey and opacity, ``[y, x, 2]``; of a mask colour and opacity, ``[y, x, 4]``."""
    if layer == "mask":
        return (plane == 1)[..., None] * np.array(DIFFUSE, np.uint8)
    known = np.isfinite(plane)
    part = np.where(known, plane, 0)
    if layer == "image":
        low, high = (np.arcsinh(cut / SOFT_RMS) for cut in (-SOFT_RMS, BRIGHT_RMS))
        part = (np.arcsinh(part / (SOFT_RMS * rms_jy)) - low) / (high - low)
    grey = np.round(255 * np.clip(part, 0, 1))
    return np.stack([grey, np.where(known, 255, 0)], axis=-1).astype(np.uint8)
