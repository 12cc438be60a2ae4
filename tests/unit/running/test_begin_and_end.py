"""What a run does at its begin and at its end, on the pinned Snakemake with jobs of no work."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from programs import ROOT, snakemake
from waiting import wait_until

SNAKEFILE = """
import json
from pathlib import Path
import snakemake_executor_plugin_slurm as plugin
from snakemake.jobs import GroupJob

include: "{root}/workflow/rules/common.smk"

def tell(name):
    notes = Path(".snakemake/radiounet").glob("*")
    told = {{
        "noted": [json.loads(path.read_text())["products"] for path in notes],
        "query": type(plugin.query_job_status).__name__,
        "groups": GroupJob.log_error.__module__,
    }}
    Path(name).write_text(json.dumps(told))

rule all:
    default_target: True
    input: expand("pairs/{{number}}.txt", number=range(3))

rule pair:
    output: "pairs/{{number}}.txt"
    group: "pairs"
    shell: "test ! -e bad{{wildcards.number}} && touch {{output}}"

rule fetch:
    output: "fields/{{field}}.txt"
    shell: "touch begun; while test -e held; do sleep 0.1; done; test ! -e bad && touch {{output}}"

onstart:
    RULES.hooks.begin()
    tell("begun.json")

onsuccess:
    RULES.hooks.end("finished")
    tell("ended.json")

onerror:
    RULES.hooks.end("failed")
    tell("ended.json")
"""
PAIRS = [f"pairs/{number}.txt" for number in range(3)]


@pytest.fixture
def run(tmp_path):
    """Run it; what was noted, and what of Snakemake was replaced, after the begin and after the end."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))

    def start(*arguments, status=0):
        snakemake("--cores", "1", "--keep-going", *arguments, cwd=tmp_path, status=status)
        return [json.loads((tmp_path / name).read_text()) for name in ("begun.json", "ended.json")]

    return start


def test_a_run_notes_what_it_is_about_to_make_and_forgets_what_it_has_seen_end(run, tmp_path):
    begun, ended = run("--", PAIRS[0])
    assert (begun["noted"], ended["noted"]) == ([PAIRS[:1]], [])
    (tmp_path / "bad1").touch()
    begun, ended = run(status=1)
    assert sorted(*begun["noted"]) == PAIRS[1:]
    assert ended["noted"] == []  # a failure was seen, too
    (tmp_path / "bad1").unlink()
    begun, ended = run()
    assert (begun["noted"], ended["noted"]) == ([PAIRS[1:2]], [])
    # nothing of a cluster was replaced
    assert (begun["query"], begun["groups"]) == ("function", "snakemake.jobs")


def test_what_a_killed_run_left_of_its_notes_is_removed(run, tmp_path):
    left = tmp_path / ".snakemake/radiounet" / f".a.json.{socket.gethostname()}-999999.abcdefgh.json"
    left.parent.mkdir(parents=True)
    left.touch()
    run()
    assert not left.exists()


def test_a_folder_that_cannot_be_locked_ends_the_run_in_one_line(tmp_path):
    """It is found when jobs begin."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    lock = tmp_path / "results/dr2/.radiounet.lock"
    lock.mkdir(parents=True)
    text = snakemake("--cores", "1", cwd=tmp_path, status=1)
    told = f"Error: {lock} cannot be opened to lock results/dr2: Is a directory"
    assert [line for line in text.splitlines() if "rror" in line] == [told]
    assert "Traceback" not in text
    assert not Path(tmp_path, "pairs/0.txt").exists()


@pytest.mark.parametrize("touches", [False, True])
@pytest.mark.parametrize("quiet", [(), ("--quiet",), ("--quiet", "progress")])
def test_a_job_that_ended_or_was_touched_is_done_however_little_is_printed(run, tmp_path, quiet, touches):
    run("fields/a.txt")
    run("--forceall", *["--touch"] * touches, *quiet, "--", "fields/a.txt")
    status = json.loads((tmp_path / "results/dr2/status.json").read_text())
    assert status["state"] == "finished"
    assert status["jobs"] == {"waiting": 0, "running": 0, "done": 1, "failed": 0}


def tell_all(group, number):
    """Tell a run and its jobs: itself first, since it cannot know why a job ends that was told before it."""
    os.kill(group, number)
    time.sleep(0.5)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if process.name != str(group) and os.getpgid(int(process.name)) == group:
                os.kill(int(process.name), number)


@pytest.mark.parametrize("tell", [os.kill, tell_all])
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_was_told_to_stop_is_stopped_unless_a_job_failed(tmp_path, tell, told, fails):
    """Snakemake lets its jobs end, or at Ctrl-C ends them, and says in both cases that a job failed.

    A terminal and ``timeout`` tell the jobs, too.
    """
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    for name in ("held", *["bad1"] * fails):
        (tmp_path / name).touch()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--keep-going", "--retries", "0"]
    with subprocess.Popen(
        [*command, "--", "fields/a.txt", "pairs/1.txt"],
        **{"cwd": tmp_path, "text": True, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL},
        start_new_session=True,
    ) as process:
        log = tmp_path / ".snakemake/log"
        wait_until(lambda: (tmp_path / "begun").exists())
        wait_until(lambda: not fails or "Error in rule" in next(log.glob("*")).read_text())
        tell(process.pid, told)
        wait_until(lambda: "n user request" in next(log.glob("*")).read_text() or told == signal.SIGTERM)
        (tmp_path / "held").unlink()
        text = process.communicate()[1]
    status = json.loads((tmp_path / "results/dr2/status.json").read_text())
    assert process.returncode == 1
    assert (status["state"], len(status["failed"])) == (("failed", 1) if fails else ("stopped", 0))
    assert ("At least one job did not complete" in text) is fails
    assert (
        "Error: the run was told to stop, and no job had failed before: the same command" in text
    ) is not fails
    page = (tmp_path / "results/dr2/status.html").read_text()
    assert ("DR2: stopped" in page and "This run was told to stop." in page) is not fails


def test_a_run_that_is_told_to_stop_while_it_notes_that_a_job_ended_stops(tmp_path):
    """Snakemake's handler waits for a lock that its main thread has then, for ever."""
    stops = """
def stop(record):
    if "Finished jobid" in record.getMessage():
        os.kill(os.getpid(), signal.SIGTERM)
    return True

snakemake_logger().addFilter(stop)
"""
    imports = "import os, signal\nfrom radiounet.running.snakemake_adapter import snakemake_logger\n"
    (tmp_path / "Snakefile").write_text(imports + SNAKEFILE.format(root=ROOT) + stops)
    text = snakemake("--cores", "1", cwd=tmp_path, status=1)
    assert "Error: the run was told to stop, and no job had failed before" in text


def block(path):
    path.mkdir(parents=True)
    (path / "kept").touch()


def block_scratch(folder):
    """A folder lies where the link to scratch is to be."""
    block(folder / "results/dr2/mosaics")


def block_notes(folder):
    """What is begun cannot be noted, which shows when this run is on record."""
    (folder / ".snakemake").mkdir()
    (folder / ".snakemake/radiounet").touch()


def block_regions(folder):
    """The same of what is about to be made anew."""
    block(folder / "results/dr2/catalogue/region/region.json")


@pytest.mark.parametrize(
    ("spoil", "run_on_record"), [(block_scratch, "earlier"), (block_notes, None), (block_regions, None)]
)
def test_a_run_that_cannot_begin_leaves_nothing_of_itself(tmp_path, spoil, run_on_record):
    """Jobs of the run before go on, unless products may have been touched; tokens stay nowhere."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT).replace("rule pair", "rule segment"))
    noted = tmp_path / "results/dr2/sources/run.json"
    noted.parent.mkdir(parents=True)
    noted.write_text(json.dumps({"run": "earlier", "configuration": {"release": "dr2"}}))
    spoil(tmp_path)
    snakemake("--cores", "1", "--config", f"scratch={tmp_path}/scratch", cwd=tmp_path, status=1)
    found = json.loads(noted.read_text())
    if run_on_record:
        assert found == {"run": run_on_record, "configuration": {"release": "dr2"}}
    else:
        assert found["run"] != "earlier"
        assert found["configuration"] == {}
    assert not (tmp_path / "results/dr2/.radiounet.lock").exists()
    assert not (tmp_path / "pairs").exists()
