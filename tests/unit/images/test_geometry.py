"""Positions, areas and angles of images in any frame and projection, by independent calculations."""

import ast
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, Galactic, SkyCoord, Supergalactic
from astropy.io import fits
from astropy.wcs import WCS

import radiounet
from radiounet.errors import CelestialError
from radiounet.images.geometry import (
    frame_of,
    jacobian,
    north_of_reference_deg,
    pixel_area_arcsec2,
    pixel_areas_arcsec2,
    pixel_scales_arcsec,
    pixels_in,
    to_pixels,
    to_sky,
)
from radiounet.images.image import grid_wcs, read_plane

PLACE = SkyCoord(150.0, 35.0, unit="deg")
FRAMES = {
    "icrs": ("RA--", "DEC-", {"RADESYS": "ICRS"}, "icrs"),
    "no frame given": ("RA--", "DEC-", {}, "icrs"),
    "fk5": ("RA--", "DEC-", {"RADESYS": "FK5", "EQUINOX": 2000.0}, FK5()),
    "fk5 of 1975": ("RA--", "DEC-", {"RADESYS": "FK5", "EQUINOX": 1975.0}, FK5(equinox="J1975")),
    "equinox alone": ("RA--", "DEC-", {"EQUINOX": 1950.0}, FK4(equinox="B1950")),
    "epoch alone": ("RA--", "DEC-", {"EPOCH": 1950.0}, FK4(equinox="B1950")),
    "equinox as text": ("RA--", "DEC-", {"EQUINOX": "B1950"}, FK4(equinox="B1950")),
    "epoch as text": ("RA--", "DEC-", {"EPOCH": " 1950.0"}, FK4(equinox="B1950")),
    "fk5 as text": ("RA--", "DEC-", {"RADECSYS": "fk5", "EQUINOX": "J1975.0"}, FK5(equinox="J1975")),
    "icrs of no equinox": ("RA--", "DEC-", {"RADESYS": "icrs", "EQUINOX": "none"}, "icrs"),
    "odd dates": ("RA--", "DEC-", {"EQUINOX": "J2000", "MJD-OBS": "?", "DATE-OBS": "never"}, FK5()),
    "galactic with text": ("GLON", "GLAT", {"EQUINOX": "Galactic"}, Galactic()),
    "fk4": ("RA--", "DEC-", {"RADESYS": "FK4", "EQUINOX": 1950.0}, FK4(equinox="B1950")),
    "fk4 of 1979": (
        "RA--",
        "DEC-",
        {"RADESYS": "FK4", "EQUINOX": 1950.0, "MJD-OBS": 44000.0},
        FK4(equinox="B1950", obstime="J1979.343"),
    ),
    "galactic": ("GLON", "GLAT", {}, Galactic()),
    "galactic with equinox": ("GLON", "GLAT", {"EQUINOX": 2000.0}, Galactic()),
    "ecliptic": ("ELON", "ELAT", {"EQUINOX": 2000.0}, BarycentricMeanEcliptic()),
    "supergalactic": ("SLON", "SLAT", {}, Supergalactic()),
}


def image_header(kinds, place, code="SIN", n_px=60, pixel_arcsec=4.5, **extra):
    cards = fits.Header()
    for axis, (kind, value, sign) in enumerate(zip(kinds, place, (-1, 1), strict=True), start=1):
        cards.update({f"CTYPE{axis}": f"{kind}-{code}", f"CRVAL{axis}": value, f"CRPIX{axis}": n_px / 2})
        cards.update({f"CDELT{axis}": sign * pixel_arcsec / 3600, f"CUNIT{axis}": "deg"})
    cards.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    cards.update(extra)
    return cards


@pytest.mark.parametrize("name", FRAMES)
def test_positions_are_icrs_in_every_frame(tmp_path, name):
    *kinds, extra, frame = FRAMES[name]
    there = PLACE.transform_to(frame).spherical
    cards = image_header(kinds, (there.lon.deg, there.lat.deg), **extra)
    fits.writeto(tmp_path / "a.fits", np.ones((60, 60), np.float32), cards)
    wcs = read_plane(tmp_path / "a.fits").wcs
    ra, dec = to_sky(wcs, 29.0, 29.0)
    assert SkyCoord(ra, dec, unit="deg").separation(PLACE).arcsec < 0.01
    x, y = to_pixels(wcs, 150.0, 35.0)
    np.testing.assert_allclose([x, y], 29.0, atol=0.01)
    grid = grid_wcs(150.0, 35.0, 60, 4.5)
    np.testing.assert_allclose(pixels_in(wcs, grid, 29.0, 29.0), 29.0, atol=0.01)


@pytest.mark.parametrize(
    ("kinds", "extra", "words"),
    [
        (("TLON", "TLAT"), {}, "no frame of the sky"),
        (("HPLN", "HPLT"), {}, "no pair of celestial axes"),
        (("RA--", "DEC-"), {"RADESYS": "GAPPT"}, "no frame of the sky"),
        (("RA--", "DEC-"), {"RADESYS": "FK5", "EQUINOX": 0.0}, "EQUINOX 0"),
        (("RA--", "DEC-"), {"EQUINOX": 1e30}, "EQUINOX 1e"),
        (("RA--", "DEC-"), {"EQUINOX": 2100.001}, r"EQUINOX 2100\.001 is not"),
        (("RA--", "DEC-"), {"EQUINOX": "of date"}, "EQUINOX is 'of date'"),
        (("RA--", "DEC-"), {"EPOCH": "B2000"}, "EPOCH is 'B2000'"),
        (("RA--", "DEC-"), {"EQUINOX": "J1950"}, "EQUINOX is 'J1950'"),
    ],
)
def test_what_is_no_frame_of_the_sky_is_refused(tmp_path, kinds, extra, words):
    cards = image_header(kinds, (150.0, 35.0), **extra)
    fits.writeto(tmp_path / "a.fits", np.ones((60, 60), np.float32), cards)
    with pytest.raises(CelestialError, match=words):
        read_plane(tmp_path / "a.fits")


def test_right_ascension_is_positive_and_blank_sky_stays_blank():
    wcs = grid_wcs(0.0, 0.0, 100, 4.5)
    assert (to_sky(wcs, [0, 99], [50, 50])[0] > 0).all()
    assert np.isnan(to_sky(grid_wcs(0.0, 0.0, 100, 7200.0), 0, 0)).all()
    assert np.isnan(to_pixels(wcs, 180.0, 0.0)).all()
    assert np.isnan(to_pixels(wcs, np.nan, 0.0)).all()


@pytest.mark.parametrize("dec", [-80.0, 0.0, 30.0, 60.0, 75.0])
def test_area_of_a_plate_carree_pixel(dec):
    wcs = WCS(image_header(("RA--", "DEC-"), (150.0, 0.0), "CAR"))
    x, y = wcs.wcs_world2pix([[150.0, dec]], 0)[0]
    assert pixel_area_arcsec2(wcs, x, y) == pytest.approx(4.5**2 * np.cos(np.radians(dec)), rel=1e-6)
    assert pixel_scales_arcsec(wcs, x, y)[1] == pytest.approx(4.5 * np.cos(np.radians(dec)), rel=1e-6)


@pytest.mark.parametrize(("code", "power"), [("SIN", -1), ("TAN", 3), ("ARC", None), ("ZEA", 0)])
def test_area_far_from_the_reference_pixel(code, power):
    wcs = WCS(image_header(("RA--", "DEC-"), (150.0, 40.0), code, pixel_arcsec=60.0))
    steps = 600.0 if code != "TAN" else 0.0
    x = 29.0 + (steps or 600.0)
    ra, dec = to_sky(wcs, x, 29.0)
    angle = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(150.0, 40.0, unit="deg")).rad
    # solid angle of a pixel over that at the centre: Calabretta & Greisen (2002), section 5.1
    expected = np.sin(angle) / angle if power is None else np.cos(angle) ** power
    assert pixel_area_arcsec2(wcs, x, 29.0) == pytest.approx(3600 * expected, rel=1e-6)


def test_areas_of_many_pixels_are_those_of_each():
    rng = np.random.default_rng(1)
    for code, dec in (("CAR", 0.0), ("SIN", 58.0), ("TAN", 62.0)):
        wcs = WCS(image_header(("RA--", "DEC-"), (150.0, dec), code))
        x, y = wcs.wcs_world2pix([[150.2, 60.0]], 0)[0]
        x, y = (one + rng.integers(0, 700, 500) for one in (x, y))
        np.testing.assert_allclose(pixel_areas_arcsec2(wcs, x, y), pixel_area_arcsec2(wcs, x, y), rtol=2e-6)
    assert pixel_areas_arcsec2(wcs, x[:1], y[:1]) == pytest.approx(pixel_area_arcsec2(wcs, x[0], y[0]))


@pytest.mark.parametrize("turn", [0.0, 30.0, 123.0])
@pytest.mark.parametrize("sides", [(4.5, 4.5), (3.0, 6.0)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_jacobian_of_turned_mirrored_and_oblong_pixels(turn, sides, mirrored):
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    expected = np.array([[-c, s], [s, c]]) @ np.diag([-sides[0] if mirrored else sides[0], sides[1]])
    wcs = grid_wcs(150.0, 70.0, 100, 1.0)
    wcs.wcs.cdelt = [1, 1]
    wcs.wcs.pc = expected / 3600
    wcs.wcs.set()
    np.testing.assert_allclose(jacobian(wcs, 49.0, 49.0), expected, atol=1e-3)


CONVERSIONS = {
    *("wcs_pix2world", "wcs_world2pix", "all_pix2world", "all_world2pix", "pixel_to_world", "world_to_pixel"),
    *("pixel_to_pixel", "pixel_to_world_values", "world_to_pixel_values", "proj_plane_pixel_scales"),
    *("proj_plane_pixel_area", "calc_footprint", "skycoord_to_pixel", "pixel_to_skycoord"),
    *("wcs_to_celestial_frame", "from_pixel", "from_sky", "reproject_interp"),
}
ALLOWED = {
    "geometry.py": "the one place",
    "facets.py": "DDFacet writes polygons in the field's own frame",
    "small_survey.py": "its own ICRS grids",
    "scenes.py": "simulated scenes, on ICRS grids",
}


def test_no_other_module_converts_between_pixels_and_sky():
    folder = Path(radiounet.__file__).parent
    used = {
        path.name
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        and {getattr(node, name, None) for name in ("attr", "id", "name")} & CONVERSIONS
    }
    assert used <= set(ALLOWED)


def test_the_frame_of_a_grid_of_the_survey():
    assert frame_of(grid_wcs(150.0, 35.0, 10, 4.5)).name == "icrs"


def sin_grid(dec_deg, **cards):
    wcs = WCS({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 150.0, "CRVAL2": dec_deg} | cards)
    wcs.wcs.cdelt, wcs.wcs.crpix = [-1 / 3600, 1 / 3600], [1, 1]
    return wcs


@pytest.mark.parametrize(
    ("wcs", "x", "expected"),
    [
        (sin_grid(35.0), 0, 0),
        (sin_grid(35.0, LONPOLE=150.0), 0, 0),
        (sin_grid(35.0, LONPOLE=180.0, CROTA2=40.0), 0, 0),
        # as far to the east of the reference as the pole is to the north: the pole is to the north-west
        (sin_grid(88.0), -7200, 45),
        (sin_grid(88.0, LONPOLE=150.0, CROTA2=30.0), 0, 0),
        (sin_grid(88.0), 7200, -45),
        (sin_grid(-88.0), -7200, -45),
    ],
)
def test_north_of_the_reference_elsewhere(wcs, x, expected):
    assert north_of_reference_deg(wcs, float(x), 0.0) == pytest.approx(expected, abs=0.05)


def test_north_of_the_reference_is_local_north_all_over_a_cylinder():
    wcs = WCS({"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL1": 20.0, "CDELT1": -0.1, "CDELT2": 0.1})
    x, y = np.meshgrid([0.0, 200.0, 400.0], [-800.0, 0.0, 850.0])
    np.testing.assert_allclose(north_of_reference_deg(wcs, x, y), np.zeros((3, 3)), atol=1e-6)
