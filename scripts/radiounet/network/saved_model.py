"""Weights of the published Radio U-Net, read from a TensorFlow SavedModel.

Only the checkpoint of its variables is read: no code in the SavedModel is run, and
no legacy Keras is needed.
"""

import re
import shutil
import stat
import tempfile
import warnings
import zipfile
import zlib
from datetime import UTC, datetime
from itertools import count, takewhile
from pathlib import Path, PurePosixPath

import keras
import numpy as np

from radiounet.errors import ConfigError, ModelError
from radiounet.images.model_files import MODEL_CARD, MODEL_WEIGHTS
from radiounet.images.products import NAME_PATTERN
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic_together
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.architectures.published_unet import PUBLISHED_WIDTHS, published_unet
from radiounet.network.model_cards import LogNormalisation, ModelCard, Weights, card_text
from radiounet.settings.archive import DownloadOptions, PublishedModel
from radiounet.settings.releases import DR2
from radiounet.settings.section import LONGEST_NAME
from radiounet.settings.urls import public_text
from radiounet.survey.archive import MAX_BYTES, fetch

TILE_PX, CORE_PX = 192, 96
PARAMETERS = 12_401_122
BAD_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError)
"""What a damaged, encrypted or odd zip raises, each where it is noticed."""
MOST_FILES = 1000
MOST_BYTES = 2_000_000_000
WANTED = ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb")
INDEX = "variables/variables.index"
KEY = "layer_with_weights-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
EXPORTED = "variables/{number}/.ATTRIBUTES/VARIABLE_VALUE"
"""Key of a variable of Keras 3, whose `export` numbers those of a model in their order."""
NEEDED = (
    "a SavedModel is needed, as a folder or a zip of it: Keras 2 writes one with model.save(FOLDER), Keras 3 "
    "with model.export(FOLDER)"
)
HDF5, LEVEL_DB = b"\x89HDF\r\n\x1a\n", b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""How an HDF5 file begins, and how the index of a TensorFlow checkpoint ends."""
PART_OF_CHECKPOINT = re.compile(r"\.data-\d+-of-\d+$")
OF_KERAS_FILE = {"config.json", "metadata.json", "model.weights.h5"}
"""Files in a ``.keras`` file, which is a zip."""


def fetch_model(name: str, model: PublishedModel, download: DownloadOptions, out: str | Path) -> None:
    """Fetch published weights and import them; see `import_saved_model`.

    Parameters
    ----------
    name : str
    model : PublishedModel
        Its `url` may also be a local zip, or the folder of an unpacked SavedModel.
    download : DownloadOptions
    out : path
        Folder of the model.

    Raises
    ------
    ConfigError
        A checksum is given for a folder, or the name cannot be that of a model.
    ModelError
        The URL is the prefix of a checkpoint; see also `import_saved_model`.
    """
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME:
        raise ConfigError(f"{name!r} cannot be the name of a model")
    is_folder = Path(model.url).is_dir()
    if is_folder and model.checksum:
        raise ConfigError("a folder has no checksum: give the zip")
    if not is_folder and Path(f"{model.url}.index").is_file():
        raise ModelError(f"{public_text(model.url)} is the prefix of a TensorFlow checkpoint: {NEEDED}")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(model.url) if is_folder else Path(scratch) / "model.zip"
        if not is_folder:
            fetch(
                model.url,
                source,
                download,
                checksum=model.checksum,
                check=lambda _: None,
                max_bytes=MAX_BYTES,
            )
        log10 = LogNormalisation(kind="log10", low=model.low, high=model.high, floor=model.floor)
        grid = {"pixel_arcsec": model.pixel_arcsec, "beam_arcsec": model.beam_arcsec}
        import_saved_model(source, name, out, log10, model.threshold, model.url, **grid)


def import_saved_model(
    source: str | Path,
    name: str,
    folder: str | Path,
    normalisation: LogNormalisation,
    threshold: float = 0.5,
    origin: str = "",
    *,
    pixel_arcsec: float = DR2.pixel_arcsec,
    beam_arcsec: float = DR2.beam_arcsec,
) -> ModelCard:
    """Make a model folder of a SavedModel of the published architecture.

    Parameters
    ----------
    source : path
        A zip, or the folder that holds ``saved_model.pb`` and ``variables/``, at any depth.
    name : str
        Of the model.
    folder : path
        Written: ``network.weights.h5`` and ``card.yaml``.
    normalisation : LogNormalisation
        Belongs to the weights, and is not in the SavedModel.
    threshold : float
        Probability where the mask begins.
    origin : str
        Where the file came from, for the card and for messages; empty for `source`.
    pixel_arcsec, beam_arcsec : float
        Pixel scale, and FWHM of the beam, of the images that it was trained on.

    Raises
    ------
    ModelError
        Not a SavedModel, an unsafe zip, or variables that are not those of
        `radiounet.network.architectures.published_unet.published_unet`.
    """
    source, out = Path(source), Path(folder)
    shown = public_text(origin or str(source))
    with tempfile.TemporaryDirectory(prefix="radiounet-") as scratch:
        tree = source if source.is_dir() else unpack(source, Path(scratch), shown)
        model = published_unet(TILE_PX)
        fill(model, read_variables(_root_of(tree, shown), shown), shown)
        weights = Path(scratch) / MODEL_WEIGHTS
        save_weights(model, weights)
        card = _card(name, normalisation, threshold, weights, source, origin, (pixel_arcsec, beam_arcsec))
        # the card first: a folder of weights alone could not be written over
        with atomic_together(out / MODEL_CARD, out / MODEL_WEIGHTS) as (card_file, weights_file):
            shutil.copyfile(weights, weights_file)
            card_file.write_text(card_text(card), encoding="utf-8")
    return card


def _card(
    name: str,
    normalisation: LogNormalisation,
    threshold: float,
    weights: Path,
    source: Path,
    origin: str,
    grid: tuple[float, float],
) -> ModelCard:
    return ModelCard(
        name=name,
        architecture="published_unet",
        widths=PUBLISHED_WIDTHS,
        tile_px=TILE_PX,
        core_px=CORE_PX,
        normalisation=normalisation,
        unit="Jy/beam",
        beam_arcsec=grid[1],
        pixel_arcsec=grid[0],
        threshold=threshold,
        training={
            "data": "as published; see citation",
            "imported_from": public_text(origin or source.name),
            **({"sha256": sha256_of(source)} if source.is_file() else {}),
            "parameters": PARAMETERS,
            "date": datetime.now(UTC).date().isoformat(),
        },
        metrics={},
        weights=Weights(file=weights.name, sha256=sha256_of(weights)),
        licence="as its authors say: https://github.com/ICSC-Spoke3/Radio-U-Net",
        citation="Stuardi et al. 2024, MNRAS, doi:10.1093/mnras/stae2014",
    )


def unpack(archive: Path, folder: Path, shown: str) -> Path:
    """Unpack what a SavedModel's variables need from a zip, and nothing else.

    Parameters
    ----------
    archive, folder : Path
    shown : str
        What the user calls the zip, for messages.

    Raises
    ------
    ModelError
        Not a zip, of another format, damaged, too large, or with a path that leaves the folder or a link.
    """
    if other := _other_format(archive, shown):
        raise ModelError(f"{shown} is {other}: {NEEDED}")
    try:
        with zipfile.ZipFile(archive) as pack:
            entries = pack.infolist()
            if {one.filename for one in entries} >= OF_KERAS_FILE:
                raise ModelError(f"{shown} is a .keras file: {NEEDED}")
            size = sum(one.file_size for one in entries)
            if len(entries) > MOST_FILES or size > MOST_BYTES:
                raise ModelError(
                    f"{shown} would unpack to {len(entries)} files of {size / 1e9:.1f} GB in all; "
                    f"a model has at most {MOST_FILES} of {MOST_BYTES / 1e9:.0f} GB"
                )
            for one in entries:
                path = PurePosixPath(one.filename.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or ":" in one.filename:
                    raise ModelError(f"{shown} holds {one.filename!r}, which leads out of its folder")
                if stat.S_ISLNK(one.external_attr >> 16):
                    raise ModelError(f"{shown} holds {one.filename!r}, a link")
                if not one.is_dir() and _wanted(path):
                    _extract(pack, one, folder / path, shown)
    except BAD_ZIP as error:
        raise ModelError(f"{shown} is not a whole zip: {error}; {NEEDED}") from error
    return folder


def _other_format(path: Path, shown: str) -> str:
    """Format of a file in which Keras and TensorFlow write models, too; empty for all others."""
    if not path.is_file():
        return ""
    with open(path, "rb") as stream:
        start = stream.read(len(HDF5))
        stream.seek(max(path.stat().st_size - len(LEVEL_DB), 0))
        end = stream.read()
    if start == HDF5:
        return "an HDF5 file, as Keras writes .h5 and .weights.h5"
    if end == LEVEL_DB or PART_OF_CHECKPOINT.search(shown):
        return "a part of a TensorFlow checkpoint"
    return ""


def _wanted(path: PurePosixPath) -> bool:
    if "__MACOSX" in path.parts or path.name.startswith("._"):
        return False
    return path.name in WANTED or (path.parent.name == "variables" and path.name.startswith("variables."))


def _extract(pack: zipfile.ZipFile, one: zipfile.ZipInfo, path: Path, shown: str) -> None:
    """Extract one file, but not more of it than the zip says it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = one.file_size
    with pack.open(one) as source, open(path, "wb") as target:
        while block := source.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise ModelError(f"{shown}: {one.filename} is larger than the zip says")
            target.write(block)


def _root_of(tree: Path, shown: str) -> Path:
    found = sorted(path.parents[1] for path in tree.rglob(INDEX))
    if len(found) != 1:
        what = ", ".join(str(one.relative_to(tree)) for one in found)
        raise ModelError(
            f"{shown} holds {len(found)} SavedModels ({what})"
            if found
            else f"{shown} holds no {INDEX}: {NEEDED}"
        )
    return found[0]


def read_variables(root: Path, shown: str) -> dict[str, np.ndarray]:
    """Variables of a SavedModel by their checkpoint key, those of the optimizer left out.

    Of an export of Keras 3, the states of random generators, which are whole numbers, are left out, too,
    and the others numbered without gaps. It holds no metrics.

    Parameters
    ----------
    root : Path
        Folder of the SavedModel.
    shown : str
        What the user calls it, for messages.

    Raises
    ------
    ModelError
        The checkpoint cannot be read.
    """
    import tensorflow as tf

    prefix = str(root / INDEX).removesuffix(".index")
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        exported = takewhile(shapes.__contains__, (EXPORTED.format(number=number) for number in count()))
        kept = [key for key in exported if types[key].is_floating]
        if kept:
            return {EXPORTED.format(number=n): reader.get_tensor(key) for n, key in enumerate(kept)}
        keys = [key for key in shapes if key.startswith("layer_with_weights-")]
        return {key: reader.get_tensor(key) for key in keys if "/.OPTIMIZER_SLOT/" not in key}
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        why = str(error).replace(str(root), shown)
        raise ModelError(f"{shown}: its variables cannot be read: {why}") from error


def fill(model: keras.Model, variables: dict[str, np.ndarray], shown: str) -> None:
    """Give a network the variables of a checkpoint, by key and shape.

    The n-th layer with weights is ``layer_with_weights-n``; in an export of Keras 3 the n-th of all
    weights is ``variables/n``.

    Parameters
    ----------
    model : keras.Model
    variables : dict of str to ndarray
    shown : str
        What the user calls their source, for messages.

    Raises
    ------
    ModelError
        A variable is missing, left over, not finite, or of another shape.
    """
    if EXPORTED.format(number=0) in variables:
        wanted = {EXPORTED.format(number=number): one for number, one in enumerate(model.weights)}
    else:
        layers = [layer for layer in model.layers if layer.weights]
        wanted = {
            KEY.format(number=number, name=one.name): one
            for number, layer in enumerate(layers)
            for one in layer.weights
        }
    missing, more = sorted(wanted.keys() - variables.keys()), sorted(variables.keys() - wanted.keys())
    if missing or more:
        kinds = ("missing", missing), ("left over", more)
        named = "; ".join(f"{len(keys)} {what}, such as {keys[0]}" for what, keys in kinds if keys)
        raise ModelError(f"{shown} is not the published Radio U-Net: of {len(wanted)} variables {named}")
    for key, variable in wanted.items():
        value = variables[key]
        if value.shape != tuple(variable.shape):
            raise ModelError(
                f"{shown} is not the published Radio U-Net: {key} has shape {list(value.shape)}, "
                f"with widths {list(PUBLISHED_WIDTHS)} it is {list(variable.shape)}"
            )
        if not np.isfinite(value).all():
            raise ModelError(f"{shown}: {key} holds numbers that are not finite")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key, variable in wanted.items():
            variable.assign(variables[key])
