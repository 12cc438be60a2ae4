"""Brightness units as headers spell them."""

import re
from pathlib import Path

import astropy.units as u
from astropy.io import fits

from radiounet.errors import UnitError

JANSKY = re.compile(r"(?<![A-Za-zµμ])([A-Za-zµμ]?)(jy|jansky)(?=$|[^A-Za-z]|beam|bm|pix|px)", re.IGNORECASE)
BEAM = re.compile(r"(?<![A-Za-z])(beams?|bm)(?![A-Za-z])", re.IGNORECASE)
PIXEL = re.compile(r"(?<![A-Za-z])(pixels?|pix|px)(?![A-Za-z])", re.IGNORECASE)
PREFIXES = {"": "", "m": "m", "k": "k", "K": "k", "n": "n", "N": "n"} | dict.fromkeys("uUµμ", "u")
"""SI prefixes of Jy by the letter written; capital M is mega or, in an upper-case unit, either."""


def unit_factor(header: fits.Header, path: str | Path, default: str = "") -> float:
    """Factor that brings an image to Jy/beam; `default` is its unit where the header has none.

    BUNIT may be spelt in any way that means one thing only: ``JY/BEAM``, ``beam-1 Jy``,
    ``mJy/bm``, ``1e-3 Jy beam**-1``.

    Raises
    ------
    UnitError
        No unit, another one, or one that could be milli- or megajansky.
    """
    text = _text(header) or default
    if not text:
        raise UnitError(
            f"{path} has no BUNIT in the header of its first image with celestial axes; an image must be in "
            "Jy/beam: if it is, write BUNIT = 'Jy/beam' into that header; if another HDU is meant, put it "
            "into a file of its own"
        )
    factor = factor_to(u.Jy / u.beam, text, path)
    if factor is None:
        raise UnitError(f"{path} has BUNIT {text!r}; an image must be in Jy/beam (or mJy/beam, uJy/beam ...)")
    return factor


def factor_to(wanted: u.UnitBase, text: str, path: str | Path) -> float | None:
    """Factor from a unit as headers spell it to another; None where there is none above 0.

    Parameters
    ----------
    wanted : Unit
        Such as Jy/beam or Jy/pixel.
    text : str
        BUNIT, in any of the spellings of `unit_factor`, also per pixel.
    path : path
        File that it is from.

    Raises
    ------
    UnitError
        It could be milli- or megajansky.
    """
    try:
        factor = float(u.Unit(_spelt(text, path)).to(wanted))
    except (u.UnitsError, ValueError, TypeError, ArithmeticError):
        return None
    return factor if 0 < factor < float("inf") else None


def same_unit(first: fits.Header, second: fits.Header, path: str | Path) -> bool:
    """Whether two images have one unit, in whatever spelling; `path` is that of the second.

    Raises
    ------
    UnitError
        They are spelt differently, and one could be milli- or megajansky.
    """
    texts = _text(first), _text(second)
    if texts[0] == texts[1]:
        return True
    try:
        units = [u.Unit(_spelt(text, path)) for text in texts]
    except (ValueError, TypeError, ArithmeticError):
        return False
    return units[0] == units[1]


def is_per_pixel(header: fits.Header) -> bool:
    """Whether the unit of an image depends on the size of its pixels."""
    return bool(PIXEL.search(JANSKY.sub(" ", _text(header))))


def _text(header: fits.Header) -> str:
    return str(header.get("BUNIT", "")).strip()


def _spelt(text: str, path: str | Path) -> str:
    """The same unit as astropy writes it."""

    def jansky(found: re.Match) -> str:
        prefix, name = found[1], found[2]
        if prefix == "M" and name != "Jy":
            raise UnitError(
                f"{path} has BUNIT {text!r}, which may be milli- or megajansky; write mJy/beam or MJy/beam"
            )
        if prefix != "M" and prefix not in PREFIXES:
            raise ValueError(text)
        # a blank, so that "Jybeam-1" falls apart
        return f"{PREFIXES.get(prefix, prefix)}Jy "

    spelt = PIXEL.sub("pix", BEAM.sub("beam", JANSKY.sub(jansky, text)))
    return re.sub(r"\s*([/*^.])\s*", r"\1", spelt).strip()
