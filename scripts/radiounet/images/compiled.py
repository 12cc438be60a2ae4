"""Compiling loops with numba, and finding a place where their machine code is kept."""

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

logger = logging.getLogger(__name__)

PROBE_BYTES = 1 << 20
"""About what the machine code of a module takes."""


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Decorate a function to be compiled at its first call and kept on disk.

    The place is numba's: ``NUMBA_CACHE_DIR``, beside the source, or the user's cache folder. Where
    none can be written, for want of rights or of space, it is a folder of this user for temporary files.

    Parameters
    ----------
    **options
        As `numba.njit` takes them.
    """

    def decorate(function: Callable) -> Any:
        try:
            made = numba.njit(cache=True, **options)(function)
            _require_space(made.stats.cache_path)
        except (RuntimeError, OSError) as error:
            numba.config.CACHE_DIR = _temporary_cache(str(error))  # type: ignore[attr-defined]  # set at run time
            made = numba.njit(cache=True, **options)(function)
        return made

    return decorate


@cache
def _require_space(folder: str) -> None:
    """Write as much as a cache takes, unless there is one already."""
    if any(Path(folder).glob("*.nbi")):
        return
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(PROBE_BYTES))
        probe.flush()
        os.fsync(probe.fileno())


@cache
def _temporary_cache(reason: str) -> str:
    """Folder for temporary files that belongs to this user alone: numba runs what it finds there."""
    folder = Path(tempfile.gettempdir()) / f"radiounet-numba-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="radiounet-numba-"))
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        folder = Path(tempfile.mkdtemp(prefix="radiounet-numba-"))
    logger.warning(
        "compiled code is kept in %s: %s; set NUMBA_CACHE_DIR to keep it elsewhere", folder, reason
    )
    return str(folder)
