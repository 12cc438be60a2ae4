"""From tiles to cores with the Keras network."""

import logging
import time
from pathlib import Path

import h5py
import keras
import numpy as np

from radiounet.errors import ModelError
from radiounet.network import load_model
from radiounet.products import atomic
from radiounet.tiling import read_layout

logger = logging.getLogger(__name__)


def use_threads(count: int) -> None:
    """Bound the CPU threads of the TensorFlow backend; call before any computation."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def write_cores(tiles_path: str | Path, model_folder: str | Path, cores_path: str | Path, batch: int) -> None:
    """Predict every tile that holds data and keep its core.

    Writes data sets ``cores`` (float32, ``[tile, y, x]``) and ``origins``. One
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
        origins = store["origins"][...][store["has_data"][...]]
        started = time.monotonic()
        with atomic(cores_path) as temporary, h5py.File(temporary, "w") as out:
            out.attrs.update(store.attrs)
            out.attrs["precision"] = "float32"
            out["origins"] = origins
            cores = out.create_dataset("cores", (len(origins), card.core_px, card.core_px), np.float32)
            for first in range(0, len(origins), batch):
                chosen = origins[first : first + batch]
                cores[first : first + len(chosen)] = _predict(model, store["plane"], chosen, where, batch)
    seconds = time.monotonic() - started
    logger.info("%d tiles in %.1f s, %.1f tiles/s", len(origins), seconds, len(origins) / seconds)


def _predict(model: keras.Model, plane: h5py.Dataset, origins: np.ndarray, where, batch: int) -> np.ndarray:
    tiles = np.zeros((batch, where.tile_px, where.tile_px, 1), np.float32)
    for index, (y, x) in enumerate(origins):
        tiles[index, ..., 0] = plane[y : y + where.tile_px, x : x + where.tile_px]
    inner = slice(where.margin_px, where.margin_px + where.core_px)
    return model.predict_on_batch(tiles)[: len(origins), inner, inner, 1]
