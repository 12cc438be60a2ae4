"""Settings as stages are given them."""

import argparse
import json

import numpy as np
import pytest

from radiounet.errors import ConfigError
from radiounet.settings.command_line import add_settings, settings_to
from radiounet.settings.config import load_config
from radiounet.settings.segmentation import Segmentation


@pytest.mark.parametrize("name", ["mine", "v1.5"])
def test_settings_that_a_stage_is_given_hold_the_keys_asked_for(name):
    made = load_config({"archive": {"models": {name: {"url": "x.zip"}}}, "measure": {"h0": 71.0}})
    text = settings_to(made, "measure.h0", "segmentation", ("archive", "models", name))
    given = json.loads(text)
    assert given["measure"] == {"h0": 71.0}
    assert set(given["segmentation"]) == set(Segmentation.model_fields)
    assert list(given["archive"]) == ["models"]
    assert list(given["archive"]["models"]) == [name]
    assert given.keys() == {"measure", "segmentation", "archive"}
    parser = argparse.ArgumentParser()
    add_settings(parser)
    merged = parser.parse_args(["--settings", text, "--settings", '{"measure": {"omega_m": 0.25}}']).settings
    assert (merged.measure.h0, merged.measure.omega_m) == (71.0, 0.25)
    assert merged.archive.models[name] == made.archive.models[name]
    assert parser.parse_args([]).settings == load_config({})
    assert load_config(json.loads(settings_to(made))) == made


def given_to(text):
    """The settings of a stage, and what it says where it cannot use them."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_settings(parser)
    return parser.parse_args(["--settings", text]).settings


def own_images(count):
    numbers = np.random.default_rng(count).integers(0, 10**6, (count, 2)).tolist()
    images = [
        {"name": f"A{n}", "path": f"/data/{one}/A{n}.{other}.fits"} for n, (one, other) in enumerate(numbers)
    ]
    return load_config({"mosaics": {"source": "images", "images": images}})


@pytest.mark.parametrize("count", [10, 1500, 4000])
def test_settings_of_many_images_fit_a_command_line(count):
    made = own_images(count)
    text = settings_to(made)
    assert text.startswith("{") is (count == 10)
    assert len(text) < 110_001
    assert given_to(text) == made


def test_settings_that_are_too_long_are_refused_with_a_remedy():
    with pytest.raises(ConfigError, match=r"too long for the command line of a job: .* make several runs"):
        settings_to(own_images(20_000))


@pytest.mark.parametrize(
    "text", ["zlib:", "zlib:abc", "zlib:####", "zlib:eJwrAAAA", "zlib:eJyLVspUslJQqlWqBQAZ0wRC"]
)
def test_packed_settings_that_were_damaged_are_refused(text):
    with pytest.raises(argparse.ArgumentError):
        given_to(text)
