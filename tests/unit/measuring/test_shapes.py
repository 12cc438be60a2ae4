"""Sizes of islands wherever they lie on the sky."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.measuring.cutouts import MeasuredMosaic, beam_covariance, cut_out, shape_covariance
from radiounet.measuring.shapes import island_shape, on_sky_arcmin, smoothed_snr


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


def gaussian(n_px, covariance):
    """Gaussian of a covariance in the middle of a square, its peak 1."""
    offsets = np.stack(np.mgrid[:n_px, :n_px] - (n_px - 1) / 2, axis=-1)
    return np.exp(-0.5 * np.einsum("...i,ij,...j", offsets, np.linalg.inv(covariance), offsets))


@pytest.mark.parametrize("frame", ["RA---SIN DEC--SIN", "GLON-SIN GLAT-SIN"])
@pytest.mark.parametrize("beam", [Beam(35, 35), Beam(60, 20, 120), Beam(60, 20, 30), Beam(60, 20, 75)])
def test_the_width_is_without_the_beam_that_lies_across(beam, frame):
    """Of Gaussians 360" long and 60" wide as they are without the beam."""
    wcs = grid_wcs(150.0, 40.0, 301, 4.5)
    wcs.wcs.ctype = frame.split()
    wcs.wcs.radesys = "ICRS" if frame.startswith("RA") else ""
    wcs.wcs.set()
    plane = Plane(np.zeros((301, 301), np.float32), wcs, Beam(20, 20), beam)
    light = gaussian(
        301, shape_covariance(plane, 150, 150, Beam(360, 60, 120)) + beam_covariance(plane, 150, 150)
    )
    mask = (light > 1e-4).astype(np.uint8)
    plane.data[...] = light + 1e-2 * np.random.default_rng(1).standard_normal(light.shape)
    mosaic = MeasuredMosaic.of(plane, 0.9 * mask.astype(np.float32), mask)
    cutout = replace(cut_out(mosaic, np.s_[0:301, 0:301]), residual=light, filled=light)  # nothing taken away
    assert 60 * island_shape(cutout, mask == 1).width_arcmin == pytest.approx(60, rel=0.02)


def test_an_image_is_smoothed_to_a_beam_of_both_axes_twice_as_long():
    covariance = np.array([[30.0, 14.0], [14.0, 16.0]])
    beam = gaussian(161, covariance)
    found = smoothed_snr(SimpleNamespace(covariance=covariance, filled=beam, rms=np.ones_like(beam)))
    # a quarter of the peak, over half of the noise
    np.testing.assert_allclose(found, 0.5 * gaussian(161, 4 * covariance), atol=1e-4)


def shape_of(light, level=0.0, size=61):
    """Shape of the pixels that have light, in the middle of an empty image; `level` is that of the others."""
    light = np.asarray(light, float)
    image, mask = np.full((size, size), level), np.zeros((size, size), np.uint8)
    part = tuple(slice(size // 2 - side // 2, size // 2 - side // 2 + side) for side in light.shape)
    image[part], mask[part] = light, light != 0
    plane = Plane(np.zeros((size, size), np.float32), grid_wcs(150.0, 40.0, size, 4.5), Beam(20, 20))
    plane.data[...] = 1e-4 * np.random.default_rng(1).standard_normal(image.shape)
    mosaic = MeasuredMosaic.of(plane, 0.9 * mask.astype(np.float32), mask)
    return island_shape(replace(cut_out(mosaic, np.s_[0:size, 0:size]), filled=image), mask == 1)


@pytest.mark.parametrize(
    ("light", "ratio", "angle_deg"),
    [
        ([[1]], 1, np.nan),
        (np.ones((5, 5)), 1, np.nan),
        ([[1, 1]], 2, 90),  # a rectangle of 2 px has the ratio of its sides
        ([[1], [1]], 2, 0),
        (np.ones((1, 40)), 40, 90),
        (np.ones((30, 20)), 1.5, 0),
        (np.eye(3), np.sqrt(17), 135),  # along it 4/3 and 1/12, across it 1/12
        ([[3, 1]], np.sqrt(3.25), 90),  # along it 3/16 and 1/12
        ([[2, -1, -1], [-1, -1, -1]], 1, np.nan),  # one pixel above the level of the sky
    ],
)
def test_the_smallest_islands_have_the_shape_of_their_pixels(light, ratio, angle_deg):
    shape = shape_of(light)
    assert shape.axis_ratio == pytest.approx(ratio, rel=1e-4)
    assert shape.axis_ratio >= 1
    if np.isnan(angle_deg):
        assert np.isnan(shape.angle_deg)
    else:
        assert (shape.angle_deg - angle_deg + 90) % 180 - 90 == pytest.approx(0, abs=0.01)
    if min(np.shape(light)) < 4:
        assert shape.width_arcmin == 0  # narrower than the beam


def test_the_width_is_without_the_variance_of_a_pixel():
    """A Gaussian of 60" x 30" under a beam of 20"; its pixels of 4.5" would make it 0.5026' wide."""
    sigma_px = np.sqrt([60**2 + 20**2, 30**2 + 20**2]) / np.sqrt(8 * np.log(2)) / 4.5
    light = gaussian(61, np.diag(sigma_px**2))
    shape = shape_of(np.where(light > 1e-5, light, 0))
    assert shape.width_arcmin == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("level", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("width_arcsec", [60, 120])
def test_the_width_is_that_of_the_whole_where_an_island_ends_at_an_isophote(width_arcsec, level):
    """The edge has a width: the level is that of half a beam inside."""
    width = np.hypot(width_arcsec, 20) / np.sqrt(8 * np.log(2)) / 4.5
    light = gaussian(121, np.diag(np.array([2.0, 1.0]) ** 2 * width**2))
    shape = shape_of(np.where(light > level, light, 0), size=121)
    assert 60 * shape.width_arcmin == pytest.approx(width_arcsec, rel=0.16)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.3, 0.5])
def test_what_is_not_resolved_has_no_width_wherever_its_island_ends(level):
    light = gaussian(61, np.diag(np.array([60.0, 20.0]) / np.sqrt(8 * np.log(2)) / 4.5) ** 2)
    assert shape_of(np.where(light > level, light, 0)).width_arcmin == 0


def test_the_extent_is_that_of_the_pixels():
    assert shape_of(np.ones((4, 5))).extent_arcmin == pytest.approx((1 + 5) * 4.5 / 60, rel=1e-5)
