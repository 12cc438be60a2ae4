import json
from dataclasses import replace

import numpy as np
import pytest

from models import write_tiny_model
from radiounet.errors import ConfigError
from radiounet.running.job_graph import JobGraph
from radiounet.settings.command_line import settings_to
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR2, DR3, SOURCES
from radiounet.survey.cells import HealpixCells, NearestPointing
from radiounet.survey.cluster_lists import merge_cluster_tables
from radiounet.survey.fields import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths
from stages import write_image

CELLS = (634, 643)  # those of RA 150 and 200, Dec 35
GRID = [Field(f"P{number}", 148.0 + number, 35.0) for number in range(9)]
ROWS = (
    *("A,150,35,0.2,3", "dec 95,150,95,0.2,3", "no position,,,0.2,3", "z 9,200,35,9,3", "z,150,35,1e-9,3"),
    "infinite,inf,-inf,inf,inf",
)


@pytest.fixture(params=["dr2", "dr3"])
def graph(request, tmp_path):
    """A run on two mosaics with a cluster table of which one row can be measured."""
    paths = list_paths(str(tmp_path), request.param)
    mosaics = [HealpixCells(DR3).geometry(cell) for cell in CELLS]
    if request.param == "dr2":
        mosaics = [NearestPointing(DR2).geometry(field, GRID) for field in (GRID[2], GRID[8])]
    write_mosaic_list(paths["mosaics"], mosaics)
    write_list(paths["fields"], FIELD_COLUMNS, [(f.name, f.ra_deg, f.dec_deg, 1) for f in GRID])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    (tmp_path / "clusters.csv").write_text("\n".join(["name,ra,dec,z,M500", *ROWS]) + "\n")
    settings = {
        "release": request.param,
        "results": str(tmp_path / "results"),
        "clusters": str(tmp_path / "clusters.csv"),
        "archive": {"list_folder": str(tmp_path)},
    }
    return lambda **more: JobGraph(load_config(settings | more), tmp_path)


def test_a_run_starts_with_rows_that_cannot_be_measured(graph):
    found = graph()
    assert [one.name for one in found.clusters] == ["A", "dec 95", "no position", "z 9", "z", "infinite"]
    assert len(found.selected) == 2
    assert found.cluster_count == 1
    assert sum(found.has_clusters(name) for name in found.selected) == 1
    assert all(
        set(found.touched_by_clusters_of(name)) <= set(found.survey.mosaics) for name in found.selected
    )


def test_several_lists_are_merged_before_the_graph_is_made(graph, tmp_path):
    """The second table has A under another name, and the redshift and mass of "z 9"."""
    second = tmp_path / "second.csv"
    second.write_text("name,ra,dec,z,M500\nB,150,35.01,0.2,4\nC,200,35,0.3,4\n")
    run = graph(clusters=[str(tmp_path / "clusters.csv"), str(second)])
    (merged,) = run.cluster_table
    assert run.lists_made_first[-1] == merged
    with pytest.raises(
        ConfigError,
        match=r"cluster_list.ecsv is not there: make it once[\s\S]* lists\n\(or write clusters: null",
    ):
        _ = run.clusters
    merge_cluster_tables(run.cluster_lists, merged)
    names = {one.name: one.other_names for one in run.clusters}
    assert (len(names), names["A"], names["z 9"]) == (6, "second: B", "second: C")
    assert [one.name for one in run.clusters if one.measurable] == ["A", "z 9"]
    second.write_text("name,ra,dec,z,M500\nC,200,35,0.3,4\n")
    again = graph(clusters=run.config.clusters)
    with pytest.raises(ConfigError, match=r"was merged from other lists: make it again"):
        _ = again.clusters


def test_units_of_several_lists_are_those_of_the_users_own(graph, tmp_path):
    own = str(tmp_path / "clusters.csv")
    run = graph(clusters=["psz2", own], measure={"unit": ["M500=solMass"]})
    fetched = "resources/clusters/psz2.ecsv"
    assert {path: one.unit for path, one in run.cluster_lists.items()} == {fetched: [], own: ["M500=solMass"]}
    assert run.lists_made_first[-2:] == [fetched, *run.cluster_table]
    assert own not in run.lists_made_first
    assert settings_of_tables(run) != settings_of_tables(graph(clusters=[own, "psz2"]))


def test_a_cluster_at_the_edge_of_the_survey(graph, tmp_path):
    """The edge is found on the line to the pole: a centre a bit inside is measured, one outside is not."""
    survey = graph().survey
    inside, outside = 35.0, 60.0
    while outside - inside > 1e-6:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if survey.owner(150.0, middle) else (inside, middle)
    rows = [f"in,150,{inside - 1e-4},0.2,5", f"out,150,{outside + 1e-4},0.2,5"]
    (tmp_path / "edge.csv").write_text("\n".join(["name,ra,dec,z,M500", *rows]) + "\n")
    run = graph(clusters=str(tmp_path / "edge.csv"))
    assert [one.measurable for one in run.clusters] == [True, True]
    assert run.cluster_count == 1
    (owner,) = [name for name in run.selected if run.has_clusters(name)]
    assert run.touched_by_clusters_of(owner) == []
    (tmp_path / "alone.csv").write_text("\n".join(["name,ra,dec,z,M500", rows[0]]) + "\n")
    alone = graph(clusters=str(tmp_path / "alone.csv"))
    # a cluster beyond the edge may touch what is measured, but is not its own
    assert run.rows_near(owner) != alone.rows_near(owner)
    assert run.rows_near(owner, owned=True) == alone.rows_near(owner, owned=True)


def test_only_clusters_that_can_be_measured_select_a_mosaic(graph):
    (name,) = graph(select={"with_clusters": True}).selected
    place = graph().survey.mosaics[name]
    assert np.hypot(place.ra_deg - 150, place.dec_deg - 35) < 3


def test_a_model_has_one_state_before_and_after_it_is_fetched(graph, tmp_path):
    more = {
        "segmentation": {"model": "mine"},
        "archive": {"list_folder": str(tmp_path), "models": {"mine": {"url": "https://there/model.zip"}}},
    }
    before = graph(**more).model_state
    write_tiny_model(tmp_path / "resources/models/mine")
    assert graph(**more).model_state == before
    more["archive"]["models"]["mine"]["threshold"] = 0.3
    assert graph(**more).model_state != before


def test_a_shipped_model_is_told_by_its_card(graph, tmp_path):
    states = set()
    for seed in (1, 2):
        write_tiny_model(tmp_path / "resources/models/mine", seed=seed)
        states.add(graph(segmentation={"model": "mine"}).model_state)
    assert len(states) == 2


def test_files_that_a_run_reads_beside_images(graph, tmp_path):
    found = graph(
        verify={"masks": "file:///there/{mosaic}.fits", "probabilities": "https://there/{mosaic}.fits"},
        mosaics={
            "source": "fields",
            "options": {
                "facets": "/facets/{field}.reg",
                "flux_scale": "/scales.csv",
                "noise_map": "/noise/{field}",
            },
        },
        archive={
            "list_folder": str(tmp_path),
            **{release: {"field": "https://there/{field}/{file}"} for release in ("dr2", "dr3")},
        },
    )
    name = found.selected[0]
    assert found.reference_files(name) == [f"/there/{name}.fits"]
    fields = found.fields_of(name)
    assert fields
    expected = [*(f"/noise/{field}" for field in fields), *(f"/facets/{field}.reg" for field in fields)]
    assert found.files_beside_fields(name) == [*expected, "/scales.csv"]


def settings_of_tables(graph):
    return settings_to(graph.config, *graph.config.keys_of_tables)


@pytest.mark.parametrize(
    "more",
    [
        {"mosaics": {"high_resolution": "https://there/{mosaic}/6arcsec.fits"}},
        {"measure": {"components": {"url": "https://there/{mosaic}.fits"}}},
    ],
)
def test_the_merge_knows_which_compact_sources_were_fetched_and_may_be_rejected(graph, more):
    found = graph(**more)
    name = found.selected[0]
    fetched = found.config.fetched_compact(found.products, name)
    assert len(fetched) == 1
    assert load_config(json.loads(settings_of_tables(found))).fetched_compact(found.products, name) == fetched


def test_tables_do_not_depend_on_how_they_are_downloaded_or_shown(graph, tmp_path):
    first = settings_of_tables(graph())
    others = {"report": {"max_pictures": 3}, "scratch": str(tmp_path / "scratch")}
    archive = {"list_folder": str(tmp_path), "download": {"attempts": 9}}
    assert settings_of_tables(graph(**others, archive=archive)) == first
    assert settings_of_tables(graph(measure={"h0": 71.0})) != first
    assert JobGraph(load_config(json.loads(first)), ".").selected == graph().selected


@pytest.mark.parametrize(
    "more",
    [
        {"segmentation": {"threshold": 0.3}},
        {"verify": {"min_iou": 0.5}},
        {"mosaics": {"options": {"beam_cut": 0.2}}},
        {"mosaics": {"field_radius_deg": 1.0}},
        {"mosaics": {"compare_to": "/there/{mosaic}.fits"}},
        {"measure": {"calibration_error": 0.2}},
        {"measure": {"galactic_latitude_deg": 20.0}},
        {"archive": {"clusters": {"psz2": "https://there"}}},
        {"archive": {"dr2": {"mosaic": "https://there/{mosaic}/{file}"}}},
        {"archive": {"lists": {"fields": "https://there"}}},
        {"archive": {"models": {"mine": {"url": "https://there"}}}},
    ],
)
def test_tables_of_published_mosaics_do_not_depend_on_what_only_other_jobs_use(graph, tmp_path, more):
    more["archive"] = more.get("archive", {}) | {"list_folder": str(tmp_path)}
    assert settings_of_tables(graph(**more)) == settings_of_tables(graph())


@pytest.mark.parametrize(
    "more",
    [
        {"measure": {"unit": ["M500=solMass"]}},
        {"clusters": None},
        {"select": {"with_clusters": True}},
        {"results": "elsewhere"},
    ],
)
def test_tables_depend_on_what_selects_and_names_their_rows(graph, more):
    assert settings_of_tables(graph(**more)) != settings_of_tables(graph())


def test_a_run_is_told_whole_by_the_settings_of_its_tables(graph, tmp_path):
    template = {"field": "https://there/{field}/{file}"}
    archive = {"list_folder": str(tmp_path), "dr2": template, "dr3": template}
    fields = graph(mosaics={"source": "fields", "field_radius_deg": 60.0}, archive=archive)
    for run in (fields, own_images(tmp_path, a=150.0, b=151.0)):
        again = JobGraph(load_config(json.loads(settings_of_tables(run))), ".")
        for name in ("selected", "neighbours", "fields_used", "cluster_table", "mosaic_list", "clusters"):
            assert repr(getattr(again, name)) == repr(getattr(run, name)), name


def own_images(tmp_path, **centres):
    """A run on own images at these right ascensions."""
    for name, ra in centres.items():
        write_image(tmp_path / f"{name}.fits", n_px=40, CRVAL1=ra)
    images = [{"name": name, "path": str(tmp_path / f"{name}.fits")} for name in centres]
    return JobGraph(load_config({"mosaics": {"source": "images", "images": images}}), tmp_path)


def cell_of_a(run):
    """What the stages of an own image are told of its cell, and what redoes them."""
    config = run.config.of_image("a")
    return settings_to(config, *config.keys_of_cells), run.list_options, run.cells("a")


@pytest.mark.parametrize("others", [{"b": 190.0}, {"b": 151.0, "c": 150.0}, {}])
def test_an_own_image_is_no_matter_of_others(tmp_path, others):
    before = cell_of_a(own_images(tmp_path, a=150.0, b=150.0))
    assert cell_of_a(own_images(tmp_path, a=150.0, **others)) == before


def test_an_own_image_that_moves_has_another_cell_and_other_cut_outs(tmp_path):
    before = own_images(tmp_path, a=150.0)
    state = before.cells("a"), before.places_of_clusters("a")
    after = own_images(tmp_path, a=150.1)
    assert after.cells("a") != state[0]
    assert after.places_of_clusters("a") != state[1]


def test_a_stage_is_told_of_its_release_but_not_where_its_files_are(graph):
    token = "https://there/{mosaic}/{file}?token=secret"
    archive = {name: {"mosaic": token} for name in ("dr2", "dr3")}
    config = graph(archive=archive, releases={"dr3": {"frequency_mhz": 150.0}}).config
    text = settings_to(config, *config.keys_of_cells)
    assert "//" not in text
    told = load_config(json.loads(text)).survey_release
    sources = {name: None for name in SOURCES}
    assert told.model_copy(update=sources) == config.survey_release.model_copy(update=sources)


@pytest.mark.parametrize(("blank", "changed"), [("survey", False), ("circle", False), ("cell", True)])
def test_mosaicking_needs_the_places_around_only_where_it_cuts_to_the_cell(graph, blank, changed):
    found = graph(mosaics={"options": {"blank": blank}})
    name = next(iter(found.survey.mosaics))
    before = found.cells_of_mosaicking(name)
    found.survey.around = lambda name: []
    assert (found.cells_of_mosaicking(name) != before) == changed


@pytest.mark.parametrize(("moved", "changed"), [(0, [True, True, False]), (2, [False, False, True])])
def test_a_list_that_changes_touches_the_cells_around_that_place_only(graph, tmp_path, moved, changed):
    """Three pointings: two beside each other, and one far away; in DR3 cells do not depend on others."""
    found = graph()
    paths = list_paths(str(tmp_path), found.config.release)
    fields = [GRID[1], GRID[2], Field("far", 250.0, 35.0)]
    places = [replace(NearestPointing(DR2).geometry(field, GRID), n_px=3000) for field in fields]
    if found.config.release == "dr3":
        places = [HealpixCells(DR3).geometry(cell) for cell in (634, 635, 643)]
        changed = [index == moved for index in range(3)]
    write_mosaic_list(paths["mosaics"], places)
    names = [place.name for place in places]
    before = [graph().cells(name) for name in names]
    places[moved] = replace(places[moved], ra_deg=places[moved].ra_deg + 0.01)
    write_mosaic_list(paths["mosaics"], places)
    assert [graph().cells(name) != one for name, one in zip(names, before, strict=True)] == changed


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/there/a b/{mosaic}.fits", "/there/a b/x.fits"),
        ("file:///there/a%20b/{mosaic}.fits", "/there/a b/x.fits"),
        ("FILE:///there/{mosaic}.fits", "/there/x.fits"),
        ("file:/there/{mosaic}.fits", "/there/x.fits"),
        ("file://localhost/there/{mosaic}.fits", "/there/x.fits"),
        ("there/%20/{mosaic}: 1.fits", "there/%20/x: 1.fits"),
        ("HTTPS://there/{mosaic}.fits", None),
    ],
)
def test_references_are_the_files_that_will_be_read(graph, template, path):
    assert graph(verify={"masks": template}).reference_files("x") == ([] if path is None else [path])


def test_the_published_mosaic_that_one_is_compared_with(graph):
    found = graph(mosaics={"compare_to": "lotss/{mosaic}.fits"})
    assert found.published_mosaic("hp00634") == "lotss/hp00634.fits"
    with pytest.raises(ConfigError, match=r"mosaics\.compare_to"):
        graph().published_mosaic("hp00634")
