"""Settings as stages are given them."""

import argparse
import json

import pytest

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
