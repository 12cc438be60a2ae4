"""A training and an evaluation from beginning to end, as the command and the rules run them."""

import logging
import tempfile
from collections.abc import Mapping, Sequence

from radiounet.errors import ConfigError
from radiounet.images.words import save_figure
from radiounet.images.writing import atomic, write_json
from radiounet.learning.evaluation import compared_models, evaluate, settled_baselines
from radiounet.learning.evaluation_report import write_evaluation
from radiounet.learning.hard_negatives import hard_negatives
from radiounet.learning.learning_curve import trained_options
from radiounet.learning.new_model import write_model
from radiounet.learning.score_sets import CALIBRATION, SIMULATED, labelled_set, simulated_set
from radiounet.learning.scored_images import draw_scored
from radiounet.learning.training import train
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.inference import use_threads
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.simulate import HELD_OUT
from radiounet.settings.train import ImageGrid, TrainOptions

logger = logging.getLogger(__name__)


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
    """
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
    """
    use_threads(threads)
    options = trained_options(curve, options)
    bounds = options.truth_snr, options.max_false_per_deg2
    others = compared_models(options.compare, held_out, calibration, *bounds, options.grid)
    scores = [write_model(held_out, calibration, weights, curve, options, name, folder)]
    for method, settled in [*others, *settled_baselines(calibration, *bounds, options.grid)]:
        scores.append(evaluate(method, held_out, options.truth_snr, settled, options.grid))
    write_evaluation(scores, folder)


def run_scores(
    models: Sequence[str],
    sets: Mapping[str, str],
    images: int,
    calibration: int,
    threads: int,
    labels: str | None = None,
) -> None:
    """Score models and ways without learning on simulated skies and on images with labels.

    Models keep the threshold, the peak and the calibration of their cards. Those of the ways without
    learning, and of a model whose card has no calibration of `p_diffuse`, are settled on simulated
    images of all skies, with at most ``train.max_false_per_deg2`` false islands by default.

    Parameters
    ----------
    models : sequence of str
        Names or folders.
    sets : mapping of str to str
        Folder to write by what is scored on: one of `radiounet.learning.score_sets.SIMULATED`, or a
        folder for `radiounet.learning.score_sets.labelled_set`. Written are those of
        `radiounet.images.model_files.score_files`.
    images, calibration : int
        Simulated images of each sky, to measure on and to settle thresholds on.
    threads : int
        Processes that simulate, and threads of the networks.
    labels : str, optional
        Folder of the labels, where they are not beside the images.

    Raises
    ------
    ConfigError
        The models are not for one grid; as `radiounet.learning.score_sets.labelled_set`.
    ModelError
        There is no such model, or it was trained on an image of a set.
    BadDataError
        As `radiounet.learning.scenes.read_scene`.
    """
    use_threads(threads)
    grids = {name: _grid(name) for name in models}
    grid = grids[models[0]]
    other = [name for name, one in grids.items() if one != grid]
    if other:
        raise ConfigError(
            f"{models[0]} is for {grid}, {other[0]} for {grids[other[0]]}: score them one by one"
        )
    options = TrainOptions()
    bounds = options.truth_snr, options.max_false_per_deg2
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            one: simulated_set(one, HELD_OUT, images, folder, threads)
            if one in SIMULATED
            else labelled_set(one, labels)
            for one in sets
        }
        all_paths = [path for some in paths.values() for path in some]
        settling = [
            path
            for sky in SIMULATED
            for path in simulated_set(sky, CALIBRATION, calibration, folder, threads)
        ]
        settled = compared_models(models, all_paths, settling, *bounds, grid)
        settled += settled_baselines(settling, *bounds, grid)
        for one, target in sets.items():
            scores = [
                evaluate(method, paths[one], options.truth_snr, found, grid) for method, found in settled
            ]
            write_evaluation(scores, target)
            with atomic(f"{target}/images.png") as temporary:
                save_figure(draw_scored(*settled[0], paths[one], options.truth_snr, grid), temporary, dpi=100)
            write_json(f"{target}/scores.json", {str(one["method"]): one for one in scores})
            logger.info("wrote the scores on %s: %s/evaluation.md", one, target)


def _grid(model: str) -> ImageGrid:
    card = read_card(model_folder(model))
    return ImageGrid(card.pixel_arcsec, card.beam_arcsec)
