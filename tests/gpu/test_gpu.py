"""The same network on GPU and CPU; run on a machine with an NVIDIA GPU."""

import keras
import numpy as np
import pytest

from radiounet.cards import MODELS
from radiounet.inference import devices
from radiounet.network import load_model


@pytest.mark.gpu
@pytest.mark.skipif(devices().endswith("CPU threads"), reason="no GPU answers")
def test_gpu_and_cpu_agree():
    model, card = load_model(MODELS / "lotss-unet")
    tiles = np.random.default_rng(1).standard_normal((4, card.tile_px, card.tile_px, 1)).astype(np.float32)
    on_gpu = model.predict_on_batch(tiles)
    with keras.device("cpu:0"):
        on_cpu = np.asarray(model(tiles, training=False))
    assert np.abs(on_gpu - on_cpu).max() <= 1e-3
    threshold = card.threshold
    assert ((on_gpu >= threshold) != (on_cpu >= threshold)).mean() < 1e-3
