import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.images import provenance as provenance_module
from radiounet.images.provenance import code_hash, provenance, sha256_of
from radiounet.images.rejections import Rejection, read_rejection, write_rejected
from radiounet.images.writing import atomic, remove_leftovers, write_ecsv, write_fits, write_json

SCRIPTS = Path(__file__).parents[3] / "scripts"
SUFFIXES = ("fits", "h5", "ecsv", "json")


def test_atomic_makes_folders_and_shows_the_file_only_when_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        temporary.write_text("whole")
        inode = temporary.stat().st_ino
    assert path.stat().st_ino == inode  # renamed, not copied
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["b.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_atomic_keeps_the_old_file_until_the_new_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def write_half(path, error):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_leaves_nothing_when_the_body_raises(tmp_path, error):
    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)
    assert os.listdir(tmp_path) == []


def test_atomic_does_not_replace_the_old_file_when_the_body_raises(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError):
        write_half(path, ValueError)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_writer_leaves_no_half_product(tmp_path):
    path = tmp_path / "a.txt"
    body = (
        "import os, sys; from radiounet.images.writing import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", body, str(path)], env={"PYTHONPATH": str(SCRIPTS)})
    assert done.returncode == 9
    assert not path.exists()


def test_atomic_keeps_the_suffix(tmp_path):
    with atomic(tmp_path / "a.fits") as temporary:
        assert temporary.suffix == ".fits"


@pytest.mark.parametrize(
    "reason",
    ["BeamError: no BMAJ", "x" * 500, "it's \"quoted\" & 'so' " * 25, "a = 1 / 2", "# a: [b, {c}]"],
    ids=["plain", "long", "quotes", "slash", "yaml"],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rejection_round_trip(tmp_path, suffix, reason):
    path = tmp_path / f"a.{suffix}"
    rejection = Rejection("P100+40", "tile", "results/dr2/mosaics/P100+40/image.fits", reason.strip())
    write_rejected(path, rejection)
    assert read_rejection(path) == rejection
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("shift", range(70))
def test_quotes_anywhere_in_a_long_fits_reason(tmp_path, shift):
    rejection = Rejection("a", "b", "", "x" * shift + "''" + "y" * 60 + "'z")
    write_rejected(tmp_path / "a.fits", rejection)
    assert read_rejection(tmp_path / "a.fits") == rejection


@pytest.mark.parametrize("suffix", ["h5", "ecsv", "json"])
def test_non_ascii_rejection_round_trip(tmp_path, suffix):
    rejection = Rejection("P100+40", "tile", "größe/β.fits", "UnitError: BUNIT 'µJy'\nnot “Jy/beam” ☹")
    write_rejected(tmp_path / f"a.{suffix}", rejection)
    assert read_rejection(tmp_path / f"a.{suffix}") == rejection


def test_fits_replaces_what_its_cards_can_not_hold(tmp_path):
    write_rejected(tmp_path / "a.fits", Rejection("P1", "tile", "größe.fits", "µJy\nis not Jy"))
    assert read_rejection(tmp_path / "a.fits") == Rejection("P1", "tile", "gr??e.fits", "?Jy?is not Jy")


def test_rejected_fits_is_valid_and_without_data(tmp_path):
    write_rejected(tmp_path / "a.fits", Rejection("a", "b", "c", "d" * 500))
    with fits.open(tmp_path / "a.fits") as hdus:
        hdus.verify("exception")
        assert hdus[0].data is None
        assert hdus[0].header["REJECTED"] is True


def test_rejected_replaces_a_good_product(tmp_path):
    write_json(tmp_path / "a.json", {"url": "b"})
    write_rejected(tmp_path / "a.json", Rejection("a", "b", "c", "d"))
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "rejected": {"name": "a", "stage": "b", "file": "c", "reason": "d"}
    }


def test_good_products_are_not_rejected(tmp_path):
    header = fits.Header([("HISTORY", "not rejected")])
    write_fits(tmp_path / "a.fits", np.zeros((2, 2), np.float32), header)
    write_ecsv(tmp_path / "a.ecsv", Table({"name": ["a"]}, meta={"version": "1"}))
    write_ecsv(tmp_path / "empty.ecsv", Table({"name": np.array([], "U1")}))
    write_json(tmp_path / "a.json", {"url": "rejected"})
    with h5py.File(tmp_path / "a.h5", "w") as store:
        store["plane"] = [1.0]
    paths = sorted(tmp_path.iterdir())
    assert [(path.name, read_rejection(path)) for path in paths] == [
        (name, None) for name in ("a.ecsv", "a.fits", "a.h5", "a.json", "empty.ecsv")
    ]


def test_sha256_of(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_provenance_leaves_out_none():
    cards = provenance(model="m", thresh=None, nfields=0)
    assert [card[0] for card in cards] == ["RUNETVER", "CODEHASH", "MODEL", "NFIELDS"]
    assert cards[1][1] == code_hash()


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "scripts" / "radiounet"
    shutil.copytree(SCRIPTS / "radiounet", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, folder.parent)
    monkeypatch.setattr(provenance_module, "PACKAGE", folder)
    return folder


def hash_after_change(path, script):
    before = code_hash.__wrapped__(script)
    with open(path, "a") as stream:  # its end is a comment in some of these languages, and a change in all
        stream.write("# changed\n")
    after = code_hash.__wrapped__(script)
    assert len(before) == len(after) == 12
    return before != after


@pytest.mark.parametrize(
    ("script", "changed", "differs"),
    [
        ("find_islands", "network/masks", True),  # by way of separation
        ("find_islands", "images/noise", True),  # by way of masks
        ("find_islands", "images/products", True),
        ("find_islands", "running/stage", True),
        ("find_islands", "errors", True),
        ("find_islands", "mosaicking/mosaic", False),
        ("find_islands", "simulation/simulate", False),
        ("merge_catalogue", "measuring/catalogue", True),
        ("merge_catalogue", "survey/archive", False),
        ("merge_catalogue", "network/inference", False),
        ("infer", "network/inference", True),  # imported inside a function
        (None, "simulation/simulate", True),
    ],
)
def test_hash_follows_the_modules_a_script_imports(library, script, changed, differs):
    assert hash_after_change(library / f"{changed}.py", script) is differs


@pytest.mark.parametrize(("changed", "differs"), [("find_islands", True), ("tile", False)])
def test_hash_follows_the_script_itself(library, changed, differs):
    assert hash_after_change(library.parent / f"{changed}.py", "find_islands") is differs


DATA = {
    "simulation/lofar_hba.csv": {"simulate", "train", "evaluate", "train_leg"},
    "publishing/pages/core.js": {"publish"},
    "publishing/pages/index.html": {"publish"},
    "templates/site.css": {"publish"},
    "templates/report.html.j2": {"report"},
    "templates/status.html.j2": {"plan"},  # which shows no page, and uses a function of the module that does
    "settings/skies/wide.yaml": {"train_leg"},
}


@pytest.mark.parametrize("changed", DATA)
def test_hash_follows_the_files_that_its_modules_name_and_no_others(library, changed):
    """Of a stage; that of the package follows all of them."""
    scripts = {path.stem for path in library.parent.glob("*.py")} - {"demo"}  # no stage
    before = {script: code_hash.__wrapped__(script) for script in (*scripts, None)}
    with open(library / changed, "a") as stream:
        stream.write("\n")
    differ = {script for script, found in before.items() if code_hash.__wrapped__(script) != found}
    assert differ == DATA[changed] | {None}


def test_hash_follows_no_compiled_or_hidden_file(library):
    before = code_hash.__wrapped__(None)
    (library / "images" / "__pycache__").mkdir()
    for name in ("__pycache__/noise.pyc", "__pycache__/noise.nbi", ".noise.py.swp", "noise.py~"):
        (library / "images" / name).write_text("a")
    assert code_hash.__wrapped__(None) == before
    (library / "images" / "colours.txt").write_text("a")
    assert code_hash.__wrapped__(None) != before


def test_hash_does_not_depend_on_the_order_of_the_file_system(library, monkeypatch):
    before = [code_hash.__wrapped__(script) for script in (None, "publish")]
    walk = os.walk

    def reversed_walk(top):
        for place, folders, names in walk(top):
            folders.sort(reverse=True)
            yield place, folders, sorted(names, reverse=True)

    monkeypatch.setattr("radiounet.images.provenance.os.walk", reversed_walk)
    provenance_module._data_files.cache_clear()
    assert [code_hash.__wrapped__(script) for script in (None, "publish")] == before


def test_hash_follows_the_name_of_a_module(library):
    before = code_hash.__wrapped__(None)
    (library / "images" / "noise.py").rename(library / "images" / "noises.py")
    assert code_hash.__wrapped__(None) != before


WRITE = """
import sys, time
from radiounet.images.writing import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is writing a product, and its temporary file."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", WRITE, str(tmp_path / "masks" / f"{'n' * 200}.fits")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_job_left_is_removed_and_what_a_running_one_writes_stays(tmp_path, writer):
    process, temporary = writer
    assert remove_leftovers(tmp_path) == []
    process.kill()
    process.wait()
    assert temporary.is_file()
    assert remove_leftovers(tmp_path) == [temporary]
    assert list((tmp_path / "masks").iterdir()) == []


def test_a_process_that_nobody_reaped_writes_no_more(tmp_path, writer):
    """A container may have no first process that does."""
    process, temporary = writer
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(process.pid, 0)  # the system still knows it
    assert remove_leftovers(tmp_path) == [temporary]


@pytest.mark.parametrize(("answer", "goes"), [(PermissionError, False), (ProcessLookupError, True)])
def test_what_a_process_of_another_person_writes_stays(tmp_path, monkeypatch, answer, goes):
    """The system refuses to signal a process of somebody else that runs, and knows none that has ended."""

    def kill(pid, signal):
        raise answer

    with atomic(tmp_path / "one.json") as temporary:
        temporary.write_text("half")
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", kill)
            assert remove_leftovers(tmp_path) == [temporary] * goes
        temporary.write_text("whole")


def test_a_file_of_another_machine_goes_after_an_hour_without_a_change(tmp_path):
    path = tmp_path / ".one.fits.node0042-77.abcd1234.fits"
    path.write_text("half")
    assert remove_leftovers(tmp_path) == []
    os.utime(path, (time.time() - 4000, time.time() - 4000))
    assert remove_leftovers(tmp_path) == [path]


@pytest.mark.parametrize(
    "name", [".one.fits", "one.fits", ".hidden", ".nfs000012", ".radiounet.lock", ".a.b-7.c.fits"]
)
def test_files_of_others_are_never_removed(tmp_path, name):
    (tmp_path / name).write_text("mine")
    os.utime(tmp_path / name, (1e9, 1e9))
    assert remove_leftovers(tmp_path) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_products_have_the_permissions_that_the_user_gives(tmp_path, umask, mode):
    program = "import sys; from radiounet.images.writing import write_json; write_json(sys.argv[1], {})"
    command = [sys.executable, "-c", program, str(tmp_path / "a.json")]
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    subprocess.run(command, check=True, env=environment, umask=umask)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode


def test_a_word_in_a_history_is_no_rejection(tmp_path):
    header = fits.Header()
    header.add_history("REJECTED= 3 antennas, see the log")
    header["COMMENT"] = "REJECTED=T"
    write_fits(tmp_path / "a.fits", np.zeros((2, 2), np.float32), header)
    assert read_rejection(tmp_path / "a.fits") is None


def test_links_that_lead_in_circles_do_no_harm(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "back").symlink_to(tmp_path)
    path = tmp_path / "masks" / ".one.fits.node0042-77.abcd1234.fits"
    path.write_text("half")
    os.utime(path, (1e9, 1e9))
    assert remove_leftovers(tmp_path, below=False) == []
    assert remove_leftovers(tmp_path) == [path]
