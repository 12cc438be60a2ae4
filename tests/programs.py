"""Scripts of rules, and verbs of the command, as processes."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
COMMAND = [sys.executable, "-c", "from radiounet.running.cli import main; main()"]


def start(program: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run ``radiounet VERB``, or else a script by its name, and wait for its end."""
    name, _, verb = program.partition(" ")
    head = [*COMMAND, verb] if name == "radiounet" else [sys.executable, str(SCRIPTS / f"{name}.py")]
    return subprocess.run(
        [*head, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )
