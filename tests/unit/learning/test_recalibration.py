import numpy as np
import pytest
from scipy import special

from radiounet.errors import ConfigError
from radiounet.learning.recalibration import (
    FEWEST,
    fit_recalibration,
    held_out_probabilities,
    require_both_kinds,
)


def test_two_probabilities_become_the_means_of_their_targets():
    # 8 of 10 at 0.8 and 3 of 10 at 0.2 are hosts: the targets are 12/13 of hosts and 1/11 of empty clusters
    p_diffuse = np.repeat([0.8, 0.2], 10)
    hosts = np.array([True] * 8 + [False] * 2 + [True] * 3 + [False] * 7)
    high, low = (8 * 12 / 13 + 2 / 11) / 10, (3 * 12 / 13 + 7 / 11) / 10
    fit = fit_recalibration(p_diffuse, hosts)
    np.testing.assert_allclose(fit.probability(np.array([0.8, 0.2])), [high, low], rtol=1e-5)
    # p = 0.8 and 0.2 have logits of +-1.38629
    assert fit.slope == pytest.approx((special.logit(high) - special.logit(low)) / (2 * 1.38629), rel=1e-4)
    assert fit.offset == pytest.approx((special.logit(high) + special.logit(low)) / 2, rel=1e-4)


def test_probabilities_that_separate_all_clusters_stay_finite():
    fit = fit_recalibration(np.repeat([1.0, 0.0], [4, 8]), np.repeat([True, False], [4, 8]))
    np.testing.assert_allclose(fit.probability(np.array([1.0, 0.0])), [5 / 6, 1 / 10], rtol=1e-5)


def test_what_has_no_probability_stays_without():
    fit = fit_recalibration(np.repeat([0.9, 0.1], 5), np.repeat([True, False], 5))
    assert np.isnan(fit.probability(np.array([np.nan, 0.5]))).tolist() == [True, False]


def test_a_distortion_is_found_and_undone_in_clusters_that_the_fit_did_not_see():
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 2, 4000)
    hosts = generator.random(4000) < special.expit(logits)
    distorted = special.expit(2 * logits + 1)
    fit = fit_recalibration(distorted, hosts)
    assert fit.slope == pytest.approx(0.5, abs=0.04)
    assert fit.offset == pytest.approx(-0.5, abs=0.1)
    held_out = held_out_probabilities(distorted, hosts)
    np.testing.assert_allclose(held_out, special.expit(logits), atol=0.05)
    assert (held_out != fit.probability(distorted)).all()
    np.testing.assert_array_equal(held_out, held_out_probabilities(distorted, hosts))


def test_a_cluster_is_judged_without_its_label():
    # one empty cluster at 0.9 among hosts: seen by the fit, it would pull its own probability down
    p_diffuse = np.repeat([0.9, 0.1], 25)
    hosts = np.array([True] * 24 + [False] * 26)
    held_out, seen = held_out_probabilities(p_diffuse, hosts), fit_recalibration(p_diffuse, hosts)
    assert held_out[24] > seen.probability(p_diffuse)[24] + 0.02


def test_few_labels_are_refused():
    for few, many in ((FEWEST - 1, FEWEST), (FEWEST, FEWEST - 1)):
        with pytest.raises(ConfigError, match=f"{few} hosts and {many} empty clusters .* needs {FEWEST}"):
            require_both_kinds(np.repeat([True, False], [few, many]))
    require_both_kinds(np.repeat([True, False], FEWEST))
