"""What fetched lists were made from: a run with other sources says so, and stops."""

import json
from collections.abc import Iterable
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic
from radiounet.settings.catalogues import ClusterCatalogue
from radiounet.settings.releases import LISTED, Release
from radiounet.settings.urls import local_path, public_text


def lists_source(release: Release, path: str) -> str:
    """What the lists of a release, of which `path` is one, are made from (JSON)."""
    settings = release.model_dump(mode="json", include=set(LISTED))
    return _source(settings, filter(None, (release.mosaics, release.footprint, release.fields)), path)


def catalogue_source(catalogue: ClusterCatalogue, path: str) -> str:
    """The same of a fetched catalogue of clusters."""
    return _source(catalogue.model_dump(mode="json"), [catalogue.url], path)


def _source(settings: dict[str, object], sources: Iterable[str], path: str) -> str:
    """Settings, and the SHA-256 of sources that are local files; as it is on record where one is gone."""
    try:
        recorded = dict(json.loads(_read(path) or "{}").get("files", {}))
    except (ValueError, TypeError, AttributeError):  # damaged, so it is of no source that is known
        recorded = {}
    files = {}
    for path_of in filter(None, map(local_path, sources)):
        files[path_of] = sha256_of(path_of) if Path(path_of).is_file() else recorded.get(path_of, "")
    return public_text(json.dumps({"settings": settings, "files": files}, sort_keys=True))


def record_source(path: str, source: str) -> None:
    """Note beside a list what it was made from."""
    with atomic(_record(path)) as temporary:
        temporary.write_text(f"{source}\n", encoding="utf-8")


def require_lists(release: Release, path: str) -> None:
    """Raise `ConfigError` if the list of mosaics is of other sources; older versions noted none."""
    _require(path, lists_source(release, path))


def require_catalogue(catalogue: ClusterCatalogue, path: str) -> None:
    """The same of a fetched catalogue of clusters."""
    _require(path, catalogue_source(catalogue, path))


def _require(path: str, source: str) -> None:
    if _read(path) not in ("", source):
        raise ConfigError(
            f"{path} was made from other sources or settings than now: make it anew, {how_to_make_lists()}"
        )


def _read(path: str) -> str:
    record = _record(path)
    return record.read_text(encoding="utf-8").strip() if record.is_file() else ""


def _record(path: str) -> Path:
    return Path(f"{path}.source")


def how_to_make_lists() -> str:
    """How to make the lists, for messages."""
    return (
        "with the same configuration (a --configfile goes before the --):\n    snakemake --cores 1 -- lists"
    )
