"""Writing products: under a temporary name beside their place, synced, then renamed.

The Snakefile imports this module in every job, so the writers of file formats come with the
functions that need them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from radiounet.images.reading import EXTENSIONS, error_number

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from astropy.io.fits.hdu.base import ExtensionHDU
    from astropy.table import Table


_OF_DISKS = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ESTALE")}
_SHORT = re.compile(r"(\d+) requested and (\d+) written")
"""What numpy says of so many numbers, without saying why, where a file could not be written to its end."""


_checks: list[Callable[[], None]] = []


def check_before_renaming(check: Callable[[], None]) -> None:
    """Have a function called whenever files of this process are whole: what it raises keeps them back."""
    if check not in _checks:
        _checks.append(check)


def checks_before_renaming() -> tuple[Callable[[], None], ...]:
    """Those functions, for a process that writes files for this one."""
    return tuple(_checks)


@contextlib.contextmanager
def atomic(path: str | Path, private: bool = False) -> Iterator[Path]:
    """Give a temporary name beside `path`; sync and rename on success, remove on failure.

    A killed job leaves no half product under the final name. An `OSError` without a file name, as libraries
    raise it for a full disk, gets that of `path`.

    Parameters
    ----------
    path : path
    private : bool
        Let nobody else read it, at any time.
    """
    with atomic_together(path, private=private) as (temporary,):
        yield temporary


@contextlib.contextmanager
def atomic_together(*paths: str | Path, private: bool = False) -> Iterator[list[Path]]:
    """Like `atomic`, for files that belong together: all are whole and synced before the first is renamed.

    What fails before that leaves older files as they were. They are renamed in the order given.
    """
    temporaries: list[Path] = []
    try:
        for path in paths:
            temporaries.append(_beside(Path(path)))
        yield temporaries
        for temporary in temporaries:
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o600 if private else 0o666 & ~_umask())
        for check in _checks:
            check()
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    except OSError as error:
        if error.filename is None and (fault := _fault_of_disk(error, Path(paths[0]).parent)):
            # without a number its words would not be shown
            error.errno, error.strerror = fault
            error.filename = ", ".join(map(str, paths))
        raise
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def _fault_of_disk(error: OSError, folder: Path) -> tuple[int, str] | None:
    """Number and words of an error of the disk on which a folder lies; None for any other error."""
    text, number = str(error), error_number(error)
    if number is not None:
        return (number, error.strerror or os.strerror(number)) if number in _OF_DISKS else None
    short = _SHORT.search(text)
    is_full = short and shutil.disk_usage(folder).free < int(short[1]) - int(short[2])
    if is_full or "Not enough space on disk" in text:  # as astropy says
        return errno.ENOSPC, os.strerror(errno.ENOSPC)
    return (errno.EIO, text) if short else None


@contextlib.contextmanager
def temporary_beside(path: str | Path) -> Iterator[Path]:
    """Give an empty file beside `path`, and remove it after use; of a killed job, `remove_leftovers` does."""
    temporary = _beside(Path(path))
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Make an empty file of a temporary name beside a path, whose folder is made, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the name of a product may be as long as the file system allows, which counts bytes
    start = os.fsencode(path.name)[:120].decode(errors="ignore")
    prefix = f".{start or 'product'}.{_host()}-{os.getpid()}."
    suffix = path.suffix if len(os.fsencode(path.suffix)) < 20 else ""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
    os.close(handle)
    return Path(name)


def open_lock(path: str | Path) -> int:
    """Descriptor of a lock file that everybody may write to.

    It may have been left by another person, and NFS locks only what can be written to.

    Raises
    ------
    OSError
        It is a symbolic link, another person forbids it, or the folder has none and cannot be written to.
    """
    while True:
        # Linux forbids O_CREAT for a file of another person in a folder with the sticky bit
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        except FileExistsError:  # made by another program in the meantime
            continue
        with contextlib.suppress(OSError):  # a file system without modes
            os.fchmod(handle, 0o666)  # whatever the umask takes away
        return handle


@cache
def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]


@cache
def _umask() -> int:
    """Permissions that the user takes away; asking sets it, so it is asked once, and put back."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


LEFTOVER = re.compile(r"^\..+\.(?P<host>\w+)-(?P<pid>\d+)\.\w{8}(\.\w+)?(\.weights\.h5)?$")
"""Temporary names of `atomic` and `temporary_beside`, and what weights are called before."""
LEFTOVER_S = 3600.0
"""Without a change for so long, a temporary file of another machine is nobody's."""


def remove_leftovers(folder: str | Path, below: bool = True) -> list[Path]:
    """Remove what killed jobs left half written, in a folder, below it, and in folders it links to.

    A file of this machine goes when its process has ended, one of another machine when
    nothing was written to it for an hour.

    Parameters
    ----------
    folder : path
    below : bool
        False: only in the folder itself.

    Returns
    -------
    list of path
        What was removed.
    """
    removed = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(root))
        # a link may lead back
        folders[:] = [one for one in folders if below and os.path.realpath(Path(root, one)) not in seen]
        for name in names:
            found = LEFTOVER.match(name)
            path = Path(root, name)
            if found and not _is_being_written(path, found["host"], int(found["pid"])):
                with contextlib.suppress(PermissionError):  # of another person, in a folder of all
                    path.unlink(missing_ok=True)
                    removed.append(path)
    return removed


def _is_being_written(path: Path, host: str, pid: int) -> bool:
    if host == _host():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it runs, by somebody else
            return True
        return not _has_ended(pid)
    try:
        return time.time() - path.stat().st_mtime < LEFTOVER_S
    except FileNotFoundError:  # renamed in the meantime
        return True


def _has_ended(pid: int) -> bool:
    """Whether a process only waits for its parent to notice its end: a container may have nobody who does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):  # another system, or gone meanwhile
        return False
    return state.split()[0] in ("Z", "X")


def write_json(path: str | Path, content: dict, private: bool = False) -> None:
    """Write a small JSON product, see `json_text`."""
    with atomic(path, private) as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")


def json_text(content: dict) -> str:
    """Text of a JSON product; numbers that JSON does not have, NaN and infinity, are null."""
    return json.dumps(_finite(content), indent=1, sort_keys=True, allow_nan=False) + "\n"


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


CLASS_TILE_PX = 256
"""Side of the compressed tiles of class maps: a cut-out needs few of them."""


def write_fits(
    path: str | Path,
    data: np.ndarray,
    header: fits.Header,
    tables: dict[str, Table | None] | None = None,
    classes: dict[str, np.ndarray] | None = None,
) -> None:
    """Write one plane, ``[y, x]``, as the primary HDU, and extensions of the given names.

    Parameters
    ----------
    tables : mapping of str to Table or None
        None is left out.
    classes : mapping of str to ndarray of uint8, ``[y, x]``
        Probabilities, 255 for 1; read back as 0..1.
    """
    from astropy.io import fits

    hdus = fits.HDUList([fits.PrimaryHDU(data, header)])
    for name, plane in (classes or {}).items():
        tile = tuple(min(side, CLASS_TILE_PX) for side in plane.shape)
        hdu = fits.CompImageHDU(plane, name=class_extension(name), tile_shape=tile)
        hdu.header["BSCALE"], hdu.header["BZERO"] = 1 / 255, 0.0
        hdus.append(hdu)
    for name, table in (tables or {}).items():
        if table is not None:
            hdus.append(fits.BinTableHDU(table, name=name))
    with atomic(path) as temporary:
        hdus.writeto(temporary, overwrite=True)


def write_extensions(path: str | Path, primary: fits.PrimaryHDU, hdus: Sequence[ExtensionHDU]) -> None:
    """Write a primary HDU and extensions, with their number for `radiounet.images.reading.whole_fits`."""
    from astropy.io import fits

    primary.header[EXTENSIONS] = (len(hdus), "number of extensions")
    with atomic(path) as temporary:
        fits.HDUList([primary, *hdus]).writeto(temporary, overwrite=True)


def class_extension(name: str) -> str:
    """Name of the FITS extension that holds the probability of a class."""
    return name.upper().replace(" ", "_")


def write_ecsv(path: str | Path, table: Table) -> None:
    """Write a table with units, descriptions and metadata."""
    import io

    from radiounet.images.tables import quote_number_signs

    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv")
    with atomic(path) as temporary:
        temporary.write_text(quote_number_signs(stream.getvalue(), " "), encoding="utf-8")
