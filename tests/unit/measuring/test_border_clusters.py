"""Clusters near the border of two cells, whose mosaics show different emission."""

import numpy as np
import pytest
from scipy import ndimage

from maps import arcmin_from, write_products
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.measuring.apertures import _notes
from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.islands import find_islands
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey
from stages import MEASURE, SEGMENTATION

N_PX = 400
SURVEY = Survey(DR2, [Mosaic("west", 150.15, 35.0, N_PX), Mosaic("east", 149.85, 35.0, N_PX)])
HALO = (149.972, 35.0, 1.2)
"""Position and radius in arcmin: in the cell of east; the cluster's centre lies in that of west."""
SPECK = (150.03, 35.0, 0.5)
"""In the cell of west, 2.9' from the halo: farther from it than two beams."""
MISSING = (
    "not in the catalogue of islands, as no mosaic lists it in its own cell: RUN J095953.2+350000 on west"
)
ONLY_WEST = "inside R500 only the mask of west holds emission on sky that belongs to east, "
ONLY_EAST = (
    "inside R500 the mask of west lacks emission that the mask of east holds on its own sky: flux densities "
    "and islands are of west"
)
NOT_USED = "inside R500 the mask of west reaches onto sky of east, whose mask was not used"
EDGE = [(150.0225, 35.0, 1.2)]
"""Its edge reaches a pixel into the cell of east: 1 % of it."""
PIECE = [(150.018, 35.0, 1.2)]
"""The same, but more than that: 8 %."""


def catalogues(folder, west=(), east=(), made=("west", "east"), blank=()):
    """Merge the tables of mosaics that have discs in their masks; `blank` ones have no data at the halo."""
    (folder / "in.csv").write_text("name,ra,dec,z,M500\nC,150.002,35,0.2,3\n")
    products, discs = {}, {"west": west, "east": east}
    for seed, name in enumerate(made):
        wcs = grid_wcs(SURVEY.mosaics[name].ra_deg, SURVEY.mosaics[name].dec_deg, N_PX, 4.5)
        away = arcmin_from(wcs, *HALO[:2])
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(away.shape), 1.9)
        data = (1e-4 * noise / noise.std() + 6e-4 * np.exp(-away / 0.6)).astype(np.float32)
        data[(away < 2) & (name in blank)] = np.nan
        mask = np.zeros(away.shape, bool)
        for *place, radius in discs[name]:
            mask |= arcmin_from(wcs, *place) < radius
        paths = [str(folder / f"{name}.{kind}.fits") for kind in ("image", "probability", "mask")]
        write_products(paths, Plane(data, wcs, Beam(20, 20)), np.where(mask, 0.6, 0.01), mask)
        find_islands(*paths, SURVEY, name, MEASURE, str(folder / f"{name}.islands.ecsv"))
        products[name] = MosaicProducts(name, *paths)
    for name in products:
        ordered = [products[name], *(one for one in products.values() if one.name != name)]
        files = str(folder / f"{name}.clusters.ecsv"), str(folder / f"{name}.cutouts.fits")
        measure_clusters(str(folder / "in.csv"), SURVEY, name, ordered, SEGMENTATION.model, MEASURE, *files)
    tables = {
        kind: [read_mosaic_table(kind, folder / f"{name}.{kind}.ecsv") for name in products]
        for kind in ("islands", "clusters")
    }
    merged, _ = merge_run(tables)
    (cluster,) = merged["clusters"]
    return merged["islands"]["name"].tolist(), cluster


def test_a_halo_that_only_the_own_mosaic_shows_on_the_sky_of_a_neighbour(tmp_path):
    islands, cluster = catalogues(tmp_path, west=[HALO])
    assert islands == []
    assert (cluster["mask_fraction"], cluster["islands"], cluster["island_count"]) == (0, "", 1)
    assert cluster["flux_mjy"] > 0
    assert cluster["note"] == f"{ONLY_WEST}whose mask is empty there; {MISSING}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"blank": ["east"]}, "which has no data there"),
        ({"east": [SPECK]}, "whose mask is empty there"),  # on sky that is not its own
        ({"east": [(149.972, 34.97, 0.5)]}, "whose mask is empty there"),  # 1.8' south of the halo
    ],
)
def test_a_note_says_what_the_owner_of_the_sky_lacks(tmp_path, changes, why):
    _, cluster = catalogues(tmp_path, west=[HALO], **changes)
    (note,) = [one for one in cluster["note"].split("; ") if one.startswith(ONLY_WEST)]
    assert note == ONLY_WEST + why


@pytest.mark.parametrize(
    ("halo", "changes", "note"),
    [
        ([HALO], {"made": ["west"]}, NOT_USED),
        (PIECE, {"made": ["west"]}, NOT_USED),
        (EDGE, {"made": ["west"]}, ""),
        (PIECE, {"east": []}, f"{ONLY_WEST}whose mask is empty there"),
        (EDGE, {"east": []}, ""),
        (PIECE, {"blank": ["east"]}, f"{ONLY_WEST}which has no data there"),
    ],
)
def test_what_reaches_onto_the_sky_of_a_neighbour_is_noted_unless_it_is_an_edge(
    tmp_path, halo, changes, note
):
    _, cluster = catalogues(tmp_path, west=halo, **changes)
    assert cluster["island_count"] == 1
    assert "; ".join(one for one in cluster["note"].split("; ") if one.startswith("inside R500")) == note


def test_the_sky_of_no_mosaic_and_of_several_others():
    """What a note says of more than one owner."""
    lacking = _notes("P1", ["P2", "P3"], [], [])
    assert lacking == [
        "inside R500 the mask of P1 lacks emission that the masks of P2 and P3 hold on their own sky: flux "
        "densities and islands are of P1"
    ]
    unused = _notes("P1", [], [], ["no mosaic", "P2, whose mask was not used"])
    assert unused == [
        "inside R500 the mask of P1 reaches onto sky of no mosaic, and of P2, whose mask was not used"
    ]


def test_a_halo_that_only_the_neighbour_shows(tmp_path):
    islands, cluster = catalogues(tmp_path, east=[HALO])
    assert islands == ["RUN J095953.2+350000"]
    assert (cluster["class"], cluster["islands"], cluster["island_count"]) == ("NDE", "", 0)
    assert cluster["mask_fraction"] > 0
    assert cluster["note"] == ONLY_EAST


def test_a_speck_elsewhere_does_not_hide_that_masks_differ(tmp_path):
    islands, cluster = catalogues(tmp_path, west=[SPECK], east=[HALO])
    assert len(islands) == 2
    assert cluster["island_count"] == 1
    assert cluster["note"] == ONLY_EAST
    _, cluster = catalogues(tmp_path, west=[HALO, SPECK])
    assert cluster["mask_fraction"] > 0
    assert cluster["note"] == f"{ONLY_WEST}whose mask is empty there; {MISSING}"


@pytest.mark.parametrize("radius_arcmin", [0.12, 0.25])  # 1 % and 4 % of what the mask of east holds
def test_a_small_island_beside_what_both_show_is_noted(tmp_path, radius_arcmin):
    _, cluster = catalogues(tmp_path, west=[HALO], east=[HALO, (149.972, 35.035, radius_arcmin)])
    assert cluster["note"] == ONLY_EAST


def test_a_relic_that_only_the_neighbour_shows_is_noted_beside_a_wide_halo(tmp_path):
    """It is 2 % of what the mask of east holds, and most of that lies on sky of west."""
    wide, relic = (150.03, 35.0, 3.35), (149.925, 35.03, 0.465)
    islands, cluster = catalogues(tmp_path, west=[wide], east=[wide, relic])
    assert (len(islands), cluster["island_count"]) == (2, 1)
    assert cluster["note"] == ONLY_EAST


def test_each_mosaic_may_show_what_the_other_does_not(tmp_path):
    north = (149.96, 35.05, 0.5)
    _, cluster = catalogues(tmp_path, west=[HALO], east=[north])
    assert cluster["note"].startswith(f"{ONLY_EAST}; {ONLY_WEST}whose mask is empty there; ")


@pytest.mark.parametrize(
    ("west", "east"),
    [
        ([], []),
        ([HALO], [HALO]),
        ([HALO], [(149.972, 35.0, 0.7)]),  # its edge differs by 0.5', less than two beams
        ([(149.972, 35.0, 0.7)], [HALO]),
        ([(149.83, 35.0, 0.8)], []),  # beyond R500
    ],
)
def test_mosaics_that_agree_are_not_noted(tmp_path, west, east):
    islands, cluster = catalogues(tmp_path, west, east)
    assert len(islands) == len(east)
    assert cluster["islands"] == "; ".join(islands)
    assert (cluster["mask_fraction"] > 0) == bool(east)
    assert cluster["note"] == ""
