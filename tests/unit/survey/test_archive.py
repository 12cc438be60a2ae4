import hashlib
import logging
import threading
import time
from base64 import b64encode
from email.utils import formatdate
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from radiounet.errors import (
    ChecksumError,
    ConfigError,
    NotFitsError,
    NotInArchiveError,
    TransientError,
    TruncatedError,
)
from radiounet.settings.archive import DownloadOptions
from radiounet.simulation.small_survey import serve
from radiounet.survey import http_client
from radiounet.survey.archive import fetch, fetch_candidates
from servers import CONTENT, HALF, ONCE, OPTIONS, OTHER, answer, cut, rest, server

pytestmark = pytest.mark.usefixtures("plain_network")
HTML = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "image.fits").write_bytes(CONTENT)
    return folder


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(http_client, "RECEIVED_AT_ONCE", 2880)


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.append))
    return made


def left(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


TOO_MUCH = answer(200, CONTENT + OTHER, length=40000, ETag='"1"')


def part_of(target) -> Path:
    (part,) = target.parent.glob("image.fits.*.part")
    return part


def break_off(url, target):
    """A job that gets half of a file; the server's first answer is `cut`."""
    with pytest.raises(TransientError):
        fetch(f"{url}/image.fits", target, ONCE)
    return part_of(target).read_bytes()


def test_good_file_arrives_whole_and_alone(root, target):
    with server(root) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]
    assert [request.path for request in asked] == ["/image.fits"]


@pytest.mark.parametrize("status", [400, 404, 410])
def test_missing_file_is_named_at_once_and_leaves_nothing(root, target, status):
    with server(root, [answer(status)]) as (url, asked):
        with pytest.raises(NotInArchiveError, match=f"{url}/image.fits .*HTTP {status}"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


def test_second_candidate_wins_and_both_are_recorded(root, target):
    with server(root) as (url, _):
        fetched = fetch_candidates(f"{url}/{{file}}", ["absent.fits", "image.fits"], target, OPTIONS, {})
    assert fetched.tried == (f"{url}/absent.fits", f"{url}/image.fits")
    assert (fetched.url, fetched.file, fetched.size) == (f"{url}/image.fits", "image.fits", 17280)
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert target.read_bytes() == CONTENT


def test_no_candidate_names_all_that_were_tried(root, target):
    with server(root) as (url, asked):
        with pytest.raises(NotInArchiveError, match=f"{url}/a.fits, {url}/b.fits"):
            fetch_candidates(f"{url}/{{file}}", ["a.fits", "b.fits"], target, OPTIONS, {})
        assert len(asked) == 2
    assert left(target) == []


def test_candidate_is_compared_with_its_own_checksum(root, target):
    checksums = {"absent.fits": "adler32:00000001", "image.fits": "adler32:00000002"}
    with server(root) as (url, _), pytest.raises(ChecksumError, match="00000002 is on record"):
        fetch_candidates(f"{url}/{{file}}", ["absent.fits", "image.fits"], target, OPTIONS, checksums)


def test_part_of_one_candidate_is_never_continued_with_another(root, target):
    plain = answer(206, OTHER[HALF:], ETag='"1"', Content_Range=f"bytes {HALF}-17279/17280")

    def by_range(handler):
        (plain if handler.headers["Range"] else answer(200, OTHER))(handler)

    with server(root, [cut(ETag='"1"'), answer(404), by_range]) as (url, _):
        assert break_off(url, target) == CONTENT[:HALF]
        fetch_candidates(f"{url}/{{file}}", ["image.fits", "other.fits"], target, OPTIONS, {})
    assert target.read_bytes() == OTHER


def test_plus_in_a_field_name_arrives_quoted(root, target):
    (root / "P124+62").mkdir()
    (root / "P124+62" / "image.fits").write_bytes(OTHER)
    with server(root) as (url, asked):
        fetched = fetch_candidates(
            url + "/{field}/{file}", ["image.fits"], target, OPTIONS, {}, field="P124+62"
        )
    assert asked[0].path == "/P124%2B62/image.fits"
    assert fetched.url == f"{url}/P124%2B62/image.fits"
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_plus_in_a_local_path_stays(root, target, scheme):
    (root / "P124+62.fits").write_bytes(OTHER)
    fetch_candidates(f"{scheme}{root}/{{field}}.fits", ["-"], target, OPTIONS, {}, field="P124+62")
    assert target.read_bytes() == OTHER


def test_unknown_name_in_a_template_is_named_with_the_known_ones(target):
    with pytest.raises(ConfigError, match="unknown 'nosuch'; known: file, field"):
        fetch_candidates("https://h/{nosuch}/{file}", ["a"], target, OPTIONS, {}, field="P1")


def test_busy_server_is_asked_again_after_the_pause_it_wants(root, target, pauses):
    busy = answer(503, Retry_After="0")
    slow = DownloadOptions(attempts=4, backoff_s=5, timeout_s=5)
    with server(root, [busy, busy]) as (url, asked):
        fetch(f"{url}/image.fits", target, slow)
        assert len(asked) == 3
    assert pauses == [0, 0]
    assert target.read_bytes() == CONTENT


def test_retry_after_may_be_a_date(root, target, pauses):
    soon = answer(429, Retry_After=formatdate(time.time() + 100, usegmt=True))
    past = answer(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    with server(root, [soon, past]) as (url, _):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert pauses == [pytest.approx(99, abs=1.1), 0]
    assert target.read_bytes() == CONTENT


def test_retry_after_has_a_limit(root, target, pauses):
    options = DownloadOptions(attempts=2, backoff_s=0, backoff_max_s=3, timeout_s=5)
    with server(root, [answer(503, Retry_After="86400")]) as (url, _):
        fetch(f"{url}/image.fits", target, options)
    assert pauses == [30]


def test_pauses_double_up_to_the_limit(root, target, pauses, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
    options = DownloadOptions(attempts=6, backoff_s=2, backoff_max_s=9, timeout_s=5)
    with server(root, repeat(answer(500))) as (url, _), pytest.raises(TransientError):
        fetch(f"{url}/image.fits", target, options)
    assert pauses == [2, 4, 8, 9, 9]


@pytest.mark.parametrize("attempts", [1, 4])
def test_always_busy_server_is_given_up_after_the_attempts_allowed(root, target, attempts):
    options = OPTIONS.model_copy(update={"attempts": attempts})
    with server(root, repeat(answer(503))) as (url, asked):
        with pytest.raises(TransientError, match="HTTP 503"):
            fetch(f"{url}/image.fits", target, options)
        assert len(asked) == attempts
    assert left(target) == []


def test_html_page_is_refused_by_its_type(root, target):
    with server(root, [answer(200, b"Log in", Content_Type="text/html; charset=utf-8")]) as (url, asked):
        with pytest.raises(NotFitsError, match="HTTP 200 with an HTML page"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


def test_html_page_is_refused_by_its_content(root, target):
    with server(root, [answer(200, HTML, Content_Type="application/fits")]) as (url, asked):
        with pytest.raises(NotFitsError, match="an HTML page"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


def test_empty_answer_is_not_fits(root, target):
    with server(root, [answer(200)]) as (url, _), pytest.raises(NotFitsError, match="not FITS"):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert left(target) == []


def test_bad_data_leaves_no_etag_behind(root, target):
    with server(root, [answer(200, HTML, ETag='"a"')]) as (url, _), pytest.raises(NotFitsError):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert left(target) == []


@pytest.mark.usefixtures("_small_chunks")
def test_cut_connection_is_resumed_where_it_was_cut(root, target):
    with server(root, [cut(ETag='"1"'), rest(ETag='"1"')]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["Range"] for request in asked] == [None, "bytes=8640-"]
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


@pytest.mark.usefixtures("_small_chunks")
def test_next_call_resumes_what_the_last_one_left(root, target):
    with server(root, [cut(ETag='"1"'), rest(ETag='"1"')]) as (url, asked):
        assert break_off(url, target) == CONTENT[:HALF]
        part = part_of(target).name
        assert left(target) == [part, f"{part}.json"]
        fetch(f"{url}/image.fits", target, ONCE)
    assert [request.headers["Range"] for request in asked] == [None, "bytes=8640-"]
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


def test_server_that_ignores_ranges_sends_the_file_anew(root, target):
    with server(root, [cut(OTHER, ETag='"1"'), answer(200, CONTENT)]) as (url, asked):
        assert break_off(url, target) == OTHER[:HALF]
        fetch(f"{url}/image.fits", target, ONCE)
    assert asked[1].headers["Range"] == "bytes=8640-"
    assert target.read_bytes() == CONTENT


def test_range_from_a_wrong_byte_is_asked_again(root, target):
    wrong = answer(206, CONTENT[2880:], ETag='"1"', Content_Range="bytes 2880-17279/17280")
    with server(root, [cut(ETag='"1"'), wrong]) as (url, asked):
        break_off(url, target)
        fetch(f"{url}/image.fits", target, OPTIONS)
        assert [request.headers["Range"] for request in asked] == [None, "bytes=8640-", None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("where", [{"Content_Range": "bytes 2880-17279/17280"}, {}])
def test_range_always_from_a_wrong_byte_is_never_accepted(root, target, where, caplog):
    wrong = repeat(answer(206, CONTENT[2880:], ETag='"1"', **where))
    with server(root, chain([cut(ETag='"1"')], wrong)) as (url, asked):
        break_off(url, target)
        with pytest.raises(TransientError, match="asked for the whole file, the server sent"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1 + 4
    assert "asked for byte 8640" in caplog.text
    assert left(target) == []


def test_part_longer_than_the_file_is_thrown_away(root, target):
    with server(root, [TOO_MUCH, answer(416, Content_Range="bytes */17280")]) as (url, asked):
        break_off(url, target)
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["Range"] for request in asked] == [None, "bytes=34560-", None]
    assert target.read_bytes() == CONTENT


def test_part_longer_than_the_file_is_a_transient_failure_of_this_attempt(root, target):
    with server(root, [TOO_MUCH, answer(416, Content_Range="bytes */17280")]) as (url, _):
        break_off(url, target)
        with pytest.raises(TransientError, match="cannot resume at byte 34560 of 17280"):
            fetch(f"{url}/image.fits", target, ONCE)
    assert left(target) == []


def test_part_that_is_already_complete_is_kept(root, target):
    whole = answer(200, CONTENT, length=17281, ETag='"1"')
    with server(root, [whole, answer(416, Content_Range="bytes */17280")]) as (url, asked):
        assert break_off(url, target) == CONTENT
        fetch(f"{url}/image.fits", target, ONCE)
        assert len(asked) == 1 + 1
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


@pytest.mark.usefixtures("_small_chunks")
def test_file_that_changed_between_attempts_comes_whole(root, target):
    def changed(handler):
        if handler.headers["If-Range"] == '"new"':
            answer(206, OTHER[HALF:], Content_Range="bytes 8640-17279/17280")(handler)
        else:
            answer(200, OTHER, ETag='"new"')(handler)

    with server(root, [cut(ETag='"old"'), changed]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert asked[1].headers["Range"] == "bytes=8640-"
    assert asked[1].headers["If-Range"] == '"old"'
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


@pytest.mark.usefixtures("_small_chunks")
def test_weak_etag_is_not_used_to_resume(root, target):
    with server(root, [cut(ETag='W/"a"')]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert asked[1].headers["If-Range"] is None
    assert asked[1].headers["Range"] is None


def test_file_shorter_than_its_header_says_is_refused_after_a_second_look(root, target):
    with server(root, repeat(answer(200, CONTENT[:-2880]))) as (url, asked):
        with pytest.raises(TruncatedError, match="has 14400 bytes, its headers say at least 17280"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 2
    assert left(target) == []


def test_file_longer_than_its_header_says_is_refused(root, target):
    too_long = repeat(answer(200, CONTENT + b"\0" * 100))
    message = "has 17380 bytes, its headers say 17280"
    with server(root, too_long) as (url, _), pytest.raises(TruncatedError, match=message):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert left(target) == []


def test_file_damaged_on_the_way_once_is_fetched_again(root, target):
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    with server(root, [answer(200, OTHER)]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS, checksum=checksum)
        assert len(asked) == 2
    assert target.read_bytes() == CONTENT


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("sent", [0, HALF])
def test_silent_server_is_a_transient_failure(root, target, sent):
    done = threading.Event()

    def stall(handler):
        if sent:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(CONTENT)))
            handler.end_headers()
            handler.wfile.write(CONTENT[:sent])
        done.wait(5)
        handler.close_connection = True

    impatient = DownloadOptions(attempts=1, backoff_s=0, timeout_s=0.3)
    with server(root, [stall]) as (url, _):
        started = time.monotonic()
        with pytest.raises(TransientError, match="[Tt]ime"):
            fetch(f"{url}/image.fits", target, impatient)
        assert 0.25 < time.monotonic() - started < 2
        done.set()
    assert not target.exists()


def test_unreachable_server_is_a_transient_failure(root, target):
    with serve(root) as url:
        pass
    with pytest.raises(TransientError, match="ConnectionError"):
        fetch(f"{url}/image.fits", target, OPTIONS)


def test_wrong_checksum_is_refused_and_leaves_nothing(root, target):
    with server(root, repeat(answer(200, CONTENT))) as (url, asked):
        with pytest.raises(ChecksumError, match="deadbeef is on record"):
            fetch(f"{url}/image.fits", target, OPTIONS, checksum="adler32:deadbeef")
        assert len(asked) == 2
    assert left(target) == []


def test_right_checksum_is_accepted(root, target):
    blob = hashlib.sha1(b"blob 17280\0" + CONTENT).hexdigest()
    with server(root) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS, checksum=f"gitblob:{blob}")
        assert len(asked) == 1
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("template", ["/image.fits", "/{file}", "/{nosuch}/{file}"])
def test_credentials_in_a_url_are_refused_and_never_shown(root, target, caplog, template):
    caplog.set_level(logging.DEBUG)
    with server(root) as (url, asked):
        secret = url.replace("http://", "http://me:hunter2@") + template
        with pytest.raises(ConfigError) as caught:
            fetch_candidates(secret, ["image.fits"], target, OPTIONS, {})
        assert asked == []
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caplog.text


def test_credentials_in_a_url_are_sent_to_netrc(target):
    with pytest.raises(ConfigError, match=r"host 127\.0\.0\.1\): use ~/\.netrc"):
        fetch("http://me:hunter2@127.0.0.1/image.fits", target, OPTIONS)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access_points_to_netrc(root, target, status):
    with server(root, repeat(answer(status))) as (url, asked):
        with pytest.raises(ConfigError, match=rf"HTTP {status}.*\.netrc"):
            fetch(f"{url}/image.fits", target, OPTIONS)
        assert len(asked) == 1
    assert left(target) == []


def test_netrc_is_used(root, target, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    expected = "Basic " + b64encode(b"me:hunter2").decode()

    def guarded(handler):
        if handler.headers["Authorization"] == expected:
            answer(200, CONTENT)(handler)
        else:
            answer(401)(handler)

    with server(root, [guarded]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert asked[0].headers["Authorization"] == expected
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_local_file_is_copied(root, target, scheme):
    fetch(f"{scheme}{root}/image.fits", target, OPTIONS)
    assert target.read_bytes() == CONTENT
    assert (root / "image.fits").read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_missing_local_file_is_named(root, target, scheme):
    with pytest.raises(NotInArchiveError, match=f"no file {root}/absent.fits"):
        fetch(f"{scheme}{root}/absent.fits", target, OPTIONS)
    assert left(target) == []


def test_file_url_is_unquoted_and_a_plain_path_is_not(root, target):
    (root / "a b#1.fits").write_bytes(OTHER)
    (root / "a%20b.fits").write_bytes(CONTENT)
    fetch(f"file://{root}/a%20b%231.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER
    fetch(f"{root}/a%20b.fits", target, OPTIONS)
    assert target.read_bytes() == CONTENT


def test_scheme_that_can_not_be_fetched_is_a_mistake_in_the_configuration(target):
    with pytest.raises(ConfigError, match="ftp"):
        fetch("ftp://127.0.0.1/image.fits", target, OPTIONS)


def test_own_check_replaces_the_fits_check(root, target):
    with server(root, [answer(200, b"name,ra,dec\n", Content_Type="text/plain")]) as (url, _):
        fetch(f"{url}/list.csv", target, OPTIONS, check=lambda _: None)
    assert target.read_bytes() == b"name,ra,dec\n"
