"""What a configuration says of a training: whether it can be, before anything is simulated.

Apart from `radiounet.running.inputs`, which every stage imports: what only a training needs would be part of
the hash of each stage's code.
"""

from pathlib import Path

from radiounet.images.model_files import MODEL_CARD
from radiounet.learning.learning_curve import seen_before
from radiounet.learning.option_checks import network_faults, pair_faults
from radiounet.network.architectures.registry import TRAINABLE
from radiounet.running.inputs import known_models, nearest, refuse
from radiounet.settings.config import Config
from radiounet.settings.yaml_file import read_yaml


def check_training(config: Config, models: Path) -> None:
    """Look at the network that is to be trained, its images, and the models that it starts from or meets.

    Raises
    ------
    ConfigError
        A network that pairs do not train, or whose levels do not divide tiles and crops. Simulated
        images that do not fit the training. A model that is not there; one given by its folder may
        still be made. A model that was made with images that are to be held out.
    """
    train = config.train
    faults = [f"train.{fault}" for fault in pair_faults(train, config.simulate)]
    if train.architecture in TRAINABLE:
        faults += [f"train.{fault}" for fault in network_faults(train, "crop_px", "tile_px")]
    else:
        faults.append(f"train.architecture: {train.architecture} is none of {', '.join(TRAINABLE)}")
    compared = [("compare", name) for name in train.compare]
    named = [("initial", train.initial), ("hard_from", train.hard_from), *compared]
    wanted = [(f"train.{key}", name) for key, name in named if name]
    absent = [
        (key, name)
        for key, name in wanted
        if "/" not in name and not (models / name).is_dir() and not Path(name).is_dir()
    ]
    faults += [
        f"{key}: there is no model {name}{nearest(name, known_models(models))}" for key, name in absent
    ]
    first = train.fields + train.calibrate
    held_out = {str(config.simulate.seed): range(first, first + train.held_out)}
    for key, name in wanted:
        folder = models / name if (models / name).is_dir() else Path(name)
        # no card says from which model false islands were taken
        if key != "train.hard_from" and (fault := _seen(folder, held_out)):
            faults.append(
                f"{key}: {name}: {fault} (numbers from train.fields + train.calibrate on, of the set "
                "simulate.seed)"
            )
    refuse(faults)


def _seen(folder: Path, held_out: dict[str, range]) -> str | None:
    """Which of the images to be held out a model was made with; None for none, or where it is not there."""
    card = folder / MODEL_CARD
    try:
        training = read_yaml(card)["training"]
    except (OSError, ValueError, TypeError, KeyError):  # the training says what is wrong with it
        return None
    try:
        return seen_before(training, held_out) if isinstance(training, dict) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{card} does not say in a known form how the model was trained"
