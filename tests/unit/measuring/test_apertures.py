"""What part of a mosaic is read around a cluster, and where masks differ there."""

from types import SimpleNamespace

import numpy as np
import pytest

from maps import arcmin_from
from radiounet.images.beams import Beam
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.measuring.apertures import box_around, mask_differences
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Cluster, Survey

PLACES = {"west": (150.15, 35.0), "east": (149.85, 35.02), "south": (149.85, 34.98)}
SURVEY = Survey(DR2, [Mosaic(name, *place, 400) for name, place in PLACES.items()])
CLUSTER = Cluster("C", 150.01, 35.0, 0.2, 6.0)


def test_the_box_around_a_cluster_counts_the_shorter_side_of_a_pixel():
    """1.1 R500 of 15.02' are 220.3 rows of 4.5", and 32 more; with the longer side there would be 142."""
    wcs = grid_wcs(150.0, 40.0, 1000, 4.5)
    wcs.wcs.cdelt = [-9 / 3600, 4.5 / 3600]
    wcs.wcs.set()
    plane = Plane(np.zeros((1000, 1000), np.float32), wcs, Beam(20, 20))
    rows, columns = box_around(plane, Cluster("C", 150.0, 40.0, 0.2, 15.02))
    assert (rows.start, rows.stop) == (columns.start, columns.stop) == (246, 753)


def differences(**discs):
    """Notes on masks that hold discs: position, radius in arcmin, and the least right ascension shown.

    And of how many pixels, in units of the 800 of a disc of 1.2', each mask holds on whose sky.
    """
    mosaics, owned = {}, {}
    for name, place in PLACES.items():
        wcs = grid_wcs(*place, 400, 4.5)
        plane = Plane(np.zeros((400, 400), np.float32), wcs, Beam(20, 20))
        ra, dec = (one.reshape(400, 400) for one in to_sky(wcs, *np.indices((400, 400)).reshape(2, -1)[::-1]))
        mask = np.zeros((400, 400), bool)
        for *at, radius, least_ra in discs.get(name, ()):
            mask |= (arcmin_from(wcs, *at) < radius) & (ra > least_ra)
        mosaics[name] = SimpleNamespace(plane=plane, mask=mask.astype(np.uint8), beam_px=20 / 4.5)
        owned[name] = {other: SURVEY.owned(other, ra, dec)[mask].sum() / 800 for other in PLACES}
    return mask_differences(SURVEY, mosaics, "west", CLUSTER), owned


EDGE = (150.0205, 35.0, 1.2, 0)
"""It reaches onto the sky of two neighbours, with less than 2 % of its pixels each, but more in all."""


@pytest.mark.parametrize(("beside", "noted"), [((), True), (("east",), False), (("south",), False)])
def test_an_edge_counts_for_the_sky_of_all_neighbours_together(beside, noted):
    notes, owned = differences(west=[EDGE], **{name: [EDGE] for name in beside})
    assert max(owned["west"][name] for name in ("east", "south")) < 0.02
    assert owned["west"]["east"] + owned["west"]["south"] > 0.03
    empty = [f"{name}, whose mask is empty there" for name in ("east", "south")]
    what = "inside R500 only the mask of west holds emission on sky that belongs to"
    assert notes == ([f"{what} {empty[0]}, and to {empty[1]}"] if noted else [])


@pytest.mark.parametrize(("least_ra", "noted"), [(149.999, True), (149.9945, False)])
def test_what_all_neighbours_show_of_an_island_beyond_its_edge_counts_together(least_ra, noted):
    """The mask of west ends where two beams more leave 3 %, or 1 %, of the island to the others."""
    wide = (150.038, 35.0, 3.0, 0)
    notes, _ = differences(west=[(*wide[:3], least_ra)], east=[wide], south=[wide])
    what = "inside R500 the mask of west lacks emission that the masks of east and south hold on"
    assert notes == ([f"{what} their own sky: flux densities and islands are of west"] if noted else [])


def test_a_small_island_of_the_own_mosaic_on_other_sky_is_noted_beside_a_wide_one():
    """It is 1 % of what the mask of west holds inside R500."""
    wide, small = (150.03, 35.0, 3.0, 0), (149.94, 35.04, 0.3, 0)
    notes, _ = differences(west=[wide, small], east=[wide], south=[wide])
    assert len(notes) == 1
    assert notes[0].endswith("sky that belongs to east, whose mask is empty there")
    assert differences(west=[wide, small], east=[wide, small], south=[wide])[0] == []


@pytest.mark.slow
@pytest.mark.parametrize("south", [False, True])
def test_the_mask_that_owns_the_sky_decides_on_an_island_that_a_neighbour_shows_there(south):
    """East shows a disc of which almost all lies on the sky of south."""
    wide, disc = (150.03, 35.0, 3.0, 0), (149.91, 34.9913, 0.6, 0)
    notes, owned = differences(west=[wide], east=[wide, disc], south=[wide, disc] if south else [wide])
    alone = {name: share - differences(east=[wide])[1]["east"][name] for name, share in owned["east"].items()}
    assert 0 < alone["east"] < 0.02 * alone["south"]
    assert len(notes) == south
