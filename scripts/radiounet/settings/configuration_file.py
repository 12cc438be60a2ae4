"""The configuration of a run as a file beside its catalogues, to read and to run again."""

from pathlib import Path

import yaml

from radiounet import __version__
from radiounet.images.provenance import code_hash
from radiounet.images.writing import atomic
from radiounet.settings.config import Config
from radiounet.settings.urls import public_text

LATER = {"publish", "report", "verify"}
"""Sections that say what is done with finished catalogues."""


def write_configuration(config: Config, path: str | Path) -> None:
    """Write the settings that catalogues were made with, where they are not the default (YAML).

    Credentials in URLs are left out.
    """
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude=LATER)
    head = f"# version: {__version__}\n# code: {code_hash()}\n# All other settings have their default.\n"
    text = yaml.safe_dump(settings, allow_unicode=True, width=float("inf"))
    with atomic(path) as temporary:
        temporary.write_text(head + public_text(text), encoding="utf-8")
