import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from pydantic import ValidationError

from programs import start
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation import simulate
from radiounet.simulation.diffuse import Target
from radiounet.simulation.galaxies import Layers
from radiounet.simulation.instrument import Instrument, Observation
from radiounet.simulation.simulate import (
    CAUSES,
    CLASSES,
    draw_blank,
    draw_rms,
    find_causes,
    observe,
    simulate_pair,
    write_pair,
)

ROOT = Path(__file__).resolve().parents[3]
CALM = {"blank_fraction": 0.0, "coarse_fraction": 0.0, "edge_fraction": 0.0, "galactic_fraction": 0.0}
CROWDED = SimulateOptions(
    n_px=160, clusters_per_deg2=(150.0, 150.0), diffuse_fraction=(0.7, 0.7), empty_fraction=0.0
)


def changed(options, **changes):
    return SimulateOptions.model_validate(options.model_dump() | changes)


@pytest.fixture(scope="module")
def array():
    return Instrument(SimulateOptions(n_px=160), Observation(45.0, 8.0, 80.0, -0.3), 20.0)


def level(array, value=1e-4):
    return np.full((array.size, array.size), value, np.float32)


# pairs


def test_same_seed_same_pair_and_other_seed_other():
    first, second, other = (simulate_pair(CROWDED, seed) for seed in (5, 5, 6))
    for name in ("image", "truth", "rms", "numbers", "cause", "classes"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.objects, first.clusters) == (second.objects, second.clusters)
    assert not np.array_equal(first.image, other.image, equal_nan=True)
    moved = simulate_pair(changed(CROWDED, seed=1), 5)
    assert not np.array_equal(first.rms, moved.rms)


def test_planes_have_their_shape_and_type():
    pair = simulate_pair(CROWDED, 2)
    types = {"image": "f4", "truth": "f4", "rms": "f4", "numbers": "i2", "cause": "u1", "classes": "u1"}
    for name, kind in types.items():
        assert getattr(pair, name).shape == (160, 160)
        assert getattr(pair, name).dtype == np.dtype(kind)
    assert np.isfinite(pair.truth).all()
    assert pair.rms.min() > 0
    assert pair.cause.max() < len(CAUSES)
    assert pair.classes.max() < 1 << len(CLASSES)
    assert pair.numbers.max() <= len(pair.objects)


def test_truth_is_noise_free_and_only_where_clusters_are():
    options = changed(CROWDED, **CALM)
    with_noise, louder = simulate_pair(options, 3), simulate_pair(changed(options, clean_snr=(9.0, 9.0)), 3)
    np.testing.assert_array_equal(with_noise.truth, louder.truth)
    assert with_noise.truth.max() > 0
    # no noise: most of it is exactly nothing or smooth
    assert with_noise.truth.min() >= 0
    assert any(one.diffuse for one in with_noise.clusters)
    assert ((with_noise.numbers > 0) <= (with_noise.truth > 0.05 * with_noise.rms * 0.999)).all()


@pytest.mark.parametrize("change", [{"diffuse_fraction": (0.0, 0.0)}, {"empty_fraction": 1.0}])
def test_truth_is_zero_without_diffuse_emission(change):
    for seed in range(3):
        pair = simulate_pair(changed(CROWDED, **change), seed)
        assert not pair.truth.any()
        assert not pair.numbers.any()
        assert pair.objects == []
        assert not any(one.diffuse for one in pair.clusters)


def test_positions_are_counted_from_the_corner_of_the_image():
    options = changed(CROWDED, **CALM, clusters_per_deg2=(30.0, 30.0), peak_snr=(10.0, 12.0))
    checked = 0
    for seed in range(8):
        pair = simulate_pair(options, seed)
        assert all(0 <= min(c.y_px, c.x_px) <= max(c.y_px, c.x_px) < 160 for c in pair.clusters)
        for number, one in enumerate(pair.objects, 1):
            inside = 0 <= one.y_px < 160 and 0 <= one.x_px < 160
            if inside and pair.numbers[int(one.y_px), int(one.x_px)] == number:
                checked += 1
                place = int(one.y_px), int(one.x_px)
                assert pair.truth[place] >= one.peak_snr * pair.rms[place] * 0.999
    assert checked >= 5


def test_diffuse_emission_shows_in_the_image():
    # far clusters: in a field this small the shortest baselines cut away what is wide
    options = changed(CROWDED, **CALM, peak_snr=(12.0, 15.0), redshift=(0.4, 0.8))
    pair, without = simulate_pair(options, 4), None
    without = simulate_pair(changed(options, peak_snr=(1e-3, 1e-3)), 4)
    excess = pair.image - without.image
    bright = pair.truth > 8 * pair.rms
    assert bright.sum() > 20
    # the deconvolution stops above zero, and large scales are lost
    assert 0.5 < np.median(excess[bright] / pair.truth[bright]) < 1.3


def test_ideal_instrument_shows_all_diffuse_emission():
    options = changed(CROWDED, **CALM, ideal_fraction=1.0, peak_snr=(12.0, 15.0))
    pair = simulate_pair(options, 4)
    without = simulate_pair(changed(options, peak_snr=(1e-3, 1e-3)), 4)
    assert pair.truth.max() > 8 * pair.rms.min()
    # 120 m are less than half a cell of 229 wavelengths: only the mean is lost
    lost = pair.truth - (pair.image - without.image)
    assert lost.std() < 2e-3 * pair.truth.max()


def test_empty_sky_gives_noise_of_the_asked_level(array):
    layers, options = Layers.empty(array.size), SimulateOptions(n_px=160)
    rms = level(array, 2e-4)
    target = Target(rms, 4.44, options)
    image, artefacts = observe(layers, target, array, rms, options, np.random.default_rng(1))
    assert not artefacts.any()
    assert image.std() == pytest.approx(2e-4, rel=0.05)


def test_bright_sources_leave_artefacts(array):
    layers, options = Layers.empty(array.size), SimulateOptions(n_px=160, phase_error_deg=(0.3, 0.3))
    layers.compact[90, 110] = 2.0
    layers.bright.append((90.0, 110.0, 2.0))
    rms = level(array)
    image, artefacts = observe(
        layers, Target(rms, 4.44, options), array, rms, options, np.random.default_rng(2)
    )
    assert artefacts.std() > 1e-5
    assert abs(artefacts[90, 110]) < 0.05
    assert image[90, 110] == pytest.approx(2.0, rel=0.03)


def test_causes_name_what_is_there(array):
    rms, layers = level(array), Layers.empty(array.size)
    places = {"compact": 20, "galaxies": 50, "remnants": 80, "spirals": 110}
    for name, place in places.items():
        getattr(layers, name)[place, place] = 1e-3
    artefacts = np.zeros_like(rms)
    artefacts[140:150, 140:150] = -1e-3  # 10 sigma
    artefacts[170:180, 20:30] = 1.5e-4  # below twice the noise
    target = Target(rms, array.beam_px, SimulateOptions(n_px=160))
    cause, _ = find_causes(layers, target, artefacts, array, rms)
    assert [CAUSES[cause[place, place]] for place in places.values()] == [
        "compact source",
        "radio galaxy",
        "remnant",
        "spiral galaxy",
    ]
    assert CAUSES[cause[145, 145]] == "artefact"
    assert CAUSES[cause[175, 25]] == "noise"
    assert CAUSES[cause[20, 150]] == "noise"
    # 10 sigma at the peak fall to half a sigma at 1.04 FWHM
    radius = np.hypot(*(np.indices(cause.shape) - 20)) / array.beam_px
    assert (cause[radius < 1.0] == 1).all()
    assert (cause[(radius > 1.1) & (radius < 3)] == 0).all()
    layers.galactic[:] = 1e-3 * np.random.default_rng(3).standard_normal(rms.shape)
    cause, _ = find_causes(layers, target, artefacts, array, rms)
    assert CAUSES[cause[20, 150]] == "Galactic emission"


def test_the_galactic_flag_is_wrong_now_and_then_and_leaves_the_image_alone():
    options = changed(CROWDED, **CALM | {"galactic_fraction": 1.0})
    right, wrong = (simulate_pair(changed(options, galactic_flag_error=error), 3) for error in (0.0, 1.0))
    assert right.clusters
    assert all(one.galactic for one in right.clusters)
    assert not any(one.galactic for one in wrong.clusters)
    np.testing.assert_array_equal(right.image, wrong.image)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_noise_level_varies_slowly_and_rises_to_an_edge(edge):
    options = SimulateOptions(rms_ujy=(100.0, 100.0), edge_fraction=edge)
    for seed in range(10):
        rms = draw_rms(options, 200, np.random.default_rng(seed))
        assert rms.shape == (200, 200)
        assert rms.min() >= 0.88e-4 * 0.999
        assert rms.max() <= 1.14e-4 * (3.5 if edge else 1) * 1.001
        assert np.abs(np.diff(rms, axis=0)).max() < 0.1 * rms.min()
        sides = [side.mean() for side in (rms[0], rms[-1], rms[:, 0], rms[:, -1])]
        assert (max(sides) / min(sides) > 1.3) == bool(edge)


def test_blank_pixels_come_with_their_fraction():
    rng = np.random.default_rng(4)
    none = SimulateOptions(blank_fraction=0.0)
    assert not any(draw_blank((50, 50), none, rng).any() for _ in range(10))
    always = [draw_blank((100, 100), SimulateOptions(blank_fraction=1.0), rng).mean() for _ in range(60)]
    assert 0 < min(always) < max(always) < 0.6
    some = [draw_blank((20, 20), SimulateOptions(blank_fraction=0.3), rng).any() for _ in range(300)]
    assert np.mean(some) == pytest.approx(0.3, abs=0.11)


def test_blank_pixels_are_nan_in_the_image_alone():
    pair = simulate_pair(changed(CROWDED, blank_fraction=1.0), 1)
    assert 0 < np.isnan(pair.image).sum() < pair.image.size
    assert np.isfinite(pair.truth).all()
    assert np.isfinite(pair.rms).all()


def test_coarse_images_are_smoother_and_lack_compact_sources(monkeypatch):
    fine = changed(CROWDED, **CALM, empty_fraction=1.0)
    coarse = changed(fine, coarse_fraction=1.0, coarse_beam_arcsec=(60.0, 60.0))
    assert simulate_pair(fine, 1).beam_arcsec == 20
    pair = simulate_pair(coarse, 1)
    assert pair.beam_arcsec == 60
    image = pair.image - pair.image.mean()
    assert np.mean(image * np.roll(image, 4, axis=1)) > 0.7 * image.var()
    seen = []
    original = simulate.observe
    monkeypatch.setattr(
        simulate,
        "observe",
        lambda layers, *rest: seen.append(layers.compact.sum()) or original(layers, *rest),
    )
    simulate_pair(fine, 1)
    simulate_pair(changed(fine, coarse_fraction=1.0, missed_fraction=(0.0, 0.0)), 1)
    assert seen[0] > 0
    assert seen[1] == 0


# options


def ends():
    for name, field in SimulateOptions.model_fields.items():
        if isinstance(field.default, tuple):
            for value in field.default:
                yield name, (value, value)
        elif name.endswith("_fraction"):
            yield from ((name, 0.0), (name, 1.0))
    single = {
        "seed": (0, 2**40),
        "n_px": (64, 67, 201),
        "pixel_arcsec": (1.5, 9.0),
        "beam_arcsec": (6.0, 60.0),
        "error_flux_jy": (1e-3, 10.0),
        "flux_min_mjy": (0.05, 20.0),
        "flux_max_jy": (0.01, 30.0),
        "largest_arcmin": (2.0, 60.0),
        "smallest_arcmin": (0.1, 10.0),
        "zoom": ((0.5, 0.5), (4.0, 4.0)),
        "galactic_flag_error": (0.0, 1.0),
        "blank_holes": (0.0, 5.0),
        "central_ln_mjy": (-2.0, 6.0),
        "central_ln_scatter": (0.0, 3.0),
        "cluster_sources": (0.0, 30.0),
        "cluster_source_ln_mjy": (-2.0, 6.0),
        "cluster_source_ln_scatter": (0.0, 3.0),
        "bridge_snr": (0.1, 50.0),
        "error_rms_ujy": (0.0, 10.0, 1e4),
        # off by default, where both ends are the same
        "taper": ((0.2, 0.2), (1.5, 1.5)),
        "shoulder": ((0.5, 0.5), (4.0, 4.0)),
        "shoulder_arcsec": ((30.0, 30.0), (600.0, 600.0)),
        "beam_noise": ((1.0, 1.0),),
        "stripe_noise": ((1.0, 1.0),),
        "pedestal_snr": ((-5.0, -5.0), (5.0, 5.0)),
        "gradient_snr": ((8.0, 8.0),),
        "counts_scale": ((0.05, 0.05), (5.0, 5.0)),
        "flux_scale": ((0.05, 0.05), (10.0, 10.0)),
        "clustered_fraction": ((1.0, 1.0),),
        "direction_scatter": ((3.0, 3.0),),
        "galactic_skew": ((3.0, 3.0),),
        "relic_turn_deg": ((90.0, 90.0), (180.0, 180.0)),
    }
    for name, values in single.items():
        yield from ((name, value) for value in values)


def test_every_option_is_tried():
    assert {name for name, _ in ends()} == set(SimulateOptions.model_fields)


@pytest.mark.parametrize(("name", "value"), list(ends()), ids=lambda one: str(one).replace(" ", ""))
def test_every_end_of_every_option_makes_a_pair(name, value):
    base = {
        "n_px": 96,
        "clusters_per_deg2": (120.0, 120.0),
        "galaxies_per_deg2": (60.0, 60.0),
        "remnants_per_deg2": (60.0, 60.0),
        "spirals_per_deg2": (60.0, 60.0),
        "galactic_fraction": 1.0,
        "remnant_shell_fraction": 1.0,
        "diffuse_fraction": (1.0, 1.0),
        "empty_fraction": 0.0,
        "blank_fraction": 0.0,
        # without their fractions these do nothing
        "zoom_fraction": float(name == "zoom"),
        "cutout_fraction": float(name == "cutout_px"),
    }
    options = SimulateOptions.model_validate(base | {name: value})
    for seed in (1, 2):
        pair = simulate_pair(options, seed)
        assert pair.image.shape == pair.truth.shape == (options.n_px, options.n_px)
        assert np.isfinite(pair.image).all() or name in ("blank_fraction", "cutout_fraction", "cutout_px")
        assert np.isfinite(pair.image).any()
        assert np.isfinite(pair.truth).all()
        assert pair.rms.min() > 0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("gain_error", (0, 0), r"both ends must be above 0, not \[0\.0, 0\.0\]"),
        ("peak_snr", (-1, 2), r"both ends must be above 0, not \[-1\.0, 2\.0\]"),
        ("clusters_per_deg2", (-1, 2), r"both ends must be 0 or more, not \[-1\.0, 2\.0\]"),
        ("robust", (0.1, -0.6), r"from low to high, not \[0\.1, -0\.6\]"),
        ("gain_error", (0.1, 0), r"from low to high, not \[0\.1, 0\.0\]"),
    ],
)
def test_ranges_are_refused_with_their_reason(name, value, says):
    with pytest.raises(ValidationError, match=f"(?s){name}.*{says}"):
        SimulateOptions.model_validate({name: value})


RANGES = [name for name, field in SimulateOptions.model_fields.items() if isinstance(field.default, tuple)]


@pytest.mark.parametrize("value", [(0.0, 0.0), (-2.0, -1.0)])
@pytest.mark.parametrize("name", RANGES)
def test_ranges_down_to_nothing_are_refused_or_make_a_pair(name, value):
    base = {"n_px": 64, "clusters_per_deg2": (120.0, 120.0), "galactic_fraction": 1.0, "blank_fraction": 0.0}
    try:
        options = SimulateOptions.model_validate(base | {name: value})
    except ValidationError:
        return
    assert np.isfinite(simulate_pair(options, 1).image).all()


# files


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "new" / "p.fits"
    options = changed(CROWDED, coarse_fraction=1.0)
    write_pair(path, options, 7)
    return path, simulate_pair(options, 7)


def test_pair_file_holds_all_planes(written):
    path, pair = written
    with fits.open(path) as hdus:
        names = ["PRIMARY", "TRUTH", "RMS", "OBJECTS", "CAUSE", "CLASSES", "CLUSTERS", "OBJECT_LIST"]
        assert [hdu.name for hdu in hdus] == names
        planes = (pair.image, pair.truth, pair.rms, pair.numbers, pair.cause, pair.classes)
        for hdu, plane in zip(hdus, planes, strict=False):
            np.testing.assert_array_equal(hdu.data, plane)
        assert [hdu.header["BITPIX"] for hdu in hdus[:6]] == [-32, -32, -32, 16, 8, 8]
    assert [one.name for one in path.parent.iterdir()] == ["p.fits"]


def test_header_holds_beam_and_seeds(written):
    path, pair = written
    header = fits.getheader(path)
    assert 25 <= pair.beam_arcsec <= 70
    assert header["BMAJ"] * 3600 == pytest.approx(pair.beam_arcsec)
    assert header["BMIN"] == header["BMAJ"]
    assert (header["BUNIT"], header["PIXARCS"], header["BPA"]) == ("JY/BEAM", 4.5, 0)
    assert (header["SEED"], header["BASESEED"]) == (7, 20261)
    assert len(header["CODEHASH"]) == 12


def test_tables_hold_clusters_and_objects(written):
    path, pair = written
    with fits.open(path) as hdus:
        assert [(c.name, c.format) for c in hdus["CLUSTERS"].columns] == [
            ("y_px", "D"),
            ("x_px", "D"),
            ("redshift", "D"),
            ("r500_arcmin", "D"),
            ("diffuse", "L"),
            ("galactic", "L"),
        ]
        assert [(c.name, c.format) for c in hdus["OBJECT_LIST"].columns] == [
            ("object", "K"),
            ("kind", "16A"),
            ("y_px", "D"),
            ("x_px", "D"),
            ("peak_snr", "D"),
            ("flux_jy", "D"),
            ("las_arcmin", "D"),
        ]
        clusters, objects = Table(hdus["CLUSTERS"].data), Table(hdus["OBJECT_LIST"].data)
    assert len(clusters) == len(pair.clusters) > 0
    assert len(objects) == len(pair.objects) > 0
    assert list(objects["object"]) == list(range(1, len(objects) + 1))
    assert [str(kind).strip() for kind in objects["kind"]] == [one.kind for one in pair.objects]
    np.testing.assert_array_equal(clusters["redshift"], [one.redshift for one in pair.clusters])
    np.testing.assert_array_equal(clusters["diffuse"], [one.diffuse for one in pair.clusters])


def test_tables_without_rows_keep_their_columns(tmp_path):
    write_pair(
        tmp_path / "p.fits", SimulateOptions(n_px=64, clusters_per_deg2=(0.0, 0.0), empty_fraction=1.0), 1
    )
    with fits.open(tmp_path / "p.fits") as hdus:
        assert (len(hdus["CLUSTERS"].data), len(hdus["OBJECT_LIST"].data)) == (0, 0)
        assert hdus["CLUSTERS"].columns["diffuse"].format == "L"
        assert hdus["OBJECT_LIST"].columns["kind"].format == "16A"


def run(out, **simulate):
    return start("simulate", "--pair", 3, "--out", out, "--settings", json.dumps({"simulate": simulate}))


def test_script_writes_the_pair_of_its_settings(tmp_path):
    out = tmp_path / "p.fits"
    done = run(out, n_px=72, clusters_per_deg2=[100, 120], seed=9)
    assert done.returncode == 0, done.stderr
    expected = simulate_pair(SimulateOptions(n_px=72, clusters_per_deg2=(100.0, 120.0), seed=9), 3)
    np.testing.assert_array_equal(fits.getdata(out), expected.image)


@pytest.mark.parametrize(
    "bad",
    [{"n_px": 10}, {"redshift": [0.8, 0.1]}, {"blank_fraction": 1.5}, {"clusters_per_deg2": [-1, 2]}],
    ids=lambda bad: next(iter(bad)),
)
def test_script_refuses_settings_outside_their_limits(tmp_path, bad):
    done = run(tmp_path / "p.fits", **bad)
    assert done.returncode == 2
    assert f"- simulate.{next(iter(bad))}" in done.stderr
    assert list(tmp_path.iterdir()) == []
