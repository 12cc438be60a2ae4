"""Pictures of HiPS tiles: grey alone where all is known, grey and opacity where it is not."""

import io

import numpy as np
import pytest
from PIL import Image

from radiounet.publishing.hips import png_bytes, shade

RMS_JY = 1e-4


@pytest.mark.parametrize("layer", ["image", "probability"])
@pytest.mark.parametrize("blank", [False, True])
def test_a_picture_shows_the_shade_of_its_tile(layer, blank):
    plane = np.random.default_rng(1).random((64, 64)).astype(np.float32)
    if layer == "image":
        plane *= 50 * RMS_JY
    if blank:
        plane[3, 5] = np.nan
    picture = Image.open(io.BytesIO(png_bytes(layer, plane, RMS_JY)))
    grey, opacity = np.moveaxis(shade(layer, plane, RMS_JY), -1, 0)
    assert picture.mode == ("LA" if blank else "L")
    shown = np.array(picture)[::-1]  # the first row of a PNG is the last one of FITS
    np.testing.assert_array_equal(shown[..., 0] if blank else shown, grey)
    np.testing.assert_array_equal(opacity == 0, np.isnan(plane))
    if blank:
        np.testing.assert_array_equal(shown[..., 1], opacity)
