"""The picture of two mosaics that are compared with each other."""

import numpy as np
import pytest
from astropy.io import fits
from matplotlib.colors import to_hex

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.mosaicking.comparison import _extremes, compare_mosaics


def test_extremes_are_the_values_farthest_from_zero():
    nan = np.nan
    plane = np.array([[1, -2, nan, nan, 3], [0, 1, nan, nan, -3], [-1, nan, 4, -5, 0]], np.float32)
    # of the last blocks there are fewer pixels; of two that are as far, the negative one
    np.testing.assert_array_equal(_extremes(plane, 2), [[-2, nan, -3], [-1, -5, 0]])
    np.testing.assert_array_equal(_extremes(plane, 1), plane)


@pytest.mark.parametrize("shape", [(900, 2100), (2100, 900), (300, 300)])
def test_a_difference_of_one_pixel_is_seen(shape, tmp_path, monkeypatch):
    drawn, paths = [], []
    monkeypatch.setattr(
        "radiounet.mosaicking.comparison.save_figure", lambda figure, path, dpi: drawn.append(figure)
    )
    monkeypatch.setattr("radiounet.mosaicking.comparison.atomic", lambda path: pytest.MonkeyPatch.context())
    noise = np.random.default_rng(1).normal(0, 1e-5, shape).astype(np.float32)
    noise[:40] = np.nan
    for name, peak in (("ours", 1e-3), ("published", 0.0)):
        data = noise.copy()
        data[101, 107] += peak
        paths.append(str(tmp_path / f"{name}.fits"))
        plane = Plane(data, grid_wcs(150.0, 35.0, shape[1], 4.5), Beam(20, 20))
        fits.writeto(paths[-1], data, plane.header())
    compare_mosaics(*paths, str(tmp_path / "out"))
    (figure,) = drawn
    view = figure.axes[0]
    shown = np.asarray(view.images[0].get_array().filled(np.nan))
    assert max(shown.shape) <= 1000
    assert np.nanmax(shown) == pytest.approx(1.0, rel=1e-3)  # mJy/beam
    step = -(-max(shape) // 1000)
    assert np.argwhere(shown > 0.5).tolist() == [[101 // step, 107 // step]]
    assert ("extremes of 3 x 3 pixels" in view.get_title()) is (step == 3)
    assert to_hex(view.get_facecolor()) == "#888888"
    assert (*view.get_xlim(), *view.get_ylim()) == (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
