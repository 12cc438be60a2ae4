"""Axes beside those of the sky: what their cards say of the one plane of an image."""

import logging
import re
from pathlib import Path

from astropy.io import fits

from radiounet.errors import StokesError

logger = logging.getLogger(__name__)

AXIS_KIND = re.compile(r"CTYPE([1-9]\d?)")
LINEAR = re.compile(r"(?:CD|PC)(\d+)_(\d+)")
POLARISED: dict[float, str] = {2: "Stokes Q", 3: "Stokes U", 4: "Stokes V", 5: "polarised intensity"}
POLARISED |= {6: "fractional polarisation", 7: "the polarisation angle"}
POLARISED |= {-3: "RL", -4: "LR", -7: "XY", -8: "YX"}
ONE_CORRELATION: dict[float, str] = {-1: "RR", -2: "LL", -5: "XX", -6: "YY"}
"""Values of a Stokes axis by the FITS standard (Greisen & Calabretta 2002), and beyond 4 by AIPS."""


def axis_value(header: fits.Header, axis: str) -> float:
    """Value of the first pixel along an axis, in the unit of its header.

    The step between pixels is CDi_i, or else PCi_i times CDELTi (FITS paper I).

    Parameters
    ----------
    header : astropy.io.fits.Header
        From `radiounet.images.headers.legible`.
    axis : str
        Its number, from 1.

    Raises
    ------
    ValueError, TypeError
        A card is no number.
    """
    step = header.get(f"CD{axis}_{axis}")
    if step is None:
        step = float(header.get(f"PC{axis}_{axis}", 1)) * float(header.get(f"CDELT{axis}", 1))
    # many programs leave out the reference pixel of an axis of one pixel
    pixels = 1 - float(header.get(f"CRPIX{axis}", 1))
    return float(header.get(f"CRVAL{axis}")) + pixels * float(step)


def mixing_card(header: fits.Header, axis: str) -> str | None:
    """Card by which the values along an axis depend on another axis; see `axis_value`."""
    for key in header:
        found = LINEAR.fullmatch(key)
        if found and found[1] == axis != found[2] and header[key] != 0:
            return str(key)
    return None


def require_total_intensity(header: fits.Header, path: str | Path) -> None:
    """Refuse a plane of polarised emission, by its Stokes axis; warn of one correlation of total intensity.

    Parameters
    ----------
    header : astropy.io.fits.Header
        From `radiounet.images.headers.legible`.
    path : path
        For messages.

    Raises
    ------
    StokesError
    """
    # an axis that was taken out of the data leaves its cards behind
    for key in header:
        found = AXIS_KIND.fullmatch(key)
        if not (found and str(header[key]).strip().upper() == "STOKES"):
            continue
        if card := mixing_card(header, found[1]):
            logger.warning("%s: %s mixes its Stokes axis with another: taken for total intensity", path, card)
            continue
        try:
            code = axis_value(header, found[1]) if f"CRVAL{found[1]}" in header else 1
        except (TypeError, ValueError):
            logger.warning("%s: its Stokes axis has no number: taken for total intensity", path)
            continue
        if code in POLARISED:
            raise StokesError(
                f"{path} is of {POLARISED[code]}, which is no total intensity: give an image of Stokes I"
            )
        if code not in (0, 1):  # 0 is how programs write that there is none
            what = ONE_CORRELATION.get(code, f"Stokes {code:g}, which is not known")
            logger.warning("%s is of %s: taken for total intensity", path, what)
