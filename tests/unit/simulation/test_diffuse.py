import numpy as np
import pytest
from scipy import signal

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import diffuse as module
from radiounet.simulation.diffuse import (
    NEGLIGIBLE,
    Target,
    add_bridge,
    add_halo,
    add_megahalo,
    add_phoenix,
    add_relic,
)
from skies import BEAM_AREA_PX, BEAM_PX

OPTIONS = SimulateOptions()
SIZE, RMS = 240, 1e-4
WHOLE = (slice(0, SIZE), slice(0, SIZE))
Y, X = np.indices((SIZE, SIZE)) - SIZE // 2
SEEDS = range(6)


def empty(beam_px=BEAM_PX, rms=None):
    return Target(np.full((SIZE, SIZE), RMS, np.float32) if rms is None else rms, beam_px, OPTIONS)


def disc(y, x, radius):
    return (np.hypot(Y + SIZE // 2 - y, X + SIZE // 2 - x) < radius).astype(np.float32)


@pytest.fixture
def smooth(monkeypatch):
    """Objects without clumps, filaments or distortions."""
    monkeypatch.setattr(module, "lognormal", lambda shape, *_: np.ones(shape))
    monkeypatch.setattr(module, "power_law_field", lambda shape, *_: np.zeros(shape))


def every_kind(target, rng, peak=5.0):
    middle = (SIZE / 2, SIZE / 2)
    add_halo(target, *middle, 15.0, "halo", peak, rng)
    add_halo(target, *middle, 6.0, "mini-halo", peak, rng)
    add_megahalo(target, *middle, 50.0, peak, rng)
    add_relic(target, *middle, 50.0, 1.0, 60.0, 8.0, peak, rng)
    add_phoenix(target, *middle, 25.0, peak, rng)
    add_bridge(target, *middle, 100.0, 30.0, 0.5, "bridge", peak, rng)


# bookkeeping


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("peak", [0.2, 5.0])
def test_objects_have_the_asked_peak_at_survey_resolution(number, peak):
    rng = np.random.default_rng(number)
    rms = np.broadcast_to(np.linspace(1e-4, 3e-4, SIZE, dtype=np.float32), (SIZE, SIZE))
    target = empty(rms=rms)
    kinds = []

    def only(kind, part, shape, peak_snr):
        kinds.append(kind)
        if len(kinds) == number + 1:
            Target.add_object(target, kind, part, shape, peak_snr)

    target.add_object = only
    every_kind(target, rng, peak)
    (one,) = target.objects
    assert one.kind == kinds[number]
    assert one.peak_snr == peak
    top = np.unravel_index(target.truth.argmax(), target.shape)
    assert (one.y_px, one.x_px) == top
    assert target.truth[top] == pytest.approx(peak * rms[top], rel=0.01)
    assert one.flux_jy == pytest.approx(target.truth.sum() / BEAM_AREA_PX, rel=1e-3)
    assert one.flux_jy == pytest.approx(target.sky.sum(), rel=2e-3)


@pytest.mark.parametrize("beam_px", [4.444, 9.0])
def test_truth_is_the_sky_convolved_with_the_beam(beam_px):
    target = empty(beam_px)
    every_kind(target, np.random.default_rng(1))
    k = np.arange(-40, 41)
    line = np.exp(-4 * np.log(2) * (k / beam_px) ** 2)
    expected = signal.fftconvolve(target.sky, np.outer(line, line), mode="same")
    inside = (slice(40, -40),) * 2
    np.testing.assert_allclose(target.truth[inside], expected[inside], atol=1e-3 * expected.max())
    assert target.truth.max() > 1e-3


def test_truth_is_never_negative():
    for seed in SEEDS:
        target = empty()
        every_kind(target, np.random.default_rng(seed))
        assert min(target.truth.min(), target.sky.min()) >= 0
        assert len(target.objects) == 6


def test_numbers_name_the_dominant_object():
    target = empty()
    target.add_object("faint", WHOLE, disc(120, 100, 30), 2.0)
    target.add_object("bright", WHOLE, disc(120, 140, 30), 8.0)
    target.add_object("fainter", WHOLE, disc(120, 120, 10), 1.0)
    assert target.numbers[120, 80] == 1
    assert target.numbers[120, 120] == 2  # where all three overlap
    assert target.numbers[120, 160] == 2
    assert 3 not in target.numbers
    assert target.numbers[20, 20] == 0
    assert [one.kind for one in target.objects] == ["faint", "bright", "fainter"]
    assert target.truth[120, 120] == pytest.approx((2 + 8 + 1) * RMS, rel=0.03)


def test_negligible_pixels_belong_to_no_object():
    target = empty()
    target.add_object("one", WHOLE, disc(120, 120, 20), 3.0)
    np.testing.assert_array_equal(target.numbers == 1, target.truth > NEGLIGIBLE * RMS)
    target = empty()
    target.add_object("one", WHOLE, disc(120, 120, 20), 0.9 * NEGLIGIBLE)
    assert not target.numbers.any()
    assert len(target.objects) == 1


def test_nothing_is_added_for_an_empty_shape():
    target = empty()
    target.add_object("none", WHOLE, np.zeros((SIZE, SIZE), np.float32), 3.0)
    add_halo(target, -500.0, 50.0, 10.0, "halo", 3.0, np.random.default_rng(1))
    add_bridge(target, 50.0, 900.0, 100.0, 20.0, 0.0, "bridge", 3.0, np.random.default_rng(1))
    assert target.objects == []
    assert not target.truth.any()


def test_object_cut_by_the_edge_has_its_peak_inside():
    target = empty()
    add_halo(target, -5.0, 120.0, 20.0, "halo", 3.0, np.random.default_rng(2))
    (one,) = target.objects
    assert 0 <= one.y_px < SIZE
    assert target.truth.max() == pytest.approx(3 * RMS, rel=0.01)


def test_extent_of_a_bar_is_its_length():
    target = empty()
    bar = np.zeros((SIZE, SIZE), np.float32)
    bar[119:122, 40:200] = 1
    target.add_object("bar", WHOLE, bar, 3.0)
    # 160 px and the wings of the beam
    assert target.objects[0].las_arcmin == pytest.approx(160 * 4.5 / 60, rel=0.05)


@pytest.mark.parametrize("radius", [3, 10, 30])
def test_extent_of_a_disc_is_its_diameter(radius):
    target = empty(beam_px=0.5)  # smaller than a pixel: nothing is added to the disc
    target.add_object("disc", WHOLE, disc(120, 120, radius + 0.1), 3.0)
    assert target.objects[0].las_arcmin == pytest.approx((2 * radius + 1) * 4.5 / 60, rel=0.01)


@pytest.mark.parametrize("angle", np.radians([0, 25, 45, 90, 130]))
def test_extent_of_a_turned_bar_is_its_length(angle):
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    bar = (np.abs(along) < 80.5) & (np.abs(across) < 2)
    target = empty()
    target.add_object("bar", WHOLE, bar.astype(np.float32), 3.0)
    # 161 px; the ends fall to a tenth 1.28 sigma = 0.544 FWHM outside; a direction is at most 5 deg off
    assert target.objects[0].las_arcmin == pytest.approx((161 + 2 * 0.544 * BEAM_PX) * 4.5 / 60, rel=0.01)


@pytest.mark.parametrize("beam_arcsec", [20.0, 70.0])
def test_smallest_mini_halo_has_all_its_flux_in_the_truth(beam_arcsec):
    beam_px = beam_arcsec / 4.5
    line = np.exp(-4 * np.log(2) * (np.arange(-60, 61) / beam_px) ** 2)
    for seed in SEEDS:
        target = empty(beam_px)
        add_halo(target, 120.3, 119.8, 1.0, "mini-halo", 5.0, np.random.default_rng(seed))
        sky = target.sky.sum(dtype=float)
        (one,) = target.objects
        assert one.flux_jy == pytest.approx(sky, rel=0.01)
        assert target.truth.sum(dtype=float) / line.sum() ** 2 == pytest.approx(sky, rel=0.01)
        # wings and all: the beam reaches further than the halo's 5 px
        expected = signal.fftconvolve(target.sky, np.outer(line, line), mode="same")
        np.testing.assert_allclose(target.truth, expected, atol=5e-4 * expected.max())


# shapes, without clumps


@pytest.mark.parametrize("seed", SEEDS)
def test_halo_is_an_exponential_ellipse(smooth, seed):
    target = empty()
    add_halo(target, 120.0, 120.0, 20.0, "halo", 5.0, np.random.default_rng(seed))
    level = target.sky / target.sky.max()
    area = {s: (level > np.exp(-s)).sum() for s in (1, 2, 3)}
    # exp(-(r / r_e)^p) with p in 0.9 to 1.2; axis ratio in 0.5 to 1
    power = 2 * np.log(2) / np.log(area[2] / area[1])
    assert 0.87 < power < 1.23
    assert area[3] / area[1] == pytest.approx(3 ** (2 / power), rel=0.05)
    assert 0.48 < area[1] / (np.pi * 20**2) < 1.02
    assert np.hypot(Y, X)[level > np.exp(-1)].max() == pytest.approx(20, abs=1.5)


def test_halo_falls_with_its_scale_length(smooth):
    slopes = []
    for seed in range(12):
        target = empty()
        add_halo(target, 120.0, 120.0, 20.0, "halo", 5.0, np.random.default_rng(seed))
        radius = np.arange(6, 60, 3)
        rings = [np.median(target.sky[np.abs(np.hypot(Y, X) - r) < 1]) for r in radius]
        slopes.append(np.polyfit(radius, np.log(rings), 1)[0] * 20)
    # -1 for a circle, up to -1.4 for an ellipse of axis ratio 0.5, times the powers
    assert -2.2 < min(slopes) < max(slopes) < -0.85
    assert np.median(slopes) == pytest.approx(-1.3, abs=0.2)


def test_clumpy_halo_still_falls_outwards():
    target = empty()
    add_halo(target, 120.0, 120.0, 15.0, "halo", 5.0, np.random.default_rng(7))
    rings = [np.median(target.sky[np.abs(np.hypot(Y, X) - r) < 3]) for r in (4, 15, 30, 45)]
    assert rings == sorted(rings, reverse=True)
    assert rings[0] > 4 * rings[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_megahalo_is_flat_and_ends_at_its_radius(smooth, seed):
    target = empty()
    add_megahalo(target, 120.0, 120.0, 50.0, 2.0, np.random.default_rng(seed))
    level = target.sky / target.sky[120, 120]
    # exp(-1) / 2 at the radius, and next to nothing a third further out
    assert np.hypot(Y, X)[level > np.exp(-1) / 2].max() == pytest.approx(50, abs=1.5)
    assert level[np.hypot(Y, X) > 67].max() < 0.02
    assert 0.55 < (level > np.exp(-1) / 2).sum() / (np.pi * 50**2) < 1.02


def relic(direction, seed, length=80.0, width=10.0, distance=60.0):
    target = empty()
    add_relic(target, 120.0, 120.0, distance, direction, length, width, 5.0, np.random.default_rng(seed))
    return target.sky / target.sky.max()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("direction", "ray"), [(0.0, (0, 1)), (np.pi / 2, (1, 0)), (np.pi, (0, -1))])
def test_relic_sits_at_its_distance_and_is_sharp_outside(smooth, direction, ray, seed):
    sky = relic(direction, seed)
    steps = np.arange(1, 119)
    line = sky[120 + ray[0] * steps, 120 + ray[1] * steps]
    peak = line.argmax()
    assert steps[peak] == pytest.approx(60, abs=0.25 * 10 + 1)
    # inside it fades by e per width; outside it is gone after half a width
    assert np.log(line[peak - 5] / line[peak - 25]) == pytest.approx(2, abs=0.02)
    assert line[peak + 8] < 0.02 * line[peak]
    opposite = sky[120 - ray[0] * steps, 120 - ray[1] * steps]
    assert opposite.max() < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_relic_is_tangential_and_has_its_length(smooth, seed):
    along = relic(0.0, seed).sum(axis=1)
    across = np.flatnonzero(along > 0.5 * along[120])
    # exp(-(2 |s| / L)^p) halves at L (ln 2)^(1 / p): 0.885 L to 0.955 L
    assert 0.84 * 80 < np.ptp(across) + 1 < 0.99 * 80
    assert across.mean() == pytest.approx(120, abs=2)


def test_relic_bends_around_the_cluster(smooth):
    sky = relic(0.0, 3, length=120.0)
    ends = [(sky[row] * np.arange(SIZE)).sum() / sky[row].sum() for row in (75, 120, 165)]
    assert ends[1] > max(ends[0], ends[2])


@pytest.mark.parametrize("seed", SEEDS)
def test_phoenix_has_its_size(smooth, seed):
    target = empty()
    add_phoenix(target, 120.0, 120.0, 40.0, 5.0, np.random.default_rng(seed))
    level = target.sky / target.sky.max()
    bright = level > np.exp(-1)
    assert np.hypot(Y, X)[bright].max() == pytest.approx(20, abs=1.5)
    assert 0.28 < bright.sum() / (np.pi * 20**2) < 0.82
    assert level[np.hypot(Y, X) > 40].max() < 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_bridge_has_its_length_and_width(smooth, seed):
    target = empty()
    add_bridge(target, 120.0, 120.0, 120.0, 24.0, 0.0, "bridge", 3.0, np.random.default_rng(seed))
    column = target.sky[:, 120]
    assert (column > 0.5 * column.max()).sum() == pytest.approx(24, abs=1.5)
    along = target.sky.sum(axis=0)
    # exp(-(2 |s| / L)^p) with p in 4 to 10
    long = np.ptp(np.flatnonzero(along > 0.5 * along[120])) + 1
    assert 0.89 * 120 < long < 0.99 * 120
    assert target.objects[0].kind == "bridge"


def test_bridge_follows_its_angle(smooth):
    target = empty()
    add_bridge(target, 120.0, 120.0, 120.0, 20.0, 0.6, "filament", 3.0, np.random.default_rng(3))
    weight = target.sky / target.sky.sum()
    tensor = np.array([[(weight * X * X).sum(), (weight * X * Y).sum()], [0, (weight * Y * Y).sum()]])
    angle = 0.5 * np.arctan2(2 * tensor[0, 1], tensor[0, 0] - tensor[1, 1])
    assert angle == pytest.approx(0.6, abs=0.15)
