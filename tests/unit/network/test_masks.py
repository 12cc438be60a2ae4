import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from skimage.morphology import remove_small_objects

from models import tiny_card
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.network.masks import finish_maps, make_mask
from radiounet.settings.segmentation import Segmentation


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_threshold_itself_is_in(threshold):
    below = np.nextafter(np.float32(threshold), np.float32(0))
    probability = np.array([[threshold, below]], np.float32)
    assert make_mask(probability, threshold, 1).tolist() == [[1, 0]]


def test_small_islands_are_those_of_scikit_image():
    probability = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((300, 300)), 3)
    probability = ((probability + 0.4) / 0.8).astype(np.float32)
    above = probability >= np.float32(0.68)
    expected = remove_small_objects(above, max_size=22, connectivity=2)
    assert 0 < expected.sum() < above.sum()
    np.testing.assert_array_equal(make_mask(probability, 0.68, 22.38) == 1, expected)


def test_diagonal_neighbours_are_one_island():
    probability = np.zeros((6, 6), np.float32)
    probability[[1, 2, 3], [1, 2, 3]] = 0.9
    probability[5, 5] = 0.9
    mask = make_mask(probability, 0.5, 3)
    assert np.argwhere(mask == 1).tolist() == [[1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize(("min_area_px", "kept"), [(0, 5), (2, 5), (2.5, 3), (3, 3), (3.1, 0)])
def test_islands_below_the_area_are_dropped(min_area_px, kept):
    probability = np.zeros((10, 10), np.float32)
    probability[1, 1:4] = 0.9
    probability[5, 5:7] = 0.9
    assert (make_mask(probability, 0.5, min_area_px) == 1).sum() == kept


def test_the_least_area_is_that_of_the_beam_of_the_unit(tmp_path):
    """Of 20", 22.4 px; that which the image was made with, 40", has 89.5 px."""
    data = np.ones((60, 60), np.float32)
    plane = Plane(data, grid_wcs(150.0, 40.0, 60, 4.5), Beam(20, 20), Beam(40, 40))
    image, probability_path, mask_path = (str(tmp_path / f"{name}.fits") for name in "ipm")
    fits.writeto(image, data, plane.header())
    probability = np.zeros(data.shape, np.float32)
    probability[10:16, 10:16] = 0.9  # 36 px
    probability[40:44, 40:45] = 0.9  # 20 px
    made = {"image_sha256": "0", "input_sha256": "0", "mode": "exact", "precision": "float32"}
    options = Segmentation(min_island_beams=1.0)
    finish_maps(plane, image, probability, [], made, tiny_card(), options, probability_path, mask_path)
    mask = fits.getdata(mask_path)
    assert (mask == 1).sum() == (mask[10:16, 10:16] == 1).sum() == 36


def test_no_data_is_255():
    probability = np.full((4, 5), 0.9, np.float32)
    probability[1] = np.nan
    mask = make_mask(probability, 0.5, 6)
    assert mask.dtype == np.uint8
    assert mask[:, 0].tolist() == [0, 255, 1, 1]  # NaN parts islands: 5 px are too few, 10 are not


def test_nothing_above_the_threshold():
    assert make_mask(np.zeros((3, 3), np.float32), 0.5, 0).tolist() == [[0] * 3] * 3


def test_an_island_must_reach_the_peak_and_then_keeps_its_faint_part():
    probability = np.array([[0.3, 0.9, 0.0, 0.6, 0.3]], np.float32)
    assert make_mask(probability, 0.3, 1, 0.9).tolist() == [[1, 1, 0, 0, 0]]
    assert make_mask(probability, 0.3, 1, 0.6).tolist() == [[1, 1, 0, 1, 1]]
    assert make_mask(probability, 0.3, 1).tolist() == [[1, 1, 0, 1, 1]]
