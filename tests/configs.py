"""Configurations that are refused."""

import pytest

from radiounet.errors import ConfigError
from radiounet.settings.config import load_config


def refusal(raw) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    return str(caught.value)
