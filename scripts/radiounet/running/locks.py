"""One program at a time in a folder of products."""

import contextlib
import fcntl
import json
import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import LOCK_FILE
from radiounet.images.writing import open_lock

logger = logging.getLogger(__name__)

PROBE_S = 0.05
"""Longer than another program, which only looks whether a folder is free, locks it."""
START = b'{"program": '
_held: dict[Path, int] = {}


def hold(folder: str | Path) -> None:
    """Have a folder for this process alone until it ends, however it ends.

    The lock is the kernel's (flock), so that nothing of it outlives a killed process. Where a
    file system has none, a warning says so.

    Raises
    ------
    ConfigError
        Another program works there; a file of that name is there that is no lock; or none can be written,
        as on a full disk.
    """
    path = _lock_of(folder)
    tries = 3
    while path not in _held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open_lock(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be opened to lock {folder}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1000).decode(errors="replace")
            os.close(handle)
            if tries := tries - 1:
                time.sleep(PROBE_S)
                continue
            raise ConfigError(f"another program works in {folder}: {_holder(holder)}") from None
        except OSError as error:
            logger.warning("%s cannot be locked (%s): run one program at a time there", folder, error)
        if not _is_still(path, handle):  # who held it has removed it in the meantime
            os.close(handle)
            continue
        if (text := os.read(handle, 1000)) and not text.startswith(START):
            os.close(handle)
            raise ConfigError(f"{path} was not made by this program: move it away")
        try:
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, json.dumps(_this()).encode())
        except OSError as error:
            os.close(handle)
            raise ConfigError(f"{path} cannot be written to lock {folder}: {error.strerror}") from None
        _held[path] = handle


def is_held(folder: str | Path) -> bool | None:
    """Whether a program, this one or another, has a folder for itself.

    None where that cannot be told, as on a file system without locks.
    """
    path = _lock_of(folder)
    if path in _held:
        return True
    try:
        with open(path, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def require_free(folder: str | Path) -> None:
    """Make sure that no other program has a folder, without holding it.

    Raises
    ------
    ConfigError
        Another program works there.
    """
    path = _lock_of(folder)
    try:
        with open(path, "rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(stream.read(1000).decode(errors="replace"))
                raise ConfigError(f"another program works in {folder}: {holder}") from None
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s: it cannot be told whether a program works there (%s)", folder, error)


def let_go(folder: str | Path) -> None:
    """Give a folder up; a second call is harmless."""
    path = _lock_of(folder)
    if path in _held:
        with contextlib.suppress(OSError):  # another person made it, or it is read-only: nobody holds it
            path.unlink(missing_ok=True)
        os.close(_held.pop(path))


def _lock_of(folder: str | Path) -> Path:
    return Path(os.path.realpath(folder), LOCK_FILE)  # which says nothing of a link that leads to itself


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _this() -> dict[str, object]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return {"program": Path(sys.argv[0]).name, "pid": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(text: str) -> str:
    try:
        return "{program}, process {pid} on {host}, since {since}".format(**json.loads(text))
    except (ValueError, KeyError):
        return "it has not said which"
