"""Each kind of cell: its squares, who owns what, and what a map shows of it."""

import astropy.units as u
import healpy
import numpy as np
import pytest
from mocpy import MOC

from radiounet.errors import ConfigError
from radiounet.images.squares import Mosaic
from radiounet.settings.releases import DR2, DR3, OWN_IMAGES, Release
from radiounet.survey.cells import HealpixCells, NearestPointing, OwnImages, cell_pixel, cells_of
from radiounet.survey.fields import Field

COARSE = Release(
    name="coarse",
    cells="healpix",
    nside=1,
    prefix="q",
    pixel_arcsec=3600,
    beam_arcsec=3600,
    frequency_mhz=1300,
)


def test_each_release_has_its_kind_of_cell():
    kinds = {release.name: type(cells_of(release)) for release in (DR2, DR3, OWN_IMAGES)}
    assert kinds == {"dr2": NearestPointing, "dr3": HealpixCells, "images": OwnImages}


def test_a_cell_of_another_nside():
    """Pixel 4 of nside 1 reaches from 45 deg east to 45 deg west, and less far to north and south."""
    cells = HealpixCells(COARSE, [HealpixCells(COARSE).geometry(4)])
    assert cells.geometry(4) == Mosaic("q00004", 0.0, 0.0, 2 * 51)  # 1.15 x 45 = 51.75 pixels of 1 deg
    assert cells.owner(np.array([10.0, 100.0]), np.array([5.0, 5.0])).tolist() == ["q00004", ""]
    assert cells.owned("q00004", np.array([10.0, 100.0]), np.array([5.0, 5.0])).tolist() == [True, False]
    assert cells.around("q00004") == [cells.geometry(4)]


def test_cells_that_a_footprint_reaches():
    moc = MOC.from_cone(lon=0 * u.deg, lat=0 * u.deg, radius=5 * u.deg, max_depth=4)
    assert HealpixCells(COARSE).of_footprint(moc) == [4]
    with pytest.raises(ConfigError, match="dr3 has the order 3, which is coarser than its cells of nside 16"):
        HealpixCells(DR3).of_footprint(moc.degrade_to_order(3))


def test_a_footprint_may_be_as_coarse_as_the_cells():
    """A pixel of it is one cell; widened by one of its own pixels it reaches the eight cells around."""
    nested = np.array([healpy.ring2nest(16, 1312)], np.uint64)
    moc = MOC.from_healpix_cells(nested, np.array([4], np.uint8), max_depth=4)
    expected = sorted([1312, *healpy.get_all_neighbours(16, 1312)])
    assert HealpixCells(DR3).of_footprint(moc) == expected


def test_pixels_of_names():
    assert cell_pixel("q00004") == 4
    assert cell_pixel("hp01312") == 1312
    with pytest.raises(ConfigError, match="Coma is no name of a HEALPix cell"):
        cell_pixel("Coma")


def test_squares_of_pointings_count_pixels_of_their_release():
    """Two pointings 2 deg apart: R = 1 deg, 1.15 x 3600 / 6 = 690 pixels of 6 arcsec."""
    grid = [Field("a", 10.0, 0.0), Field("b", 12.001, 0.0)]
    fine = NearestPointing(DR2.model_copy(update={"pixel_arcsec": 6.0}))
    assert fine.geometry(grid[0], grid) == Mosaic("a", 10.0, 0.0, 2 * 690)


def test_a_coarser_pixel_scale_reaches_further():
    places = [Mosaic("a", 10.0, 0.0, 1600)]  # 1 deg to each side at 4.5 arcsec
    wide = NearestPointing(DR2.model_copy(update={"pixel_arcsec": 9.0}), places)
    position = np.array([11.5]), np.array([0.0])
    assert NearestPointing(DR2, places).owner(*position).tolist() == [""]
    assert wide.owner(*position).tolist() == ["a"]


def test_own_images_have_no_single_owner():
    with pytest.raises(ConfigError, match="several may show the same sky"):
        OwnImages(OWN_IMAGES).owner(np.zeros(1), np.zeros(1))


def test_own_images_own_two_pixels_more_than_their_square():
    """Half of 1000 px of 4.5 arcsec, and 2 px for grids that are not those of the square."""
    cells = OwnImages(OWN_IMAGES, [Mosaic("a", 150.0, 0.0, 1000)])
    offset = np.array([500.0, 501.5, 502.5]) * 4.5 / 3600
    middle = np.zeros(3)
    for sign in (-1, 1):
        assert cells.owned("a", 150 + sign * offset, middle).tolist() == [True, True, False]
        assert cells.owned("a", 150 + middle, sign * offset).tolist() == [True, True, False]


def test_fields_beyond_a_corner_of_a_square():
    """1.5 deg beyond both sides is 2.12 deg beyond the corner, 1.2 deg is 1.70 deg."""
    cells = HealpixCells(DR3)
    place = Mosaic("hp01312", 150.0, 0.0, 1600)  # 1 deg to each side
    grid = [Field("out", 152.5, 2.5), Field("in", 152.2, 2.2)]
    distances = np.array([3.53, 3.11])
    assert cells.fields_of(place, grid, distances, 1.85).tolist() == [False, True]


def test_a_map_shows_cells_and_discs():
    ra, dec = np.array([0.0, 3.0, 100.0]), np.zeros(3)
    cells = HealpixCells(COARSE, [HealpixCells(COARSE).geometry(4)])
    assert {name: shown.tolist() for name, shown in cells.on_map(["q00004"], ra, dec, 0.6)} == {
        "q00004": [True, True, False]
    }
    small = NearestPointing(DR2, [Mosaic("a", 0.0, 0.0, 10)])
    shown = {least: dict(small.on_map(["a"], ra, dec, least))["a"].tolist() for least in (0.6, 4.0)}
    assert shown == {0.6: [True, False, False], 4.0: [True, True, False]}


def test_mosaics_around_one_are_those_whose_discs_meet_its_own():
    places = [
        Mosaic("own", 10.0, 0.0, 800),
        Mosaic("meets", 12.9, 0.0, 4000),
        Mosaic("apart", 6.9, 0.0, 4000),
    ]
    cells = NearestPointing(DR2, places)  # radii of 0.5 and 2.5 deg, distances of 2.9 and 3.1
    assert [one.name for one in cells.around("own")] == ["meets", "own"]
