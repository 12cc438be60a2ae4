import numpy as np
import pytest
from astropy.stats import mad_std

from radiounet.errors import AllBlankError
from radiounet.images.background import measure_background, measure_rms
from radiounet.images.noise import LARGE_PX, _threads, local_rms, robust_rms, whole_boxes


@pytest.mark.parametrize(
    ("low", "high", "side", "expected"),
    [
        (100, 200, 1000, slice(96, 288)),
        (96, 192, 1000, slice(96, 192)),
        (95, 193, 1000, slice(0, 288)),
        (-5, 1, 1000, slice(0, 96)),
        (100, 200, 250, slice(96, 250)),
    ],
)
def test_a_cutout_is_widened_to_whole_boxes_of_96_pixels(low, high, side, expected):
    assert whole_boxes(low, high, side) == expected


def normal(shape, sigma=1.0, seed=1):
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def gaussian(shape, y, x, fwhm_px):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-4 * np.log(2) * ((yy - y) ** 2 + (xx - x) ** 2) / fwhm_px**2).astype(np.float32)


def test_sigma_of_normal_numbers():
    assert robust_rms(normal(100_000, 3.0) + 7) == pytest.approx(3.0, rel=0.02)


def test_sigma_by_hand():
    # median 3, deviations 2 1 0 1 97, their median 1
    assert robust_rms(np.array([1, 2, np.nan, 3, 4, np.inf, 100])) == pytest.approx(1.4826)


def test_sigma_of_nothing():
    assert np.isnan(robust_rms(np.full(5, np.nan)))


def test_robust_rms_is_that_of_astropy_but_for_the_digits_of_its_factor():
    values = normal(1000, 3.0)
    assert robust_rms(values) == pytest.approx(mad_std(values), rel=2e-6)


@pytest.mark.parametrize(
    ("given", "cores", "expected"),
    [
        ("1", 8, 1),
        ("2", 8, 2),
        ("2,1", 8, 2),
        ("16", 8, 4),
        ("3", 2, 2),
        ("", 3, 3),
        ("0", 3, 3),
        ("x", 3, 3),
        (" 2 ", 3, 2),
        ("²", 3, 3),
    ],
)
def test_threads_are_those_that_snakemake_gives_a_job(monkeypatch, given, cores, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert _threads() == expected


def test_several_threads_give_the_same_bytes(monkeypatch):
    image = normal((2000, LARGE_PX // 2000 + 60))
    image[:300, :500] = np.nan
    found = []
    for count in (1, 4):
        monkeypatch.setattr("radiounet.images.noise._threads", lambda count=count: count)
        found.append((local_rms(image), measure_background(image), measure_rms(image, 4.4)))
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)


def test_two_levels():
    image = normal((600, 960))
    image[:, 480:] *= 3
    rms = local_rms(image)
    assert rms[:, :384] == pytest.approx(1.0, rel=0.06)
    assert rms[:, 576:] == pytest.approx(3.0, rel=0.06)
    assert rms[:, 479:481] == pytest.approx(2.0, rel=0.06)  # halfway between two boxes


def test_level_changes_from_bottom_to_top():
    image = normal((960, 300))
    image[480:] *= 3
    rms = local_rms(image)
    assert rms[:384] == pytest.approx(1.0, rel=0.06)
    assert rms[576:] == pytest.approx(3.0, rel=0.06)
    assert rms[479:481] == pytest.approx(2.0, rel=0.06)


def test_last_box_is_a_full_one():
    image = normal((144, 96))
    image[96:] *= 3
    # the upper box, rows 48 to 143, is half of either noise: cdf(t) + cdf(t / 3) = 1.5 at t = 1.6 / 1.4826
    assert local_rms(image)[143] == pytest.approx(1.6, rel=0.06)


def test_unit_does_not_matter():
    image = normal((300, 300))
    assert local_rms(image * np.float32(1e-4)) == pytest.approx(1e-4 * local_rms(image), rel=1e-4)


def test_offset_does_not_matter():
    image = normal((300, 300))
    assert local_rms(image + 10) == pytest.approx(local_rms(image), rel=1e-3)


def test_blank_half():
    image = normal((600, 600), 2.0)
    image[:, 300:] = np.nan
    assert local_rms(image) == pytest.approx(2.0, rel=0.08)


def test_nearest_box_fills_blanks():
    image = normal((384, 960))
    image[:, 480:] *= 3
    image[:, 672:] = np.nan
    assert local_rms(image)[:, 700:] == pytest.approx(3.0, rel=0.06)


@pytest.mark.parametrize("fwhm_px", [5, 20])
@pytest.mark.parametrize("centre", [(300, 300), (336, 336), (10, 10)])
def test_bright_source_does_not_raise_it(fwhm_px, centre):
    image = normal((600, 600)) + 1000 * gaussian((600, 600), *centre, fwhm_px)
    assert local_rms(image).max() < 1.15


def test_one_noisy_box_does_not_raise_it():
    image = normal((576, 576))
    image[192:288, 288:384] *= 50
    assert local_rms(image).max() < 1.1


@pytest.mark.parametrize("shape", [(40, 30), (96, 20), (50, 300), (97, 97)])
def test_image_smaller_than_the_box(shape):
    rms = local_rms(normal(shape, 5.0))
    assert rms.shape == shape
    assert rms == pytest.approx(5.0, rel=0.2)


def test_box_may_be_chosen():
    image = normal((200, 200))
    image[:, 100:] *= 3
    rms = local_rms(image, box_px=20)
    assert np.median(rms[:, :80]) == pytest.approx(1.0, rel=0.1)
    assert np.median(rms[:, 120:]) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0])
def test_no_noise_to_measure(value):
    with pytest.raises(AllBlankError, match="cannot be measured"):
        local_rms(np.full((200, 200), value, np.float32))


def test_a_few_pixels_are_not_enough():
    image = np.full((96, 96), np.nan, np.float32)
    image[:9] = normal((9, 96))  # 9.4 % of the box
    with pytest.raises(AllBlankError):
        local_rms(image)


def holed():
    image = normal((500, 700))
    image[gaussian(image.shape, 250, 350, 200) < 0.3] = np.nan
    image[:, 340:360] = np.nan
    return image


def with_constant_part():
    image = normal((500, 700))
    image[:300, :300] = 0
    return image


@pytest.mark.parametrize(
    "image",
    [normal((101, 333)), holed(), with_constant_part(), holed().astype(">f4"), normal((7, 9))],
    ids=["odd", "holed", "constant", "big-endian", "tiny"],
)
def test_finite_and_positive_everywhere(image):
    rms = local_rms(image)
    assert rms.shape == image.shape
    assert rms.dtype == np.float32
    assert np.isfinite(rms).all()
    assert (rms > 0).all()


def test_image_is_left_alone():
    image = holed()
    before = image.copy()
    local_rms(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("filled", "expected"), [(0.2, 3 * 1.4826), (0.05, 1.4826)])
def test_a_box_counts_from_a_tenth_of_its_pixels(filled, expected):
    """Of +-1 in one box and +-3 in the other, which is little filled."""
    image = np.where(np.indices((96, 192)).sum(axis=0) % 2, 1, -1).astype(np.float32)
    image[:, 96:] *= 3
    image[round(96 * filled) :, 96:] = np.nan
    rms = local_rms(image)
    assert rms[:, 0] == pytest.approx(1.4826)
    assert rms[:, -1] == pytest.approx(expected)
