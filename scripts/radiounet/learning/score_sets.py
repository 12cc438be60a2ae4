"""Sets of images that models are scored on: simulated skies, and folders of images with labels."""

import logging
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from astropy.io import fits

from radiounet.errors import ConfigError
from radiounet.images.reading import reading
from radiounet.learning.label_planes import DS9
from radiounet.learning.scenes import FIELD_FILES
from radiounet.settings.simulate import HELD_OUT, OWN, SKIES, SimulateOptions, read_sky
from radiounet.settings.train import ImageGrid
from radiounet.simulation.simulate import write_pair

logger = logging.getLogger(__name__)

SIMULATED = (OWN, *SKIES)
CALIBRATION = HELD_OUT + 50_000
"""First seed of the images that thresholds are settled on."""
IMAGE = re.compile(r"(.+)\.fits?(\.gz|\.fz)?", re.IGNORECASE)
LABELS = tuple(f".{kind}.fits{packed}" for kind in ("labels", "regions", "mask") for packed in ("", ".fz"))
LABEL_ENDINGS = (*LABELS, DS9)
"""What follows the name of an image in that of its labels."""
CLUSTERS = ".clusters.ecsv"


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
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(partial(_simulate, options), paths, range(first, first + count)))
    return paths


def _simulate(options: SimulateOptions, path: str, seed: int) -> None:
    write_pair(path, options, seed)


def labelled_set(folder: str | Path, labels: str | Path | None = None) -> list[str]:
    """Images of a folder with their labels, and fields of another simulator.

    Files of labels that belong to no image are named in a warning.

    The labels of ``NAME.fits`` are in ``NAME`` with one of `LABEL_ENDINGS`, its clusters, if any, in
    ``NAME.clusters.ecsv``. Files of `radiounet.simulation.simulate` bring their truth, and so does a folder
    that holds `radiounet.learning.scenes.FIELD_FILES`.

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
        if one.is_file() and IMAGE.fullmatch(one.name) and not one.name.endswith(LABELS)
    ]
    if not (fields or images):
        raise ConfigError(f"{folder} holds no image: NAME.fits with its labels in NAME{LABEL_ENDINGS[0]}")
    where = [*([Path(labels)] if labels else []), there]
    paths = [_with_labels(one, where) for one in images]
    # including labels that the other folder overrides
    theirs = {f"{_stem(image)}{ending}" for image in images for ending in LABEL_ENDINGS}
    left = [
        one for one in sorted(there.iterdir()) if one.name.endswith(LABEL_ENDINGS) and one.name not in theirs
    ]
    if left:
        logger.warning("%s: labels of no image here: %s", folder, ", ".join(one.name for one in left))
    return [str(one) for one in fields] + paths


def _stem(image: Path) -> str:
    match = IMAGE.fullmatch(image.name)
    return match[1] if match else image.stem


def _is_field(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FIELD_FILES)


def _with_labels(image: Path, folders: list[Path]) -> str:
    stem = _stem(image)
    for folder in folders:
        found = [one for ending in LABEL_ENDINGS if (one := folder / f"{stem}{ending}").is_file()]
        if len(found) > 1:
            raise ConfigError(f"{image} has several files of labels: {', '.join(map(str, found))}")
        if found:
            clusters = [one for part in folders if (one := part / f"{stem}{CLUSTERS}").is_file()]
            return ":".join(map(str, (image, *found, *clusters[:1])))
    with reading(image), fits.open(image) as hdus:
        if "TRUTH" in hdus:
            return str(image)
    names = ", ".join(f"{stem}{ending}" for ending in LABEL_ENDINGS)
    raise ConfigError(f"{image} has no labels in {' or '.join(map(str, folders))}: one of {names} is needed")
