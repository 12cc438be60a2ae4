"""The Keras networks.

`published_unet` is the network of Stuardi et al. (2024) layer by layer, as
read from its saved graph; `lotss_unet` is ours. Both map tiles
``[tile, y, x, 1]`` to softmax ``[tile, y, x, 2]``; channel 1 is the probability
of diffuse emission.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from radiounet.cards import Card, read_card, tile_step
from radiounet.errors import ModelError
from radiounet.products import atomic

PUBLISHED_WIDTHS = (32, 64, 128, 256, 512)
DROPOUT = 0.5
CLIP_SIGMA = 3.0


def published_unet(tile_px: int, widths: Sequence[int] = PUBLISHED_WIDTHS) -> keras.Model:
    """Radio U-Net as published: residual blocks, no encoder-decoder skip connections.

    Layers are created in the order of the published graph, so the n-th layer
    with weights here is ``layer_with_weights-n`` there.

    Parameters
    ----------
    tile_px : int
        Side of a tile, a multiple of ``2 ** len(widths)``.
    widths : sequence of int
        Filters per level; the published network has `PUBLISHED_WIDTHS`.

    Returns
    -------
    keras.Model
        ``[tile, y, x, 1]`` to ``[tile, y, x, 2]``, float32.
    """
    check_tile(tile_px, tile_step("published_unet", len(widths)))
    inputs = keras.Input((tile_px, tile_px, 1))
    x = layers.Conv2D(widths[0], 3, strides=2, padding="same", activation="relu")(inputs)
    previous = x = layers.BatchNormalization()(x)
    for width in widths[1:]:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.Dropout(DROPOUT)(x)
        residual = layers.Conv2D(width, 1, strides=2, padding="same")(previous)
        previous = x = layers.Add()([x, residual])
    for width in reversed(widths):
        for _ in range(2):
            x = layers.Conv2DTranspose(width, 3, padding="same", activation="relu")(x)
            x = layers.BatchNormalization()(x)
        residual = layers.UpSampling2D(2)(previous)
        x = layers.UpSampling2D(2)(x)
        residual = layers.Conv2D(width, 1, padding="same")(residual)
        previous = x = layers.Add()([x, residual])
    # in float32 also where the rest is trained in half precision
    outputs = layers.Conv2D(2, 1, padding="same", activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="published_unet")


def lotss_unet(tile_px: int, widths: Sequence[int]) -> keras.Model:
    """U-Net with encoder-decoder skip connections (Ronneberger et al. 2015) and a faint-light pyramid.

    The input is ``asinh(I / sigma)``. Emission far below the noise of one beam shows
    in averages over many, so the coarser levels also get the mean of ``I / sigma``,
    clipped at `CLIP_SIGMA` to keep point sources from ruling it, over their own pixel.
    Two convolutions of stride 2 lead to the finest level of 4 px (18"), about the
    beam; the two logits are brought back to full resolution bilinearly.

    Parameters
    ----------
    tile_px : int
        Side of a tile, a multiple of ``2 ** (len(widths) + 1)``.
    widths : sequence of int
        Filters per level, the first at a quarter of the resolution.

    Returns
    -------
    keras.Model
        ``[tile, y, x, 1]`` to ``[tile, y, x, 2]``, float32.
    """
    check_tile(tile_px, tile_step("lotss_unet", len(widths)))
    inputs = keras.Input((tile_px, tile_px, 1))
    limit = float(np.arcsinh(CLIP_SIGMA))
    faint = ops.sinh(ops.clip(ops.cast(inputs, "float32"), -limit, limit))
    faint = layers.AveragePooling2D(4, dtype="float32")(faint)
    x = layers.Conv2D(widths[0] // 2, 5, strides=2, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(widths[0], 3, strides=2, padding="same", activation="relu")(x)
    skips = []
    for level, width in enumerate(widths):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
            faint = layers.AveragePooling2D(2, dtype="float32")(faint)
            x = layers.Concatenate()([x, faint])
        x = _convolve_twice(x, width)
    for width, skip in zip(reversed(widths[:-1]), reversed(skips), strict=True):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skip])
        x = _convolve_twice(x, width)
    logits = layers.Conv2D(2, 1, padding="same", dtype="float32")(x)
    logits = layers.UpSampling2D(4, interpolation="bilinear", dtype="float32")(logits)
    outputs = layers.Softmax(dtype="float32")(logits)
    return keras.Model(inputs, outputs, name="lotss_unet")


def _convolve_twice(x, width: int):
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return x


def check_tile(tile_px: int, step: int) -> None:
    """Raise `ModelError` unless a tile is a multiple of what a network's levels need."""
    if tile_px % step:
        raise ModelError(f"a tile of {tile_px} px is not a multiple of {step} px, as its levels need")


ARCHITECTURES = {"published_unet": published_unet, "lotss_unet": lotss_unet}


def load_model(folder: str | Path) -> tuple[keras.Model, Card]:
    """Build the network of a model folder and load its verified weights.

    Raises
    ------
    ModelError
        Card or weights missing, altered, or of another shape than the card says.
    """
    card = read_card(folder)
    model = ARCHITECTURES[card.architecture](card.tile_px, card.widths)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers it could not fill
            model.load_weights(Path(folder) / card.weights.file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ModelError(
            f"the weights of {folder} do not fit {card.architecture} with widths {list(card.widths)}: {error}"
        ) from error
    return model, card


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights of a model; `path` ends in ``.weights.h5``."""
    with atomic(path) as temporary:
        # Keras insists on the double suffix, which the temporary name lacks
        renamed = temporary.with_name(temporary.name + ".weights.h5")
        model.save_weights(renamed)
        renamed.replace(temporary)
