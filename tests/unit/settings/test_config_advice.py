"""What a refusal of the configuration tells to write can be written."""

import pytest
import yaml

from configs import refusal
from radiounet.settings.config import load_config


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
        {"segmentation": None},
    ],
)
def test_advice_for_a_wrong_value_can_be_used_as_it_is(raw):
    assert load_config(merged(raw, corrected(refusal(raw))))


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
