"""Running Snakemake on small surveys."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


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
        self.cwd: Path | None = None
        self.environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def write_config(self, **content) -> None:
        self.config.write_text(yaml.safe_dump({"clusters": None} | content))

    def command(self, *arguments: str, configs: tuple[Path, ...] = ()) -> list[str]:
        files = [str(path) for path in (*configs, self.config) if path.is_file()]
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(self.folder), "--configfile", *files, "--cores", "2"]
        return (
            [*command, "--", *arguments]
            if not arguments or arguments[0][0] != "-"
            else [
                *command,
                *arguments,
            ]
        )

    def __call__(self, *arguments: str, status: int = 0, configs: tuple[Path, ...] = ()) -> str:
        done = subprocess.run(
            self.command(*arguments, configs=configs),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.cwd,
            check=False,
        )
        text = done.stdout + done.stderr
        assert done.returncode == status, text
        return text

    def counts(self, *arguments: str, configs: tuple[Path, ...] = ()) -> dict[str, int]:
        """Jobs per rule of a dry run; empty when nothing is to do."""
        return counts_in(self("-n", *arguments, configs=configs))


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)
