"""What `radiounet score` writes: tables, pages, and how they were made."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from labelled_images import HEAD, N_PX, write_image
from models import write_tiny_model
from radiounet import __version__
from radiounet.errors import ConfigError, ModelError
from radiounet.images.model_files import score_files
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.learning import evaluation_report, open_scores, score_sets
from radiounet.learning.evaluation import evaluate
from radiounet.learning.evaluation_figure import draw_evaluation
from radiounet.learning.evaluation_report import FEW_FALSE, evaluation_table, write_evaluation
from radiounet.learning.methods import BASELINES, Calibration, Method
from radiounet.learning.open_scores import run_scores
from radiounet.learning.score_sets import CALIBRATION
from radiounet.network.cluster_probability import FEATURES, HostCalibration
from radiounet.network.model_cards import read_card
from radiounet.running.outputs import claim_outputs
from radiounet.settings.simulate import MEASURED
from simulated import write_simulated
from wide import CROWDED

BRIGHT = np.s_[40:70, 40:70]
ONES = (1.0,) * len(FEATURES)
HOSTS = HostCalibration(features=FEATURES, mean=ONES, scale=ONES, weights=ONES, intercept=0.0, clusters=2)
BRIGHTNESS = Method("brightness", lambda image, rms, *_: np.clip(image / rms / 20, 0.001, 1))


def write_mine(folder):
    """A folder with one image with labels."""
    folder.mkdir()
    write_image(folder / "a.fits", bright=BRIGHT)
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[BRIGHT] = 1
    fits.writeto(folder / "a.labels.fits", labels)


@pytest.fixture
def no_threads(monkeypatch):
    monkeypatch.setattr(open_scores, "use_threads", lambda count: None)


@pytest.fixture
def no_simulation(monkeypatch):
    def refuse(*args):
        raise AssertionError("something is simulated")

    monkeypatch.setattr(open_scores, "simulated_set", refuse)


def read_scores(folder):
    return json.loads((folder / "scores.json").read_text())


@pytest.mark.slow
def test_scores_on_a_simulated_sky_and_a_folder(tmp_path, monkeypatch, no_threads):
    model = str(tmp_path / "tiny")
    write_tiny_model(tmp_path / "tiny")
    write_mine(tmp_path / "mine")
    small = CROWDED.model_copy(update={"n_px": 256})  # each sky has diffuse emission to settle a threshold on
    monkeypatch.setattr(score_sets, "read_sky", lambda name: small)
    sets = {str(tmp_path / "mine"): str(tmp_path / "out" / "mine"), "own": str(tmp_path / "out" / "own")}
    run_scores([model], sets, 2, 1, 1)
    for folder in sets.values():
        for path in score_files(folder):
            assert (tmp_path / path).is_file()
    scores = read_scores(tmp_path / "out" / "mine")
    claim_outputs([path for folder in sets.values() for path in score_files(folder)])  # a second time
    assert scores["scored_on"] == str(tmp_path / "mine")
    assert [one["method"] for one in scores["methods"]][0] == model
    assert scores["methods"][-1]["objects"]["all"]["count"] == 1
    page = (tmp_path / "out" / "mine" / "evaluation.md").read_text()
    assert "1 image, 0.0 deg2; 1 diffuse object; no clusters.\n" in page
    for word in ("held-out", "atalogue", "unknown", "cluster ROC-AUC"):
        assert word not in page
    own = read_scores(tmp_path / "out" / "own")
    for one in (scores, own):
        assert (one["version"], one["codehash"]) == (__version__, code_hash())
        assert one["models"] == [{"name": model, "weights_sha256": read_card(model).weights.sha256}]
        calibration = one["calibration"]
        assert (calibration["number"], calibration["seeds"]) == (4, [CALIBRATION, CALIBRATION])
        assert calibration["skies"] == ["own", "wide", "shifted_a", "shifted_b"]
    files = [str(tmp_path / "mine" / name) for name in ("a.fits", "a.labels.fits")]
    assert scores["measured"] == {"files": {file: sha256_of(file) for file in files}}
    measured = own["measured"]
    assert (own["scored_on"], measured["number"], measured["seeds"]) == ("own", 2, [MEASURED, MEASURED + 1])
    assert measured["set"].endswith(f"base seed {small.seed}")
    assert "2 held-out images" in (tmp_path / "out" / "own" / "evaluation.md").read_text()


def table_of(*scores):
    return {row[0]: row[1:] for row in evaluation_table(scores)[1]}


def test_objects_at_few_false_islands_are_those_of_a_mask_that_there_is(tmp_path):
    sky = CROWDED.model_copy(update={"n_px": 256})
    paths = [write_simulated(tmp_path / f"{seed}.fits", sky, seed) for seed in (3, 4)]
    smooth = BASELINES[1]
    scores = evaluate(smooth, paths, 0.25, Calibration(0.9))
    best = scores["few_false"]
    assert best["count"] == scores["objects"]["all"]["count"] > best["found"] > 0
    again = evaluate(smooth, paths, 0.25, Calibration(best["threshold"], None, best["peak"]))
    assert again["objects"]["all"]["found"] == best["found"] >= scores["objects"]["all"]["found"]
    assert again["false_islands"]["per_deg2"] == best["false_per_deg2"] <= 1
    table = table_of(scores)
    share = f"{best['found'] / best['count']:.3f} of {best['count']} ({100 * best['masked']:.1f} %)"
    assert table[FEW_FALSE] == [share]
    assert table["... its threshold and peak"] == [f"{best['threshold']:.3g}, {best['peak']:.3g}"]
    assert table["threshold of the mask"] == ["0.9"]
    assert "peak that an island of the mask reaches" not in table
    write_evaluation([scores], tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    assert "on these same images, so expect less on others" in page
    assert "The Dice coefficient of its mask is at least 0.95" in page


def test_one_method_on_several_sets_has_a_line_for_each(tmp_path):
    sky = CROWDED.model_copy(update={"n_px": 256})
    sets = {
        name: write_simulated(tmp_path / f"{name}.fits", sky, seed) for name, seed in (("a", 3), ("b", 4))
    }
    scores = [
        evaluate(BRIGHTNESS, [path], 0.25, Calibration(0.9)) | {"method": name} for name, path in sets.items()
    ]
    count_a, count_b = (one["objects"]["all"]["count"] for one in scores)
    assert count_a != count_b
    write_evaluation(scores, tmp_path)
    lines = (tmp_path / "evaluation.md").read_text().splitlines()
    assert [line.split(";")[1] for line in lines if line.startswith("- ")] == [
        f" {count} diffuse object{'s' * (count != 1)}" for count in (count_a, count_b)
    ]
    figure = draw_evaluation(scores)
    (axes,) = [one for one in figure.axes if one.get_title(loc="left").startswith("Objects found, by size")]
    for number, text in enumerate(axes.get_xticklabels()):
        counts = sorted({one["objects"]["by_las_arcmin"][number]["count"] for one in scores})
        assert text.get_text().endswith(f"({'–'.join(map(str, counts))})")


def test_objects_found_by_kind(tmp_path):
    path = write_simulated(tmp_path / "a.fits", CROWDED.model_copy(update={"n_px": 256}), 3)
    scores = evaluate(BRIGHTNESS, [path], 0.25, Calibration(0.9))
    scores["objects"]["by_kind"] = {
        "halo": {"count": 2, "found": 1, "recall": 0.5},
        "megahalo": {"count": 1, "found": 0, "recall": 0.0},
        "mini-halo": {"count": 1, "found": 1, "recall": 1.0},
        "phoenix": {"count": 7, "found": 0, "recall": 0.0},
        "bridge": {"count": 1, "found": 1, "recall": 1.0},
    }
    table = table_of(scores)
    assert table["objects found, halos, mini-halos and megahalos"] == ["0.500 of 4"]
    assert table["objects found, filaments and bridges"] == ["1.000 of 1"]
    assert "objects found, relics" not in table
    with fits.open(path) as hdus:
        kinds = {str(kind) for kind in Table.read(hdus, hdu="OBJECT_LIST")["kind"]}
    assert kinds <= {"halo", "mini-halo", "megahalo", "relic", "phoenix", "filament", "bridge"}


def test_without_a_pixel_of_truth_dice_is_undefined(tmp_path):
    write_image(tmp_path / "a.fits", bright=BRIGHT)
    (tmp_path / "a.reg").write_text(HEAD)
    scores = evaluate(BRIGHTNESS, [f"{tmp_path}/a.fits:{tmp_path}/a.reg"], 0.25, Calibration(0.2))
    assert scores["false_islands"]["per_deg2"] > 0
    assert scores["pixels"]["dice"] is scores["pixels"]["best_dice"] is None
    table = table_of(scores)
    for row in ("Dice of the mask", "best Dice of all thresholds", FEW_FALSE, "... its threshold and peak"):
        assert row not in table
    write_evaluation([scores], tmp_path)
    assert "on these same images" not in (tmp_path / "evaluation.md").read_text()


def test_clusters_on_labelled_images_are_in_no_catalogue_of_a_simulation(tmp_path):
    path = write_simulated(tmp_path / "a.fits", CROWDED.model_copy(update={"n_px": 256}), 3)
    scores = evaluate(BRIGHTNESS, [path], 0.25, Calibration(0.9))
    scores["clusters"] |= {"host": 3, "empty": 2, "roc_auc": 0.7}
    scores["clusters_by_catalogue"]["roc_auc"] = 0.7
    scores["false_islands"]["by_cause"] = {"unknown": 2.0}
    write_evaluation([scores], tmp_path)
    assert "By the catalogue" in (tmp_path / "evaluation.md").read_text()
    assert "cluster ROC-AUC, by catalogue" in table_of(scores)
    scores["labelled"] = {"images": 1, "regions": 2, "without_data": 0, "clusters_outside": 0}
    write_evaluation([scores], tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    assert "3 clusters with detectable diffuse emission and 2 without" in page
    for word in ("atalogue", "held-out", "unknown"):
        assert word not in page


def test_without_calibration_images_nothing_is_simulated(tmp_path, caplog, no_threads, no_simulation):
    names = [str(tmp_path / name) for name in ("settled", "open")]
    write_tiny_model(tmp_path / "settled", host_calibration=HOSTS.model_dump(mode="json"))
    write_tiny_model(tmp_path / "open")
    write_mine(tmp_path / "mine")
    out = tmp_path / "out"
    run_scores(names, {str(tmp_path / "mine"): str(out)}, 1, 0, 1)
    scores = read_scores(out)
    left_out = [names[1], "smoothed threshold", "multiscale filter", "smoothed threshold, 3 sigma"]
    assert [one["method"] for one in scores["methods"]] == names[:1]
    assert (scores["calibration"], scores["left_out"]) == (None, left_out)
    assert f"left out, for there are no images to settle them on: {', '.join(left_out)}" in caplog.text
    page = (out / "evaluation.md").read_text()
    assert f"no images were simulated to settle them on: {', '.join(left_out)}.\n" in page
    with pytest.raises(ConfigError, match="no model has a calibration of its own"):
        run_scores(names[1:], {str(tmp_path / "mine"): str(out)}, 1, 0, 1)


@pytest.mark.parametrize("fits_its_card", [True, False])
def test_weights_that_cannot_be_read_are_named_before_anything_is_simulated(
    tmp_path, no_threads, no_simulation, fits_its_card
):
    write_tiny_model(tmp_path / "tiny")
    weights = tmp_path / "tiny" / "network.weights.h5"
    old = sha256_of(weights)
    weights.write_bytes(b"no weights")
    if fits_its_card:
        card = tmp_path / "tiny" / "card.yaml"
        card.write_text(card.read_text().replace(old, sha256_of(weights)))
    with pytest.raises(ModelError, match="tiny"):
        run_scores([str(tmp_path / "tiny")], {"own": str(tmp_path / "out")}, 1, 1, 1)


def test_labels_of_no_set_are_named(tmp_path, caplog, no_threads, no_simulation):
    write_tiny_model(tmp_path / "tiny", host_calibration=HOSTS.model_dump(mode="json"))
    (tmp_path / "labels").mkdir()
    sets = {str(tmp_path / name): str(tmp_path / "out" / name) for name in ("one", "two")}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / f"{name}.fits", bright=BRIGHT)
        (tmp_path / "labels" / f"{name}.reg").write_text(HEAD)
    (tmp_path / "labels" / "three.reg").write_text(HEAD)
    (tmp_path / "two" / "one.clusters.ecsv").write_text("")
    run_scores([str(tmp_path / "tiny")], sets, 1, 0, 1, str(tmp_path / "labels"))
    unused = [message for message in caplog.messages if "not used" in message]
    assert [one.split(": ")[0] for one in unused] == [str(tmp_path / "two"), str(tmp_path / "labels")]
    assert [one.rsplit(": ")[-1] for one in unused] == ["one.clusters.ecsv", "three.reg"]


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(evaluation_report, "save_figure", 1), (open_scores, "save_figure", 1), (open_scores, "json_text", 1)],
)
def test_what_cannot_be_written_leaves_older_scores_as_they_were(
    tmp_path, no_threads, no_simulation, fill_disk, owner, name, number
):
    write_tiny_model(tmp_path / "tiny", host_calibration=HOSTS.model_dump(mode="json"))
    write_mine(tmp_path / "mine")
    sets = {str(tmp_path / "mine"): str(tmp_path / "out")}
    run_scores([str(tmp_path / "tiny")], sets, 1, 0, 1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write_tiny_model(tmp_path / "tiny", seed=2, host_calibration=HOSTS.model_dump(mode="json"))
    fill_disk(owner, name, number)
    with pytest.raises(OSError, match="No space"):
        run_scores([str(tmp_path / "tiny")], sets, 1, 0, 1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
