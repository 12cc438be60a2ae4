"""What is asked of the inside of Snakemake, on a small workflow of the pinned version."""

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from programs import snakemake
from radiounet.images.provenance import PACKAGE

ROOT = Path(__file__).resolve().parents[3]
SNAKEFILE = """
import json
import os
import sys
from pathlib import Path
from radiounet.errors import ConfigError
from radiounet.running.snakemake_adapter import SnakemakeRun, in_one_line_while_parsing

with in_one_line_while_parsing():
    RUN = SnakemakeRun(workflow)
    if config.get("parsed"):
        raise ConfigError("nothing is there: write it")
    if config.get("mistaken"):
        raise ValueError("a mistake of this program")

def look():
    Path("looked.txt").touch()
    RUN.make_again(config.get("before", "").split())
    if config.get("wrong"):
        raise ConfigError("nothing is there: write it")
    if config.get("protected"):
        os.access = lambda path, *options, may=os.access: str(path) != "two.txt" and may(path, *options)
    if config.get("closed"):
        raise PermissionError(13, "Permission denied", "one.txt")

if RUN.is_main:
    RUN.around_graph(look, lambda: Path("told.txt").write_text(str(len(list(workflow.dag.jobs)))))

def first_file(wildcards):
    if config.get("refused"):
        raise ConfigError("nothing is there: write it")
    if config.get("full"):
        open("looked.txt/below")
    if config.get("again"):
        RUN.make_again(["one.txt"])
    return "one.txt"

rule all:
    input: "two.txt"

rule second:
    input: first_file
    output: "two.txt"
    shell: "cat one.txt > two.txt"

rule first:
    output: "{mosaic}.txt"
    resources: runtime=10
    run:
        assert not RUN.is_main
        assert RUN.targets == [("first", "one")]
        Path(output[0]).write_text("1")

onstart:
    jobs = [(job.rule, job.mosaic, job.needed) for job in RUN.jobs()]
    said = {"jobs": jobs, "main": RUN.is_main, "files": RUN.config_files, "at_once": RUN.jobs_at_once}
    said |= {"python": RUN.python == sys.executable, "shown": RUN.prints_jobs, "ended": RUN.ended("one.txt")}
    said["partition"] = RUN.has_partition("first")
    said["outputs"] = [job.outputs for job in RUN.jobs()]
    said["numbers"] = [job.number for job in RUN.jobs()]
    Path("said.json").write_text(json.dumps(said))

onsuccess:
    RUN.read_records_anew()
    Path("ended.json").write_text(json.dumps([RUN.ended(path) for path in ("one.txt", "two.txt")]))
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def start(*arguments, status=0):
        text = snakemake("--cores", "1", *arguments, cwd=tmp_path, status=status)
        path = tmp_path / "said.json"
        return json.loads(path.read_text()) if path.is_file() else text

    return start


def test_the_pinned_version_is_the_one_that_is_tested():
    pinned = re.search(r"snakemake==([\d.]+)", (ROOT / "pyproject.toml").read_text())[1]
    assert version("snakemake") == pinned


def test_a_run_is_told(run, tmp_path):
    (tmp_path / "more.yaml").write_text("colour: blue\n")
    said = run("--configfile", "more.yaml", "--set-resources", "first:slurm_partition=far")
    assert said["jobs"] == [["first", "one", True], ["second", None, True], ["all", None, True]]
    assert said["outputs"] == [["one.txt"], ["two.txt"], []]
    assert len(set(said["numbers"])) == 3
    assert said["main"] is True
    assert [Path(path).name for path in said["files"]] == ["more.yaml"]
    assert said["python"] is True
    assert said["partition"] is True
    assert (said["at_once"], said["shown"], said["ended"]) == (None, False, None)


def test_products_are_made_again_when_told(run, tmp_path):
    run()
    before = (tmp_path / "one.txt").stat().st_mtime
    assert "Nothing to be done" in snakemake("--cores", "1", cwd=tmp_path)
    said = run("--config", "again=1", "--printshellcmds")
    assert said["ended"] == pytest.approx(before, abs=1e-3)
    assert said["shown"] is True
    assert (tmp_path / "one.txt").stat().st_mtime > before


@pytest.mark.parametrize("target", ["two.txt", "one.txt", "all", "first_of_all"])
def test_what_is_to_be_made_again_is_told_before_the_graph_is_built_and_the_rest_after_it(
    run, tmp_path, target
):
    """Of any target, by name or by rule, also of one without inputs."""
    with open(tmp_path / "Snakefile", "a") as stream:
        stream.write("rule first_of_all:\n    input: 'one.txt'\n")
    run()
    again = snakemake("-n", "--cores", "1", target, "--config", "before=one.txt", cwd=tmp_path)
    assert "first " in again
    assert (tmp_path / "told.txt").read_text() == re.search(r"^total +(\d+)$", again, re.MULTILINE)[1]
    assert "Nothing to be done" in snakemake("-n", "--cores", "1", target, cwd=tmp_path)
    (tmp_path / "looked.txt").unlink()
    snakemake("--unlock", "--cores", "1", cwd=tmp_path)
    assert not (tmp_path / "looked.txt").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [("wrong", "nothing is there: write it"), ("closed", "one.txt may not be read or written by you: ask ")],
)
def test_what_is_found_before_the_graph_is_built_ends_the_run_in_one_line(run, fault, words):
    text = run("--config", f"{fault}=1", status=1)
    said = text.split("Building DAG of jobs...\n")[1].splitlines()
    assert said[0].startswith(f"Error: {words}")
    assert not any(line.startswith(" ") or "Traceback" in line for line in said)


@pytest.mark.parametrize("target", ["two.txt", "all", "last"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refused", "nothing is there: write it"),
        ("full", "looked.txt/below cannot be used: Not a directory"),
    ],
)
def test_what_a_function_of_a_rule_finds_ends_the_run_in_one_line(run, tmp_path, fault, words, target):
    """Also where what the rule makes is there, which Snakemake takes for up to date then."""
    with open(tmp_path / "Snakefile", "a") as stream:
        stream.write(
            "rule last:\n    input: 'two.txt'\n    output: 'last.txt'\n    shell: 'touch last.txt'\n"
        )
    run("last")
    text = snakemake("-n", "--cores", "1", target, "--config", f"{fault}=1", cwd=tmp_path, status=1)
    said = text.split("Building DAG of jobs...\n")[1].splitlines()
    assert said[0] == f"Error: {words}"
    assert not any(line.startswith(" ") or "Traceback" in line for line in said)


@pytest.mark.parametrize("hook", ["onstart", "onsuccess", "onerror"])
def test_what_is_found_when_jobs_begin_or_end_is_told_in_one_line(tmp_path, hook):
    """On the terminal: the traceback of Snakemake names the Snakefile."""
    bad = "rule bad:\n    output: 'bad.txt'\n    shell: 'false'\n"
    raising = f"{hook}:\n    raise ConfigError('full: make room')\n"
    (tmp_path / "Snakefile").write_text(SNAKEFILE.split("onstart:")[0] + bad + raising)
    target = "bad.txt" if hook == "onerror" else "one.txt"
    text = snakemake("--cores", "1", target, cwd=tmp_path, status=1)
    assert "\nError: full: make room\n" in text
    assert "in line" not in text.split("full: make room")[1]


def test_what_is_found_while_a_snakefile_is_read_ends_the_run_in_one_line(run):
    assert run("--config", "parsed=1", status=1).splitlines()[-1] == "Error: nothing is there: write it"
    assert 'File "' in run("--config", "mistaken=1", status=1)


def test_at_its_end_a_run_knows_the_records_of_all_its_jobs(run, tmp_path):
    run("two.txt")
    dates = [(tmp_path / name).stat().st_mtime for name in ("one.txt", "two.txt")]
    assert json.loads((tmp_path / "ended.json").read_text()) == pytest.approx(dates, abs=1e-3)


def test_a_checkout_with_other_code_is_refused_and_a_copy_is_not(run, tmp_path):
    copy = tmp_path / "scripts" / "radiounet"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert run()["main"] is True
    with open(copy / "errors.py", "a") as stream:
        stream.write("# edited\n")
    (tmp_path / "said.json").unlink()
    assert f"this workflow is that of {tmp_path}: run `make env` there" in run(status=1)


@pytest.mark.parametrize("dry", [False, True])
def test_products_that_may_not_be_overwritten_end_the_run_in_one_line(run, tmp_path, dry):
    run()
    (tmp_path / "said.json").unlink()
    text = run(*["-n"] * dry, "--forceall", "--config", "protected=1", status=1)
    (said,) = text.split("Building DAG of jobs...\n")[1].splitlines()
    assert said.startswith(f"Error: two.txt in {tmp_path}, to be made again, may not be overwritten by you")
