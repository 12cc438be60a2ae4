"""The configuration of a run as a file beside its catalogues, to read and to run again."""

import hashlib
from pathlib import Path

import yaml

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.provenance import code_hash
from radiounet.images.writing import atomic
from radiounet.settings.config import Config
from radiounet.settings.urls import public_text

LATER = {"publish", "report", "verify"}
"""Sections that say what is done with finished catalogues."""
CHECKSUM = "# sha256 of the lines below: "


def write_configuration(config: Config, path: str | Path) -> None:
    """Write the settings that catalogues were made with, where they are not the default (YAML).

    Credentials in URLs are left out.
    """
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude=LATER)
    head = f"# version: {__version__}\n# code: {code_hash()}\n# All other settings have their default.\n"
    text = head + public_text(yaml.safe_dump(settings, allow_unicode=True, width=float("inf")))
    with atomic(path) as temporary:
        temporary.write_text(f"{CHECKSUM}{_checksum(text)}\n{text}", encoding="utf-8")


def require_unchanged(path: str | Path) -> None:
    """Make sure that a file is as `write_configuration` left it.

    Raises
    ------
    ConfigError
        It was changed, or written by something else.
    """
    first, _, text = Path(path).read_text(encoding="utf-8").partition("\n")
    if first != f"{CHECKSUM}{_checksum(text)}":
        raise ConfigError(
            f"{path} was changed since the catalogues were made, or made by an older version: "
            "run the workflow again"
        )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
