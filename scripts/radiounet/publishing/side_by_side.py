"""Work on many mosaics or tiles of a publication in several processes."""

import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.forkserver import ensure_running
from typing import Any, TypeVar

from radiounet.images.processes import end_with_parent
from radiounet.images.progress_bar import with_bar
from radiounet.images.writing import check_before_renaming, checks_before_renaming

Thing = TypeVar("Thing")
Made = TypeVar("Made")

PRELOADED = ["radiounet.publishing.publication"]
"""What processes of a publication import: once, by the server that they are forked from."""


def start_server() -> None:
    """Have the server import what the processes need, while this process goes on with its own imports."""
    get_context("forkserver").set_forkserver_preload(PRELOADED)
    # the server and its processes ignore Ctrl-C from their start: this process answers it
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def side_by_side(
    work: Callable[[Thing], Made], things: Iterable[Thing], processes: int, what: str
) -> list[Made]:
    """Work on things in several processes; what was made of each, in their order.

    Parameters
    ----------
    work : callable
        Goes to each process once, with all that it holds.
    things : iterable
    processes : int
        At most.
    what : str
        What a progress bar counts, such as ``mosaics``.
    """
    waiting = list(things)
    count = min(processes, len(waiting))
    if count < 2:
        return list(with_bar(map(work, waiting), what, len(waiting)))
    start_server()
    started = work, checks_before_renaming()
    with ProcessPoolExecutor(count, get_context("forkserver"), _remember, started) as pool:
        return list(with_bar(pool.map(_work_on, waiting), what, len(waiting)))


_WORK: list[Callable[[Any], Any]] = []


def _remember(work: Callable, checks: Iterable[Callable[[], None]]) -> None:
    end_with_parent()
    for check in checks:
        check_before_renaming(check)
    _WORK.append(work)


def _work_on(thing: Any) -> Any:
    return _WORK[0](thing)
