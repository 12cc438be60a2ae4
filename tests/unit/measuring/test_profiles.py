"""Exponential profiles: the numbers that an image was made with come back."""

import numpy as np
import pytest
from scipy import ndimage

from radiounet.measuring.profiles import AT_BOUND, FAINT, WITHIN_3, _profile, _slopes, fit_exponential

SIGMA = 20 / 4.5 / np.sqrt(8 * np.log(2))
BEAM = SIGMA**2 * np.eye(2)
N_PX = 300
RMS = 1e-4


def halo(y0=150.2, x0=148.7, radius=20.0, ratio=1.0, angle_deg=0.0, peak=1e-3):
    """A profile with the beam; the angle counts from the y axis towards smaller x."""
    y, x = np.mgrid[:N_PX, :N_PX].astype(float)
    angle = np.radians(angle_deg)
    along = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    across = (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)
    a, b = radius / np.sqrt(ratio), radius * np.sqrt(ratio)
    return ndimage.gaussian_filter(peak * np.exp(-np.hypot(along / a, across / b)), SIGMA)


def noise(seed):
    white = np.random.default_rng(seed).standard_normal((N_PX, N_PX))
    smooth = ndimage.gaussian_filter(white, SIGMA)
    return RMS * smooth / smooth.std()


def fit(image, start=(150, 150, 18.0), used=None, rms=RMS):
    used = np.ones(image.shape, bool) if used is None else used
    return fit_exponential(image, np.full(image.shape, rms), used, BEAM, start)


@pytest.mark.parametrize("radius", [8.0, 20.0, 35.0])
@pytest.mark.parametrize(("ratio", "angle_deg"), [(1.0, 0), (0.6, 30), (0.5, 120)])
def test_noiseless(radius, ratio, angle_deg):
    found = fit(halo(radius=radius, ratio=ratio, angle_deg=angle_deg), (150, 150, 1.2 * radius), rms=1e-6)
    assert found.flag == 0 or found.flag == 8  # of chi2 where pixels are coarse beside the cusp
    assert found.radius_px == pytest.approx(radius, rel=0.02)
    assert found.total == pytest.approx(2 * np.pi * 1e-3 * radius**2, rel=0.03)
    assert (found.y, found.x) == pytest.approx((150.2, 148.7), abs=0.1)
    if ratio < 1:
        assert found.ratio == pytest.approx(ratio, rel=0.03)
        assert (found.angle_deg - angle_deg + 90) % 180 - 90 == pytest.approx(0, abs=2)


def test_pulls_with_noise():
    true = 2 * np.pi * 1e-3 * 20**2
    fits = [fit(halo(ratio=0.8) + noise(seed)) for seed in range(24)]
    pulls = np.array([(one.total - true) / one.total_error for one in fits])
    assert abs(pulls.mean()) < 0.6
    assert 0.5 < pulls.std() < 1.5
    assert all(one.flag == 0 for one in fits)
    assert np.mean([one.chi2 for one in fits]) == pytest.approx(1, abs=0.15)


def test_other_sources_are_left_out():
    image, used = halo(), np.ones((N_PX, N_PX), bool)
    image[150:190, 160:200] += 5e-3
    used[148:192, 158:202] = False
    image[~used] = np.nan
    assert fit(image, used=used, rms=1e-6).radius_px == pytest.approx(20, rel=0.02)


def test_nothing_there_is_faint():
    assert fit(noise(3)).flag & FAINT


def test_a_plateau_ends_at_a_bound():
    assert fit(np.full((N_PX, N_PX), 5e-4) + noise(1)).flag & AT_BOUND


def test_too_few_pixels():
    used = np.zeros((N_PX, N_PX), bool)
    used[150:153, 150:153] = True
    assert fit(halo(), used=used) is None


def test_at_the_border_of_the_image():
    found = fit(halo(y0=2.0, x0=4.0), (2.0, 4.0, 18.0), rms=1e-6)
    assert found.radius_px == pytest.approx(20, rel=0.05)


def test_drawn_again():
    image = halo(ratio=0.6, angle_deg=30)
    drawn = fit(image, rms=1e-6).draw(image.shape, BEAM)
    np.testing.assert_allclose(drawn, image, atol=0.03 * image.max())


def test_part_within_three_radii():
    r = np.linspace(0, 3, 100_001)
    inside = np.trapezoid(2 * np.pi * r * np.exp(-r), r) / (2 * np.pi)
    assert pytest.approx(inside, rel=1e-6) == WITHIN_3


@pytest.mark.parametrize("number", range(6))
def test_slopes_are_those_of_the_profile(number):
    parameters = np.array([2.0, 20.3, 24.6, np.log(9.0), np.log(5.0), 0.4])
    step = np.zeros(6)
    step[number] = 1e-6
    low, high = (_profile((40, 50), parameters + sign * step) for sign in (-1, 1))
    np.testing.assert_allclose(_slopes((40, 50), parameters)[number], (high - low) / 2e-6, atol=1e-7)
