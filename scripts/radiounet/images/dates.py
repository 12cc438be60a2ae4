"""When images were made, by their headers."""

from collections.abc import Iterable

from astropy.io import fits
from astropy.time import Time

DATES = ("DATE-MAP", "DATE", "DATE-END", "DATE-OBS")
"""Cards that may date an image, the first that it has."""


def image_date(header: fits.Header) -> str:
    """What a header says of the age of its image, as written; '' where it says nothing."""
    return next((str(header[key]) for key in DATES if key in header), "")


def latest_date(texts: Iterable[str]) -> str:
    """Latest of some dates in ISO 8601, ``YYYY-MM-DDThh:mm:ss.sss``; '' where none is one."""
    known = []
    for text in filter(None, texts):
        try:
            known.append(Time(str(text).strip().rstrip("Z"), format="isot", scale="utc").isot)
        except ValueError:
            continue
    return max(known, default="")
