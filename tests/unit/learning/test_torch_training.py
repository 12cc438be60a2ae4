"""Needs PyTorch, which only the environment of the GPU kit has."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from radiounet.errors import ModelError
from radiounet.learning import legs
from radiounet.learning.samples import KNOWN, TARGETS, Sample
from radiounet.learning.torch_training import GpuPool, GpuTraining, class_loss, loop
from radiounet.network.architectures.class_unet import class_unet
from radiounet.network.architectures.class_unet_torch import ClassUnet
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.settings.train import LegOptions

CPU = torch.device("cpu")
N_PX = 96


def random_weights(model, seed):
    """Weights of which none is at its default, statistics of the batches included."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, one in named_weights(model).items():
        if name.endswith(("moving_variance", "gamma")):
            weights[name] = rng.uniform(0.5, 2.0, one.shape)
        elif name.endswith("kernel"):
            weights[name] = rng.normal(0, np.sqrt(2 / np.prod(one.shape[:-1])), one.shape)
        else:
            weights[name] = rng.normal(0, 0.3, one.shape)
    return {name: one.astype(np.float32) for name, one in weights.items()}


@pytest.mark.parametrize(("widths", "side"), [((8, 16), 64), ((4, 8, 12), 96), ((6, 8, 8, 10, 12), 64)])
def test_network_is_that_of_keras(widths, side):
    keras_model, model = class_unet(side, widths), ClassUnet(widths, 4).eval()
    for seed in range(3):
        weights = random_weights(keras_model, seed)
        set_named_weights(keras_model, weights)
        model.set_named_weights(weights)
        planes = np.random.default_rng(seed).normal(0, 2, (2, side, side, 1)).astype(np.float32)
        planes[0, 20:24, 30:34] = 7  # beyond where the faint light is clipped
        expected = np.asarray(keras_model(planes, training=False))
        with torch.no_grad():
            found = model(torch.from_numpy(planes).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        assert expected.std() > 0.01
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_weights_go_there_and_back_by_their_names():
    keras_model = class_unet(64, (8, 16))
    weights = random_weights(keras_model, 1)
    model = ClassUnet((8, 16), 4)
    model.set_named_weights(weights)
    found = model.named_weights()
    assert set(found) == set(weights)
    for name, one in weights.items():
        np.testing.assert_array_equal(found[name], one)
    set_named_weights(keras_model, found)
    for name, one in named_weights(keras_model).items():
        np.testing.assert_array_equal(one, weights[name])
    with pytest.raises(ModelError):
        set_named_weights(class_unet(64, (8, 8)), found)


def test_a_step_of_training_changes_the_statistics_as_keras_does():
    keras_model, model = class_unet(64, (8, 16)), ClassUnet((8, 16), 4).train()
    weights = random_weights(keras_model, 2)
    set_named_weights(keras_model, weights)
    model.set_named_weights(weights)
    planes = np.random.default_rng(5).normal(0, 2, (4, 64, 64, 1)).astype(np.float32)
    keras_model(planes, training=True)
    model(torch.from_numpy(planes).permute(0, 3, 1, 2))
    after = named_weights(keras_model)
    for name, one in model.named_weights().items():
        if "moving" in name:
            assert not np.array_equal(one, weights[name])
            np.testing.assert_allclose(one, after[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("other_classes", [0.0, 0.3, 1.0])
def test_loss_is_that_of_keras(classes, other_classes):
    rng = np.random.default_rng(4)
    bits = (rng.integers(0, 16, (3, 40, 48)) | KNOWN * (rng.random((3, 40, 48)) < 0.8)).astype(np.uint8)
    logits = rng.normal(0, 4, (3, 40, 48, classes)).astype(np.float32)
    expected = legs.class_loss(LegOptions(other_classes=other_classes))(bits, logits)
    found = class_loss(torch.from_numpy(logits).permute(0, 3, 1, 2), torch.from_numpy(bits), other_classes)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_loss_of_blank_crops_is_nothing():
    logits, bits = torch.full((2, 4, 8, 8), 5.0), torch.full((2, 8, 8), 15, dtype=torch.uint8)
    assert float(class_loss(logits, bits, 0.3)) == 0


# crops


def numbered(number, n_px=N_PX):
    """Every pixel another value, with bits that tell whether they moved along."""
    rng = np.random.default_rng(number)
    plane = rng.permutation(n_px * n_px).reshape(n_px, n_px) / (n_px * n_px) * 3 - 1.5
    plane = plane.astype(np.float16)
    bits = (np.floor(plane.astype(np.float32) * 50) % 256).astype(np.uint8)
    return Sample(plane, bits, rng.integers(0, n_px, (TARGETS, 2)).astype(np.int16))


def pool_of(count, capacity=3):
    pool, held = GpuPool(capacity, N_PX, CPU), {}
    for number in range(count):
        pool.put(numbered(number))
        held[number % capacity] = numbered(number)
    return pool, list(held.values())


def symmetries(plane):
    return [np.rot90(one, turn) for one in (plane, plane.T) for turn in range(4)]


def find_window(crop, held):
    """Sample, corner and symmetry of which a crop is the window."""
    size = crop.shape[0]
    for number, sample in enumerate(held):
        plane = sample.plane.astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(plane, (size, size))
        for turn, turned in enumerate(symmetries(crop)):
            # candidates by one corner, then the whole
            for y, x in np.argwhere(np.abs(windows[..., 0, 0] - turned[0, 0]) < 1e-6):
                if np.allclose(windows[y, x], turned, atol=1e-5):
                    return number, y, x, turn
    return None


@pytest.mark.parametrize("target_fraction", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_crops_are_windows_of_the_planes_and_bits_move_with_them(count, target_fraction):
    pool, held = pool_of(count)
    generator = torch.Generator(CPU).manual_seed(7)
    planes, bits = pool.crops(12, 32, target_fraction, 1.0, generator)
    assert (planes.shape, planes.dtype) == ((12, 1, 32, 32), torch.float32)
    assert (bits.shape, bits.dtype) == ((12, 32, 32), torch.uint8)
    for crop, bit in zip(planes[:, 0].numpy(), bits.numpy(), strict=True):
        found = find_window(crop, held)
        assert found is not None
        number, y, x, turn = found
        window = held[number].bits[y : y + 32, x : x + 32]
        np.testing.assert_array_equal(symmetries(bit)[turn], window)


def test_crops_come_from_all_samples_corners_and_symmetries():
    pool, held = pool_of(3)
    planes, _ = pool.crops(160, 64, 0.0, 1.0, torch.Generator(CPU).manual_seed(3))
    found = [find_window(crop, held) for crop in planes[:, 0].numpy()]
    numbers, y, x, turns = (np.array(one) for one in zip(*found, strict=True))
    assert set(numbers) == {0, 1, 2}
    assert set(turns) == set(range(8))
    for at in (y, x):
        assert (at.min(), at.max()) == (0, 32)
        assert at.mean() == pytest.approx(16, abs=4)


def test_crops_near_a_place_hold_it():
    sample = numbered(1)
    places = np.broadcast_to(np.array([50, 45], np.int16), (TARGETS, 2))
    bits = np.zeros((N_PX, N_PX), np.uint8)
    bits[50, 45] = 1
    pool = GpuPool(2, N_PX, CPU)
    pool.put(Sample(sample.plane, bits, places))
    _, found = pool.crops(200, 48, 1.0, 1.0, torch.Generator(CPU).manual_seed(3))
    at = np.argwhere(found.numpy())
    assert len(at) == 200
    assert at[:, 1:].min() >= 24 - 48 // 3 - 1
    assert at[:, 1:].max() <= 24 + 48 // 3 + 1
    assert np.ptp(at[:, 1:]) > 24


def test_noise_factor_is_one_per_crop_within_its_range():
    pool, _ = pool_of(3)
    plain, same = (pool.crops(60, 32, 0.5, 1.0, torch.Generator(CPU).manual_seed(5)) for _ in range(2))
    torch.testing.assert_close(plain[0], same[0])
    scaled, bits = pool.crops(60, 32, 0.5, 1.25, torch.Generator(CPU).manual_seed(5))
    np.testing.assert_array_equal(bits, plain[1])
    ratio = (torch.sinh(scaled) / torch.sinh(plain[0])).numpy()
    clear = np.abs(plain[0].numpy()) > 0.1
    factors = np.array([one[use].mean() for one, use in zip(ratio, clear, strict=True)])
    for factor, one, use in zip(factors, ratio, clear, strict=True):
        np.testing.assert_allclose(one[use], factor, rtol=1e-4)
    assert 1 / 1.25 - 1e-4 <= factors.min() < 0.85
    assert 1.18 < factors.max() <= 1.25 + 1e-4
    assert np.log(factors).mean() == pytest.approx(0, abs=0.06)


# trainings


def training(**changes):
    torch.manual_seed(1)
    pool, _ = pool_of(3)
    options = {"batch": 4, "crop_px": 32, "learning_rate": 1e-3} | changes
    return GpuTraining(ClassUnet((8, 16), 4), pool, CPU, **options)


def test_rate_rises_stays_and_falls():
    one = training(learning_rate=0.01, warmup=0.1, plateau=0.5)
    assert [one.rate(part) for part in (0.0, 0.05, 0.1, 0.4, 0.5)] == pytest.approx(
        [1e-4, 5.1e-3, 0.01, 0.01, 0.01]
    )
    assert [one.rate(part) for part in (0.75, 1.0, 1.2)] == pytest.approx([0.005, 0, 0], abs=1e-12)


def test_learning_lowers_the_loss_and_average_follows():
    one = training()
    before = one.averaged().named_weights()
    losses = [float(one.learn(0.3)) for _ in range(25)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    mean, now = one.averaged().named_weights(), one.model.named_weights()
    name = "down0_1_conv/kernel"
    far = np.abs(before[name] - now[name]).max()
    assert 0 < np.abs(mean[name] - now[name]).max() < far
    assert not np.array_equal(mean["stem_norm/moving_mean"], before["stem_norm/moving_mean"])


def test_loop_leaves_weights_that_keras_takes(tmp_path):
    one = training()
    one.pool = GpuPool(3, N_PX, CPU)
    ready = [numbered(0), None, numbered(1), numbered(2)]
    source = iter(ready + [None] * 10**6)
    one.first_seed = 40
    loop(one, source, {"sky": [numbered(8)]}, 2, 1.5, tmp_path)
    assert one.pool.count == 3
    assert one.step > 0
    model = class_unet(64, (8, 16))
    set_named_weights(model, legs.read_named_weights(tmp_path / "weights.npz"))
    mean = one.averaged().named_weights()
    for name, weight in named_weights(model).items():
        np.testing.assert_allclose(weight, mean[name], rtol=1e-3, atol=1e-6)
    header, *rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert header == "step,crops,samples,next_seed,seconds,loss,sky dice,sky ap"
    assert rows[-1].startswith(f"{one.step},{4 * one.step},3,43,")


def test_scores_are_those_of_the_leg():
    one, samples = training(), {"sky": [numbered(5), numbered(6)]}
    board = legs.Scoreboard(lambda side: class_unet(side, (8, 16)), samples, 1)
    weights = one.averaged().named_weights()
    keras_model = class_unet(N_PX, (8, 16))
    set_named_weights(keras_model, weights)
    expected = board.measure(keras_model.get_weights())
    found = one.measure(samples)
    assert set(found) == set(expected)
    # the training computes in half precision
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=0.02)
