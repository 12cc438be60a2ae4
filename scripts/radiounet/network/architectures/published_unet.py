"""The network of Stuardi et al. (2024) layer by layer, as read from its saved graph."""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from radiounet.network.architectures.keras_network import keras_graphs
from radiounet.network.architectures.layers import Steps, doubled, needed, part, weights_of
from radiounet.network.architectures.registry import ARCHITECTURES, Span

PUBLISHED_WIDTHS = (32, 64, 128, 256, 512)
DROPOUT = 0.5


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
    ARCHITECTURES["published_unet"].check_tile(tile_px, len(widths))
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


def inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `published_unet`.

    Parameters
    ----------
    model : keras.Model
        With its weights; not changed.
    tile_px : int
        Side of a tile, which may be another than the model's own.
    core : (int, int)
        Rows and columns of the tile that are kept.
    dtype : str
        Of all but the softmax.

    Returns
    -------
    callable
        Tiles ``[tile, y, x, 1]`` to the probability of their cores, ``[tile, y, x]`` float32.
    """
    run = Steps(dtype)
    convolutions = [layer for layer in model.layers if layer.weights and layer.weights[0].name == "kernel"]
    levels = (len(convolutions) - 2) // 6 + 1
    ARCHITECTURES["published_unet"].check_tile(tile_px, levels)
    stack = [weights_of(layer) for layer in model.layers if layer.weights]
    first, encoder, decoder, head = _grouped(stack, levels)
    spans = needed(core, tile_px, levels, halo=2)

    def forward(tiles):
        (kernel, bias), norm = first
        x = ops.relu(run.convolve(ops.cast(tiles, dtype), kernel, bias, strides=2))
        previous = x = run.mapped(x, norm)
        for block, residual in encoder:
            x = _two_convolutions(run, x, block)
            x = ops.max_pool(x, 2, strides=2, padding="same")
            previous = x = ops.add(x, run.convolve(previous, *residual, strides=2))
        side = tile_px >> levels
        have = (0, side)
        for number, (block, residual) in enumerate(decoder):
            want = spans[number]
            x = _two_convolutions(run, x, block, have, want, side << number)
            x = ops.add(x, run.convolve(part(previous, have, want), *residual))
            if number < levels - 1:
                previous = x = doubled(x)
                have = 2 * want[0], 2 * want[1]
        # softmax commutes with the last upsampling as well
        probability = ops.softmax(ops.cast(run.convolve(x, *head), "float32"))[..., 1:]
        want = spans[-1]
        return part(doubled(probability), (2 * want[0], 2 * want[1]), core)[..., 0]

    return forward


def _two_convolutions(
    run: Steps, x, block, have: Span | None = None, want: Span | None = None, full: int = 0
):
    """Two of (convolution, ReLU, normalisation); of a part of a plane where `want` is given."""
    ((kernel, bias), norm), (second, last) = block
    middle = None  # where the whole plane is wanted
    if want is not None and want != (0, full):
        middle = max(want[0] - 1, 0), min(want[1] + 1, full)

    def step(x, kernel, bias, have, want):
        return (
            run.convolve(x, kernel, bias)
            if want is None
            else run.convolve_part(x, have, want, full, kernel, bias)
        )

    if middle is not None and middle != (0, full):
        x = ops.relu(step(x, kernel, bias, have, middle))
        second = norm.before(*second)
    elif norm.divisible:
        x = ops.maximum(step(x, kernel, bias + norm.floor, have, middle), run.constant(norm.floor))
        second = second[0] * norm.scale[:, None], second[1]
    else:
        x = run.mapped(ops.relu(step(x, kernel, bias, have, middle)), norm)
    kernel, bias = second
    x = ops.relu(step(x, kernel, bias, middle, None if middle is None else want))
    return run.mapped(x, last)


def _grouped(stack: Sequence, levels: int):
    """Weights in the order of creation as first layer, encoder, decoder, head.

    A block is convolution, normalisation, convolution, normalisation, residual.
    """
    first, rest = (stack[0], stack[1]), stack[2:-1]
    blocks = [rest[n : n + 5] for n in range(0, len(rest), 5)]
    blocks = [(((b[0], b[1]), (b[2], b[3])), b[4]) for b in blocks]
    return first, blocks[: levels - 1], blocks[levels - 1 :], stack[-1]


GRAPHS = keras_graphs(published_unet, inference)
