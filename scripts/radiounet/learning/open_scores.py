"""Scores of any models on any images, beside methods without learning."""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.model_files import score_files
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.words import save_figure
from radiounet.images.writing import atomic_together, json_text
from radiounet.learning.evaluation import calibrate, evaluate, settled_baselines
from radiounet.learning.evaluation_report import fill_evaluation
from radiounet.learning.learning_curve import origin_of, require_unseen
from radiounet.learning.methods import BASELINES, BY_HAND, Calibration, Method, model_method
from radiounet.learning.scenes import FIELD_FILES, read_scene, require_apart
from radiounet.learning.score_sets import CALIBRATION, SIMULATED, labelled_set, simulated_set, warn_of_unused
from radiounet.learning.scored_images import draw_scored
from radiounet.network.devices import use_threads
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
        Simulated images of each sky, to measure on and to settle thresholds on. With 0 of the
        latter the methods that have to be settled are left out.
    threads : int
        Processes that simulate, and threads of the networks.
    labels : str, optional
        See `radiounet.learning.score_sets.labelled_set`.

    Raises
    ------
    ConfigError
        The models are not for one grid; no method is left; a set holds an image that thresholds are
        settled on; as `radiounet.learning.score_sets.labelled_set`.
    ModelError
        There is no such model, or its weights cannot be read; it was made with an image of a set.
    BadDataError
        As `radiounet.learning.scenes.read_scene`.
    """
    use_threads(threads)
    options, grid = TrainOptions(), _common_grid(models)
    # before the networks are loaded: a mistake in a folder is soon told
    paths = {one: labelled_set(one, labels) for one in sets if one not in SIMULATED}
    labelled = [path for some in paths.values() for path in some]
    _require_own_labels(labelled)
    loaded = _loaded(models)
    unsettled = [method.name for method, known in loaded if known.host_calibration is None]
    left_out = [] if calibration else [*unsettled, *(one.name for one in (*BASELINES, BY_HAND))]
    if left_out:
        logger.warning("left out, for there are no images to settle them on: %s", ", ".join(left_out))
    if not calibration and len(unsettled) == len(loaded):
        raise ConfigError("no model has a calibration of its own, and with --calibration 0 there is no other")
    for one, some in paths.items():
        warn_of_unused(one, some)
    if labels and labels not in paths:
        warn_of_unused(labels, labelled)
    for path in labelled:
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
            if calibration
            for path in simulated_set(sky, CALIBRATION, calibration, folder, threads, grid)
        ]
        require_apart([path for some in paths.values() for path in some], settling)
        methods = _settled(loaded, settling, options, grid)
        made_with = {
            "version": __version__,
            "codehash": code_hash(),
            "models": [
                {"name": name, "weights_sha256": read_card(model_folder(name)).weights.sha256}
                for name in models
            ],
            "calibration": {"skies": SIMULATED, **origin_of(settling)} if settling else None,
            "left_out": left_out,
        }
        for one, target in sets.items():
            scores = [
                evaluate(method, paths[one], options.truth_snr, found, grid) for method, found in methods
            ]
            measured = origin_of(paths[one]) if one in SIMULATED else {"files": _checksums(paths[one])}
            content = {"scored_on": one, **made_with, "measured": measured, "methods": scores}
            drawn = draw_scored(*methods[0], paths[one], options.truth_snr, grid)
            with atomic_together(*score_files(target)) as (page, figure, images_drawn, numbers):
                fill_evaluation(scores, page, figure, left_out)
                save_figure(drawn, images_drawn, dpi=100)
                numbers.write_text(json_text(content), encoding="utf-8")
            logger.info("wrote the scores on %s: %s/evaluation.md", one, target)


def _loaded(models: Sequence[str]) -> list[tuple[Method, Calibration]]:
    loaded = []
    for name in models:
        method, known = model_method(model_folder(name))
        loaded.append((replace(method, name=name), known))
    return loaded


def _checksums(paths: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the files of images with labels, and of fields."""
    files: list[str] = []
    for path in paths:
        of_field = [f"{path}/{name}" for name in FIELD_FILES]
        files += of_field if Path(path).is_dir() else pair_files(path)
    return {file: sha256_of(file) for file in files}


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
    loaded: Sequence[tuple[Method, Calibration]],
    settling: Sequence[str],
    options: TrainOptions,
    grid: ImageGrid,
) -> list[tuple[Method, Calibration]]:
    """All methods with what settles them; without images only models that need none."""
    if not settling:
        return [(method, known) for method, known in loaded if known.host_calibration]
    bounds = options.truth_snr, options.max_false_per_deg2
    settled = [
        (method, known if known.host_calibration else calibrate(method, settling, *bounds, grid=grid))
        for method, known in loaded
    ]
    return [*settled, *settled_baselines(settling, *bounds, grid)]
