"""Tables that regions leave: what is read back, and that a survey merged from them is that of one piece."""

from pathlib import Path

import pytest

from radiounet.errors import UnreadableError
from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES, Products
from radiounet.images.regional_products import RECORD, read_record, region_files
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.measuring.catalogue import merge_catalogues, unique_rejections, write_catalogues
from radiounet.measuring.mosaic_tables import read_run_tables
from radiounet.measuring.region_tables import join_regions, read_region_tables, write_region_tables
from walk import MADE, SURVEY, copy_of, make_walk

REGIONS = {0: ["P3"], 7: ["P1"]}
"""Pixels, and mosaics whose names are in another order."""


@pytest.fixture(scope="module", autouse=True)
def walk(tmp_path_factory):
    make_walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture
def survey(tmp_path):
    """Two regions: P4, which was rejected, measures clusters of both, and both miss a field."""
    survey = Products(str(tmp_path / "parts"))
    for pixel, mosaics in REGIONS.items():
        region = survey.region(2, pixel)
        wanted = [(kind, name) for name in mosaics for kind in ("islands", "clusters")]
        copy_of(region, *wanted, ("mask", "P4"), ("field_source", "P10+20"))
        for name in (*mosaics, "P4"):
            path = Path(region.left_out(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"left_out": []}')
        run = read_run_tables(region, mosaics, ["P10+20"], ["P4"], False, [])
        write_catalogues(region, run, MADE["input"], SURVEY)  # as the stage does before
        write_region_tables(region, run, {"settings": {}})
    return survey


def regions_of(survey):
    return [survey.region(2, pixel) for pixel in REGIONS]


def test_tables_come_back_as_they_were(survey):
    region = survey.region(2, 7)
    first, again = read_run_tables(region, ["P1"], ["P10+20"], ["P4"], False, []), read_region_tables(region)
    assert again.mosaics == ["P1"]
    assert again.rejections == first.rejections
    assert len(again.rejections) == 2
    for kind, (table,) in first.tables.items():
        (other,) = again.tables[kind]
        assert repr(other.rows) == repr(table.rows)  # NaN as well
        assert {key: str(value) for key, value in other.meta.items()} == {
            key: str(value) for key, value in table.meta.items()
        }
    assert len(again.tables["islands"][0].rows) > 0


def test_catalogues_are_those_of_one_piece(survey, tmp_path):
    whole = Products(str(tmp_path / "whole"))
    names = ["P1", "P3"]
    copy_of(whole, *((kind, name) for name in names for kind in ("islands", "clusters")))
    copy_of(whole, ("mask", "P4"), ("field_source", "P10+20"))
    for name in (*names, "P4"):
        path = Path(whole.left_out(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"left_out": []}')
    merge_catalogues(whole.root, names, ["P10+20"], ["P4"], clusters=MADE["input"], survey=SURVEY)
    write_catalogues(survey, join_regions(regions_of(survey)), MADE["input"], SURVEY)
    for kind in CATALOGUE_KINDS:
        for suffix in CATALOGUE_SUFFIXES:
            ours, theirs = (Path(one.catalogue(kind, suffix)).read_bytes() for one in (survey, whole))
            assert ours == theirs, (kind, suffix)


def test_files_of_rejections_are_named_from_the_folder_of_their_region(survey):
    """What both regions rejected becomes one row; a file elsewhere keeps its path."""
    elsewhere = f"/data/{survey.region(2, 7).root}/X.fits"
    for region in regions_of(survey):
        bad = Rejection("X", "mosaic", region.image("X"), f"UnitError: {region.image('X')} and {elsewhere}")
        for path in (region.field_source("P10+20"), region.mask("P4")):
            write_rejected(path, bad)
        (name,) = read_region_tables(region).mosaics
        run = read_run_tables(region, [name], ["P10+20"], ["P4"], False, [])
        write_region_tables(region, run, {})
    joined = join_regions(regions_of(survey))
    expected = Products("").image("X").removeprefix("/")
    assert unique_rejections(joined.rejections) == [
        vars(Rejection("X", "mosaic", expected, f"UnitError: {expected} and {elsewhere}"))
    ]


@pytest.mark.parametrize("name", ["islands.parquet", "clusters.parquet", RECORD])
@pytest.mark.parametrize("change", ["gone", "cut"])
def test_a_damaged_file_is_named(survey, name, change):
    region = survey.region(2, 0)
    path = Path(region.region_file(name))
    assert str(path) in region_files(region, limits=False)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UnreadableError, match=name):
        read_region_tables(region)


def test_a_region_that_is_not_merged_has_no_record(tmp_path):
    assert read_record(Products(str(tmp_path))) is None
