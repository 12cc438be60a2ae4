import numpy as np
import pytest

from radiounet.images.constants import LIGHT_M_S
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import instrument as module
from radiounet.simulation.instrument import (
    Instrument,
    Observation,
    _briggs,
    _draw_gains,
    baseline_tracks,
    grid_size,
    read_stations,
)
from skies import BEAM_AREA_PX, gaussian, imaged, point

OPTIONS = SimulateOptions(n_px=256)
FIELD = Observation(declination_deg=45.0, hours=8.0, inner_cut_m=80.0, robust=-0.3)


@pytest.fixture(scope="module")
def array():
    return Instrument(OPTIONS, FIELD, OPTIONS.beam_arcsec)


def pair_of_stations(dx, dy, dz):
    middle = np.array([6.37e6, 0.0, 0.0])
    half = 0.5 * np.array([dx, dy, dz])
    return np.array([middle - half, middle + half])


def full_plane(array, options, observation, times, frequencies, values):
    """Image, beam and density of visibilities gridded one by one on both halves of the uv plane."""
    u, v = baseline_tracks(read_stations(), np.radians(observation.declination_deg), observation.hours, times)
    used = np.hypot(u, v) >= observation.inner_cut_m
    per_wavelength = array.size * np.radians(options.pixel_arcsec / 3600)
    density = np.zeros((array.size, array.size))
    spectrum = np.zeros((array.size, array.size), complex)
    for frequency in frequencies:
        column = np.rint(u * frequency / LIGHT_M_S * per_wavelength).astype(int)
        row = np.rint(v * frequency / LIGHT_M_S * per_wavelength).astype(int)
        keep = used & (np.abs(column) < array.size // 2) & (np.abs(row) < array.size // 2)
        keep = keep & ((column != 0) | (row != 0))  # nothing is measured of the mean
        sample = values(row, column)[keep]
        row, column = row[keep], column[keep]
        np.add.at(density, (row, column), 1)
        np.add.at(density, (-row, -column), 1)
        np.add.at(spectrum, (row, column), sample)
        np.add.at(spectrum, (-row, -column), np.conj(sample))
    k = np.fft.fftfreq(array.size)
    sigma_px = 0.55 * array.beam_px / np.sqrt(8 * np.log(2))
    taper = np.exp(-2 * (np.pi * sigma_px) ** 2 * (k[:, None] ** 2 + k[None, :] ** 2))
    # Briggs's mean density counts every sample of the half plane that is stored once
    half = density[:, : array.size // 2 + 1]
    factor = (5 * 10**-observation.robust) ** 2 / ((half**2).sum() / half.sum())
    weight = taper / (1 + factor * density)
    beam = np.fft.ifft2(density * weight).real
    return np.fft.ifft2(spectrum * weight).real / beam[0, 0], beam / beam[0, 0], density


def channels(options, count):
    low, high = options.frequency_mhz
    width = (high - low) / count
    return 1e6 * (low + width * (np.arange(count) + 0.5))


# the track


def test_stations_are_the_dutch_array():
    stations = read_stations()
    assert stations.shape == (62, 3)
    radius = np.linalg.norm(stations, axis=1)
    np.testing.assert_allclose(radius, 6.3647e6, rtol=2e-4)
    latitude = np.degrees(np.arcsin(stations[:, 2] / radius))
    assert 52 < latitude.min() < latitude.max() < 54
    assert 5e4 < np.linalg.norm(stations[:, None] - stations[None], axis=-1).max() < 2e5


def test_tracks_agree_with_projection_on_the_sky_plane():
    stations, hours, declination, times = read_stations(), 7.0, np.radians(33.0), 5
    u, v = baseline_tracks(stations, declination, hours, times)
    site = np.arctan2(stations[:, 1].mean(), stations[:, 0].mean())
    k = 0
    for first in range(len(stations)):
        for second in range(first + 1, len(stations)):
            if k % 173 == 0:
                baseline = stations[second] - stations[first]
                for step, hour in enumerate(np.linspace(-3.5, 3.5, times)):
                    # a source at hour angle H culminates over longitude site - H
                    over = site - hour * np.radians(360 / 23.9344696)
                    towards = np.array(
                        [
                            np.cos(declination) * np.cos(over),
                            np.cos(declination) * np.sin(over),
                            np.sin(declination),
                        ]
                    )
                    east = np.cross([0, 0, 1], towards)
                    east /= np.linalg.norm(east)
                    north = np.cross(towards, east)
                    assert u[step, k] == pytest.approx(baseline @ east, abs=0.2)
                    assert v[step, k] == pytest.approx(baseline @ north, abs=0.2)
            k += 1
    assert u.shape == (times, k)


def test_source_at_the_pole_draws_circles():
    u, v = baseline_tracks(read_stations(), np.pi / 2, 11.0, 9)
    length = np.hypot(u, v)
    np.testing.assert_allclose(length, np.broadcast_to(length[0], length.shape), rtol=1e-9)


def test_east_west_baseline_at_transit_and_its_symmetry():
    u, v = baseline_tracks(pair_of_stations(0, 100, 0), np.radians(30), 6.0, 7)
    assert (u[3, 0], v[3, 0]) == pytest.approx((100, 0))
    np.testing.assert_allclose(u[::-1], u)
    np.testing.assert_allclose(v[::-1], -v, atol=1e-9)
    # 3 h before and after transit: 45.1 deg
    assert u[0, 0] == pytest.approx(100 * np.cos(np.radians(3 * 360 / 23.9345)), rel=1e-5)
    assert v[-1, 0] == pytest.approx(50 * np.sin(np.radians(3 * 360 / 23.9345)), rel=1e-5)


def test_polar_baseline_stays_at_z_cos_declination():
    u, v = baseline_tracks(pair_of_stations(0, 0, 200), np.radians(60), 8.0, 5)
    np.testing.assert_allclose(u, 0, atol=1e-9)
    np.testing.assert_allclose(v, 100)


def test_meridional_baseline_is_foreshortened_at_transit():
    u, v = baseline_tracks(pair_of_stations(100, 0, 50), np.radians(30), 8.0, 5)
    assert v[2, 0] == pytest.approx(50 * np.cos(np.radians(30)) - 100 * 0.5)
    np.testing.assert_allclose(u[::-1], -u, atol=1e-9)
    np.testing.assert_allclose(v[::-1], v)


def test_observation_is_drawn_from_the_ranges():
    rng = np.random.default_rng(1)
    for _ in range(50):
        drawn = Observation.draw(OPTIONS, rng)
        for name in ("declination_deg", "hours", "inner_cut_m", "robust"):
            low, high = getattr(OPTIONS, name)
            assert low <= getattr(drawn, name) <= high


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_part_of_the_observations_is_ideal(fraction):
    rng, options = np.random.default_rng(1), SimulateOptions(ideal_fraction=fraction)
    share = np.mean([Observation.draw(options, rng).ideal for _ in range(600)])
    assert share == pytest.approx(fraction, abs=4 * np.sqrt(fraction * (1 - fraction) / 600))


@pytest.mark.parametrize("n_px", [64, 65, 127, 128, 320, 960, 1001])
def test_grid_is_even_and_a_quarter_larger(n_px):
    size = grid_size(n_px)
    assert size % 2 == 0
    assert int(1.25 * n_px) <= size < 1.4 * n_px + 4
    assert grid_size(960) == 1200


# the beams


def test_briggs_weights_by_hand():
    # mean density (1 + 9) / 4 = 2.5, f^2 = 25 / 2.5 = 10
    weights = _briggs(np.array([0.0, 1.0, 3.0]), 0.0)
    np.testing.assert_allclose(weights, [0, 1 / 11, 1 / 31])
    np.testing.assert_allclose(_briggs(np.array([1.0, 3.0]), 4.0), 1, rtol=1e-5)
    uniform = _briggs(np.array([1.0, 3.0]), -4.0)
    assert uniform[0] / uniform[1] == pytest.approx(3, rel=1e-5)


def test_dirty_beam_has_peak_one_where_the_source_is(array):
    beam = array.dirty(point(array, 150, 97))
    assert np.unravel_index(beam.argmax(), beam.shape) == (150, 97)
    assert beam.max() == pytest.approx(1, abs=1e-5)
    around = beam[150 - 60 : 150 + 61, 97 - 60 : 97 + 61]
    np.testing.assert_allclose(around, around[::-1, ::-1], atol=1e-5)
    assert beam.min() < -0.005


def test_dirty_beam_agrees_with_both_halves_of_the_uv_plane(array):
    frequencies = channels(OPTIONS, 6)
    _, beam, _ = full_plane(
        array, OPTIONS, FIELD, 40, frequencies, lambda row, column: np.ones(row.shape, complex)
    )
    np.testing.assert_allclose(array.dirty(point(array, 0, 0)), beam, atol=2e-4)


def test_main_lobe_is_about_the_restoring_beam():
    # robustness depends on the uv cell, hence on the size of the image
    array = Instrument(SimulateOptions(n_px=960), FIELD, 20.0)
    middle = array.size // 2
    beam = array.dirty(point(array, middle, middle))
    for line in (beam[middle], beam[:, middle]):
        width = 2 * np.interp(-0.5, -line[middle : middle + 8], np.arange(8.0))
        assert width == pytest.approx(array.beam_px, rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_faint_extended_emission_has_about_its_own_brightness(seed):
    """LoTSS itself recovers 0.6 and more of what is not deconvolved (Shimwell et al. 2022)."""
    options = SimulateOptions()
    observation = Observation.draw(options, np.random.default_rng(seed))
    array = Instrument(options, observation, 20.0)
    halo = gaussian(array.size, 4 * 60 / 4.5)
    assert 0.7 < array.dirty(halo).max() / array.restore(halo).max() < 1.35


def test_sky_adds_linearly(array):
    one, two = point(array, 100, 100, 2.0), point(array, 160, 180, 0.5)
    np.testing.assert_allclose(array.dirty(one + two), array.dirty(one) + array.dirty(two), atol=1e-5)


@pytest.mark.parametrize("beam_arcsec", [20.0, 45.0])
def test_restored_point_is_a_gaussian_of_peak_one_and_the_beam_area(beam_arcsec):
    array = Instrument(OPTIONS, FIELD, beam_arcsec)
    middle = array.size // 2
    restored = array.restore(point(array, middle, middle))
    fwhm_px = beam_arcsec / 4.5
    np.testing.assert_allclose(restored, gaussian(array.size, fwhm_px), atol=1e-5)
    assert restored.sum() == pytest.approx(np.pi / (4 * np.log(2)) * fwhm_px**2, rel=1e-4)


def test_restoring_conserves_flux(array):
    sky = np.random.default_rng(2).random((array.size, array.size), dtype=np.float32)
    assert array.restore(sky).sum() / sky.sum() == pytest.approx(BEAM_AREA_PX, rel=1e-4)


# noise


def test_noise_has_unit_deviation_and_zero_mean(array):
    planes = [array.noise(np.random.default_rng(seed)) for seed in range(6)]
    assert np.sqrt(np.mean(np.square(planes))) == pytest.approx(1, abs=0.01)
    assert np.mean(planes) == pytest.approx(0, abs=0.02)


def test_noise_has_no_power_where_nothing_was_measured(array):
    power = np.abs(np.fft.rfft2(array.noise(np.random.default_rng(3)).astype(float))) ** 2
    beam = np.abs(np.fft.rfft2(array.dirty(point(array, 0, 0)).astype(float)))
    empty = beam < 1e-4 * beam.max()
    assert 0.1 < empty.mean() < 0.9
    assert power[empty].mean() < 1e-3 * power[~empty].mean()


def test_noise_of_a_cell_falls_with_its_number_of_samples(array):
    # weighted sums: signal n w, noise sqrt(n) w, so power over signal squared is 1 / n
    _, beam, density = full_plane(
        array, OPTIONS, FIELD, 40, channels(OPTIONS, 6), lambda row, column: np.ones(row.shape, complex)
    )
    power = np.mean(
        [np.abs(np.fft.fft2(array.noise(np.random.default_rng(seed)))) ** 2 for seed in range(8)], axis=0
    )
    signal = np.abs(np.fft.fft2(beam))
    used = (density > 0) & (signal > 1e-3 * signal.max())
    level = np.array(
        [
            np.mean((power * density)[here] / signal[here] ** 2)
            for here in (
                used & (density < 10),
                used & (density > 30) & (density < 100),
                used & (density > 150),
            )
        ]
    )
    np.testing.assert_allclose(level, level.mean(), rtol=0.1)


def test_noise_is_correlated_over_a_beam(array):
    noise = array.noise(np.random.default_rng(4))
    shifted = [np.mean(noise * np.roll(noise, shift, axis=1)) for shift in (1, 2, 20)]
    assert shifted[0] > 0.6
    assert shifted[0] > shifted[1] > abs(shifted[2])
    assert abs(shifted[2]) < 0.15


# the inner cut: 48' of sky, cells of 72 wavelengths

WIDE = SimulateOptions(n_px=256, pixel_arcsec=9.0, beam_arcsec=40.0)


def wide(inner_cut_m):
    return Instrument(WIDE, Observation(45.0, 8.0, inner_cut_m, -0.3), WIDE.beam_arcsec)


def test_uniform_sky_disappears():
    array = wide(300.0)
    sky = np.ones((array.size, array.size), np.float32)
    assert np.abs(array.dirty(sky)).max() < 1e-4
    assert array.restore(sky).mean() == pytest.approx(BEAM_AREA_PX, rel=1e-4)


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize("n_px", [64, 256, 960])
def test_nothing_of_the_mean_gets_through_in_the_most_compact_coverage(n_px, ideal):
    # 60 m are 24 wavelengths and more, cells are 38 to 570 wavelengths wide
    field = Observation(declination_deg=10.0, hours=6.0, inner_cut_m=60.0, robust=0.1, ideal=ideal)
    array = Instrument(SimulateOptions(n_px=n_px), field, 20.0)
    sky = np.ones((array.size, array.size), np.float32)
    assert np.abs(array.dirty(sky)).max() < 1e-4
    assert np.abs(array.noise(np.random.default_rng(1)).mean()) < 1e-5
    errors = array.calibration_errors([30], [40], [1.0], 0.01, 0.01, np.random.default_rng(2))
    assert abs(errors.mean()) < 1e-3 * errors.std()


def test_large_gaussian_is_resolved_out_and_a_small_one_is_not():
    # 800 m are 320 wavelengths and more: a Gaussian of 14' keeps exp(-6) of its amplitude there
    cut = wide(800.0)
    large, small = gaussian(cut.size, 14 * 60 / 9), gaussian(cut.size, 60 / 9)
    assert np.abs(cut.dirty(large)).max() < 0.02 * cut.restore(large).max()
    assert cut.dirty(small).max() > 0.5 * cut.restore(small).max()


@pytest.mark.parametrize(("cycles", "passes"), [(1, False), (2, False), (6, True), (9, True)])
def test_waves_longer_than_the_shortest_baseline_vanish(cycles, passes):
    # 500 m are 200-280 wavelengths, or 2.8 cells and more
    array = wide(500.0)
    x = np.arange(array.size)
    wave = np.cos(2 * np.pi * cycles * x / array.size)
    seen = array.dirty(np.broadcast_to(wave, (array.size, array.size)).astype(np.float32))
    assert (seen.max() > 1) == passes
    if not passes:
        assert np.abs(seen).max() < 1e-3


# calibration errors


def constant(value):
    return lambda stations, *_: np.full((module.ERROR_TIMES, stations), value, complex)


def test_constant_gain_error_scales_the_beam_at_the_source(array, monkeypatch):
    monkeypatch.setattr(module, "_draw_gains", constant(1.02))
    image = array.calibration_errors([140], [90], [3.0], 0, 0, None)
    assert np.unravel_index(image.argmax(), image.shape) == (140, 90)
    assert image.max() == pytest.approx(3 * (1.02**2 - 1), rel=1e-4)
    around = image[140 - 50 : 140 + 51, 90 - 50 : 90 + 51]
    np.testing.assert_allclose(around, around[::-1, ::-1], atol=1e-6)


def test_common_phase_cancels(array, monkeypatch):
    monkeypatch.setattr(module, "_draw_gains", constant(np.exp(0.7j)))
    assert np.abs(array.calibration_errors([140], [90], [3.0], 0, 0, None)).max() < 1e-6


def test_errors_agree_with_both_halves_of_the_uv_plane(array, monkeypatch):
    rng = np.random.default_rng(5)
    gains = 1 + 0.05 * (rng.standard_normal((16, 62)) + 1j * rng.standard_normal((16, 62)))
    monkeypatch.setattr(module, "_draw_gains", lambda *_: gains)
    y, x, flux = 101, 173, 2.0
    image = array.calibration_errors([y], [x], [flux], 0, 0, None)
    first, second = np.triu_indices(62, 1)

    def visibility(row, column):
        error = gains[:, first] * np.conj(gains[:, second]) - 1
        return flux * error * np.exp(-2j * np.pi / array.size * (row * y + column * x))

    frequencies = channels(OPTIONS, 6)[[0, 3]]
    expected, _, _ = full_plane(array, OPTIONS, FIELD, 16, frequencies, visibility)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(image, expected, atol=1e-5 * np.abs(expected).max())


def test_phase_errors_leave_zero_mean_and_grow_in_proportion(array):
    def residual(phase):
        return array.calibration_errors([140], [90], [1.0], phase, 0.0, np.random.default_rng(8))

    one, two = residual(0.002), residual(0.004)
    assert one.std() > 1e-5
    assert two.std() / one.std() == pytest.approx(2, rel=0.02)
    assert abs(one.mean()) < 0.01 * one.std()
    # first order is odd about the source: there only the second remains
    assert abs(one[140, 90]) < 1e-4
    assert np.abs(one).max() > 3 * abs(one[140, 90])
    around = one[140 - 40 : 140 + 41, 90 - 40 : 90 + 41]
    assert np.corrcoef(around.ravel(), around[::-1, ::-1].ravel())[0, 1] < -0.95


def test_amplitude_errors_are_even_about_the_source(array):
    image = array.calibration_errors([140], [90], [1.0], 0.0, 0.003, np.random.default_rng(8))
    around = image[140 - 40 : 140 + 41, 90 - 40 : 90 + 41]
    assert np.corrcoef(around.ravel(), around[::-1, ::-1].ravel())[0, 1] > 0.95


def test_gains_have_the_asked_errors_and_last_for_whole_intervals():
    rng = np.random.default_rng(6)
    amplitude, phase, lengths = [], [], set()
    for _ in range(300):
        gains = _draw_gains(62, 0.01, 0.002, rng)
        assert gains.shape == (16, 62)
        changes = int((np.diff(gains[:, 0]) != 0).sum()) + 1
        lengths.add(changes)
        assert all(np.unique(gains[i : i + 16 // changes, 3]).size == 1 for i in range(0, 16, 16 // changes))
        amplitude.append(np.abs(gains[0]) - 1)
        phase.append(np.angle(gains[0]))
    assert lengths == {1, 2, 4, 8, 16}
    # stations differ in quality, but the root mean square over them is what was asked
    assert np.std(amplitude) == pytest.approx(0.002, rel=0.06)
    assert np.std(phase) == pytest.approx(0.01, rel=0.06)
    # mean logarithms: -0.36 of the lognormal quality, -(gamma + ln 2) / 2 of a Gaussian
    typical = np.log(0.01) - 0.36 - 0.5 * (np.euler_gamma + np.log(2))
    assert np.mean(np.log(np.abs(phase))) == pytest.approx(typical, abs=0.05)


# deconvolution


def test_bright_point_is_restored(array):
    image = imaged(array, point(array, 150, 120, 0.1))
    assert image[150, 120] == pytest.approx(0.1, rel=0.01)
    part = image[150 - 12 : 150 + 13, 120 - 12 : 120 + 13]
    assert part.sum() / BEAM_AREA_PX == pytest.approx(0.1, rel=0.01)
    far = np.ones(image.shape, bool)
    far[150 - 15 : 150 + 16, 120 - 15 : 120 + 16] = False
    assert np.abs(image[far]).max() < 1e-5
    assert np.abs(array.dirty(point(array, 150, 120, 0.1))[far]).max() > 1e-3


def test_faint_point_keeps_the_dirty_beam(array):
    sky = point(array, 150, 120, 3e-4)
    np.testing.assert_allclose(imaged(array, sky), array.dirty(sky), atol=1e-9)


def test_missed_flux_is_a_fraction_of_the_depth_by_hand(array):
    # 20 sigma, depth 4 sigma, a quarter missed: 0.25 x 4 / 20 = 5 per cent keeps the dirty beam
    sky = point(array, 150, 120, 2e-3)
    expected = 0.95 * array.restore(sky) + 0.05 * array.dirty(sky)
    np.testing.assert_allclose(imaged(array, sky, missed=0.25), expected, atol=1e-8)
    # at 5 sigma: 0.25 x 4 / 5 = 20 per cent
    sky = point(array, 150, 120, 5e-4)
    expected = 0.8 * array.restore(sky) + 0.2 * array.dirty(sky)
    np.testing.assert_allclose(imaged(array, sky, missed=0.25), expected, atol=1e-8)


def test_noise_passes_through_and_can_lift_a_source_over_the_depth(array):
    rms = np.full((array.size, array.size), 1e-4, np.float32)
    noise = 1e-4 * array.noise(np.random.default_rng(9))
    np.testing.assert_allclose(array.image(np.zeros_like(noise), noise, rms, 4.0, 0.1), noise, atol=1e-9)
    sky = point(array, 150, 120, 3.5e-4)
    lifted = array.image(sky, np.full_like(rms, 1e-4), rms, 4.0, 0.0)
    np.testing.assert_allclose(lifted, array.restore(sky) + 1e-4, atol=1e-8)
