"""The Keras networks.

`published_unet` is the network of Stuardi et al. (2024) layer by layer, as
read from its saved graph; `lotss_unet` is ours. Both map tiles
``[tile, y, x, 1]`` to softmax ``[tile, y, x, 2]``; channel 1 is the probability
of diffuse emission. `class_unet` gives logits of several classes instead.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from radiounet.errors import ModelError
from radiounet.images.writing import atomic
from radiounet.network.model_cards import OTHER_CLASSES, Card, read_card, read_named_weights, tile_step

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


def class_unet(tile_px: int, widths: Sequence[int], classes: int = 1 + len(OTHER_CLASSES)) -> keras.Model:
    """Residual U-Net whose outputs are logits of classes that may overlap.

    The input is `radiounet.images.background.normalise`. The first convolution has stride 2, so that
    the finest level has 2 px (9"), half a beam; the bottom of five levels has 32 px. Every
    level is a residual block (He et al. 2016) of two 3x3 convolutions. The coarser levels
    also get the mean of ``I / noise``, clipped at `CLIP_SIGMA`, as in `lotss_unet`.

    Parameters
    ----------
    tile_px : int
        Side of a tile, a multiple of ``2 ** len(widths)``.
    widths : sequence of int
        Filters per level, the first at half the resolution.
    classes : int
        Outputs, diffuse first: by default `radiounet.network.model_cards.OTHER_CLASSES` follow.

    Returns
    -------
    keras.Model
        ``[tile, y, x, 1]`` to logits ``[tile, y, x, class]``, float32. Layers with weights
        have names, by which other frameworks can hold the same weights.
    """
    check_tile(tile_px, tile_step("class_unet", len(widths)))
    inputs = keras.Input((tile_px, tile_px, 1))
    limit = float(np.arcsinh(CLIP_SIGMA))
    faint = ops.sinh(ops.clip(ops.cast(inputs, "float32"), -limit, limit))
    faint = layers.AveragePooling2D(2, dtype="float32")(faint)
    x = _normalised(inputs, widths[0], 5, "stem", strides=2)
    x = layers.ReLU()(x)
    skips = []
    for level, width in enumerate(widths):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
            faint = layers.AveragePooling2D(2, dtype="float32")(faint)
            x = layers.Concatenate()([x, faint])
        x = _residual(x, width, f"down{level}")
    for level in reversed(range(len(widths) - 1)):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skips[level]])
        x = _residual(x, widths[level], f"up{level}")
    logits = layers.Conv2D(classes, 1, padding="same", dtype="float32", name="logits")(x)
    logits = layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(logits)
    return keras.Model(inputs, logits, name="class_unet")


def _normalised(x, width: int, size: int, name: str, strides: int = 1):
    x = layers.Conv2D(width, size, strides=strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _residual(x, width: int, name: str):
    short = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_short")(x)
    x = layers.ReLU()(_normalised(x, width, 3, f"{name}_1"))
    x = _normalised(x, width, 3, f"{name}_2")
    return layers.ReLU()(layers.Add()([x, short]))


def named_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """All weights of a network, as ``layer/weight``: kernels are ``[y, x, in, out]``."""
    return {
        f"{layer.name}/{weight.name}": ops.convert_to_numpy(weight)
        for layer in model.layers
        for weight in layer.weights
    }


def set_named_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give a network the weights of `named_weights`.

    Raises
    ------
    ModelError
        Names or shapes that are not those of the network.
    """
    own = {f"{layer.name}/{weight.name}": weight for layer in model.layers for weight in layer.weights}
    if set(own) != set(weights):
        raise ModelError(f"weights of another network: {sorted(set(own) ^ set(weights))[:4]} differ")
    for name, variable in own.items():
        if tuple(variable.shape) != weights[name].shape:
            raise ModelError(f"{name} has shape {weights[name].shape}, the network {tuple(variable.shape)}")
        variable.assign(weights[name].astype(np.float32))


def check_tile(tile_px: int, step: int) -> None:
    """Raise `ModelError` unless a tile is a multiple of what a network's levels need."""
    if tile_px % step:
        raise ModelError(f"a tile of {tile_px} px is not a multiple of {step} px, as its levels need")


ARCHITECTURES = {"published_unet": published_unet, "lotss_unet": lotss_unet, "class_unet": class_unet}


def load_model(folder: str | Path) -> tuple[keras.Model, Card]:
    """Build the network of a model folder and load its verified weights.

    Raises
    ------
    ModelError
        Card or weights missing, altered, or of another shape than the card says; weights
        that are no numbers.
    """
    card = read_card(folder)
    model = ARCHITECTURES[card.architecture](card.tile_px, card.widths)
    if card.weights.file.endswith(".npz"):
        set_named_weights(model, read_named_weights(Path(folder) / card.weights.file))
    else:
        _load_weights(model, card, folder)
    if bad := [one.path for one in model.weights if not np.isfinite(one.numpy()).all()]:
        raise ModelError(f"weights of {folder} are not finite, such as {bad[0]}: its training went astray")
    return model, card


def _load_weights(model: keras.Model, card: Card, folder: str | Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers it could not fill
            model.load_weights(Path(folder) / card.weights.file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ModelError(
            f"the weights of {folder} do not fit {card.architecture} with widths {list(card.widths)}: {error}"
        ) from error


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights of a model; `path` ends in ``.weights.h5``."""
    with atomic(path) as temporary:
        # Keras insists on the double suffix, which the temporary name lacks
        renamed = temporary.with_name(temporary.name + ".weights.h5")
        model.save_weights(renamed)
        renamed.replace(temporary)
