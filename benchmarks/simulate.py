"""Time and memory of one simulated pair, as whole processes on one core and without the start of Python."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, print_table, run
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.simulate import write_pair

PAIRS = 15


def main() -> None:
    """Print the table."""
    # inherited by the processes started here
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    options = SimulateOptions()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.fits"
        program = [sys.executable, str(ROOT / "scripts" / "simulate.py"), "--out", str(path)]
        whole = [run([*program, "--pair", str(seed)]) for seed in range(PAIRS)]
        inside = []
        for seed in range(PAIRS):
            started = time.monotonic()
            write_pair(path, options, seed)
            inside.append(time.monotonic() - started)
    rows = []
    for name, seconds in (("whole process", [one.seconds for one in whole]), ("the pair alone", inside)):
        rows.append([name, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"])
    print(f"Pairs 0 to {PAIRS - 1} of {options.n_px} x {options.n_px} px, one core; goal: 5 s.")
    print(f"Largest peak memory: {max(one.gigabytes for one in whole):.2f} GB.\n")
    print_table(["one pair", "median, s", "longest, s"], rows)


if __name__ == "__main__":
    main()
