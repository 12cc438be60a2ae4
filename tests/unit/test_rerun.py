"""Where a rerun begins, and what it makes anew."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from radiounet.config import load_config
from radiounet.errors import ConfigError
from radiounet.products import Products
from radiounet.rerun import Rerun
from radiounet.sky import Mosaic
from stages import fetch_field, leave_out, pass_on, reject_mosaic

FIELDS = {"A": ["A", "B"], "B": ["A", "B", "C"], "C": ["B", "C"], "N": ["C"]}


class Graph(SimpleNamespace):
    """Three mosaics; a cluster of A reaches B, one of C the neighbour N."""

    selected = ("A", "B", "C")
    neighbours = ("N",)
    fields_used = ("A", "B", "C")

    def fields_of(self, mosaic):
        return FIELDS[mosaic]

    def touched_by_clusters_of(self, mosaic):
        return {"A": ["B"], "C": ["N"]}.get(mosaic, [])


class PublishedGraph(Graph):
    fields_used = ()


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path))


def rerun(graph, products, **config):
    return Rerun(load_config(config), graph, products)


def names(paths, root):
    return {str(path).removeprefix(f"{root}/") for path in paths}


def test_a_published_mosaic_and_the_neighbours_whose_clusters_it_touches(products):
    found = rerun(PublishedGraph(), products, pointing="B")
    assert names(found.starts(), products.root) == {"mosaics/B/image.fits"}
    assert names(found.targets(), products.root) == {"islands/B.ecsv", "clusters/B.ecsv", "clusters/A.ecsv"}


def test_a_field_and_every_mosaic_it_goes_into(products):
    found = rerun(Graph(), products, pointing=["A"])
    assert names(found.starts(), products.root) == {"fields/A/int.fits"}
    assert names(found.targets(), products.root) == {
        "islands/A.ecsv", "clusters/A.ecsv", "islands/B.ecsv", "clusters/B.ecsv",
    }  # fmt: skip


def test_the_catalogue_follows_where_the_rest_is_there(products):
    for name in "AC":
        reject_mosaic(products, name, BUNIT="K")
    found = names(rerun(PublishedGraph(), products, pointing="B").targets(), products.root)
    assert {"catalogue/clusters.fits", "report.html"} <= found


def test_only_the_rejected_begin_anew(products, tmp_path):
    reject_mosaic(products, "A", BUNIT="K")
    leave_out(products, Mosaic("B", 150.0, 35.0, 100), tmp_path / "sent", "B", "A")
    fetch_field(products, "C", tmp_path / "sent")
    found = rerun(Graph(), products, only="rejected")
    assert (found.mosaics, found.fields) == ({"A"}, {"B", "C"})


def test_a_mosaic_rejected_for_a_field_begins_with_that_field(products, tmp_path):
    # mosaics and fields of DR2 share their names: the stage tells
    fetch_field(products, "A", tmp_path)
    shutil.copytree(Path(products.field_image("A", "int")).parent, Path(products.image("A")).parent)
    Path(products.image("A")).with_name("int.fits").rename(products.image("A"))
    pass_on(products, "A")
    assert rerun(Graph(), products, only="rejected").starts() == [products.field_image("A", "int")]


def test_nothing_rejected_is_nothing_to_do(products):
    found = rerun(Graph(), products, only="rejected")
    assert (found.starts(), found.targets()) == ([], [])


def test_unknown_pointings_and_empty_requests_are_refused(products):
    with pytest.raises(ConfigError, match="no such pointing"):
        rerun(Graph(), products, pointing="X")
    with pytest.raises(ConfigError, match="rerun what"):
        rerun(Graph(), products)


def test_requests_are_no_part_of_what_products_depend_on():
    assert load_config({"pointing": "A", "only": "rejected"}).model_dump() == load_config({}).model_dump()
