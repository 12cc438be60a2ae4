"""Sets of images that models are scored on: simulated skies, and folders of images with labels."""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from astropy.io import fits

from radiounet.errors import ConfigError
from radiounet.images.processes import end_with_parent
from radiounet.images.reading import reading
from radiounet.learning.scenes import FIELD_FILES
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, OWN, SKIES, SimulateOptions
from radiounet.settings.train import ImageGrid, pair_files
from radiounet.simulation.simulate import write_pair

logger = logging.getLogger(__name__)

SIMULATED = (OWN, *SKIES)
CALIBRATION = HELD_OUT + 50_000
"""First seed of the images that thresholds are settled on."""
IMAGE = re.compile(r"([^.].*)\.fits?(\.gz|\.fz)?", re.IGNORECASE)
LABELS = re.compile(r"([^.].*)\.(?:(?:labels|regions|mask)\.fits?(?:\.gz|\.fz)?|reg)", re.IGNORECASE)
CLUSTERS = re.compile(r"([^.].*)\.clusters\.ecsv", re.IGNORECASE)
MEANT = re.compile(rf"{LABELS.pattern}|[^.].*\.clusters\..+", re.IGNORECASE)
"""Files that somebody means to be read."""
ENDINGS = "NAME.reg, NAME.labels.fits, NAME.regions.fits or NAME.mask.fits (or .fit, also with .gz or .fz)"


def simulated_set(
    sky: str, first: int, count: int, folder: str | Path, processes: int, grid: ImageGrid
) -> list[str]:
    """Simulate images of a sky.

    Parameters
    ----------
    sky : str
        One of `SIMULATED`.
    first, count : int
        Seed of the first one, and how many.
    folder : path
        Where they are kept.
    processes : int
    grid : ImageGrid
        Their pixel scale and beam.

    Returns
    -------
    list of str
        Paths for `radiounet.learning.scenes.read_scene`.
    """
    options = read_sky(sky).model_copy(update=grid._asdict())
    paths = [f"{folder}/{sky}-{seed}.fits" for seed in range(first, first + count)]
    with ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool:
        list(pool.map(partial(_simulate, options), paths, range(first, first + count)))
    return paths


def _simulate(options: SimulateOptions, path: str, seed: int) -> None:
    write_pair(path, options, seed)


def labelled_set(folder: str | Path, labels: str | Path | None = None) -> list[str]:
    """Images of a folder with their labels, and fields of another simulator.

    The labels of ``NAME.fits`` are in a file of `ENDINGS`, its clusters, if any, in ``NAME.clusters.ecsv``;
    endings may be in upper case. Files of `radiounet.simulation.simulate` bring their truth, and so does
    a folder that holds `radiounet.learning.scenes.FIELD_FILES`.

    Parameters
    ----------
    folder : path
        Of the images; or a field.
    labels : path, optional
        Folder in which labels and clusters are looked for before they are looked for beside the image.

    Returns
    -------
    list of str
        Paths for `radiounet.learning.scenes.read_scene`.

    Raises
    ------
    ConfigError
        There is no such folder, or no image in it; an image has no labels, or two files of them.
    UnreadableError
        An image cannot be read.
    """
    there = Path(folder)
    if not there.is_dir():
        raise ConfigError(f"there is no folder {there}; simulated skies are {', '.join(SIMULATED)}")
    if labels and not Path(labels).is_dir():
        raise ConfigError(f"there is no folder of labels {labels}")
    if _is_field(there):
        return [str(there)]
    fields = [one for one in sorted(there.iterdir()) if _is_field(one)]
    images = [
        one
        for one in sorted(there.iterdir())
        if one.is_file() and IMAGE.fullmatch(one.name) and not LABELS.fullmatch(one.name)
    ]
    if not (fields or images):
        raise ConfigError(f"{folder} holds no image: NAME.fits with its labels in {ENDINGS}")
    where = [*([Path(labels)] if labels else []), there]
    drawn, listed = ([_by_stem(one, pattern) for one in where] for pattern in (LABELS, CLUSTERS))
    return [*map(str, fields), *(_with_labels(one, drawn, listed, where) for one in images)]


def warn_of_unused(folder: str | Path, paths: Sequence[str]) -> None:
    """Name the files of labels and clusters in a folder that belong to no image.

    Parameters
    ----------
    folder : path
    paths : sequence of str
        From `labelled_set`. Labels of theirs that another folder overrides are not named.
    """
    files = [pair_files(path) for path in paths]
    stems = {_stem(Path(one[0])) for one in files if len(one) > 1}
    left = []
    for one in sorted(Path(folder).iterdir()):
        match = LABELS.fullmatch(one.name) or CLUSTERS.fullmatch(one.name)
        if MEANT.fullmatch(one.name) and not (match and match[1] in stems):
            left.append(one.name)
    if left:
        logger.warning(
            "%s: not used, because they belong to no image with labels or are named otherwise than %s; "
            "NAME.clusters.ecsv: %s",
            folder,
            ENDINGS,
            ", ".join(left),
        )


def _stem(image: Path) -> str:
    match = IMAGE.fullmatch(image.name)
    return match[1] if match else image.stem


def _is_field(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FIELD_FILES)


def _by_stem(folder: Path, pattern: re.Pattern[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for one in sorted(folder.iterdir()):
        if one.is_file() and (match := pattern.fullmatch(one.name)):
            found.setdefault(match[1], []).append(one)
    return found


def _with_labels(
    image: Path,
    drawn: Sequence[dict[str, list[Path]]],
    listed: Sequence[dict[str, list[Path]]],
    folders: Sequence[Path],
) -> str:
    """Path of an image with its labels and clusters: those of the first folder that has any."""
    labels, clusters = (
        next((part[_stem(image)] for part in parts if _stem(image) in part), []) for parts in (drawn, listed)
    )
    for what, found in (("labels", labels), ("clusters", clusters)):
        if len(found) > 1:
            raise ConfigError(f"{image} has several files of {what}: {', '.join(map(str, found))}")
    if labels:
        return ":".join(map(str, (image, *labels, *clusters)))
    with reading(image), fits.open(image) as hdus:
        if "TRUTH" in hdus:
            return str(image)
    raise ConfigError(
        f"{image} has no labels in {' or '.join(map(str, folders))}: "
        f"it needs {ENDINGS.replace('NAME', _stem(image))}"
    )
