"""Whose failure it is when a file cannot be read: its own, or that of the machine it lies on."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radiounet.errors import BadDataError, RadioUNetError, TransientError, UnreadableError

PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOLCK", "ENOMEM"),
        *("ENXIO", "ENODEV", "ENOTCONN", "ESTALE", "ETIMEDOUT", "ECONNABORTED", "ECONNREFUSED"),
        *("ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "EREMOTEIO", "ECOMM"),
    )
    if hasattr(errno, name)
)
"""What the machine, its limits or its file server say, whatever the file holds."""

HDF5_ERRNO = re.compile(r"errno = (\d+)")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let `BadDataError`s raised inside say which file is bad, unless they do."""
    try:
        yield
    except BadDataError as error:
        error.file = getattr(error, "file", None) or str(path)
        raise


@contextmanager
def reading(
    path: str | Path,
    alien: type[BadDataError] = UnreadableError,
    damaged: type[BadDataError] = UnreadableError,
) -> Iterator[None]:
    """Give every failure of a library that reads a file its name.

    Nothing but the reader's own calls belongs inside: a mistake of this program
    would pass for a damaged file.

    Parameters
    ----------
    path : path
        Named in the message and kept as the error's `file`.
    alien : type
        Raised where the file is absent or of another format.
    damaged : type
        Raised for whatever else the reader stumbles over.

    Raises
    ------
    TransientError
        Access, memory, open files, network, file server: worth reading again.
    BadDataError
        `alien` or `damaged`, or one that was raised inside, with `file` set.
    """
    with naming(path):
        try:
            yield
        except RadioUNetError:
            raise
        except MemoryError as error:
            raise TransientError(f"{path}: too little memory to read it: {error}") from error
        except OSError as error:
            if _number(error) in PASSING:
                raise TransientError(f"{path} cannot be read now: {error}") from error
            absent = isinstance(error, FileNotFoundError | NotADirectoryError)
            raise alien(
                f"there is no file {path}" if absent else f"{path} is not a readable file: {error}"
            ) from error
        except Exception as error:  # every reader raises its own kinds
            raise damaged(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _number(error: OSError) -> int | None:
    """Error number of the system; HDF5 has it in its text only."""
    found = HDF5_ERRNO.search(str(error))
    return error.errno or (int(found[1]) if found else None)
