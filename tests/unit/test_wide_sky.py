"""What a sky may have beside the default: beams, noise, backgrounds, cut-outs, classes of pixels."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from radiounet import clustering, diffuse, galaxies, simulate
from radiounet.clustering import _turned_about, add_emission, add_galaxies
from radiounet.diffuse import Target
from radiounet.galaxies import Layers, add_compact, draw_fluxes
from radiounet.gaussian import FWHM_TO_SIGMA
from radiounet.instrument import Instrument, Observation
from radiounet.recipe import SKY_FOLDER, SimulateOptions, read_sky
from radiounet.simulate import CLASSES, draw_background, draw_blank, find_causes, simulate_pair, write_pair
from skies import gaussian, imaged, point

OPTIONS = SimulateOptions(n_px=256)
FIELD = Observation(declination_deg=45.0, hours=8.0, inner_cut_m=30.0, robust=-1.0)
FIELDS = {"array": FIELD, "ideal": replace(FIELD, ideal=True)}
CALM = {
    "blank_fraction": 0.0,
    "coarse_fraction": 0.0,
    "edge_fraction": 0.0,
    "galactic_fraction": 0.0,
    "rms_variation": (1.0, 1.0),
}
# no clusters, no radio galaxies, and only compact sources that are too rare to be drawn
DARK = CALM | {
    "flux_min_mjy": 1e7,
    "flux_max_jy": 1.1e4,
    "galaxies_per_deg2": (0.0, 0.0),
    "remnants_per_deg2": (0.0, 0.0),
    "spirals_per_deg2": (0.0, 0.0),
    "clusters_per_deg2": (0.0, 0.0),
    "empty_fraction": 1.0,
}
CROWDED = SimulateOptions(
    n_px=160, clusters_per_deg2=(150.0, 150.0), diffuse_fraction=(0.7, 0.7), empty_fraction=0.0
)


def changed(options, **changes):
    return SimulateOptions.model_validate(options.model_dump() | changes)


def array_of(observation=FIELD, partner=None, options=OPTIONS):
    return Instrument(options, observation, options.beam_arcsec, partner)


def squared_frequency(size):
    ky, kx = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    return ky[:, None] ** 2 + kx[None, :] ** 2


def beam_spectrum(array):
    return np.fft.rfft2(array.dirty(point(array, 0, 0)).astype(float)).real


def noise_power(array, seed=1):
    return np.abs(np.fft.rfft2(array.noise(np.random.default_rng(seed)).astype(float))) ** 2


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
    seen, usual = (imaged(one, halo, clean_sigma=1e9).max() for one in (broad, plain))
    assert seen / usual == pytest.approx(factor, rel=0.08)
    source = point(plain, 150, 120, 0.1)
    assert imaged(broad, source, clean_sigma=1e9)[150, 120] == pytest.approx(0.1, rel=1e-4)
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
    options = SimulateOptions(pedestal_sigma=(pedestal, pedestal), gradient_sigma=(slope, slope))
    for seed in range(4):
        plane = draw_background(options, np.full((201, 201), 2e-4, np.float32), np.random.default_rng(seed))
        assert plane.dtype == np.float32
        assert plane[100, 100] == pytest.approx(2e-4 * pedestal, abs=1e-9)
        rise_y, rise_x = 200 * (plane[1, 0] - plane[0, 0]), 200 * (plane[0, 1] - plane[0, 0])
        assert np.hypot(rise_y, rise_x) == pytest.approx(2e-4 * slope, rel=2e-3, abs=1e-9)
        y, x = np.indices(plane.shape) / 200
        np.testing.assert_allclose(plane, plane[0, 0] + rise_y * y + rise_x * x, atol=2e-7)


def test_gradients_point_anywhere():
    options = SimulateOptions(gradient_sigma=(2.0, 2.0))
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
        DARK | {"n_px": 128, "rms_ujy": (1e-3, 1e-3), "pedestal_sigma": (pedestal, pedestal)}
    )
    image = simulate_pair(options, 1).image
    np.testing.assert_allclose(image / 1e-9, pedestal, rtol=3e-4)


def test_image_without_sources_is_its_gradient():
    options = SimulateOptions.model_validate(
        DARK | {"n_px": 128, "rms_ujy": (1e-3, 1e-3), "gradient_sigma": (1e4, 1e4)}
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


# clusters


@pytest.mark.parametrize(("fraction", "least", "most"), [(0.0, 0, 0), (0.4, 50, 110), (1.0, 200, 200)])
def test_central_radio_galaxies_come_with_their_fraction(monkeypatch, fraction, least, most):
    places = []
    monkeypatch.setattr(clustering, "add_radio_galaxy", lambda layers, place, *_: places.append(place))
    options = SimulateOptions(
        central_galaxy_fraction=fraction, cluster_galaxies=(0.0, 0.0), galaxy_flux_mjy=(1.0, 2.0)
    )
    target, rng = Target(np.full((100, 100), 1e-4, np.float32), 4.44, options), np.random.default_rng(2)
    for _ in range(200):
        add_galaxies(Layers.empty(100), target, 50.0, 40.0, 30.0, 0.03, 1e-4, options, rng)
    assert set(places) <= {(50.0, 40.0)}
    assert least <= len(places) <= most


@pytest.mark.parametrize(("y", "x"), [(150.0, 150.0), (10.0, 280.0)])
@pytest.mark.parametrize("turn", [20.0, 90.0])
def test_relics_turn_about_their_middle(y, x, turn):
    signs = set()
    for seed in range(8):
        towards = 0.7 * seed
        new_y, new_x, distance, turned = _turned_about(y, x, 60.0, towards, turn, np.random.default_rng(seed))
        assert distance == 60
        difference = np.degrees(turned - towards)
        assert abs(difference) == pytest.approx(turn)
        signs.add(np.sign(difference))
        middle = (y + 60 * np.sin(towards), x + 60 * np.cos(towards))
        assert (new_y + 60 * np.sin(turned), new_x + 60 * np.cos(turned)) == pytest.approx(middle)
    assert signs == {-1, 1}
    assert _turned_about(y, x, 60.0, 0.3, 0.0, None) == (y, x, 60.0, 0.3)


def orientation(plane):
    """Direction of the longest axis, rad, from second moments."""
    weight = plane / plane.sum()
    rows, columns = np.indices(plane.shape)
    dy, dx = rows - (weight * rows).sum(), columns - (weight * columns).sum()
    return 0.5 * np.arctan2(2 * (weight * dy * dx).sum(), (weight * (dx**2 - dy**2)).sum())


@pytest.mark.parametrize("turn", [25.0, 60.0, 90.0])
def test_a_turned_relic_stays_where_it_is(monkeypatch, turn):
    monkeypatch.setattr(diffuse, "lognormal", lambda shape, *_: np.ones(shape))
    monkeypatch.setattr(clustering, "KINDS", {"relic": 1.0})
    middles = []
    original = clustering.add_relic

    def note(target, y, x, distance, towards, *rest):
        middles.append((y + distance * np.sin(towards), x + distance * np.cos(towards), towards))
        original(target, y, x, distance, towards, *rest)

    monkeypatch.setattr(clustering, "add_relic", note)
    for seed in range(4):
        options = SimulateOptions(
            peak_sigma=(10.0, 10.0),
            second_fraction=0.0,
            relic_length_kpc=(900.0, 900.0),
            relic_width_kpc=(50.0, 50.0),
            relic_distance_r500=(0.6, 0.6),
            relic_turn_deg=(turn, turn),
        )
        middles.clear()
        target = Target(np.full((400, 400), 1e-4, np.float32), 4.44, options)
        add_emission(
            Layers.empty(400), target, 200.0, 200.0, 150.0, 0.1, options, np.random.default_rng(seed)
        )
        y, x, turned = middles[0]
        # 90 px from the cluster: the brightest ridge of the relic passes there
        assert np.hypot(y - 200, x - 200) == pytest.approx(90)
        top = np.unravel_index(target.truth.argmax(), target.truth.shape)
        assert np.hypot(top[0] - y, top[1] - x) < 45
        near = target.truth[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7]
        assert near.max() > 0.6 * target.truth.max()
        # its long axis is across the direction in which it was drawn
        across = orientation(target.truth) - turned
        assert abs(np.sin(across)) > np.cos(np.radians(15))
        from_cluster = np.arctan2(y - 200, x - 200)
        assert abs(np.degrees(np.angle(np.exp(1j * (turned - from_cluster))))) == pytest.approx(turn)


@pytest.mark.parametrize(("fraction", "least", "most"), [(0.0, 0, 0), (0.5, 18, 42), (1.0, 60, 60)])
def test_radio_galaxies_lie_beside_relics(monkeypatch, fraction, least, most):
    monkeypatch.setattr(clustering, "KINDS", {"relic": 1.0})
    monkeypatch.setattr(clustering, "add_relic", lambda *_: None)
    drawn = []
    monkeypatch.setattr(clustering, "add_radio_galaxy", lambda layers, place, *_: drawn.append(place))
    options = SimulateOptions(
        relic_galaxy_fraction=fraction,
        relic_length_kpc=(600.0, 600.0),
        relic_distance_r500=(1.0, 1.0),
        second_fraction=0.0,
    )
    target = Target(np.full((400, 400), 1e-4, np.float32), 4.44, options)
    rng = np.random.default_rng(4)
    for _ in range(60):
        add_emission(Layers.empty(400), target, 200.0, 200.0, 100.0, 0.1, options, rng)
    assert least <= len(drawn) <= most
    if drawn:
        # 60 px long: scattered by 0.35 of it in each direction about a circle of 100 px
        distance = np.hypot(*(np.array(drawn) - 200).T)
        assert np.median(distance) == pytest.approx(102, abs=12)


# classes of pixels

DIFFUSE, GALAXY, GALACTIC, ARTEFACT = (1 << number for number in range(4))


@pytest.fixture(scope="module")
def array():
    return Instrument(SimulateOptions(n_px=160), replace(FIELD, ideal=True), 20.0)


@pytest.fixture
def scene(array):
    rms = np.full((array.size, array.size), 1e-4, np.float32)
    artefacts = np.zeros_like(rms)
    target = Target(rms, array.beam_px, SimulateOptions(n_px=160))
    return Layers.empty(array.size), target, artefacts, array, rms


def add_disc(target, y, x, radius, peak_sigma):
    part, dy, dx = target.window(y, x, radius)
    target.add_object("halo", part, (np.hypot(dy, dx) < radius).astype(np.float32), peak_sigma)


def classes_of(scene):
    _, classes = find_causes(*scene)
    assert classes.dtype == np.uint8
    return classes


def test_classes_are_named():
    assert CLASSES == ("diffuse", "radio galaxy", "Galactic", "artefact")


def test_nothing_is_background(scene):
    assert not classes_of(scene).any()


@pytest.mark.parametrize(("peak", "seen"), [(0.2, False), (0.3, True), (3.0, True), (30.0, True)])
def test_diffuse_pixels_exceed_a_quarter_of_the_noise(scene, peak, seen):
    _, target, *_ = scene
    add_disc(target, 100, 100, 25, peak)
    classes = classes_of(scene)
    assert (classes[100, 100] == DIFFUSE) == seen
    assert set(np.unique(classes)) <= {0, DIFFUSE}
    limit = max(0.25e-4, 0.02 * peak * 1e-4)
    np.testing.assert_array_equal(classes == DIFFUSE, target.truth > limit)


def test_a_faint_object_beside_a_bright_one_is_diffuse_by_its_own_peak(scene):
    _, target, *_ = scene
    add_disc(target, 60, 60, 15, 40.0)
    add_disc(target, 60, 130, 15, 0.5)
    classes = classes_of(scene)
    # 0.5 sigma are 1 per cent of the bright one, but the whole of the faint one
    assert classes[60, 130] == classes[60, 60] == DIFFUSE
    # the bright one ends where 2 per cent, 0.8 sigma, are reached: half a beam or so outside of it
    outward = target.truth[60, 60:110] / target.truth[60, 60]
    np.testing.assert_array_equal(classes[60, 60:100] == DIFFUSE, outward[:40] > 0.02)


def test_a_halo_is_diffuse_out_to_four_e_folding_lengths(scene):
    _, target, *_ = scene
    part, dy, dx = target.window(100, 100, 90)
    target.add_object("halo", part, np.exp(-np.hypot(dy, dx) / 15), 40.0)
    radius = np.hypot(*(np.argwhere(classes_of(scene) & DIFFUSE) - 100).T).max()
    # the beam makes the peak a little lower, so that its 2 per cent are farther out
    assert 58 <= radius < 65


@pytest.mark.parametrize("layer", ["compact", "galaxies", "remnants", "spirals"])
@pytest.mark.parametrize(("flux", "seen"), [(0.9e-4, False), (1.1e-4, True), (1e-2, True)])
def test_radio_galaxies_of_each_kind(scene, layer, flux, seen):
    layers, _, _, array, _ = scene
    getattr(layers, layer)[70, 90] = flux
    classes = classes_of(scene)
    assert (classes[70, 90] == GALAXY) == seen
    radius = np.hypot(*(np.indices(classes.shape) - np.array([70, 90])[:, None, None]))
    if seen:
        # where a Gaussian of that peak falls to the noise
        reach = array.beam_px * np.sqrt(np.log(flux / 1e-4) / (4 * np.log(2)))
        clear = np.abs(radius - reach) > 0.1
        np.testing.assert_array_equal((classes == GALAXY)[clear], (radius < reach)[clear])


def test_faint_kinds_add_up_to_a_radio_galaxy(scene):
    layers, *_ = scene
    layers.compact[70, 90] = layers.galaxies[70, 90] = 0.6e-4
    assert classes_of(scene)[70, 90] == GALAXY


def test_overlap_has_both_bits(scene):
    layers, target, artefacts, *_ = scene
    add_disc(target, 100, 100, 25, 3.0)
    layers.galaxies[100, 110] = 1e-3
    artefacts[90:96, 90:96] = -2e-4
    layers.compact[150, 60] = 1e-3
    classes = classes_of(scene)
    assert classes[100, 110] == DIFFUSE | GALAXY
    assert classes[93, 93] == DIFFUSE | ARTEFACT
    assert classes[100, 85] == DIFFUSE
    assert classes[150, 60] == GALAXY


@pytest.mark.parametrize(("value", "seen"), [(0.9e-4, False), (1.1e-4, True), (-1.1e-4, True)])
def test_artefacts_by_their_envelope(scene, value, seen):
    _, _, artefacts, *_ = scene
    artefacts[80, 80] = value
    bits = classes_of(scene)
    # two pixels around
    assert (bits[78:83, 78:83] == (ARTEFACT if seen else 0)).all()
    assert np.count_nonzero(bits) == (25 if seen else 0)


@pytest.mark.parametrize(("rms_sigma", "seen"), [(0.4, False), (0.6, True), (5.0, True)])
def test_galactic_emission_by_its_local_amplitude(scene, rms_sigma, seen):
    layers, _, _, array, _ = scene
    # a wave of 20 px has its mean square in a box of 2 arcmin (27 px) wherever that lies
    wave = np.sin(2 * np.pi * np.arange(array.size) / 20)
    sky = np.broadcast_to(wave, (array.size, array.size)).astype(np.float32)
    layers.galactic[:] = sky * rms_sigma * 1e-4 * np.sqrt(2) / array.dirty(sky).max()
    classes = classes_of(scene)
    inner = classes[30:-30, 30:-30]
    assert ((inner == GALACTIC).mean() > 0.95) == seen
    assert seen or not (inner & GALACTIC).mean() > 0.05
    # the zeros of the wave are Galactic too
    assert not seen or inner[:, np.abs(wave[30:-30]) < 1e-3].all()


def test_pairs_carry_all_classes():
    options = changed(
        CROWDED, **CALM | {"galactic_fraction": 1.0, "galactic_sigma": (3.0, 3.0)}, phase_error_deg=(0.5, 0.5)
    )
    pairs = [simulate_pair(options, seed) for seed in range(4)]
    seen = np.bitwise_or.reduce([pair.classes.ravel() for pair in pairs], axis=None)
    assert seen == DIFFUSE | GALAXY | GALACTIC | ARTEFACT


# the skies of config/skies

NAMES = sorted(path.stem for path in SKY_FOLDER.glob("*.yaml"))
SHIFTED = [name for name in NAMES if name.startswith("shifted_")]


def test_skies_are_those_to_train_on_and_to_measure_on():
    assert "wide" in NAMES
    assert len(SHIFTED) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_every_sky_makes_pairs(name):
    options = changed(read_sky(name), n_px=128)
    for seed in range(3):
        pair = simulate_pair(options, seed)
        assert pair.image.shape == (128, 128)
        assert np.isfinite(pair.image).any()
        assert np.isfinite(pair.truth).all()
        assert pair.classes.max() < 16


def test_skies_share_no_seed():
    seeds = [read_sky(name).seed for name in NAMES] + [SimulateOptions().seed]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", SHIFTED)
def test_shifted_skies_reach_beyond_the_one_to_train_on(name):
    wide, shifted = read_sky("wide"), read_sky(name)
    beyond = []
    for key in type(wide).model_fields.keys() - {"seed"}:
        usual, here = getattr(wide, key), getattr(shifted, key)
        if isinstance(usual, tuple):
            if here[0] < usual[0] or here[1] > usual[1]:
                beyond.append(key)
        elif key.endswith("_fraction") and here > usual:
            beyond.append(key)
    assert len(beyond) >= 3, beyond
