"""When images were made, by their headers."""

import re
from collections.abc import Iterable

from astropy.io import fits
from astropy.time import Time

DATES = ("DATE-MAP", "DATE", "DATE-END", "DATE-OBS")
"""Cards that may date an image, the first that it has."""


def image_date(header: fits.Header) -> str:
    """Date of an image in ISO 8601, of the first card that holds one; '' where none does."""
    return next(filter(None, (_iso(header[key]) for key in DATES if key in header)), "")


def latest_date(texts: Iterable[str]) -> str:
    """Latest of some dates in ISO 8601, ``YYYY-MM-DDThh:mm:ss.sss``; '' where none is one."""
    return max(map(_iso, texts), default="")


def _iso(value: object) -> str:
    """A date of FITS, also one of before 1999 (``DD/MM/YY``), as ``YYYY-MM-DDThh:mm:ss.sss``; else ''."""
    text = str(value).strip().rstrip("Z")
    if old := re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", text):
        text = f"19{old[3]}-{old[2]}-{old[1]}"
    try:
        return str(Time(text, format="isot", scale="utc").isot)
    except ValueError:
        return ""
