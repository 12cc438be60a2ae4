"""The mean of two networks."""

import numpy as np
import pytest
from scipy.special import expit, logit

from models import randomise
from radiounet.network.architectures.class_unet import class_unet
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.network.architectures.lotss_unet import lotss_unet
from radiounet.network.architectures.unet_pair import unet_pair
from radiounet.network.engine import Engine, load_model
from radiounet.network.model_cards import MODELS

WIDTHS = (4, 8, 8), (8, 4, 8)


@pytest.fixture(scope="module")
def pair():
    """Both networks with random weights, and the pair with the same."""
    tiles = np.random.default_rng(3).standard_normal((2, 128, 128, 1)).astype(np.float32)
    networks = lotss_unet(128, WIDTHS[0]), class_unet(128, WIDTHS[1])
    for network in networks:
        randomise(network, tiles)
    both = unet_pair(128, (*WIDTHS[0], *WIDTHS[1]))
    set_named_weights(both, named_weights(networks[0]) | named_weights(networks[1]))
    return *networks, both, tiles


@pytest.mark.parametrize("core", [(32, 96), (0, 128)])
def test_its_logit_is_the_mean_of_both(pair, core):
    first, second, both, tiles = pair
    found, one, classes = (
        Engine(network, name, 128, core, 2)(tiles)
        for network, name in ((both, "unet_pair"), (first, "lotss_unet"), (second, "class_unet"))
    )
    expected = expit((logit(one.astype(float)) + logit(classes[..., 0].astype(float))) / 2)
    assert min(one.std(), classes[..., 0].std()) > 0.1
    # near 1 a float32 knows its logit to 1e-4 or so
    np.testing.assert_allclose(found[..., 0], expected, atol=5e-5)
    np.testing.assert_array_equal(found[..., 1:], classes[..., 1:])


def test_the_graph_to_train_says_the_same(pair):
    *_, both, tiles = pair
    found = Engine(both, "unet_pair", 128, (16, 112), 2)(tiles)
    np.testing.assert_allclose(found, expit(both.predict_on_batch(tiles))[:, 16:-16, 16:-16], atol=1e-5)


def test_the_shipped_pair_is_of_the_shipped_networks():
    """Its weights have half the precision; the last ones make the mean of both logits the fitted sum."""
    model, card = load_model(MODELS / "lotss-pair")
    found, fitted = named_weights(model), card.training["logit"]
    expected = {}
    for name in ("lotss-unet", "lotss-classes"):
        expected |= named_weights(load_model(MODELS / name)[0])
    assert set(found) == set(expected)
    for name in ("faint_logits/kernel", "faint_logits/bias"):
        expected[name] = 2 * fitted["lotss-unet"] * expected[name]
    expected["logits/kernel"][..., 0] *= 2 * fitted["lotss-classes"]
    expected["logits/bias"][0] *= 2 * fitted["lotss-classes"]
    expected["logits/bias"][0] += 2 * fitted["added"]
    for name, one in expected.items():
        np.testing.assert_allclose(found[name], one, rtol=1e-3, atol=1e-7)
