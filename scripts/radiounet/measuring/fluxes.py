"""Flux densities of regions, their errors, and radio powers."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.io import fits

from radiounet.images.headers import frequency_hz
from radiounet.measuring.cutouts import Cutout
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import Release
from radiounet.survey.cosmology import flat_cosmology

SUBTRACTION_ERROR = 0.05
"""Of the flux density of compact sources that was taken away: what their fits leave or take too much,
beside the errors of the amplitudes."""
BLANKED_ERROR = 0.5
"""Of the flux density that fills blanked pixels."""
REFERENCE_HZ = 150e6
"""Frequency of powers (Cuciti et al. 2023, A&A 680, A30)."""


@dataclass(frozen=True)
class Flux:
    """A flux density and what belongs to it, Jy; NaN of a region without data.

    Attributes
    ----------
    flux_jy, error_jy : float
    noise_jy : float
        Error without that of the flux scale.
    subtraction_jy : float
        The part of it that is due to what was taken away and filled.
    compact_jy : float
        What was taken away as compact sources.
    compact_count : int
        Compact sources inside.
    blanked_fraction : float
        Part of the area that was filled with the level around it.
    """

    flux_jy: float
    error_jy: float
    noise_jy: float
    subtraction_jy: float
    compact_jy: float
    compact_count: int
    blanked_fraction: float


def region_flux(cutout: Cutout, region: np.ndarray, calibration_error: float) -> Flux:
    """Flux density of diffuse emission in a region: ``sum(I pixel area) / beam area``.

    The error adds in quadrature (Cassano et al. 2013, ApJ 777, 141, eq. 1, and the last two terms): the flux
    scale; the noise, ``rms sqrt(2 number of beams)``, the factor 2 because noise with the beam's
    correlation has an effective area of two beams; the compact sources that were taken away; and the pixels
    that were filled.

    Parameters
    ----------
    cutout : Cutout
    region : ndarray of bool, ``[y, x]``
        Pixels without data do not count.
    calibration_error : float
        Of the flux scale, fraction.
    """
    plane = cutout.mosaic.plane
    y, x = np.nonzero(region & cutout.known)
    if not y.size:
        return Flux(np.nan, np.nan, np.nan, np.nan, np.nan, 0, np.nan)
    area = plane.relative_area(y + cutout.origin[0], x + cutout.origin[1])

    def total(image: np.ndarray) -> float:
        return float((image[y, x] * area).sum(dtype=np.float64)) / plane.beam_area_px

    flux, compact = total(cutout.filled), total(cutout.compact)
    filled = total(np.where(cutout.blanked, cutout.filled, 0))
    independent = plane.resolution_area_px
    beams = max(float(area.sum()) / independent, 1.0)
    # rms in Jy/beam of the unit, times the beams of the unit in one independent element
    rms = cutout.rms[y, x] * (independent / plane.beam_area_px)
    square = float(np.mean(np.square(rms, dtype=np.float64)))
    inside = lie_inside(cutout, region, cutout.components.places)
    # of a component all of its flux density is in doubt, or none
    amplitudes = cutout.components.flux_error[inside] * (independent / plane.beam_area_px)
    parts = [*amplitudes, SUBTRACTION_ERROR * compact, BLANKED_ERROR * filled]
    subtraction = float(np.linalg.norm(parts))
    noise = float(np.hypot(np.sqrt(square * 2 * beams), subtraction))
    blanked = float((area * cutout.blanked[y, x]).sum() / area.sum())
    error = float(np.hypot(noise, calibration_error * flux))
    return Flux(flux, error, noise, subtraction, compact, int(inside.sum()), blanked)


def lie_inside(cutout: Cutout, region: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which positions lie on pixels of a region that have data, bool ``[position]``.

    A table or another image may have components where this one is blank.

    Parameters
    ----------
    cutout : Cutout
    region : ndarray of bool, ``[y, x]``
    places : ndarray, ``[(y, x), position]``
        Px; they may lie outside the cut-out.
    """
    nearest = np.rint(places).astype(int)
    limits = np.array(region.shape)[:, None] - 1
    on_cutout = ((nearest >= 0) & (nearest <= limits)).all(axis=0)
    return (region & cutout.known)[tuple(np.clip(nearest, 0, limits))] & on_cutout


def frequency_of(header: fits.Header, release: Release) -> float:
    """Frequency of an image, Hz: that of its header, or else of its release; NaN if neither says it.

    The header is one of `radiounet.images.reading.fits_header` or of an opened plane.
    """
    frequency = frequency_hz(header)
    if frequency is None:
        return 1e6 * release.frequency_mhz if release.is_listed else np.nan  # of own images nobody said it
    return frequency


def flux_at_150(
    flux_jy: float, error_jy: float, frequency_hz: float, options: MeasureOptions
) -> tuple[float, float]:
    """Flux density at 150 MHz, and its error with that of the spectral index, Jy."""
    scale = (REFERENCE_HZ / frequency_hz) ** options.spectral_index
    by_index = np.log(REFERENCE_HZ / frequency_hz) * options.spectral_index_error
    return float(scale * flux_jy), float(scale * np.hypot(error_jy, flux_jy * by_index))


def power_w_hz(
    flux_jy: float, error_jy: float, frequency_hz: float, redshift: float, options: MeasureOptions
) -> tuple[float, float]:
    """Radio power at 150 MHz in the frame of the source, and its error, W/Hz.

    ``P = 4 pi D_L^2 S150 (1 + z)^-(alpha + 1)`` for ``S ~ nu^alpha`` (Cuciti et al. 2023). The error holds
    that of the spectral index.

    Parameters
    ----------
    flux_jy, error_jy : float
        At `frequency_hz`.
    redshift : float
        NaN where it is not known; so are the results then.
    """
    if not redshift > 0:
        return np.nan, np.nan
    cosmology = flat_cosmology(options.h0, options.omega_m)
    distance = cosmology.luminosity_distance(redshift).to_value(u.m)
    index = options.spectral_index
    at_150, _ = flux_at_150(flux_jy, error_jy, frequency_hz, options)
    power = 4 * np.pi * distance**2 * at_150 * 1e-26 * (1 + redshift) ** (-(index + 1))
    # d ln P / d alpha = ln(150 / nu) - ln(1 + z)
    by_index = abs(np.log(REFERENCE_HZ / frequency_hz) - np.log1p(redshift)) * options.spectral_index_error
    per_jy = power / flux_jy if flux_jy else np.nan
    return float(power), float(np.hypot(per_jy * error_jy, power * by_index))
