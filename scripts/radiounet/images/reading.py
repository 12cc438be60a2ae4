"""Whose failure it is when a file cannot be read: its own, or that of the machine it lies on."""

from __future__ import annotations

import errno
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from radiounet.errors import BadDataError, RadioUNetError, TransientError, TruncatedError, UnreadableError
from radiounet.images.fits_check import check_fits

if TYPE_CHECKING:
    import h5py
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table

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

_ERRNO = re.compile(r"(?:errno = |\[Errno )(\d+)")
EXTENSIONS = "NEXTEND"
"""Card of the primary header that holds the number of extensions."""
ADVICE = re.compile(r" If this is really a FITS file.*")
"""What astropy advises programmers to do."""


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Give a `BadDataError` raised inside the name of the bad file, unless it has one."""
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
            _require_regular(path, alien)
            yield
        except RadioUNetError:
            raise
        except MemoryError as error:
            raise TransientError(f"{path}: too little memory to read it: {error}") from error
        except OSError as error:
            if error_number(error) in PASSING:
                raise TransientError(f"{path} cannot be read now: {error}") from error
            absent = isinstance(error, FileNotFoundError | NotADirectoryError)
            raise alien(
                f"there is no file {path}"
                if absent
                else f"{path} is not a readable file: {ADVICE.sub('', str(error))}"
            ) from error
        except Exception as error:  # every reader raises its own kinds
            raise damaged(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _require_regular(path: str | Path, alien: type[BadDataError]) -> None:
    """Refuse pipes and devices, which may never end; what is absent or a folder, opening it says."""
    place = Path(path)
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise alien(f"{path} is a device or a pipe, not a file")


def error_number(error: OSError) -> int | None:
    """Error number of the system; HDF5 and astropy have it in their text only."""
    found = _ERRNO.search(str(error))
    return error.errno or (int(found[1]) if found else None)


@contextmanager
def _primary(path: str | Path) -> Iterator[fits.PrimaryHDU]:
    from astropy.io import fits

    with warnings.catch_warnings(), reading(path):
        warnings.filterwarnings("error", "File may have been truncated")
        # opened here, since astropy leaves a file open whose first header it cannot read
        with open(path, "rb") as stream, fits.open(stream, memmap=False) as hdus:
            yield hdus[0]


def fits_header(path: str | Path) -> fits.Header:
    """Header of a FITS product; failures as by `reading`."""
    with _primary(path) as hdu:
        return hdu.header


def fits_plane(path: str | Path) -> np.ndarray:
    """Primary plane of a FITS product, ``[y, x]``; failures as by `reading`."""
    with _primary(path) as hdu:
        return hdu.data


@contextmanager
def whole_fits(path: str | Path) -> Iterator[fits.HDUList]:
    """Open a FITS product of several HDUs, all of which must be there.

    A file that ends between two HDUs is a good one with fewer: the card that
    `radiounet.images.writing.write_extensions` writes tells how many there were. Files of older versions
    have none.

    Raises
    ------
    UnreadableError
        Other failures as by `reading`, also of what is read inside.
    """
    from astropy.io import fits

    with reading(path):
        check_fits(path)
        with fits.open(path, memmap=False) as hdus:
            found = len(hdus) - 1
            promised = hdus[0].header.get(EXTENSIONS, found)
            if found != promised:
                raise TruncatedError(f"{path} has {found} of {promised} extensions: have it made again")
            yield hdus


def ecsv_table(path: str | Path) -> Table:
    """Table of a stage, UTF-8 whatever the locale; failures as by `reading`."""
    from astropy.table import Table

    with reading(path):
        return Table.read(path, format="ascii.ecsv", encoding="utf-8")


@contextmanager
def hdf5_store(path: str | Path) -> Iterator[h5py.File]:
    """HDF5 product, open to be read; failures to open it as by `reading`, others as they come."""
    import h5py

    with reading(path):
        store = h5py.File(path, "r")
    with store:
        yield store
