"""Snakemake whose Slurm executor looks at its jobs every second.

The executor waits 10 s longer after every look at which nothing had ended, which no option changes.
Where `PYTHON_OF_JOBS` names a program, jobs run it in place of Python.
"""

import os
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

LONGEST_S = 1
known = RemoteExecutor.next_seconds_between_status_checks
RemoteExecutor.next_seconds_between_status_checks = property(
    known.fget, lambda executor, seconds: known.fset(executor, min(seconds, LONGEST_S))
)

if __name__ == "__main__":
    sys.executable = os.environ.get("PYTHON_OF_JOBS", sys.executable)
    sys.exit(main())
