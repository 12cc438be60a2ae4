"""What a sky may have beside the default: beams, noises, backgrounds, cut-outs, sources and calibration."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import galaxies, simulate
from radiounet.simulation.diffuse import Target
from radiounet.simulation.galaxies import Layers, add_compact, draw_fluxes
from radiounet.simulation.instrument import Instrument, Observation
from radiounet.simulation.simulate import draw_background, draw_blank, simulate_pair, write_pair
from skies import gaussian, imaged, point
from wide import (
    CALM,
    CROWDED,
    DARK,
    FIELD,
    FIELDS,
    array_of,
    beam_spectrum,
    changed,
    noise_power,
    squared_frequency,
)

# the default, as of commit 10b30be

OBSERVATION_OF_SEED_7 = Observation(
    declination_deg=67.80496606787028,
    hours=7.939214225612984,
    inner_cut_m=73.51243139943551,
    robust=-1.229850343579897,
)
# pixels, Jy/beam; their deviation; sum of the truth; blank pixels; sum of the causes
PAIRS = [
    (3, (-2.4011836e-4, -8.697642e-5, 3.8488745e-4), 4.1109161e-3, 0.0, 5320, 2642),
    (17, (-2.5839053e-4, 2.660228e-6, 4.9163894e-5), 7.7648448e-4, 0.73958504, 0, 28384),
]


def test_the_default_observation_is_that_of_the_published_models():
    drawn = Observation.draw(SimulateOptions(), np.random.default_rng(7))
    assert drawn == OBSERVATION_OF_SEED_7


@pytest.mark.parametrize(("seed", "values", "spread", "truth", "blank", "cause"), PAIRS)
def test_the_default_sky_is_that_of_the_published_models(seed, values, spread, truth, blank, cause):
    pair = simulate_pair(SimulateOptions(n_px=128), seed)
    np.testing.assert_allclose([pair.image[at] for at in ((10, 20), (64, 64), (100, 31))], values, atol=1e-8)
    assert np.nanstd(pair.image) == pytest.approx(spread, rel=1e-4)
    assert pair.truth.sum() == pytest.approx(truth, rel=1e-4)
    assert (np.isnan(pair.image).sum(), pair.cause.sum()) == (blank, cause)


# the dirty beam


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("factor", [0.8, 1.5, 2.3])
def test_shoulder_brightens_broad_emission_and_keeps_a_point(field, factor):
    plain = array_of(FIELDS[field])
    broad = array_of(replace(FIELDS[field], shoulder=factor, shoulder_arcsec=120.0))
    halo = 1e-3 * gaussian(plain.size, 10 * 60 / 4.5)
    seen, usual = (imaged(one, halo, clean_snr=1e9).max() for one in (broad, plain))
    assert seen / usual == pytest.approx(factor, rel=0.08)
    source = point(plain, 150, 120, 0.1)
    assert imaged(broad, source, clean_snr=1e9)[150, 120] == pytest.approx(0.1, rel=1e-4)
    # what is deconvolved, here all, is as bright as it is
    level = np.full_like(halo, 1e-4)
    deep = broad.image(halo, np.full_like(halo, 0.1), level, 4.0, 0.0) - np.float32(0.1)
    np.testing.assert_allclose(deep, plain.restore(halo), atol=1e-6)


@pytest.mark.parametrize("arcsec", [60.0, 240.0])
@pytest.mark.parametrize("factor", [0.8, 2.3])
@pytest.mark.parametrize("cycles", [1, 3, 8, 30])
def test_shoulder_on_a_wave_by_hand(arcsec, factor, cycles):
    plain = array_of(FIELDS["ideal"])
    broad = array_of(replace(FIELDS["ideal"], shoulder=factor, shoulder_arcsec=arcsec))
    wave = np.cos(2 * np.pi * cycles * np.arange(plain.size) / plain.size)
    sky = np.broadcast_to(wave, (plain.size, plain.size)).astype(np.float32)
    sigma_px, beam_sigma_px = (one / 4.5 / np.sqrt(8 * np.log(2)) for one in (arcsec, 20.0))
    gain = 1 + (factor - 1) * np.exp(-2 * (np.pi * sigma_px * cycles / plain.size) ** 2)
    # the peak rises by the volume of beam times shoulder over that of the beam, and is brought back
    peak = 1 + (factor - 1) * beam_sigma_px**2 / (sigma_px**2 + beam_sigma_px**2)
    assert broad.dirty(sky).max() / plain.dirty(sky).max() == pytest.approx(gain / peak, rel=3e-3)


@pytest.mark.parametrize("tapers", [(0.35, 0.55), (0.55, 1.0)])
def test_taper_weighs_the_visibilities_by_a_gaussian(tapers):
    narrow, wide = (array_of(replace(FIELD, taper=taper)) for taper in tapers)
    first, second = beam_spectrum(narrow), beam_spectrum(wide)
    used = second > 1e-3 * second.max()
    sigma_px = narrow.beam_px * FWHM_TO_SIGMA
    factor = np.exp(
        -2 * (tapers[1] ** 2 - tapers[0] ** 2) * (np.pi * sigma_px) ** 2 * squared_frequency(narrow.size)
    )
    ratio = (second / first / factor)[used & (first > 1e-3 * first.max())]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=5e-3)
    half = [(array.dirty(point(array, 160, 160)) > 0.5).sum() for array in (narrow, wide)]
    assert half[0] < half[1]


def test_blend_of_two_observations_is_the_mean_of_their_beams_and_noise_powers():
    other = replace(FIELD, declination_deg=10.0, hours=4.0, robust=0.3)
    one, two, both = array_of(FIELD), array_of(other), array_of(FIELD, other)
    source = point(both, 100, 90)
    assert both.dirty(source)[100, 90] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(both.dirty(source), (one.dirty(source) + two.dirty(source)) / 2, atol=1e-5)
    power = noise_power(both)
    mean = (noise_power(one) + noise_power(two)) / 2
    np.testing.assert_allclose(power, mean, atol=1e-5 * mean.max())
    assert both.noise(np.random.default_rng(3)).std() == pytest.approx(1, abs=0.03)
    assert not np.allclose(one.dirty(source), two.dirty(source), atol=1e-2)
    # an observation with itself is itself
    np.testing.assert_allclose(array_of(FIELD, FIELD).dirty(source), one.dirty(source), atol=1e-6)


def test_blends_come_with_their_fraction(monkeypatch):
    drawn = []
    original = Observation.draw.__func__
    monkeypatch.setattr(
        Observation, "draw", classmethod(lambda cls, *given: drawn.append(1) or original(cls, *given))
    )
    options = SimulateOptions.model_validate(DARK | {"n_px": 64, "blend_fraction": 0.4})
    for seed in range(60):
        simulate_pair(options, seed)
    assert len(drawn) == pytest.approx(60 + 60 * 0.4, abs=14)


# noise


@pytest.mark.parametrize("field", FIELDS)
def test_noise_like_the_beam_has_its_autocorrelation(field):
    array = array_of(replace(FIELDS[field], beam_noise=1.0))
    planes = [array.noise(np.random.default_rng(seed)) for seed in range(6)]
    assert np.sqrt(np.mean(np.square(planes))) == pytest.approx(1, abs=0.01)
    for shift in (1, 2, 4, 6, 9, 15):
        for axis in (1, 2):
            measured = np.mean(planes * np.roll(planes, shift, axis=axis))
            # a Gaussian with itself: sqrt(2) wider
            expected = np.exp(-4 * np.log(2) * (shift / array.beam_px) ** 2 / 2)
            assert measured == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("share", [0.25, 0.7])
def test_part_of_the_noise_power_is_like_the_beam(share):
    powers = [noise_power(array_of(replace(FIELD, beam_noise=part))) for part in (0.0, share, 1.0)]
    mean = (1 - share) * powers[0] + share * powers[2]
    np.testing.assert_allclose(powers[1], mean, atol=1e-5 * mean.max())


@pytest.mark.parametrize("share", [0.05, 0.13, 0.2, 0.3, 0.45, 1.0])
def test_stripes_hold_their_share_of_the_power_in_few_cells(share):
    plain, striped = array_of(FIELD), array_of(replace(FIELD, stripe_noise=share))
    half = np.full(plain.size // 2 + 1, 2.0)  # the half plane stands for the whole
    half[[0, -1]] = 1
    before, after = noise_power(plain) * half, noise_power(striped) * half
    used = before > 1e-6 * before.max()
    stripes = ~used | (after > (1 - share + 1e-3) * before)
    # two thirds of the used cells and more lose exactly that share
    np.testing.assert_allclose(after[~stripes] / before[~stripes], 1 - share, atol=1e-3)
    assert (after[stripes] - (1 - share) * before[stripes]).sum() / after.sum() == pytest.approx(
        share, abs=0.35 * share
    )
    # half of what the stripes hold lies in one cell of forty
    added = np.sort((after - (1 - share) * before)[stripes])[::-1]
    assert np.searchsorted(np.cumsum(added) / added.sum(), 0.5) < after.size / 40
    deviation = np.sqrt(np.mean([np.square(striped.noise(np.random.default_rng(seed))) for seed in range(8)]))
    assert deviation == pytest.approx(1, abs=0.03)


# zoom


@pytest.mark.parametrize("coarse", [0.0, 1.0])
@pytest.mark.parametrize("zoom", [2.0, 3.0])
def test_zoom_scales_beam_and_pixels_and_angles_are_those_that_a_model_sees(zoom, coarse):
    options = changed(CROWDED, zoom_fraction=1.0, coarse_fraction=coarse, smallest_arcmin=0.1)
    low, high = options.coarse_beam_arcsec
    wide = changed(
        options, pixel_arcsec=zoom * 4.5, beam_arcsec=zoom * 20, coarse_beam_arcsec=(zoom * low, zoom * high)
    )
    seen, truly = simulate_pair(changed(options, zoom=(zoom, zoom)), 3), simulate_pair(wide, 3)
    for name in ("image", "truth", "rms", "numbers", "cause", "classes"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(truly, name))
    assert seen.beam_arcsec == pytest.approx(truly.beam_arcsec / zoom)
    assert coarse or seen.beam_arcsec == 20
    assert seen.objects
    assert seen.clusters
    for one, other in zip(seen.objects, truly.objects, strict=True):
        assert one.las_arcmin == pytest.approx(other.las_arcmin / zoom)
        assert (one.y_px, one.x_px, one.flux_jy) == (other.y_px, other.x_px, other.flux_jy)
    for one, other in zip(seen.clusters, truly.clusters, strict=True):
        assert one.r500_arcmin == pytest.approx(other.r500_arcmin / zoom)
        assert one.redshift == other.redshift


def test_header_of_a_zoomed_image_is_the_survey_s(tmp_path):
    options = SimulateOptions(n_px=96, coarse_fraction=0.0, zoom_fraction=1.0, zoom=(1.5, 3.0))
    write_pair(tmp_path / "p.fits", options, 1)
    header = fits.getheader(tmp_path / "p.fits")
    assert header["BMAJ"] * 3600 == pytest.approx(20)
    assert header["PIXARCS"] == 4.5


def test_zoom_comes_with_its_fraction_and_range(monkeypatch):
    seen = []
    original = Instrument.__init__

    def note(self, options, observation, beam_arcsec, partner=None):
        seen.append((options.pixel_arcsec / 4.5, beam_arcsec / 20))
        original(self, options, observation, beam_arcsec, partner)

    monkeypatch.setattr(Instrument, "__init__", note)
    options = SimulateOptions.model_validate(DARK | {"n_px": 64, "zoom_fraction": 0.5, "zoom": (1.2, 3.0)})
    for seed in range(80):
        simulate_pair(options, seed)
    pixel, beam = np.array(seen).T
    np.testing.assert_allclose(pixel, beam)
    zoomed = pixel[pixel != 1]
    assert zoomed.size == pytest.approx(40, abs=18)
    assert 1.2 <= zoomed.min() < 1.5
    assert 2.4 < zoomed.max() <= 3
    # by its logarithm
    assert np.median(zoomed) == pytest.approx(np.sqrt(1.2 * 3), rel=0.2)


# background


@pytest.mark.parametrize(("pedestal", "slope"), [(1.5, 0.0), (-1.5, 0.0), (0.0, 2.0), (-0.7, 1.3)])
def test_background_by_hand(pedestal, slope):
    options = SimulateOptions(pedestal_snr=(pedestal, pedestal), gradient_snr=(slope, slope))
    for seed in range(4):
        plane = draw_background(options, np.full((201, 201), 2e-4, np.float32), np.random.default_rng(seed))
        assert plane.dtype == np.float32
        assert plane[100, 100] == pytest.approx(2e-4 * pedestal, abs=1e-9)
        rise_y, rise_x = 200 * (plane[1, 0] - plane[0, 0]), 200 * (plane[0, 1] - plane[0, 0])
        assert np.hypot(rise_y, rise_x) == pytest.approx(2e-4 * slope, rel=2e-3, abs=1e-9)
        y, x = np.indices(plane.shape) / 200
        np.testing.assert_allclose(plane, plane[0, 0] + rise_y * y + rise_x * x, atol=2e-7)


def test_gradients_point_anywhere():
    options = SimulateOptions(gradient_snr=(2.0, 2.0))
    rms = np.ones((65, 65), np.float32)
    rises = []
    for seed in range(60):
        plane = draw_background(options, rms, np.random.default_rng(seed))
        rises.append((plane[64, 32] - plane[0, 32], plane[32, 64] - plane[32, 0]))
    quadrants = {(y > 0, x > 0) for y, x in rises}
    assert len(quadrants) == 4


@pytest.mark.parametrize("pedestal", [-3e4, 2e4])
def test_image_without_sources_is_its_pedestal(pedestal):
    options = SimulateOptions.model_validate(
        DARK | {"n_px": 128, "rms_ujy": (1e-3, 1e-3), "pedestal_snr": (pedestal, pedestal)}
    )
    image = simulate_pair(options, 1).image
    np.testing.assert_allclose(image / 1e-9, pedestal, rtol=3e-4)


def test_image_without_sources_is_its_gradient():
    options = SimulateOptions.model_validate(
        DARK | {"n_px": 128, "rms_ujy": (1e-3, 1e-3), "gradient_snr": (1e4, 1e4)}
    )
    for seed in range(3):
        image = simulate_pair(options, seed).image / 1e-9
        y, x = np.indices(image.shape)
        terms = np.stack([np.ones(image.size), y.ravel(), x.ravel()], 1)
        fitted, *_ = np.linalg.lstsq(terms, image.ravel(), rcond=None)
        # from side to side of the grid of 160 px
        assert 159 * np.hypot(*fitted[1:]) == pytest.approx(1e4, rel=2e-3)
        assert np.abs(image.ravel() - terms @ fitted).max() < 8


# cut-outs


def test_cutouts_are_one_rectangle_of_their_sides():
    options = SimulateOptions(cutout_fraction=1.0, cutout_px=(20.0, 90.0), blank_fraction=1.0)
    sides, corners = [], []
    for seed in range(150):
        known = ~draw_blank((120, 140), options, np.random.default_rng(seed))
        rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
        assert known.sum() == rows.size * columns.size
        sides += [rows.size, columns.size]
        corners += [(rows[0], columns[0], 120 - rows[-1] - 1, 140 - columns[-1] - 1)]
    assert 20 <= min(sides) < 24
    assert 80 < max(sides) <= 90
    assert np.median(sides) == pytest.approx(np.sqrt(20 * 90), rel=0.15)
    assert (np.median(corners, axis=0) > 10).all()


def test_a_cutout_larger_than_the_image_is_the_image():
    options = SimulateOptions(cutout_fraction=1.0, cutout_px=(300.0, 400.0))
    assert not draw_blank((120, 140), options, np.random.default_rng(1)).any()


def test_cutouts_come_with_their_fraction_and_blank_the_image_alone():
    options = SimulateOptions(cutout_fraction=0.3, cutout_px=(20.0, 30.0), blank_fraction=0.0)
    some = [draw_blank((40, 40), options, np.random.default_rng(seed)).any() for seed in range(300)]
    assert np.mean(some) == pytest.approx(0.3, abs=0.11)
    whole, cut = (
        simulate_pair(changed(CROWDED, **CALM, cutout_fraction=part, cutout_px=(64.0, 80.0)), 2)
        for part in (0.0, 1.0)
    )
    known = np.isfinite(cut.image)
    assert 64**2 <= known.sum() <= 80**2
    np.testing.assert_array_equal(cut.image[known], whole.image[known])
    np.testing.assert_array_equal(cut.truth, whole.truth)
    np.testing.assert_array_equal(cut.classes, whole.classes)


# sources


@pytest.fixture
def points(monkeypatch):
    """Places and fluxes of the middles of compact sources, as they are drawn."""
    drawn = []
    monkeypatch.setattr(galaxies, "add_points", lambda plane, *given: drawn.append(given))
    return drawn


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_counts_scale_scales_the_number_of_sources(scale, points):
    options = SimulateOptions(counts_scale=(scale, scale))
    expected = np.mean(
        [draw_fluxes(SimulateOptions(), 4.0, np.random.default_rng(s)).size for s in range(20)]
    )
    number = draw_fluxes(options, 4.0, np.random.default_rng(50), scale).size
    assert number == pytest.approx(scale * expected, abs=5 * np.sqrt(scale * expected))
    add_compact(Layers.empty(200), options, 4.0, np.random.default_rng(51))
    assert points[1][2].size == pytest.approx(scale * expected, abs=5 * np.sqrt(scale * expected))


def test_counts_scale_leaves_their_distribution_alone():
    few, many = (draw_fluxes(SimulateOptions(), 30.0, np.random.default_rng(1), one) for one in (0.3, 3.0))
    for part in (0.25, 0.5, 0.75, 0.95):
        level = np.quantile(many, part)
        assert (few < level).mean() == pytest.approx(part, abs=5 * np.sqrt(part * (1 - part) / few.size))


def test_flux_scale_leaves_targets_and_galactic_emission_alone(monkeypatch):
    seen = []
    original = simulate.observe

    def note(layers, target, *rest):
        names = ("compact", "galaxies", "remnants", "spirals", "galactic")
        planes = {name: getattr(layers, name).copy() for name in names}
        seen.append((planes, list(layers.bright), target.sky.copy()))
        return original(layers, target, *rest)

    monkeypatch.setattr(simulate, "observe", note)
    options = changed(
        CROWDED,
        **CALM | {"galactic_fraction": 1.0},
        remnants_per_deg2=(60.0, 60.0),
        spirals_per_deg2=(60.0, 60.0),
    )
    pairs = [simulate_pair(changed(options, flux_scale=(one, one)), 4) for one in (1.0, 0.3)]
    (plain, bright, target), (scaled, fainter, same) = seen
    for name in ("compact", "galaxies", "remnants", "spirals"):
        assert plain[name].any()
        np.testing.assert_allclose(scaled[name], 0.3 * plain[name], rtol=1e-6)
    np.testing.assert_array_equal(scaled["galactic"], plain["galactic"])
    np.testing.assert_array_equal(same, target)
    assert bright
    np.testing.assert_allclose(fainter, np.array(bright) * (1, 1, 0.3))
    np.testing.assert_array_equal(pairs[0].truth, pairs[1].truth)
    assert [one.flux_jy for one in pairs[0].objects] == [one.flux_jy for one in pairs[1].objects]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_grouped_sources_have_more_neighbours_than_scattered_ones(share, points):
    options = SimulateOptions(clustered_fraction=(share, share))
    size, reach = 1000, 15
    ratios, expected = [], []
    # chance that two of a group are that near, spreads of 3 to 60 px drawn by their logarithm
    spread = np.geomspace(3, 60, 500)
    near = np.mean(1 - np.exp(-(reach**2) / (4 * spread**2)))
    for seed in range(6):
        points.clear()
        add_compact(Layers.empty(size), options, 0.3, np.random.default_rng(seed))
        y, x, _ = points[1]
        # the middle of three components: no farther than the position itself
        assert 0 <= min(y.min(), x.min()) <= max(y.max(), x.max()) <= size - 1
        tree = cKDTree(np.stack([y, x], 1))
        pairs = (tree.count_neighbors(tree, reach) - y.size) / 2
        # less what lies beyond the edges: 8 r / (3 pi) of the side
        random = y.size**2 / 2 * np.pi * reach**2 / size**2 * (1 - 8 * reach / (3 * np.pi * size))
        ratios.append(pairs / random)
        # groups of eight: every grouped source has that many neighbours
        expected.append(1 + share * y.size * 8 / 2 * near / random)
    assert np.mean(ratios) == pytest.approx(np.mean(expected), rel=0.12)
    assert not share or min(ratios) > 1.3


@pytest.fixture
def errors(monkeypatch):
    """Phase and gain errors per source, as the instrument gets them."""
    given = []

    def note(self, y, x, flux, phase_rad, gain, rng):
        given.append((np.asarray(flux), np.asarray(phase_rad), np.asarray(gain)))
        return np.zeros((self.size, self.size), np.float32)

    monkeypatch.setattr(Instrument, "calibration_errors", note)
    return given


LOUD = DARK | {"n_px": 128, "phase_error_deg": (0.3, 0.3), "gain_error": (0.002, 0.002)}


def observe_loud(rms=1e-4, sources=400, **changes):
    options = SimulateOptions.model_validate(LOUD | changes)
    array = Instrument(options, FIELD, 20.0)
    layers = Layers.empty(array.size)
    layers.bright = [(50.0, 60.0, 0.5)] * sources
    level = np.full((array.size, array.size), rms, np.float32)
    simulate.observe(layers, Target(level, 4.44, options), array, level, options, np.random.default_rng(3))


@pytest.mark.parametrize(("coarse", "flux"), [(0.0, 0.5), (1.0, 0.05)])
def test_of_bright_sources_a_coarser_image_has_the_errors_of_a_tenth(errors, monkeypatch, coarse, flux):
    draw = simulate.draw_sky

    def with_three(*given):
        layers, *others = draw(*given)
        layers.bright = [(50.0, 60.0, 0.5)] * 3
        return layers, *others

    monkeypatch.setattr(simulate, "draw_sky", with_three)
    simulate_pair(SimulateOptions.model_validate(LOUD | {"coarse_fraction": coarse}), 1)
    np.testing.assert_allclose(errors[0][0], [flux] * 3)


@pytest.mark.parametrize("scatter", [0.0, 0.6, 1.8])
def test_directions_scatter_about_the_errors_of_a_field(errors, scatter):
    observe_loud(direction_scatter=(scatter, scatter))
    _, phase, gain = errors[0]
    worse = np.log(phase / np.radians(0.3))
    np.testing.assert_allclose(gain / 0.002, np.exp(worse))
    assert worse.std() == pytest.approx(scatter, rel=0.15)
    assert worse.mean() == pytest.approx(0, abs=4 * scatter / np.sqrt(400) + 1e-12)


@pytest.mark.parametrize(("rms", "factor"), [(3e-5, 0.2), (1.5e-4, 1.0), (4e-4, 1.0)])
def test_deeper_images_have_smaller_errors(errors, rms, factor):
    observe_loud(rms, error_rms_ujy=150.0)
    _, phase, gain = errors[0]
    np.testing.assert_allclose(phase, factor * np.radians(0.3), rtol=1e-5)
    np.testing.assert_allclose(gain, factor * 0.002, rtol=1e-5)


def test_errors_of_each_direction_are_its_own():
    array = array_of(FIELD)
    given = {"y": np.array([60, 200]), "x": np.array([60, 200]), "flux": np.array([1.0, 1.0])}
    both = array.calibration_errors(
        **given, phase_rad=np.array([0.02, 0.0]), gain=np.array([0.01, 0.0]), rng=np.random.default_rng(1)
    )
    one = array.calibration_errors([60], [60], [1.0], 0.02, 0.01, np.random.default_rng(1))
    np.testing.assert_allclose(both, one, atol=1e-6)
