"""Pictures of clusters and islands, of cut-outs that are known."""

import io
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse
from matplotlib.text import Annotation

from radiounet.images.beams import Beam
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.words import save_figure
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import beam_covariance
from radiounet.measuring.profiles import ExponentialFit
from radiounet.publishing.panels import Subject, _model, _View, draw_panels
from radiounet.publishing.report import _with_error, away_from_clusters

N_PX = 160
RA, DEC = 150.0, 35.0
PLACE = 95.0, 70.0
"""Row and column of the halo; the cluster is elsewhere."""
NO_DATA = dict.fromkeys(("peak_error", "radius_error_px", "total", "total_error", "chi2"), np.nan)
FIT = ExponentialFit(
    peak=2e-3, y=PLACE[0], x=PLACE[1], radius_px=12.0, ratio=0.6, angle_deg=30.0, flag=0, **NO_DATA
)


def cutout_of(n_px=N_PX, fit=FIT):
    """A halo with its island, a compact source, a corner without data, in noise of 0.1 mJy/beam."""
    plane = Plane(np.zeros((n_px, n_px), np.float32), grid_wcs(RA, DEC, n_px, 4.5), Beam(20, 20, 0))
    covariance = beam_covariance(plane, n_px / 2, n_px / 2)
    halo = fit.draw((n_px, n_px), covariance)
    plane.data += halo + np.random.default_rng(1).normal(0, 1e-4, halo.shape)
    plane.data[-20:, -20:] = np.nan
    compact = np.zeros_like(plane.data)
    compact[30:35, 120:125] = 8e-3
    islands = np.where(halo > 3e-4, 7, 0).astype(np.int32)
    components = Table({"ra_deg": [RA], "dec_deg": [DEC], "peak_jy": [8e-3], "error_jy": [1e-4]})
    part = slice(0, n_px), slice(0, n_px)
    return StoredCutout(plane, compact, islands, islands > 0, components, 1e-4, part), halo


def row_of(fit=FIT, n_px=N_PX, **changes):
    beam_arcsec2 = Beam(20, 20, 0).area_arcsec2
    ra, dec = to_sky(grid_wcs(RA, DEC, n_px, 4.5), fit.x, fit.y)
    values = {
        "fit_ra_deg": float(ra),
        "fit_dec_deg": float(dec),
        "ra_deg": RA,
        "dec_deg": DEC,
        "reason": "cRH: centroid at 0.30 R500 $x$ <b>",
        "fit_i0_ujy_arcsec2": 1e6 * fit.peak / beam_arcsec2,
        "fit_re_arcmin": fit.radius_px * 4.5 / 60,
        "fit_axis_ratio": fit.ratio,
        "fit_angle_deg": fit.angle_deg,
        "fit_flag": fit.flag,
    }
    return Table([values | changes])[0]


def subject_of(row, r500_arcmin=4.0):
    return Subject(row, "A 1: cRH", r500_arcmin, 0.002)


def test_the_model_is_the_profile_of_the_catalogue():
    cutout, halo = cutout_of()
    model, name = _model(_View(cutout, RA, DEC), row_of())
    assert name == "Exponential fit"
    np.testing.assert_allclose(model, halo, atol=0.01 * halo.max())


def test_a_large_cutout_is_drawn_with_fewer_pixels_at_the_same_place():
    fit = ExponentialFit(
        peak=2e-3, y=590, x=400, radius_px=60.0, ratio=0.6, angle_deg=30.0, flag=4, **NO_DATA
    )
    cutout, halo = cutout_of(1000, fit)
    view = _View(cutout, RA, DEC)
    assert view.residual.shape == (334, 334)
    model, name = _model(view, row_of(fit, 1000))
    assert name == "Exponential fit (flag 4)"
    place = 3 * np.array(np.unravel_index(np.argmax(model), model.shape)) + 1
    np.testing.assert_allclose(place, (590, 400), atol=3)
    np.testing.assert_allclose(model.max(), halo.max(), rtol=0.05)
    # offsets in arcmin from the reference pixel, x to the east
    x, y = view.offsets([400.5 / 3 - 0.5], [590.5 / 3 - 0.5])[:, 0]
    np.testing.assert_allclose([x, y], [(499 - 400) * 4.5 / 60, (590 - 499) * 4.5 / 60], atol=0.05)


def test_without_a_fit_the_compact_sources_are_the_model():
    cutout, _ = cutout_of()
    model, name = _model(_View(cutout, RA, DEC), row_of(fit_flag=-1))
    assert name == "Compact sources"
    np.testing.assert_array_equal(model, cutout.compact)


def test_a_picture_has_three_panels_of_one_stretch_and_says_why():
    cutout, _ = cutout_of()
    figure = draw_panels(cutout, subject_of(row_of()))
    *panels, _ = figure.axes
    assert [axes.get_title() for axes in panels] == ["Image", "Without compact sources", "Exponential fit"]
    limits = {axes.images[0].get_clim() for axes in panels}
    assert len(limits) == 1
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["A 1: cRH", "cRH: centroid at 0.30 R500 $x$ <b>"]


def test_the_colour_bar_names_the_beam_where_it_is_not_the_resolution():
    cutout, _ = cutout_of()
    for resolution, unit in (
        (None, "mJy/beam"),
        (Beam(20, 20, 0), "mJy/beam"),
        (Beam(60, 60, 0), 'mJy per beam of 20"'),
    ):
        plane = replace(cutout.residual, resolution=resolution)
        figure = draw_panels(replace(cutout, residual=plane), subject_of(row_of()))
        assert [axes.get_ylabel() for axes in figure.axes][-1] == f"Brightness ({unit})"


@pytest.mark.parametrize(
    ("shape", "arcmin_per_kpc", "label"),
    [
        ((160, 160), 0.004, "1 Mpc"),  # 4' of 12'
        ((160, 160), 0.0049, "500 kpc"),  # 0.4 of the width are 4.8'
        ((160, 50), 0.004, "200 kpc"),  # 0.8' of 3.75'
        ((160, 50), 0.04, "1'"),  # a near cluster: 50 kpc are 2'
        ((160, 50), np.nan, "1'"),
        ((50, 160), 0.004, "1 Mpc"),
    ],
)
def test_bar_and_compass_lie_inside_a_narrow_panel(shape, arcmin_per_kpc, label):
    whole, _ = cutout_of()
    part = np.s_[: shape[0], : shape[1]]
    cutout = replace(
        whole,
        residual=replace(whole.residual, data=whole.residual.data[part]),
        **{name: getattr(whole, name)[part] for name in ("compact", "islands", "own")},
    )
    figure = draw_panels(cutout, Subject(row_of(), "A 1: cRH", np.nan, arcmin_per_kpc))
    figure.draw_without_rendering()
    panel = figure.axes[0]
    marks = {text.get_text(): text for text in panel.texts if text.get_text()}
    assert set(marks) == {"N", "E", label}
    box = panel.get_window_extent()
    for mark in (*marks.values(), *panel.get_lines()):
        (low_x, low_y), (high_x, high_y) = mark.get_window_extent().get_points()
        assert box.x0 <= low_x < high_x <= box.x1
        assert box.y0 <= low_y <= high_y <= box.y1


def test_the_same_cutout_makes_the_same_bytes():
    made = []
    for _ in range(2):
        stream = io.BytesIO()
        save_figure(draw_panels(cutout_of()[0], subject_of(row_of())), stream, dpi=80)
        made.append(stream.getvalue())
    assert made[0] == made[1]


def test_an_island_without_noise_and_data_at_its_border_is_drawn():
    cutout, _ = cutout_of()
    cutout.residual.data[:] = np.where(np.isnan(cutout.residual.data), np.nan, 0)
    save_figure(draw_panels(cutout, subject_of(row_of(), np.nan)), io.BytesIO(), dpi=80)


def test_islands_near_a_cluster_are_not_away_from_it():
    clusters = Table({"ra_deg": [10.0, np.nan], "dec_deg": [0.0, np.nan], "r500_arcmin": [4.0, np.nan]})
    # 1.5 R500 are 6', 0.1 deg
    islands = Table(
        {"name": ["in", "out", "far"], "ra_deg": [10.0, 10.0, 200.0], "dec_deg": [0.099, 0.101, 5.0]}
    )
    assert list(away_from_clusters(islands, clusters)["name"]) == ["out", "far"]
    assert len(away_from_clusters(islands, clusters[:0])) == 3
    assert len(away_from_clusters(islands[:0], clusters)) == 0


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (455.604, 66.153, "456 ± 66"),
        (4.5678, 0.1234, "4.57 ± 0.12"),
        (1.13e25, 3.6e24, "1.13e+25 ± 3.6e+24"),
        (np.nan, np.nan, "–"),
        (np.ma.masked, 1.0, "–"),
    ],
)
def test_a_value_is_rounded_as_its_error(value, error, text):
    assert _with_error(value, error) == text


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 150.0])
def test_the_beam_is_drawn_in_its_direction(angle_deg):
    """From north to east, which is where x grows: a position angle of 30 deg is 60 deg from the x axis."""
    cutout, _ = cutout_of()
    cutout = replace(cutout, residual=replace(cutout.residual, beam=Beam(40, 20, angle_deg)))
    figure = draw_panels(cutout, subject_of(row_of()))
    (beam,) = [one for one in figure.axes[1].patches if isinstance(one, Ellipse) and one.width != one.height]
    assert (beam.width, beam.height) == pytest.approx((40 / 60, 20 / 60), rel=1e-3)
    assert (beam.angle - (90 - angle_deg) + 90) % 180 - 90 == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("pixels", "north", "east"),
    [
        ([[1, 0], [0, 1]], (0, 1), (-1, 0)),
        ([[0, -1], [1, 0]], (1, 0), (0, 1)),  # turned clockwise by a right angle
    ],
)
def test_the_compass_points_north_and_east(pixels, north, east):
    cutout, _ = cutout_of()
    cutout.residual.wcs.wcs.pc = pixels
    axes = draw_panels(cutout, subject_of(row_of())).axes[0]
    arrows = [one for one in axes.texts if isinstance(one, Annotation)]
    for arrow, direction in zip(arrows, (north, east), strict=True):
        (start, end) = axes.transData.transform([arrow.xyann, arrow.xy])
        np.testing.assert_allclose((end - start) / np.hypot(*(end - start)), direction, atol=1e-3)


def test_touching_islands_have_an_outline_each():
    """The centre is the reference pixel, which is pixel 79: x grows to the east, in arcmin."""
    cutout, _ = cutout_of()
    cutout.islands[:] = 0
    cutout.islands[40:60, 20:30], cutout.islands[40:60, 30:50] = 1, 2
    axes = draw_panels(cutout, subject_of(row_of())).axes[1]
    (lines,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    found = [(path.vertices.min(axis=0), path.vertices.max(axis=0)) for path in lines.get_paths()]
    low, high = (39.5 - 79) * 0.075, (59.5 - 79) * 0.075
    for (first, last), (right, left) in zip(found, ((29.5, 19.5), (49.5, 29.5)), strict=True):
        np.testing.assert_allclose(first, [(79 - right) * 0.075, low], atol=0.01)
        np.testing.assert_allclose(last, [(79 - left) * 0.075, high], atol=0.01)
