"""A Gaussian beam: its area, and how a user writes one."""

import numpy as np

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
FWHM_AREA = np.pi / (4 * np.log(2))


def beam_area_px(beam_arcsec: float, pixel_arcsec: float) -> float:
    """Solid angle of a beam of the given FWHM, px."""
    return float(FWHM_AREA * (beam_arcsec / pixel_arcsec) ** 2)


def beam_numbers(text: str) -> tuple[float, float, float]:
    """Beam given by a user: ``MAJ,MIN,PA``, or ``FWHM`` of a round one, in arcsec and deg.

    Raises
    ------
    ValueError
        It is not of that form.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise ValueError(f"the beam {text!r} is not MAJ,MIN,PA in arcsec and deg, such as 20,15,-30")
    major, minor, angle = numbers if len(numbers) == 3 else (*numbers * 2, 0.0)
    return major, minor, angle
