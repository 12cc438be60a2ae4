"""The whole flux density of an island."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import oaconvolve

from maps import broad_plane
from radiounet.images.beams import Beam
from radiounet.images.gaussian import gaussian_kernel
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.measuring.cutouts import Cutout, MeasuredMosaic, beam_covariance, cut_out
from radiounet.measuring.objects import (
    EXCESS_ERROR,
    LEAST_FRACTION,
    MASK_ERROR,
    MOST_OF_PROFILE,
    OUTSHONE_FRACTION,
    MeasuredObject,
    exponential_fraction,
    measure_object,
)
from radiounet.measuring.rows import fit_row

N_PX, RMS = 240, 1e-5
BEAM_PX = np.pi / (4 * np.log(2)) * 20**2 / 4.5**2
Y, X = np.mgrid[:N_PX, :N_PX]


@pytest.mark.parametrize("radius", [0.05, 1, 3, 12])
def test_an_exponential_profile_above_an_isophote(radius):
    r = (np.arange(200_000) + 0.5) * radius / 200_000
    mean = np.average(np.exp(-r), weights=r)
    part = np.sum(r * np.exp(-r)) * radius / 200_000
    assert exponential_fraction(np.exp(-radius) / mean) == pytest.approx(part, rel=1e-5)


@pytest.mark.parametrize(
    ("level", "fraction"),
    [(-0.1, 1), (0, 1), (1e-300, 1), (np.nextafter(np.float32(1), 0), 0), (1, 0), (1.5, 0)],
)
def test_an_edge_that_is_no_isophote(level, fraction):
    assert exponential_fraction(level) == fraction


def measured(emission, island, compact=0.0):
    noise = RMS * np.random.default_rng(3).standard_normal((N_PX, N_PX))
    data = (emission + compact + noise).astype(np.float32)
    plane = Plane(data, grid_wcs(150.0, 40.0, N_PX, 4.5), Beam(20, 20), None)
    mask = island.astype(np.uint8)
    mosaic = MeasuredMosaic.of(plane, np.where(mask, 0.8, 0.1).astype(np.float32), mask, None)
    cutout = cut_out(mosaic, np.s_[20:220, 20:220])
    return measure_object(cutout, island[20:220, 20:220], 0.1)


def test_what_blanked_pixels_show_above_their_level_is_a_flux_density():
    """Nine of 10 mJy/beam: 90 mJy px/beam over the 22.38 px of a beam."""
    island = np.hypot(Y - 120, X - 120) < 30
    found = measured(0.0, island)
    galaxy = np.zeros(found.island.shape, bool)
    galaxy[99:102, 99:102] = True
    assert not len(found.cutout.components.flux)
    cutout = replace(found.cutout, blanked=galaxy, residual=0.01 * galaxy, filled=0.0 * galaxy)
    assert replace(found, cutout=cutout).central_jy == pytest.approx(0.09 / BEAM_PX, rel=1e-3)


def test_a_border_with_another_island_is_no_isophote():
    """Of 1 but for a rim of 0.1, two pixels wide as is half the beam, on three sides.

    The mean is 0.829, and the level 0.12 of it, at 4.5 radii, within which lies 0.94.
    """
    island, rim = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    island[10:50, 20:40] = rim[10:50, 20:40] = True
    rim[12:48, 20:38] = False
    labels = island.astype(np.int32)
    labels[10:50, 10:20] = 2
    filled = np.where(rim, 0.1, labels > 0)
    part, none = np.s_[0:60, 0:60], np.zeros((60, 60), bool)
    cutout = Cutout(SimpleNamespace(beam_px=4.0), part, None, none, filled, none, filled, labels)
    flux = SimpleNamespace(flux_jy=1.0, compact_jy=0.0)
    found = MeasuredObject(cutout, island, None, flux, flux, None)
    assert found.held_fraction == pytest.approx(0.94, abs=0.005)


def gaussian(sigma_px):
    return np.exp(-(np.square(Y - 120) + np.square(X - 120)) / (2 * sigma_px**2))


def exponential(radius_px):
    return np.exp(-np.hypot(Y - 120, X - 120) / radius_px)


@pytest.mark.parametrize("radii", [3, 4])
def test_what_a_mask_leaves_out_is_added(radii):
    light = 1e-3 * exponential(18)
    found = measured(light, light > np.exp(-radii) * 1e-3)
    # the edge, half a beam wide, is a little brighter than the isophote, and a beam more is summed
    assert found.held_fraction == pytest.approx(1 - (1 + radii) * np.exp(-radii), abs=0.07)
    assert found.total_jy[0] == pytest.approx(light.sum() / BEAM_PX, rel=0.25)
    assert abs(found.total_jy[0] - light.sum() / BEAM_PX) < abs(found.flux.flux_jy - light.sum() / BEAM_PX)


@pytest.mark.parametrize("level", [0.15, 0.3])
def test_a_gaussian_is_corrected_too_much_but_within_limits(level):
    light = 1e-3 * gaussian(25)
    found = measured(light, light > level * 1e-3)
    assert 1 < found.total_jy[0] / (light.sum() / BEAM_PX) < 1.25


def test_a_mask_that_holds_everything_adds_nothing():
    light = 1e-3 * gaussian(12)
    found = measured(light, light > 5e-6)
    assert found.held_fraction == pytest.approx(1, abs=0.03)


def test_an_island_on_a_plateau_is_not_made_endless():
    light = 4e-4 * gaussian(60)
    found = measured(light, light > 3e-4)
    assert found.held_fraction == LEAST_FRACTION


def test_the_error_holds_that_of_the_edge():
    light = 1e-3 * gaussian(25)
    found = measured(light, light > 2e-4)
    flux, error, noise = found.total_jy
    parts = found.grown.noise_jy / found.held_fraction, MASK_ERROR * flux
    assert noise == pytest.approx(np.hypot(*parts))
    assert error == pytest.approx(np.hypot(noise, 0.1 * flux))


def test_the_error_of_a_fit_holds_that_of_compact_sources_and_of_the_flux_scale():
    """Noise of 3 mJy, sources of 4 mJy, and a tenth of 120 mJy."""
    light = 1e-3 * exponential(18)
    found = measured(light, light > 5e-5)
    area = found.cutout.beam_area_px
    found = replace(
        found,
        fit=replace(found.fit, total=0.12 * area, total_error=3e-3 * area),
        flux=replace(found.flux, subtraction_jy=4e-3),
    )
    for scale, error in ((0.0, 5.0), (0.1, 13.0)):
        row = fit_row(found, scale)
        assert row["fit_flux_mjy"] == pytest.approx(120)
        assert row["fit_flux_err_mjy"] == pytest.approx(error)
        # exp(-3) (1 + 3): 0.8 of the light within three radii
        assert row["fit_flux_3re_err_mjy"] == pytest.approx(0.8009 * error, rel=1e-3)


@pytest.mark.parametrize("angle_deg", [30, 100, 150])
def test_position_angles_run_from_north_to_east(angle_deg):
    """North is up and east is left."""
    angle, y, x = np.radians(angle_deg), Y - 120, X - 120
    along, across = y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)
    light = 1e-3 * np.exp(-np.hypot(along / 24, across / 12))
    found = measured(light, light > 5e-5)
    assert found.shape.angle_deg == pytest.approx(angle_deg, abs=2)
    assert fit_row(found, 0.1)["fit_angle_deg"] == pytest.approx(angle_deg, abs=2)


def test_what_a_profile_cannot_explain_is_cut_off():
    lobe = 2e-4 * np.exp(-(np.square(Y - 120) + np.square(X - 160)) / (2 * 8**2))
    light = 5e-5 * exponential(20) + lobe
    found = measured(light, light > 1e-5)
    shown = found.grown.flux_jy / found.held_fraction
    flux, error, noise = found.total_jy
    halo = (light - lobe).sum() / BEAM_PX
    assert flux == MOST_OF_PROFILE * found.fit_jy[0] < shown
    assert abs(flux - halo) < 0.5 * abs(shown - halo)
    parts = found.grown.noise_jy / found.held_fraction, MASK_ERROR * flux, EXCESS_ERROR * (shown - flux)
    assert noise == pytest.approx(np.linalg.norm(parts))
    assert error == pytest.approx(np.hypot(noise, 0.1 * flux))


def relic():
    return (np.abs(Y - 120) < 8) & (np.abs(X - 120) < 80)


def ring():
    return np.abs(np.hypot(Y - 120, X - 120) - 45) < 10


def arc():
    return (np.abs(np.hypot(Y - 60, X - 120) - 80) < 8) & (np.abs(X - 120) < 60) & (Y > 60)


def blobs():
    return sum(np.hypot(Y - y, X - x) < 11 for y, x in ((100, 85), (150, 120), (95, 155))) > 0


@pytest.mark.parametrize("shape", [relic, ring, arc, blobs])
@pytest.mark.parametrize("brightness", [3e-5, 1e-4, 1e-3])
def test_what_is_no_profile_is_not_cut_off(shape, brightness):
    light = brightness * ndimage.gaussian_filter(shape().astype(float), 3)
    found = measured(light, light > 0.1 * brightness)
    assert found.total_jy[0] == found.grown.flux_jy / found.held_fraction
    # an edge as bright as the middle is taken for that of a profile that goes on
    assert 0.9 < found.total_jy[0] / (light.sum() / BEAM_PX) < 1.05 / LEAST_FRACTION


def test_nothing_left_is_not_made_less():
    hole = -5e-5 * gaussian(25)
    found = measured(hole, gaussian(25) > 0.3)
    assert found.flux.flux_jy < 0
    assert found.held_fraction == 1
    assert found.total_jy[0] == found.grown.flux_jy
    assert found.total_jy[1] > 0


def test_where_compact_sources_outshine_the_island_its_edge_says_nothing():
    light = 2e-4 * gaussian(25)
    source = 0.2 * np.exp(-(np.square(Y - 120) + np.square(X - 120)) / (2 * (20 / 4.5 / 2.3548) ** 2))
    found = measured(light, light > 6e-5, source)
    assert found.flux.compact_jy > 2 * found.flux.flux_jy
    assert found.held_fraction == OUTSHONE_FRACTION


@pytest.mark.parametrize("column", [1200, 2200])
def test_a_fit_has_the_pixels_of_its_place(column):
    plane = broad_plane()
    part = np.s_[0:300, column - 200 : column + 200 - max(column - 2200, 0)]
    y, x = np.mgrid[part]
    places = (unit_vectors(*to_sky(plane.wcs, *place)) for place in ((x, y), (column, 150)))
    radii = separation_deg(*places) * 60 / 40  # of 40 arcmin
    peak = 5.0 * plane.beam.area_arcsec2 / (2 * np.pi * (40 * 60) ** 2)  # of 5 Jy
    light = oaconvolve(
        peak * np.exp(-radii), gaussian_kernel(beam_covariance(plane, 150, column)), mode="same"
    )
    noise = 1e-3 * np.random.default_rng(3).standard_normal(light.shape)
    plane.data[part] = light + peak * noise
    mask = np.zeros(plane.data.shape, np.uint8)
    mask[part] = light > 0.05 * peak
    probability = np.where(mask, 0.8, 0.1).astype(np.float32)
    flat = MeasuredMosaic(plane, 0 * plane.data, 1e-3 * peak + 0 * plane.data, probability, mask)
    found = measure_object(cut_out(flat, part), mask[part] == 1, 0.1)
    row = fit_row(found, 0.1)
    assert row["fit_flux_mjy"] == pytest.approx(5000, rel=0.02)
    assert row["fit_re_arcmin"] == pytest.approx(40, rel=0.01)
    assert row["fit_i0_ujy_arcsec2"] == pytest.approx(1e6 * peak / plane.beam.area_arcsec2, rel=0.02)
