"""Checks of a file once it is here: checksum, and length by its own headers."""

import bz2
import gzip
import json
import lzma
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits

from programs import SCRIPTS
from radiounet.errors import ChecksumError, ConfigError, NotFitsError, TruncatedError, UnreadableError
from radiounet.images import fits_check
from radiounet.images.fits_check import check_fits, check_fits_so_far, fits_size
from radiounet.images.writing import remove_leftovers
from radiounet.settings.archive import DownloadOptions
from radiounet.survey import archive
from radiounet.survey.archive import check_checksum, fetched


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


def image_extension():
    return fits.ImageHDU(np.ones((60, 60), np.int16))


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
        ([image(60, 60), table(10), image_extension()], 1 + 5 + 1 + 1 + 1 + 3),
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


def header(*cards):
    return "".join(card.ljust(80) for card in [*cards, "END"]).encode("latin-1").ljust(2880)


def cards_of(**values):
    return [f"{key:8}= {value:>20}" for key, value in values.items()]


FIRST = ["SIMPLE  =                    T"]
TABLE = ["XTENSION= 'BINTABLE'"]
EMPTY = header(*FIRST, *cards_of(BITPIX=8, NAXIS=0))


@pytest.mark.parametrize(
    "values",
    [
        {"NAXIS": 1, "NAXIS1": -1},
        {"NAXIS": 2, "NAXIS1": -720, "NAXIS2": 1},
        {"NAXIS": 2, "NAXIS1": -300, "NAXIS2": -300},
        {"NAXIS": -1},
        {"NAXIS": 1000},
        {"NAXIS": 10**18},
        {"NAXIS": 1, "NAXIS1": 720, "PCOUNT": -720},
        {"NAXIS": 1, "NAXIS1": 720, "PCOUNT": -1440},
        {"NAXIS": 1, "NAXIS1": 720, "GCOUNT": -1},
        {"NAXIS": 1, "NAXIS1": 720, "GCOUNT": 0},
        {"NAXIS": 1, "NAXIS1": "1E3"},
        {"NAXIS": 1, "NAXIS1": "720.5"},
        {"NAXIS": 1, "NAXIS1": "1_000"},
        {"NAXIS": 1, "NAXIS1": "NaN"},
        {"NAXIS": 1, "NAXIS1": "T"},
        {"NAXIS": 1, "NAXIS1": ""},
        {"NAXIS": 1, "NAXIS1": "²"},
        {"NAXIS": 1, "NAXIS2": 720},
        {"NAXIS": 0, "BITPIX": 0},
        {"NAXIS": 0, "BITPIX": -8},
        {"NAXIS": 0, "BITPIX": 7},
        {"NAXIS": 0, "BITPIX": 10**9},
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_impossible_sizes_are_refused_at_once(tmp_path, values, first):
    path = tmp_path / "a.fits"
    values = {"BITPIX": -32} | values
    bad = header(*(FIRST if first else TABLE), *cards_of(**values)) + bytes(2880)
    path.write_bytes(bad if first else EMPTY + bad)
    with pytest.raises(NotFitsError, match="no usable"):
        check_fits(path)


@pytest.mark.parametrize("axes", [[10**19], [10**9] * 30, [2**63, 2**63], [99999] * 999])
def test_absurd_size_is_a_file_too_short(tmp_path, axes):
    named = {f"NAXIS{axis}": length for axis, length in enumerate(axes, 1)}
    cards = [*FIRST, *cards_of(BITPIX=-64, NAXIS=len(axes), **named), "END"]
    path = tmp_path / "a.fits"
    text = "".join(card.ljust(80) for card in cards).encode()
    path.write_bytes(text.ljust(-(-len(text) // 2880) * 2880) + bytes(2880))
    with pytest.raises(TruncatedError, match="its headers say at least"):
        check_fits(path)


def test_header_without_end_is_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_check, "MAX_HEADER_BLOCKS", 10)
    path = tmp_path / "a.fits"
    path.write_bytes(header(*FIRST).replace(b"END", b"   ") + b" " * 2880 * 8)
    with pytest.raises(TruncatedError, match="ends inside a header"):
        check_fits(path)
    path.write_bytes(path.read_bytes() + b" " * 2880 * 1000)
    with pytest.raises(NotFitsError, match="without END"):
        check_fits(path)


def test_extensions_without_number_are_not_walked_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_check, "MAX_HDUS", 50)
    path = tmp_path / "a.fits"
    extension = header(*TABLE, *cards_of(BITPIX=8, NAXIS=0))
    path.write_bytes(EMPTY + extension * 49)
    check_fits(path)
    path.write_bytes(EMPTY + extension * 50)
    with pytest.raises(NotFitsError, match="more than 50 HDUs"):
        check_fits(path)


@pytest.mark.parametrize("record", [b"", b"XTEN", b"XTENSION"])
def test_beginning_of_a_file_is_judged_by_what_can_still_come(tmp_path, record):
    path = tmp_path / "a.fits"
    path.write_bytes(EMPTY + record)
    check_fits_so_far(path)
    path.write_bytes(EMPTY + b"\0" * 8)
    with pytest.raises(TruncatedError, match="2888 bytes already, its headers say 2880"):
        check_fits_so_far(path)


def test_mutated_headers_end_in_a_length_or_a_named_error(tmp_path):
    """Bytes changed, cards lost, doubled, exchanged or renamed, in headers that astropy wrote."""
    rng = random.Random(20141)
    path = tmp_path / "a.fits"
    fits.HDUList([image(60, 60), table(10), image_extension()]).writeto(path)
    good = path.read_bytes()
    starts = [at for at in range(0, len(good), 80) if good[at : at + 6] in (b"NAXIS ", b"NAXIS1", b"BITPIX")]
    starts += [at for at in range(0, len(good), 80) if good[at : at + 6] in (b"PCOUNT", b"GCOUNT", b"XTENSI")]
    numbers = ["-1", "-2880", "0", "1", "2", "999", "1E9", "99999999999999999999", "NaN", "'a'", "", "T"]
    ended = {"length": 0, "NotFitsError": 0, "TruncatedError": 0}
    for _ in range(600):
        content = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.choice(starts)
            match rng.randrange(5):
                case 0:
                    content[at + 10 : at + 30] = f"{rng.choice(numbers):>20}".encode()
                case 1:
                    content[at + rng.randrange(80)] = rng.randrange(256)
                case 2:
                    content[at : at + 80] = b" " * 80
                case 3:
                    other = rng.choice(starts)
                    content[at : at + 80] = content[other : other + 80]
                case 4:
                    del content[rng.randrange(len(content)) :]
                    content += b"XTENSION" * rng.randrange(3)
            starts_left = [one for one in starts if one + 80 <= len(content)]
            if len(starts_left) < len(starts):
                break
        path.write_bytes(content)
        began = time.monotonic()
        try:
            assert 0 <= fits_size(path) <= len(content)
            ended["length"] += 1
        except (NotFitsError, TruncatedError) as error:
            ended[type(error).__name__] += 1
        assert time.monotonic() - began < 2
    assert min(ended.values()) > 30


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_told_from_what_is_no_fits(tmp_path, pack):
    fits.PrimaryHDU(np.zeros((9, 9))).writeto(tmp_path / "a.fits")
    (tmp_path / "packed.fits").write_bytes(pack((tmp_path / "a.fits").read_bytes()))
    with pytest.raises(NotFitsError, match="is packed: give it unpacked"):
        check_fits(tmp_path / "packed.fits")


KILLED = """
import os, runpy, sys
sys.argv.pop(0)
from {module} import {function}
sys.modules["{module}"].{function} = lambda *args, **options: os._exit(9)
{call}
"""
SCRIPT = "runpy.run_path(sys.argv[0], run_name='__main__')"
VERIFY = """
from radiounet.publishing.verification import _open_pairs, DownloadOptions, VerifyOptions
from radiounet.images.products import Products
from pathlib import Path
options = VerifyOptions(masks="{mosaic}.fits")
_open_pairs("P1", Products("own"), options, DownloadOptions(), Path("made/P1.json"))
"""


@pytest.mark.parametrize(
    ("script", "read", "call"),
    [
        ("fetch_components --mosaic P1", "radiounet.survey.component_tables read_components", SCRIPT),
        ("fetch_clusters --name own --source {}", "radiounet.survey.catalogues convert_catalogue", SCRIPT),
        ("verify_mosaic", "radiounet.publishing.verification read_rejection", VERIFY),
    ],
)
def test_a_killed_job_leaves_no_download_that_a_run_does_not_remove(tmp_path, script, read, call):
    """It is killed when the file is whole, and read."""
    module, function = read.split()
    there = tmp_path / "P1.fits"
    image(4, 4).writeto(there)
    catalogue = {"url": str(there), "columns": {"name": "n", "ra": "r", "dec": "d", "z": "z"}}
    settings = {"measure": {"components": str(there)}, "archive": {"clusters": {"own": catalogue}}}
    name, *words = script.split()
    words += ["--out", "made/P1.fits", "--settings", json.dumps(settings)]
    program = KILLED.format(module=module, function=function, call=call)
    done = subprocess.run(
        [sys.executable, "-c", program, SCRIPTS / f"{name}.py", *words],
        **{"cwd": tmp_path, "capture_output": True, "text": True},
    )
    assert done.returncode == 9, done.stderr
    (left,) = (tmp_path / "made").iterdir()
    assert left.read_bytes() == there.read_bytes()
    assert remove_leftovers(tmp_path / "made") == [left]


def test_a_file_that_is_used_once_is_named_by_its_url(tmp_path):
    (tmp_path / "there.csv").write_text("a")
    source = f"file://{tmp_path}/there.csv"

    def use():
        with fetched(source, tmp_path / "made/P1.fits", DownloadOptions(), check=lambda _: None) as path:
            error = UnreadableError(f"{path} is cut short")
            error.file = str(path)
            raise error

    with pytest.raises(UnreadableError, match=f"^{source} is cut short$") as caught:
        use()
    assert caught.value.file == source
    assert list((tmp_path / "made").iterdir()) == []
