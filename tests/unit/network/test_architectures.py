"""The registry of architectures: complete, readable without a framework, the same in either framework."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import yaml

from models import CARD, randomise
from radiounet.errors import ModelError
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.network.architectures.graphs import _FINDERS, graphs_of
from radiounet.network.architectures.registry import ARCHITECTURES, TRAINABLE
from radiounet.network.engine import Engine, load_model
from radiounet.network.model_cards import read_card, write_named_weights

OF_KERAS = ["published_unet", "lotss_unet", "class_unet", "unet_pair"]


def test_every_architecture_has_facts_and_graphs():
    assert list(ARCHITECTURES) == list(_FINDERS) == [*OF_KERAS[:3], "class_unet_torch", "unet_pair"]
    assert TRAINABLE == ("published_unet", "lotss_unet")


@pytest.mark.parametrize("name", OF_KERAS)
def test_networks_are_as_the_registry_says(name):
    facts = ARCHITECTURES[name]
    widths = (2, 4, 8) * facts.parts
    step = facts.tile_step(len(widths))
    network = graphs_of(name).build(2 * step, widths)
    outputs = 1 + len(facts.other_classes) if facts.other_classes else 2
    assert network.output_shape == (None, 2 * step, 2 * step, outputs)
    # a pixel of the coarsest level is as wide as the step
    sides = [layer.output.shape[1] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert min(sides) == 2
    with pytest.raises(ModelError, match=f"not a multiple of {step} px"):
        graphs_of(name).build(step + step // 2, widths)


@pytest.mark.parametrize(
    ("name", "levels", "step"),
    [
        *(("published_unet", 5, 32), ("lotss_unet", 5, 64), ("class_unet", 5, 32), ("class_unet", 6, 64)),
        *(("lotss_unet", 2, 8), ("unet_pair", 10, 64)),
    ],
)
def test_steps_by_hand(name, levels, step):
    assert ARCHITECTURES[name].tile_step(levels) == step


def test_a_card_of_an_unknown_architecture_is_refused(tmp_path):
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(CARD | {"architecture": "resnet"}))
    with pytest.raises(ModelError, match="no architecture resnet; known: published_unet, lotss_unet"):
        read_card(tmp_path, check_weights=False)


def test_cards_are_read_without_a_framework():
    program = (
        "import sys\n"
        "from radiounet.network.model_cards import MODELS, read_card\n"
        "assert read_card(MODELS / 'lotss-classes').step_px == 32\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_hash_of_a_stage_follows_the_graphs_it_computes(tmp_path, monkeypatch):
    import shutil

    from radiounet.images import provenance

    package = tmp_path / "radiounet"
    shutil.copytree(provenance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for script in ("infer", "tile"):
        shutil.copy(provenance.PACKAGE.parent / f"{script}.py", tmp_path)
    monkeypatch.setattr(provenance, "PACKAGE", package)
    before = [code_hash.__wrapped__(script) for script in ("infer", "tile")]
    with open(package / "network/architectures/lotss_unet.py", "a") as stream:
        stream.write("# edited\n")
    after = [code_hash.__wrapped__(script) for script in ("infer", "tile")]
    assert [one != other for one, other in zip(before, after, strict=True)] == [True, False]


def test_the_network_in_pytorch_gives_what_that_in_keras_gives(tmp_path):
    pytest.importorskip("torch")
    tiles = np.random.default_rng(2).standard_normal((2, 128, 128, 1)).astype(np.float32)
    network = graphs_of("class_unet").build(128, (4, 8, 8))
    randomise(network, tiles)
    file = tmp_path / "weights.npz"
    write_named_weights(file, graphs_of("class_unet").named_weights(network))
    card = CARD | {"widths": [4, 8, 8], "weights": {"file": file.name, "sha256": sha256_of(file)}}
    found = []
    for name in ("class_unet", "class_unet_torch"):
        (tmp_path / "card.yaml").write_text(yaml.safe_dump(card | {"architecture": name}))
        model, read = load_model(tmp_path)
        assert read.classes == ARCHITECTURES["class_unet"].other_classes
        found.append(Engine(model, name, 128, (32, 96), 2)(tiles))
    assert found[0].shape == (2, 64, 64, 4)
    assert found[0].std() > 0.1
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
