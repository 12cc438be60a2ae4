"""Training of `lotss_unet` on simulated pairs, and the card of the result."""

import csv
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from astropy.io import fits
from keras import ops

from radiounet.cards import AsinhNormalisation
from radiounet.config import TrainOptions
from radiounet.network import lotss_unet
from radiounet.noise import local_rms
from radiounet.products import atomic
from radiounet.simulate import truth_mask

logger = logging.getLogger(__name__)


@dataclass
class Pair:
    """One simulated field ready for training, planes ``[y, x]``.

    Attributes
    ----------
    plane : ndarray of float32
        The network's input.
    mask : ndarray of bool
        Truth.
    targets : ndarray of int, ``[pixel, 2]``
        y and x of a sample of truth pixels, to centre crops on.
    """

    plane: np.ndarray
    mask: np.ndarray
    targets: np.ndarray


def read_pair(path: str | Path, options: TrainOptions) -> Pair:
    """Read a file written by `radiounet.simulate.write_pair` and normalise it."""
    with fits.open(path) as hdus:
        image = hdus[0].data.astype(np.float32)
        mask = truth_mask(hdus["TRUTH"].data, hdus["RMS"].data, options.truth_sigma)
    plane = AsinhNormalisation(kind="asinh_sigma")(image, local_rms(image))
    mask &= np.isfinite(image)
    targets = np.argwhere(mask)
    return Pair(plane, mask, targets[:: max(len(targets) // 2000, 1)])


def crops(
    pairs: Sequence[Pair], options: TrainOptions, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of augmented crops.

    Yields
    ------
    planes : ndarray of float32, ``[crop, y, x, 1]``
    masks : ndarray of float32, ``[crop, y, x]``
    """
    size = options.tile_px
    while True:
        planes = np.empty((options.batch, size, size, 1), np.float32)
        masks = np.empty((options.batch, size, size), np.float32)
        for index in range(options.batch):
            pair = pairs[rng.integers(len(pairs))]
            y, x = _corner(pair, size, options.target_fraction, rng)
            plane = pair.plane[y : y + size, x : x + size]
            mask = pair.mask[y : y + size, x : x + size]
            turns, flip = rng.integers(4), rng.random() < 0.5
            plane, mask = np.rot90(plane, turns), np.rot90(mask, turns)
            planes[index, ..., 0] = plane[:, ::-1] if flip else plane
            masks[index] = mask[:, ::-1] if flip else mask
        yield planes, masks


def _corner(pair: Pair, size: int, target_fraction: float, rng: np.random.Generator) -> np.ndarray:
    highest = np.array(pair.plane.shape) - size
    if len(pair.targets) and rng.random() < target_fraction:
        centre = pair.targets[rng.integers(len(pair.targets))]
        corner = centre - size // 2 + rng.integers(-size // 3, size // 3 + 1, 2)
        return np.clip(corner, 0, highest)
    return rng.integers(0, highest + 1)


def segmentation_loss(truth, prediction):
    """Cross-entropy plus soft Dice of channel 1 (Milletari et al. 2016).

    Parameters
    ----------
    truth : tensor, ``[crop, y, x]``
    prediction : tensor, ``[crop, y, x, 2]``
        Softmax.
    """
    probability = ops.clip(prediction[..., 1], 1e-6, 1 - 1e-6)
    entropy = -ops.mean(truth * ops.log(probability) + (1 - truth) * ops.log(1 - probability))
    overlap = ops.sum(truth * probability)
    total = ops.sum(truth) + ops.sum(probability)
    return entropy + 1 - (2 * overlap + 1) / (total + 1)


def train(pairs: Sequence[Pair], options: TrainOptions, curve_path: str | Path) -> keras.Model:
    """Train from scratch and return the model with averaged weights.

    Parameters
    ----------
    pairs : sequence of Pair
    options : TrainOptions
    curve_path : path
        CSV of the learning curve: step, loss (mean since the last row), seconds.
    """
    keras.utils.set_random_seed(options.seed)
    model = lotss_unet(options.tile_px, options.widths)
    schedule = keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 20,
        options.steps - options.steps // 20,
        warmup_target=options.learning_rate,
        warmup_steps=options.steps // 20,
    )
    optimizer = keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=0.995, clipnorm=1.0)
    model.compile(optimizer, loss=segmentation_loss)
    source = crops(pairs, options, np.random.default_rng(options.seed))
    started, recent = time.monotonic(), []
    rows = []
    for step in range(1, options.steps + 1):
        recent.append(float(model.train_on_batch(*next(source))))
        if step % 50 == 0 or step == options.steps:
            rows.append((step, f"{np.mean(recent):.4f}", f"{time.monotonic() - started:.0f}"))
            logger.info("step %d of %d: loss %s after %s s", step, options.steps, *rows[-1][1:])
            recent = []
    optimizer.finalize_variable_values(model.trainable_variables)
    _settle_batch_statistics(model, source)
    with atomic(curve_path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("step", "loss", "seconds"))
        writer.writerows(rows)
    trained = lotss_unet(options.tile_px, options.widths)  # without the optimiser's state
    trained.set_weights(model.get_weights())
    return trained


def _settle_batch_statistics(model: keras.Model, source: Iterator, batches: int = 60) -> None:
    """Measure the BatchNorm statistics anew: they belong to the weights before averaging."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.95
    for _, (planes, _) in zip(range(batches), source, strict=False):
        model(planes, training=True)


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights of a model; `path` ends in ``.weights.h5``."""
    with atomic(path) as temporary:
        # Keras insists on the double suffix, which the temporary name lacks
        renamed = temporary.with_name(temporary.name + ".weights.h5")
        model.save_weights(renamed)
        renamed.replace(temporary)
