import numpy as np
import pytest

from radiounet.measuring.label_matching import Match
from radiounet.measuring.label_scores import (
    CONFUSION,
    confusion,
    hosts_emission,
    matched_table,
    score_labels,
    share_interval,
    verdict,
)
from radiounet.measuring.labels import Entry, Label, parse_classes

NAN = float("nan")
HOSTS, EMPTY = [0.9, 0.8, 0.3], [0.6, 0.2, 0.1]
P_DIFFUSE = np.array([*HOSTS, *EMPTY])
TRUTH = np.array([True] * 3 + [False] * 3)


def match(label_class, p_diffuse=0.5, class_="NDE"):
    entry = Entry("C", (), None if class_ is None else parse_classes(class_), 150.0, 0.0, p_diffuse)
    return Match(Label("L", parse_classes(label_class), 150.0, 0.01), entry, "name")


@pytest.mark.parametrize(
    ("text", "truth"),
    [("RH", True), ("RR", True), ("cRH", True), ("cRR", True), ("U+RR", True), ("NDE", False)]
    + [("U", None), ("N/A", None), ("", None)],
)
def test_halos_relics_and_candidates_are_hosts(text, truth):
    assert hosts_emission(parse_classes(text)) is truth


def test_verdicts_are_of_the_decision_at_a_half():
    assert verdict(match("RH", 0.5)) == "true positive"
    assert verdict(match("cRR", 0.4999)) == "false negative"
    assert verdict(match("NDE", 0.5)) == "false positive"
    assert verdict(match("NDE", 0.0)) == "true negative"
    assert verdict(match("RH", NAN)) == "not measured"
    assert verdict(match("U", NAN)) == "left out"


def test_scores_of_six_clusters_worked_out_by_hand():
    scores = score_labels(P_DIFFUSE, TRUTH)
    # found: 0.9, 0.8 and, wrongly, 0.6
    for name, value in (("recall", 2 / 3), ("accuracy", 4 / 6), ("precision", 2 / 3)):
        assert scores[name]["value"] == pytest.approx(value)
    # of nine pairs of host and empty cluster, one (0.3, 0.6) is the wrong way round
    assert scores["roc_auc"]["value"] == pytest.approx(8 / 9)
    assert scores["brier"]["value"] == pytest.approx((0.01 + 0.04 + 0.49 + 0.36 + 0.04 + 0.01) / 6)
    # thresholds 0.9, 0.8, 0.6, 0.3, 0.1 and above all; 0.8 and 0.2 lie on straight lines
    rates = np.column_stack([scores["roc"]["false_rate"], scores["roc"]["true_rate"]])
    np.testing.assert_allclose(rates, [(0, 0), (0, 1 / 3), (0, 2 / 3), (1 / 3, 2 / 3), (1 / 3, 1), (1, 1)])
    ninth = scores["reliability"][9]
    assert (ninth["count"], ninth["probability"], ninth["fraction"]) == (1, 0.9, 1.0)
    assert (ninth["fraction_low"], ninth["fraction_high"]) == share_interval(1, 1)
    assert scores["reliability"][5]["count"] == 0
    assert np.isnan(scores["reliability"][5]["fraction_low"])


def test_the_interval_of_a_share_is_wilsons():
    # z = 0.99446 holds 68 % of a normal distribution; centre (2/3 + z2/6) / (1 + z2/3) = 0.62535, half
    # width z sqrt(2/27 + z2/36) / (1 + z2/3) = 0.23833, with z2 = 0.98895
    assert share_interval(2, 3) == pytest.approx((0.38702, 0.86368), abs=2e-5)
    low, high = share_interval(0, 5)
    assert low == 0
    assert high == pytest.approx(0.98895 / 5.98895, abs=1e-5)  # z2 / (n + z2)
    assert np.isnan(share_interval(0, 0)).all()


def test_intervals_of_bootstrap_hold_the_score_and_are_repeated():
    scores, again = score_labels(P_DIFFUSE, TRUTH), score_labels(P_DIFFUSE, TRUTH)
    for name in ("roc_auc", "brier"):
        assert scores[name]["low"] < scores[name]["value"] < scores[name]["high"]
        assert scores[name] == again[name]


def test_samples_with_ties_count_half():
    # all have the same probability, in every sample
    scores = score_labels(np.full(4, 0.7), np.array([True, True, False, False]))
    assert scores["roc_auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert scores["brier"]["low"] == pytest.approx((0.09 + 0.49) / 2)


def test_clusters_of_one_kind_have_no_curve_and_no_interval():
    for p_diffuse, truth in ((HOSTS, True), (EMPTY, False)):
        scores = score_labels(np.array(p_diffuse), np.full(3, truth))
        assert np.isnan([*scores["roc_auc"].values(), scores["brier"]["low"]]).all()
        assert list(scores["roc"]["false_rate"]) == []
    assert scores["accuracy"]["value"] == pytest.approx(2 / 3)
    assert np.isnan([*scores["recall"].values()]).all()
    assert scores["precision"]["value"] == 0


def test_confusion_has_labels_in_rows_and_the_catalogue_in_columns():
    matches = [
        match("RH", class_="cRH"),
        match("cRH", class_="RH"),
        match("RH, 2 RR", class_="cRR"),
        match("cRH+cRR", class_="U"),
        match("RR+U", class_="RR"),
        match("NDE", class_="RH+RR"),
        match("N/A", class_=""),
        match("", class_="N/A"),
    ]
    counts = confusion(matches)
    expected = {
        ("RH", "RH"): 2,
        ("RH+RR", "RR"): 1,
        ("RH+RR", "U"): 1,
        ("RR", "RR"): 1,
        ("NDE", "RH+RR"): 1,
        ("N/A", "none"): 1,
        ("none", "N/A"): 1,
    }
    named = {(CONFUSION[row], CONFUSION[column]): counts[row, column] for row, column in np.argwhere(counts)}
    assert named == expected


def test_the_table_of_matches_has_both_classes():
    table = matched_table([match("RH+cRR", 0.25, "U"), match("U", NAN, None)], {"codehash": "x"})
    assert list(table[0]) == ["C", "L", "name", pytest.approx(0.6), "RH+cRR", "U", 0.25, "false negative"]
    assert table[1]["class"] == ""
    assert np.isnan(table[1]["p_diffuse"])
    assert table["separation_arcmin"].unit == "arcmin"
    assert all(table[name].description for name in table.colnames)
