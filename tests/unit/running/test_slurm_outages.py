"""What the pinned Slurm plug-in does while Slurm does not answer, with our query in place of its own."""

import asyncio
import logging
import os
import re
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake.jobs import GroupJob

from radiounet.running import slurm_query
from radiounet.running.slurm_query import ENDED, LOST_S, NODE_FAIL, QUERY_TRIES, SlurmQuery
from radiounet.running.snakemake_adapter import SnakemakeRun

ROOT = Path(__file__).resolve().parents[3]
SQUEUE = """#!/bin/sh
echo >> {folder}/asked
test ! -e {folder}/away || exit 1
rm {folder}/away? 2> {folder}/hint && exit 1
cat {folder}/table
"""


class Executor(plugin.Executor):
    """That of the plug-in, with two jobs and nothing else of a run."""

    def __init__(self, program):
        settings = SimpleNamespace(status_attempts=5, status_command=program, keep_successful_logs=True)
        self.workflow = SimpleNamespace(executor_settings=settings)
        self.logger, self.run_uuid = logging.getLogger("test"), "run"
        self.status_rate_limiter = nullcontext()
        self.next_seconds_between_status_checks = 40
        self._status_query_calls = self._status_query_failures = 0
        self._status_query_total_seconds = self._status_query_max_seconds = 0.0
        self._status_query_min_seconds, self._status_query_cycle_rows = None, []
        self.active_jobs = [SimpleNamespace(external_jobid=number, aux={}) for number in ("7", "8")]
        self.succeeded, self.failed = [], []

    def report_job_success(self, job):
        self.succeeded.append(job.external_jobid)

    def report_job_error(self, job, msg=None, **about):
        self.failed.append((job.external_jobid, msg))

    def poll(self):
        """Look once at all active jobs; the numbers of those that are looked at again."""

        async def look():
            return [job async for job in self.check_active_jobs(self.active_jobs)]

        self.active_jobs = asyncio.run(look())
        return [job.external_jobid for job in self.active_jobs]


@pytest.fixture(params=["squeue", "sacct"])
def executor(request, tmp_path, monkeypatch):
    """Of a Slurm whose table is a file, and which is away while there is a file of that name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / request.param).write_text(SQUEUE.format(folder=tmp_path))
    (folder / request.param).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(plugin, "get_min_job_age", lambda: 300)
    (tmp_path / "table").write_text("7|RUNNING\n8|PENDING\n")
    return Executor(request.param)


@pytest.fixture
def mended(executor, monkeypatch):
    monkeypatch.setattr(plugin, "query_job_status", SlurmQuery(plugin.query_job_status))
    monkeypatch.setattr(slurm_query, "QUERY_PAUSE_S", 0)
    return executor


@pytest.fixture
def later(monkeypatch):
    """Let time pass, s."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(slurm_query, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def wait(seconds):
        clock.now += seconds

    return wait


def test_the_pinned_version_is_the_one_that_is_tested():
    pinned = re.search(r"snakemake-executor-plugin-slurm==([\d.]+)", (ROOT / "pyproject.toml").read_text())
    assert version("snakemake-executor-plugin-slurm") == pinned[1]


def test_the_plug_in_alone_forgets_its_jobs(executor, tmp_path):
    """Once it does not, `SlurmQuery` can go."""
    assert executor.poll() == ["7", "8"]
    (tmp_path / "away").touch()
    assert executor.poll() == []
    assert executor.succeeded == executor.failed == []


def test_an_outage_of_any_length_loses_no_job_and_is_told_once(mended, tmp_path, caplog):
    assert mended.poll() == ["7", "8"]
    (tmp_path / "away").touch()
    for _ in range(3):
        assert mended.poll() == ["7", "8"]
    assert caplog.text.count("does not answer: the run waits, and asks again") == 1
    assert "answers again" not in caplog.text
    (tmp_path / "away").unlink()
    (tmp_path / "table").write_text("7|COMPLETED\n8|RUNNING\n")
    assert mended.poll() == ["8"]
    assert mended.succeeded == ["7"]
    assert caplog.text.count("answers again") == 1
    (tmp_path / "away").touch()
    assert mended.poll() == ["8"]
    assert caplog.text.count("does not answer") == 2


def test_a_query_that_fails_costs_no_poll(mended, tmp_path, caplog):
    """As the plug-in alone, which repeats it."""
    assert mended.poll() == ["7", "8"]
    (tmp_path / "away1").touch()
    (tmp_path / "table").write_text("7|COMPLETED\n8|RUNNING\n")
    assert mended.poll() == ["8"]
    assert mended.succeeded == ["7"]
    assert "Slurm" not in caplog.text


def test_a_poll_of_an_outage_asks_a_few_times(mended, tmp_path):
    (tmp_path / "away").touch()
    mended.poll()
    assert (tmp_path / "asked").read_text() == "\n" * QUERY_TRIES


def answer(query, program, **table):
    """What the plug-in is told when one of the two programs shows these jobs, by number."""

    async def ask(command, logger):
        return {number[1:]: state for number, state in table.items()}, 0.1

    query._ask = ask
    told, _ = asyncio.run(query(f"{program} --all", logging.getLogger("test")))
    return told


@pytest.mark.parametrize("program", ["squeue", "sacct"])
@pytest.mark.parametrize("state", [*sorted(ENDED), NODE_FAIL])
def test_a_job_that_either_program_has_shown_to_end_is_not_missed(later, caplog, program, state):
    """The plug-in takes the other one where `MinJobAge` is small, or it is gone."""
    query = SlurmQuery(None)
    answer(query, "squeue", _7="RUNNING", _8="RUNNING")
    answer(query, program, _7=state, _8="RUNNING")
    for _ in range(3):
        assert answer(query, "squeue", _8="RUNNING") == {"8": "RUNNING"}
        later(LOST_S)
    assert caplog.text == ""


@pytest.mark.parametrize(("state", "queues_again"), [(NODE_FAIL, True), ("PREEMPTED", False)])
def test_a_job_that_slurm_may_queue_again_is_missed(later, state, queues_again):
    query = SlurmQuery(None, queues_again)
    answer(query, "squeue", _7="RUNNING")
    assert answer(query, "squeue", _7=state) == {"7": state}
    assert answer(query, "squeue") == {}
    later(LOST_S)
    assert answer(query, "squeue") == {"7": "ERROR"}
    assert answer(query, "squeue") == {}


@pytest.mark.parametrize("program", ["squeue", "sacct"])
def test_a_job_that_was_preempted_has_failed_where_slurm_queues_none_again(later, caplog, program):
    query = SlurmQuery(None, never_again=True)
    answer(query, program, _7="RUNNING")
    assert answer(query, program, _7="PREEMPTED") == {"7": "CANCELLED"}
    later(LOST_S)
    assert answer(query, "squeue") == {}
    assert caplog.text == ""


@pytest.mark.parametrize("executor", ["squeue"], indirect=True)
def test_a_job_that_squeue_shows_no_more_fails_after_a_while(mended, tmp_path, later, caplog):
    assert mended.poll() == ["7", "8"]
    (tmp_path / "away").touch()
    later(3600)
    assert mended.poll() == ["7", "8"]  # nothing is known of either
    (tmp_path / "away").unlink()
    (tmp_path / "table").write_text("8|COMPLETING\n")
    assert mended.poll() == ["7", "8"]
    later(LOST_S / 2)
    (tmp_path / "table").write_text("7|RUNNING\n")  # it was late
    assert mended.poll() == ["7", "8"]
    (tmp_path / "table").write_text("8|COMPLETED\n")
    assert mended.poll() == ["7"]
    later(LOST_S - 1)
    assert mended.poll() == ["7"]
    later(1)
    assert mended.poll() == []
    assert mended.succeeded == ["8"]
    ((number, words),) = mended.failed
    assert (number, words.split(",")[0]) == ("7", "SLURM-job '7' failed")
    assert caplog.text.count("does not show job 7 any more: it counts as failed") == 1
    assert "job 8" not in caplog.text


@pytest.mark.parametrize("executor", ["squeue"], indirect=True)
def test_a_job_that_has_not_shown_yet_is_waited_for(mended, tmp_path, later):
    (tmp_path / "table").write_text("")
    for _ in range(3):
        assert mended.poll() == ["7", "8"]
        later(LOST_S)


@pytest.mark.parametrize("executor", ["sacct"], indirect=True)
def test_accounting_that_forgets_a_job_for_a_while_fails_none(mended, tmp_path, later):
    assert mended.poll() == ["7", "8"]
    (tmp_path / "table").write_text("")
    for _ in range(3):
        assert mended.poll() == ["7", "8"]
        later(LOST_S)


@pytest.mark.parametrize("executor", ["squeue"], indirect=True)
@pytest.mark.parametrize("requeue", [False, True])
def test_a_lost_node_is_not_told_twice(mended, tmp_path, later, caplog, monkeypatch, requeue):
    """Without ``--slurm-requeue`` the plug-in fails its job at once, which is submitted again."""
    mended.workflow.executor_settings.requeue = requeue
    mended._failed_nodes = set()
    monkeypatch.setattr(plugin, "query_job_status", SlurmQuery(plugin.query_job_status._ask, requeue))
    mended.poll()
    (tmp_path / "table").write_text("7|NODE_FAIL\n8|RUNNING\n")
    assert mended.poll() == (["7", "8"] if requeue else ["8"])
    (tmp_path / "table").write_text("8|RUNNING\n")
    for _ in range(3):
        mended.poll()
        later(LOST_S)
    assert [number for number, _ in mended.failed] == ["7"]
    assert ("does not show job 7 any more" in caplog.text) == requeue


@pytest.mark.parametrize("requeue", [False, True])
def test_a_run_knows_whether_slurm_queues_jobs_again(monkeypatch, requeue):
    monkeypatch.setattr(plugin, "query_job_status", None)  # put back at the end
    run = SnakemakeRun.__new__(SnakemakeRun)
    settings = plugin.ExecutorSettings(requeue=requeue)
    run._workflow = SimpleNamespace(resource_settings=SimpleNamespace(nodes=2), executor_settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(GroupJob, "log_error", GroupJob.log_error)  # put back at the end
        known = GroupJob.log_error
        run.watch_cluster()
        assert GroupJob.log_error is not known
    assert (NODE_FAIL in plugin.query_job_status._ended) != requeue


@pytest.mark.parametrize("settings", [None, SimpleNamespace(submit_cmd="qsub")])
def test_a_run_that_only_touches_or_has_another_executor_asks_slurm_nothing(monkeypatch, settings):
    """Snakemake gives the first no settings."""
    monkeypatch.setattr(GroupJob, "log_error", GroupJob.log_error)  # put back at the end
    run, known = SnakemakeRun.__new__(SnakemakeRun), plugin.query_job_status
    run._workflow = SimpleNamespace(resource_settings=SimpleNamespace(nodes=2), executor_settings=settings)
    run.watch_cluster()
    assert plugin.query_job_status is known
