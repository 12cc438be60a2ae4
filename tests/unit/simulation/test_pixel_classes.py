"""Classes of the pixels of a simulated image: diffuse, radio galaxy, Galactic, artefact."""

from dataclasses import replace

import numpy as np
import pytest

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.diffuse import Target
from radiounet.simulation.galaxies import Layers
from radiounet.simulation.instrument import Instrument
from radiounet.simulation.simulate import CLASSES, find_causes, simulate_pair
from wide import (
    CALM,
    CROWDED,
    FIELD,
    changed,
)

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


def add_disc(target, y, x, radius, peak_snr):
    part, dy, dx = target.square_around(y, x, radius)
    target.add_object("halo", part, (np.hypot(dy, dx) < radius).astype(np.float32), peak_snr)


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
    part, dy, dx = target.square_around(100, 100, 90)
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
        CROWDED, **CALM | {"galactic_fraction": 1.0, "galactic_snr": (3.0, 3.0)}, phase_error_deg=(0.5, 0.5)
    )
    pairs = [simulate_pair(options, seed) for seed in range(4)]
    seen = np.bitwise_or.reduce([pair.classes.ravel() for pair in pairs], axis=None)
    assert seen == DIFFUSE | GALAXY | GALACTIC | ARTEFACT
