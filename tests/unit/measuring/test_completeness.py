import numpy as np
import pytest
from scipy.special import expit

from radiounet.measuring import limits
from radiounet.measuring.completeness import (
    WIDTH,
    WIDTH_SPREAD,
    brightest,
    fit_completeness,
    flux_found,
    fluxes_found,
    is_rising,
    next_fluxes,
)

EXPECTED = 10.0


def trials_of(rng, place, width, trials=48, rounds=6):
    """Rounds of trials whose outcomes follow a known function: flux densities, and which were found."""
    flux, found = np.empty(0), np.empty(0, bool)
    for count in (len(one) for one in np.array_split(np.arange(trials), rounds)):
        more = next_fluxes(flux, found, EXPECTED, count)
        flux = np.append(flux, more)
        found = np.append(found, rng.random(count) < expit(np.log(more / place) / width))
    return flux, found


def run_trials(rng, place, width):
    return fit_completeness(*trials_of(rng, place, width), EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "width", "tolerance"),
    [(2.0, 0.5, 0.1), (10.0, 0.5, 0.1), (40.0, 0.5, 0.1), (10.0, 0.4, 0.15), (10.0, 0.6, 0.15)],
)
def test_fluxes_of_a_known_function_are_found_again(place, width, tolerance):
    rng = np.random.default_rng(1)
    fits = [run_trials(rng, place, width) for _ in range(120)]
    half, most = (np.array([fit.flux(part) for fit in fits]) for part in (0.5, 0.9))
    assert np.exp(np.log(half).mean()) == pytest.approx(place, rel=0.05)
    assert np.exp(np.log(most).mean()) == pytest.approx(place * 9**width, rel=tolerance)
    # of new objects at these flux densities as many are found as promised
    assert expit(np.log(half / place) / width).mean() == pytest.approx(0.5, abs=0.02)
    assert expit(np.log(most / place) / width).mean() == pytest.approx(0.9, abs=0.03)


@pytest.mark.slow
def test_errors_are_those_of_repetitions():
    rng = np.random.default_rng(2)
    fits = [run_trials(rng, 10.0, 0.5) for _ in range(120)]
    spread = np.std([np.log(fit.flux(0.5)) for fit in fits])
    assert np.median([fit.error(0.5) / fit.flux(0.5) for fit in fits]) == pytest.approx(spread, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_errors_of_local_fits_are_those_of_repetitions(part):
    """Over functions as likely as the priors say."""
    rng, pulls = np.random.default_rng(3), []
    for _ in range(120):
        place, width = EXPECTED * np.exp(rng.normal(0, 0.8)), WIDTH * np.exp(WIDTH_SPREAD * rng.normal())
        flux, found = trials_of(rng, place, width)
        measured, error = flux_found(flux, found, EXPECTED, part)
        pulls.append(measured / error * np.log(measured / (place * (part / (1 - part)) ** width)))
    assert 0.75 < np.std(pulls) < 1.1


@pytest.mark.parametrize(
    ("place", "width", "trials", "seed"),
    [(20.0, 1.0, 48, 28), (10.0, 1.3, 24, 13), (10.0, 1.3, 24, 43), (10.0, 2.0, 48, 6), (10.0, 2.0, 48, 12)],
)
def test_where_local_fits_cross_one_function_of_all_trials_counts(place, width, trials, seed):
    drawn = trials_of(np.random.default_rng(seed), place, width, trials)
    local = [flux_found(*drawn, EXPECTED, part)[0] for part in (0.5, 0.9)]
    assert local[0] > local[1]
    (half, half_error), (most, most_error) = fluxes_found(*drawn, EXPECTED, (0.5, 0.9))
    one = fit_completeness(*drawn, EXPECTED)
    # logit 0.9 is ln 9
    assert (half, most) == pytest.approx((np.exp(one.place), np.exp(one.place) * 9**one.width))
    assert half < most
    assert (half_error, most_error) == (one.error(0.5), one.error(0.9))


def test_where_local_fits_rise_they_count():
    drawn = trials_of(np.random.default_rng(1), 10.0, 0.5)
    local = [flux_found(*drawn, EXPECTED, part) for part in (0.5, 0.9)]
    assert fluxes_found(*drawn, EXPECTED, (0.5, 0.9)) == local


def test_outcomes_that_can_be_separated_have_a_finite_fit():
    flux = np.array([1.0, 2.0, 4.0, 8.0])
    fit = fit_completeness(flux, flux > 3, EXPECTED)
    assert 2 < fit.flux(0.5) < 4
    assert fit.flux(0.5) < fit.flux(0.9) < 16
    assert 0 < fit.error(0.5) < 4


def test_more_trials_have_smaller_errors():
    flux = np.geomspace(1, 16, 12)
    few = fit_completeness(flux, flux > 4, EXPECTED)
    many = fit_completeness(np.tile(flux, 4), np.tile(flux > 4, 4), EXPECTED)
    assert many.error(0.5) < few.error(0.5)


def test_first_trials_reach_an_eighth_and_eight_times_what_is_expected():
    first = next_fluxes(np.empty(0), np.empty(0, bool), EXPECTED, 7)
    assert first == pytest.approx(EXPECTED * 2.0 ** np.arange(-3, 4))


def test_where_all_have_one_outcome_the_next_reach_further():
    flux = np.array([2.0, 4.0])
    assert next_fluxes(flux, np.array([True, True]), EXPECTED, 3) == pytest.approx([2 / 64, 2 / 8, 2])
    more = next_fluxes(flux, np.array([False, False]), EXPECTED, 3)
    assert more == pytest.approx(4 * 2.0 ** np.array([-1.5, 0, 1.5]))


def test_no_trial_is_brighter_than_64_times_what_is_expected():
    assert brightest(EXPECTED) == 640
    flux = np.array([600.0, 640.0])
    assert next_fluxes(flux, np.array([False, False]), EXPECTED, 8).max() == 640


def test_further_trials_lie_where_outcomes_differ():
    flux = np.geomspace(1, 100, 16)
    more = next_fluxes(flux, flux > 10, EXPECTED, 8)
    assert (np.diff(more) > 0).all()
    assert more[0] < 10 < more[-1]
    assert more[-1] < 40


@pytest.mark.parametrize(
    ("outcomes", "kept"),
    [
        ("0000111111", 10),
        ("0000111111000000", 10),  # a fall of six
        ("000011111100000", 15),  # of five only
        ("0000111000000", 13),  # a rise of three only
        ("000011110000001000", 8),
        ("0000000000", 10),
        ("", 0),
    ],
)
def test_trials_too_bright_to_be_found_are_told(outcomes, kept):
    found = np.array([one == "1" for one in outcomes], bool)
    flux = np.arange(1.0, len(found) + 1)
    assert is_rising(flux, found).sum() == kept
    assert is_rising(flux[::-1], found[::-1]).sum() == kept
    assert is_rising(flux, found)[:kept].all()


def test_mocks_that_are_found_in_a_window_only_have_the_flux_where_it_begins():
    rng = np.random.default_rng(3)
    halves = []
    for _ in range(40):
        flux, found = np.empty(0), np.empty(0, bool)
        for _ in range(6):
            more = next_fluxes(flux, found, EXPECTED, 8)
            flux = np.append(flux, more)
            part = expit(np.log(more / 12) / 0.4) * expit(np.log(100 / more) / 0.4)
            found = np.append(found, rng.random(8) < part)
        kept = is_rising(flux, found)
        halves.append(fit_completeness(flux[kept], found[kept], EXPECTED).flux(0.5))
    assert np.median(halves) == pytest.approx(12, rel=0.15)


def test_a_part_that_is_found_at_last_only_does_not_move_the_half():
    """A third needs eight times the flux density of the others."""

    def part_found(flux):
        score = np.log(flux / EXPECTED) / 0.2
        return (2 * expit(score) + expit(score - np.log(8) / 0.2)) / 3

    rng = np.random.default_rng(4)
    at = []
    for _ in range(30):
        flux = EXPECTED * np.exp(rng.uniform(-2, 4, 60))
        found = rng.random(60) < part_found(flux)
        fluxes = [
            fit_completeness(flux, found, EXPECTED).flux(0.5),
            flux_found(flux, found, EXPECTED, 0.5)[0],
        ]
        at.append([part_found(one) for one in fluxes])
    whole, local = np.mean(at, axis=0)
    assert abs(local - 0.5) < abs(whole - 0.5)
    assert local == pytest.approx(0.5, abs=0.1)


def test_where_all_that_count_were_found_nothing_is_measured():
    """Bright mocks that the network takes for something else say nothing of faint ones."""
    trials = limits._Series(0.01, np.random.default_rng(0), lambda *_: None)
    flux_jy = np.append(np.geomspace(1e-3, 60e-3, 12), np.geomspace(0.5, 8.0, 12))
    trials.flux_jy, trials.found = flux_jy, flux_jy < 0.1
    values, note = trials.fluxes_mjy()
    assert values == {}
    assert note == "fewer were found above 60 mJy, which do not count; all fainter ones were found"
