"""The learning curve of a training, with what it was trained on and with."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from pydantic import ValidationError

from radiounet.errors import ConfigError, ModelError
from radiounet.images.reading import fits_header
from radiounet.images.writing import atomic
from radiounet.settings.config_faults import explain
from radiounet.settings.train import OF_EVALUATION, TrainOptions, pair_files

BASE_SEED = re.compile(r"base seed (\w+)")
COLUMNS = ("step", "loss", "validation", "seconds")


def write_curve(path: str | Path, rows: Sequence[Sequence], about: dict[str, object]) -> None:
    """Write a CSV with `COLUMNS`, and above them a comment line that tells of the training in JSON."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        stream.write(f"# {json.dumps(about)}\n")
        csv.writer(stream).writerows([COLUMNS, *rows])


def read_about(path: str | Path) -> dict[str, Any]:
    """What `write_curve` wrote above the columns.

    Raises
    ------
    ConfigError
        It is no such file.
    """
    if not Path(path).is_file():
        raise ConfigError(f"there is no learning curve {path}")
    try:
        with open(path, encoding="utf-8") as stream:
            first, second = stream.readline(), stream.readline()
        about = json.loads(first[1:]) if first.startswith("#") else None
    except ValueError:  # of JSON or of the encoding
        about = None
    if not isinstance(about, dict) or second.strip() != ",".join(COLUMNS):
        raise ConfigError(
            f"{path} is not a learning curve of radiounet train, which begins with a comment on the training "
            f"and the columns {', '.join(COLUMNS)}"
        )
    return about


class Origin(TypedDict):
    """Where images come from; seeds and code are those of simulated ones."""

    number: int
    set: str
    seeds: NotRequired[list[int]]
    code: NotRequired[list[str]]


def origin_of(paths: Sequence[str]) -> Origin:
    """Number of images, the sets they are of, lowest and highest seed, and the code that simulated them.

    Parameters
    ----------
    paths : sequence of str
        As `radiounet.learning.pairs.read_pair` takes them.
    """
    headers = [fits_header(path) for path in paths if _is_simulated(path)]
    seeds = sorted({str(header.get("BASESEED", "unknown")) for header in headers})
    sets = [f"radiounet.simulation.simulate, base seed {seed}" for seed in seeds]
    given = ["images given with their truth"] if len(headers) < len(paths) else []
    origin: Origin = {"number": len(paths), "set": "; ".join([*sets, *given])}
    if headers:
        numbers = [header["SEED"] for header in headers if "SEED" in header]
        origin["seeds"] = [min(numbers), max(numbers)] if numbers else []
        origin["code"] = sorted({str(header["CODEHASH"]) for header in headers if "CODEHASH" in header})
    return origin


def _is_simulated(path: str) -> bool:
    """Whether it is one file, and no folder, that brings its truth."""
    return len(pair_files(path)) == 1 and not Path(path).is_dir()


def require_unseen(name: str, training: dict[str, Any] | None, held_out: Sequence[str]) -> None:
    """Refuse a model on simulated images that it, or a model it began from, was made with.

    Parameters
    ----------
    name : str
        What to call the model.
    training : dict or None
        From `read_about`, or ``training`` of a card; one that tells no images is not refused.
    held_out : sequence of str
        As `origin_of`.

    Raises
    ------
    ModelError
        They are of the set used for training or calibration, and their seeds overlap.
    """
    measured: dict[str, list[int]] = {}
    for header in (fits_header(path) for path in held_out if _is_simulated(path)):
        if "SEED" in header:
            measured.setdefault(str(header.get("BASESEED", "unknown")), []).append(header["SEED"])
    if fault := seen_before(training, measured):
        raise ModelError(f"{name}: {fault}")


def seen_before(training: dict[str, Any] | None, measured: Mapping[str, Sequence[int]]) -> str | None:
    """Say which images to measure on a model was made with, as `require_unseen`; None for none of them.

    Parameters
    ----------
    training : dict or None
        As `require_unseen`.
    measured : mapping of str to sequence of int
        Numbers of the images of each set, by its base seed.
    """
    for one in _with_those_before(training):
        for what in ("pairs", "calibration", "host_calibration"):
            used = one.get(what) or {}
            if not used.get("seeds"):
                continue
            first, last = used["seeds"]
            # older cards name the set otherwise, but with the same seed
            seeds = [seed for base in BASE_SEED.findall(used["set"]) for seed in measured.get(base, [])]
            if any(first <= seed <= last for seed in seeds):
                return (
                    f"its {what} used the simulated images {first} to {last}: "
                    f"hold out others than {min(seeds)} to {max(seeds)}"
                )
    return None


def _with_those_before(training: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Yield how a model was trained, and how the one that it began from was, or those it consists of."""
    if not training:
        return
    yield training
    initial = training.get("initial") or []
    for one in initial if isinstance(initial, list) else [initial]:
        yield from _with_those_before(one.get("training"))


def trained_options(curve: str | Path, options: TrainOptions) -> TrainOptions:
    """Options that weights were trained with, but those of their evaluation as given.

    Raises
    ------
    ConfigError
        The file is not a learning curve, or names options that do not exist.
    """
    trained = read_about(curve).get("options")
    if not isinstance(trained, dict):
        raise ConfigError(f"{curve} does not say with which options its network was trained")
    try:
        given = options.model_dump(include={*OF_EVALUATION, "calibrate", "held_out"})
        return TrainOptions.model_validate({**trained, **given})
    except ValidationError as error:
        raise ConfigError(
            f"{curve} tells of options that cannot be used:\n{explain(error, TrainOptions)}"
        ) from None
