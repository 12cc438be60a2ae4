"""What a configuration names is looked at before the job graph is made."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from models import write_tiny_model
from radiounet.errors import ConfigError, ModelError
from radiounet.images.provenance import sha256_of
from radiounet.network.model_cards import read_card
from radiounet.running.freshness import Freshness
from radiounet.running.job_graph import JobGraph
from radiounet.running.rules import Rules
from radiounet.running.training_inputs import check_training
from radiounet.settings.config import load_config
from radiounet.settings.yaml_file import (
    MOST_ALIASES,
    MOST_BYTES,
    read_yaml,
    require_one_configfile,
    require_single_keys,
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workflow with one model, in a folder with an image and a table."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "workflow/resources/models/tiny")
    for name in ("image.fits", "my clusters.csv", "scales.csv", "{mosaic} [1].fits"):
        (tmp_path / name).write_text("content")
    (tmp_path / "reference").mkdir()
    return tmp_path


def check(place, model="tiny", image="image.fits", **more):
    raw = {"segmentation": {"model": model}, "clusters": "my clusters.csv"}
    raw["mosaics"] = {"source": "images", "images": [{"name": "a", "path": image}]}
    config = load_config(raw | more)
    JobGraph(config, place / "workflow").check()
    if "train" in more:
        check_training(config, place / "workflow/resources/models")


def refused(place, **more) -> str:
    with pytest.raises(ConfigError) as caught:
        check(place, **more)
    return str(caught.value)


def test_what_is_there_is_accepted(place):
    check(place)
    check(place, image="{mosaic} [1].fits")
    check(place, image=str(place / "image.fits"), clusters=None)
    check(place, verify={"masks": "reference/{mosaic}.fits", "probabilities": "https://there/{mosaic}.fits"})
    (place / "with space").mkdir()
    for url in (f"file://{place}/with%20space", f"FILE://{place}/reference", f"file:{place}/reference"):
        check(place, verify={"masks": url + "/{mosaic}.fits"})
    (place / "aladin.js").write_text("A.aladin = function (place) {};")
    check(place, publish={"aladin": "aladin.js"})
    check(place, clusters="psz2")  # a published one is fetched first


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": "tinny"}, "segmentation.model: there is no model tinny in "),
        ({"model": "tinny"}, "; did you mean tiny?"),
        ({"model": "radio-unet-newer"}, "; did you mean radio-unet-new?"),
        ({"image": "imago.fits"}, "mosaics.images.0.path: there is no file imago.fits (from "),
        ({"image": "imago.fits"}, "; did you mean image.fits?"),
        ({"image": "reference"}, "mosaics.images.0.path: reference is a folder"),
        ({"image": "empty.fits"}, "mosaics.images.0.path: empty.fits is empty"),
        ({"image": "dangling.fits"}, "dangling.fits is a link to gone.fits, which is not there"),
        ({"image": "image.fits/x"}, "there is no file image.fits/x"),
        ({"clusters": "PSZ2"}, "clusters: there is no file PSZ2"),
        ({"clusters": "psz3"}, "; did you mean psz2?"),
        ({"clusters": "https://there/table"}, "clusters: there is no file https://there/table"),
        ({"archive": {"checksums": "known.csv"}}, "archive.checksums: there is no file known.csv"),
        ({"verify": {"masks": "referenze/{mosaic}.fits"}}, "verify.masks: there is no folder referenze"),
        (
            {"verify": {"probabilities": "file:///no/{mosaic}"}},
            "verify.probabilities: there is no folder /no",
        ),
        ({"results": "scales.csv"}, "results: scales.csv is a file, not a folder"),
        ({"scratch": "scales.csv"}, "scratch: scales.csv is a file, not a folder"),
        ({"archive": {"list_folder": "scales.csv"}}, "archive.list_folder: scales.csv is a file"),
        (
            {"image": "results/images/mosaics/a/image.fits"},
            "lies in results/images, which this run writes to",
        ),
        ({"clusters": "linked.ecsv"}, "clusters: linked.ecsv lies in results/images"),
        ({"archive": {"models": {"tiny": {"url": "x"}}}}, "archive.models.tiny: "),
        ({"publish": {"aladin": "image.fits"}}, "publish.aladin: image.fits is not the program of Aladin"),
        ({"publish": {"aladin": "empty.fits"}}, "publish.aladin: empty.fits is empty"),
        ({"publish": {"aladin": "gone.js"}}, "publish.aladin: there is no file gone.js"),
        ({"scratch": "results"}, "scratch: results is the folder of results"),
        ({"results": "reference", "scratch": "also"}, "scratch: also is the folder of results"),
    ],
)
def test_what_cannot_be_used_is_named(place, more, message):
    (place / "empty.fits").touch()
    (place / "also").symlink_to("reference")
    (place / "dangling.fits").symlink_to("gone.fits")
    inside = place / "results/images/mosaics/a/image.fits"
    inside.parent.mkdir(parents=True)
    inside.write_text("content")
    (place / "linked.ecsv").symlink_to(inside)
    assert message in refused(place, **more)


def test_flux_scale_is_an_input_of_mosaics_made_here(place):
    for path, there in (("scales.csv", True), ("scale.csv", False)):
        raw = {"segmentation": {"model": "tiny"}, "archive": {"dr2": {"field": "/x/{field}/{file}"}}}
        raw["mosaics"] = {"source": "fields", "options": {"flux_scale": path}}
        graph = JobGraph(load_config(raw), place / "workflow")
        if there:
            graph.check()
        else:
            with pytest.raises(ConfigError, match=r"did you mean scales\.csv"):
                graph.check()


@pytest.mark.parametrize("name", ["noise_map", "facets", "facet_offsets", "bad_facets"])
@pytest.mark.parametrize("folder", ["reference", "referenze"])
def test_the_folders_of_what_belongs_to_fields_are_there(place, name, folder):
    options = {"facets": "reference/{field}/facets.reg", name: folder + "/{field}/{field}.txt"}
    raw = {"segmentation": {"model": "tiny"}, "archive": {"dr2": {"field": "/x/{field}/{file}"}}}
    raw["mosaics"] = {"source": "fields", "options": options}
    graph = JobGraph(load_config(raw), place / "workflow")
    if folder == "reference":
        graph.check()
    else:
        with pytest.raises(ConfigError, match=f"mosaics.options.{name}: there is no folder referenze"):
            graph.check()


def test_every_fault_is_named_at_once(place):
    message = refused(place, image="none.fits", clusters="none.csv", results="scales.csv")
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == [
        "- results",
        "- mosaics.images.0.path",
        "- clusters",
    ]


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_weights_are_there(place, how):
    folder = place / "workflow/resources/models/tiny"
    weights = folder / read_card(folder).weights.file
    weights.unlink()
    if how == "empty":
        weights.touch()
    assert f"the weights {weights} are missing or empty" in refused(place)


@pytest.mark.parametrize("how", ["other", "cut", "longer"])
def test_weights_are_those_of_the_card(place, how):
    folder = place / "workflow/resources/models/tiny"
    weights = folder / read_card(folder).weights.file
    content = weights.read_bytes()
    weights.write_bytes({"other": content[::-1], "cut": content[:-1], "longer": content + b"0"}[how])
    assert f"the weights {weights} are not those of the card beside them" in refused(place)


@pytest.mark.parametrize("how", ["whole", "other weights", "other card", "not there"])
def test_a_fetched_model_that_is_not_whole_is_fetched_again(place, how):
    folder = place / "workflow/resources/models/tiny"
    card, weights = folder / "card.yaml", folder / "network.weights.h5"
    if how == "not there":  # Snakemake sees that by itself
        weights.unlink()
    elif how == "other weights":
        weights.write_bytes(b"0")
    elif how == "other card":
        card.write_text("weights: {sha256: 0}\ntraining: {imported_from: a zip}\n")
    raw = {"segmentation": {"model": "tiny"}, "archive": {"models": {"tiny": {"url": "https://there"}}}}
    graph = JobGraph(load_config(raw), place / "workflow")
    if how != "other card":
        content = read_yaml(card)
        card.write_text(yaml.safe_dump(content | {"training": {"imported_from": "a zip"}}))
    graph.check_model()
    files = [os.path.relpath(one) for one in (card, weights)]
    assert graph.spoiled_model == (files if how.startswith("other") else [])
    assert JobGraph(load_config({"segmentation": {"model": "tiny"}}), place / "workflow").spoiled_model == []


@pytest.mark.parametrize("is_main", [True, False])
@pytest.mark.parametrize("is_fetched", [True, False])
def test_a_run_reads_the_weights_once_and_its_jobs_never(place, monkeypatch, is_main, is_fetched):
    """Each rule with the model or the masks among its inputs asks for the check."""
    card = place / "workflow/resources/models/tiny/card.yaml"
    card.write_text(yaml.safe_dump(read_yaml(card) | {"training": {"imported_from": "a zip"}}))
    raw = {"segmentation": {"model": "tiny"}, "release": "dr2"}
    raw |= {"archive": {"models": {"tiny": {"url": "https://there"}}}} if is_fetched else {}
    config = load_config(raw)
    rules, run = Rules.__new__(Rules), SimpleNamespace(is_main=is_main, make_again=lambda paths: None)
    rules.config, rules.products, rules.graph = config, config.products, JobGraph(config, place / "workflow")
    rules.graph.selected = ["a"]
    rules.freshness = Freshness(run, config, config.products)
    read = []
    for module in ("inputs", "job_graph"):
        monkeypatch.setattr(
            f"radiounet.running.{module}.sha256_of", lambda path: read.append(path) or sha256_of(path)
        )
    if is_main:
        rules.graph.check()
    for _ in range(2):
        rules.model(None)
        assert rules.masks(None) == [config.products.mask("a")]
    assert len([path for path in read if str(path).endswith(".h5")]) == is_main


@pytest.mark.parametrize("content", ["[]", "a: 1", "training: 3", "{"])
def test_a_folder_without_a_model_card_is_not_fetched_into(place, content):
    (place / "workflow/resources/models/tiny/card.yaml").write_text(content)
    raw = {"segmentation": {"model": "tiny"}, "archive": {"models": {"tiny": {"url": "https://there"}}}}
    with pytest.raises(ConfigError, match=r"is no model card.*remove the folder to have it fetched"):
        JobGraph(load_config(raw), place / "workflow").check_model()


@pytest.mark.parametrize("content", ["", "[1", "- 1", "weights: 3", "a: b", "\0", "[" * 5000])
def test_card_can_be_read(place, content):
    card = place / "workflow/resources/models/tiny/card.yaml"
    card.write_text(content)
    assert "card.yaml is no model card: " in refused(place)
    with pytest.raises(ModelError, match=r"card\.yaml"):
        read_card(card.parent)


def test_a_model_that_can_be_fetched_need_not_be_there(place):
    check(place, model="radio-unet-new")
    check(place, model="mine", archive={"models": {"mine": {"url": "https://there/model.zip"}}})
    models = place / "workflow/resources/models"
    # once fetched, it may be fetched again
    shutil.copytree(models / "tiny", models / "mine")
    card = yaml.safe_load((models / "mine/card.yaml").read_text())
    card["training"] = {"imported_from": "https://there/model.zip"}
    (models / "mine/card.yaml").write_text(yaml.safe_dump(card))
    check(place, model="mine", archive={"models": {"mine": {"url": "https://there/model.zip"}}})


def test_a_model_that_is_trained_need_not_be_there(place):
    train = {"initial": "results/training/first/model", "compare": ["tiny"]}
    check(place, model="next", train=train)
    graph = JobGraph(load_config({"segmentation": {"model": "next"}, "train": train}), place / "workflow")
    with pytest.raises(ConfigError, match="no model next"):  # but cannot segment as long as it is not
        graph.check_model()
    message = refused(place, model="next", train={"initial": "tinny", "compare": ["tiny", "tony"]})
    assert "train.initial: there is no model tinny; did you mean tiny?" in message
    assert "train.compare: there is no model tony" in message


@pytest.mark.parametrize("network", ["resnet", "class_unet"])
def test_a_network_that_pairs_do_not_train_is_named(place, network):
    message = refused(place, model="next", train={"architecture": network, "initial": "tinny"})
    assert f"train.architecture: {network} is none of published_unet, lotss_unet" in message
    assert "train.initial: there is no model tinny" in message


def test_yaml_is_read_within_bounds(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1]\nb: *a\n")
    assert read_yaml(path) == {"a": [1], "b": [1]}
    path.write_text("a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: *a, <<: *b}\n")
    assert read_yaml(path)["c"] == {"x": 1, "y": 2}
    bomb = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    for text, why in (
        (bomb, f"more than {MOST_ALIASES} aliases"),
        ("[" * 5000, "nested too deep"),
        ("a: [1", "is not YAML"),
        ("a: !!python/object/apply:os.system [true]", "is not YAML"),
        ("x" * (MOST_BYTES + 1), "has more than 10 MB"),
        ("a: {b: 1, c: 2, b: 1}", "'b' is given twice in one mapping"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            read_yaml(path)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="is not YAML"):
        read_yaml(path)
    with pytest.raises(ModelError, match="no model card"):
        read_card(Path(path))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("release: dr2\nresults: x\nrelease: dr3\n", "release"),
        ("select:\n  region: {ra_deg: 1, dec_deg: 2, radius_deg: 3, ra_deg: 4}\n", "ra_deg"),
        ("mosaics:\n  images:\n    - {name: a, path: a}\n    - {name: b, path: b, name: c}\n", "name"),
        ("a: 1\n'a': 2\n", "a"),
        ('{\n\t"measure": {\n\t\t"h0": 70,\n\t\t"h0": 71\n\t}\n}\n', "h0"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, text, key):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"mine.yaml cannot be used: '{key}' is given twice"):
        require_single_keys([path])


def test_keys_of_different_mappings_may_be_the_same(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("x: &x {a: 1}\ny: {<<: *x, a: 2}\nz: [{a: 1}, {a: 2}]\n")
    require_single_keys([path, Path(__file__).parents[3] / "config/config.yaml"])
    path.write_text('{\n\t"release": "dr2",\n\t"measure": {"h0": 70}\n}\n')
    require_single_keys([path])


GRID = {"cells": "healpix", "nside": 8, "pixel_arcsec": 6.0, "beam_arcsec": 25.0, "frequency_mhz": 1300.0}


def release(place, model, **entry):
    raw = {"release": "mine", "releases": {"mine": GRID | entry}, "segmentation": {"model": model}}
    JobGraph(load_config(raw), place / "workflow").check()


def test_a_release_without_lists_or_mosaics_is_refused(place):
    with pytest.raises(ConfigError) as caught:
        release(place, "tiny")
    assert "mine has no mosaics to fetch: set releases.mine.archive.mosaic" in str(caught.value)
    assert "mine has no list of its mosaics: set releases.mine.footprint" in str(caught.value)


@pytest.mark.parametrize("changes", [{"pixel_arcsec": 6.0}, {"beam_arcsec": 25.0}])
def test_a_model_for_another_release_is_refused_before_the_run(place, changes):
    sources = {"footprint": "moc.fits", "archive": {"mosaic": "https://there/{pixel}/{file}"}}
    write_tiny_model(place / "workflow/resources/models/other", **changes)
    for model in ("tiny", "other", "radio-unet-new"):
        with pytest.raises(
            ConfigError, match=f"segmentation.model: {model} needs pixels of .* have 6 and 25"
        ):
            release(place, model, **sources)
    write_tiny_model(place / "workflow/resources/models/right", pixel_arcsec=6.0, beam_arcsec=25.0)
    release(place, "right", **sources)


@pytest.mark.parametrize(
    "second", [["--configfile", "b.yaml"], ["--configfiles=b.yaml"], ["--configfile=b.yaml"]]
)
def test_a_second_configfile_option_is_refused_since_it_hides_the_first(second):
    with pytest.raises(
        ConfigError, match="^--configfile is given twice, and Snakemake reads the files of the"
    ):
        require_one_configfile(["snakemake", "--configfile", "a.yaml", "-n", *second])
    require_one_configfile(["snakemake", "--configfile", "a.yaml", "b.yaml", "--config", "clusters=mcxc"])
