"""Plain skies for tests: a Gaussian beam, noise correlated like it, an exponential halo."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from radiounet.images.image import grid_wcs
from radiounet.mosaicking.mosaic import FieldImages

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
BEAM_PX = 20 / 4.5
BEAM_AREA_PX = np.pi / (4 * np.log(2)) * BEAM_PX**2


def convolve_with_beam(plane: np.ndarray, fwhm_px: float) -> np.ndarray:
    """Convolve with a Gaussian of peak 1: Jy/px become Jy/beam."""
    sigma = fwhm_px * FWHM_TO_SIGMA
    return 2 * np.pi * sigma**2 * ndimage.gaussian_filter(plane, sigma, mode="constant", truncate=6)


def draw_noise(n_px: int, fwhm_px: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit standard deviation, correlated like the beam."""
    white = rng.standard_normal((n_px, n_px), dtype=np.float32)
    # white noise blurred by a Gaussian of unit sum has the variance 1 / (4 pi sigma^2)
    return np.float32(2 * np.sqrt(np.pi) * fwhm_px * FWHM_TO_SIGMA) * ndimage.gaussian_filter(
        white, fwhm_px * FWHM_TO_SIGMA, mode="wrap"
    )


def add_halo(plane: np.ndarray, y: float, x: float, peak: float, radius_px: float, *_) -> None:
    """Add ``peak exp(-r / radius)``."""
    rows, columns = np.indices(plane.shape)
    plane += (peak * np.exp(-np.hypot(rows - y, columns - x) / radius_px)).astype(plane.dtype)


def point(array, y: int, x: int, flux: float = 1.0) -> np.ndarray:
    """One source on the grid of an instrument, Jy/px."""
    sky = np.zeros((array.size, array.size), np.float32)
    sky[y, x] = flux
    return sky


def gaussian(size: int, fwhm_px: float) -> np.ndarray:
    """Gaussian of peak 1 in the middle of a square."""
    offset = np.arange(size) - size // 2
    line = np.exp(-4 * np.log(2) * (offset / fwhm_px) ** 2)
    return np.outer(line, line).astype(np.float32)


def imaged(array, sky: np.ndarray, rms=1e-4, missed=0.2, clean_snr=4.0) -> np.ndarray:
    """Image of a sky without noise, Jy/beam."""
    level = np.full(sky.shape, rms, np.float32)
    return array.image(sky, np.zeros_like(sky), level, clean_snr, missed)


def write_field(
    folder: Path, name: str, *, ra=150.0, dec=35.0, sky=0.0, sigma=1e-4, beam=1.0, seed=1, n_px=160, **changes
) -> FieldImages:
    """A field of constant brightness and constant primary beam, with noise in the apparent image."""
    header = grid_wcs(ra, dec, n_px, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    header.update(changes)
    noise = sigma * draw_noise(n_px, BEAM_PX, np.random.default_rng(seed))
    app = (beam * sky + noise).astype(np.float32)
    paths = [folder / f"{name}.{kind}.fits" for kind in ("int", "app")]
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in zip(paths, (app / beam, app), strict=True):
        fits.PrimaryHDU(data.astype(np.float32), header).writeto(path)
    return FieldImages(name, *map(str, paths))
