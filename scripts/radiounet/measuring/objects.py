"""One diffuse object: its flux density, profile, shape and surroundings, as an island shows them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import gammainc

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.measuring.cutouts import Cutout
from radiounet.measuring.fluxes import Flux, lie_inside, region_flux
from radiounet.measuring.profiles import AT_BOUND, NOT_CONVERGED, POOR, ExponentialFit, fit_exponential
from radiounet.measuring.shapes import Shape, edge_level, island_shape

GROWN_BEAMS = 1.0
"""How far an object reaches beyond its island, beams."""
LEAST_FRACTION = 0.7
"""Least part of its flux density that an island is taken to hold."""
OUTSHONE, OUTSHONE_FRACTION = 2.0, 0.78
"""Flux density of compact sources over that of an island, above which their rest decides on its edge; and
the part of its flux density that such an island is taken to hold, chosen on simulated skies."""
MOST_OF_PROFILE = 1.3
"""Largest total flux density, over that of a profile that fits and is not thin: what exceeds it is of
radio galaxies."""
EXCESS_ERROR = 0.5
"""Error of what is cut off, as a part of it."""
MASK_ERROR = 0.15
"""Error of the part of its flux density that an island holds, measured on simulated skies."""
START_GROWTH = 1.3
"""E-folding radius of the start, over that of what the mask shows of a profile."""
ROUND = 0.35
"""Least axis ratio of a fit that stands for a halo."""
MIDDLE, MIDDLE_BEAMS = 0.3, 1.0
"""Radius of the middle of an island: of that of a disc of its area, but not less than a beam."""
OFFSET = 1.0
"""Farthest centre of such a fit from the island's centroid, e-folding radii."""
NEAREST, FARTHEST = 1e-3, 100.0
"""Range in which the radius of an isophote is searched, e-folding radii of a profile."""


@dataclass(frozen=True)
class MeasuredObject:
    """An island as it was measured.

    Attributes
    ----------
    island : ndarray of bool, ``[y, x]``
        On the cut-out.
    flux : Flux
        Inside the island.
    grown : Flux
        Inside the island and `GROWN_BEAMS` around it.
    fit : ExponentialFit or None
    """

    cutout: Cutout
    island: np.ndarray
    shape: Shape
    flux: Flux
    grown: Flux
    fit: ExponentialFit | None

    @property
    def is_profile(self) -> bool:
        """Whether an exponential profile describes it: one that converged, is round enough and sits on it."""
        fit = self.fit
        if fit is None or fit.flag or fit.ratio < ROUND:
            return False
        return float(np.hypot(fit.y - self.shape.y, fit.x - self.shape.x)) < OFFSET * fit.radius_px

    @property
    def total_jy(self) -> tuple[float, float, float]:
        """Best estimate of the whole flux density, its error, and the error without that of the flux scale.

        That of the island and `GROWN_BEAMS` around it, for what the edge of the mask loses, over
        `held_fraction`, but no more than `MOST_OF_PROFILE` times the total of an exponential profile that
        fits and is not thin.
        """
        shown = self.grown.flux_jy / self.held_fraction
        flux = min(shown, MOST_OF_PROFILE * self._explained_jy)
        scale = np.sqrt(max(self.grown.error_jy**2 - self.grown.noise_jy**2, 0)) / self.held_fraction
        parts = self.grown.noise_jy / self.held_fraction, MASK_ERROR * flux, EXCESS_ERROR * (shown - flux)
        noise = float(np.linalg.norm(parts))
        return flux, float(np.hypot(noise, scale * flux / shown if shown else 0)), noise

    @property
    def _explained_jy(self) -> float:
        """Total of the profile; infinite where it did not converge, fits badly, is thin or uncertain."""
        fit, (total, error) = self.fit, self.fit_jy
        if fit is None or fit.flag & (NOT_CONVERGED | AT_BOUND | POOR):
            return float("inf")
        return total if fit.ratio >= ROUND and total > error else float("inf")

    @cached_property
    def held_fraction(self) -> float:
        """Part of the whole flux density that the island shows, by its brightness at the edge.

        That of an exponential profile above the level of its edge. Isophotal magnitudes are corrected in the
        same way, with a Gaussian profile (Maddox et al. 1990, MNRAS 246, 433; Bertin & Arnouts 1996, A&AS
        117, 393). It is `LEAST_FRACTION` at least, `OUTSHONE_FRACTION` where compact sources outshine the
        island, and 1 where they leave nothing.
        """
        cutout = self.cutout
        if not min(self.flux.flux_jy, self.grown.flux_jy) > 0:
            return 1.0
        if self.flux.compact_jy > OUTSHONE * self.flux.flux_jy:
            return OUTSHONE_FRACTION
        return max(exponential_fraction(edge_level(cutout, self.island)), LEAST_FRACTION)

    @property
    def fit_jy(self) -> tuple[float, float]:
        """Total of the fit, to infinity, and its error without that of the flux scale; NaN without one."""
        if self.fit is None:
            return float("nan"), float("nan")
        area = self.cutout.beam_area_px
        return self.fit.total / area, self.fit.total_error / area

    @cached_property
    def central_jy(self) -> float:
        """Flux density of compact sources and radio galaxies in the middle of the island, see `MIDDLE`."""
        cutout, plane = self.cutout, self.cutout.mosaic.plane
        y, x = np.indices(self.island.shape)
        radius = max(MIDDLE_BEAMS * cutout.mosaic.beam_px, MIDDLE * np.sqrt(self.island.sum() / np.pi))
        middle = np.hypot(y - self.shape.y, x - self.shape.x) < radius
        sources = cutout.components.flux[lie_inside(cutout, middle, cutout.components.places)]
        galaxies = (cutout.residual - cutout.filled)[middle & cutout.blanked & cutout.known]
        compact = sources.sum() * plane.resolution_area_px / plane.beam_area_px
        return float(compact + max(galaxies.sum() / cutout.beam_area_px, 0))


def exponential_fraction(level: float) -> float:
    """Part of an exponential profile's flux density that lies above an isophote.

    Within ``x`` e-folding radii lies ``1 - (1 + x) exp(-x)`` of it, with a mean brightness of that times
    ``2 / x**2`` of the peak; at ``x`` the brightness is ``exp(-x)`` of the peak.

    Parameters
    ----------
    level : float
        Of the isophote, over the mean brightness above it. The result is 1 for a level of 0 or less, and 0
        for one of 1 or more.
    """

    def within(x: float) -> float:
        return float(gammainc(2, x))  # 1 - (1 + x) exp(-x), exact for small x

    def excess(x: float) -> float:
        return x**2 * np.exp(-x) / (2 * within(x)) - level

    if not excess(FARTHEST) < 0:
        return 1.0
    if not excess(NEAREST) > 0:
        return 0.0
    return within(brentq(excess, NEAREST, FARTHEST))


def measure_object(cutout: Cutout, island: np.ndarray, calibration_error: float) -> MeasuredObject:
    """Measure one island of a cut-out.

    Parameters
    ----------
    cutout : Cutout
        With a margin around the island.
    island : ndarray of bool, ``[y, x]``
    calibration_error : float
        Of the flux scale, fraction.
    """
    others = cutout.others(island)
    # what lies between islands belongs to the nearest, so that no flux density counts twice
    distance, nearest = ndimage.distance_transform_edt(~(island | others), return_indices=True)
    near = (distance <= round(GROWN_BEAMS * cutout.mosaic.beam_px)) & island[tuple(nearest)]
    grown = island | (near & ~cutout.blanked)
    shape = island_shape(cutout, island)
    inside, around = (region_flux(cutout, region, calibration_error) for region in (island, grown))
    return MeasuredObject(cutout, island, shape, inside, around, _fit(cutout, island, others, shape))


def _fit(cutout: Cutout, island: np.ndarray, others: np.ndarray, shape: Shape) -> ExponentialFit | None:
    y, x = np.nonzero(island & cutout.known)
    weight = np.maximum(cutout.filled[y, x], 0)
    if not weight.sum() > 0:
        return None
    square = np.average((y - shape.y) ** 2 + (x - shape.x) ** 2, weights=weight)
    # the mean square of r over an exponential disc is 6 r_e^2
    sigma = cutout.mosaic.beam_px * FWHM_TO_SIGMA
    radius = START_GROWTH * float(np.sqrt(max(square - 2 * sigma**2, sigma**2) / 6))
    used = cutout.known & ~cutout.blanked & ~others
    start = shape.y, shape.x, radius
    return fit_exponential(cutout.filled, cutout.rms, used, cutout.covariance, start)
