"""The plan's arithmetic on a survey small enough to count by hand."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

from programs import ROOT
from radiounet.images.products import Products
from radiounet.images.regional_products import write_index
from radiounet.images.squares import Mosaic
from radiounet.running import stages
from radiounet.running.job_graph import JobGraph
from radiounet.running.outputs import made_here
from radiounet.running.plan import CLASS_BYTES, CONNECTIONS, JOBS, Cost, Plan, options_of_run, read_costs
from radiounet.running.stages import Stage
from radiounet.settings.config import load_config
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths
from stages import reject_mosaic, write_image

COSTS = {
    "fetch_field": Cost(1.0, 10.0, "GB", 1),
    "fetch_mosaic": Cost(1.0, 10.0, "GB", 1),
    "mosaic": Cost(2.0, 1.0, "Mpx of fields", 2),
    "segment": Cost(6.0, 3.5, "Mpx", 2),
    "find_islands": Cost(1.0, 0.0, "Mpx", 1),
    "measure_clusters": Cost(1.0, 1.0, "Mpx", 1),
    "merge_catalogue": Cost(1.0, 0.5, "mosaic", 1),
    "report": Cost(2.0, 1.0, "picture", 1),
    "slurm_job": Cost(8.0, 0.0, "", 0),
}
SIDE = 2000  # 4 Mpx


def write_lists(folder):
    """Mosaics A and B of 4 Mpx, of two and one fields; a cluster of A reaches B."""
    paths = list_paths(str(folder), "dr2")
    mosaics = [Mosaic("A", 150.0, 0.0, SIDE), Mosaic("B", 152.0, 0.0, SIDE)]
    write_mosaic_list(paths["mosaics"], mosaics)
    rows = [("F", 149.0, 0.0, 1), ("G", 151.2, 0.0, 1)]
    # seven pointings make a mosaic; most of them are no fields of the release
    rows += [(f"A{n}", 150.0, n / 10, 0) for n in range(5)] + [(f"B{n}", 152.0, n / 10, 0) for n in range(6)]
    write_list(paths["fields"], FIELD_COLUMNS, rows)
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    (folder / "clusters.csv").write_text("name,ra,dec,z,M500\nAB,150.95,0,0.06,3\n")


def make(tmp_path, source="fields", url="file:///data/{field}/{file}", downloads=(), **more):
    write_lists(tmp_path)
    archive = {"dr2": {"field": url, "mosaic": url.replace("{field}", "{mosaic}")}}
    config = load_config(
        {
            "results": str(tmp_path),
            "clusters": str(tmp_path / "clusters.csv"),
            "mosaics": {"source": source},
            "archive": archive | {"list_folder": str(tmp_path)},
            **more,
        }
    )
    return Plan(config, JobGraph(config, tmp_path), COSTS, 1000, *downloads)


def stage(plan, rule):
    return next(one for one in plan.stages if one.stage.rule == rule)


def test_page_of_a_plan_is_known_again(tmp_path):
    page = tmp_path / "plan.md"
    page.write_text(make(tmp_path).text(200, 4))
    assert made_here(page)


def test_jobs_and_times_of_every_rule(tmp_path):
    plan = make(tmp_path)
    assert {one.stage.rule: one.jobs for one in plan.stages} == {
        "fetch_field": 2, "mosaic": 2, "segment": 2, "find_islands": 2, "measure_clusters": 2,
        "merge_catalogue": 1, "report": 1,
    }  # fmt: skip
    # two images of 4 MB
    assert stage(plan, "fetch_field").seconds == pytest.approx(1 + 10 * 0.008)
    # fields of 1 Mpx: two of them, and one
    assert stage(plan, "mosaic").seconds == pytest.approx((2 + 2 + 2 + 1) / 2)
    assert stage(plan, "segment").seconds == pytest.approx(6 + 3.5 * 4)
    assert stage(plan, "segment").core_hours == pytest.approx(2 * 20 * 2 / 3600)
    # A and its neighbour for A's cluster; B has none
    assert stage(plan, "measure_clusters").longest == pytest.approx(1 + 8)
    assert stage(plan, "measure_clusters").seconds == pytest.approx((9 + 1) / 2)
    assert stage(plan, "merge_catalogue").seconds == pytest.approx(1 + 2 * 0.5)
    assert stage(plan, "report").seconds == pytest.approx(2 + 1 + 60)  # 60 islands at most


def test_regions_that_were_merged_before_do_not_count_in_one_piece(tmp_path):
    products = Products(f"{tmp_path}/dr2")
    write_index(products, {"A": "3_1", "B": "3_1"})
    region = Products(f"{tmp_path}/dr2/regions/3_1")
    for name in "AB":
        reject_mosaic(region, name, BUNIT="K")
    assert stage(make(tmp_path), "segment").done == 0
    shutil.copytree(region.root, products.root, dirs_exist_ok=True)
    assert stage(make(tmp_path), "segment").done == 2


def test_a_plan_says_how_many_clusters_can_be_measured(tmp_path):
    more = tmp_path / "more.csv"
    more.write_text(
        "name,ra,dec,z,M500\nAB,150.95,0,0.06,3\nC,152,0,0.2,5e14\nD,152,0.1,0.2,4\nE,152,-0.1,0.2,5\n"
    )
    for mosaic, count in {"A": 1, "B": 2}.items():
        said = make(tmp_path, clusters=str(more), select={"mosaics": [mosaic]}).text(200, 4)
        assert f"Clusters: 4 in the table, 3 of them can be measured, {count} of these on the mosaics" in said
    assert "Clusters" not in make(tmp_path, clusters=None).text(200, 4)


def test_gigabytes(tmp_path):
    size = make(tmp_path).gigabytes()
    assert size["download"] == pytest.approx(2 * 2 * 4e6 / 1e9)
    assert size["keep"] == pytest.approx(2 * 4e6 * (5 + 3 * CLASS_BYTES) / 1e9)
    two_classes = make(tmp_path, segmentation={"model": "lotss-unet"})
    assert two_classes.gigabytes()["keep"] == pytest.approx(2 * 4e6 * 5 / 1e9)
    assert size["scratch"] == pytest.approx(size["download"] + 2 * 4e6 * 12 / 1e9)
    assert make(tmp_path, source="published").gigabytes()["download"] == pytest.approx(2 * 4e6 * 4 / 1e9)


def test_wall_time_is_that_of_the_narrowest_place(tmp_path):
    plan = make(tmp_path)
    last = 2 + 3 + 60
    chain = 1.08 + 4 + 20 + 1 + 9
    work = 7 + 40 + 2 + 10
    assert plan.wall_s(1) == pytest.approx(work + last)
    # two jobs of each of three stages, and one of the stage that takes both mosaics at once
    assert plan.wall_s(1, overhead_s=8) == pytest.approx(work + 7 * 8 + last + 2 * 8)
    # one chain cannot be cut, and both mosaics are segmented one after the other
    assert plan.wall_s(1000) == pytest.approx(chain + 20 + last)
    assert plan.wall_s(1000, overhead_s=8) == pytest.approx(chain + 20 + 4 * 8 + last + 2 * 8)
    # on two cores: inference and mosaics take both, the rest go side by side
    assert plan.wall_s(2, cores=2) == pytest.approx(max((7 * 2 + 40 * 2 + 2 + 10) / 2, chain) + last)


@pytest.mark.parametrize(("source", "others"), [("fields", 9), ("published", 7)])
@pytest.mark.parametrize("connections", [2, 8])
def test_downloads_that_a_cluster_runs_are_jobs_like_others(tmp_path, source, others, connections):
    """Each keeps its connection until its end is seen; beside Snakemake that is at once."""
    rule = {"fields": "fetch_field", "published": "fetch_mosaic"}[source]
    ways = ([rule], 8, f": {others + 1000:,};"), ([], 0, f" beside downloads: {others};")
    for submitted, overhead, said in ways:
        plan = make(tmp_path, source, downloads=(connections, submitted))
        first = plan.stages[0] = replace(plan.stages[0], seconds=2.0, jobs=1000, submissions=1000)
        assert first.stage.rule == rule
        last = 2 + 3 + 60 + 2 * 8
        assert plan.wall_s(200, overhead_s=8) == pytest.approx(1000 * (2 + overhead) / connections + last)
        assert plan.wall_s(1, overhead_s=8) >= 1000 * (2 + overhead)
        text = plan.text(200, 2)
        assert f"Jobs of Slurm{said}" in text
        assert f"| Slurm, 200 jobs and {connections} downloads at once, 28 s more" in text


def test_a_remote_archive_takes_longer_by_the_assumed_rate(tmp_path):
    near = make(tmp_path)
    far = make(tmp_path, url="https://there/{field}/{file}")
    more = stage(far, "fetch_field").seconds - stage(near, "fetch_field").seconds
    assert more == pytest.approx(8 / 20)
    assert "20 MB/s a connection are assumed" in far.text(200, 2)
    assert "assumed" not in near.text(200, 2)


def test_jobs_that_ran_here_stretch_the_shipped_costs(tmp_path):
    products = Products(f"{tmp_path}/dr2")
    path = tmp_path / "dr2/benchmarks/segment/A.tsv"
    path.parent.mkdir(parents=True)
    record = BenchmarkRecord(running_time=30.0)
    write_benchmark_records([record], str(path), extended_fmt=False)
    other = Products(f"{tmp_path}/other")
    reject_mosaic(other, "A", BUNIT="K")
    Path(products.islands("A")).parent.mkdir()
    shutil.copyfile(other.islands("A"), products.islands("A"))
    plan = make(tmp_path)
    assert stage(plan, "segment").stretch == pytest.approx(1.5)
    assert stage(plan, "segment").seconds == pytest.approx(30)
    assert stage(plan, "mosaic").stretch is None
    assert stage(plan, "find_islands").done == 1
    text = plan.text(200, 2)
    assert "1.50, measured here" in text
    assert "1 of 12 jobs" in text
    # both mosaics are segmented by one job
    assert "Jobs of Slurm beside downloads: 9; the 2 of rule segment are submitted as 1" in text


def test_a_stage_without_a_measured_cost_is_counted_and_says_so(tmp_path, monkeypatch):
    row = Stage("smooth", "mosaic", "mask", "Mpx")
    monkeypatch.setattr(stages, "STAGES", [*stages.STAGES, row])
    plan = make(tmp_path)
    assert stage(plan, "smooth").jobs == stage(plan, "segment").jobs
    assert stage(plan, "smooth").seconds == 0
    text = plan.text(10, 2)
    (line,) = [line for line in text.splitlines() if line.startswith("| smooth |")]
    assert line.endswith("| its cost is not measured |")
    assert "leave out smooth, whose cost is not known" in text


@pytest.mark.parametrize(
    ("url", "jobs"),
    [("https://there/{mosaic}.fits", 2), ("https://there/all.fits", 1), ("{folder}/{mosaic}.fits", 0)],
)
def test_tables_of_components_are_jobs_of_their_own_where_they_are_fetched(tmp_path, url, jobs):
    components = url.replace("{folder}", str(tmp_path))
    options = {"source": "published", "measure": {"components": components}}
    plan, before = make(tmp_path, downloads=(4, ["fetch_components"]), **options), make(tmp_path, "published")
    rules = [one.stage.rule for one in plan.stages]
    assert rules.count("fetch_components") == min(jobs, 1)
    assert sum(one.jobs for one in plan.stages) == sum(one.jobs for one in before.stages) + jobs
    run = SimpleNamespace(jobs_at_once=9, connections=None, has_partition=lambda rule: "comp" in rule)
    given = ["--jobs", "9", *["--submitted", "fetch_components"] * min(jobs, 1)]
    assert options_of_run(run, plan._config) == given
    if jobs:
        found = stage(plan, "fetch_components")
        assert (found.jobs, found.submissions, found.done) == (jobs, jobs, 0)
        assert "leave out fetch_components, whose cost is not known" in plan.text(10, 2)
        place = Path(Products(f"{tmp_path}/dr2").components("A" if jobs == 2 else "all"))
        place.parent.mkdir(parents=True)
        place.touch()
        assert stage(make(tmp_path, **options), "fetch_components").done == 1


def test_a_plan_of_measured_costs_leaves_nothing_out(tmp_path):
    assert "leave out" not in make(tmp_path).text(10, 2)


def test_shipped_costs_cover_every_rule_of_the_walk():
    shipped = read_costs()
    assert set(shipped) == set(COSTS) | {"prepare_image"}
    assert all(cost.seconds >= 0 and cost.seconds_per_unit >= 0 for cost in shipped.values())
    assert shipped["segment"].seconds_per_unit > shipped["find_islands"].seconds_per_unit


def test_own_images_are_downloaded_from_nowhere(tmp_path):
    images = [{"name": name, "path": str(write_image(tmp_path / f"{name}.fits"))} for name in "AB"]
    config = load_config({"results": str(tmp_path), "mosaics": {"source": "images", "images": images}})
    costs = COSTS | {"prepare_image": Cost(1.0, 0.5, "Mpx", 1)}
    plan = Plan(config, JobGraph(config, tmp_path), costs, 1000)
    assert [one.stage.rule for one in plan.stages][0] == "prepare_image"
    assert plan.gigabytes()["download"] == 0
    assert "assumed" not in plan.text(200, 2)


def test_parsing_the_workflow_loads_no_scipy():
    """Every job of a run parses it."""
    program = "import sys, radiounet.running.rules; print(sorted({'scipy', 'astropy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_plan_counts_with_what_the_profiles_say():
    profiles = {
        name: yaml.safe_load((ROOT / "workflow" / "profiles" / name / "config.yaml").read_text())
        for name in ("default", "slurm")
    }
    assert [one["resources"] for one in profiles.values()] == [[f"connections={CONNECTIONS}"]] * 2
    assert profiles["slurm"]["jobs"] == JOBS
