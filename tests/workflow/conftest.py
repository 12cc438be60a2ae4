"""Running Snakemake on small surveys."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from models import write_tiny_model
from programs import ROOT, snakemake

SHARED = ROOT.parent / "shared" / "data"
CHAIN = {"segment": 1, "find_islands": 1, "measure_clusters": 1}
"""Jobs from the image of a mosaic to its tables."""


NOTE = f".snakemake/radiounet/{hashlib.sha256(b'results/dr2').hexdigest()[:16]}.json"
"""What runs of the release note of jobs that they have not seen end."""


def counted(**jobs: int) -> dict[str, int]:
    """Jobs per rule, and their total."""
    return jobs | {"total": sum(jobs.values())}


def counts_in(text: str) -> dict[str, int]:
    """Jobs per rule that a dry run printed; empty when nothing is to do."""
    table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    if table is None:
        assert "Nothing to be done" in text, text
        return {}
    return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", table[1], re.MULTILINE)}


class Run:
    """A folder in which the workflow runs, and its configuration."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = folder / "config.yaml"
        self.snakefile = ROOT / "Snakefile"
        self.environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def copy(self, folder: Path) -> "Run":
        """Copy the folder of this run with all its dates; relative paths lead to files of the copy."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Run(folder)

    def write_config(self, **content) -> None:
        self.config.write_text(yaml.safe_dump({"clusters": None} | content))

    def arguments(self, *arguments: str, configs: tuple[Path, ...] = ()) -> list[str]:
        """Words after ``snakemake``: options come first, targets after ``--``."""
        files = [str(path) for path in (*configs, self.config) if path.is_file()]
        words = ["--snakefile", str(self.snakefile), "--directory", str(self.folder)]
        words += ["--configfile", *files, "--cores", "2"]
        return [*words, *arguments] if arguments and arguments[0][0] == "-" else [*words, "--", *arguments]

    def command(self, *arguments: str, configs: tuple[Path, ...] = ()) -> list[str]:
        """What a user types."""
        return [sys.executable, "-m", "snakemake", *self.arguments(*arguments, configs=configs)]

    def __call__(self, *arguments: str, status: int = 0, configs: tuple[Path, ...] = ()) -> str:
        return snakemake(*self.arguments(*arguments, configs=configs), status=status, env=self.environment)

    def counts(self, *arguments: str, configs: tuple[Path, ...] = ()) -> dict[str, int]:
        """Jobs per rule of a dry run; empty when nothing is to do."""
        return counts_in(self("-n", *arguments, configs=configs))


def note_stopped(run: Run, *products: str) -> Path:
    """Note products as a killed run of this folder does; the path of the note."""
    note = run.folder / NOTE
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"results": "results/dr2", "products": products}))
    return note


def copy_checkout(root: Path, **card) -> None:
    """Copy the checkout; its only model, ``tiny``, has these entries in its card."""
    for folder in ("workflow", "scripts", "envs"):
        shutil.copytree(ROOT / folder, root / folder)  # with what is compiled, which keeps its dates
    (root / "config").mkdir()
    shutil.copy(ROOT / "config/config.yaml", root / "config")
    shutil.copy(ROOT / "Snakefile", root)
    write_tiny_model(root / "resources/models/tiny", **card)
    shutil.copy(ROOT / "resources/costs.csv", root / "resources")


def run_of(checkout: Path, folder: Path) -> Run:
    """Run the workflow of another checkout, with its own package."""
    run = Run(folder)
    run.snakefile = checkout / "Snakefile"
    run.environment |= {"PYTHONPATH": str(checkout / "scripts")}
    return run


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)
