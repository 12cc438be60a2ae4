"""A Gaussian beam."""

import numpy as np

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
FWHM_AREA = np.pi / (4 * np.log(2))


def beam_area_px(beam_arcsec: float, pixel_arcsec: float) -> float:
    """Solid angle of a beam of the given FWHM, px."""
    return float(FWHM_AREA * (beam_arcsec / pixel_arcsec) ** 2)
