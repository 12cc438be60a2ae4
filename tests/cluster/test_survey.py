"""The demo survey, both releases, on a real Slurm through the shipped profile."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from astropy.table import Table

from radiounet.simulation.small_survey import demo_config, serve, write_archive
from tests.workflow.test_survey import hashes

from .conftest import ClusterRun, sharing

pytestmark = pytest.mark.cluster

CHAIN = ("find_islands", "measure_clusters")


@pytest.fixture(scope="module")
def surveys(tmp_path_factory, slurm):
    """Both releases with three clusters, each from a project folder of its own, at the same time."""
    folder = tmp_path_factory.mktemp("demo")
    archive = folder / "archive"
    write_archive(archive)
    runs = {}
    with serve(archive) as url, sharing(slurm):
        for release in ("dr2", "dr3"):
            (folder / release).mkdir()
            runs[release] = run = ClusterRun(folder / release, slurm)
            run.fork_jobs()
            clusters = Table.read(archive / f"clusters_{release}.ecsv")[:3]
            clusters.write(archive / f"clusters_{release}.ecsv", overwrite=True)
            few = {"report": {"max_pictures": 1}}
            run.config.write_text(yaml.safe_dump(demo_config(release, url, archive) | few))
        # downloads beside Snakemake for one release, on a partition with network for the other
        runs["dr3"].environment |= {"RADIOUNET_NETWORK_PARTITION": "net"}

        def whole(run):
            return run("lists") + run()

        with ThreadPoolExecutor(2) as pool:
            said = dict(zip(runs, pool.map(whole, runs.values()), strict=True))
    return runs, said


@pytest.mark.parametrize(("release", "mosaics"), [("dr2", 3), ("dr3", 2)])
def test_every_stage_of_a_mosaic_is_a_job_of_slurm_and_a_second_run_does_nothing(surveys, release, mosaics):
    runs, said = surveys
    jobs = runs[release].submitted()
    rules = [job.rule for job in jobs]
    assert {job.state for job in jobs} == {"COMPLETED"}
    for rule in CHAIN:
        assert rules.count(rule) == mosaics, rule
    # all mosaics of a release that follow each other are one job
    assert len(runs[release].submitted("segment")) == 1
    assert "Nothing was rejected" in said[release]
    assert runs[release].counts() == {}
    assert runs[release].half_products() == []
    clusters = Table.read(runs[release].folder / f"results/{release}/catalogue/clusters.fits")
    assert len(clusters) > 0


def test_inference_asks_for_a_gpu_and_its_cores_and_nothing_else_does(surveys):
    runs, _ = surveys
    jobs = runs["dr2"].submitted()
    asked = {(job.partition, job.gpus, job.cores) for job in jobs if job.rule == "segment"}
    assert asked == {("gpu", 1, 8)}
    assert {job.gpus for job in jobs if job.rule != "segment"} == {0}


def test_downloads_are_submitted_only_where_a_partition_with_network_is_named(surveys):
    runs, said = surveys
    fetched = [job for run in runs.values() for job in run.submitted() if job.rule.startswith("fetch")]
    assert {job.partition for job in fetched} == {"net"}
    assert sorted(job.rule for job in fetched) == ["fetch_lists", "fetch_mosaic", "fetch_mosaic"]


def test_products_are_those_of_a_run_without_slurm(surveys):
    """The same input, model, mode and machine kind: the same bytes, whoever started the job."""
    run = surveys[0]["dr3"]
    before = hashes(run.folder / "results/dr3", "masks/*.fits")
    for name in before:
        (run.folder / "results/dr3" / name).unlink()
    # the cores are another number on Slurm, where the GPU has eight
    local = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(run.config), "--"]
    local += [f"results/dr3/{name}" for name in before]
    subprocess.run(local, check=True, env=run.environment, cwd=run.folder, capture_output=True)
    assert hashes(run.folder / "results/dr3", "masks/*.fits") == before
