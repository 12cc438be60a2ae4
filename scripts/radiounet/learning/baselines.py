"""Two ways to find diffuse emission without learning, to measure networks against.

Both first take compact sources out of the image, then look for what is left on
larger scales. Their scores grow with the signal-to-noise ratio from 0 to 1 and
pass 0.5 where one would usually set the threshold.
"""

import numpy as np
from scipy import fft, ndimage

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.noise import local_rms, robust_rms

COMPACT_SNR = 4.0
COMPACT_BEAMS = 1.5
SMOOTH_ARCSEC = 60.0
SMOOTH_SNR = 3.0
SCALES_ARCMIN = (1.0, 2.0, 4.0, 8.0)
SCALE_SNR = 5.0
LEAST_WEIGHT = 0.02


def smoothed_threshold(
    image: np.ndarray, rms: np.ndarray, pixel_arcsec: float, beam_arcsec: float
) -> np.ndarray:
    """Compact sources removed, smoothed to 60", cut at 3 times the rms measured there.

    What a person does with a low-resolution image. One of a coarser beam is not
    smoothed any further.

    Parameters
    ----------
    image : ndarray, ``[y, x]``
        Jy/beam, NaN where blank.
    rms : ndarray, ``[y, x]``
        Local noise, Jy/beam.
    pixel_arcsec, beam_arcsec : float
        Pixel scale and FWHM of the beam.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        Score 0..1, 0.5 at 3 rms; NaN where blank.

    Raises
    ------
    AllBlankError
        The image holds too little data to measure noise.
    """
    diffuse = remove_compact(image, rms, beam_arcsec / pixel_arcsec)
    kernel_px = np.sqrt(max(SMOOTH_ARCSEC**2 - beam_arcsec**2, 0)) / pixel_arcsec
    (smooth,) = _smooth(diffuse, [kernel_px])
    smooth[np.isnan(diffuse)] = np.nan
    return _score(smooth / local_rms(smooth), SMOOTH_SNR)


def multiscale_filter(
    image: np.ndarray, rms: np.ndarray, pixel_arcsec: float, beam_arcsec: float
) -> np.ndarray:
    """Compact sources removed, then the strongest of four band-passes of 1', 2', 4' and 8'.

    Each band is a difference of Gaussians of FWHM s and 2 s of the image in units
    of its local noise, divided by its own robust standard deviation: detection of
    significant wavelet coefficients as by Bijaoui & Rue (1995) and Starck, Murtagh
    & Bijaoui (1998), with Gaussians in place of splines.

    Parameters and errors as `smoothed_threshold`.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        Score 0..1, 0.5 at 5 rms; NaN where blank.
    """
    diffuse = remove_compact(image, rms, beam_arcsec / pixel_arcsec) / rms
    widths = [60 * scale / pixel_arcsec for scale in (*SCALES_ARCMIN, 2 * SCALES_ARCMIN[-1])]
    smooth = _smooth(diffuse, widths)
    bands = np.array([fine - coarse for fine, coarse in zip(smooth[:-1], smooth[1:], strict=True)])
    bands[:, np.isnan(diffuse)] = np.nan
    return _score(np.max([band / robust_rms(band) for band in bands], axis=0), SCALE_SNR)


def remove_compact(image: np.ndarray, rms: np.ndarray, beam_px: float) -> np.ndarray:
    """Replace compact sources by what surrounds them.

    A compact source is where the image rises by more than 4 rms above its
    morphological opening with a box of 1.5 beams (a white top-hat, as the filter
    of Rudnick 2002). Out to where a beam of the height of any such pixel falls to
    one rms, pixels are replaced by the Gaussian-weighted mean of the others.

    Parameters
    ----------
    image, rms : ndarray, ``[y, x]``
        Jy/beam, the image NaN where blank.
    beam_px : float
        FWHM of the beam, px.

    Returns
    -------
    ndarray of float32, ``[y, x]``
        Jy/beam, NaN where the image is.
    """
    blank = ~np.isfinite(image)
    snr = np.where(blank, 0, image / rms).astype(np.float32)
    box = max(round(COMPACT_BEAMS * beam_px), 3)
    height = snr - ndimage.grey_opening(snr, (box, box))
    compact = _under_beams(np.where(height > COMPACT_SNR, np.maximum(snr, height), 0), beam_px)
    kept = np.where(compact | blank, np.nan, image)
    filled, wider = _smooth(kept, [1.5 * beam_px, 6 * beam_px])
    filled = np.where(np.isfinite(filled), filled, np.nan_to_num(wider))
    result = np.where(compact, filled, image).astype(np.float32)
    result[blank] = np.nan
    return result


def _under_beams(snr: np.ndarray, beam_px: float) -> np.ndarray:
    """Where any Gaussian beam of the given heights is above 1.

    The logarithm of a beam is a parabola, so the envelope of all beams is a
    dilation by parabolas, one axis after the other.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(snr)
    highest = logs.max()
    reach = int(np.ceil(beam_px * np.sqrt(max(highest, 0) / (4 * np.log(2)))))
    for axis in (0, 1):
        envelope = logs.copy()
        for step in range(1, min(reach, logs.shape[axis] - 1) + 1):
            drop = np.float32(4 * np.log(2) * (step / beam_px) ** 2)
            ahead, behind = _along(axis, slice(step, None)), _along(axis, slice(None, -step))
            np.maximum(envelope[ahead], logs[behind] - drop, out=envelope[ahead])
            np.maximum(envelope[behind], logs[ahead] - drop, out=envelope[behind])
        logs = envelope
    return logs >= 0


def _along(axis: int, part: slice) -> tuple[slice, slice]:
    return (slice(None), part) if axis else (part, slice(None))


def _smooth(plane: np.ndarray, widths_px: list[float]) -> list[np.ndarray]:
    """Gaussian-weighted means of the finite pixels, one for each FWHM in px; NaN far from any."""
    known = np.isfinite(plane)
    edge = int(3 * FWHM_TO_SIGMA * max(widths_px))
    size = tuple(fft.next_fast_len(side + edge, real=True) for side in plane.shape)
    spectra = [fft.rfft2(part.astype(np.float32), size) for part in (np.where(known, plane, 0), known)]
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :]
    means = []
    for width in widths_px:
        sigma = FWHM_TO_SIGMA * width
        transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2)).astype(np.float32)
        total, weight = (
            fft.irfft2(one * transfer, size)[: plane.shape[0], : plane.shape[1]] for one in spectra
        )
        enough = weight > LEAST_WEIGHT
        means.append(np.where(enough, total / np.where(enough, weight, 1), np.nan))
    return means


def _score(snr: np.ndarray, half: float) -> np.ndarray:
    """``snr / (snr + half)``, 0 below the noise's mean: 0.5 where `snr` is `half`."""
    positive = np.maximum(snr, 0)
    return (positive / (positive + half)).astype(np.float32)
