"""Tiles of a plane, and the plane from their cores: exact inverses.

A tile is one network input, its core the central part that is kept. Cores join
without gap or overlap; at a border a tile slides inwards, so that it is full of
image and the core's share comes from wherever it then lies in the tile. Tiles are
never copied: the plane is stored once and a tile is a window on it.

For some architectures (`Architecture.surrounded`) the plane is surrounded by blanks instead, as
wide as the network sees, and tiles lie where its levels have their pixels: so the probability at a
sky position does not depend on the size of the tiles.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from radiounet.errors import ConfigError, GridError
from radiounet.images.gaussian import FWHM_AREA
from radiounet.images.image import Plane, check_grid, read_plane
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import fits_header
from radiounet.images.writing import atomic
from radiounet.network.model_cards import BEAM_PX, ModelCard, model_folder, network_input, read_card

Mode = Literal["exact", "reference"]


@dataclass(frozen=True)
class Layout:
    """Where cores and tiles lie on a plane.

    A core is known by its start: the row and column at which it begins as long as
    it is not moved, which at a border may lie outside the plane.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the plane.
    tile_px, core_px : int
        Sides of tile and core.
    first : int
        Start of the first core along both axes.
    counts : (int, int)
        Tiles along y and x.
    surrounded : bool
        Blanks on all sides of the plane in place of tiles that slide inwards.
    """

    shape: tuple[int, int]
    tile_px: int
    core_px: int
    first: int
    counts: tuple[int, int]
    surrounded: bool = False

    @property
    def margin_px(self) -> int:
        """Context around a core that is not moved."""
        return (self.tile_px - self.core_px) // 2

    @property
    def padded(self) -> tuple[int, int]:
        """Shape of the plane as it is stored: padded to one tile at least, or surrounded by blanks."""
        if self.surrounded:
            ny, nx = (count * self.core_px + 2 * self.margin_px for count in self.counts)
        else:
            ny, nx = (max(side, self.tile_px) for side in self.shape)
        return ny, nx

    @property
    def place(self) -> tuple[slice, slice]:
        """Where the plane lies in what is stored."""
        low = self.margin_px if self.surrounded else 0
        ny, nx = self.shape
        return slice(low, low + ny), slice(low, low + nx)

    def starts(self) -> np.ndarray:
        """Start of every core, ``[tile, 2]``."""
        rows, columns = (self.first + np.arange(count) * self.core_px for count in self.counts)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)

    def origins(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First row and column of tiles on the padded plane, and of their cores within the tiles.

        Parameters
        ----------
        starts : ndarray, ``[tile, 2]``

        Returns
        -------
        tiles, cores : ndarray, ``[tile, 2]``
        """
        cores = self._core_origins(starts)
        if self.surrounded:
            return cores, np.full_like(cores, self.margin_px)
        tiles = np.clip(cores - self.margin_px, 0, np.array(self.padded) - self.tile_px)
        return tiles, cores - tiles

    def _core_origins(self, starts: np.ndarray) -> np.ndarray:
        if self.surrounded:
            return np.asarray(starts)
        return np.clip(starts, 0, np.maximum(np.array(self.shape) - self.core_px, 0))

    def core_of(self, start: np.ndarray) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Which part of the plane a core is kept for, and which part of the core that is."""
        start = np.asarray(start)
        low = np.maximum(start, 0)
        high = np.maximum(np.minimum(start + self.core_px, self.shape), low)
        moved = self._core_origins(start)
        return _box(low, high), _box(low - moved, high - moved)


def _box(low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return rows, columns


def layout(
    shape: tuple[int, int], tile_px: int, core_px: int, mode: Mode, surrounded: bool = False
) -> Layout:
    """Lay tiles on a plane.

    ``reference``: from pixel 0, tiles that would cross the high edge dropped, as the
    published code does. ``exact``: the same tiles, and more for the borders, so that
    every pixel lies in a core. `surrounded`: cores from pixel 0, see `Layout`.

    Raises
    ------
    GridError
        In ``reference`` mode, an image smaller than one tile.
    ConfigError
        In ``reference`` mode, a model that has no published tiles.
    """
    ny, nx = shape
    if surrounded:
        if mode == "reference":
            raise ConfigError("mode reference is for models like the published network: use mode exact")
        counts = -(-ny // core_px), -(-nx // core_px)
        return Layout((ny, nx), tile_px, core_px, 0, counts, surrounded=True)
    margin = (tile_px - core_px) // 2
    if mode == "reference":
        if min(shape) < tile_px:
            raise GridError(f"an image of {shape} px holds no tile of {tile_px} px; use mode exact")
        counts = (ny - tile_px) // core_px + 1, (nx - tile_px) // core_px + 1
        return Layout((ny, nx), tile_px, core_px, margin, counts)
    # whole cores before pixel 0 keep the tiles of the reference where they are
    first = margin - -(-margin // core_px) * core_px
    counts = -(-(ny - first) // core_px), -(-(nx - first) // core_px)
    return Layout((ny, nx), tile_px, core_px, first, counts)


def sides(card: ModelCard, shape: tuple[int, int]) -> tuple[int, int]:
    """Side of tiles and cores: the model's own; a smaller one for a surrounded plane that is smaller."""
    if not card.surrounded:
        return card.tile_px, card.core_px
    longest, step = max(shape), card.step_px
    count = -(-longest // card.core_px)
    core_px = math.ceil(longest / count / step) * step
    return core_px + 2 * card.margin_px, core_px


def has_data(image: np.ndarray, starts: np.ndarray, where: Layout, mode: Mode) -> np.ndarray:
    """Which cores are predicted: those with data, in mode ``reference`` all.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        NaN where blank.
    starts : ndarray, ``[core, 2]``

    Returns
    -------
    ndarray of bool, ``[core]``
    """
    if mode == "reference":
        return np.ones(len(starts), bool)
    data = np.isfinite(image)
    return np.array([data[where.core_of(start)[0]].any() for start in starts])


@dataclass(frozen=True)
class Tiles:
    """A plane that is normalised for a model, and the cores that are predicted of it.

    Attributes
    ----------
    plane : ndarray of float32, ``[y, x]``
        As the network sees it, padded; see `Layout.padded`.
    where : Layout
    starts : ndarray, ``[tile, 2]``
        Of all cores.
    has_data : ndarray of bool, ``[tile]``
        Which of them are predicted.
    """

    plane: np.ndarray
    where: Layout
    starts: np.ndarray
    has_data: np.ndarray


def lay_tiles(image: np.ndarray, card: ModelCard, mode: Mode, beam_px: float = BEAM_PX) -> Tiles:
    """Normalise an image for a model and lay its tiles.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Jy/beam, NaN where blank.
    beam_px : float
        FWHM of the beam that the image was made with.
    """
    where = layout(image.shape, *sides(card, image.shape), mode, card.surrounded)
    shown = network_input(card.normalisation, image, beam_px)
    plane = np.full(where.padded, card.normalisation.blank, np.float32)
    plane[where.place] = shown
    starts = where.starts().astype(np.int32)
    return Tiles(plane, where, starts, has_data(image, starts, where, mode))


def write_tiles(
    path: str | Path,
    image: np.ndarray,
    card: ModelCard,
    mode: Mode,
    meta: dict[str, str],
    beam_px: float = BEAM_PX,
) -> None:
    """Normalise an image for a model and store it ready to be cut.

    Data sets: ``plane`` (float32, ``[y, x]``, padded to a tile), ``starts`` (of the
    cores, ``[tile, 2]``, see `Layout`), ``has_data`` (``[tile]``).

    Parameters
    ----------
    image, beam_px
        See `lay_tiles`.
    meta : dict
        Provenance, kept as attributes.
    """
    tiles = lay_tiles(image, card, mode, beam_px)
    with atomic(path) as temporary, h5py.File(temporary, "w") as store:
        store["plane"], store["starts"], store["has_data"] = tiles.plane, tiles.starts, tiles.has_data
        store.attrs["shape"] = image.shape
        store.attrs["mode"] = mode
        store.attrs.update(meta)


def image_for(path: str, card: ModelCard) -> tuple[Plane, float]:
    """Image that a model can see, and the FWHM of its beam, pixels.

    Raises
    ------
    BadDataError
        The image is unreadable, or not at the model's beam and pixel scale.
    """
    plane = read_plane(path)
    check_grid(plane, card.pixel_arcsec, card.beam_arcsec, path)
    return plane, float(np.sqrt(plane.resolution_area_px / FWHM_AREA))


def image_origin(image: str) -> dict[str, str]:
    """Provenance of what is made from an image.

    ``image_sha256`` is that of the image, and ``input_sha256`` that of what it was prepared from (its
    card INPUTSHA), which is the same where it was used as it came.
    """
    found = sha256_of(image)
    return {"image_sha256": found, "input_sha256": fits_header(image).get("INPUTSHA", found)}


def tile_image(image: str, model: str, mode: Mode, target: str) -> None:
    """Normalise an image for a model and write its tiles file, with its origin.

    Raises
    ------
    BadDataError
        See `image_for`.
    """
    card = read_card(model_folder(model))
    plane, beam_px = image_for(image, card)
    meta = {"model": card.name, "model_sha256": card.weights.sha256} | image_origin(image)
    write_tiles(target, plane.data, card, mode, meta, beam_px)


def read_layout(store: h5py.File, card: ModelCard) -> Layout:
    """Layout of a tiles file for the model it was made for."""
    ny, nx = (int(side) for side in store.attrs["shape"])
    return layout((ny, nx), *sides(card, (ny, nx)), store.attrs["mode"], card.surrounded)


def stitch(cores: np.ndarray, starts: np.ndarray, where: Layout) -> np.ndarray:
    """Join cores into a plane.

    Parameters
    ----------
    cores : ndarray or h5py data set, ``[tile, y, x]``
    starts : ndarray, ``[tile, 2]``
    where : Layout

    Returns
    -------
    ndarray of float32, ``[y, x]``
        NaN where no core lies; of uint8 cores uint8, and 0 there.
    """
    whole = cores.dtype.kind == "u"
    plane = np.full(where.shape, 0 if whole else np.nan, np.uint8 if whole else np.float32)
    for index, start in enumerate(starts):
        target, source = where.core_of(start)
        plane[target] = cores[index][source]
    return plane
