import threading

import numpy as np
import pytest
from astropy.io import fits
from pydantic import ValidationError

import simulated
from radiounet.errors import (
    BadDataError,
    ConfigError,
    GridError,
    NotFitsError,
    ShapeMismatchError,
    TruncatedError,
    UnitError,
)
from radiounet.images.image import grid_wcs
from radiounet.images.noise import local_rms
from radiounet.learning import crops as crops_module
from radiounet.learning import pairs as module
from radiounet.learning.crops import Crops, draw_crop, fixed_crops
from radiounet.learning.learning_curve import origin_of
from radiounet.learning.pairs import Pair, check_pairs, read_pair
from radiounet.network.model_cards import AsinhNormalisation, LogNormalisation
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import LOTSS_GRID, ImageGrid, TrainOptions, pair_files
from radiounet.simulation.simulate import simulate_pair
from simulated import edit_pair
from wide import CROWDED

OPTIONS = TrainOptions(
    crop_px=32,
    tile_px=32,
    core_px=16,
    batch=4,
    steps=40,
    buffer=3,
    diffuse_scale=(1, 1),
    added_noise_rms=(0, 0),
    noise_scale=(1, 1),
)
SIDE = 64
SKY = SimulateOptions(n_px=SIDE)


def planes(seed=0):
    """Image with noise of 1e-4 Jy/beam and a blank corner, truth with one bright rectangle."""
    truth = np.zeros((SIDE, SIDE), np.float32)
    truth[20:24, 30:36] = 1e-3
    image = truth + 1e-4 * np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(np.float32)
    image[:5, :7] = np.nan
    return image, truth


def write_simulated(path, seed=0, leave_out=None, rms_side=SIDE, **cards):
    """A pair of the simulator with the pixels of `planes`."""
    simulated.write_simulated(path, SKY)
    image, truth = planes(seed)
    pixels = {"PRIMARY": image, "TRUTH": truth, "RMS": np.full((rms_side, SIDE), 1e-4)}
    edit_pair(path, pixels, **cards)
    if leave_out:
        with fits.open(path, mode="update") as hdus:
            del hdus[leave_out]
    return str(path)


def write_published(folder, unit="Jy/pixel", side=SIDE, truth_side=None):
    truth = np.zeros((truth_side or side, side), np.float32)
    truth[1, :2] = 2e-8, 0.5e-8
    image = (1e-8 * (1 + 1e-3 * np.random.default_rng(0).standard_normal((side, side)))).astype(np.float32)
    hdu = fits.PrimaryHDU(image[None, None])  # radio images often come with four axes
    if unit:
        hdu.header["BUNIT"] = unit
    hdu.writeto(folder / "image.fits")
    fits.PrimaryHDU(truth).writeto(folder / "truth.fits")
    return f"{folder}/image.fits:{folder}/truth.fits"


def write_labelled(folder, label, pixel_arcsec=4.5, unit="Jy/beam"):
    header = grid_wcs(10.0, 30.0, SIDE, pixel_arcsec).to_header()
    header.update(BUNIT=unit, BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    fits.PrimaryHDU(planes()[0], header).writeto(folder / "image.fits")
    fits.PrimaryHDU(label).writeto(folder / "label.fits")
    return f"{folder}/image.fits:{folder}/label.fits"


@pytest.mark.parametrize("folder", ["plain", "run:1", "a:b:c", ":", "a.fits:b.fits"])
def test_a_colon_may_belong_to_a_path(tmp_path, folder):
    there = tmp_path / folder
    there.mkdir()
    one = write_simulated(there / "sim:1.fits")
    assert pair_files(one) == (one,)
    pair = write_published(there)
    assert pair_files(pair) == (f"{there}/image.fits", f"{there}/truth.fits")
    (there / "c.ecsv").touch()
    assert pair_files(f"{pair}:{there}/c.ecsv") == (*pair_files(pair), f"{there}/c.ecsv")
    assert read_pair(one, 0.25).scalable
    assert not read_pair(pair, 0.25).scalable
    assert check_pairs([one], 16) != check_pairs([pair], 16)
    assert origin_of([one, pair])["set"].endswith("; images given with their truth")
    # the one that is missing is named
    with pytest.raises(NotFitsError, match=f"there is no file {there}/no.fits"):
        read_pair(f"{there}/image.fits:{there}/no.fits", 0.25)


def test_a_pair_that_can_be_read_in_two_ways_is_refused(tmp_path):
    for name in ("a", "b:c", "a:b", "c"):
        (tmp_path / name).touch()
    root = tmp_path
    assert pair_files(f"{root}/a:{root}/b:c") == (f"{root}/a", f"{root}/b:c")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=r"can be read as \('a', 'b:c'\) or as \('a:b', 'c'\)"):
            pair_files("a:b:c")


def test_clusters_are_no_part_of_a_pair_to_train_on(tmp_path):
    (tmp_path / "c.ecsv").touch()
    with pytest.raises(ConfigError, match="not 3 files"):
        read_pair(f"{write_published(tmp_path)}:{tmp_path}/c.ecsv", 0.25)


def test_a_simulated_pair(tmp_path):
    pair = read_pair(write_simulated(tmp_path / "p.fits"), 0.3)
    image, truth = planes()
    np.testing.assert_array_equal(pair.image, image)
    np.testing.assert_array_equal(pair.rms, local_rms(image))
    np.testing.assert_allclose(pair.level, 3e-5, rtol=1e-6)
    assert pair.scalable
    assert pair.survey_beam
    classes = pair.classes()
    assert (classes[20:24, 30:36] == 1).all()
    assert (classes == 1).sum() == 24
    assert (classes[:5, :7] == -1).all()
    assert (classes == -1).sum() == 35
    assert sorted({*map(tuple, pair.targets)}) == [(y, x) for y in range(20, 24) for x in range(30, 36)]
    assert {a.dtype for a in (pair.image, pair.rms, pair.truth, pair.level)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("coarse", "blank"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_a_pair_as_the_simulator_left_it(tmp_path, seed, coarse, blank):
    sky = CROWDED.model_copy(update={"coarse_fraction": coarse, "blank_fraction": blank})
    pair = read_pair(simulated.write_simulated(tmp_path / "p.fits", sky, seed), 0.3)
    made = simulate_pair(sky, seed)
    np.testing.assert_array_equal(pair.image, made.image)
    np.testing.assert_array_equal(pair.truth, made.truth)
    diffuse, known = made.truth > np.float32(0.3) * made.rms, np.isfinite(made.image)
    assert diffuse[known].any()
    np.testing.assert_array_equal(pair.classes(), np.where(known, diffuse, -1))
    assert {*map(tuple, pair.targets.tolist())} <= {*zip(*np.nonzero(diffuse & known), strict=True)}
    assert pair.survey_beam == (coarse == 0)


def test_targets_favour_small_patches(tmp_path):
    truth = np.zeros((64, 64), np.float32)
    truth[:2, :2] = truth[20:40, 20:40] = 1
    targets = module._targets(np.zeros_like(truth), truth, np.float32(0.5))
    assert len(targets) == module.TARGETS
    assert (truth[tuple(targets.T)] > 0).all()
    # patches of 4 and 400 px weigh 2 and 20; by pixels it would be 1 in 101
    assert (targets < 2).all(axis=1).mean() == pytest.approx(2 / 22, abs=0.03)


@pytest.mark.parametrize("unit", ["Jy/pixel", "JY/PIXEL", "Jy pix-1"])
def test_a_published_pair_brings_its_own_log10_range(tmp_path, unit):
    pair = read_pair(write_published(tmp_path, unit), 0.3)
    assert pair.image.shape == (SIDE, SIDE)
    assert {*map(tuple, pair.targets.tolist())} == {(1, 0)}  # above 1e-8 Jy/pixel, the second pixel is not
    assert not pair.scalable
    changes = {"diffuse_scale": (2, 2), "added_noise_rms": (1, 1), "noise_scale": (2, 2)}
    options = OPTIONS.model_copy(update=changes | {"normalisation": "log10"})
    noise = np.ones((1, 32, 32), np.float32)
    plane, _ = draw_crop(pair, options, np.random.default_rng(1), noise=noise)
    np.testing.assert_allclose(plane, 2 / 5, atol=1e-3)  # 1e-8 between 1e-10 and 1e-5, nothing added


def test_crops_of_a_published_pair_of_full_size(tmp_path):
    path = write_published(tmp_path, side=2000)
    options = OPTIONS.model_copy(update={"crop_px": 192, "normalisation": "log10", "target_fraction": 1.0})
    planes, classes = Crops([path], options).batch(0)
    assert planes.shape == (4, 192, 192, 1)
    np.testing.assert_allclose(planes, 2 / 5, atol=1e-3)
    assert (classes.sum(axis=(1, 2)) == 1).all()  # every crop shows the one pixel above the level


def test_a_published_pair_can_train_a_network_that_takes_sigmas(tmp_path):
    pair = read_pair(write_published(tmp_path), 0.3)
    plane, _ = draw_crop(pair, OPTIONS, np.random.default_rng(1))
    # 1e-8 Jy/pixel with a noise of 1e-11: asinh(1000) = 7.6
    np.testing.assert_allclose(plane, np.arcsinh(1000), atol=0.3)


def test_a_labelled_cut_out(tmp_path):
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[10, 10], label[-8:, :] = 1, 255
    pair = read_pair(write_labelled(tmp_path, label), 0.3)
    classes = pair.classes()
    assert classes[10, 10] == 1
    assert (classes == 1).sum() == 1
    assert (classes[-8:] == -1).all()
    assert (classes == -1).sum() == 8 * SIDE + 35
    assert np.isfinite(pair.image[-8:]).all()  # no label, but an image all the same
    assert not pair.scalable
    assert pair.normalisation is None


def test_every_crop_of_an_image_with_few_labels_holds_some(tmp_path):
    label = np.full((SIDE, SIDE), 255, np.uint8)
    label[3:5, 40:44] = 0
    pair, rng = read_pair(write_labelled(tmp_path, label), 0.3), np.random.default_rng(1)
    for _ in range(50):
        assert (draw_crop(pair, OPTIONS, rng)[1] == 0).any()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda f: write_simulated(f / "p.fits", leave_out="TRUTH"), BadDataError, "no extension TRUTH"),
        (lambda f: write_simulated(f / "p.fits", BUNIT="K"), UnitError, "BUNIT 'K'"),
        (lambda f: write_simulated(f / "p.fits", rms_side=40), ShapeMismatchError, "its RMS"),
        (lambda f: write_published(f, truth_side=40), ShapeMismatchError, "truth.fits"),
        (lambda f: write_published(f, unit="K"), UnitError, "Jy/beam or Jy/pixel"),
        (lambda f: write_labelled(f, np.full((SIDE, SIDE), 7)), BadDataError, "holds 7"),
        (lambda f: write_labelled(f, np.pad([[np.inf]], (0, SIDE - 1))), BadDataError, "holds inf"),
        (lambda f: write_labelled(f, np.full((SIDE, SIDE), 255)), BadDataError, "labels no pixel of"),
        (lambda f: write_labelled(f, np.zeros((9, SIDE))), ShapeMismatchError, "label.fits"),
        (lambda f: write_labelled(f, np.zeros((SIDE, SIDE)), 1.5), GridError, "4.5"),
        (lambda f: str(f / "gone.fits"), NotFitsError, "there is no file"),
    ],
)
def test_a_bad_pair_is_named(tmp_path, make, error, says):
    with pytest.raises(error, match=says):
        read_pair(make(tmp_path), 0.3)


@pytest.mark.parametrize(("content", "error"), [(b"<html>", NotFitsError), (None, TruncatedError)])
def test_a_damaged_file_is_named(tmp_path, content, error):
    path = write_simulated(tmp_path / "p.fits")
    whole = (tmp_path / "p.fits").read_bytes()
    (tmp_path / "p.fits").write_bytes(content or whole[: len(whole) // 2])
    with pytest.raises(BadDataError, match=r"p\.fits") as caught:
        read_pair(path, 0.3)
    assert content is None or caught.type is error


def test_a_tile_larger_than_the_image_is_found_before_training(tmp_path):
    path = write_simulated(tmp_path / "p.fits")
    with pytest.raises(ShapeMismatchError, match=r"64 px wide.* 80 px.*--crop-px"):
        check_pairs([path], 80)


def test_a_crop_is_normalised_as_the_model_to_go_on_from():
    image = np.full((64, 64), 1e-5, np.float32)
    pair = pair_of(image, np.zeros_like(image))
    own = LogNormalisation(kind="log10", low=1e-9, high=1e-3)
    plane, _ = draw_crop(pair, OPTIONS, np.random.default_rng(1), normalisation=own)
    np.testing.assert_allclose(plane, 4 / 6, rtol=1e-5)


def test_the_hash_of_a_set_tells_content_and_order_not_place(tmp_path):
    first, second = (write_simulated(tmp_path / f"{seed}.fits", seed) for seed in (1, 2))
    (tmp_path / "moved").mkdir()
    moved = write_simulated(tmp_path / "moved" / "x.fits", 1)
    assert check_pairs([first, second], 32) == check_pairs([moved, second], 32)
    assert check_pairs([first, second], 32) != check_pairs([second, first], 32)


def pair_of(image, truth, *, rms=1.0, level=0.5, **more):
    targets = np.argwhere(truth > level)
    return Pair(image, np.full_like(image, rms), truth, np.full_like(image, level), targets, **more)


def test_a_crop_is_a_turned_or_flipped_piece():
    image = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    pair = pair_of(image, (image % 5 == 0).astype(np.float32))
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(60):
        plane, classes = draw_crop(pair, OPTIONS, rng)
        values = np.sinh(plane.astype(float)).round()
        assert ((values % 5 == 0) == (classes == 1)).all()  # image and truth turn together
        corner = int(values.min())
        piece = image[corner // SIDE :, corner % SIDE :][:32, :32]
        np.testing.assert_array_equal(np.sort(values, axis=None), np.sort(piece, axis=None))
        seen.add((values[0, 1] - values[0, 0], values[1, 0] - values[0, 0]))
    assert len(seen) == 8


def test_scaled_diffuse_emission_by_hand():
    """Truth 0.4 doubled rises above the level of 0.5; a source beside it stays."""
    truth, image = np.zeros((2, 32, 32), np.float32)
    truth[5, 5], image[5, 5], image[20, 20] = 0.4, 1.0, 3.0
    pair = pair_of(image, truth, scalable=True)
    options = OPTIONS.model_copy(update={"diffuse_scale": (2, 2)})
    plane, classes = draw_crop(pair, options, np.random.default_rng(1))
    assert sorted(np.sinh(plane[plane != 0])) == pytest.approx([1.4, 3.0])
    assert np.sinh(plane[classes == 1]) == pytest.approx([1.4])
    assert pair.image[5, 5] == 1  # the pair itself is left alone


def test_scale_factors_are_log_uniform():
    truth = np.ones((32, 32), np.float32)
    pair = pair_of(truth.copy(), truth, scalable=True)
    options = OPTIONS.model_copy(update={"diffuse_scale": (0.25, 4)})
    rng = np.random.default_rng(1)
    factors = [np.sinh(draw_crop(pair, options, rng)[0][0, 0]) for _ in range(800)]
    assert min(factors) > 0.249
    assert max(factors) < 4.01
    assert np.mean(np.array(factors) < 1) == pytest.approx(0.5, abs=0.06)


def test_added_noise_by_hand():
    """Noise of 3/4 sigma: image, noise level and truth level all follow."""
    truth = np.zeros((32, 32), np.float32)
    truth[0, 0], truth[31, 31] = 0.6, 0.65
    pair = pair_of(np.zeros((32, 32), np.float32), truth, rms=2.0, survey_beam=True)
    options = OPTIONS.model_copy(update={"added_noise_rms": (0.75, 0.75)})
    noise = np.full((1, 40, 40), 4, np.float32)
    plane, classes = draw_crop(pair, options, np.random.default_rng(1), noise=noise)
    np.testing.assert_allclose(np.sinh(plane), 0.75 * 2 * 4 / (2 * 1.25), rtol=1e-5)
    assert (classes == 1).sum() == 1  # 0.65 lies above 0.5 * 1.25 = 0.625, 0.6 does not


def test_noise_of_another_beam_is_added_to_no_coarse_image(tmp_path):
    pair = read_pair(write_simulated(tmp_path / "p.fits", BMAJ=45 / 3600), 0.3)
    assert pair.scalable
    options = OPTIONS.model_copy(update={"added_noise_rms": (1, 1)})
    noise = np.ones((1, 40, 40), np.float32)
    with_noise, without = (
        draw_crop(pair, options, np.random.default_rng(1), noise=one) for one in (noise, None)
    )
    for one, other in zip(with_noise, without, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pairs_of_another_survey_need_its_grid(tmp_path):
    other = ImageGrid(6.0, 25.0)
    simulated = write_simulated(tmp_path / "p.fits", PIXARCS=6.0, BMAJ=25 / 3600)
    assert read_pair(simulated, 0.3, other).survey_beam
    labelled = write_labelled(tmp_path, np.zeros((SIDE, SIDE)))
    for path, grid in ((simulated, LOTSS_GRID), (labelled, other)):
        with pytest.raises(GridError, match="arcsec"):
            read_pair(path, 0.3, grid)


@pytest.mark.parametrize("scalable", [True, False])
def test_mismeasured_noise_by_hand(scalable):
    image, truth = np.full((2, 32, 32), 3, np.float32)
    truth[:16] = 0.45  # below the level of 0.5, of which the factor is no part
    options = OPTIONS.model_copy(update={"noise_scale": (2, 2)})
    pair = pair_of(image, truth, rms=0.7, scalable=scalable)
    plane, classes = draw_crop(pair, options, np.random.default_rng(1))
    np.testing.assert_allclose(plane, np.arcsinh(3 / (2 * 0.7)), rtol=1e-6)
    assert (classes == 1).sum() == 16 * 32
    assert (pair.rms == np.float32(0.7)).all()


def test_noise_factors_are_log_uniform():
    image, truth = np.ones((32, 32), np.float32), np.zeros((32, 32), np.float32)
    options, rng = OPTIONS.model_copy(update={"noise_scale": (0.25, 4)}), np.random.default_rng(1)
    pair = pair_of(image, truth, scalable=True)
    factors = np.array([1 / np.sinh(draw_crop(pair, options, rng)[0][0, 0]) for _ in range(800)])
    assert 0.249 < factors.min() < factors.max() < 4.01
    for limit, share in ((0.5, 0.25), (1, 0.5), (2, 0.75)):
        assert np.mean(factors < limit) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("noise_scale", (0, 1), r"both ends must be above 0, not \[0\.0, 1\.0\]"),
        ("diffuse_scale", (-1, 1), r"both ends must be above 0, not \[-1\.0, 1\.0\]"),
        ("added_noise_rms", (-0.1, 1), r"both ends must be 0 or more, not \[-0\.1, 1\.0\]"),
        ("noise_scale", (1.2, 0.8), r"from low to high, not \[1\.2, 0\.8\]"),
    ],
)
def test_ranges_of_augmentation_are_checked(name, value, says):
    with pytest.raises(ValidationError, match=f"(?s){name}.*{says}"):
        TrainOptions(**{name: value})


def test_blank_pixels_are_nothing_and_do_not_count():
    image, truth = np.ones((2, 32, 32), np.float32)
    image[3] = np.nan
    noise = np.ones((1, 40, 40), np.float32)
    options = OPTIONS.model_copy(update={"added_noise_rms": (1, 1), "diffuse_scale": (2, 2)})
    plane, classes = draw_crop(
        pair_of(image, truth, scalable=True, survey_beam=True),
        options,
        np.random.default_rng(1),
        noise=noise,
    )
    assert (classes == -1).sum() == 32
    assert (plane[classes == -1] == 0).all()
    assert (classes[plane != 0] == 1).all()


def test_crop_centres_keep_their_shares():
    """Diffuse emission in one corner of a wide image, a false island in the other."""
    image, truth = np.zeros((2, 400, 400), np.float32)
    truth[40, 40], image[360, 360], image[40, 40] = 1, 7, 1
    pair = pair_of(image, truth)
    options = OPTIONS.model_copy(update={"target_fraction": 0.5, "hard_fraction": 0.3})
    rng = np.random.default_rng(5)
    hard = np.array([[360, 360]])
    peaks = [draw_crop(pair, options, rng, hard)[0].max() for _ in range(600)]
    shares = [np.mean(np.isclose(np.sinh(peaks), value)) for value in (1, 7)]
    assert shares == pytest.approx([0.5, 0.3], abs=0.06)
    peaks = [draw_crop(pair, options, rng)[0].max() for _ in range(600)]
    assert np.mean(np.isclose(np.sinh(peaks), 7)) < 0.05


def test_the_noise_pool_is_correlated_like_the_beam():
    noise = crops_module._noise_pool(TrainOptions(crop_px=256))
    assert noise.shape == (4, 384, 384)
    assert noise.std(axis=(1, 2)) == pytest.approx(np.ones(4), rel=1e-4)
    # two pixels apart the autocorrelation of a Gaussian kernel is exp(-d^2 / 4 sigma^2)
    sigma = 20 / 4.5 / 2.3548
    assert np.mean(noise[:, :, 2:] * noise[:, :, :-2]) == pytest.approx(np.exp(-1 / sigma**2), abs=0.02)


@pytest.fixture
def many(tmp_path):
    return [write_simulated(tmp_path / f"{seed}.fits", seed) for seed in range(8)]


def test_every_pair_stays_in_the_window_for_as_many_steps(many):
    crops = Crops(many, OPTIONS.model_copy(update={"steps": 128}))
    assert crops.passes == 2  # 512 crops, 8 pairs, about 32 crops per visit
    windows = [crops.pairs_at(step) for step in range(128)]
    assert {len(window) for window in windows} == {3}
    counts = {path: sum(window.count(path) for window in windows) for path in many}
    assert set(counts.values()) == {128 * 3 // 8}
    assert max(len(set(b) - set(a)) for a, b in zip(windows, windows[1:], strict=False)) == 1
    assert windows[0] == windows[7] != windows[8]


def test_a_short_training_still_makes_one_pass(many):
    crops = Crops(many, OPTIONS.model_copy(update={"steps": 4, "batch": 1}))
    assert set().union(*(crops.pairs_at(step) for step in range(4))) == set(many)


def test_a_small_set_is_held_whole(many):
    crops = Crops(many[:3], OPTIONS)
    assert crops.pairs_at(0) == crops.pairs_at(39) == many[:3]


def test_batches_depend_on_nothing_but_seed_and_step(many, monkeypatch):
    options = OPTIONS.model_copy(
        update={"added_noise_rms": (0, 1), "diffuse_scale": (0.5, 2), "noise_scale": (0.5, 2)}
    )
    monkeypatch.setattr(crops_module, "WORKERS", 3)
    first = list(Crops(many, options).stream(0, 40))
    late = list(Crops(many, options).stream(25, 40))
    assert len(first) == 40
    for (planes_a, classes_a), (planes_b, classes_b) in zip(first[25:], late, strict=True):
        np.testing.assert_array_equal(planes_a, planes_b)
        np.testing.assert_array_equal(classes_a, classes_b)
    assert first[0][0].shape == (4, 32, 32, 1)
    assert first[0][1].shape == (4, 32, 32)
    assert first[0][0].dtype == first[0][1].dtype == np.float32
    assert not np.array_equal(first[0][0], first[1][0])
    other = Crops(many, options.model_copy(update={"seed": 2})).batch(0)
    assert not np.array_equal(first[0][0], other[0])


def test_no_more_pairs_are_held_than_the_buffer_allows(many):
    crops = Crops(many, OPTIONS)
    for step in range(40):
        crops.batch(step)
        assert len(crops._held) <= OPTIONS.buffer


def test_a_file_lost_on_the_way_raises_its_named_error_and_ends_the_threads(many, tmp_path):
    stream = Crops(many, OPTIONS).stream(0, 40)
    for path in tmp_path.glob("*.fits"):
        path.unlink()
    with pytest.raises(NotFitsError, match="there is no file"):
        list(stream)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crops")]


def test_fixed_crops_are_always_the_same_and_plain(many):
    changes = {"diffuse_scale": (9, 9), "added_noise_rms": (9, 9), "noise_scale": (9, 9)}
    options = OPTIONS.model_copy(update=changes)
    first, second = fixed_crops(many[:2], options, 6), fixed_crops(many[:2], options, 6)
    assert [len(planes) for planes, _ in first] == [4, 2]
    for (planes_a, classes_a), (planes_b, classes_b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(planes_a, planes_b)
        np.testing.assert_array_equal(classes_a, classes_b)
    # 1e-3 Jy/beam in noise of 1e-4 stays near asinh(10) = 3
    assert all(2.5 < planes.max() < 4 for planes, _ in first)


@pytest.mark.parametrize(("name", "kind"), [("asinh_snr", AsinhNormalisation), ("log10", LogNormalisation)])
def test_every_normalisation_of_the_options_exists(name, kind):
    assert isinstance(crops_module.NORMALISATIONS[name], kind)
    assert crops_module.NORMALISATIONS[name].kind == name
