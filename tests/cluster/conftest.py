"""One Slurm for all tests of this folder, and the workflow on it through the shipped profile."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, Run

from .slurm import Slurm, obstacle

QUICK_SNAKEMAKE = Path(__file__).with_name("quick_snakemake.py")
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")
SQUEUE = ("--slurm-status-command", "squeue")  # no accounting database here
SITE = {"RADIOUNET_GPU_PARTITION": "gpu"}


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    if reason := obstacle():
        pytest.skip(reason)
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    yield slurm
    slurm.stop()


class ClusterRun(Run):
    """A copy of the project, as a user has it, whose runs go through ``--profile slurm``."""

    def __init__(self, folder: Path, slurm: Slurm):
        super().__init__(folder / "project")
        self.slurm = slurm
        self.folder.mkdir()
        for name in ("Snakefile", "workflow", "scripts", "envs", "resources", "config", "slurm", "profiles"):
            source = ROOT / name
            if source.is_dir() and not source.is_symlink():
                ignored = shutil.ignore_patterns("__pycache__", "footprints", "clusters")
                shutil.copytree(source, self.folder / name, ignore=ignored)
            else:
                shutil.copy(source, self.folder / name, follow_symlinks=False)
        self.config = self.folder / "mine.yaml"
        # its own package, which tests edit, in place of the installed one
        self.environment |= SITE | {"PYTHONPATH": str(self.folder / "scripts")}
        self.extra: tuple[str, ...] = ()
        self.before = {job.number for job in slurm.jobs()}

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
        return [job for job in self.slurm.jobs(*rules) if job.number not in self.before]

    def forget(self) -> None:
        """Count from here on."""
        self.before = {job.number for job in self.slurm.jobs()}

    def half_products(self) -> list[Path]:
        """Files that an interrupted job may leave."""
        return [path for path in (self.folder / "results").rglob(".*") if path.is_file()]


@pytest.fixture
def survey(tmp_path, slurm):
    yield ClusterRun(tmp_path, slurm)
    slurm.clear()
