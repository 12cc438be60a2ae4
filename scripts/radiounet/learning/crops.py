"""The endless stream of augmented crops of training pairs.

The stream is a pure function of seed and step: nothing of it needs saving, and
a training that goes on from step *s* sees the batches it would have seen.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from radiounet.learning.pairs import NOWHERE, Pair, pixel_classes, read_pair
from radiounet.network.model_cards import AsinhNormalisation, LogNormalisation, Normalisation
from radiounet.settings.train import TrainOptions

NORMALISATIONS: dict[str, Normalisation] = {
    "asinh_snr": AsinhNormalisation(kind="asinh_snr"),
    "log10": LogNormalisation(kind="log10"),
}
CROPS_PER_VISIT = 32  # of a field's 9 places of 320 px in 8 turns each, those of one pass
WORKERS = max(1, min(4, len(os.sched_getaffinity(0)) // 4))  # a GPU takes more than one thread makes
LOOK_AHEAD = 2 * WORKERS + 2  # batches
NOISE_PLANES = 4


class Crops:
    """Batches of augmented crops of many pairs, a few pairs in memory at a time.

    The pairs stand in line in a new random order per pass; a window of
    ``options.buffer`` pairs slides along the line at a steady rate, and a step
    draws its crops from the window. There are as many passes as give each pair
    about `CROPS_PER_VISIT` crops per pass, at least one, so a new pair comes in
    every ``steps / (passes * pairs)`` steps. The last window joins the first pass,
    which makes every pair stay for the same number of steps in total.

    Parameters
    ----------
    paths : sequence of str
        As for `read_pair`.
    options : TrainOptions
    hard : mapping of str to ndarray of int, ``[island, 2]``
        y and x of places without diffuse emission that a first model took for such, per path.
    normalisation : Normalisation, optional
        See `draw_crop`.
    """

    def __init__(
        self,
        paths: Sequence[str],
        options: TrainOptions,
        hard: Mapping[str, np.ndarray] | None = None,
        normalisation: Normalisation | None = None,
    ):
        self._paths, self._options, self._hard = list(paths), options, hard or {}
        self._normalisation = normalisation
        crops = options.steps * options.batch
        self.passes = max(1, round(crops / (len(self._paths) * CROPS_PER_VISIT)))
        self._line = np.concatenate(
            [
                np.random.default_rng([options.seed, 0, epoch]).permutation(len(self._paths))
                for epoch in range(self.passes)
            ]
        )
        self._noise = _noise_pool(options)
        self._held: dict[str, Pair] = {}
        self._lock = threading.Lock()

    def pairs_at(self, step: int) -> list[str]:
        """Paths of the pairs that step `step`, counted from 0, may draw from."""
        if len(self._paths) <= self._options.buffer:
            return self._paths
        start = min(step, self._options.steps - 1) * len(self._line) // self._options.steps
        places = np.arange(start, start + self._options.buffer) % len(self._line)
        return [self._paths[index] for index in self._line[places]]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the crops of one step.

        Returns
        -------
        planes : ndarray of float32, ``[crop, y, x, 1]``
            Normalised.
        classes : ndarray of float32, ``[crop, y, x]``
            1 diffuse, 0 not, `UNKNOWN` where there is no data.
        """
        rng = np.random.default_rng([self._options.seed, 1, step])
        window = self.pairs_at(step)
        crops = []
        for _ in range(self._options.batch):
            path = window[rng.integers(len(window))]
            pair = self._pair(path, window)
            places = self._hard.get(path, NOWHERE)
            crops.append(draw_crop(pair, self._options, rng, places, self._noise, self._normalisation))
        return _stack(crops)

    def _pair(self, path: str, window: list[str]) -> Pair:
        with self._lock:
            if path not in self._held:
                self._held = {one: self._held[one] for one in window if one in self._held}
                self._held[path] = _pair_to_train_on(path, self._options, self._normalisation)
            return self._held[path]

    def stream(self, first: int, last: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of steps `first` to `last` - 1, made ahead in other threads."""
        waiting: deque = deque()
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="crops")
        try:
            for step in range(first, last):
                waiting.append(pool.submit(self.batch, step))
                if len(waiting) > LOOK_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def fixed_crops(
    paths: Sequence[str], options: TrainOptions, count: int, normalisation: Normalisation | None = None
) -> list[tuple]:
    """Return about `count` crops shared evenly among pairs, as batches, always the same.

    Only turned and flipped: for the validation loss.
    """
    plain = options.model_copy(
        update={"diffuse_scale": (1.0, 1.0), "added_noise_rms": (0.0, 0.0), "noise_scale": (1.0, 1.0)}
    )
    rng = np.random.default_rng([options.seed, 3])
    crops = []
    for path in paths:
        pair = _pair_to_train_on(path, options, normalisation)
        number = -(-count // len(paths))
        crops += [draw_crop(pair, plain, rng, normalisation=normalisation) for _ in range(number)]
    return [_stack(crops[first : first + options.batch]) for first in range(0, len(crops), options.batch)]


def _pair_to_train_on(path: str, options: TrainOptions, normalisation: Normalisation | None) -> Pair:
    pair = read_pair(path, options.truth_snr, options.grid)
    wanted = normalisation or NORMALISATIONS[options.normalisation]
    return pair.to_train_on(wanted, options.beam_arcsec / options.pixel_arcsec)


def _stack(crops: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    planes, classes = zip(*crops, strict=True)
    return np.stack(planes)[..., None], np.stack(classes).astype(np.float32)


def draw_crop(
    pair: Pair,
    options: TrainOptions,
    rng: np.random.Generator,
    hard: np.ndarray = NOWHERE,
    noise: np.ndarray | None = None,
    normalisation: Normalisation | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut one crop, turn or flip it, scale its diffuse emission, add noise, normalise it.

    The noise it is normalised by is off by a random factor, as measured noise is.

    Parameters
    ----------
    pair : Pair
        At least ``options.crop_px`` wide.
    hard : ndarray of int, ``[island, 2]``
        See `Crops`.
    noise : ndarray of float32, ``[plane, y, x]``
        Noise of unit standard deviation to take pieces from; None adds none.
    normalisation : Normalisation, optional
        In place of the one that the options name: that of a model to go on from.

    Returns
    -------
    plane : ndarray of float32, ``[y, x]``
    classes : ndarray of int8, ``[y, x]``
        As `Pair.classes`.
    """
    size = options.crop_px
    y, x = _corner(pair, options, hard, rng)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def cut(plane: np.ndarray) -> np.ndarray:
        return _turned(plane[y : y + size, x : x + size], turns, flip)

    image, rms, truth = cut(pair.image), cut(pair.rms), cut(pair.truth)
    level = cut(pair.level) if isinstance(pair.level, np.ndarray) else pair.level
    if pair.scalable:
        factor = np.float32(np.exp(rng.uniform(*np.log(options.diffuse_scale))))
        image = image + (factor - 1) * truth
        truth = truth * factor
    if pair.survey_beam and noise is not None:
        amplitude = np.float32(rng.uniform(*options.added_noise_rms))
        image = image + amplitude * rms * _piece(noise, size, rng)
        growth = np.sqrt(1 + amplitude**2)
        rms, level = rms * growth, level * growth
    rms = rms * np.float32(np.exp(rng.uniform(*np.log(options.noise_scale))))
    wanted = normalisation or NORMALISATIONS[options.normalisation]
    return pair.normalised(image, rms, wanted), pixel_classes(image, truth, level)


def _corner(pair: Pair, options: TrainOptions, hard: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = options.crop_px
    highest = np.array(pair.image.shape) - size
    chance = rng.random() - options.target_fraction
    centres = NOWHERE
    if chance < 0:
        centres = pair.targets
    elif chance < options.hard_fraction:
        centres = hard
    if not len(centres):
        centres = pair.known
    if not len(centres):
        return rng.integers(0, highest + 1)
    centre = centres[rng.integers(len(centres))]
    return np.clip(centre - size // 2 + rng.integers(-size // 3, size // 3 + 1, 2), 0, highest)


def _turned(plane: np.ndarray, turns: int, flip: bool) -> np.ndarray:
    plane = np.rot90(plane, turns)
    return plane[:, ::-1] if flip else plane


def _noise_pool(options: TrainOptions) -> np.ndarray:
    """Noise with the correlation of the beam and unit standard deviation, ``[plane, y, x]``."""
    side = options.crop_px * 3 // 2
    rng = np.random.default_rng([options.seed, 2])
    noise = rng.standard_normal((NOISE_PLANES, side, side), dtype=np.float32)
    # noise is correlated like the beam where white noise was convolved with the beam itself
    sigma = options.beam_arcsec / options.pixel_arcsec / np.sqrt(8 * np.log(2))
    noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
    return noise / noise.std(axis=(1, 2), keepdims=True)


def _piece(noise: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    plane = noise[rng.integers(len(noise))]
    y, x = rng.integers(0, plane.shape[0] - size + 1, 2)
    return _turned(plane[y : y + size, x : x + size], int(rng.integers(4)), bool(rng.integers(2)))
