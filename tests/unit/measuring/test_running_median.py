import numpy as np
import pytest
from skimage.filters import rank
from skimage.morphology import disk

from radiounet.measuring.running_median import _HIGHEST, _LOWEST, _STEPS, masked_median


def by_skimage(snr, known, diameter_px):
    scale = (_HIGHEST - _LOWEST) / _STEPS
    steps = np.clip(np.rint((np.arcsinh(snr) - _LOWEST) / scale), 0, _STEPS).astype(np.uint16)
    median = rank.median(steps, disk(round(diameter_px / 2)), mask=known.astype(np.uint8))
    return np.sinh(median * scale + _LOWEST)


@pytest.mark.parametrize("diameter_px", [1, 7, 22.4, 51])
@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (60, 40)])
@pytest.mark.parametrize("blank", [0, 0.3, 0.95, 1])
def test_equals_that_of_skimage(shape, diameter_px, blank):
    rng = np.random.default_rng(3)
    snr = rng.normal(0, 3, shape) * np.exp(rng.normal(0, 2, shape))
    known = rng.random(shape) >= blank
    found = masked_median(snr, known, diameter_px)
    np.testing.assert_array_equal(found, by_skimage(snr, known, diameter_px))


def test_median_of_known_pixels_only():
    snr = np.full((40, 40), 2.0)
    snr[:, 20:] = 50.0
    left = np.zeros(snr.shape, bool)
    left[:, :20] = True
    assert masked_median(snr, left, 10)[20, 19] == pytest.approx(2.0, rel=0.01)


def test_nothing_known_is_the_lowest_value():
    snr = np.ones((8, 8))
    assert masked_median(snr, np.zeros(snr.shape, bool), 4) == pytest.approx(np.full(snr.shape, -10.0))
