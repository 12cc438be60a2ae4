"""What a run notes of jobs that it could not see to their end, or that died as a group."""

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.jobs import GroupJob
from snakemake.logging import logger as snakemake_logger

from radiounet.images.products import Products
from radiounet.running.freshness import Freshness
from radiounet.running.progress import Progress
from radiounet.running.snakemake_adapter import PlannedJob
from radiounet.settings.config import load_config


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path / "dr2"))


@pytest.fixture
def progress(products):
    jobs = [
        PlannedJob(n, "segment", name, True, "segment0000", outputs=(products.mask(name),))
        for n, name in enumerate("abc", start=1)
    ]
    return Progress(products, jobs, stream=io.StringIO())


def tell(progress, event, **content):
    progress.emit(logging.makeLogRecord({"event": event} | content))


class Member:
    """A job of a group, as far as Snakemake looks at it to tell that the group failed."""

    def __init__(self, number, log):
        self.rule, self.number, self.log = SimpleNamespace(name="segment"), number, log

    def get_log_error_info(self, **kwargs):
        return {"jobid": self.number}

    def log_error(self, **kwargs):
        told = {"event": "job_error", "jobid": self.number, "log": [self.log], "rule_msg": None}
        snakemake_logger.error("Error in rule", extra=told)


def test_a_group_that_slurm_kills_is_told_in_the_words_of_slurm(progress, tmp_path):
    """Its jobs have logs that end in the middle of the work; one has an error of its own."""
    slurm = tmp_path / "slurm.log"
    slurm.write_text("...\nslurmstepd: error: Job 7 exceeded memory limit (4 > 3), being killed\n")
    logs = [tmp_path / f"{name}.log" for name in "ab"]
    logs[0].write_text("... INFO begun\n")
    logs[1].write_text("... INFO begun\nOSError: [Errno 28] No space left on device\n")
    tell(progress, "job_started", jobs=[1, 2])
    members = [Member(n, str(log)) for n, log in enumerate(logs, start=1)]
    snakemake_logger.addHandler(progress)
    try:
        GroupJob.log_error(SimpleNamespace(groupid="segment0000", jobs=members), aux_logs=[str(slurm)])
    finally:
        snakemake_logger.removeHandler(progress)
    first, second = progress.status("running").failed
    assert (first["name"], first["log"]) == ("a", str(logs[0]))
    assert "exceeded memory limit" in first["last_words"]
    assert second["last_words"] == "OSError: [Errno 28] No space left on device"
    tell(progress, "job_started", jobs=[1])
    assert [one["name"] for one in progress.status("running").failed] == ["b"]


def test_a_full_disk_does_not_stop_the_end_of_a_run(products, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    run = SimpleNamespace(is_main=True, ended=lambda path: None)
    kept = Freshness(run, load_config({}), products)
    kept.note_stopped([products.mask("b")])
    (known,) = json.loads(Path(products.stopped_jobs()).read_text())["products"]
    assert known == products.mask("b")
    monkeypatch.setattr("radiounet.running.freshness.write_json", full)
    kept.note_stopped([products.mask("c")])
    assert f"No space left on device): name these in --forcerun of the next run: {products.mask('c')}" in (
        caplog.text
    )


def test_jobs_that_were_running_at_the_end_are_noted(progress, products):
    progress._ticker.start()
    tell(progress, "job_started", jobs=[1, 2])
    tell(progress, "job_finished", job_id=1)
    progress.end("failed")
    assert progress.stopped == [products.mask("b")]
