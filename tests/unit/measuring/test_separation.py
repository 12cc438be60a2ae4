import numpy as np
import pytest
from scipy import ndimage

from radiounet.images.gaussian import FWHM_AREA
from radiounet.measuring.separation import MIN_PIECE_BEAMS, separate, smooth_brightness
from radiounet.network.masks import EIGHT_NEIGHBOURS, NO_DATA
from radiounet.simulation.canvas import blurred

BEAM = 20 / 4.5
SIDE = 200
Y, X = np.indices((SIDE, SIDE))


def noise(seed):
    """Noise of unit deviation with the beam's correlation."""
    plane = blurred(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), BEAM)
    return plane / plane.std()


def gaussian(y, x, fwhm_y, fwhm_x=None, peak=10.0):
    return peak * np.exp2(-4 * (((Y - y) / fwhm_y) ** 2 + ((X - x) / (fwhm_x or fwhm_y)) ** 2))


def halo(y, x, radius, peak):
    return peak * np.exp(-np.hypot(Y - y, X - x) / radius)


def relic(centre_x, distance, width, peak):
    """Arc of 100 deg about (100, `centre_x`), opening to the left."""
    radius, angle = np.hypot(Y - 100, X - centre_x), np.degrees(np.arctan2(Y - 100, X - centre_x))
    return peak * np.exp2(-4 * ((radius - distance) / width) ** 2) * (np.abs(angle) < 50)


def separated(sky, seed=1, level=1.0, mask=None):
    mask = (sky > level).astype(np.uint8) if mask is None else mask
    labels, parents = separate(mask, sky + noise(seed), np.full(sky.shape, 0.8, np.float32), BEAM)
    check(mask, labels, parents)
    return labels, parents


def check(mask, labels, parents):
    """Whatever is cut: every pixel of the mask in one connected island, numbered by its first pixel."""
    assert labels.dtype == parents.dtype == np.int32
    assert np.array_equal(labels > 0, mask == 1)
    numbers, first = np.unique(labels[labels > 0], return_index=True)
    assert numbers.tolist() == list(range(1, len(parents) + 1))
    assert (np.diff(first) > 0).all()
    regions = ndimage.label(mask == 1, EIGHT_NEIGHBOURS)[0]
    for number, parent in enumerate(parents, start=1):
        assert set(regions[labels == number].tolist()) == {int(parent)}
        assert ndimage.label(labels == number, EIGHT_NEIGHBOURS)[1] == 1


@pytest.mark.parametrize(("saddle", "islands"), [(1.2, 2), (1.4, 1)])
def test_a_valley_counts_in_units_of_the_smoothed_noise(saddle, islands):
    """Plateaus of 4: depths of 2.8 and 2.6, against six times 1 / sqrt(1 + 2^2), 2.68."""
    mask = (np.abs(Y - 100) < 40).astype(np.uint8)
    sky = np.where(np.abs(X - 99.5) < 20, saddle, 4.0).astype(np.float32)
    labels, parents = separate(mask, sky, np.full(sky.shape, 0.8, np.float32), BEAM)
    check(mask, labels, parents)
    assert parents.tolist() == [1] * islands


@pytest.mark.parametrize("seed", range(5))
def test_two_gaussians_are_cut_at_their_saddle(seed):
    # equal ones 40 px apart: the saddle is half way, at x = 99.5
    labels, parents = separated(gaussian(100, 79.5, 20, peak=20) + gaussian(100, 119.5, 20, peak=20), seed)
    assert parents.tolist() == [1, 1]
    right = labels[100, 110]
    for row in range(94, 107):
        border = np.flatnonzero(labels[row] == right)[0]
        assert border == pytest.approx(100, abs=2)
        assert (labels[row, border : border + 20] == right).all()


@pytest.mark.parametrize("peak", [3, 10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_one_elliptical_gaussian_is_one_island(peak, seed):
    assert separated(gaussian(100, 90, 30, 80, peak), seed)[1].tolist() == [1]


@pytest.mark.parametrize("seed", range(10))
def test_compact_sources_make_no_islands(seed):
    rng = np.random.default_rng([7, seed])
    sky = halo(100, 100, 18, 10)
    mask = (sky > 1).astype(np.uint8)
    places = rng.choice(np.argwhere(mask), 5, replace=False)
    for (y, x), peak in zip(places, (10, 20, 30, 40, 50), strict=True):
        sky += gaussian(y, x, BEAM, peak=peak)
    assert separated(sky, seed, mask=mask)[1].tolist() == [1]


@pytest.mark.parametrize("seed", range(5))
def test_halo_and_relic_that_touch_are_two(seed):
    sky = halo(100, 84, 14, 12) + relic(50, 85, 14, 9)
    labels, parents = separated(sky, seed)
    assert parents.tolist() == [1, 1]
    assert labels[100, 84] != labels[100, 135]
    assert labels[60, 125] == labels[100, 135] == labels[140, 125]


@pytest.mark.parametrize("height", [0.5, 2, 5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_noise_cuts_no_plateau(height, seed):
    mask = (np.hypot(Y - 100, X - 100) < 80).astype(np.uint8)
    assert separated(height * mask, seed, mask=mask)[1].tolist() == [1]


@pytest.mark.parametrize("seed", range(3))
def test_bent_filament_is_one(seed):
    bend = 100 + 20 * np.sin(X / 40)
    clumps = 1 + 0.25 * np.sin(X / 7)
    sky = 5 * clumps * np.exp2(-4 * ((Y - bend) / 18) ** 2) * (np.abs(X - 100) < 85)
    assert separated(sky, seed)[1].tolist() == [1]


@pytest.mark.parametrize(
    "turn", [lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a.T, lambda a: a[::-1, ::-1].T]
)
def test_orientation_does_not_matter(turn):
    sky = halo(60, 70, 12, 12) + gaussian(60, 115, 22) + gaussian(150, 150, 30)
    mask, snr, probability = (sky > 1).astype(np.uint8), sky + noise(3), (0.5 + Y / 1000).astype(np.float32)
    labels, parents = separate(mask, snr, probability, BEAM)
    assert len(parents) == 3
    turned, _ = separate(*(np.ascontiguousarray(turn(plane)) for plane in (mask, snr, probability)), BEAM)
    pairs = np.unique(np.stack([turn(labels).ravel(), turned.ravel()]), axis=1)
    assert pairs.shape[1] == 4  # background and three islands, each as one of the others


def test_islands_are_numbered_by_first_pixel_across_regions():
    # the lower region is cut; a third one begins between the first rows of its pieces
    sky = gaussian(40, 40, 20) + gaussian(80, 44, 20) + gaussian(60, 150, 20) + gaussian(150, 100, 20)
    labels, parents = separated(sky)
    assert parents.tolist() == [1, 2, 1, 3]
    assert [labels[40, 40], labels[60, 150], labels[80, 44], labels[150, 100]] == [1, 2, 3, 4]


def test_regions_whose_boxes_overlap_keep_apart():
    ring = np.abs(np.hypot(Y - 100, X - 100) - 80) < 6
    sky = 5.0 * ring + gaussian(100, 80, 20) + gaussian(100, 120, 20)
    labels, parents = separated(sky, mask=(ring | (sky > 1)).astype(np.uint8))
    assert sorted(parents.tolist()) == [1, 2, 2]
    assert len(set(labels[ring].tolist())) == 1


def test_small_pieces_are_merged():
    area = MIN_PIECE_BEAMS * FWHM_AREA * BEAM**2
    mask = ((np.hypot(Y - 100, X - 70) < 30) | (np.hypot(Y - 100, X - 104) < 5)).astype(np.uint8)
    assert np.pi * 5**2 < area
    sky = gaussian(100, 70, 25, peak=40) + 20.0 * (np.hypot(Y - 100, X - 106) < 5)
    assert separated(sky, mask=mask)[1].tolist() == [1]


@pytest.mark.parametrize("value", [0, NO_DATA])
def test_an_empty_mask_has_no_islands(value):
    labels, parents = separated(np.zeros((SIDE, SIDE)), mask=np.full((SIDE, SIDE), value, np.uint8))
    assert not labels.any()
    assert len(parents) == 0


def test_blank_pixels_are_in_no_island():
    sky = gaussian(100, 79.5, 20) + gaussian(100, 119.5, 20)
    mask = (sky > 1).astype(np.uint8)
    mask[:, 118:122] = NO_DATA
    snr = np.where(mask == NO_DATA, np.nan, sky + noise(1))
    labels, parents = separate(mask, snr, np.full(sky.shape, 0.8), BEAM)
    check(mask, labels, parents)
    assert labels[100, 70] != labels[100, 112]


@pytest.mark.parametrize("blank", [np.s_[:], np.s_[:, 100:], np.s_[95:105]])
def test_a_mask_without_brightness_is_kept(blank):
    """The network says something of blank pixels in mode reference."""
    mask = (np.hypot(Y - 100, X - 100) < 60).astype(np.uint8)
    snr = 5 + noise(1)
    snr[blank] = np.nan
    probability = np.full(mask.shape, 0.8)
    labels, parents = separate(mask, snr, probability, BEAM)
    check(mask, labels, parents)
    assert parents.tolist() == [1]


def test_a_mask_that_fills_the_plane_without_noise():
    mask = np.ones((60, 70), np.uint8)
    labels, parents = separate(mask, np.full(mask.shape, 5.0), np.ones(mask.shape), BEAM)
    assert (labels == 1).all()
    assert parents.tolist() == [1]


def test_smooth_brightness_by_hand():
    """A plateau keeps its height up to its border; a source on it and one beside it do not show."""
    inside = np.hypot(Y - 100, X - 100) < 50
    snr = 8.0 * inside + gaussian(100, 110, BEAM, peak=50) * inside + 1000.0 * (X > 170)
    height = smooth_brightness(inside, snr, np.full(inside.shape, 0.5), BEAM)
    assert height[inside] == pytest.approx(8, rel=0.05)
    assert not height[~inside].any()


def test_a_doubtful_pixel_counts_less():
    # two halves of 2 and 4 sigma; at the border the weights are 0.9 and 0.1
    snr = np.where(X < 100, 2.0, 4.0)
    probability = np.where(X < 100, 0.9, 0.1)
    height = smooth_brightness(np.ones(snr.shape, bool), snr, probability, BEAM)
    assert height[100, 99:101].mean() == pytest.approx(2 * 0.9 + 4 * 0.1, rel=0.03)
