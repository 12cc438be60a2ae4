import csv
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import yaml
from astropy.io import fits

import simulated
from models import write_tiny_model
from radiounet.errors import ConfigError, ModelError, ShapeMismatchError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.provenance import sha256_of
from radiounet.learning import training
from radiounet.learning.crops import Crops
from radiounet.learning.hard_negatives import hard_negatives
from radiounet.learning.learning_curve import read_about
from radiounet.learning.losses import cross_entropy, dice_cross_entropy, focal
from radiounet.learning.runs import run_training
from radiounet.learning.training import train
from radiounet.network import inference
from radiounet.network.architectures.graphs import graphs_of
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.architectures.lotss_unet import lotss_unet
from radiounet.network.engine import load_model, load_network
from radiounet.network.model_cards import AsinhNormalisation, LogNormalisation, ModelCard, Weights
from radiounet.running.outputs import claim_outputs
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions
from simulated import edit_pair

OPTIONS = TrainOptions(
    widths=[4, 8],
    crop_px=32,
    tile_px=32,
    core_px=16,
    batch=4,
    steps=60,
    learning_rate=5e-3,
    buffer=2,
    checkpoint_steps=20,
)
PUBLISHED = OPTIONS.model_copy(
    update={"architecture": "published_unet", "normalisation": "log10", "steps": 4, "checkpoint_steps": 2}
)
SIDE = 64


def write_simulated(path, seed=0):
    """A pair of the simulator with the pixels of a bright blob, which is learnt in few steps."""
    simulated.write_simulated(path, SimulateOptions(n_px=SIDE))
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    centre = rng.uniform(16, SIDE - 16, 2)
    truth = 2e-3 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 50)
    truth[truth < 1e-5] = 0
    image = truth + 1e-4 * rng.standard_normal((SIDE, SIDE))
    image[:4] = np.nan
    edit_pair(path, {"PRIMARY": image, "TRUTH": truth, "RMS": np.full((SIDE, SIDE), 1e-4)})
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def _few_settling_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SETTLING_STEPS", 3)
        yield


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return [write_simulated(folder / f"{seed}.fits", seed) for seed in range(4)]


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory):
    """An uninterrupted training with its folder."""
    folder = tmp_path_factory.mktemp("whole")
    model = train(pairs, OPTIONS, folder / "c.npz", folder / "curve.csv", validation=pairs[:1])
    return model, folder


def write_model(folder, model, options, normalisation):
    folder.mkdir()
    save_weights(model, folder / "w.weights.h5")
    card = ModelCard(
        name="m",
        architecture=options.architecture,
        widths=tuple(options.widths),
        tile_px=options.tile_px,
        core_px=options.core_px,
        normalisation=normalisation,
        unit="Jy/beam",
        beam_arcsec=20.0,
        pixel_arcsec=4.5,
        threshold=0.5,
        training={},
        metrics={},
        weights=Weights(file="w.weights.h5", sha256=sha256_of(folder / "w.weights.h5")),
        licence="BSD-3-Clause",
        citation="-",
    )
    (folder / "card.yaml").write_text(card.model_dump_json())  # JSON is YAML
    return folder


def same_weights(first, second):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


# one crop of 1 x 3 pixels: diffuse said with 0.75, not diffuse said with 0.5, no data
TRUTH = np.array([[[1.0, 0.0, -1.0]]], np.float32)
SAID = np.array([[[[0.25, 0.75], [0.5, 0.5], [0.01, 0.99]]]], np.float32)


def test_cross_entropy_by_hand():
    assert float(cross_entropy(TRUTH, SAID)) == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2, rel=1e-5)


def test_focal_loss_by_hand():
    diffuse = -0.75 * 0.25**2 * np.log(0.75)
    other = -0.25 * 0.5**2 * np.log(0.5)
    assert float(focal(TRUTH, SAID)) == pytest.approx((diffuse + other) / 2, rel=1e-5)


def test_dice_cross_entropy_by_hand():
    entropy = -(np.log(0.75) + np.log(0.5)) / 2
    dice = (2 * 0.75 + 1) / (1 + 0.75 + 0.5 + 1)
    assert float(dice_cross_entropy(TRUTH, SAID)) == pytest.approx(entropy + 1 - dice, rel=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, focal])
def test_a_crop_without_any_data_costs_nothing(loss):
    assert float(loss(np.full((1, 1, 3), -1, np.float32), SAID)) == 0


def test_training_lowers_the_loss_and_tells_its_course(whole, pairs):
    _, folder = whole
    about = read_about(folder / "curve.csv")
    assert about["pairs"]["number"] == len(pairs)
    assert about["backend"].startswith("keras 3.")
    assert about["devices"].endswith("CPU threads")
    with open(folder / "curve.csv", newline="") as stream:
        stream.readline()
        rows = list(csv.DictReader(stream))
    assert about["wall_time_s"] == int(rows[-1]["seconds"])
    assert [row["step"] for row in rows] == ["20", "40", "50", "60"]
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert [bool(row["validation"]) for row in rows] == [True, True, False, True]
    assert float(rows[-1]["validation"]) < float(rows[0]["validation"])
    assert int(rows[-1]["seconds"]) >= int(rows[0]["seconds"])


def run_python(program, folder):
    environment = os.environ | {"PYTHONPATH": str(Path(training.__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=folder, env=environment)


@pytest.mark.slow
def test_two_replicas_share_each_batch(pairs, tmp_path):
    options = OPTIONS.model_copy(update={"steps": 6, "loss": "cross_entropy"})
    program = f"""
        import tensorflow as tf
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from radiounet.learning import training
        from radiounet.settings.train import TrainOptions
        training.SETTLING_STEPS = 3
        training._strategy = lambda options: tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
        options = TrainOptions.model_validate({options.model_dump()!r})
        training.train({pairs!r}, options, "c.npz", "two.csv", validation={pairs[:1]!r})
    """
    assert run_python(program, tmp_path).returncode == 0
    train(pairs, options, tmp_path / "one.npz", tmp_path / "one.csv", validation=pairs[:1])
    courses = []
    for name in ("one.csv", "two.csv"):
        with open(tmp_path / name, newline="") as stream:
            stream.readline()
            courses += [[float(row[k]) for row in csv.DictReader(stream) for k in ("loss", "validation")]]
    # not equal: each replica normalises its half of the batch by itself
    assert courses[0] == pytest.approx(courses[1], rel=0.03)


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_the_same(whole, pairs, tmp_path):
    model, _ = whole
    program = f"""
        import os, signal
        from radiounet.learning import training
        from radiounet.settings.train import TrainOptions
        write = training._write_checkpoint
        def write_and_die(path, identity, model, progress):
            write(path, identity, model, progress)
            if progress.step == 40:
                os.kill(os.getpid(), signal.SIGKILL)
        training._write_checkpoint = write_and_die
        options = TrainOptions.model_validate({OPTIONS.model_dump()!r})
        training.train({pairs!r}, options, "c.npz", "curve.csv")
    """
    died = run_python(program, tmp_path)
    assert died.returncode == -signal.SIGKILL
    assert not (tmp_path / "curve.csv").exists()
    same_weights(train(pairs, OPTIONS, tmp_path / "c.npz", tmp_path / "curve.csv"), model)


@pytest.mark.slow
def test_a_checkpoint_is_written_by_time_and_resumes_to_the_same_bytes(pairs, tmp_path, monkeypatch, caplog):
    """Steps of 100 s each, checkpoints after 300 s or 5 steps; then a kill after the sixth step."""
    options = OPTIONS.model_copy(update={"steps": 9, "checkpoint_steps": 5})
    now, written = [0.0], []
    step, write = keras.Model.train_on_batch, training._write_checkpoint

    def slow_step(self, *batch):
        now[0] += 100
        return step(self, *batch)

    def write_and_keep(path, identity, model, progress):
        write(path, identity, model, progress)
        written.append(progress.step)
        shutil.copyfile(path, tmp_path / f"{progress.step}.npz")

    caplog.set_level(logging.INFO)
    undisturbed = train(pairs, options, tmp_path / "c.npz", tmp_path / "c.csv")
    assert f"no checkpoint {tmp_path / 'c.npz'}: the training begins with its first step" in caplog.text
    monkeypatch.setattr(training, "_write_checkpoint", write_and_keep)
    with monkeypatch.context() as patch:
        patch.setattr(training, "time", SimpleNamespace(monotonic=lambda: now[0]))
        patch.setattr(keras.Model, "train_on_batch", slow_step)
        slow = train(pairs, options, tmp_path / "slow.npz", tmp_path / "slow.csv")
    assert written == [3, 5, 8, 9]
    for number in written:
        again = train(pairs, options, tmp_path / f"{number}.npz", tmp_path / "again.csv")
        assert f"going on from step {number} of" in caplog.text
        for weights in zip(*(one.get_weights() for one in (undisturbed, slow, again)), strict=True):
            assert len({one.tobytes() for one in weights}) == 1


def test_a_finished_training_gives_its_result_again_without_training(whole, pairs, monkeypatch):
    model, folder = whole
    monkeypatch.setattr(keras.Model, "train_on_batch", None)
    same_weights(train(pairs, OPTIONS, folder / "c.npz", folder / "again.csv"), model)
    assert (folder / "again.csv").read_text() == (folder / "curve.csv").read_text()


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_dropout_and_loss_scale_are_in_the_checkpoint(pairs, tmp_path, monkeypatch, caplog, precision):
    options = PUBLISHED.model_copy(update={"precision": precision})
    write = training._write_checkpoint

    def write_and_keep(path, identity, model, progress):
        write(path, identity, model, progress)
        if progress.step == 2:
            shutil.copyfile(path, tmp_path / "b.npz")

    with monkeypatch.context() as patch:
        patch.setattr(training, "_write_checkpoint", write_and_keep)
        model = train(pairs, options, tmp_path / "a.npz", tmp_path / "a.csv")
    assert {v.dtype for v in model.weights} == {"float32"}
    assert model.layers[-1].compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"
    caplog.clear()
    with caplog.at_level(logging.INFO):
        again = train(pairs, options, tmp_path / "b.npz", tmp_path / "b.csv")
    assert "going on from step 2" in caplog.text
    same_weights(again, model)


def test_a_checkpoint_of_another_training_is_set_aside(whole, pairs, tmp_path, caplog):
    _, folder = whole
    checkpoint = tmp_path / "c.npz"
    checkpoint.write_bytes((folder / "c.npz").read_bytes())
    claim_outputs([checkpoint])  # with nothing beside it that would vouch for it
    claim_outputs([folder / "c.npz", folder / "curve.csv"])
    other = OPTIONS.model_copy(update={"learning_rate": 1e-3, "steps": 2})
    train(pairs, other, checkpoint, tmp_path / "curve.csv")
    assert "is of another training" in caplog.text
    assert (tmp_path / "c.npz.other").read_bytes() == (folder / "c.npz").read_bytes()
    with open(tmp_path / "curve.csv", newline="") as stream:
        stream.readline()
        assert [row["step"] for row in csv.DictReader(stream)] == ["2"]


def test_a_checkpoint_of_other_code_is_set_aside(whole, pairs, tmp_path, caplog, monkeypatch):
    _, folder = whole
    checkpoint = tmp_path / "c.npz"
    checkpoint.write_bytes((folder / "c.npz").read_bytes())
    claim_outputs([checkpoint])
    claim_outputs([folder / "c.npz", folder / "curve.csv"])
    monkeypatch.setattr(training, "code_hash", lambda script: "mended")
    train(pairs, OPTIONS, checkpoint, tmp_path / "curve.csv")
    assert "is of another training" in caplog.text
    assert (tmp_path / "c.npz.other").read_bytes() == (folder / "c.npz").read_bytes()


def test_fine_tuning_keeps_frozen_layers_their_statistics_and_the_input(pairs, tmp_path, monkeypatch):
    first = graphs_of("published_unet").build(32, PUBLISHED.widths)
    # a range of its own, as the second published model may have
    own = LogNormalisation(kind="log10", low=1e-9, high=1e-3)
    folder = write_model(tmp_path / "m", first, PUBLISHED, own)
    options = PUBLISHED.model_copy(update={"frozen_layers": 6})
    seen = []
    monkeypatch.setattr(training, "Crops", lambda *args: seen.append(args[-1]) or Crops(*args))
    tuned = train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv", initial=folder)
    for index, (a, b) in enumerate(zip(first.layers, tuned.layers, strict=True)):
        pieces = list(zip(a.get_weights(), b.get_weights(), strict=True))
        if index < 6:
            assert all(np.array_equal(x, y) for x, y in pieces)
        elif pieces:
            assert not all(np.array_equal(x, y) for x, y in pieces)
    assert seen == [own]


@pytest.mark.parametrize(
    ("first", "crop_px", "is_small"),
    [(OPTIONS, 24, True), (OPTIONS, 32, False), (PUBLISHED, 12, True), (PUBLISHED, 16, False)],
)
def test_normalisations_are_kept_where_crops_do_not_show_what_whole_images_have(
    pairs, tmp_path, caplog, first, crop_px, is_small
):
    model = graphs_of(first.architecture).build(32, first.widths)
    kind = {"lotss_unet": AsinhNormalisation, "published_unet": LogNormalisation}[first.architecture]
    folder = write_model(tmp_path / "m", model, first, kind(kind=first.normalisation))
    options = first.model_copy(update={"crop_px": crop_px, "steps": 2, "batch": 2})
    tuned = train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv", initial=folder)
    same = {True: [], False: []}
    for a, b in zip(model.layers, tuned.layers, strict=True):
        pieces = list(zip(a.get_weights(), b.get_weights(), strict=True))
        is_norm = isinstance(a, keras.layers.BatchNormalization)
        same[is_norm] += [all(np.array_equal(*piece) for piece in pieces)] if pieces else []
    assert set(same[True]) == {is_small}
    assert not any(same[False])
    said = f"crops of {crop_px} px have 3 px a side at the coarsest level"
    assert (said in caplog.text) == is_small
    assert (f"the batch normalisations of {folder} are kept as they are" in caplog.text) == is_small


def test_a_new_network_on_small_crops_is_trained_with_a_warning(pairs, tmp_path, caplog):
    options = OPTIONS.model_copy(update={"crop_px": 16, "steps": 2})
    train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv")
    assert (
        "the only network tried, they did from 4 px on): the network may fail on whole images" in caplog.text
    )


def test_an_initial_model_of_another_kind_is_refused(pairs, tmp_path):
    model = lotss_unet(32, OPTIONS.widths)
    folder = write_model(tmp_path / "m", model, OPTIONS, AsinhNormalisation(kind="asinh_snr"))
    with pytest.raises(ConfigError, match="--architecture lotss_unet --widths 4 8 --normalisation asinh_snr"):
        train(pairs, PUBLISHED, tmp_path / "c.npz", tmp_path / "curve.csv", initial=folder)


@pytest.mark.parametrize(
    ("network", "normalisation"),
    [
        ({"architecture": "unet_pair", "widths": [4, 8, 4, 8]}, "asinh_flat"),
        ({"architecture": "class_unet"}, "asinh_flat"),
        ({"architecture": "class_unet"}, "asinh_snr"),
        ({}, "asinh_flat"),
    ],
)
def test_a_model_that_cannot_be_adapted_is_refused_without_advice_to_go_on(
    pairs, tmp_path, network, normalisation
):
    write_tiny_model(tmp_path / "m", **network, normalisation={"kind": normalisation})
    with pytest.raises(ConfigError, match="m cannot be adapted: .* such as lotss-unet") as caught:
        train(pairs, OPTIONS, tmp_path / "c.npz", tmp_path / "curve.csv", initial=tmp_path / "m")
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("short_of_all", [0, 1])
def test_nothing_left_to_train_is_refused(pairs, tmp_path, short_of_all):
    layers = len(lotss_unet(32, OPTIONS.widths).layers)  # the last one, the softmax, holds no weights
    options = OPTIONS.model_copy(update={"frozen_layers": layers - short_of_all})
    with pytest.raises(ConfigError, match="nothing is left to train"):
        train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv")


def test_a_network_that_pairs_do_not_train_is_refused(pairs, tmp_path):
    options = OPTIONS.model_copy(update={"architecture": "class_unet"})
    with pytest.raises(
        ConfigError, match="no pairs train class_unet: give one of published_unet, lotss_unet"
    ):
        train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv")


def test_a_crop_that_the_levels_do_not_divide_is_refused_before_training(pairs, tmp_path):
    options = OPTIONS.model_copy(update={"crop_px": 20})
    with pytest.raises(ConfigError, match="crop_px is 20 px, no multiple of 8, as lotss_unet with 2 widths"):
        train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv")


def test_a_validation_pair_smaller_than_a_crop_is_refused(pairs, tmp_path):
    small = write_simulated(tmp_path / "small.fits")
    options = OPTIONS.model_copy(update={"crop_px": 96})
    with pytest.raises(ShapeMismatchError, match="small.fits is 64 px"):
        train(pairs, options, tmp_path / "c.npz", tmp_path / "curve.csv", validation=[small])


def test_a_loss_that_is_no_number_stops_the_training(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.Model, "train_on_batch", lambda *_: float("nan"))
    with pytest.raises(ModelError, match="learning-rate"):
        train(pairs, OPTIONS, tmp_path / "c.npz", tmp_path / "curve.csv")
    assert not (tmp_path / "c.npz").exists()


def test_hard_negatives_are_the_islands_without_truth(tmp_path, monkeypatch):
    path = write_simulated(tmp_path / "p.fits")
    folder = write_model(
        tmp_path / "m", lotss_unet(32, OPTIONS.widths), OPTIONS, AsinhNormalisation(kind="asinh_snr")
    )
    truth = fits.getdata(path, "TRUTH")
    y, x = np.unravel_index(truth.argmax(), truth.shape)
    calls = []

    def predict(predictor, plane, tile_px, core_px):
        calls.append((tile_px, core_px))
        probability = np.zeros(plane.shape, np.float32)
        probability[y, x] = 0.9  # true
        probability[58:63, 1:6] = 0.9  # false, of more than a beam, centred on (60, 3)
        probability[1, 30] = 0.9  # blank
        probability[50, 60] = 0.9  # less than a beam
        return probability

    monkeypatch.setattr(inference.Predictor, "plane", predict)
    found = hard_negatives(folder, [path], 32, OPTIONS.truth_snr, tmp_path / "w.weights.h5")
    assert found[path].tolist() == [[60, 3]]
    assert calls == [(32, 16)]
    again = hard_negatives(folder, [path], 32, OPTIONS.truth_snr, tmp_path / "w.weights.h5")
    assert again[path].tolist() == [[60, 3]]
    assert len(calls) == 1
    hard_negatives(folder, [path], 32, 1.0, tmp_path / "w.weights.h5")
    assert len(calls) == 2
    card = folder / "card.yaml"
    card.write_text(yaml.safe_dump(yaml.safe_load(card.read_text()) | {"threshold": 0.3}))
    hard_negatives(folder, [path], 32, 1.0, tmp_path / "w.weights.h5")
    assert len(calls) == 3


def test_an_island_where_nothing_is_known_is_no_hard_negative(tmp_path, monkeypatch):
    """Of two islands the first is wholly under 255."""
    header = grid_wcs(10.0, 30.0, SIDE, 4.5).to_header()
    header.update(BUNIT="Jy/beam", BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    noise = 1e-4 * np.random.default_rng(1).standard_normal((SIDE, SIDE)).astype(np.float32)
    fits.writeto(tmp_path / "i.fits", noise, header)
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[40:, :], label[5, 50] = 255, 1
    fits.writeto(tmp_path / "l.fits", label)
    normalisation = AsinhNormalisation(kind="asinh_snr")
    folder = write_model(tmp_path / "m", lotss_unet(32, OPTIONS.widths), OPTIONS, normalisation)

    def predict(predictor, plane, tile_px, core_px):
        probability = np.zeros(plane.shape, np.float32)
        probability[48:53, 28:33] = probability[18:23, 28:33] = 0.9
        return probability

    monkeypatch.setattr(inference.Predictor, "plane", predict)
    path = f"{tmp_path}/i.fits:{tmp_path}/l.fits"
    found = hard_negatives(folder, [path], 32, OPTIONS.truth_snr, tmp_path / "w.weights.h5")
    assert found[path].tolist() == [[20, 30]]


def test_saved_weights_load_again(whole, tmp_path):
    model, _ = whole
    folder = write_model(tmp_path / "m", model, OPTIONS, AsinhNormalisation(kind="asinh_snr"))
    same_weights(load_model(folder)[0], model)


DEEP = OPTIONS.model_copy(update={"widths": [2] * 6, "crop_px": 128})


@pytest.mark.parametrize("options", [OPTIONS, PUBLISHED, DEEP], ids=["lotss_unet", "published_unet", "deep"])
def test_a_training_ends_with_weights_whatever_tile_an_evaluation_takes(tmp_path, monkeypatch, options):
    monkeypatch.setattr(training, "SETTLING_STEPS", 1)
    image = np.random.default_rng(1).normal(0, 1e-4, (128, 128)).astype(np.float32)
    header = Plane(image, grid_wcs(10.0, 30.0, 128, 4.5), Beam(20, 20)).header()
    fits.writeto(tmp_path / "i.fits", image, header)
    fits.writeto(tmp_path / "l.fits", (image > 2e-4).astype(np.uint8))
    few = options.model_copy(update={"steps": 2, "batch": 1, "tile_px": 190})  # no multiple of any step
    weights, curve = tmp_path / "w.weights.h5", tmp_path / "c.csv"
    run_training([f"{tmp_path}/i.fits:{tmp_path}/l.fits"], [], few, str(weights), str(curve))
    load_network(few.architecture, few.crop_px, few.widths, weights)
