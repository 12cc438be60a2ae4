import numpy as np
import pytest
from astropy.io import fits
from matplotlib.figure import Figure

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.learning.evaluation import evaluate
from radiounet.learning.evaluation_figure import RATIO_RANGE, _draw_flux
from radiounet.learning.evaluation_report import write_evaluation
from radiounet.learning.methods import Method

# four bins of true flux density: ratios far above, above, inside and far below what is drawn
RATIOS = {2e-3: [10, 30, 200], 0.02: [300, 400, 900], 0.2: [0.8, 1.0, 1.1], 2.0: [0.01, 0.02, 0.5]}
MEDIANS = [30, 400, 1.0, 0.02]
# 16 and 84 % of three values lie 0.32 and 0.68 of the way between neighbours: 10 + 0.32 * 20, ...
LOW = [16.4, 332, 0.864, 0.0132]
HIGH = [145.6, 740, 1.068, 0.3464]


def test_medians_and_percentiles_are_those_of_all_ratios_and_points_stay_inside():
    true = [true for true, ratios in RATIOS.items() for _ in ratios]
    ratios = np.ravel(list(RATIOS.values()))
    axes = Figure().subplots()
    _draw_flux(axes, [{"flux": {"true_jy": true, "ratio": ratios.tolist()}}])
    ((medians, _, (bars,)),) = axes.containers
    assert medians.get_xdata() == pytest.approx([2, 20, 200, 2000])
    assert medians.get_ydata() == pytest.approx(MEDIANS)
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
        pytest.approx(ends) for ends in zip(LOW, HIGH, strict=True)
    ]
    (points,) = (line for line in axes.lines if line.get_marker() == ".")
    assert points.get_ydata() == pytest.approx(np.clip(ratios, 0.1, 100))
    assert axes.get_ylim() == pytest.approx(RATIO_RANGE)


def test_a_report_without_objects_clusters_and_false_islands_can_be_drawn(tmp_path):
    image = np.random.default_rng(1).normal(0, 1e-4, (64, 64)).astype(np.float32)
    header = Plane(image, grid_wcs(1.0, 40.0, 64, 4.5), Beam(20, 20)).header()
    fits.writeto(tmp_path / "i.fits", image, header)
    fits.writeto(tmp_path / "l.fits", np.zeros(image.shape, np.uint8))
    nothing = Method("nothing", lambda image, *_: np.zeros_like(image))
    write_evaluation([evaluate(nothing, [f"{tmp_path}/i.fits:{tmp_path}/l.fits"], 0.3)], tmp_path)
    assert (tmp_path / "evaluation.png").stat().st_size > 0
