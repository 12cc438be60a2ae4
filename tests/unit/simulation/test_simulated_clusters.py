import astropy.units as u
import numpy as np
import pytest
from astropy import constants
from astropy.cosmology import FlatLambdaCDM
from scipy import integrate

from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import clusters as module
from radiounet.simulation.clusters import KINDS, add_clusters, add_emission, add_galaxies
from radiounet.simulation.diffuse import Target
from radiounet.simulation.galaxies import Layers
from radiounet.survey.cosmology import arcmin_per_kpc, r500
from skies import BEAM_PX

COSMOLOGY = FlatLambdaCDM(70, 0.3)


# sizes


@pytest.mark.parametrize(("mass", "redshift"), [(1.0, 0.03), (5.0, 0.2), (15.0, 0.8)])
def test_r500_holds_500_times_the_critical_density(mass, redshift):
    hubble = 70 * u.km / u.s / u.Mpc * np.sqrt(0.3 * (1 + redshift) ** 3 + 0.7)
    density = 500 * 3 * hubble**2 / (8 * np.pi * constants.G)
    radius = r500(mass * 1e14 * u.solMass, redshift, COSMOLOGY)
    assert (density * 4 / 3 * np.pi * radius**3).to_value(u.solMass) == pytest.approx(mass * 1e14, rel=1e-3)


def test_r500_of_a_massive_cluster_is_about_a_megaparsec():
    assert r500(5e14 * u.solMass, 0.2, COSMOLOGY).to_value(u.kpc) == pytest.approx(1129, rel=2e-3)


def test_angle_of_a_kiloparsec_by_integration():
    for redshift in (0.05, 0.2, 0.8):
        comoving = (
            299792.458 / 70 * integrate.quad(lambda z: (0.3 * (1 + z) ** 3 + 0.7) ** -0.5, 0, redshift)[0]
        )
        expected = np.degrees((1 + redshift) / comoving / 1e3) * 60
        assert arcmin_per_kpc(redshift, COSMOLOGY) == pytest.approx(expected, rel=1e-3)


# clusters


def clusters_of(options, seed=1, area=10.0, size=300):
    target = Target(np.full((size, size), 1e-4, np.float32), BEAM_PX, options)
    found = add_clusters(
        Layers.empty(size), target, options, area, 1e-4, COSMOLOGY, np.random.default_rng(seed)
    )
    return found, target


@pytest.fixture
def bare(monkeypatch):
    """Clusters without galaxies or emission."""
    monkeypatch.setattr(module, "add_galaxies", lambda *_: None)
    monkeypatch.setattr(module, "add_emission", lambda *_: [])
    monkeypatch.setattr(module, "draw_bridge", lambda *_: None)


def test_clusters_have_their_number_share_and_places(bare):
    options = SimulateOptions(clusters_per_deg2=(8.0, 8.0), diffuse_fraction=(0.6, 0.6), empty_fraction=0.0)
    many = [one for seed in range(40) for one in clusters_of(options, seed)[0]]
    assert len(many) == pytest.approx(3200, abs=4 * np.sqrt(3200))
    assert np.mean([one.diffuse for one in many]) == pytest.approx(0.6, abs=0.035)
    assert all(0 <= one.y_px <= 300 and 0 <= one.x_px <= 300 for one in many)
    redshift = np.array([one.redshift for one in many])
    assert 0.03 <= redshift.min() < 0.05
    assert 0.78 < redshift.max() <= 0.8
    assert np.mean([one.y_px for one in many]) == pytest.approx(150, abs=7)


def test_part_of_the_images_has_no_diffuse_emission(bare):
    options = SimulateOptions(clusters_per_deg2=(8.0, 8.0), diffuse_fraction=(0.5, 0.5), empty_fraction=0.3)
    empty = [
        not any(one.diffuse for one in clusters_of(options, seed, area=2.0, size=32)[0])
        for seed in range(200)
    ]
    assert np.mean(empty) == pytest.approx(0.3, abs=0.13)


def test_aperture_is_r500_on_the_sky(bare):
    options = SimulateOptions(mass_1e14=(5.0, 5.0), redshift=(0.2, 0.2))
    found, _ = clusters_of(options)
    # 1129 kpc at 197.9 kpc to the arcmin
    assert found
    assert all(one.r500_arcmin == pytest.approx(5.705, rel=3e-3) for one in found)


def test_filaments_stand_alone_in_part_of_the_images(monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "draw_bridge", lambda target, y, x, scale, kind, *_: drawn.append(kind))
    options = SimulateOptions(clusters_per_deg2=(0.0, 0.0), empty_fraction=0.0)
    for seed in range(300):
        assert clusters_of(options, seed)[0] == []
    assert set(drawn) == {"filament"}
    assert len(drawn) / 300 == pytest.approx(0.3, abs=0.11)


def test_cluster_galaxies_lie_within_r500(monkeypatch):
    places = []
    monkeypatch.setattr(module, "add_radio_galaxy", lambda layers, place, *_: places.append(place))
    monkeypatch.setattr(module, "add_points", lambda plane, y, x, flux: places.append((y, x)))
    layers, options, rng = Layers.empty(100), SimulateOptions(), np.random.default_rng(3)
    target = Target(np.full((100, 100), 1e-4, np.float32), BEAM_PX, options)
    for _ in range(300):
        add_galaxies(layers, target, 50.0, 40.0, 30.0, 0.03, 1e-4, options, rng)
    distance = np.hypot(*(np.array(places) - (50, 40)).T)
    assert distance.max() <= 30
    outside = distance[distance > 0]
    # a projected 1 / r profile has equal numbers at all distances
    counts = np.histogram(outside, 3, (0, 30))[0]
    assert counts.min() > 0.85 * counts.mean()


@pytest.mark.parametrize("beam_px", [BEAM_PX, 3 * BEAM_PX])
def test_fossil_plasma_is_as_bright_as_asked_in_the_beam_of_the_image(beam_px):
    options = SimulateOptions(
        pixel_arcsec=3.0, fossil_fraction=1.0, fossil_kpc=(100.0, 100.0), remnant_snr=(3.0, 3.0)
    )
    layers, target = Layers.empty(400), Target(np.full((400, 400), 1e-4, np.float32), beam_px, options)
    add_galaxies(layers, target, 200.0, 200.0, 30.0, 1.0, 1e-4, options, np.random.default_rng(5))
    # 100 px across: 3 sigma over 0.3 x 100^2 px
    beams = 3000 / (np.pi / (4 * np.log(2)) * beam_px**2)
    assert layers.remnants.sum() == pytest.approx(3e-4 * beams, rel=1e-3)


def test_a_bridge_joins_two_clusters_of_one_redshift(monkeypatch):
    drawn, peopled = [], []
    monkeypatch.setattr(module, "KINDS", {"bridge": 1.0})
    monkeypatch.setattr(module, "add_bridge", lambda target, *given: drawn.append(given))
    monkeypatch.setattr(module, "add_galaxies", lambda layers, target, y, x, *_: peopled.append((y, x)))
    options = SimulateOptions(
        clusters_per_deg2=(3.0, 3.0),
        diffuse_fraction=(1.0, 1.0),
        empty_fraction=0.0,
        filament_fraction=0.0,
        redshift=(0.1, 0.8),  # 1 Mpc is 9 arcmin at most
    )
    found, _ = clusters_of(options)
    assert len(found) == 2 * len(drawn) > 20
    assert peopled == [(one.y_px, one.x_px) for one in found]
    for first, second, (y, x, length_px, _, angle, kind, *_) in zip(
        found[::2], found[1::2], drawn, strict=True
    ):
        assert kind == "bridge"
        assert first.redshift == second.redshift
        assert first.r500_arcmin != second.r500_arcmin
        assert first.diffuse
        assert second.diffuse
        step = np.array([second.y_px - first.y_px, second.x_px - first.x_px])
        assert (first.y_px + 0.5 * step[0], first.x_px + 0.5 * step[1]) == pytest.approx((y, x))
        np.testing.assert_allclose(step, length_px * np.array([np.sin(angle), np.cos(angle)]), atol=1e-6)
        proper = np.hypot(*step) * 4.5 / 60 / arcmin_per_kpc(first.redshift, COSMOLOGY)
        assert 999 < proper < 5001
    assert len({one.redshift for one in found}) == len(drawn)


def test_bridge_shines_from_one_cluster_to_the_other():
    options = SimulateOptions(peak_snr=(6.0, 6.0), bridge_length_kpc=(1500.0, 1500.0))
    for seed in range(6):
        target = Target(np.full((600, 600), 1e-4, np.float32), BEAM_PX, options)
        y, x = module.draw_bridge(target, 300.0, 300.0, 0.1, "bridge", options, np.random.default_rng(seed))
        assert np.hypot(y - 300, x - 300) == pytest.approx(150)
        rows, columns = np.indices(target.shape)
        along = ((rows - 300) * (y - 300) + (columns - 300) * (x - 300)) / 150**2
        weight = target.truth / target.truth.sum()
        assert (weight * along).sum() == pytest.approx(0.5, abs=0.1)
        assert weight[(along > -0.15) & (along < 1.15)].sum() > 0.97
        assert all(weight[(along > part) & (along < part + 0.2)].sum() > 0.02 for part in (0, 0.4, 0.8))


def test_other_emission_makes_no_second_cluster(monkeypatch):
    monkeypatch.setattr(module, "KINDS", {"halo": 0.5, "double relic": 0.5})
    target = Target(np.full((300, 300), 1e-4, np.float32), BEAM_PX, SimulateOptions())
    rng = np.random.default_rng(1)
    layers = Layers.empty(300)
    assert all(
        add_emission(layers, target, 150.0, 150.0, 60.0, 0.05, SimulateOptions(), rng) == []
        for _ in range(20)
    )
    assert not layers.galaxies.any()


def test_near_objects_fit_into_a_field(monkeypatch):
    # size over largest_arcmin, at 0.01 arcmin to the kpc; e-folding radius of a halo 1 / 8, and so on
    sizes = {"halo": [], "megahalo": [], "relic": [], "phoenix": [], "bridge": []}
    at = {"halo": 3, "megahalo": 3, "relic": 5, "phoenix": 3, "bridge": 3}
    for kind, seen in sizes.items():
        monkeypatch.setattr(module, f"add_{kind}", lambda *given, k=at[kind], s=seen: s.append(given[k]))
    options = SimulateOptions(
        largest_arcmin=3.0, halo_radius_kpc=(60.0, 90.0), mini_halo_radius_kpc=(25.0, 26.0)
    )
    target = Target(np.full((300, 300), 1e-4, np.float32), BEAM_PX, options)
    layers = Layers.empty(300)
    for seed in range(200):
        add_emission(
            layers, target, 150.0, 150.0, 300.0, 0.01 * 60 / 4.5, options, np.random.default_rng(seed)
        )
    largest = {kind: max(seen) * 4.5 / 60 / 3 for kind, seen in sizes.items()}
    assert largest == pytest.approx({"halo": 1 / 8, "megahalo": 1 / 2, "relic": 1, "phoenix": 1, "bridge": 1})


def test_kinds_of_emission_add_up():
    assert sum(KINDS.values()) == pytest.approx(1)


def test_emission_has_one_or_two_kinds_and_peaks_in_range():
    options = SimulateOptions(peak_snr=(1.0, 10.0))
    kinds, counts = set(), []
    for seed in range(120):
        target = Target(np.full((300, 300), 1e-4, np.float32), BEAM_PX, options)
        rng = np.random.default_rng(seed)
        add_emission(Layers.empty(300), target, 150.0, 150.0, 60.0, 0.05, options, rng)
        kinds |= {one.kind for one in target.objects}
        counts.append(len(target.objects))
        for one in target.objects:
            assert 0.3 <= one.peak_snr <= 10
            assert 0 <= min(one.y_px, one.x_px) <= max(one.y_px, one.x_px) < 300
    assert kinds == {"halo", "mini-halo", "megahalo", "relic", "bridge", "phoenix"}
    assert (min(counts), max(counts)) in {(1, 3), (1, 4)}
