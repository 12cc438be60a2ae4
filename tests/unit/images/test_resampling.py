"""Own images on a model's grid: what is resampled, what is kept, with its flux, beam and corners."""

import logging

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from radiounet.errors import BeamError, CelestialError, GridError
from radiounet.images.beams import Beam
from radiounet.images.geometry import (
    is_equatorial_j2000,
    jacobian,
    middle,
    pixel_areas_arcsec2,
    to_pixels,
    to_sky,
)
from radiounet.images.image import Plane, check_grid, grid_wcs, place_of, read_plane
from radiounet.images.resampling import prepare_image, to_model_grid
from radiounet.measuring.cutouts import beam_covariance

N_PX = 301


def wcs_of(matrix_arcsec, place=(150.0, 35.0), code="SIN", kinds=("RA--", "DEC-"), n_px=N_PX):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{kind}-{code}" for kind in kinds]
    wcs.wcs.crval, wcs.wcs.crpix = place, [(n_px + 1) / 2] * 2
    wcs.wcs.cd = np.array(matrix_arcsec) / 3600
    wcs.wcs.set()
    return wcs


def turned(deg, across=2.0, up=2.0):
    c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    return np.array([[-c, s], [s, c]]) @ np.diag([across, up])


def point_source(wcs, beam, n_px=N_PX):
    """A source of 1 Jy in the middle, as a beam shows it, its angle from the WCS's north through east."""
    x0 = (n_px - 1) / 2
    y, x = np.mgrid[:n_px, :n_px] - x0
    east, north = np.einsum("ij,jyx->iyx", jacobian(wcs, x0, x0), np.stack([x, y]))
    a = np.radians(beam.angle_deg)
    along, across = north * np.cos(a) + east * np.sin(a), east * np.cos(a) - north * np.sin(a)
    square = (along / beam.major_arcsec) ** 2 + (across / beam.minor_arcsec) ** 2
    return Plane(np.exp(-4 * np.log(2) * square).astype(np.float32), wcs, beam)


GALACTIC = SkyCoord(150.0, 35.0, unit="deg").galactic
GRIDS = {
    "north up": wcs_of(turned(0)),
    "mirrored": wcs_of([[2, 0], [0, 2]]),
    "mirrored and turned": wcs_of([[1, 1.7], [-1.7, 1]]),
    "turned by 77 deg": wcs_of(turned(77)),
    "upside down": wcs_of(turned(180)),
    "oblong": wcs_of(turned(0, 1.5, 3.0)),
    "oblong and turned": wcs_of(turned(25, 1.5, 3.0)),
    "at the pole": wcs_of(turned(0), (0.0, 90.0)),
    "galactic": wcs_of(turned(0), (GALACTIC.l.deg, GALACTIC.b.deg), kinds=("GLON", "GLAT")),
    "plate carree": wcs_of(turned(0), (150.0, 0.0), "CAR"),
}
GRIDS["plate carree"].wcs.crpix = [151.0, 151.0 - 60 * 1800]


@pytest.mark.parametrize("beam", [Beam(18, 7, 60), Beam(18, 7, -25), Beam(19.5, 12, 100), Beam(20, 15, 33)])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_point_source_keeps_peak_and_flux_whatever_way_the_pixels_run(grid, beam):
    if grid == "at the pole":  # north is towards the source itself
        beam = Beam(12, 12, 0)
    result = to_model_grid(point_source(GRIDS[grid], beam), 4.5, 20.0)
    assert result.beam.matches(20.0)
    assert np.nanmax(result.data) == pytest.approx(1, abs=0.03)
    assert np.nansum(result.data) / result.beam_area_px == pytest.approx(1, abs=0.01)
    check_grid(result, 4.5, 20.0, grid)


@pytest.mark.parametrize("turn", [10, 30, 45, 90, 200])
@pytest.mark.parametrize("shape", [(400, 400), (120, 500)])
def test_a_turned_image_keeps_its_corners(tmp_path, turn, shape):
    wcs = wcs_of(turned(turn, 4.5, 4.5))
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    plane = Plane(np.ones(shape, np.float32), wcs, Beam(20, 20))
    fits.writeto(tmp_path / "a.fits", plane.data, plane.header())
    result = to_model_grid(plane, 4.5, 20.0)
    assert np.isfinite(result.data).sum() == pytest.approx(plane.data.size, rel=0.005)
    corners = np.array([[0, 0], [0, shape[0] - 1], [shape[1] - 1, 0], [shape[1] - 1, shape[0] - 1]]).T
    x, y = (np.round(one).astype(int) for one in to_pixels(result.wcs, *to_sky(wcs, *corners)))
    assert (np.minimum(x, y) >= 0).all()
    assert (np.maximum(x, y) < len(result.data)).all()
    # the list of own images speaks of the same square
    ra, dec, n_px = place_of(tmp_path / "a.fits", 4.5)
    assert abs(n_px - len(result.data)) <= 2
    assert (ra, dec) == pytest.approx(tuple(map(float, to_sky(wcs, *middle(shape)))))


@pytest.mark.parametrize("dec", [50.0, -55.0, 60.0])
def test_surface_brightness_and_area_survive_a_projection_that_stretches(dec):
    """A patch of 1 mJy/beam, a plate carree image: its area on the sky stays."""
    wcs = wcs_of(turned(0, 4.5, 4.5), (150.0, 0.0), "CAR")
    wcs.wcs.crpix = [151.0, 151.0 - dec * 800]
    data = np.full((N_PX, N_PX), 1e-3, np.float32)
    y, x = np.indices(data.shape)
    area = pixel_areas_arcsec2(wcs, x.ravel(), y.ravel()).sum()
    result = to_model_grid(Plane(data, wcs, Beam(20, 20)), 4.5, 20.0)
    assert result.wcs is not wcs
    known = np.isfinite(result.data)
    assert known.sum() * 4.5**2 == pytest.approx(area, rel=0.01)
    np.testing.assert_allclose(result.data[known], 1e-3, rtol=1e-3)


ROW, COLUMN = np.indices((N_PX, N_PX))
HOLES = {
    "a rectangle": (ROW > 100) & (ROW < 160) & (COLUMN > 90) & (COLUMN < 170),
    "pixels": np.random.default_rng(1).random((N_PX, N_PX)) < 0.1,
    "most pixels": np.random.default_rng(1).random((N_PX, N_PX)) < 0.9,
    "beyond a circle": np.hypot(ROW - 150, COLUMN - 150) > 110,
    "stripes": (ROW + COLUMN) % 40 < 20,
    "the border": (ROW < 5) | (COLUMN > N_PX - 9),
    "all but a line": ROW != 150,
    "where strips meet": (ROW > 250) & (ROW < 259) & (COLUMN > 240) & (COLUMN < 270),
}


@pytest.mark.parametrize("scale", [1e-6, -1e3])
@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("pixel_arcsec", [3.0, 4.0, 6.0])
def test_a_constant_image_stays_constant_beside_holes_of_any_form(hole, pixel_arcsec, scale):
    data = np.where(HOLES[hole], np.nan, scale).astype(np.float32)
    plane = Plane(data, wcs_of(turned(0, pixel_arcsec, pixel_arcsec)), Beam(20, 20))
    made = to_model_grid(plane, 4.5, 20.0).data
    assert np.isfinite(made).any()
    np.testing.assert_allclose(made[np.isfinite(made)], scale, rtol=0.002)


def test_a_constant_image_stays_constant_where_a_finer_beam_is_widened():
    """Beside blanks and the border the kernel sees a part of the sky, which is no darker."""
    data = np.full((N_PX, N_PX), 1e-3, np.float32)
    data[20:40, 30:60] = data[50, 50] = np.nan
    made = to_model_grid(Plane(data, grid_wcs(150.0, 35.0, N_PX, 4.5), Beam(9, 9)), 4.5, 20.0).data
    np.testing.assert_array_equal(np.isnan(made), np.isnan(data))
    # Jy/beam of the wider beam
    np.testing.assert_allclose(made[np.isfinite(made)], 1e-3 * (20 / 9) ** 2, rtol=1e-4)


@pytest.mark.parametrize("edge", np.arange(148, 154, 0.5))
def test_a_source_beside_a_hole_keeps_its_brightness(edge):
    """A source of 1 Jy/beam in the middle, 20 arcsec wide; rows from one on are blank.

    With 0 in place of the blanks it was wrong by up to 13 %.
    """
    plane = point_source(wcs_of(turned(0, 3.0, 3.0)), Beam(20, 20))
    blank = Plane(plane.data.copy(), plane.wcs, plane.beam)
    blank.data[int(edge) :] = np.nan
    if edge % 1:
        blank.data[:, :140] = np.nan
    whole, made = (to_model_grid(one, 4.5, 20.0).data for one in (plane, blank))
    known = np.isfinite(made)
    assert known.sum() > 5000
    assert np.abs(made - whole)[known].max() < 0.04


def test_what_is_blank_is_so_to_half_a_pixel():
    """Of pixels of 3 arcsec, 11 blank ones around the middle: 33 arcsec, 7.3 of 4.5."""
    data = np.ones((N_PX, N_PX), np.float32)
    data[145:156, 145:156] = np.nan
    made = to_model_grid(Plane(data, wcs_of(turned(0, 3.0, 3.0)), Beam(20, 20)), 4.5, 20.0).data
    inner = np.isnan(made[50:-50, 50:-50])
    assert (inner.any(axis=0).sum(), inner.any(axis=1).sum(), inner.sum()) == (7, 7, 49)


def plane_at(wcs, n_px=N_PX):
    return Plane(np.ones((n_px, n_px), np.float32), wcs, Beam(20, 20))


def test_what_has_the_grid_already_is_left_alone():
    fk5 = grid_wcs(150.0, 35.0, N_PX, 4.5)
    fk5.wcs.radesys, fk5.wcs.equinox = "FK5", 2000.0
    cutout = grid_wcs(150.0, 60.0, N_PX, 4.5)
    cutout.wcs.crpix = [-1500.0, 1800.0]  # the corner of a mosaic of five degrees
    for wcs in (fk5, cutout, wcs_of(turned(0, 4.5, 4.5), code="TAN"), wcs_of(turned(0, 4.5, 4.5), (0, 90.0))):
        plane = plane_at(wcs)
        assert to_model_grid(plane, 4.5, 20.0) is plane


@pytest.mark.parametrize(
    ("place", "crpix", "turned_deg"),
    [
        ((150.0, 70.0), [-1500.0, 150.0], 6),
        ((150.0, 70.0), [1800.0, 150.0], 6),
        ((150.0, 86.0), [150.0, -3150.0], 179),  # a pole lies on it, below its middle
        ((150.0, 35.0), [150.0, 150.0], None),
    ],
)
def test_how_far_north_is_from_up_on_pixels_that_are_kept_is_in_the_log(caplog, place, crpix, turned_deg):
    wcs = grid_wcs(*place, N_PX, 4.5)
    wcs.wcs.crpix = crpix
    plane = plane_at(wcs)
    with caplog.at_level(logging.INFO):
        assert to_model_grid(plane, 4.5, 20.0, "a.fits") is plane
    told = f"a.fits keeps its pixels: in its middle north is {turned_deg} deg from up"
    assert caplog.messages == ([told] if turned_deg else [])


@pytest.mark.parametrize(
    ("kinds", "place", "system"),
    [(("GLON", "GLAT"), (186.0, 52.0), ""), (("RA--", "DEC-"), (150.0, 35.0), "FK4")],
)
def test_an_image_in_another_frame_is_brought_to_icrs(kinds, place, system):
    wcs = wcs_of(turned(0, 4.5, 4.5), place, kinds=kinds)
    wcs.wcs.radesys = system
    plane = point_source(wcs, Beam(20, 20))
    result = to_model_grid(plane, 4.5, 20.0)
    assert is_equatorial_j2000(result.wcs)
    row, column = np.unravel_index(np.nanargmax(result.data), result.data.shape)
    found, true = (
        SkyCoord(*to_sky(one, *at), unit="deg")
        for one, at in ((result.wcs, (column, row)), (wcs, (150, 150)))
    )
    assert found.separation(true).arcsec < 3.2


def test_lonpole_turns_an_image_too():
    wcs = grid_wcs(150.0, 35.0, N_PX, 4.5)
    wcs.wcs.lonpole = 100.0
    wcs.wcs.set()
    assert to_model_grid(plane_at(wcs), 4.5, 20.0).wcs is not wcs


@pytest.mark.parametrize("strength", [5e-6, 2e-5, 2e-4])
@pytest.mark.parametrize("pixel_arcsec", [4.5, 3.0])
def test_a_distorted_image_is_brought_to_a_plain_grid(tmp_path, strength, pixel_arcsec):
    """Coefficients of SIP, which products do not have; far from the image they have no inverse."""
    cards = grid_wcs(150.0, 35.0, N_PX, pixel_arcsec).to_header()
    cards.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2, B_ORDER=2)
    cards.update(A_2_0=strength, B_0_2=-strength, BUNIT="Jy/beam", BMAJ=20 / 3600, BMIN=20 / 3600)
    y, x = np.indices((N_PX, N_PX))
    square = (x - 250) ** 2 + (y - 40) ** 2
    data = np.exp(-4 * np.log(2) * square * (pixel_arcsec / 20) ** 2).astype(np.float32)
    fits.writeto(tmp_path / "a.fits", data, cards)
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0)
    made = fits.getdata(tmp_path / "b.fits")
    row, column = np.unravel_index(np.nanargmax(made), made.shape)
    found = SkyCoord.from_pixel(column, row, WCS(fits.getheader(tmp_path / "b.fits")))
    true = SkyCoord.from_pixel(250, 40, WCS(fits.getheader(tmp_path / "a.fits")))
    assert found.separation(true).arcsec < 3.2
    wcs = read_plane(tmp_path / "a.fits").wcs
    x, y = to_pixels(wcs, [150.0, 150.0, 330.0], [35.0, 90.0, -35.0])
    assert (x[0], y[0]) == (pytest.approx(cards["CRPIX1"] - 1), pytest.approx(cards["CRPIX2"] - 1))
    assert np.isnan(x[2])


def test_stretched_at_one_corner_only():
    wide = grid_wcs(150.0, 35.0, 101, 4.5)
    wide.wcs.crpix = [51.0 + 8000, 51.0]  # ten degrees from the centre of a SIN grid
    with pytest.raises(GridError, match=r"4\.5.*4\.5"):
        check_grid(plane_at(wide, 101), 4.5, 20.0, "a.fits")
    assert to_model_grid(plane_at(wide, 101), 4.5, 20.0).wcs is not wide


def test_targets_of_absurd_size_are_refused(tmp_path):
    wide = plane_at(grid_wcs(150.0, 35.0, 20, 7200.0), 20)
    with pytest.raises(GridError, match="cut it into parts"):
        to_model_grid(Plane(wide.data, grid_wcs(150, 35, 20, 6000.0), Beam(20, 20)), 4.5, 20.0)
    with pytest.raises(CelestialError, match="cut it into parts"):
        to_model_grid(Plane(wide.data, grid_wcs(150, 35, 20, 20000.0), Beam(20, 20)), 4.5, 20.0)


def test_the_product_of_a_galactic_image_says_icrs(tmp_path):
    plane = point_source(GRIDS["galactic"], Beam(18, 7, 60))
    cards = plane.header()
    cards["DATE"] = "2026-01-02"
    fits.writeto(tmp_path / "a.fits", plane.data, cards)
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0)
    header = fits.getheader(tmp_path / "b.fits")
    assert header["DATE-MAP"] == "2026-01-02T00:00:00.000"
    assert header["CTYPE1"] == "RA---SIN"
    assert header["RADESYS"] == "ICRS"
    made = read_plane(tmp_path / "b.fits")
    row, column = np.unravel_index(np.nanargmax(made.data), made.data.shape)
    place = SkyCoord(*to_sky(made.wcs, column, row), unit="deg")
    assert place.separation(SkyCoord(150.0, 35.0, unit="deg")).arcsec < 3.2


@pytest.mark.parametrize("angle", [45.0, -20.0])
@pytest.mark.parametrize("grid", [one for one in GRIDS if one != "at the pole"])
def test_a_coarse_beam_keeps_its_direction(tmp_path, grid, angle):
    """The shape of the source in the product is that of the beam which its header names."""
    plane = point_source(GRIDS[grid], Beam(60, 25, angle))
    fits.writeto(tmp_path / "a.fits", plane.data, plane.header())
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0)
    made = read_plane(tmp_path / "b.fits")
    assert (made.resolution.major_arcsec, made.resolution.minor_arcsec) == pytest.approx((60, 25))
    weight = np.nan_to_num(made.data)
    y, x = np.indices(weight.shape)
    centre = [(weight * one).sum() / weight.sum() for one in (y, x)]
    offsets = y - centre[0], x - centre[1]
    found = [[(weight * a * b).sum() / weight.sum() for b in offsets] for a in offsets]
    expected = beam_covariance(made, *centre)
    np.testing.assert_allclose(found, expected, atol=0.03 * np.trace(expected))


@pytest.mark.slow
@pytest.mark.parametrize("beam", [Beam(60, 25, 45), Beam(19, 8, 30)])
def test_a_wide_image_whose_pixels_differ_keeps_the_direction_of_its_beam(beam):
    """Such an image is regridded before it is convolved."""
    wcs = wcs_of(turned(0, 8, 8), (GALACTIC.l.deg, 0.0), "CAR", ("GLON", "GLAT"), 1401)
    wcs.wcs.crpix = [701.0, 701.0 - GALACTIC.b.deg * 450]
    plane = point_source(wcs, beam, 1401)
    made = to_model_grid(plane, 4.5, 20.0)
    y, x = (int(one) for one in np.unravel_index(np.nanargmax(made.data), made.data.shape))
    near = np.s_[y - 30 : y + 31, x - 30 : x + 31]
    weight = np.nan_to_num(made.data[near])
    rows, columns = np.mgrid[-30:31, -30:31]
    rows, columns = (one - (weight * one).sum() / weight.sum() for one in (rows, columns))
    found = [[(weight * a * b).sum() / weight.sum() for b in (rows, columns)] for a in (rows, columns)]
    expected = beam_covariance(made, y, x)
    # pixels of 8 arcsec are coarse beside the narrow axis
    np.testing.assert_allclose(found, expected, atol=0.08 * np.trace(expected))


@pytest.mark.parametrize(
    ("pixel", "beam", "told"),
    [
        (20.0, Beam(20, 20), True),
        (15.0, Beam(20, 20), True),
        (20.0, Beam(60, 30, 45), True),
        (10.0, Beam(20, 20), False),
        (20.0, Beam(45, 45), False),
        (4.5, Beam(6, 6), True),
        (4.5, Beam(20, 20), False),
    ],
)
def test_pixels_wider_than_half_of_the_beam_are_told(tmp_path, caplog, pixel, beam, told):
    plane = point_source(wcs_of(turned(0, pixel, pixel), n_px=61), beam, 61)
    fits.writeto(tmp_path / "a.fits", plane.data, plane.header())
    text = f"the pixels, {pixel:g} arcsec, are wider than half of the beam, {beam}: flux densities of small"
    caplog.set_level("INFO")
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0)
    assert caplog.text.count(f"a.fits: {text}") == told
    assert text not in "".join(one for one in caplog.messages if "WARNING" in one)
    history = "".join(map(str, fits.getheader(tmp_path / "b.fits").get("HISTORY", [])))
    # cards end anywhere, and lose a blank there
    assert (f"WARNING {text}".replace(" ", "") in history.replace(" ", "")) == told


def test_pixels_are_compared_with_the_resolution_of_an_image():
    plane = point_source(wcs_of(turned(0, 20, 20), n_px=61), Beam(20, 20), 61)
    plane.resolution = Beam(60, 45, 30)
    assert not any("wider than half" in note for note in to_model_grid(plane, 4.5, 20.0).notes)


def restored(wcs, beam):
    """A source of 1 Jy in the middle as CLEAN restores it, the beam's angle from north at the reference."""
    y, x = np.mgrid[:N_PX, :N_PX] - (N_PX - 1) / 2
    pixels = np.linalg.inv(3600 * wcs.pixel_scale_matrix)
    covariance = pixels @ beam.covariance_arcsec2 @ pixels.T
    radius2 = np.einsum("iyx,ij,jyx->yx", np.stack([x, y]), np.linalg.inv(covariance), np.stack([x, y]))
    return Plane(np.exp(-radius2 / 2).astype(np.float32), wcs, beam)


def moments(data):
    """Covariance of an image of one source, order y, x; px2."""
    weight = np.nan_to_num(data)
    offsets = [one - (weight * one).sum() / weight.sum() for one in np.indices(weight.shape)]
    return np.array([[(weight * a * b).sum() / weight.sum() for b in offsets] for a in offsets])


def far(dec, east_px, code="SIN", matrix=None):
    """Grid whose middle lies some pixels of 2 arcsec to the east of its reference."""
    wcs = wcs_of(turned(0) if matrix is None else matrix, (150.0, dec), code)
    wcs.wcs.crpix = wcs.wcs.crpix + [east_px, 0]
    return wcs


FAR = {
    "half a pixel off the pole": far(90.0, 0.5),
    "beyond the south pole": far(-90.0, -3.0),
    "a cut-out at 88 deg": far(88.0, 3600.0),
    "a tangent plane at 85 deg": far(85.0, 3600.0, "TAN"),
    "turned at 80 deg": far(80.0, 3600.0, matrix=turned(35)),
    "mirrored at -85 deg": far(-85.0, 3600.0, matrix=[[2, 0], [0, 2]]),
}


@pytest.mark.parametrize("grid", FAR)
def test_a_beam_far_from_the_reference_becomes_round(grid):
    """The angle of a beam is counted from north at the reference, where local north is another."""
    made = to_model_grid(restored(FAR[grid], Beam(18, 8, 30)), 4.5, 20.0)
    fwhm = 4.5 * np.sqrt(8 * np.log(2) * np.linalg.eigvalsh(moments(made.data)))
    np.testing.assert_allclose(fwhm, 20, rtol=0.003)


@pytest.mark.parametrize("grid", FAR)
def test_a_coarse_beam_far_from_the_reference_keeps_its_direction(grid):
    made = to_model_grid(restored(FAR[grid], Beam(60, 25, 40)), 4.5, 20.0)
    y, x = np.unravel_index(np.nanargmax(made.data), made.data.shape)
    expected = beam_covariance(made, y, x)
    np.testing.assert_allclose(moments(made.data), expected, atol=0.01 * np.trace(expected))


@pytest.mark.parametrize("grid", FAR)
def test_a_beam_is_one_over_the_plane_of_an_image(grid):
    """So is its covariance in pixels, but for what the projection stretches."""
    beam = Beam(60, 25, 40)
    plane = restored(FAR[grid], beam)
    pixels = np.linalg.inv(3600 * plane.wcs.pixel_scale_matrix)
    expected = (pixels @ beam.covariance_arcsec2 @ pixels.T)[::-1, ::-1]
    for y, x in ((150, 150), (20, 280)):
        found = beam_covariance(plane, y, x)
        np.testing.assert_allclose(found, expected, atol=2e-3 * np.trace(expected))


@pytest.mark.parametrize("angle", ["x", "nan"])
def test_a_direction_of_a_coarse_beam_that_is_none(tmp_path, angle):
    cards = Plane(np.zeros((20, 20)), grid_wcs(150, 35, 20, 4.5), Beam(20, 20), Beam(60, 25, 45)).header()
    cards["RESBPA"] = angle
    fits.writeto(tmp_path / "a.fits", np.ones((20, 20), np.float32), cards)
    with pytest.raises(BeamError, match="RESBPA"):
        read_plane(tmp_path / "a.fits")
    del cards["RESBPA"]  # an older version
    fits.writeto(tmp_path / "b.fits", np.ones((20, 20), np.float32), cards)
    assert read_plane(tmp_path / "b.fits").resolution == Beam(60, 25, 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Beam(25, 20), "25 x 20"),
        (Beam(18, 7, 10), "at 10 deg"),
        (Beam(18.1, 7.05, 61), None),
        (Beam(18, 7, -120), None),
        (None, None),
    ],
)
def test_a_beam_that_replaces_another_of_the_header_is_told(tmp_path, caplog, given, said):
    plane = point_source(GRIDS["galactic"], Beam(18, 7, 60))
    fits.writeto(tmp_path / "a.fits", plane.data, plane.header())
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0, given)
    told = [one.getMessage() for one in caplog.records if "is replaced by the given one" in one.getMessage()]
    assert len(told) == (said is not None)
    assert all("beam of its header, 18 x 7 arcsec at 60 deg," in one and said in one for one in told)
