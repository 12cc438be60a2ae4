"""Simulated skies that the tests of the wide sky share."""

from dataclasses import replace

import numpy as np

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.instrument import Instrument, Observation
from skies import point

OPTIONS = SimulateOptions(n_px=256)
FIELD = Observation(declination_deg=45.0, hours=8.0, inner_cut_m=30.0, robust=-1.0)
FIELDS = {"array": FIELD, "ideal": replace(FIELD, ideal=True)}
CALM = {
    "blank_fraction": 0.0,
    "coarse_fraction": 0.0,
    "edge_fraction": 0.0,
    "galactic_fraction": 0.0,
    "rms_variation": (1.0, 1.0),
}
# no clusters, no radio galaxies, and only compact sources that are too rare to be drawn
DARK = CALM | {
    "flux_min_mjy": 1e7,
    "flux_max_jy": 1.1e4,
    "galaxies_per_deg2": (0.0, 0.0),
    "remnants_per_deg2": (0.0, 0.0),
    "spirals_per_deg2": (0.0, 0.0),
    "clusters_per_deg2": (0.0, 0.0),
    "empty_fraction": 1.0,
}
CROWDED = SimulateOptions(
    n_px=160, clusters_per_deg2=(150.0, 150.0), diffuse_fraction=(0.7, 0.7), empty_fraction=0.0
)


def changed(options, **changes):
    return SimulateOptions.model_validate(options.model_dump() | changes)


def array_of(observation=FIELD, partner=None, options=OPTIONS):
    return Instrument(options, observation, options.beam_arcsec, partner)


def squared_frequency(size):
    ky, kx = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    return ky[:, None] ** 2 + kx[None, :] ** 2


def beam_spectrum(array):
    return np.fft.rfft2(array.dirty(point(array, 0, 0)).astype(float)).real


def noise_power(array, seed=1):
    return np.abs(np.fft.rfft2(array.noise(np.random.default_rng(seed)).astype(float))) ** 2
