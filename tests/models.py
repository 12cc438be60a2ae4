"""Small models for tests: real architectures, few filters, random weights."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from radiounet.images.provenance import sha256_of
from radiounet.network.model_cards import ModelCard

CARD = {
    "name": "tiny",
    "architecture": "lotss_unet",
    "widths": [4, 8],
    "tile_px": 64,
    "core_px": 32,
    "normalisation": {"kind": "asinh_snr"},
    "unit": "Jy/beam",
    "beam_arcsec": 20.0,
    "pixel_arcsec": 4.5,
    "threshold": 0.5,
    "training": {},
    "metrics": {},
    "weights": {"file": "network.weights.h5", "sha256": "0" * 64},
    "licence": "BSD-3-Clause",
    "citation": "none",
}


def tiny_card(**changes) -> ModelCard:
    return ModelCard.model_validate(CARD | changes)


@cache
def _weights(seed: int, architecture: str, tile_px: int, widths: tuple[int, ...]) -> bytes:
    import keras
    import numpy as np

    from radiounet.network.architectures.graphs import graphs_of

    keras.utils.set_random_seed(seed)
    network = graphs_of(architecture).build(tile_px, widths)
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        network.save_weights(path)
        return path.read_bytes()


def write_tiny_model(folder: Path, seed: int = 1, **changes) -> ModelCard:
    """Write a model folder with random weights and BatchNorm statistics."""
    card = CARD | changes
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "network.weights.h5"
    weights.write_bytes(_weights(seed, card["architecture"], card["tile_px"], tuple(card["widths"])))
    card["weights"] = {"file": weights.name, "sha256": sha256_of(weights)}
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    return ModelCard.model_validate(card)


def randomise(model, tiles, zero_scale: bool = False) -> None:
    """Random weights and statistics, and a head that finds either class in these tiles.

    With `zero_scale`, one channel of every normalisation has the scale 0.
    """
    import keras
    import numpy as np

    rng = np.random.default_rng(7)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif variable.name == "kernel":
            value = rng.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[:2]) / min(shape[2:]))
        else:
            value = 0.2 * rng.standard_normal(shape)
        if zero_scale and variable.name == "gamma":
            value[0] = 0
        variable.assign(value)
    head = [layer for layer in model.layers if layer.weights][-1]
    features = np.asarray(keras.Model(model.input, head.input)(tiles))
    kernel, bias = head.get_weights()
    mean = features.mean(axis=(0, 1, 2))
    kernel = 2 * kernel / ((features - mean) @ kernel[0, 0]).std()
    head.set_weights([kernel, bias - mean @ kernel[0, 0]])
