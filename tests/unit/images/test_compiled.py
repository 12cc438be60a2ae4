"""Compiled code finds a place wherever this runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "radiounet"
CODE = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from radiounet.mosaicking.kernels import _sorted
assert _sorted(3.0, 1.0, 2.0) == (1.0, 2.0, 3.0)
print(_sorted.stats.cache_path)
"""


@pytest.fixture
def place(tmp_path):
    """A copy of the modules that are compiled, whose folder takes no cache, as for a user without rights."""
    package = tmp_path / "lib" / "radiounet"
    for name in (
        "__init__",
        "mosaicking/__init__",
        "mosaicking/kernels",
        "images/__init__",
        "images/compiled",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / f"{name}.py", package / f"{name}.py")
    (package / "mosaicking" / "__pycache__").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def run(place, **environment):
    known = {
        key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    }
    known |= {"PYTHONPATH": str(place / "lib"), "TMPDIR": str(place / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    known |= {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    known |= environment
    known = {key: value for key, value in known.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=known, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()), done.stderr


def own(place):
    return place / "tmp" / f"radiounet-numba-{os.getuid()}"


def test_without_a_place_of_numba_it_is_a_temporary_one_of_the_user(place):
    folder, log = run(place)
    assert folder.is_relative_to(own(place))
    assert own(place).stat().st_mode & 0o777 == 0o700
    assert "no locator available" in log
    assert "set NUMBA_CACHE_DIR" in log
    assert list(folder.glob("*.nbc"))
    again, _ = run(place)  # and is used again
    assert again == folder


@pytest.mark.parametrize("what", ["open to others", "a link", "a file"])
def test_a_place_that_others_could_have_filled_is_not_used(place, what):
    if what == "open to others":
        own(place).mkdir()
        own(place).chmod(0o777)
    elif what == "a link":
        (place / "theirs").mkdir(mode=0o700)
        own(place).symlink_to(place / "theirs")
    else:
        own(place).write_text("")
    folder, _ = run(place)
    assert not folder.is_relative_to(own(place))
    assert not folder.resolve().is_relative_to(place / "theirs")
    assert folder.is_relative_to(place / "tmp")


def test_a_place_without_space_is_not_used(place):
    """As where the quota of a home is used up: an empty file can be made there, but not filled."""
    (place / "lib" / "sitecustomize.py").write_text(
        "import tempfile\n"
        "make = tempfile.TemporaryFile\n"
        "def limited(*args, dir=None, **more):\n"
        "    if dir and 'full' in str(dir) and more == {} and args == ():\n"
        "        return open('/dev/full', 'r+b', buffering=0)\n"
        "    return make(*args, dir=dir, **more)\n"
        "tempfile.TemporaryFile = limited\n"
    )
    folder, log = run(place, NUMBA_CACHE_DIR=str(place / "full"))
    assert folder.is_relative_to(own(place))
    assert "No space left on device" in log


def test_a_place_that_is_given_is_used(place):
    folder, log = run(place, NUMBA_CACHE_DIR=str(place / "given"))
    assert folder.is_relative_to(place / "given")
    assert log == ""


@pytest.mark.parametrize("home", [None, "/dev/null", "/proc"])
def test_without_a_home_the_code_stays_beside_its_source(place, home):
    (place / "lib/radiounet/mosaicking/__pycache__").unlink()
    folder, log = run(place, HOME=home, XDG_CACHE_HOME=None)
    assert folder == place / "lib/radiounet/mosaicking/__pycache__"
    assert log == ""
