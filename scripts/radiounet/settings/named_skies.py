"""The skies that networks are trained and measured on, by name."""

from pathlib import Path

from radiounet.settings.simulate import OWN, SimulateOptions
from radiounet.settings.yaml_file import read_yaml

SKY_FOLDER = Path(__file__).with_name("skies")


def read_sky(name: str) -> SimulateOptions:
    """Options of a sky: `OWN`, one to train on, or a shifted one that only measures."""
    if name == OWN:
        return SimulateOptions()
    return SimulateOptions.model_validate(read_yaml(SKY_FOLDER / f"{name}.yaml")["simulate"])
