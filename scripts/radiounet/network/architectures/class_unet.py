"""Our network of several classes, which may overlap: a residual U-Net with a pyramid of faint light."""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from radiounet.network.architectures.keras_network import keras_graphs
from radiounet.network.architectures.layers import (
    Affine,
    Steps,
    clipped_snr,
    doubled,
    encode,
    part,
    weights_of,
)
from radiounet.network.architectures.registry import ARCHITECTURES, OTHER_CLASSES, Span


def class_unet(tile_px: int, widths: Sequence[int]) -> keras.Model:
    """Residual U-Net whose outputs are logits of classes that may overlap.

    The input is `radiounet.images.background.normalise`. The first convolution has stride 2, so that
    the finest level has 2 px (9"), half a beam; the bottom of six levels has 64 px. Every
    level is a residual block (He et al. 2016) of two 3x3 convolutions. The coarser levels
    also get the mean of ``I / noise``, clipped as in `lotss_unet`.

    Parameters
    ----------
    tile_px : int
        Side of a tile, a multiple of ``2 ** len(widths)``.
    widths : sequence of int
        Filters per level, the first at half the resolution.

    Returns
    -------
    keras.Model
        ``[tile, y, x, 1]`` to logits ``[tile, y, x, class]``, float32: diffuse emission, then
        `OTHER_CLASSES`. Layers with weights have names, by which other frameworks can hold the
        same weights.
    """
    ARCHITECTURES["class_unet"].check_tile(tile_px, len(widths))
    inputs = keras.Input((tile_px, tile_px, 1))
    return keras.Model(inputs, logits_of(inputs, widths), name="class_unet")


def logits_of(inputs, widths: Sequence[int]):
    """Logits of `class_unet`, ``[tile, y, x, class]``."""
    faint = clipped_snr(inputs)
    faint = layers.AveragePooling2D(2, dtype="float32")(faint)
    x = _normalised(inputs, widths[0], 5, "stem", strides=2)
    x = layers.ReLU()(x)
    x, skips = encode(x, faint, widths, lambda x, width, level: _residual(x, width, f"down{level}"))
    for level in reversed(range(len(widths) - 1)):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skips[level]])
        x = _residual(x, widths[level], f"up{level}")
    logits = layers.Conv2D(1 + len(OTHER_CLASSES), 1, padding="same", dtype="float32", name="logits")(x)
    return layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(logits)


def _normalised(x, width: int, size: int, name: str, strides: int = 1):
    x = layers.Conv2D(width, size, strides=strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _residual(x, width: int, name: str):
    short = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_short")(x)
    x = layers.ReLU()(_normalised(x, width, 3, f"{name}_1"))
    x = _normalised(x, width, 3, f"{name}_2")
    return layers.ReLU()(layers.Add()([x, short]))


def inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `class_unet`; see `published_unet.inference`.

    The probabilities that it gives are ``[tile, y, x, class]``.
    """
    logits = logits_inference(model, tile_px, core, dtype)
    return lambda tiles: ops.sigmoid(logits(tiles))


def logits_inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to the logits of cores, of the layers of `class_unet` in a network."""
    run = Steps(dtype)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    levels = sum(name.startswith("down") and name.endswith("_short") for name in layers)
    ARCHITECTURES["class_unet"].check_tile(tile_px, levels)

    def folded(name: str):
        return Affine.of(layers[f"{name}_norm"]).after(*weights_of(layers[f"{name}_conv"]))

    def block_weights(name: str):
        return folded(f"{name}_1"), folded(f"{name}_2"), weights_of(layers[f"{name}_short"])

    stem, head = folded("stem"), weights_of(layers["logits"])
    down = [block_weights(f"down{level}") for level in range(levels)]
    up = [block_weights(f"up{level}") for level in range(levels - 1)]
    # bilinear upsampling by two reaches one pixel of its input to either side
    spans = [(max(core[0] // 2 - 1, 0), min(-(-core[1] // 2) + 1, tile_px // 2))]
    for level in range(1, levels - 1):
        side = tile_px >> level
        low, high = max(spans[-1][0] - 2, 0), min(spans[-1][1] + 2, side)
        spans.append((low // 2, -(-high // 2)))

    def block_of(x, weights, have: Span, want: Span, full: int):
        first, second, short = weights
        middle = max(want[0] - 1, 0), min(want[1] + 1, full)
        y = ops.relu(run.convolve_part(x, have, middle, full, *first))
        y = run.convolve_part(y, middle, want, full, *second)
        return ops.relu(ops.add(y, run.convolve(part(x, have, want), *short)))

    def forward(tiles):
        faint = clipped_snr(tiles)
        faint = ops.average_pool(faint, 2, strides=2)
        x = ops.relu(run.convolve(ops.cast(tiles, dtype), *stem, strides=2))
        skips = []
        for level in range(levels):
            if level:
                skips.append(x)
                x, faint = ops.max_pool(x, 2, strides=2), ops.average_pool(faint, 2, strides=2)
                x = ops.concatenate([x, ops.cast(faint, dtype)], axis=-1)
            side = tile_px >> (level + 1)
            x = block_of(x, down[level], (0, side), (0, side), side)
        have = (0, tile_px >> levels)
        for level in reversed(range(levels - 1)):
            full, want = tile_px >> (level + 1), spans[level]
            have = 2 * have[0], 2 * have[1]
            inner = max(want[0] - 2, 0), min(want[1] + 2, full)
            x = [part(doubled(x), have, inner), part(skips[level], (0, full), inner)]
            x = block_of(ops.concatenate(x, axis=-1), up[level], inner, want, full)
            have = want
        logits = ops.cast(run.convolve(x, *head), "float32")
        side = 2 * (have[1] - have[0])
        logits = ops.image.resize(logits, (side, side), interpolation="bilinear")
        return part(logits, (2 * have[0], 2 * have[1]), core)

    return forward


GRAPHS = keras_graphs(class_unet, inference)
