"""One diffuse object: its flux density, profile, shape and surroundings, as an island shows them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.special import lambertw
from skimage.morphology import disk

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.measuring.cutouts import Cutout
from radiounet.measuring.fluxes import Flux, components_inside, region_flux
from radiounet.measuring.profiles import ExponentialFit, fit_exponential
from radiounet.measuring.shapes import Shape, island_shape

GROWN_BEAMS = 1.0
"""How far an object reaches beyond its island, beams."""
EDGE_BEAMS = 0.5
"""Width of the edge of an island, beams."""
LEAST_FRACTION = 0.6
"""Least part of its flux density that an island is taken to hold."""
OUTSHONE = 2.0
"""Flux density of compact sources over that of an island, above which their rest decides on its edge."""
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

        That of the island and its surroundings, over the part that they hold (`held_fraction`).
        """
        flux = self.grown.flux_jy / self.held_fraction
        scale = np.sqrt(max(self.grown.error_jy**2 - self.grown.noise_jy**2, 0)) / self.held_fraction
        noise = float(np.hypot(self.grown.noise_jy / self.held_fraction, MASK_ERROR * flux))
        return flux, float(np.hypot(noise, scale)), noise

    @cached_property
    def held_fraction(self) -> float:
        """Part of the whole flux density that the island shows, by its brightness at the edge.

        That of a Gaussian profile above the level of its edge, as for isophotal magnitudes (Maddox et al.
        1990, MNRAS 246, 433; Bertin & Arnouts 1996, A&AS 117, 393); `LEAST_FRACTION` at least, and 1 where
        compact sources outshine the island (`OUTSHONE`).
        """
        cutout = self.cutout
        if self.flux.compact_jy > OUTSHONE * self.flux.flux_jy:
            return 1.0
        width = max(round(EDGE_BEAMS * cutout.mosaic.beam_px), 1)
        solid = self.island | cutout.others(self.island)  # a border with another island is no isophote
        edge = self.island & ~ndimage.binary_erosion(solid, iterations=width) & ~cutout.blanked
        mean = cutout.filled[self.island & cutout.known].mean()
        level = cutout.filled[edge & cutout.known].mean() if (edge & cutout.known).any() else 0.0
        return max(gaussian_fraction(float(level / mean)), LEAST_FRACTION)

    @property
    def fit_jy(self) -> tuple[float, float]:
        """Total of the fit, to infinity, and its error without that of the flux scale; NaN without one."""
        if self.fit is None:
            return float("nan"), float("nan")
        area = self.cutout.mosaic.plane.beam_area_px
        return self.fit.total / area, self.fit.total_error / area

    @cached_property
    def central_jy(self) -> float:
        """Flux density of compact sources and radio galaxies in the middle of the island, see `MIDDLE`."""
        cutout, plane = self.cutout, self.cutout.mosaic.plane
        y, x = np.indices(self.island.shape)
        radius = max(MIDDLE_BEAMS * cutout.mosaic.beam_px, MIDDLE * np.sqrt(self.island.sum() / np.pi))
        middle = np.hypot(y - self.shape.y, x - self.shape.x) < radius
        sources = cutout.components.flux[components_inside(cutout, middle)]
        galaxies = (cutout.residual - cutout.filled)[middle & cutout.blanked & cutout.known]
        compact = sources.sum() * plane.resolution_area_px / plane.beam_area_px
        return float(compact + max(galaxies.sum() / plane.beam_area_px, 0))


def gaussian_fraction(level: float) -> float:
    """Part of a Gaussian profile's flux density that lies above an isophote.

    The mean brightness above a level t of a peak I is ``(I - t) / ln(I / t)``, and ``1 - t / I`` of the flux
    density lies there.

    Parameters
    ----------
    level : float
        Of the isophote, over the mean brightness above it. 1 for a level of 0 or less, 0 for one of 1 or
        more.
    """
    if level <= 0:
        return 1.0
    if level >= 1:
        return 0.0
    peak = -float(lambertw(-level * np.exp(-level), -1).real) / level  # over the level
    return 1 - 1 / peak


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
    reach = disk(round(GROWN_BEAMS * cutout.mosaic.beam_px))
    grown = island | (ndimage.binary_dilation(island, reach) & ~others & ~cutout.blanked)
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
