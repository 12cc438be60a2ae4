import numpy as np
import pytest
from astropy.io import fits

from radiounet.recipe import SimulateOptions
from radiounet.simulate import (
    FWHM_TO_SIGMA,
    add_halo,
    convolve_with_beam,
    draw_noise,
    draw_sky,
    simulate_pair,
    truth_mask,
    write_pair,
)

SMALL = SimulateOptions(n_px=320, clusters_per_deg2=30.0)


def test_a_point_of_one_jansky_peaks_at_one_jansky_per_beam():
    sky = np.zeros((101, 101), np.float32)
    sky[50, 50] = 1.0
    fwhm = 20 / 4.5
    # the kernel has peak 1 up to its sampling; its sum is the beam area
    result = convolve_with_beam(sky, fwhm)
    assert result[50, 50] == pytest.approx(1.0, abs=1e-4)
    assert result.sum() == pytest.approx(SMALL.beam_area_px, rel=1e-4)
    assert result[50, 50 + 2] == pytest.approx(np.exp(-0.5 * (2 / (fwhm * FWHM_TO_SIGMA)) ** 2), abs=1e-3)


def test_noise_has_unit_deviation_and_the_correlation_of_the_beam():
    noise = draw_noise(600, 20 / 4.5, np.random.default_rng(1))
    assert noise.std() == pytest.approx(1.0, rel=0.03)
    s = 20 / 4.5 * FWHM_TO_SIGMA
    correlation = (noise[:, 2:] * noise[:, :-2]).mean() / noise.var()
    assert correlation == pytest.approx(np.exp(-(2**2) / (4 * s * s)), abs=0.03)


def test_the_same_seed_gives_the_same_pair_and_another_another():
    first, second, other = (simulate_pair(SMALL, seed) for seed in (5, 5, 6))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0], equal_nan=True)


def test_truth_is_noise_free_and_only_where_clusters_are():
    sky = draw_sky(SMALL, np.random.default_rng(3))
    assert sky.diffuse.min() > -1e-8
    assert any(diffuse for _, _, diffuse in sky.clusters)
    none = draw_sky(SMALL.model_copy(update={"diffuse_fraction": 0.0}), np.random.default_rng(3))
    assert np.abs(none.diffuse).max() < 1e-12
    assert not any(diffuse for _, _, diffuse in none.clusters)


def test_a_halo_has_its_peak_and_falls_exponentially():
    plane = np.zeros((401, 401), np.float32)
    add_halo(plane, 200, 200, 1e-3, 25.0, np.random.default_rng(2))
    y, x = np.indices(plane.shape) - 200
    radius = np.hypot(y, x)
    inner, outer = (np.median(plane[(radius > a) & (radius < a + 10)]) for a in (15, 65))
    # 50 px are two e-folding lengths of the major axis; ellipticity and clumps make it steeper
    assert 2 < np.log(inner / outer) < 4.5
    assert 0.3e-3 < plane[195:206, 195:206].mean() < 2e-3


def test_mask_rule():
    truth, rms = np.array([[0.4, 0.6]]), np.array([[1.0, 1.0]])
    assert truth_mask(truth, rms, 0.5).tolist() == [[False, True]]


def test_pair_file(tmp_path):
    write_pair(tmp_path / "p.fits", SMALL, 7)
    with fits.open(tmp_path / "p.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "TRUTH", "RMS"]
        assert (hdus[0].header["SEED"], hdus[0].header["BUNIT"]) == (7, "JY/BEAM")
        image, truth, _ = simulate_pair(SMALL, 7)
        np.testing.assert_array_equal(hdus[0].data, image)
        np.testing.assert_array_equal(hdus["TRUTH"].data, truth)
