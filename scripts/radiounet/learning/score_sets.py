"""Sets of images that models are scored on: simulated skies, and folders of images with labels."""

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
from radiounet.simulation.simulate import write_pair

SIMULATED = (OWN, *SKIES)
CALIBRATION = HELD_OUT + 50_000
"""First seed of the images that thresholds are settled on."""
LABELS = tuple(f".{kind}.fits{packed}" for kind in ("labels", "regions", "mask") for packed in ("", ".fz"))
LABEL_ENDINGS = (*LABELS, DS9)
"""What follows the name of an image in that of its labels."""
CLUSTERS = ".clusters.ecsv"


def simulated_set(sky: str, first: int, count: int, folder: str | Path, processes: int) -> list[str]:
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

    Returns
    -------
    list of str
        Paths for `radiounet.learning.scenes.read_scene`.
    """
    paths = [f"{folder}/{sky}-{seed}.fits" for seed in range(first, first + count)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        make = partial(_simulate, read_sky(sky))
        list(pool.map(make, paths, range(first, first + count)))
    return paths


def _simulate(options: SimulateOptions, path: str, seed: int) -> None:
    write_pair(path, options, seed)


def labelled_set(folder: str | Path, labels: str | Path | None = None) -> list[str]:
    """Images of a folder with their labels, and fields of another simulator.

    The labels of ``NAME.fits`` are in ``NAME`` with one of `LABEL_ENDINGS`, its clusters, if any, in
    ``NAME.clusters.ecsv``. Files of `radiounet.simulation.simulate` bring their truth, and so does a folder
    that holds `radiounet.learning.scenes.FIELD_FILES`.

    Parameters
    ----------
    folder : path
    labels : path, optional
        Folder of the labels and clusters; by default the same.

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
    there, beside = Path(folder), Path(labels or folder)
    for one in {there, beside}:
        if not one.is_dir():
            raise ConfigError(f"there is no folder {one}; simulated skies are {', '.join(SIMULATED)}")
    fields = [one for one in sorted(there.iterdir()) if all((one / name).is_file() for name in FIELD_FILES)]
    images = [one for one in sorted(there.glob("*.fits")) if not one.name.endswith(LABELS)]
    if not (fields or images):
        raise ConfigError(f"{folder} holds no image: NAME.fits with its labels in NAME{LABEL_ENDINGS[0]}")
    return [str(one) for one in fields] + [_with_labels(one, beside) for one in images]


def _with_labels(image: Path, folder: Path) -> str:
    found = [folder / f"{image.stem}{ending}" for ending in LABEL_ENDINGS]
    found = [one for one in found if one.is_file()]
    if not found:
        with reading(image), fits.open(image) as hdus:
            if "TRUTH" in hdus:
                return str(image)
    if len(found) != 1:
        names = ", ".join(f"{image.stem}{ending}" for ending in LABEL_ENDINGS)
        many = "several files of labels" if found else "no labels"
        raise ConfigError(f"{image} has {many} in {folder}: one of {names} is needed")
    clusters = folder / f"{image.stem}{CLUSTERS}"
    return ":".join(map(str, (image, *found, *([clusters] if clusters.is_file() else []))))
