"""Whether a file is FITS, and as long as its own headers say.

Reads the mandatory cards only (FITS standard 4.0, sections 4.4.1 and 7), never
the data, and always ends: every step goes forward by at least one record.
"""

import math
import re
from pathlib import Path
from typing import BinaryIO

from radiounet.errors import NotFitsError, TruncatedError

BLOCK = 2880  # FITS record, bytes
CARD = 80  # bytes
MAX_HEADER_BLOCKS = 4000  # 144,000 cards; the longest headers of LoTSS have some thousands
MAX_HDUS = 10_000
BITPIX = (8, 16, 32, 64, -32, -64)
MAX_AXES = 999
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\x1f\x9d")
"""How files of gzip, bzip2, xz, zip, zstd and compress begin."""


def fits_size(path: str | Path) -> int:
    """Length that a FITS file should have, from the headers of all its HDUs, in bytes.

    Raises
    ------
    NotFitsError
        The file does not begin as FITS, or a header says what no header can.
    TruncatedError
        The file ends inside a header or its data.
    """
    length = Path(path).stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(CARD)
        if not start.startswith(b"SIMPLE  ="):
            what = "not FITS"
            if b"<html" in start.lower() or b"<!doctype" in start.lower():
                what = "an HTML page"
            elif start.startswith(PACKED):
                what = "packed: give it unpacked"
            raise NotFitsError(f"{path} is {what}: it begins with {start[:30]!r}")
        position = 0
        for _ in range(MAX_HDUS + 1):
            if position >= length:
                return position
            stream.seek(position)
            if position and stream.read(8) != b"XTENSION":
                return position
            stream.seek(position)
            position = _end_of_hdu(stream, path, length)
    raise NotFitsError(f"{path} has more than {MAX_HDUS:,} HDUs")


def check_fits(path: str | Path) -> None:
    """Accept a complete FITS file only.

    Raises
    ------
    NotFitsError, TruncatedError
    """
    expected, found = fits_size(path), Path(path).stat().st_size
    if found != expected:
        raise TruncatedError(f"{path} has {found} bytes, its headers say {expected}")


def check_fits_so_far(path: str | Path) -> None:
    """Refuse the beginning of a file that cannot become FITS, whatever may follow.

    Raises
    ------
    NotFitsError
    TruncatedError
        Longer than its headers say already.
    """
    try:
        expected = fits_size(path)
    except TruncatedError:
        return
    found = Path(path).stat().st_size
    if found >= expected + 8:  # fewer bytes may be the beginning of XTENSION
        raise TruncatedError(f"{path} has {found} bytes already, its headers say {expected}")


def _end_of_hdu(stream: BinaryIO, path: str | Path, length: int) -> int:
    """Where the HDU at the stream's position ends with its padding, in bytes."""
    cards = _mandatory_cards(stream, path, length)

    def number(keyword: str, low: int, high: float, default: int | None = None) -> int:
        text = cards.get(keyword)
        if text is None and default is not None:
            return default
        if text is None or not re.fullmatch(r"[+-]?[0-9]+", text) or not low <= int(text) <= high:
            raise NotFitsError(f"{path} has no usable {keyword} in a header: {text!r}")
        return int(text)

    bits = number("BITPIX", min(BITPIX), max(BITPIX))
    if bits not in BITPIX:
        raise NotFitsError(f"{path} has no usable BITPIX in a header: {bits}")
    axes = [number(f"NAXIS{axis}", 0, math.inf) for axis in range(1, number("NAXIS", 0, MAX_AXES) + 1)]
    groups, parameters = number("GCOUNT", 1, math.inf, 1), number("PCOUNT", 0, math.inf, 0)
    count = abs(bits) // 8 * groups * (parameters + math.prod(axes)) if axes else 0
    end = stream.tell() + -(-count // BLOCK) * BLOCK
    if end > length:
        said = end if end < 10**18 else "10^18"  # thousands of digits cannot even be printed
        raise TruncatedError(f"{path} has {length} bytes, its headers say at least {said}")
    return end


def _mandatory_cards(stream: BinaryIO, path: str | Path, length: int) -> dict[str, str]:
    """Values of the cards that give the size of an HDU; the stream is left behind END."""
    cards: dict[str, str] = {}
    for _ in range(MAX_HEADER_BLOCKS):
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise TruncatedError(f"{path} ends inside a header, at {length} bytes")
        for start in range(0, BLOCK, CARD):
            card = block[start : start + CARD].decode("latin-1")
            keyword = card[:8].rstrip()
            if keyword == "END" and not card[8:].strip():
                return cards
            sized = keyword.startswith("NAXIS") or keyword in ("BITPIX", "PCOUNT", "GCOUNT")
            if sized and card[8] == "=":
                cards.setdefault(keyword, card[9:].partition("/")[0].strip())
    raise NotFitsError(f"{path} has a header without END in {MAX_HEADER_BLOCKS * BLOCK} bytes")
