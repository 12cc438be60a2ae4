from dataclasses import dataclass

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from scipy import ndimage
from skimage.morphology import remove_small_objects

from radiounet.images.background import subtract_background
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.noise import local_rms
from radiounet.measuring.islands import designation, integrate, largest_size_px, measure_islands
from radiounet.network.masks import make_mask
from radiounet.settings.measure import MeasureOptions

BEAM_PX = np.pi / (4 * np.log(2)) * 20**2 / 4.5**2  # 22.38 px in a 20" beam
NOISE = 1e-4


def a_plane(n_px=200, ra=150.0, dec=40.0, noise=NOISE):
    data = np.random.default_rng(1).normal(0, noise, (n_px, n_px)).astype(np.float32)
    return Plane(data, grid_wcs(ra, dec, n_px, 4.5), Beam(20, 20))


def islands_of(mask, plane=None, probability=None, calibration_error=0.1):
    plane = plane or a_plane(len(mask))
    probability = np.full(mask.shape, 0.8, np.float32) if probability is None else probability
    options = MeasureOptions(calibration_error=calibration_error)
    return [one.row for one in measure_islands(mask, probability, plane, options)]


def mask_of(*parts, n_px=200):
    mask = np.zeros((n_px, n_px), np.uint8)
    for part in parts:
        mask[part] = 1
    return mask


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_threshold_itself_is_in(threshold):
    below = np.nextafter(np.float32(threshold), np.float32(0))
    probability = np.array([[threshold, below]], np.float32)
    assert make_mask(probability, threshold, 1).tolist() == [[1, 0]]


def test_small_islands_are_those_of_scikit_image():
    probability = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((300, 300)), 3)
    probability = ((probability + 0.4) / 0.8).astype(np.float32)
    above = probability >= np.float32(0.68)
    expected = remove_small_objects(above, max_size=22, connectivity=2)
    assert 0 < expected.sum() < above.sum()
    np.testing.assert_array_equal(make_mask(probability, 0.68, 22.38) == 1, expected)


def test_diagonal_neighbours_are_one_island():
    probability = np.zeros((6, 6), np.float32)
    probability[[1, 2, 3], [1, 2, 3]] = 0.9
    probability[5, 5] = 0.9
    mask = make_mask(probability, 0.5, 3)
    assert np.argwhere(mask == 1).tolist() == [[1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize(("min_area_px", "kept"), [(0, 5), (2, 5), (2.5, 3), (3, 3), (3.1, 0)])
def test_islands_below_the_area_are_dropped(min_area_px, kept):
    probability = np.zeros((10, 10), np.float32)
    probability[1, 1:4] = 0.9
    probability[5, 5:7] = 0.9
    assert (make_mask(probability, 0.5, min_area_px) == 1).sum() == kept


def test_no_data_is_255():
    probability = np.full((4, 5), 0.9, np.float32)
    probability[1] = np.nan
    mask = make_mask(probability, 0.5, 6)
    assert mask.dtype == np.uint8
    assert mask[:, 0].tolist() == [0, 255, 1, 1]  # NaN parts islands: 5 px are too few, 10 are not


def test_nothing_above_the_threshold():
    assert make_mask(np.zeros((3, 3), np.float32), 0.5, 0).tolist() == [[0] * 3] * 3


@dataclass
class with_beam:  # noqa: N801 - reads as part of the call
    """Stands for a plane: its beam, and the beam it was made with, in pixels."""

    beam_area_px: float
    resolution_area_px: float = 0.0

    def __post_init__(self):
        self.resolution_area_px = self.resolution_area_px or self.beam_area_px


def test_noise_of_a_coarser_image_counts_its_own_beams():
    # 900 px: 45 beams of the unit (20 px), but 5 of the image (180 px). Noise of 1e-4 Jy per
    # unit beam is 9e-4 Jy per independent element; five of them: 9e-4 sqrt(5)
    measured = integrate(np.zeros(900), np.full(900, 1e-4), with_beam(20.0, 180.0), 0.0)
    assert measured.error_jy == pytest.approx(9e-4 * np.sqrt(5))


def test_flux_of_a_uniform_patch():
    measured = integrate(np.full(100, 2e-3), np.full(100, 1e-4), with_beam(20.0), 0.1)
    assert measured.flux_jy == pytest.approx(100 * 2e-3 / 20)
    # noise 1e-4 sqrt(5 beams) = 2.236e-4 Jy, calibration 1e-3 Jy
    assert measured.error_jy == pytest.approx(1.0247e-3, rel=1e-4)


def test_error_of_an_uneven_noise():
    # rms of 3 and 4 is sqrt(12.5); two beams: sqrt(25) = 5
    assert integrate(np.zeros(2), np.array([3.0, 4.0]), with_beam(1.0), 0.1).error_jy == pytest.approx(5.0)


def test_error_of_less_than_a_beam():
    assert integrate(np.zeros(4), np.full(4, 3.0), with_beam(20.0), 0.0).error_jy == pytest.approx(3.0)


def test_calibration_error_of_a_negative_flux():
    assert integrate(np.full(10, -1.0), np.zeros(10), with_beam(1.0), 0.2).error_jy == pytest.approx(2.0)


def test_flux_adds_up_in_double_precision():
    image = np.full(4_000_000, 0.1, np.float32)
    image[0] = 1e6
    flux = integrate(image, np.ones(image.size, np.float32), with_beam(1.0), 0.0).flux_jy
    assert flux == pytest.approx(1e6 + 3_999_999 * float(np.float32(0.1)), rel=1e-9)


def test_rectangle():
    plane = a_plane()
    plane.data[50:60, 80:100] += 1e-3
    (row,) = islands_of(mask_of(np.s_[50:60, 80:100]), plane)
    # centre of the island (x 89.5, y 54.5), of the grid (99, 99): 42.75" east, 200.25" south
    dec = 40 - 200.25 / 3600
    assert row["dec_deg"] == pytest.approx(dec, abs=0.05 / 3600)
    assert row["ra_deg"] == pytest.approx(150 + 42.75 / 3600 / np.cos(np.radians(dec)), abs=0.05 / 3600)
    assert row["area_arcmin2"] == pytest.approx(200 * 4.5**2 / 3600, rel=1e-5)
    assert row["las_arcmin"] == pytest.approx((1 + np.hypot(9, 19)) * 4.5 / 60, rel=1e-5)
    mask = mask_of(np.s_[50:60, 80:100]) == 1
    flat = subtract_background(plane.data, local_rms(plane.data), 20 / 4.5, mask)
    flux = 1e3 * flat[50:60, 80:100].sum(dtype=float) / BEAM_PX
    assert flux == pytest.approx(200 / BEAM_PX, rel=0.02)
    assert row["flux_mjy"] == pytest.approx(flux, rel=1e-4)
    noise = 1e3 * NOISE * np.sqrt(200 / BEAM_PX)
    assert row["flux_err_mjy"] == pytest.approx(np.hypot(noise, 0.1 * flux), rel=0.03)
    assert row["peak_sigma"] == pytest.approx(plane.data[50:60, 80:100].max() / NOISE, rel=0.1)


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


@pytest.mark.parametrize("fwhm_arcsec", [40, 90, 180])
def test_flux_of_a_gaussian_source(fwhm_arcsec):
    flux_jy = 0.05
    plane = a_plane(noise=1e-6)
    sigma_px = fwhm_arcsec / 4.5 / np.sqrt(8 * np.log(2))
    y, x = np.mgrid[:200, :200]
    square = (x - 120.3) ** 2 + (y - 80.6) ** 2
    peak = flux_jy * BEAM_PX / (2 * np.pi * sigma_px**2)  # Jy/beam
    plane.data += (peak * np.exp(-square / (2 * sigma_px**2))).astype(np.float32)
    mask = (square < (4 * sigma_px) ** 2).astype(np.uint8)
    (row,) = islands_of(mask, plane)
    assert row["flux_mjy"] == pytest.approx(1e3 * flux_jy, rel=0.02)
    assert row["flux_err_mjy"] == pytest.approx(0.1 * 1e3 * flux_jy, rel=0.05)
    ra, dec = plane.wcs.wcs_pix2world([[120.3, 80.6]], 0)[0]
    assert SkyCoord(ra, dec, unit="deg").separation(
        SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    ).arcsec == pytest.approx(0, abs=2.25)


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
    assert row["touches_edge"] is touches


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


def test_an_island_must_reach_the_peak_and_then_keeps_its_faint_part():
    probability = np.array([[0.3, 0.9, 0.0, 0.6, 0.3]], np.float32)
    assert make_mask(probability, 0.3, 1, 0.9).tolist() == [[1, 1, 0, 0, 0]]
    assert make_mask(probability, 0.3, 1, 0.6).tolist() == [[1, 1, 0, 1, 1]]
    assert make_mask(probability, 0.3, 1).tolist() == [[1, 1, 0, 1, 1]]
