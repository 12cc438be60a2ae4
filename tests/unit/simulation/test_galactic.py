import numpy as np
import pytest

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import galactic as module
from radiounet.simulation.canvas import square_around
from radiounet.simulation.galactic import add_galactic, add_shell, filaments
from radiounet.simulation.instrument import Instrument, Observation
from skies import BEAM_AREA_PX

OPTIONS = SimulateOptions(n_px=160, remnant_shell_fraction=0.0, galactic_snr=(3.0, 3.0))


@pytest.fixture(scope="module")
def array():
    return Instrument(OPTIONS, Observation(45.0, 8.0, 80.0, -0.3), 20.0)


def emission(array, options, seed=1):
    plane = np.zeros((array.size, array.size), np.float32)
    add_galactic(plane, array, 1e-4, options, np.random.default_rng(seed))
    return plane


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_observed_fluctuations_have_the_asked_level(array, seed):
    assert array.dirty(emission(array, OPTIONS, seed)).std() == pytest.approx(3e-4, rel=1e-3)


def test_emission_is_added_to_what_is_there(array):
    plane = np.ones((array.size, array.size), np.float32)
    add_galactic(plane, array, 1e-4, OPTIONS, np.random.default_rng(1))
    np.testing.assert_allclose(plane - 1, emission(array, OPTIONS), atol=1e-6)


def test_levels_are_drawn_from_the_range(array):
    options = OPTIONS.model_copy(update={"galactic_snr": (0.5, 2.0)})
    levels = [array.dirty(emission(array, options, seed)).std() / 1e-4 for seed in range(12)]
    assert 0.499 < min(levels) < 0.9
    assert 1.1 < max(levels) < 2.001


@pytest.mark.parametrize("skew", [0.3, 1.5])
def test_skewed_emission_is_the_exponential_of_the_other(array, skew):
    for seed in range(4):
        plain = emission(array, OPTIONS, seed).astype(float)
        skewed = emission(array, OPTIONS.model_copy(update={"galactic_skew": (skew, skew)}), seed)
        expected = np.exp(skew * np.minimum(plain / plain.std(), 4))
        expected -= expected.mean()
        np.testing.assert_allclose(skewed / skewed.std(), expected / expected.std(), atol=1e-4)
        assert array.dirty(skewed).std() == pytest.approx(3e-4, rel=1e-3)


def test_emission_is_smooth_on_the_sky(array):
    plane = emission(array, OPTIONS)
    power = np.abs(np.fft.rfft2(plane - plane.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(array.size)[:, None], np.fft.rfftfreq(array.size)[None, :])
    assert power[(radius > 0) & (radius < 0.03)].mean() > 30 * power[radius > 0.2].mean()


def test_shell_only_where_asked(array, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "add_shell", lambda *given: calls.append(given))
    emission(array, OPTIONS)
    assert calls == []
    always = OPTIONS.model_copy(update={"remnant_shell_fraction": 1.0})
    emission(array, always)
    emission(Instrument(OPTIONS, Observation(45.0, 8.0, 80.0, -0.3), 60.0), always)
    # brightness is per beam of the image, whatever that is
    assert [given[2] for given in calls] == pytest.approx([BEAM_AREA_PX, 9 * BEAM_AREA_PX])


def test_filaments_are_thin_bright_ridges():
    for seed in range(4):
        field = filaments((160, 160), np.random.default_rng(seed))
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, rel=1e-3)
        assert (field**3).mean() > 0.8
        assert (field > 1).mean() < 0.2


def shells(monkeypatch, count):
    """Shells that lie wholly inside, with the centre and radius they were drawn with."""
    asked = []

    def spy(shape, y, x, radius):
        asked.append((y, x, radius))
        return square_around(shape, y, x, radius)

    monkeypatch.setattr(module, "square_around", spy)
    options, seed = SimulateOptions(pixel_arcsec=30.0), 0
    while count:
        plane = np.zeros((320, 320), np.float32)
        add_shell(plane, 1e-4, BEAM_AREA_PX, options, np.random.default_rng(seed))
        y, x, radius = asked[-1]
        seed += 1
        if radius > 20 and radius < min(y, x, 319 - y, 319 - x):
            count -= 1
            yield plane, y, x, radius


def test_shells_have_their_radius_peak_and_rim(monkeypatch):
    for plane, y, x, radius in shells(monkeypatch, 8):
        rows, columns = np.indices(plane.shape)
        distance = np.hypot(rows - y, columns - x) / radius
        assert 6 <= radius <= 60  # 3' to 30' at 2 px per arcmin
        assert plane[distance > 1.01].max() == 0
        assert plane.min() >= 0
        assert 0.999 <= plane.max() * BEAM_AREA_PX / 1e-4 <= 15.001
        profile = [np.mean(plane[(distance >= low) & (distance < low + 0.1)]) for low in np.arange(0, 1, 0.1)]
        # the rim at the inner radius, 0.75 to 0.95, outshines the inside
        assert np.argmax(profile) >= 6
        assert max(profile) > 1.5 * np.mean(profile[:4])


def test_shells_are_fainter_per_pixel_where_the_beam_is_larger():
    one, nine = np.zeros((2, 100, 100), np.float32)
    for plane, area in ((one, BEAM_AREA_PX), (nine, 9 * BEAM_AREA_PX)):
        add_shell(plane, 1e-4, area, OPTIONS, np.random.default_rng(1))
    assert one.any()
    np.testing.assert_allclose(one, 9 * nine, rtol=1e-5)


def test_column_through_a_shell_by_hand(monkeypatch):
    monkeypatch.setattr(module, "power_law_field", lambda shape, *_: np.zeros(shape))
    for plane, y, x, radius in shells(monkeypatch, 3):
        rows, columns = np.indices(plane.shape)
        distance = np.hypot(rows - y, columns - x)
        rim = plane[(distance > 0.7 * radius) & (distance < 0.97 * radius)]
        # azimuthal modulation averages out over rings: columns 1 px wide at 0 and at r / 2
        ring = [plane[np.abs(distance - part * radius) < 1.5].mean() for part in (0.3, 0.6)]
        thickness = np.linspace(0.05, 0.25, 81)
        column = [np.sqrt(1 - part**2) - np.sqrt((1 - thickness) ** 2 - part**2) for part in (0.3, 0.6)]
        ratios = column[1] / column[0]
        assert ratios.min() * 0.9 < ring[1] / ring[0] < ratios.max() * 1.1
        assert rim.max() == plane.max()


def test_shell_outside_the_plane_adds_nothing(monkeypatch):
    monkeypatch.setattr(module, "square_around", lambda shape, *_: square_around(shape, -500.0, 50.0, 20.0))
    plane = np.zeros((100, 100), np.float32)
    add_shell(plane, 1e-4, BEAM_AREA_PX, OPTIONS, np.random.default_rng(1))
    assert not plane.any()
