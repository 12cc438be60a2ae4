"""Drawing on planes of a simulated sky: points, clouds of particles, patches, random fields.

All planes are ``[y, x]`` float32, positions in pixels, y before x.
"""

import numpy as np
from scipy import fft, ndimage

from radiounet.images.gaussian import FWHM_TO_SIGMA

Part = tuple[slice, slice]


def draw_from(limits: tuple[float, float], rng: np.random.Generator, by_logarithm: bool = False) -> float:
    """Draw from a range; one of a single value takes nothing from the generator."""
    if limits[0] == limits[1]:
        return limits[0]
    return float(np.exp(rng.uniform(*np.log(limits))) if by_logarithm else rng.uniform(*limits))


def happens(chance: float, rng: np.random.Generator) -> bool:
    """Whether something of the given chance happens; what never does takes nothing from the generator."""
    return chance > 0 and bool(rng.random() < chance)


def add_points(
    plane: np.ndarray, y: np.ndarray | float, x: np.ndarray | float, flux: np.ndarray | float
) -> None:
    """Share the flux of points among their four nearest pixels; what lies outside is lost."""
    y, x, flux = (np.atleast_1d(np.asarray(values, np.float64)) for values in (y, x, flux))
    low_y, low_x = np.floor(y).astype(int), np.floor(x).astype(int)
    part_y, part_x = y - low_y, x - low_x
    for dy, share_y in ((0, 1 - part_y), (1, part_y)):
        for dx, share_x in ((0, 1 - part_x), (1, part_x)):
            _scatter(plane, low_y + dy, low_x + dx, flux * share_y * share_x)


def add_particles(plane: np.ndarray, y: np.ndarray, x: np.ndarray, flux: float) -> None:
    """Spread a flux evenly over particles, each in its nearest pixel; what lies outside is lost."""
    rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
    _scatter(plane, rows, columns, np.full(rows.shape, flux / max(rows.size, 1)))


def _scatter(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray, flux: np.ndarray) -> None:
    inside = (rows >= 0) & (rows < plane.shape[0]) & (columns >= 0) & (columns < plane.shape[1])
    flat = rows[inside] * plane.shape[1] + columns[inside]
    if flat.size < plane.size // 50:
        np.add.at(plane.reshape(-1), flat, flux[inside].astype(np.float32))
    else:
        counts = np.bincount(flat, flux[inside], minlength=plane.size)
        plane += counts.reshape(plane.shape).astype(np.float32)


def square_around(
    shape: tuple[int, int], y: float, x: float, radius: float
) -> tuple[Part, np.ndarray, np.ndarray]:
    """Return slices of a square around a point, and offsets dy ``[y, 1]`` and dx ``[1, x]`` from it."""
    low_y, high_y = max(int(y - radius), 0), min(int(y + radius) + 2, shape[0])
    low_x, high_x = max(int(x - radius), 0), min(int(x + radius) + 2, shape[1])
    dy = np.arange(low_y, high_y, dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(low_x, high_x, dtype=np.float32)[None, :] - np.float32(x)
    return (slice(low_y, max(high_y, low_y)), slice(low_x, max(high_x, low_x))), dy, dx


def rotated(dy: np.ndarray, dx: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets along and across a direction, `angle` counted from +x towards +y."""
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)


def power_law_field(
    shape: tuple[int, int], slope: float, rng: np.random.Generator, scale_px: float | None = None
) -> np.ndarray:
    """Gaussian random field of zero mean and unit deviation with power ``k^-slope``.

    Parameters
    ----------
    slope : float
        About 11/3 for Kolmogorov turbulence seen in projection.
    scale_px : float, optional
        Outer scale: power is flat beyond it.

    Returns
    -------
    ndarray of float32, ``[y, x]``
    """
    if min(shape) == 0:
        return np.zeros(shape, np.float32)
    size = fft.next_fast_len(max(*shape, 8), real=True)
    ky, kx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    k2 = ky**2 + kx**2 + (1 / min(scale_px or size, size)) ** 2
    spectrum = fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    spectrum *= (k2 ** (-slope / 4)).astype(np.float32)
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, (size, size))[: shape[0], : shape[1]]
    return (field / (field.std() or 1.0)).astype(np.float32)


def lognormal(
    shape: tuple[int, int], scale_px: float, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Lognormal fluctuations of unit mean: ``exp(s g - s^2 / 2)``, g a turbulent field."""
    field = power_law_field(shape, 11 / 3, rng, scale_px)
    return np.exp(strength * field - strength**2 / 2)


def blurred(plane: np.ndarray, fwhm_px: float) -> np.ndarray:
    """Convolve a patch with a Gaussian of unit sum."""
    return ndimage.gaussian_filter(plane, fwhm_px * FWHM_TO_SIGMA, mode="constant", truncate=4)
