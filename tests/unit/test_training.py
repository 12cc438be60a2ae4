import csv

import keras
import numpy as np
import pytest

from radiounet.cards import read_card
from radiounet.config import SimulateOptions, TrainOptions
from radiounet.evaluation import evaluate, predict_plane, publish_model
from radiounet.network import load_model, lotss_unet
from radiounet.simulate import write_pair
from radiounet.training import crops, read_pair, save_weights, segmentation_loss, train

SKY = SimulateOptions(n_px=192, clusters_per_deg2=60.0, peak_sigma=(8.0, 20.0), edge_fraction=0.0)
OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32, batch=4, steps=150, learning_rate=5e-3)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    paths = [str(folder / f"{index}.fits") for index in range(3)]
    for index, path in enumerate(paths):
        write_pair(path, SKY, index)
    return paths


def test_loss_by_hand():
    truth = np.array([[[1.0, 0.0]]], np.float32)
    said = np.array([[[[0.25, 0.75], [0.5, 0.5]]]], np.float32)
    entropy = -(np.log(0.75) + np.log(0.5)) / 2
    dice = (2 * 0.75 + 1) / (1 + 1.25 + 1)
    assert float(segmentation_loss(truth, said)) == pytest.approx(entropy + 1 - dice, rel=1e-5)


def test_crops_are_pieces_of_the_field_turned_and_flipped(pairs):
    pair = read_pair(pairs[0], OPTIONS)
    planes, masks = next(crops([pair], OPTIONS, np.random.default_rng(1)))
    assert planes.shape == (4, 64, 64, 1)
    assert masks.shape == (4, 64, 64)
    # turning and flipping keep the set of values: each crop's sum is that of some window
    windows = np.lib.stride_tricks.sliding_window_view(pair.plane, (64, 64)).sum(axis=(2, 3))
    for plane in planes[..., 0]:
        assert np.abs(windows - plane.sum()).min() < 1e-2


def test_training_lowers_the_loss_and_repeats_itself(pairs, tmp_path):
    read = [read_pair(path, OPTIONS) for path in pairs]
    first = train(read, OPTIONS, tmp_path / "a.csv")
    second = train(read, OPTIONS, tmp_path / "b.csv")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    with open(tmp_path / "a.csv", newline="") as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < losses[0]


def test_predicting_a_plane_gives_every_pixel_a_probability():
    network = lotss_unet(64, (4, 8))
    plane = np.random.default_rng(1).standard_normal((100, 130)).astype(np.float32)
    result = predict_plane(network, plane, OPTIONS)
    assert result.shape == (100, 130)
    assert ((result >= 0) & (result <= 1)).all()


class Oracle:
    """A model that says what the sum of its input tells: used to check the scores."""

    def predict_on_batch(self, tiles):
        said = (tiles[..., 0] > 1.5).astype(np.float32)
        return np.stack([1 - said, said], axis=-1)


def test_scores_of_a_simple_threshold_lie_between_nothing_and_perfect(pairs):
    scores = evaluate(Oracle(), pairs, OPTIONS)
    assert 0 < scores["dice"] < 1
    assert scores["objects"] > 0
    assert 0 < scores["objects_found"] <= 1
    assert scores["area_deg2"] == pytest.approx(3 * (192 * 4.5 / 3600) ** 2, abs=0.01)


def test_a_published_model_loads_and_its_card_tells_how_it_was_made(pairs, tmp_path):
    network = lotss_unet(OPTIONS.tile_px, OPTIONS.widths)
    save_weights(network, tmp_path / "w.weights.h5")
    (tmp_path / "curve.csv").write_text("step,loss,seconds\n60,0.5,12\n")
    publish_model(
        pairs, str(tmp_path / "w.weights.h5"), str(tmp_path / "curve.csv"), OPTIONS, "m", str(tmp_path / "m")
    )
    card = read_card(tmp_path / "m")
    assert card.training["wall_time_s"] == 12
    assert card.training["options"]["seed"] == OPTIONS.seed
    loaded, _ = load_model(tmp_path / "m")
    for a, b in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert isinstance(loaded, keras.Model)
