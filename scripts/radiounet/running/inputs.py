"""The files that a configuration names: whether they are there, before the job graph is made.

Snakemake takes what exists for up to date where its inputs are missing: with a mistyped
model or image, a finished run would show the old products under the new name.
"""

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.model_files import MODEL_CARD
from radiounet.images.provenance import sha256_of
from radiounet.images.squares import BEAM_TOLERANCE, SCALE_TOLERANCE
from radiounet.settings.config import Config
from radiounet.settings.publish import require_aladin
from radiounet.settings.urls import local_path
from radiounet.settings.yaml_file import read_yaml


def check_inputs(config: Config, root: str) -> None:
    """Look at every file that a run reads by the configuration, without reading images.

    Parameters
    ----------
    config : Config
    root : str
        Folder that the run writes to, ``results/<release>``.

    Raises
    ------
    ConfigError
        Names every file that is missing, empty, not readable or in the run's own folder, and a program of
        Aladin Lite that is none.
    """
    names: dict[str, Iterable[str]] = {"clusters": config.archive.clusters}
    files = [
        fault
        for key, path in _files(config)
        if (fault := _file_fault(key, path, root, names.get(key, ())) or _program_fault(key, path))
    ]
    folders = [fault for key, path in _templates(config) if (fault := _folder_fault(key, path))]
    refuse([*_release_faults(config), *_place_faults(config), *files, *folders])


def check_model(config: Config, models: Path) -> None:
    """Look at the model that segments: whether it is whole.

    Parameters
    ----------
    config : Config
    models : Path
        Folder of the models, ``resources/models``.

    Raises
    ------
    ConfigError
        It is not there and cannot be fetched; its card is none; its weights are not there, or
        not those of the card; one to be fetched would overwrite another; or it was made for another
        pixel scale or beam than the release has.
    """
    refuse(_model_faults(config, models))


def refuse(faults: list[str]) -> None:
    """Raise `ConfigError` with all faults of a configuration, if there are any."""
    if faults:
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise ConfigError(f"the configuration names what cannot be used:\n{listed}")


def _files(config: Config) -> Iterator[tuple[str, str]]:
    for number, image in enumerate(config.mosaics.images):
        yield f"mosaics.images.{number}.path", image.path
    for path in config.clusters:
        if path not in config.fetched_clusters:
            yield "clusters", path
    if config.archive.checksums is not None:
        yield "archive.checksums", config.archive.checksums
    components = config.measure.components
    if components is not None and not components.is_of_mosaic and not components.is_fetched:
        yield "measure.components", local_path(components.url) or ""
    if config.mosaics.source == "fields" and config.mosaics.options.flux_scale is not None:
        yield "mosaics.options.flux_scale", config.mosaics.options.flux_scale
    if config.publish.aladin is not None:
        yield "publish.aladin", config.publish.aladin


def _templates(config: Config) -> Iterator[tuple[str, str]]:
    components = config.measure.components
    named = {
        "measure.components": components.url if components and components.is_of_mosaic else None,
        "mosaics.compare_to": config.mosaics.compare_to,
        "verify.masks": config.verify.masks,
        "verify.probabilities": config.verify.probabilities,
    }
    if config.mosaics.source == "fields":
        options = config.mosaics.options
        for name in ("noise_map", "facets", "facet_offsets", "bad_facets"):
            named[f"mosaics.options.{name}"] = getattr(options, name)
    for key, template in named.items():
        if template is not None and (path := local_path(template)) is not None:
            yield key, path


def _release_faults(config: Config) -> list[str]:
    """What the release lacks of what the run fetches."""
    release, faults = config.survey_release, []
    if config.mosaics.high_resolution and not config.clusters:
        faults.append("mosaics.high_resolution: it is for clusters, but clusters names no catalogue")
    if "{pixel}" in (config.mosaics.high_resolution or "") and release.cells != "healpix":
        faults.append(f"mosaics.high_resolution: the mosaics of {release.name} have no {{pixel}}")
    if config.mosaics.source == "published" and release.archive.mosaic is None:
        faults.append(f"release: {release.name} has no mosaics to fetch: set {config.archive_key}.mosaic")
    if release.is_listed and release.footprint is None and release.mosaics is None:
        faults.append(
            f"release: {release.name} has no list of its mosaics: set releases.{release.name}.footprint "
            f"where its cells are healpix, releases.{release.name}.mosaics where they are pointings"
        )
    return faults


def _place_faults(config: Config) -> list[str]:
    """What stands where folders are to be made, and two that would be one."""
    places = {"results": config.results, "archive.list_folder": config.archive.list_folder}
    places |= {"scratch": config.scratch} if config.scratch else {}
    faults = [
        f"{key}: {path} is a file, not a folder"
        for key, path in places.items()
        if os.path.lexists(path) and not os.path.isdir(path)
    ]
    if config.scratch and os.path.realpath(config.scratch) == os.path.realpath(config.results):
        faults.append(f"scratch: {config.scratch} is the folder of results: name another, or leave it out")
    return faults


def _file_fault(key: str, path: str, root: str, names: Iterable[str]) -> str | None:
    """What is wrong with a file, for which one of some names may have been meant."""
    if not os.path.lexists(path):
        folder, name = os.path.split(path)
        beside = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        beside += names
        return f"{key}: there is no file {path} (from {Path.cwd()}){nearest(name, beside)}"
    if os.path.isdir(path):
        return f"{key}: {path} is a folder, not a file"
    if not os.path.exists(path):
        return f"{key}: {path} is a link to {os.readlink(path)}, which is not there"
    if not os.access(path, os.R_OK):
        return f"{key}: {path} may not be read by this user"
    if os.path.getsize(path) == 0:
        return f"{key}: {path} is empty"
    if os.path.realpath(path).startswith(f"{os.path.realpath(root)}{os.sep}"):
        return f"{key}: {path} lies in {root}, which this run writes to: move it, or set another results"
    return None


def _program_fault(key: str, path: str) -> str | None:
    """Whether a file that is there is something else than the program of Aladin Lite."""
    try:
        if key == "publish.aladin":
            require_aladin(path)
    except ConfigError as error:
        return f"{key}: {error}"
    return None


def _folder_fault(key: str, template: str) -> str | None:
    """Whether the part of a path before its first name in braces is there."""
    folder = os.path.dirname(template.format(mosaic="\0", field="\0").partition("\0")[0]) or "."
    return None if os.path.isdir(folder) else f"{key}: there is no folder {folder} (from {Path.cwd()})"


def _model_faults(config: Config, models: Path) -> list[str]:
    name, fetched = config.segmentation.model, config.archive.models
    own = [_own_model_fault(one, models / one) for one in fetched]
    faults = [fault for fault in own if fault]
    folder = models / name
    if name in fetched:
        faults += _grid_faults(config, fetched[name].pixel_arcsec, fetched[name].beam_arcsec)
    if not (folder / MODEL_CARD).is_file():
        if name not in fetched:
            known = [*known_models(models), *fetched]
            faults.append(f"segmentation.model: there is no model {name} in {models}{nearest(name, known)}")
        return faults
    if name in fetched:  # fetched again, where it is not whole
        return faults
    try:
        card = read_yaml(folder / MODEL_CARD)
        file, recorded = folder / str(card["weights"]["file"]), card["weights"]["sha256"]
        faults += _grid_faults(config, float(card["pixel_arcsec"]), float(card["beam_arcsec"]))
    except (ValueError, TypeError, KeyError) as error:
        return [*faults, f"segmentation.model: {folder}/{MODEL_CARD} is no model card: {error}"]
    if not file.is_file() or file.stat().st_size == 0:
        faults.append(f"segmentation.model: the weights {file} are missing or empty; restore them")
    elif sha256_of(file) != recorded:
        faults.append(
            f"segmentation.model: the weights {file} are not those of the card beside them: "
            "restore the file, or the card that belongs to it"
        )
    return faults


def _grid_faults(config: Config, pixel_arcsec: float, beam_arcsec: float) -> list[str]:
    """Whether a model takes the mosaics of the release as they are; own images are brought to its grid."""
    release = config.survey_release
    same_pixels = abs(release.pixel_arcsec - pixel_arcsec) <= SCALE_TOLERANCE * pixel_arcsec
    same_beam = abs(release.beam_arcsec - beam_arcsec) <= BEAM_TOLERANCE * beam_arcsec
    if not release.is_listed or (same_pixels and same_beam):
        return []
    return [
        f"segmentation.model: {config.segmentation.model} needs pixels of {pixel_arcsec:g} arcsec and a beam "
        f"of {beam_arcsec:g} arcsec, but the mosaics of {release.name} have {release.pixel_arcsec:g} and "
        f"{release.beam_arcsec:g}: name a model made for these, or give the mosaics as own images "
        "(mosaics.source: images), which are brought to the model's pixels and beam"
    ]


def _own_model_fault(name: str, folder: Path) -> str | None:
    """Whether fetching a model would write over one that was not fetched."""
    if not (folder / MODEL_CARD).is_file():
        return None
    try:
        if "imported_from" in read_yaml(folder / MODEL_CARD)["training"]:
            return None
    except (ValueError, TypeError, KeyError):
        return (
            f"archive.models.{name}: {folder}/{MODEL_CARD} is no model card, so that nothing says whether "
            "this model was fetched: remove the folder to have it fetched"
        )
    return f"archive.models.{name}: {folder} is a model that was not fetched, and fetching would overwrite it"


def known_models(models: Path) -> list[str]:
    """Names of the models in a folder."""
    return sorted(card.parent.name for card in models.glob(f"*/{MODEL_CARD}"))


def nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is not known, for messages; '' where nothing is like it."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
