"""Values of images that cannot be brightness, where a mosaic uses them and where it does not."""

import re
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import BrightnessError
from radiounet.images.image import grid_wcs
from radiounet.mosaicking import mosaic
from radiounet.mosaicking.coadd import Coadd, coadd_files
from radiounet.settings.mosaics import MosaicOptions
from skies import write_field

make_mosaic = partial(mosaic.make_mosaic, beam_arcsec=20.0)
OPTIONS = MosaicOptions(rms_box_px=120)
STRICT = MosaicOptions(rms_box_px=120, missing_field="reject")
GRID = grid_wcs(150.0, 35.0, 100, 4.5)


def fill(path, part, value):
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[part] = value


@pytest.mark.parametrize("kind", ["int", "app", "both"])
@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        (np.s_[20:60, 30:90], -9999, "areas of -9999: write NaN"),
        (np.s_[:, :36], -1e4, "areas of -10000: write NaN"),
        (np.s_[129:, :], -99, "areas of -99: write NaN"),  # the outermost row of the mosaic
        (np.s_[81, 80], -1e12, "a pixel of -1e[+]12; are BUNIT 'JY/BEAM' and BSCALE 1 right"),
        (np.s_[80, 80], 1e30, "a pixel of 1e[+]30; are BUNIT 'JY/BEAM' and BSCALE 1 right"),
    ],
)
def test_a_field_whose_values_are_no_brightness_is_left_out(tmp_path, monkeypatch, part, value, reason, kind):
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", 64)
    # one is added before it, one after it
    good = [write_field(tmp_path, name, sky=1e-2, seed=seed) for seed, name in enumerate(("a", "c"))]
    bad = write_field(tmp_path, "bad", sky=1e-2)
    without = make_mosaic(good, GRID, OPTIONS)
    filled = [bad.int_path, bad.app_path] if kind == "both" else [getattr(bad, f"{kind}_path")]
    for path in filled:
        fill(path, part, value)
    result = make_mosaic([*good, bad], GRID, OPTIONS)
    assert re.search(f"BrightnessError: .*{reason}", result.missing["bad"].reason)
    assert result.missing["bad"].file == filled[0]
    np.testing.assert_array_equal(result.image.data, without.image.data)
    with pytest.raises(BrightnessError, match=reason):
        make_mosaic([*good, bad], GRID, STRICT)


def narrow_beam(field):
    """Give a field a primary beam that falls from 1 in the middle to 0.3 at 40 px from it."""
    app = fits.getdata(field.app_path)
    y, x = np.indices(app.shape) - 80
    beam = np.exp(np.log(0.3) * np.hypot(y, x) ** 2 / 40**2)
    fill(field.int_path, np.s_[:], app / beam)
    return beam


@pytest.mark.parametrize("kind", ["int", "app"])
@pytest.mark.parametrize(
    ("part", "value"), [(np.s_[:20], -9999), (np.s_[3, 3], 1e12), (np.s_[:9, :9], -9999), (np.s_[140:], -99)]
)
def test_what_lies_off_the_mosaic_rejects_nothing(tmp_path, part, value, kind):
    field = write_field(tmp_path, "a", sky=1e-2)
    before = make_mosaic([field], GRID, STRICT)
    fill(getattr(field, f"{kind}_path"), part, value)
    np.testing.assert_array_equal(make_mosaic([field], GRID, STRICT).image.data, before.image.data)


@pytest.mark.parametrize(("kind", "value"), [("int", -9999), ("app", -9999), ("int", 1e12)])
def test_what_lies_below_the_beam_cut_rejects_nothing(tmp_path, value, kind):
    field = write_field(tmp_path, "a", sky=1e-2)
    dim = narrow_beam(field) < 0.2
    before = make_mosaic([field], GRID, OPTIONS.model_copy(update={"rms_box_px": 50}))
    assert np.isnan(before.image.data).any()
    fill(getattr(field, f"{kind}_path"), dim, value)
    strict = STRICT.model_copy(update={"rms_box_px": 50})
    np.testing.assert_array_equal(make_mosaic([field], GRID, strict).image.data, before.image.data)


def test_a_number_for_a_blank_up_to_the_beam_cut_is_a_part_of_what_is_interpolated(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    fill(field.int_path, narrow_beam(field) < 0.3, -9999)
    with pytest.raises(BrightnessError, match="int.fits: areas of -9999"):
        make_mosaic([field], GRID, STRICT)


def test_a_field_elsewhere_is_outside_whatever_its_values(tmp_path):
    good, far = write_field(tmp_path, "good", sky=1e-2), write_field(tmp_path, "far", ra=200.0)
    beside = write_field(tmp_path, "beside", ra=150.0 - 131.5 * 4.5 / 3600 / np.cos(np.radians(35)))
    for field in (far, beside):
        for path in (field.int_path, field.app_path):
            fill(path, np.s_[:], -9999)
    result = make_mosaic([good, far, beside], GRID, STRICT)
    assert all(one.reason.startswith("NoOverlapError") for one in result.outside.values())
    assert sorted(result.outside) == ["beside", "far"]


def test_the_noise_is_not_that_of_a_number_for_a_blank(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    fill(field.app_path, np.s_[:30, 20:140], -9999)
    corner = grid_wcs(150.0, 35.08, 40, 4.5)
    with pytest.raises(BrightnessError, match="app.fits: areas of -9999"):
        make_mosaic([field], corner, STRICT.model_copy(update={"rms_box_px": 150}))
    assert make_mosaic([field], corner, STRICT.model_copy(update={"rms_box_px": 90})).used


def test_a_field_with_solid_zeros_or_infinity_is_used(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2)
    for path in (field.int_path, field.app_path):
        fill(path, np.s_[:70], 0)
        fill(path, np.s_[:, :70], -np.inf)
    image = make_mosaic([field], GRID, OPTIONS).image.data
    assert np.isnan(image[:38]).all()
    assert np.isnan(image[:, :38]).all()
    assert np.isfinite(image[42:, 42:]).all()


@pytest.mark.parametrize("value", [-1, -10, -98.9, -9999])
@pytest.mark.parametrize("block_px", [64, 512])
def test_a_number_that_fills_what_a_mosaic_reads_stands_for_a_blank(tmp_path, monkeypatch, value, block_px):
    """The rim of a neighbouring field, of which nothing else lies on the mosaic."""
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", block_px)
    good = write_field(tmp_path, "good", sky=1e-2)
    rim = write_field(tmp_path, "rim", sky=1e-2, dec=35.0 - 360 * 4.5 / 3600, n_px=700)
    for path in (rim.int_path, rim.app_path):
        fill(path, np.s_[600:], value)
    result = make_mosaic([good, rim], GRID, OPTIONS)
    assert f"rim.int.fits: areas of {value:g}: write NaN" in result.missing["rim"].reason
    np.testing.assert_array_equal(result.image.data, make_mosaic([good], GRID, OPTIONS).image.data)


@pytest.mark.parametrize(
    ("kind", "value"), [("int", -1), ("int", -9999), ("int", 1e12), ("app", -1), ("app", -9999)]
)
@pytest.mark.parametrize("block_px", [64, 512])
def test_a_wrong_image_that_leaves_no_weight_is_named(tmp_path, monkeypatch, kind, value, block_px):
    """The other image is good, so their ratio is no primary beam above the cut."""
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", block_px)
    good = write_field(tmp_path, "good", sky=1e-2)
    rim = write_field(tmp_path, "rim", sky=1e-2, dec=35.0 - 360 * 4.5 / 3600, n_px=700)
    path = getattr(rim, f"{kind}_path")
    fill(path, np.s_[600:], value)
    said = re.escape(f"rim.{kind}.fits: {'a pixel' if value > 0 else 'areas'} of {value:g}")
    with pytest.raises(BrightnessError, match=said) as caught:
        make_mosaic([good, rim], GRID, STRICT)
    assert caught.value.file == path
    result = make_mosaic([good, rim], GRID, OPTIONS)
    assert re.search(f"^BrightnessError: .*{said}", result.missing["rim"].reason)
    assert not result.outside
    np.testing.assert_array_equal(result.image.data, make_mosaic([good], GRID, OPTIONS).image.data)


@pytest.mark.parametrize(("kind", "value"), [("int", -9999), ("app", -9999), ("int", 1e12)])
def test_a_field_below_the_beam_cut_is_outside_whatever_some_of_its_values(tmp_path, kind, value):
    good = write_field(tmp_path, "good", sky=1e-2)
    dim = write_field(tmp_path, "dim", sky=1e-2, beam=0.2)
    fill(getattr(dim, f"{kind}_path"), np.s_[60:90, 60:100], value)
    result = make_mosaic([good, dim], GRID, STRICT)
    assert result.outside["dim"].reason.startswith("BeamCutError")
    np.testing.assert_array_equal(result.image.data, make_mosaic([good], GRID, STRICT).image.data)


@pytest.mark.parametrize("part", [np.s_[40:70, 40:70], np.s_[:, 100:]])
@pytest.mark.parametrize("block_px", [64, 512])
def test_a_lower_pixel_does_not_hide_an_area(tmp_path, monkeypatch, part, block_px):
    monkeypatch.setattr("radiounet.mosaicking.coadd.BLOCK_PX", block_px)
    field = write_field(tmp_path, "a", sky=1e-2)
    for path in (field.int_path, field.app_path):
        fill(path, part, -9999)
        fill(path, np.s_[90, 90], -10001)
    with pytest.raises(BrightnessError, match="int.fits: areas of -9999: write NaN"):
        make_mosaic([field], GRID, STRICT)


def test_a_number_that_fills_the_box_of_the_noise_stands_for_a_blank(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2, n_px=700)
    fill(field.app_path, np.s_[250:450, 250:450], -1)
    with pytest.raises(BrightnessError, match="app.fits: areas of -1"):
        make_mosaic([field], grid_wcs(150.0, 35.0 + 200 * 4.5 / 3600, 100, 4.5), STRICT)


@pytest.mark.parametrize("part", [np.s_[20:60, 30:90], np.s_[80, 36], np.s_[20:140, 20:140]])
@pytest.mark.parametrize("value", [1e30, 1e300, -1e300])
@pytest.mark.parametrize("kinds", [("int",), ("app",), ("int", "app")])
def test_numbers_beyond_those_of_32_bits_are_no_blanks(tmp_path, kinds, part, value):
    field = write_field(tmp_path, "a", sky=1e-2)
    for path in (getattr(field, f"{kind}_path") for kind in kinds):
        header, data = fits.getheader(path), fits.getdata(path).astype(np.float64)
        data[part] = value
        fits.writeto(path, data, header, overwrite=True)
    options = STRICT.model_copy(update={"beam_median": False, "rms_box_px": 150})
    number = re.escape(f"{value:g}")
    with pytest.raises(BrightnessError, match=rf"({'|'.join(kinds)}).fits: .* of {number}[;:]"):
        make_mosaic([field], grid_wcs(150.0, 35.0, 130, 4.5), options)


@pytest.mark.parametrize("off", [np.s_[28, 80], np.s_[20:28, 60:90]])
@pytest.mark.parametrize(("used", "value"), [(np.s_[60, 80], 1e12), (np.s_[60:70, 80:90], -9999)])
def test_the_image_whose_values_are_used_is_named(tmp_path, off, used, value):
    """Two rows beside the mosaic, inside the window that is read, both are wrong."""
    field = write_field(tmp_path, "a", sky=1e-2)
    for path in (field.int_path, field.app_path):
        fill(path, off, -1e12)
    fill(field.app_path, used, value)
    with pytest.raises(BrightnessError, match=f"app.fits: .* of {value:g}".replace("+", "[+]")) as caught:
        make_mosaic([field], GRID, STRICT)
    assert caught.value.file == field.app_path


def test_fields_are_added_twice_at_most(tmp_path, monkeypatch):
    """Whatever the number of those that are left out."""
    fields = [write_field(tmp_path, f"f{n}", sky=1e-2, seed=n) for n in range(8)]
    for field in fields[1::2]:
        fill(field.int_path, np.s_[80:90, 80:90], -9999)
    added, add = [], Coadd.add
    monkeypatch.setattr(Coadd, "add", lambda *args: added.append(args) or add(*args))
    result = make_mosaic(fields, GRID, OPTIONS)
    assert sorted(result.missing) == ["f1", "f3", "f5", "f7"]
    assert len(added) == 8 + 4 + 4  # all, those that are named, the good ones again
    np.testing.assert_array_equal(result.image.data, make_mosaic(fields[::2], GRID, OPTIONS).image.data)


def add_files(folder, fields, weight=1.0):
    """What `radiounet mosaic` makes of the true-flux images of fields."""
    like, out = (str(folder / f"{name}.fits") for name in ("like", "out"))
    fits.writeto(like, np.zeros((100, 100), np.float32), GRID.to_header(), overwrite=True)
    pairs = []
    for field in fields:
        weights = np.broadcast_to(np.float32(weight), fits.getdata(field.int_path).shape)
        pairs.append((field.int_path, field.int_path.replace(".int.", ".weight.")))
        fits.writeto(pairs[-1][1], weights, fits.getheader(field.int_path), overwrite=True)
    coadd_files(pairs, like, out, str(folder / "weights.fits"))
    return fits.getdata(out)


@pytest.mark.parametrize("part", [np.s_[:20], np.s_[:, 140:], np.s_[:9, :9]])
def test_what_lies_off_the_grid_of_a_mosaic_of_files_refuses_nothing(tmp_path, part):
    fields = [write_field(tmp_path, name, sky=1e-2, seed=n) for n, name in enumerate("ab")]
    before = add_files(tmp_path, fields)
    fill(fields[0].int_path, part, -9999)
    np.testing.assert_array_equal(add_files(tmp_path, fields), before)


@pytest.mark.parametrize("value", [-1, -98.9, -9999])
def test_a_number_that_fills_what_is_read_of_a_file_stands_for_a_blank(tmp_path, value):
    good = write_field(tmp_path, "good", sky=1e-2)
    rim = write_field(tmp_path, "rim", sky=1e-2, dec=35.0 - 360 * 4.5 / 3600, n_px=700)
    fill(rim.int_path, np.s_[600:], value)
    with pytest.raises(BrightnessError, match=f"rim.int.fits: areas of {value:g}: write NaN"):
        add_files(tmp_path, [good, rim])


def test_what_has_no_weight_is_not_compared_with(tmp_path):
    """Most of the image has none, and values of another scale."""
    field = write_field(tmp_path, "a", sky=1e-2)
    weight = np.zeros((160, 160))
    weight[50:110, 50:110] = 1
    fill(field.int_path, weight == 0, 1e6)
    fill(field.int_path, np.s_[60:70, 60:70], -10)
    with pytest.raises(BrightnessError, match="int.fits: areas of -10: write NaN"):
        add_files(tmp_path, [field], weight)


def test_a_number_beyond_those_of_32_bits_in_a_file_is_refused(tmp_path):
    field = write_field(tmp_path, "a", sky=1e-2, BUNIT="K")
    data = fits.getdata(field.int_path).astype(np.float64)
    data[80, 80] = 1e300
    fits.writeto(field.int_path, data, fits.getheader(field.int_path), overwrite=True)
    with pytest.raises(BrightnessError, match="int.fits: a pixel of 1e[+]300; are BUNIT 'K' and"):
        add_files(tmp_path, [field])


@pytest.mark.parametrize(
    ("unit", "value", "refused"),
    [
        ("JY/BEAM", 1e12, True),
        ("Jy/beam", 1e30, True),
        ("Jy/beam", -1e12, True),
        ("Jy/beam", 9e9, False),
        ("MJy/beam", 2e4, True),
        ("MJy/beam", 9e3, False),
        ("uJy/beam", 1e12, False),
        ("uJy/beam", 2e16, True),
        ("K", 1e30, False),
        ("MJY/BEAM", 1e30, False),  # mega or milli
        ("", 1e30, False),
    ],
)
def test_a_file_has_the_limit_of_its_unit(tmp_path, unit, value, refused):
    field = write_field(tmp_path, "a", sky=1e-2, BUNIT=unit)
    fill(field.int_path, np.s_[80, 80], value)
    said = re.escape(f"a.int.fits: a pixel of {value:g}; are BUNIT {unit!r} and BSCALE 1 right?")
    with pytest.raises(BrightnessError, match=said) if refused else nullcontext():
        assert np.nanmax(add_files(tmp_path, [field])) > 1e3
