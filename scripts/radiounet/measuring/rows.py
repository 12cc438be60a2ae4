"""Rows of the catalogues from what was measured of an island."""

import numpy as np
from astropy.coordinates import SkyCoord

from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane
from radiounet.measuring.columns import FIT, class_column
from radiounet.measuring.cutouts import Cutout
from radiounet.measuring.fluxes import lie_inside
from radiounet.measuring.objects import MeasuredObject
from radiounet.measuring.profiles import WITHIN_3, ExponentialFit
from radiounet.network.architectures.registry import OTHER_CLASSES
from radiounet.survey.survey import join_notes

NO_FIT: dict[str, object] = {name: -1 if name == "fit_flag" else np.nan for name in FIT}
"""Columns of a fit that was not made."""


def fit_row(measured: MeasuredObject, calibration_error: float) -> dict[str, object]:
    """Columns of the exponential fit of an island."""
    fit = measured.fit
    if fit is None:
        return dict(NO_FIT)
    plane = measured.cutout.mosaic.plane
    # Jy/beam to uJy/arcsec2
    brightness = 1e6 / plane.beam.area_arcsec2
    side = measured.cutout.pixel_arcsec / 60
    flux, noise = measured.fit_jy
    # the noise of the image is in the fit's own error
    error = np.linalg.norm([noise, measured.flux.subtraction_jy, calibration_error * flux])
    y, x = measured.cutout.origin + [fit.y, fit.x]
    ra, dec = to_sky(plane.wcs, x, y)
    return {
        "fit_ra_deg": float(ra),
        "fit_dec_deg": float(dec),
        "fit_i0_ujy_arcsec2": brightness * fit.peak,
        "fit_i0_err_ujy_arcsec2": brightness * fit.peak_error,
        "fit_re_arcmin": side * fit.radius_px,
        "fit_re_err_arcmin": side * fit.radius_error_px,
        "fit_axis_ratio": fit.ratio,
        "fit_angle_deg": position_angle_deg(measured.cutout, fit),
        "fit_flux_mjy": 1e3 * flux,
        "fit_flux_err_mjy": 1e3 * float(error),
        "fit_flux_3re_mjy": 1e3 * WITHIN_3 * flux,
        "fit_flux_3re_err_mjy": 1e3 * WITHIN_3 * float(error),
        "fit_chi2": fit.chi2,
        "fit_flag": fit.flag,
    }


def position_angle_deg(cutout: Cutout, fit: ExponentialFit) -> float:
    """Position angle of the major axis of a fit on the sky, north to east, 0..180."""
    angle = np.radians(fit.angle_deg)
    y, x = cutout.origin + [fit.y, fit.x]
    along = np.array([0, 1])
    ra, dec = to_sky(cutout.mosaic.plane.wcs, x - along * np.sin(angle), y + along * np.cos(angle))
    first, second = SkyCoord(ra, dec, unit="deg")
    return float(first.position_angle(second).deg % 180)


def image_columns(plane: Plane, frequency_hz: float) -> dict[str, object]:
    """Columns of the image that was measured; a frequency of NaN is not known."""
    return {"freq_mhz": frequency_hz / 1e6, "beam_arcsec": plane.made_with.mean_arcsec}


def notes_of(*cutouts: Cutout) -> str:
    """What is to be said of the image and of the compact sources of some cut-outs of it."""
    plane, coarse = cutouts[0].mosaic.plane, ""
    if (beam := plane.resolution) not in (None, plane.beam):
        size = f"{beam.major_arcsec:.1f} x {beam.minor_arcsec:.1f} arcsec"
        coarse = f"the beam of the image, {size}, is coarser than the model's"
    return join_notes(coarse, *dict.fromkeys(one.components.note for one in cutouts))


def class_means(cutout: Cutout, island: np.ndarray) -> dict[str, float]:
    """Mean probability of the other classes in an island; empty for a network that tells none."""
    return {
        name: float(plane[cutout.part][island].mean() / 255) for name, plane in cutout.mosaic.classes.items()
    }


def class_columns(means: dict[str, float]) -> dict[str, object]:
    """Columns of all other classes, NaN for those that the network does not tell."""
    return {class_column(name): means.get(name, np.nan) for name in OTHER_CLASSES}


def flux_columns(measured: MeasuredObject) -> dict[str, object]:
    """Columns of the flux densities of an island."""
    total, error, _ = measured.total_jy
    return {
        "flux_mjy": 1e3 * measured.flux.flux_jy,
        "flux_err_mjy": 1e3 * measured.flux.error_jy,
        "total_flux_mjy": 1e3 * total,
        "total_flux_err_mjy": 1e3 * error,
        "held_fraction": measured.held_fraction,
        "compact_mjy": 1e3 * measured.flux.compact_jy,
        "compact_count": measured.flux.compact_count,
        "blanked_fraction": measured.flux.blanked_fraction,
        **origin_columns(measured.cutout, measured.island),
    }


def origin_columns(cutout: Cutout, region: np.ndarray) -> dict[str, object]:
    """Columns of the origin of compact sources; `region` is bool ``[y, x]``."""
    components = cutout.components
    extended = lie_inside(cutout, region, components.extended)
    return {"compact_origin": components.origin, "extended_count": int(extended.sum())}
