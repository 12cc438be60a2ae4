import numpy as np
import pytest

from maps import broad_plane
from radiounet.measuring.mocks import Canvas, Mock, halo, is_free, relic

BEAM_AREA_PX = 22.0
BLUR_PX = 1.9
ROUND = BLUR_PX**2 * np.eye(2)
SHARP = Canvas((401, 401), BEAM_AREA_PX, 1e-6 * np.eye(2))
MIDDLE = (200.0, 200.0)


def placed(mock: Mock, shape=(401, 401)) -> np.ndarray:
    """Light of a mock on the whole image."""
    plane = np.zeros(shape)
    plane[mock.box] = mock.light
    return plane


def moments(plane):
    """Centre and second moments of light: rows, columns, mixed."""
    y, x = np.indices(plane.shape)
    total = plane.sum()
    cy, cx = (plane * y).sum() / total, (plane * x).sum() / total
    return (cy, cx), [(plane * a * b).sum() / total for a, b in ((y - cy, y - cy), (x - cx, x - cx))]


@pytest.mark.parametrize("covariance", [1e-6 * np.eye(2), ROUND, [[20.0, 12.0], [12.0, 9.0]]])
@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_halo_has_a_flux_density_of_1_jy_around_its_centre(covariance, ratio):
    mock = halo(Canvas((401, 401), BEAM_AREA_PX, np.array(covariance)), (200.3, 190.6), 12.0, ratio, 0.7)
    assert mock.light.sum() / BEAM_AREA_PX == pytest.approx(1, abs=1e-5)
    assert moments(placed(mock))[0] == pytest.approx((200.3, 190.6), abs=0.05)


def test_three_radii_of_a_halo_hold_four_fifths_of_it():
    plane = placed(halo(SHARP, MIDDLE, 15.0, 1.0, 0.0)) / BEAM_AREA_PX
    y, x = np.indices(plane.shape)
    # 1 - 4 exp(-3) = 0.801, over 0.993, the part within 7 radii and less in the corners of the square
    assert plane[np.hypot(y - 200, x - 200) <= 45].sum() == pytest.approx(0.801, abs=0.008)


def test_the_radius_of_a_halo_is_the_geometric_mean_of_its_axes():
    plane = placed(halo(SHARP, MIDDLE, 12.0, 0.25, 0.0))
    # along the columns 24 px, along the rows 6
    assert plane[200, 224] / plane[200, 200] == pytest.approx(np.exp(-1), rel=1e-4)
    assert plane[206, 200] / plane[200, 200] == pytest.approx(np.exp(-1), rel=1e-4)


def test_a_halo_turns_from_the_columns_towards_the_rows():
    plane = placed(halo(SHARP, MIDDLE, 12.0, 0.25, np.pi / 2))
    assert plane[224, 200] / plane[200, 200] == pytest.approx(np.exp(-1), rel=1e-4)


@pytest.mark.parametrize(("yy", "yx", "xx"), [(BLUR_PX**2, 0.0, BLUR_PX**2), (20.0, 12.0, 9.0)])
def test_a_tiny_halo_is_the_beam(yy, yx, xx):
    area = 2 * np.pi * np.sqrt(yy * xx - yx**2)
    canvas = Canvas((401, 401), area, np.array([[yy, yx], [yx, xx]]))
    plane = placed(halo(canvas, MIDDLE, 0.01, 1.0, 0.0))
    assert plane[200, 200] == pytest.approx(1, rel=0.01)  # 1 Jy/beam
    y, x = np.mgrid[-200:201, -200:201]
    found = [(plane * a * b).sum() / plane.sum() for a, b in ((y, y), (y, x), (x, x))]
    assert found == pytest.approx([yy, yx, xx], rel=0.01)


@pytest.mark.parametrize(
    ("angle", "centre"), [(0.0, (200, 260)), (np.pi / 2, (260, 200)), (np.pi, (200, 140))]
)
def test_a_relic_lies_across_the_direction_of_its_cluster(angle, centre):
    mock = relic(SHARP, MIDDLE, 60.0, 8.0, 40.0, angle)
    assert mock.light.sum() / BEAM_AREA_PX == pytest.approx(1, abs=1e-5)
    plane = placed(mock)
    # the middle of an arc lies a little inside its circle: 60 (1 - sin h / h) with h = 1/3 is 1.1 px
    assert moments(plane)[0] == pytest.approx(centre, abs=1.2)
    along, across = moments(plane)[1] if angle != np.pi / 2 else moments(plane)[1][::-1]
    assert along == pytest.approx(40**2 / 12, rel=0.08)  # a line of 40 px, bent
    assert across == pytest.approx(8**2 / (8 * np.log(2)), rel=0.15)


def test_a_relic_is_half_a_circle_at_most():
    plane = placed(relic(SHARP, MIDDLE, 60.0, 8.0, 600.0, 0.0))
    assert plane[:, :195].sum() < 1e-3 * plane.sum()


def test_off_the_image_a_mock_loses_its_light_but_not_its_peak():
    whole, cut = halo(SHARP, MIDDLE, 12.0, 1.0, 0.0), halo(SHARP, (0.0, 200.0), 12.0, 1.0, 0.0)
    assert cut.peak == whole.peak
    assert cut.light.sum() / BEAM_AREA_PX == pytest.approx(0.5, abs=0.03)
    gone = halo(SHARP, (-500.0, 900.0), 12.0, 1.0, 0.0)
    assert gone.light.size == 0
    assert not is_free(gone, np.zeros((401, 401), bool), np.ones((401, 401), bool))


def test_the_region_of_a_halo_reaches_three_radii():
    rows, columns = halo(SHARP, MIDDLE, 10.0, 1.0, 0.0).region
    # at exactly 3 radii rounding decides
    assert (rows.start, rows.stop) == (columns.start, columns.stop)
    assert rows.start in (170, 171)
    assert rows.stop in (230, 231)


@pytest.mark.parametrize(("covered", "free"), [(0.05, True), (0.15, False)])
def test_a_place_in_the_mask_is_not_free(covered, free):
    mock = halo(SHARP, MIDDLE, 20.0, 1.0, 0.0)
    mask = np.zeros((401, 401), bool)
    rows, columns = np.nonzero(mock.core)
    count = int(covered * len(rows))
    mask[rows[:count] + mock.box[0].start, columns[:count] + mock.box[1].start] = True
    assert is_free(mock, mask, np.ones((401, 401), bool)) is free


@pytest.mark.parametrize(("first_row", "free"), [(195, True), (210, False)])
def test_a_place_without_data_is_not_free(first_row, free):
    has_data = np.zeros((401, 401), bool)
    has_data[first_row:] = True
    mock = halo(SHARP, MIDDLE, 20.0, 1.0, 0.0)
    assert is_free(mock, np.zeros((401, 401), bool), has_data) is free


@pytest.mark.parametrize("column", [1200, 2200])
def test_a_mock_has_1_jy_on_the_pixels_of_its_place(column):
    plane = broad_plane()
    mock = halo(Canvas.around(plane, 150, column), (150, column), 15.0, 1.0, 0.0)
    y, x = np.mgrid[mock.box]
    flux = mock.light.ravel() * plane.relative_area(y.ravel(), x.ravel()) / plane.beam_area_px
    assert flux.sum() == pytest.approx(1, rel=0.01)
