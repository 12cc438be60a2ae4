"""From tiles to cores: reading, computing and writing at the same time."""

import gc
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import h5py
import keras
import numpy as np

from radiounet.errors import ModelError
from radiounet.images.progress_bar import with_bar
from radiounet.images.reading import hdf5_store, reading
from radiounet.images.writing import atomic
from radiounet.network.architectures.registry import ARCHITECTURES, Precision, Span
from radiounet.network.devices import cpu_threads, devices, gpu_bytes, gpus, multiplies_bfloat16
from radiounet.network.engine import Engine, load_model
from radiounet.network.model_cards import ModelCard
from radiounet.network.tiling import Layout, layout, read_layout, stitch

logger = logging.getLogger(__name__)

BATCH_PIXELS = 2**20
MOST_TILES = 16
MOST_TILES_GPU = 512
BYTES_PER_PIXEL = 1024
"""Of a tile while it is computed, by the widest of the networks; a bound."""
MOST_ENGINES = 8
"""Both kinds of four sizes of tiles. An image smaller than a tile has a size of its own."""
AHEAD = 2
"""Batches read before they are needed, and batches waiting to be written."""


class Predictor:
    """The network of a model, compiled for whatever tiles come.

    Parameters
    ----------
    model : keras.Model
    architecture : str
        See `radiounet.network.architectures.registry.ARCHITECTURES`.
    batch : int, optional
        Tiles per call, however many are left, so that the network always sees one shape
        and the same bytes come out twice. By default as many as make 2^20 pixels on a
        CPU, or all of a smaller image, and on a GPU as many as fit half its memory, halved
        where that was too many.
    precision : {'float32', 'tf32', 'bfloat16'}
    """

    def __init__(
        self,
        model: keras.Model,
        architecture: str,
        batch: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        # a CPU has no TF32: say what is computed
        self.precision = "float32" if precision == "tf32" and not gpus() else precision
        if self.precision != precision:
            logger.warning("no GPU answers: computing in float32, not %s", precision)
        self._model, self._architecture, self._batch = model, architecture, batch
        self._engines: dict[tuple[int, Span], Engine] = {}
        if not gpus():
            logger.info("no GPU answers: computing %s on %s", self.precision, devices())

    def _engine(self, where: Layout, central: bool, batch: int) -> Engine:
        """Engine for cores in the middle of their tiles, or for cores anywhere in them.

        The `MOST_ENGINES` used last are kept: every engine has a copy of the weights.
        """
        margin = where.margin_px
        core = (margin, margin + where.core_px) if central else (0, where.tile_px)
        key = where.tile_px, core
        engine = self._engines.pop(key, None)
        if engine is None or engine.batch != batch:
            too_many = len(self._engines) >= MOST_ENGINES
            if too_many:
                del self._engines[next(iter(self._engines))]
            if too_many or engine:
                engine = None
                gc.collect()  # a graph refers to itself: its memory waits for the collector
            engine = Engine(self._model, self._architecture, where.tile_px, core, batch, self.precision)
        self._engines[key] = engine  # the last of the dict: the first is the one longest unused
        return engine

    def _batch_of(self, tile_px: int, tiles: int) -> int:
        """Tiles per call: on a CPU no more than there are. A GPU takes long to compile another shape."""
        batch = self._batch or default_batch(tile_px)
        return batch if gpus() else min(batch, tiles)

    def cores(
        self, plane: h5py.Dataset | np.ndarray, starts: np.ndarray, where: Layout
    ) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Predict tiles of a plane batch by batch; tiles are read while others are computed.

        Parameters
        ----------
        plane : array-like, ``[y, x]``
            Normalised, and padded to a tile.
        starts : ndarray, ``[tile, 2]``
            See `radiounet.network.tiling.Layout`.

        Yields
        ------
        starts : ndarray, ``[tile, 2]``
            In another order than given: first of cores in the middle of their tiles.
        cores : ndarray of float32, ``[tile, y, x]``
            Or ``[tile, y, x, class]``, see `radiounet.network.engine.Engine`.
        """
        _, inner = where.origins(starts)
        in_middle = (inner == where.margin_px).all(axis=1)
        for central in (True, False):
            chosen = starts[in_middle == central]
            tiles = len(chosen)
            while len(chosen):
                done, batch = 0, self._batch_of(where.tile_px, tiles)
                try:
                    parts = _predicted(self._engine(where, central, batch), plane, chosen, where, central)
                    for some, cores in parts:
                        yield some, cores
                        done += len(some)
                except Exception as error:
                    if not _is_out_of_memory(error) or batch == 1:
                        raise
                    self._batch = batch // 2
                    self._engines.clear()
                    logger.warning(
                        "%d tiles at a time do not fit into memory: using %d from now on", batch, self._batch
                    )
                if not self._engines:
                    gc.collect()  # here, where no error refers to them any more
                chosen = chosen[done:]

    def plane(self, plane: np.ndarray, tile_px: int, core_px: int) -> np.ndarray:
        """Predict a whole plane in memory, in the tiles of mode ``exact``.

        Parameters
        ----------
        plane : ndarray of float32, ``[y, x]``
            Normalised; blank pixels and what lies outside are 0.
        tile_px, core_px : int
            Sides of a tile and of its kept part.

        Returns
        -------
        ndarray of float32, ``[y, x]``
            Probability of diffuse emission.
        """
        where = layout(plane.shape, tile_px, core_px, "exact", ARCHITECTURES[self._architecture].surrounded)
        padded = np.zeros(where.padded, plane.dtype)
        padded[where.place] = plane
        starts, cores = zip(*self.cores(padded, where.starts(), where), strict=True)
        cores = np.concatenate(cores)
        return stitch(cores[..., 0] if cores.ndim == 4 else cores, np.concatenate(starts), where)


def default_batch(tile_px: int) -> int:
    """Tiles per call, by the kind of machine.

    Not by what is free of a GPU's memory: another batch may give other bytes.
    """
    most, pixels = MOST_TILES, BATCH_PIXELS
    if gpus():
        most, pixels = MOST_TILES_GPU, gpu_bytes() // 2 // BYTES_PER_PIXEL
    return max(min(pixels // tile_px**2, most), 1)


def _is_out_of_memory(error: Exception) -> bool:
    kinds = ("ResourceExhaustedError", "OutOfMemoryError", "MemoryError")
    signs = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "ALLOC_FAILED", "to allocate")
    return type(error).__name__ in kinds or any(sign in str(error) for sign in signs)


def _predicted(
    engine: Engine, plane: h5py.Dataset | np.ndarray, starts: np.ndarray, where: Layout, central: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    side, size = where.tile_px, where.core_px

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(starts), engine.batch):
            some = starts[first : first + engine.batch]
            # the last call is filled up with zeros
            tiles = np.zeros((engine.batch, side, side, 1), np.float32)
            for index, (y, x) in enumerate(where.origins(some)[0]):
                tiles[index, ..., 0] = _square(plane, y, x, side)
            yield some, tiles

    for some, tiles in _ahead(read()):
        maps = engine(tiles)[: len(some)]
        if not central:
            inner = where.origins(some)[1]
            maps = np.stack(
                [one[y : y + size, x : x + size] for one, (y, x) in zip(maps, inner, strict=True)]
            )
        yield some, maps


def _square(plane: h5py.Dataset | np.ndarray, y: int, x: int, side: int) -> np.ndarray:
    square = np.s_[y : y + side, x : x + side]
    if isinstance(plane, np.ndarray):
        return plane[square]
    with reading(plane.file.filename):  # or the error would have the name of what is being written
        return plane[square]


def _ahead(items: Iterator) -> Iterator:
    """Take items from an iterator in a thread of its own, `AHEAD` before they are asked for."""
    waiting: queue.Queue = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def fill() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # raised again where the items are taken
            put((None, error))

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stop.set()
        thread.join()


def open_model(
    folder: str | Path, batch: int | None = None, precision: Precision | None = None
) -> tuple[Predictor, ModelCard]:
    """Predictor and card of a model folder; see `radiounet.network.engine.load_model`.

    Without a precision it is that of the card; bfloat16 only where the processor multiplies it, else
    float32.
    """
    model, card = load_model(folder)
    own = card.precision if card.precision != "bfloat16" or multiplies_bfloat16() else "float32"
    return Predictor(model, card.architecture, batch, precision or own), card


def write_cores(
    tiles_path: str | Path, predictor: Predictor, card: ModelCard, cores_path: str | Path
) -> None:
    """Predict every tile that holds data and keep its core.

    Writes data sets ``cores`` (float32, ``[tile, y, x]``), ``starts``, and where the network
    tells classes apart ``classes`` (uint8, ``[class, tile, y, x]``, 255 is a probability of 1;
    those of `radiounet.network.architectures.registry.OTHER_CLASSES`). A few
    batches of tiles are held at a time: one is computed while the next are read
    and the last are written.

    Parameters
    ----------
    tiles_path : path
        From `radiounet.network.tiling.write_tiles`.
    predictor, card
        Of the model the tiles were made for.

    Raises
    ------
    ModelError
        The tiles were normalised for other weights.
    """
    with hdf5_store(tiles_path) as store:
        with reading(tiles_path):
            made_for = store.attrs["model_sha256"]
            where = read_layout(store, card)
            starts = store["starts"][...][store["has_data"][...]]
        if made_for != card.weights.sha256:
            raise ModelError(f"{tiles_path} was made for other weights than those of {card.name}")
        started = time.monotonic()
        with atomic(cores_path) as temporary, h5py.File(temporary, "w") as out:
            out.attrs.update(store.attrs)
            out.attrs["precision"] = predictor.precision
            if threads := cpu_threads():
                out.attrs["threads"] = threads
            kept = np.empty_like(starts)
            shape = (len(starts), where.core_px, where.core_px)
            stores = [out.create_dataset("cores", shape, np.float32)]
            if card.classes:
                stores.append(out.create_dataset("classes", (len(card.classes), *shape), np.uint8))
            # closed, so that nothing reads a file that a failed write has closed
            with closing(predictor.cores(store["plane"], starts, where)) as parts:
                shown = with_bar(parts, "tiles", len(starts), size=lambda part: len(part[0]))
                _write_all(stores, kept, shown)
            out["starts"] = kept
    log_speed(len(starts), time.monotonic() - started)


def _write_all(
    stores: list[h5py.Dataset], kept: np.ndarray, parts: Iterator[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Write cores as they come, in a thread of its own, and note their starts."""

    def write(rows: slice, part: np.ndarray) -> None:
        probability, classes = by_class(part)
        stores[0][rows] = probability
        for store in stores[1:]:
            store[:, rows] = classes

    pending: deque = deque()
    first = 0
    with ThreadPoolExecutor(1) as writer:
        for some, part in parts:
            kept[first : first + len(some)] = some
            pending.append(writer.submit(write, slice(first, first + len(some)), part))
            first += len(some)
            if len(pending) > AHEAD:
                pending.popleft().result()
        for one in pending:
            one.result()


def by_class(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of diffuse emission of some cores, and as bytes that of the other classes.

    Parameters
    ----------
    part : ndarray of float32, ``[tile, y, x]`` or ``[tile, y, x, class]``

    Returns
    -------
    probability : ndarray of float32, ``[tile, y, x]``
    classes : ndarray of uint8, ``[class, tile, y, x]``
        255 is a probability of 1; empty where the network tells no classes apart.
    """
    if part.ndim == 3:
        return part, np.empty((0, *part.shape), np.uint8)
    return part[..., 0], np.rint(255 * np.moveaxis(part[..., 1:], -1, 0)).astype(np.uint8)


def log_speed(tiles: int, seconds: float) -> None:
    """Tell how fast tiles were predicted."""
    logger.info("%d tiles in %.1f s, %.1f tiles/s", tiles, seconds, tiles / seconds)
