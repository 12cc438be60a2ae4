"""`benchmarks/designs.py` and `benchmarks/gpu.py`; need PyTorch."""

import argparse
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from radiounet.images.provenance import PACKAGE
from radiounet.learning.samples import KNOWN, TARGETS, Sample
from radiounet.learning.torch_training import GpuPool, GpuTraining
from radiounet.settings.simulate import HELD_OUT

sys.path.append(str(PACKAGE.parents[1] / "benchmarks"))
import designs
import gpu

N_PX = 64
CPU = torch.device("cpu")


def sample_of(number):
    rng = np.random.default_rng(number)
    bits = (rng.integers(0, 16, (N_PX, N_PX)) | KNOWN).astype(np.uint8)
    places = rng.integers(0, N_PX, (TARGETS, 2)).astype(np.int16)
    return Sample(rng.standard_normal((N_PX, N_PX)).astype(np.float16), bits, places)


@pytest.fixture
def pool():
    pool = GpuPool(2, N_PX, CPU)
    for number in range(2):
        pool.put(sample_of(number))
    return pool


# designs

SMALL = {"widths": (4, 4)}


@pytest.fixture
def small(monkeypatch):
    """Two designs of very small networks in place of all others."""
    found = [replace(one, network=SMALL) for one in designs.DESIGNS if one.name.startswith(("base", "Dice"))]
    monkeypatch.setattr(designs, "DESIGNS", found)
    return found


def arguments(folder, **more):
    options = {"seconds": 0.2, "batch": 2, "crop": 32, "device": CPU, "state": folder, "out": folder / "rows"}
    return argparse.Namespace(**options | more)


def test_dice_loss_by_hand(pool, small):
    # 100 px known, 30 of them diffuse; p is 0.8 on 20 of these and 0.2 elsewhere
    bits = torch.zeros((1, 10, 20), dtype=torch.uint8)
    bits[:, :, :10] = KNOWN
    bits[:, :3, :10] = KNOWN | 1
    chance = torch.full((1, 1, 10, 20), 0.2)
    chance[:, :, :2, :10] = 0.8
    plain, added = (
        one.kind(one.build(**one.network), pool, CPU).loss(torch.logit(chance), bits) for one in small
    )
    both, sizes = 20 * 0.8 + 10 * 0.2, 20 * 0.8 + 80 * 0.2 + 30
    assert float(added - plain) == pytest.approx(1 - (2 * both + 100) / (sizes + 100), rel=1e-5)


def test_dice_loss_of_blank_crops_is_nothing(pool, small):
    training = designs.DiceTraining(small[1].build(**SMALL), pool, CPU)
    blank = torch.full((2, 8, 8), 15, dtype=torch.uint8)
    assert float(training.loss(torch.full((2, 4, 8, 8), 5.0), blank)) == 0


def test_every_design_learns(pool):
    for design in designs.DESIGNS:
        network = {**design.network, "widths": (4,) * len(design.network.get("widths", (4, 4)))}
        training = design.kind(design.build(**network), pool, CPU, 2, N_PX, **design.options)
        assert np.isfinite(float(training.learn(0.5)))


def test_a_run_that_was_finished_is_only_measured_again(tmp_path, pool, small, monkeypatch):
    args, skies = arguments(tmp_path), {"sky": [sample_of(5)]}
    first = designs.run_design(small[1], args, pool, skies, 3)
    assert first["steps"] > 0
    taught = []
    monkeypatch.setattr(designs.DiceTraining, "learn", lambda training, part: taught.append(part) or 0.0)
    assert designs.run_design(small[1], args, pool, skies, 3) == first
    # what is warmed up is thrown away
    assert taught == [0.0] * designs.WARM_UP_STEPS


def test_a_state_of_an_unfinished_run_is_gone_on_from(tmp_path, pool, small):
    args = arguments(tmp_path, seconds=1e9)
    training = GpuTraining(small[0].build(**SMALL), pool, CPU, 2, 32, seed=3)
    for _ in range(4):
        training.learn(0.1)
    designs._save(tmp_path / "0-3.pt", training, 1e9 + 1)
    row = designs.run_design(small[0], args, pool, {"sky": [sample_of(5)]}, 3)
    assert (row["steps"], row["train_s"]) == (4, 1_000_000_001)


def test_rows_that_are_there_are_left_out(tmp_path, capsys, small):
    out = tmp_path / "rows.jsonl"
    assert designs.left_to_run([0, 1], [1, 2], 50, out) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert capsys.readouterr().out == ""
    out.write_text(
        "".join(
            json.dumps({"name": small[n].name, "seed": s, "train_s": 50}) + "\n" for n, s in ((0, 2), (1, 1))
        )
    )
    assert designs.left_to_run([0, 1], [1, 2], 50.4, out) == [(1, 0), (2, 1)]
    said = capsys.readouterr().out.splitlines()
    assert said == [f"design 1, seed 1: its row is in {out}", f"design 0, seed 2: its row is in {out}"]
    # rows of a shorter trial do not count
    assert designs.left_to_run([0, 1], [1, 2], 3000, out) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_with_all_rows_there_nothing_is_simulated(tmp_path, monkeypatch):
    out = tmp_path / "rows.jsonl"
    out.write_text(json.dumps({"name": designs.DESIGNS[0].name, "seed": 1, "train_s": 50}) + "\n")
    monkeypatch.setattr(designs, "ProcessPoolExecutor", None)
    monkeypatch.setattr(sys, "argv", ["designs.py", "0", "--out", str(out)])
    designs.main()
    assert len(out.read_text().splitlines()) == 1


# the GPU kit


class Done:
    """An executor whose jobs are done at once."""

    def submit(self, make, number):
        return self

    def done(self):
        return True

    def result(self):
        return "sample"


def test_fields_held_out_are_not_submitted():
    source = gpu.ready(Done(), "wide", HELD_OUT - 3, 1)
    assert [next(source) for _ in range(3)] == ["sample"] * 3
    with pytest.raises(ValueError, match=r"900000 to 900000 reach those that no network is trained on"):
        next(source)


def test_fields_beyond_those_held_out_are_submitted():
    assert next(gpu.ready(Done(), "wide", 1_000_000, 5)) == "sample"


def test_seeds_go_on_where_the_weights_ended(tmp_path, pool):
    weights = tmp_path / "weights.npz"
    assert gpu.seed_after(weights) is None
    training = GpuTraining(gpu.ClassUnet((4, 4), 4), pool, CPU, 2, 32, first_seed=500)
    training.mark({"sky": [sample_of(5)]}, 0.5, 1.0, tmp_path)
    pool.put(sample_of(2))
    training.mark({"sky": [sample_of(5)]}, 0.5, 2.0, tmp_path)
    assert weights.is_file()
    assert gpu.seed_after(weights) == 503


def test_weights_without_their_seeds_need_one_given(tmp_path, monkeypatch, capsys):
    (tmp_path / "curve.csv").write_text("step,samples\n7,9\n")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--initial", str(tmp_path / "weights.npz")])
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert end.value.code == 2
    assert "tells the next seed: give --first-seed" in capsys.readouterr().err
