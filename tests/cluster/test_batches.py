"""One job of Slurm for many mosaics: one of them rejected, the job killed half way, another selection."""

import json
import os
import signal

import numpy as np
import pytest

from radiounet.images.writing import atomic
from radiounet.simulation.small_survey import serve
from tests.waiting import PATIENCE_S
from tests.workflow.test_survey import hashes, image_of_a_halo, publish, write_survey

from .slurm import processes_running
from .test_failures import CHAIN, check_masks, mask, rules

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def mosaics(survey, tmp_path):
    """Three mosaics in an archive, the second of them blank."""
    root = tmp_path / "archive"
    with serve(root) as url:
        places = write_survey(survey, ["one", "blank", "three"], url)
        publish(root, places["one"], image_of_a_halo(1))
        publish(root, places["blank"], np.full((384, 384), np.nan, np.float32))
        publish(root, places["three"], image_of_a_halo(3))
        yield survey


def starts_of_a_model(run):
    """How many programs have loaded a model, by what each of them says once."""
    logs = (run.folder / "results/dr2/logs/segment").iterdir()
    return sum(path.read_text().count("no GPU answers") for path in logs)


def shelf(run):
    return run.folder / "results/dr2/sources/shelf"


def status_of(run):
    return json.loads((run.folder / "results/dr2/status.json").read_text())


def test_a_rejected_mosaic_is_one_of_its_job_and_a_wider_selection_redoes_nothing(mosaics):
    mosaics.fork_jobs()
    content = mosaics.config.read_text()
    mosaics.config.write_text(content + "select: {mosaics: [one, blank]}\n")
    assert "1 rejected (in segment)" in mosaics(status=65)
    (job,) = mosaics.submitted("segment")
    assert (job.memory_mb, job.minutes, job.cores) == (4000, 2 * 8, 8)  # 15 min at least
    assert starts_of_a_model(mosaics) == 1
    check_masks(mosaics, "one")
    assert mosaics.counts() == {}
    assert list(shelf(mosaics).iterdir()) == []

    before = hashes(mosaics.folder / "results/dr2", "masks/*.fits")
    mosaics.config.write_text(content)
    mosaics.forget()
    mosaics(status=65)
    assert rules(mosaics.submitted()) == sorted([*CHAIN, "merge_catalogue", "report"])
    assert before.items() < hashes(mosaics.folder / "results/dr2", "masks/*.fits").items()
    check_masks(mosaics, "three")


def test_a_job_killed_half_way_goes_on_with_what_is_missing(mosaics):
    process = mosaics.start("--", *map(mask, ("one", "blank", "three")))

    def held():
        """The first maps are on the shelf, and the program that makes them is stopped."""
        made = sorted(shelf(mosaics).glob("*.mask.fits")) if shelf(mosaics).is_dir() else []
        if made:
            for pid in processes_running("segment.py", str(mosaics.folder)):
                os.kill(pid, signal.SIGSTOP)
                # half of a map, which no later job writes
                with atomic(mosaics.folder / "gone.fits") as temporary:
                    half_written = temporary.name.replace(f"-{os.getpid()}.", f"-{pid}.")
                (shelf(mosaics) / half_written).touch()
        return made

    mosaics.slurm.wait_for(held)
    made = {path.name.split(".")[0]: path.stat().st_ino for path in held()}
    (job,) = mosaics.submitted("segment")
    mosaics.slurm.wait_for(lambda: status_of(mosaics)["stages"]["segment"]["running"] == 3)
    mosaics.slurm.cancel(job)
    assert process.wait(PATIENCE_S) == 65, mosaics.said()  # the blank one was rejected
    # the job of all three was tried again, and ended well
    status = status_of(mosaics)
    assert (status["failed"], status["stages"]["segment"]["done"]) == ([], 3)
    first, second = mosaics.submitted("segment")
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (second.memory_mb, second.minutes) == (2 * first.memory_mb, 2 * first.minutes)
    assert "gone.fits" in mosaics.said()
    check_masks(mosaics, "one", "three")
    assert made
    assert {name: (mosaics.folder / mask(name)).stat().st_ino for name in made} == made
    assert list(shelf(mosaics).iterdir()) == []


def test_where_bad_data_stops_the_run_each_mosaic_is_a_job(mosaics):
    mosaics.fork_jobs()
    targets = map(mask, ("one", "blank", "three"))
    mosaics("--config", "on_reject=stop", "--retries", "0", "--", *targets, status=1)
    assert len(mosaics.submitted("segment")) == 3
    check_masks(mosaics, "one", "three")


def test_a_job_that_slurm_refuses_is_told_in_its_words(mosaics):
    mosaics.environment["RADIOUNET_GPU_PARTITION"] = "nope"
    text = mosaics("--", *map(mask, ("one", "blank", "three")), status=1)
    words = "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nope "
    assert f"segment0000: {words}" in text
    failed = status_of(mosaics)["failed"]
    assert sorted(one["name"] for one in failed) == ["blank", "one", "three"]
    assert all(one["last_words"].startswith(words) for one in failed)
    assert words.replace("'", "&#39;") in (mosaics.folder / "results/dr2/status.html").read_text()
