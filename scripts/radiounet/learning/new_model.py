"""The folder of a trained model: weights, learning curve, metrics, card."""

import logging
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from radiounet.images.model_files import EVALUATION_FILES, MODEL_CARD, MODEL_WEIGHTS
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic_together, json_text
from radiounet.learning.crops import NORMALISATIONS
from radiounet.learning.evaluation import calibrate, evaluate
from radiounet.learning.evaluation_report import fill_evaluation
from radiounet.learning.learning_curve import origin_of, read_about, require_unseen
from radiounet.learning.methods import network_method
from radiounet.measuring.scores import card_metrics
from radiounet.network.engine import load_network
from radiounet.network.inference import Predictor
from radiounet.network.model_cards import ModelCard, Weights, card_text, model_folder, read_card
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import options_to
from radiounet.settings.train import OF_TRAINING, TrainOptions
from radiounet.settings.yaml_file import read_yaml

logger = logging.getLogger(__name__)

MODEL_CONFIGS = CHECKOUT / "config" / "models"
NOT_SETTLED = "threshold and peak: no mask holds a pixel of the emission in the calibration images"


def measure_model(
    held_out: Sequence[str],
    calibration: Sequence[str],
    weights: str,
    curve: str,
    options: TrainOptions,
    name: str,
) -> tuple[dict[str, object], ModelCard]:
    """Settle the thresholds of trained weights and measure them on held-out images.

    Parameters
    ----------
    held_out, calibration : sequence of str
        Images, see `read_scene`.
    weights, curve : str
        From `radiounet.learning.training`.
    options : TrainOptions
        As the weights were trained with; the card lists them all.
    name : str
        Name of the model.

    Returns
    -------
    scores : dict
        As `evaluate`.
    card : ModelCard

    Raises
    ------
    ConfigError
        As `radiounet.learning.evaluation.calibrate`.
    ModelError
        Weights that cannot be read, or that were trained on held-out images.
    """
    require_unseen(name, read_about(curve), held_out)
    model = load_network(options.architecture, options.tile_px, options.widths, weights)
    initial = options.initial and read_card(model_folder(options.initial))
    normalisation = initial.normalisation if initial else NORMALISATIONS[options.normalisation]
    method = network_method(
        name, Predictor(model, options.architecture), normalisation, options.tile_px, options.core_px
    )
    found = calibrate(method, calibration, options.truth_snr, options.max_false_per_deg2, grid=options.grid)
    if found.host_calibration is None:
        logger.warning(
            "%s: clusters with and without diffuse emission are needed to calibrate p_diffuse; "
            "it will be the bare maximum of the probability",
            name,
        )
    scores = evaluate(method, held_out, options.truth_snr, found, options.grid)
    card = ModelCard(
        name=name,
        architecture=options.architecture,
        widths=tuple(options.widths),
        tile_px=options.tile_px,
        core_px=options.core_px,
        normalisation=normalisation,
        unit="Jy/beam",
        beam_arcsec=options.beam_arcsec,
        pixel_arcsec=options.pixel_arcsec,
        threshold=found.threshold,
        peak=found.peak,
        host_calibration=found.host_calibration,
        training={
            "command": _command(name, options),
            **read_about(curve),
            "options": options.model_dump(mode="json"),
            "calibration": origin_of(calibration),
            **({} if found.peak else {"not_settled": NOT_SETTLED}),
            "held_out": origin_of(held_out),
            "parameters": model.count_params(),
            "date": datetime.now(UTC).date().isoformat(),
        },
        metrics={"on": f"{len(held_out)} held-out images", **card_metrics(scores)},
        weights=Weights(file=MODEL_WEIGHTS, sha256=sha256_of(weights)),
        licence="BSD-3-Clause",
        citation="see CITATION.cff of this workflow",
    )
    return scores, card


def write_model(
    folder: str | Path, weights: str, curve: str, card: ModelCard, scores: Sequence[dict[str, object]]
) -> None:
    """Write the folder of a model, see `radiounet.images.model_files.model_files`.

    Parameters
    ----------
    folder : path
        An older model in it stays as it was if a file cannot be written.
    weights, curve : str
        Copied.
    card : ModelCard
    scores : sequence of dict
        From `measure_model`, then those of the methods that it is compared with.
    """
    # the curve first: after a kill it tells that the others were made here
    names = ("learning_curve.csv", MODEL_WEIGHTS, "metrics.json", *EVALUATION_FILES, MODEL_CARD)
    files = (Path(folder, name) for name in names)
    with atomic_together(*files) as (to_curve, to_weights, to_scores, page, figure, to_card):
        shutil.copyfile(curve, to_curve)
        shutil.copyfile(weights, to_weights)
        to_scores.write_text(json_text(scores[0]), encoding="utf-8")
        fill_evaluation(scores, page, figure)
        to_card.write_text(card_text(card), encoding="utf-8")


def _command(name: str, options: TrainOptions) -> str:
    """Command that trains such a model: with its own configuration, or with options that differ."""
    config = MODEL_CONFIGS / f"{name}.yaml"
    if config.is_file():
        written = (read_yaml(config) or {}).get("train", {})
        # what it is compared with makes no other weights
        if TrainOptions.model_validate(written | {"compare": options.compare}) == options:
            return f"make model MODEL={name}"
    changed = options.model_dump(include={*OF_TRAINING}, exclude_defaults=True)
    return " ".join(["radiounet train", *([options_to(options, *changed)] if changed else [])])
