"""Configurations that are refused."""

import pytest

from radiounet.config import load_config
from radiounet.errors import ConfigError


def refusal(raw) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    return str(caught.value)
