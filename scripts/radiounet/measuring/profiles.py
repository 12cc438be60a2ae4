"""Exponential profiles of halos, fitted to an image with the beam.

``I(r) = I0 exp(-r / r_e)`` (Murgia et al. 2009, A&A 499, 679), elliptical, as `Halo-FDCA` fits it
(Boxelaar et al. 2021, Astronomy and Computing 35, 100464); by least squares instead of a Markov chain,
which takes a second instead of minutes. The total flux density is ``2 pi I0 a b`` over the beam area, of
which ``1 - 4 exp(-3)``, or 0.80, lies within three e-folding radii.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, optimize

WITHIN_3 = float(1 - 4 * np.exp(-3))
"""Part of the total within three e-folding radii."""
REACH = 4.0
"""What is fitted, e-folding radii of the start."""
SMALLEST_RADIUS_SIGMA = 0.5
"""Smallest e-folding radius, standard deviations of the beam."""
UNEQUAL = 0.05
"""Logarithm by which the axes differ at the start: on a circle the angle has no slope."""
LARGEST_GROWTH = 3.0
"""Largest e-folding radius, over that of the start."""
EVALUATIONS = 100
PARAMETERS = 6
BINS = 4
"""Bins in an e-folding radius, where that is larger than the beam."""

NOT_CONVERGED, AT_BOUND, FAINT, POOR = 1, 2, 4, 8
FAINT_SNR = 3.0
POOR_CHI2 = 2.0


@dataclass(frozen=True)
class ExponentialFit:
    """An exponential profile as fitted.

    Attributes
    ----------
    peak, peak_error : float
        ``I0``, in the unit of the image.
    y, x : float
        Centre, px.
    radius_px, radius_error_px : float
        E-folding radius: the geometric mean of both axes.
    ratio : float
        Minor over major axis.
    angle_deg : float
        From the y axis towards smaller x, which is position angle where north is up.
    total, total_error : float
        ``2 pi I0 a b``: unit of the image times px.
    chi2 : float
        Per degree of freedom.
    flag : int
        Sum of 1 not converged, 2 an axis or the centre at its bound, 4 a total below three times its error,
        8 chi2 above 2.
    """

    peak: float
    peak_error: float
    y: float
    x: float
    radius_px: float
    radius_error_px: float
    ratio: float
    angle_deg: float
    total: float
    total_error: float
    chi2: float
    flag: int

    def draw(self, shape: tuple[int, int], covariance: np.ndarray) -> np.ndarray:
        """Image of the profile with the beam, ``[y, x]``."""
        angle, mean = np.radians(self.angle_deg), np.log(self.radius_px)
        half = 0.5 * np.log(self.ratio)
        axes = mean - half, mean + half
        return _Beam(shape, covariance).convolve(
            _profile(shape, np.array([self.peak, self.y, self.x, *axes, angle]))
        )


def fit_exponential(
    image: np.ndarray,
    rms: np.ndarray,
    used: np.ndarray,
    covariance: np.ndarray,
    start: tuple[float, float, float],
) -> ExponentialFit | None:
    """Fit an exponential profile.

    Parameters
    ----------
    image, rms : ndarray, ``[y, x]``
        Brightness without compact sources, and its local rms, one unit.
    used : ndarray of bool, ``[y, x]``
        Pixels that may be fitted: with data, not of other sources.
    covariance : ndarray, ``[2, 2]``
        Of the beam that the image was made with, order y, x; px2. It also says how many pixels
        are independent.
    start : (float, float, float)
        Centre, y and x, and e-folding radius, px.

    Returns
    -------
    ExponentialFit or None
        None where fewer beams than parameters can be fitted.
    """
    sigma = np.sqrt(np.sqrt(np.linalg.det(covariance)))
    step = max(int(max(sigma, start[2] / BINS)), 1)
    part, offset = _fit_area(image.shape, start, step)
    used = used[part] & np.isfinite(image[part])
    data, weight, noise = _binned(np.where(used, image[part], 0), used, rms[part], step)
    centre = [(start[axis] - offset[axis] + 0.5) / step - 0.5 for axis in (0, 1)]
    y, x = np.indices(data.shape)
    near = (weight > 0.5) & (np.hypot(y - centre[0], x - centre[1]) < REACH * start[2] / step)
    share = _variance_kept(step, covariance)
    noise *= np.sqrt(share)
    # bins that are one for their noise: the area of its correlation, over that which a bin averages
    beam_px = max(4 * np.pi * np.sqrt(np.linalg.det(covariance)) / step**2 / share, 1.0)
    if near.sum() < PARAMETERS * beam_px:
        return None
    beam = _Beam(data.shape, covariance / step**2)
    peak = max(float(np.percentile(data[near], 90)), 0.1 * float(np.median(noise)))
    bounds, first = _bounds(centre, start[2] / step, peak, covariance / step**2)

    def residual(parameters: np.ndarray) -> np.ndarray:
        return ((beam.convolve(_profile(data.shape, parameters)) - data) / noise)[near]

    def slopes(parameters: np.ndarray) -> np.ndarray:
        return (beam.convolve(_slopes(data.shape, parameters))[:, near] / noise[near]).T

    fit = optimize.least_squares(residual, first, slopes, bounds=bounds, x_scale="jac", max_nfev=EVALUATIONS)
    return _result(fit, bounds, near.sum(), beam_px, step, offset)


def _result(
    fit: Any,  # of scipy, which is imported where it fits
    bounds: np.ndarray,
    pixels: int,
    beam_px: float,
    step: int,
    offset: tuple[float, float],
) -> ExponentialFit:
    peak, y, x, log_a, log_b, angle = fit.x
    covariance = beam_px * np.linalg.pinv(fit.jac.T @ fit.jac)
    to_mean = np.array([0, 0, 0, 0.5, 0.5, 0])
    radius = float(np.exp(0.5 * (log_a + log_b)))
    by_total = np.array([1 / max(peak, 1e-30), 0, 0, 0, 0, 0]) + 2 * to_mean
    total = 2 * np.pi * peak * radius**2
    total_error = total * float(np.sqrt(by_total @ covariance @ by_total))
    chi2 = float(2 * fit.cost / max(pixels - PARAMETERS, 1))
    # of the places and axes
    distance = np.minimum(fit.x - bounds[0], bounds[1] - fit.x)[1:5]
    flag = NOT_CONVERGED * (fit.status <= 0) + AT_BOUND * bool((distance < 1e-3).any())
    flag += FAINT * (not total > FAINT_SNR * total_error) + POOR * (chi2 > POOR_CHI2)
    if log_b > log_a:
        log_a, log_b, angle = log_b, log_a, angle + np.pi / 2
    return ExponentialFit(
        float(peak),
        float(np.sqrt(covariance[0, 0])),
        float((y + 0.5) * step - 0.5 + offset[0]),
        float((x + 0.5) * step - 0.5 + offset[1]),
        radius * step,
        radius * step * float(np.sqrt(to_mean @ covariance @ to_mean)),
        float(np.exp(log_b - log_a)),
        float(np.degrees(angle) % 180),
        float(total * step**2),
        float(total_error * step**2),
        chi2,
        int(flag),
    )


def _fit_area(
    shape: tuple[int, int], start: tuple[float, float, float], step: int
) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Part of an image around a start, of whole bins; and where it begins."""
    reach = 1.5 * REACH * start[2]
    slices = []
    for place, side in zip(start[:2], shape, strict=True):
        low = int(np.clip(place - reach, 0, max(side - step, 0)))
        high = int(np.clip(place + reach, low + step, side))
        slices.append(slice(low, low + max((high - low) // step, 1) * step))
    rows, columns = slices
    return (rows, columns), (rows.start, columns.start)


def _variance_kept(step: int, covariance: np.ndarray) -> float:
    """Variance of the mean over a bin, over that of a pixel, for noise with the beam's correlation."""
    apart = np.arange(1 - step, step)
    dy, dx = np.meshgrid(apart, apart, indexing="ij")
    (yy, yx), (_, xx) = np.linalg.inv(covariance)
    correlation = np.exp(-0.25 * (yy * dy**2 + 2 * yx * dy * dx + xx * dx**2))
    pairs = (step - np.abs(dy)) * (step - np.abs(dx))
    return float((pairs * correlation).sum() / step**4)


def _binned(
    image: np.ndarray, used: np.ndarray, rms: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the used pixels of every bin, their share, and the rms."""
    rows, columns = (side // step for side in image.shape)

    def total(plane: np.ndarray) -> np.ndarray:
        return plane[: rows * step, : columns * step].reshape(rows, step, columns, step).sum(axis=(1, 3))

    count = total(used.astype(float))
    share = count / step**2
    return total(image) / np.maximum(count, 1), share, total(rms) / step**2


def _bounds(
    centre: list[float], radius: float, peak: float, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds ``[low or high, parameter]`` and start of peak, y, x, ln a, ln b, angle."""
    sigma = np.sqrt(np.sqrt(np.linalg.det(covariance)))
    low = np.log(SMALLEST_RADIUS_SIGMA * sigma)
    high = max(np.log(LARGEST_GROWTH * radius), low + 3 * UNEQUAL)
    axis = float(np.clip(np.log(radius), low + 2 * UNEQUAL, high - 2 * UNEQUAL))
    places = [(one - 1.5 * radius, one, one + 1.5 * radius) for one in centre]
    whole = [(0, peak, np.inf), *places, (low, axis + UNEQUAL, high), (low, axis - UNEQUAL, high)]
    lowest, first, highest = np.array([*whole, (-np.inf, 0.3, np.inf)]).T
    return np.stack([lowest, highest]), first


def _axes(shape: tuple[int, int], parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places along and across the first axis, ``[y, x]`` each, in units of the e-folding radii."""
    _, y0, x0, log_a, log_b, angle = parameters
    y, x = np.ogrid[: shape[0], : shape[1]]
    along = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    across = (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)
    return along * np.exp(-log_a), across * np.exp(-log_b)


def _profile(shape: tuple[int, int], parameters: np.ndarray) -> np.ndarray:
    return parameters[0] * np.exp(-np.hypot(*_axes(shape, parameters)))


def _slopes(shape: tuple[int, int], parameters: np.ndarray) -> np.ndarray:
    """Derivatives of the profile by its parameters, ``[parameter, y, x]``; 0 where it has a cusp."""
    peak, _, _, log_a, log_b, angle = parameters
    along, across = _axes(shape, parameters)
    radius = np.hypot(along, across)
    unit = np.exp(-radius)
    inward = -peak * unit / np.maximum(radius, 1e-12)
    by_along, by_across = inward * along, inward * across
    a, b, cos, sin = np.exp(log_a), np.exp(log_b), np.cos(angle), np.sin(angle)
    return np.stack(
        [
            unit,
            -by_along * cos / a - by_across * sin / b,
            by_along * sin / a - by_across * cos / b,
            -by_along * along,
            -by_across * across,
            inward * along * across * (a / b - b / a),
        ]
    )


class _Beam:
    """Convolution with a Gaussian beam on a plane that is padded against its other side."""

    def __init__(self, shape: tuple[int, int], covariance: np.ndarray):
        margin = int(np.ceil(4 * np.sqrt(np.diag(covariance).max())))
        self._inner = tuple(slice(margin, margin + side) for side in shape)
        self._padded = tuple(fft.next_fast_len(side + 2 * margin, real=True) for side in shape)
        self._padding = [
            (margin, padded - margin - side) for side, padded in zip(shape, self._padded, strict=True)
        ]
        ky, kx = fft.fftfreq(self._padded[0])[:, None], fft.rfftfreq(self._padded[1])[None]
        (yy, yx), (_, xx) = covariance
        self._transfer = np.exp(-2 * np.pi**2 * (yy * ky**2 + 2 * yx * ky * kx + xx * kx**2))

    def convolve(self, planes: np.ndarray) -> np.ndarray:
        """Planes as they look with a beam of unit area, ``[..., y, x]``."""
        padded = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + self._padding, mode="edge")
        smooth = fft.irfft2(fft.rfft2(padded) * self._transfer, self._padded)
        return smooth[..., *self._inner]
