"""Whose failure it is: the file's own, or that of the machine it lies on."""

import errno
import logging
import os
import socket
import subprocess
import sys
from unittest import mock

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import BadDataError, ConfigError, NotFitsError, TransientError, UnreadableError
from radiounet.images.image import grid_wcs, open_plane, place_of, read_plane
from radiounet.images.reading import ecsv_table, fits_header, naming, reading
from radiounet.images.rejections import read_rejection
from radiounet.images.writing import write_ecsv


@pytest.fixture
def image(tmp_path):
    header = grid_wcs(150.0, 35.0, 40, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BUNIT="Jy/beam")
    fits.writeto(tmp_path / "a.fits", np.ones((40, 40), np.float32), header)
    return tmp_path / "a.fits"


MACHINE = ["EACCES", "EPERM", "EIO", "ESTALE", "EMFILE", "ENFILE", "ETIMEDOUT", "ENOMEM", "EAGAIN", "EBUSY"]


def read_place(path):
    return place_of(path, 4.5)


@pytest.mark.parametrize("code", MACHINE)
@pytest.mark.parametrize("work", [read_plane, open_plane, read_place])
def test_what_the_machine_says_is_worth_another_try(image, code, work):
    number = getattr(errno, code)
    with (
        mock.patch("radiounet.images.image.fits.open", side_effect=OSError(number, os.strerror(number))),
        pytest.raises(TransientError, match=r"a\.fits cannot be read now"),
    ):
        work(image)


def test_a_file_without_permission_is_worth_another_try(image):
    image.chmod(0)
    try:
        if os.access(image, os.R_OK):
            pytest.skip("root reads everything")
        with pytest.raises(TransientError):
            read_plane(image)
    finally:
        image.chmod(0o644)


def test_too_little_memory_is_transient(image):
    with (
        mock.patch("radiounet.images.image.StoredPlane.window", side_effect=MemoryError("1 TiB")),
        pytest.raises(TransientError, match="memory"),
    ):
        read_plane(image)


@pytest.mark.parametrize("name", ["absent.fits", "a.fits/below.fits", ".", "x" * 300])
def test_what_is_no_file_is_bad_data(image, name):
    with pytest.raises(NotFitsError) as caught:
        read_plane(image.parent / name)
    assert caught.value.file == str(image.parent / name)
    assert place_of(image.parent / name, 4.5) == (0.0, -90.0, 0)


@pytest.mark.parametrize("work", [read_plane, open_plane, fits_header])
@pytest.mark.parametrize("content", [b"", b"some text", b"<html></html>"])
def test_what_is_no_fits_gets_no_advice_for_programmers(tmp_path, work, content):
    (tmp_path / "text.fits").write_bytes(content)
    with pytest.raises(BadDataError, match=r"text\.fits") as caught:
        work(tmp_path / "text.fits")
    assert "ignore_missing" not in str(caught.value)


@pytest.mark.parametrize("work", [read_plane, open_plane, fits_header, ecsv_table, read_rejection])
def test_what_never_ends_is_not_read(tmp_path, work):
    os.mkfifo(tmp_path / "pipe.fits")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.fits"))
        for path in (tmp_path / "pipe.fits", tmp_path / "socket.fits", "/dev/zero"):
            with pytest.raises(BadDataError, match="is a device or a pipe"):
                work(path)


@pytest.mark.parametrize("kind", [ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError])
def test_whatever_a_reader_stumbles_over_is_a_damaged_file(kind):
    with pytest.raises(UnreadableError, match=r"b\.x is damaged: .*odd") as caught, reading("b.x"):
        raise kind("odd")
    assert caught.value.file == "b.x"


def test_other_readers(tmp_path):
    (tmp_path / "b.h5").write_bytes(b"no HDF5" * 500)
    with pytest.raises(UnreadableError), reading(tmp_path / "b.h5"):
        h5py.File(tmp_path / "b.h5", "r")
    (tmp_path / "b.ecsv").write_text("# %ECSV 1.0\n# ---\n# {a\n")
    with pytest.raises(UnreadableError), reading(tmp_path / "b.ecsv"):
        Table.read(tmp_path / "b.ecsv", format="ascii.ecsv")
    text = "Unable to open file (file read failed: errno = 5, error message = 'Input/output error')"
    with pytest.raises(TransientError), reading(tmp_path / "b.h5"):
        raise OSError(text)


def test_errors_with_a_name_keep_it():
    for error in (ConfigError("x"), TransientError("x"), NotFitsError("x")):
        with pytest.raises(type(error), match="^x$"), reading("a"):
            raise error
    error = BadDataError("x")
    error.file = "first"
    with pytest.raises(BadDataError), naming("second"):
        raise error
    assert error.file == "first"


def test_a_mistake_of_the_program_is_not_the_file_s(image):
    with (
        mock.patch("radiounet.images.image.check_beam", side_effect=KeyError("ours")),
        pytest.raises(KeyError),
    ):
        open_plane(image)


def test_one_bad_image_of_three_is_named_and_owns_no_sky(image, caplog):
    bad = image.parent / "bad.fits"
    cards = fits.getheader(image)
    cards["CTYPE1"] = 5
    fits.writeto(bad, np.ones((40, 40), np.float32), cards)
    with caplog.at_level(logging.WARNING):
        assert [place_of(path, 4.5)[2] for path in (image, bad, image)] == [40, 0, 40]
    assert str(bad) in caplog.text


def test_products_are_utf_8_in_any_locale(tmp_path):
    """A subprocess, since Python asks for the encoding of its locale once."""
    write_ecsv(tmp_path / "a.ecsv", Table({"name": ["Änne 星"]}))
    program = (
        "import locale, sys\n"
        "from radiounet.images.reading import ecsv_table\n"
        "assert locale.getencoding() != 'utf-8', locale.getencoding()\n"
        "print(ascii(str(ecsv_table(sys.argv[1])['name'][0])))\n"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.ecsv"],
        capture_output=True,
        text=True,
        env=os.environ | plain,
    )
    assert (done.stdout, done.returncode) == (ascii("Änne 星") + "\n", 0), done.stderr
