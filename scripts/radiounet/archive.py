"""Downloading: resumed, retried, verified, then renamed into place.

A file is accepted only when it is FITS, as long as its own headers say, and of
the checksum on record where one is known. Credentials come from netrc only.
"""

import hashlib
import logging
import math
import os
import shutil
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import requests
import tenacity
from astropy.io import fits

from radiounet.config import DownloadOptions
from radiounet.errors import (
    BadDataError,
    ChecksumError,
    ConfigError,
    NotFitsError,
    NotInArchiveError,
    TransientError,
    TruncatedError,
)
from radiounet.products import sha256_of

logger = logging.getLogger(__name__)

BLOCK = 2880  # FITS record, bytes
CHUNK = 1 << 20
RECEIVED_AT_ONCE = 1 << 16  # what a broken connection loses at most, bytes
PROGRESS_S = 10.0
ALGORITHMS = ("adler32", "sha256", "gitblob")


class AccessError(ConfigError):
    """The server wants credentials that it was not given."""


class _ServerBusyError(TransientError):
    """The server asks for a pause."""

    def __init__(self, message: str, retry_after_s: float | None):
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Fetched:
    """Where a product came from."""

    url: str
    file: str
    size: int
    sha256: str
    tried: tuple[str, ...]


def fits_size(path: str | Path) -> int:
    """Length that a FITS file should have, from the headers of all its HDUs, in bytes.

    Raises
    ------
    NotFitsError
        The file does not begin as FITS.
    TruncatedError
        The file ends inside a header or its data.
    """
    length = Path(path).stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(80)
        if not start.startswith(b"SIMPLE  ="):
            what = (
                "an HTML page" if b"<html" in start.lower() or b"<!doctype" in start.lower() else "not FITS"
            )
            raise NotFitsError(f"{path} is {what}: it begins with {start[:30]!r}")
        position = 0
        while position < length:
            stream.seek(position)
            if position and stream.read(8) != b"XTENSION":
                return position
            stream.seek(position)
            position = _end_of_hdu(stream, path, length)
    return position


def _end_of_hdu(stream, path, length: int) -> int:
    try:
        header = fits.Header.fromfile(stream)
    except (OSError, EOFError, ValueError) as error:
        raise TruncatedError(f"{path} ends inside a header, at {length} bytes: {error}") from error
    try:
        axes = [int(header[f"NAXIS{axis}"]) for axis in range(1, header["NAXIS"] + 1)]
        group = abs(header["BITPIX"]) // 8 * header.get("GCOUNT", 1)
        count = group * (header.get("PCOUNT", 0) + math.prod(axes)) if axes else 0
    except (KeyError, TypeError, ValueError) as error:
        raise NotFitsError(f"{path} has no usable NAXIS and BITPIX: {error}") from error
    end = stream.tell() + -(-count // BLOCK) * BLOCK
    if end > length:
        raise TruncatedError(f"{path} has {length} bytes, its headers say at least {end}")
    return end


def check_fits(path: str | Path) -> None:
    """Accept a complete FITS file only.

    Raises
    ------
    NotFitsError, TruncatedError
    """
    expected, found = fits_size(path), Path(path).stat().st_size
    if found != expected:
        raise TruncatedError(f"{path} has {found} bytes, its headers say {expected}")


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
) -> None:
    """Bring one file to `path`, resuming what an earlier attempt left in ``path.part``.

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

    Raises
    ------
    NotInArchiveError, NotFitsError, TruncatedError, ChecksumError
        Bad data; nothing is left behind.
    TransientError
        Every attempt failed; the ``.part`` file stays for the next.
    ConfigError
        Credentials in the URL, or refused by the server.
    """
    if checksum:
        _parse_checksum(checksum)  # a mistake in it is found before the download
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for fresh in (False, True):
        try:
            _bring(url, part, options)
            check(part)
            if checksum:
                check_checksum(part, checksum)
            break
        except (TruncatedError, ChecksumError) as error:
            error.file = url
            _discard(part)
            if fresh:
                raise
            logger.warning("%s; once more from the start", error)
        except BadDataError as error:
            error.file = url
            _discard(part)
            raise
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    _discard(part)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


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
    tried, refused = [], []
    for name in names:
        url = fill_template(template, file=name, **fields)
        tried.append(url)
        try:
            fetch(url, path, options, checksum=checksums.get(name))
        except NotInArchiveError as error:
            logger.info("%s", error)
            continue
        except (NotFitsError, AccessError) as error:  # some servers say so of what they do not have
            logger.warning("%s", error)
            refused.append(error)
            continue
        return Fetched(url, name, Path(path).stat().st_size, sha256_of(path), tuple(tried))
    if refused:
        raise refused[0]
    error = NotInArchiveError(f"the archive has none of {', '.join(tried)}")
    error.file = tried[-1]
    raise error


def fill_template(template: str, **fields: str | int) -> str:
    """URL of a template with these fields, quoted where it is remote.

    Raises
    ------
    ConfigError
        The template has another field.
    """
    remote = urlsplit(template).scheme in ("http", "https")
    values = {key: quote(str(value)) if remote else str(value) for key, value in fields.items()}
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        host = urlsplit(template).hostname or template  # never the credentials that may stand before it
        raise ConfigError(f"URL template of {host}: unknown {error}; known: {', '.join(values)}") from None


def _bring(url: str, part: Path, options: DownloadOptions) -> None:
    address = urlsplit(url)
    if address.scheme in ("", "file"):
        source = Path(unquote(address.path) if address.scheme else url)
        if not source.is_file():
            raise NotInArchiveError(f"there is no file {source}")
        shutil.copyfile(source, part)
        return
    if address.scheme not in ("http", "https"):
        raise ConfigError(f"{address.scheme}:// cannot be fetched: give an http(s):// or file:// URL")
    if address.username or address.password:
        raise ConfigError(f"credentials do not belong in a URL (host {address.hostname}): use ~/.netrc")
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(options.attempts),
        retry=tenacity.retry_if_exception_type(TransientError),
        wait=_pause(options),
        before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
        reraise=True,
    )
    retrying(_attempt, url, part, options)


def _pause(options: DownloadOptions) -> Callable[[tenacity.RetryCallState], float]:
    backoff = tenacity.wait_exponential_jitter(
        multiplier=options.backoff_s, max=options.backoff_max_s, jitter=options.backoff_s
    )

    def pause(state: tenacity.RetryCallState) -> float:
        asked = getattr(state.outcome.exception(), "retry_after_s", None)
        return min(asked, 10 * options.backoff_max_s) if asked is not None else backoff(state)

    return pause


def _validator_path(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _attempt(url: str, part: Path, options: DownloadOptions) -> None:
    """One request: continue the part file where the server allows it."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    validator = _validator_path(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator.exists():
            headers["If-Range"] = validator.read_text()
    try:
        with requests.get(url, headers=headers, stream=True, timeout=options.timeout_s) as response:
            if response.status_code == 416:
                _range_refused(response, part, have)
                return
            _check_status(response, url)
            resumed = response.status_code == 206 and _starts_at(response, have)
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
            if tag and not tag.startswith("W/"):
                validator.write_text(tag)
            else:
                validator.unlink(missing_ok=True)
            _receive(response, part, have if resumed else 0)
    except requests.RequestException as error:
        raise TransientError(f"{url}: {type(error).__name__}: {error}") from error


def _range_refused(response: requests.Response, part: Path, have: int) -> None:
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    if total != str(have):
        part.unlink()
        raise TransientError(f"{response.url}: cannot resume at byte {have} of {total or 'unknown'}")


def _check_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in (404, 410):
        raise NotInArchiveError(f"{url} does not exist (HTTP {status})")
    if status in (401, 403):
        raise AccessError(f"{url} refuses access (HTTP {status}): put the host's credentials in ~/.netrc")
    if status in (408, 425, 429) or status >= 500:
        raise _ServerBusyError(f"{url}: HTTP {status}", _retry_after(response))
    if status not in (200, 206):
        raise NotInArchiveError(f"{url} answers HTTP {status}")
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html"):
        raise NotFitsError(f"{url} answers HTTP {status} with an HTML page instead of a file")


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    if value.isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _starts_at(response: requests.Response, have: int) -> bool:
    unit_range = response.headers.get("Content-Range", "").removeprefix("bytes ")
    if unit_range.partition("-")[0] != str(have):
        raise TransientError(f"{response.url}: asked for byte {have}, the server sent {unit_range!r}")
    return True


def _receive(response: requests.Response, part: Path, have: int) -> None:
    total = have + int(response.headers.get("Content-Length", 0))
    reported = time.monotonic()
    with open(part, "r+b" if have else "wb") as stream:
        stream.seek(have)
        for block in response.iter_content(RECEIVED_AT_ONCE):
            stream.write(block)
            have += len(block)
            if time.monotonic() - reported > PROGRESS_S:
                reported = time.monotonic()
                logger.info("%s: %.0f of %.0f MB", response.url, have / 1e6, total / 1e6)
