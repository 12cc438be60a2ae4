"""Galactic emission at 144 MHz on scales of arcminutes: turbulence, filaments, supernova remnants."""

import numpy as np

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.canvas import draw_from, power_law_field, square_around
from radiounet.simulation.instrument import Instrument

MOST_DEVIATIONS = 4.0
"""Where the tail of skewed emission ends: filaments reach far above their deviation."""


def add_galactic(
    plane: np.ndarray,
    instrument: Instrument,
    rms_jy: float,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> None:
    """Turbulent synchrotron emission mixed with filaments, scaled to what the array lets through.

    The turbulence has power ``k^-slope``. The slopes, 2.3-3.3 by default, are a choice: with LOFAR,
    Iacobelli et al. (2013, A&A 558, A72) measured 1.84 +- 0.19 between 8' and 100', larger scales than
    most of what is drawn here.

    Parameters
    ----------
    plane : ndarray, ``[y, x]``, Jy/px
        Added to in place.
    rms_jy : float
        Noise, Jy/beam: the unit of ``options.galactic_snr``.
    """
    if rng.random() < options.remnant_shell_fraction:
        add_shell(plane, rms_jy, instrument.beam_area_px, options, rng)
    turbulence = power_law_field(plane.shape, rng.uniform(*options.galactic_slope), rng)
    share = rng.uniform(0, 1)
    emission = (1 - share) * turbulence + share * filaments(plane.shape, rng)
    # patches rather than a uniform veil
    emission = emission * np.clip(0.6 + power_law_field(plane.shape, 3.5, rng), 0, None)
    skew = draw_from(options.galactic_skew, rng)
    if skew:
        # column densities are lognormal: isolated bright clouds on a faint veil
        emission = np.exp(skew * np.minimum(emission / emission.std(), MOST_DEVIATIONS))
        emission -= emission.mean()
    observed = instrument.dirty(emission)
    wanted = rms_jy * np.exp(rng.uniform(*np.log(options.galactic_snr)))
    plane += (emission * wanted / observed.std()).astype(np.float32)


def filaments(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Thin ridges where a turbulent field crosses zero, of zero mean and unit deviation.

    Folded sheets seen edge-on look like this (the "ridged" turbulence of depolarisation
    canals and synchrotron filaments; Jelic et al. 2015, A&A 583, A137).
    """
    field = power_law_field(shape, rng.uniform(3.0, 4.0), rng)
    ridges = np.exp(-np.abs(field) / rng.uniform(0.03, 0.15))
    ridges *= np.clip(power_law_field(shape, 3.5, rng) + 0.5, 0, None)
    ridges -= ridges.mean()
    return ridges / (ridges.std() or 1.0)


def add_shell(
    plane: np.ndarray,
    rms_jy: float,
    beam_area_px: float,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> None:
    """Shell of a supernova remnant in projection, brighter on some sides (Green 2019).

    A shell between radii ``(1 - t) R`` and R has the column
    ``sqrt(R^2 - r^2) - sqrt((1 - t)^2 R^2 - r^2)``.
    """
    radius = rng.uniform(*options.shell_radius_arcmin) * options.px_per_arcmin
    y, x = rng.uniform(0, plane.shape[0], 2)
    part, dy, dx = square_around(plane.shape, y, x, radius)
    if 0 in plane[part].shape:
        return
    inner = radius * (1 - rng.uniform(0.05, 0.25))
    r2 = dy**2 + dx**2
    column = np.sqrt(np.maximum(radius**2 - r2, 0)) - np.sqrt(np.maximum(inner**2 - r2, 0))
    angle = np.arctan2(dy, dx)
    sides = 1 + rng.uniform(0.2, 1) * np.cos(rng.integers(1, 4) * angle + rng.uniform(0, 2 * np.pi))
    column *= np.clip(sides, 0.05, None) * np.exp(0.5 * power_law_field(column.shape, 3.3, rng))
    peak = rms_jy * np.exp(rng.uniform(*np.log(options.shell_snr)))
    plane[part] += (column / column.max() * peak / beam_area_px).astype(np.float32)
