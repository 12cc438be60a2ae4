"""The job graph: what would run, for which request."""

import csv
import re
import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml
from astropy.table import Table

from programs import snakemake
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.writing import write_ecsv
from radiounet.settings.archive import Archive
from radiounet.settings.config import load_config
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2, DR3
from radiounet.survey.catalogues import convert_catalogue
from radiounet.survey.cells import HealpixCells, NearestPointing, cell_pixel
from radiounet.survey.cluster_tables import clusters_to_measure
from radiounet.survey.fields import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths

from .conftest import ROOT, SHARED, counts_in

EXAMPLES = ROOT / "config" / "examples"
POINTINGS = [
    Field("P124+62", 124.678, 61.9895),
    Field("P126+65", 126.237, 64.5072),
    Field("P124+67", 124.77, 67.0064),
    Field("P119+60", 119.9, 60.3),
]
COMA = unit_vectors(194.95, 27.98)
STAGES = ("segment", "find_islands", "measure_clusters")
PLACES = [("inside", 124.678, 61.9895, 0.2), ("border", 125.45, 63.25, 0.06), ("coma", 194.95, 27.98, 0.0231)]
"""Name, position and redshift of three clusters."""
CATALOGUES = {
    "psz2": (("Name", "RAdeg", "DEdeg", "z", "MSZ"), (3.0, 3.0, 6.0)),  # 1e14 solMass
    "mcxc": (("MCXC", "RAdeg", "DEdeg", "z", "R500"), (1.0, 1.0, 1.3)),  # Mpc
}
"""Columns as VizieR has them, and the size of each cluster."""


@cache
def cells_near_coma():
    return [
        place
        for place in map(HealpixCells(DR3).geometry, range(1400))
        if separation_deg(COMA, unit_vectors(place.ra_deg, place.dec_deg)) < 14
    ]


def write_lists(run):
    """Lists of a few pointings and of the cells within 14 deg of the Coma cluster."""
    root = run.folder / "resources/footprints"
    paths = {release: list_paths(str(root), release) for release in ("dr2", "dr3")}
    near = cells_near_coma()
    fields = [Field(f"F{i:02d}", place.ra_deg, place.dec_deg) for i, place in enumerate(near)]
    write_mosaic_list(
        paths["dr2"]["mosaics"], [NearestPointing(DR2).geometry(p, POINTINGS) for p in POINTINGS]
    )
    write_mosaic_list(paths["dr3"]["mosaics"], near)
    for release, grid in (("dr2", POINTINGS), ("dr3", fields)):
        rows = [(f.name, f.ra_deg, f.dec_deg, 1) for f in grid]
        write_list(paths[release]["fields"], FIELD_COLUMNS, rows)
        write_list(paths[release]["checksums"], CHECKSUM_COLUMNS, [])
    for name, (columns, sizes) in CATALOGUES.items():
        there = run.folder / f"{name}.fits"
        rows = [(*place, size) for place, size in zip(PLACES, sizes, strict=True)]
        Table(rows=rows, names=columns).write(there)
        target = run.folder / "resources" / "clusters" / f"{name}.ecsv"
        write_ecsv(target, convert_catalogue(there, name, Archive().clusters[name]))
    return len(near)


def test_published_mosaics_take_one_job_of_each_stage(run):
    write_lists(run)
    run.write_config()
    assert run.counts() == {
        "fetch_mosaic": 4,
        **dict.fromkeys(STAGES, 4),
        "merge_catalogue": 1,
        "report": 1,
        "all": 1,
        "total": 4 + 4 * len(STAGES) + 3,
    }


def test_limits_are_measured_where_they_are_switched_on(run):
    write_lists(run)
    run.write_config(clusters="psz2", limits={"enabled": True})
    counts = run.counts()
    assert counts["measure_limits"] == counts["measure_clusters"] == 4
    assert '"limits":{"enabled":true' in run("-n", "-p", "results/dr2/catalogue/clusters.fits")
    run.write_config(clusters="psz2")
    assert "measure_limits" not in run.counts()


def test_compact_sources_from_a_table_and_from_6_arcsec_images(run):
    """Each selected mosaic has cut-outs of its own; one table at a URL is fetched once for all."""
    write_lists(run)
    run.write_config(clusters="psz2")
    plain = run.counts()
    high = {"high_resolution": "https://there/{mosaic}/mosaic-blanked.fits"}
    for url, fetched in (("https://there/gaul.fits", 1), ("https://there/{mosaic}.fits", 4), (None, 0)):
        components = {"components": {"url": url}} if url else {}
        run.write_config(clusters="psz2", mosaics=high, measure=components)
        text = run("-n", "-p")
        counts = counts_in(text)
        assert (counts.pop("fetch_high_resolution"), counts.pop("fetch_components", 0)) == (4, fetched)
        assert counts | {"total": plain["total"]} == plain
        assert "--high-resolution results/dr2/high_resolution/P126+65.fits" in text
    assert "--components" not in text
    run.write_config(clusters="psz2", measure={"components": "gaul.fits"})
    assert "measure.components: there is no file gaul.fits" in run("-n", status=1)
    run.write_config(mosaics=high)
    assert "clusters names no catalogue" in run("-n", status=1)
    (run.folder / "gaul.fits").write_text("a table")
    run.write_config(clusters="psz2", measure={"components": "gaul.fits"})
    text = run("-n", "-p")
    assert "--components gaul.fits" in text
    assert counts_in(text) == plain


def test_fields_are_fetched_once_however_many_mosaics_use_them(run):
    write_lists(run)
    run.write_config(mosaics={"source": "fields"}, archive={"dr2": {"field": "file:///data/{field}/{file}"}})
    counts = run.counts()
    assert counts["fetch_field"] == 4
    assert counts["mosaic"] == 4
    assert "fetch_mosaic" not in counts


def test_mosaics_by_facet_and_their_comparison_with_published_ones(run):
    write_lists(run)
    facets = f"{run.folder}/published/{{field}}/image_full_low_m.tessel.reg"
    run.write_config(
        mosaics={
            "source": "fields",
            "options": {"facets": facets, "beam_median": False},
            "compare_to": f"{run.folder}/published/{{mosaic}}.fits",
        },
        archive={"dr2": {"field": "file:///data/{field}/{file}"}},
    )
    (run.folder / "published").mkdir()
    for pointing in POINTINGS:
        (run.folder / "published" / f"{pointing.name}.fits").touch()
    text = run("-n", "-p", "compare_mosaics")
    assert f'"facets":"{facets}"' in text
    assert '"beam_median":false' in text
    assert f"--published {run.folder}/published/P126+65.fits" in text
    assert counts_in(text) == {
        "fetch_field": 4,
        "mosaic": 4,
        "compare_mosaic": 4,
        "compare_mosaics": 1,
        "total": 13,
    }


def test_verification_compares_every_selected_mosaic(run):
    write_lists(run)
    run.write_config(verify={"masks": "https://there/{mosaic}/mask.fits"})
    counts = run.counts("verify")
    assert (counts["verify_mosaic"], counts["verify"]) == (4, 1)
    assert "verify_mosaic" not in run.counts()


def test_lists_can_be_fetched_whatever_a_run_compares_with(run):
    """Before they are there, no rule may ask for the mosaics of the run."""
    (run.folder / "published").mkdir()
    run.write_config(
        verify={"masks": "https://there/{mosaic}/mask.fits"},
        mosaics={"compare_to": f"{run.folder}/published/{{mosaic}}.fits"},
    )
    assert run.counts("lists") == {"fetch_lists": 1, "lists": 1, "total": 2}


def test_published_weights_are_fetched_where_a_run_needs_them(run):
    write_lists(run)
    run.write_config(
        segmentation={"model": "elsewhere"},
        archive={"models": {"elsewhere": {"url": "https://there/model.zip", "low": 1e-9, "high": 1e-3}}},
    )
    text = run("-n", "-p")
    assert counts_in(text)["fetch_model"] == 1
    assert "--name elsewhere --settings" in text
    assert '"url":"https://there/model.zip"' in text
    assert '"low":1e-9,"high":0.001' in text
    # a clone that is moved with its results fetches nothing again
    assert "resources/models/elsewhere/card.yaml" in text
    assert f" {ROOT}/" not in "".join(re.findall(r"^ +(?:in|out)put:.*\n", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segmentation": {"model": "lotss-unte"}}, "there is no model lotss-unte"),
        ({"segmentation": {"model": "lotss-unte"}, "train": {"steps": 5}}, "there is no model lotss-unte"),
        ({"clusters": "clusters.csv"}, "clusters: there is no file clusters.csv"),
        ({"archive": {"checksums": "known.csv"}}, "archive.checksums: there is no file known.csv"),
        ({"scratch": "results", "results": "results"}, "scratch: results is the folder of results"),
        ({"release": "dr9"}, "release: 'dr9' is not allowed"),
        (
            {"mosaics": {"source": "images", "images": [{"name": "a", "path": "{b} c.fits"}]}},
            "mosaics.images.0.path: there is no file {b} c.fits",
        ),
    ],
)
def test_what_is_not_there_is_refused_whatever_is_made_already(run, changes, said):
    write_lists(run)
    run.write_config(**changes)
    for survey in ("dr2", "images"):
        page = run.folder / f"results/{survey}/report.html"
        page.parent.mkdir(parents=True)
        page.touch()
    text = run("-n", status=1)
    assert said in text
    assert re.search(r"^Error: ", text, re.MULTILINE)
    assert 'File "' not in text


@pytest.mark.parametrize("absent", ["dr2_mosaics.csv", "psz2.ecsv", None])
@pytest.mark.parametrize("target", [(), ("--", "verify"), ("--", "publish")])
def test_lists_that_are_not_there_are_told_without_a_traceback(run, absent, target):
    """Or that are of other sources than now."""
    write_lists(run)
    run.write_config(clusters="psz2", verify={"masks": f"{run.folder}/{{mosaic}}.fits"})
    mosaics = run.folder / "resources/footprints/dr2_mosaics.csv"
    for path in (mosaics, run.folder / "resources/clusters/psz2.ecsv"):
        if path.name == absent:
            path.unlink()
    if absent is None:
        Path(f"{mosaics}.source").write_text("another")
    text = run("-n", *target, status=1)
    said = f"{absent} is not there" if absent else f"{mosaics.name} was made from other sources"
    assert re.search(f"^Error: .*/{said}", text, re.MULTILINE)
    assert 'File "' not in text


def test_a_missing_model_is_told_before_a_mask_is_downloaded_for(run):
    """Also where the configuration may be that of a training, which makes models."""
    write_lists(run)
    run.write_config(segmentation={"model": "mine"}, train={"fields": 20})
    assert "there is no model mine" in run("-n", "results/dr2/masks/P124+62.fits", status=1)


def test_one_mask_needs_one_chain_and_nothing_else(run):
    write_lists(run)
    run.write_config(clusters="psz2")
    assert run.counts("results/dr2/masks/P124+62.fits") == {
        "fetch_mosaic": 1,
        "segment": 1,
        "total": 2,
    }


def test_a_cluster_on_a_border_needs_the_neighbour_mosaic_too(run):
    write_lists(run)
    run.write_config(clusters="psz2", select={"mosaics": ["P126+65"]})
    # 'border' lies 1.31 deg from both: its owner is P126+65, its aperture of 15' reaches P124+62
    counts = run.counts()
    assert counts["measure_clusters"] == 1
    assert counts["segment"] == 2
    assert counts["find_islands"] == 1


def test_selection_by_clusters(run):
    write_lists(run)
    run.write_config(clusters="psz2", select={"with_clusters": True})
    assert run.counts()["find_islands"] == 2


def test_several_lists_of_clusters_are_merged_by_the_target_lists(run):
    """The list mcxc has the clusters of psz2 again; the user's own has one more, and one of them."""
    write_lists(run)
    own = run.folder / "own {1}.csv"
    own.write_text("name,ra,dec,z,M500\nUrsa,124.68,61.99,0.2,3\nmine,126.2,64.5,0.1,3\n")
    run.write_config(clusters=["psz2", "mcxc", str(own)])
    text = run("-n", status=1)
    assert "cluster_list.ecsv is not there" in text
    assert "(a --configfile goes before the --):\n    snakemake --cores 1 -- lists" in text
    run("lists")
    table = Table.read(run.folder / "results/dr2/cluster_list.ecsv")
    assert table["name"].tolist() == ["inside", "border", "coma", "mine"]
    assert table["other_names"][0] == "mcxc: inside; own {1}: Ursa"
    counts = run.counts()
    assert counts["measure_clusters"] == len(POINTINGS)
    assert "merge_clusters" not in counts
    with own.open("a") as stream:
        stream.write("more,124.7,67.0,0.1,3\n")
    assert "was merged from other lists" in run("-n", status=1)
    run("lists")
    assert len(Table.read(run.folder / "results/dr2/cluster_list.ecsv")) == 5
    run("-n")


def test_a_catalogue_from_a_file_that_was_edited_is_fetched_anew(run):
    write_lists(run)
    source = run.folder / "A.csv"
    source.write_text("name,ra,dec,z,M500\none,124.68,61.99,0.2,3\n")
    catalogue = {"url": str(source), "units": {"ra": "deg", "dec": "deg", "M500": "1e14 solMass"}}
    run.write_config(clusters=["own"], archive={"clusters": {"own": catalogue}})
    run("lists")
    assert run.counts("lists") == {}
    run("-n")
    with source.open("a") as stream:
        stream.write("two,126.2,64.5,0.1,3\n")
    assert "own.ecsv was made from other sources or settings than now" in run("-n", status=1)
    run("lists")
    assert len(Table.read(run.folder / "resources/clusters/own.ecsv")) == 2
    run("-n")
    source.unlink()  # what is gone changes nothing
    run("-n")
    assert run.counts("lists") == {}


@pytest.mark.parametrize("changed", ["mosaics", "fields"])
def test_lists_from_files_that_were_edited_are_fetched_anew(run, changed):
    paths = {name: run.folder / f"{name}.csv" for name in ("mosaics", "fields")}
    for path in paths.values():
        write_list(path, ("name", "ra", "dec"), [(f.name, f.ra_deg, f.dec_deg) for f in POINTINGS])
    run.write_config(
        archive={"lists": {"dr2_mosaics": str(paths["mosaics"]), "fields": str(paths["fields"])}}
    )
    run("lists")
    assert run.counts("lists") == {}
    before = run.counts()["segment"]
    for name in {changed, "fields"}:  # a pointing of a mosaic is a field
        with paths[name].open("a") as stream:
            stream.write("P200+60,200.0,60.0\n")
    assert "dr2_mosaics.csv was made from other sources or settings than now" in run("-n", status=1)
    run("lists")
    assert run.counts()["segment"] == before + (changed == "mosaics")


def test_lists_of_another_address_are_asked_for(run):
    fields = run.folder / "fields.csv"
    write_list(fields, ("name", "ra", "dec"), [(f.name, f.ra_deg, f.dec_deg) for f in POINTINGS])
    run.write_config(archive={"lists": {"dr2_mosaics": str(fields), "fields": str(fields)}})
    run("lists")
    run.write_config(archive={"lists": {"dr2_mosaics": "https://there/x", "fields": str(fields)}})
    assert "dr2_mosaics.csv was made from other sources" in run("-n", status=1)
    # other images of the same cells
    run.write_config(
        archive={
            "lists": {"dr2_mosaics": str(fields), "fields": str(fields)},
            "dr2": {"mosaic": "https://mirror/{mosaic}/{file}"},
        }
    )
    run("-n")
    run.write_config(archive={"lists": {"dr2_mosaics": "https://there/x", "fields": str(fields)}})
    assert run.counts("lists") == {"fetch_lists": 1, "lists": 1, "total": 2}


def test_selection_by_region(run):
    write_lists(run)
    run.write_config(select={"region": {"ra_deg": 124.7, "dec_deg": 67.0, "radius_deg": 1.0}})
    assert run.counts()["find_islands"] == 1


def test_make_model_simulates_trains_and_evaluates(run):
    run.write_config(train={"fields": 3, "calibrate": 4, "held_out": 2})
    counts = run.counts("model")
    assert counts == {"simulate": 9, "train": 1, "evaluate": 1, "model": 1, "total": 12}


def test_each_training_of_a_model_starts_from_the_one_before(run):
    """A first model that was made anew makes the next anew; one of resources/models is a release."""
    first = run.folder / "results/training/first/model"
    run.write_config(
        results=str(run.folder / "results"),
        segmentation={"model": "second"},
        simulate={"seed": 1},  # other images than those of lotss-unet
        train={"fields": 3, "calibrate": 4, "held_out": 2, "initial": str(first)},
    )
    assert f"{first}/card.yaml" in run("-n", "--", "model", status=1)  # as long as it is not there
    shutil.copytree(ROOT / "resources/models/lotss-unet", first)
    assert run.counts("model")["train"] == 1


def test_trainings_of_lotss_unet_form_a_chain():
    previous = None
    for name in ("lotss-unet-first", "lotss-unet-second", "lotss-unet-third", "lotss-unet"):
        config = load_config(yaml.safe_load((ROOT / f"config/models/{name}.yaml").read_text()))
        assert config.segmentation.model == name
        assert config.train.initial == (previous and f"results/training/{previous}/model")
        previous = name


def test_a_password_in_a_url_is_refused_and_shown_nowhere(run):
    run.write_config(archive={"dr2": {"mosaic": "http://me:hunter2@host/{mosaic}/{file}"}})
    text = run("-n", status=1)
    assert "netrc" in text
    assert "hunter2" not in text


def test_unknown_mosaic_in_a_request_is_named(run):
    write_lists(run)
    run.write_config()
    text = run("-n", "results/dr2/masks/P999+99.fits", status=1)
    assert "dr2 has no mosaic P999+99" in text


def test_without_lists_the_error_says_how_to_fetch_them(run):
    run.write_config()
    text = run("-n", status=1)
    assert "(a --configfile goes before the --):\n    snakemake --cores 1 -- lists" in text
    assert "dr2_mosaics.csv" in text


def test_a_wrong_configuration_stops_before_anything_runs(run):
    run.write_config(segmentation={"tresh": 0.4})
    text = run("-n", status=1)
    assert "segmentation.tresh: unknown key" in text
    assert "threshold" in text


def test_a_key_that_stands_twice_stops_before_anything_runs(run):
    run.config.write_text("release: dr2\nclusters: null\nrelease: dr3\n")
    text = run("-n", status=1)
    assert f"{run.config} cannot be used: 'release' is given twice" in text


@pytest.mark.parametrize("name", ["dr2_published", "dr2_fields", "dr3_published", "dr3_fields"])
def test_examples_print_a_plan(run, name):
    cells = write_lists(run)
    counts = run.counts(configs=(EXAMPLES / f"{name}.yaml",))
    mosaics = {"dr2_published": 4, "dr2_fields": 3, "dr3_fields": cells}.get(name)
    assert counts["report"] == 1
    assert counts["find_islands"] == (mosaics or counts["fetch_mosaic"])
    assert ("fetch_field" in counts) == name.endswith("fields")


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
def test_real_images_example_prints_a_plan(run):
    example = ("--configfile", "config/examples/real_images.yaml")
    assert "prepare_image" in snakemake("-n", *example, "--config", f"results={run.folder}/results")


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
@pytest.mark.parametrize(
    ("release", "source", "expected"),
    [
        ("dr2", "published", {"fetch_mosaic": 841, "measure_clusters": 841, "segment": 841}),
        ("dr3", "fields", {"mosaic": 1571, "measure_clusters": 1571, "fetch_field": 2577}),
    ],
)
def test_complete_releases_print_a_plan(run, release, source, expected):
    tables = SHARED / "tables"
    run.write_config(
        release=release,
        clusters="psz2",
        mosaics={"source": source},
        archive={
            "lists": {
                "dr2_mosaics": str(tables / "lotss_dr2_mosaics.csv"),
                "fields": str(tables / "lotss_grid_fields.csv"),
                "dr3_footprint": str(tables / "lotss_dr3_moc.fits"),
            },
            "clusters": {"psz2": str(tables / "psz2.ecsv"), "mcxc": str(tables / "mcxc.csv.gz")},
            release: {"field": "file:///data/{field}/{file}"},
        },
    )
    run("lists")
    counts = run.counts()
    assert {rule: counts[rule] for rule in expected} == expected
    if release == "dr3":
        with open(run.folder / "resources/footprints/dr3_mosaics.csv", newline="") as stream:
            cells = HealpixCells(DR3.model_copy(update={"pixel_arcsec": 1.5}))
            sides = [cells.geometry(cell_pixel(row["name"])).n_px for row in csv.DictReader(stream)]
        assert (min(sides), max(sides)) == (14390, 17752)
    clusters = clusters_to_measure(run.folder / "resources/clusters/psz2.ecsv", MeasureOptions())
    assert len(clusters) == 1653
    assert all(cluster.measurable for cluster in clusters)
    assert sum(not cluster.assumed_size for cluster in clusters) == 1094  # those with a redshift


def test_training_on_slurm_asks_for_a_gpu_and_simulation_for_none(run):
    run.write_config(train={"fields": 3, "calibrate": 4, "held_out": 2})
    text = snakemake("--profile", "slurm", "-n", "--forceall", "--configfile", str(run.config), "--", "model")
    jobs = re.split(r"^(?:local)?rule ", text, flags=re.MULTILINE)[1:]
    assert {job.split(":")[0] for job in jobs if "gpu=1" in job} == {"train", "evaluate"}


def test_rules_do_not_ask_for_the_local_cores():
    # a remote executor has none: reading workflow.cores stops the parsing
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert "workflow.cores" not in rules.read_text(), rules
