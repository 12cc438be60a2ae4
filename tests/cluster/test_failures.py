"""What goes wrong on a cluster, and what is left of it: no half product, no lost one, and little to redo."""

import os
import shutil
import signal

import numpy as np
import pytest
from astropy.io import fits

from radiounet.simulation.small_survey import serve
from tests.waiting import PATIENCE_S
from tests.workflow.test_survey import hashes, image_of_a_halo, publish, write_survey

from .slurm import kill, processes_running

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CHAIN = ("segment", "find_islands", "measure_clusters")
ONCE = ["segment"]


@pytest.fixture
def mosaics(survey, tmp_path):
    """Two small mosaics in an archive that is up; the target of a run is their masks."""
    root = tmp_path / "archive"
    with serve(root) as url:
        places = write_survey(survey, ["one", "two"], url)
        for seed, name in enumerate(("one", "two")):
            publish(root, places[name], image_of_a_halo(seed))
        yield survey


def mask(name):
    return f"results/dr2/masks/{name}.fits"


def rules(jobs):
    return sorted(job.rule for job in jobs)


def check_masks(run, *names):
    assert run.half_products() == []
    for name in names:
        assert (fits.getdata(run.folder / mask(name)) == 1).sum() > 500


def begin_and_hold(run, *targets):
    """Start a run and stop the process of its first inference as soon as it is there."""
    process = run.start("--", *targets)

    def held():
        found = processes_running("segment.py", str(run.folder))
        if found:
            os.kill(found[0], signal.SIGSTOP)
        return found and [job for job in run.submitted("segment") if job.state == "RUNNING"]

    return process, run.slurm.wait_for(held)[0]


def go_on(run):
    """Let what `begin_and_hold` has stopped go on."""
    for pid in processes_running("segment.py", str(run.folder)):
        kill(pid, signal.SIGCONT)


def test_a_job_killed_by_memory_is_tried_again_with_more_once(mosaics):
    # 300 MB are too little for TensorFlow, 2,400 are not
    mosaics("--set-resources", "segment:mem_mb=300*8**(attempt-1)", "--", mask("one"))
    assert [job.memory_mb for job in mosaics.submitted("segment")] == [300, 2400]
    assert rules(mosaics.submitted()) == sorted([*ONCE, "segment"])
    check_masks(mosaics, "one")
    assert mosaics.counts("--", mask("one")) == {}


def test_a_job_that_never_fits_is_tried_three_times_and_the_rest_goes_on(mosaics):
    # each by itself: a job of both would be given the memory of the larger
    mosaics.config.write_text(mosaics.config.read_text() + "segmentation: {mosaics_per_job: 1}\n")
    options = ("--set-resources", "segment:mem_mb=200 if wildcards.mosaic == 'one' else 4000")
    text = mosaics(*options, "--", mask("one"), mask("two"), status=1)
    jobs = mosaics.submitted("segment")
    assert [job.comment for job in jobs].count("rule_segment_wildcards_one") == 3
    assert [job.comment for job in jobs].count("rule_segment_wildcards_two") == 1
    assert "segment" in text
    check_masks(mosaics, "two")
    assert not (mosaics.folder / mask("one")).exists()
    # its image is still there: the next run has one job
    assert mosaics.counts("--", mask("one"), mask("two")) == {"segment": 1, "total": 1}


def test_a_cancelled_job_is_tried_again_with_double_memory_and_time(mosaics):
    process, job = begin_and_hold(mosaics, mask("one"))
    mosaics.slurm.cancel(job)
    assert process.wait(PATIENCE_S) == 0, mosaics.said()
    assert rules(mosaics.submitted()) == sorted([*ONCE, "segment"])
    first, second = mosaics.submitted("segment")
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (second.memory_mb, second.minutes) == (2 * first.memory_mb, 2 * first.minutes)
    check_masks(mosaics, "one")


def test_a_job_over_its_time_limit_is_tried_again(mosaics):
    mosaics.extra = ("--set-resources", "segment:runtime=1")
    process, _ = begin_and_hold(mosaics, mask("one"))
    assert process.wait(PATIENCE_S) == 0, mosaics.said()
    # on a slow machine the first may end before it infers, and what is held is the second
    *late, last = [job.state for job in mosaics.submitted("segment")]
    assert (set(late), last) == ({"TIMEOUT"}, "COMPLETED")
    check_masks(mosaics, "one")


@pytest.mark.alone
def test_a_node_that_goes_down_takes_its_job_and_nothing_more(mosaics):
    process, job = begin_and_hold(mosaics, mask("one"))
    mosaics.slurm.kill_node(job.node)
    try:
        assert process.wait(PATIENCE_S) == 0, mosaics.said()
    finally:
        mosaics.slurm.mend_node(job.node)
    finished = [one for one in mosaics.submitted() if one.state == "COMPLETED"]
    assert rules(finished) == sorted(ONCE)
    assert {one.node for one in finished if one.rule == "segment"} != {job.node}
    check_masks(mosaics, "one")


def test_the_coordinator_is_killed_and_the_next_run_goes_on(mosaics):
    process, _ = begin_and_hold(mosaics, mask("one"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # the job of the dead run is still there: an operator cancels what nobody waits for
    mosaics.slurm.clear(mosaics.folder)
    assert not (mosaics.folder / mask("one")).exists()
    mosaics("--unlock")
    mosaics.forget()
    mosaics("--", mask("one"))
    assert rules(mosaics.submitted()) == ["segment"]
    check_masks(mosaics, "one")


def test_jobs_of_a_dead_coordinator_that_run_on_do_no_harm(mosaics):
    process, _ = begin_and_hold(mosaics, mask("one"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    mosaics("--unlock")
    mosaics.forget()
    process = mosaics.start("--", mask("one"))
    mosaics.slurm.wait_for(lambda: mosaics.submitted("segment"))
    go_on(mosaics)
    assert process.wait(PATIENCE_S) == 0, mosaics.said()
    assert rules(mosaics.submitted()) == ["segment"]
    folder = str(mosaics.folder)
    mosaics.slurm.wait_for(
        lambda: "RUNNING" not in {job.state for job in mosaics.slurm.jobs() if job.folder == folder}
    )
    check_masks(mosaics, "one")


def test_what_jobs_of_a_dead_coordinator_left_follows_a_changed_setting(mosaics):
    process, _ = begin_and_hold(mosaics, mask("one"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    go_on(mosaics)
    mosaics.slurm.wait_for(lambda: mosaics.submitted("segment")[0].state == "COMPLETED")
    assert (mosaics.folder / mask("one")).is_file()
    mosaics("--unlock")
    mosaics.config.write_text(mosaics.config.read_text() + "segmentation: {threshold: 0.31}\n")
    text = mosaics("--", mask("one"))
    assert "whose run was stopped before it saw the job end, made again where this run needs" in text
    assert "no record" not in text
    assert fits.getheader(mosaics.folder / mask("one"))["THRESH"] == 0.31
    assert mosaics.counts("--", mask("one")) == {}
    assert list((mosaics.folder / ".snakemake/radiounet").iterdir()) == []


def test_a_run_outlasts_that_slurm_does_not_answer(mosaics, tmp_path):
    """Its job ends meanwhile."""
    programs, away = tmp_path / "bin", tmp_path / "away"
    programs.mkdir()
    for name in ("squeue", "sacct"):
        program = programs / name
        program.write_text(f'#!/bin/sh\ntest ! -e {away} || exit 1\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    mosaics.environment["PATH"] = f"{programs}:{mosaics.environment['PATH']}"
    process, _ = begin_and_hold(mosaics, mask("one"))
    away.touch()
    mosaics.slurm.wait_for(lambda: "Slurm (squeue) does not answer" in mosaics.said())
    go_on(mosaics)
    mosaics.slurm.wait_for(lambda: mosaics.submitted("segment")[0].state == "COMPLETED")
    away.unlink()
    assert process.wait(PATIENCE_S) == 0, mosaics.said()
    assert "Slurm (squeue) answers again" in mosaics.said()
    assert len(mosaics.submitted("segment")) == 1
    check_masks(mosaics, "one")


def test_a_bad_pointing_is_rejected_and_the_status_says_so(survey, tmp_path):
    root = tmp_path / "archive"
    survey.fork_jobs()
    with serve(root) as url:
        places = write_survey(survey, ["good", "blank"], url)
        publish(root, places["good"], image_of_a_halo())
        publish(root, places["blank"], np.full((384, 384), np.nan, np.float32))
        text = survey(status=65)
        assert "1 rejected (in segment)" in text
        assert all(job.state == "COMPLETED" for job in survey.submitted())
        assert rules(survey.submitted()) == sorted(["segment", *2 * CHAIN[1:], "merge_catalogue", "report"])
        check_masks(survey, "good")
        assert survey.counts() == {}

        # its data is put right, and the rejected one is asked for again: it, and what depends on it
        before = hashes(survey.folder / "results/dr2", "masks/good.fits")
        (root / "blank" / "low-mosaic-blanked.fits").unlink()
        publish(root, places["blank"], image_of_a_halo(3))
        survey.forget()
        survey("--config", "only=rejected", "--", "rerun")
        assert rules(survey.submitted()) == sorted([*CHAIN, "merge_catalogue", "report"])
        assert hashes(survey.folder / "results/dr2", "masks/good.fits") == before
        check_masks(survey, "good", "blank")
