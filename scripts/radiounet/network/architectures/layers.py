"""What the graphs of several networks share: layers to train, and exact identities for inference.

The graphs for inference have the same weights and results as those to train, and less work. What
is changed, each step exact but for rounding: a transposed convolution of stride 1
is a convolution with its kernel turned; a 1x1 convolution commutes with nearest-neighbour
upsampling; batch normalisation is an affine map, which folds into the convolution before
it, or into one after it that pads nothing, or into the ReLU before it and any convolution
after it; and in the decoder only what the kept core depends on is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from radiounet.network.architectures.registry import CLIP_SNR, Span

LEAST_SCALE = 1e-3
"""A normalisation whose scale is smaller than this share of its largest is not divided by."""


def clipped_snr(plane):
    """``I / rms`` in float32, clipped at `CLIP_SNR`, of an input ``asinh(I / rms)``.

    Emission far below the noise of one beam shows in averages over many: coarse levels get the mean
    of this over their own pixel.
    """
    limit = float(np.arcsinh(CLIP_SNR))
    return ops.sinh(ops.clip(ops.cast(plane, "float32"), -limit, limit))


def encode(x, faint, widths: Sequence[int], block: Callable):
    """Encoder of a U-Net: halves the resolution from level to level, with the mean faint light beside it.

    Parameters
    ----------
    x, faint : tensor, ``[tile, y, x, channel]``
        At the resolution of the first level.
    widths : sequence of int
        Filters per level.
    block : callable
        From a tensor, its filters and the level to a tensor.

    Returns
    -------
    x : tensor
        Of the last level.
    skips : list of tensor
        Of the levels before it.
    """
    skips = []
    for level, width in enumerate(widths):
        if level:
            skips.append(x)
            x = keras.layers.MaxPooling2D(2)(x)
            faint = keras.layers.AveragePooling2D(2, dtype="float32")(faint)
            x = keras.layers.Concatenate()([x, faint])
        x = block(x, width, level)
    return x, skips


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


class Steps:
    """Operations on one compute type; kernels are constants of the compiled function."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def constant(self, values: np.ndarray):
        """Tensor of the compute type."""
        return ops.convert_to_tensor(np.asarray(values, np.float32), dtype=self.dtype)

    def convolve(self, x, kernel: np.ndarray, bias: np.ndarray, strides: int = 1, padding: str = "same"):
        """Convolution with a bias."""
        y = ops.conv(x, self.constant(kernel), strides=strides, padding=padding)
        return ops.add(y, self.constant(bias))

    def convolve_part(self, x, have: Span, want: Span, full: int, kernel: np.ndarray, bias: np.ndarray):
        """3x3 convolution of rows `have` of a plane of `full` to rows `want`, both axes alike."""
        if want == (0, full):
            return self.convolve(x, kernel, bias)
        return self.convolve(part(x, have, (want[0] - 1, want[1] + 1)), kernel, bias, padding="valid")

    def mapped(self, x, affine: Affine):
        """`Affine` of a tensor."""
        return ops.add(ops.multiply(x, self.constant(affine.scale)), self.constant(affine.shift))


def part(x, have: Span, want: Span):
    """Rows and columns `want` of a plane that holds those of `have`, ``[tile, y, x, channel]``."""
    low, high = want[0] - have[0], want[1] - have[0]
    return x if want == have else x[:, low:high, low:high]


def doubled(x):
    """Nearest-neighbour upsampling by two."""
    tiles, rows, columns, channels = ops.shape(x)
    pairs = ops.reshape(x, (tiles, rows, 1, columns, 1, channels))
    pairs = ops.broadcast_to(pairs, (tiles, rows, 2, columns, 2, channels))
    return ops.reshape(pairs, (tiles, 2 * rows, 2 * columns, channels))


def weights_of(layer: keras.Layer):
    """A normalisation as `Affine`; a convolution as kernel ``[y, x, in, out]`` and bias, 0 without one."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return Affine.of(layer)
    kernel, bias = layer.get_weights() if layer.use_bias else (layer.get_weights()[0], None)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = turned(kernel)
    return kernel, np.zeros(kernel.shape[-1], np.float32) if bias is None else bias
