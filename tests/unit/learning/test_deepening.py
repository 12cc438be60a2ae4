import numpy as np
import pytest

from radiounet.errors import ModelError
from radiounet.learning.deepening import deepened
from radiounet.learning.legs import Leg
from radiounet.network.architectures.class_unet import class_unet
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.network.model_cards import write_named_weights
from radiounet.settings.train import LegOptions

SIDE = 128
SHALLOW = (4, 6, 8)


def random_weights(model, seed):
    """Weights of which none is at its default, as after a training."""
    rng = np.random.default_rng(seed)

    def draw(name, shape):
        if name.endswith(("moving_variance", "gamma")):
            return rng.uniform(0.5, 2.0, shape)
        return rng.normal(0, 0.3, shape)

    return {name: draw(name, one.shape).astype(np.float32) for name, one in named_weights(model).items()}


def logits_of(model, seed=0):
    planes = np.random.default_rng(seed).normal(0, 2, (2, SIDE, SIDE, 1)).astype(np.float32)
    return np.asarray(model(planes, training=False))


@pytest.fixture(scope="module")
def trained():
    model = class_unet(SIDE, SHALLOW)
    weights = random_weights(model, 1)
    set_named_weights(model, weights)
    return weights, logits_of(model)


@pytest.mark.parametrize("further", [(8,), (10,), (5, 12)])
def test_deeper_network_begins_with_the_result_of_the_shallower(trained, further):
    weights, expected = trained
    model = class_unet(SIDE, SHALLOW + further)
    set_named_weights(model, deepened(weights, random_weights(model, 2)))
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits_of(model), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_pytorch_does_the_same(trained):
    torch = pytest.importorskip("torch")
    from radiounet.network.architectures.class_unet_torch import ClassUnet

    weights, expected = trained
    model = ClassUnet((*SHALLOW, 9), expected.shape[-1]).eval()
    model.set_named_weights(deepened(weights, model.named_weights()))
    planes = np.random.default_rng(0).normal(0, 2, (2, SIDE, SIDE, 1)).astype(np.float32)
    with torch.no_grad():
        found = model(torch.from_numpy(planes).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_as_many_levels_are_left_alone(trained):
    weights, _ = trained
    found = deepened(weights, named_weights(class_unet(SIDE, SHALLOW)))
    assert found.keys() == weights.keys()
    assert all(found[name] is weights[name] for name in weights)


def test_other_widths_are_refused(trained):
    weights, _ = trained
    model = class_unet(SIDE, (4, 6, 10, 8))
    with pytest.raises(ModelError, match="down2_.* has shape"):
        set_named_weights(model, deepened(weights, named_weights(model)))


def test_leg_begins_with_further_levels_and_trains_them(trained, tmp_path):
    weights, expected = trained
    write_named_weights(tmp_path / "weights.npz", weights)
    options = LegOptions(
        widths=[*SHALLOW, 8], crop_px=SIDE, batch=2, precision="float32", warmup=1, learning_rate=1e-3
    )
    leg = Leg(
        lambda side: class_unet(side, options.widths), options, tmp_path / "leg", tmp_path / "weights.npz"
    )
    # half precision of the file
    np.testing.assert_allclose(logits_of(leg.model), expected, atol=0.02 * np.abs(expected).max())
    before = named_weights(leg.model)
    rng = np.random.default_rng(3)
    for _ in range(2):  # the first step moves the normalisation away from 0, the second what is before it
        leg._learn(
            rng.normal(0, 2, (2, SIDE, SIDE, 1)).astype(np.float32),
            rng.integers(0, 256, (2, SIDE, SIDE)).astype(np.uint8),
        )
    after = named_weights(leg.model)
    still = [name for name in after if np.array_equal(after[name], before[name])]
    assert still == []
