"""A simple simulated radio sky at 144 MHz as LoTSS sees it at 20".

Each pair is an image (Jy/beam: compact and diffuse sources, noise, artefacts)
and its truth (the diffuse emission of clusters alone, noise-free, Jy/beam).
It is deliberately plain: one Gaussian beam, noise of that correlation length,
spokes around bright sources.
"""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from scipy import fft, ndimage

from radiounet.config import SimulateOptions
from radiounet.products import atomic, provenance

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
ARCMIN = 60.0  # arcsec


@dataclass
class Sky:
    """One simulated sky, all planes ``[y, x]`` float32 in Jy/beam.

    Attributes
    ----------
    compact : ndarray
        Radio galaxies and spurious structure around the bright ones.
    diffuse : ndarray
        Halos, relics and ridges: the truth.
    clusters : list of (float, float, bool)
        Centre y and x in pixels, and whether diffuse emission was put there.
    """

    compact: np.ndarray
    diffuse: np.ndarray
    clusters: list[tuple[float, float, bool]]


def draw_sky(options: SimulateOptions, rng: np.random.Generator) -> Sky:
    """Draw sources on a square of ``options.n_px`` pixels.

    Parameters
    ----------
    options : SimulateOptions
        Ranges of all source parameters.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Sky
        Noise-free planes at the resolution of the survey.
    """
    n_px = options.n_px
    compact = np.zeros((n_px, n_px), np.float32)  # Jy/px until the beam is applied
    bright = _add_points(compact, options, rng)
    for _ in range(rng.poisson(options.doubles_per_deg2 * options.area_deg2)):
        _add_double(compact, rng.uniform(0, n_px, 2), options, rng)
    for _ in range(rng.poisson(options.tails_per_deg2 * options.area_deg2)):
        _add_tail(compact, rng.uniform(0, n_px, 2), options, rng)
    diffuse = np.zeros((n_px, n_px), np.float32)  # Jy/beam throughout
    clusters = _add_clusters(compact, diffuse, options, rng)
    compact = convolve_with_beam(compact, options.beam_px)
    for y, x, flux in bright:
        _add_spokes(compact, y, x, flux, options, rng)
    return Sky(compact, convolve_with_beam(diffuse, options.beam_px) / options.beam_area_px, clusters)


def convolve_with_beam(plane: np.ndarray, fwhm_px: float) -> np.ndarray:
    """Convolve with a Gaussian of peak 1: Jy/px become Jy/beam."""
    size = fft.next_fast_len(max(plane.shape) + int(6 * fwhm_px), real=True)
    frequency_y, frequency_x = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    sigma = fwhm_px * FWHM_TO_SIGMA
    transfer = (
        2
        * np.pi
        * sigma**2
        * np.exp(-2 * (np.pi * sigma) ** 2 * (frequency_y[:, None] ** 2 + frequency_x[None, :] ** 2))
    )
    spectrum = fft.rfft2(plane, (size, size)) * transfer.astype(np.float32)
    return fft.irfft2(spectrum, (size, size))[: plane.shape[0], : plane.shape[1]].astype(np.float32)


def draw_noise(n_px: int, beam_px: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit standard deviation, correlated like the beam, ``[y, x]`` float32."""
    white = rng.standard_normal((n_px + int(8 * beam_px),) * 2, dtype=np.float32)
    noise = convolve_with_beam(white, beam_px)
    edge = int(4 * beam_px)
    noise = noise[edge : edge + n_px, edge : edge + n_px]
    # a Gaussian kernel of peak 1 gives white noise the variance pi sigma^2
    return noise / np.float32(np.sqrt(np.pi) * beam_px * FWHM_TO_SIGMA)


def draw_rms(options: SimulateOptions, rng: np.random.Generator) -> np.ndarray:
    """Noise level of a mosaic: slow variation, sometimes rising towards an edge, Jy/beam."""
    n_px = options.n_px
    level = 1e-6 * rng.uniform(*options.rms_ujy)
    coarse = rng.uniform(0.85, 1.25, (6, 6))
    if rng.random() < options.edge_fraction:
        coarse *= np.linspace(1, rng.uniform(1.5, 4), 6)[:: rng.choice([-1, 1])]
    smooth = ndimage.zoom(coarse, np.ceil(n_px / 6), order=1)[:n_px, :n_px]
    return (level * smooth).astype(np.float32)


def simulate_pair(options: SimulateOptions, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, truth and noise level, each ``[y, x]`` float32 in Jy/beam.

    Part of some images is blank (NaN), as at the edge of a survey.
    """
    rng = np.random.default_rng([options.seed, seed])
    sky = draw_sky(options, rng)
    rms = draw_rms(options, rng)
    image = sky.compact + sky.diffuse + rms * draw_noise(options.n_px, options.beam_px, rng)
    if rng.random() < options.edge_fraction:
        y, x = np.indices(image.shape, dtype=np.float32) / options.n_px - 0.5
        angle = rng.uniform(0, 2 * np.pi)
        image[y * np.sin(angle) + x * np.cos(angle) > rng.uniform(0.2, 0.45)] = np.nan
    return image, sky.diffuse, rms


def write_pair(path, options: SimulateOptions, seed: int) -> None:
    """Write one pair: primary HDU the image, extensions ``TRUTH`` and ``RMS``."""
    image, truth, rms = simulate_pair(options, seed)
    header = fits.Header(provenance())
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"] = header["BMIN"] = options.beam_arcsec / 3600
    header["BPA"] = 0.0
    header["PIXARCS"] = (options.pixel_arcsec, "pixel scale, arcsec")
    header["SEED"] = (seed, "seed of this pair")
    header["BASESEED"] = (options.seed, "seed of the set")
    planes = [
        fits.PrimaryHDU(image, header),
        fits.ImageHDU(truth, name="TRUTH"),
        fits.ImageHDU(rms, name="RMS"),
    ]
    with atomic(path) as temporary:
        fits.HDUList(planes).writeto(temporary, overwrite=True)


def truth_mask(truth: np.ndarray, rms: np.ndarray, level: float) -> np.ndarray:
    """Pixels where the noise-free diffuse emission exceeds `level` times the noise."""
    return truth > level * rms


def _add_points(plane, options, rng) -> list[tuple[float, float, float]]:
    """Unresolved and slightly resolved sources with power-law counts.

    N(>S) falls as S^-0.85, close to the LoTSS counts below 1 Jy (Mandal et al. 2021).
    """
    count = rng.poisson(options.points_per_deg2 * options.area_deg2)
    flux = 1e-3 * options.point_flux_min_mjy * rng.random(count) ** (-1 / options.counts_slope)
    flux = np.minimum(flux, options.point_flux_max_jy)
    positions = rng.uniform(0, options.n_px, (count, 2))
    resolved = rng.random(count) < options.resolved_fraction
    for (y, x), one in zip(positions[~resolved], flux[~resolved], strict=True):
        _deposit(plane, y, x, one)
    for (y, x), one in zip(positions[resolved], flux[resolved], strict=True):
        size = rng.uniform(5, 25) / options.pixel_arcsec * FWHM_TO_SIGMA
        _add_gaussian(plane, y, x, one, size, size * rng.uniform(0.3, 1), rng.uniform(0, np.pi))
    loud = flux > options.spoke_flux_jy
    return [(y, x, one) for (y, x), one in zip(positions[loud], flux[loud], strict=True)]


def _deposit(plane, y, x, flux) -> None:
    """Share a point's flux among its four nearest pixels."""
    low_y, low_x = int(y), int(x)
    part_y, part_x = y - low_y, x - low_x
    for dy, share_y in ((0, 1 - part_y), (1, part_y)):
        for dx, share_x in ((0, 1 - part_x), (1, part_x)):
            if low_y + dy < plane.shape[0] and low_x + dx < plane.shape[1]:
                plane[low_y + dy, low_x + dx] += flux * share_y * share_x


def _window(plane, y, x, radius):
    """Slices of a square around a point, and offsets dy, dx from it."""
    low_y, high_y = max(int(y - radius), 0), min(int(y + radius) + 2, plane.shape[0])
    low_x, high_x = max(int(x - radius), 0), min(int(x + radius) + 2, plane.shape[1])
    dy = np.arange(low_y, high_y, dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(low_x, high_x, dtype=np.float32)[None, :] - np.float32(x)
    return (slice(low_y, max(high_y, low_y)), slice(low_x, max(high_x, low_x))), dy, dx


def _rotated(dy, dx, angle):
    return dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)


def _add_gaussian(plane, y, x, flux, sigma_long, sigma_short, angle) -> None:
    """Elliptical Gaussian of the given total flux; sigmas in pixels, at least 0.6."""
    sigma_long, sigma_short = max(sigma_long, 0.6), max(sigma_short, 0.6)
    part, dy, dx = _window(plane, y, x, 4 * sigma_long)
    along, across = _rotated(dy, dx, angle)
    shape = np.exp(-0.5 * ((along / sigma_long) ** 2 + (across / sigma_short) ** 2))
    plane[part] += flux / (2 * np.pi * sigma_long * sigma_short) * shape


def _add_double(plane, centre, options, rng, flux=None) -> None:
    """Two lobes with hot spots, sometimes a core (FR II and FR I alike)."""
    y, x = centre
    if flux is None:
        flux = 1e-3 * np.exp(rng.uniform(*np.log(options.double_flux_mjy)))
    half = rng.uniform(*options.double_size_arcmin) * ARCMIN / options.pixel_arcsec / 2
    angle = rng.uniform(0, 2 * np.pi)
    bend = rng.normal(0, 0.15)
    edge_brightened = rng.random() < 0.6
    first_share = rng.uniform(0.35, 0.65)
    for side, share in ((1, first_share), (-1, 1 - first_share)):
        direction = angle + side * bend
        reach = side * half * rng.uniform(0.8, 1.2)
        hot = rng.uniform(0.2, 0.6)
        spot = 0.9 if edge_brightened else 0.3
        end_y, end_x = y + reach * np.sin(direction), x + reach * np.cos(direction)
        _deposit_inside(plane, y + spot * (end_y - y), x + spot * (end_x - x), 0.9 * flux * share * hot)
        middle = (y + 0.55 * (end_y - y), x + 0.55 * (end_x - x))
        width = half * rng.uniform(0.1, 0.3)
        _add_gaussian(plane, *middle, 0.9 * flux * share * (1 - hot), 0.3 * half, width, direction)
    _deposit_inside(plane, y, x, 0.1 * flux)


def _deposit_inside(plane, y, x, flux) -> None:
    if 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]:
        _deposit(plane, y, x, flux)


def _add_tail(plane, centre, options, rng, flux=None) -> None:
    """Head-tail galaxy: a curved tail that fades and widens away from the head."""
    y, x = centre
    if flux is None:
        flux = 1e-3 * np.exp(rng.uniform(*np.log(options.tail_flux_mjy)))
    length = rng.uniform(*options.tail_length_arcmin) * ARCMIN / options.pixel_arcsec
    steps = max(int(length / 2), 8)
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5 / np.sqrt(steps), steps))
    fade = np.exp(-np.linspace(0, rng.uniform(1.5, 4), steps))
    fade /= fade.sum()
    for step in range(steps):
        width = 0.8 + 0.08 * length * (step / steps) * rng.uniform(0.6, 1)
        _add_gaussian(plane, y, x, flux * fade[step], max(width, 1.2), width, 0)
        y += length / steps * np.sin(direction[step])
        x += length / steps * np.cos(direction[step])


def _add_spokes(plane, y, x, flux, options, rng) -> None:
    """Spokes and rings left by direction-dependent calibration errors."""
    radius = options.spoke_radius_arcmin * ARCMIN / options.pixel_arcsec
    part, dy, dx = _window(plane, y, x, radius)
    distance = np.hypot(dy, dx)
    angle = np.arctan2(dy, dx)
    spokes = sum(
        rng.normal() * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in rng.integers(3, 14, 5)
    )
    rings = np.cos(2 * np.pi * distance / rng.uniform(15, 40) + rng.uniform(0, 2 * np.pi))
    fall = np.exp(-distance / (radius / 5)) * (distance > 2 * options.beam_px)
    amplitude = flux * 10 ** rng.uniform(*options.spoke_log_amplitude)
    plane[part] += (amplitude * fall * (0.5 * spokes + 0.5 * rings)).astype(np.float32)


def _add_clusters(compact, diffuse, options, rng) -> list[tuple[float, float, bool]]:
    """Clusters: galaxies in all, diffuse emission in most."""
    n_px, per_arcmin = options.n_px, ARCMIN / options.pixel_arcsec
    clusters = []
    for _ in range(rng.poisson(options.clusters_per_deg2 * options.area_deg2)):
        y, x = rng.uniform(0.05 * n_px, 0.95 * n_px, 2)
        for _ in range(rng.integers(1, 6)):
            place = np.clip((y, x) + rng.normal(0, 1.5 * per_arcmin, 2), 0, n_px - 2)
            kind = rng.random()
            if kind < 0.7:
                _deposit(compact, *place, 1e-3 * rng.lognormal(1, 1))
            elif kind < 0.85:
                _add_double(compact, place, options, rng)
            else:
                _add_tail(compact, place, options, rng)
        has_diffuse = rng.random() < options.diffuse_fraction
        clusters.append((y, x, has_diffuse))
        if has_diffuse:
            _add_diffuse(diffuse, y, x, options, rng)
    return clusters


def _add_diffuse(plane, y, x, options, rng) -> None:
    """One or more of halo, relic and ridge around a cluster; brightness in Jy/beam."""
    mean_rms = 1e-6 * np.mean(options.rms_ujy)
    per_arcmin = ARCMIN / options.pixel_arcsec

    def peak():
        return mean_rms * np.exp(rng.uniform(*np.log(options.peak_sigma)))

    kinds = rng.random(3) < (0.6, 0.4, 0.3)
    if not kinds.any():
        kinds[0] = True
    if kinds[0]:
        add_halo(plane, y, x, peak(), rng.uniform(*options.halo_radius_arcmin) * per_arcmin, rng)
    if kinds[1]:
        for _ in range(rng.integers(1, 3)):
            add_relic(plane, y, x, peak(), options, rng)
    if kinds[2]:
        add_ridge(plane, y, x, peak(), options, rng)


def add_halo(plane, y, x, peak, radius_px, rng) -> None:
    """Halo ``peak exp(-r / radius)`` (Murgia et al. 2009), elliptical, with lognormal clumps."""
    part, dy, dx = _window(plane, y, x, 6 * radius_px)
    along, across = _rotated(dy, dx, rng.uniform(0, np.pi))
    radius = np.hypot(along, across / rng.uniform(0.5, 1))
    plane[part] += peak * np.exp(-radius / radius_px) * _clumps(radius.shape, radius_px, rng)


def add_relic(plane, y, x, peak, options, rng) -> None:
    """Relic: an arc around the cluster, sharp outside and fading inwards."""
    per_arcmin = ARCMIN / options.pixel_arcsec
    distance = rng.uniform(*options.relic_distance_arcmin) * per_arcmin
    length = rng.uniform(*options.relic_length_arcmin) * per_arcmin
    width = rng.uniform(*options.relic_width_arcmin) * per_arcmin
    direction = rng.uniform(0, 2 * np.pi)
    part, dy, dx = _window(plane, y, x, distance + length)
    radius = np.hypot(dy, dx)
    arc = np.angle(np.exp(1j * (np.arctan2(dy, dx) - direction))) * distance
    across = np.where(radius > distance, (radius - distance) / (0.25 * width), (distance - radius) / width)
    shape = np.exp(-0.5 * across**2) * np.exp(-0.5 * (arc / (0.35 * length)) ** 4)
    plane[part] += peak * shape * _clumps(shape.shape, width, rng)


def add_ridge(plane, y, x, peak, options, rng) -> None:
    """Ridge or bridge: long, straight, with a Gaussian cross section."""
    per_arcmin = ARCMIN / options.pixel_arcsec
    length = rng.uniform(*options.ridge_length_arcmin) * per_arcmin
    width = rng.uniform(*options.ridge_width_arcmin) * per_arcmin
    part, dy, dx = _window(plane, y, x, length)
    along, across = _rotated(dy, dx, rng.uniform(0, np.pi))
    along = along - rng.uniform(-0.5, 0.5) * length
    bend = rng.normal(0, 0.15) * along**2 / length
    shape = np.exp(-0.5 * ((across - bend) / (width * FWHM_TO_SIGMA)) ** 2)
    shape *= np.exp(-0.5 * (along / (0.35 * length)) ** 4)
    plane[part] += peak * shape * _clumps(shape.shape, width, rng)


def _clumps(shape, scale_px, rng) -> np.ndarray:
    """Lognormal brightness fluctuations of unit mean."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), max(scale_px / 3, 1.5))
    spread = field.std() or 1.0
    strength = rng.uniform(0.2, 0.7)
    return np.exp(strength * field / spread - strength**2 / 2)
