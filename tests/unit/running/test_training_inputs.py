"""What a configuration says of a training is looked at before anything is simulated."""

import pytest

from models import write_tiny_model
from radiounet.errors import ConfigError
from radiounet.learning.learning_curve import origin_of
from radiounet.running.job_graph import JobGraph
from radiounet.running.training_files import TrainingFiles
from radiounet.running.training_inputs import check_training
from radiounet.settings.config import load_config
from radiounet.settings.simulate import SimulateOptions
from simulated import write_simulated

NUMBERS = {"fields": 3, "calibrate": 2, "held_out": 2}
"""Images 5 and 6 are held out."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workflow with a model that was trained on the images 0 to 5 of the set 7."""
    monkeypatch.chdir(tmp_path)
    options = SimulateOptions(n_px=64, seed=7)
    pairs = [write_simulated(tmp_path / f"{seed}.fits", options, seed) for seed in (0, 5)]
    training = {"pairs": origin_of(pairs)}
    write_tiny_model(tmp_path / "workflow/resources/models/tiny", training=training)
    write_tiny_model(
        tmp_path / "workflow/resources/models/next", training={"initial": {"training": training}}
    )
    write_tiny_model(tmp_path / "made/model", training=training)
    return tmp_path


def check(place, **sections):
    config = load_config({"segmentation": {"model": "tiny"}} | sections)
    JobGraph(config, place / "workflow").check()
    check_training(config, place / "workflow/resources/models")


def refused(place, **sections) -> str:
    with pytest.raises(ConfigError) as caught:
        check(place, **sections)
    return str(caught.value)


@pytest.mark.parametrize("key", ["initial", "compare"])
@pytest.mark.parametrize("name", ["tiny", "next", "made/model"])
def test_a_model_made_with_images_to_be_held_out_is_named(place, key, name):
    train = NUMBERS | {key: [name] if key == "compare" else name}
    message = refused(place, train=train, simulate={"seed": 7})
    assert (
        f"train.{key}: {name}: its pairs used the simulated images 0 to 5: hold out others than 5 to 6"
        in message
    )
    assert "train.fields + train.calibrate" in message
    assert "simulate.seed" in message
    check(place, train=train, simulate={"seed": 8})
    check(place, train=train | {"fields": 4}, simulate={"seed": 7})  # 6 and 7


def test_a_model_whose_false_islands_are_trained_on_is_not_measured(place):
    check(place, train=NUMBERS | {"hard_from": "tiny"}, simulate={"seed": 7})


@pytest.mark.parametrize("content", ["", "[1]", "training: 3", "\0"])
def test_a_card_that_cannot_be_read_is_left_to_the_training(place, content):
    (place / "made/model/card.yaml").write_text(content)
    check(place, train=NUMBERS | {"compare": ["made/model", "not/yet/made"]}, simulate={"seed": 7})


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"simulate": {"n_px": 256}}, "train.crop_px is 320, more than simulate.n_px, 256"),
        ({"train": {"crop_px": 1024}}, "train.crop_px is 1024, more than simulate.n_px, 960"),
        ({"simulate": {"pixel_arcsec": 1.5}}, "train.pixel_arcsec is 4.5, but simulate.pixel_arcsec is 1.5"),
        ({"train": {"beam_arcsec": 25.0}}, "train.beam_arcsec is 25, but simulate.beam_arcsec is 20"),
        # lotss_unet: 4 px at the finest of 5 levels
        (
            {"train": {"tile_px": 500}},
            "train.tile_px is 500 px, no multiple of 64, as lotss_unet with 5 widths",
        ),
        ({"train": {"crop_px": 200}}, "train.crop_px is 200 px, no multiple of 64"),
        (
            {"train": {"architecture": "published_unet", "tile_px": 272}},
            "train.tile_px is 272 px, no multiple of 32, as published_unet with 5 widths",
        ),
    ],
)
def test_a_training_that_would_fail_after_hours_is_refused_at_once(place, sections, says):
    assert says in refused(place, **sections)


def test_images_and_training_of_another_survey_belong_together(place):
    grid = {"pixel_arcsec": 6.0, "beam_arcsec": 25.0}
    check(place, simulate=grid, train=grid)
    check(place, simulate={"n_px": 320})
    check(place, train={"widths": [4, 8], "crop_px": 96, "tile_px": 104, "core_px": 32})


def test_simulated_images_alone_leave_the_model_needed(place):
    message = refused(place, simulate={"seed": 7}, segmentation={"model": "tinny"})
    assert "segmentation.model: there is no model tinny" in message


@pytest.mark.parametrize("training", ["{pairs: text}", "{initial: name}", "{pairs: {seeds: [0, 9]}}"])
def test_a_card_of_another_form_is_named(place, training):
    card = place / "workflow/resources/models/tiny/card.yaml"
    card.write_text(f"training: {training}\n")
    message = refused(place, train=NUMBERS | {"compare": ["tiny"]}, segmentation={"model": "next"})
    assert f"train.compare: tiny: {card} does not say in a known form how the model was trained" in message


@pytest.mark.parametrize("key", ["initial", "hard_from"])
@pytest.mark.parametrize(("name", "is_shipped"), [("tiny", True), ("made/model", False)])
def test_a_training_depends_on_the_models_it_starts_from(place, key, name, is_shipped):
    """On the content of a shipped one, whose dates are those of a checkout."""
    models = place / "workflow/resources/models"
    files = TrainingFiles(load_config({"train": {key: name}}), models)
    shipped = [str(path) for path in sorted((models / "tiny").iterdir())]
    assert files.shipped == (shipped if is_shipped else [])
    assert files.starts == ([] if is_shipped else ["made/model/card.yaml"])
