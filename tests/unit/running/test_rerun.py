"""Where a rerun begins, and what it makes anew."""

import shutil
from pathlib import Path

import pytest

from radiounet.errors import ConfigError
from radiounet.images.products import Products
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.squares import Mosaic
from radiounet.running import stages
from radiounet.running.job_graph import JobGraph
from radiounet.running.rerun import Rerun
from radiounet.running.stages import Stage
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR2
from radiounet.survey.cells import NearestPointing
from radiounet.survey.fields import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths
from stages import fetch_field, leave_out, pass_on, reject_mosaic

LINE = [Field(name, 150.0 + 2.4 * number, 35.0) for number, name in enumerate("ABCN")]
"""Pointings 2 deg apart; of N there is no field."""
OTHERS = {"A": 5, "B": 4, "C": 4, "N": 5}
"""Pointings beside each that are no fields of the release: seven of all make a mosaic."""
CLUSTERS = ("name,ra,dec,z,M500", "AB,151.15,35,0.06,3", "CN,155.95,35,0.06,3")
"""One of A reaches B, one of C the neighbour N."""


@pytest.fixture
def products(tmp_path):
    paths = list_paths(str(tmp_path / "lists"), "dr2")
    write_mosaic_list(paths["mosaics"], [NearestPointing(DR2).geometry(one, LINE) for one in LINE])
    rows = [(f.name, f.ra_deg, f.dec_deg, int(f.name != "N")) for f in LINE]
    rows += [
        (f"{f.name}{n}", f.ra_deg, f.dec_deg + n / 10, 0) for f in LINE for n in range(1, OTHERS[f.name] + 1)
    ]
    write_list(paths["fields"], FIELD_COLUMNS, rows)
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    (tmp_path / "clusters.csv").write_text("\n".join(CLUSTERS) + "\n")
    return Products(str(tmp_path / "dr2"))


def graph_of(source, products, **config):
    folder = Path(products.root).parent
    settings = {
        "results": str(folder),
        "clusters": str(folder / "clusters.csv"),
        "select": {"mosaics": ["A", "B", "C"]},
        "mosaics": {"source": source},
        "archive": {"list_folder": str(folder / "lists"), "dr2": {"field": "file:///there/{field}/{file}"}},
    }
    return JobGraph(load_config(settings | config), folder)


def rerun(source, products, **config):
    graph = graph_of(source, products, **config)
    return Rerun(graph.config, graph, products)


def names(paths, root):
    return {str(path).removeprefix(f"{root}/") for path in paths}


def test_a_published_mosaic_and_the_neighbours_whose_clusters_it_touches(products):
    found = rerun("published", products, pointing="B")
    assert names(found.starts(), products.root) == {"mosaics/B/image.fits"}
    assert names(found.targets(), products.root) == {
        "islands/B.ecsv", "clusters/B.ecsv", "cutouts/B.fits", "clusters/A.ecsv",
    }  # fmt: skip


def test_a_field_and_every_mosaic_it_goes_into(products):
    found = rerun("fields", products, pointing=["A"])
    assert names(found.starts(), products.root) == {"fields/A/int.fits"}
    assert names(found.targets(), products.root) == {
        "islands/A.ecsv", "clusters/A.ecsv", "cutouts/A.fits",
        "islands/B.ecsv", "clusters/B.ecsv", "cutouts/B.fits",
    }  # fmt: skip


def test_the_catalogue_follows_where_the_rest_is_there(products):
    for name in "AC":
        reject_mosaic(products, name, BUNIT="K")
    found = names(rerun("published", products, pointing="B").targets(), products.root)
    assert {"catalogue/clusters.fits", "report.html"} <= found


def test_only_the_rejected_begin_anew(products, tmp_path):
    reject_mosaic(products, "A", BUNIT="K")
    leave_out(products, Mosaic("B", 150.0, 35.0, 100), tmp_path / "sent", "B", "A")
    fetch_field(products, "C", tmp_path / "sent")
    found = rerun("fields", products, only="rejected")
    assert (found.mosaics, found.fields) == ({"A"}, {"B", "C"})


@pytest.mark.parametrize("kind", ["islands", "clusters"])
def test_a_mosaic_of_which_only_a_table_was_rejected_begins_anew(products, kind):
    """As by another stage than that of the mask, which is good."""
    table = getattr(products, kind)("B")
    write_rejected(table, Rejection("B", "of_a_table", "b.fits", "no column"))
    found = rerun("published", products, only="rejected")
    assert found.mosaics == {"B"}
    assert table in found.targets()


def test_tables_that_an_earlier_run_left_of_a_neighbour_do_not_count(products):
    write_rejected(products.islands("N"), Rejection("N", "find_islands", "n.fits", "no column"))
    write_rejected(products.mask("N"), Rejection("N", "segment", "n.fits", "no beam"))
    assert rerun("published", products, only="rejected").mosaics == {"N"}
    Path(products.mask("N")).unlink()
    assert not rerun("published", products, only="rejected").mosaics


def test_what_an_added_stage_rejected_of_an_image_is_made_again(products, monkeypatch):
    """Its row may stand before that of the mask."""
    added = Stage("count_sources", "selected", "area", "Mpx", lasting=("area",))
    monkeypatch.setattr(stages, "STAGES", [added, *stages.STAGES])
    monkeypatch.setattr(Products, "area", lambda self, name: f"{self.root}/areas/{name}.ecsv", raising=False)
    write_rejected(products.area("B"), Rejection("B", "count_sources", "b.fits", "no source"))
    found = rerun("published", products, only="rejected")
    assert found.mosaics == {"B"}
    assert products.area("B") in found.targets()
    assert graph_of("published", products).listed_if_rejected == [products.area(name) for name in "ABC"]


def test_a_mosaic_rejected_for_a_field_begins_with_that_field(products, tmp_path):
    # mosaics and fields of DR2 share their names: the stage tells
    fetch_field(products, "A", tmp_path)
    shutil.copytree(Path(products.field_image("A", "int")).parent, Path(products.image("A")).parent)
    Path(products.image("A")).with_name("int.fits").rename(products.image("A"))
    pass_on(products, "A")
    assert rerun("fields", products, only="rejected").starts() == [products.field_image("A", "int")]


@pytest.mark.parametrize("url", ["https://there/{mosaic}.fits", "https://there/all.fits"])
def test_a_mosaic_rejected_for_what_was_fetched_beside_its_image_begins_with_that(products, url):
    settings = {"only": "rejected", "measure": {"components": {"url": url}}}
    (table,) = graph_of("published", products, **settings).config.fetched_compact(products, "B")
    write_rejected(products.islands("B"), Rejection("B", "find_islands", table, "TableError: cut short"))
    found = rerun("published", products, **settings)
    assert found.starts() == [table]
    assert products.islands("B") in found.targets()


@pytest.mark.parametrize("url", ["https://there/{mosaic}.fits", "https://there/all.fits"])
def test_a_fetched_table_that_was_rejected_is_fetched_again(products, url):
    """Its stage leaves the reason in its place, and the tables of the mosaics say it as well, or not yet."""
    settings = {"only": "rejected", "measure": {"components": {"url": url}}}
    config = graph_of("published", products, **settings).config
    (table,) = config.fetched_compact(products, "B")
    write_rejected(table, Rejection("all", "fetch_components", table, "TableError: rows that come twice"))
    found = rerun("published", products, **settings)
    shared = {name for name in "ABC" if table in config.fetched_compact(products, name)}
    assert (found.starts(), found.mosaics, found.fields) == ([table], shared, set())
    assert products.islands("B") in found.targets()


@pytest.mark.parametrize("text", ['{"left_out": [{"na', "[]", '{"left_out": [{"name": "A"}]}', "{}", ""])
def test_a_damaged_record_stops_no_rerun(products, tmp_path, caplog, text):
    """Whatever needs it makes it again."""
    leave_out(products, Mosaic("B", 150.0, 35.0, 100), tmp_path / "sent", "B", "A")
    reject_mosaic(products, "C", BUNIT="K")
    for path in (products.left_out("B"), products.islands("A"), products.field_source("A")):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{text} rejected" if path.endswith("ecsv") else text)
    found = rerun("fields", products, only="rejected")
    assert (found.mosaics, found.fields) == ({"C"}, set())
    assert f"{products.left_out('B')} is damaged" in caplog.text
    assert f"{products.islands('A')} is" in caplog.text


def test_nothing_rejected_is_nothing_to_do(products):
    found = rerun("fields", products, only="rejected")
    assert (found.starts(), found.targets()) == ([], [])


def test_unknown_pointings_and_empty_requests_are_refused(products):
    with pytest.raises(ConfigError, match="no such pointing"):
        rerun("fields", products, pointing="X")
    with pytest.raises(ConfigError, match="say what to rerun"):
        rerun("fields", products)


def test_requests_are_no_part_of_what_products_depend_on():
    assert load_config({"pointing": "A", "only": "rejected"}).model_dump() == load_config({}).model_dump()
