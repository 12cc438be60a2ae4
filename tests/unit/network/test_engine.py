"""Networks for inference: every identity, and the same result as Keras."""

import os
import platform
import subprocess
import sys
import weakref
from functools import cache
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers, ops

from models import randomise, write_tiny_model
from radiounet.errors import ModelError
from radiounet.learning.methods import network_method
from radiounet.network import devices, inference
from radiounet.network.architectures.graphs import graphs_of
from radiounet.network.architectures.layers import Affine, doubled, needed, part, turned
from radiounet.network.engine import Engine, load_model
from radiounet.network.inference import Predictor, default_batch, open_model
from radiounet.network.model_cards import MODELS, AsinhNormalisation, network_input
from radiounet.network.tiling import layout

RNG = np.random.default_rng(5)
PLANE = RNG.standard_normal((2, 12, 12, 3)).astype(np.float32)
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="not asked for elsewhere")
def test_convolutions_are_those_of_onednn_on_every_processor():
    told = "from tensorflow.python.util import _pywrap_util_port; print(_pywrap_util_port.IsMklEnabled())"
    program = f"import radiounet.network.devices; {told}"
    own = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    run = subprocess.run([sys.executable, "-c", program], env=own, capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr


def norm_of(channels, gamma=None):
    layer = layers.BatchNormalization()
    layer.build((None, None, None, channels))
    gamma = RNG.uniform(-1.5, 1.5, channels) if gamma is None else gamma
    layer.set_weights([gamma, *RNG.standard_normal((2, channels)), RNG.uniform(0.5, 2, channels)])
    return layer


def convolve(x, kernel, bias, padding="same"):
    return np.asarray(ops.conv(x, kernel.astype(np.float32), padding=padding)) + bias.astype(np.float32)


def test_a_transposed_convolution_of_stride_1_is_a_convolution_with_its_kernel_turned():
    layer = layers.Conv2DTranspose(4, 3, padding="same", use_bias=False)
    expected = layer(PLANE)
    kernel = turned(layer.get_weights()[0])
    np.testing.assert_allclose(convolve(PLANE, kernel, np.zeros(4)), expected, atol=1e-5)


def test_a_1x1_convolution_commutes_with_nearest_neighbour_upsampling():
    kernel = KERNEL[:1, :1]
    expected = convolve(layers.UpSampling2D(2)(PLANE), kernel, BIAS)
    np.testing.assert_allclose(doubled(convolve(PLANE, kernel, BIAS)), expected, atol=1e-6)


def test_a_softmax_commutes_with_nearest_neighbour_upsampling():
    np.testing.assert_allclose(doubled(ops.softmax(PLANE)), ops.softmax(doubled(PLANE)), atol=1e-7)


def test_a_normalisation_is_an_affine_map():
    norm = norm_of(3)
    affine = Affine.of(norm)
    np.testing.assert_allclose(PLANE * affine.scale + affine.shift, norm(PLANE, training=False), atol=1e-5)


def test_a_normalisation_folds_into_the_convolution_before_it():
    norm = norm_of(4)
    expected = norm(convolve(PLANE, KERNEL, BIAS), training=False)
    np.testing.assert_allclose(convolve(PLANE, *Affine.of(norm).after(KERNEL, BIAS)), expected, atol=1e-4)


def test_a_normalisation_folds_into_a_convolution_after_it_that_pads_nothing():
    norm = norm_of(3)
    folded = Affine.of(norm).before(KERNEL, BIAS)
    normalised = norm(PLANE, training=False)
    expected = convolve(normalised, KERNEL, BIAS, "valid")
    np.testing.assert_allclose(convolve(PLANE, *folded, "valid"), expected, atol=1e-4)
    # and not where zeros are padded: those are 0 after the normalisation, not before it
    padded = convolve(normalised, KERNEL, BIAS)
    assert np.abs(convolve(PLANE, *folded) - padded)[:, 0].max() > 0.1


def test_a_normalisation_after_a_relu_moves_into_it_and_across_zero_padding():
    norm = norm_of(3)
    affine = Affine.of(norm)
    assert affine.divisible
    expected = convolve(norm(np.maximum(PLANE, 0), training=False), KERNEL, BIAS)
    lifted = np.maximum(PLANE + affine.floor, affine.floor).astype(np.float32)
    np.testing.assert_allclose(convolve(lifted, KERNEL * affine.scale[:, None], BIAS), expected, atol=1e-4)


def test_a_normalisation_with_a_scale_of_zero_can_not_be_divided_by():
    assert not Affine.of(norm_of(3, gamma=np.array([1.0, 0.0, 0.5]))).divisible


def test_what_a_core_needs_by_hand():
    # core 48..144 of 192 px: before the last upsampling rows 24..72 of 96; 2 more to either
    # side for two convolutions, 22..74, come from rows 11..37 of 48, these from 9..39, ...
    assert needed((48, 144), 192, 5, halo=2) == [(0, 6), (1, 11), (4, 20), (11, 37), (24, 72)]
    assert needed((0, 192), 192, 5, halo=2) == [(0, 6), (0, 12), (0, 24), (0, 48), (0, 96)]


CASES = [
    ("published_unet", 192, (8, 16, 16, 32, 32), (48, 144)),
    ("published_unet", 192, (8, 16, 16, 32, 32), (0, 192)),
    ("published_unet", 192, (8, 16, 16, 32, 32), (47, 145)),
    ("published_unet", 192, (8, 16, 16, 32, 32), (1, 191)),
    ("published_unet", 64, (4, 8, 16), (16, 48)),
    ("published_unet", 320, (4, 8, 8, 8, 8), (48, 272)),
    ("lotss_unet", 256, (8, 16, 16, 32), (32, 224)),
    ("lotss_unet", 256, (8, 16, 16, 32), (0, 256)),
    ("lotss_unet", 512, (4, 8, 8, 8, 8), (64, 448)),
    ("lotss_unet", 64, (4, 8), (16, 48)),
]


@cache
def predicted(architecture, tile_px, widths, zero_scale):
    """A random network, two tiles, and what Keras makes of them."""
    model = graphs_of(architecture).build(tile_px, widths)
    tiles = np.random.default_rng(1).standard_normal((2, tile_px, tile_px, 1)).astype(np.float32)
    randomise(model, tiles, zero_scale=zero_scale)
    return model, tiles, model.predict_on_batch(tiles)


@pytest.mark.parametrize(("architecture", "tile_px", "widths", "core"), CASES)
@pytest.mark.parametrize("zero_scale", [False, True])
def test_an_engine_says_what_keras_says(architecture, tile_px, widths, core, zero_scale):
    model, tiles, whole = predicted(architecture, tile_px, widths, zero_scale)
    low, high = core
    expected = whole[:, low:high, low:high, 1]
    assert expected.std() > 0.1
    found = Engine(model, architecture, tile_px, core, 2)(tiles)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["lotss-unet", "published-unet"])
def test_shipped_models_say_the_same(name):
    model, card = load_model(MODELS / name)
    rng = np.random.default_rng(1)
    tiles = rng.standard_normal((1, card.tile_px, card.tile_px, 1)).astype(np.float32)
    tiles[:, 80:110, 80:110] += 2
    core = card.margin_px, card.margin_px + card.core_px
    expected = model.predict_on_batch(tiles)[:, core[0] : core[1], core[0] : core[1], 1]
    np.testing.assert_allclose(
        Engine(model, card.architecture, card.tile_px, core, 1)(tiles), expected, atol=1e-5
    )
    # the same weights on a larger tile
    larger = graphs_of(card.architecture).build(2 * card.tile_px, card.widths)
    larger.set_weights(model.get_weights())
    wide = np.tile(tiles, (1, 2, 2, 1))
    whole = Engine(model, card.architecture, 2 * card.tile_px, (0, 2 * card.tile_px), 1)(wide)
    np.testing.assert_allclose(whole, larger.predict_on_batch(wide)[..., 1], atol=1e-5)


@pytest.mark.parametrize(
    ("tile_px", "core", "message"), [(64, (16, 64), "not the middle"), (64, (-1, 65), "not the middle")]
)
def test_a_core_off_the_middle_is_refused(tile_px, core, message):
    with pytest.raises(ModelError, match=message):
        Engine(graphs_of("lotss_unet").build(64, (4, 8)), "lotss_unet", tile_px, core, 1)


def test_a_tile_that_the_levels_do_not_divide_is_refused():
    for architecture, widths in (("lotss_unet", (4, 8)), ("published_unet", (4, 8, 8))):
        model = graphs_of(architecture).build(64, widths)
        with pytest.raises(ModelError, match="not a multiple of 8 px"):
            Engine(model, architecture, 68, (0, 68), 1)


def test_lower_precision_is_near():
    model, card = load_model(MODELS / "lotss-unet")
    tiles = np.random.default_rng(1).standard_normal((1, 512, 512, 1)).astype(np.float32)
    tiles[:, 200:260, 200:260] += 1
    full, half = (
        Engine(model, "lotss_unet", 512, (64, 448), 1, one)(tiles) for one in ("float32", "bfloat16")
    )
    assert 0 < np.abs(full - half).max() < 0.1
    assert half.dtype == np.float32


def test_parts_of_a_plane():
    plane = np.arange(64).reshape(1, 8, 8, 1)
    assert part(plane, (2, 10), (3, 5)).ravel().tolist() == [9, 10, 17, 18]
    assert part(plane, (2, 10), (2, 10)) is plane


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


@pytest.fixture
def small_memory(monkeypatch):
    """Engines that fit three tiles of 64 px; batches they were made for."""
    batches = []

    class Small:
        def __init__(self, model, architecture, tile_px, core, batch, precision):
            batches.append(batch)
            self.core, self.batch = core, batch

        def __call__(self, tiles):
            if self.batch > 3:
                raise ResourceExhaustedError("OOM when allocating tensor")
            low, high = self.core
            return tiles[:, low:high, low:high, 0]

    monkeypatch.setattr(inference, "Engine", Small)
    return batches


def test_out_of_memory_halves_the_batch_and_goes_on(small_memory, caplog):
    plane = np.random.default_rng(1).random((400, 300)).astype(np.float32)
    found = Predictor(None, "lotss_unet", batch=16).plane(plane, 64, 32)
    np.testing.assert_array_equal(found, plane)
    assert small_memory[:4] == [16, 8, 4, 2]
    assert set(small_memory[4:]) == {2}
    assert "16 tiles at a time do not fit into memory: using 8 from now on" in caplog.text


def test_engines_that_do_not_fit_are_freed_before_the_next(monkeypatch):
    living, before = weakref.WeakSet(), []

    class Full:
        def __init__(self, model, architecture, tile_px, core, batch, precision):
            before.append(len(living))
            self.batch, self.graph = batch, self
            living.add(self)

        def __call__(self, tiles):
            raise ResourceExhaustedError("OOM")

    monkeypatch.setattr(inference, "Engine", Full)
    with pytest.raises(ResourceExhaustedError):
        Predictor(None, "lotss_unet", batch=16).plane(np.zeros((400, 300), np.float32), 64, 32)
    assert before == [0, 0, 0, 0, 0]


def test_few_engines_are_kept(monkeypatch):
    """Each has a copy of the weights, and every image smaller than a tile its own size of tiles."""
    living, made = weakref.WeakSet(), []

    class Counted:
        def __init__(self, model, architecture, tile_px, core, batch, precision):
            self.core, self.batch, self.graph = core, batch, self  # as a graph of TensorFlow
            living.add(self)
            made.append(tile_px)

        def __call__(self, tiles):
            low, high = self.core
            return tiles[:, low:high, low:high, 0]

    monkeypatch.setattr(inference, "Engine", Counted)
    predictor = Predictor(None, "lotss_unet", batch=1)

    def predict(*sides):
        for side in sides:
            plane = np.random.default_rng(side).random((3 * side, 3 * side)).astype(np.float32)
            np.testing.assert_array_equal(predictor.plane(plane, side, side // 2), plane)

    predict(16)
    kinds = len(made)
    assert kinds == 2
    predict(32, 48, 64, 80, 96)
    assert len(made) == 6 * kinds
    assert len(living) == inference.MOST_ENGINES == 8
    # the last four sizes are kept, and the one used again outlives the others
    predict(48, 64, 80, 96, 48)
    assert len(made) == 6 * kinds
    predict(112, 48)
    assert len(made) == 7 * kinds
    predict(64)
    assert len(made) == 8 * kinds
    assert len(living) == 8
    # another batch takes the place of the one before
    predictor._batch = 2
    predict(64)
    assert len(made) == 9 * kinds
    assert len(living) == 8


def test_out_of_memory_with_a_single_tile_is_an_error(monkeypatch):
    class Full:
        def __init__(self, *_):
            self.batch = 1

        def __call__(self, tiles):
            raise ResourceExhaustedError("OOM")

    monkeypatch.setattr(inference, "Engine", Full)
    with pytest.raises(ResourceExhaustedError):
        Predictor(None, "lotss_unet", batch=1).plane(np.zeros((64, 64), np.float32), 64, 32)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12 bytes"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("Failed to allocate request for 2 GiB"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_signs_of_a_full_memory(error, expected):
    assert inference._is_out_of_memory(error) == expected


def test_a_cpu_computes_no_tf32():
    assert Predictor(None, "lotss_unet", precision="tf32").precision == "float32"
    assert Predictor(None, "lotss_unet", precision="bfloat16").precision == "bfloat16"


def test_batch_by_memory(monkeypatch):
    assert default_batch(192) == 16
    assert default_batch(512) == 4
    assert default_batch(1920) == 1
    monkeypatch.setattr(inference, "gpus", lambda: ["NVIDIA H100"])
    monkeypatch.setattr(inference, "gpu_bytes", lambda: 80 * 2**30)
    assert default_batch(192) == 512
    # half of 80 GB at 1 kB a pixel
    assert default_batch(512) == 160
    monkeypatch.setattr(inference, "gpu_bytes", lambda: 2**20)
    assert default_batch(512) == 1


def test_reading_goes_ahead_and_stops_with_the_reader():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    ahead = inference._ahead(items())
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert len(taken) <= 3 + inference.AHEAD + 2


def test_an_error_while_reading_ahead_is_raised_where_it_counts():
    def items():
        yield 1
        raise ModelError("broken file")

    ahead = inference._ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ModelError, match="broken file"):
        next(ahead)


def test_tiles_in_the_middle_come_first(small_memory):
    where = layout((200, 150), 64, 32, "exact")
    starts, cores = zip(
        *Predictor(None, "x", batch=2).cores(np.zeros(where.padded), where.starts(), where), strict=True
    )
    starts = np.concatenate(starts)
    assert sorted(map(tuple, starts)) == sorted(map(tuple, where.starts()))
    central = (where.origins(starts)[1] == 16).all(axis=1)
    assert not np.any(np.diff(central.astype(int)) > 0)
    assert sum(map(len, cores)) == len(starts)


def test_keras_still_names_the_first_weight_kernel():
    """The engine counts convolutions by it."""
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization()])
    assert [layer.weights[0].name for layer in model.layers] == ["kernel", "gamma"]


@pytest.fixture
def shifting(monkeypatch):
    """Engines that say of each pixel what its left neighbour is; batches they saw."""
    batches = []

    class Shifting:
        def __init__(self, model, architecture, tile_px, core, batch, precision):
            self.core, self.batch = core, batch

        def __call__(self, tiles):
            batches.append(len(tiles))
            low, high = self.core
            return np.roll(tiles[..., 0], 1, axis=2)[:, low:high, low:high]

    monkeypatch.setattr(inference, "Engine", Shifting)
    return batches


@pytest.mark.parametrize(
    ("tile_px", "shape", "batches"),
    [
        (64, (300, 400), {16}),
        (256, (700, 1300), {16}),
        (512, (700, 1300), {4}),
        # no more than there are: 3 in the middle of the plane, 12 at its borders
        (64, (70, 130), {3, 12}),
        (512, (70, 130), {2}),
    ],
)
def test_a_plane_is_predicted_tile_by_tile(shifting, tile_px, shape, batches):
    plane = np.random.default_rng(1).random(shape).astype(np.float32)
    probability = Predictor(None, "lotss_unet").plane(plane, tile_px, tile_px // 2)
    np.testing.assert_array_equal(probability[:, 1:], plane[:, :-1])
    assert probability.shape == plane.shape
    assert set(shifting) == batches


@pytest.mark.parametrize(
    ("own", "is_fast", "given", "expected"),
    [
        ("bfloat16", True, None, "bfloat16"),
        ("bfloat16", False, None, "float32"),
        ("float32", True, None, "float32"),
        ("bfloat16", True, "float32", "float32"),
        ("bfloat16", False, "bfloat16", "bfloat16"),
    ],
)
def test_the_precision_is_that_of_the_card_where_the_processor_has_it(
    tmp_path, monkeypatch, own, is_fast, given, expected
):
    write_tiny_model(tmp_path, precision=own)
    monkeypatch.setattr(inference, "multiplies_bfloat16", lambda: is_fast)
    assert open_model(tmp_path, precision=given)[0].precision == expected


@pytest.mark.parametrize(
    ("flags", "backend", "has_gpu", "capability", "expected"),
    [
        ("avx512f amx_bf16 amx_int8", "tensorflow", False, 0, True),
        ("avx512f avx512_bf16", "tensorflow", False, 0, False),
        ("avx512f avx512_bf16\nvendor_id : AuthenticAMD", "tensorflow", False, 0, True),
        ("avx512f\nvendor_id : AuthenticAMD", "tensorflow", False, 0, False),
        ("avx512f amx_bf16", "jax", False, 0, False),
        (None, "tensorflow", False, 0, False),
        (None, "tensorflow", True, 8, True),
        ("amx_bf16", "torch", True, 7, False),
    ],
)
def test_which_processors_multiply_bfloat16(
    tmp_path, monkeypatch, flags, backend, has_gpu, capability, expected
):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(devices, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(devices, "gpus", lambda: ["a GPU"] if has_gpu else [])
    monkeypatch.setattr(devices, "_compute_capability", lambda: capability)
    assert devices.multiplies_bfloat16() is expected


@pytest.mark.parametrize(("capability", "major"), [("9.0", 9), ("8", 8), ("gfx90a", 0), (None, 0)])
def test_compute_capability_of_jax(monkeypatch, capability, major):
    found = SimpleNamespace(**({} if capability is None else {"compute_capability": capability}))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: [found]))
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: "jax")
    assert devices._compute_capability() == major


@pytest.mark.parametrize(("hip", "major"), [(None, 8), ("6.2", 0)])
def test_compute_capability_of_torch(monkeypatch, hip, major):
    cuda = SimpleNamespace(get_device_capability=lambda: (8, 6))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(version=SimpleNamespace(hip=hip), cuda=cuda))
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: "torch")
    assert devices._compute_capability() == major


def test_a_network_sees_the_brightness_over_the_noise(shifting):
    image = np.sinh(np.random.default_rng(1).random((40, 60))).astype(np.float32)
    rms = np.ones_like(image)
    sides = AsinhNormalisation(kind="asinh_snr"), 64, 32
    method = network_method("m", Predictor(None, "lotss_unet"), *sides)
    plane = np.pad(network_input(sides[0], image, 20 / 4.5), 1)
    # the network looks left
    np.testing.assert_allclose(method.score(image, rms, 4.5, 20.0), plane[1:-1, :-2], atol=1e-6)
