"""Axes beside those of the sky: what their cards say of the one plane of an image."""

import logging
import re
from pathlib import Path

from astropy.io import fits

from radiounet.errors import StokesError

logger = logging.getLogger(__name__)

AXIS_KIND = re.compile(r"CTYPE([1-9]\d?)")
POLARISED: dict[float, str] = {2: "Stokes Q", 3: "Stokes U", 4: "Stokes V", 5: "polarised intensity"}
POLARISED |= {6: "fractional polarisation", 7: "the polarisation angle"}
POLARISED |= {-3: "RL", -4: "LR", -7: "XY", -8: "YX"}
ONE_CORRELATION: dict[float, str] = {-1: "RR", -2: "LL", -5: "XX", -6: "YY"}
"""Values of a Stokes axis by the FITS standard (Greisen & Calabretta 2002), and beyond 4 by AIPS."""
CODE_TOLERANCE = 0.5
ROUNDING = 1e-3


def axis_value(header: fits.Header, axis: str) -> float:
    """Value along an axis in the middle of the image, in the unit of its header.

    Parameters
    ----------
    header : astropy.io.fits.Header
        From `radiounet.images.headers.legible`.
    axis : str
        Its number, from 1; of one pixel.

    Raises
    ------
    ValueError, TypeError
        A card is no number.
    """
    value = float(header.get(f"CRVAL{axis}"))
    for card, step in _steps(header, axis).items():
        other = card.split("_")[1]
        # many programs leave out the reference pixel of an axis of one pixel
        value += step * ((_length(header, other) + 1) / 2 - float(header.get(f"CRPIX{other}", 1)))
    return value


def spreads(header: fits.Header, axis: str) -> dict[str, float]:
    """How much the value along an axis differs over the image, by the card that makes it; see `axis_value`.

    From corner to corner it differs by the sum.
    """
    spread = {
        card: abs(step) * (_length(header, card.split("_")[1]) - 1)
        for card, step in _steps(header, axis).items()
    }
    return {card: much for card, much in spread.items() if much}


def _steps(header: fits.Header, axis: str) -> dict[str, float]:
    """How far a pixel of each axis leads along one of them, by card: CDi_j, or else PCi_j times CDELTi.

    A missing CDELTi is 1 (FITS standard 4.0, section 8.1), and so is PCi_i.
    """
    terms = {
        kind: {key: float(header[key]) for key in header if re.fullmatch(rf"{kind}{axis}_\d+", key)}
        for kind in ("CD", "PC")
    }
    if f"CD{axis}_{axis}" in terms["CD"]:
        return terms["CD"]
    scale = float(header.get(f"CDELT{axis}", 1))
    products = {card: scale * term for card, term in ({f"PC{axis}_{axis}": 1.0} | terms["PC"]).items()}
    return terms["CD"] | products


def _length(header: fits.Header, axis: str) -> int:
    """Pixels along an axis; one that was taken out of the data has one."""
    return int(header.get(f"NAXIS{axis}", 1)) if int(axis) <= header.get("NAXIS", 0) else 1


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
        try:
            spread = spreads(header, found[1])
            value = axis_value(header, found[1]) if f"CRVAL{found[1]}" in header else 1.0
            nearest = round(value)
        except (TypeError, ValueError, OverflowError):
            logger.warning("%s: its Stokes axis has no number: taken for total intensity", path)
            continue
        if sum(spread.values()) > CODE_TOLERANCE:
            logger.warning(
                "%s: its Stokes parameter varies over the image (%s): taken for total intensity",
                path,
                ", ".join(spread),
            )
            continue
        if nearest in POLARISED:  # rounding in a matrix must not hide what it is
            raise StokesError(
                f"{path} is of {POLARISED[nearest]}, which is no total intensity: give an image of Stokes I"
            )
        # one of the values that it has over the image
        code = nearest if abs(value - nearest) <= sum(spread.values()) / 2 + ROUNDING else value
        if code not in (0, 1):  # 0 is how programs write that there is none
            what = ONE_CORRELATION.get(code, f"Stokes {code:g}, which is not known")
            logger.warning("%s is of %s: taken for total intensity", path, what)
