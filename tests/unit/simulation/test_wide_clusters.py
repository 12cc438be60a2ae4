"""Clusters of the wide sky, and the skies of ``radiounet/settings/skies``."""

import numpy as np
import pytest

from radiounet.settings.named_skies import SKY_FOLDER, read_sky
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import clusters as module
from radiounet.simulation import diffuse
from radiounet.simulation.clusters import _turned_about, add_emission, add_galaxies
from radiounet.simulation.diffuse import Target
from radiounet.simulation.galaxies import Layers
from radiounet.simulation.simulate import simulate_pair
from wide import (
    changed,
)

# clusters


@pytest.mark.parametrize(("fraction", "least", "most"), [(0.0, 0, 0), (0.4, 50, 110), (1.0, 200, 200)])
def test_central_radio_galaxies_come_with_their_fraction(monkeypatch, fraction, least, most):
    places = []
    monkeypatch.setattr(module, "add_radio_galaxy", lambda layers, place, *_: places.append(place))
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
    monkeypatch.setattr(module, "KINDS", {"relic": 1.0})
    middles = []
    original = module.add_relic

    def note(target, y, x, distance, towards, *rest):
        middles.append((y + distance * np.sin(towards), x + distance * np.cos(towards), towards))
        original(target, y, x, distance, towards, *rest)

    monkeypatch.setattr(module, "add_relic", note)
    for seed in range(4):
        options = SimulateOptions(
            peak_snr=(10.0, 10.0),
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
    monkeypatch.setattr(module, "KINDS", {"relic": 1.0})
    monkeypatch.setattr(module, "add_relic", lambda *_: None)
    drawn = []
    monkeypatch.setattr(module, "add_radio_galaxy", lambda layers, place, *_: drawn.append(place))
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


# the skies

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


OUTSIDE = {
    "shifted_a": {"shoulder", "stripe_noise"},
    "shifted_b": {"phase_error_deg", "gain_error", "clustered_fraction"},
}
"""Ranges that have no value, or an end at most, in common with those to train on."""


def in_effect(sky, key):
    """Whether any image draws from a range: coarse_beam_arcsec needs a coarse_fraction above 0."""
    first, _, _ = key.partition("_")
    return getattr(sky, f"{first}_fraction", 1) != 0


def ranges_outside(shifted):
    """Names of those that count; a range of one value at an end of the usual one lies within it."""
    wide, found = read_sky("wide"), set()
    for key, usual in wide:
        here = getattr(shifted, key)
        if not isinstance(usual, tuple) or not in_effect(shifted, key):
            continue
        within = usual[0] <= here[0] and here[1] <= usual[1]
        if not within and (here[0] >= usual[1] or here[1] <= usual[0]):
            found.add(key)
    return found


@pytest.mark.parametrize("name", SHIFTED)
def test_shifted_skies_reach_beyond_the_one_to_train_on(name):
    assert ranges_outside(read_sky(name)) == OUTSIDE[name]
    assert len(OUTSIDE[name]) >= 2


def test_a_range_counts_where_it_lies_outside_and_is_in_effect():
    sky = changed(read_sky("wide"), coarse_beam_arcsec=(60, 90), taper=(0.2, 0.35), robust=(0.4, 0.9))
    assert ranges_outside(sky) == {"coarse_beam_arcsec", "taper"}
    assert ranges_outside(changed(sky, coarse_fraction=0.0)) == {"taper"}
