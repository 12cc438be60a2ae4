"""Clusters near the border of two cells, whose mosaics show different emission."""

import numpy as np
import pytest
from scipy import ndimage

from maps import write_products
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.squares import Mosaic, separation_deg, unit_vectors
from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.islands import find_islands
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey
from stages import MEASURE, SEGMENTATION

N_PX = 400
SURVEY = Survey(DR2, [Mosaic("west", 150.15, 35.0, N_PX), Mosaic("east", 149.85, 35.0, N_PX)])
HALO = unit_vectors(149.972, 35.0)
"""In the cell of east; the cluster's centre lies in that of west."""


def catalogues(folder, masking):
    """Merge the tables of both mosaics, of which those that are `masking` have a halo in their mask."""
    (folder / "in.csv").write_text("name,ra,dec,z,M500\nC,150.002,35,0.2,3\n")
    products = {}
    for seed, (name, place) in enumerate(SURVEY.mosaics.items()):
        wcs = grid_wcs(place.ra_deg, place.dec_deg, N_PX, 4.5)
        y, x = np.indices((N_PX, N_PX))
        places = unit_vectors(*wcs.wcs_pix2world(x.ravel(), y.ravel(), 0))
        away = 60 * separation_deg(HALO, places).reshape(N_PX, N_PX)
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(away.shape), 1.9)
        data = (1e-4 * noise / noise.std() + 6e-4 * np.exp(-away / 0.6)).astype(np.float32)
        mask = (away < 1.2) & (name in masking)
        paths = [str(folder / f"{name}.{kind}.fits") for kind in ("image", "probability", "mask")]
        write_products(paths, Plane(data, wcs, Beam(20, 20)), np.where(mask, 0.6, 0.01), mask)
        find_islands(*paths, SURVEY, name, MEASURE, str(folder / f"{name}.islands.ecsv"))
        products[name] = MosaicProducts(name, *paths)
    for name in products:
        ordered = [products[name], *(one for one in products.values() if one.name != name)]
        made = str(folder / f"{name}.clusters.ecsv"), str(folder / f"{name}.cutouts.fits")
        measure_clusters(str(folder / "in.csv"), SURVEY, name, ordered, SEGMENTATION.model, MEASURE, *made)
    tables = {
        kind: [read_mosaic_table(kind, folder / f"{name}.{kind}.ecsv") for name in products]
        for kind in ("islands", "clusters")
    }
    merged, _ = merge_run(tables)
    (cluster,) = merged["clusters"]
    return merged["islands"]["name"].tolist(), cluster


def test_a_halo_that_only_the_own_mosaic_shows_on_the_sky_of_a_neighbour(tmp_path):
    islands, cluster = catalogues(tmp_path, ["west"])
    assert islands == []
    assert (cluster["mask_fraction"], cluster["islands"], cluster["island_count"]) == (0, "", 1)
    assert cluster["flux_mjy"] > 0
    assert cluster["note"] == (
        "inside R500 the mask of west holds emission, but only on the sky of others (east), whose masks do "
        "not; not in the catalogue of islands, as no mosaic lists it in its own cell: RUN J095953.2+350000 "
        "on west"
    )


def test_a_halo_that_only_the_neighbour_shows(tmp_path):
    islands, cluster = catalogues(tmp_path, ["east"])
    assert islands == ["RUN J095953.2+350000"]
    assert (cluster["class"], cluster["islands"], cluster["island_count"]) == ("NDE", "", 0)
    assert cluster["mask_fraction"] > 0
    assert cluster["note"] == (
        "inside R500 only the mask of east holds emission: flux densities and islands are of west"
    )


@pytest.mark.parametrize("masking", [[], ["west", "east"]])
def test_mosaics_that_agree_are_not_noted(tmp_path, masking):
    islands, cluster = catalogues(tmp_path, masking)
    assert len(islands) == len(masking) / 2
    assert cluster["islands"] == "; ".join(islands)
    assert (cluster["mask_fraction"] > 0) == bool(masking)
    assert cluster["note"] == ""
