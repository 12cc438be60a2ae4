"""HiPS tiles: where their pixels lie, and their pictures, grey with opacity where not all is known."""

import io

import healpy
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from radiounet.images.geometry import to_pixels
from radiounet.images.image import grid_wcs, open_plane
from radiounet.publishing.between_pixels import between_pixels
from radiounet.publishing.hips import HALVED, has_data, png_bytes, shade, tile_order, tile_pixels, tile_places

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


def test_a_tile_lies_where_healpix_says():
    """The first row of a PNG, the last of FITS, begins with pixel 0; pixel 1 is below it, 2 beside it."""
    nside = 2**7 * 512
    for (y, x), inside in {(511, 0): 0, (510, 0): 1, (511, 1): 2, (510, 1): 3, (0, 511): 512**2 - 1}.items():
        ra, dec = tile_places(7, 20000)
        assert healpy.ang2pix(nside, ra[y, x], dec[y, x], nest=True, lonlat=True) == 20000 * 512**2 + inside


@pytest.mark.parametrize(("dec", "bends"), [(20.0, False), (41.81, True), (-41.81, True), (70.0, False)])
def test_pixels_of_a_tile_are_those_of_every_projection_of_its_own(dec, bends, monkeypatch):
    """Few are projected, but for a tile across the declination where HEALPix bends: there all are."""
    number = int(healpy.ang2pix(2**7, 50.0, dec, nest=True, lonlat=True))
    wcs = grid_wcs(50.3, dec + 0.4, 4000, 4.5)
    expected = to_pixels(wcs, *tile_places(7, number))
    asked = []

    def counting(wcs, ra, dec):
        asked.append(np.size(ra))
        return to_pixels(wcs, ra, dec)

    monkeypatch.setattr("radiounet.publishing.hips.to_pixels", counting)
    np.testing.assert_allclose(tile_pixels(wcs, 7, number), expected, rtol=0, atol=2e-4)
    assert (max(asked) == 512**2) == bends


@pytest.mark.parametrize(
    ("y", "x", "value"),
    [
        (0, 0, 1.0),
        (0.5, 0, 2.0),
        (0, 0.25, 1.25),
        (0.5, 0.5, 2.5),
        (1, 2, np.nan),
        (1, 1.5, np.nan),
        (2, 0, 5.0),
    ],
)
def test_brightness_between_pixels(y, x, value):
    """By hand, also on the last row; a blank neighbour leaves nothing."""
    plane = np.array([[1, 2, np.nan], [3, 4, np.nan], [5, 6, 7]], np.float32)
    np.testing.assert_array_equal(between_pixels(plane, np.array([y], float), np.array([x], float)), [value])
    alone = np.array([[8]], np.float32)
    assert between_pixels(alone, np.zeros(1), np.zeros(1)) == 8


@pytest.mark.parametrize("layer", ["image", "probability", "mask", None])
@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_one_pixel_of_data_anywhere_in_a_tile_is_seen(tmp_path, layer, corner):
    """At each corner of the tile, in each layer alone; a tile of blank sky has none."""
    wcs = grid_wcs(50.0, 20.0, 1200, 4.5)
    number = int(healpy.ang2pix(2**7, 50.0, 20.0, nest=True, lonlat=True))
    x, y = (float(one[corner]) for one in to_pixels(wcs, *tile_places(7, number)))
    header = wcs.to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    planes = {}
    for kind, blank in (("image", np.nan), ("probability", np.nan), ("mask", 255)):
        plane = np.full((1200, 1200), blank, np.uint8 if kind == "mask" else np.float32)
        if kind == layer:
            plane[round(y), round(x)] = 1
        fits.writeto(tmp_path / f"{kind}.fits", plane, header)
        planes[kind] = open_plane(tmp_path / f"{kind}.fits", brightness=False)
    assert has_data(planes, 7, number) == (layer is not None)


def test_a_coarse_tile_by_hand():
    """Of four pixels: diffuse if one is, blank if all are, the mean of those with data."""
    mask = np.array([[0, 1, 255, 255], [0, 0, 255, 0], [255, 255, 1, 1], [255, 255, 255, 1]], np.uint8)
    np.testing.assert_array_equal(HALVED["mask"](mask), [[1, 0], [255, 1]])
    image = np.array([[1, 2, np.nan, np.nan], [3, np.nan, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(HALVED["image"](image), [[2, np.nan]])


@pytest.mark.parametrize(("pixel_arcsec", "order"), [(1e6, 3), (7, 6), (6, 7), (4.5, 7), (3, 8), (0.1, 8)])
def test_the_order_whose_pixels_are_as_fine_as_those_of_the_mosaics(pixel_arcsec, order):
    """A HiPS pixel of order 6 is 6.44 arcsec wide, half of that in each further order; from 3 to 8."""
    assert tile_order(pixel_arcsec) == order
