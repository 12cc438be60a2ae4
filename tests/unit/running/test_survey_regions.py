"""Regions of a survey: which mosaics each has, and which can be merged."""

import re
from pathlib import Path

import pytest

from radiounet.errors import ConfigError
from radiounet.images.regional_products import RECORD, read_record
from radiounet.images.writing import write_json
from radiounet.measuring.mosaic_tables import MosaicTable, RunTables
from radiounet.measuring.region_tables import write_region_tables
from radiounet.running import stages
from radiounet.running.job_graph import JobGraph
from radiounet.running.survey_regions import SurveyRegions, folders_at_rest, folders_of_run
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR3
from radiounet.survey.cells import HealpixCells
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths

CELLS = (634, 635, 643)
ORDER = 1


@pytest.fixture
def graph(tmp_path):
    """Three cells of DR3; other settings as given."""
    paths = list_paths(str(tmp_path), "dr3")
    write_mosaic_list(paths["mosaics"], map(HealpixCells(DR3).geometry, CELLS))
    write_list(paths["fields"], FIELD_COLUMNS, [("F", 150.0, 35.0, 1)])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    settings = {
        "release": "dr3",
        "results": str(tmp_path / "results"),
        "archive": {"list_folder": str(tmp_path)},
        "select": {"healpix": {"order": ORDER}},
    }
    return lambda **more: JobGraph(load_config(settings | more), tmp_path)


def run_all(regions):
    for pixel, names in regions.mosaics.items():
        tables = {kind: [MosaicTable([], {})] * len(names) for kind in ("islands", "clusters")}
        write_region_tables(regions.products(pixel), RunTables(names, tables, []), regions.made_with())


def refusal(graph):
    with pytest.raises(ConfigError) as error:
        SurveyRegions(graph).require_all()
    return str(error.value)


def test_every_mosaic_is_in_one_region(graph):
    whole = graph()
    regions = SurveyRegions(whole)
    assert len(regions.mosaics) > 1
    assert sorted(name for names in regions.mosaics.values() for name in names) == whole.selected
    for pixel, names in regions.mosaics.items():
        one = graph(select={"healpix": {"order": ORDER, "pixel": pixel}})
        assert one.selected == names
        assert one.products.root == f"{whole.products.root}/regions/{ORDER}_{pixel}"


def test_missing_regions_are_named(graph):
    regions = SurveyRegions(graph())
    said = refusal(graph())
    assert all(f"region {ORDER}_{pixel}: missing" in said for pixel in regions.mosaics)
    run_all(regions)
    regions.require_all()


def test_a_region_of_other_mosaics_is_incomplete(graph):
    regions = SurveyRegions(graph())
    run_all(regions)
    pixel, names = max(regions.mosaics.items(), key=lambda one: len(one[1]))
    assert len(names) == 2
    tables = {kind: [MosaicTable([], {})] for kind in ("islands", "clusters")}
    write_region_tables(regions.products(pixel), RunTables(names[:1], tables, []), regions.made_with())
    assert f"region {ORDER}_{pixel}: incomplete, 1 mosaics in place of 2, without {names[1]}" in refusal(
        graph()
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"measure": {"h0": 67.0}}, "settings of measure"),
        ({"segmentation": {"threshold": 0.4}}, "settings of segmentation"),
    ],
)
def test_a_region_made_with_other_settings_is_stale(graph, changes, what):
    regions = SurveyRegions(graph())
    run_all(regions)
    assert what in refusal(graph(**changes))


def test_a_region_made_with_other_code_or_lists_is_stale(graph):
    regions = SurveyRegions(graph())
    for change, what in (
        ({"code": {**regions.made_with()["code"], "segment": "0"}}, "code of segment"),
        ({"lists": ["0"]}, "lists"),
        ({"model": "0"}, "model"),
    ):
        run_all(regions)
        pixel = next(iter(regions.mosaics))
        products = regions.products(pixel)
        record = read_record(products)
        write_json(products.region_file(RECORD), record | {"made_with": regions.made_with() | change})
        said = refusal(graph())
        assert f"1 of {len(regions.mosaics)} regions" in said
        assert f"region {ORDER}_{pixel}: stale, made with other {what}" in said


DAMAGED = ("", "{", "{}", "[]")


def damage(text):
    return lambda products: Path(products.region_file(RECORD)).write_text(text)


def without(name):
    return lambda products: Path(products.region_file(name)).unlink()


def with_entries(**entries):
    def spoil(products):
        write_json(products.region_file(RECORD), read_record(products) | entries)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        *((damage(text), "its record cannot be used: .*region.json is damaged") for text in DAMAGED),
        (with_entries(mosaics=None), "its record cannot be used: .*region.json is damaged"),
        (with_entries(made_with={}), "stale, made with other lists, model, settings of"),
        (with_entries(made_with={"settings": []}), "stale, made with other lists, model, settings of"),
        (with_entries(mosaics=[1]), "incomplete, 1 mosaics in place of"),
        (without("islands.parquet"), "incomplete, without islands.parquet"),
        (without("clusters.parquet"), "incomplete, without clusters.parquet"),
    ],
)
def test_a_damaged_region_hides_no_other_fault(graph, spoil, words):
    regions = SurveyRegions(graph())
    run_all(regions)
    first, second = list(regions.mosaics)[:2]
    spoil(regions.products(first))
    without(RECORD)(regions.products(second))
    said = refusal(graph())
    assert re.search(f"\n- region {ORDER}_{first}: {words}", said)
    assert f"\n- region {ORDER}_{second}: missing" in said
    assert "Run each with the same configuration and its pixel" in said


def test_the_rule_of_another_workflow_has_no_code_here(graph, monkeypatch):
    before = SurveyRegions(graph()).made_with()
    row = stages.Stage("smooth", "mosaic", "mask", "Mpx")
    monkeypatch.setattr(stages, "STAGES", [*stages.STAGES, row])
    assert SurveyRegions(graph()).made_with() == before
    assert {"segment", "find_islands", "merge_catalogue"} <= before["code"].keys()
    assert "fetch_mosaic" not in before["code"]


@pytest.mark.parametrize(
    "changes",
    [
        {"report": {"max_pictures": 1}},
        {"on_reject": "stop"},
        {"limits": {"trials": 30}},  # there are none
        {"archive": {"download": {"attempts": 2}}},
        {"archive": {"dr3": {"mosaic": "https://moved/{pixel}/{file}"}}},
    ],
)
def test_what_changes_no_product_makes_nothing_stale(graph, changes):
    whole = graph()
    run_all(SurveyRegions(whole))
    if "archive" in changes:
        changes = {"archive": changes["archive"] | {"list_folder": whole.config.archive.list_folder}}
    SurveyRegions(graph(**changes)).require_all()


@pytest.mark.parametrize("then", [True, False])
def test_regions_with_limits_and_a_survey_without_do_not_go_together(graph, then):
    """Nor the other way round: the tables of all regions are joined kind by kind."""
    run_all(SurveyRegions(graph(limits={"enabled": then})))
    said = refusal(graph(limits={"enabled": not then}))
    assert "stale, made with other settings of limits, code of measure_limits" in said


FIELDS = {"mosaics": {"source": "fields", "options": {"flux_scale": "scales.csv"}}}


@pytest.mark.parametrize("changed", ["dr3_fields.csv", "scales.csv", "gaul.fits"])
def test_a_region_made_with_other_tables_is_stale(graph, tmp_path, monkeypatch, changed):
    """The field list decides which fields a mosaic is made from, the others how it is made."""
    monkeypatch.chdir(tmp_path)
    archive = {"list_folder": str(tmp_path), "dr3": {"field": "https://there/{field}/{file}"}}
    more = FIELDS | {"archive": archive, "measure": {"components": {"url": "gaul.fits"}}}
    for name in ("scales.csv", "gaul.fits"):
        (tmp_path / name).write_text("first")
    run_all(SurveyRegions(graph(**more)))
    SurveyRegions(graph(**more)).require_all()
    path = tmp_path / changed
    assert path.is_file()
    path.write_text(f"{path.read_text()}\n")
    assert "stale, made with other lists" in refusal(graph(**more))


def test_a_merge_and_a_region_exclude_each_other(graph):
    """With two files open, whatever the number of regions."""
    whole = graph()
    regions = SurveyRegions(whole)
    own, of_all = whole.products.root, f"{whole.products.root}/regions"
    roots = [regions.products(pixel).root for pixel in regions.mosaics]
    region = graph(select={"healpix": {"order": ORDER, "pixel": next(iter(regions.mosaics))}})
    assert (folders_of_run(whole), folders_at_rest(whole)) == ([own, of_all], roots)
    assert (folders_of_run(region), folders_at_rest(region)) == ([roots[0]], [of_all])
    one_piece = graph(select={})
    assert (folders_of_run(one_piece), folders_at_rest(one_piece)) == ([own], [])
