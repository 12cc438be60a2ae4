"""Waiting for what other programs do."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 600.0  # what hangs ends here; far more than a busy machine takes


def wait_until(condition: Callable[[], object], state: Callable[[], object] | None = None) -> object:
    """Wait for a condition and return what it gives; say the state of things where it never holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"nothing after {PATIENCE_S:g} s: {state() if state else condition}")


def is_alive(group: int) -> bool:
    """Whether a process of a group is left that has not ended.

    A container may have nobody who reaps those that ended.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False
