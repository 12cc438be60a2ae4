import shutil

import numpy as np
import pytest
from astropy.io import fits

from radiounet.config import MosaicOptions
from radiounet.errors import (
    BadDataError,
    BeamError,
    NotConvergedError,
    NotInArchiveError,
    ShapeMismatchError,
)
from radiounet.image import grid_wcs
from radiounet.mosaic import FieldImages, clipped_rms, mosaic_fields, primary_beam
from radiounet.mosaic import make_mosaic as make_any_mosaic
from radiounet.products import Products, Rejection, write_rejected
from radiounet.sky import Mosaic
from skies import draw_noise

OPTIONS = MosaicOptions(sigma_box_px=120)
STRICT = MosaicOptions(sigma_box_px=120, missing_field="reject")
GRID = grid_wcs(150.0, 35.0, 100, 4.5)


def make_mosaic(fields, grid, options, circle=False):
    return make_any_mosaic(fields, grid, options, circle)


def write_field(
    folder, name, *, ra=150.0, dec=35.0, sky=0.0, sigma=1e-4, beam=1.0, seed=1, n_px=160, **changes
):
    """A field of constant brightness and constant primary beam, with noise in the apparent image."""
    wcs = grid_wcs(ra, dec, n_px, 4.5)
    header = wcs.to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    header.update(changes)
    noise = sigma * draw_noise(n_px, 20 / 4.5, np.random.default_rng(seed))
    app = (beam * sky + noise).astype(np.float32)
    paths = [folder / f"{name}.{kind}.fits" for kind in ("int", "app")]
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in zip(paths, (app / beam, app), strict=True):
        fits.PrimaryHDU(data.astype(np.float32), header).writeto(path)
    return FieldImages(name, *map(str, paths))


def test_primary_beam_is_the_median_ratio_cut_and_zero_where_blank():
    true = np.full((9, 9), 2.0, np.float32)
    app = true * 0.6
    app[4, 4] = 100.0  # one wild pixel: the 3x3 median removes it
    app[:, 7:] = true[:, 7:] * 0.2  # below the cut
    app[0, 0] = np.nan
    beam = primary_beam(app, true, 0.3)
    assert beam[4, 4] == pytest.approx(0.6)
    assert (beam[:, 8] == 0).all()
    assert beam[0, 0] == 0
    assert beam[3, 3] == pytest.approx(0.6)


def test_primary_beam_where_both_images_are_nearly_zero():
    zeros = np.zeros((5, 5), np.float32)
    assert (primary_beam(zeros, zeros, 0.3) == 0).all()


def test_clipped_rms_ignores_sources_and_blanks():
    image = np.random.default_rng(5).standard_normal((400, 400)) * 2e-4
    image[200:204, 200:204] = 1.0
    image[:, :150] = np.nan
    # the clip at 5 sigma hardly touches a normal distribution
    assert clipped_rms(image, 300, 5.0) == pytest.approx(2e-4, rel=0.01)


def test_clipped_rms_uses_the_central_box_only():
    image = np.random.default_rng(5).standard_normal((400, 400))
    image[100:300, 100:300] *= 1e-3
    assert clipped_rms(image, 200, 5.0) == pytest.approx(1e-3, rel=0.02)


def test_noise_that_can_not_be_measured():
    with pytest.raises(NotConvergedError, match="0 px left"):
        clipped_rms(np.full((50, 50), np.nan), 50, 5.0)


def test_two_fields_are_averaged_with_inverse_variance_and_beam(tmp_path):
    a = write_field(tmp_path, "a", sky=1e-2, sigma=1e-4, beam=1.0, seed=1)
    b = write_field(tmp_path, "b", sky=1e-2, sigma=2e-4, beam=0.5, seed=2)
    result = make_mosaic([a, b], GRID, OPTIONS)
    # apparent noise includes the constant sky here, so take sigma as measured
    expected = (1.0 / result.sigmas["a"]) ** 2 + (0.5 / result.sigmas["b"]) ** 2
    np.testing.assert_allclose(result.weights, expected, rtol=1e-3)
    one, two = ((beam / result.sigmas[n]) ** 2 for n, beam in (("a", 1.0), ("b", 0.5)))
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


def test_point_source_flux_survives_fields_off_centre(tmp_path):
    fields = []
    for index, (ra, dec) in enumerate([(150.0, 35.0), (150.03, 35.021), (149.96, 34.983)]):
        field = write_field(tmp_path, f"f{index}", ra=ra, dec=dec, sigma=1e-6, seed=index)
        wcs = grid_wcs(ra, dec, 160, 4.5)
        x, y = wcs.wcs_world2pix([[150.0, 35.0]], 0)[0]
        yy, xx = np.indices((160, 160))
        s = 20 / 4.5 / np.sqrt(8 * np.log(2))
        source = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * s * s))
        for path in (field.int_path, field.app_path):
            with fits.open(path, mode="update") as hdus:
                hdus[0].data += (0.1 * source).astype(np.float32)
        fields.append(field)
    plane = make_mosaic(fields, GRID, OPTIONS).image
    flux = plane.data[30:70, 30:70].sum() / plane.beam_area_px
    assert flux == pytest.approx(0.1, rel=0.005)


def test_order_of_fields_does_not_change_a_bit(tmp_path):
    fields = [write_field(tmp_path, f"f{i}", ra=150 + 0.02 * i, seed=i) for i in range(4)]
    first = make_mosaic(fields, GRID, OPTIONS)
    second = make_mosaic(fields[::-1], GRID, OPTIONS)
    np.testing.assert_array_equal(first.image.data, second.image.data)
    np.testing.assert_array_equal(first.weights, second.weights)


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
    image = make_mosaic([field], GRID, OPTIONS, circle=True).image.data
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
    assert list(result.sigmas) == ["good"]
    assert result.missing["bad"].reason.startswith("NotFitsError")
    assert result.missing["bad"].file.endswith("absent.fits")
    with pytest.raises(BadDataError):
        make_mosaic([good, bad], GRID, STRICT)


def test_fields_that_do_not_overlap_leave_nothing(tmp_path):
    far = write_field(tmp_path, "far", ra=200.0, dec=-5.0)
    near = write_field(tmp_path, "near", ra=151.0)
    with pytest.raises(NotInArchiveError, match="none overlaps"):
        make_mosaic([far, near], GRID, OPTIONS)


def test_a_field_wholly_below_the_beam_cut(tmp_path):
    with pytest.raises(NotInArchiveError, match="none overlaps"):
        make_mosaic([write_field(tmp_path, "dim", beam=0.2, sky=1e-2)], GRID, OPTIONS)


def test_mosaic_products_record_their_fields(tmp_path):
    products = Products(str(tmp_path / "dr2"))
    for name in ("a", "b"):
        field = write_field(tmp_path / "raw", name, sky=1e-2)
        folder = tmp_path / "dr2" / "fields" / name
        folder.mkdir(parents=True)
        for kind, path in (("int", field.int_path), ("app", field.app_path)):
            shutil.copyfile(path, folder / f"{kind}.fits")
    for kind in ("int", "app"):
        write_rejected(products.field_image("c", kind), Rejection("c", "fetch_field", "url", "404"))
    place = Mosaic("m", 150.0, 35.0, 100)
    mosaic_fields(place, "dr3", ["a", "b", "c"], products, OPTIONS)
    header = fits.getheader(products.image("m"))
    assert (header["NFIELDS"], header["NMISSING"]) == (2, 1)
    history = str(header["HISTORY"])
    assert "field a sigma" in history
    assert "missing c" in history
    weights = fits.getdata(products.weights("m"))
    assert weights.shape == (100, 100)
    with pytest.raises(BadDataError):
        mosaic_fields(place, "dr3", ["a", "c"], products, STRICT)
