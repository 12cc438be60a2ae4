import sys

import numpy as np
import pytest
from astropy.table import Table

from radiounet.images.provenance import PACKAGE
from radiounet.learning.outside import (
    MIN_AREA_PX,
    ObjectTruth,
    RegionTruth,
    Scan,
    SceneTruth,
    aperture,
    area_deg2,
    islands_above,
)
from radiounet.measuring.object_scores import false_islands, score_objects
from radiounet.network.masks import make_mask

sys.path.append(str(PACKAGE.parents[1] / "benchmarks"))
from outside_scores import blank_sky, overlap_and_difference

SHAPE = (40, 60)


def plane(*blocks, shape=SHAPE, dtype=float):
    """Zeros with blocks of (first row, first column, height, width, value)."""
    result = np.zeros(shape, dtype)
    for y, x, height, width, value in blocks:
        result[y : y + height, x : x + width] = value
    return result


def object_truth(owner, ambiguous=None, known=None, truth=None, mask=None, numbers=None):
    """Objects of brightness 1 whose pixels are all true, where nothing else is said."""
    ambiguous = np.zeros(owner.shape, bool) if ambiguous is None else ambiguous
    return ObjectTruth(
        known=~ambiguous if known is None else known,
        truth=(owner > 0).astype(float) if truth is None else truth,
        mask=owner > 0 if mask is None else mask,
        owner=owner,
        ambiguous=ambiguous,
        numbers=np.unique(owner[owner > 0]) if numbers is None else np.array(numbers),
    )


def judged(truth, probability, threshold=0.5, peak=None):
    islands = islands_above(probability.astype(np.float32), threshold)
    kept, judgement = islands.kept(peak), truth.judge(islands)
    return judgement.found(kept).tolist(), judgement.false(kept)


def test_islands_of_a_beam_or_more_and_their_largest_probability():
    probability = plane((0, 0, 5, 5, 0.6), (2, 2, 1, 1, 0.9), (20, 20, 4, 5, 0.8), (30, 40, 5, 5, 0.5))
    assert 20 < MIN_AREA_PX < 25
    islands = islands_above(probability.astype(np.float32), 0.5)
    assert np.bincount(islands.labels.ravel()).tolist() == [2350, 25, 25]
    assert islands.highest == pytest.approx([-1, 0.9, 0.5])
    assert islands.kept(None).tolist() == [False, True, True]
    assert islands.kept(0.9).tolist() == [False, True, False]


def test_a_peak_keeps_what_make_mask_keeps():
    rng = np.random.default_rng(3)
    probability = np.kron(rng.random((8, 12)), np.ones((5, 5))).astype(np.float32)
    probability[:4, :9] = np.nan
    islands = islands_above(probability, 0.6)
    for peak in (None, 0.6, 0.8, 0.95):
        expected = make_mask(probability, 0.6, MIN_AREA_PX, peak) == 1
        assert (islands.kept(peak)[islands.labels] == expected).all()


def test_no_island_finds_nothing():
    assert judged(object_truth(plane((0, 0, 10, 10, 1), dtype=int)), np.zeros(SHAPE)) == ([False], 0)


@pytest.mark.parametrize(("height", "found"), [(3, True), (2, False)])
def test_found_by_flux(height, found):
    # three of ten rows are 30 % of the flux; none of it is in the truth mask
    truth = object_truth(plane((0, 0, 10, 10, 1), dtype=int), mask=np.zeros(SHAPE, bool))
    assert judged(truth, plane((0, 0, height, 15, 0.7)))[0] == [found]


@pytest.mark.parametrize(("width", "found"), [(7, True), (8, False)])
def test_found_by_overlap(width, found):
    # the bright half is missed; 40 of the object's 100 px are common with an island of 40 + 40 width
    truth = object_truth(
        plane((0, 0, 10, 10, 1), dtype=int), truth=plane((0, 0, 10, 10, 1.0), (5, 0, 5, 10, 100.0))
    )
    # 40 / 380 and 40 / 420
    assert judged(truth, plane((0, 0, 4, 10, 0.7), (0, 10, 40, width, 0.7)))[0] == [found]


def test_islands_that_touch_no_object_do_not_spoil_its_overlap():
    owner = plane((0, 0, 10, 10, 1), dtype=int)
    truth = object_truth(owner, truth=plane((0, 0, 10, 10, 1.0), (5, 0, 5, 10, 100.0)))
    assert judged(truth, plane((0, 0, 4, 10, 0.7), (0, 15, 40, 45, 0.7))) == ([True], 1)


def test_only_the_numbers_asked_for_are_judged():
    owner = plane((0, 0, 5, 5, 1), (10, 0, 5, 5, 2), (20, 0, 5, 5, 7), dtype=int)
    probability = plane((10, 0, 5, 5, 0.9), (20, 0, 5, 5, 0.9))
    # an island on an object that is not to be found is no false one
    assert judged(object_truth(owner, numbers=[1, 7]), probability) == ([False, True], 0)


def test_a_higher_peak_drops_islands():
    owner = plane((0, 0, 5, 5, 1), (20, 0, 5, 5, 2), dtype=int)
    probability = plane((0, 0, 5, 5, 0.6), (20, 0, 5, 5, 0.9), (30, 30, 5, 5, 0.7))
    assert judged(object_truth(owner), probability) == ([True, True], 1)
    assert judged(object_truth(owner), probability, peak=0.8) == ([False, True], 0)


def test_ambiguous_pixels_excuse_an_island_and_do_not_count():
    half = plane((30, 30, 5, 3, 1), dtype=int) > 0  # 15 of 25 px
    less = plane((30, 30, 4, 3, 1), dtype=int) > 0  # 12 of 25 px
    owner = plane((0, 0, 10, 10, 1), dtype=int)
    island = plane((30, 30, 5, 5, 0.7))
    assert judged(object_truth(owner, half), island) == ([False], 0)
    assert judged(object_truth(owner, less), island) == ([False], 1)
    # 90 of the object's pixels are ambiguous: all that counts is in the mask
    hidden = plane((1, 0, 9, 10, 1), dtype=int) > 0
    assert judged(object_truth(owner, hidden), plane((0, 0, 1, 30, 0.7)))[0] == [True]


def test_the_same_objects_are_found_as_in_evaluation():
    rng = np.random.default_rng(5)
    owner = np.kron(rng.integers(0, 12, (8, 12)), np.ones((5, 5), int))
    owner[rng.random(SHAPE) < 0.2] = 0
    truth = rng.random(SHAPE) * (owner > 0)
    mask = truth > 0.4
    numbers = np.unique(owner[owner > 0])
    first = np.array([np.argwhere(owner == one)[0] for one in numbers])
    unknown = np.full(len(numbers), np.nan)
    columns = ("kind", "peak_snr", "las_arcmin", "flux_jy")
    table = Table(
        {"object": numbers, "y_px": first[:, 0], "x_px": first[:, 1]} | dict.fromkeys(columns, unknown)
    )
    answers = set()
    for _ in range(20):
        probability = np.kron(rng.random((8, 12)), np.ones((5, 5))).astype(np.float32)
        predicted = make_mask(probability, 0.7, MIN_AREA_PX) == 1
        expected = score_objects(predicted, np.ones(SHAPE), truth, mask, owner, table, MIN_AREA_PX)
        found = judged(object_truth(owner, truth=truth, mask=mask), probability, 0.7)[0]
        assert found == [one.found for one in expected]
        answers |= set(found)
    assert answers == {True, False}


def test_objects_of_a_scene_are_found_as_in_one_mask():
    rng = np.random.default_rng(5)
    owner = plane((0, 0, 20, 20, 3), (20, 30, 20, 25, 8), (5, 40, 10, 10, 9), dtype=int)
    truth, image, known = (owner > 0) * rng.random(SHAPE), np.ones(SHAPE), rng.random(SHAPE) > 0.1
    mask = known & (truth > 0.2)
    image[:, 48:] = np.nan
    columns = {"object": [3, 8, 9], "kind": ["halo"] * 3, "y_px": [9, 30, 9], "x_px": [9, 40, 55]}
    table = Table(columns | {"peak_snr": 3 * [np.nan], "las_arcmin": 3 * [np.nan], "flux_jy": [9, 3, 1.0]})
    answers = set()
    for _ in range(40):
        probability = np.kron(rng.random((8, 12)), np.ones((5, 5))).astype(np.float32)
        peak = 0.9 if rng.random() > 0.5 else None
        predicted = make_mask(probability, 0.7, MIN_AREA_PX, peak) == 1
        expected = score_objects(predicted, image, truth, mask, owner, table, MIN_AREA_PX, known)
        assert [one.number for one in expected] == [3, 8]
        whole = MIN_AREA_PX * np.array([max(one.visible_jy, one.flux_jy) for one in expected])
        scene = SceneTruth(known, np.isfinite(image), truth, mask, owner, np.array([3, 8]), whole)
        false = false_islands(predicted, mask, known, mask, None, ())
        found = judged(scene, probability, 0.7, peak)
        assert found == ([one.found for one in expected], false["unknown"])
        answers |= {*found[0], found[1] > 0}
    assert answers == {True, False}


def test_regions_by_hand():
    regions = plane((0, 0, 10, 10, 2), (20, 0, 10, 10, 5), dtype=int)
    truth = RegionTruth(np.ones(SHAPE, bool), regions)
    # 30 of 100 px of region 2, 20 of 100 of region 5, one island elsewhere
    probability = plane((0, 0, 3, 10, 0.7), (20, 8, 10, 10, 0.7), (0, 40, 5, 5, 0.7))
    assert judged(truth, probability) == ([True, False], 1)


def test_an_island_that_hardly_touches_a_region_covers_none_of_it():
    regions = plane((0, 0, 5, 5, 1), dtype=int)
    truth = RegionTruth(np.ones(SHAPE, bool), regions)
    assert judged(truth, plane((0, 0, 5, 50, 0.7))) == ([True], 0)  # 25 of 250 px are a tenth
    assert judged(truth, plane((0, 0, 5, 51, 0.7))) == ([False], 1)


def test_a_region_is_what_has_data():
    regions = plane((0, 0, 10, 10, 1), (20, 0, 10, 10, 2), dtype=int)
    known = np.ones(SHAPE, bool)
    known[3:10, :10] = known[20:30, :10] = False  # 30 px of the first are left, none of the second
    probability = np.where(known, plane((0, 0, 3, 10, 0.7)), np.nan)
    assert judged(RegionTruth(known, regions), probability) == ([True], 0)


def test_scan_takes_the_mask_that_finds_most_with_few_false():
    owner = plane((0, 0, 5, 5, 1), (20, 0, 5, 5, 2), dtype=int)
    truth = object_truth(owner)
    # the false island reaches 0.5, the second object 0.3 only
    probability = plane((0, 0, 5, 5, 0.85), (20, 0, 5, 5, 0.3), (30, 30, 5, 5, 0.5)).astype(np.float32)
    scan = Scan()
    scan.add(probability, truth, 36.0)  # 2,400 px of 0.01 deg: 0.24 deg2
    none = scan.best(1.0)
    # of equals the highest threshold: the object stays up to 0.84; 25 of 2,400 px
    assert none == pytest.approx(
        {"threshold": 0.84, "peak": 0.84, "found": 1, "false_per_deg2": 0, "masked": 25 / 2400}
    )
    one = scan.best(1 / 0.24)
    assert one == pytest.approx(
        {"threshold": 0.28, "peak": 0.28, "found": 2, "false_per_deg2": 1 / 0.24, "masked": 75 / 2400}
    )
    # on two images one false island is half as many per deg2
    scan.add(np.zeros(SHAPE, np.float32), truth, 36.0)
    assert scan.best(0.5 / 0.24)["found"] == 2
    assert scan.best(0.4 / 0.24)["found"] == 1


def test_scan_of_masks_that_trace():
    owner = plane((0, 0, 5, 5, 1), (20, 0, 5, 5, 2), dtype=int)
    # both objects are found by one wide mask without a false island, one object by a tight one
    probability = plane((0, 0, 30, 40, 0.3), (0, 0, 5, 5, 0.85), dtype=np.float32)
    scan = Scan()
    scan.add(probability, object_truth(owner), 36.0)
    assert (scan.best()["found"], scan.best()["masked"]) == (2, 1200 / 2400)
    # Dice of the wide mask: 2 x 50 / (1200 + 50); of the tight one 2 x 25 / (25 + 50)
    tight = scan.best(dice_share=0.85)
    assert (tight["found"], tight["masked"]) == (1, 25 / 2400)
    assert scan.best(dice_share=0.11)["found"] == 2


def test_scan_that_finds_nothing():
    scan = Scan()
    scan.add(
        plane((30, 30, 5, 5, 0.5)).astype(np.float32), object_truth(plane((0, 0, 5, 5, 1), dtype=int)), 36.0
    )
    best = scan.best()
    assert (best["found"], best["masked"]) == (0, 0)
    assert np.isnan(best["threshold"])


def test_area():
    assert area_deg2(np.ones((800, 800), bool), 4.5) == pytest.approx(1.0)


def test_aperture_by_hand():
    probability = plane((5, 5, 1, 1, 0.9), (5, 7, 1, 1, 0.4), (5, 8, 1, 1, 1.0))
    known = np.ones(SHAPE, bool)
    # thirteen pixels lie within 2 px
    assert aperture(probability, known, 5.0, 5.0, 2.0) == pytest.approx((0.9, 1.3 / 13))
    known[5, 5] = False
    assert aperture(probability, known, 5.0, 5.0, 2.0) == pytest.approx((0.4, 0.4 / 12))
    assert np.isnan(aperture(probability, np.zeros(SHAPE, bool), 5.0, 5.0, 2.0)).all()


def test_overlap_and_difference_by_hand():
    first, second = np.array([[0.1, 0.8, np.nan]]), np.array([[0.3, 0.7, np.nan]])
    masks = np.array([[True, True, False]]), np.array([[False, True, True]])
    assert overlap_and_difference((first, second), masks) == pytest.approx((1 / 3, 0.2))
    empty = np.zeros((1, 3), bool)
    assert np.isnan(overlap_and_difference((first, second), (empty, empty))[0])


def test_blank_sky():
    flat, lifted, sloping = (blank_sky(256, *one, seed=1) for one in ((0, 0), (0.5, 0), (0, 1)))
    assert flat.std() == pytest.approx(1, abs=1e-4)
    assert lifted - flat == pytest.approx(0.5, abs=1e-5)
    assert (sloping - flat)[3] == pytest.approx(np.linspace(-0.5, 0.5, 256), abs=1e-5)
    # neighbours are as alike as a beam of 4.44 px makes them: exp(-2 ln 2 (d / FWHM)^2)
    alike = np.mean(flat[:, :-2] * flat[:, 2:]) / np.mean(flat**2)
    assert alike == pytest.approx(np.exp(-2 * np.log(2) * (2 / 4.444) ** 2), abs=0.03)
