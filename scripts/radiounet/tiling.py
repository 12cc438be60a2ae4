"""Tiles of a plane, and the plane from their cores: exact inverses.

A tile is one network input, its core the central part that is kept. Tiles
start every core's length, so cores join without gap or overlap. They are never
copied: the padded plane is stored once and a tile is a window on it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from radiounet.cards import Card, model_folder, read_card
from radiounet.errors import GridError
from radiounet.image import check_grid, read_plane
from radiounet.noise import local_rms
from radiounet.products import atomic, sha256_of

Mode = Literal["exact", "reference"]


@dataclass(frozen=True)
class Layout:
    """Where tiles lie on a plane padded by `pad_low` and up to `padded` pixels.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the unpadded plane.
    tile_px, core_px : int
        Sides of tile and core.
    pad_low : int
        Pixels added before the first row and column.
    counts : (int, int)
        Tiles along y and x.
    """

    shape: tuple[int, int]
    tile_px: int
    core_px: int
    pad_low: int
    counts: tuple[int, int]

    @property
    def margin_px(self) -> int:
        """Context around a core."""
        return (self.tile_px - self.core_px) // 2

    @property
    def padded(self) -> tuple[int, int]:
        """Shape of the padded plane; at least the plane itself."""
        return tuple(
            max((count - 1) * self.core_px + self.tile_px, self.pad_low + side)
            if count
            else self.pad_low + side
            for count, side in zip(self.counts, self.shape, strict=True)
        )

    def origins(self) -> np.ndarray:
        """First row and column of every tile on the padded plane, ``[tile, 2]``."""
        rows, columns = (np.arange(count) * self.core_px for count in self.counts)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)

    def core_of(self, origin: np.ndarray) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a tile's core goes on the unpadded plane, and which part of the core that is."""
        start = np.asarray(origin) + self.margin_px - self.pad_low
        low = np.maximum(start, 0)
        high = np.minimum(start + self.core_px, self.shape)
        high = np.maximum(high, low)
        target = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        source = tuple(slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
        return target, source


def layout(shape: tuple[int, int], tile_px: int, core_px: int, mode: Mode) -> Layout:
    """Lay tiles on a plane.

    ``reference``: from pixel 0, no padding, tiles that would cross the high edge
    dropped, as the published code does. ``exact``: the same tiles, and more
    around them on padding, so that every pixel lies in a core.

    Raises
    ------
    GridError
        In ``reference`` mode, an image smaller than one tile.
    """
    if mode == "reference":
        if min(shape) < tile_px:
            raise GridError(f"an image of {shape} px holds no tile of {tile_px} px; use mode exact")
        counts = tuple((side - tile_px) // core_px + 1 for side in shape)
        return Layout(tuple(shape), tile_px, core_px, 0, counts)
    margin = (tile_px - core_px) // 2
    # whole cores before pixel 0 keep the tiles of the reference where they are
    pad_low = -(-margin // core_px) * core_px
    first_core = margin - pad_low
    counts = tuple(-(-(side - first_core) // core_px) for side in shape)
    return Layout(tuple(shape), tile_px, core_px, pad_low, counts)


def write_tiles(path: str | Path, image: np.ndarray, card: Card, mode: Mode, meta: dict[str, str]) -> None:
    """Normalise an image for a model and store it ready to be cut.

    Data sets: ``plane`` (padded, float32, ``[y, x]``), ``origins`` (``[tile, 2]``,
    y and x on the padded plane), ``has_data`` (``[tile]``), ``rms`` (local noise,
    Jy/beam, ``[y, x]`` unpadded).

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Jy/beam, NaN where blank.
    meta : dict
        Provenance, kept as attributes.
    """
    where = layout(image.shape, card.tile_px, card.core_px, mode)
    rms = local_rms(image)
    plane = card.normalisation(image, rms)
    blank_value = card.normalisation(np.full((1, 1), np.nan, np.float32), np.ones((1, 1), np.float32))[0, 0]
    origins = where.origins()
    has_data = np.ones(len(origins), bool)
    if mode == "exact":
        data = np.isfinite(image)
        has_data[:] = [data[where.core_of(origin)[0]].any() for origin in origins]
    with atomic(path) as temporary, h5py.File(temporary, "w") as store:
        padded = store.create_dataset("plane", where.padded, np.float32, fillvalue=blank_value)
        low = where.pad_low
        padded[low : low + image.shape[0], low : low + image.shape[1]] = plane
        store["origins"] = origins.astype(np.int32)
        store["has_data"] = has_data
        store["rms"] = rms
        store.attrs["shape"] = image.shape
        store.attrs["mode"] = mode
        store.attrs.update(meta)


def tile_image(image: str, model: str, mode: Mode, target: str, source: str | None = None) -> None:
    """Normalise an image for a model and write its tiles file.

    The checksum kept as provenance is that of `source`, by default the image itself.

    Raises
    ------
    BadDataError
        The image is unreadable, or not at the model's beam and pixel scale.
    """
    card = read_card(model_folder(model))
    plane = read_plane(image)
    check_grid(plane, card.pixel_arcsec, card.beam_arcsec, image)
    meta = {
        "model": card.name,
        "model_sha256": card.weights.sha256,
        "image_sha256": sha256_of(source or image),
    }
    write_tiles(target, plane.data, card, mode, meta)


def read_layout(store: h5py.File, card: Card) -> Layout:
    """Layout of a tiles file for the model it was made for."""
    shape = tuple(int(side) for side in store.attrs["shape"])
    return layout(shape, card.tile_px, card.core_px, store.attrs["mode"])


def stitch(cores: np.ndarray, origins: np.ndarray, where: Layout) -> np.ndarray:
    """Join cores into a plane.

    Parameters
    ----------
    cores : ndarray or h5py data set, ``[tile, y, x]``
    origins : ndarray, ``[tile, 2]``
    where : Layout

    Returns
    -------
    ndarray of float32, ``[y, x]``
        NaN where no core lies.
    """
    plane = np.full(where.shape, np.nan, np.float32)
    for index, origin in enumerate(origins):
        target, source = where.core_of(origin)
        plane[target] = cores[index][source]
    return plane
