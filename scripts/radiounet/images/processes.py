"""Processes that work for another one."""

import os
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread


def end_with_parent() -> None:
    """End this worker at once when the process that it works for ends, however that ends.

    Use as the initializer of a process pool, or call it from one. Workers that wait for work otherwise stay
    for ever where their parent was killed: they hold each other's pipes open.
    """
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
