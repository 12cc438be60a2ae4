"""What a run does at its begin and at its end, apart from its jobs."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake.jobs import GroupJob

from radiounet.running import rules
from radiounet.running.freshness import Freshness
from radiounet.running.job_graph import JobGraph
from radiounet.running.rules import Rules
from radiounet.running.snakemake_adapter import SlurmQuery, SnakemakeRun
from radiounet.settings.config import load_config

PAIRS = [f"results/training/pairs/{number}.fits" for number in range(3)]


class Persistence:
    """Records of Snakemake, which keeps in mind that there was none."""

    def __init__(self):
        self.written, self._known = {}, {}

    def _read_record(self, path):
        return self._known.setdefault(path, self.written.get(path))

    def _clear_cache(self):
        self._known.clear()


@pytest.fixture
def workflow():
    """Of a run on a cluster that simulates two pairs of three."""
    jobs = [
        SimpleNamespace(
            wildcards_dict={"pair": str(n)}, rule=SimpleNamespace(name="simulate"), group=None, output=[path]
        )
        for n, path in enumerate(PAIRS)
    ]
    return SimpleNamespace(
        is_main_process=True,
        touch=False,
        persistence=Persistence(),
        resource_settings=SimpleNamespace(nodes=4),
        dag=SimpleNamespace(toposorted=lambda: [jobs], needrun=jobs[:2].__contains__, jobid=jobs.index),
    )


@pytest.fixture
def run(workflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # put back at the end
    monkeypatch.setattr(plugin, "query_job_status", plugin.query_job_status)
    monkeypatch.setattr(GroupJob, "log_error", GroupJob.log_error)
    run = Rules.__new__(Rules)
    run.config = load_config({})
    run.products = run.config.products
    run.run = SnakemakeRun.__new__(SnakemakeRun)
    run.run._workflow = workflow
    run.graph = JobGraph(run.config, str(tmp_path), False)
    run.freshness = Freshness(run.run, run.config, run.products)
    run._progress, run._begun = None, []
    yield run
    for folder in rules.folders_of_run(run.graph):
        rules.let_go(folder)


def noted(run):
    path = Path(run.products.stopped_jobs())
    return json.loads(path.read_text())["products"] if path.exists() else {}


def test_a_run_notes_what_it_is_about_to_make(run):
    run.begin()
    assert noted(run) == {"../../.snakemake": PAIRS[:2]}


def test_a_run_outlasts_slurm_and_tells_why_groups_fail(run):
    known = GroupJob.log_error
    run.begin()
    assert isinstance(plugin.query_job_status, SlurmQuery)
    assert GroupJob.log_error is not known


def test_a_run_without_a_cluster_changes_nothing_of_one(run, workflow):
    workflow.resource_settings.nodes, known = None, GroupJob.log_error
    run.begin()
    assert not isinstance(plugin.query_job_status, SlurmQuery)
    assert GroupJob.log_error is known


@pytest.mark.parametrize(("state", "left"), [("finished", []), ("failed", PAIRS[1:2])])
def test_at_its_end_a_run_forgets_what_it_has_seen_end(run, workflow, state, left):
    """It looked for the records before its jobs began."""
    for path in PAIRS:
        assert run.run.ended(path) is None
    run.begin()
    ended = [path for path in PAIRS if path not in left]
    workflow.persistence.written = dict.fromkeys(ended, SimpleNamespace(endtime=1.0))
    assert run.end(state) == 0
    assert noted(run) == ({"../../.snakemake": left} if left else {})
