"""The networks of `radiounet.network.architectures` for inference only: same weights and results, less work.

What is changed, each step exact but for rounding: a transposed convolution of stride 1
is a convolution with its kernel turned; a 1x1 convolution commutes with nearest-neighbour
upsampling; batch normalisation is an affine map, which folds into the convolution before
it, or into one after it that pads nothing, or into the ReLU before it and any convolution
after it; and in the decoder only what the kept core depends on is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
from keras import ops

from radiounet.errors import ModelError
from radiounet.network.architectures import CLIP_SIGMA, check_tile
from radiounet.network.model_cards import tile_step

Precision = Literal["float32", "tf32", "bfloat16"]
Span = tuple[int, int]

LEAST_SCALE = 1e-3
"""A normalisation whose scale is smaller than this share of its largest is not divided by."""


def turned(kernel: np.ndarray) -> np.ndarray:
    """Kernel of the convolution that a transposed convolution of stride 1 and padding ``same`` is.

    Parameters
    ----------
    kernel : ndarray, ``[y, x, out, in]``
        Of odd side.

    Returns
    -------
    ndarray, ``[y, x, in, out]``
    """
    return np.flip(kernel, (0, 1)).transpose(0, 1, 3, 2)


@dataclass(frozen=True)
class Affine:
    """``scale x + shift`` per channel."""

    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, layer: keras.layers.BatchNormalization) -> "Affine":
        """A batch normalisation as it is at inference."""
        gamma, beta, mean, variance = (np.asarray(one, np.float64) for one in layer.get_weights())
        scale = gamma / np.sqrt(variance + layer.epsilon)
        return cls(scale, beta - mean * scale)

    def after(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kernel ``[y, x, in, out]`` and bias of a convolution followed by this map."""
        return kernel * self.scale, bias * self.scale + self.shift

    def before(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of this map followed by a convolution that pads nothing."""
        return kernel * self.scale[:, None], bias + np.einsum("yxio,i->o", kernel, self.shift)

    @property
    def divisible(self) -> bool:
        """Whether the shift may be divided by the scale, see `floor`."""
        size = np.abs(self.scale)
        return bool(size.min() > LEAST_SCALE * size.max())

    @property
    def floor(self) -> np.ndarray:
        """``c = shift / scale``: ``scale relu(z) + shift = scale max(z + c, c)``.

        So the shift moves into bias and ReLU, the scale into the kernel that follows, and
        zeros padded there stay zeros, as they are after the normalisation.
        """
        return self.shift / self.scale


def needed(core: Span, tile_px: int, levels: int, halo: int) -> list[Span]:
    """Rows of each level of a decoder that a core depends on, from the coarsest on.

    Parameters
    ----------
    core : (int, int)
        First row and end, in the tile.
    tile_px : int
    levels : int
        Upsamplings by two from the coarsest level to the tile.
    halo : int
        Rows that a level's convolutions reach to either side.

    Returns
    -------
    list of (int, int)
        What must come out of the convolutions of each level, before its upsampling.
    """
    low, high = core
    spans = []
    for level in range(1, levels + 1):
        low, high = low // 2, -(-high // 2)
        spans.append((low, high))
        low, high = max(low - halo, 0), min(high + halo, tile_px >> level)
    return spans[::-1]


class _Steps:
    """Operations on one compute type; kernels are constants of the compiled function."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def constant(self, values: np.ndarray):
        return ops.convert_to_tensor(np.asarray(values, np.float32), dtype=self.dtype)

    def convolve(self, x, kernel: np.ndarray, bias: np.ndarray, strides: int = 1, padding: str = "same"):
        y = ops.conv(x, self.constant(kernel), strides=strides, padding=padding)
        return ops.add(y, self.constant(bias))

    def convolve_part(self, x, have: Span, want: Span, full: int, kernel: np.ndarray, bias: np.ndarray):
        """3x3 convolution of rows `have` of a plane of `full` to rows `want`, both axes alike."""
        if want == (0, full):
            return self.convolve(x, kernel, bias)
        return self.convolve(part(x, have, (want[0] - 1, want[1] + 1)), kernel, bias, padding="valid")

    def mapped(self, x, affine: Affine):
        return ops.add(ops.multiply(x, self.constant(affine.scale)), self.constant(affine.shift))


def part(x, have: Span, want: Span):
    """Rows and columns `want` of a plane that holds those of `have`, ``[tile, y, x, channel]``."""
    low, high = want[0] - have[0], want[1] - have[0]
    return x if want == have else x[:, low:high, low:high]


def doubled(x):
    """Nearest-neighbour upsampling by two."""
    return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)


def published_unet(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `radiounet.network.architectures.published_unet`.

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
    run = _Steps(dtype)
    convolutions = [layer for layer in model.layers if layer.weights and layer.weights[0].name == "kernel"]
    levels = (len(convolutions) - 2) // 6 + 1
    check_tile(tile_px, tile_step("published_unet", levels))
    stack = [_weights_of(layer) for layer in model.layers if layer.weights]
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
    run: _Steps, x, block, have: Span | None = None, want: Span | None = None, full: int = 0
):
    """Two of (convolution, ReLU, normalisation); of a part of a plane where `want` is given."""
    ((kernel, bias), norm), (second, last) = block
    whole = want is None or want == (0, full)
    middle = None if whole else (max(want[0] - 1, 0), min(want[1] + 1, full))

    def step(x, kernel, bias, have, want):
        return (
            run.convolve(x, kernel, bias)
            if want is None
            else run.convolve_part(x, have, want, full, kernel, bias)
        )

    if not whole and middle != (0, full):
        x = ops.relu(step(x, kernel, bias, have, middle))
        second = norm.before(*second)
    elif norm.divisible:
        x = ops.maximum(step(x, kernel, bias + norm.floor, have, middle), run.constant(norm.floor))
        second = second[0] * norm.scale[:, None], second[1]
    else:
        x = run.mapped(ops.relu(step(x, kernel, bias, have, middle)), norm)
    x = ops.relu(step(x, *second, middle, None if whole else want))
    return run.mapped(x, last)


def _weights_of(layer: keras.Layer):
    if isinstance(layer, keras.layers.BatchNormalization):
        return Affine.of(layer)
    kernel, bias = layer.get_weights() if layer.use_bias else (layer.get_weights()[0], None)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = turned(kernel)
    return kernel, np.zeros(kernel.shape[-1], np.float32) if bias is None else bias


def _grouped(stack: Sequence, levels: int):
    """Weights in the order of creation as first layer, encoder, decoder, head.

    A block is convolution, normalisation, convolution, normalisation, residual.
    """
    first, rest = (stack[0], stack[1]), stack[2:-1]
    blocks = [rest[n : n + 5] for n in range(0, len(rest), 5)]
    blocks = [(((b[0], b[1]), (b[2], b[3])), b[4]) for b in blocks]
    return first, blocks[: levels - 1], blocks[levels - 1 :], stack[-1]


def lotss_unet(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `radiounet.network.architectures.lotss_unet`; see `published_unet`."""
    run = _Steps(dtype)
    stack = [_weights_of(layer) for layer in model.layers if layer.weights]
    stem, head = stack[:2], stack[-1]
    pairs = list(zip(stack[2:-1:2], stack[3:-1:2], strict=True))
    folded = [norm.after(*weights) for weights, norm in pairs]
    blocks = [folded[n : n + 2] for n in range(0, len(folded), 2)]
    levels = (len(blocks) + 1) // 2
    check_tile(tile_px, tile_step("lotss_unet", levels))
    # bilinear upsampling by four reaches one pixel of its input to either side
    low, high = core[0] // 4 - 1, -(-core[1] // 4) + 1
    finest = max(low, 0), min(high, tile_px // 4)
    spans = [finest]
    for level in range(1, levels - 1):
        low, high = max(spans[-1][0] - 2, 0), min(spans[-1][1] + 2, tile_px >> (level + 1))
        spans.append((low // 2, -(-high // 2)))
    limit = float(np.arcsinh(CLIP_SIGMA))

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
        faint = ops.sinh(ops.clip(ops.cast(tiles, "float32"), -limit, limit))
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
        return ops.softmax(part(logits, (4 * have[0], 4 * have[1]), core))[..., 1]

    return forward


def class_unet(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `radiounet.network.architectures.class_unet`; see `published_unet`.

    The probabilities that it gives are ``[tile, y, x, class]``.
    """
    run = _Steps(dtype)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    levels = sum(name.startswith("down") and name.endswith("_short") for name in layers)
    check_tile(tile_px, tile_step("class_unet", levels))

    def folded(name: str):
        return Affine.of(layers[f"{name}_norm"]).after(*_weights_of(layers[f"{name}_conv"]))

    def block_weights(name: str):
        return folded(f"{name}_1"), folded(f"{name}_2"), _weights_of(layers[f"{name}_short"])

    stem, head = folded("stem"), _weights_of(layers["logits"])
    down = [block_weights(f"down{level}") for level in range(levels)]
    up = [block_weights(f"up{level}") for level in range(levels - 1)]
    limit = float(np.arcsinh(CLIP_SIGMA))
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
        faint = ops.sinh(ops.clip(ops.cast(tiles, "float32"), -limit, limit))
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
        return ops.sigmoid(part(logits, (2 * have[0], 2 * have[1]), core))

    return forward


FUNCTIONS = {"published_unet": published_unet, "lotss_unet": lotss_unet, "class_unet": class_unet}


class Engine:
    """A network compiled for batches of tiles of one shape.

    Parameters
    ----------
    model : keras.Model
        Of `architecture`, with its weights.
    architecture : str
        See `radiounet.network.architectures.ARCHITECTURES`.
    tile_px : int
    core : (int, int)
        Rows and columns of the tile that are kept: its middle, or all of it.
    batch : int
        Tiles of each call.
    precision : {'float32', 'tf32', 'bfloat16'}
        Of multiplications; tf32 is float32 on a CPU. Sums of a convolution and the
        softmax are float32 in each.

    Raises
    ------
    ModelError
        A tile that the network's levels do not divide, or a core off its middle.
    """

    def __init__(
        self,
        model: keras.Model,
        architecture: str,
        tile_px: int,
        core: Span,
        batch: int,
        precision: Precision = "float32",
    ) -> None:
        if sum(core) != tile_px or core[0] < 0:
            raise ModelError(f"rows {core[0]} to {core[1]} are not the middle of a tile of {tile_px} px")
        self.tile_px, self.core, self.batch = tile_px, core, batch
        dtype = "bfloat16" if precision == "bfloat16" else "float32"
        self._run = _compiled(
            FUNCTIONS[architecture](model, tile_px, core, dtype), (batch, tile_px, tile_px, 1), precision
        )

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Probability of the cores, float32 ``[tile, y, x]``, of tiles ``[tile, y, x, 1]``.

        A network of several classes gives ``[tile, y, x, class]``, diffuse first.
        """
        return np.asarray(self._run(tiles))


def _compiled(function: Callable, shape: tuple[int, ...], precision: Precision) -> Callable:
    """One compiled shape. On a GPU by XLA; on a CPU TensorFlow's own kernels are faster than XLA's."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        if on_gpu:
            # else the fastest of several kernels is found by timing, and may be another the next time
            tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
        graph = tf.function(function, jit_compile=on_gpu, autograph=False)
        compiled = graph.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        # XLA compiles at the first call: here, as long as the switch for TF32 is this engine's
        compiled(tf.zeros(shape))
        return compiled
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("tensorfloat32" if precision == "tf32" else "float32"):
            return jax.jit(function).lower(np.zeros(shape, np.float32)).compile()
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

    def run(tiles: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return function(ops.convert_to_tensor(tiles)).cpu().numpy()

    return run
