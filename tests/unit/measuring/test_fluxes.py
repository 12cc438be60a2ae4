"""Flux densities of regions, and powers."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy import ndimage

from radiounet.images.background import BOX_PX, PERCENTILE_BIAS
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.rejections import Rejection
from radiounet.measuring.catalogue import join_limits
from radiounet.measuring.columns import CLUSTERS, EMPTY, LIMITS
from radiounet.measuring.compact import Components
from radiounet.measuring.cutout_files import StoredCutout, read_cutout, write_cutouts
from radiounet.measuring.cutouts import MeasuredMosaic, cut_out
from radiounet.measuring.fluxes import flux_at_150, lie_inside, power_w_hz, region_flux
from radiounet.measuring.mosaic_tables import MosaicTable
from radiounet.measuring.objects import measure_object
from radiounet.measuring.rows import notes_of
from radiounet.settings.measure import MeasureOptions

N_PX, RMS = 240, 1e-4
BEAM_PX = np.pi / (4 * np.log(2)) * 20**2 / 4.5**2
SIGMA = 20 / 4.5 / np.sqrt(8 * np.log(2))


def cutout(emission=0.0, mask=None, resolution=None, classes=None):
    data = emission + RMS * np.random.default_rng(3).standard_normal((N_PX, N_PX))
    plane = Plane(data.astype(np.float32), grid_wcs(150.0, 40.0, N_PX, 4.5), Beam(20, 20), resolution)
    mask = np.zeros((N_PX, N_PX), np.uint8) if mask is None else mask.astype(np.uint8)
    mosaic = MeasuredMosaic.of(plane, np.where(mask, 0.8, 0.1).astype(np.float32), mask, classes)
    return cut_out(mosaic, np.s_[20:220, 20:220])


def disc(radius, y0=120, x0=120):
    y, x = np.mgrid[:N_PX, :N_PX]
    return np.hypot(y - y0, x - x0) < radius


def test_flux_and_error_by_hand():
    region = disc(40)
    found = region_flux(cutout(4e-4 * region, region), region[20:220, 20:220], 0.1)
    area = region.sum()
    assert found.flux_jy == pytest.approx(4e-4 * area / BEAM_PX, rel=0.04)
    assert found.noise_jy == pytest.approx(RMS * np.sqrt(2 * area / BEAM_PX), rel=0.1)
    assert found.error_jy == pytest.approx(np.hypot(found.noise_jy, 0.1 * found.flux_jy))
    assert found.blanked_fraction == 0


@pytest.mark.parametrize(("resolution", "fwhm"), [(None, 20), (Beam(60, 60), 60), (Beam(80, 20), 40)])
def test_lengths_in_beams_are_of_the_beam_that_the_image_was_made_with(resolution, fwhm):
    """An object grows by a beam: a disc of 30 px by its FWHM, to 1 px."""
    one = cutout(resolution=resolution)
    assert one.mosaic.beam_px == pytest.approx(fwhm / 4.5)
    found = measure_object(replace(one, filled=np.ones_like(one.filled)), disc(30)[20:220, 20:220], 0.1)
    assert found.grown.flux_jy * BEAM_PX == pytest.approx(np.pi * (30 + fwhm / 4.5) ** 2, rel=0.06)


@pytest.mark.parametrize("gap_px", [0, 1, 3, 6, 20])
def test_the_surroundings_of_two_islands_count_once(gap_px):
    one = cutout(mask=disc(30))
    left, right = (np.zeros(one.labels.shape, bool) for _ in range(2))
    left[60:100, 50:80], right[60:100, 80 + gap_px : 120] = True, True
    solid = left | right
    one = replace(
        one, filled=np.ones_like(one.filled), blanked=~np.ones_like(solid), labels=solid.astype(int)
    )
    grown = [measure_object(one, island, 0.1).grown.flux_jy for island in (left, right)]
    alone = measure_object(one, solid, 0.1).grown.flux_jy
    assert sum(grown) == pytest.approx(alone)


def test_the_background_of_a_coarser_image_is_corrected_for_its_own_beams():
    """A low percentile of boxes lies below blank sky by the noise of a box, which grows with the beam."""
    fine, coarse = (cutout(resolution=beam).mosaic for beam in (None, Beam(60, 60)))
    # a box holds beams as 1.0645 FWHM is the side of the square of a beam's area
    expected = PERCENTILE_BIAS * 1.0645 * (60 - 20) / 4.5 / BOX_PX
    np.testing.assert_allclose((coarse.level - fine.level) / fine.rms, expected, rtol=1e-3)


def test_noise_of_a_coarser_image_counts_its_own_beams():
    region = disc(40)
    fine, coarse = (cutout(resolution=beam) for beam in (None, Beam(60, 60)))
    assert (notes_of(fine), notes_of(cutout(resolution=Beam(20, 20)))) == ("", "")
    assert (
        notes_of(coarse, coarse) == "the beam of the image, 60.0 x 60.0 arcsec, is coarser than the model's"
    )
    noise = [region_flux(one, region[20:220, 20:220], 0.0).noise_jy for one in (fine, coarse)]
    # nine times the beam: each independent element has nine times the flux density, and there are a ninth
    assert noise[1] / noise[0] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize(("resolution", "units"), [(None, 1), (Beam(60, 60), 9), (Beam(60, 30), 4.5)])
def test_the_smallest_region_has_the_noise_of_one_beam(resolution, units):
    """Of one of the image; it holds some beams of the unit."""
    one = cutout(resolution=resolution)
    region = np.zeros(one.residual.shape, bool)
    region[100, 100] = True
    expected = units * np.sqrt(2) * one.rms[100, 100]
    assert region_flux(one, region, 0.0).noise_jy == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("resolution", "units"), [(None, 1), (Beam(60, 60), 9), (Beam(60, 30), 4.5)])
def test_errors_of_compact_sources_are_flux_densities_of_the_beam_of_the_image(resolution, units):
    empty = cutout(resolution=resolution)
    assert not empty.compact.any()
    places, errors = np.array([[100.0, 90.0], [100.0, 110.0]]), np.array([3e-4, 4e-4])
    components = Components(*places, 0 * errors, errors, empty.components.covariance)
    found = region_flux(replace(empty, components=components), disc(40)[20:220, 20:220], 0.0)
    assert found.blanked_fraction == 0
    assert found.subtraction_jy == pytest.approx(units * 5e-4)


def test_pixels_without_data_do_not_count():
    image = 4e-4 * disc(40)
    image[:, 120:] = np.nan
    region = disc(40)[20:220, 20:220]
    whole, half = (region_flux(cutout(one, disc(40)), region, 0.1) for one in (4e-4 * disc(40), image))
    assert half.flux_jy == pytest.approx(whole.flux_jy / 2, rel=0.06)


def test_a_resolved_radio_galaxy_is_blanked_and_filled():
    y, x = np.mgrid[:N_PX, :N_PX]
    lobes = sum(np.exp(-((y - 120) ** 2 / 18 + (x - x0) ** 2 / 60)) for x0 in (105, 135))
    region = disc(45)
    with_galaxy = cutout(4e-4 * region + 8e-3 * lobes, region)
    inside = region[20:220, 20:220]
    found = region_flux(with_galaxy, inside, 0.1)
    alone = region_flux(cutout(4e-4 * region, region), inside, 0.1)
    total = 8e-3 * lobes.sum() / BEAM_PX
    # its wings below 2.5 times the level stay
    assert abs(found.flux_jy - alone.flux_jy) < 0.35 * total
    assert found.noise_jy > alone.noise_jy


def test_the_class_map_blanks_a_radio_galaxy():
    region, galaxy = disc(45), disc(12, x0=130)
    image = 4e-4 * region + 4e-4 * galaxy
    told, untold = (cutout(image, region, classes=one) for one in (called(galaxy), None))
    fluxes = [region_flux(one, region[20:220, 20:220], 0.1).flux_jy for one in (told, untold)]
    assert fluxes[0] < fluxes[1] - 0.3 * 4e-4 * galaxy.sum() / BEAM_PX


@pytest.mark.parametrize(("level", "blanked"), [(150, 0), (220, 1)])
def test_only_what_is_rather_a_radio_galaxy_than_diffuse_is_blanked(level, blanked):
    """Of 255: probabilities of 0.59 and 0.86, where that of diffuse emission is 0.8."""
    region, galaxy = disc(45), disc(12, x0=130)
    found = cutout(8e-4 * region, region, classes={"radio galaxy": (level * galaxy).astype(np.uint8)})
    assert found.blanked[galaxy[20:220, 20:220]].mean() == pytest.approx(blanked, abs=0.02)


@pytest.mark.parametrize("radius", [14, 20, 36])
def test_a_radio_galaxy_does_not_fill_itself(radius):
    """The largest is wider than the disc in which the median is taken."""
    region, galaxy = disc(45), disc(radius)
    light = 1e-3 * ndimage.gaussian_filter(disc(radius - 6).astype(float), 3)
    found = cutout(4e-4 * region + light, region, classes=called(galaxy))
    assert found.blanked[galaxy[20:220, 20:220]].mean() > 0.7
    assert np.median(found.filled[found.blanked]) == pytest.approx(4e-4, rel=0.15)


def test_a_radio_galaxy_at_the_side_of_an_island_gets_the_level_of_the_island():
    region, galaxy = disc(50), disc(30, x0=145)
    light = 1e-3 * ndimage.gaussian_filter(disc(24, x0=145).astype(float), 3)
    found = cutout(8e-4 * region + light, region, classes=called(galaxy))
    filled = found.filled[found.blanked & (found.labels > 0)]
    assert filled.min() > 3e-4  # not that of the sky
    assert filled.mean() == pytest.approx(8e-4, rel=0.1)


def test_an_island_that_is_all_radio_galaxy_gets_the_level_of_the_sky_beside_it():
    region = disc(14)
    light = 2e-3 * ndimage.gaussian_filter(region.astype(float), 3)
    found = region_flux(cutout(light, region, classes=called(region)), region[20:220, 20:220], 0.1)
    assert found.blanked_fraction == 1
    assert abs(found.flux_jy) < 0.05 * light.sum() / BEAM_PX


def called(galaxy):
    """Class map of a radio galaxy."""
    return {"radio galaxy": np.where(galaxy, 250, 0).astype(np.uint8)}


def test_what_lies_beyond_any_side_of_a_cutout_is_in_no_region():
    """Pixels 0 to 199 reach from -0.5 to 199.5."""
    one = cutout()
    middle, at = [100.0] * 4, [-0.6, -0.4, 199.4, 199.6]
    for places in ((at, middle), (middle, at)):
        found = lie_inside(one, np.ones(one.residual.shape, bool), np.array(places))
        assert found.tolist() == [False, True, True, False]


def test_a_region_without_data_has_no_flux_density():
    image = np.where(disc(40), np.nan, 0)
    found = region_flux(cutout(image), disc(30)[20:220, 20:220], 0.1)
    assert np.isnan([found.flux_jy, found.error_jy, found.compact_jy, found.blanked_fraction]).all()


def test_flux_at_150_by_hand():
    flux, error = flux_at_150(12.0, 1.0, 144e6, MeasureOptions())
    # (150 / 144)^-1.3 = 0.9483; ln(150 / 144) = 0.04082, times 0.4 and 12
    assert flux == pytest.approx(12 * 0.9483, rel=1e-4)
    assert error == pytest.approx(0.9483 * np.hypot(1, 0.1959), rel=1e-3)


def test_power_by_hand():
    # D_L at z 0.2 is 979.9 Mpc; S150 = 10 mJy (144/150)^1.3; (1+z)^0.3
    power, error = power_w_hz(0.01, 0.001, 144e6, 0.2, MeasureOptions())
    distance = 979.9 * 3.08568e22
    expected = 4 * np.pi * distance**2 * 0.01 * (150 / 144) ** -1.3 * 1e-26 * 1.2**0.3
    assert power == pytest.approx(expected, rel=2e-3)
    by_index = abs(np.log(150 / 144) - np.log(1.2)) * 0.4
    assert error / power == pytest.approx(np.hypot(0.1, by_index), rel=1e-3)


@pytest.mark.parametrize("redshift", [np.nan, 0.0, -0.1])
def test_no_power_without_a_redshift(redshift):
    assert np.isnan(power_w_hz(0.01, 0.001, 144e6, redshift, MeasureOptions())).all()


def test_cutouts_add_up_to_the_image(tmp_path):
    image = cutout(
        4e-4 * disc(30) + 5e-3 * np.exp(-((np.mgrid[:N_PX, :N_PX] - 90) ** 2).sum(0) / 7), disc(30)
    )
    stored = StoredCutout.of(image, image.labels > 0)
    write_cutouts(tmp_path / "a.fits", [("Abell 1 é", stored), ("B", stored)], {"model": "m"})
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [(hdu.name, hdu.ver) for hdu in hdus[1:]] == [
            (kind, number)
            for number in (1, 2)
            for kind in ("RESIDUAL", "COMPACT", "ISLANDS", "OWN", "LEVEL", "COMPONENTS")
        ]
        residual, compact, islands = (hdus[kind, 1].data for kind in ("RESIDUAL", "COMPACT", "ISLANDS"))
        whole = image.mosaic.plane.data[image.part]
        np.testing.assert_allclose(residual + compact, whole, atol=1e-7)
        assert set(np.unique(islands)) <= {-1, 0, 1}
        header = hdus["RESIDUAL", 1].header
        assert (header["BUNIT"], header["BMAJ"]) == ("JY/BEAM", pytest.approx(20 / 3600))
        assert hdus["RESIDUAL", 2].header["CLUSTER"] == "B"
        here, there = WCS(header).wcs_pix2world(5, 7, 0), image.mosaic.plane.wcs.wcs_pix2world(25, 27, 0)
        np.testing.assert_allclose(here, there, atol=1e-9)


@pytest.mark.parametrize("resolution", [None, Beam(60.0, 60.0), Beam(60.0, 40.0, 30.0)])
def test_a_cutout_comes_back_with_the_beam_of_its_image(tmp_path, resolution):
    made = cutout(resolution=resolution)
    write_cutouts(tmp_path / "a.fits", [("A", StoredCutout.of(made, made.labels > 0))], {})
    found = read_cutout(tmp_path / "a.fits", "A", 150.0, 40.0)
    assert found.residual.beam.is_about(Beam(20, 20))
    assert found.residual.resolution.is_about(resolution or Beam(20, 20))


def blank_row(columns, **values):
    return {name: EMPTY[column.kind] for name, column in columns.items()} | values


def test_limits_are_joined_by_name_and_position():
    place = {"ra_deg": 10.0, "dec_deg": 20.0}
    clusters = [
        blank_row(CLUSTERS, name="A", mask_fraction=0.0, **place),
        blank_row(CLUSTERS, name="B", mask_fraction=0.2, **place),
        blank_row(CLUSTERS, name="C", mask_fraction=0.0, **place),
        blank_row(CLUSTERS, name="A", mask_fraction=0.0, ra_deg=11.0, dec_deg=20.0),
    ]
    limits = [
        blank_row(LIMITS, name="A", flux_50_mjy=5.0, flux_90_mjy=9.0, limit_trials=48, **place),
        blank_row(LIMITS, name="B", flux_50_mjy=4.0, flux_90_mjy=8.0, limit_trials=48, **place),
    ]
    (table,) = join_limits([MosaicTable(clusters, {"version": "1"})], [MosaicTable(limits, {})])
    fluxes = [row["flux_90_mjy"] for row in table.rows]
    assert fluxes[:2] == [9.0, 8.0]
    assert np.isnan(fluxes[2:]).all()
    assert [row["flag_upper_limit"] for row in table.rows] == [True, False, False, False]
    assert table.rows[0]["upper_limit_mjy"] == 9.0


@pytest.mark.parametrize(
    ("detected", "halo_flux_mjy", "limit_mjy"),
    [(False, np.nan, 9.0), (True, np.nan, np.nan), (False, 8.8, np.nan), (True, 8.8, np.nan)],
)
def test_there_is_no_upper_limit_beside_what_the_own_mosaic_shows(detected, halo_flux_mjy, limit_mjy):
    """On sky of a neighbour, so that `mask_fraction` is 0."""
    place = {"name": "A", "ra_deg": 10.0, "dec_deg": 20.0}
    cluster = blank_row(CLUSTERS, mask_fraction=0.0, halo_flux_mjy=halo_flux_mjy, **place)
    limit = blank_row(LIMITS, flux_90_mjy=9.0, detected=detected, **place)
    (table,) = join_limits([MosaicTable([cluster], {})], [MosaicTable([limit], {})])
    (row,) = table.rows
    assert row["upper_limit_mjy"] == pytest.approx(limit_mjy, nan_ok=True)
    assert row["flag_upper_limit"] is bool(np.isfinite(limit_mjy))
    assert row["flux_90_mjy"] == 9.0


@pytest.mark.parametrize(("flag_coverage", "limit_mjy"), [(False, 9.0), (True, np.nan)])
def test_there_is_no_upper_limit_where_little_of_the_cluster_was_observed(flag_coverage, limit_mjy):
    place = {"name": "A", "ra_deg": 10.0, "dec_deg": 20.0}
    cluster = blank_row(CLUSTERS, mask_fraction=0.0, flag_coverage=flag_coverage, **place)
    (table,) = join_limits(
        [MosaicTable([cluster], {})], [MosaicTable([blank_row(LIMITS, flux_90_mjy=9.0, **place)], {})]
    )
    (row,) = table.rows
    assert row["upper_limit_mjy"] == pytest.approx(limit_mjy, nan_ok=True)
    assert row["flag_upper_limit"] is not flag_coverage


def test_each_image_of_a_cluster_has_its_own_limits_and_each_row_of_a_list_too():
    place = {"name": "A", "ra_deg": 10.0, "dec_deg": 20.0}
    cluster = blank_row(CLUSTERS, mask_fraction=0.0, **place)
    limits = [blank_row(LIMITS, flux_90_mjy=flux, **place) for flux in (10.0, 20.0, 30.0)]
    rejected = Rejection("d", "measure_limits", "mask.fits", "other")
    tables = join_limits(
        [MosaicTable([cluster], {}), MosaicTable([cluster] * 2, {}), MosaicTable([cluster], {})],
        [MosaicTable(limits[:1], {}), MosaicTable(limits[1:], {}), rejected],
    )
    fluxes = [[row["upper_limit_mjy"] for row in table.rows] for table in tables]
    assert fluxes[:2] == [[10.0], [20.0, 30.0]]
    assert np.isnan(fluxes[2]).all()
