"""Compact sources: found, fitted, and told from what is diffuse."""

import numpy as np
import pytest
from scipy import ndimage

from radiounet.measuring.compact import fit_components

SIGMA = 20 / 4.5 / np.sqrt(8 * np.log(2))
ROUND = SIGMA**2 * np.eye(2)
RMS = 1e-4
N_PX = 200


def noise(seed=1):
    """Noise with the correlation of the beam, Jy/beam."""
    white = np.random.default_rng(seed).standard_normal((N_PX, N_PX))
    smooth = ndimage.gaussian_filter(white, SIGMA)
    return (RMS * smooth / smooth.std()).astype(np.float32)


def gaussian(y0, x0, peak, covariance=ROUND):
    y, x = np.mgrid[:N_PX, :N_PX]
    d = np.stack([y - y0, x - x0], axis=-1)
    return peak * np.exp(-0.5 * np.einsum("yxi,ij,yxj->yx", d, np.linalg.inv(covariance), d))


def fit(image, covariance=ROUND):
    return fit_components(image.astype(np.float32), np.full(image.shape, RMS, np.float32), covariance)


@pytest.mark.parametrize(("y", "x"), [(100.0, 100.0), (60.4, 120.5), (30.2, 30.7)])
@pytest.mark.parametrize("snr", [20, 300])
def test_one_source(y, x, snr):
    found = fit(gaussian(y, x, snr * RMS) + noise())
    assert (found.y[0], found.x[0]) == pytest.approx((y, x), abs=8 / snr + 0.03)
    assert found.peak[0] == pytest.approx(snr * RMS, abs=3 * RMS)
    assert found.error[0] == pytest.approx(RMS, rel=0.01)


def test_blend_shares_its_flux_density():
    places = [(100, 100, 50e-4), (100, 105.5, 20e-4)]
    found = fit(sum(gaussian(*one) for one in places) + noise())
    order = np.argsort(found.x)
    near = order[np.abs(found.y[order] - 100) < 2]
    assert found.peak[near].sum() == pytest.approx(70e-4, rel=0.05)
    assert found.error[near].min() > RMS * 1.0005  # each knows less than one alone would


def test_only_noise_has_no_sources():
    assert len(fit(noise(2)).peak) <= 1


def test_a_resolved_source_is_taken_away_whole():
    wide = gaussian(100, 100, 100e-4, np.diag([2.2, 1.2]) * SIGMA**2)
    left = wide - fit(wide + noise()).draw(wide.shape)
    assert abs(left.sum()) < 0.08 * wide.sum()


@pytest.mark.parametrize("radius_px", [12, 25])
def test_a_halo_is_no_source(radius_px):
    y, x = np.mgrid[:N_PX, :N_PX] - 100.3
    halo = ndimage.gaussian_filter(8e-4 * np.exp(-np.hypot(y, x) / radius_px), SIGMA)
    taken = fit(halo + noise()).draw(halo.shape)
    assert taken.sum() < 0.1 * halo.sum()


def test_a_source_on_a_halo_counts_above_it():
    y, x = np.mgrid[:N_PX, :N_PX] - 100
    halo = ndimage.gaussian_filter(8e-4 * np.exp(-np.hypot(y, x) / 25), SIGMA)
    found = fit(halo + gaussian(108, 95, 30e-4) + noise())
    assert found.peak[0] == pytest.approx(30e-4, abs=4 * RMS)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 135])
def test_a_ridge_is_no_source(angle_deg):
    y, x = np.mgrid[:N_PX, :N_PX] - 100
    angle = np.radians(angle_deg)
    across, along = y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)
    ridge = 10e-4 * np.exp(-0.5 * (across / (1.2 * SIGMA)) ** 2) * (np.abs(along) < 50)
    ridge = ridge * (1 + 0.3 * np.sin(along / 6))
    taken = fit(ridge + noise()).draw(ridge.shape)
    assert taken.sum() < 0.15 * ridge.sum()


def test_elliptical_beam():
    beam = np.array([[9.0, 3.0], [3.0, 4.0]])
    found = fit(gaussian(90, 110, 60e-4, beam) + noise(), beam)
    assert found.peak[0] == pytest.approx(60e-4, abs=3 * RMS)
    np.testing.assert_allclose(found.draw((N_PX, N_PX))[90, 110], found.peak[0], rtol=0.02)


def test_blank_pixels():
    image = gaussian(100, 100, 50e-4) + gaussian(100, 21, 40e-4) + noise()
    image[:, :20] = np.nan
    found = fit(image)
    near = np.argmin(np.abs(found.x - 21))
    assert found.peak[near] == pytest.approx(40e-4, rel=0.2)
    assert len(fit(np.full((N_PX, N_PX), np.nan)).peak) == 0
