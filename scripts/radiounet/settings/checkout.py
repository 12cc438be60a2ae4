"""The checkout that the package runs from, for what is not part of the package."""

import os
from pathlib import Path

from platformdirs import user_data_path

CHECKOUT = Path(__file__).resolve().parents[3]
"""Folder of the checkout; any folder where the package was installed from a wheel."""

MODELS_VARIABLE = "RADIOUNET_MODELS"
"""Environment variable that names another folder of models."""


def models_folder() -> Path:
    """Folder of the models that are given by name.

    The environment variable `MODELS_VARIABLE` names it; otherwise it is ``resources/models``
    of a checkout, and without one a folder of the user's.
    """
    if given := os.environ.get(MODELS_VARIABLE):
        return Path(given)
    if (CHECKOUT / "Snakefile").is_file():
        return CHECKOUT / "resources" / "models"
    return user_data_path("radiounet") / "models"
