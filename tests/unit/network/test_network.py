import os
import subprocess
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from models import write_tiny_model
from programs import start
from radiounet.errors import AllBlankError, ModelError, UnreadableError
from radiounet.images.provenance import sha256_of
from radiounet.images.rejections import read_rejection
from radiounet.images.writing import remove_leftovers
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.architectures.lotss_unet import lotss_unet
from radiounet.network.architectures.published_unet import PUBLISHED_WIDTHS, published_unet
from radiounet.network.cluster_probability import FEATURES
from radiounet.network.engine import load_model
from radiounet.network.inference import open_model, write_cores
from radiounet.network.model_cards import (
    MODELS,
    AsinhNormalisation,
    LogNormalisation,
    Normalisation,
    network_input,
    read_card,
)
from radiounet.network.tiling import layout, read_layout, stitch, write_tiles
from stages import run_script, write_image

LOG = {"kind": "log10", "low": 1e-7, "high": 1e-2, "floor": 1e-9}
NUMBER = len(FEATURES)
CALIBRATION = {"features": FEATURES, "intercept": 0.0, "clusters": 9}
CALIBRATION |= {name: [1.0] * NUMBER for name in ("mean", "scale", "weights")}


def test_published_architecture_has_the_published_parameters():
    network = published_unet(192, PUBLISHED_WIDTHS)
    assert network.count_params() == 12_401_122
    assert network.input_shape == (None, 192, 192, 1)
    assert network.output_shape == (None, 192, 192, 2)
    trainable = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert trainable == 12_393_250
    assert len(network.weights) == 134


def test_published_layers_come_in_the_order_of_the_published_checkpoint():
    layers = [layer for layer in published_unet(192).layers if layer.weights]
    assert len(layers) == 48
    # rows 62, 74, 76 and 132 of the published list of variables
    assert layers[22].kernel.shape == (3, 3, 512, 512)
    assert isinstance(layers[22], keras.layers.Conv2DTranspose)
    assert layers[26].kernel.shape == (1, 1, 512, 512)
    assert layers[27].kernel.shape == (3, 3, 256, 512)
    assert layers[47].kernel.shape == (1, 1, 32, 2)


def test_published_network_has_no_skip_connections():
    # what joins two branches are the nine residual additions
    network = published_unet(64, (4, 8, 16, 32, 64))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("Add") == 9
    assert kinds.count("Concatenate") == 0
    assert kinds.count("Dropout") == 4


def test_other_widths_of_the_same_family():
    assert published_unet(64, (2, 4, 8)).output_shape == (None, 64, 64, 2)
    assert lotss_unet(64, (4, 8)).output_shape == (None, 64, 64, 2)


@pytest.mark.parametrize(("build", "step"), [(published_unet, 8), (lotss_unet, 16)])
def test_a_tile_must_fit_the_levels(build, step):
    with pytest.raises(ModelError, match=f"multiple of {step} px"):
        build(100, (2, 4, 8))


def test_coarse_levels_of_ours_see_the_mean_signal_to_noise():
    network = lotss_unet(64, (4, 8, 8))
    pools = [one for one in network.layers if isinstance(one, keras.layers.AveragePooling2D)]
    view = keras.Model(network.input, pools[-1].output)
    sigmas = np.full((1, 64, 64, 1), 0.5, np.float32)
    sigmas[0, 20, 20] = 1e4
    means = np.asarray(view(np.arcsinh(sigmas)))
    # one mean per 16 x 16 px; a bright pixel counts as 3 sigma
    expected = np.full((4, 4), 0.5)
    expected[1, 1] = (255 * 0.5 + 3) / 256
    np.testing.assert_allclose(means[0, ..., 0], expected, rtol=1e-5)


def test_heads_stay_in_float32_when_the_rest_is_not():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for network in (published_unet(64, (2, 4, 8)), lotss_unet(64, (4, 8))):
            assert network.output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def test_output_is_a_probability():
    tiles = np.random.default_rng(1).standard_normal((2, 64, 64, 1)).astype(np.float32)
    for network in (published_unet(64, (2, 4, 8)), lotss_unet(64, (4, 8))):
        result = network.predict_on_batch(tiles)
        np.testing.assert_allclose(result.sum(axis=-1), 1, atol=1e-6)


def test_log_normalisation_by_hand():
    normalise = LogNormalisation(**LOG)
    image = np.array([[1e-7, 1e-2, 1.0, 1e-8, -1.0, np.nan, 10**-4.5]], np.float32)
    result = normalise(image, np.ones_like(image))
    np.testing.assert_allclose(result, [[0, 1, 1, 0, 0, 0, 0.5]], atol=1e-6)


@pytest.mark.parametrize("kind", ["log10", "asinh_snr", "asinh_flat"])
def test_an_image_without_noise_is_refused_for_every_network(kind):
    normalisation = TypeAdapter(Normalisation).validate_python({"kind": kind})
    with pytest.raises(AllBlankError, match="noise cannot be measured"):
        network_input(normalisation, np.full((200, 200), 1e-4, np.float32), 4.4)


def test_asinh_normalisation_keeps_the_sign():
    image = np.array([[-2e-4, 0.0, 1e-4, np.nan]], np.float32)
    result = AsinhNormalisation(kind="asinh_snr")(image, np.full((1, 4), 1e-4, np.float32))
    np.testing.assert_allclose(result, [[-1.4436355, 0, 0.8813736, 0]], rtol=1e-6)


def test_card_and_weights_belong_together(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    model, card = load_model(tmp_path / "tiny")
    assert card.margin_px == 16
    weights = tmp_path / "tiny" / card.weights.file
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(ModelError, match="its card says"):
        read_card(tmp_path / "tiny")


def test_weights_of_other_shape_are_refused(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    path = tmp_path / "tiny" / "card.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"widths": [4, 16]}))
    with pytest.raises(ModelError, match="do not fit lotss_unet"):
        load_model(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "vit"}, "valid model card"),
        ({"surprise": 1}, "valid model card"),
        ({"widths": []}, r"card\.yaml is not a valid model card: [\s\S]*widths"),
        ({"widths": [8]}, r"valid model card: [\s\S]*widths"),
        ({"widths": [0, 8]}, r"valid model card: [\s\S]*widths\.0"),
        ({"widths": [4, -8]}, r"valid model card: [\s\S]*widths\.1"),
        ({"widths": [1, 8]}, r"valid model card: [\s\S]*widths\.0"),
        ({"host_calibration": CALIBRATION | {"scale": [0.0] * NUMBER}}, r"host_calibration\.scale\.0"),
        (
            {"host_calibration": CALIBRATION | {"scale": [1.0] * (NUMBER - 1) + [-1.0]}},
            rf"host_calibration\.scale\.{NUMBER - 1}",
        ),
        ({"core_px": 31}, "does not centre"),
        ({"core_px": 66}, "does not centre"),
    ],
)
def test_malformed_cards_are_refused(tmp_path, changes, words):
    write_tiny_model(tmp_path)
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    with pytest.raises(ModelError, match=words):
        read_card(tmp_path)


def test_absent_card_and_weights(tmp_path):
    with pytest.raises(ModelError, match="no model card"):
        read_card(tmp_path / "absent")
    write_tiny_model(tmp_path)
    (tmp_path / "network.weights.h5").unlink()
    with pytest.raises(ModelError, match="not there"):
        read_card(tmp_path)


@pytest.mark.parametrize("folder", sorted(p.parent for p in MODELS.glob("*/card.yaml")))
def test_shipped_models_are_whole(folder):
    model, card = load_model(folder)
    assert card.name == folder.name
    assert model.count_params() == card.training["parameters"]


def infer(tmp_path, image, mode, batch=4, name="a"):
    card = read_card(tmp_path / "model")
    tiles, cores = tmp_path / f"{name}.tiles.h5", tmp_path / f"{name}.cores.h5"
    meta = {"model": card.name, "model_sha256": card.weights.sha256, "image_sha256": "0"}
    write_tiles(tiles, image, card, mode, meta)
    write_cores(tiles, *open_model(tmp_path / "model", batch), cores)
    with h5py.File(cores) as store:
        return stitch(store["cores"], store["starts"][...], read_layout(store, card))


def published_procedure(image, model, card):
    """The published evaluation, restated plainly: one tile after the other, zeros never predicted."""
    low, high = np.log10(1e-7), np.log10(1e-2)
    safe = np.where(np.isnan(image), 1e-9, np.maximum(image, 1e-9))
    x = np.clip((np.log10(safe) - low) / (high - low), 0, 1)
    result = np.full(image.shape, np.nan)
    tile, core = card.tile_px, card.core_px
    edge = (tile - core) // 2
    for y in range(0, image.shape[0] - tile + 1, core):
        for z in range(0, image.shape[1] - tile + 1, core):
            said = model.predict(x[None, y : y + tile, z : z + tile, None], verbose=0)[0, ..., 1]
            result[y + edge : y + edge + core, z + edge : z + edge + core] = said[
                edge : edge + core, edge : edge + core
            ]
    return result


@pytest.mark.parametrize(
    ("shape", "sides"),
    [((192, 192), (64, 32)), ((200, 161), (64, 32)), ((384, 288), (192, 96)), ((301, 447), (192, 96))],
)
def test_reference_mode_is_the_published_procedure(tmp_path, shape, sides):
    deep = {"widths": [4, 8, 8, 8, 8]} if sides[0] == 192 else {"widths": [4, 8, 16]}
    sides = dict(zip(("tile_px", "core_px"), sides, strict=True))
    write_tiny_model(tmp_path / "model", architecture="published_unet", normalisation=LOG, **sides, **deep)
    rng = np.random.default_rng(3)
    image = (1e-4 * rng.standard_normal(shape)).astype(np.float32)
    image[60:90, 100:120] += 1e-2
    image[:30, :30] = np.nan
    model, card = load_model(tmp_path / "model")
    ours = infer(tmp_path, image, "reference")
    theirs = published_procedure(image, model, card)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("architecture", ["published_unet", "lotss_unet"])
def test_exact_mode_equals_reference_where_that_is_defined(tmp_path, architecture):
    write_tiny_model(tmp_path / "model", architecture=architecture)
    image = (1e-4 * np.random.default_rng(3).standard_normal((150, 201))).astype(np.float32)
    reference = infer(tmp_path, image, "reference", name="r")
    exact = infer(tmp_path, image, "exact", name="e")
    defined = np.isfinite(reference)
    assert defined.any()
    assert not defined.all()
    np.testing.assert_allclose(exact[defined], reference[defined], atol=1e-6)
    assert np.isfinite(exact).all()


def test_batch_size_does_not_change_the_result_and_blank_tiles_are_skipped(tmp_path):
    write_tiny_model(tmp_path / "model")
    image = (1e-4 * np.random.default_rng(3).standard_normal((256, 256))).astype(np.float32)
    image[:, 128:] = np.nan
    first = infer(tmp_path, image, "exact", batch=3, name="a")
    second = infer(tmp_path, image, "exact", batch=16, name="b")
    np.testing.assert_allclose(first, second, atol=1e-6)
    with h5py.File(tmp_path / "a.cores.h5") as store:
        where = layout((256, 256), 64, 32, "exact")
        # cores start every 32 px from -16: five columns reach the first 128 px, nine rows
        assert store["cores"].shape == (45, 32, 32)
        assert np.prod(where.counts) == 81


def test_the_same_bytes_twice(tmp_path):
    write_tiny_model(tmp_path / "model")
    image = (1e-4 * np.random.default_rng(3).standard_normal((200, 200))).astype(np.float32)
    infer(tmp_path, image, "exact", name="a")
    infer(tmp_path, image, "exact", name="b")
    assert (tmp_path / "a.cores.h5").read_bytes() == (tmp_path / "b.cores.h5").read_bytes()


def test_several_mosaics_in_one_process(tmp_path, monkeypatch):
    """One is rejected in the middle: the others are computed, and the log tells of all."""
    write_tiny_model(tmp_path / "model")
    card = read_card(tmp_path / "model")
    meta = {"model": card.name, "model_sha256": card.weights.sha256, "image_sha256": "0"}
    tiles, cores = ([str(tmp_path / f"{name}.{kind}.h5") for name in "abc"] for kind in ("tiles", "cores"))
    image = (1e-4 * np.random.default_rng(3).standard_normal((100, 100))).astype(np.float32)
    for path in (tiles[0], tiles[2]):
        write_tiles(path, image, card, "exact", meta)
    bad = write_image(tmp_path / "b.fits", BUNIT="K")
    model = ("--settings", '{"segmentation": {"model": "model"}}')
    monkeypatch.chdir(tmp_path)
    run_script("tile", "--mosaic", "b", "--image", bad, *model, "--out", tiles[1])
    log = tmp_path / "infer.log"
    options = (*model, "--log", log, "--out", *cores)
    done = start("infer", *tiles, *options, "--on-reject", "continue", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_rejection(cores[1]) == read_rejection(tiles[1])
    assert read_rejection(cores[1]).reason.startswith("UnitError: ")
    for path in (cores[0], cores[2]):
        with h5py.File(path) as store:
            assert len(store["cores"]) > 0
    text = log.read_text()
    assert text.count("no GPU answers") == 1
    assert "rejected b" in text
    for path in cores:
        Path(path).unlink()
    assert start("infer", *tiles, *options, cwd=tmp_path).returncode == 65
    assert [Path(path).exists() for path in cores] == [True, False, True]


def test_tiles_made_for_other_weights_are_refused(tmp_path):
    write_tiny_model(tmp_path / "model")
    image = np.random.default_rng(3).standard_normal((100, 100)).astype(np.float32)
    write_tiles(tmp_path / "t.h5", image, read_card(tmp_path / "model"), "exact", {"model_sha256": "another"})
    with pytest.raises(ModelError, match="other weights"):
        write_cores(tmp_path / "t.h5", *open_model(tmp_path / "model"), tmp_path / "c.h5")
    assert not (tmp_path / "c.h5").exists()


def test_tiles_that_cannot_be_read_are_named_and_not_the_cores_that_are_written(tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "model")
    image = np.random.default_rng(3).standard_normal((100, 100)).astype(np.float32)
    read = h5py.Dataset.__getitem__

    def fail(dataset, part, **options):
        if dataset.name == "/plane":
            raise OSError("Can't synchronously read data (inflate() failed)")
        return read(dataset, part, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
    with pytest.raises(UnreadableError, match="a.tiles.h5 is not a readable file: .* failed.$") as caught:
        infer(tmp_path, image, "exact")
    assert caught.value.file == str(tmp_path / "a.tiles.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    card = write_tiny_model(tmp_path)
    model, _ = load_model(tmp_path)
    first, *others = model.get_weights()
    first.flat[0] = value
    model.set_weights([first, *others])
    path = tmp_path / card.weights.file
    model.save_weights(path)
    content = yaml.safe_load((tmp_path / "card.yaml").read_text())
    content["weights"]["sha256"] = sha256_of(path)
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError, match="are not finite, such as"):
        load_model(tmp_path)


def test_weights_that_were_not_written_to_their_end_leave_nothing(tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "m")
    model, _ = load_model(tmp_path / "m")
    written = []

    def interrupted(self, path):
        written.append(path)
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_weights(model, tmp_path / "out" / "w.weights.h5")
    assert list((tmp_path / "out").iterdir()) == []
    with subprocess.Popen(["true"]) as ended:  # the same name, of a process that was killed
        pass
    left = tmp_path / "out" / written[0].name.replace(f"-{os.getpid()}.", f"-{ended.pid}.")
    left.write_text("half")
    assert remove_leftovers(tmp_path) == [left]
