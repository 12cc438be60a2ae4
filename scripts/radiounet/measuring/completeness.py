"""The flux density at which mock objects are found, from trials that found them or did not.

The probability to be found is a logistic function of the logarithm of the flux density.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

WIDTH = 0.5
"""Width of the logistic function that is expected, natural logarithm of flux density."""
WIDTH_SPREAD = 0.7
"""How far it may differ: standard deviation of the logarithm of the width."""
PLACE_SPREAD = np.log(30)
"""How far the middle may lie from where it is expected, natural logarithm; so weak that it only matters
where all trials have the same outcome."""
GRID = 160, 24
"""Places and widths at which the posterior probability is computed."""
GRID_BEYOND = 3.0
"""How far places reach beyond the trials, natural logarithm."""
FIRST_OCTAVES = 3.0
"""The first trials reach from this many octaves below to as many above what is expected."""
MOST_OCTAVES = 6.0
"""No trial is so many octaves brighter than expected: networks take very bright light for something else."""
LEAST_FOUND, LEAST_MISSED = 4, 6
"""So many more trials found than missed, and then so many more missed than found, are a rise and a fall."""
LOCAL_WIDTH, LOCAL_FITS = 0.8, 3
"""Trials count by a Gaussian of this width, natural logarithm, around the flux density; and repetitions."""
TARGETS = 0.15, 0.93
"""Further trials are placed where between these parts of them should be found."""


@dataclass(frozen=True)
class Completeness:
    """Logistic function of the logarithm of the flux density.

    Attributes
    ----------
    place, width : float
        Natural logarithm of the flux density at which half of the objects are found, and the
        width of the function in that logarithm; posterior means.
    covariance : ndarray, ``[2, 2]``
        Of these two.
    """

    place: float
    width: float
    covariance: np.ndarray

    def flux(self, part: float | np.ndarray) -> np.ndarray:
        """Flux density at which this part of the objects is found."""
        return np.exp(self.place + self.width * special.logit(part))

    def error(self, part: float) -> float:
        """Its standard error, to first order."""
        slope = np.array([1.0, special.logit(part)])
        return float(self.flux(part) * np.sqrt(slope @ self.covariance @ slope))


def fit_completeness(
    flux: np.ndarray, found: np.ndarray, expected: float, weights: np.ndarray | float = 1.0
) -> Completeness:
    """Fit a logistic function by its posterior mean.

    The mean and not the most probable function: of few trials the latter is too narrow. Priors
    keep it finite where the trials can be separated: the logarithm of the width is normal around
    that of `WIDTH`, that of the place around that of `expected`.

    Parameters
    ----------
    flux : ndarray, ``[trial]``
        Any unit.
    found : ndarray of bool, ``[trial]``
    expected : float
        Flux density at which about half should be found, in that unit.
    weights : ndarray, ``[trial]``, or float
        How much each trial counts.
    """
    log_flux, sign = np.log(flux), np.where(found, 1.0, -1.0)
    place = np.linspace(log_flux.min() - GRID_BEYOND, log_flux.max() + GRID_BEYOND, GRID[0])[:, None]
    spread = np.linspace(-3, 3, GRID[1])
    width = WIDTH * np.exp(WIDTH_SPREAD * spread)
    belief = -0.5 * (spread**2 + ((place - np.log(expected)) / PLACE_SPREAD) ** 2)
    counts = np.broadcast_to(weights, log_flux.shape)
    for one, outcome, count in zip(log_flux, sign, counts, strict=True):
        belief += count * special.log_expit(outcome * (one - place) / width)
    belief = np.exp(belief - belief.max())
    values = np.stack([part.ravel() for part in np.broadcast_arrays(place, width)])
    mean = np.average(values, axis=1, weights=belief.ravel())
    covariance = np.cov(values, aweights=belief.ravel(), ddof=0)
    return Completeness(float(mean[0]), float(mean[1]), covariance)


def flux_found(flux: np.ndarray, found: np.ndarray, expected: float, part: float) -> tuple[float, float]:
    """Flux density at which a part of the objects is found, and its standard error.

    Objects of many sizes do not follow one logistic function. So the function is fitted again to
    the trials near that flux density (local likelihood, Loader 1999). With weights w the posterior is too
    wide by the square root of sum(w) / sum(w^2), so the error is divided by that.

    Parameters
    ----------
    flux, found, expected
        See `fit_completeness`.
    part : float
    """
    fit = fit_completeness(flux, found, expected)
    for _ in range(LOCAL_FITS):
        away = np.log(flux / fit.flux(part)) / LOCAL_WIDTH
        weights = np.exp(-0.5 * away**2)
        fit = fit_completeness(flux, found, expected, weights)
    return float(fit.flux(part)), fit.error(part) * float(np.sqrt((weights**2).sum() / weights.sum()))


def fluxes_found(
    flux: np.ndarray, found: np.ndarray, expected: float, parts: Sequence[float]
) -> list[tuple[float, float]]:
    """Flux densities at which each of some parts is found, none below that of a smaller part; and errors.

    Of `flux_found`. Where these fall, since few trials lie near either, one function is fitted to all
    trials, which rises.

    Parameters
    ----------
    flux, found, expected
        See `fit_completeness`.
    parts : sequence of float
        Rising.
    """
    local = [flux_found(flux, found, expected, part) for part in parts]
    if all(low <= high for (low, _), (high, _) in pairwise(local)):
        return local
    fit = fit_completeness(flux, found, expected)
    return [(float(fit.flux(part)), fit.error(part)) for part in parts]


def is_rising(flux: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which trials lie before mocks become so bright that the network takes them for something else.

    All, unless many are found and then many that are brighter are not.

    Parameters
    ----------
    flux : ndarray, ``[trial]``
    found : ndarray of bool, ``[trial]``
    """
    if not flux.size:
        return found
    order = np.argsort(flux, kind="stable")
    balance = np.cumsum(np.where(found[order], 1, -1))
    rise = balance - np.minimum.accumulate(np.minimum(balance, 0))
    top = int(np.argmax(rise))
    kept = np.ones(len(flux), bool)
    if rise[top] >= LEAST_FOUND and balance[top] - balance[-1] >= LEAST_MISSED:
        kept[order[top + 1 :]] = False
    return kept


def next_fluxes(flux: np.ndarray, found: np.ndarray, expected: float, count: int) -> np.ndarray:
    """Flux densities of the next trials, from faint to bright, none above `brightest`.

    Parameters
    ----------
    flux : ndarray, ``[trial]``
        Of the trials so far, none at first.
    found : ndarray of bool, ``[trial]``
    expected : float
        See `fit_completeness`.
    count : int
    """
    kept = is_rising(flux, found)
    flux, found = flux[kept], found[kept]
    octaves = np.linspace(-FIRST_OCTAVES, FIRST_OCTAVES, count)
    if not flux.size:
        wanted = expected * 2.0**octaves
    elif found.all():
        wanted = flux.min() * 2 ** (octaves - FIRST_OCTAVES)
    elif not found.any():
        wanted = flux.max() * 2 ** (octaves / 2)
    else:
        wanted = fit_completeness(flux, found, expected).flux(np.linspace(*TARGETS, count))
    return np.minimum(wanted, brightest(expected))


def brightest(expected: float) -> float:
    """Flux density that no trial exceeds, in the unit of `expected`."""
    return expected * 2**MOST_OCTAVES
