import numpy as np
import pytest
from scipy import integrate

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import galaxies as module
from radiounet.simulation.canvas import (
    add_particles,
    add_points,
    lognormal,
    power_law_field,
    rotated,
    square_around,
)
from radiounet.simulation.galaxies import (
    CLUSTER_KINDS,
    COUNTS_JY15_SR,
    COUNTS_MJY,
    FIELD_KINDS,
    Layers,
    add_compact,
    add_field_galaxies,
    add_field_remnants,
    add_radio_galaxy,
    add_remnant,
    add_spirals,
    draw_fluxes,
    draw_kind,
    draw_size,
    remnant_flux,
)
from skies import BEAM_AREA_PX

OPTIONS = SimulateOptions()
SIZE, MIDDLE = 240, (120.0, 120.0)
KINDS = ("FR I", "FR II", "wide-angle tail", "head-tail", "double-double")
SEEDS = range(16)


# the canvas


def test_points_conserve_flux_and_centroid():
    plane = np.zeros((9, 9), np.float32)
    add_points(plane, 3.25, 5.5, 2.0)
    y, x = np.indices(plane.shape)
    assert plane.sum() == pytest.approx(2)
    assert (plane * y).sum() / 2 == pytest.approx(3.25)
    assert (plane * x).sum() / 2 == pytest.approx(5.5)
    assert plane[3, 5] == pytest.approx(2 * 0.75 * 0.5)
    assert np.count_nonzero(plane) == 4


def test_points_on_one_pixel_add_up_and_outside_are_lost():
    plane = np.zeros((5, 5), np.float32)
    add_points(plane, [2, 2, -1, 5, 2, 4.5], [2, 2, 2, 2, 9, 0], [1, 1, 1, 1, 1, 1])
    assert plane[2, 2] == 2
    assert plane[4, 0] == 0.5
    assert plane.sum() == 2.5


@pytest.mark.parametrize("count", [3, 4000])
def test_particles_share_the_flux(count):
    plane = np.zeros((20, 30), np.float32)
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 19, count), rng.uniform(0, 29, count)
    y[0], x[0] = 4.4, 7.6
    add_particles(plane, y, x, 6.0)
    assert plane.sum() == pytest.approx(6, rel=1e-5)
    assert plane[4, 8] >= 6 / count * 0.999
    add_particles(plane, np.full(3, 99.0), np.full(3, 5.0), 6.0)
    assert plane.sum() == pytest.approx(6, rel=1e-5)


@pytest.mark.parametrize("place", [(-30, 5), (5, 60), (60, -30), (-6, 5)])
def test_window_outside_is_empty_and_fits(place):
    part, dy, dx = square_around((20, 20), *place, 3.0)
    assert np.zeros((20, 20))[part].shape == (dy.size, dx.size)
    assert dy.size * dx.size == 0


def test_window_covers_the_radius():
    part, dy, dx = square_around((40, 40), 20.3, 10.0, 5.0)
    assert (part[0].start, part[1].start) == (15, 5)
    assert dy[0, 0] == pytest.approx(-5.3)
    assert dx[0, 0] == -5
    assert min(dy.max(), dx.max()) >= 5
    assert square_around((40, 40), 1.0, 39.0, 5.0)[0] == (slice(0, 8), slice(34, 40))


def test_rotation_by_hand():
    along, across = rotated(np.array([1.0]), np.array([0.0]), np.pi / 2)
    assert (along[0], across[0]) == pytest.approx((1, 0))
    along, across = rotated(np.array([0.0]), np.array([2.0]), np.pi / 6)
    assert (along[0], across[0]) == pytest.approx((np.sqrt(3), -1))


@pytest.mark.parametrize("slope", [2.5, 11 / 3])
def test_random_field_has_its_spectral_slope(slope):
    rng, bins = np.random.default_rng(2), np.arange(4, 61)
    k = np.fft.fftfreq(128) * 128
    radius = np.rint(np.hypot(k[:, None], k[None, :])).astype(int)
    power = np.zeros(bins.size)
    for _ in range(6):
        field = power_law_field((128, 128), slope, rng)
        assert field.std() == pytest.approx(1, rel=1e-4)
        assert field.mean() == pytest.approx(0, abs=1e-4)
        spectrum = np.abs(np.fft.fft2(field)) ** 2
        power += [spectrum[radius == one].mean() for one in bins]
    assert np.polyfit(np.log(bins), np.log(power), 1)[0] == pytest.approx(-slope, abs=0.15)


def test_random_field_is_flat_beyond_its_outer_scale():
    rng = np.random.default_rng(3)
    k = np.fft.fftfreq(128)
    radius = np.hypot(k[:, None], k[None, :])
    spectrum = sum(np.abs(np.fft.fft2(power_law_field((128, 128), 4.0, rng, 8.0))) ** 2 for _ in range(8))
    low = spectrum[(radius > 0) & (radius < 0.02)].mean()
    # (k^2 + 1/64)^-2 falls by 2.4 from k = 0.015 to 0.09
    assert low / spectrum[(radius > 0.085) & (radius < 0.095)].mean() == pytest.approx(2.2, rel=0.4)
    assert power_law_field((0, 5), 3.0, rng).shape == (0, 5)


def test_lognormal_clumps_have_unit_mean():
    rng = np.random.default_rng(4)
    field = np.array([lognormal((64, 64), 6.0, 0.5, rng) for _ in range(8)])
    assert field.mean() == pytest.approx(1, abs=0.03)
    assert field.min() > 0
    assert np.log(field).std() == pytest.approx(0.5, rel=0.02)


# counts


def per_deg2(low_jy, high_jy):
    """Integral of the table, straight lines between its points in logarithms."""

    def counts(flux):
        euclidean = np.exp(np.interp(np.log(flux), np.log(COUNTS_MJY / 1e3), np.log(COUNTS_JY15_SR)))
        return euclidean * flux**-2.5

    edges = [low_jy, *(s for s in COUNTS_MJY / 1e3 if low_jy < s < high_jy), high_jy]
    total = sum(integrate.quad(counts, a, b)[0] for a, b in zip(edges, edges[1:], strict=False))
    return total * (np.pi / 180) ** 2


def test_counts_integrate_to_the_expected_numbers():
    area, rng = 150.0, np.random.default_rng(5)
    fluxes = draw_fluxes(OPTIONS.model_copy(update={"galaxies_per_deg2": (0.0, 0.0)}), area, rng)
    for limit in (1e-4, 3e-4, 1e-3, 1e-2, 0.1):
        expected = area * per_deg2(limit, OPTIONS.flux_max_jy)
        assert abs((fluxes > limit).sum() - expected) < 4 * np.sqrt(expected) + 0.004 * expected
    # LoTSS finds some hundreds of sources above 1 mJy in a square degree
    assert 200 < per_deg2(1e-3, 8.0) < 700
    assert 20 < per_deg2(1e-2, 8.0) < 120


def test_extended_galaxies_are_part_of_the_counts():
    """Between 0.8 and 600 mJy, 14 per deg2 in equal numbers per e-folding are drawn elsewhere."""
    area = 2000.0
    options = OPTIONS.model_copy(update={"galaxies_per_deg2": (6.0, 22.0), "flux_min_mjy": 10.0})
    fluxes = draw_fluxes(options, area, np.random.default_rng(5))
    elsewhere = 14 * np.log(200 / 50) / np.log(600 / 0.8)
    expected = area * (per_deg2(0.05, 0.2) - elsewhere)
    assert abs(((fluxes > 0.05) & (fluxes < 0.2)).sum() - expected) < 4 * np.sqrt(expected)
    # more than the counts hold are never taken away
    options = options.model_copy(update={"galaxies_per_deg2": (1e4, 1e4)})
    left = draw_fluxes(options, area, np.random.default_rng(5))
    assert left.size > 0
    assert left.min() > 0.599


def test_fluxes_stay_between_their_limits():
    options = SimulateOptions(flux_min_mjy=2.0, flux_max_jy=0.5)
    fluxes = draw_fluxes(options, 200.0, np.random.default_rng(6))
    assert fluxes.size > 1000
    assert fluxes.min() >= 2e-3 * (1 - 1e-12)
    assert fluxes.max() <= 0.5 * (1 + 1e-12)
    assert draw_fluxes(options, 0.0, np.random.default_rng(6)).size == 0


def test_compact_sources_carry_their_flux_and_bright_ones_are_noted(monkeypatch):
    layers = Layers.empty(SIZE)
    flux = np.array([0.5, 0.02, 0.2, 0.001])
    monkeypatch.setattr(module, "draw_fluxes", lambda *_: flux)
    add_compact(layers, OPTIONS, 1.0, np.random.default_rng(7))
    assert layers.compact.sum() == pytest.approx(flux.sum(), rel=0.01)
    assert sorted(one[2] for one in layers.bright) == [0.2, 0.5]
    for y, x, one in layers.bright:
        part = layers.compact[max(int(y) - 4, 0) : int(y) + 6, max(int(x) - 4, 0) : int(x) + 6]
        assert part.sum() == pytest.approx(one, rel=0.1)
    assert not layers.galaxies.any()


def test_compact_sources_are_barely_resolved(monkeypatch):
    monkeypatch.setattr(module, "draw_fluxes", lambda *_: np.array([0.005]))
    spread = []
    for seed in range(60):
        layers = Layers.empty(64)
        add_compact(layers, OPTIONS, 1.0, np.random.default_rng(seed))
        y, x = np.nonzero(layers.compact)
        assert np.hypot(np.ptp(y), np.ptp(x)) < 9
        spread.append(np.ptp(y) + np.ptp(x))
    assert np.median(spread) <= 4  # 2" for 1 mJy at 1.4 GHz is less than half a pixel


# radio galaxies


def drawn(kind, seed, size_px=100.0, flux=1e-3):
    layers = Layers.empty(SIZE)
    add_radio_galaxy(layers, MIDDLE, size_px, flux, kind, OPTIONS, np.random.default_rng(seed))
    return layers


def moments(plane):
    """Flux-weighted offset of the centre, mean distance, and the distance that holds 98 per cent."""
    y, x = np.indices(plane.shape)
    dy, dx, weight = (y - MIDDLE[0]).ravel(), (x - MIDDLE[1]).ravel(), plane.ravel() / plane.sum()
    distance = np.hypot(dy, dx)
    order = np.argsort(distance)
    reach = distance[order][np.searchsorted(np.cumsum(weight[order]), 0.98)]
    return np.hypot((dy * weight).sum(), (dx * weight).sum()), (distance * weight).sum(), reach


@pytest.mark.parametrize("kind", KINDS)
def test_galaxies_conserve_their_flux(kind):
    for seed in SEEDS:
        layers = drawn(kind, seed, size_px=60.0)
        assert layers.galaxies.sum() == pytest.approx(1e-3, rel=1e-3)
        assert layers.galaxies.min() >= 0
        assert not layers.compact.any()


@pytest.mark.parametrize(
    ("kind", "share"),
    [("FR I", 0.5), ("FR II", 0.5), ("double-double", 0.5), ("wide-angle tail", 0.7), ("head-tail", 1.0)],
)
def test_galaxies_reach_about_as_far_as_asked(kind, share):
    reach = [moments(drawn(kind, seed, 80.0).galaxies)[2] / (80.0 * share) for seed in SEEDS]
    assert 0.6 < np.median(reach) < 1.15
    assert max(reach) < 1.6


def test_size_scales():
    small, large = (np.median([moments(drawn("FR II", s, d).galaxies)[2] for s in SEEDS]) for d in (40, 120))
    assert large / small == pytest.approx(3, rel=0.15)


def test_head_tail_is_one_sided_and_doubles_are_not():
    lopsided = {}
    for kind in KINDS:
        offsets = [moments(drawn(kind, seed).galaxies) for seed in SEEDS]
        lopsided[kind] = np.median([offset / mean for offset, mean, _ in offsets])
    assert lopsided["head-tail"] > 0.9
    assert lopsided["wide-angle tail"] > 0.5
    assert max(lopsided[kind] for kind in ("FR I", "FR II", "double-double")) < 0.35


def test_head_tail_lies_in_one_half_plane():
    y, x = np.indices((SIZE, SIZE))
    dy, dx = y - MIDDLE[0], x - MIDDLE[1]
    for seed in SEEDS:
        plane = drawn("head-tail", seed).galaxies
        ahead = dy * (plane * dy).sum() + dx * (plane * dx).sum() < 0
        assert plane[ahead & (np.hypot(dy, dx) > 8)].sum() < 0.05 * plane.sum()


def test_fr2_is_brighter_at_its_ends_than_fr1():
    def end_share(kind):
        shares = []
        for seed in SEEDS:
            plane = drawn(kind, seed).galaxies
            _, mean, reach = moments(plane)
            shares.append(mean / reach)
        return np.median(shares)

    assert end_share("FR II") > 0.6
    assert end_share("FR I") < 0.5
    assert end_share("head-tail") < 0.5


def test_bright_hot_spots_and_cores_are_noted():
    assert len(drawn("FR II", 1, flux=100.0).bright) == 3
    assert len(drawn("double-double", 1, flux=100.0).bright) == 5
    assert len(drawn("FR I", 1, flux=100.0).bright) == 1
    layers = drawn("FR II", 1, flux=100.0)
    tips = [np.hypot(y - 120, x - 120) for y, x, _ in layers.bright]
    # 0.93 of an arm of 42.5 to 57.5 px
    assert sorted(tips)[0] == 0
    assert all(39 < one < 54 for one in sorted(tips)[1:])
    assert sum(flux for *_, flux in layers.bright) < 100
    assert drawn("FR II", 1, flux=1e-3).bright == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_bright_spots_inside_the_grid_are_noted(kind):
    noted = 0
    for seed in SEEDS:
        layers = Layers.empty(SIZE)
        add_radio_galaxy(layers, (-20.0, 120.0), 100.0, 100.0, kind, OPTIONS, np.random.default_rng(seed))
        noted += len(layers.bright)
        assert all(0 <= y < SIZE and 0 <= x < SIZE for y, x, _ in layers.bright)
    # arms of 50 px reach in from outside, cores do not
    assert (noted > 0) == (kind in ("FR II", "double-double"))


def test_shares_of_kinds_add_up_and_are_drawn():
    assert sum(FIELD_KINDS.values()) == pytest.approx(1)
    assert sum(CLUSTER_KINDS.values()) == pytest.approx(1)
    rng = np.random.default_rng(9)
    kinds = [draw_kind(FIELD_KINDS, rng) for _ in range(4000)]
    assert kinds.count("FR II") / 4000 == pytest.approx(0.45, abs=0.035)
    assert set(kinds) == set(FIELD_KINDS)


def test_sizes_follow_an_inverse_square():
    rng = np.random.default_rng(10)
    sizes = np.array([draw_size((0.5, 8.0), rng) for _ in range(6000)])
    assert (sizes.min() >= 0.5, sizes.max() <= 8) == (True, True)
    # share above s: (1 / s - 1 / 8) / (1 / 0.5 - 1 / 8)
    for limit in (1.0, 4.0):
        expected = (1 / limit - 1 / 8) / (2 - 1 / 8)
        assert (sizes > limit).mean() == pytest.approx(expected, abs=0.025)


def test_field_galaxies_have_their_number_and_ranges(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "add_radio_galaxy", lambda *given: calls.append(given))
    options = SimulateOptions(galaxies_per_deg2=(10.0, 20.0))
    layers, rng = Layers.empty(SIZE), np.random.default_rng(11)
    for _ in range(100):
        add_field_galaxies(layers, options, 2.0, rng)
    # mean 30 a field; variance 30 of Poisson and 400 / 12 of the density
    assert len(calls) / 100 == pytest.approx(30, abs=4 * np.sqrt(63.3 / 100))
    for _, (y, x), size_px, flux, kind, *_ in calls:
        assert 0 <= min(y, x) <= max(y, x) <= SIZE
        assert 0.3 * 60 / 4.5 * 0.999 <= size_px <= 8 * 60 / 4.5 * 1.001
        assert 0.8e-3 * 0.999 <= flux <= 0.6 * 1.001
        assert kind in FIELD_KINDS


# remnants and spirals


def test_remnants_conserve_flux_have_their_extent_and_no_core():
    for seed in range(40):
        plane = np.zeros((SIZE, SIZE), np.float32)
        add_remnant(plane, MIDDLE, 60.0, 1.0, np.random.default_rng(seed))
        assert plane.sum() == pytest.approx(1, rel=1e-3)
        assert 12 < moments(plane)[2] < 75
        assert plane.max() < 0.03


def test_remnant_flux_by_hand():
    options = SimulateOptions(remnant_snr=(3.0, 3.0))
    rng = np.random.default_rng(12)
    # 3 sigma over 0.3 x 100^2 / 22.38 = 134 beams of 20", or a ninth of them of 60"
    assert remnant_flux(100.0, 1e-4, BEAM_AREA_PX, options, rng) == pytest.approx(3e-4 * 134.04, rel=1e-3)
    assert remnant_flux(100.0, 1e-4, 9 * BEAM_AREA_PX, options, rng) == pytest.approx(3e-4 * 14.893, rel=1e-3)
    assert remnant_flux(5.0, 1e-4, BEAM_AREA_PX, options, rng) == pytest.approx(3e-4)


def test_field_remnants_go_to_their_layer_only():
    layers, options = Layers.empty(SIZE), SimulateOptions(remnants_per_deg2=(200.0, 200.0))
    add_field_remnants(layers, options, 0.1, 1e-4, BEAM_AREA_PX, np.random.default_rng(13))
    assert layers.remnants.any()
    assert not any(plane.any() for plane in (layers.compact, layers.galaxies, layers.spirals))


@pytest.mark.parametrize("beam_px", [20 / 4.5, 60 / 4.5])
def test_spirals_are_exponential_discs_of_their_diameter(monkeypatch, beam_px):
    beam_area_px = np.pi / (4 * np.log(2)) * beam_px**2
    calls = []
    monkeypatch.setattr(module, "add_particles", lambda plane, y, x, flux: calls.append((y, x, flux)))
    options = SimulateOptions(spirals_per_deg2=(40.0, 40.0), spiral_size_arcmin=(4.0, 4.0))
    add_spirals(Layers.empty(SIZE), options, 1.0, 1e-4, beam_area_px, np.random.default_rng(14))
    assert 15 < len(calls) < 70
    diameter = 4 * 60 / 4.5
    major, ratio = [], []
    for y, x, flux in calls:
        eigen = np.sqrt(np.linalg.eigvalsh(np.cov(y, x)))
        major.append(eigen[1])
        ratio.append(eigen[0] / eigen[1])
        beams = 0.25 * diameter**2 / beam_area_px
        assert 1.999 <= flux / 1e-4 / beams <= 40.001
    # exponential disc of scale length D / 8: mean square along an axis is 3 h^2
    assert np.median(major) == pytest.approx(np.sqrt(3) * diameter / 8, rel=0.1)
    assert min(ratio) > 0.2
    assert np.median(ratio) == pytest.approx(0.62, abs=0.15)
