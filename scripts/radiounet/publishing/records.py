"""Records of publication jobs: what each read and wrote, so that finished jobs are skipped."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import Publication
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.writing import atomic, write_json

DATE_TOLERANCE_S = 1.0
"""How much newer than its record a file may be that nobody touched since."""


class JobFiles:
    """Files of a publication that one job writes.

    Parameters
    ----------
    publication : Publication

    Attributes
    ----------
    files : dict of str to str
        SHA-256 by name, of all that was put.
    sizes : dict of str to int
        Bytes, of the same.
    """

    def __init__(self, publication: Publication):
        self._publication = publication
        self.files: dict[str, str] = {}
        self.sizes: dict[str, int] = {}

    def put(self, name: str, content: bytes) -> None:
        """Write a file; one that has these bytes already is left alone, its date too."""
        path = Path(self._publication.at(name))
        if not (path.is_file() and path.read_bytes() == content):
            with atomic(path) as temporary:
                temporary.write_bytes(content)
        self.files[name] = hashlib.sha256(content).hexdigest()
        self.sizes[name] = len(content)


def do_once(
    publication: Publication,
    job: str,
    name: str,
    made_of: Mapping[str, object],
    make: Callable[[JobFiles], dict[str, object]],
) -> dict[str, object]:
    """Do one job of a publication, unless it is done.

    It is done where the record of the job says that it was made of the same with the same code,
    and its files have the checksums of the record.

    Parameters
    ----------
    publication : Publication
    job, name : str
        Kind of the job, and what it works on.
    made_of : mapping
        What decides the bytes of its files: checksums of products, numbers.
    make : callable
        Writes the files, and returns what later jobs must know (JSON).

    Returns
    -------
    dict
        What `make` returned, now or then.
    """
    path = Path(publication.record(job, name))
    made = {"code": code_hash(), **made_of}
    before = earlier_record(path)
    is_same = before.get("made_of") == json.loads(json.dumps(made))
    if is_same and not files_not_as_recorded(publication, before):
        if file_changed_since_record(publication, path, before["files"]):  # with the same bytes
            os.utime(path)
        return before["found"]
    job_files = JobFiles(publication)
    found = make(job_files)
    gone = before.get("files", {}).keys() - job_files.files.keys()
    if gone:  # a file may be that of another job by now
        others = (earlier_record(one) for one in all_records(publication) if Path(one) != path)
        gone -= {one for record in others for one in record.get("files", ())}
    for one in gone:
        remove_file(publication, one)
    write_json(path, {"made_of": made, "files": job_files.files, "found": found})
    return json.loads(json.dumps(found))


def read_record(path: str | Path) -> dict:
    """Read a record: ``made_of``, ``files`` (SHA-256 by name) and ``found``.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path} is no record of a publication ({error}): remove it, and publish again"
        ) from None


def earlier_record(path: str | Path) -> dict:
    """The same; empty where there is none, or none that can be read."""
    try:
        found = read_record(path)
    except (FileNotFoundError, ConfigError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else {}


def digest_of(content: object) -> str:
    """SHA-256 of what can be written as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def all_records(publication: Publication) -> list[str]:
    """Records of all jobs, also of those that no longer belong to the publication."""
    return sorted(str(path) for path in Path(publication.at(".made")).glob("*/[!.]*.json"))


def files_not_as_recorded(publication: Publication, record: Mapping) -> list[str]:
    """Files of a record that are absent, or do not have their checksum."""
    return [name for name, checksum in record["files"].items() if not _has(publication.at(name), checksum)]


def file_changed_since_record(publication: Publication, path: str | Path, files: Iterable[str]) -> str | None:
    """Name of a file of a record that is gone, or newer than the record; None if all are as they were.

    Parameters
    ----------
    publication : Publication
    path : path
        Of the record.
    files : iterable of str
        Names of its files.
    """
    latest = os.stat(path).st_mtime + DATE_TOLERANCE_S
    for name in files:
        try:
            if os.stat(publication.at(name)).st_mtime > latest:
                return name
        except (FileNotFoundError, NotADirectoryError):
            return name
    return None


def remove_file(publication: Publication, name: str) -> None:
    """Remove a file, and folders that are empty without it."""
    path = Path(publication.at(name))
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == Path(publication.root) or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _has(path: str, checksum: str) -> bool:
    return Path(path).is_file() and sha256_of(path) == checksum


def found_by(publication: Publication, job: str, name: str) -> dict:
    """What a job found out, by its record."""
    return read_record(publication.record(job, name))["found"]


def published_mosaics(publication: Publication, mosaics: Iterable[str]) -> list[str]:
    """Mosaics that were published, and not rejected by the run."""
    return [name for name in mosaics if "rejected" not in found_by(publication, "mosaic", name)]


def require_files(paths: Iterable[str]) -> None:
    """Raise `ConfigError` where a file is not there; it names the file."""
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(
                f"{path} is missing: nothing can be published without it, run the workflow again"
            )
