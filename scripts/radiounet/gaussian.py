"""Constants of a Gaussian beam of FWHM 1."""

import numpy as np

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
FWHM_AREA = np.pi / (4 * np.log(2))
