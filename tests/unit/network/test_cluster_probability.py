import numpy as np
import pytest
from astropy.table import Table
from scipy import special

from radiounet.network.cluster_probability import (
    FEATURES,
    HostCalibration,
    beam_average,
    field_features,
    fit_host_calibration,
    measure_aperture,
    shift_share,
)

N = len(FEATURES)


def drawn(count, weights, intercept, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(rng.uniform(-3, 3, N), rng.uniform(0.3, 4, N), (count, N))
    chance = special.expit(features @ weights + intercept)
    return features, rng.random(count) < chance, chance


WEIGHTS = np.array([0.8, -0.5, 0.3, 0.0, 0.2, -0.7, 0.0, 0.4, -0.2, 0.1, 0.6, -0.3])


def test_known_weights_are_recovered_within_their_errors():
    features, hosts, chance = drawn(6000, WEIGHTS, 0.5, 1)
    fit = fit_host_calibration(features, hosts)
    design = np.column_stack([features, np.ones(len(features))])
    information = design.T @ (design * (chance * (1 - chance))[:, None])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    weights = np.array(fit.weights) / fit.scale
    assert np.abs((weights - WEIGHTS) / errors[:-1]).max() < 3.5
    assert fit.intercept - weights @ fit.mean == pytest.approx(0.5, abs=3.5 * errors[-1])
    assert fit.clusters == 6000
    assert np.sqrt(np.mean((fit.probability(features) - chance) ** 2)) < 0.03


def test_mean_probability_is_the_share_of_hosts():
    features, hosts, _ = drawn(500, WEIGHTS, -1.0, 2)
    fit = fit_host_calibration(features, hosts)
    assert fit.probability(features).mean() == pytest.approx(hosts.mean(), abs=1e-4)


def test_another_share_of_hosts_by_hand():
    # half of the clusters are hosts, odds of 1; at a third they are 1/2, so odds of 3 become 3/2
    assert shift_share(np.array([0.75, 0.5, 0.0, 1.0]), 0.5, 1 / 3) == pytest.approx([0.6, 1 / 3, 0, 1])


def test_probabilities_for_another_share_are_those_of_clusters_drawn_with_it():
    features, hosts, _ = drawn(40_000, WEIGHTS, 0.5, 8)
    fit = fit_host_calibration(features[:20_000], hosts[:20_000])
    assert fit.share == pytest.approx(hosts[:20_000].mean())
    new, true = features[20_000:], hosts[20_000:]
    # of the new ones keep all that are no hosts, and so many hosts that they are a fifth
    kept = ~true | (np.cumsum(true) <= (~true).sum() / 4)
    share = true[kept].mean()
    assert share == pytest.approx(0.2, abs=1e-3)
    probability = fit.probability(new[kept], share)
    assert probability.mean() == pytest.approx(share, abs=0.01)
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
        here = (probability >= low) & (probability < high)
        error = np.sqrt((probability[here] * (1 - probability[here])).sum()) / here.sum()
        assert probability[here].mean() == pytest.approx(true[kept][here].mean(), abs=4 * error + 0.01)
    np.testing.assert_allclose(fit.probability(new), fit.probability(new, fit.share), rtol=1e-12)


def test_a_calibration_of_an_older_card_is_not_shifted():
    features, hosts, _ = drawn(500, WEIGHTS, 0.5, 9)
    fit = fit_host_calibration(features, hosts)
    old = HostCalibration.model_validate(fit.model_dump(exclude={"share"}))
    np.testing.assert_array_equal(old.probability(features, 0.1), fit.probability(features))


def test_probabilities_are_calibrated_on_new_clusters():
    features, hosts, _ = drawn(3000, WEIGHTS, 0.5, 3)
    fit = fit_host_calibration(features[:1500], hosts[:1500])
    probability = fit.probability(features[1500:])
    for low, high in ((0, 0.25), (0.25, 0.75), (0.75, 1.01)):
        here = (probability >= low) & (probability < high)
        error = np.sqrt((probability[here] * (1 - probability[here])).sum()) / here.sum()
        assert probability[here].mean() == pytest.approx(hosts[1500:][here].mean(), abs=4 * error + 0.02)


def test_fit_is_the_optimum_of_the_penalised_likelihood():
    features, hosts, _ = drawn(400, WEIGHTS, 0.5, 4)
    fit = fit_host_calibration(features, hosts)
    np.testing.assert_allclose(fit.mean, features.mean(axis=0))
    np.testing.assert_allclose(fit.scale, features.std(axis=0))
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    excess = fit.probability(features) - hosts
    assert np.abs(standard.T @ excess + fit.weights).max() < 0.02
    assert abs(excess.sum()) < 0.02
    # frozen: as L-BFGS-B of SciPy found it, before scikit-learn did
    assert fit.weights == pytest.approx(
        (0.91302, -1.21759, 1.33567, 0.20443, 0.56818, -2.39775)
        + (0.15526, 0.81499, -0.64584, 0.51952, 1.56894, -0.35564),
        abs=2e-5,
    )
    assert fit.intercept == pytest.approx(4.05133, abs=2e-5)


def test_separable_clusters_give_finite_weights_and_the_right_order():
    rng = np.random.default_rng(5)
    hosts = np.arange(200) % 3 == 0
    features = rng.normal(size=(200, N))
    features[:, 0] = np.where(hosts, 5, -5) + 0.1 * features[:, 0]
    fit = fit_host_calibration(features, hosts)
    probability = fit.probability(features)
    assert np.isfinite(fit.weights).all()
    assert np.argmax(fit.weights) == 0
    assert probability[hosts].min() > 0.9
    assert probability[~hosts].max() < 0.1


def test_constant_feature_has_no_weight():
    features, hosts, _ = drawn(200, WEIGHTS, 0.0, 6)
    features[:, 10] = 1.0
    fit = fit_host_calibration(features, hosts)
    assert fit.weights[10] == 0
    assert fit.scale[10] == 1
    assert np.isfinite(fit.probability(features)).all()


@pytest.mark.parametrize("value", [True, False])
def test_one_class_is_refused(value):
    with pytest.raises(ValueError, match="both kinds are needed"):
        fit_host_calibration(np.random.default_rng(7).normal(size=(6, N)), np.full(6, value))


def test_no_clusters_are_refused():
    with pytest.raises(ValueError, match="0 of 0"):
        fit_host_calibration(np.zeros((0, N)), np.zeros(0, bool))


def by_hand(**changes):
    """Two features that count, the others at weight 0."""
    rest = N - 2
    values = {
        "features": FEATURES,
        "mean": (1.0, 2.0, *[5.0] * rest),
        "scale": (2.0, 4.0, *[3.0] * rest),
        "weights": (1.0, -1.0, *[0.0] * rest),
        "intercept": 0.5,
        "clusters": 2,
    }
    return HostCalibration(**(values | changes))


def test_probability_by_hand():
    # (3 - 1) / 2 - (6 - 2) / 4 + 0.5 = 0.5, and (5 - 1) / 2 - 0 + 0.5 = 2.5
    rows = np.full((2, N), 7.0)
    rows[:, :2] = [[3.0, 6.0], [5.0, 2.0]]
    expected = 1 / (1 + np.exp([-0.5, -2.5]))
    np.testing.assert_allclose(by_hand().probability(rows), expected)


@pytest.mark.parametrize(
    "changes", [{"features": FEATURES[::-1]}, {"features": FEATURES[:-1]}, {"mean": (1.0,)}, {"weights": ()}]
)
def test_calibration_of_other_features_is_refused(changes):
    with pytest.raises(ValueError, match="not on|values each"):
        by_hand(**changes)


def test_json_round_trip_is_exact():
    features, hosts, _ = drawn(100, WEIGHTS, 0.0, 8)
    fit = fit_host_calibration(features, hosts)
    again = HostCalibration.model_validate_json(fit.model_dump_json())
    assert again == fit
    np.testing.assert_array_equal(again.probability(features), fit.probability(features))


def test_beam_average_conserves_and_counts_blanks_as_nothing():
    plane = np.zeros((41, 41))
    plane[20, 20] = 1
    plane[0, 0] = np.nan
    mean = beam_average(plane, 20.0, 4.5)
    assert mean.sum() == pytest.approx(1)
    assert np.isfinite(mean).all()
    # 1 / (2 pi sigma^2) is 1 / 22.4 px
    assert mean[20, 20] == pytest.approx(np.log(2) * 4 / np.pi / (20 / 4.5) ** 2, rel=0.01)
    assert mean[20, 20 + 10] / mean[20, 20] == pytest.approx(2 ** -((20 / (20 / 4.5)) ** 2), abs=1e-3)


def test_beyond_the_border_there_is_no_probability():
    """At an edge half of the beam lies outside, but for half of the row of pixels; in a corner its square."""
    mean = beam_average(np.ones((41, 41)), 20.0, 4.5)
    assert mean[20, 20] == pytest.approx(1, abs=1e-3)
    assert mean[0, 20] == pytest.approx(0.606, abs=1e-3)
    assert mean[0, 0] == pytest.approx(0.367, abs=1e-3)


def test_aperture_by_hand():
    row = measure_aperture(
        probability=np.array([0.5, 0.8, 0.2, 0.5]),
        smooth=np.array([0.6, 0.9, 0.1, 0.5]),
        snr=np.array([2.0, 4.0, 0.0, -1.0]),
        in_mask=np.array([True, True, False, False]),
        offset_arcmin=np.array([[0.3, -0.9, 0.0, 1.9], [-0.4, 1.2, 0.2, 0.0]]),
        r500_arcmin=2.0,
        beam_area_px=0.5,
        coverage=0.75,
        galactic=True,
    )
    expected = {
        "logit_p_max": np.log(9),
        "logit_p_max_inner": np.log(1.5),  # inside 1': 0.6 and 0.1
        "log_expected_beams": np.log10(5),  # 1 + 2.0 / 0.5
        "log_mask_beams": np.log10(5),  # 1 + 2 / 0.5
        "mask_fraction": 0.5,
        "mask_p_mean": 0.65,
        "mask_brightness": np.arcsinh(3),
        "mask_distance": 0.25,
        "mask_elongation": 0.0,  # too few pixels to tell
        "log_r500": np.log10(2),
        "coverage": 0.75,
        "galactic": 1.0,
    }
    assert tuple(expected) == FEATURES
    np.testing.assert_allclose(row, list(expected.values()))


def elongation(offset):
    """Of a mask that is the whole aperture."""
    ones = np.ones(offset.shape[1])
    row = measure_aperture(0.5 * ones, 0.5 * ones, ones, ones == 1, offset, 5.0, 1.0, 1.0, False)
    return row[FEATURES.index("mask_elongation")]


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2])
def test_elongation_is_the_axis_ratio_in_any_direction(angle):
    y, x = (axis.ravel() for axis in np.mgrid[:5, :20])
    turned = np.array([y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)])
    # variances of 5 and of 20 equidistant points: 24 / 12 and 399 / 12
    assert elongation(turned) == pytest.approx(0.5 * np.log10(399 / 24))


def test_elongation_of_squares_lines_and_few_points():
    square = np.mgrid[:6, :6].reshape(2, -1).astype(float)
    assert elongation(square) == pytest.approx(0, abs=1e-9)
    line = np.array([np.arange(12.0), np.zeros(12)])
    assert elongation(line) == pytest.approx(1.5)  # limited to a ratio of 31.6
    assert elongation(line[:, :9]) == 0
    assert elongation(line[:, :10]) > 1


def clusters(*rows):
    return Table(rows=list(rows), names=["y_px", "x_px", "r500_arcmin", "galactic"])


def test_field_features_by_hand():
    # pixels of 1' and a beam too small to smooth: 13 pixels within 2', of which 3 are blank
    probability, image = np.full((7, 7), 0.1), np.full((7, 7), 3.0)
    probability[3, 3], probability[3, 5], probability[0, 0] = 0.7, 0.8, 0.99
    mask = np.zeros((7, 7), np.uint8)
    mask[3, 5] = mask[0, 0] = 1
    mask[2, 3] = 255
    image[1, 3] = image[3, 1] = image[2, 2] = np.nan
    probability[np.isnan(image)] = np.nan
    rows = field_features(
        probability, mask, image, np.full((7, 7), 2.0), clusters((3.0, 3.0, 2.0, False)), 60.0, 6.0
    )
    area = np.pi / (4 * np.log(2)) * 0.01
    expected = [
        np.log(0.8 / 0.2),
        np.log(0.7 / 0.3),
        np.log10(1 + (0.7 + 0.8 + 8 * 0.1) / area),
        np.log10(1 + 1 / area),
        0.1,
        0.8,
        np.arcsinh(1.5),
        1.0,
        0.0,
        np.log10(2),
        10 / (4 * np.pi),
        0.0,
    ]
    assert rows.shape == (1, N)
    np.testing.assert_allclose(rows[0], expected, rtol=1e-5)


def test_cluster_without_data_has_finite_features():
    image = np.full((7, 7), np.nan)
    row = field_features(image, np.zeros((7, 7)), image, image, clusters((3.0, 3.0, 2.0, True)), 60.0, 6.0)[0]
    assert np.isfinite(row).all()
    assert row[FEATURES.index("coverage")] == 0
    assert row[FEATURES.index("galactic")] == 1


def test_coverage_never_exceeds_one_and_is_less_beyond_the_edge():
    plane = np.full((41, 41), 0.5)
    rows = field_features(
        plane,
        plane > 1,
        plane,
        plane,
        clusters((20.0, 20.0, 2.0, False), (0.0, 20.0, 10.0, False), (20.0, 20.0, 10.0, False)),
        60.0,
        6.0,
    )
    coverage = rows[:, FEATURES.index("coverage")]
    assert coverage[0] == 1  # 13 pixels, more than 4 pi
    assert coverage[1] == pytest.approx(0.53, abs=0.02)  # a half and the row of the edge
    assert coverage[2] == pytest.approx(1, abs=0.02)


def test_field_without_clusters_has_no_rows():
    plane = np.zeros((5, 5))
    assert field_features(plane, plane, plane, plane + 1, clusters()[:0], 60.0, 6.0).shape == (0, N)


def test_pixels_without_a_probability_do_not_count_as_covered():
    plane = np.full((41, 41), 0.5)
    unknown = np.where(np.arange(41) < 20, np.nan, plane)  # columns to the left of the cluster
    rows = field_features(unknown, plane > 1, plane, plane, clusters((20.0, 20.0, 10.0, False)), 60.0, 6.0)
    assert rows[0, FEATURES.index("coverage")] == pytest.approx(0.53, abs=0.02)  # a half and its own column
    assert np.isfinite(rows).all()
