"""The workflow as a module of another one, which adds a stage of its own after `stitch`."""

import json
import subprocess
import sys

import pytest
import yaml
from astropy.io import fits

from stages import write_image

from .conftest import ROOT

OUTER = """
from radiounet.images.products import Products
from radiounet.running.stages import STAGES, Stage

Products.smoothed = lambda self, mosaic: f"{{self.root}}/smoothed/{{mosaic}}.fits"
after = [stage.rule for stage in STAGES].index("stitch")
STAGES.insert(after + 1, Stage("smooth", "mosaic", "smoothed", "Mpx", lasting=("smoothed",)))

configfile: "mine.yaml"

module survey:
    snakefile: {snakefile!r}
    config: config

use rule * from survey

rule smooth:
    input: "results/images/probability/{{mosaic}}.fits"
    output: "results/images/smoothed/{{mosaic}}.fits"
    shell: "cp {{input}} {{output}}"

onstart:
    survey.onstart()

onsuccess:
    survey.onsuccess()
"""


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_another_workflow_adds_a_stage(tmp_path, snakefile):
    image = write_image(tmp_path / "one.fits")
    own = [{"name": "one", "path": str(image)}]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"mosaics": {"source": "images", "images": own}}))
    (tmp_path / "Snakefile").write_text(OUTER.format(snakefile=str(ROOT / snakefile)))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--", "all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = tmp_path / "results" / "images"
    assert fits.getheader(results / "smoothed/one.fits")["MODEL"] == "lotss-unet"
    assert (results / "report.html").is_file()
    status = json.loads((results / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["stages"]["smooth"]["done"] == 1
    assert status["mosaics"]["done"] == 1


def test_the_layout_of_the_workflow_catalogue_runs_by_itself(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--directory", str(tmp_path), "--cores", "1", "--list"]
    command += ["--configfile", str(ROOT / "config/config.yaml")]
    lists = [
        subprocess.run(
            [*command, "--snakefile", str(ROOT / name)], capture_output=True, text=True, check=True
        )
        for name in ("Snakefile", "workflow/Snakefile")
    ]
    assert lists[0].stdout == lists[1].stdout
    assert "find_islands" in lists[0].stdout
