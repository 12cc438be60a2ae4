"""Regions and numbers on images in any frame: what is drawn lies where the sky has it.

Expected places are computed by astropy alone: offsets along position angles in the frame of a region.
"""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, Galactic, SkyCoord, Supergalactic
from astropy.io import fits
from astropy.wcs import WCS

from radiounet.images.image import read_plane
from radiounet.images.resampling import to_model_grid
from radiounet.learning.label_planes import move_labels, read_labels
from radiounet.learning.scenes import read_scene

N_PX, PIXEL_ARCSEC = 200, 4.5
ECLIPTIC = BarycentricMeanEcliptic(equinox="J2000")
IMAGES = {
    "icrs": ("RA--", "DEC-", {"RADESYS": "ICRS"}, "icrs"),
    "fk5 of 1975": ("RA--", "DEC-", {"RADESYS": "FK5", "EQUINOX": 1975.0}, FK5(equinox="J1975")),
    "fk4": ("RA--", "DEC-", {"RADESYS": "FK4", "EQUINOX": 1950.0}, FK4(equinox="B1950")),
    "galactic": ("GLON", "GLAT", {}, Galactic()),
    "ecliptic": ("ELON", "ELAT", {"EQUINOX": 2000.0}, ECLIPTIC),
    "supergalactic": ("SLON", "SLAT", {}, Supergalactic()),
}
REGIONS = {
    "fk5": FK5(),
    "icrs": "icrs",
    "fk4": FK4(equinox="B1950"),
    "galactic": Galactic(),
    "ecliptic": ECLIPTIC,
}
PLACES = [(150.0, 35.0), (266.0, 30.0), (340.0, 60.0), (10.0, 86.0)]
MAJOR, MINOR = 180.0, 45.0
ANGLE = 120.0
"""In DS9 from the west to the first axis, so that this one has a position angle of 30 deg."""
SHAPES = {
    "ellipse": f'{MAJOR}",{MINOR}"',
    "box": f'{2 * MAJOR}",{2 * MINOR}"',
    "ellipse annulus": f'{MAJOR / 2}",{MINOR / 2}",{MAJOR}",{MINOR}"',
    "box annulus": f'{MAJOR}",{MINOR}",{2 * MAJOR}",{2 * MINOR}"',
}


def image_of(path, frame, place, turn=0.0, sides=(-PIXEL_ARCSEC, PIXEL_ARCSEC)):
    """Noise around a place, ICRS; `turn` is how far its columns are turned, `sides` those of a pixel."""
    *kinds, extra, native = IMAGES[frame]
    there = SkyCoord(*place, unit="deg").transform_to(native).spherical
    cards = fits.Header()
    for axis, (kind, value) in enumerate(zip(kinds, (there.lon.deg, there.lat.deg), strict=True), 1):
        cards.update({f"CTYPE{axis}": f"{kind}-SIN", f"CRVAL{axis}": value, f"CRPIX{axis}": N_PX / 2})
        cards.update({f"CDELT{axis}": sides[axis - 1] / 3600, f"CUNIT{axis}": "deg"})
    matrix = np.linalg.inv(np.diag(sides)) @ _rotation(turn) @ np.diag(sides)
    cards.update({f"PC{i + 1}_{j + 1}": matrix[i, j] for i in (0, 1) for j in (0, 1)})
    cards.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM", **extra)
    noise = np.random.default_rng(0).normal(0, 1e-4, (N_PX, N_PX)).astype(np.float32)
    fits.writeto(path, noise, cards, overwrite=True)
    return WCS(cards), native


def _rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def is_drawn(labels, wcs, native, centre, angle_deg, distance_arcsec):
    """Whether the pixel at an offset from a centre, in the frame of the centre, has a label."""
    there = centre.directional_offset_by(angle_deg * u.deg, distance_arcsec * u.arcsec)
    lon_lat = there.transform_to(native).spherical
    x, y = wcs.wcs_world2pix(lon_lat.lon.deg, lon_lat.lat.deg, 0)
    return bool(labels[int(np.rint(y)), int(np.rint(x))] > 0)


def require_drawn(folder, image, region, place, shape="ellipse", **grid):
    wcs, native = image_of(folder / "a.fits", image, place, **grid)
    centre = SkyCoord(*place, unit="deg").transform_to(REGIONS[region])
    lon_lat = centre.spherical
    word, _, hollow = shape.partition(" ")
    text = f"{region}\n{word}({lon_lat.lon.deg},{lon_lat.lat.deg},{SHAPES[shape]},{ANGLE})\n"
    (folder / "a.reg").write_text(text)
    labels = read_labels(folder / "a.reg", read_plane(folder / "a.fits")).numbers
    # within a pixel of either edge the one next to it may hold the place
    for angle, semi_axis in ((ANGLE - 90, MAJOR), (ANGLE, MINOR)):
        near = 4.6 / semi_axis
        solid = [0.5 + near, 1 - near] if hollow else [0.0, 0.5, 1 - near]
        empty = [*([0.0, 0.5 - near] if hollow else []), 1 + near]
        for side in (angle, angle + 180):
            drawn = [is_drawn(labels, wcs, native, centre, side, part * semi_axis) for part in solid + empty]
            assert drawn == [True] * len(solid) + [False] * len(empty)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("image", IMAGES)
def test_an_angle_is_from_the_north_of_the_frame_of_its_region(tmp_path, image, region):
    require_drawn(tmp_path, image, region, PLACES[0])


CHANGES = [("galactic", "fk5"), ("icrs", "galactic"), ("fk4", "fk5")]


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize(("image", "region"), CHANGES)
def test_an_angle_is_right_all_over_the_sky(tmp_path, image, region, place):
    require_drawn(tmp_path, image, region, place)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("image", "region"), CHANGES)
def test_every_shape_with_an_angle(tmp_path, image, region, shape):
    require_drawn(tmp_path, image, region, PLACES[0], shape)


@pytest.mark.parametrize("turn", [0.0, 35.0, -110.0])
@pytest.mark.parametrize(
    "sides", [(-PIXEL_ARCSEC, PIXEL_ARCSEC), (PIXEL_ARCSEC, PIXEL_ARCSEC), (-4.5, 3.0), (3.0, 4.5)]
)
@pytest.mark.parametrize(("image", "region"), [("icrs", "fk5"), ("galactic", "fk5")])
def test_angles_on_turned_mirrored_and_oblong_pixels(tmp_path, image, region, turn, sides):
    require_drawn(tmp_path, image, region, PLACES[1], turn=turn, sides=sides)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("sides", [(-PIXEL_ARCSEC, PIXEL_ARCSEC), (-3.0, 6.0)])
@pytest.mark.parametrize("hollow", [False, True])
def test_circles_are_those_of_the_sky_in_every_frame(tmp_path, image, sides, hollow):
    wcs, native = image_of(tmp_path / "a.fits", image, PLACES[0], sides=sides)
    word, size = ("annulus", '60",120"') if hollow else ("circle", '120"')
    (tmp_path / "a.reg").write_text(f"icrs\n{word}(150,35,{size})\n")
    labels = read_labels(tmp_path / "a.reg", read_plane(tmp_path / "a.fits")).numbers
    centre = SkyCoord(*PLACES[0], unit="deg")
    for angle in range(0, 360, 30):
        distances = (0, 53, 67, 113, 127)
        drawn = [is_drawn(labels, wcs, native, centre, angle, distance) for distance in distances]
        assert drawn == [not hollow, not hollow, True, True, False]


@pytest.mark.parametrize("image", IMAGES)
def test_polygons_in_every_frame(tmp_path, image):
    wcs, native = image_of(tmp_path / "a.fits", image, PLACES[0])
    centre = SkyCoord(*PLACES[0], unit="deg")
    angles = (10, 130, 250)
    corners = [centre.directional_offset_by(one * u.deg, 200 * u.arcsec) for one in angles]
    text = ",".join(f"{one.ra.deg},{one.dec.deg}" for one in corners)
    (tmp_path / "a.reg").write_text(f"icrs\npolygon({text})\n")
    labels = read_labels(tmp_path / "a.reg", read_plane(tmp_path / "a.fits")).numbers
    for angle in angles:
        drawn = [is_drawn(labels, wcs, native, centre, angle, distance) for distance in (185, 206)]
        assert drawn == [True, False]


@pytest.mark.parametrize("image", IMAGES)
def test_labels_come_to_the_grid_of_the_model_from_every_frame(tmp_path, image):
    wcs, native = image_of(tmp_path / "a.fits", image, PLACES[1])
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[80:120, 90:130], labels[20:30, 30:60] = 1, 2
    fits.writeto(tmp_path / "a.labels.fits", labels)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.labels.fits", 0.25)
    assert np.bincount(scene.objects.ravel())[1:] == pytest.approx([1600, 300], rel=0.02)
    plane = read_plane(tmp_path / "a.fits")
    moved = to_model_grid(plane, 4.5, 20.0)
    found = move_labels(labels.astype(np.float32), plane, moved)
    y, x = np.indices(found.shape)
    sky = SkyCoord(*moved.wcs.wcs_pix2world(x.ravel(), y.ravel(), 0), unit="deg").transform_to(native)
    column, row = wcs.wcs_world2pix(sky.spherical.lon.deg, sky.spherical.lat.deg, 0)
    nearest = np.rint(np.stack([row, column])).astype(int).reshape(2, *found.shape)
    inside = ((nearest >= 0) & (nearest < N_PX)).all(axis=0)
    np.testing.assert_array_equal(found[inside], labels[tuple(nearest[:, inside])])
    assert np.isnan(found[~inside]).all()


def test_a_label_on_the_outermost_pixels_is_kept(tmp_path):
    image_of(tmp_path / "a.fits", "icrs", PLACES[0])
    plane = read_plane(tmp_path / "a.fits")
    labels = np.arange(1, N_PX**2 + 1, dtype=np.float32).reshape(N_PX, N_PX)
    moved = to_model_grid(plane, 1.5, 20.0)
    there = move_labels(labels, plane, moved)
    np.testing.assert_array_equal(np.unique(there[np.isfinite(there)]), labels.ravel())
