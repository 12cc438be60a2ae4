"""HTTP requests that end: bounded in time and redirects, with credentials for their own host only."""

import contextlib
import logging
import netrc
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import LocationParseError

from radiounet.errors import ConfigError, TransientError
from radiounet.settings.urls import has_credentials, public_text

logger = logging.getLogger(__name__)

RECEIVED_AT_ONCE = 1 << 16  # bytes
GZIP = b"\x1f\x8b"
MIN_RATE = 1000  # bytes/s over the timeout; a mosaic of 40 MB would take half a day
MAX_ATTEMPT_S = 4 * 3600.0  # as long as a job may run on many clusters; the next attempt goes on
MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)


class RedirectError(TransientError):
    """The server points to where this download must not go."""


class Watch:
    """Ends the connection of a server that is too slow, which a timeout of silence never does.

    Parameters
    ----------
    shown : str
        URL for messages.
    window_s : float
        Within this the answer must begin, and `MIN_RATE` is kept on its average, s.
    """

    def __init__(self, shown: str, window_s: float) -> None:
        self.connection: socket.socket | None = None
        self.received = 0
        self.shown, self._window_s = shown, window_s
        self._begun = self._window_begun = time.monotonic()
        self._received_before = 0
        self._reason = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        # urllib3 leaves a connection open whose headers it refuses
        if self.connection is not None and (number := self.connection.detach()) >= 0:
            os.close(number)

    def begin(self, connection: socket.socket | None) -> None:
        """Begin a window: at a connection, and when its answer has begun."""
        self._window_begun, self._received_before = time.monotonic(), self.received
        self.connection = connection

    def check(self) -> None:
        """Raise if the connection was ended here.

        Raises
        ------
        TransientError
        """
        if self._reason:
            raise TransientError(f"{self.shown}: {self._reason}")

    def _run(self) -> None:
        while not self._ended.wait(min(self._window_s / 10, 1.0)):
            now = time.monotonic()
            if self.connection is None:
                continue  # connecting has a timeout
            if now - self._begun > MAX_ATTEMPT_S:
                self._end(f"not complete after {MAX_ATTEMPT_S:.0f} s")
            elif now - self._window_begun > self._window_s:
                received = self.received - self._received_before
                if received < MIN_RATE * self._window_s:
                    self._end(f"too slow: {received} bytes in a time of {now - self._window_begun:.1f} s")
                self.begin(self.connection)

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._ended.set()  # and with it the thread
        if (connection := self.connection) is None:  # another request has begun in the meantime
            return
        with contextlib.suppress(OSError):  # closed in the meantime
            # not SSLSocket's own, which takes the cipher from under the reader
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _WatchedAdapter(HTTPAdapter):
    """Tells a watch the sockets of its connections."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._watch_pools(manager)
        return manager

    def _watch_pools(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"ConnectionCls": self._watched(pool.ConnectionCls)})
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _watched(self, connection: Any) -> Any:
        watch = self._watch

        class Watched(connection):
            def connect(self) -> None:
                super().connect()
                watch.begin(getattr(self.sock, "socket", self.sock))  # TLS inside that of a proxy

        return Watched


class _Session(requests.Session):
    """Leaves redirects alone, which requests would look into, bodies and netrc included."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@contextlib.contextmanager
def ask(url: str, headers: Mapping[str, str], timeout_s: float, watch: Watch) -> Iterator[requests.Response]:
    """Send a GET request, follow redirects, and give the answer with its body still to be read.

    Credentials come from netrc, for each host its own; its ``default`` goes to the host
    of `url` only. From https no redirect leads to http.

    Raises
    ------
    RedirectError
        Too many redirects, or one to where it must not lead.
    ConfigError
        `url` cannot be one.
    TransientError, requests.RequestException
        Anything else that went wrong.
    """
    place = _parsed(url)
    shown, first = public_text(url), place.host
    with _Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _WatchedAdapter(watch))
        for hop in range(MAX_REDIRECTS + 1):
            watch.begin(None)
            auth = _credentials(place.host, default=place.host == first)
            try:
                response = session.get(url, headers=headers, stream=True, timeout=timeout_s, auth=auth)
            except (requests.exceptions.InvalidURL, LocationParseError) as error:
                reason = f"{shorten(url)} cannot be a URL: {shorten(str(error))}"
                if hop:
                    raise RedirectError(f"{shown}: a redirect to what {reason}") from None
                raise ConfigError(reason) from None
            except requests.RequestException:
                raise
            except OSError as error:  # certificates of the environment that are not there
                raise TransientError(f"{shown} cannot be requested: {error}") from error
            with response:
                if response.status_code not in REDIRECTS:
                    watch.begin(watch.connection)
                    yield response
                    return
                url, place = _redirected(url, place, response.headers.get("Location"), shown)
            session.close()  # its connections: the server may have ended them, and the watch knows one
        raise RedirectError(f"{shown}: more than {MAX_REDIRECTS} redirects, the last one to {shorten(url)}")


def blocks(response: requests.Response, watch: Watch, unpack: bool) -> Iterator[bytes]:
    """Body of an answer as it arrives, in blocks of at most `RECEIVED_AT_ONCE` bytes.

    Raises
    ------
    TransientError
        Too slow, or not packed as it says.
    urllib3.exceptions.HTTPError
        Broken off.
    """
    received = _received(response, watch)
    yield from _unpacked(received, watch.shown) if unpack else received


def _received(response: requests.Response, watch: Watch) -> Iterator[bytes]:
    # unlike requests' iter_content, which waits for a whole block, however long that takes
    while block := response.raw.read1(RECEIVED_AT_ONCE, decode_content=False):
        watch.received += len(block)
        yield block
    watch.check()


def _unpacked(packed: Iterator[bytes], shown: str) -> Iterator[bytes]:
    """Content of a gzip or zlib stream; unlike urllib3 it notices that the end is missing."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    block = b""
    try:
        for more in packed:
            block += more
            while block:
                if unpacker.eof:  # a file of several parts, or what some servers add
                    if len(block) < len(GZIP):
                        break
                    if not block.startswith(GZIP):
                        return
                    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
                yield unpacker.decompress(block, RECEIVED_AT_ONCE)
                block = unpacker.unconsumed_tail or unpacker.unused_data
        while rest := unpacker.decompress(b"", RECEIVED_AT_ONCE):
            yield rest
    except zlib.error as error:
        raise TransientError(f"{shown} sends data that cannot be decompressed: {error}") from None
    if not unpacker.eof:
        raise TransientError(f"{shown} sends compressed data that end too early")


class _Place(NamedTuple):
    """Where a URL leads: what decides on redirects and credentials."""

    scheme: str
    host: str


def _parsed(url: str) -> _Place:
    try:
        place = urlsplit(url)
        _ = place.port
    except ValueError as error:
        raise ConfigError(f"{shorten(url)} cannot be a URL: {shorten(str(error))}") from None
    if not place.hostname:
        raise ConfigError(f"{shorten(url)} cannot be a URL: it names no host")
    return _Place(place.scheme, place.hostname)


def _redirected(url: str, place: _Place, location: str | None, shown: str) -> tuple[str, _Place]:
    """Where a redirect leads."""
    if not location:
        raise RedirectError(f"{shown}: a redirect without a target")
    try:
        # http.client reads headers as latin-1, servers write UTF-8
        target = urljoin(url, location.encode("latin-1").decode("utf-8"))
        scheme = urlsplit(target).scheme
    except ValueError:
        raise RedirectError(f"{shown}: a redirect to what cannot be a URL: {shorten(location)}") from None
    if scheme not in ("http", "https"):
        raise RedirectError(f"{shown}: a redirect to {shorten(target)}, which is not HTTP")
    if has_credentials(target):
        raise RedirectError(f"{shown}: a redirect with credentials in it to {shorten(target)}")
    try:
        to = _parsed(target)
    except ConfigError as error:
        raise RedirectError(f"{shown}: a redirect to what {error}") from None
    if place.scheme == "https" and scheme == "http":
        raise RedirectError(f"{shown}: a redirect from https to unencrypted {shorten(target)}")
    return target, to


def shorten(text: str) -> str:
    """What a server sent, as it may stand in a message."""
    return repr(public_text(text)[:200])


class _NoCredentials(AuthBase):
    """Keeps requests from looking into netrc by itself."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _credentials(host: str, default: bool) -> AuthBase:
    """Name and password of a host from ``$NETRC`` or ``~/.netrc``."""
    path = os.path.expanduser(os.environ.get("NETRC") or "~/.netrc")
    try:
        entries = netrc.netrc(path).hosts
    except FileNotFoundError:
        return _NoCredentials()
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        # never the text of the error, which holds the word at fault: it may be a password
        where = f"line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else type(error).__name__
        logger.warning("%s cannot be read (%s): no credentials are sent", path, where)
        return _NoCredentials()
    known = {name.lower(): entry for name, entry in entries.items() if name != "default"}
    entry = known.get(host.lower()) or (entries.get("default") if default else None)
    if not entry:
        return _NoCredentials()
    login, account, password = entry
    return HTTPBasicAuth((login or account).encode(), password.encode())
