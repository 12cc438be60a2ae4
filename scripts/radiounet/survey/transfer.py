"""One file over HTTP, into a part that later attempts and jobs continue.

A part is continued only where the server says that the file is still the one
that was begun (RFC 9110, sections 8.8, 13.1.5 and 14).
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import NoReturn

import requests
import tenacity
from urllib3.exceptions import HTTPError

from radiounet.errors import BadDataError, ConfigError, NotFitsError, NotInArchiveError, TransientError
from radiounet.images.writing import write_json
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.urls import public_text
from radiounet.survey.http_client import RedirectError, Watch, ask, blocks, shorten

logger = logging.getLogger(__name__)

PROGRESS_S = 10.0
LOOKED_AT_EVERY = 1 << 24  # bytes between looks at what has arrived, which is synced then
STRONG_S = 60.0  # age from which a date of change tells versions apart (RFC 9110, 8.8.2.2)
PACKED = ("gzip", "x-gzip", "deflate")


class AccessError(ConfigError):
    """The server wants credentials that it was not given."""


class TooLargeError(BadDataError):
    """A body larger than any file that is expected."""


class _ServerBusyError(TransientError):
    """The server asks for a pause."""

    def __init__(self, message: str, retry_after_s: float | None):
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class _Version:
    """What tells a file from what stands under the same URL later."""

    validator: str  # for If-Range
    etag: str | None
    last_modified: str | None
    size: int | None

    def is_that_of(self, response: requests.Response, total: int | None) -> bool:
        """Whether an answer is of this version; it must repeat the validator."""
        etag, last_modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        return (
            self.validator in (etag, last_modified)
            and etag in (self.etag, None)
            and last_modified in (self.last_modified, None)
            and self.size in (total, None)
        )


@dataclass(frozen=True)
class Transfer:
    """One file on its way.

    Attributes
    ----------
    url : str
        ``http(s)://``.
    part : path
        From `part_path`; continued where that is safe.
    options : DownloadOptions
    max_bytes : int
        Largest file that is accepted, unpacked.
    look : callable
        Raises when what has arrived so far cannot become the file.
    """

    url: str
    part: Path
    options: DownloadOptions
    max_bytes: int
    look: Callable[[Path], None]

    @property
    def shown(self) -> str:
        """URL for messages."""
        return public_text(self.url)

    def run(self) -> None:
        """Bring the file to `part`, in as many attempts as are allowed.

        Raises
        ------
        NotInArchiveError, NotFitsError, TruncatedError, TooLargeError
            Bad data.
        TransientError
            Every attempt failed; a part that can be continued stays.
        ConfigError
            The server wants credentials, or the URL cannot be one.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.options.attempts),
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=_pause(self.options),
            before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )
        try:
            retrying(self._attempt)
        except (TransientError, OSError):
            self._continuable()
            raise

    def _attempt(self) -> None:
        begun, have = self._continuable()
        headers = {"Accept-Encoding": "identity"}
        if begun:
            headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
        with Watch(self.shown, self.options.timeout_s) as watch:
            try:
                with ask(self.url, headers, self.options.timeout_s, watch) as response:
                    self._take(response, begun, have, watch)
            except (requests.RequestException, HTTPError, HTTPException) as error:
                watch.check()
                # from None: their text holds the whole URL
                said = public_text(str(error))[:500]
                raise TransientError(f"{self.shown}: {type(error).__name__}: {said}") from None

    def _take(self, response: requests.Response, begun: _Version | None, have: int, watch: Watch) -> None:
        """Write what an answer brings, or raise what it means."""
        if response.status_code == 416 and begun:
            said = response.headers.get("Content-Range", "").rpartition("/")[2]
            if said == str(have):
                return
            self._start_again(f"cannot resume at byte {have} of {said[:20] or 'unknown'}")
        _check_status(response, self.shown)
        packed = _is_packed(response, self.shown)
        total = _length(response, self.shown)
        if response.status_code == 206:
            total = self._range_total(response, begun, have)
            if packed:
                self._start_again("the rest of a file, but packed")
        else:
            have = 0
            discard(self.part)
            begun = None if packed else self._remember(response, total)
        if total is not None and total > self.max_bytes:
            raise TooLargeError(f"{self.shown} has {total:,} bytes, more than {self.max_bytes:,}")
        if packed:
            total = None
        received = self._write(blocks(response, watch, packed), begun, have, total)
        if total not in (received, None):
            self._start_again(f"{received} bytes came, {total} were announced")

    def _start_again(self, why: str) -> NoReturn:
        discard(self.part)
        raise TransientError(f"{self.shown}: {why}; downloading it again from the start")

    def _range_total(self, response: requests.Response, begun: _Version | None, have: int) -> int | None:
        """Size of the file of which this is the rest; starts again where it is not."""
        given = response.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", given.strip())
        if begun is None:
            self._start_again(f"asked for the whole file, the server sent {shorten(given)}")
        if not found or int(found[1]) != have:
            self._start_again(f"asked for byte {have}, the server sent {shorten(given)}")
        total = None if found[3] == "*" else int(found[3])
        if total is not None and int(found[2]) != total - 1:
            self._start_again(f"asked for all from byte {have}, the server sent {shorten(given)}")
        if not begun.is_that_of(response, total):
            self._start_again("the file has changed since it was begun")
        return total

    def _continuable(self) -> tuple[_Version | None, int]:
        """Version and size of the part, if it can be continued; otherwise it is removed.

        After a loss of power, or on another machine, only what was synced is sure to be there.
        """
        record = _record(self.part)
        try:
            have = self.part.stat().st_size
            noted = json.loads(record.read_text(encoding="utf-8"))
            begun, synced = _Version(**noted["version"]), int(noted["synced"])
            if noted["boot"] != _boot() or not _boot():
                have = min(have, synced)
                os.truncate(self.part, have)
                self._note(begun, have)
        except FileNotFoundError:
            have = 0
        except (TypeError, KeyError, ValueError) as error:  # of a job that was killed as it wrote
            logger.warning("%s cannot be read (%s); downloading again from the start", record, error)
            have = 0
        if not have:
            discard(self.part)
            return None, 0
        return begun, have

    def _remember(self, response: requests.Response, length: int | None) -> _Version | None:
        """Record which version is begun, where the server says enough to continue it."""
        etag, last_modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        if etag and re.fullmatch('"[^"]*"', etag):  # not W/"...", of which bytes may differ
            validator = etag
        elif last_modified and _age_s(response.headers) >= STRONG_S:
            validator = last_modified
        else:
            return None
        version = _Version(validator, etag, last_modified, length)
        self._note(version, 0)
        return version

    def _note(self, version: _Version, synced: int) -> None:
        entries = {"version": asdict(version), "synced": synced, "boot": _boot()}
        write_json(_record(self.part), entries)

    def _write(self, body: Iterator[bytes], begun: _Version | None, have: int, total: int | None) -> int:
        """Add what arrives to the part; returns its size, bytes."""
        reported, looked_at = time.monotonic(), have
        with open(self.part, "ab" if have else "wb") as stream:

            def sync() -> None:
                stream.flush()
                os.fsync(stream.fileno())
                if begun:
                    self._note(begun, have)

            try:
                for block in body:
                    have += len(block)
                    if have > self.max_bytes:
                        raise TooLargeError(f"{self.shown} sends more than {self.max_bytes:,} bytes")
                    stream.write(block)
                    if have - looked_at > LOOKED_AT_EVERY:
                        looked_at = have
                        sync()
                        self.look(self.part)
                    if time.monotonic() - reported > PROGRESS_S:
                        reported = time.monotonic()
                        of = f"{total / 1e6:.0f}" if total else "unknown"
                        logger.info("%s: %.0f of %s MB", self.shown, have / 1e6, of)
            except (requests.RequestException, HTTPError, HTTPException, TransientError):
                sync()
                raise
        return have


@cache
def _boot() -> str:
    """Identifier of the current boot; empty if the system provides none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def part_path(path: Path, url: str) -> Path:
    """Where a URL gathers until it is complete: beside the target, each URL in its own part."""
    return path.with_name(f"{path.name[:200]}.{hashlib.sha256(url.encode()).hexdigest()[:16]}.part")


def _record(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def discard(part: Path) -> None:
    """Remove a part, and the record of its version."""
    part.unlink(missing_ok=True)
    _record(part).unlink(missing_ok=True)


def discard_others(path: Path, keep: frozenset[Path] = frozenset()) -> None:
    """Remove the parts of a target that other downloads have left, except some."""
    pattern = re.escape(path.name[:200]) + r"\.[0-9a-f]{16}\.part(\.json)?"
    for one in path.parent.iterdir():
        if re.fullmatch(pattern, one.name) and one.with_name(one.name.removesuffix(".json")) not in keep:
            one.unlink(missing_ok=True)


def _pause(options: DownloadOptions) -> Callable[[tenacity.RetryCallState], float]:
    backoff = tenacity.wait_exponential_jitter(
        multiplier=options.backoff_s, max=options.backoff_max_s, jitter=options.backoff_s
    )

    def pause(state: tenacity.RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = getattr(failure, "retry_after_s", None)
        return min(asked, 10 * options.backoff_max_s) if asked is not None else backoff(state)

    return pause


def _check_status(response: requests.Response, shown: str) -> None:
    status = response.status_code
    if status in (404, 410):
        raise NotInArchiveError(f"{shown} does not exist (HTTP {status})")
    if status in (401, 403):
        raise AccessError(f"{shown} refuses access (HTTP {status}): put the host's credentials in ~/.netrc")
    if status in (408, 425, 429) or status >= 500:
        raise _ServerBusyError(f"{shown}: HTTP {status}", _retry_after(response))
    if status == 416:
        raise TransientError(f"{shown}: HTTP 416, though no part of it was asked for")
    if 300 <= status < 400:
        raise RedirectError(f"{shown}: HTTP {status}, a redirect without a target")
    if status not in (200, 206):
        raise NotInArchiveError(f"{shown} answers HTTP {status}")
    if response.headers.get("Content-Type", "").strip().lower().startswith("text/html"):
        raise NotFitsError(f"{shown} answers HTTP {status} with an HTML page instead of a file")


def _retry_after(response: requests.Response) -> float | None:
    """Pause that a server asks for, s; None where it says nothing that can be understood."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", value):
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _age_s(headers: requests.structures.CaseInsensitiveDict) -> float:
    """How long before the answer the file was changed last, s; 0 where that is not said."""
    try:
        sent, changed = (parsedate_to_datetime(headers.get(name, "")) for name in ("Date", "Last-Modified"))
        return sent.timestamp() - changed.timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _is_packed(response: requests.Response, shown: str) -> bool:
    """Whether a server packs what it was asked to send as it is."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return False
    if encoding not in PACKED:
        raise TransientError(
            f"{shown} comes with Content-Encoding {shorten(encoding)}, which is not understood"
        )
    return True


def _length(response: requests.Response, shown: str) -> int | None:
    """Bytes that the body is said to have; None where that is not said."""
    value = response.headers.get("Content-Length")
    if value is None or "Transfer-Encoding" in response.headers:
        return None
    said = {one.strip() for one in value.split(",")}  # the header may stand there twice
    if len(said) > 1 or not re.fullmatch("[0-9]{1,18}", length := said.pop()):
        raise TransientError(f"{shown} comes with Content-Length {shorten(value)}")
    return int(length)
