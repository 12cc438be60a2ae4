"""The figure of an evaluation: what lies beyond its borders, and what is not there."""

import json

import numpy as np
import pytest
from astropy.io import fits

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.provenance import PACKAGE
from radiounet.learning.evaluation import evaluate
from radiounet.learning.evaluation_figure import RATIO_RANGE, draw_evaluation
from radiounet.learning.evaluation_report import write_evaluation
from radiounet.learning.methods import Method


@pytest.fixture
def method():
    """Three bins of four objects: below the range, inside it but for one, above it."""
    path = PACKAGE.parents[1] / "resources/models/lotss-pair/metrics.json"
    (scores, *_) = json.loads(path.read_text(encoding="utf-8"))["methods"]
    true = [1e-3 * (1 + 0.01 * n) for n in range(4)]
    scores["flux"] |= {
        "count": 12,
        "true_jy": [scale * one for scale in (1, 10, 100) for one in true],
        "ratio": [0.01, 0.02, 0.03, 0.04, 0.5, 0.05, 1.0, 2.0, 300.0, 400.0, 500.0, 600.0],
    }
    return scores


def test_ratios_beyond_the_border_are_arrows(method):
    figure = draw_evaluation([method])
    (axes,) = [one for one in figure.axes if "above 2 rms" in one.get_title(loc="left")]
    arrows = [line for line in axes.get_lines() if line.get_marker() in ("v", "^")]
    for marker, border in zip("v^", RATIO_RANGE, strict=True):
        mine = [line for line in arrows if line.get_marker() == marker]
        assert {value for line in mine for value in line.get_ydata()} == {border}
    # by hand: objects, then the 16th, 50th and 84th percentile of each bin
    below, above = ([len(line.get_xdata()) for line in arrows if line.get_marker() == one] for one in "v^")
    assert below == [5, 1, 1, 1]
    assert above == [4, 1, 1, 1]
    (bars,) = axes.containers
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [RATIO_RANGE[0], 0.75, RATIO_RANGE[1]])
    assert "arrows: ratios beyond 0.1 to 100" in axes.get_xlabel()


def test_bars_end_at_the_16th_and_the_84th_percentile(method):
    """By hand: of five values, 0.64 of the way from the first to the second, and 0.36 of the last."""
    true = [2e-3 * (1 + 0.01 * n) for n in range(5)]
    ratio = [1.0, 2.0, 4.0, 6.0, 16.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    method["flux"] |= {"count": 10, "true_jy": [*true, *(10 * one for one in true)], "ratio": ratio}
    figure = draw_evaluation([method])
    (axes,) = [one for one in figure.axes if "above 2 rms" in one.get_title(loc="left")]
    (bars,) = axes.containers
    (ends,) = bars.lines[2]
    found = [line[:, 1] for line in ends.get_segments()]
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [4, 30])
    np.testing.assert_allclose(found, [[1.64, 9.6], [16.4, 43.6]])
    np.testing.assert_allclose([line[0, 0] for line in ends.get_segments()], [2.04, 20.4])  # mJy


def test_what_is_drawn_on_the_border_leaves_the_panels_their_width(method):
    figure = draw_evaluation([method])
    figure.draw_without_rendering()
    assert {round(one.get_position().width, 1) for one in figure.axes if one.get_title(loc="left")} == {0.4}


def test_a_report_without_objects_clusters_and_false_islands_can_be_drawn(tmp_path):
    image = np.random.default_rng(1).normal(0, 1e-4, (64, 64)).astype(np.float32)
    header = Plane(image, grid_wcs(1.0, 40.0, 64, 4.5), Beam(20, 20)).header()
    fits.writeto(tmp_path / "i.fits", image, header)
    fits.writeto(tmp_path / "l.fits", np.zeros(image.shape, np.uint8))
    nothing = Method("nothing", lambda image, *_: np.zeros_like(image))
    write_evaluation([evaluate(nothing, [f"{tmp_path}/i.fits:{tmp_path}/l.fits"], 0.3)], tmp_path)
    assert (tmp_path / "evaluation.png").stat().st_size > 0
