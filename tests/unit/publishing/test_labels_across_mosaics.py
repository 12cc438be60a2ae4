"""The label of an island counts wherever mosaics show its sky, and also where it is unsure."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage
from test_label_pairs import two_discs

from maps import arcmin_from, write_products
from radiounet.errors import ConfigError
from radiounet.images.beams import Beam
from radiounet.images.geometry import to_sky
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.products import Products
from radiounet.images.squares import Mosaic, separation_deg, unit_vectors
from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.islands import find_islands
from radiounet.measuring.mosaic_tables import read_mosaic_table
from radiounet.publishing import label_pairs
from radiounet.publishing.catalogue_objects import CatalogueObject
from radiounet.publishing.known_labels import Known
from radiounet.publishing.label_pairs import write_label_pairs
from radiounet.publishing.labelling import LabelTable, candidates
from radiounet.settings.releases import DR2
from radiounet.survey.survey import Survey
from stages import MEASURE, SEGMENTATION

N_PX = 400
SURVEY = Survey(DR2, [Mosaic("west", 150.15, 35.0, N_PX), Mosaic("east", 149.85, 35.0, N_PX)])
HALO, SPECK = (149.972, 35.0, 1.2), (150.03, 35.0, 0.5)
"""Positions and radii in arcmin; the first is in the cell of east, the second in that of west."""
WCS = {name: grid_wcs(one.ra_deg, one.dec_deg, N_PX, 4.5) for name, one in SURVEY.mosaics.items()}
WIDER = 1.5
"""Radius of the halo on west, arcmin; on east, whose island the catalogue has, it is 1.2."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Products of two mosaics: a halo on both, in a cluster of west, and a second island of it on west."""
    folder = tmp_path_factory.mktemp("across")
    (folder / "in.csv").write_text("name,ra,dec,z,M500\nC,150.002,35,0.2,3\n")
    products, inputs = Products(str(folder / "dr2")), {}
    for name, wcs in WCS.items():
        away = arcmin_from(wcs, *HALO[:2])
        noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(away.shape), 1.9)
        data = (1e-4 * noise / noise.std() + 6e-4 * np.exp(-away / 0.6)).astype(np.float32)
        speck = arcmin_from(wcs, *SPECK[:2]) < SPECK[2]
        mask = (away < WIDER) | speck if name == "west" else away < HALO[2]
        paths = [getattr(products, kind)(name) for kind in ("image", "probability", "mask")]
        for path in (*paths, products.islands(name), products.clusters(name), products.cutouts(name)):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_products(paths, Plane(data, wcs, Beam(20, 20)), np.where(mask, 0.6, 0.01), mask)
        find_islands(*paths, SURVEY, name, MEASURE, products.islands(name))
        inputs[name] = MosaicProducts(name, *paths)
    for name, one in inputs.items():
        ordered = [one, *(other for other in inputs.values() if other is not one)]
        files = products.clusters(name), products.cutouts(name)
        measure_clusters(str(folder / "in.csv"), SURVEY, name, ordered, SEGMENTATION.model, MEASURE, *files)
    tables = {
        kind: [read_mosaic_table(kind, getattr(products, kind)(name)) for name in inputs]
        for kind in ("islands", "clusters")
    }
    for kind, table in merge_run(tables)[0].items():
        path = Path(products.catalogue(kind, "vot"))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_catalogue(table, path)
    return products.root


def planes_of(root, folder, of_cluster, of_island):
    """Images of labels by mosaic, of a label of the cluster and one of the halo's island."""
    table = LabelTable(folder / "labels.ecsv", "me")
    if of_cluster:
        (cluster,) = candidates(root, "cluster", "catalogue")
        assert (cluster.row["mosaic"], cluster.row["island_count"]) == ("west", 2)
        table.add(cluster, of_cluster)
    (island,) = (one for one in candidates(root, "island", "catalogue") if str(one.row["mosaic"]) == "east")
    table.add(island, of_island)
    pairs = [
        pair.rpartition(":")[2] for pair in write_label_pairs(root, str(table.path), str(folder / "out"))
    ]
    return {Path(path).name.partition(".")[0]: fits.getdata(path) for path in pairs}


@pytest.mark.parametrize(
    ("of_cluster", "of_island", "value"),
    [
        ("halo", "radio galaxy", 0),
        ("halo", "unsure", 255),
        ("no emission", "relic", 1),
        ("no emission", "unsure", 255),
        ("artefact", "halo", 1),
        ("", "artefact", 0),
    ],
)
def test_the_label_of_an_island_counts_on_every_mosaic(root, tmp_path, of_cluster, of_island, value):
    planes = planes_of(root, tmp_path, of_cluster, of_island)
    for name, plane in planes.items():
        away = arcmin_from(WCS[name], *HALO[:2])
        assert set(np.unique(plane[away < HALO[2] - 0.05])) == {value}, name
        # what only the mask of west shows of it: neither that of the island nor that of the cluster
        around = (away > HALO[2] + 0.05) & (away < WIDER)
        assert set(np.unique(plane[around])) == {255}, name
    # an image that no label decides a pixel of is left out
    assert set(planes) == {*(["west"] if of_cluster else []), *(["east"] if of_island != "unsure" else [])}


@pytest.mark.parametrize(("label", "value"), [("halo", 1), ("no emission", 0)])
def test_other_islands_of_the_cluster_keep_its_label(root, tmp_path, label, value):
    plane = planes_of(root, tmp_path, label, "unsure")["west"]
    assert set(np.unique(plane[arcmin_from(WCS["west"], *SPECK[:2]) < SPECK[2] - 0.05])) == {value}


def one_disc():
    """Cut-out of an island, and a row of it."""
    cutout, table = two_discs()
    cutout.own[:] = cutout.islands == 1
    return cutout, CatalogueObject("island", Table(table)[0], {})


@pytest.mark.parametrize(
    ("here", "elsewhere", "value"),
    [(True, True, 1), (True, False, 255), (False, True, 255), (False, None, 255), (None, True, 255)],
)
def test_islands_of_two_mosaics_on_the_same_sky_that_differ_are_unknown(here, elsewhere, value):
    cutout, source = one_disc()
    known = Known.of(cutout.residual, cutout.residual)
    known.add(cutout, source, here)
    known.add_sky(cutout.own, cutout.residual.wcs, elsewhere)
    assert (known.labels()[cutout.own] == value).all()
    assert known.contradicted == (np.count_nonzero(cutout.own) if {here, elsewhere} == {True, False} else 0)


def test_a_mosaic_that_does_not_show_the_island_is_left_as_it_is():
    cutout, source = one_disc()
    for ra in (152.0, 330.0):  # the second is off the sky of the other's projection
        plane = Plane(np.zeros((240, 240), np.float32), grid_wcs(ra, 35.0, 240, 4.5), Beam(20, 20))
        known = Known.of(plane, plane)
        known.add_sky(cutout.own, cutout.residual.wcs, True)
        assert (known.labels() == 255).all()


def test_the_circle_around_a_mosaic_holds_it():
    plane = Plane(np.zeros((400, 400), np.float32), grid_wcs(150.0, 75.0, 400, 4.5), Beam(20, 20))
    centre, radius_deg = label_pairs._circle(plane)
    y, x = np.random.default_rng(0).uniform(-0.5, 399.5, (2, 1000))
    distances = separation_deg(centre, unit_vectors(*to_sky(plane.wcs, x, y)))
    assert distances.max() <= radius_deg
    assert radius_deg == pytest.approx(np.hypot(200, 200) * 4.5 / 3600, rel=0.01)


def test_the_circle_around_a_mosaic_off_its_projection_is_all_sky():
    plane = Plane(np.zeros((240, 240), np.float32), grid_wcs(150.0, 35.0, 240, 7200.0), Beam(20, 20))
    centre, radius_deg = label_pairs._circle(plane)
    places = unit_vectors([0.0, 330.0, 12.0], [90.0, -35.0, -90.0])
    assert (separation_deg(centre, places) <= radius_deg).all()


def test_the_wings_of_an_island_are_those_of_the_beam_of_its_image():
    cutout, _ = one_disc()
    plane = cutout.residual
    coarse = Plane(plane.data, plane.wcs, plane.beam, Beam(60, 45))
    assert [Known.of(plane, one).reach_px for one in (plane, coarse)] == [9, 27]


@pytest.mark.parametrize("of_cluster", ["halo", "no emission"])
def test_an_unsure_island_alone_says_nothing(root, tmp_path, of_cluster):
    with pytest.raises(ConfigError, match="only labels that are unsure"):
        planes_of(root, tmp_path, "", "unsure")
    assert (planes_of(root, tmp_path, of_cluster, "unsure")["west"] != 255).any()


@pytest.mark.parametrize(("elsewhere", "value"), [(True, 1), (False, 255), (None, 255)])
def test_an_island_beside_one_of_another_mosaic_is_unknown_where_labels_differ(elsewhere, value):
    """It lies 3 px beside the other, within two beams, and is the only one of its host."""
    cutout, table = two_discs()
    cutout.islands[:] = 0
    cutout.islands[118:123, 88:93] = 1
    cutout.own[:] = cutout.islands == 1
    beside = np.zeros_like(cutout.own)
    beside[110:131, 95:110] = True
    known = Known.of(cutout.residual, cutout.residual)
    known.add(cutout, CatalogueObject("cluster", table[0], {}), True)
    known.add_sky(beside, cutout.residual.wcs, elsewhere)
    labels = known.labels()
    assert (labels[cutout.own] == value).all()
    # the host is seen, so the rest of its R500 is known to be empty
    assert (labels[30:60, 100:140] == 0).all()
