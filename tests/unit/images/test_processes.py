"""Workers of a program that is killed end, too."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.waiting import PATIENCE_S, is_alive, wait_until

from programs import ROOT, SCRIPTS

POOLS = {
    "publication": """
from radiounet.publishing.side_by_side import side_by_side
side_by_side(nap, [1, 2], 2, "naps")
""",
    "scores": """
from radiounet.learning import score_sets
from radiounet.settings.train import LOTSS_GRID
score_sets._simulate = nap
score_sets.simulated_set("own", 1, 2, ".", 2, LOTSS_GRID)
""",
    "training": """
from radiounet.learning.legs import Supply
next(Supply(nap, 2).samples(1))
""",
}


def nap(*_):
    """Work without end, once this is known."""
    Path(f"{os.getpid()}.began").touch()
    time.sleep(PATIENCE_S)


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_workers_end_with_the_program_that_is_killed(tmp_path, pool):
    """The system kills only the first process, such as that with the most memory."""
    paths = os.pathsep.join(map(str, [SCRIPTS, ROOT, ROOT / "tests", Path(__file__).parent]))
    program = subprocess.Popen(
        [sys.executable, "-c", f"from test_processes import nap\n{POOLS[pool]}"],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        wait_until(lambda: program.poll() is not None or len([*tmp_path.glob("*.began")]) == 2)
        program.kill()
        assert program.wait() == -signal.SIGKILL
        wait_until(lambda: not is_alive(program.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
