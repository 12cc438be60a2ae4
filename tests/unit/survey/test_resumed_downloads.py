"""What a download continues, and what it begins again; full disks and other trouble here."""

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from email.utils import formatdate
from itertools import repeat
from pathlib import Path

import pytest

import radiounet
from radiounet.errors import ConfigError, NotInArchiveError, TransientError
from radiounet.survey.archive import fetch, fetch_candidates
from radiounet.survey.http_client import _unpacked
from servers import (
    CONTENT,
    FOREVER_S,
    HALF,
    ONCE,
    OPTIONS,
    OTHER,
    answer,
    cut,
    largest_file,
    left,
    rest,
    server,
)
from waiting import wait_until

OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
SCRIPTS = Path(radiounet.__file__).parents[1]
pytestmark = pytest.mark.usefixtures("plain_network")


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
def test_file_that_may_have_changed_is_never_mixed(archive, target, first, second, options):
    second = dict(second)
    if "Content_Range" in second:
        rest_of_other = answer(206, OTHER[HALF:], **second)
    else:
        rest_of_other = rest(OTHER, **second)
    with server(archive, [cut(CONTENT, **first), rest_of_other]) as (url, asked):
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
def test_file_that_has_not_changed_is_resumed(archive, target, headers):
    with server(archive, [cut(**headers), rest(**headers)]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    validator = OLD if "Last_Modified" in headers else '"1"'
    assert [request.headers["If-Range"] for request in asked] == [None, validator]
    assert target.read_bytes() == CONTENT


def test_date_of_change_just_now_tells_nothing(archive, target):
    just_now = formatdate(time.time() - 2, usegmt=True)
    with server(archive, [cut(Last_Modified=just_now), rest(OTHER, Last_Modified=just_now)]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert [request.headers["Range"] for request in asked] == [None, None, None]
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("body", [CONTENT[HALF:-1], CONTENT[HALF:] + b"x", b""])
def test_rest_of_another_length_than_announced_is_not_accepted(archive, target, body):
    where = f"bytes {HALF}-17279/17280"

    def send(handler):  # no Content-Length: its end is that of the connection
        handler.wfile.write(f'HTTP/1.1 206 Part\r\nETag: "1"\r\nContent-Range: {where}\r\n\r\n'.encode())
        handler.wfile.write(body)
        handler.close_connection = True

    with server(archive, [cut(ETag='"1"'), send]) as (url, asked):
        fetch(f"{url}/image.fits", target, OPTIONS, check=lambda _: None)
    assert [request.headers["Range"] for request in asked] == [None, "bytes=8640-", None]
    assert target.read_bytes() == OTHER


def test_part_of_one_candidate_survives_that_another_is_missing(archive, target):
    answers = [answer(404), cut(ETag='"1"'), answer(404), rest(ETag='"1"')]
    with server(archive, answers) as (url, asked):
        with pytest.raises(TransientError):
            fetch_candidates(f"{url}/{{file}}", ["a.fits", "b.fits"], target, ONCE, {})
        fetch_candidates(f"{url}/{{file}}", ["a.fits", "b.fits"], target, ONCE, {})
    assert [request.headers["Range"] for request in asked] == [None, None, None, "bytes=8640-"]
    assert target.read_bytes() == CONTENT
    assert left(target) == ["image.fits"]


def test_parts_of_other_urls_are_removed_and_nothing_else(archive, target):
    for name in ("image.fits", "other[1].fits"):
        with server(archive, [cut(ETag='"1"')]) as (url, _), pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target.with_name(name), ONCE)
    target.with_name("image.fits.part").write_text("the user's own")
    assert len(left(target)) == 5
    with server(archive, [answer(404)]) as (url, _), pytest.raises(NotInArchiveError):
        fetch(f"{url}/image.fits", target, ONCE)
    assert [name[:14] for name in left(target)] == ["image.fits.par", "other[1].fits.", "other[1].fits."]
    with server(archive) as (url, _):
        fetch(f"{url}/image.fits", target.with_name("other[1].fits"), ONCE)
    assert left(target) == ["image.fits.part", "other[1].fits"]


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '{"etag": 1}', "null", "\0" * 40, '{"validator": 3}', '{"version": 3}']
)
def test_record_that_a_killed_job_left_half_written_starts_again(archive, target, record):
    with server(archive, [cut(ETag='"1"')]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob("*.json")
        path.write_text(record)
        fetch(f"{url}/image.fits", target, ONCE)
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("gone", ["*.part", "*.json"])
def test_part_without_its_record_or_record_without_its_part_starts_again(archive, target, gone):
    with server(archive, [cut(ETag='"1"')]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob(gone)
        path.unlink()
        fetch(f"{url}/image.fits", target, ONCE)
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert left(target) == ["image.fits"]


@pytest.mark.parametrize("tail", [b"\0" * 3000, b"\0", b"rest of another file" * 99])
@pytest.mark.parametrize("boot", ["of before", "", None])
def test_after_a_loss_of_power_only_what_was_synced_is_continued(archive, target, tail, boot):
    tag = f'"{(archive / "image.fits").stat().st_mtime_ns:x}"'
    with server(archive, [cut(OTHER, ETag=tag)]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (part,), (path,) = target.parent.glob("*.part"), target.parent.glob("*.json")
        have = part.stat().st_size
        with open(part, "ab") as stream:
            stream.write(tail)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": boot}))
        fetch(f"{url}/image.fits", target, ONCE)
    assert have > 0
    assert asked[1].headers["Range"] == f"bytes={have}-"
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("boot", ["of before", "", None])
def test_a_part_that_another_machine_goes_on_with_is_recorded_as_its_own(archive, target, boot):
    tag = f'"{(archive / "image.fits").stat().st_mtime_ns:x}"'
    with server(archive, [cut(OTHER, ETag=tag), answer(503)]) as (url, _):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob("*.json")
        noted = json.loads(path.read_text())
        path.write_text(json.dumps(noted | {"boot": boot}))
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        assert json.loads(path.read_text()) == noted


def test_what_was_never_synced_is_begun_again_after_a_loss_of_power(archive, target):
    tag = f'"{(archive / "image.fits").stat().st_mtime_ns:x}"'
    with server(archive, [cut(OTHER, ETag=tag)]) as (url, asked):
        with pytest.raises(TransientError):
            fetch(f"{url}/image.fits", target, ONCE)
        (path,) = target.parent.glob("*.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "of before", "synced": 0}))
        fetch(f"{url}/image.fits", target, ONCE)
    assert asked[1].headers["Range"] is None
    assert target.read_bytes() == OTHER


def test_killed_job_is_continued_by_the_next(archive, target):
    killed = threading.Event()

    def stall(handler):
        handler.send_response(200)
        handler.send_header("ETag", f'"{(archive / "image.fits").stat().st_mtime_ns:x}"')  # as it has later
        handler.send_header("Content-Length", str(len(OTHER)))
        handler.end_headers()
        handler.wfile.write(OTHER[:HALF])
        killed.wait(FOREVER_S)
        handler.close_connection = True

    with server(archive, [stall]) as (url, asked):
        code = (
            "from radiounet.settings.archive import DownloadOptions\n"
            "from radiounet.survey.archive import fetch\n"
            f"fetch({url + '/image.fits'!r}, {str(target)!r}, DownloadOptions())"
        )
        job = subprocess.Popen([sys.executable, "-c", code])
        wait_until(lambda: sum(p.stat().st_size for p in target.parent.glob("*.part")))
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


def packed(body=CONTENT, at=None, encoding="gzip", **headers):
    small = gzip.compress(body) if "gzip" in encoding else zlib.compress(body)
    return answer(200, small[:at], length=len(small), Content_Encoding=encoding, **headers)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_body_packed_against_our_will_is_unpacked(archive, target, encoding):
    plain = packed(encoding=encoding.lower()) if encoding != "GZIP" else packed(encoding="gzip")
    with server(archive, [plain]) as (url, asked):
        fetch(f"{url}/image.fits", target, ONCE)
    assert asked[0].headers["Accept-Encoding"] == "identity"
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_packed_body_that_ends_too_early_is_not_taken_for_the_whole(archive, target, encoding):
    """What is announced came, so that HTTP itself sees no fault."""
    small = gzip.compress(CONTENT) if encoding == "gzip" else zlib.compress(CONTENT)
    answers = [answer(200, small[: len(small) // 2], Content_Encoding=encoding), answer(200, OTHER)]
    with server(archive, answers) as (url, _):
        fetch(f"{url}/list", target, OPTIONS, check=lambda _: None)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("more", [b"", bytes(100), b"\r\n"])
def test_packed_body_of_two_parts_is_unpacked(archive, target, more):
    """And what a server adds behind it is left out."""
    both = gzip.compress(CONTENT[:5000]) + gzip.compress(CONTENT[5000:]) + more
    with server(archive, [answer(200, both, Content_Encoding="gzip")]) as (url, _):
        fetch(f"{url}/image.fits", target, ONCE)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("behind", [-1, 0, 1, 2])
def test_packed_parts_may_end_anywhere_in_what_is_received(behind):
    """Also one byte into the next part."""
    parts = gzip.compress(b"a" * 1000), gzip.compress(b"b" * 1000)
    both, at = b"".join(parts), len(parts[0]) + behind
    found = b"".join(_unpacked(iter([both[:at], both[at:]]), "there"))
    assert found == b"a" * 1000 + b"b" * 1000
    with pytest.raises(TransientError, match="end too early"):
        list(_unpacked(iter([both[:-9]]), "there"))


@pytest.mark.parametrize("options", [OPTIONS, ONCE])
def test_packed_body_that_breaks_off_is_begun_again(archive, target, options):
    with server(archive, [packed(at=60, ETag='"1"'), packed(OTHER, ETag='"2"')]) as (url, asked):
        for _ in range(3 - options.attempts // 2):
            try:
                fetch(f"{url}/image.fits", target, options)
                break
            except TransientError:
                assert left(target) == []
    assert [request.headers["Range"] for request in asked] == [None, None]
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13", "compress"])
def test_unknown_packing_is_named_and_never_taken_for_the_file(archive, target, encoding):
    with (
        server(archive, repeat(answer(200, CONTENT, Content_Encoding=encoding))) as (url, _),
        pytest.raises(TransientError, match="Content-Encoding"),
    ):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert left(target) == []


def test_damaged_packing_is_transient(archive, target):
    with server(archive, [answer(200, b"this is not gzip", Content_Encoding="gzip")]) as (url, _):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER


def test_full_disk_is_transient_and_leaves_no_half_file(archive, target):
    with server(archive) as (url, _):
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
def test_errors_of_the_file_system_are_transient(archive, target, monkeypatch, number, where):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), str(target))

    with server(archive) as (url, _):
        with monkeypatch.context() as patch:
            patch.setattr(where, fail)
            with pytest.raises(TransientError, match=os.strerror(number)):
                fetch(f"{url}/image.fits", target, OPTIONS)
        assert not target.exists()
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.read_bytes() == OTHER
    assert left(target) == ["image.fits"]


def test_local_source_that_cannot_be_read_now_is_transient(archive, target, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(TransientError, match="[Ss]tale"):
        fetch(str(archive / "image.fits"), target, OPTIONS)


def test_local_source_that_changes_while_it_is_copied_is_not_accepted(archive, target, monkeypatch):
    copy, source = shutil.copyfile, archive / "image.fits"

    def while_written(here, there):
        copy(here, there)
        with open(source, "r+b") as stream:
            stream.write(CONTENT[:HALF])

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", while_written)
        with pytest.raises(TransientError, match="changed while it was copied"):
            fetch(f"file://{source}", target, OPTIONS)
    assert left(target) == []


def test_file_in_the_way_of_the_folder_is_a_mistake_of_the_user(archive, target):
    target.parent.write_text("not a folder")
    with server(archive) as (url, _), pytest.raises(ConfigError, match="cannot be written"):
        fetch(f"{url}/image.fits", target, OPTIONS)
    assert target.parent.read_text() == "not a folder"


def test_name_as_long_as_the_file_system_allows(archive, target):
    long = target.with_name("x" * 250 + ".fits")
    with server(archive, [cut(ETag='"1"'), rest(ETag='"1"')]) as (url, _):
        fetch(f"{url}/image.fits", long, OPTIONS)
    assert left(target) == [long.name]
