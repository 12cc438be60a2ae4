"""Training of a network on pairs, resumable at every checkpoint."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import ops

from radiounet.errors import ConfigError, ModelError
from radiounet.images.progress_bar import with_bar
from radiounet.images.provenance import code_hash
from radiounet.images.writing import atomic
from radiounet.learning.crops import NORMALISATIONS, Crops, fixed_crops
from radiounet.learning.learning_curve import origin_of, write_curve
from radiounet.learning.losses import LOSSES
from radiounet.learning.option_checks import require_trainable, small_crops
from radiounet.learning.pairs import check_pairs
from radiounet.network.architectures.graphs import graphs_of
from radiounet.network.architectures.registry import TRAINABLE
from radiounet.network.devices import devices
from radiounet.network.engine import load_model
from radiounet.network.model_cards import ModelCard, read_card
from radiounet.settings.train import OF_TRAINING, TrainOptions

logger = logging.getLogger(__name__)

LOG_STEPS = 50
CHECKPOINT_SECONDS = 300  # longest time between checkpoints, plus one step
VALIDATION_CROPS = 32
SETTLING_STEPS = 60
OF_WEIGHTS = {*OF_TRAINING} - {"checkpoint_steps", "initial", "hard_from"}
"""Options that change the trained weights; what they begin from is told by its checksum."""


@dataclass
class _Progress:
    """What a checkpoint holds beside the variables."""

    step: int = 0
    seconds: float = 0.0
    rows: list[list] = field(default_factory=list)


def train(
    paths: Sequence[str],
    options: TrainOptions,
    checkpoint: str | Path,
    curve: str | Path,
    *,
    validation: Sequence[str] = (),
    initial: str | Path | None = None,
    hard: Mapping[str, np.ndarray] | None = None,
) -> keras.Model:
    """Train a network and return it with averaged weights, float32.

    A training that was killed goes on from its checkpoint and ends with the
    weights it would have had. The checkpoint stays when all is done: the same call
    then only takes the result from it. More steps are another schedule, so another
    training; it can start from the result by `initial`.

    Parameters
    ----------
    paths : sequence of str
        Training pairs, see `radiounet.learning.pairs.read_pair`.
    options : TrainOptions
    checkpoint : path
        File (``.npz``) with all variables, the step and the learning curve, written
        every ``options.checkpoint_steps`` steps and when `CHECKPOINT_SECONDS` have
        passed since the last one. One of another training (other options, pairs,
        initial weights or hard places) is set aside with a warning.
    curve : path
        CSV of the learning curve: step, loss (mean since the last row), validation
        (loss without augmentation, at checkpoints), seconds; above it a comment line
        with options, pairs, initial model, backend, devices and wall time in JSON, see
        `radiounet.learning.learning_curve`.
    validation : sequence of str
        Pairs for the validation loss; none leaves its column empty.
    initial : path, optional
        Model folder to start from; its first ``options.frozen_layers`` layers stay. Where crops are
        too small (`small_crops`), all of its batch normalisations stay, too, with a warning.
    hard : mapping of str to ndarray, optional
        From `hard_negatives`.

    Returns
    -------
    keras.Model

    Raises
    ------
    BadDataError
        A pair that cannot be used; headers are checked before training starts.
    ConfigError
        Options that do not fit the initial model, the network or the GPUs.
    ModelError
        Initial weights that cannot be read, or a loss that is no number.
    """
    check_pairs(validation, options.crop_px)
    normalisation = read_card(initial).normalisation if initial else None
    held_back = fixed_crops(validation, options, VALIDATION_CROPS, normalisation) if validation else []
    model, strategy = _compiled(options, initial)
    identity = _identity(model, paths, options, initial, hard)
    progress = _resume(checkpoint, identity, model)
    crops = Crops(paths, options, hard, normalisation)
    saved, recent = time.monotonic(), []
    started = saved - progress.seconds
    watch = _Watch(progress.step, options.steps)
    batches = watch.waiting(crops.stream(progress.step, options.steps))
    for planes, truth in with_bar(batches, "steps", options.steps, done=progress.step):
        recent.append(float(model.train_on_batch(*_dealt((planes, truth), strategy))))
        progress.step += 1
        saves = (
            progress.step % options.checkpoint_steps == 0
            or progress.step == options.steps
            or time.monotonic() - saved >= CHECKPOINT_SECONDS
        )
        if progress.step % LOG_STEPS and not saves:
            continue
        loss, recent = _finite_mean(recent, progress.step), []
        seen = f"{_validation_loss(model, options, held_back):.4f}" if held_back and saves else ""
        progress.seconds = time.monotonic() - started
        progress.rows.append([progress.step, f"{loss:.4f}", seen, f"{progress.seconds:.0f}"])
        watch.report(progress.step, loss, seen)
        if saves:
            _write_checkpoint(checkpoint, identity, model, progress)
            saved = time.monotonic()
    about: dict[str, object] = {
        "options": options.model_dump(mode="json"),
        "pairs": origin_of(paths),
        "initial": _origin_of_model(initial) if initial else None,
        "backend": f"keras {keras.__version__}, {keras.backend.backend()}",
        "devices": devices(),
        "wall_time_s": round(progress.seconds),
    }
    write_curve(curve, progress.rows, about)
    return _finished(model, crops, options)


def _compiled(options: TrainOptions, initial: str | Path | None) -> tuple[keras.Model, object]:
    keras.utils.set_random_seed(options.seed)
    strategy = _strategy(options)
    with strategy.scope() if strategy else nullcontext(), _precision(options.precision):
        model = _network(options, initial)
        model.compile(_optimizer(options), loss=partial(_shared_loss, options.loss))
        model.optimizer.build(model.trainable_variables)
    if strategy:
        # builds the loss, which Keras cannot do from a batch that is already dealt out
        size = options.crop_px
        model.test_on_batch(np.zeros((1, size, size, 1), np.float32), np.zeros((1, size, size), np.float32))
    return model, strategy


def _shared_loss(name: str, truth, prediction):
    # Keras divides a loss among the replicas only where it is not a scalar
    return ops.reshape(LOSSES[name](truth, prediction), (1,))


def _network(options: TrainOptions, initial: str | Path | None) -> keras.Model:
    require_trainable(options)
    model = graphs_of(options.architecture).build(options.crop_px, options.widths)
    if initial is not None:
        with _precision("float32"):
            source, card = load_model(initial)
        _require_fit(card, options, initial)
        model.set_weights(source.get_weights())
    small = small_crops(options.architecture, options.widths, options.crop_px)
    if small:
        kept = f"the batch normalisations of {initial} are kept as they are"
        logger.warning("%s: %s", small, kept if initial else "the network may fail on whole images")
    for number, layer in enumerate(model.layers):
        is_kept = small and initial is not None and isinstance(layer, keras.layers.BatchNormalization)
        if is_kept or number < options.frozen_layers:
            layer.trainable = False
    if not model.trainable_variables:
        raise ConfigError(
            f"frozen_layers is {options.frozen_layers} of {len(model.layers)}: nothing is left to train"
        )
    return model


def _require_fit(card: ModelCard, options: TrainOptions, initial: str | Path) -> None:
    wanted = (card.architecture, list(card.widths), card.normalisation.kind)
    if card.architecture not in TRAINABLE or card.normalisation.kind not in NORMALISATIONS:
        raise ConfigError(
            f"{initial} cannot be adapted: its network is {wanted[0]} with normalisation {wanted[2]}, and "
            f"only {' or '.join(TRAINABLE)} with {' or '.join(NORMALISATIONS)} can be trained on pairs; "
            "start from another model, such as lotss-unet"
        )
    if wanted != (options.architecture, list(options.widths), options.normalisation):
        raise ConfigError(
            f"{initial} is another network: to go on from it give --architecture {wanted[0]} "
            f"--widths {' '.join(map(str, wanted[1]))} --normalisation {wanted[2]}"
        )


def _optimizer(options: TrainOptions) -> keras.optimizers.Optimizer:
    warmup = max(1, options.steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        options.learning_rate / 20,
        max(1, options.steps - warmup),
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )
    # the average must forget the first steps of a short run: it reaches back a tenth of it
    momentum = min(0.999, max(0.0, 1 - 10 / options.steps))
    return keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=momentum, clipnorm=1.0)


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _strategy(options: TrainOptions):
    """Split batches over the GPUs where there are several; what TensorFlow needs for that."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        count = len(tf.config.list_physical_devices("GPU"))
    else:
        count = len(keras.distribution.list_devices()) if backend == "jax" else 1
    if count > 1 and options.batch % count:
        raise ConfigError(f"a batch of {options.batch} crops does not split over {count} GPUs")
    if count > 1 and backend == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    return tf.distribute.MirroredStrategy() if count > 1 and backend == "tensorflow" else None


def _dealt(batch: tuple[np.ndarray, np.ndarray], strategy) -> tuple:
    """Each replica's part of a batch."""
    if strategy is None:
        return batch
    count = strategy.num_replicas_in_sync

    def deal(array: np.ndarray):
        return strategy.experimental_distribute_values_from_function(
            lambda context: np.split(array, count)[context.replica_id_in_sync_group]
        )

    return tuple(deal(array) for array in batch)


def _validation_loss(model: keras.Model, options: TrainOptions, batches: list[tuple]) -> float:
    loss: Callable = LOSSES[options.loss]
    return float(np.mean([float(loss(truth, model(planes, training=False))) for planes, truth in batches]))


def _finite_mean(losses: list[float], step: int) -> float:
    mean = float(np.mean(losses))
    if not np.isfinite(mean):
        raise ModelError(f"the loss is {mean} before step {step}: give a smaller --learning-rate")
    return mean


def _finished(model: keras.Model, crops: Crops, options: TrainOptions) -> keras.Model:
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _settle_batch_statistics(model, crops, options.steps)
    with _precision("float32"):
        # its side is no part of the weights; the levels divide that of a crop
        trained = graphs_of(options.architecture).build(options.crop_px, options.widths)
    trained.set_weights(model.get_weights())  # without the optimiser's state
    return trained


def _settle_batch_statistics(model: keras.Model, crops: Crops, first: int) -> None:
    """Measure the BatchNorm statistics anew: they belong to the weights before averaging."""
    measured = [
        one for one in model.layers if isinstance(one, keras.layers.BatchNormalization) and one.trainable
    ]
    if not measured:
        return
    for layer in measured:
        layer.momentum = 0.95
    for planes, _ in crops.stream(first, first + SETTLING_STEPS):
        model(planes, training=True)


class _Watch:
    """Progress in the log: speed, time left, share of the time spent waiting for input."""

    def __init__(self, first: int, steps: int):
        self._step, self._steps = first, steps
        self._since, self._idle = time.monotonic(), 0.0

    def waiting(self, batches: Iterator) -> Iterator:
        """Pass batches on and add up how long they were waited for."""
        while True:
            before = time.monotonic()
            batch = next(batches, None)
            self._idle += time.monotonic() - before
            if batch is None:
                return
            yield batch

    def report(self, step: int, loss: float, validation: str) -> None:
        """Log one line and begin to count anew."""
        spent = time.monotonic() - self._since
        speed = (step - self._step) / spent
        logger.info(
            "step %d of %d: loss %.4f%s, %.2f steps/s, %.0f %% of it waiting for crops, %.0f min left",
            step,
            self._steps,
            loss,
            f", validation {validation}" if validation else "",
            speed,
            100 * self._idle / spent,
            (self._steps - step) / speed / 60,
        )
        self._step, self._since, self._idle = step, time.monotonic(), 0.0


def _identity(
    model: keras.Model,
    paths: Sequence[str],
    options: TrainOptions,
    initial: str | Path | None,
    hard: Mapping[str, np.ndarray] | None,
) -> str:
    """Hash of all that the weights after a given step depend on."""
    keeps = initial and small_crops(options.architecture, options.widths, options.crop_px)
    content = {
        "code": code_hash("train"),
        "options": options.model_dump(include=OF_WEIGHTS),
        "pairs": check_pairs(paths, options.crop_px),
        "initial": read_card(initial).weights.sha256 if initial else None,
        "hard": [np.asarray((hard or {}).get(path, ())).tolist() for path in paths],
        "backend": keras.backend.backend(),
        "network": [list(variable.shape) for variable in model.variables],
        # other variables of the optimiser than in a checkpoint from before normalisations were kept
        **({"normalisations": "kept"} if keeps else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, states of the random generators of dropout, optimiser, averages."""
    return [*model.variables, *model.optimizer.variables]


def _write_checkpoint(path: str | Path, identity: str, model: keras.Model, progress: _Progress) -> None:
    about = json.dumps({"identity": identity, **vars(progress)})
    arrays = {str(n): ops.convert_to_numpy(v) for n, v in enumerate(_variables(model))}
    with atomic(path) as temporary:
        np.savez(temporary, about=np.array(about), **arrays)


def _resume(path: str | Path, identity: str, model: keras.Model) -> _Progress:
    path = Path(path)
    if not path.exists():
        logger.info("there is no checkpoint %s: the training begins with its first step", path)
        return _Progress()
    with np.load(path) as store:
        about = json.loads(str(store["about"]))
        if about.pop("identity") == identity:
            for n, variable in enumerate(_variables(model)):
                variable.assign(store[str(n)])
            logger.info("going on from step %d of %s", about["step"], path)
            return _Progress(**about)
    aside = path.with_name(f"{path.name}.other")
    path.replace(aside)
    logger.warning(
        "%s is of another training (options, pairs, weights, code): now %s; this one begins anew",
        path,
        aside,
    )
    return _Progress()


def _origin_of_model(folder: str | Path) -> dict[str, object]:
    card = read_card(folder)
    return {"name": card.name, "sha256": card.weights.sha256, "training": card.training}
