"""One Slurm for all tests of this folder, and the workflow on it through the shipped profile.

Most of a test is waiting for one process after another, so several workers of pytest share the Slurm.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from programs import stand_in
from tests.workflow.conftest import ROOT, Run

from .slurm import Slurm, obstacle

QUICK_SNAKEMAKE = Path(__file__).with_name("quick_snakemake.py")
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")
SQUEUE = ("--slurm-status-command", "squeue")  # no accounting database here
SITE = {"RADIOUNET_GPU_PARTITION": "gpu"}


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock among the workers: `fcntl.LOCK_SH` beside others, `fcntl.LOCK_EX` alone."""
    with open(path, "w") as stream:
        fcntl.flock(stream, how)
        yield


@pytest.fixture(scope="session")
def slurm(tmp_path_factory, worker_id):
    """The Slurm of all workers: who comes first starts it, who goes last stops it."""
    if reason := obstacle():
        pytest.skip(reason)
    root = tmp_path_factory.getbasetemp()
    folder = (root if worker_id == "master" else root.parent) / "slurm"
    folder.mkdir(exist_ok=True)
    slurm, mine = Slurm(folder), folder / f"{worker_id}.user"
    with locked(folder / "users.lock", fcntl.LOCK_EX):
        if not any(folder.glob("*.user")):
            slurm.start()
        mine.touch()
    yield slurm
    with locked(folder / "users.lock", fcntl.LOCK_EX):
        mine.unlink()
        if not any(folder.glob("*.user")):
            slurm.stop()


@contextmanager
def sharing(slurm: Slurm, how: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Use the nodes, beside others or alone."""
    with locked(slurm.folder / "nodes.lock", how):
        yield


class ClusterRun(Run):
    """A copy of the project, as a user has it, whose runs go through ``--profile slurm``."""

    def __init__(self, folder: Path, slurm: Slurm):
        super().__init__(folder / "project")
        self.slurm = slurm
        self.folder.mkdir()
        for name in ("Snakefile", "workflow", "scripts", "envs", "resources", "config", "slurm", "profiles"):
            source = ROOT / name
            if source.is_dir() and not source.is_symlink():
                ignored = shutil.ignore_patterns("footprints", "clusters")
                shutil.copytree(source, self.folder / name, ignore=ignored)
            else:
                shutil.copy(source, self.folder / name, follow_symlinks=False)
        self.config = self.folder / "mine.yaml"
        # its own package, which tests edit, in place of the installed one
        self.environment |= SITE | {"PYTHONPATH": str(self.folder / "scripts")}
        self.extra: tuple[str, ...] = ()
        self.before = {job.number for job in slurm.jobs()}

    def fork_jobs(self, forked: bool = True) -> None:
        """Fork the jobs from Python that has done the imports, or start them as everywhere.

        Only where Slurm kills none: what is forked is no child of Slurm's.
        """
        if forked:
            self.environment["PYTHON_OF_JOBS"] = stand_in(self.environment["PYTHONPATH"])
        else:
            del self.environment["PYTHON_OF_JOBS"]

    def arguments(self, *arguments: str, configs: tuple[Path, ...] = ()) -> list[str]:
        options = [word for word in arguments if word.startswith("-")]
        assert not options or arguments[0] == options[0], "options come first, targets after --"
        words = ["--profile", "slurm", *QUICK, *SQUEUE, *self.extra]
        words += ["--configfile", *map(str, (*configs, self.config))]
        return [*words, *arguments] if options else [*words, "--", *arguments]

    def command(self, *arguments: str, configs: tuple[Path, ...] = ()) -> list[str]:
        return [sys.executable, str(QUICK_SNAKEMAKE), *self.arguments(*arguments, configs=configs)]

    def __call__(self, *arguments: str, status: int = 0, configs: tuple[Path, ...] = ()) -> str:
        done = subprocess.run(
            self.command(*arguments, configs=configs),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        text = done.stdout + done.stderr
        assert done.returncode == status, text
        return text

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a run and leave it running; its output goes to a file of the project."""
        with open(self.folder / "snakemake.out", "w") as output:
            return subprocess.Popen(
                self.command(*arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def said(self) -> str:
        """What a run begun with `start` has printed."""
        return (self.folder / "snakemake.out").read_text()

    def submitted(self, *rules: str):
        """Jobs of this run that Slurm has seen."""
        return [
            job
            for job in self.slurm.jobs(*rules)
            if job.folder == str(self.folder) and job.number not in self.before
        ]

    def forget(self) -> None:
        """Count from here on."""
        self.before = {job.number for job in self.slurm.jobs()}

    def half_products(self) -> list[Path]:
        """Files that an interrupted job may leave."""
        return [path for path in (self.folder / "results").rglob(".*") if path.is_file()]


@pytest.fixture
def survey(request, tmp_path, slurm):
    alone = request.node.get_closest_marker("alone")
    with sharing(slurm, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        run = ClusterRun(tmp_path, slurm)
        yield run
        slurm.clear(run.folder)
