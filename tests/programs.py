"""Scripts of rules, verbs of the command, and Snakemake, each run in a process of its own."""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
WARM = Path(__file__).with_name("warm.py")


@cache
def _warm(packages: str) -> subprocess.Popen:
    """Python that has done the imports, with the package of these folders."""
    process = subprocess.Popen(
        [sys.executable, str(WARM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": packages},
    )
    atexit.register(process.__exit__, None, None, None)
    return process


def run_program(
    *words: object, cwd: Path = ROOT, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run ``snakemake``, ``radiounet`` or a script, and wait for its end."""
    warm = _warm(env.get("PYTHONPATH", ""))
    with TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        order = {"words": [*map(str, words)], "folder": str(cwd), "environment": dict(env)}
        print(json.dumps(order | {"outputs": [*map(str, outputs)]}), file=warm.stdin, flush=True)
        status = int(warm.stdout.readline())
        return subprocess.CompletedProcess(words, status, *(path.read_text() for path in outputs))


def start(program: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run ``radiounet VERB``, or else a script by its name."""
    name, _, verb = program.partition(" ")
    words = [name, verb] if verb else [SCRIPTS / f"{name}.py"]
    return run_program(*words, *arguments, **options)


def snakemake(*arguments: str, status: int = 0, **options) -> str:
    """Run Snakemake to this exit status; returns all that it prints."""
    done = run_program("snakemake", *arguments, **options)
    text = done.stdout + done.stderr
    assert done.returncode == status, text
    return text
