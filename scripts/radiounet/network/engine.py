"""A model's network: with the weights of its folder, and compiled for batches of tiles of one shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radiounet.errors import BadDataError, ModelError
from radiounet.images.reading import reading
from radiounet.network.architectures.graphs import graphs_of
from radiounet.network.architectures.registry import Precision, Span
from radiounet.network.model_cards import ModelCard, read_card


def load_model(folder: str | Path) -> tuple[Any, ModelCard]:
    """Build the network of a model folder and load its verified weights.

    Raises
    ------
    ModelError
        Card or weights missing, altered, or of another shape than the card says; weights
        that are no numbers.
    """
    card = read_card(folder)
    weights = Path(folder) / card.weights.file
    return load_network(card.architecture, card.tile_px, card.widths, weights), card


def load_network(architecture: str, tile_px: int, widths: Sequence[int], weights: str | Path) -> Any:
    """Build a network and load its weights from a file.

    Raises
    ------
    ModelError
        A tile that the levels do not divide; weights that are not there, are none, are of another network,
        or are no numbers.
    """
    if not Path(weights).is_file():
        raise ModelError(f"there are no weights {weights}")
    graphs = graphs_of(architecture)
    model = graphs.build(tile_px, widths)
    try:
        with reading(weights):
            graphs.load(model, Path(weights))
    except BadDataError as error:
        why = str(error.__cause__ or error).partition("\n")[0]
        raise ModelError(
            f"the weights {weights} do not fit {architecture} with widths {list(widths)}: {why}"
        ) from error
    bad = [name for name, one in graphs.named_weights(model).items() if not np.isfinite(one).all()]
    if bad:
        raise ModelError(f"the weights {weights} are not finite, such as {bad[0]}: their training diverged")
    return model


class Engine:
    """A network compiled for batches of tiles of one shape.

    Parameters
    ----------
    model
        Network of `architecture`, with its weights.
    architecture : str
        See `radiounet.network.architectures.registry.ARCHITECTURES`.
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
        model: Any,
        architecture: str,
        tile_px: int,
        core: Span,
        batch: int,
        precision: Precision = "float32",
    ) -> None:
        if sum(core) != tile_px or core[0] < 0:
            raise ModelError(f"rows {core[0]} to {core[1]} are not the middle of a tile of {tile_px} px")
        self.tile_px, self.core, self.batch = tile_px, core, batch
        self._run = graphs_of(architecture).compiled(model, tile_px, core, batch, precision)

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Probability of the cores, float32 ``[tile, y, x]``, of tiles ``[tile, y, x, 1]``.

        A network of several classes gives ``[tile, y, x, class]``, diffuse first.
        """
        return np.asarray(self._run(tiles))
