"""Scripts of rules, verbs of the command, and Snakemake, each run in a process of its own."""

import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
WARM = Path(__file__).with_name("warm.py")


def stand_in(packages: str) -> str:
    """A program in place of Python: scripts and Snakemake are forked where the imports are done."""
    return f"{_warm(packages)}.python"


@cache
def _warm(packages: str) -> str:
    """Address of Python that has done the imports, with the package of these folders."""
    folder = TemporaryDirectory(prefix="warm-")
    address = f"{folder.name}/orders"
    process = subprocess.Popen(
        [sys.executable, str(WARM), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": packages, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    atexit.register(folder.cleanup)
    atexit.register(process.__exit__, None, None, None)
    assert process.stdout.readline() == "ready\n"
    return address


def run_program(
    *words: object, cwd: Path = ROOT, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run ``snakemake``, ``radiounet`` or a script, and wait for its end."""
    order = {"words": [*map(str, words)], "folder": str(cwd), "environment": dict(env)}
    with (
        socket.socket(socket.AF_UNIX) as server,
        open(os.devnull) as nothing,
        TemporaryFile("w+") as stdout,
        TemporaryFile("w+") as stderr,
    ):
        server.connect(_warm(env.get("PYTHONPATH", "")))
        socket.send_fds(server, [b" "], [stream.fileno() for stream in (nothing, stdout, stderr)])
        server.sendall(json.dumps(order).encode() + b"\n")
        status = int(server.makefile().readline())
        for stream in (stdout, stderr):
            stream.seek(0)
        return subprocess.CompletedProcess(words, status, stdout.read(), stderr.read())


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
