"""Sizes of islands wherever they lie on the sky."""

from types import SimpleNamespace

import numpy as np
import pytest

from radiounet.images.image import grid_wcs
from radiounet.measuring.shapes import on_sky_arcmin


@pytest.mark.parametrize("away_px", [0.3, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_offsets_beside_a_pole_are_as_long_as_anywhere(away_px, pole):
    plane = SimpleNamespace(wcs=grid_wcs(0.0, pole, 400, 4.5))  # the pole is pixel 199
    cutout = SimpleNamespace(origin=np.zeros(2), mosaic=SimpleNamespace(plane=plane))
    for angle in (0.0, 0.8, 2.0):
        place = 199 + away_px * np.array([np.cos(angle), np.sin(angle)])
        offsets = on_sky_arcmin(cutout, np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), place)
        lengths = np.hypot(*offsets) / (4.5 / 60)
        np.testing.assert_allclose(lengths, [1, 1, np.sqrt(2)], rtol=1e-6)
