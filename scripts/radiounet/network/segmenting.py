"""From images to probability maps and masks, without a file between.

The same as the programs ``tile``, ``infer`` and ``stitch`` one after another, and the same bytes.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radiounet.images.image import Plane
from radiounet.images.progress_bar import with_bar
from radiounet.network.masks import check_probabilities, finish_maps
from radiounet.network.model_cards import ModelCard
from radiounet.network.tiling import Mode, Tiles, image_for, image_origin, lay_tiles
from radiounet.settings.segmentation import Segmentation

if TYPE_CHECKING:  # it needs a backend, which takes seconds to import: meanwhile an image is read
    from radiounet.network.inference import Predictor


@dataclass(frozen=True)
class PreparedImage:
    """An image that is ready to be predicted.

    Attributes
    ----------
    path : str
    plane : Plane
    tiles : Tiles
    origin : dict
        See `radiounet.network.tiling.image_origin`.
    """

    path: str
    plane: Plane
    tiles: Tiles
    origin: dict[str, str]


def read_for(path: str, card: ModelCard, mode: Mode) -> PreparedImage:
    """Read an image, normalise it for a model and lay its tiles.

    Raises
    ------
    BadDataError
        The image is unreadable, or not at the model's beam and pixel scale.
    """
    plane, beam_px = image_for(path, card)
    return PreparedImage(path, plane, lay_tiles(plane.data, card, mode, beam_px), image_origin(path))


def predict(tiles: Tiles, predictor: "Predictor", card: ModelCard) -> tuple[np.ndarray, list[np.ndarray]]:
    """Predict every tile that holds data, and join the cores as they come.

    Parameters
    ----------
    tiles : Tiles
    predictor, card
        Of the model that the tiles were laid for.

    Returns
    -------
    probability : ndarray of float32, ``[y, x]``
        NaN where no core lies.
    classes : list of ndarray of uint8, ``[y, x]``
        Of the classes of the card, 0 where no core lies.
    """
    from radiounet.network.inference import by_class, log_speed

    started, where = time.monotonic(), tiles.where
    starts = tiles.starts[tiles.has_data]
    probability = np.full(where.shape, np.nan, np.float32)
    planes: list[np.ndarray] = [probability, *(np.zeros(where.shape, np.uint8) for _ in card.classes)]
    with closing(predictor.cores(tiles.plane, starts, where)) as parts:
        for some, part in with_bar(parts, "tiles", len(starts), size=lambda part: len(part[0])):
            diffuse, classes = by_class(part)
            for index, start in enumerate(some):
                target, source = where.core_of(start)
                for plane, cores in zip(planes, (diffuse, *classes), strict=True):
                    plane[target] = cores[index][source]
    log_speed(len(starts), time.monotonic() - started)
    return probability, planes[1:]


def write_segmentation(
    image: PreparedImage,
    predictor: "Predictor",
    card: ModelCard,
    options: Segmentation,
    probability_path: str,
    mask_path: str,
) -> None:
    """Predict an image, and write its probability map and its mask; see `stitch_cores` for both.

    Raises
    ------
    OriginError
        The network gave numbers that are no probabilities.
    """
    from radiounet.network.devices import cpu_threads

    tiles = image.tiles
    probability, classes = predict(tiles, predictor, card)
    check_probabilities(image.path, probability, tiles.where, tiles.starts[tiles.has_data])
    how = {"mode": options.mode, "precision": predictor.precision, "threads": cpu_threads()}
    made_from = image.origin | how
    maps = (probability_path, mask_path)
    finish_maps(image.plane, image.path, probability, classes, made_from, card, options, *maps)
