"""Diffuse radio emission in the LOFAR Two-metre Sky Survey with Radio U-Net.

Rooms, from the highest to the lowest; none imports from one above it or beside it:

- `radiounet.running`: the run and its job graph
- `radiounet.publishing`: what people read; `radiounet.learning`: training and evaluation
- `radiounet.measuring`: catalogues; `radiounet.simulation`: the simulated sky
- `radiounet.network`: from image to mask
- `radiounet.mosaicking`: from fields to mosaics
- `radiounet.survey`: releases, archive, cluster catalogues
- `radiounet.settings`: the configuration
- `radiounet.images`: planes and products

`radiounet.errors` serves them all.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

if platform.machine() == "x86_64":
    # TensorFlow reads this once, when it is imported. By itself it uses the faster convolutions of
    # oneDNN only on processors with AVX512_VNNI, which many of AMD lack.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

try:
    __version__ = version("radiounet")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"

__all__ = [
    "errors",
    "images",
    "learning",
    "measuring",
    "mosaicking",
    "network",
    "publishing",
    "running",
    "settings",
    "simulation",
    "survey",
]
