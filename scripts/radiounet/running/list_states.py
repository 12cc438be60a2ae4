"""What fetched lists were made from: a run with other sources says so, and stops."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic
from radiounet.settings.catalogues import ClusterCatalogue
from radiounet.settings.releases import PUBLISHED, Release
from radiounet.settings.urls import local_path


def list_state(release: Release) -> str:
    """SHA-256 of what the lists of a release follow from: its cells, and their sources."""
    sources = release.mosaics, release.footprint, release.fields
    return _state(release.model_dump(mode="json", exclude={"archive", *PUBLISHED}), filter(None, sources))


def catalogue_state(catalogue: ClusterCatalogue) -> str:
    """The same of a fetched catalogue of clusters."""
    return _state(catalogue.model_dump(mode="json"), [catalogue.url])


def _state(settings: dict[str, object], sources: Iterable[str]) -> str:
    """Of settings, and of the bytes of those sources that are local files."""
    paths = [path for path in map(local_path, sources) if path and Path(path).is_file()]
    text = json.dumps([settings, *map(sha256_of, paths)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def record_state(path: str, state: str) -> None:
    """Note beside a list what it was made from."""
    with atomic(_record(path)) as temporary:
        temporary.write_text(f"{state}\n", encoding="utf-8")


def came_from(path: str, state: str) -> bool:
    """Whether a list was made from that; also where nothing is noted, as by older versions."""
    record = _record(path)
    return not record.is_file() or record.read_text(encoding="utf-8").strip() == state


def _record(path: str) -> Path:
    return Path(f"{path}.source")


def make_lists() -> str:
    """How to make the lists, for messages."""
    return (
        "with the same configuration (a --configfile goes before the --):\n    snakemake --cores 1 -- lists"
    )
