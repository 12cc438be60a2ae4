"""From tiles to cores with the Keras network."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from radiounet.errors import ModelError
from radiounet.network import load_model
from radiounet.products import atomic
from radiounet.tiling import Layout, layout, read_layout, stitch

logger = logging.getLogger(__name__)

BATCH_PIXELS = 2**20  # 16 tiles of 256 px, which fit in a small machine's memory
MOST_TILES = 16


def use_threads(count: int) -> None:
    """Bound the CPU threads of the TensorFlow backend; call before any computation."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def devices() -> str:
    """What the backend computes on: names of its GPUs, or the number of CPU threads."""
    backend = keras.backend.backend()
    threads, names = 0, []
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        names = [tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in found]
        threads = tf.config.threading.get_intra_op_parallelism_threads()
    elif backend == "jax":
        import jax

        names = [one.device_kind for one in jax.devices() if one.platform != "cpu"]
    elif backend == "torch":
        import torch

        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        threads = torch.get_num_threads()
    return ", ".join(names) or f"{threads or len(os.sched_getaffinity(0))} CPU threads"


def write_cores(tiles_path: str | Path, model_folder: str | Path, cores_path: str | Path, batch: int) -> None:
    """Predict every tile that holds data and keep its core.

    Writes data sets ``cores`` (float32, ``[tile, y, x]``) and ``starts``. One
    batch of tiles is held at a time.

    Parameters
    ----------
    tiles_path : path
        From `radiounet.tiling.write_tiles`.
    model_folder : path
        Must be the model the tiles were made for.
    batch : int
        Tiles per call; the last call is filled up, so that the network always
        sees one shape and the same bytes come out twice.

    Raises
    ------
    ModelError
        The tiles were normalised for other weights.
    """
    model, card = load_model(model_folder)
    with h5py.File(tiles_path, "r") as store:
        if store.attrs["model_sha256"] != card.weights.sha256:
            raise ModelError(f"{tiles_path} was made for other weights than those of {model_folder}")
        where = read_layout(store, card)
        starts = store["starts"][...][store["has_data"][...]]
        started = time.monotonic()
        with atomic(cores_path) as temporary, h5py.File(temporary, "w") as out:
            out.attrs.update(store.attrs)
            out.attrs["precision"] = "float32"
            out["starts"] = starts
            cores = out.create_dataset("cores", (len(starts), card.core_px, card.core_px), np.float32)
            first = 0
            for part in predict_cores(model, store["plane"], starts, where, batch):
                cores[first : first + len(part)] = part
                first += len(part)
    seconds = time.monotonic() - started
    logger.info("%d tiles in %.1f s, %.1f tiles/s", len(starts), seconds, len(starts) / seconds)


def predict_cores(
    model: keras.Model, plane: h5py.Dataset | np.ndarray, starts: np.ndarray, where: Layout, batch: int
) -> Iterator[np.ndarray]:
    """Predict tiles of a plane batch by batch.

    Parameters
    ----------
    plane : array-like, ``[y, x]``
        Normalised, and padded to a tile.
    starts : ndarray, ``[tile, 2]``
        See `radiounet.tiling.Layout`.
    batch : int
        Every call of the network has this many tiles, the last one filled up with zeros.

    Yields
    ------
    ndarray of float32, ``[tile, y, x]``
        Cores, in the order of `starts`.
    """
    size, side = where.core_px, where.tile_px
    tiles = np.zeros((batch, side, side, 1), np.float32)
    for first in range(0, len(starts), batch):
        origins, inner = where.origins(starts[first : first + batch])
        for index, (y, x) in enumerate(origins):
            tiles[index, ..., 0] = plane[y : y + side, x : x + side]
        tiles[len(origins) :] = 0
        maps = model.predict_on_batch(tiles)[..., 1]
        yield np.stack([one[y : y + size, x : x + size] for one, (y, x) in zip(maps, inner, strict=False)])


def predict_plane(model: keras.Model, plane: np.ndarray, tile_px: int, core_px: int) -> np.ndarray:
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
    where = layout(plane.shape, tile_px, core_px, "exact")
    sides = zip(where.padded, plane.shape, strict=True)
    padded = np.pad(plane, [(0, total - side) for total, side in sides])
    batch = max(min(BATCH_PIXELS // tile_px**2, MOST_TILES), 1)
    starts = where.starts()
    return stitch(np.concatenate([*predict_cores(model, padded, starts, where, batch)]), starts, where)
