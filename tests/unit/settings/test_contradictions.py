"""Settings that contradict each other are refused when they are made, with the names of both."""

import math
import re

import numpy as np
import pytest
from pydantic import ValidationError

from configs import refusal
from radiounet.settings.config import load_config
from radiounet.settings.named_skies import read_sky
from radiounet.settings.section import LogScale
from radiounet.settings.simulate import (
    AFTER_HELD_OUT,
    HELD_OUT,
    LONGEST_CUT_M,
    OWN,
    SKIES,
    SimulateOptions,
    keep_off_held_out,
)
from radiounet.settings.train import LegOptions, TrainOptions
from radiounet.simulation.instrument import Instrument, Observation, read_stations


@pytest.mark.parametrize(
    ("section", "given", "says"),
    [
        (
            "simulate",
            {"flux_min_mjy": 8001.0},
            "flux_min_mjy is 8001 mJy, which must be below flux_max_jy, 8 Jy",
        ),
        ("simulate", {"flux_min_mjy": 8000.0}, "flux_min_mjy is 8000 mJy"),
        ("simulate", {"flux_max_jy": 1e-4}, "below flux_max_jy, 0.0001 Jy"),
        ("simulate", {"declination_deg": [-99, 0]}, "declination_deg is [-99.0, 0.0], outside -90 to 90"),
        ("simulate", {"hours": [8, 30]}, "hours is [8.0, 30.0], outside 0 to 24"),
        ("simulate", {"robust": [-400, -390]}, "robust is [-400.0, -390.0], outside -5 to 5"),
        ("simulate", {"smallest_arcmin": 21.0}, "smallest_arcmin is 21, more than largest_arcmin, 20"),
        ("simulate", {"largest_arcmin": 1.0}, "smallest_arcmin is 1.5, more than largest_arcmin, 1"),
        # 70" at 168 MHz: 1.7845 m / 3.3937e-4
        (
            "simulate",
            {"inner_cut_m": [60.0, 5259.0]},
            "inner_cut_m reaches 5259 m, more than 5258 m: hardly",
        ),
        ("simulate", {"inner_cut_m": [1.3e5, 1.4e5]}, "inner_cut_m reaches 140000 m"),
        ("simulate", {"zoom": [1, 60], "zoom_fraction": 0.1}, "inner_cut_m reaches 120 m, more than 88 m"),
        ("train", {"core_px": 63, "tile_px": 128}, "core_px is 63 and tile_px 128: a core is the middle"),
        ("train", {"core_px": 64, "tile_px": 127}, "core_px is 64 and tile_px 127"),
        ("train", {"tile_px": 128}, "core_px is 256 and tile_px 128"),
        ("train", {"widths": [8, 0]}, "train.widths.1: 0 is not allowed"),
        ("train", {"widths": [-4, 8]}, "train.widths.0: -4 is not allowed"),
        ("train", {"widths": [8]}, "train.widths: "),
    ],
)
def test_two_settings_that_contradict_each_other_are_named(section, given, says):
    message = refusal({section: given})
    assert f"- {section}" in message
    assert says in message


@pytest.mark.parametrize(
    "given",
    [
        {"simulate": {"flux_min_mjy": 7999.0}},
        {"simulate": {"smallest_arcmin": 20.0}},
        {"simulate": {"inner_cut_m": [60.0, 5257.0]}},
        {"simulate": {"inner_cut_m": [60.0, 18_000.0], "coarse_fraction": 0}},  # 20": 18404 m
        {"simulate": {"zoom": [1, 60]}},  # in no image
        {"train": {"core_px": 63, "tile_px": 127}},
        {"train": {"core_px": 128, "tile_px": 128}},
    ],
)
def test_what_is_just_possible_is_accepted(given):
    load_config(given)


def test_the_skies_that_are_shipped_are_possible():
    assert len({read_sky(name).seed for name in (OWN, *SKIES)}) == 4


@pytest.mark.parametrize(("pixel_arcsec", "beam_arcsec"), [(4.5, 20.0), (1.5, 6.0), (0.3, 1.0), (13.5, 60.0)])
@pytest.mark.parametrize("ideal", [False, True])
def test_the_longest_inner_cut_leaves_an_image(pixel_arcsec, beam_arcsec, ideal):
    stations = read_stations()
    lengths = np.linalg.norm(stations[:, None] - stations, axis=-1)
    assert lengths.max() == pytest.approx(2 * LONGEST_CUT_M, rel=0.01)
    given = {"n_px": 64, "pixel_arcsec": pixel_arcsec, "beam_arcsec": beam_arcsec, "coarse_fraction": 0}
    longest = min(LONGEST_CUT_M, 299.792458 / 168 / math.radians(beam_arcsec / 3600))
    options = SimulateOptions(**given, inner_cut_m=(longest, longest))
    for declination in (-5.0, 40.0, 85.0):
        observation = Observation(declination, 6.0, longest, -1.0, ideal)
        array = Instrument(options, observation, beam_arcsec)
        assert np.isfinite(array.noise(np.random.default_rng(1))).all()
    with pytest.raises(ValidationError, match="inner_cut_m"):
        SimulateOptions(**given, inner_cut_m=(60.0, 1.001 * longest))


def test_a_floor_that_hides_all_emission_is_refused():
    LogScale(low=1e-10, high=1e-3)  # a floor above low only hides the faintest
    with pytest.raises(ValidationError, match=re.escape("floor must be below high, not 1e-09 and 1e-09")):
        LogScale(low=1e-11, high=1e-9)


def test_options_of_a_leg_have_filters():
    with pytest.raises(ValidationError, match=r"widths\.1"):
        LegOptions(widths=[8, 0])
    assert TrainOptions(widths=[2, 2]).widths == [2, 2]


@pytest.mark.parametrize(
    ("first", "count", "kept_off"),
    [
        (HELD_OUT - 10, 10, True),
        (HELD_OUT - 10, 11, False),
        (AFTER_HELD_OUT - 1, 1, False),
        (AFTER_HELD_OUT, 1, True),
    ],
)
def test_the_last_seeds_before_and_the_first_after_those_held_out(first, count, kept_off):
    if kept_off:
        keep_off_held_out(first, count)
    else:
        with pytest.raises(ValueError, match="begin elsewhere"):
            keep_off_held_out(first, count)
