"""The unit of a training image says what its truth is."""

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import BadDataError, UnitError
from radiounet.images.image import grid_wcs
from radiounet.learning.pairs import PUBLISHED_NORMALISATION, read_pair
from radiounet.settings.simulate import SimulateOptions
from simulated import edit_pair, write_simulated

SIDE = 64


def write_pair(folder, unit, truth, truth_unit=None, scale=1.0):
    """An image with noise of 1e-9 and its truth, both times `scale`, as far as numbers that are no labels."""
    image = scale * 1e-9 * np.random.default_rng(0).standard_normal((SIDE, SIDE))
    header = grid_wcs(150.0, 40.0, SIDE, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    if unit is not None:
        header["BUNIT"] = unit
    fits.writeto(folder / "image.fits", image.astype(np.float32), header)
    cards = fits.Header({"BUNIT": truth_unit} if truth_unit else {})
    fits.writeto(folder / "truth.fits", truth, cards)
    return f"{folder}/image.fits:{folder}/truth.fits"


def mask():
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[3, 4:7], truth[-5:] = 1, 255
    return truth


def model(scale=1.0):
    truth = np.zeros((SIDE, SIDE), np.float32)
    truth[3, 4:7], truth[8, 8] = scale * 2e-8, scale * 0.5e-8
    return truth


@pytest.mark.parametrize("unit", [None, "", "  "])
@pytest.mark.parametrize("truth", [mask, model])
def test_an_image_without_unit_is_no_training_image(tmp_path, unit, truth):
    path = write_pair(tmp_path, unit, truth())
    with pytest.raises(UnitError, match=r"image\.fits has no BUNIT .*'Jy/beam' .* mask, 'Jy/pixel' .* model"):
        read_pair(path, 0.25)


@pytest.mark.parametrize("unit", ["JY/BEAM", "Jy beam-1", "beam-1 Jy", "Jy/bm", "jybeam-1"])
def test_every_spelling_of_jy_per_beam_has_a_mask(tmp_path, unit):
    pair = read_pair(write_pair(tmp_path, unit, mask()), 0.25)
    assert (pair.classes() == 1).sum() == 3
    assert (pair.classes() == -1).sum() == 5 * SIDE
    assert pair.normalisation is None


@pytest.mark.parametrize(
    "unit", ["JY/PIXEL", "Jy/pix", "Jy pixel-1", "pix-1 Jy", "Jy/px", "jypixel-1", "Jy / Pixels"]
)
def test_every_spelling_of_jy_per_pixel_has_a_model(tmp_path, unit):
    pair = read_pair(write_pair(tmp_path, unit, model()), 0.25)
    assert (pair.classes() == 1).sum() == 3  # above 1e-8 Jy/pixel
    assert pair.normalisation == PUBLISHED_NORMALISATION


def test_multiples_of_the_units_are_brought_to_them(tmp_path):
    for name in ("beam", "pixel", "own"):
        (tmp_path / name).mkdir()
    pair = read_pair(write_pair(tmp_path / "beam", "mJy/beam", mask(), scale=1e3), 0.25)
    assert pair.image.std() == pytest.approx(1e-9, rel=0.05)
    pair = read_pair(write_pair(tmp_path / "pixel", "uJy/pixel", model(1e6), scale=1e6), 0.25)
    assert pair.image.std() == pytest.approx(1e-9, rel=0.05)
    assert (pair.classes() == 1).sum() == 3
    pair = read_pair(write_pair(tmp_path / "own", "Jy/pixel", model(1e3), "mJy/pixel"), 0.25)
    assert (pair.classes() == 1).sum() == 3


@pytest.mark.parametrize(
    ("unit", "truth", "truth_unit", "error", "says"),
    [
        ("Jy", mask(), None, UnitError, "image.fits has BUNIT 'Jy'; .* Jy/beam or Jy/pixel"),
        ("Jy/sr", model(), None, UnitError, "image.fits has BUNIT 'Jy/sr'"),
        ("0 Jy/pixel", model(), None, UnitError, "image.fits has BUNIT '0 Jy/pixel'"),
        ("MJY/BEAM", mask(), None, UnitError, "milli- or megajansky"),
        ("MJY/PIXEL", model(), None, UnitError, "milli- or megajansky"),
        ("Jy/pixel", model(), "Jy/beam", UnitError, "truth.fits has BUNIT 'Jy/beam'; the model"),
        ("Jy/pixel", mask(), None, BadDataError, "truth.fits reaches 255 Jy/pixel: .* a mask belongs"),
        ("Jy/pixel", np.minimum(mask(), 1), None, BadDataError, "truth.fits reaches 1 Jy/pixel"),
    ],
)
def test_a_unit_and_a_truth_that_do_not_belong_together_are_named(
    tmp_path, unit, truth, truth_unit, error, says
):
    with pytest.raises(error, match=says):
        read_pair(write_pair(tmp_path, unit, truth, truth_unit), 0.25)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
@pytest.mark.parametrize(
    ("unit", "truth", "truth_unit"),
    [("Jy/pixel", model, None), ("Jy/pixel", model, "mJy/pixel"), ("Jy/beam", mask, None)],
)
def test_an_infinite_truth_is_refused_in_every_unit(tmp_path, unit, truth, truth_unit, infinite):
    values = truth().astype(np.float32)
    values[0, :2] = infinite
    path = write_pair(tmp_path, unit, values, truth_unit)
    with pytest.raises(BadDataError, match=rf"truth\.fits holds {infinite} in 2 pixels: write NaN"):
        read_pair(path, 0.25)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
@pytest.mark.parametrize("name", ["TRUTH", "RMS"])
def test_an_infinite_truth_of_a_simulated_pair_is_refused(tmp_path, name, infinite):
    path = write_simulated(tmp_path / "p.fits", SimulateOptions(n_px=SIDE))
    plane = fits.getdata(path, name)
    plane[0, 0] = infinite
    edit_pair(path, {name: plane})
    with pytest.raises(BadDataError, match=rf"p\.fits\[{name}\] holds {infinite} in 1 pixels"):
        read_pair(path, 0.25)
