"""What the benchmark programs share: whole processes, timed, with their peak memory."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Cost:
    """Wall time in s, peak resident memory in GB and CPU time in s of one process.

    The memory is the larger of its own and its children's; the CPU time is the sum.
    """

    seconds: float
    gigabytes: float
    output: str
    cpu_seconds: float


def run(command: list[str], **environment: str) -> Cost:
    """Run a command to its end; raise where it fails."""
    started = time.monotonic()
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Cost(time.monotonic() - started, usage.ru_maxrss / 1e6, output, cpu_seconds)


def snakemake(folder: Path, config: Path, *arguments: str) -> Cost:
    """Run the workflow in a folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "2", *arguments]
    return run(command)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
