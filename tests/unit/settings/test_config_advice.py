"""What a refusal of the configuration tells to write can be written."""

import typing
from typing import Annotated

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from configs import refusal
from radiounet.settings.config import Config, load_config
from radiounet.settings.config_faults import _example, model_in
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import LegOptions, TrainOptions


def corrected(message: str) -> dict:
    return yaml.safe_load(message.split("write for example:\n")[1])


@pytest.mark.parametrize(
    "raw",
    [
        {"select": {"mosaics": "P1"}},
        {"select": {"mosaics": [1]}},
        {"select": {"mosaics": ["P1", "P1"]}},
        {"pointing": ["a/b"]},
        {"pointing": 5},
        {"measure": {"unit": "R500=Mpc"}},
        {"train": {"widths": [3, "a"]}},
        {"train": {"widths": "3"}},
        {"mosaics": {"source": "images", "images": {"name": "a", "path": "b"}}},
        {"mosaics": {"source": "images", "images": ["a.fits"]}},
        {"mosaics": {"source": "images", "images": [{"name": "a", "path": 3}]}},
        {"archive": {"models": {"mine": "x.zip"}}},
        {"archive": {"models": {"mine": None}}},
        {"archive": {"models": ["mine"]}},
        {"archive": {"dr2": {"mosaic_files": "x.fits"}}},
        {"archive": {"dr3": {"mosaic_files": [3]}}},
        {"archive": {"clusters": "x"}},
        {"select": {"region": [1, 2, 3]}},
        {"simulate": {"diffuse_fraction": [0.6, 0.5]}},
        {"simulate": {"frequency_mhz": [168.0, 120.0]}},
        {"simulate": {"frequency_mhz": 144.0}},
        {"segmentation": None},
    ],
)
def test_advice_for_a_wrong_value_can_be_used_as_it_is(raw):
    assert load_config(merged(raw, corrected(refusal(raw))))


def keys_of(section, place=()):
    """Every key of a section, those of the sections in it, and of entries of its mappings and lists."""
    for name, field in section.model_fields.items():
        yield (*place, name), Annotated[field.annotation, *field.metadata, None]
        inner = model_in(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            origins = {
                typing.get_origin(one) for one in (field.annotation, *typing.get_args(field.annotation))
            }
            entry = ("mine",) if dict in origins else (0,) if list in origins else ()
            if entry == ("mine",):
                yield (*place, name, *entry), inner
            yield from keys_of(inner, (*place, name, *entry))


@pytest.mark.parametrize("section", [Config, SimulateOptions, TrainOptions, LegOptions])
def test_the_example_of_every_key_fits_it(section):
    shown = 0
    for place, annotation in keys_of(section):
        example = _example(list(place), section)
        if example is not None:
            shown += 1
            TypeAdapter(annotation).validate_python(example)
    assert shown > 15


def merged(raw, correction):
    """What Snakemake makes of a correction that is laid over a configuration."""
    if not isinstance(raw, dict) or not isinstance(correction, dict):
        return (
            correction
            if not isinstance(correction, list) or not isinstance(raw, list)
            else [merged(*pair) for pair in zip(raw, correction, strict=False)]
        )
    return raw | {key: merged(raw.get(key), value) for key, value in correction.items()}


@pytest.mark.parametrize("beam", ["-6", "e", "0", "6,7,0", "6,6", "nan", "6,5,inf", "6,5,0,1", "", "six"])
def test_what_is_no_beam_is_refused(beam):
    image = {"name": "a", "path": "b", "beam": beam}
    text = refusal({"mosaics": {"source": "images", "images": [image]}})
    assert text.splitlines()[1].startswith(f"- mosaics.images.0.beam: {beam!r} is not allowed; the beam ")
    assert load_config({"mosaics": {"source": "images", "images": [image | {"beam": "6,5,-30"}]}})
