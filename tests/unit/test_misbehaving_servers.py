"""Downloads from servers that send the wrong thing, or without end; and credentials, which stay at home."""

import errno
import gzip
import json
import logging
import os
import random
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import zlib
from base64 import b64decode
from dataclasses import asdict
from email.utils import formatdate
from http.server import ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from radiounet import http_client, transfer
from radiounet.archive import fetch, fetch_candidates
from radiounet.config import DownloadOptions
from radiounet.demo import ArchiveHandler
from radiounet.errors import (
    BadDataError,
    ConfigError,
    NotFitsError,
    NotInArchiveError,
    RadioUNetError,
    TransientError,
    TruncatedError,
)
from radiounet.http_client import RedirectError
from radiounet.transfer import TooLargeError
from servers import CONTENT, HALF, OTHER, answer, cut, rest, server

OPTIONS = DownloadOptions(attempts=4, backoff_s=0, timeout_s=5)
ONCE = DownloadOptions(attempts=1, backoff_s=0, timeout_s=5)
IMPATIENT = DownloadOptions(attempts=1, backoff_s=0, timeout_s=0.4)
OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
FOREVER_S = 20.0  # a server of these tests goes on for this long, far beyond what a test may take
SCRIPTS = Path(http_client.__file__).parents[1]


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("socketserver.BaseServer.serve_forever.__defaults__", (0.01,))  # stops at once


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "image.fits").write_bytes(OTHER)
    return folder


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "here" / "image.fits"


def left(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def raw(content: bytes, then=tuple):
    """Send these bytes as they are, then more of them until the client goes."""

    def send(handler):
        handler.close_connection = True
        try:
            handler.wfile.write(content)
            ends = time.monotonic() + FOREVER_S
            for block in then():
                if time.monotonic() > ends:
                    break
                handler.wfile.write(block)
        except OSError:
            handler.server.sent = "broken off by the client"

    return send


def slowly(block=b"x", every_s=0.02):
    def blocks():
        while True:
            time.sleep(every_s)
            yield block

    return blocks


def redirect(location, status=302, body=b""):
    return answer(status, body, **({} if location is None else {"Location": location}))


# ---------------------------------------------------------------- one file, not a mixture of two


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}),
        ({"ETag": "1"}, {"ETag": "1"}),
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        ({"ETag": '"1"'}, {"ETag": 'W/"1"'}),
        ({"ETag": '"1"'}, {}),
        ({"ETag": '"1"', "Last_Modified": OLD}, {"ETag": '"1"', "Last_Modified": NEW}),
        ({"ETag": '"1"', "Last_Modified": OLD}, {"Last_Modified": OLD}),
        ({"Last_Modified": OLD}, {"Last_Modified": NEW}),
        ({"Last_Modified": OLD}, {"Last_Modified": OLD, "ETag": '"1"'}),
        ({"Last_Modified": "yesterday"}, {"Last_Modified": "yesterday"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "total": 20160}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Encoding": "gzip"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Range": "bytes 8640-17279/*"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Range": "bytes 8640-9999/17280"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Range": "bytes=8640-17279/17280"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Range": "bytes 8640"}),
        ({"ETag": '"1"'}, {"ETag": '"1"', "Content_Range": "bytes ²-³/⁴"}),
    ],
)
@pytest.mark.parametrize("options", [OPTIONS, ONCE])
def test_file_that_may_have_changed_is_never_mixed(root, target, first, second, options):
    second = dict(second)
    if "Content_Range" in second:
        rest_of_other = answer(206, OTHER[HALF:], **second)
    else:
        rest_of_other = rest(OTHER, **second)
    with server(root, [cut(CONTENT, **first), rest_of_other]) as (url, asked):
        for _ in range(4):
            try:
                fetch(f"{url}/image.fits", target, options)
                break
            except TransientError:
                assert not target.exists()
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


@pytest.mark.parametrize(
    "headers", [{"ETag": '"1"'}, {"Last_Modified": OLD}, {"ETag": 'W/"1"', "Last_Modified": OLD}]
)
def test_file_that_has_not_changed_is_resumed(root, target, headers):
    with server(root, [cut(**headers), rest(**headers)]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    validator = OLD if "Last_Modified" in headers else '"1"'
    assert [request.headers["If-Range"] for request in asked] == [None, validator]
    assert target.read_bytes() == CONTENT


def test_date_of_change_just_now_tells_nothing(root, target):
    just_now = formatdate(time.time() - 2, usegmt=True)
    with server(root, [cut(Last_Modified=just_now), rest(OTHER, Last_Modified=just_now)]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["Range"] for request in asked] == [None, None, None]
    assert target.read_bytes() == OTHER


def test_part_of_one_candidate_survives_that_another_is_missing(root, target):
    answers = [answer(404), cut(ETag='"1"'), answer(404), rest(ETag='"1"')]
    with server(root, answers) as (url, asked):
        with pytest.raises(TransientError):
            fetch_candidates(f"{url}/{{file}}", ["a.fits", "b.fits"], target, ONCE, {})
        fetch_candidates(f"{url}/{{file}}", ["a.fits", "b.fits"], target, ONCE, {})
    assert [request.headers["Range"] for request in asked] == [None, None, None, "bytes=8640-"]
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


def test_parts_of_other_urls_are_removed_and_nothing_else(root, target):
    for name in ("image.fits", "other[1].fits"):
        with server(root, [cut(ETag='"1"')]) as (url, _), pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target.with_name(name), ONCE)
    target.with_name("image.fits.part").write_text("the user's own")
    assert len(left(target)) == 5
    with server(root, [answer(404)]) as (url, _), pytest.raises(NotInArchiveError):
        fetch(f"{url}/image.fits", target, ONCE)
    assert [name[:14] for name in left(target)] == ["image.fits.par", "other[1].fits.", "other[1].fits."]
    with server(root) as (url, _):
        fetch(f"{url}/image.fits", target.with_name("other[1].fits"), ONCE)
    assert left(target) == ["image.fits.part", "other[1].fits"]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"etag": 1}', "null", "\0" * 40, '{"validator": 3}'])
def test_record_that_a_killed_job_left_half_written_starts_again(root, target, record):
    with server(root, [cut(ETag='"1"')]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob("*.json")
        path.write_text(record)
        fetch(f"{url}/image.fits", target, ONCE)
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("gone", ["*.part", "*.json"])
def test_part_without_its_record_or_record_without_its_part_starts_again(root, target, gone):
    with server(root, [cut(ETag='"1"')]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob(gone)
        path.unlink()
        fetch(f"{url}/image.fits", target, ONCE)
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert left(target) == ["image.fits"]


def test_killed_job_is_continued_by_the_next(root, target):
    killed = threading.Event()

    def stall(handler):
        handler.send_response(200)
        handler.send_header("ETag", f'"{(root / "image.fits").stat().st_mtime_ns:x}"')  # as it has later
        handler.send_header("Content-Length", str(len(OTHER)))
        handler.end_headers()
        handler.wfile.write(OTHER[:HALF])
        killed.wait(FOREVER_S)
        handler.close_connection = True

    with server(root, [stall]) as (url, asked):
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
            "from radiounet.archive import fetch\nfrom radiounet.config import DownloadOptions\n"
            f"fetch({url + '/image.fits'!r}, {str(target)!r}, DownloadOptions())"
        )
        job = subprocess.Popen([sys.executable, "-c", code])
        ends = time.monotonic() + 60
        while not sum(p.stat().st_size for p in target.parent.glob("*.part")) and time.monotonic() < ends:
            time.sleep(0.05)
        job.send_signal(signal.SIGKILL)
        job.wait()
        killed.set()
        assert not target.exists()
        (part,) = target.parent.glob("image.fits.*.part")
        have = part.stat().st_size
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert 0 < have <= HALF
    assert asked[1].headers["Range"] == f"bytes={have}-"
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


# ---------------------------------------------------------------- packed bodies


def packed(body=CONTENT, at=None, encoding="gzip", **headers):
    small = gzip.compress(body) if "gzip" in encoding else zlib.compress(body)
    return answer(200, small[:at], length=len(small), Content_Encoding=encoding, **headers)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_body_packed_against_our_will_is_unpacked(root, target, encoding):
    plain = packed(encoding=encoding.lower()) if encoding != "GZIP" else packed(encoding="gzip")
    with server(root, [plain]) as (url, asked):
        fetch(f"{url}/image.fits", target, ONCE)
    assert asked[0].headers["Accept-Encoding"] == "identity"
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("options", [OPTIONS, ONCE])
def test_packed_body_that_breaks_off_is_begun_again(root, target, options):
    with server(root, [packed(at=60, ETag='"1"'), packed(OTHER, ETag='"2"')]) as (url, asked):
        for _ in range(3 - options.attempts // 2):
            try:
                fetch(f"{url}/image.fits", target, options)
                break
            except TransientError:
                assert left(target) == []
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13", "compress"])
def test_unknown_packing_is_named_and_never_taken_for_the_file(root, target, encoding):
    with (
        server(root, repeat(answer(200, CONTENT, Content_Encoding=encoding))) as (url, _),
        pytest.raises(TransientError, match="Content-Encoding"),
    ):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert left(target) == []


def test_damaged_packing_is_transient(root, target):
    with server(root, [answer(200, b"this is not gzip", Content_Encoding="gzip")]) as (url, _):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER


def test_bomb_is_stopped_by_the_header_of_its_image(root, target):
    bomb = gzip.compress(CONTENT + bytes(600_000_000), 1)
    with server(root, repeat(answer(200, bomb, Content_Encoding="gzip"))) as (url, asked):
        with largest_file(100_000_000), pytest.raises(TruncatedError, match="its headers say 17280"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 2
    assert left(target) == []


def test_bomb_in_place_of_a_list_is_stopped_by_its_size(root, target):
    bomb = gzip.compress(bytes(200_000_000), 1)
    with server(root, repeat(answer(200, bomb, Content_Encoding="gzip"))) as (url, asked):
        with largest_file(30_000_000), pytest.raises(TooLargeError, match="more than 20,000,000"):
            fetch(f"{url}/list", target, OPTIONS, check=lambda _: None, max_bytes=20_000_000)
        assert len(asked) == 1
    assert left(target) == []


# ---------------------------------------------------------------- bodies without end


class largest_file:  # noqa: N801 - a context as of contextlib
    """The operating system refuses files beyond this, as a full disk does."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
        signal.signal(signal.SIGXFSZ, self.handler)


def endless(head=b"", block=bytes(1 << 16), chunked=False):
    start = b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n" if chunked else b"") + b"\r\n"
    if not chunked:
        return raw(start + head, lambda: repeat(block))

    def pieces():
        for piece in chain([head] if head else [], repeat(block)):
            yield b"%x\r\n%s\r\n" % (len(piece), piece)

    return raw(start, pieces)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("head", "error"),
    [(b"", NotFitsError), (CONTENT, TruncatedError), (CONTENT[:2880] + b"<html>", TruncatedError)],
)
def test_endless_body_in_place_of_an_image_ends_at_once(root, target, head, error, chunked):
    with server(root, repeat(endless(head, chunked=chunked))) as (url, _):
        started = time.monotonic()
        with largest_file(100_000_000), pytest.raises(error):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert time.monotonic() - started < FOREVER_S / 2
    assert left(target) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_endless_list_ends_at_its_limit(root, target, chunked):
    with server(root, repeat(endless(b"name,ra,dec\n", chunked=chunked))) as (url, asked):
        with pytest.raises(TooLargeError, match="more than 5,000,000 bytes"):
            fetch(f"{url}/list", target, OPTIONS, check=lambda _: None, max_bytes=5_000_000)
        assert len(asked) == 1
    assert left(target) == []


def test_length_above_the_limit_is_refused_before_the_first_byte(root, target):
    with server(root, repeat(answer(200, b"SIMPLE", length=10**15))) as (url, asked):
        with pytest.raises(TooLargeError, match="1,000,000,000,000,000 bytes, more than 4,000,000,000"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 17280\r\n\r\n"


@pytest.mark.parametrize(
    "send",
    [
        raw(LENGTH, slowly()),
        raw(b"HTTP/1.1 200 OK\r\n\r\n", slowly()),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", slowly(b"1\r\nx\r\n")),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", slowly(b"0")),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", slowly(b"\x1f")),
        raw(b"HTTP/1.1 200 OK\r\nX: ", slowly()),
        raw(b"", slowly(b"H")),
        raw(b"", slowly(b"HTTP/1.1 100 Continue\r\n\r\n")),
        raw(b"HTTP/1.1 200 OK\r\n", slowly(b"X: y\r\n", 0.05)),
    ],
    ids=[
        "body", "body without length", "chunks", "size of a chunk", "packed", "header", "status",
        "continue", "headers",
    ],
)  # fmt: skip
def test_trickle_is_ended(root, target, send):
    with server(root, [send]) as (url, _):
        started = time.monotonic()
        with pytest.raises(TransientError, match="too slow|not gzip|Error"):
            fetch(f"{url}/image.fits", target, IMPATIENT)
        assert time.monotonic() - started < 5
    assert left(target) == []


def test_what_a_slow_server_sent_is_kept_for_the_next_attempt(root, target):
    def send(handler):
        handler.send_response(200)
        handler.send_header("ETag", '"1"')
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        raw(CONTENT[:HALF], slowly(b"\0"))(handler)

    with server(root, [send]) as (url, _):
        with pytest.raises(TransientError, match=r"too slow: \d+ bytes"):
            fetch(f"{url}/image.fits", target, IMPATIENT)
        (part,) = target.parent.glob("*.part")
        assert part.stat().st_size > HALF


def test_server_that_is_slow_but_not_too_slow_may_take_its_time(root, target):
    halves = [CONTENT[at : at + 864] for at in range(0, len(CONTENT), 864)]
    patient = DownloadOptions(attempts=1, timeout_s=0.5)

    def pieces():
        for piece in halves:
            time.sleep(0.1)  # four times slower than the timeout in all
            yield piece

    with server(root, [raw(LENGTH, pieces)]) as (url, _):
        fetch(f"{url}/image.fits", target, patient)
    assert target.read_bytes() == CONTENT


def test_whole_attempt_has_a_longest_time(root, target, monkeypatch):
    monkeypatch.setattr(http_client, "MAX_ATTEMPT_S", 0.5)
    with (
        server(root, [raw(LENGTH, slowly(b"x" * 100))]) as (url, _),
        pytest.raises(TransientError, match="not complete after"),
    ):
        fetch(f"{url}/image.fits", target, ONCE)


# ---------------------------------------------------------------- odd headers


@pytest.mark.parametrize(
    "value", ["-1", "-17280", "abc", "1e4", "0x10", "17280.0", "²", "1, 2", "9" * 5000, " ", "+17280"]
)
def test_odd_content_length_is_transient_and_named(root, target, value):
    odd = raw(f"HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n".encode() + CONTENT)
    with server(root, [odd]) as (url, asked):
        with pytest.raises(TransientError, match="Content-Length"):
            fetch(f"{url}/image.fits", target, ONCE)
        fetch(f"{url}/image.fits", target, ONCE)
    assert target.read_bytes() == OTHER


def test_content_length_given_twice_is_no_fault(root, target):
    twice = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 17280\r\nContent-Length: 17280\r\n\r\n" + CONTENT)
    with server(root, [twice]) as (url, _):
        fetch(f"{url}/image.fits", target, ONCE)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("length", [17280 - 1, 2880, 0])
def test_content_length_below_the_body_gives_no_half_file(root, target, length):
    with (
        server(root, repeat(answer(200, CONTENT, length=length))) as (url, _),
        pytest.raises((TruncatedError, NotFitsError)),
    ):
        fetch(f"{url}/image.fits", target, ONCE)
    assert left(target) == []


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("abc", 0),
        ("-5", 0),
        ("inf", 0),
        ("nan", 0),
        ("1e9", 0),
        ("²", 0),
        ("", 0),
        ("1.5", 0),
        ("1000000000", 30),
        ("9" * 5000, 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 30),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Mon, 99 Foo 2024 99:99:99 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
    ],
)
def test_odd_retry_after_is_bounded_or_passed_over(root, target, monkeypatch, value, pause):
    made = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.append))
    options = DownloadOptions(attempts=2, backoff_s=0, backoff_max_s=3, timeout_s=5)
    odd = raw(f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    with server(root, [odd]) as (url, _):
        fetch(f"{url}/image.fits", target, options)
    assert made == [pause]


@pytest.mark.parametrize(
    ("location", "error"),
    [
        (None, "does not say where to"),
        ("", "does not say where to"),
        ("file:///etc/passwd", "which is not HTTP"),
        ("ftp://127.0.0.1/x", "which is not HTTP"),
        ("data:text/plain,hello", "which is not HTTP"),
        ("javascript:alert(1)", "which is not HTTP"),
        ("https://", "cannot be a URL"),
        ("https:///x", "cannot be a URL"),
        ("http:///x", "more than 10 redirects"),  # as browsers do: of the same host
        ("http://[::1/x", "cannot be a URL"),
        ("http://127.0.0.1:port/x", "cannot be a URL"),
        ("http://127.0.0.1:99999/x", "cannot be a URL"),
        ("http://me:hunter2@127.0.0.1/x", "credentials"),
        ("http://me:hun/ter2@127.0.0.1/x", "credentials"),
        ("//me:hunter2@127.0.0.1/x", "credentials"),
        ("http://\xff\xfe/x", "cannot be a URL"),
        ("http://.../x", "cannot be a URL"),
        ("http://" + "a" * 300 + "/x", "cannot be a URL"),
        ("http://*.org/x", "cannot be a URL"),
        ("/" + "x" * 60000, "HTTP|redirects"),
        ("/self", "more than 10 redirects"),
    ],
)
def test_odd_redirect_is_transient_and_named(root, target, location, error, caplog):
    head = "HTTP/1.1 302 There\r\nContent-Length: 0\r\n"
    head += "" if location is None else f"Location: {location}\r\n"
    with server(root, repeat(raw(head.encode("latin-1") + b"\r\n"))) as (url, asked):
        with pytest.raises(TransientError, match=error) as caught:
            fetch(f"{url}/image.fits", target, ONCE)
        assert len(asked) <= 11
    assert "hunter2" not in str(caught.value) + caplog.text
    assert "ter2" not in str(caught.value) + caplog.text
    assert len(str(caught.value)) < 1000
    assert left(target) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_every_kind_is_followed(root, target, status):
    with server(root, [redirect("/image.fits", status)]) as (url, _):
        fetch(f"{url}/moved.fits", target, ONCE)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("status", [300, 304, 305, 399])
def test_redirect_that_leads_nowhere_is_no_verdict_on_the_file(root, target, status):
    with server(root, [answer(status)]) as (url, _), pytest.raises(RedirectError, match=f"HTTP {status}"):
        fetch(f"{url}/image.fits", target, ONCE)


def test_redirect_keeps_the_range_and_a_relative_one_is_followed(root, target):
    moved = redirect("sub/../image.fits?a=b", body=b"moved")
    with server(root, [cut(ETag='"1"'), moved, rest(ETag='"1"')]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["If-Range"] for request in asked] == [None, '"1"', '"1"']
    assert target.read_bytes() == CONTENT


def test_body_of_a_redirect_is_not_read(root, target):
    moved = raw(b"HTTP/1.1 302 There\r\nLocation: /image.fits\r\n\r\n", lambda: repeat(bytes(1 << 16)))
    with server(root, [moved]) as (url, _):
        started = time.monotonic()
        fetch(f"{url}/moved.fits", target, ONCE)
        assert time.monotonic() - started < FOREVER_S / 2
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("options", [OPTIONS, ONCE])
def test_part_that_was_not_asked_for_is_not_taken_for_the_file(root, target, options):
    with (
        server(root, repeat(rest(OTHER, 0))) as (url, _),
        pytest.raises(TransientError, match="asked for the whole file"),
    ):
        fetch(f"{url}/image.fits", target, options)
    with (
        server(root, repeat(answer(416, Content_Range="bytes */0"))) as (url, _),
        pytest.raises(TransientError, match="HTTP 416"),
    ):
        fetch(f"{url}/image.fits", target, options)
    assert left(target) == []


def test_answers_of_noise_end_in_named_errors(root, target):
    """Answers with bytes changed, lost or doubled: the file, a named error, or nothing else."""
    rng = random.Random(20141)
    good = (
        b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nLast-Modified: " + OLD.encode() + b"\r\nDate: " + NEW.encode()
        + b"\r\nContent-Type: application/fits\r\nContent-Length: 17280\r\nRetry-After: 3\r\n\r\n"
    )  # fmt: skip

    def mutated():
        head = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(head))
            match rng.randrange(4):
                case 0:
                    head[at] = rng.randrange(256)
                case 1:
                    del head[at : at + rng.randint(1, 20)]
                case 2:
                    head[at:at] = head[at : at + rng.randint(1, 20)]
                case 3:
                    head[at:at] = bytes(rng.choices(b"\r\n\0:;- 9\xff", k=rng.randint(1, 5)))
        return bytes(head) + CONTENT

    ended = {"file": 0, "error": 0}
    for _ in range(300):
        with server(root, repeat(raw(mutated()))) as (url, _asked):
            try:
                fetch(f"{url}/image.fits", target, IMPATIENT)
                assert target.read_bytes() == CONTENT
                ended["file"] += 1
                target.unlink()
            except RadioUNetError:
                assert not target.exists()
                ended["error"] += 1
    assert min(ended.values()) > 30


# ---------------------------------------------------------------- credentials


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
    command += ["-addext", names, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


class TwoDoors:
    """The same answers over https and http; what was asked, and with which password."""

    def __init__(self, certificate):
        self.answers, self.seen = {}, []
        outer = self

        class Handler(ArchiveHandler):
            def do_GET(self):
                kind = "https" if self.server is outer.servers["https"] else "http"
                given = self.headers["Authorization"]
                password = b64decode(given.split()[1]).decode() if given else None
                outer.seen.append((kind, self.headers["Host"].partition(":")[0], password))
                outer.answers[self.path](self)

        self.servers = {kind: ThreadingHTTPServer(("127.0.0.1", 0), Handler) for kind in ("http", "https")}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        secured = self.servers["https"]
        secured.socket = context.wrap_socket(secured.socket, server_side=True)
        for one in self.servers.values():
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, daemon=True).start()

    def url(self, kind, path, host="127.0.0.1"):
        return f"{kind}://{host}:{self.servers[kind].server_port}{path}"

    def close(self):
        for one in self.servers.values():
            one.shutdown()
            one.server_close()


@pytest.fixture
def doors(certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    doors = TwoDoors(certificate)
    yield doors
    doors.close()


def write_netrc(tmp_path, *entries):
    (tmp_path / "netrc").write_text("".join(f"{entry}\n" for entry in entries))


MINE = "machine 127.0.0.1 login me password hunter2"


@pytest.mark.parametrize("way", [["plain"], ["again", "plain"]])
@pytest.mark.parametrize("entry", [MINE, "default login me password hunter2", None])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_redirect_leads_from_https_to_http(doors, target, tmp_path, way, entry, host):
    write_netrc(tmp_path, *([entry] if entry else []))
    doors.answers = {
        "/again": redirect(doors.url("https", "/plain")),
        "/plain": redirect(doors.url("http", "/image.fits", host)),
        "/image.fits": answer(200, CONTENT),
    }
    with pytest.raises(RedirectError, match="from https to unencrypted"):
        fetch(doors.url("https", f"/{way[0]}"), target, ONCE)
    assert {kind for kind, _, _ in doors.seen} == {"https"}
    assert {password for _, _, password in doors.seen} == ({"me:hunter2"} if entry else {None})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([MINE], ["me:hunter2", None]),
        ([MINE, "default login you password other"], ["me:hunter2", None]),
        (["default login you password other"], ["you:other", None]),
        (["machine localhost login you password other"], [None, "you:other"]),
        ([MINE, "machine LocalHost login you password other"], ["me:hunter2", "you:other"]),
        ([], [None, None]),
        (["machine 127.0.0.1 login mé password påss"], ["mé:påss", None]),
    ],
)
@pytest.mark.parametrize("kind", ["http", "https"])
def test_each_host_is_given_its_own_credentials_only(doors, target, tmp_path, entries, expected, kind):
    write_netrc(tmp_path, *entries)
    doors.answers = {
        "/there": redirect(doors.url(kind, "/image.fits", "localhost")),
        "/image.fits": answer(200, CONTENT),
    }
    fetch(doors.url(kind, "/there"), target, ONCE)
    assert doors.seen == [
        (kind, host, password) for host, password in zip(("127.0.0.1", "localhost"), expected, strict=True)
    ]
    assert target.read_bytes() == CONTENT


def test_trickle_over_https_is_ended(doors, target):
    doors.answers = {"/image.fits": raw(LENGTH, slowly())}
    started = time.monotonic()
    with pytest.raises(TransientError, match="too slow"):
        fetch(doors.url("https", "/image.fits"), target, IMPATIENT)
    assert time.monotonic() - started < 5


def test_netrc_that_cannot_be_read_is_said_without_its_words(root, target, tmp_path, caplog):
    write_netrc(tmp_path, "machine 127.0.0.1 login me passwort hunter2")
    with server(root) as (url, asked):
        fetch(f"{url}/image.fits", target, ONCE)
    assert "netrc cannot be read (line 1): no credentials are sent" in caplog.text
    assert "hunter2" not in caplog.text
    assert asked[0].headers["Authorization"] is None


SECRETS = [
    "token=hunter2",
    "a=1&access_token=hunter2&b=2",
    "authz=hunter2",
    "X-Amz-Signature=hunter2",
    "PASSWORD=hunter2",
    "api_key=hunter2",
]


@pytest.mark.parametrize("query", SECRETS)
@pytest.mark.parametrize(
    "send",
    [answer(200, CONTENT), answer(404), answer(401), answer(503), cut(), answer(200, b"<html>"),
     answer(200, CONTENT[:-2880]), redirect("/moved?token=hunter2"), rest(), raw(b"noise"), None],
)  # fmt: skip
def test_secrets_in_a_query_are_sent_and_never_shown(root, target, caplog, query, send):
    with server(root, repeat(send or answer(200, CONTENT))) as (url, asked):
        place = f"{url}/{{file}}?{query}"
        if send is None:  # nobody listens
            place = f"http://127.0.0.1:9/{{file}}?{query}"
        shown = ""
        try:
            fetched = fetch_candidates(place, ["image.fits"], target, ONCE, {})
            shown = json.dumps(asdict(fetched))
        except RadioUNetError as error:
            shown = f"{error} {getattr(error, 'file', '')} {error.__cause__}"
        assert all("hunter2" in request.path for request in asked)
    visible = shown + "".join(r.getMessage() for r in caplog.records if r.levelno >= logging.INFO)
    assert "hunter2" not in visible
    assert "image.fits" in visible


@pytest.mark.parametrize("scheme", ["http", "https", "file", "ftp"])
@pytest.mark.parametrize("user", ["me:hunter2@", "hunter2@", ":hunter2@", "me:hun@ter2@", "me:x/hunter2@"])
@pytest.mark.parametrize("path", ["/{mosaic}.fits", "/{nosuch}.fits", "/{", ""])
def test_credentials_in_a_url_of_any_kind_are_refused_and_never_shown(target, scheme, user, path, caplog):
    with pytest.raises(ConfigError, match="credentials do not belong in a URL") as caught:
        fetch_candidates(f"{scheme}://{user}host{path}", ["-"], target, ONCE, {}, mosaic="P1")
    with pytest.raises(ConfigError, match="credentials do not belong in a URL") as again:
        fetch(f"{scheme}://{user}host{path}", target, ONCE)
    shown = str(caught.value) + str(again.value) + caplog.text
    assert "ter2" not in shown
    assert "hun" not in shown


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://[::1", "https://host:port/x", "http://h:99999/"]
)
def test_what_cannot_be_a_url_is_a_mistake_in_the_configuration(target, url):
    with pytest.raises(ConfigError, match="cannot be a URL"):
        fetch(url, target, OPTIONS)


# ---------------------------------------------------------------- the file system


def test_full_disk_is_transient_and_leaves_no_half_file(root, target):
    with server(root) as (url, _):
        with (
            largest_file(6000),
            pytest.raises(TransientError, match=r"cannot be written.*\[Errno"),
        ):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert not target.exists()
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.mkdir"])
def test_errors_of_the_file_system_are_transient(root, target, monkeypatch, number, where):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), str(target))

    with server(root) as (url, _):
        with monkeypatch.context() as patch:
            patch.setattr(where, fail)
            with pytest.raises(TransientError, match=os.strerror(number)):
                fetch(f"{url}/image.fits", target, OPTIONS)
        assert not target.exists()
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


def test_local_source_that_cannot_be_read_now_is_transient(root, target, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(TransientError, match="[Ss]tale"):
        fetch(str(root / "image.fits"), target, OPTIONS)


def test_file_in_the_way_of_the_folder_is_a_mistake_of_the_user(root, target):
    target.parent.write_text("not a folder")
    with server(root) as (url, _), pytest.raises(ConfigError, match="no place for"):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.parent.read_text() == "not a folder"


def test_name_as_long_as_the_file_system_allows(root, target):
    long = target.with_name("x" * 250 + ".fits")
    with server(root, [cut(ETag='"1"'), rest(ETag='"1"')]) as (url, _):
        fetch(f"{url}/image.fits", long, OPTIONS)
    assert left(target) == [long.name]


def test_every_error_here_says_whose_failure_it_is():
    assert issubclass(RedirectError, TransientError)
    assert issubclass(TooLargeError, BadDataError)
    assert issubclass(transfer.AccessError, ConfigError)
