"""An instrument whose dirty beam is the restoring beam."""

import numpy as np
import pytest

from radiounet.images.constants import LIGHT_M_S
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.instrument import Instrument, Observation
from skies import gaussian, imaged, point

OPTIONS = SimulateOptions(n_px=256)
WIDE = SimulateOptions(n_px=256, pixel_arcsec=9.0, beam_arcsec=40.0)


def ideal(options, inner_cut_m):
    return Instrument(options, Observation(45.0, 8.0, inner_cut_m, -0.3, ideal=True), options.beam_arcsec)


@pytest.mark.parametrize("inner_cut_m", [80.0, 1500.0])
def test_ideal_dirty_beam_is_the_restoring_beam_without_large_scales(inner_cut_m):
    array = ideal(OPTIONS, inner_cut_m)
    middle = array.size // 2
    wavelengths = np.fft.fftfreq(array.size) / np.radians(4.5 / 3600)
    lost = np.hypot(wavelengths[:, None], wavelengths[None, :]) * LIGHT_M_S / 144e6 < inner_cut_m
    assert lost[0, 0]
    spectrum = np.fft.fft2(gaussian(array.size, 20 / 4.5))
    expected = np.fft.ifft2(np.where(lost, 0, spectrum)).real
    beam = array.dirty(point(array, middle, middle))
    np.testing.assert_allclose(beam, expected / expected.max(), atol=1e-5)
    if inner_cut_m == 80:  # the mean alone, 22.4 / 320^2 of the peak
        np.testing.assert_allclose(beam, gaussian(array.size, 20 / 4.5), atol=5e-4)


@pytest.mark.parametrize(
    ("cycles", "passes"), [((0, 3), False), ((2, 2), False), ((0, 4), True), ((3, 2), True), ((-4, 0), True)]
)
def test_ideal_instrument_sees_all_waves_beyond_its_cut_alike(cycles, passes):
    # 500 m at 144 MHz are 240 wavelengths, or 3.4 cells
    array = ideal(WIDE, 500.0)
    y, x = np.indices((array.size, array.size))
    wave = np.cos(2 * np.pi * (cycles[0] * y + cycles[1] * x) / array.size).astype(np.float32)
    seen, restored = array.dirty(wave), array.restore(wave)
    if passes:
        # the cut takes 37 cells of those that make the peak, 320^2 / 22.4 = 4575
        np.testing.assert_allclose(seen, restored / (1 - 37 / 4575), atol=0.01)
    else:
        assert np.abs(seen).max() < 1e-4


def test_ideal_noise_is_white_noise_convolved_with_the_beam():
    array = ideal(OPTIONS, 80.0)
    planes = np.array([array.noise(np.random.default_rng(seed)) for seed in range(8)])
    assert planes.std() == pytest.approx(1, abs=0.01)
    sigma = 20 / 4.5 / np.sqrt(8 * np.log(2))
    for shift in (1, 2, 4, 6):
        for axis in (1, 2):
            seen = np.mean(planes * np.roll(planes, shift, axis=axis))
            # autocorrelation of a Gaussian
            assert seen == pytest.approx(np.exp(-(shift**2) / (4 * sigma**2)), abs=0.02)


def test_deconvolution_has_nothing_to_do_for_an_ideal_instrument():
    array = ideal(OPTIONS, 80.0)
    for flux in (3e-4, 0.1):
        sky = point(array, 150, 120, flux)
        np.testing.assert_allclose(imaged(array, sky), array.restore(sky), atol=5e-4 * flux)
