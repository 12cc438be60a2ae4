"""Downloading: resumed, retried, verified, then renamed into place.

A file is accepted only when it is FITS, as long as its own headers say, and of
the checksum on record where one is known. Credentials come from netrc only.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from radiounet.errors import (
    BadDataError,
    ChecksumError,
    ConfigError,
    NotFitsError,
    NotInArchiveError,
    RadioUNetError,
    TransientError,
    TruncatedError,
)
from radiounet.images.fits_check import check_fits, check_fits_so_far
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import temporary_beside
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.urls import local_path, public_text, refuse_credentials, url_scheme
from radiounet.survey.transfer import AccessError, Transfer, discard, discard_others, part_path

logger = logging.getLogger(__name__)

CHUNK = 1 << 20
ALGORITHMS = ("adler32", "sha256", "gitblob")
MAX_BYTES = 4 * 10**9  # the largest images of LoTSS, fields at 6 arcsec, have 1.6 GB
MAX_LIST_BYTES = 250 * 10**6  # of a list or catalogue, which is read as a whole


@dataclass(frozen=True)
class Fetched:
    """Where a product came from."""

    url: str
    file: str
    size: int
    sha256: str
    tried: tuple[str, ...]


def check_checksum(path: str | Path, checksum: str) -> None:
    r"""Compare a file with a checksum written ``algorithm:hexadecimal``.

    Algorithms: ``adler32``, ``sha256``, and ``gitblob``, the id git gives a file:
    SHA-1 of ``"blob <size>\0"`` and the content.

    Raises
    ------
    ChecksumError
    """
    algorithm, expected = _parse_checksum(checksum)
    if algorithm == "sha256":
        found = sha256_of(path)
    elif algorithm == "adler32":
        value = 1
        with open(path, "rb") as stream:
            while block := stream.read(CHUNK):
                value = zlib.adler32(block, value)
        found = f"{value:08x}"
    else:
        digest = hashlib.sha1(b"blob %d\0" % Path(path).stat().st_size)
        with open(path, "rb") as stream:
            while block := stream.read(CHUNK):
                digest.update(block)
        found = digest.hexdigest()
    if found != expected.lower():
        raise ChecksumError(f"{path} has {algorithm} {found}, {expected} is on record")


def _parse_checksum(checksum: str) -> tuple[str, str]:
    algorithm, _, digest = checksum.partition(":")
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"checksum {checksum!r}: write adler32:HEX, sha256:HEX or gitblob:HEX")
    return algorithm, digest


def fetch(
    url: str,
    path: str | Path,
    options: DownloadOptions,
    *,
    checksum: str | None = None,
    check: Callable[[Path], None] = check_fits,
    max_bytes: int | None = None,
) -> None:
    """Bring one file to `path`, resuming what an earlier attempt left of the same file.

    Parameters
    ----------
    url : str
        ``http(s)://``, ``file://`` or a local path.
    path : path
        Appears only when complete and verified.
    options : DownloadOptions
    checksum : str, optional
        See `check_checksum`.
    check : callable
        Raises when the content is not what it should be.
    max_bytes : int, optional
        Largest file that is accepted from a server (default: `MAX_BYTES` with the check
        for FITS, else `MAX_LIST_BYTES`).

    Raises
    ------
    NotInArchiveError, NotFitsError, TruncatedError, ChecksumError, TooLargeError
        Bad data; nothing is left behind.
    TransientError
        Every attempt failed, or the file system did; a part beside `path` stays for
        the next, see `radiounet.survey.transfer.part_path`.
    ConfigError
        Credentials in the URL, or refused by the server; no URL; no place for the file.
    """
    path = Path(path)
    part = _gather(url, path, options, checksum, check, max_bytes)
    with _writing(path):
        _put(part, path)


@contextlib.contextmanager
def fetched(
    url: str,
    place: str | Path,
    options: DownloadOptions,
    *,
    check: Callable[[Path], None] = check_fits,
    max_bytes: int | None = None,
) -> Iterator[Path]:
    """Fetch a file that is used once, as `fetch` does, and remove it.

    Parameters
    ----------
    url, options, check, max_bytes
        See `fetch`.
    place : path
        Parts are called after it, for the next attempt. The file has its suffix.

    Yields
    ------
    path
        Of a temporary name beside `place`, which `radiounet.images.writing.remove_leftovers` knows. In the
        words of an error that comes from its use, the URL stands for it.
    """
    part = _gather(url, Path(place), options, None, check, max_bytes)
    with temporary_beside(place) as path:
        with _writing(path):
            _put(part, path)
        try:
            yield path
        except RadioUNetError as error:
            error.args = tuple(str(words).replace(str(path), public_text(url)) for words in error.args)
            if isinstance(error, BadDataError) and getattr(error, "file", None) == str(path):
                error.file = public_text(url)
            raise


def _gather(
    url: str,
    place: Path,
    options: DownloadOptions,
    checksum: str | None,
    check: Callable[[Path], None],
    max_bytes: int | None,
) -> Path:
    """Fetch a file as a part beside its place."""
    part = part_path(place, url)
    if max_bytes is None:
        max_bytes = MAX_BYTES if check is check_fits else MAX_LIST_BYTES
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        discard_others(place, keep=frozenset([part]))
        _fetch(url, part, options, checksum, check, max_bytes)
    return part


def _put(part: Path, path: Path) -> None:
    """Give a part that is complete its name."""
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    discard(part)  # the record of its version is left of it


def _fetch(
    url: str,
    part: Path,
    options: DownloadOptions,
    checksum: str | None,
    check: Callable[[Path], None],
    max_bytes: int,
) -> None:
    if checksum:
        _parse_checksum(checksum)  # a mistake in it is found before the download
    look = check_fits_so_far if check is check_fits else _wait_and_see
    for fresh in (False, True):
        try:
            _bring(url, part, options, max_bytes, look)
            check(part)
            if checksum:
                check_checksum(part, checksum)
            break
        except (TruncatedError, ChecksumError) as error:
            error.file = public_text(url)
            discard(part)
            if fresh:
                raise
            logger.warning("%s; downloading it again from the start", error)
        except BadDataError as error:
            error.file = public_text(url)
            discard(part)
            raise


def _wait_and_see(part: Path) -> None:
    """Of what is no FITS file the beginning says nothing."""


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Give errors of the file system their name: another attempt may succeed."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}: {error.filename}") from error
    except OSError as error:
        raise TransientError(f"{path} cannot be written or read back: {error}") from error


def fetch_candidates(
    template: str,
    names: Sequence[str],
    path: str | Path,
    options: DownloadOptions,
    checksums: dict[str, str],
    **fields: str | int,
) -> Fetched:
    """Fetch the first of several candidate file names that exists.

    Parameters
    ----------
    template : str
        URL with ``{file}`` and the names in `fields`, which are URL-quoted.
    names : sequence of str
        Tried in this order.
    checksums : dict
        Known checksums by file name.

    Raises
    ------
    NotInArchiveError
        None exists.
    """
    if not names:
        raise ConfigError(f"no file name to try is given for {public_text(template)}")
    path = Path(path)
    urls = [fill_template(template, file=name, **fields) for name in names]
    tried, refused = [], []
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        discard_others(path, keep=frozenset(part_path(path, url) for url in urls))
        for name, url in zip(names, urls, strict=True):
            tried.append(public_text(url))
            try:
                part = part_path(path, url)
                _fetch(url, part, options, checksums.get(name), check_fits, MAX_BYTES)
                _put(part, path)
                discard_others(path)
            except NotInArchiveError as error:
                logger.info("%s", error)
                continue
            except (NotFitsError, AccessError) as error:  # some servers say so of what they do not have
                logger.warning("%s", error)
                refused.append(error)
                continue
            return Fetched(tried[-1], name, path.stat().st_size, sha256_of(path), tuple(tried))
    if refused:
        raise refused[0]
    absent = NotInArchiveError(f"the archive has none of {', '.join(tried)}")
    absent.file = tried[-1]
    raise absent


def fill_template(template: str, **fields: str | int) -> str:
    """URL of a template with these fields, quoted where it is remote.

    Raises
    ------
    ConfigError
        The template has another field, or credentials.
    """
    refuse_credentials(template)
    remote = template.lower().startswith(("http://", "https://"))
    values = {key: quote(str(value)) if remote else str(value) for key, value in fields.items()}
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        shown = public_text(template)
        raise ConfigError(f"URL template {shown}: unknown {error}; known: {', '.join(values)}") from None


def _bring(
    url: str, part: Path, options: DownloadOptions, max_bytes: int, look: Callable[[Path], None]
) -> None:
    """Bring a file or a copy of it to `part`."""
    refuse_credentials(url)
    scheme = url_scheme(url)
    if (local := local_path(url)) is not None:
        source = Path(local)
        if not source.is_file():
            raise NotInArchiveError(f"there is no file {source}")
        before = source.stat()
        shutil.copyfile(source, part)
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            discard(part)
            raise TransientError(f"{source} changed while it was copied: try again when it is complete")
    elif scheme in ("http", "https"):
        Transfer(url, part, options, max_bytes, look).run()
    else:
        raise ConfigError(f"{scheme}:// cannot be fetched: give an http(s):// or file:// URL")
