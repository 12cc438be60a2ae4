"""Two networks in one: the mean of `lotss_unet` and `class_unet`, and the other classes of the latter.

A weighted sum of both is a mean of networks whose last layers are scaled, see ``benchmarks/pair_models.py``.
"""

from collections.abc import Callable, Sequence

import keras
from keras import ops

from radiounet.network.architectures.class_unet import logits_inference as class_inference
from radiounet.network.architectures.class_unet import logits_of as class_logits
from radiounet.network.architectures.keras_network import keras_graphs
from radiounet.network.architectures.lotss_unet import logits_inference as lotss_inference
from radiounet.network.architectures.lotss_unet import logits_of as lotss_logits
from radiounet.network.architectures.registry import ARCHITECTURES, Span


def unet_pair(tile_px: int, widths: Sequence[int]) -> keras.Model:
    """Both networks on one input, `radiounet.images.background.normalise`.

    Parameters
    ----------
    tile_px : int
        Side of a tile, a multiple of ``2 ** (len(widths) / 2 + 1)``.
    widths : sequence of int
        Filters per level of `lotss_unet`, then those of `class_unet`, of as many levels.

    Returns
    -------
    keras.Model
        ``[tile, y, x, 1]`` to logits ``[tile, y, x, class]``, float32, as `class_unet`. That of diffuse
        emission is the mean of the logits of both.
    """
    ARCHITECTURES["unet_pair"].check_tile(tile_px, len(widths))
    levels = len(widths) // 2
    inputs = keras.Input((tile_px, tile_px, 1))
    logits = lotss_logits(inputs, widths[:levels]), class_logits(inputs, widths[levels:])
    return keras.Model(inputs, _joined(*logits), name="unet_pair")


def _joined(two, classes):
    """Logits of the pair, of those of its networks."""
    diffuse = (two[..., 1:] - two[..., :1] + classes[..., :1]) / 2
    return ops.concatenate([diffuse, classes[..., 1:]], axis=-1)


def inference(model: keras.Model, tile_px: int, core: Span, dtype: str) -> Callable:
    """Function from tiles to cores of `unet_pair`, ``[tile, y, x, class]``, as that of `class_unet`."""
    two = lotss_inference(model, tile_px, core, dtype)
    classes = class_inference(model, tile_px, core, dtype)
    return lambda tiles: ops.sigmoid(_joined(two(tiles), classes(tiles)))


GRAPHS = keras_graphs(unet_pair, inference)
