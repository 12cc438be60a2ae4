"""A Gaussian beam: its area, and how a user writes one."""

import numpy as np

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
FWHM_AREA = np.pi / (4 * np.log(2))
KERNEL_SIGMAS = 5.0
KERNEL_MARGIN_PX = 8


def beam_area_px(beam_arcsec: float, pixel_arcsec: float) -> float:
    """Solid angle of a beam of the given FWHM, px."""
    return float(FWHM_AREA * (beam_arcsec / pixel_arcsec) ** 2)


def gaussian(distance: np.ndarray, fwhm: float) -> np.ndarray:
    """Height at some distances from the middle of a Gaussian with a peak of 1; both in one unit."""
    return np.exp(-4 * np.log(2) * (distance / fwhm) ** 2)


def gaussian_kernel(covariance: np.ndarray) -> np.ndarray:
    """Gaussian of that covariance on pixels, ``[y, x]``, sum 1.

    Made from its Fourier transform, ``exp(-2 pi^2 k C k)`` for the covariance C, which is right for
    narrow ones, too.

    Parameters
    ----------
    covariance : ndarray
        ``[[yy, yx], [xy, xx]]``, px2.
    """
    half = [int(np.ceil(KERNEL_SIGMAS * np.sqrt(one))) + KERNEL_MARGIN_PX for one in np.diag(covariance)]
    ky, kx = np.meshgrid(*(np.fft.fftfreq(2 * one + 1) for one in half), indexing="ij")
    (yy, yx), (_, xx) = covariance
    transform = np.exp(-2 * np.pi**2 * (yy * ky**2 + 2 * yx * ky * kx + xx * kx**2))
    return np.fft.fftshift(np.fft.ifft2(transform).real)


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
