"""Thresholds that nothing settles, and masks that tell nothing apart, are not passed over in silence."""

import logging

import numpy as np
import pytest
from astropy.io import fits

from labelled_images import N_PX, write_image
from models import write_tiny_model
from radiounet.errors import ConfigError
from radiounet.learning import new_model, runs
from radiounet.learning.evaluation import calibrate, evaluate, settled_baselines
from radiounet.learning.methods import Calibration, Method
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.architectures.lotss_unet import lotss_unet
from radiounet.network.inference import Predictor
from radiounet.settings.train import TrainOptions

BRIGHT = np.s_[20:40, 20:40]
OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32)
CURVE = '# {"options": {}, "pairs": {"number": 1}, "backend": "b"}\nstep,loss,validation,seconds\n'


def labelled(folder, name, diffuse):
    write_image(folder / f"{name}.fits", bright=BRIGHT)
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[BRIGHT] = diffuse
    fits.writeto(folder / f"{name}.labels.fits", labels)
    return f"{folder}/{name}.fits:{folder}/{name}.labels.fits"


@pytest.fixture
def empty(tmp_path):
    return labelled(tmp_path, "empty", 0)


@pytest.fixture
def full(tmp_path):
    return labelled(tmp_path, "full", 1)


def constant(value):
    return Method("constant", lambda image, *_: np.full_like(image, value))


@pytest.mark.parametrize("labels", [0, 255])
def test_images_without_diffuse_emission_settle_nothing(tmp_path, labels):
    images = [labelled(tmp_path, "a", labels), labelled(tmp_path, "b", 0)]
    unused = Method("unused", None)  # no image is predicted before all of them are looked at
    with pytest.raises(ConfigError, match="no calibration image holds a pixel of diffuse emission"):
        calibrate(unused, images, 0.25, 1.8)
    with pytest.raises(ConfigError, match="no calibration image"):
        settled_baselines(images, 0.25, 1.8)


@pytest.mark.parametrize("compare", [[], ["other"]])
def test_an_evaluation_without_diffuse_emission_predicts_nothing(tmp_path, empty, monkeypatch, compare):
    weights, curve = tmp_path / "w.weights.h5", tmp_path / "c.csv"
    save_weights(lotss_unet(64, OPTIONS.widths), weights)
    curve.write_text(CURVE.replace('"options": {}', '"options": {"widths": [4, 8]}'))
    write_tiny_model(tmp_path / "other")
    monkeypatch.setattr(runs, "use_threads", lambda count: None)
    monkeypatch.setattr(Predictor, "plane", None)
    (tmp_path / "held").mkdir()
    held_out = labelled(tmp_path / "held", "held", 1)
    fits.setval(tmp_path / "held" / "held.fits", "OBSERVER", value="other bytes")
    options = OPTIONS.model_copy(update={"compare": [str(tmp_path / one) for one in compare]})
    made = (str(weights), str(curve), "m", str(tmp_path / "m"))
    with pytest.raises(ConfigError, match="no calibration image holds a pixel of diffuse emission"):
        runs.run_evaluation([held_out], [empty], options, *made, 1)


def test_one_image_with_diffuse_emission_is_enough(empty, full):
    bright = Method("bright", lambda image, *_: (image > 1e-4).astype(np.float32))
    assert calibrate(bright, [empty, full], 0.25, 1e9).peak is not None


def test_a_method_that_finds_nothing_is_named(full, caplog):
    found = calibrate(constant(0.01), [full], 0.25, 1.8)
    assert found == Calibration(0.5)
    assert "constant: no mask holds a pixel of the diffuse emission in the calibration images" in caplog.text


@pytest.mark.parametrize("bias", [-9.0, 9.0])
def test_the_card_of_a_model_says_that_its_threshold_is_not_settled(tmp_path, full, bias, caplog):
    """A network that says the same of every pixel: with much too little, or so much that all is masked."""
    network = lotss_unet(64, OPTIONS.widths)
    kernel, both = network.get_layer("faint_logits").get_weights()
    network.get_layer("faint_logits").set_weights([0 * kernel, np.array([0, bias], both.dtype)])
    save_weights(network, tmp_path / "w.weights.h5")
    (tmp_path / "c.csv").write_text(CURVE)
    made = (str(tmp_path / "w.weights.h5"), str(tmp_path / "c.csv"), OPTIONS, "m")
    _, card = new_model.measure_model([full], [full], *made)
    assert (card.training.get("not_settled"), card.peak) == (
        (new_model.NOT_SETTLED, None) if bias < 0 else (None, card.peak)
    )
    assert ("are not settled, and its mask begins at 0.5" in caplog.text) == (bias < 0)
    assert ("m: in 1 of 1 images, such as" in caplog.text) == (bias > 0)


@pytest.mark.parametrize(("covered", "warned"), [(0.6, True), (0.4, False)])
def test_a_mask_of_most_of_an_image_is_named(full, empty, caplog, covered, warned):
    def score(image, *_):
        part = np.zeros_like(image)
        part[: round(covered * len(image))] = 1
        return part

    with caplog.at_level(logging.WARNING):
        evaluate(Method("half", score), [empty, full], 0.25, Calibration(0.5))
    assert ("half: in 2 of 2 images, such as" in caplog.text) == warned


def test_a_mask_of_an_emission_that_fills_its_image_is_as_it_should_be(tmp_path, caplog):
    write_image(tmp_path / "a.fits")
    fits.writeto(tmp_path / "l.fits", np.ones((N_PX, N_PX), np.uint8))
    evaluate(constant(1.0), [f"{tmp_path}/a.fits:{tmp_path}/l.fits"], 0.25, Calibration(0.5))
    assert "more than half" not in caplog.text
