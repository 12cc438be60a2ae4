"""A file system that takes no more is told with the name of the product, whatever library wrote."""

import errno
import os
import re
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from matplotlib.figure import Figure

from radiounet.images.writing import atomic, write_ecsv, write_extensions, write_fits, write_json
from servers import largest_file

NUMBERS = np.random.default_rng(1).integers(0, 255, (400, 400)).astype(np.uint8)
SMALL = np.zeros((9, 9), np.float32)
TABLE = Table({"a": np.arange(9000.0)})


def write_array(path):
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        np.save(stream, NUMBERS)


def write_store(path):
    with atomic(path) as temporary, h5py.File(temporary, "w") as store:
        store["a"] = NUMBERS


def write_figure(path):
    figure = Figure(figsize=(4, 4))
    figure.figimage(NUMBERS)
    with atomic(path) as temporary:
        figure.savefig(temporary)


WRITERS = {
    "plane.fits": lambda path: write_fits(path, NUMBERS.astype(np.float32), fits.Header()),
    "mask.fits": lambda path: write_fits(path, NUMBERS, fits.Header()),
    "classes.fits": lambda path: write_fits(path, SMALL, fits.Header(), classes={"a": NUMBERS}),
    "table.fits": lambda path: write_fits(path, SMALL, fits.Header(), {"T": TABLE}),
    "extensions.fits": lambda path: write_extensions(path, fits.PrimaryHDU(), [fits.ImageHDU(NUMBERS)]),
    "text.json": lambda path: write_json(path, {"a": ["b" * 50_000]}),
    "table.ecsv": lambda path: write_ecsv(path, TABLE),
    "array.npy": write_array,
    "store.h5": write_store,
    "figure.png": write_figure,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_product_that_could_not_be_written_is_named(tmp_path, name):
    path = tmp_path / name
    with largest_file(20_000), pytest.raises(OSError, match=rf"(?s)\[Errno \d+\] .+: '{path}'$") as caught:
        WRITERS[name](path)
    assert caught.value.filename == str(path)
    # numpy says none
    assert caught.value.errno == (errno.EIO if "requested and" in str(caught.value) else errno.EFBIG)
    assert os.listdir(tmp_path) == []


GLUED = "Not enough space on disk: requested 7776412, available 0. "
HDF5 = "Unable to write (file write failed: errno = {0}, error message = '{1}', buf = 0x1)"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (GLUED + "1110916 requested and 983344 written", errno.ENOSPC),
        (GLUED, errno.ENOSPC),
        (f"{GLUED}[Errno 27] File too large", errno.EFBIG),
        ("[Errno 122] Disk quota exceeded", errno.EDQUOT),
        (HDF5.format(28, "No space left on device"), errno.ENOSPC),
    ],
)
def test_words_of_libraries_for_a_full_disk_become_one_sentence(tmp_path, text, number):
    with pytest.raises(OSError, match="written") as caught, atomic(tmp_path / "written.fits"):
        raise OSError(text)
    assert caught.value.errno == number
    assert str(caught.value) == f"[Errno {number}] {os.strerror(number)}: '{tmp_path}/written.fits'"


@pytest.mark.parametrize(("free", "number"), [(0, errno.ENOSPC), (99, errno.ENOSPC), (100, errno.EIO)])
def test_numpy_does_not_say_that_a_disk_is_full(tmp_path, monkeypatch, free, number):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    with pytest.raises(OSError, match="a.npy") as caught, atomic(tmp_path / "a.npy"):
        raise OSError("300 requested and 200 written")
    assert caught.value.errno == number


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EROFS, "Read-only file system", "other"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "other"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        TimeoutError("timed out"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError("No SIMPLE card found, this file does not appear to be a valid FITS file."),
    ],
)
def test_an_error_that_has_a_name_or_is_not_of_writing_stays(tmp_path, error):
    text = str(error)
    with pytest.raises(OSError, match=f"^{re.escape(text)}$"), atomic(tmp_path / "a.json"):
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_an_error_of_syncing_names_the_product(tmp_path, monkeypatch, number):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"Errno {number}.*: '.*/a.json'$"):
        write_json(tmp_path / "a.json", {})
