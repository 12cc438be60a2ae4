import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radiounet.errors import ConfigError
from radiounet.running import locks
from radiounet.running.locks import hold, is_held, let_go, require_free

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
HOLD = """
import sys, time
from radiounet.running.locks import hold
hold(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has the folder."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_has_one_program_at_a_time(tmp_path, other):
    with pytest.raises(ConfigError, match=f"another program works in .*process {other.pid} on"):
        hold(tmp_path)


def test_a_killed_program_leaves_no_lock(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    hold(tmp_path)
    hold(tmp_path)  # once more by the same process
    let_go(tmp_path)
    let_go(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_known_by_their_real_path(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    hold(tmp_path / "real")
    hold(tmp_path / "link")
    assert [path.name for path in (tmp_path / "real").iterdir()] == [".radiounet.lock"]
    let_go(tmp_path / "link")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_lock_that_is_left_stops_no_other_person(tmp_path):
    before = os.umask(0o022)
    try:
        hold(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / ".radiounet.lock").stat().st_mode & 0o777 == 0o666
    let_go(tmp_path)


def test_a_file_of_the_user_is_no_lock(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for number, make in enumerate((lambda one: one.symlink_to(precious), lambda one: one.mkdir())):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / ".radiounet.lock")
        with pytest.raises(ConfigError, match="cannot be opened to lock"):
            hold(folder)
    (tmp_path / ".radiounet.lock").write_text("mine, too")
    with pytest.raises(ConfigError, match="was not made by this program"):
        hold(tmp_path)
    assert precious.read_text() == "mine"
    assert (tmp_path / ".radiounet.lock").read_text() == "mine, too"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be opened to lock .*: Not a directory"):
        hold(tmp_path / "file" / "results")


def test_a_folder_that_must_be_free_is_not_held(tmp_path, other):
    with pytest.raises(ConfigError, match=f"another program works in .*process {other.pid} on"):
        require_free(tmp_path)
    other.kill()
    other.wait()
    require_free(tmp_path)
    require_free(tmp_path / "none")
    assert not is_held(tmp_path)


def test_whether_a_folder_is_held(tmp_path, other):
    assert is_held(tmp_path)
    other.kill()
    other.wait()
    assert not is_held(tmp_path)
    hold(tmp_path)
    assert is_held(tmp_path)
    let_go(tmp_path)
    assert not is_held(tmp_path)


def test_whether_a_folder_is_held_cannot_be_told_everywhere(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".radiounet.lock").touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert is_held(tmp_path) is None
    assert is_held(tmp_path / "none") is False


def test_a_look_of_another_program_stops_nobody(tmp_path, monkeypatch):
    lock = tmp_path / ".radiounet.lock"
    lock.touch()
    handle = os.open(lock, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda seconds: os.close(handle))
    hold(tmp_path)
    let_go(tmp_path)
    assert not lock.exists()


@pytest.mark.parametrize("error", [PermissionError("not yours"), FileNotFoundError("just removed")])
def test_a_lock_that_cannot_be_read_is_told_and_stops_nobody(tmp_path, monkeypatch, caplog, error):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(locks, "open", refuse, raising=False)
    require_free(tmp_path)
    assert ("cannot be told whether a program works there" in caplog.text) == (
        not isinstance(error, FileNotFoundError)
    )


def test_a_lock_that_only_another_person_may_remove_is_let_go(tmp_path, monkeypatch):
    """As in a folder with the sticky bit, of which other people may write to the files."""
    hold(tmp_path)

    def refuse(path, **options):
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        let_go(tmp_path)
    assert not is_held(tmp_path)
    hold(tmp_path)
    let_go(tmp_path)
    assert not (tmp_path / ".radiounet.lock").exists()


@pytest.mark.parametrize("left", [False, True])
def test_a_lock_of_another_person_in_a_sticky_folder_is_taken(tmp_path, monkeypatch, left):
    """Where Linux refuses to create what is there; it may be made between the look and the making."""
    lock, opened = tmp_path / ".radiounet.lock", os.open
    if left:
        lock.touch()

    def as_linux(path, flags, mode=0o777):
        if flags & os.O_CREAT and Path(path) == lock:
            os.close(opened(path, os.O_WRONLY | os.O_CREAT))
            raise FileExistsError if flags & os.O_EXCL else PermissionError
        return opened(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", as_linux)
        hold(tmp_path)
    assert is_held(tmp_path)
    let_go(tmp_path)
    assert not lock.exists()


@pytest.mark.parametrize("function", ["write", "ftruncate"])
def test_a_full_disk_is_named(tmp_path, monkeypatch, function):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    lock = tmp_path / ".radiounet.lock"
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(ConfigError, match=f"^{lock} cannot be written to lock .*: No space left"):
            hold(tmp_path)
    assert not is_held(tmp_path)
    hold(tmp_path)
    let_go(tmp_path)


def test_a_link_that_leads_to_itself_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="loop"):
        hold(tmp_path / "loop")
    require_free(tmp_path / "loop")
    assert not is_held(tmp_path / "loop")


def test_a_lock_on_a_disk_that_became_read_only_is_let_go(tmp_path, monkeypatch):
    hold(tmp_path)

    def refuse(path, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        let_go(tmp_path)
    assert not is_held(tmp_path)
