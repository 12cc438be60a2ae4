"""Streams that are closed, names that are long, logins without a name, files of killed programs."""

import getpass
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from programs import ROOT, start
from radiounet.errors import ConfigError
from radiounet.images.writing import atomic, remove_leftovers, write_json
from radiounet.learning.score_sets import labelled_set
from radiounet.running import site_verbs

CLOSED = """
import os, sys
for number in (0, 1, 2):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-c", '''
import os, sys
from radiounet.running.log import open_streams
taken = open(sys.argv[1] + ".log", "w")  # before, under a number of theirs
open_streams()
with open(sys.argv[1], "w") as product:
    print("words", file=sys.stderr)
    os.write(2, b"words of a library")
    print("words")
    assert product.fileno() > 2
    product.write("product")
''', sys.argv[1]])
"""


def test_words_for_a_closed_stream_go_into_no_product(tmp_path):
    """The file that is opened next would have its number."""
    path = tmp_path / "product"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    subprocess.run([sys.executable, "-c", CLOSED, str(path)], check=True, env=environment)
    assert path.read_text() == "product"
    assert "words\n" not in (tmp_path / "product.log").read_text()


@pytest.mark.parametrize(
    "name",
    ["あ" * 80 + ".fits", "a" * 250 + ".fits", "a." + "b" * 250, os.fsdecode(b"\xff" * 200 + b".fits")],
)
def test_a_product_may_have_any_name_that_the_file_system_takes(tmp_path, name):
    with atomic(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_private_files_are_so_from_their_first_moment(tmp_path, monkeypatch, private, mode):
    seen = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda old, new: (seen.append(os.stat(old).st_mode), replace(old, new))
    )
    write_json(tmp_path / "run.json", {"a": 1}, private=private)
    assert [stat.S_IMODE(one) for one in seen] == [mode]
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": 1}


def test_what_a_killed_verb_left_goes_with_the_next_one(tmp_path):
    """Its temporary file lies beside the product; that of a program that runs stays."""
    host = next(one for one in _names_of_atomic(tmp_path / "x"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".pair.fits.{host}-{gone.pid}.abcd1234.fits"
    kept = tmp_path / f".pair.fits.{host}-{os.getpid()}.abcd1234.fits"
    for path in (left, kept):
        path.write_text("half")
    done = start("radiounet simulate", "--pair", "1", "--n-px", "128", "--out", tmp_path / "pair.fits")
    assert done.returncode == 0, done.stderr
    assert (left.exists(), kept.exists()) == (False, True)
    # and no folder of images counts one
    assert not [one for one in labelled_set(str(tmp_path)) if one.endswith(kept.name)]


def test_what_another_person_left_in_a_folder_of_all_stays_and_stops_nobody(tmp_path, monkeypatch):
    left = tmp_path / ".a.fits.elsewhere-7.abcd1234.fits"
    left.write_text("half")
    os.utime(left, (1e9, 1e9))

    def forbid(self, missing_ok=False):
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "unlink", forbid)
    assert remove_leftovers(tmp_path) == []
    monkeypatch.undo()
    assert remove_leftovers(tmp_path) == [left]


def _names_of_atomic(path):
    with atomic(path) as temporary:
        yield temporary.name.rsplit("-", 1)[0].rsplit(".", 1)[1]
        temporary.write_text("x")


def test_a_login_without_a_name_needs_who(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: {}["getpwuid(): uid not found: 54321"])
    with pytest.raises(ConfigError, match="your login has no name: give one with --who"):
        site_verbs._login()
