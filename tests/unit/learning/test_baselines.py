import numpy as np
import pytest
from scipy import ndimage

from radiounet.errors import AllBlankError
from radiounet.images.noise import local_rms
from radiounet.learning.baselines import multiscale_filter, remove_compact, smoothed_threshold

PIXEL, BEAM = 4.5, 20.0
BEAM_PX = BEAM / PIXEL
SIGMA = 1e-4  # Jy/beam
N_PX = 400


def gaussian(y, x, fwhm_px, peak):
    rows, columns = np.ogrid[:N_PX, :N_PX]
    return peak * np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / fwhm_px**2)


@pytest.fixture(scope="module")
def noise():
    white = np.random.default_rng(5).standard_normal((N_PX, N_PX))
    plane = ndimage.gaussian_filter(white, BEAM_PX / np.sqrt(8 * np.log(2)), mode="wrap")
    return (SIGMA * plane / plane.std()).astype(np.float32)


def test_a_compact_source_is_replaced_by_its_surroundings():
    rms = np.full((N_PX, N_PX), SIGMA)
    floor = 2 * SIGMA
    image = floor + gaussian(200, 200, BEAM_PX, 1e4 * SIGMA)
    left = remove_compact(image.astype(np.float32), rms, BEAM_PX)
    assert np.abs(left - floor).max() < SIGMA
    # a beam of 10^4 sigma falls to one sigma 8.1 px from its centre, beams on its flank sqrt(2) further
    changed = np.abs(left - image.astype(np.float32)) > 1e-9
    assert changed[200, 208]
    assert not changed[200, 212]


def test_a_source_in_a_hole_is_compact_too():
    rms = np.full((N_PX, N_PX), SIGMA)
    image = np.full((N_PX, N_PX), -20 * SIGMA) + gaussian(200, 200, BEAM_PX, 15 * SIGMA)
    left = remove_compact(image.astype(np.float32), rms, BEAM_PX)
    assert left[200, 200] == pytest.approx(-20 * SIGMA, abs=SIGMA)


def test_noise_and_wide_emission_stay(noise):
    rms = np.full((N_PX, N_PX), SIGMA)
    image = (noise + gaussian(200, 200, 60, 3 * SIGMA)).astype(np.float32)
    image[:, :20] = np.nan
    left = remove_compact(image, rms, BEAM_PX)
    assert np.mean((left != image)[:, 20:]) < 2e-3
    np.testing.assert_array_equal(np.isnan(left), np.isnan(image))


@pytest.mark.parametrize("baseline", [smoothed_threshold, multiscale_filter])
def test_wide_emission_is_found_and_compact_sources_are_not(baseline, noise):
    image = noise + gaussian(280, 280, 60, 3 * SIGMA) + gaussian(100, 100, BEAM_PX, 300 * SIGMA)
    image = image.astype(np.float32)
    image[:, 390:] = np.nan
    score = baseline(image, local_rms(image), PIXEL, BEAM)
    assert score.dtype == np.float32
    assert score[280, 280] > 0.6
    assert np.nanmax(score[85:116, 85:116]) < 0.5
    rows, columns = np.ogrid[:N_PX, :N_PX]
    beside = np.hypot(rows - 280, columns - 280) > 60
    assert np.mean(score[beside & np.isfinite(image)] >= 0.5) < 0.005
    np.testing.assert_array_equal(np.isnan(score), np.isnan(image))
    known = score[np.isfinite(score)]
    assert known.min() >= 0
    assert known.max() <= 1


def test_an_image_coarser_than_one_arcmin_is_not_smoothed():
    white = np.random.default_rng(6).standard_normal((N_PX, N_PX))
    coarse_px = 65.0 / PIXEL
    plane = ndimage.gaussian_filter(white, coarse_px / np.sqrt(8 * np.log(2)), mode="wrap")
    image = (SIGMA * plane / plane.std() + gaussian(200, 200, 80, 6 * SIGMA)).astype(np.float32)
    image[:, 390:] = np.nan
    rms = local_rms(image)
    score = smoothed_threshold(image, rms, PIXEL, 65.0)
    np.testing.assert_array_equal(np.isnan(score), np.isnan(image))
    # as it is, over its noise: score = snr / (snr + 3)
    snr = remove_compact(image, rms, coarse_px) / rms
    assert snr[200, 200] > 3
    assert score[200, 200] == pytest.approx(snr[200, 200] / (snr[200, 200] + 3), rel=0.02)


def test_half_is_three_sigma_at_one_arcmin(noise):
    # noise alone: at 60" its own standard deviation is the unit, and 3 sigma is rare
    score = smoothed_threshold(noise, local_rms(noise), PIXEL, BEAM)
    snr = 3 * score / (1 - score)
    assert np.percentile(snr, 97.7) == pytest.approx(2, abs=0.4)


def test_scores_do_not_depend_on_the_unit(noise):
    image = (noise + gaussian(200, 200, 60, 3 * SIGMA)).astype(np.float32)
    first = multiscale_filter(image, local_rms(image), PIXEL, BEAM)
    second = multiscale_filter(1e3 * image, local_rms(1e3 * image), PIXEL, BEAM)
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_a_blank_image_has_no_noise():
    image = np.full((64, 64), np.nan, np.float32)
    with pytest.raises(AllBlankError):
        smoothed_threshold(image, np.ones((64, 64), np.float32), PIXEL, BEAM)
