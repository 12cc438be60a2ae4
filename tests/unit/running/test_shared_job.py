"""The mosaics of one job: the first program does the work of all, the others take what it made."""

import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from models import write_tiny_model
from radiounet.images.products import Products
from radiounet.images.rejections import read_rejection
from radiounet.running.shelf import clear_shelf
from stages import run_script, write_image

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images of three mosaics, the second of a wrong unit, and a model."""
    folder = tmp_path_factory.mktemp("images")
    products = Products(f"{folder}/dr2")
    for seed, name in enumerate(NAMES):
        changes = {"BUNIT": "K"} if name == "b" else {}
        write_image(Path(products.image(name)), seed, **changes)
    write_tiny_model(folder / "model")
    return folder


@pytest.fixture
def products(images, tmp_path, monkeypatch):
    # TensorFlow takes a number of threads only before it has computed in this process
    monkeypatch.setattr("radiounet.network.devices.use_threads", lambda _: None)
    shutil.copytree(images, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("radiounet.network.model_cards.MODELS", tmp_path)
    return Products(f"{tmp_path}/dr2")


def maps(products, name):
    return [Path(products.probability(name)), Path(products.mask(name))]


def segment(products, name, *options):
    probability, mask = maps(products, name)
    run_script(
        "segment",
        *("--mosaic", name, "--image", products.image(name)),
        *("--settings", '{"segmentation": {"model": "model"}}'),
        *("--probability", probability, "--mask", mask, *options),
    )


def on_shelf(products):
    return sorted(path.name.split(".")[0] for path in Path(products.shelf()).glob("*.mask.fits"))


def inodes(products, name):
    return [path.stat().st_ino for path in maps(products, name)]


def test_the_first_makes_all_maps_and_the_others_take_theirs(products, monkeypatch):
    together = ("--root", products.root, "--beside", *NAMES)
    segment(products, "a", *together)
    assert on_shelf(products) == ["a", "b", "c"]
    assert not Path(products.mask("c")).exists()

    def never(*_):
        pytest.fail("a model was loaded")

    with monkeypatch.context() as patch:
        patch.setattr("radiounet.network.inference.open_model", never)
        for name in "bc":
            segment(products, name, *together)
    assert read_rejection(products.mask("b")).reason.startswith("UnitError")
    assert read_rejection(products.mask("b")).name == "b"
    by_others = {name: [path.read_bytes() for path in maps(products, name)] for name in "ac"}

    clear_shelf(products)
    assert on_shelf(products) == []
    for name, content in by_others.items():
        segment(products, name)
        assert [path.read_bytes() for path in maps(products, name)] == content


def test_what_a_killed_job_had_finished_is_taken(products):
    together = ("--root", products.root, "--beside", *NAMES)
    segment(products, "a", *together)
    before = inodes(products, "a")
    for path in maps(products, "a"):
        path.unlink()  # Snakemake removes what belongs to a job that failed
    clear_shelf(products)
    segment(products, "a", "--root", products.root)
    assert inodes(products, "a") == before


def test_maps_of_another_image_or_setting_are_not_taken(products):
    segment(products, "a", "--root", products.root, "--beside", *NAMES)
    segment(products, "c", "--root", products.root, "--settings", '{"segmentation": {"threshold": 0.7}}')
    assert fits.getheader(products.mask("c"))["THRESH"] == 0.7
    write_image(Path(products.image("c")), seed=8)
    segment(products, "c", "--root", products.root)
    segment(products, "a")
    shas = [fits.getheader(products.mask(name))["IMAGESHA"] for name in "ac"]
    assert shas[1] != shas[0]
    assert Path(products.mask("c")).stat().st_nlink == 1


def test_an_image_that_is_not_there_yet_is_left_to_its_own_program(products):
    Path(products.image("c")).unlink()
    segment(products, "a", "--root", products.root, "--beside", *NAMES)
    assert on_shelf(products) == ["a", "b"]
