"""The workflow as a module of another one, which adds a stage of its own after `segment`."""

import json
import re
from functools import partial

import yaml
from astropy.io import fits
from astropy.table import Table

from programs import ROOT, snakemake
from radiounet.images.rejections import Rejection, write_rejected
from stages import write_image

OUTER = """
from radiounet.images.products import Products
from radiounet.running.stages import STAGES, Stage

Products.smoothed = lambda self, mosaic: f"{{self.root}}/smoothed/{{mosaic}}.fits"
after = [stage.rule for stage in STAGES].index("segment")
STAGES.insert(after + 1, Stage("smooth", "mosaic", "smoothed", "Mpx", lasting=("smoothed",)))

configfile: "mine.yaml"

module survey:
    snakefile: {snakefile!r}
    config: config

use rule * from survey

rule smooth:
    input: "results/images/probability/{{mosaic}}.fits"
    output: "results/images/smoothed/{{mosaic}}.fits"
    shell: {program!r}

onstart:
    survey.onstart()

onsuccess:
    survey.onsuccess()

onerror:
    survey.onerror()
"""
COPY = "cp {input} {output}"


def test_another_workflow_adds_a_stage(tmp_path):
    image = write_image(tmp_path / "one.fits")
    own = [{"name": "one", "path": str(image)}]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"mosaics": {"source": "images", "images": own}}))
    results = tmp_path / "results" / "images"
    masked = set()
    plan = partial(snakemake, "--cores", "1", "--", "plan", cwd=tmp_path)
    # with the other Snakefile nothing is to be done but what was removed
    for snakefile in ("Snakefile", "workflow/Snakefile"):
        (tmp_path / "Snakefile").write_text(OUTER.format(snakefile=str(ROOT / snakefile), program=COPY))
        assert "| smooth | 1 | 0 | 0.0 | 0.00 | its cost is not measured |" in plan()
        snakemake("--cores", "2", "--", "all", cwd=tmp_path)
        masked.add((results / "masks/one.fits").stat().st_mtime_ns)
        assert fits.getheader(results / "smoothed/one.fits")["MODEL"] == "lotss-pair"
        assert (results / "report.html").is_file()
        status = json.loads((results / "status.json").read_text())
        assert status["state"] == "finished"
        assert status["stages"]["smooth"]["done"] == 1
        assert status["mosaics"]["done"] == 1
        assert "| smooth | 1 | 1 |" in plan()
        for name in ("smoothed/one.fits", "report.html", "status.json"):
            (results / name).unlink()
    assert len(masked) == 1
    write_rejected(tmp_path / "no.fits", Rejection("one", "smooth", "one.fits", "no sky"))
    rejecting = OUTER.format(snakefile=str(ROOT / "Snakefile"), program="cp no.fits {output}")
    (tmp_path / "Snakefile").write_text(rejecting)
    snakemake("--cores", "2", "--", "all", cwd=tmp_path, status=65)
    (row,) = Table.read(results / "catalogue/rejected.fits")
    assert (row["name"], row["stage"], row["reason"]) == ("one", "smooth", "no sky")


def write_workflow(folder, program):
    """The other workflow and one image, which its rule needs and nothing else."""
    own = [{"name": "one", "path": str(write_image(folder / "one.fits"))}]
    (folder / "mine.yaml").write_text(yaml.safe_dump({"mosaics": {"source": "images", "images": own}}))
    outer = OUTER.format(snakefile=str(ROOT / "workflow/Snakefile"), program=program)
    (folder / "Snakefile").write_text(
        outer.replace("probability/{mosaic}.fits", "mosaics/{mosaic}/image.fits")
    )


def test_a_rule_of_the_other_workflow_that_fails_is_told(tmp_path):
    write_workflow(tmp_path, "false")
    said = snakemake("--cores", "2", "--", "results/images/smoothed/one.fits", cwd=tmp_path, status=1)
    results = tmp_path / "results" / "images"
    status = json.loads((results / "status.json").read_text())
    assert status["state"] == "failed"
    assert "1 failed" in said
    assert not (results / ".radiounet.lock").exists()


def test_a_rule_of_the_other_workflow_is_tried_again_with_a_profile_of_the_clone(tmp_path):
    write_workflow(tmp_path, "echo tried >> tries; false")
    target = ("--", "results/images/smoothed/one.fits")
    profile = f"--workflow-profile {ROOT}/profiles/default"
    warned = snakemake("--cores", "2", *target, cwd=tmp_path, status=1)
    (line,) = [line for line in warned.splitlines() if "nothing limits downloads" in line]
    assert line.endswith(f"add {profile}")
    assert (tmp_path / "tries").read_text() == "tried\n"
    said = snakemake("--cores", "2", *profile.split(), *target, cwd=tmp_path, status=1)
    assert "nothing limits downloads" not in said
    assert (tmp_path / "tries").read_text() == "tried\n" * (1 + 3)


def test_a_module_runs_with_the_profiles_of_a_cluster_by_their_paths(tmp_path):
    write_workflow(tmp_path, COPY)
    profiles = {"--profile": "slurm", "--workflow-profile": "leonardo"}
    words = [word for key, name in profiles.items() for word in (key, str(ROOT / "profiles" / name))]
    said = snakemake(*words, "-n", "--", "all", cwd=tmp_path)
    (segment,) = [job for job in re.split("^ *rule ", said, flags=re.M) if job.startswith("segment:")]
    assert "slurm_partition=boost_usr_prod" in segment
    assert "nothing limits downloads" not in said


def test_the_layout_of_the_workflow_catalogue_runs_by_itself(tmp_path):
    words = ("--directory", str(tmp_path), "--cores", "1", "--list")
    words += ("--configfile", str(ROOT / "config/config.yaml"))
    lists = [
        snakemake(*words, "--snakefile", str(ROOT / name)) for name in ("Snakefile", "workflow/Snakefile")
    ]
    assert lists[0] == lists[1]
    assert "find_islands" in lists[0]
