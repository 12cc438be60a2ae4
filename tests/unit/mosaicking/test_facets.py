from functools import partial

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import Sip
from astropy.wcs.utils import pixel_to_skycoord, skycoord_to_pixel

from radiounet.errors import FacetError
from radiounet.images.image import grid_wcs
from radiounet.mosaicking import mosaic
from radiounet.mosaicking.facets import read_facets
from radiounet.mosaicking.mosaic import FieldImages
from radiounet.settings.mosaics import MosaicOptions
from skies import write_field

make_mosaic = partial(mosaic.make_mosaic, beam_arcsec=20.0)
WCS = grid_wcs(150.0, 35.0, 160, 4.5)
EQUATOR = grid_wcs(150.0, 0.0, 160, 4.5)
# column, row of the corners; labels in another order than polygons, as DDFacet writes them
SQUARES = {12: [(0, 0), (79, 0), (79, 159), (0, 159)], 3: [(79, 0), (159, 0), (159, 159), (79, 159)]}


def write_regions(path, squares=SQUARES, labels=None, wcs=WCS):
    """As DDFacet: four lines a polygon, each polygon parted by another line of text, then the labels."""
    lines = ["# Region file format: DS9 version 4.1", "fk5"]
    for corners in squares.values():
        sky = wcs.wcs_pix2world(np.array(corners, float), 0)
        for (ra0, dec0), (ra1, dec1) in zip(sky, np.roll(sky, -1, axis=0), strict=True):
            lines.append(f"line({ra0:f},{dec0:f},{ra1:f},{dec1:f}) # line=0 0 color=green")
        lines.append("#")
    for label in reversed(labels if labels is not None else squares):
        ra, dec = wcs.wcs_pix2world([np.mean(squares[label], axis=0)], 0)[0]
        lines.append(f"point({ra:f},{dec:f}) # point=circle 5 color=green text={{[F0_S{label}]}}")
    path.write_text("\n".join(lines) + "\n")
    return path


def write_offsets(path, ra, dec, trust=(10.0, 10.0), labels=None):
    """Facets 0, 1, ... in the order of their labels; or, as the survey writes it, with these labels."""
    table = Table({"RA_offset": ra, "DEC_offset": dec})
    if labels is not None:
        table["Facet_id"] = labels
    for axis in ("RA", "DEC"):
        table[f"{axis}_peak"], table[f"{axis}_peak_error"] = trust, 1.0
    table.write(path, overwrite=True)
    return path


@pytest.mark.parametrize("column", ["RA_peak_error", "DEC_peak_error", "RA_peak", "DEC_peak", "RA_offset"])
def test_an_offset_with_a_number_that_is_none_is_replaced(tmp_path, column):
    path = write_offsets(tmp_path / "o.fits", ra=[50.0, 1.0], dec=[50.0, 2.0])
    with fits.open(path, mode="update") as hdus:
        hdus[1].data[column][0] = np.nan
    facets = read_facets(write_regions(tmp_path / "f.reg"), WCS, path)
    assert facets.replaced == (0,)
    np.testing.assert_array_equal(facets.offsets_arcsec, [[1, 2], [1, 2]])


def test_facets_are_numbered_by_their_labels(tmp_path):
    facets = read_facets(write_regions(tmp_path / "f.reg"), WCS)
    numbers = facets.of_pixels((slice(10, 20), slice(70, 90)))
    # label 3 is facet 0, on the right; label 12 is facet 1, on the left
    assert (numbers[:, :9] == 1).all()
    assert (numbers[:, 10:] == 0).all()
    assert (facets.of_pixels((slice(0, 5), slice(158, 160)))[:, -1] == -1).all()


def test_a_window_is_a_part_of_the_whole(tmp_path):
    star = {0: [(80, 5), (110, 70), (150, 150), (80, 100), (10, 150), (50, 70)]}
    facets = read_facets(write_regions(tmp_path / "f.reg", star), WCS)
    whole = facets.of_pixels((slice(0, 160), slice(0, 160)))
    assert {0, -1} == set(np.unique(whole))
    # the star is not convex: its middle belongs to it, the notch below its arms does not
    assert whole[60, 80] == 0
    assert whole[145, 80] == -1
    np.testing.assert_array_equal(facets.of_pixels((slice(40, 120), slice(30, 100))), whole[40:120, 30:100])


def test_offsets_become_pixels(tmp_path):
    regions = write_regions(tmp_path / "f.reg", wcs=EQUATOR)
    offsets = write_offsets(tmp_path / "o.fits", ra=[4.5, -9.0], dec=[0.9, 4.5])
    facets = read_facets(regions, EQUATOR, offsets)
    # too far east is too low a column, too far north too high a row
    np.testing.assert_allclose(facets.shifts, [[0.2, -1.0], [1.0, 2.0]], rtol=1e-6)
    assert facets.replaced == ()
    np.testing.assert_allclose(facets.offsets_arcsec, [[4.5, 0.9], [-9.0, 4.5]])


def test_offsets_not_well_measured_are_those_of_the_good_ones(tmp_path):
    """ddf-pipeline writes the medians into a copy; here they count."""
    regions = write_regions(tmp_path / "f.reg", wcs=EQUATOR)
    offsets = write_offsets(tmp_path / "o.fits", ra=[4.5, 40.0], dec=[0.9, 40.0], trust=(10.0, 1.9))
    facets = read_facets(regions, EQUATOR, offsets)
    np.testing.assert_allclose(facets.shifts, [[0.2, -1.0]] * 2, rtol=1e-6)
    assert facets.replaced == (1,)
    none = write_offsets(tmp_path / "n.fits", ra=[4.5, 40.0], dec=[0.9, 40.0], trust=(1.0, 1.0))
    assert not read_facets(regions, EQUATOR, none).shifts.any()


def test_an_offset_must_be_well_measured_along_both_axes(tmp_path):
    path = write_offsets(tmp_path / "o.fits", ra=[1.0, 9.0], dec=[2.0, 9.0])
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["DEC_peak"][1] = 1.0
    facets = read_facets(write_regions(tmp_path / "f.reg"), WCS, path)
    assert facets.replaced == (1,)
    np.testing.assert_array_equal(facets.offsets_arcsec, [[1, 2], [1, 2]])


def test_the_median_of_the_good_offsets_stands_for_the_others(tmp_path):
    """Of 0, 1, 8 and of 0, 2, 16; their means are 3 and 6."""
    strips = {n: [(40 * n, 0), (40 * n + 39, 0), (40 * n + 39, 159), (40 * n, 159)] for n in range(4)}
    offsets = write_offsets(
        tmp_path / "o.fits", [0.0, 1.0, 8.0, 50.0], [0.0, 2.0, 16.0, 50.0], trust=(9.0, 9.0, 9.0, 1.0)
    )
    facets = read_facets(write_regions(tmp_path / "f.reg", strips), WCS, offsets)
    assert facets.replaced == (3,)
    np.testing.assert_array_equal(facets.offsets_arcsec[3], [1, 2])


def test_a_facet_that_stands_twice_in_the_table_of_offsets(tmp_path):
    regions = write_regions(tmp_path / "f.reg")
    twice = write_offsets(tmp_path / "o.fits", [9.0, 4.5, 1.0], [0.0] * 3, [9.0] * 3, labels=[12, 3, 12])
    with pytest.raises(FacetError, match=r"o\.fits has more than one row for facet 12: keep only one row"):
        read_facets(regions, WCS, twice)


def test_a_polygon_with_two_labels_is_refused(tmp_path):
    path = write_regions(tmp_path / "f.reg")
    text = path.read_text()
    point = next(line for line in text.splitlines() if "_S12]" in line)
    path.write_text(f"{text}{point}\n")  # the same again
    assert read_facets(path, WCS).labels == (3, 12)
    path.write_text(f"{text}{point.replace('_S12]', '_S99]')}\n")
    said = r"f\.reg has more than one label for polygon 1 \(S12, S99\): keep only one label per polygon$"
    with pytest.raises(FacetError, match=said):
        read_facets(path, WCS)


def test_offsets_belong_to_labels_not_to_rows(tmp_path):
    """A label without a polygon (outside the image) has a row all the same; rows may come in any order."""
    regions = write_regions(tmp_path / "f.reg")
    offsets = write_offsets(tmp_path / "o.fits", [9.0, 0.5, 4.5], [0.0] * 3, [9.0] * 3, labels=[12, 7, 3])
    np.testing.assert_allclose(read_facets(regions, WCS, offsets).offsets_arcsec, [[4.5, 0], [9.0, 0]])
    absent = write_offsets(tmp_path / "a.fits", [9.0, 4.5], [0.0] * 2, [9.0] * 2, labels=[12, 7])
    with pytest.raises(FacetError, match="no offset for facet 3"):
        read_facets(regions, WCS, absent)


def test_offsets_in_a_field_that_is_turned(tmp_path):
    turned = WCS.deepcopy()
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    turned.wcs.pc = [[c, -s], [s, c]]
    turned.wcs.set()
    offsets = write_offsets(tmp_path / "o.fits", ra=[0.0, 4.5], dec=[0.0, 9.0])
    facets = read_facets(write_regions(tmp_path / "f.reg"), turned, offsets)
    # where the sky says the source is, against where it should be
    true = turned.wcs_pix2world([[80.0, 70.0]], 0)[0]
    east = 4.5 / 3600 / np.cos(np.radians(true[1]))
    x, y = turned.wcs_world2pix([[true[0] + east, true[1] + 9 / 3600]], 0)[0]
    np.testing.assert_allclose(facets.shifts[1], [y - 70, x - 80], atol=0.01)


@pytest.mark.parametrize("dec", [0.0, 60.0, 84.0])
@pytest.mark.parametrize("turn", [0.0, 40.0])
def test_offsets_far_from_the_middle_of_a_field(tmp_path, dec, turn):
    """North is not up there: at Dec 84, two degrees to the east, it is turned by 18 deg."""
    n_px = 3200
    wcs = grid_wcs(150.0, dec, n_px, 4.5)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.pc = [[c, -s], [s, c]]
    wcs.wcs.set()
    # in the four corners of the field
    places = {1: (150, 150), 2: (3050, 150), 5: (3050, 3050), 9: (150, 3050)}
    squares = {
        label: [(x - 100, y - 100), (x + 100, y - 100), (x + 100, y + 100), (x - 100, y + 100)]
        for label, (x, y) in places.items()
    }
    east, north = np.array([4.5, -3.0, 9.0, 0.0]), np.array([9.0, 2.0, -4.5, 4.5])
    offsets = write_offsets(tmp_path / "o.fits", east, north, [9.0] * 4, labels=list(places))
    facets = read_facets(write_regions(tmp_path / "f.reg", squares, wcs=wcs), wcs, offsets)
    # sources seen where the offsets put them, by astropy
    true = SkyCoord.from_pixel(*np.transpose(list(places.values())), wcs)
    seen = true.spherical_offsets_by(east * u.arcsec, north * u.arcsec).to_pixel(wcs)
    expected = np.transpose(seen) - list(places.values())
    np.testing.assert_allclose(facets.shifts[:, ::-1], expected, atol=2e-3)


def field_of(kind):
    """Grid of 160 x 160 pixels around RA 150, Dec 35, and how it is called by astropy."""
    wcs = grid_wcs(150.0, 35.0, 160, 4.5)
    if kind in ("fk4", "galactic"):
        place = SkyCoord(150.0, 35.0, unit="deg").transform_to(kind)
        wcs.wcs.crval = [place.spherical.lon.deg, place.spherical.lat.deg]
        wcs.wcs.radesys, wcs.wcs.equinox = ("FK4", 1950.0) if kind == "fk4" else ("", np.nan)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"] if kind == "fk4" else ["GLON-SIN", "GLAT-SIN"]
    if kind == "distorted":
        wcs.wcs.ctype = ["RA---SIN-SIP", "DEC--SIN-SIP"]
        bent, none = np.zeros((3, 3)), np.zeros((3, 3))
        bent[2, 0], bent[1, 1] = 1e-3, -5e-4
        wcs.sip = Sip(bent, bent.T.copy(), none, none, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize("kind", ["fk4", "galactic", "distorted"])
def test_facets_of_a_field_in_another_frame_or_distorted(tmp_path, kind):
    """Regions and offsets are on the sky, here by astropy."""
    wcs = field_of(kind)
    corners = [(20, 10), (140, 30), (120, 150), (10, 130)]
    sky = [pixel_to_skycoord(*place, wcs, mode="all").icrs for place in corners]
    lines = [f"line({one.ra.deg:f},{one.dec.deg:f},0,0)" for one in sky]
    middle = pixel_to_skycoord(70, 80, wcs, mode="all").icrs
    label = f"point({middle.ra.deg:f},{middle.dec.deg:f}) # text={{[F0_S4]}}"
    (tmp_path / "f.reg").write_text("\n".join(["fk5", *lines, "#", label]))
    facets = read_facets(tmp_path / "f.reg", wcs, write_offsets(tmp_path / "o.fits", [9.0], [-4.5], [9.0]))
    np.testing.assert_allclose(facets.corners[:, ::-1], corners, atol=0.01)
    true = pixel_to_skycoord(*np.mean(corners, axis=0), wcs, mode="all").icrs
    seen = skycoord_to_pixel(true.spherical_offsets_by(9 * u.arcsec, -4.5 * u.arcsec), wcs, mode="all")
    np.testing.assert_allclose(facets.shifts[0, ::-1], np.subtract(seen, np.mean(corners, axis=0)), atol=2e-3)


def test_facets_beyond_the_sky_of_a_field(tmp_path):
    regions = write_regions(tmp_path / "f.reg")
    with pytest.raises(FacetError, match="no sky"):
        read_facets(regions, grid_wcs(330.0, -35.0, 160, 4.5))


def test_bad_facets_hold_no_pixel(tmp_path):
    bad = tmp_path / "Badfacets.txt"
    bad.write_text("#field,bad\nP150+35,[0]\n")
    facets = read_facets(write_regions(tmp_path / "f.reg"), WCS, bad=bad)
    assert facets.bad == (0,)
    numbers = facets.of_pixels((slice(10, 20), slice(70, 90)))
    assert (numbers[:, :9] == 1).all()
    assert (numbers[:, 10:] == -1).all()
    bad.write_text("#field,bad\nP150+35,[0] # 12 of 45\n")
    assert read_facets(write_regions(tmp_path / "f.reg"), WCS, bad=bad).bad == (0,)
    bad.write_text("#field,bad\nP150+35,[]\n")
    assert read_facets(write_regions(tmp_path / "f.reg"), WCS, bad=bad).bad == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("P150+35,[7]", "second line"),
        ("#\nP150+35,[-1]", "second line"),
        ("#\nP150+35,[2]", "facet 2 is called bad, but there are 2, counted from 0"),
    ],
)
def test_lists_of_bad_facets_that_do_not_fit(tmp_path, content, message):
    bad = tmp_path / "Badfacets.txt"
    bad.write_text(content)
    with pytest.raises(FacetError, match=message):
        read_facets(write_regions(tmp_path / "f.reg"), WCS, bad=bad)


def test_regions_and_offsets_that_do_not_fit(tmp_path):
    with pytest.raises(FacetError, match="1 of 2 polygons hold no label"):
        read_facets(write_regions(tmp_path / "f.reg", labels=[3]), WCS)
    (tmp_path / "empty.reg").write_text("fk5\n")
    with pytest.raises(FacetError, match="0 of 0 polygons"):
        read_facets(tmp_path / "empty.reg", WCS)
    (tmp_path / "broken.reg").write_text("line(1.0.0,2,3,4)\n")
    with pytest.raises(FacetError, match=r"broken.reg: .line.* cannot be read"):
        read_facets(tmp_path / "broken.reg", WCS)
    with pytest.raises(FacetError, match=r"absent.reg cannot be read"):
        read_facets(tmp_path / "absent.reg", WCS)
    regions = write_regions(tmp_path / "f.reg")
    with pytest.raises(FacetError, match="offsets of 3 facets, but there are 2"):
        read_facets(regions, WCS, write_offsets(tmp_path / "o.fits", [1.0] * 3, [1.0] * 3, [9.0] * 3))
    (tmp_path / "page.fits").write_text("<html>not found</html>")
    with pytest.raises(FacetError, match="no table of facet offsets"):
        read_facets(regions, WCS, tmp_path / "page.fits")


def test_a_mosaic_by_facet_puts_sources_where_they_belong(tmp_path):
    field = write_field(tmp_path, "a", sigma=1e-6)
    row, column = 60, 40  # in facet 1
    for path in (field.int_path, field.app_path):
        with fits.open(path, mode="update") as hdus:
            hdus[0].data[row, column] += 1.0
            hdus[0].data[row, 140] += 1.0
    regions = str(write_regions(tmp_path / "f.reg"))
    offsets = str(write_offsets(tmp_path / "o.fits", ra=[0.0, 9.0], dec=[0.0, 13.5]))
    (tmp_path / "bad.txt").write_text("#\na,[0]\n")
    by_facet = FieldImages(
        "a", field.int_path, field.app_path, 1.0, None, regions, offsets, str(tmp_path / "bad.txt")
    )
    grid = grid_wcs(150.0, 35.0, 160, 4.5)
    image = make_mosaic([by_facet], grid, MosaicOptions(rms_box_px=60)).image.data
    # 9" too far east are 2 columns, 13.5" too far north 3 rows
    assert np.unravel_index(np.nanargmax(image), image.shape) == (row - 3, column + 2)
    assert np.isnan(image[:, 85:]).all()


def test_a_broken_facet_file_leaves_the_field_out(tmp_path):
    good, field = write_field(tmp_path, "a", sky=1e-3), write_field(tmp_path, "b", sky=1e-3)
    (tmp_path / "f.reg").write_text("<html>")
    broken = FieldImages("b", field.int_path, field.app_path, facets_path=str(tmp_path / "f.reg"))
    result = make_mosaic([good, broken], grid_wcs(150.0, 35.0, 80, 4.5), MosaicOptions(rms_box_px=60))
    assert result.missing["b"].reason.startswith("FacetError")
