from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from test_facets import write_offsets, write_regions

from radiounet.errors import (
    AllBlankError,
    BadDataError,
    BeamError,
    NotConvergedError,
    ShapeMismatchError,
)
from radiounet.images.image import grid_wcs
from radiounet.mosaicking import mosaic
from radiounet.mosaicking.kernels import primary_beam
from radiounet.mosaicking.mosaic import (
    FieldImages,
    _blank_small_islands,
    clipped_rms,
    outside_circle,
)
from radiounet.settings.mosaics import MosaicOptions
from skies import BEAM_PX, FWHM_TO_SIGMA, write_field

make_mosaic = partial(mosaic.make_mosaic, beam_arcsec=20.0)
OPTIONS = MosaicOptions(rms_box_px=120)
STRICT = MosaicOptions(rms_box_px=120, missing_field="reject")
GRID = grid_wcs(150.0, 35.0, 100, 4.5)


def sigmas(result):
    return {one.images.name: one.rms_jy for one in result.used}


def test_primary_beam_is_the_median_ratio_cut_and_zero_where_blank():
    true = np.full((9, 9), 2.0, np.float32)
    app = true * 0.6
    app[4, 4] = 100.0  # one wild pixel: the 3x3 median removes it
    app[:, 7:] = true[:, 7:] * 0.2  # below the cut
    app[0, 0] = np.nan
    beam = primary_beam(app, true, 0.3, True)
    assert beam[4, 4] == pytest.approx(0.6)
    assert (beam[:, 8] == 0).all()
    assert beam[0, 0] == 0
    assert beam[3, 3] == pytest.approx(0.6)


def test_primary_beam_where_both_images_are_nearly_zero():
    zeros = np.zeros((5, 5), np.float32)
    assert (primary_beam(zeros, zeros, 0.3, True) == 0).all()


def test_clipped_rms_ignores_sources_and_blanks():
    image = np.random.default_rng(5).standard_normal((400, 400)) * 2e-4
    image[200:204, 200:204] = 1.0
    image[:, :150] = np.nan
    # the clip at 5 sigma hardly touches a normal distribution
    assert clipped_rms(image[50:350, 50:350], 5.0) == pytest.approx(2e-4, rel=0.01)


def test_clipped_rms_ignores_what_is_far_below_zero():
    image = np.ones((100, 100))
    image[::2] = -1
    image[50, 50] = -100
    assert clipped_rms(image, 5.0) == pytest.approx(1)


def test_noise_is_that_of_the_central_box(tmp_path):
    field = write_field(tmp_path, "a", n_px=400)
    with fits.open(field.app_path, mode="update") as hdus:
        hdus[0].data[:100] *= 1e3
    result = make_mosaic([field], GRID, MosaicOptions(rms_box_px=150))
    assert sigmas(result)["a"] == pytest.approx(1e-4, rel=0.1)


def test_noise_that_does_not_settle():
    # each round takes the largest value away, and with it a third of the rms
    values = 6.0 ** np.arange(40)
    with pytest.raises(NotConvergedError, match="did not settle in 20 rounds"):
        clipped_rms(values[None], 1.1)


def test_noise_that_can_not_be_measured():
    with pytest.raises(NotConvergedError, match="0 px left"):
        clipped_rms(np.full((50, 50), np.nan), 5.0)


def test_two_fields_are_averaged_with_inverse_variance_and_beam(tmp_path):
    a = write_field(tmp_path, "a", sky=1e-2, sigma=1e-4, beam=1.0, seed=1)
    b = write_field(tmp_path, "b", sky=1e-2, sigma=2e-4, beam=0.5, seed=2)
    result = make_mosaic([a, b], GRID, OPTIONS)
    # apparent noise includes the constant sky here, so take sigma as measured
    expected = (1.0 / sigmas(result)["a"]) ** 2 + (0.5 / sigmas(result)["b"]) ** 2
    np.testing.assert_allclose(result.weights, expected, rtol=1e-3)
    one, two = ((beam / sigmas(result)[n]) ** 2 for n, beam in (("a", 1.0), ("b", 0.5)))
    singles = [make_mosaic([field], GRID, OPTIONS).image.data for field in (a, b)]
    by_hand = (one * singles[0] + two * singles[1]) / (one + two)
    np.testing.assert_allclose(result.image.data, by_hand, rtol=1e-4)
    assert np.median(result.image.data) == pytest.approx(1e-2, rel=0.01)


def test_noise_of_the_mosaic_is_one_over_the_root_of_the_weights(tmp_path):
    fields = [write_field(tmp_path, f"f{i}", seed=i, n_px=400) for i in range(4)]
    grid = grid_wcs(150.0, 35.0, 300, 4.5)
    result = make_mosaic(fields, grid, OPTIONS)
    expected = 1 / np.sqrt(np.median(result.weights))
    assert expected == pytest.approx(1e-4 / 2, rel=0.05)
    assert result.image.data.std() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("dec", [-1.0, 35.0, 84.0])
def test_point_source_flux_survives_fields_of_different_beams_off_centre(tmp_path, dec):
    fields = []
    width = 1 / np.cos(np.radians(dec))
    places = [(0.0, 0.0, 1.0), (0.03, 0.021, 0.8), (-0.04, -0.017, 0.5)]
    yy, xx = np.indices((160, 160))
    for index, (east, north, centre) in enumerate(places):
        ra, place = (150 + east * width) % 360, dec + north
        field = write_field(tmp_path, f"f{index}", ra=ra, dec=place, sigma=1e-6 * (1 + index), seed=index)
        x, y = grid_wcs(ra, place, 160, 4.5).wcs_world2pix([[150.0, dec]], 0)[0]
        source = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * (BEAM_PX * FWHM_TO_SIGMA) ** 2))
        beam = centre * np.exp(-((xx - 80) ** 2 + (yy - 80) ** 2) / 2e4)
        for path, factor in ((field.int_path, 1.0), (field.app_path, beam)):
            with fits.open(path, mode="update") as hdus:
                hdus[0].data[:] = (factor * (hdus[0].data + 0.1 * source)).astype(np.float32)
        fields.append(field)
    plane = make_mosaic(fields, grid_wcs(150.0, dec, 100, 4.5), OPTIONS).image
    flux = plane.data[30:70, 30:70].sum() / plane.beam_area_px
    assert flux == pytest.approx(0.1, rel=0.005)


def test_order_of_fields_does_not_change_a_bit(tmp_path):
    """Sky levels of either sign cancel to a thousandth, so that another order of the sums would show."""
    levels = [1e4, -1e4, 3e3, -3e3, 1e-4]
    fields = [
        write_field(tmp_path, f"f{i}", ra=150 + 0.02 * i, seed=i, sky=level, sigma=1e-4 * (1 + i))
        for i, level in enumerate(levels)
    ]
    sums = []
    for order in (fields, fields[::-1], [fields[i] for i in (3, 0, 4, 1, 2)]):
        sums.append(make_mosaic(order, GRID, OPTIONS))
    for other in sums[1:]:
        np.testing.assert_array_equal(sums[0].image.data, other.image.data)
        np.testing.assert_array_equal(sums[0].weights, other.weights)


def test_blocks_and_threads_do_not_change_a_bit(tmp_path, monkeypatch):
    """Many small blocks, with all that looks beyond a pixel: the beam's median, noise map, shifted facets."""
    fields = []
    for n, ra in enumerate((150.0, 150.03)):
        field = write_field(tmp_path, f"f{n}", ra=ra, seed=n, beam=0.6)
        with fits.open(field.app_path, mode="update") as hdus:
            hdus[0].data *= np.linspace(0.5, 1.6, 160, dtype=np.float32)
        noise = (1e-4 * (1 + np.random.default_rng(n).random((160, 160)))).astype(np.float32)
        path = str(tmp_path / f"n{n}.fits")
        fits.PrimaryHDU(noise, fits.getheader(field.int_path)).writeto(path)
        regions = write_regions(tmp_path / f"{n}.reg", wcs=grid_wcs(ra, 35.0, 160, 4.5))
        offsets = write_offsets(tmp_path / f"o{n}.fits", ra=[20.0, -30.0], dec=[-25.0, 14.0])
        more = {"noise_path": path, "facets_path": str(regions), "offsets_path": str(offsets)}
        fields.append(replace(field, **more))
    whole = make_mosaic(fields, GRID, OPTIONS)
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", 64)
    parts = make_mosaic(fields, GRID, OPTIONS, threads=3)
    assert np.isfinite(whole.image.data).mean() > 0.9
    np.testing.assert_array_equal(parts.image.data, whole.image.data)
    np.testing.assert_array_equal(parts.weights, whole.weights)


def test_blank_parts_of_a_field_do_not_spread(tmp_path):
    a = write_field(tmp_path, "a", sky=1e-2, seed=1)
    b = write_field(tmp_path, "b", sky=1e-2, seed=2)
    for path in (a.int_path, a.app_path):
        with fits.open(path, mode="update") as hdus:
            hdus[0].data[:, :80] = np.nan
    both = make_mosaic([a, b], GRID, OPTIONS)
    alone = make_mosaic([b], GRID, OPTIONS)
    assert np.isfinite(both.image.data).all()
    np.testing.assert_allclose(both.image.data[:, :45], alone.image.data[:, :45], rtol=1e-5)


def test_flux_scale_scales_image_and_weight(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    plain = make_mosaic([field], GRID, OPTIONS)
    scaled = make_mosaic([FieldImages("a", field.int_path, field.app_path, 1.25)], GRID, OPTIONS)
    np.testing.assert_allclose(scaled.image.data, 1.25 * plain.image.data, rtol=1e-6)
    np.testing.assert_allclose(scaled.weights, plain.weights / 1.25**2, rtol=1e-6)


def test_small_islands_of_data_are_blanked(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    keep = np.zeros((160, 160), bool)
    keep[60:64, 60:64] = True  # 16 px, less after the 3x3 median
    keep[90:120, 90:120] = True
    for path in (field.int_path, field.app_path):
        with fits.open(path, mode="update") as hdus:
            hdus[0].data[~keep] = np.nan
    image = make_mosaic([field], GRID, OPTIONS).image.data
    assert np.isnan(image[:55, :55]).all()
    assert np.isfinite(image[70:80, 70:80]).all()


def test_circle_blanking_keeps_the_inscribed_disc(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    image = make_mosaic([field], GRID, OPTIONS, outside_circle(100)).image.data
    assert np.isnan(image[0, 0])
    assert np.isfinite(image[49, 1])
    assert np.isfinite(image).mean() == pytest.approx(np.pi / 4, abs=0.01)


def test_every_field_must_have_the_survey_beam(tmp_path):
    field = write_field(tmp_path, "a", BMAJ=6 / 3600, BMIN=6 / 3600)
    with pytest.raises(BeamError, match="6.00"):
        make_mosaic([field], GRID, STRICT)


def test_app_and_int_of_different_shape(tmp_path):
    a = write_field(tmp_path, "a")
    b = write_field(tmp_path, "b", n_px=150)
    with pytest.raises(ShapeMismatchError, match="field mixed"):
        make_mosaic([FieldImages("mixed", a.int_path, b.app_path)], GRID, STRICT)


def test_a_bad_field_is_skipped_and_recorded_or_rejects_the_mosaic(tmp_path):
    good = write_field(tmp_path, "good", sky=1e-2)
    bad = FieldImages("bad", str(tmp_path / "absent.fits"), str(tmp_path / "absent.fits"))
    result = make_mosaic([good, bad], GRID, OPTIONS)
    assert list(sigmas(result)) == ["good"]
    assert result.missing["bad"].reason.startswith("NotFitsError")
    assert result.missing["bad"].file.endswith("absent.fits")
    with pytest.raises(BadDataError):
        make_mosaic([good, bad], GRID, STRICT)


def test_fields_that_do_not_overlap(tmp_path):
    far = write_field(tmp_path, "far", ra=200.0, dec=-5.0)
    near = write_field(tmp_path, "near", ra=151.0)
    with pytest.raises(AllBlankError, match=r"NoOverlapError: .*far.int.fits has no pixel"):
        make_mosaic([far, near], GRID, OPTIONS)
    good = write_field(tmp_path, "good", sky=1e-2)
    # nothing is missing, so even the strict go on
    result = make_mosaic([far, good, near], GRID, STRICT)
    assert list(sigmas(result)) == ["good"]
    assert sorted(result.outside) == ["far", "near"]
    assert not result.missing


def test_a_field_wholly_below_the_beam_cut(tmp_path):
    dim = write_field(tmp_path, "dim", beam=0.2, sky=1e-2)
    with pytest.raises(AllBlankError, match=r"BeamCutError: .* primary beam below 0.3"):
        make_mosaic([dim], GRID, OPTIONS)
    lower = make_mosaic([dim], GRID, OPTIONS.model_copy(update={"beam_cut": 0.1}))
    assert np.isfinite(lower.image.data).all()


def test_a_field_with_no_beam_in_its_header(tmp_path):
    field = write_field(tmp_path, "a")
    with fits.open(field.app_path, mode="update") as hdus:
        del hdus[0].header["BMAJ"]
    with pytest.raises(BeamError, match="has no BMAJ"):
        make_mosaic([field], GRID, STRICT)


def test_int_and_app_on_different_coordinates(tmp_path):
    a = write_field(tmp_path, "a")
    b = write_field(tmp_path, "b", ra=150.01)
    with pytest.raises(ShapeMismatchError, match="differ in their coordinates"):
        make_mosaic([FieldImages("mixed", a.int_path, b.app_path)], GRID, STRICT)


def test_noise_map_weighs_pixel_by_pixel(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    noise = np.full((160, 160), 1e-4, np.float32)
    noise[:, 80:] = 2e-4
    noise[:40] = np.nan
    path = str(tmp_path / "noise.fits")
    fits.PrimaryHDU(noise, fits.getheader(field.int_path)).writeto(path)
    result = make_mosaic([replace(field, noise_path=path)], GRID, OPTIONS)
    # the grid's centre lies on the field's: its column 49 is the field's 79
    np.testing.assert_allclose(result.weights[30:, :48], 1e8, rtol=1e-4)
    np.testing.assert_allclose(result.weights[30:, 52:], 0.25e8, rtol=1e-4)
    assert np.isnan(result.image.data[:8]).all()
    assert sigmas(result)["a"] == pytest.approx(1.5e-4, rel=0.4)


def test_pixels_of_a_noise_map_that_are_too_small_are_told(tmp_path, caplog):
    field = write_field(tmp_path, "a", sky=1e-2)
    noise = np.full((160, 160), 1e-4, np.float32)
    noise[70:80, 70:80] = 1e-30
    path = str(tmp_path / "noise.fits")
    fits.PrimaryHDU(noise, fits.getheader(field.int_path)).writeto(path)
    result = make_mosaic([replace(field, noise_path=path)], GRID, OPTIONS)
    assert not result.weights[41:49, 41:49].any()
    assert f"{field.int_path}: its weight is infinite at 100 pixels: left out" in caplog.text


def test_a_noise_map_in_another_unit(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    header = fits.getheader(field.int_path)
    header["BUNIT"] = "mJy/beam"
    path = str(tmp_path / "noise.fits")
    fits.PrimaryHDU(np.full((160, 160), 0.1, np.float32), header).writeto(path)
    result = make_mosaic([replace(field, noise_path=path)], GRID, OPTIONS)
    np.testing.assert_allclose(result.weights, 1e8, rtol=1e-4)


def test_sigma_is_that_of_the_apparent_image(tmp_path):
    field = write_field(tmp_path, "a", beam=0.5)
    assert sigmas(make_mosaic([field], GRID, OPTIONS))["a"] == pytest.approx(1e-4, rel=0.1)


def test_a_field_that_gives_nothing_is_not_used(tmp_path):
    good, other = write_field(tmp_path, "good", sky=1e-2), write_field(tmp_path, "other", sky=1e-2)
    path = str(tmp_path / "noise.fits")
    header = fits.getheader(other.int_path)
    fits.PrimaryHDU(np.full((160, 160), np.nan, np.float32), header).writeto(path)
    # and one that lies one and a half pixels beside the grid, whose window still reaches it
    beside = write_field(tmp_path, "beside", ra=150.0 - 131.5 * 4.5 / 3600 / np.cos(np.radians(35)))
    result = make_mosaic([good, replace(other, noise_path=path), beside], GRID, OPTIONS)
    assert list(sigmas(result)) == ["good"]
    assert result.missing["other"].reason.startswith("AllBlankError")
    assert result.outside["beside"].reason.startswith("NoOverlapError")


def test_a_mosaic_with_nothing_left_is_rejected_by_name(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2, ra=150.085, dec=35.07)  # reaches a corner of the grid
    assert np.isfinite(make_mosaic([field], GRID, OPTIONS).image.data).any()
    with pytest.raises(AllBlankError, match="nothing is left of the mosaic of a"):
        make_mosaic([field], GRID, OPTIONS, lambda rows: np.ones((len(range(100)[rows]), 100), bool))


@pytest.mark.parametrize(("side", "kept"), [(4, False), (5, True)])
def test_islands_of_twenty_pixels_and_less_are_blanked(side, kept):
    image = np.full((40, 40), np.nan, np.float32)
    image[10:14, 10 : 10 + side] = 1.0  # 16 or 20 px
    image[20, 20] = 1.0
    _blank_small_islands(image, 19)
    assert np.isfinite(image[10, 10]) == kept
    assert np.isnan(image[20, 20])
    _blank_small_islands(image, 20)
    assert np.isnan(image).all()


def test_circle_by_hand():
    # 6 px: the centre is FITS pixel 3, index 2; radius 3
    outside = outside_circle(6)(slice(0, 6))
    assert not outside[2, 5]
    assert outside[0, 0] == (2**2 + 2**2 > 9)
    assert outside[5, 1]
    np.testing.assert_array_equal(outside, outside.T)


def test_sigma_map_is_the_noise_of_the_image(tmp_path):
    fields = [write_field(tmp_path, f"f{i}", seed=i, n_px=400) for i in range(4)]
    result = make_mosaic(fields, grid_wcs(150.0, 35.0, 300, 4.5), OPTIONS)
    assert np.nanmedian(result.rms()) == pytest.approx(0.5e-4, rel=0.05)
    # resampling bilinearly takes a few per cent of the noise away
    assert result.noise_ratio() == pytest.approx(1, abs=0.1)


def test_the_median_of_the_beam_is_an_option(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    with fits.open(field.app_path, mode="update") as hdus:
        hdus[0].data[79, 79] *= 3  # the grid's pixel (49, 49)
    weights = [
        make_mosaic([field], GRID, OPTIONS.model_copy(update={"beam_median": one})).weights
        for one in (True, False)
    ]
    assert weights[0][49, 49] == pytest.approx(weights[0][20, 20], rel=1e-3)
    assert weights[1][49, 49] == pytest.approx(9 * weights[1][20, 20], rel=1e-3)


def test_beam_without_its_median_keeps_a_wild_pixel():
    true = np.full((9, 9), 2.0, np.float32)
    app = true * 0.6
    app[4, 4] = 100.0
    assert primary_beam(app, true, 0.3, False)[4, 4] == 50


def test_beam_is_that_of_a_median_filter():
    rng = np.random.default_rng(3)
    app, true = rng.standard_normal((2, 40, 53)).astype(np.float32)
    app[rng.random(app.shape) < 0.1] = np.nan
    ratio = np.where(np.isfinite(app), app / true, 0).astype(np.float32)
    expected = ndimage.median_filter(ratio, 3, mode="nearest")
    expected[(expected < 0.3) | np.isnan(app)] = 0
    np.testing.assert_array_equal(primary_beam(app, true, 0.3, True), expected)


@pytest.mark.parametrize("dec", [-2.0, 35.0, 84.0])
def test_neighbouring_mosaics_agree_in_their_overlap(tmp_path, dec):
    """Same fields on two grids: the same noise but for the resampling, far below the noise itself."""
    width = 1 / np.cos(np.radians(dec))
    places = [(-0.05 * width, dec - 0.03), (0.04 * width, dec), (0.0, dec + 0.05)]
    fields = [
        write_field(tmp_path, f"f{n}", ra=ra % 360, dec=d, seed=n, n_px=300, sky=1e-3)
        for n, (ra, d) in enumerate(places)
    ]
    first, second = (grid_wcs(ra % 360, dec, 160, 4.5) for ra in (-0.04 * width, 0.04 * width))
    one, other = (make_mosaic(fields, grid, OPTIONS) for grid in (first, second))
    y, x = np.mgrid[40:120:7, 60:150:7]
    u, v = second.wcs_world2pix(*first.wcs_pix2world(x.ravel(), y.ravel(), 0), 0)
    inside = (u > 0) & (u < 159) & (v > 0) & (v < 159)
    assert inside.sum() > 50
    there = ndimage.map_coordinates(other.image.data, [v[inside], u[inside]], order=1)
    here = one.image.data[y.ravel()[inside], x.ravel()[inside]]
    assert np.std(there - here) < 0.2 * np.nanmedian(one.rms())
    assert np.mean(there - here) == pytest.approx(0, abs=0.05 * float(np.nanmedian(one.rms())))
