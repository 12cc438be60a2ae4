"""A training takes the files that an evaluation takes, and refuses truths of other pixels."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import CelestialError, NotFitsError, ShapeMismatchError
from radiounet.images.image import grid_wcs
from radiounet.learning.pairs import check_pairs, read_pair
from radiounet.learning.scenes import read_scene
from radiounet.settings.simulate import SimulateOptions
from simulated import write_simulated

SIDE = 64


def header(unit=None, x_px=0.0, mirrored=False):
    """Cards of a grid, which may be shifted along x, or have east on the right."""
    wcs = grid_wcs(150.0, 40.0, SIDE, 4.5)
    wcs.wcs.crpix[0] += x_px
    if mirrored:
        wcs.wcs.cdelt[0] *= -1
    cards = wcs.to_header()
    if unit:
        cards.update(BUNIT=unit, BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    return cards


def write_pair(folder, unit="Jy/beam", truth_header=None):
    """Noise and one square of emission, with labels for an image in Jy/beam, a model for one in Jy/pixel."""
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[20:24, 30:36] = 1
    image = truth * 1e-7 + 1e-9 * np.random.default_rng(0).standard_normal((SIDE, SIDE))
    fits.writeto(folder / "image.fits", image.astype(np.float32), header(unit))
    model = truth if unit == "Jy/beam" else (truth * 1e-7).astype(np.float32)
    fits.writeto(folder / "truth.fits", model, header() if truth_header is None else truth_header)
    return f"{folder}/image.fits:{folder}/truth.fits"


def in_extension(path):
    with fits.open(path) as hdus:
        moved = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(hdus[0].data, hdus[0].header)])
        moved.writeto(path, overwrite=True)


def in_tiles(path):
    with fits.open(path) as hdus:
        packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="GZIP_1", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path, overwrite=True)


def with_axes_of_one(path):
    with fits.open(path) as hdus:
        fits.writeto(path, hdus[0].data[None, None], hdus[0].header, overwrite=True)


def zipped(path):
    Path(path).write_bytes(gzip.compress(Path(path).read_bytes()))


@pytest.mark.parametrize("unit", ["Jy/beam", "Jy/pixel"])
@pytest.mark.parametrize("which", ["image", "truth"])
@pytest.mark.parametrize("store", [in_extension, in_tiles, with_axes_of_one, zipped])
def test_however_its_files_are_stored_a_pair_is_the_same(tmp_path, unit, which, store):
    path = write_pair(tmp_path, unit)
    plain, of_plain = read_pair(path, 0.25), check_pairs([path], SIDE)
    assert (plain.classes() == 1).sum() == 24
    store(tmp_path / f"{which}.fits")
    pair = read_pair(path, 0.25)
    np.testing.assert_array_equal(pair.image, plain.image)
    np.testing.assert_array_equal(pair.truth, plain.truth)
    assert check_pairs([path], SIDE) == of_plain
    with pytest.raises(ShapeMismatchError, match="64 px wide, less than a crop of 80 px"):
        check_pairs([path], 80)
    if unit == "Jy/beam":
        np.testing.assert_array_equal(read_scene(path, 0.25).mask, pair.classes() == 1)


@pytest.mark.parametrize("unit", ["Jy/beam", "Jy/pixel"])
@pytest.mark.parametrize("wrong", [{"x_px": 10.0}, {"x_px": -0.5}, {"mirrored": True}])
def test_a_truth_on_another_grid_of_the_sky_is_refused(tmp_path, unit, wrong):
    path = write_pair(tmp_path, unit, header(**wrong))
    readers = [lambda: read_pair(path, 0.25), lambda: check_pairs([path], SIDE)]
    if unit == "Jy/beam":
        readers.append(lambda: read_scene(path, 0.25))
    for read in readers:
        with pytest.raises(ShapeMismatchError, match=r"truth\.fits and .* differ in their coordinates"):
            read()


@pytest.mark.parametrize("unit", ["Jy/beam", "Jy/pixel"])
def test_a_truth_without_axes_is_refused_where_the_image_has_latitude_first(tmp_path, unit):
    """Nothing says whether it lies as the image does in its file, or as the image is read."""
    path = write_pair(tmp_path, unit, fits.Header())
    image, truth = path.split(":")
    with fits.open(image, mode="update") as hdus:
        cards = hdus[0].header
        for key in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
            cards[f"{key}1"], cards[f"{key}2"] = cards[f"{key}2"], cards[f"{key}1"]
    readers = [lambda: read_pair(path, 0.25), lambda: check_pairs([path], SIDE)]
    if unit == "Jy/beam":
        readers.append(lambda: read_scene(path, 0.25))
    for read in readers:
        with pytest.raises(
            ShapeMismatchError, match=r"image\.fits has latitude along its first axis, and .*truth"
        ):
            read()
    with fits.open(truth, mode="update") as hdus:  # both say it: they lie alike
        hdus[0].header.update(
            {key: cards[key] for key in cards if key[:5] in ("CTYPE", "CRVAL", "CRPIX", "CDELT")}
        )
    assert (read_pair(path, 0.25).image[read_pair(path, 0.25).classes() == 1] > 5e-8).all()


@pytest.mark.parametrize("unit", ["Jy/beam", "Jy/pixel"])
def test_a_truth_that_tells_no_place_has_the_pixels_of_its_image(tmp_path, unit):
    path = write_pair(tmp_path, unit, fits.Header())
    assert (read_pair(path, 0.25).classes() == 1).sum() == 24
    fits.writeto(tmp_path / "truth.fits", np.zeros((SIDE, 60), np.uint8), overwrite=True)
    for read in (lambda: read_pair(path, 0.25), lambda: check_pairs([path], 32)):
        with pytest.raises(ShapeMismatchError, match=r"truth\.fits has \(64, 60\) pixels .* \(64, 64\)"):
            read()


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (np.zeros((2, SIDE, SIDE), np.uint8), ShapeMismatchError, "one plane"),
        (None, CelestialError, "no image"),
    ],
)
def test_a_truth_without_its_one_plane_is_named(tmp_path, data, error, says):
    path = write_pair(tmp_path)
    fits.PrimaryHDU(data).writeto(tmp_path / "truth.fits", overwrite=True)
    for read in (lambda: read_pair(path, 0.25), lambda: check_pairs([path], SIDE)):
        with pytest.raises(error, match=rf"truth\.fits.*{says}"):
            read()
    (tmp_path / "truth.fits").write_text("<html>")
    with pytest.raises(NotFitsError, match=r"truth\.fits"):
        check_pairs([path], SIDE)


def test_sets_of_packed_files_are_told_apart(tmp_path):
    hashes = set()
    for seed in (1, 2):
        write_simulated(tmp_path / f"{seed}.fits", SimulateOptions(n_px=SIDE), seed)
        hashes.add(check_pairs([f"{tmp_path}/{seed}.fits"], SIDE))
        zipped(tmp_path / f"{seed}.fits")
        hashes.add(check_pairs([f"{tmp_path}/{seed}.fits"], SIDE))
    assert len(hashes) == 2
