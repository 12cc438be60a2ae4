"""Whether what a run needs can be read and written: it may be another person's, read-only or full."""

import os
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
        raise ConfigError(
            f"{error.filename or place or error} may not be read or written by you: ask its owner for "
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
