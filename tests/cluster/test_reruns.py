"""What a changed setting redoes on Slurm, counted in its jobs, and what an edit during a run does not."""

import os
import signal

import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.simulation.small_survey import serve
from tests.waiting import PATIENCE_S
from tests.workflow.test_freshness import write_clusters
from tests.workflow.test_survey import image_of_a_halo, publish, write_survey

from .slurm import processes_running
from .test_failures import CHAIN, begin_and_hold, rules

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SURVEY = ("merge_catalogue", "report")


@pytest.fixture
def finished(survey, tmp_path):
    """A finished run over one mosaic with one cluster."""
    survey.fork_jobs()
    with serve(tmp_path / "archive") as url:
        places = write_survey(survey, ["one"], url)
        publish(tmp_path / "archive", places["one"], image_of_a_halo())
        write_clusters(survey.folder / "own.ecsv", "first")
        change(survey, "clusters: null", "clusters: own.ecsv")
        survey()
        assert survey.counts() == {}
        survey.forget()
        yield survey


def change(run, text, other, path="mine.yaml"):
    content = (run.folder / path).read_text()
    assert text in content
    (run.folder / path).write_text(content.replace(text, other, 1))


def append(run, text, path="mine.yaml"):
    assert (run.folder / path).is_file()
    with open(run.folder / path, "a") as stream:
        stream.write(text)


def jobs_of(run):
    """Jobs that the same command would submit, by the shipped profile."""
    counts = run.counts()
    return sorted(
        rule for rule, count in counts.items() if rule not in ("all", "total") for _ in range(count)
    )


def test_changed_settings_redo_what_depends_on_them_and_nothing_else(finished):
    everything = sorted([*CHAIN, *SURVEY])
    for section in ("segmentation: {model: lotss-classes}\n", "segmentation: {threshold: 0.31}\n"):
        before = finished.config.read_text()
        append(finished, section)
        assert jobs_of(finished) == everything
        if "model" in section:
            finished.config.write_text(before)
    finished()
    assert rules(finished.submitted()) == everything
    assert fits.getheader(finished.folder / "results/dr2/masks/one.fits")["THRESH"] == 0.31
    assert jobs_of(finished) == []

    append(finished, "\n# another version\n", "scripts/radiounet/publishing/report.py")
    assert jobs_of(finished) == ["report"]
    finished.forget()
    write_clusters(finished.folder / "own.ecsv", "second")
    os.utime(finished.folder / "own.ecsv", (1e9, 1e9))  # its date does not tell
    finished()
    assert rules(finished.submitted()) == sorted(["measure_clusters", *SURVEY])
    clusters = Table.read(finished.folder / "results/dr2/catalogue/clusters.fits")
    assert [name.strip() for name in clusters["name"]] == ["second"]
    assert jobs_of(finished) == []


def test_what_is_edited_during_a_run_starts_nothing_again(finished):
    append(finished, "segmentation: {threshold: 0.31}\n")
    finished.fork_jobs(False)
    process, _ = begin_and_hold(finished)
    # everything that has run, runs and will run
    for module in ("network/tiling", "network/inference", "network/masks", "measuring/islands"):
        append(finished, "\n# edited\n", f"scripts/radiounet/{module}.py")
    change(finished, "threshold: 0.31", "threshold: 0.62")
    for pid in processes_running("segment.py", str(finished.folder)):
        os.kill(pid, signal.SIGCONT)
    assert process.wait(PATIENCE_S) == 0, finished.said()
    assert rules(finished.submitted()) == sorted([*CHAIN, *SURVEY])
    # a job that began after the edit has the setting that its run began with
    assert fits.getheader(finished.folder / "results/dr2/masks/one.fits")["THRESH"] == 0.31
    # the next run makes with the new code what was begun with the old
    finished.forget()
    counts = finished.counts()
    assert {rule: counts[rule] for rule in (*CHAIN, *SURVEY)} == dict.fromkeys((*CHAIN, *SURVEY), 1)
    assert "fetch_mosaic" not in counts
