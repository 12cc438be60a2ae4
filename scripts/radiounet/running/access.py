"""Whether what a run needs can be read and written: it may be another person's, read-only or full."""

import errno
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from radiounet.errors import ConfigError


@contextmanager
def permitted(place: str | Path = "") -> Iterator[None]:
    """Say of a file that cannot be read or written why, and what to do about it.

    Parameters
    ----------
    place : path
        Named where an error names no file, such as that of a full disk.

    Raises
    ------
    ConfigError
        In place of `OSError`.
    """
    try:
        yield
    except PermissionError as error:
        path = error.filename or place
        owner = f", {_owner(path)}," if path and _owner(path) else ""
        raise ConfigError(
            f"{path or error} may not be read or written by you: ask its owner{owner} for "
            "`chmod -R g+rwX`, or name another one in the configuration"
        ) from None
    except OSError as error:
        path = error.filename2 or error.filename or place  # the first of two is only where a link leads to
        cause = error.strerror or error
        raise ConfigError(f"{path} cannot be used: {cause}" if path else f"{error}") from None


@permitted()
def require_open(folders: Iterable[str]) -> None:
    """Make sure that folders can be listed and entered: one that cannot looks as if it were empty.

    Raises
    ------
    ConfigError
        One of those that are there cannot.
    """
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.scandir(folder).close()
            os.stat(f"{folder}/.")


def require_readable(path: str) -> None:
    """Make sure that a file that is there can be read.

    Raises
    ------
    PermissionError
        It names the file, as that of opening it does.
    """
    if not os.access(path, os.R_OK) and os.path.exists(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def refuse_protected(paths: Iterable[str]) -> None:
    """Refuse to overwrite files that may not be written.

    Raises
    ------
    ConfigError
        It names a file, its owner, the folder of all of them, and what to do.
    """
    closed = [path for path in paths if os.path.exists(path) and not os.access(path, os.W_OK)]
    if not closed:
        return
    first, folder = closed[0], os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in closed])
    more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
    start = f"{first}{more} in {folder}, to be made again, may not be overwritten by you"
    if os.statvfs(first).f_flag & os.ST_RDONLY:
        raise ConfigError(f"{start}: the file system is read-only; set `results` to a folder on another one")
    if os.stat(first).st_uid == os.geteuid():
        raise ConfigError(f"{start}, the owner: `chmod -R u+w {folder}`")
    raise ConfigError(
        f"{start}: ask the owner, {_owner(first)}, for `chmod -R g+rwX {folder}`, "
        "or set `results` to a folder of your own"
    )


def _owner(path: str | Path) -> str:
    """Name of the owner of a file, or number of one without a name; empty where it cannot be looked up."""
    try:
        number = os.stat(path).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
