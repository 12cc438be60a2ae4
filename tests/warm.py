"""The programs of this project, forked after their imports, which take most of the time of a short run.

Each line of standard input asks for one run; the answer is its exit status.
"""

import json
import os
import runpy
import sys

from snakemake.cli import main as snakemake

import radiounet.measuring.clusters  # noqa: F401  what most programs import, sooner or later
import radiounet.publishing.report  # noqa: F401
import radiounet.running.rules  # noqa: F401
from radiounet.running.cli import main as radiounet_command

COMMANDS = {"snakemake": snakemake, "radiounet": radiounet_command}


def run(words: list[str], folder: str, environment: dict[str, str], outputs: list[str]) -> None:
    """Run a command, or the script of a file, in this process."""
    for number, path in enumerate(outputs, 1):
        with open(path, "wb") as stream:
            os.dup2(stream.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    if command := COMMANDS.get(words[0]):
        command(words[1:])
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        if child := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            sys.stdout.write(f"{status}\n")
            sys.stdout.flush()
        else:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            run(**json.loads(line))
            sys.exit()
