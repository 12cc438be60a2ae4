"""LOFAR HBA as an imaging instrument: coverage, dirty beam, noise, deconvolution, errors.

The survey images 8 h tracks at 120-168 MHz with Briggs weighting, an inner cut of
the uv plane and a restoring beam of 20" (Shimwell et al. 2022, A&A 659, A1). All
planes are ``[y, x]`` on one square grid with margin around the image.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import fft

from radiounet.images.compiled import compiled
from radiounet.images.constants import LIGHT_M_S
from radiounet.images.gaussian import FWHM_AREA, FWHM_TO_SIGMA
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import draw_from

STATIONS = Path(__file__).with_name("lofar_hba.csv")
EARTH_RAD_PER_H = 2 * np.pi / 23.9345
TIMES, CHANNELS = 40, 6
ERROR_TIMES, ERROR_CHANNELS = 16, 2
MARGIN = 1.25


@cache
def read_stations() -> np.ndarray:
    """Geocentric positions of the Dutch HBA stations, ``[station, xyz]`` in m."""
    return np.loadtxt(STATIONS, delimiter=",", usecols=(1, 2, 3), skiprows=3)


def baseline_tracks(
    stations: np.ndarray, declination_rad: float, hours: float, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Projected baselines u and v of a track centred on transit.

    Thompson, Moran & Swenson (2017), eq. 4.1: earth rotation synthesis.

    Parameters
    ----------
    stations : ndarray, ``[station, xyz]``
        Geocentric, m.

    Returns
    -------
    u, v : ndarray, ``[time, baseline]``, m
        Each pair of stations once, in the order of ``numpy.triu_indices``.
    """
    longitude = np.arctan2(*stations.mean(axis=0)[[1, 0]])
    first, second = np.triu_indices(len(stations), 1)
    x, y, z = (stations[second] - stations[first]).T
    x, y = (
        x * np.cos(longitude) + y * np.sin(longitude),
        y * np.cos(longitude) - x * np.sin(longitude),
    )
    angle = EARTH_RAD_PER_H * np.linspace(-hours / 2, hours / 2, times)[:, None]
    u = np.sin(angle) * x + np.cos(angle) * y
    v = np.sin(declination_rad) * (np.sin(angle) * y - np.cos(angle) * x) + np.cos(declination_rad) * z
    return u, v


@dataclass(frozen=True)
class Observation:
    """What is drawn once per field.

    Attributes
    ----------
    declination_deg, hours, inner_cut_m, robust : float
    ideal : bool
        Complete coverage beyond the inner cut, weighted to the restoring beam: what
        deeper deconvolution, or another simulator, comes close to.
    taper : float
        Gaussian taper of the visibilities, in units of the restoring beam's FWHM.
    shoulder, shoulder_arcsec : float
        Factor that the dirty beam gains at small spatial frequencies before its peak is
        brought back to 1, and the FWHM of the broad part that brings it about.
    beam_noise, stripe_noise : float
        Shares of the noise power that are correlated like the restoring beam, and that
        lie in a few narrow directions.
    """

    declination_deg: float
    hours: float
    inner_cut_m: float
    robust: float
    ideal: bool = False
    taper: float = 0.55
    shoulder: float = 1.0
    shoulder_arcsec: float = 60.0
    beam_noise: float = 0.0
    stripe_noise: float = 0.0

    @classmethod
    def draw(cls, options: SimulateOptions, rng: np.random.Generator) -> "Observation":
        """Draw an observation from the ranges of the configuration."""
        # another order would draw another sky from the same seed
        return cls(
            ideal=bool(rng.random() < options.ideal_fraction),
            declination_deg=float(rng.uniform(*options.declination_deg)),
            hours=float(rng.uniform(*options.hours)),
            inner_cut_m=float(rng.uniform(*options.inner_cut_m)),
            robust=float(rng.uniform(*options.robust)),
            taper=draw_from(options.taper, rng),
            shoulder=draw_from(options.shoulder, rng),
            shoulder_arcsec=draw_from(options.shoulder_arcsec, rng),
            beam_noise=draw_from(options.beam_noise, rng),
            stripe_noise=draw_from(options.stripe_noise, rng),
        )


class Instrument:
    """One observation's transfer functions on a square grid of `size` pixels.

    Parameters
    ----------
    beam_arcsec : float
        FWHM of the restoring beam; the visibilities are tapered to it.
    partner : Observation, optional
        Another pointing that contributes as much to the image: beam and noise are the
        mean of both. Only its coverage and weights count; taper, shoulder, colour of the
        noise and calibration errors are those of the first.
    """

    def __init__(
        self,
        options: SimulateOptions,
        observation: Observation,
        beam_arcsec: float,
        partner: Observation | None = None,
    ):
        self.size = grid_size(options.n_px)
        self.pixel_arcsec = options.pixel_arcsec
        self.beam_px = beam_arcsec / options.pixel_arcsec
        self._observation = observation
        self._frequencies = 1e6 * np.linspace(*options.frequency_mhz, 2 * CHANNELS + 1)[1::2]
        self._cell = 1 / (self.size * np.radians(options.pixel_arcsec / 3600))  # wavelengths
        ky, kx = np.fft.fftfreq(self.size), np.fft.rfftfreq(self.size)
        exponent = 2 * (np.pi * self.beam_px * FWHM_TO_SIGMA) ** 2
        radius2 = ky[:, None] ** 2 + kx[None, :] ** 2
        self._restoring = np.exp(-exponent * radius2).astype(np.float32)
        self._taper = self._restoring ** np.float32(observation.taper**2)
        imaged, power = self._weighted(observation, radius2)
        if partner is not None:
            other_imaged, other_power = self._weighted(partner, radius2)
            imaged, power = (imaged + other_imaged) / 2, (power + other_power) / 2
        if observation.shoulder != 1:
            scale_px = observation.shoulder_arcsec / options.pixel_arcsec
            broad = np.exp(-2 * (np.pi * scale_px * FWHM_TO_SIGMA) ** 2 * radius2)
            imaged = imaged * (1 + (observation.shoulder - 1) * broad)
        self._transfer = self._normalised(imaged)
        self._noise_transfer = np.sqrt(self._coloured(power, observation)).astype(np.float32)

    def _weighted(self, observation: Observation, radius2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transfer of one pointing, of beam peak 1, and its noise power, of mean 1."""
        if observation.ideal:
            mean_hz = self._frequencies.mean()
            cut = observation.inner_cut_m * mean_hz / (LIGHT_M_S * self._cell)
            imaged = spread = self._restoring * (radius2 * self.size**2 >= cut**2)
        else:
            rows, columns, _ = self._cells(observation, TIMES, self._frequencies)
            density = self._grid(rows, columns, np.ones(rows.size))
            # the half plane holds each visibility once, except that column 0 needs its mirror
            density[:, 0] += np.roll(density[::-1, 0], 1)
            weights = self._taper * _briggs(density, observation.robust)
            imaged, spread = density * weights, np.sqrt(density) * weights
        return self._normalised(imaged), self._unit_power(spread**2)

    def _unit_power(self, power: np.ndarray) -> np.ndarray:
        return power / self._mean(power)

    def _coloured(self, power: np.ndarray, observation: Observation) -> np.ndarray:
        """Noise power with the shares that are correlated like the beam, and that make stripes."""
        beam, stripes = observation.beam_noise, observation.stripe_noise
        if beam:
            power = (1 - beam) * power + beam * self._unit_power(self._restoring**2)
        if stripes:
            power = (1 - stripes) * power + stripes * self._unit_power(self._stripes(observation))
        return power

    def _stripes(self, observation: Observation) -> np.ndarray:
        """Power in a few small patches of the uv plane: stripes of some beams, as of bad baselines."""
        # of the observation alone, so that a field always has the same
        rng = np.random.default_rng(int(1e6 * observation.stripe_noise))
        ky, kx = np.fft.fftfreq(self.size)[:, None], np.fft.rfftfreq(self.size)[None, :]
        power = np.zeros(self._restoring.shape)
        for _ in range(rng.integers(1, 4)):
            radius = np.exp(rng.uniform(*np.log((1 / (15 * self.beam_px), 1 / (2 * self.beam_px)))))
            angle, width = rng.uniform(-np.pi / 2, np.pi / 2), rng.uniform(2, 12) / self.size
            distance2 = (ky - radius * np.sin(angle)) ** 2 + (kx - radius * np.cos(angle)) ** 2
            power += np.exp(-0.5 * distance2 / width**2)
        return power

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the restoring beam, px."""
        return FWHM_AREA * self.beam_px**2

    def _cells(
        self, observation: Observation, times: int, frequencies: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Grid row and column (half plane, columns >= 0) of every visibility beyond the inner cut."""
        u, v = baseline_tracks(
            read_stations(), np.radians(observation.declination_deg), observation.hours, times
        )
        used = np.hypot(u, v) >= observation.inner_cut_m
        scale = frequencies[:, None, None] / (LIGHT_M_S * self._cell)
        columns, rows = np.rint(scale * u).astype(int), np.rint(scale * v).astype(int)
        sign = np.where(columns < 0, -1, 1)
        columns, rows = sign * columns, sign * rows
        half = self.size // 2
        # short spacings rounded into the zero cell would let the mean through
        used = used & ((columns > 0) | (rows != 0))
        used = used & (columns < half) & (np.abs(rows) < half)
        return rows[used] % self.size, columns[used], (used, sign)

    def _grid(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        shape = self._taper.shape
        return np.bincount(rows * shape[1] + columns, values, minlength=shape[0] * shape[1]).reshape(shape)

    def _mean(self, spectrum: np.ndarray) -> float:
        """Mean over the whole plane of a spectrum given on its half."""
        weights = np.full(spectrum.shape[1], 2.0)
        weights[0] = 1
        return float((spectrum * weights).sum()) / self.size**2

    def _normalised(self, spectrum: np.ndarray) -> np.ndarray:
        """Scale a spectrum so that its beam has peak 1."""
        return (spectrum / self._mean(spectrum)).astype(np.float32)

    def _apply(self, plane: np.ndarray, transfer: np.ndarray) -> np.ndarray:
        return fft.irfft2(fft.rfft2(plane) * transfer, plane.shape).astype(np.float32)

    def restore(self, sky: np.ndarray) -> np.ndarray:
        """Convolve with the Gaussian restoring beam of peak 1: Jy/px become Jy/beam."""
        return self._apply(sky, self._normalised(self._restoring))

    def dirty(self, sky: np.ndarray) -> np.ndarray:
        """Convolve with the dirty beam of peak 1: Jy/px become Jy/beam, large scales are lost."""
        return self._apply(sky, self._transfer)

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """Noise of unit deviation with the power that the weights give it."""
        white = rng.standard_normal((self.size, self.size), dtype=np.float32)
        return self._apply(white, self._noise_transfer)

    def image(
        self, sky: np.ndarray, noise: np.ndarray, rms: np.ndarray, clean_snr: float, missed: float
    ) -> np.ndarray:
        """Image and deconvolve to a depth.

        What stands above `clean_snr` is moved from the dirty to the restoring
        beam, but for a fraction and no more than about the noise; everything else
        keeps its sidelobes (CLEAN with a mask from the brightness; Hogbom 1974), and
        extended emission its brightness per dirty beam, whose volume is 0.8 to 1.2 of
        the restoring beam's for the robust weights of the configuration (Jorsater &
        van Moorsel 1995, AJ 110, 2037).

        Parameters
        ----------
        sky : ndarray
            Jy/px.
        noise, rms : ndarray
            Noise and its level, Jy/beam.
        missed : float
            Fraction of the flux inside the mask left in the residual.

        Returns
        -------
        ndarray of float32, Jy/beam
        """
        found = self.dirty(sky) + noise > clean_snr * rms
        left = missed * np.minimum(1, clean_snr * rms / np.maximum(self.restore(sky), rms))
        model = np.where(found, (1 - left) * sky, 0).astype(np.float32)
        return self.restore(model) + self.dirty(sky - model) + noise

    def calibration_errors(
        self,
        y: np.ndarray,
        x: np.ndarray,
        flux: np.ndarray,
        phase_rad: np.ndarray,
        gain: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Spokes and rings left by direction-dependent gain errors, Jy/beam.

        Every source has its own station gains ``g = (1 + a) exp(i phi)``, piecewise
        constant in time; the residual visibility is ``S (g_i g_j* - 1)`` (Smirnov
        2011, A&A 527, A106).

        Parameters
        ----------
        y, x, flux : ndarray, ``[source]``
            Pixels and Jy.
        phase_rad, gain : float or ndarray, ``[source]``
            Standard deviation of phase and of relative amplitude, in each direction.
        """
        frequencies = self._frequencies[:: CHANNELS // ERROR_CHANNELS]
        rows, columns, (used, sign) = self._cells(self._observation, ERROR_TIMES, frequencies)
        first, second = np.triu_indices(len(read_stations()), 1)
        density = self._grid(rows, columns, np.ones(rows.size))
        density[:, 0] += np.roll(density[::-1, 0], 1)
        times = np.broadcast_to(np.arange(ERROR_TIMES)[:, None], used.shape)[used]
        stations = (np.broadcast_to(one, used.shape)[used] for one in (first, second))
        where = (times, *stations, sign[used], rows, columns)
        residual = np.zeros(rows.size, np.complex64)
        wave = -2j * np.pi / self.size * np.fft.fftfreq(self.size) * self.size
        columns_of = np.broadcast_arrays(y, x, flux, phase_rad, gain)
        for source_y, source_x, source_flux, phase, amplitude in zip(*columns_of, strict=True):
            gains = _draw_gains(len(read_stations()), phase, amplitude, rng).astype(np.complex64)
            turn_y, turn_x = source_flux * np.exp(wave * source_y), np.exp(wave * source_x)
            _add_errors(residual, gains, *where, turn_y.astype(np.complex64), turn_x.astype(np.complex64))
        spectrum = self._grid(rows, columns, residual.real) + 1j * self._grid(rows, columns, residual.imag)
        # the beam that the same visibilities make has peak 1
        weights = self._taper * _briggs(density, self._observation.robust)
        spectrum[:, 0] += np.conj(np.roll(spectrum[::-1, 0], 1))
        spectrum *= weights / self._mean(density * weights)
        return fft.irfft2(spectrum, (self.size, self.size)).astype(np.float32)


@compiled(nogil=True)
def _add_errors(
    residual: np.ndarray,
    gains: np.ndarray,
    times: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    sign: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    turn_y: np.ndarray,
    turn_x: np.ndarray,
) -> None:
    """Add one source's residual visibilities in place; its waves are given by row and by column."""
    for n in range(residual.size):
        error = gains[times[n], first[n]] * np.conj(gains[times[n], second[n]]) - np.complex64(1)
        if sign[n] < 0:
            error = np.conj(error)
        residual[n] += error * (turn_y[rows[n]] * turn_x[columns[n]])


def _draw_gains(stations: int, phase_rad: float, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Gains ``[time, station]``: few long or many short intervals (spokes or rings), some stations worse."""
    intervals = int(rng.choice([1, 2, 4, 8, ERROR_TIMES]))
    shape = (intervals, stations)
    worse = np.exp(0.6 * rng.standard_normal(stations) - 0.36)  # mean square 1
    gains = 1 + gain * worse * rng.standard_normal(shape)
    gains = gains * np.exp(1j * phase_rad * worse * rng.standard_normal(shape))
    return np.repeat(gains, ERROR_TIMES // intervals, axis=0)


def grid_size(n_px: int) -> int:
    """Side of the grid: the image with a margin, for its sources and sidelobes, and an even number."""
    size = int(MARGIN * n_px)
    while True:
        size = fft.next_fast_len(size, real=True)
        if size % 2 == 0:
            return size
        size += 1


def _briggs(density: np.ndarray, robust: float) -> np.ndarray:
    """Briggs (1995) weight of a visibility: ``1 / (1 + f^2 W)``; 0 where there is none."""
    mean = (density**2).sum() / density.sum()
    factor = (5 * 10**-robust) ** 2 / mean
    return np.where(density > 0, 1 / (1 + factor * density), 0)
