import json

import numpy as np
import pytest
from astropy.table import Table
from sklearn import metrics
from sklearn.calibration import calibration_curve

from radiounet.measuring.object_scores import (
    ObjectResult,
    cluster_label,
    false_islands,
    false_labels,
    recall_in_bins,
    score_objects,
    summarise_flux,
    summarise_objects,
)
from radiounet.measuring.scores import EDGES, PixelCounts, plain, roc_auc, score_decisions

CAUSES = ("noise", "compact source", "radio galaxy")


def counted(scores, truth):
    counts = PixelCounts()
    counts.add(np.array(scores, np.float32), np.array(truth, bool))
    return counts


# true: 0.9, 0.6; other: 0.7, 0.2, 0.1
FIVE = ([0.9, 0.7, 0.6, 0.2, 0.1], [1, 0, 1, 0, 0])


def at(threshold):
    return int(np.searchsorted(EDGES, np.float32(threshold)))


def test_pixel_curves_by_hand():
    counts = counted(*FIVE)
    precision, recall = counts.precision_recall()
    dice = counts.dice()
    for threshold, hit, predicted in ((0.05, 2, 5), (0.15, 2, 4), (0.6, 2, 3), (0.61, 1, 2), (0.8, 1, 1)):
        assert precision[at(threshold)] == pytest.approx(hit / predicted)
        assert recall[at(threshold)] == pytest.approx(hit / 2)
        assert dice[at(threshold)] == pytest.approx(2 * hit / (predicted + 2))
    assert np.isnan(precision[at(0.95)])
    # 5 of the 6 pairs of a true and another pixel are in order
    assert counts.roc_auc() == pytest.approx(5 / 6)
    # recall grows by 1/2 at precision 1 and by 1/2 at precision 2/3
    assert counts.average_precision() == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # Dice is 0.8 from 0.21 to 0.6: the first of them


def test_reliability_of_pixels_by_hand():
    rows = counted([0, 0.05, 0.1, 0.15, 0.3, 0.9, 1, np.nan], [0, 1, 1, 0, 1, 1, 0, 1]).reliability()
    assert [one["count"] for one in rows] == [2, 2, 0, 1, 0, 0, 0, 0, 0, 2]
    assert [rows[index]["fraction"] for index in (0, 1, 3, 9)] == [0.5, 0.5, 1, 0.5]
    assert np.isnan(rows[2]["fraction"])


def test_roc_runs_from_nothing_to_everything():
    false_rate, true_rate = counted(*FIVE).roc()
    assert (false_rate[0], true_rate[0]) == (0, 0)
    assert (false_rate[-1], true_rate[-1]) == (1, 1)
    assert (np.diff(false_rate) >= 0).all()


def test_pixels_add_up_over_images_and_blank_ones_do_not_count():
    parts = PixelCounts()
    parts.add(np.array([[0.9, np.nan]], np.float32), np.array([[True, True]]))
    parts.add(np.array([[0.7, 0.6, 0.2, 0.1]], np.float32), np.array([[False, True, False, False]]))
    np.testing.assert_array_equal(parts.dice(), counted(*FIVE).dice())


def test_ties_of_pixels_count_half_and_a_score_of_one_counts():
    assert counted([0.5, 0.5], [1, 0]).roc_auc() == pytest.approx(0.5)
    assert counted([1.0, 0.0], [1, 0]).roc_auc() == 1.0


def test_a_score_on_a_threshold_belongs_to_it_as_in_the_mask():
    counts = counted([0.7, 0.1], [1, 0])  # 0.7 is below 0.7 in float32 unless both are
    assert counts.dice()[at(0.7)] == 1.0


def test_scores_of_nothing_are_undefined():
    counts = counted([0.5], [0])
    assert np.isnan(counts.roc_auc())


def test_cluster_auc_with_ties():
    truth = np.array([True, True, False, False])
    assert roc_auc(np.array([0.9, 0.5, 0.5, 0.1]), truth) == pytest.approx(3.5 / 4)
    assert roc_auc(np.array([0.1, 0.2, 0.8, 0.9]), truth) == 0
    assert np.isnan(roc_auc(np.array([0.1]), np.array([True])))


def test_decisions_by_hand():
    scores = score_decisions(np.array([0.9, 0.5, 0.2, 0.6, 1.0]), np.array([1, 1, 1, 0, 1], bool))
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["recall"] == pytest.approx(3 / 4)
    assert scores["precision"] == pytest.approx(3 / 4)
    assert scores["brier"] == pytest.approx((0.01 + 0.25 + 0.64 + 0.36 + 0) / 5)
    assert [row["count"] for row in scores["reliability"]] == [0, 0, 1, 0, 0, 1, 1, 0, 0, 2]
    assert scores["reliability"][9]["probability"] == pytest.approx(0.95)
    assert scores["reliability"][6]["fraction"] == 0
    assert np.isnan(scores["reliability"][0]["fraction"])


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.random(500) < 0.3
    score = np.round(np.clip(rng.normal(0.35 + 0.2 * truth, 0.2), 0.002, 0.998), 2).astype(np.float32)
    pixels = counted(score, truth)
    assert pixels.roc_auc() == pytest.approx(metrics.roc_auc_score(truth, score))
    assert pixels.average_precision() == pytest.approx(metrics.average_precision_score(truth, score))
    # frozen: from the rank sum, before scikit-learn computed it
    assert roc_auc(score, truth) == pytest.approx(0.777009523810)
    # off the borders of the bins, where either rounds its own way
    probability = np.minimum(score.astype(float) + 0.001, 0.999)
    rows = [row for row in score_decisions(probability, truth)["reliability"] if row["count"]]
    fraction, mean = calibration_curve(truth, probability, n_bins=10)
    np.testing.assert_allclose([row["fraction"] for row in rows], fraction)
    np.testing.assert_allclose([row["probability"] for row in rows], mean)


def objects_table(*rows):
    names = ("object", "kind", "peak_snr", "flux_jy", "las_arcmin", "y_px", "x_px")
    return Table(rows=list(rows), names=names)


def one_object(predicted_px, mask_px=10, island_px=0, flux_jy=4.0):
    """Find an object of 10 pixels in a row, each of 1 Jy/beam, by a mask with some of them.

    A beam has 2 px: the flux density on the pixels is 5 Jy.
    """
    objects, truth = np.zeros((5, 40), np.int16), np.zeros((5, 40), np.float32)
    objects[2, :10] = 3
    truth[2, :10] = 1
    mask = np.zeros((5, 40), bool)
    mask[2, :mask_px] = True
    predicted = np.zeros((5, 40), bool)
    predicted[2, 10 - predicted_px : 10 + island_px] = True
    # the second has no pixel of its own
    table = objects_table((3, "halo", 5.0, flux_jy, 2.5, 2.0, 5.0), (2, "relic", 1.0, 1.0, 1.0, 1.0, 1.0))
    (result,) = score_objects(predicted, 2 * truth, truth, mask, objects, table, 2.0)
    return result


@pytest.mark.parametrize("flux_jy", [4.0, 5.0, np.nan])
def test_an_object_is_found_by_30_percent_of_its_flux(flux_jy):
    assert one_object(3, mask_px=0, flux_jy=flux_jy).found
    assert not one_object(2, mask_px=0, flux_jy=flux_jy).found


def test_the_flux_is_that_of_the_whole_object():
    # 10 Jy in all: 3 Jy are 6 of the 10 pixels that can be seen
    assert one_object(6, mask_px=0, flux_jy=10.0).found
    assert not one_object(5, mask_px=0, flux_jy=10.0).found


def test_an_object_is_found_by_its_overlap():
    # 2 of 10 truth pixels, and 10 of the island outside: 2 / 20 is not above 0.1, 2 / 19 is
    assert not one_object(2, island_px=10).found
    assert one_object(2, island_px=9).found
    # the island must reach the truth mask, not only the object
    assert not one_object(2, mask_px=8).found


def test_an_object_keeps_its_entries_and_its_measured_flux():
    result = one_object(4)
    assert (result.kind, result.peak_snr, result.las_arcmin, result.flux_jy) == ("halo", 5.0, 2.5, 4.0)
    assert result.measured_jy == pytest.approx(4 * 2 / 2.0)
    assert result.visible_jy == pytest.approx(10 * 1 / 2.0)


@pytest.mark.parametrize(
    ("y", "x", "counted"),
    [
        (0.0, 2.0, True),
        (0.4, 2.4, True),
        (0.0, 1.0, False),  # blank
        (0.0, 3.0, False),
        (0.0, -1.0, False),  # not the last column
        (-1.0, 2.0, False),
        (1.0, 2.0, False),
    ],
)
def test_only_an_object_whose_peak_is_on_data_counts(y, x, counted):
    objects = np.array([[1, 1, 1]], np.int16)
    image = np.array([[1.0, np.nan, 1.0]], np.float32)
    nothing = np.zeros((1, 3), bool)
    table = objects_table((1, "a", 1.0, 3.0, 1.0, y, x))
    results = score_objects(nothing, image, np.ones((1, 3)), nothing, objects, table, 1.0)
    assert [(one.found, one.visible_jy) for one in results] == ([(False, 2.0)] if counted else [])


def test_an_object_without_data_on_its_own_pixels_is_left_out():
    objects = np.array([[1, 2, 2]], np.int16)
    image = np.array([[np.nan, 1.0, 1.0]], np.float32)
    table = objects_table((1, "a", 1.0, 1.0, 1.0, 0.0, 1.0), (2, "b", 1.0, 2.0, 1.0, 0.0, 2.0))
    predicted = np.array([[False, False, True]])
    (result,) = score_objects(predicted, image, np.ones((1, 3)), predicted, objects, table, 1.0)
    assert (result.kind, result.found) == ("b", True)


def test_recall_in_bins_by_hand():
    rows = recall_in_bins(
        np.array([0.2, 0.49, 0.5, 7, 0.1]), np.array([1, 0, 1, 1, 1], bool), (0.2, 0.5, 1, 4)
    )
    assert [(row["found"], row["count"]) for row in rows] == [(1, 2), (1, 1), (0, 0)]
    assert rows[0]["recall"] == 0.5
    assert np.isnan(rows[2]["recall"])


def test_summary_of_objects_and_fluxes():
    results = [
        ObjectResult("halo", 9.0, 3.0, 1.0, 0.8, True, 0.8, 1),
        ObjectResult("halo", 5.0, 3.0, 2.0, 2.0, True, 2.0, 2),
        ObjectResult("relic", 1.5, 20.0, 1.0, 1.0, True, 5.0, 3),
        ObjectResult("relic", 1.2, 0.5, 1.0, 1.0, False, 0.0, 4),
        ObjectResult("relic", 4.5, 0.5, 1.0, 1.0, False, 0.1, 5),
    ]
    objects = summarise_objects(results)
    assert objects["all"] == {"count": 5, "found": 3, "recall": pytest.approx(0.6)}
    assert objects["snr_above_4"]["recall"] == pytest.approx(2 / 3)
    assert objects["snr_1_to_2"]["recall"] == 0.5
    assert [row["count"] for row in objects["by_peak_snr"]] == [0, 0, 2, 0, 2, 1]
    assert [row["found"] for row in objects["by_las_arcmin"]] == [0, 0, 2, 0, 0, 1]
    assert objects["by_kind"]["relic"] == {"count": 3, "found": 1, "recall": pytest.approx(1 / 3)}
    flux = summarise_flux(results)
    assert flux["ratio"] == pytest.approx([0.8, 1.0])
    assert flux["median"] == pytest.approx(0.9)
    assert flux["p16"] == pytest.approx(0.8 + 0.16 * 0.2)
    assert summarise_flux(results[2:])["count"] == 0


@pytest.mark.parametrize(("unknown", "false"), [(5, [False, True]), (6, [False, False])])
def test_an_island_that_is_mostly_unknown_is_not_false(unknown, false):
    labels, mask, known = np.zeros((3, 12), int), np.zeros((3, 12), bool), np.ones((3, 12), bool)
    labels[1, 1:11] = 1
    known[1, 1 : 1 + unknown] = False
    assert false_labels(labels, mask, known).tolist() == false
    mask[1, 10] = True
    assert false_labels(labels, mask, known).tolist() == [False, False]


def test_fluxes_of_objects_that_are_hardly_visible_do_not_count():
    parts = [ObjectResult("halo", 9.0, 3.0, 1.0, visible, True, visible, 1) for visible in (0.79, 0.8, 1.3)]
    assert summarise_flux(parts)["ratio"] == [0.8, 1.3]


def test_false_islands_and_their_causes():
    predicted = np.zeros((9, 30), bool)
    cause = np.zeros((9, 30), np.uint8)
    predicted[0, :10] = True  # touches the truth: not false
    predicted[2, :10] = True  # 2 of 10 pixels of a radio galaxy
    cause[2, :2] = 2
    predicted[4, :10] = True  # 1 of 10: noise
    cause[4, 0] = 2
    predicted[6, :10] = True  # more of the galaxy than of the source
    cause[6, :2], cause[6, 2:6] = 1, 2
    predicted[8, :10] = True  # faint diffuse goes before any cause
    cause[8, :] = 1
    predicted[0, 20], predicted[1, 21] = True, True  # one island: corners join
    mask, faint = np.zeros((2, 9, 30), bool)
    mask[0, 0] = faint[0, 0] = faint[8, 9] = True
    known = np.ones((9, 30), bool)
    counts = false_islands(predicted, mask, known, faint, cause, CAUSES)
    assert counts == {"radio galaxy": 2, "noise": 2, "faint diffuse": 1}
    assert false_islands(predicted, mask, known, faint, None, CAUSES) == {"unknown": 5}
    assert sum(false_islands(np.zeros_like(predicted), mask, known, faint, cause, CAUSES).values()) == 0


@pytest.mark.parametrize(
    ("brightest", "label"), [(1.0, "host"), (0.99, "undetectable"), (0.3, "undetectable"), (0.29, "empty")]
)
def test_a_cluster_is_labelled_by_the_strongest_emission_in_its_aperture(brightest, label):
    strength = np.zeros((40, 40))
    strength[20, 29] = brightest
    strength[20, 31] = 5.0
    known = np.ones((40, 40), bool)
    assert cluster_label(strength, known, 20.0, 20.0, 10.0, 0.3) == label
    known[:, 19:] = False  # 9 of 21 columns are left
    assert cluster_label(strength, known, 20.0, 20.0, 10.0, 0.3) == "uncovered"


def test_curves_are_thinned_and_fall_with_the_threshold():
    curves = counted(*FIVE).curves()
    assert {len(curve) for curve in curves.values()} == {len(EDGES[::5])}
    # 0.15: two true pixels of two and two others of three
    place = int(np.flatnonzero(np.isclose(curves["threshold"], 0.15))[0])
    assert curves["true_rate"][place] == curves["recall"][place] == 1
    assert curves["false_rate"][place] == pytest.approx(2 / 3)
    assert curves["precision"][place] == pytest.approx(2 / 4)
    assert curves["dice"][place] == pytest.approx(4 / 6)


def test_plain_values_are_json():
    value = {"a": np.float32(0.123456789), "b": np.array([1.0, np.nan]), "c": np.int64(3), "d": (True, "x")}
    value["e"] = np.asarray(np.inf)
    assert json.loads(json.dumps(plain(value))) == {
        "a": 0.12346,
        "b": [1.0, None],
        "c": 3,
        "d": [True, "x"],
        "e": None,
    }
