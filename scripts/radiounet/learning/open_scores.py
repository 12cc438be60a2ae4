"""Scores of any models on any images, beside methods without learning."""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from radiounet.errors import ConfigError
from radiounet.images.words import save_figure
from radiounet.images.writing import atomic, write_json
from radiounet.learning.evaluation import calibrate, evaluate, settled_baselines
from radiounet.learning.evaluation_report import write_evaluation
from radiounet.learning.learning_curve import require_unseen
from radiounet.learning.methods import Calibration, Method, model_method
from radiounet.learning.scenes import read_scene
from radiounet.learning.score_sets import CALIBRATION, SIMULATED, labelled_set, simulated_set
from radiounet.learning.scored_images import draw_scored
from radiounet.network.inference import use_threads
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.simulate import MEASURED
from radiounet.settings.train import ImageGrid, TrainOptions, pair_files

logger = logging.getLogger(__name__)


def run_scores(
    models: Sequence[str],
    sets: Mapping[str, str],
    images: int,
    calibration: int,
    threads: int,
    labels: str | None = None,
) -> None:
    """Score models and methods without learning on simulated skies and on images with labels.

    Models keep the threshold, the peak and the calibration of their cards. Those of the methods without
    learning, and of a model whose card has no calibration of `p_diffuse`, are settled on simulated
    images of all skies, with at most `TrainOptions.max_false_per_deg2` false islands.

    Parameters
    ----------
    models : sequence of str
        Names or folders, by which they are called in the tables.
    sets : mapping of str to str
        What is scored on, one of `radiounet.learning.score_sets.SIMULATED` or a folder for
        `radiounet.learning.score_sets.labelled_set`, and the folder to write its scores to:
        `radiounet.images.model_files.score_files`.
    images, calibration : int
        Simulated images of each sky, to measure on and to settle thresholds on.
    threads : int
        Processes that simulate, and threads of the networks.
    labels : str, optional
        See `radiounet.learning.score_sets.labelled_set`.

    Raises
    ------
    ConfigError
        The models are not for one grid; as `radiounet.learning.score_sets.labelled_set`.
    ModelError
        There is no such model, or it was made with an image of a set.
    BadDataError
        As `radiounet.learning.scenes.read_scene`.
    """
    use_threads(threads)
    options, grid = TrainOptions(), _common_grid(models)
    paths = {one: labelled_set(one, labels) for one in sets if one not in SIMULATED}
    _require_own_labels([path for some in paths.values() for path in some])
    for path in (path for some in paths.values() for path in some):
        read_scene(path, options.truth_snr, grid)  # before the long work begins
    with tempfile.TemporaryDirectory() as folder:
        for sky in set(sets) & set(SIMULATED):
            paths[sky] = simulated_set(sky, MEASURED, images, folder, threads, grid)
        for name in models:
            card = read_card(model_folder(name))
            require_unseen(name, card.training, [path for some in paths.values() for path in some])
        settling = [
            path
            for sky in SIMULATED
            for path in simulated_set(sky, CALIBRATION, calibration, folder, threads, grid)
        ]
        methods = _settled(models, settling, options, grid)
        for one, target in sets.items():
            scores = [
                evaluate(method, paths[one], options.truth_snr, found, grid) for method, found in methods
            ]
            write_evaluation(scores, target)
            with atomic(f"{target}/images.png") as temporary:
                save_figure(draw_scored(*methods[0], paths[one], options.truth_snr, grid), temporary, dpi=100)
            write_json(f"{target}/scores.json", {"scored_on": one, "methods": scores})
            logger.info("wrote the scores on %s: %s/evaluation.md", one, target)


def _common_grid(models: Sequence[str]) -> ImageGrid:
    cards = {name: read_card(model_folder(name)) for name in models}
    grids = {name: ImageGrid(card.pixel_arcsec, card.beam_arcsec) for name, card in cards.items()}
    first, *others = grids
    for name in others:
        if grids[name] != grids[first]:
            sides = [
                f'{one} needs pixels of {grids[one][0]}" and a beam of {grids[one][1]}"' for one in grids
            ]
            raise ConfigError(f"{'; '.join(sides)}: score models of one grid at a time")
    return grids[first]


def _require_own_labels(paths: Sequence[str]) -> None:
    """Raise `ConfigError` where one file of labels would serve two images."""
    files = [pair_files(path) for path in paths]
    counts = Counter(one[1] for one in files if len(one) > 1)
    for label, count in counts.items():
        if count > 1:
            images = [one[0] for one in files if one[1:2] == (label,)]
            raise ConfigError(f"{label} would be the labels of {' and '.join(images)}: score them one by one")


def _settled(
    models: Sequence[str], settling: Sequence[str], options: TrainOptions, grid: ImageGrid
) -> list[tuple[Method, Calibration]]:
    bounds = options.truth_snr, options.max_false_per_deg2
    settled = []
    for name in models:
        method, known = model_method(model_folder(name))
        method = replace(method, name=name)
        anew = known.host_calibration is None
        settled.append((method, calibrate(method, settling, *bounds, grid=grid) if anew else known))
    return [*settled, *settled_baselines(settling, *bounds, grid)]
