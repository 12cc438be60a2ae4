"""Checks of a file once it is here: checksum, and length by its own headers."""

import numpy as np
import pytest
from astropy.io import fits

from radiounet import archive
from radiounet.archive import check_checksum
from radiounet.errors import ChecksumError, ConfigError, NotFitsError, TruncatedError
from radiounet.fits_check import check_fits, fits_size


# The Adler-32 of "Wikipedia" is Wikipedia's own example, the SHA-256 of "abc" that of FIPS 180-2;
# the ids are what `git hash-object` gives an empty file and the line "hello".
@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (b"Wikipedia", "adler32:11e60398"),
        (b"Wikipedia", "adler32:11E60398"),
        (b"", "adler32:00000001"),
        (b"abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"", "gitblob:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "gitblob:ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_known_checksums(tmp_path, content, checksum):
    path = tmp_path / "file"
    path.write_bytes(content)
    check_checksum(path, checksum)
    path.write_bytes(content + b"\0")
    with pytest.raises(ChecksumError, match=f"{checksum.partition(':')[2]} is on record"):
        check_checksum(path, checksum)


def test_checksum_of_more_than_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "CHUNK", 4)
    path = tmp_path / "file"
    path.write_bytes(b"Wikipedia")
    check_checksum(path, "adler32:11e60398")
    path.write_bytes(b"hello\n")
    check_checksum(path, "gitblob:ce013625030ba8dba906f756967f9e9ca394464a")


@pytest.mark.parametrize("checksum", ["md5:d41d8cd98f00b204e9800998ecf8427e", "11e60398"])
def test_unknown_algorithm_is_a_mistake_in_the_configuration(tmp_path, checksum):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="write adler32:HEX, sha256:HEX or gitblob:HEX"):
        check_checksum(tmp_path / "file", checksum)


def image(*shape, kind=np.float32):
    return fits.PrimaryHDU(np.ones(shape, kind))


def table(rows):
    return fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.arange(rows, dtype=float))])


def lists():
    values = np.array([np.arange(3), np.arange(1000)], dtype=object)
    return fits.BinTableHDU.from_columns([fits.Column("v", "PJ()", array=values)])  # 16 + 4,012 bytes


# header and data in records of 2,880 bytes, counted by hand
@pytest.mark.parametrize(
    ("hdus", "records"),
    [
        ([fits.PrimaryHDU()], 1),
        ([image(10, 10)], 1 + 1),
        ([image(1, 1, 60, 60)], 1 + 5),
        ([image(1, 1, 60, 61)], 1 + 6),
        ([image(60, 60, kind=np.float64)], 1 + 10),
        ([image(2881, kind=np.uint8)], 1 + 2),
        ([fits.PrimaryHDU(), table(361)], 1 + 1 + 2),
        ([fits.PrimaryHDU(), lists()], 1 + 1 + 2),
        ([image(60, 60), table(10), fits.ImageHDU(np.ones((60, 60), np.int16))], 1 + 5 + 1 + 1 + 1 + 3),
    ],
)
def test_fits_size_is_the_length_of_the_file(tmp_path, hdus, records):
    path = tmp_path / "a.fits"
    fits.HDUList(hdus).writeto(path)
    assert fits_size(path) == path.stat().st_size == 2880 * records
    check_fits(path)
    with open(path, "ab") as stream:
        stream.write(b"\0" * 2880)
    assert fits_size(path) == 2880 * records
    with pytest.raises(TruncatedError, match=f"has {2880 * records + 2880} bytes"):
        check_fits(path)


@pytest.mark.parametrize("length", [1000, 2879, 2880, 17279, 18000, 20159])
def test_file_cut_anywhere_is_truncated(tmp_path, length):
    path = tmp_path / "a.fits"
    fits.HDUList([image(60, 60), table(10)]).writeto(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(TruncatedError):
        check_fits(path)


@pytest.mark.parametrize("cards", [[], ["NAXIS   = 1"], ["NAXIS   = 'two'"]])
def test_header_without_its_axes_is_not_fits(tmp_path, cards):
    path = tmp_path / "a.fits"
    lines = ["SIMPLE  =                    T", "BITPIX  =                  -32", *cards, "END"]
    path.write_bytes("".join(line.ljust(80) for line in lines).ljust(2880).encode())
    with pytest.raises(NotFitsError):
        fits_size(path)
