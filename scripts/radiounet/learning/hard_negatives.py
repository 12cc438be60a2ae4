"""Where a first model sees diffuse emission that is not there: places to train the next one on."""

import csv
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from radiounet.images.gaussian import beam_area_px
from radiounet.images.provenance import code_hash
from radiounet.images.writing import atomic
from radiounet.learning.pairs import check_pairs, read_pair
from radiounet.network.engine import load_model
from radiounet.network.inference import Predictor
from radiounet.network.masks import EIGHT_NEIGHBOURS, make_mask
from radiounet.network.model_cards import ModelCard
from radiounet.settings.train import LOTSS_GRID, ImageGrid

logger = logging.getLogger(__name__)


def mine_hard_negatives(
    model: keras.Model, card: ModelCard, paths: Sequence[str], truth_snr: float, grid: ImageGrid
) -> dict[str, np.ndarray]:
    """Find where a first model sees diffuse emission that is not there.

    Parameters
    ----------
    model, card
        From `radiounet.network.engine.load_model`.
    paths : sequence of str
        Training pairs.
    truth_snr, grid
        See `radiounet.learning.pairs.read_pair`.

    Returns
    -------
    dict of str to ndarray of int, ``[island, 2]``
        Per path, y and x of the centres of the islands of the model's own mask that
        hold no truth pixel.
    """
    predictor = Predictor(model, card.architecture)
    return {path: _false_islands(predictor, card, path, truth_snr, grid) for path in paths}


def _false_islands(
    predictor: Predictor, card: ModelCard, path: str, truth_snr: float, grid: ImageGrid
) -> np.ndarray:
    pair = read_pair(path, truth_snr, grid)
    plane = pair.network_input(card.normalisation, grid.beam_arcsec / grid.pixel_arcsec)
    probability = predictor.plane(plane, card.tile_px, card.core_px)
    classes = pair.classes()
    area_px = beam_area_px(card.beam_arcsec, card.pixel_arcsec)
    probability[classes < 0] = np.nan
    mask = make_mask(probability, card.threshold, area_px, card.peak) == 1
    labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    index = np.arange(1, count + 1)
    false = index[ndimage.sum_labels(classes == 1, labels, index) == 0]
    centres = ndimage.center_of_mass(labels > 0, labels, false)
    logger.info("%s: %d islands, %d of them false", path, count, len(false))
    return np.round(np.reshape(centres, (-1, 2))).astype(int)


def hard_negatives(
    folder: str | Path,
    paths: Sequence[str],
    crop_px: int,
    truth_snr: float,
    beside: str | Path,
    grid: ImageGrid = LOTSS_GRID,
) -> dict[str, np.ndarray]:
    """Return the false islands of a model folder's network, mined once.

    They are kept in ``BESIDE.hard-HASH.csv`` (index of the pair, y, x), whose name
    tells code, model and pairs, and read from there the next time.
    """
    model, card = load_model(folder)
    made_from = f"{code_hash('train')} {card.sha256} {check_pairs(paths, crop_px)} {truth_snr} {tuple(grid)}"
    table = Path(f"{beside}.hard-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}.csv")
    if not table.exists():
        found = mine_hard_negatives(model, card, paths, truth_snr, grid)
        rows = [(n, *centre) for n, path in enumerate(paths) for centre in found[path].tolist()]
        with atomic(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("pair", "y", "x"), *rows])
    with open(table, encoding="utf-8", newline="") as stream:
        places = np.array([[int(v) for v in row.values()] for row in csv.DictReader(stream)]).reshape(-1, 3)
    return {path: places[places[:, 0] == n, 1:] for n, path in enumerate(paths)}
