"""What a network is trained on is what it sees in use, also of real images with a background."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

import simulated
from labelled_images import N_PX, write_image
from radiounet.errors import BadDataError
from radiounet.images.image import read_plane
from radiounet.learning import hard_negatives
from radiounet.learning.crops import NORMALISATIONS, Crops, fixed_crops
from radiounet.learning.pairs import read_pair
from radiounet.network.model_cards import FlatNormalisation, network_input
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import LOTSS_GRID, TrainOptions

BEAM_PX = LOTSS_GRID.beam_arcsec / LOTSS_GRID.pixel_arcsec
NOISE = 1e-4
WHOLE = TrainOptions(
    crop_px=N_PX,
    tile_px=N_PX,
    core_px=N_PX // 2,
    batch=1,
    added_noise_rms=(0, 0),
    noise_scale=(1, 1),
)
"""Crops of whole images."""


@pytest.fixture
def pair(tmp_path):
    """An image of noise in a bowl, and its labels."""
    image = tmp_path / "a.fits"
    write_image(image)
    with fits.open(image, mode="update") as hdus:
        hdus[0].data -= np.float32(4 * NOISE)
    label = np.zeros((N_PX, N_PX), np.uint8)
    label[50:60, 50:60] = 1
    fits.writeto(tmp_path / "a.mask.fits", label)
    return f"{image}:{tmp_path}/a.mask.fits"


def turns(plane):
    return [one for flipped in (plane, plane[:, ::-1]) for one in (np.rot90(flipped, k) for k in range(4))]


@pytest.mark.parametrize("name", [*NORMALISATIONS])
def test_a_labelled_image_is_trained_on_as_inference_shows_it(pair, name):
    options = WHOLE.model_copy(update={"normalisation": name})
    image = read_plane(pair.split(":")[0]).data
    seen = network_input(NORMALISATIONS[name], image, BEAM_PX)
    if name == "asinh_snr":
        assert abs(np.median(seen)) < 0.2  # of the noise: -2.1 with the bowl
    drawn = [fixed_crops([pair], options, 1)[0][0], Crops([pair], options).batch(0)[0]]
    for (crop,) in drawn:
        assert any(np.array_equal(crop[..., 0], one) for one in turns(seen))


def test_a_simulated_image_is_trained_on_as_it_is(tmp_path):
    """No background is taken away from what the simulation draws."""
    path = simulated.write_simulated(tmp_path / "a.fits", SimulateOptions(n_px=N_PX))
    pair = read_pair(path, 0.25)
    ((crop,), _), *_ = fixed_crops([path], WHOLE, 1)
    seen = NORMALISATIONS["asinh_snr"](pair.image, pair.rms)
    assert any(np.array_equal(crop[..., 0], one) for one in turns(seen))


@pytest.mark.parametrize("wanted", [*NORMALISATIONS.values(), FlatNormalisation(kind="asinh_flat")])
def test_false_islands_are_those_of_inference(pair, wanted):
    shown = []

    def look(plane, tile_px, core_px):
        shown.append(plane)
        return np.zeros_like(plane)

    card = SimpleNamespace(
        normalisation=wanted,
        tile_px=64,
        core_px=32,
        beam_arcsec=20.0,
        pixel_arcsec=4.5,
        threshold=0.5,
        peak=None,
    )
    found = hard_negatives._false_islands(SimpleNamespace(plane=look), card, pair, 0.25, LOTSS_GRID)
    assert len(found) == 0
    image = read_plane(pair.split(":")[0]).data
    np.testing.assert_array_equal(shown[0], network_input(wanted, image, BEAM_PX))


def test_a_simulated_image_without_a_beam_is_named(tmp_path):
    path = simulated.write_simulated(tmp_path / "a.fits", SimulateOptions(n_px=N_PX))
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["BMAJ"]
    with pytest.raises(BadDataError, match="a.fits has no BMAJ in its header, the FWHM of its beam"):
        read_pair(path, 0.25)
