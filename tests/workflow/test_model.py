"""`make model` as it runs: simulate, train, evaluate, and a second training that goes on from the first."""

import os

import pytest
import yaml

from .conftest import counted, note_stopped

SKY = {
    "n_px": 128,
    "clusters_per_deg2": [120.0, 120.0],
    "diffuse_fraction": [0.5, 0.5],
    "empty_fraction": 0.0,
    "blank_fraction": 0.0,
}
TRAINING = {
    "widths": [4, 8],
    "crop_px": 64,
    "tile_px": 128,
    "core_px": 64,
    "fields": 3,
    "calibrate": 2,
    "held_out": 2,
    "batch": 2,
    "steps": 4,
    "buffer": 2,
    "checkpoint_steps": 2,
    "precision": "float32",
}


def make(run, name, **training):
    run.write_config(
        results=str(run.folder / "results"),
        segmentation={"model": name},
        simulate=SKY,
        train=TRAINING | training,
    )
    run("model")
    folder = run.folder / "results/training" / name / "model"
    return folder, yaml.safe_load((folder / "card.yaml").read_text())


@pytest.mark.slow
def test_two_trainings_one_after_the_other(run):
    first, card = make(run, "first")
    assert {path.name for path in first.iterdir()} == {
        ".snakemake_timestamp",
        *("card.yaml", "network.weights.h5", "learning_curve.csv"),
        *("metrics.json", "evaluation.md", "evaluation.png"),
    }
    assert card["training"]["options"]["steps"] == 4
    assert card["training"]["pairs"]["number"] == 3
    assert run.counts("model") == {}
    before = card["weights"]["sha256"]

    folder, card = make(run, "second", initial=str(first), compare=[str(first)], steps=2, seed=2)
    training = card["training"]
    assert training["initial"]["sha256"] == before != card["weights"]["sha256"]
    assert training["initial"]["training"]["options"]["steps"] == 4
    assert training["options"]["steps"] == 2
    heads = [line for line in (folder / "evaluation.md").read_text().splitlines() if line.startswith("|")][0]
    assert [head.strip() for head in heads.split("|")[2:-1]] == [
        *("second", "first (shipped)", "smoothed threshold", "multiscale filter"),
        "smoothed threshold, 3 sigma",
    ]
    assert run.counts("model") == {}
    # models that it is compared with are no inputs: another card is told by its content
    for path, change in ((first / "card.yaml", b"# edited\n"), (first / "network.weights.h5", b"0")):
        content, date = path.read_bytes(), path.stat().st_mtime
        path.write_bytes(content + change)
        os.utime(path, (date, date))
        assert run.counts("model") == counted(evaluate=1, model=1)
        path.write_bytes(content)
        os.utime(path, (date, date))
        assert run.counts("model") == {}
    # a job that outlived a killed run leaves its folder without a record
    run("--cleanup-metadata", str(folder))
    assert run.counts("model") == {}
    note_stopped(run, str(folder))
    assert run.counts("model") == counted(evaluate=1, model=1)
