import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from mocpy import MOC

from radiounet.errors import ConfigError
from radiounet.images.squares import Mosaic, offsets_deg, separation_deg, unit_vectors
from radiounet.settings.mosaics import Disc, Selection
from radiounet.settings.releases import DR2, DR3, OWN_IMAGES
from radiounet.survey.cells import HealpixCells, NearestPointing, cell_pixel, cells_of
from radiounet.survey.fields import Field, fields_in_footprint, nearest_fields
from radiounet.survey.survey import Cluster, Survey

PAIR = Survey(DR2, [Mosaic("west", 151.0, 40.0, 2400), Mosaic("east", 149.0, 40.0, 2400)])


def test_angles_are_those_of_astropy():
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    places = SkyCoord(ra, dec, unit="deg")
    for ra0, dec0 in ((0.0, 0.0), (359.9, 89.5), (150.0, -45.0)):
        centre = SkyCoord(ra0, dec0, unit="deg")
        angles = separation_deg(unit_vectors(ra0, dec0), unit_vectors(ra, dec))
        np.testing.assert_allclose(angles, centre.separation(places).deg, atol=1e-12)
        expected = [one.deg for one in centre.spherical_offsets_to(places)]
        np.testing.assert_allclose(offsets_deg(ra0, dec0, ra, dec), expected, atol=1e-11)


def test_cell_1312_has_the_published_sides():
    assert HealpixCells(DR3).geometry(1312).n_px == 5134
    assert HealpixCells(DR3.model_copy(update={"pixel_arcsec": 1.5})).geometry(1312).n_px == 15402
    assert HealpixCells(DR3).geometry(1312).ra_deg == pytest.approx(0.0)
    assert HealpixCells(DR3).geometry(1312).dec_deg == pytest.approx(7.18076, abs=1e-5)


@pytest.mark.parametrize("dec", [87.1, 84.1, 60.0, 30.0, 7.2])
def test_cells_of_both_hemispheres_have_squares_alike(dec):
    north, south = (int(healpy.ang2pix(16, 20.0, one, lonlat=True)) for one in (dec, -dec))
    assert north != south
    cells = HealpixCells(DR3)
    assert cells.geometry(north).n_px == cells.geometry(south).n_px


def test_cell_names_go_both_ways():
    assert HealpixCells(DR3).name(1312) == "hp01312"
    assert cell_pixel("hp01312") == 1312


def test_separation_of_the_poles_and_of_one_arcsec():
    pole, south = unit_vectors(0, 90), unit_vectors(77, -90)
    assert separation_deg(pole, south) == pytest.approx(180)
    assert separation_deg(unit_vectors(10, 89.9), unit_vectors(190, 89.9)) == pytest.approx(0.2)
    near = separation_deg(unit_vectors(10, 0), unit_vectors(10, 1 / 3600))
    assert near * 3600 == pytest.approx(1, rel=1e-9)


def test_offsets_agree_with_astropy():
    from astropy.coordinates import SkyCoord

    centre = SkyCoord(123.0, 67.0, unit="deg")
    others = SkyCoord([121.0, 126.5], [66.0, 70.0], unit="deg")
    expected = centre.spherical_offsets_to(others)
    dx, dy = offsets_deg(123.0, 67.0, others.ra.deg, others.dec.deg)
    np.testing.assert_allclose(dx, expected[0].deg, atol=1e-10)
    np.testing.assert_allclose(dy, expected[1].deg, atol=1e-10)


def test_nearest_fields_takes_six_neighbours_and_drops_the_last_qualifying_one():
    # the sixth neighbour at 3.0; 3.1 and 3.2 lie within 3.3, 3.5 does not
    distances = np.array([0, 2.1, 2.2, 2.3, 2.4, 2.5, 3.0, 3.1, 3.2, 3.5, 9.0])
    chosen = nearest_fields(distances)
    # the strict comparison with 3.2 drops 3.2 itself
    assert distances[chosen].tolist() == [0, 2.1, 2.2, 2.3, 2.4, 2.5, 3.0, 3.1]


def test_nearest_fields_without_a_seventh_close_one():
    distances = np.array([0, 2.1, 2.2, 2.3, 2.4, 2.5, 3.0, 4.1, 4.2])
    assert nearest_fields(distances).sum() == 7


def test_pointing_geometry_of_a_line_of_fields():
    grid = [Field(f"F{i}", 10.0, float(i)) for i in range(3)]
    # the farthest of the three lies 2 deg away: R = 1 deg, 1.15 * 800 px, twice
    assert NearestPointing(DR2).geometry(grid[0], grid).n_px == 2 * 920


def test_every_position_of_a_patch_has_exactly_one_owner():
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(148, 152, 500), rng.uniform(39, 41, 500)
    west, east = PAIR.owned("west", ra, dec), PAIR.owned("east", ra, dec)
    assert (west ^ east).all()
    assert (PAIR.owner(ra, dec) == np.where(west, "west", "east")).all()
    np.testing.assert_array_equal(west, ra > 150)


def test_dr3_cells_own_their_healpix_pixels_also_across_ra_0():
    pixels = [928, 991]
    survey = Survey(DR3, [HealpixCells(DR3).geometry(pixel) for pixel in pixels])
    ra = np.array([0.1, 359.9, 354.4, 180.0])
    dec = np.array([22.0, 22.0, 22.0, 22.0])
    expected = healpy.ang2pix(16, ra, dec, lonlat=True)
    names = [HealpixCells(DR3).name(p) if p in pixels else "" for p in expected]
    assert survey.owner(ra, dec).tolist() == names
    assert names[0] == names[1] == "hp00928"


def test_nobody_owns_what_no_mosaic_reaches():
    # 2,400 px of 4.5 arcsec: a disc of radius 1.5 deg
    assert PAIR.owner(151.0, [41.49, 41.51, -40.0]).tolist() == ["west", "", ""]
    assert not PAIR.owned("west", np.array([151.0]), np.array([41.51])).any()
    assert PAIR.touched_by(151.0, -40.0, 5.0) == []


def test_between_pointings_the_nearest_that_reaches_owns():
    survey = Survey(DR2, [Mosaic("small", 150.0, 40.0, 800), Mosaic("large", 152.0, 40.0, 4000)])
    # 0.6 deg north of the small one (radius 0.5) and within 2.5 deg of the large one
    assert survey.owner(150.0, 40.6) == "large"
    assert survey.owner(150.0, 40.4) == "small"


def test_a_large_mosaic_owns_what_many_small_ones_near_it_do_not_reach():
    small = [Mosaic(f"s{n}", 150.0 + 0.2 * (n % 5 - 2), 0.2 * (n // 5 - 2), 80) for n in range(25)]
    survey = Survey(DR2, [*small, Mosaic("large", 151.5, 0.0, 4000)])
    # 0.1 deg from four small ones, of radius 0.05 deg
    assert survey.owner(150.1, 0.1) == "large"
    assert survey.owner(150.0, 0.0) == "s12"
    assert survey.owner(150.0, 3.0) == ""


def test_own_images_each_own_all_they_show():
    survey = Survey(OWN_IMAGES, [Mosaic("a", 150.0, 40.0, 1600), Mosaic("b", 150.0, 40.0, 800)])
    ra, dec = np.array([150.0, 150.0, 150.0]), np.array([40.0, 40.7, 42.0])
    assert survey.owned("a", ra, dec).tolist() == [True, True, False]
    assert survey.owned("b", ra, dec).tolist() == [True, False, False]


def test_nan_positions_have_no_owner():
    assert not PAIR.owned("west", np.array([np.nan]), np.array([40.0])).any()


def test_touched_by_a_disc_that_crosses_the_border():
    assert PAIR.touched_by(150.01, 40.0, 0.1) == ["west"]
    assert PAIR.touched_by(150.01, 40.0, 2.0) == ["west", "east"]
    assert PAIR.touched_by(149.99, 40.0, 2.0) == ["east", "west"]


def test_touched_by_at_the_pole():
    survey = Survey(DR3, [HealpixCells(DR3).geometry(pixel) for pixel in range(12)])
    assert len(survey.touched_by(10.0, 89.99, 6.0)) == 4


def test_fields_of_a_cell_are_those_whose_disc_meets_the_square():
    place = HealpixCells(DR3).geometry(1312)
    half = place.n_px * 4.5 / 7200
    grid = [
        Field("inside", 0.5, 7.0),
        Field("reaches", 0.0, place.dec_deg + half + 2.5),
        Field("beyond", 0.0, place.dec_deg + half + 2.7),
        Field("antipode", 180.0, -place.dec_deg),
    ]
    survey = Survey(DR3, [place], grid, grid)
    assert survey.fields_of("hp01312", 2.6) == ["inside", "reaches"]


@pytest.mark.parametrize(("east", "north"), [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_fields_of_a_cell_lie_on_all_its_sides(east, north):
    place = HealpixCells(DR3).geometry(1312)
    centre = SkyCoord(place.ra_deg, place.dec_deg, unit="deg")
    grid = []
    for name, beyond in (("reaches", 2.5), ("beyond", 2.7)):
        away = (place.n_px * 4.5 / 7200 + beyond) * u.deg
        at = centre.spherical_offsets_by(east * away, north * away)
        grid.append(Field(name, float(at.ra.deg), float(at.dec.deg)))
    assert Survey(DR3, [place], grid, grid).fields_of("hp01312", 2.6) == ["reaches"]


def test_fields_of_a_release_leave_out_other_fields_of_the_grid():
    grid = [Field("a", 10.0, 40.0), Field("b", 11.0, 40.0), Field("other-release", 10.5, 40.0)]
    survey = Survey(DR2, [Mosaic("a", 10.0, 40.0, 10)], grid[:2], grid)
    assert survey.fields_of("a", 2.6) == ["a", "b"]


def test_selection_conditions_combine():
    clusters = [Cluster("c", 151.0, 40.0, 0.1, 5.0)]
    assert PAIR.select(Selection()) == ["east", "west"]
    assert PAIR.select(Selection(mosaics=["east"])) == ["east"]
    assert PAIR.select(Selection(with_clusters=True), clusters) == ["west"]
    region = Disc(ra_deg=149.0, dec_deg=40.0, radius_deg=0.5)
    assert PAIR.select(Selection(region=region)) == ["east"]
    with pytest.raises(ConfigError, match="no mosaic"):
        PAIR.select(Selection(region=region, with_clusters=True), clusters)


@pytest.mark.parametrize(
    ("radius_deg", "names"), [(0.1, ["east"]), (1.0, ["east"]), (1.5, ["east"]), (1.6, ["east", "west"])]
)
def test_a_region_holds_the_mosaics_whose_centres_lie_in_it(radius_deg, names):
    """The centres are 2 deg of right ascension apart at a declination of 40 deg, which are 1.53 deg."""
    region = Disc(ra_deg=149.0, dec_deg=40.0, radius_deg=radius_deg)
    assert PAIR.select(Selection(region=region)) == names


def test_unknown_mosaic_is_named():
    with pytest.raises(ConfigError, match="P999"):
        PAIR.select(Selection(mosaics=["P999"]))


@pytest.mark.parametrize("release", [DR2, DR3])
def test_positions_that_are_unknown_have_no_owner(release):
    mosaics = (
        PAIR.mosaics.values()
        if release is DR2
        else [HealpixCells(DR3).geometry(healpy.ang2pix(16, 151, 40, lonlat=True))]
    )
    survey = Survey(release, mosaics)
    names = survey.owner([151.0, np.nan, 151.0, np.nan], [40.0, 40.0, np.nan, np.nan])
    assert names.tolist() == [next(iter(survey.mosaics)), "", "", ""]
    assert survey.owner([], []).tolist() == []


def test_members_are_those_that_each_mosaic_owns():
    ra, dec = [151.0, 149.0, np.nan, 151.1, 10.0], [40.0, 40.0, 40.0, 40.0, -10.0]
    assert PAIR.members(["west", "east"], ra, dec) == {"west": [0, 3], "east": [1]}
    assert PAIR.members(["east"], ra, dec) == {"east": [1]}
    assert PAIR.members(["east"], [], []) == {"east": []}


def test_two_own_images_may_show_one_position():
    images = Survey(OWN_IMAGES, [Mosaic("a", 150.0, 40.0, 100), Mosaic("b", 150.01, 40.0, 100)])
    assert images.members(["a", "b"], [150.0, np.nan, 10.0], [40.0, 40.0, 40.0]) == {"a": [0], "b": [0]}


@pytest.mark.parametrize(
    ("values", "measurable"),
    [
        ((1, 2, np.nan, 3), True),
        ((np.nan, 2, 0.1, 3), False),
        ((1, np.nan, 0.1, 3), False),
        ((1, 2, 0.1, np.nan), False),
    ],
)
def test_a_cluster_needs_a_position_and_a_size(values, measurable):
    assert Cluster("A", *values).measurable is measurable


@pytest.mark.parametrize("order", [3, 8])
@pytest.mark.parametrize(
    ("survey", "mosaic"),
    [
        (PAIR, "west"),
        (Survey(DR3, [Mosaic("hp01312", 45.0, 41.8, 3600)]), "hp01312"),
        (Survey(OWN_IMAGES, [Mosaic("a", 0.01, 89.5, 900)]), "a"),
    ],
)
def test_healpix_pixels_of_a_mosaic_hold_all_that_it_owns(survey, mosaic, order):
    """Each of many positions that a mosaic owns is in one of them; where it owns a pixel, it owns all."""
    place = survey.mosaics[mosaic]
    if survey.release is DR3:
        place = cells_of(DR3).geometry(1312)
    half = place.n_px * survey.release.pixel_arcsec / 3600
    fine = healpy.query_disc(
        1024, healpy.ang2vec(place.ra_deg, place.dec_deg, lonlat=True), np.radians(half), nest=True
    )
    ra, dec = healpy.pix2ang(1024, fine, nest=True, lonlat=True)
    mine = survey.owned(mosaic, ra, dec)
    assert mine.sum() > 50
    pixels = fine >> 2 * (10 - order)
    found = survey.cells.healpix_pixels(mosaic, order)
    assert set(pixels[mine].tolist()) <= set(found)
    whole = [pixel for pixel in found if survey.cells.owns_pixel(mosaic, order, pixel)]
    assert mine[np.isin(pixels, whole)].all()
    if order == 8 and survey.cells.disjoint:
        assert whole


def test_clusters_near_a_mosaic_reach_it_with_three_r500():
    # 2,400 px of 4.5 arcsec: corners 2.12 deg from the centre
    survey = Survey(DR2, [Mosaic("a", 150.0, 40.0, 2400)])
    places = {"corner": (2.1, np.nan), "large": (3.0, 20.0), "small": (3.0, 15.0), "far": (9.0, 20.0)}
    clusters = [Cluster(name, 150.0, 40.0 + off, 0.2, size) for name, (off, size) in places.items()]
    clusters += [Cluster("nowhere", np.nan, np.nan, 0.2, 20.0)]
    assert [one.name for one in survey.clusters_near("a", clusters)] == ["corner", "large"]
    own = Survey(OWN_IMAGES, [Mosaic("a", 150.0, 40.0, 2400)])
    assert own.clusters_near("a", clusters) == clusters


@pytest.mark.parametrize("order", [9, 17])
def test_footprints_of_any_order_hold_their_fields(order):
    moc = MOC.from_cone(lon=150 * u.deg, lat=40 * u.deg, radius=3 * u.deg, max_depth=order)
    fields = [Field(f"{off}", 150.0, 40.0 + off) for off in (0.0, 1.0, 1.3, 4.0)]
    assert fields_in_footprint(fields, moc) == [True, True, False, False]


@pytest.mark.parametrize(("border_deg", "whole"), [(0.15, False), (0.3, True)])
def test_a_pixel_across_a_border_is_owned_whole_by_nobody(border_deg, whole):
    """On the equator a pixel of nside 256 reaches 45/256 = 0.176 deg to the east of its middle."""
    pixel = int(healpy.ang2pix(256, 150.0, 0.0, nest=True, lonlat=True))
    ra, dec = (float(one) for one in healpy.pix2ang(256, pixel, nest=True, lonlat=True))
    mosaics = [Mosaic("west", ra + border_deg - 1, dec, 4000), Mosaic("east", ra + border_deg + 1, dec, 4000)]
    survey = Survey(DR2, mosaics)
    assert survey.owner(ra + 0.17, dec) == ("west" if whole else "east")
    assert survey.cells.owns_pixel("west", 8, pixel) == whole
    assert not survey.cells.owns_pixel("east", 8, pixel)


def test_nearest_fields_are_at_most_nineteen():
    distances = np.concatenate([[0], np.ones(6), 1 + np.arange(1, 26) / 1000])
    assert np.flatnonzero(nearest_fields(distances)).tolist() == list(range(19))
