"""A training and an evaluation from beginning to end, as the command and the rules run them."""

from collections.abc import Sequence

from radiounet.errors import ConfigError
from radiounet.learning.evaluation import compared_models, evaluate, settled_baselines
from radiounet.learning.hard_negatives import hard_negatives
from radiounet.learning.learning_curve import trained_options
from radiounet.learning.new_model import measure_model, write_model
from radiounet.learning.option_checks import require_trainable
from radiounet.learning.scenes import require_apart
from radiounet.learning.training import train
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.devices import use_threads
from radiounet.network.engine import load_network
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.train import TrainOptions

WEIGHTS_ENDING = ".weights.h5"


def run_training(
    pairs: Sequence[str],
    validation: Sequence[str],
    options: TrainOptions,
    weights: str,
    curve: str,
    threads: int | None = None,
) -> None:
    """Train a network and write its weights and learning curve.

    Parameters
    ----------
    pairs, validation : sequence of str
        See `radiounet.learning.training.train`.
    options : TrainOptions
    weights, curve : str
        Written; the checkpoint ``WEIGHTS.checkpoint.npz``, too.
    threads : int, optional
        CPU threads; by default all.

    Raises
    ------
    ConfigError
        `weights` is no name under which weights can be read again, or as `require_trainable`.
    """
    _require_name_of_weights(weights)
    require_trainable(options)  # before islands of another model are looked for
    for model in options.compare:
        read_card(model_folder(model))  # a model that is not there must not stop the evaluation later
    if threads:
        use_threads(threads)
    hard = None
    if options.hard_from:
        first, sizes = model_folder(options.hard_from), (options.crop_px, options.truth_snr)
        hard = hard_negatives(first, pairs, *sizes, weights, options.grid)
    model = train(
        pairs,
        options,
        f"{weights}.checkpoint.npz",
        curve,
        validation=validation,
        initial=options.initial and model_folder(options.initial),
        hard=hard,
    )
    save_weights(model, weights)


def run_evaluation(
    held_out: Sequence[str],
    calibration: Sequence[str],
    options: TrainOptions,
    weights: str,
    curve: str,
    name: str,
    folder: str,
    threads: int,
) -> None:
    """Evaluate trained weights beside other methods and write the model's folder.

    See `radiounet.images.model_files.model_files` for what is written.

    Parameters
    ----------
    held_out, calibration : sequence of str
        Images to measure on, and images to settle thresholds on.
    options : TrainOptions
        Of evaluation; how the weights were trained is read from their curve.
    weights, curve : str
        Of `run_training`.
    name, folder : str
        Of the model.
    threads : int
        CPU threads.

    Raises
    ------
    ConfigError, ModelError
        `curve` is no learning curve, or `weights` are not those of its training; an image is
        held out and settles thresholds, too; no image that settles them holds diffuse emission.
    """
    options = trained_options(curve, options)
    _require_name_of_weights(weights)
    use_threads(threads)
    # weights that do not fit must not be found after the other models are calibrated
    load_network(options.architecture, options.tile_px, options.widths, weights)
    require_apart(held_out, calibration)
    bounds = options.truth_snr, options.max_false_per_deg2
    others = compared_models(options.compare, held_out, calibration, *bounds, options.grid)
    own, card = measure_model(held_out, calibration, weights, curve, options, name)
    scores = [own]
    for method, settled in [*others, *settled_baselines(calibration, *bounds, options.grid)]:
        scores.append(evaluate(method, held_out, options.truth_snr, settled, options.grid))
    write_model(folder, weights, curve, card, scores)


def _require_name_of_weights(path: str) -> None:
    if not path.endswith(WEIGHTS_ENDING):
        raise ConfigError(f"--weights {path}: its name must end in {WEIGHTS_ENDING}, as Keras reads weights")
