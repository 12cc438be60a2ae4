"""How large a configuration may grow, and how its folders are spelled."""

from pathlib import Path

import pytest
import yaml

from configs import refusal
from radiounet.settings.config import load_config


@pytest.mark.parametrize(
    ("path", "known_as"),
    [("results/", "results"), ("./a//b/../c", "a/c"), ("/x//y/", "/x/y"), (".", None), ("a/..", None)],
)
def test_a_folder_has_one_spelling(path, known_as):
    made = load_config({"results": path, "scratch": path})
    assert made.results == made.scratch == (known_as or str(Path.cwd()))


def test_a_home_of_nobody_is_no_folder():
    assert "no such user: ~no-such-user/x" in refusal({"results": "~no-such-user/x"})


@pytest.mark.parametrize(
    ("section", "key"),
    [("limits", "axis_ratio"), ("simulate", "missed_fraction"), ("simulate", "diffuse_fraction")],
)
def test_both_ends_of_a_range_of_fractions_are_fractions(section, key):
    assert load_config({section: {key: [0, 1]}})
    for limits in ([0.5, 1.2], [-0.1, 0.5]):
        text = f"- {section}.{key}: {limits} is not allowed; both ends must lie between 0 and 1"
        assert text in refusal({section: {key: limits}})


def aliases(depth, first="[x]", open_="[", close="]"):
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {open_}{', '.join([f'*a{n - 1}'] * 9)}{close}" for n in range(1, depth)]
    return yaml.safe_load("\n".join(lines))


def test_aliases_that_multiply_or_never_end_are_refused_at_once():
    for raw in (
        aliases(12),
        yaml.safe_load("a: &a [*a]"),
        yaml.safe_load("a: &a {b: *a}"),
        {"simulate": aliases(12)},
    ):
        assert "anchors (&) and aliases (*)" in refusal(raw)
    assert len(refusal(aliases(5))) < 10_000


def test_ten_thousand_names_are_no_bomb():
    names = [f"hp{pixel:05d}" for pixel in range(10_000)]
    assert load_config({"release": "dr3", "select": {"mosaics": names}}).select.mosaics == names
