"""The architectures by name: what is known of each without its framework.

Stages that compute no network read this, so it imports none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from radiounet.errors import ModelError

Precision = Literal["float32", "tf32", "bfloat16"]
Span = tuple[int, int]

EXTRAS = {"tensorflow": ("cpu", "gpu"), "jax": ("cpu", "gpu"), "torch": ("torch",)}
"""What networks are computed with, and the extras of the package with which they can be computed."""

OTHER_CLASSES = ("radio galaxy", "Galactic", "artefact")
"""Classes of a pixel beside diffuse; it may be several at once, or none: then it is background."""

CLIP_SNR = 3.0
"""``I / rms`` is clipped at this before it is averaged, so that point sources do not rule the mean."""


@dataclass(frozen=True)
class Architecture:
    """What is known of a network without its framework.

    Attributes
    ----------
    finest_px : int
        Pixels of the image per pixel of the finest level; each further level has half the resolution.
    surrounded : bool
        Whether its tiles lie on a plane surrounded by blanks, see `radiounet.network.tiling`.
    other_classes : tuple of str
        What it tells apart from diffuse emission, in the order of its further outputs. With none, its
        output is the softmax of two classes, else the logits of diffuse emission and of these.
    framework : str
        What computes it.
    parts : int
        Networks that it consists of, all of as many levels. Its widths are those of the first, then
        those of the next.
    """

    finest_px: int
    surrounded: bool = False
    other_classes: tuple[str, ...] = ()
    framework: Literal["keras", "torch"] = "keras"
    parts: int = 1

    def tile_step(self, levels: int) -> int:
        """What the side of a tile must be a multiple of, px: a pixel of the coarsest level.

        Parameters
        ----------
        levels : int
            Of all its parts together.
        """
        return self.finest_px * 2 ** (levels // self.parts - 1)

    def check_tile(self, tile_px: int, levels: int) -> None:
        """Raise `ModelError` unless a tile is a multiple of what the levels need."""
        step = self.tile_step(levels)
        if tile_px % step:
            raise ModelError(f"a tile of {tile_px} px is not a multiple of {step} px, as its levels need")


ARCHITECTURES = {
    "published_unet": Architecture(finest_px=2),
    "lotss_unet": Architecture(finest_px=4),
    "class_unet": Architecture(finest_px=2, surrounded=True, other_classes=OTHER_CLASSES),
    "class_unet_torch": Architecture(2, surrounded=True, other_classes=OTHER_CLASSES, framework="torch"),
    "unet_pair": Architecture(finest_px=4, surrounded=True, other_classes=OTHER_CLASSES, parts=2),
}

TRAINABLE = tuple(
    name for name, one in ARCHITECTURES.items() if one.framework == "keras" and not one.other_classes
)
"""Those that `radiounet.learning.training` can train: others need samples with classes, or another loop."""


def known_architecture(name: str) -> str:
    """Return the name of an architecture, or raise ValueError with those that there are."""
    if name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {name}; known: {', '.join(ARCHITECTURES)}")
    return name


@dataclass(frozen=True)
class Graphs:
    """The graphs of an architecture in its framework; only its own module uses the networks themselves.

    Attributes
    ----------
    build : callable
        From the side of a tile, px, and the filters per level to a network with random weights.
    load : callable
        Gives a network the weights of a file; raises, whatever the kind, where they do not fit.
    named_weights : callable
        From a network to its weights as ``layer/weight``; kernels are ``[y, x, in, out]``.
    compiled : callable
        From a network, the side of a tile, the rows and columns that are kept (`Span`), the tiles per
        call and the `Precision` to a function: from tiles, float32 ``[tile, y, x, 1]``, to the
        probabilities of their cores, float32 ``[tile, y, x]`` or ``[tile, y, x, class]``, diffuse first.
    """

    build: Callable[[int, Sequence[int]], Any]
    load: Callable[[Any, Path], None]
    named_weights: Callable[[Any], dict[str, np.ndarray]]
    compiled: Callable[[Any, int, Span, int, Precision], Callable[[np.ndarray], Any]]
