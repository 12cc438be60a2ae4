"""The frequency of an image in what is made from it."""

from pathlib import Path

from astropy.io import fits

from radiounet.images.fits_planes import open_image
from radiounet.images.headers import frequency_hz


def copy_frequency(header: fits.Header, source: str | Path) -> None:
    """Give a product the frequency of the image it was made from, where that has one (Hz)."""
    _, origin, _ = open_image(source)
    frequency = frequency_hz(origin)
    if frequency:
        header["RESTFRQ"] = (frequency, "Hz")
