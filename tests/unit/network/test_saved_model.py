"""Weights of the published network, imported from a SavedModel that Keras 2 made."""

import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from astropy.io import fits

from programs import run_program, start
from radiounet.errors import ModelError
from radiounet.network import saved_model
from radiounet.network.architectures.published_unet import PUBLISHED_WIDTHS, published_unet
from radiounet.network.engine import load_model
from radiounet.network.model_cards import LogNormalisation, read_card
from radiounet.network.saved_model import fetch_model, import_saved_model
from radiounet.settings.archive import DownloadOptions, PublishedModel
from radiounet.survey.archive import check_checksum

LOG10 = LogNormalisation(kind="log10")
PROGRAM = Path(__file__).parents[2] / "legacy_model.py"


@pytest.fixture(scope="module")
def legacy(tmp_path_factory):
    """Folders of three networks: the published one, one of other widths, and one of another depth."""
    folder = tmp_path_factory.mktemp("legacy")
    all_widths = PUBLISHED_WIDTHS, (8, 16, 32, 64, 128), (8, 16, 32)
    done = run_program(PROGRAM, folder, *(",".join(map(str, widths)) for widths in all_widths))
    assert done.returncode == 0, done.stderr
    return [folder / str(number) for number in range(len(all_widths))]


@pytest.fixture(scope="module")
def published(legacy):
    return legacy[0]


@pytest.fixture(scope="module")
def pack(published):
    """As published: a folder in a zip, with what a Mac leaves beside it."""
    path = published / "model.ckpt.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/model.ckpt/variables/._variables.index", b"junk")
        archive.writestr("model.ckpt/.DS_Store", b"junk")
        for file in sorted((published / "saved").rglob("*")):
            if file.is_file():
                archive.write(file, Path("model.ckpt") / file.relative_to(published / "saved"))
    return path


@pytest.fixture(scope="module")
def imported(pack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "model"
    return folder, import_saved_model(pack, "radio", folder, LOG10, threshold=0.4, origin="https://there")


def repack(pack, target, change):
    """The same zip, each file through `change`: name and content to a new pair, or None to leave it out."""
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.infolist():
            changed = change(one.filename, old.read(one))
            if changed:
                new.writestr(*changed)
    return target


def test_imported_weights_give_the_same_output(published, imported):
    """Batch normalisations have random statistics, so none may be lost or swapped."""
    folder, card = imported
    model, read = load_model(folder)
    assert read == card
    assert model.count_params() == card.training["parameters"] == 12_401_122
    assert (card.tile_px, card.core_px, card.threshold) == (192, 96, 0.4)
    assert card.training["imported_from"] == "https://there"
    expected = np.load(published / "output.npy")
    assert 0.1 < expected[..., 1].std() < 0.5
    found = model.predict(np.load(published / "input.npy"), verbose=0)
    assert np.abs(found - expected).max() < 1e-5


def test_a_folder_is_imported_like_its_zip(tmp_path, published, imported):
    import_saved_model(published / "saved", "radio", tmp_path / "radio", LOG10)
    one, other = (load_model(folder)[0].get_weights() for folder in (tmp_path / "radio", imported[0]))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_script_imports_a_local_file(tmp_path, pack):
    out = tmp_path / "model"
    done = start(
        "radiounet fetch-model",
        "--name",
        "m",
        "--from",
        pack,
        "--low",
        "1e-9",
        "--high",
        "1e-3",
        "--out",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert read_card(out).normalisation == LogNormalisation(kind="log10", low=1e-9, high=1e-3)


def test_the_script_checks_the_blob_id_of_what_it_fetches(tmp_path, pack):
    out, wrong = tmp_path / "model", "gitblob:" + "0" * 40
    done = start(
        "radiounet fetch-model", "--name", "m", "--url", pack.as_uri(), "--checksum", wrong, "--out", out
    )
    assert done.returncode == 65
    assert "ChecksumError" in done.stderr
    assert not out.exists()
    blob = subprocess.run(
        ["git", "hash-object", pack], capture_output=True, text=True, check=True
    ).stdout.strip()
    check_checksum(pack, f"gitblob:{blob}")
    done = start(
        "radiounet fetch-model",
        "--name",
        "m",
        "--url",
        pack.as_uri(),
        "--checksum",
        f"gitblob:{blob}",
        "--out",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert read_card(out).training["imported_from"] == pack.as_uri()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--low", "1e-2", "--high", "1e-7"), "low must be below high"),
        (("--low", "-1"), "greater than 0"),
        (("--threshold", "1.5"), "less than 1"),
        (("--checksum", "gitblob:" + "0" * 40), "ChecksumError"),
        (("--name", "a/b"), "cannot be the name"),
    ],
)
def test_what_the_script_refuses_leaves_a_good_model_alone(tmp_path, pack, imported, options, message):
    shutil.copytree(imported[0], tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    done = start(
        "radiounet fetch-model", "--name", "m", "--from", pack, "--out", tmp_path / "model", *options
    )
    assert done.returncode in (65, 78), done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (shutil, "copyfile", 1),
        (Path, "write_text", 1),
        (os, "fsync", 1),
        (os, "fsync", 2),
        (os, "replace", 1),
    ],
)
def test_an_import_that_fails_leaves_a_good_model_alone(
    tmp_path, pack, imported, monkeypatch, fill_disk, owner, name, number
):
    out = tmp_path / "model"
    shutil.copytree(imported[0], out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(saved_model, "save_weights", lambda _, path: path.write_bytes(b"new"))
    fill_disk(owner, name, number)
    with pytest.raises(OSError, match="No space"):
        import_saved_model(pack, "other", out, LOG10, threshold=0.3)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert read_card(out).name == "radio"


def test_odd_zips_are_named(tmp_path, pack):
    odd = tmp_path / "odd.zip"
    with zipfile.ZipFile(odd, "w") as archive:
        archive.writestr("./", b"")
    with pytest.raises(ModelError, match="holds no variables"):
        import_saved_model(odd, "m", tmp_path / "model", LOG10)
    with zipfile.ZipFile(odd, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("variables/variables.index", bytes(range(256)) * 50)
    content = bytearray(odd.read_bytes())
    content[60:90] = b"x" * 30  # inside the compressed bytes
    odd.write_bytes(content)
    with pytest.raises(ModelError, match=r"odd.zip is not a whole zip"):
        import_saved_model(odd, "m", tmp_path / "model", LOG10)


def test_a_model_saved_with_other_widths(legacy, tmp_path):
    with pytest.raises(ModelError, match=r"layer_with_weights-0/.* has shape \[.*8\].* it is \[.*32\]"):
        import_saved_model(legacy[1] / "saved", "m", tmp_path / "model", LOG10)
    assert not (tmp_path / "model").exists()


def test_a_model_of_another_depth(legacy, tmp_path):
    with pytest.raises(ModelError, match=r"of 134 variables \d+ missing, such as layer_with_weights-"):
        import_saved_model(legacy[2] / "saved", "m", tmp_path / "model", LOG10)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_zip_that_would_leave_its_folder(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelError, match="leads out of its folder"):
        import_saved_model(tmp_path / "a.zip", "m", tmp_path / "model", LOG10)
    assert not (tmp_path / "evil").exists()


def test_a_zip_with_a_link(tmp_path):
    link = zipfile.ZipInfo("model/variables/variables.index")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="a link"):
        import_saved_model(tmp_path / "a.zip", "m", tmp_path / "model", LOG10)


def test_a_zip_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "MOST_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("variables/variables.index", bytes(20_000))
    with pytest.raises(ModelError, match="would unpack to 1 files"):
        import_saved_model(tmp_path / "a.zip", "m", tmp_path / "model", LOG10)


def test_what_is_no_saved_model(tmp_path, pack):
    (tmp_path / "page.zip").write_text("<html>not found</html>")
    with pytest.raises(ModelError, match=r"page.zip is not a whole zip"):
        import_saved_model(tmp_path / "page.zip", "m", tmp_path / "model", LOG10)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", b"x")
    with pytest.raises(ModelError, match=r"holds no variables/variables.index"):
        import_saved_model(tmp_path / "other.zip", "m", tmp_path / "model", LOG10)
    with pytest.raises(ModelError, match=r"absent.zip is not a whole zip"):
        import_saved_model(tmp_path / "absent.zip", "m", tmp_path / "model", LOG10)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(pack.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cut.zip is not a whole zip"):
        import_saved_model(cut, "m", tmp_path / "model", LOG10)


def test_a_zip_whose_variables_are_cut_short(tmp_path, pack):
    def shorten(name, content):
        return name, content[: len(content) // 10] if "data-00000" in name else content

    with pytest.raises(ModelError, match="variables cannot be read"):
        import_saved_model(repack(pack, tmp_path / "a.zip", shorten), "m", tmp_path / "model", LOG10)
    assert not (tmp_path / "model").exists()


def damaged(folder, pack):
    """Files that are no model, by what is said of them."""
    fits.writeto(folder / "good.fits", np.zeros((9, 9)))
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("readme.txt", b"x")

    def shorten(name, content):
        return name, content[: len(content) // 10] if "data-00000" in name else content

    def leave_out(name, content):
        return None if "data-00000" in name else (name, content)

    return {
        "is not a whole zip": folder / "good.fits",
        "holds no variables/variables.index": folder / "other.zip",
        "its variables cannot be read": repack(pack, folder / "short.zip", shorten),
        "variables cannot be read": repack(pack, folder / "less.zip", leave_out),
    }


def test_a_file_is_named_as_the_user_gave_it(tmp_path, pack):
    for said, path in damaged(tmp_path, pack).items():
        for given in (str(path), path.as_uri()):
            model = PublishedModel(url=given)
            with pytest.raises(ModelError) as caught:
                fetch_model("m", model, DownloadOptions(), tmp_path / "model")
            assert str(caught.value).startswith(given)
            assert said in str(caught.value)
            assert tempfile.gettempdir() not in str(caught.value).replace(str(tmp_path), "")
    assert not (tmp_path / "model").exists()


def test_a_zip_with_two_models(tmp_path, published):
    for name in ("a", "b"):
        shutil.copytree(published / "saved" / "variables", tmp_path / "two" / name / "variables")
    with pytest.raises(ModelError, match=r"holds 2 SavedModels \(a, b\)"):
        import_saved_model(tmp_path / "two", "m", tmp_path / "model", LOG10)


@pytest.fixture(scope="module")
def of_keras_3(tmp_path_factory):
    """A network of the published architecture, and its weights in every format of Keras 3."""
    folder = tmp_path_factory.mktemp("keras3")
    network = published_unet(32)
    generator = np.random.default_rng(1)
    network.set_weights([generator.uniform(0.5, 1, one.shape) for one in network.weights])
    network.compile("adam", "mse", metrics=["mae"])
    network.optimizer.build(network.trainable_variables)  # as after a training
    network.export(folder / "exported", verbose=False)
    network.save(folder / "m.keras")
    network.save(folder / "m.h5")
    network.save_weights(folder / "m.weights.h5")
    tf.train.Checkpoint(model=network).write(str(folder / "m.ckpt"))
    return folder, network.get_weights()


def test_an_export_of_keras_3_is_imported_with_every_weight_in_its_place(of_keras_3, tmp_path):
    folder, weights = of_keras_3
    import_saved_model(folder / "exported", "m", tmp_path / "model", LOG10)
    for read, written in zip(load_model(tmp_path / "model")[0].get_weights(), weights, strict=True):
        np.testing.assert_array_equal(read, written)


SAVED_MODEL_NEEDED = (
    r"a SavedModel is needed, as a folder or a zip of it: .* Keras 3 with model.export\(FOLDER\)"
)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.keras", "is a .keras file"),
        ("m.h5", "is an HDF5 file, as Keras writes .h5"),
        ("m.weights.h5", "is an HDF5 file, as Keras writes .h5 and .weights.h5"),
        ("m.ckpt.index", "is a part of a TensorFlow checkpoint"),
        ("m.ckpt.data-00000-of-00001", "is a part of a TensorFlow checkpoint"),
        ("m.ckpt", "is the prefix of a TensorFlow checkpoint"),
        ("", "holds no variables/variables.index"),
    ],
)
def test_another_format_is_named_and_the_one_that_is_needed(of_keras_3, tmp_path, name, said):
    given = of_keras_3[0] / name
    if not name:
        given = tmp_path / "folder"
        given.mkdir()
        shutil.copyfile(of_keras_3[0] / "m.keras", given / "m.keras")
    with pytest.raises(ModelError, match=f"^{re.escape(f'{given} {said}')}.*: {SAVED_MODEL_NEEDED}$"):
        fetch_model("m", PublishedModel(url=str(given)), DownloadOptions(), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_is_no_zip_is_told_what_is_needed(of_keras_3, tmp_path):
    exported = of_keras_3[0] / "exported"
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        archive.add(exported, arcname="exported")
    (tmp_path / "page.html").write_text("<html>not found</html>")
    (tmp_path / "empty.zip").write_bytes(b"")
    for given in (
        exported / "saved_model.pb",
        *(tmp_path / n for n in ("m.tar.gz", "page.html", "empty.zip")),
    ):
        said = re.escape(f"{given} is not a whole zip")
        with pytest.raises(ModelError, match=f"^{said}: .*; {SAVED_MODEL_NEEDED}$"):
            fetch_model("m", PublishedModel(url=str(given)), DownloadOptions(), tmp_path / "model")
    assert not (tmp_path / "model").exists()
