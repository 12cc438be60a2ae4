"""Rows of the catalogue of islands, on images with hand-made islands."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.measuring.cutouts import MeasuredMosaic
from radiounet.measuring.islands import designation, measure_islands
from radiounet.measuring.shapes import largest_size_px
from radiounet.settings.measure import MeasureOptions

BEAM_PX = np.pi / (4 * np.log(2)) * 20**2 / 4.5**2  # 22.38 px in a 20" beam
NOISE = 1e-4


def a_plane(n_px=200, ra=150.0, dec=40.0, noise=NOISE):
    data = np.random.default_rng(1).normal(0, noise, (n_px, n_px)).astype(np.float32)
    return Plane(data, grid_wcs(ra, dec, n_px, 4.5), Beam(20, 20))


def islands_of(mask, plane=None, probability=None, calibration_error=0.1, classes=None):
    plane = plane or a_plane(len(mask))
    probability = np.full(mask.shape, 0.8, np.float32) if probability is None else probability
    options = MeasureOptions(calibration_error=calibration_error)
    mosaic = MeasuredMosaic.of(plane, probability, mask, classes)
    return [one.row for one in measure_islands(mosaic, options)]


def mask_of(*parts, n_px=200):
    mask = np.zeros((n_px, n_px), np.uint8)
    for part in parts:
        mask[part] = 1
    return mask


def turned(angle_deg, n_px):
    """Places along and across an axis through the middle, px ``[y, x]``."""
    y, x = np.mgrid[:n_px, :n_px] - (n_px - 1) / 2
    angle = np.radians(angle_deg)
    return y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)


def test_rectangle():
    plane = a_plane()
    plane.data[50:80, 60:110] += 4e-4
    mask = mask_of(np.s_[50:80, 60:110])
    (row,) = islands_of(mask, plane)
    # centre of the island (x 84.5, y 64.5), of the grid (99, 99): 65.25" east, 155.25" south
    dec = 40 - 155.25 / 3600
    assert row["dec_deg"] == pytest.approx(dec, abs=0.05 / 3600)
    assert row["ra_deg"] == pytest.approx(150 + 65.25 / 3600 / np.cos(np.radians(dec)), abs=0.05 / 3600)
    assert row["area_arcmin2"] == pytest.approx(1500 * 4.5**2 / 3600, rel=1e-5)
    assert row["extent_arcmin"] == pytest.approx((1 + np.hypot(29, 49)) * 4.5 / 60, rel=1e-4)
    assert row["flux_mjy"] == pytest.approx(1e3 * 4e-4 * 1500 / BEAM_PX, rel=0.06)
    noise = 1e3 * NOISE * np.sqrt(2 * 1500 / BEAM_PX)
    assert row["flux_err_mjy"] == pytest.approx(np.hypot(noise, 0.1 * row["flux_mjy"]), rel=0.1)
    # second moments of a rectangle: sides over sqrt(12), each with the noise's share
    assert row["axis_ratio"] == pytest.approx(50 / 30, rel=0.05)
    assert row["position_angle_deg"] == pytest.approx(90, abs=3)
    assert row["peak_snr"] == pytest.approx(plane.data[50:80, 60:110].max() / NOISE, rel=0.15)


def test_name_is_of_the_position():
    (row,) = islands_of(mask_of(np.s_[99, 99]))
    assert row["name"] == "RUN J100000.0+400000"


def test_position_is_weighted_with_probability():
    probability = np.zeros((200, 200), np.float32)
    probability[99, 99:101] = 0.9, 0.3
    (row,) = islands_of(mask_of(np.s_[99, 99:101]), probability=probability)
    west = 0.25 * 4.5 / 3600 / np.cos(np.radians(40))
    assert row["ra_deg"] == pytest.approx(150 - west, abs=0.01 / 3600)
    assert row["p_mean"] == pytest.approx(0.6)
    assert row["p_max"] == pytest.approx(0.9)


def test_position_east_of_zero_hours_is_below_360():
    (row,) = islands_of(mask_of(np.s_[99, 109]), a_plane(ra=0.0, dec=0.0))
    assert row["ra_deg"] == pytest.approx(360 - 45 / 3600, abs=0.05 / 3600)


def test_islands_come_from_bottom_to_top():
    rows = islands_of(mask_of(np.s_[150, 10], np.s_[20, 100], np.s_[90, 30:40]))
    assert [round(row["area_arcmin2"] * 3600 / 20.25) for row in rows] == [1, 10, 1]
    assert rows[0]["dec_deg"] < rows[1]["dec_deg"] < rows[2]["dec_deg"]


def test_interlocked_islands_are_measured_apart():
    mask = mask_of(np.s_[50:70, 50], np.s_[50, 50:70], np.s_[60:64, 60:64])
    rows = islands_of(mask)
    assert sorted(round(row["area_arcmin2"] * 3600 / 20.25) for row in rows) == [16, 39]


def test_no_data_is_no_island():
    mask = mask_of()
    mask[:50] = 255
    assert islands_of(mask) == []


def test_latitude_of_the_galactic_pole():
    (row,) = islands_of(mask_of(np.s_[99, 99]), a_plane(ra=192.85948, dec=27.12825))
    assert row["galactic_latitude_deg"] == pytest.approx(90, abs=0.01)


@pytest.mark.parametrize("fwhm_arcsec", [90, 180])
def test_flux_of_a_gaussian(fwhm_arcsec):
    flux_jy = 0.05
    plane = a_plane(noise=1e-4)
    sigma_px = fwhm_arcsec / 4.5 / np.sqrt(8 * np.log(2))
    y, x = np.mgrid[:200, :200]
    square = (x - 120.3) ** 2 + (y - 80.6) ** 2
    peak = flux_jy * BEAM_PX / (2 * np.pi * sigma_px**2)  # Jy/beam
    plane.data += (peak * np.exp(-square / (2 * sigma_px**2))).astype(np.float32)
    mask = (square < (3 * sigma_px) ** 2).astype(np.uint8)
    (row,) = islands_of(mask, plane)
    # the wings beyond three sigma are not in the mask, and part of them is background here
    assert row["flux_mjy"] == pytest.approx(1e3 * flux_jy, rel=0.06)
    ra, dec = plane.wcs.wcs_pix2world([[120.3, 80.6]], 0)[0]
    assert SkyCoord(ra, dec, unit="deg").separation(
        SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    ).arcsec == pytest.approx(0, abs=2.25)


def test_a_compact_source_is_taken_out_of_an_island():
    plane = a_plane()
    y, x = np.mgrid[:200, :200]
    sigma = 20 / 4.5 / np.sqrt(8 * np.log(2))
    disc = np.hypot(x - 100, y - 100) < 25
    plane.data += 4e-4 * disc.astype(np.float32)
    (without,) = islands_of(disc.astype(np.uint8), plane)
    plane = a_plane()
    source = 2e-2 * np.exp(-((x - 103) ** 2 + (y - 97) ** 2) / (2 * sigma**2))
    plane.data += (4e-4 * disc + source).astype(np.float32)
    (row,) = islands_of(disc.astype(np.uint8), plane)
    assert row["compact_mjy"] == pytest.approx(20, rel=0.05)
    assert row["flux_mjy"] == pytest.approx(without["flux_mjy"], abs=0.05 * 20)
    assert row["flag_agn"] is True
    assert without["flag_agn"] is False


def test_flags_of_classes():
    mask = mask_of(np.s_[50:90, 60:110])
    plane = a_plane()
    plane.data[mask == 1] += 4e-4
    level = {"Galactic": 100, "artefact": 10, "radio galaxy": 20}
    classes = {name: np.full(mask.shape, value, np.uint8) for name, value in level.items()}
    probability = np.full(mask.shape, 0.3, np.float32)
    (row,) = islands_of(mask, plane, probability, classes=classes)
    assert row["p_galactic"] == pytest.approx(100 / 255)
    assert (row["flag_galactic"], row["flag_artefact"], row["class"]) == (True, False, "U")
    assert row["reason"] == "Galactic emission more than diffuse (p 0.39)"


@pytest.mark.parametrize(
    ("inside", "around", "is_galactic"),
    [(60, 70, True), (140, 10, False), (160, 10, True), (35, 255, False), (140, 60, False)],
)
def test_galactic_emission_is_seldom_alone(inside, around, is_galactic):
    mask = mask_of(np.s_[50:90, 60:110])
    plane = a_plane()
    plane.data[mask == 1] += 4e-4
    galactic = np.where(mask == 1, inside, around).astype(np.uint8)
    (row,) = islands_of(mask, plane, classes={"Galactic": galactic})
    assert row["flag_galactic"] is is_galactic


def test_pixels_that_were_not_predicted_do_not_count_against_galactic_emission():
    mask = mask_of(np.s_[50:90, 60:110])
    plane = a_plane()
    plane.data[mask == 1] += 4e-4
    probability = np.full(mask.shape, 0.8, np.float32)
    probability[120:] = np.nan
    galactic = np.full(mask.shape, 70, np.uint8)
    galactic[120:] = 0
    (row,) = islands_of(mask, plane, probability, classes={"Galactic": galactic})
    assert row["flag_galactic"] is True


def test_an_island_with_nothing_around_is_galactic_by_itself():
    mask = np.ones((60, 60), np.uint8)
    plane = a_plane(60)
    plane.data += 4e-4
    (row,) = islands_of(mask, plane, classes={"Galactic": np.full(mask.shape, 60, np.uint8)})
    assert row["flag_galactic"] is True


@pytest.mark.parametrize(
    ("ra", "dec", "latitude", "side", "is_galactic"),
    [
        (303.4, 36.4, 1.2, 40, False),
        (303.4, 36.4, 1.2, 220, True),
        (12.86, 57.87, -5.0, 220, True),  # 85 deg north of the southern pole, at 12.86 -27.13
        (12.86, 2.87, -60.0, 220, False),
        (192.86, -2.87, 60.0, 220, False),
    ],
)
def test_low_latitude_and_width_stand_for_galactic_emission(ra, dec, latitude, side, is_galactic):
    mask = mask_of(np.s_[60:100, :side], n_px=250)
    plane = a_plane(250, ra, dec)
    plane.data[mask == 1] += 4e-4
    (row,) = islands_of(mask, plane)
    assert row["galactic_latitude_deg"] == pytest.approx(latitude, abs=0.3)
    assert row["flag_galactic"] is is_galactic
    assert row["reason"].startswith("wide, and close to the Galactic plane") is is_galactic
    assert row["reason"].endswith("; at the edge of the data")  # also where another flag decides


@pytest.mark.parametrize("turned_deg", [0, 30, 45, 90])
@pytest.mark.parametrize(("length_arcmin", "is_galactic"), [(13, False), (17, True)])
def test_an_island_is_as_wide_however_it_is_turned(turned_deg, length_arcmin, is_galactic):
    along, across = turned(turned_deg, 280)
    mask = ((np.abs(along) < length_arcmin * 60 / 4.5 / 2) & (np.abs(across) < 6)).astype(np.uint8)
    plane = a_plane(280, ra=303.4, dec=36.4)
    plane.data[mask == 1] += 4e-4
    (row,) = islands_of(mask, plane)
    assert row["extent_arcmin"] == pytest.approx(length_arcmin, abs=0.2)
    assert row["flag_galactic"] is is_galactic


@pytest.mark.parametrize(
    ("y", "x", "is_near"),
    [
        (219 + 14 * 20 / 4.5, 100, True),  # 14 beams beyond the upper end
        (219 + 16 * 20 / 4.5, 100, False),
        (219 + 66, 100, True),  # 14.85 beams
        (219 + 67, 100, False),  # 15.08 beams
        (120, 90 - 66, True),
        (120, 109 + 66, True),
        (120, 109 + 14 * 20 / 4.5, True),  # beside the middle
        (120, 109 + 16 * 20 / 4.5, False),
        (215, 109 + 14 * 20 / 4.5, True),  # beside the end
        (150, 100, True),  # in it
    ],
)
def test_a_bright_source_near_any_part_of_a_long_island_is_told(y, x, is_near):
    plane, mask = a_plane(310), mask_of(np.s_[20:220, 90:110], n_px=310)
    plane.data[mask == 1] += 4e-4
    plane.data[round(y), round(x)] = 5.0
    (row,) = islands_of(mask, plane)
    assert row["flag_artefact"] is is_near


@pytest.mark.parametrize(
    ("level_rms", "is_flagged"), [(0, False), (0.3, False), (-0.3, False), (0.8, True), (-0.8, True)]
)
def test_a_background_of_half_the_noise_is_flagged_above_zero_and_below(level_rms, is_flagged):
    mask = mask_of(np.s_[50:80, 60:110])
    plane = a_plane()
    plane.data += level_rms * NOISE + 4e-4 * mask
    (row,) = islands_of(mask, plane)
    assert row["flag_background"] is is_flagged


@pytest.mark.parametrize(
    ("part", "touches"),
    [
        (np.s_[0, 50], True),
        (np.s_[199, 50], True),
        (np.s_[50, 0], True),
        (np.s_[50, 199], True),
        (np.s_[1:199, 1:199], False),
    ],
)
def test_touches_edge(part, touches):
    (row,) = islands_of(mask_of(part))
    assert row["flag_edge"] is touches


@pytest.mark.parametrize(
    ("y", "x", "size"),
    [
        ([4], [7], 1),
        ([4, 4], [7, 8], 2),
        ([3] * 12, range(12), 12),
        (range(12), [3] * 12, 12),
        ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], 1 + 4 * np.sqrt(2)),
        ([0, 0, 3, 3, 1], [0, 4, 0, 4, 1], 6),
        ([0, 1, 0], [0, 0, 1], 1 + np.sqrt(2)),
    ],
)
def test_largest_size(y, x, size):
    assert largest_size_px(np.array(y), np.array(x)) == pytest.approx(size)


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        ("12h00m00.99s", "+40d00m59.9s", "RUN J120000.9+400059"),
        ("12h00m59.99s", "+40d59m59.99s", "RUN J120059.9+405959"),
        ("23h59m59.98s", "+89d59m59.9s", "RUN J235959.9+895959"),
        ("01h02m03.04s", "-04d05m06.7s", "RUN J010203.0-040506"),
        ("00h00m00.1s", "-00d00m01.5s", "RUN J000000.1-000001"),
        ("00h00m01s", "+01d00m00s", "RUN J000001.0+010000"),
    ],
)
def test_designation_truncates(ra, dec, name):
    assert designation(SkyCoord(ra, dec)) == name


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "name"),
    [
        (359.99999985, 10.0, "RUN J235959.9+100000"),
        (0.4999999, 10.0, "RUN J000159.9+100000"),  # 0.4999999 deg are 119.999976 s
        (14.99999999, -10.999999, "RUN J005959.9-105959"),
        (14.99999999999, 89.9999999, "RUN J010000.0+895959"),  # floating point lacks this much
        (360 - 1e-12, 1.0 - 1e-13, "RUN J000000.0+010000"),
        (180.0, -1e-13, "RUN J120000.0+000000"),
        (180.0, -0.0001, "RUN J120000.0-000000"),
        (180.0, 90.0, "RUN J120000.0+900000"),
    ],
)
def test_designation_is_not_rounded_to_full_units(ra_deg, dec_deg, name):
    assert designation(SkyCoord(ra_deg, dec_deg, unit="deg")) == name
