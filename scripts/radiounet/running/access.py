"""Whether this person may read what a run has left, which may be another person's."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from radiounet.errors import ConfigError


@contextmanager
def permitted() -> Iterator[None]:
    """Say of a file that this person may not read or write what to do about it.

    Raises
    ------
    ConfigError
        In place of `PermissionError`.
    """
    try:
        yield
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename or error} may not be read or written by you: ask its owner for "
            "`chmod -R g+rwX`, or name another one in the configuration"
        ) from None


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
