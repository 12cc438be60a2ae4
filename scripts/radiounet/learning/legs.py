"""Training in legs: samples are simulated while a network learns from those before them.

What a step sees is a function of seed and step: after step *s* the first ``K(s)`` samples have
been simulated, the last ``pool`` of these are held in memory, and the crops of a step are drawn
from them. So a leg that was killed goes on from its checkpoint to the weights it would have had.
For CPUs, where TensorFlow is the fastest backend of Keras; `radiounet.learning.torch_training` is for GPUs.
"""

import csv
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from radiounet.errors import ConfigError, ModelError
from radiounet.images.writing import atomic
from radiounet.learning.deepening import deepened
from radiounet.learning.option_checks import small_crops
from radiounet.learning.samples import KNOWN, Sample, be_nice, cached_sample
from radiounet.measuring.scores import precision_summary
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.network.model_cards import read_named_weights, write_named_weights
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, SKIES
from radiounet.settings.train import LegOptions

logger = logging.getLogger(__name__)

AHEAD = 4
"""Batches cut before they are needed."""
LOG_STEPS = 25
BINS = 400


def held_out(folder: str | Path, count: int) -> dict[str, list[Sample]]:
    """Samples of each of `SKIES` that are never trained on, kept below a folder."""
    numbers = range(HELD_OUT, HELD_OUT + count)
    return {name: [cached_sample(folder, read_sky(name), number) for number in numbers] for name in SKIES}


class Pool:
    """The newest samples, in arrays that are made once."""

    def __init__(self, capacity: int, n_px: int):
        self._planes = np.zeros((capacity, n_px, n_px), np.float16)
        self._bits = np.zeros((capacity, n_px, n_px), np.uint8)
        self._places: list[np.ndarray] = [np.empty(0)] * capacity
        self._capacity, self._n_px = capacity, n_px
        self.count = 0

    def put(self, sample: Sample) -> None:
        """Take in a sample in place of the oldest."""
        slot = self.count % self._capacity
        self._planes[slot], self._bits[slot], self._places[slot] = sample.plane, sample.bits, sample.places
        self.count += 1

    def batch(self, options: LegOptions, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut the crops of a step, turned and flipped.

        Returns
        -------
        planes : ndarray of float16, ``[crop, y, x, 1]``
        bits : ndarray of uint8, ``[crop, y, x]``
        """
        rng, size = np.random.default_rng([options.seed, 1, step]), options.crop_px
        planes = np.empty((options.batch, size, size, 1), np.float16)
        bits = np.empty((options.batch, size, size), np.uint8)
        for number in range(options.batch):
            slot = int(rng.integers(min(self.count, self._capacity)))
            y, x = self._corner(slot, options, rng)
            turn = _turn(int(rng.integers(8)))
            planes[number, ..., 0] = turn(self._planes[slot, y : y + size, x : x + size])
            bits[number] = turn(self._bits[slot, y : y + size, x : x + size])
        return planes, bits

    def _corner(self, slot: int, options: LegOptions, rng: np.random.Generator) -> np.ndarray:
        size, highest = options.crop_px, self._n_px - options.crop_px
        if rng.random() >= options.target_fraction:
            return rng.integers(0, highest + 1, 2)
        places = self._places[slot]
        moved = places[rng.integers(len(places))] - size // 2 + rng.integers(-size // 3, size // 3 + 1, 2)
        return np.clip(moved, 0, highest)


def _turn(number: int) -> Callable[[np.ndarray], np.ndarray]:
    """One of the eight turns and reflections of a square."""
    return lambda plane: np.rot90(plane.T if number >= 4 else plane, number % 4)


class Supply:
    """Simulates samples in other processes, in order, ahead of their use.

    Parameters
    ----------
    make : callable
        From a number to a sample, such as a partial of `radiounet.learning.samples.make_sample`.
    workers : int
        Processes.
    """

    def __init__(self, make: Callable[[int], Sample], workers: int):
        self._make, self._ahead = make, 4 * workers
        self._executor: Executor = ProcessPoolExecutor(workers, get_context("spawn"), initializer=be_nice)

    def samples(self, first: int) -> Iterator[Sample]:
        """Yield samples from a number on, without end."""
        number = first
        waiting: deque[Future] = deque()
        while True:
            while len(waiting) < self._ahead:
                waiting.append(self._executor.submit(self._make, number))
                number += 1
            yield waiting.popleft().result()

    def close(self) -> None:
        """End the processes; what they have not begun is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def batches(
    supply: Supply, options: LegOptions, n_px: int, first: int, last: int
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield the batches of steps `first` to `last` - 1, cut in a thread of its own."""
    pool = Pool(options.pool, n_px)
    # what the pool would hold at this step
    pool.count = max(0, options.simulated(first) - options.pool)
    source = supply.samples(options.first_seed + pool.count)

    def cut(step: int) -> tuple[np.ndarray, np.ndarray]:
        while pool.count < options.simulated(step):
            pool.put(next(source))
        return pool.batch(options, step)

    with ThreadPoolExecutor(1) as executor:
        waiting: deque[Future] = deque()
        try:
            for step in range(first, last):
                waiting.append(executor.submit(cut, step))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def class_loss(options: LegOptions) -> Callable:
    """Cross-entropy of each class where there is data.

    Returns
    -------
    callable
        Of truth, bits as in `radiounet.learning.samples.Sample` ``[crop, y, x]``, and logits
        ``[crop, y, x, class]``.
    """

    def loss(truth: Any, logits: Any) -> Any:
        bits = ops.cast(truth, "int32")
        known = ops.cast(ops.bitwise_and(bits, KNOWN) > 0, "float32")
        total = ops.sum(known) + 1.0
        value = 0.0
        for number in range(logits.shape[-1]):
            label = ops.cast(ops.bitwise_and(bits, 1 << number) > 0, "float32")
            x = ops.cast(logits[..., number], "float32")
            entropy = ops.relu(x) - x * label + ops.softplus(-ops.abs(x))
            weight = options.other_classes if number else 1.0
            value = value + weight * ops.sum(known * entropy) / total
        return value

    return loss


class Scoreboard:
    """Best Dice and average precision of the diffuse class on skies held back.

    Parameters
    ----------
    build : callable
        Network of a given side.
    skies : mapping of str to list of Sample
    batch : int
    """

    def __init__(self, build: Callable[[int], keras.Model], skies: dict[str, list[Sample]], batch: int):
        side = next(iter(skies.values()))[0].plane.shape[0]
        self._model, self._skies, self._batch = build(side), skies, batch

    def measure(self, weights: Sequence[np.ndarray]) -> dict[str, float]:
        """Scores of a set of weights, by sky and measure."""
        self._model.set_weights(weights)
        scores: dict[str, float] = {}
        for name, samples in self._skies.items():
            counts = np.zeros((2, BINS))
            for first in range(0, len(samples), self._batch):
                some = samples[first : first + self._batch]
                planes = np.stack([one.plane for one in some])[..., None].astype(np.float32)
                logits = np.asarray(self._model.predict_on_batch(planes))[..., 0]
                for sample, map_ in zip(some, logits, strict=True):
                    counts += _histogram(sample.bits, map_)
            scores |= {f"{name} {key}": value for key, value in precision_summary(counts).items()}
        return scores


def _histogram(bits: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Known pixels by truth and logit, ``[truth, bin]``."""
    bins = np.clip(((logits + 8) * (BINS / 16)).astype(int), 0, BINS - 1)
    known = (bits & KNOWN) > 0
    truth = (bits & 1).astype(int)
    flat = (truth * BINS + bins)[known]
    return np.bincount(flat, minlength=2 * BINS).reshape(2, BINS)


class Leg:
    """A training that can be left and taken up again.

    Parameters
    ----------
    build : callable
        From the side of a tile to a network that gives logits of classes.
    options : LegOptions
    folder : path
        Checkpoint, learning curve and averaged weights.
    initial : path, optional
        Averaged weights to begin with where there is no checkpoint; those of a network of
        fewer levels get further ones, see `radiounet.learning.deepening.deepened`.
    made_with : str
        Code and sky as a text. A warning is logged if a checkpoint was begun with another one.
    """

    def __init__(
        self,
        build: Callable[[int], keras.Model],
        options: LegOptions,
        folder: str | Path,
        initial: str | Path | None = None,
        made_with: str = "",
    ):
        if small := small_crops("class_unet", options.widths, options.crop_px):
            logger.warning("%s: the network may fail on whole images", small)
        keras.utils.set_random_seed(options.seed)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(options.precision)
        try:
            self.model = build(options.crop_px)
            self.model.compile(
                keras.optimizers.Adam(options.learning_rate, clipnorm=1.0), class_loss(options)
            )
            self.model.optimizer.build(self.model.trainable_variables)
        finally:
            keras.config.set_dtype_policy(before)
        self.options, self._folder, self._made_with = options, Path(folder), made_with
        self._folder.mkdir(parents=True, exist_ok=True)
        self.step, self.seconds = 0, 0.0
        self._continued = initial is not None
        if initial is not None and not self._checkpoint.exists():
            own = named_weights(self.model)
            set_named_weights(self.model, deepened(read_named_weights(initial), own))
        self.average = [np.array(one, np.float32) for one in self.model.get_weights()]
        self.rows: list[dict] = []
        self._resume()

    def _named(self) -> dict[str, np.ndarray]:
        """Averaged weights by the names of `radiounet.network.architectures.keras_network.named_weights`."""
        names = {id(w): f"{layer.name}/{w.name}" for layer in self.model.layers for w in layer.weights}
        order = [names[id(weight)] for weight in self.model.weights]
        return dict(zip(order, self.average, strict=True))

    @property
    def _checkpoint(self) -> Path:
        return self._folder / "checkpoint.npz"

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        with np.load(self._checkpoint) as store:
            about = json.loads(str(store["about"]))
            if about["options"] != self._identity():
                raise ConfigError(
                    f"{self._checkpoint} is of a training with other options: {about['options']}; "
                    "give another folder"
                )
            for number, variable in enumerate(self._variables()):
                variable.assign(store[f"v{number}"])
            self.average = [store[f"a{number}"] for number in range(len(self.average))]
        self.step, self.seconds, self.rows = about["step"], about["seconds"], about["rows"]
        if about.get("made_with", self._made_with) != self._made_with:
            logger.warning("%s was begun with other code or on another sky", self._checkpoint)
        self._continued = about.get("continued", self._continued)  # older checkpoints do not say it
        logger.info("going on from step %d of %s", self.step, self._checkpoint)

    def _identity(self) -> dict:
        """What must not change from leg to leg; the schedule may."""
        return self.options.model_dump(
            mode="json",
            exclude={"held_out", "steps", "warmup", "decay", "learning_rate"},
        )

    def save(self) -> None:
        """Write checkpoint, learning curve and averaged weights."""
        about = {"options": self._identity(), "step": self.step, "seconds": self.seconds, "rows": self.rows}
        about |= {"continued": self._continued, "made_with": self._made_with}
        arrays = {f"v{n}": ops.convert_to_numpy(v) for n, v in enumerate(self._variables())}
        arrays |= {f"a{n}": one for n, one in enumerate(self.average)}
        with atomic(self._checkpoint) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, about=np.array(json.dumps(about)), **arrays)
        write_named_weights(self._folder / "weights.npz", self._named())
        if self.rows:
            with (
                atomic(self._folder / "curve.csv") as temporary,
                open(temporary, "w", encoding="utf-8", newline="") as stream,
            ):
                writer = csv.DictWriter(stream, list(self.rows[-1]))
                writer.writeheader()
                writer.writerows(self.rows)

    def run(
        self,
        supply: Supply,
        n_px: int,
        minutes: float,
        board: Scoreboard | None = None,
        every_minutes: float = 10.0,
    ) -> None:
        """Train until the schedule or the time ends; checkpoint, measure and log every few minutes."""
        started, marked = time.monotonic(), time.monotonic()
        losses: list[float] = []
        idle, begun = 0.0, self.step
        source = batches(supply, self.options, n_px, self.step, self.options.steps)
        while self.step < self.options.steps and time.monotonic() - started < 60 * minutes:
            before = time.monotonic()
            planes, bits = next(source)
            idle += time.monotonic() - before
            losses.append(self._learn(planes, bits))
            if time.monotonic() - marked > 60 * every_minutes:
                self._mark(losses, board, started, idle, begun)
                losses, marked = [], time.monotonic()
        source.close()
        if losses:
            self._mark(losses, board, started, idle, begun)

    def _learn(self, planes: np.ndarray, bits: np.ndarray) -> float:
        self.model.optimizer.learning_rate.assign(self.options.rate(self.step))
        loss = float(self.model.train_on_batch(planes, bits))
        self.step += 1
        if self.step % LOG_STEPS == 0:
            self._fold(LOG_STEPS)
        return loss

    def _fold(self, steps: int) -> None:
        """Take the present weights into their average; a new network's forgets its first steps."""
        reach: float = self.options.average_steps
        if not self._continued:
            reach = min(reach, max(self.step / 5, 1))
        share = np.float32(1 - np.exp(-steps / reach))
        for mean, new in zip(self.average, self.model.get_weights(), strict=True):
            mean += share * (new - mean)

    def _mark(
        self, losses: Sequence[float], board: Scoreboard | None, started: float, idle: float, begun: int
    ) -> None:
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise ModelError(f"the loss is {loss} at step {self.step}: give a smaller learning rate")
        spent = time.monotonic() - started
        row = {"step": self.step, "samples": self.options.simulated(self.step), "loss": round(loss, 5)}
        row["seconds"] = round(self.seconds + spent)
        row |= {k: round(v, 4) for k, v in (board.measure(self.average) if board else {}).items()}
        logger.info(
            "%s; %.2f steps/s, %.0f %% of it waiting for samples",
            row,
            (self.step - begun) / max(spent, 1e-9),
            100 * idle / max(spent, 1e-9),
        )
        self.rows.append(row)
        before, self.seconds = self.seconds, self.seconds + spent
        self.save()
        self.seconds = before
