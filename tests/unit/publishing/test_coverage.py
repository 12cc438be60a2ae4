"""Coverage and completeness with answers by hand."""

import io

import healpy
import numpy as np
import pytest
from astropy.table import Table

from radiounet.images.image import grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.publishing.coverage import (
    completeness_map,
    covered_healpix_pixels,
    diffuse_healpix_pixels,
    joined,
    moc_bytes,
    moc_of,
)
from radiounet.publishing.hips_parts import parts_of
from radiounet.settings.releases import DR3, OWN_IMAGES
from radiounet.survey.survey import Survey

CELL = 900
RA, DEC = (float(one) for one in healpy.pix2ang(16, CELL, lonlat=True))
CORNER = healpy.vec2ang(healpy.boundaries(16, CELL)[:, 2], lonlat=True)
"""A corner of the cell, around which a quarter of the sky is the cell's own."""


def test_the_coverage_of_a_mosaic_ends_where_its_cell_ends():
    ra, dec = (float(one[0]) for one in CORNER)
    wcs, survey = grid_wcs(ra, dec, 200, 4.5), Survey(DR3, [Mosaic("hp00900", RA, DEC, 4884)])
    plane = np.zeros((200, 200))
    covered, reached = covered_healpix_pixels(wcs, plane, survey, "hp00900")
    places = healpy.pix2ang(2**12, covered, nest=True, lonlat=True)
    assert set(healpy.ang2pix(16, *places, lonlat=True)) == {CELL}
    # the square is 15' wide, 225 arcmin2, and the corner of a cell is about a quarter of it
    area = len(covered) * healpy.nside2pixarea(2**12, degrees=True) * 3600
    assert 0.2 * 225 < area < 0.3 * 225
    assert {pixel >> 8 for pixel in covered} <= set(reached)
    plane[:] = np.nan
    nothing, still = covered_healpix_pixels(wcs, plane, survey, "hp00900")
    assert (nothing, still) == ([], reached)


def test_a_masked_pixel_marks_the_sky_only_where_it_is_owned():
    ra, dec = (float(one[0]) for one in CORNER)
    wcs, survey = grid_wcs(ra, dec, 200, 4.5), Survey(DR3, [Mosaic("hp00900", RA, DEC, 4884)])
    y, x = np.indices((200, 200))
    own = healpy.ang2pix(16, *wcs.all_pix2world(x, y, 0), lonlat=True) == CELL
    mask = np.zeros((200, 200), np.uint8)
    for inside in (own, ~own):
        row, column = np.argwhere(inside)[len(np.argwhere(inside)) // 2]
        mask[row, column] = 1
    row, column = np.argwhere(own)[own.sum() // 2]
    place = wcs.all_pix2world(column, row, 0)
    assert diffuse_healpix_pixels(wcs, mask, survey, "hp00900") == [
        healpy.ang2pix(2**14, *place, nest=True, lonlat=True)
    ]


def test_every_part_of_the_sky_that_a_mosaic_owns_is_a_job():
    survey = Survey(DR3, [Mosaic("hp00900", RA, DEC, 4884), Mosaic("unreadable", 0.0, -90.0, 0)])
    parts = parts_of(survey, ["hp00900", "unreadable"])
    assert parts == {int(healpy.ring2nest(16, CELL)) // 4: ["hp00900"]}


def test_completeness_is_the_median_of_the_limits_in_a_pixel():
    pixel = 5000
    ra, dec = healpy.pix2ang(64, pixel, nest=True, lonlat=True)
    table = Table({"ra_deg": [ra] * 4 + [10.0], "dec_deg": [dec] * 4 + [80.0]})
    table["flux_90_mjy"] = [3.0, 1.0, 8.0, np.nan, np.nan]
    covered = moc_of([pixel << 12, (pixel << 12) + 1, 7 << 12], 12)
    found = Table.read(io.BytesIO(completeness_map(table, covered)), hdu=1)
    assert list(found["PIXEL"]) == [7, pixel]
    assert list(found["CLUSTERS"]) == [0, 3]
    assert found["FLUX_90"].mask.tolist() == [True, False]
    assert found["FLUX_90"][1] == 3.0
    np.testing.assert_array_equal(found["COVERAGE"], np.float32([1 / 4096, 2 / 4096]))
    table["flux_90_mjy"] = np.nan
    assert completeness_map(table, covered) is None


def test_the_covered_part_of_a_pixel_is_counted_without_a_list():
    """Of 4096 pixels of the coverage each: a range over the end of one, whole ones side by side, the last."""
    last = 12 * 64**2 - 1
    fine = [*range(8 * 4096 - 3, 8 * 4096 + 5), *range(16 * 4096, 19 * 4096 + 1024), (last << 12) + 4095]
    table = Table({"ra_deg": [10.0], "dec_deg": [80.0], "flux_90_mjy": [2.0]})
    place = int(healpy.ang2pix(64, 10.0, 80.0, nest=True, lonlat=True))
    parts = {7: 3 / 4096, 8: 5 / 4096, 16: 1, 17: 1, 18: 1, 19: 1 / 4, place: 0, last: 1 / 4096}
    found = Table.read(io.BytesIO(completeness_map(table, moc_of(fine, 12))), hdu=1)
    assert dict(zip(found["PIXEL"].tolist(), found["COVERAGE"].tolist(), strict=True)) == parts
    nothing = Table.read(io.BytesIO(completeness_map(table, moc_of([], 12))), hdu=1)
    assert (nothing["PIXEL"].tolist(), nothing["COVERAGE"].tolist()) == ([place], [0])


@pytest.mark.parametrize("order", [12, 14])
@pytest.mark.parametrize(
    "several",
    [
        [],
        [[]],
        [range(64, 128), []],
        [range(7), range(5, 12), [40]],
        [[5], [7], [6], [4]],  # together the pixel 1 of the order above
        [range(1 << 16, 2 << 16), range(2 << 16, 3 << 16)],
    ],
)
def test_mocs_are_joined_from_their_texts(several, order):
    every = sorted({pixel for one in several for pixel in one})
    found = joined([moc_of(one, order).to_string() for one in several], order)
    assert found.max_order == order
    assert found.flatten().tolist() == every
    assert moc_bytes(found) == moc_bytes(moc_of(every, order))


def test_an_empty_moc_is_written():
    assert moc_bytes(moc_of([], 14))["json"].startswith(b"{")


def test_a_corner_of_a_mosaic_reaches_its_sky_though_it_holds_no_centre_of_the_coverage():
    """Squares of 4.8 arcmin anywhere: some reach a few arcsec into the next HEALPix pixel."""
    y, x = np.indices((64, 64))
    for number, (ra, dec) in enumerate(np.random.default_rng(1).uniform((10, -50), (40, 50), (40, 2))):
        wcs, survey = grid_wcs(ra, dec, 64, 4.5), Survey(OWN_IMAGES, [Mosaic("a", ra, dec, 64)])
        _, reached = covered_healpix_pixels(wcs, np.zeros((64, 64)), survey, "a")
        shown = healpy.ang2pix(2**8, *wcs.all_pix2world(x, y, 0), nest=True, lonlat=True)
        assert set(np.unique(shown)) <= set(reached), number
