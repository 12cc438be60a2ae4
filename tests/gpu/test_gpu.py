"""The same network on GPU and CPU; run on a machine with an NVIDIA GPU."""

import keras
import numpy as np
import pytest

from radiounet.network.devices import gpus
from radiounet.network.engine import Engine, load_model
from radiounet.network.inference import default_batch
from radiounet.network.model_cards import MODELS

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not gpus(), reason="no GPU answers")]


@pytest.fixture(scope="module")
def case():
    model, card = load_model(MODELS / "lotss-unet")
    tiles = np.random.default_rng(1).standard_normal((4, card.tile_px, card.tile_px, 1)).astype(np.float32)
    return model, card, tiles


def test_gpu_and_cpu_agree(case):
    model, card, tiles = case
    on_gpu = Engine(model, card.architecture, card.tile_px, (0, card.tile_px), len(tiles))(tiles)
    with keras.device("cpu:0"):
        on_cpu = np.asarray(model(tiles, training=False))[..., 1]
    assert np.abs(on_gpu - on_cpu).max() <= 1e-3
    threshold = card.threshold
    assert ((on_gpu >= threshold) != (on_cpu >= threshold)).mean() < 1e-3


def test_the_same_bytes_twice(case):
    model, card, tiles = case
    sides = card.architecture, card.tile_px, (card.margin_px, card.margin_px + card.core_px), len(tiles)
    first, second = (Engine(model, *sides)(tiles) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_batch_fits_the_memory(case):
    model, card, _ = case
    batch = default_batch(card.tile_px)
    assert batch > 4
    tiles = np.zeros((batch, card.tile_px, card.tile_px, 1), np.float32)
    assert Engine(model, card.architecture, card.tile_px, (0, card.tile_px), batch)(tiles).shape[0] == batch
