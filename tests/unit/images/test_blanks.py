"""Which pixels hold no data: NaN, infinity, BLANK, and zeros where they fill areas."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import AllBlankError, BrightnessError
from radiounet.images.blanks import BRIGHTEST_JY, flaws, sentinels, solid_values, solid_zeros
from radiounet.images.image import grid_wcs, open_plane, read_plane


def write(path, data, **cards):
    header = grid_wcs(150.0, 35.0, data.shape[0], 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BUNIT="Jy/beam")
    hdu = fits.PrimaryHDU(data, header)
    hdu.header.update(cards)
    hdu.writeto(path)
    return path


def noise(n_px=60, kind=np.float32):
    return (5 * np.random.default_rng(1).standard_normal((n_px, n_px))).astype(kind)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8])
def test_zero_is_a_value_among_integers(tmp_path, kind):
    data = noise(kind=kind)
    data[:20] = 0
    plane = read_plane(write(tmp_path / "a.fits", data))
    assert np.isfinite(plane.data).all()
    np.testing.assert_array_equal(plane.data, data)


def test_the_value_of_blank_among_integers(tmp_path):
    data = noise(kind=np.int16)
    data[3, 4], data[5, 6] = -32768, 0
    plane = read_plane(write(tmp_path / "a.fits", data, BLANK=-32768))
    assert np.argwhere(np.isnan(plane.data)).tolist() == [[3, 4]]


def test_blank_and_scale_together(tmp_path):
    data = noise(kind=np.int16)
    data[3, 4] = 99
    path = write(tmp_path / "a.fits", data)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(BSCALE=0.5, BZERO=1.0, BLANK=99)
    plane = read_plane(path)
    assert np.argwhere(np.isnan(plane.data)).tolist() == [[3, 4]]
    np.testing.assert_allclose(plane.data[0], 1 + 0.5 * data[0])


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.uint32])
def test_the_value_of_blank_where_bzero_turns_the_sign(tmp_path, kind):
    """FITS has no such integers; it stores them shifted, and so is BLANK."""
    data = (100 + np.abs(noise())).astype(kind)
    path = write(tmp_path / "a.fits", data)
    stored = 7 if kind == np.int8 else -5
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BLANK"] = stored
        hdus[0].data[3, 4] = stored
    plane = read_plane(path)
    assert np.argwhere(np.isnan(plane.data)).tolist() == [[3, 4]]
    known = np.isfinite(plane.data)
    np.testing.assert_array_equal(plane.data[known], data[known])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_single_zeros_and_specks_are_data_solid_areas_are_not(tmp_path, kind):
    data = noise(kind=kind)
    y, x = np.indices(data.shape)
    disc = np.hypot(y - 30, x - 30) > 25
    data[disc] = 0
    specks = [(30, 30), (28, 33), (31, 31)]
    for row, column in specks:
        data[row : row + 2, column : column + 2] = 0
    data[20, 20], data[21, 22] = np.inf, np.nan
    plane = read_plane(write(tmp_path / "a.fits", data))
    blank = disc.copy()
    blank[20, 20] = blank[21, 22] = True
    np.testing.assert_array_equal(np.isnan(plane.data), blank)


def test_zeros_that_touch_a_solid_area_belong_to_it():
    data = np.ones((30, 30))
    data[:6, :6] = 0
    data[5, 6:20] = 0  # a tongue
    data[6, 20] = 0  # touches by a corner only
    data[20:24, 20:24] = 0  # four are not five
    expected = np.zeros(data.shape, bool)
    expected[:6, :6] = expected[5, 6:20] = True
    np.testing.assert_array_equal(solid_zeros(data), expected)
    assert solid_zeros(np.ones((30, 30))) is None
    assert solid_zeros(np.zeros((3, 40))).all()


def test_many_zeros_of_coarse_numbers_are_data(tmp_path):
    """Floats that were integers: a fifth of them are 0, in no solid area."""
    data = np.round(noise(300) / 2.5).astype(np.float32)
    assert 0.15 < (data == 0).mean() < 0.25
    assert np.isfinite(read_plane(write(tmp_path / "a.fits", data)).data).all()


def test_a_window_has_the_blanks_of_the_whole(tmp_path):
    data = noise(90)
    data[40:, 50:] = 0
    data[39, 10:51] = 0  # a tongue that no window's square tells
    data[5, 5] = 0
    stored = open_plane(write(tmp_path / "a.fits", data))
    whole = stored.window()
    assert np.isnan(whole[39, 10:51]).all()
    assert whole[5, 5] == 0
    for rows in (slice(0, 30), slice(30, 43), slice(38, 41), slice(43, 90)):
        for columns in (slice(0, 12), slice(12, 52), slice(52, 90)):
            np.testing.assert_array_equal(stored.window(rows, columns), whole[rows, columns])


@pytest.mark.parametrize("value", [1e11, -1e12, 1e30])
def test_brighter_than_the_sky(tmp_path, value):
    data = noise()
    data[5, 5] = value
    said = re.escape(f"a pixel of {value:g}; are BUNIT 'Jy/beam' and BSCALE 1 right?")
    with pytest.raises(BrightnessError, match=said):
        read_plane(write(tmp_path / "a.fits", data))


@pytest.mark.parametrize("scale", [1e30, 1e300])
def test_bscale_of_another_world(tmp_path, scale):
    path = write(tmp_path / "a.fits", 1 + np.abs(noise()).astype(np.float64))
    content = path.read_bytes()
    card = f"BSCALE  = {scale:20.1E}".ljust(80).encode()
    path.write_bytes(
        content.replace(b"BUNIT   = 'Jy/beam '".ljust(80), b"BUNIT   = 'Jy/beam '".ljust(80) + card, 1)
    )
    end = path.read_bytes()[: 2880 + 80]
    path.write_bytes(end[:2880] + path.read_bytes()[2960:])
    with pytest.raises(BrightnessError, match="BSCALE"):
        read_plane(path)


def test_all_zero(tmp_path):
    with pytest.raises(AllBlankError):
        read_plane(write(tmp_path / "a.fits", np.zeros((40, 40), np.float32)))


@pytest.mark.parametrize("rows", [8, 40, 55])
@pytest.mark.parametrize(("value", "unit"), [(-9999.0, "Jy/beam"), (-1e4, "mJy/beam"), (-32768.0, "Jy/beam")])
def test_a_number_that_stands_for_a_blank_is_refused(tmp_path, value, unit, rows):
    data = noise()
    data[:rows, 10:] = value
    with pytest.raises(BrightnessError, match=f"areas of {value:g}: write NaN where the image is blank"):
        read_plane(write(tmp_path / "a.fits", data, BUNIT=unit))


def test_an_image_of_nothing_but_a_number_for_a_blank_is_refused(tmp_path):
    data = np.full((60, 60), -9999, np.float32)
    data[:, 30:] = np.nan
    with pytest.raises(BrightnessError, match="areas of -9999: write NaN where the image is blank"):
        read_plane(write(tmp_path / "a.fits", data))


@pytest.mark.parametrize(
    ("level", "kind", "cards"),
    [(-0.8, np.float32, {}), (-98.9, np.float32, {}), (-1, np.int16, {}), (-1, np.int16, {"BSCALE": 1e-4})],
)
@pytest.mark.parametrize("rest", [0, np.nan])
def test_a_constant_below_zero_is_a_value(tmp_path, level, kind, cards, rest):
    """Nothing tells the scale of such an image: a default, or the levels 0 and -1 of a quiet one."""
    data = np.full((60, 60), level, np.float32)
    data[:, 30:] = 0 if kind == np.int16 else rest
    path = write(tmp_path / "a.fits", data.astype(kind))
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(cards)
    expected = np.float32(level * cards.get("BSCALE", 1))
    np.testing.assert_array_equal(read_plane(path).data[:, :30], expected)


@pytest.mark.parametrize(
    ("level", "kind", "unit"),
    [(-99, np.float32, "Jy/beam"), (-99, np.float32, "mJy/beam"), (-9999, np.int16, "uJy/beam")],
)
def test_a_constant_far_below_zero_stands_for_a_blank(tmp_path, level, kind, unit):
    data = np.full((60, 60), level, kind)
    data[:, 30:] = 0
    with pytest.raises(BrightnessError, match=f"areas of {level}: write NaN where the image is blank"):
        read_plane(write(tmp_path / "a.fits", data, BUNIT=unit))


def test_where_values_are_no_brightness():
    data = noise()
    parts = {
        "areas of -1e+30": np.s_[30:36, :9],
        "areas of -9999": np.s_[:9, 20:],
        "areas of -2000": np.s_[20:26, 20:],
        "a pixel of -1e+12": np.s_[40, 40],
    }
    for why, part in parts.items():
        data[part] = float(why.split()[-1])
    data[55:, 55:] = np.nan
    in_all = flaws(data, data, fits.Header(), BRIGHTEST_JY)
    found = {why.split(";")[0].split(":")[0]: where for where, why in in_all}
    assert found.keys() == parts.keys()
    for why, part in parts.items():
        expected = np.zeros(data.shape, bool)
        expected[part] = True
        np.testing.assert_array_equal(found[why], expected)
    for good in (noise(), np.full((9, 9), np.nan, np.float32)):
        assert not list(flaws(good, good, fits.Header(), BRIGHTEST_JY))


@pytest.mark.parametrize(("level", "refused"), [(-1, True), (-0.5, True), (-1e-3, False)])
def test_a_part_of_a_number_alone_is_compared_with_the_whole(tmp_path, level, refused):
    """As a mosaic or a cut-out reads it; half the noise is above 3 mJy/beam."""
    data = 1e-3 * noise(700)
    data[300:] = level
    stored = open_plane(write(tmp_path / "a.fits", data))
    window = slice(400, 500), slice(0, 700)
    with pytest.raises(BrightnessError, match="areas of") if refused else nullcontext():
        stored.require_brightness(stored.window(*window), *window)


@pytest.mark.parametrize("unit", ["Jy/beam", "uJy/beam", "MJy/beam"])
@pytest.mark.parametrize("value", [1e39, 1e300, -1e300])
def test_numbers_beyond_those_of_32_bits_are_no_blanks(tmp_path, unit, value):
    data = noise().astype(np.float64)
    data[5, 5], data[6, 6] = value, np.inf
    path = write(tmp_path / "a.fits", data, BUNIT=unit)
    plane = open_plane(path).window(slice(5, 7), slice(5, 7))
    assert abs(plane[0, 0]) > 1e30
    assert np.isnan(plane[1, 1])
    said = re.escape(f"a pixel of {value:g}; are BUNIT '{unit}' and BSCALE 1 right?")
    with pytest.raises(BrightnessError, match=said):
        read_plane(path)


@pytest.mark.parametrize("unit", ["Jy/beam", "uJy/beam", "mJy/beam", "MJy/beam"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-9999, np.float32), (-1e35, np.float32), (-1e35, np.float64), (-1e300, np.float64), (-9999, np.int16)],
)
def test_the_number_is_named_as_in_the_file(tmp_path, unit, value, kind):
    data = noise(kind=np.float64 if kind == np.float64 else np.float32).astype(kind)
    data[5:12, 5:12] = value
    said = re.escape(f"a.fits: areas of {value:g}: write NaN")
    with pytest.raises(BrightnessError, match=said):
        read_plane(write(tmp_path / "a.fits", data, BUNIT=unit))


LOWER = {
    "a pixel": (np.s_[40, 40], -10001),
    "two": (np.s_[40, 40:42], -10001),
    "three by three": (np.s_[50:53, 2:5], -32768),
    "a line": (np.s_[45, :], -10001),
    "a smaller area": (np.s_[45:50, 40:46], -10001),
}


@pytest.mark.parametrize("lower", LOWER)
@pytest.mark.parametrize("part", [np.s_[5:35, 5:35], np.s_[:5, :5], np.s_[55:, 55:], np.s_[:, 17:56]])
@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_what_is_lower_does_not_hide_an_area(tmp_path, kind, part, lower):
    data = noise(kind=kind)
    where, value = LOWER[lower]
    data[where] = value
    data[part] = -9999
    plane = open_plane(write(tmp_path / "a.fits", data))
    found = [why for _, why in plane.flaws(plane.window(), slice(None), slice(None))]
    numbers = [-10001, -9999] if (data[45:50, 40:45] == -10001).all() else [-9999]
    assert found == [f"areas of {number}: write NaN where the image is blank" for number in numbers]
    with pytest.raises(BrightnessError, match="areas of -"):
        read_plane(tmp_path / "a.fits")


@pytest.mark.parametrize("shape", [(60, 60), (1, 60), (60, 1), (3, 60), (61, 4), (5, 5), (1, 1)])
def test_values_are_solid_where_they_fill_a_square(shape):
    """Of 5 px, or as many as the image has: told as for zeros, wherever it lies."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        image = rng.integers(-2, 1, shape).astype(np.float32)
        for value in (-7, -8):
            y, x = (rng.integers(0, side) for side in shape)
            height, width = rng.integers(3, 8, 2)
            image[y : y + height, x : x + width] = value
        values = np.unique(image[image < 0])
        assert solid_values(image) == [one for one in values if solid_zeros(image != one) is not None]


def test_the_lowest_level_of_coarse_integers_is_a_value(tmp_path):
    data = np.rint(0.3 * noise(300)).astype(np.int16)
    data[:20] = -1
    data[100, 100] = 32000
    path = write(tmp_path / "a.fits", data)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["BSCALE"] = 0.0015
    assert np.isfinite(read_plane(path).data).all()


@pytest.mark.parametrize("bad", [[(3, 4)], [(y, x) for y in range(0, 60, 7) for x in range(0, 60, 7)]])
def test_single_pixels_far_below_zero_are_values(tmp_path, bad):
    data = noise()
    data[tuple(zip(*bad, strict=True))] = -9999
    assert np.isfinite(read_plane(write(tmp_path / "a.fits", data)).data).all()


def test_a_level_below_zero_is_a_value(tmp_path):
    data = np.full((60, 60), -0.5, np.float32)
    data[20:40] += np.abs(noise()[20:40])
    assert np.isfinite(read_plane(write(tmp_path / "a.fits", data)).data).all()


@pytest.mark.parametrize(("number", "found"), [(-60, None), (-80, -80)])
def test_an_area_must_lie_a_hundred_times_the_median_below_zero(number, found):
    """Of noise of 1 the median of the absolute values is 0.67."""
    image = noise() / 5
    image[20:30, 20:30] = number
    assert sentinels(image, image) == ([] if found is None else [found])


def test_an_image_of_repeated_pixels_is_compared_with_itself_once():
    """Each of its pixels fills a square of 5 x 5 px."""
    image, looks = np.kron(noise(40), np.ones((5, 5), np.float32)), []

    def whole():
        looks.append(1)
        return image

    assert len(solid_values(image)) > 700
    assert sentinels(image, image, whole) == []
    image[:5, :5] = -9999
    assert sentinels(image, image, whole) == [-9999]
    assert looks == [1, 1]
