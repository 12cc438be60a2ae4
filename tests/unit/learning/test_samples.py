import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from radiounet.images.background import normalise
from radiounet.learning import samples
from radiounet.learning.samples import DIFFUSE, KNOWN, TARGETS, Sample, cached_sample, make_sample
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.simulate import CLASSES, simulate_pair

ROOT = Path(__file__).resolve().parents[3]
CROWDED = {
    "n_px": 128,
    "clusters_per_deg2": (150.0, 150.0),
    "diffuse_fraction": (0.8, 0.8),
    "empty_fraction": 0.0,
    "galactic_fraction": 0.0,
}
OPTIONS = SimulateOptions.model_validate(CROWDED)
SKIES = {
    "whole": {"blank_fraction": 0.0},
    "blank": {"blank_fraction": 1.0},
    "cutout": {"cutout_fraction": 1.0, "cutout_px": (70.0, 90.0)},
    "coarse": {"coarse_fraction": 1.0},
    "zoomed": {"zoom_fraction": 1.0, "zoom": (2.0, 3.0)},
    "empty": {"empty_fraction": 1.0, "blank_fraction": 1.0},
}


def sky(name):
    return SimulateOptions.model_validate(CROWDED | SKIES[name])


def same(first, second):
    return all(np.array_equal(one, vars(second)[name]) for name, one in vars(first).items())


@pytest.mark.parametrize("name", SKIES)
def test_sample_is_a_function_of_options_and_seed(name):
    one, again, other = (make_sample(sky(name), seed) for seed in (4, 4, 5))
    moved = make_sample(sky(name).model_copy(update={"seed": 1}), 4)
    assert same(one, again)
    assert not np.array_equal(one.plane, other.plane)
    assert not np.array_equal(one.plane, moved.plane)
    assert not np.array_equal(one.places, other.places)


@pytest.mark.parametrize("name", SKIES)
def test_sample_is_the_input_and_the_classes_of_a_pair(name):
    options = sky(name)
    for seed in (1, 2):
        pair, sample = simulate_pair(options, seed), make_sample(options, seed)
        assert [one.dtype for one in vars(sample).values()] == [np.float16, np.uint8, np.int16]
        known = np.isfinite(pair.image)
        np.testing.assert_array_equal(sample.bits & KNOWN > 0, known)
        np.testing.assert_array_equal((sample.bits & ~np.uint8(KNOWN))[known], pair.classes[known])
        assert not sample.bits[~known].any()
        plane = normalise(pair.image, pair.beam_arcsec / 4.5)
        np.testing.assert_array_equal(sample.plane, plane.astype(np.float16))
        assert (sample.plane[~known] == 0).all()
        assert np.isfinite(sample.plane).all()


def test_bits_do_not_meet():
    assert DIFFUSE == 1
    assert not KNOWN & sum(1 << number for number in range(len(CLASSES)))


@pytest.mark.parametrize("name", SKIES)
def test_places_lie_on_diffuse_pixels_or_where_there_is_data(name):
    for seed in range(3):
        sample = make_sample(sky(name), seed)
        assert sample.places.shape == (TARGETS, 2)
        bits = sample.bits[tuple(sample.places.T)]
        assert (bits & KNOWN).all()
        if (sample.bits & DIFFUSE).any():
            assert (bits & DIFFUSE).all()
        else:
            # anywhere
            assert len(np.unique(sample.places, axis=0)) > TARGETS / 2
    assert name != "empty" or not (sample.bits & DIFFUSE).any()


def test_an_object_weighs_as_the_root_of_its_area():
    bits = np.full((200, 200), KNOWN, np.uint8)
    bits[10:12, 10:12] |= DIFFUSE  # 4 px
    bits[50:90, 50:90] |= DIFFUSE  # 1600 px, also its corner that touches only diagonally
    bits[90:100, 90:100] |= DIFFUSE
    bits[150:160, 20:30] |= DIFFUSE  # 100 px
    counts = np.zeros(3)
    for seed in range(60):
        y, _ = samples._places(bits, np.random.default_rng(seed)).T
        counts += [(y < 20).sum(), ((y >= 50) & (y < 100)).sum(), (y >= 150).sum()]
    expected = np.sqrt([4, 1700, 100]) / np.sqrt([4, 1700, 100]).sum() * counts.sum()
    assert counts.sum() == 60 * TARGETS
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


# kept samples


def test_kept_sample_is_the_same(tmp_path, monkeypatch):
    first = cached_sample(tmp_path, OPTIONS, 3)
    assert same(first, make_sample(OPTIONS, 3))
    monkeypatch.setattr(samples, "make_sample", lambda *_: pytest.fail("made again"))
    again = cached_sample(tmp_path, OPTIONS, 3)
    assert isinstance(again, Sample)
    assert same(first, again)
    assert [one.dtype for one in vars(again).values()] == [one.dtype for one in vars(first).values()]


def test_kept_samples_do_not_mix_seeds_options_or_code(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        samples, "make_sample", lambda *given: made.append(given) or Sample(*(np.zeros(len(made)),) * 3)
    )
    others = [(OPTIONS, 3), (OPTIONS, 4), (sky("blank"), 3), (OPTIONS.model_copy(update={"seed": 9}), 3)]
    for given in others * 2:
        cached_sample(tmp_path, *given)
    assert made == others
    assert len(list(tmp_path.iterdir())) == 4
    monkeypatch.setattr(samples, "code_hash", lambda: "another code")
    assert cached_sample(tmp_path, *others[0]).plane.size == 5


def test_a_killed_writer_leaves_no_half_file(tmp_path):
    program = f"""
        import os, signal
        import numpy as np
        from radiounet.learning import samples
        from radiounet.settings.simulate import SimulateOptions
        write = np.savez
        def write_half_and_die(stream, **arrays):
            write(stream, **arrays)
            stream.truncate(1000)
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        np.savez = write_half_and_die
        options = SimulateOptions.model_validate({OPTIONS.model_dump()!r})
        samples.cached_sample({str(tmp_path)!r}, options, 3)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert died.returncode == -9
    # a hidden temporary file at most
    assert all(one.name.startswith(".") for one in tmp_path.iterdir())
    assert same(cached_sample(tmp_path, OPTIONS, 3), make_sample(OPTIONS, 3))
    assert same(cached_sample(tmp_path, OPTIONS, 3), make_sample(OPTIONS, 3))


def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(stream, **_):
        stream.write(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", fail)
        with pytest.raises(OSError, match="no space left"):
            cached_sample(tmp_path, OPTIONS, 3)
    assert list(tmp_path.iterdir()) == []
