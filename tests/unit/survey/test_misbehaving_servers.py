"""Downloads from servers whose answers are endless, slow, packed, odd or noise."""

import gzip
import random
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from radiounet.errors import (
    BadDataError,
    ConfigError,
    NotFitsError,
    RadioUNetError,
    TransientError,
    TruncatedError,
)
from radiounet.settings.archive import DownloadOptions
from radiounet.survey import http_client, transfer
from radiounet.survey.archive import fetch
from radiounet.survey.http_client import RedirectError
from radiounet.survey.transfer import TooLargeError
from servers import (
    CONTENT,
    FOREVER_S,
    HALF,
    LENGTH,
    ONCE,
    OPTIONS,
    OTHER,
    answer,
    cut,
    largest_file,
    left,
    raw,
    redirect,
    rest,
    server,
    slowly,
)

IMPATIENT = DownloadOptions(attempts=1, backoff_s=0, timeout_s=0.4)
OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
pytestmark = pytest.mark.usefixtures("plain_network")


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
def test_endless_body_in_place_of_an_image_ends_at_once(archive, target, head, error, chunked):
    with server(archive, repeat(endless(head, chunked=chunked))) as (url, _):
        started = time.monotonic()
        with largest_file(100_000_000), pytest.raises(error):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert time.monotonic() - started < FOREVER_S / 2
    assert left(target) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_endless_list_ends_at_its_limit(archive, target, chunked):
    with server(archive, repeat(endless(b"name,ra,dec\n", chunked=chunked))) as (url, asked):
        with pytest.raises(TooLargeError, match="more than 5,000,000 bytes"):
            fetch(f"{url}/list", target, OPTIONS, check=lambda _: None, max_bytes=5_000_000)
        assert len(asked) == 1
    assert left(target) == []


def test_length_above_the_limit_is_refused_before_the_first_byte(archive, target):
    with server(archive, repeat(answer(200, b"SIMPLE", length=10**15))) as (url, asked):
        with pytest.raises(TooLargeError, match="1,000,000,000,000,000 bytes, more than 4,000,000,000"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


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
def test_trickle_is_ended(archive, target, send):
    with server(archive, [send]) as (url, _):
        started = time.monotonic()
        with pytest.raises(TransientError, match="too slow|not gzip|Error"):
            fetch(f"{url}/image.fits", target, IMPATIENT)
        assert time.monotonic() - started < 5
    assert left(target) == []


def test_what_a_slow_server_sent_is_kept_for_the_next_attempt(archive, target):
    def send(handler):
        handler.send_response(200)
        handler.send_header("ETag", '"1"')
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        raw(CONTENT[:HALF], slowly(b"\0"))(handler)

    with server(archive, [send]) as (url, _):
        with pytest.raises(TransientError, match=r"too slow: \d+ bytes"):
            fetch(f"{url}/image.fits", target, IMPATIENT)
        (part,) = target.parent.glob("*.part")
        assert part.stat().st_size > HALF


def test_server_that_is_slow_but_not_too_slow_may_take_its_time(archive, target):
    halves = [CONTENT[at : at + 864] for at in range(0, len(CONTENT), 864)]
    patient = DownloadOptions(attempts=1, timeout_s=1.5)

    def pieces():
        for piece in halves:
            time.sleep(0.1)  # in all longer than the timeout
            yield piece

    with server(archive, [raw(LENGTH, pieces)]) as (url, _):
        fetch(f"{url}/image.fits", target, patient)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("window_s", "enough"), [(0.4, 700), (0.4, 400), (3.0, 3000)])
def test_the_least_rate_holds_on_the_average_of_a_window(monkeypatch, window_s, enough):
    """1000 bytes a second, by a clock of its own; a window without any ends the connection."""
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(http_client, "time", clock)
    ours, theirs = socket.socketpair()
    with theirs, http_client.Watch("url", window_s) as watch:
        watch.begin(ours)
        watch.received = enough

        def wait():
            while True:
                clock.now += 1.001 * window_s
                time.sleep(0.01)
                watch.check()

        with pytest.raises(TransientError, match="url: too slow: 0 bytes"):
            wait()


def test_whole_attempt_has_a_longest_time(archive, target, monkeypatch):
    monkeypatch.setattr(http_client, "MAX_ATTEMPT_S", 0.5)
    with (
        server(archive, [raw(LENGTH, slowly(b"x" * 100))]) as (url, _),
        pytest.raises(TransientError, match="not complete after"),
    ):
        fetch(f"{url}/image.fits", target, ONCE)


def test_bomb_is_stopped_by_the_header_of_its_image(archive, target):
    bomb = gzip.compress(CONTENT + bytes(600_000_000), 1)
    with server(archive, repeat(answer(200, bomb, Content_Encoding="gzip"))) as (url, asked):
        with largest_file(100_000_000), pytest.raises(TruncatedError, match="its headers say 17280"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 2
    assert left(target) == []


def test_bomb_in_place_of_a_list_is_stopped_by_its_size(archive, target):
    bomb = gzip.compress(bytes(200_000_000), 1)
    with server(archive, repeat(answer(200, bomb, Content_Encoding="gzip"))) as (url, asked):
        with largest_file(30_000_000), pytest.raises(TooLargeError, match="more than 20,000,000"):
            fetch(f"{url}/list", target, OPTIONS, check=lambda _: None, max_bytes=20_000_000)
        assert len(asked) == 1
    assert left(target) == []


@pytest.mark.parametrize(
    "value", ["-1", "-17280", "abc", "1e4", "0x10", "17280.0", "²", "1, 2", "9" * 5000, " ", "+17280"]
)
def test_odd_content_length_is_transient_and_named(archive, target, value):
    odd = raw(f"HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n".encode() + CONTENT)
    with server(archive, [odd]) as (url, asked):
        with pytest.raises(TransientError, match="Content-Length"):
            fetch(f"{url}/image.fits", target, ONCE)
        fetch(f"{url}/image.fits", target, ONCE)
    assert target.read_bytes() == OTHER


def test_content_length_given_twice_is_no_fault(archive, target):
    twice = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 17280\r\nContent-Length: 17280\r\n\r\n" + CONTENT)
    with server(archive, [twice]) as (url, _):
        fetch(f"{url}/image.fits", target, ONCE)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("length", [17280 - 1, 2880, 0])
def test_content_length_below_the_body_gives_no_half_file(archive, target, length):
    with (
        server(archive, repeat(answer(200, CONTENT, length=length))) as (url, _),
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
def test_odd_retry_after_is_bounded_or_passed_over(archive, target, monkeypatch, value, pause):
    made = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.append))
    options = DownloadOptions(attempts=2, backoff_s=0, backoff_max_s=3, timeout_s=5)
    odd = raw(f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    with server(archive, [odd]) as (url, _):
        fetch(f"{url}/image.fits", target, options)
    assert made == [pause]


@pytest.mark.parametrize(
    ("location", "error"),
    [
        (None, "a redirect without a target"),
        ("", "a redirect without a target"),
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
def test_odd_redirect_is_transient_and_named(archive, target, location, error, caplog):
    head = "HTTP/1.1 302 There\r\nContent-Length: 0\r\n"
    head += "" if location is None else f"Location: {location}\r\n"
    with server(archive, repeat(raw(head.encode("latin-1") + b"\r\n"))) as (url, asked):
        with pytest.raises(TransientError, match=error) as caught:
            fetch(f"{url}/image.fits", target, ONCE)
        assert len(asked) <= 11
    assert "hunter2" not in str(caught.value) + caplog.text
    assert "ter2" not in str(caught.value) + caplog.text
    assert len(str(caught.value)) < 1000
    assert left(target) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_every_kind_is_followed(archive, target, status):
    with server(archive, [redirect("/image.fits", status)]) as (url, _):
        fetch(f"{url}/moved.fits", target, ONCE)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("status", [300, 304, 305, 399])
def test_redirect_that_leads_nowhere_is_no_verdict_on_the_file(archive, target, status):
    with server(archive, [answer(status)]) as (url, _), pytest.raises(RedirectError, match=f"HTTP {status}"):
        fetch(f"{url}/image.fits", target, ONCE)


def test_redirect_keeps_the_range_and_a_relative_one_is_followed(archive, target):
    moved = redirect("sub/../image.fits?a=b", body=b"moved")
    with server(archive, [cut(ETag='"1"'), moved, rest(ETag='"1"')]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["If-Range"] for request in asked] == [None, '"1"', '"1"']
    assert target.read_bytes() == CONTENT


def test_body_of_a_redirect_is_not_read(archive, target):
    moved = raw(b"HTTP/1.1 302 There\r\nLocation: /image.fits\r\n\r\n", lambda: repeat(bytes(1 << 16)))
    with server(archive, [moved]) as (url, _):
        started = time.monotonic()
        fetch(f"{url}/moved.fits", target, ONCE)
        assert time.monotonic() - started < FOREVER_S / 2
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("options", [OPTIONS, ONCE])
def test_part_that_was_not_asked_for_is_not_taken_for_the_file(archive, target, options):
    with (
        server(archive, repeat(rest(OTHER, 0))) as (url, _),
        pytest.raises(TransientError, match="asked for the whole file"),
    ):
        fetch(f"{url}/image.fits", target, options)
    with (
        server(archive, repeat(answer(416, Content_Range="bytes */0"))) as (url, _),
        pytest.raises(TransientError, match="HTTP 416"),
    ):
        fetch(f"{url}/image.fits", target, options)
    assert left(target) == []


def test_answers_of_noise_end_in_named_errors(archive, target):
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

    answers = [mutated() for _ in range(300)]

    def ends_of(first):
        """One after another to the same file, so that each meets what the one before may have left."""
        here, ends = target.with_name(f"{first}.fits"), Counter()
        for content in answers[first::6]:
            with server(archive, repeat(raw(content))) as (url, _asked):
                try:
                    fetch(f"{url}/image.fits", here, IMPATIENT)
                    assert here.read_bytes() == CONTENT
                    ends["file"] += 1
                    here.unlink()
                except RadioUNetError:
                    assert not here.exists()
                    ends["error"] += 1
        return ends

    # most of the time is spent waiting for what never comes
    with ThreadPoolExecutor(6) as threads:
        ended = sum(threads.map(ends_of, range(6)), Counter())
    assert ended.total() == 300
    assert min(ended["file"], ended["error"]) > 30


def test_every_error_here_says_whose_failure_it_is():
    assert issubclass(RedirectError, TransientError)
    assert issubclass(TooLargeError, BadDataError)
    assert issubclass(transfer.AccessError, ConfigError)
