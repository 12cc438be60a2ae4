"""Our network of two classes: a U-Net with skip connections and a pyramid of faint light."""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from radiounet.network.architectures.keras_network import keras_graphs
from radiounet.network.architectures.layers import Steps, clipped_snr, doubled, encode, part, weights_of
from radiounet.network.architectures.registry import ARCHITECTURES, Span

PREFIX = "faint_"
"""Of the names of its layers, which tell them from those of another network in one graph."""


def lotss_unet(tile_px: int, widths: Sequence[int]) -> keras.Model:
    """U-Net with encoder-decoder skip connections (Ronneberger et al. 2015) and a faint-light pyramid.

    The input is ``asinh(I / rms)``. The coarser levels also get
    the mean of ``I / rms`` over their own pixel, see `layers.clipped_snr`.
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
    ARCHITECTURES["lotss_unet"].check_tile(tile_px, len(widths))
    inputs = keras.Input((tile_px, tile_px, 1))
    outputs = layers.Softmax(dtype="float32")(logits_of(inputs, widths))
    return keras.Model(inputs, outputs, name="lotss_unet")


def logits_of(inputs, widths: Sequence[int]):
    """Logits of no emission and of diffuse emission, ``[tile, y, x, 2]``; layers have names in `PREFIX`."""
    faint = clipped_snr(inputs)
    faint = layers.AveragePooling2D(4, dtype="float32")(faint)
    x = inputs
    for number, (width, size) in enumerate(((widths[0] // 2, 5), (widths[0], 3))):
        name = f"{PREFIX}stem{number}"
        x = layers.Conv2D(width, size, strides=2, padding="same", activation="relu", name=name)(x)
    x, skips = encode(x, faint, widths, lambda x, width, level: _convolve_twice(x, width, f"down{level}"))
    for level in reversed(range(len(widths) - 1)):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skips[level]])
        x = _convolve_twice(x, widths[level], f"up{level}")
    logits = layers.Conv2D(2, 1, padding="same", dtype="float32", name=f"{PREFIX}logits")(x)
    return layers.UpSampling2D(4, interpolation="bilinear", dtype="float32")(logits)


def _convolve_twice(x, width: int, block: str):
    for number in range(2):
        name = f"{PREFIX}{block}_{number}"
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        x = layers.ReLU()(x)
    return x


def inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `lotss_unet`; see `published_unet.inference`."""
    logits = logits_inference(model, tile_px, core, dtype)
    return lambda tiles: ops.softmax(logits(tiles))[..., 1]


def logits_inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to the logits of cores, of the layers of a network whose names have `PREFIX`."""
    run = Steps(dtype)
    mine = (layer for layer in model.layers if layer.name.startswith(PREFIX))
    stack = [weights_of(layer) for layer in mine if layer.weights]
    stem, head = stack[:2], stack[-1]
    pairs = list(zip(stack[2:-1:2], stack[3:-1:2], strict=True))
    folded = [norm.after(*weights) for weights, norm in pairs]
    blocks = [folded[n : n + 2] for n in range(0, len(folded), 2)]
    levels = (len(blocks) + 1) // 2
    ARCHITECTURES["lotss_unet"].check_tile(tile_px, levels)
    # bilinear upsampling by four reaches one pixel of its input to either side
    low, high = core[0] // 4 - 1, -(-core[1] // 4) + 1
    finest = max(low, 0), min(high, tile_px // 4)
    spans = [finest]
    for level in range(1, levels - 1):
        low, high = max(spans[-1][0] - 2, 0), min(spans[-1][1] + 2, tile_px >> (level + 1))
        spans.append((low // 2, -(-high // 2)))

    def block_of(x, weights, have=None, want=None, full=0):
        for number, one in enumerate(weights):
            if want is None:
                x = ops.relu(run.convolve(x, *one))
                continue
            grown = 1 - number
            goal = max(want[0] - grown, 0), min(want[1] + grown, full)
            x = ops.relu(run.convolve_part(x, have, goal, full, *one))
            have = goal
        return x

    def forward(tiles):
        faint = clipped_snr(tiles)
        faint = ops.average_pool(faint, 4, strides=4)
        x = ops.cast(tiles, dtype)
        for weights in stem:
            x = ops.relu(run.convolve(x, *weights, strides=2))
        skips = []
        for level in range(levels):
            if level:
                skips.append(x)
                x, faint = ops.max_pool(x, 2, strides=2), ops.average_pool(faint, 2, strides=2)
                x = ops.concatenate([x, ops.cast(faint, dtype)], axis=-1)
            x = block_of(x, blocks[level])
        have = (0, tile_px >> (levels + 1))
        for number, level in enumerate(reversed(range(levels - 1))):
            full, want = tile_px >> (level + 2), spans[level]
            have = 2 * have[0], 2 * have[1]
            inner = max(want[0] - 2, 0), min(want[1] + 2, full)
            x = ops.concatenate(
                [part(doubled(x), have, inner), part(skips[level], (0, full), inner)], axis=-1
            )
            x = block_of(x, blocks[levels + number], inner, want, full)
            have = want
        logits = ops.cast(run.convolve(x, *head), "float32")
        side = 4 * (have[1] - have[0])
        logits = ops.image.resize(logits, (side, side), interpolation="bilinear")
        return part(logits, (4 * have[0], 4 * have[1]), core)

    return forward


GRAPHS = keras_graphs(lotss_unet, inference)
