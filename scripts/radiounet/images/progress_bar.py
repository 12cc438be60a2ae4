"""Progress bars: for people at a terminal, never in a job of the workflow."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

Item = TypeVar("Item")
_shown = False


def show_bars() -> None:
    """Have bars shown from now on, where standard error is a terminal; the command ``radiounet`` calls it."""
    global _shown
    _shown = True


def with_bar(
    items: Iterable[Item],
    what: str,
    total: int,
    *,
    done: int = 0,
    size: Callable[[Item], int] = lambda _: 1,
) -> Iterator[Item]:
    """Pass items on unchanged, and show how many have passed.

    Parameters
    ----------
    items : iterable
    what : str
        What is counted, such as ``tiles``.
    total, done : int
        How many there are in all, and how many were done before.
    size : callable
        How many an item counts for.
    """
    if not _shown:
        yield from items
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=total, initial=done, disable=None, leave=False, dynamic_ncols=True) as bar:
        for item in items:
            yield item
            bar.update(size(item))


def bars_aside() -> AbstractContextManager[None]:
    """Take the bars away while something else is written to the terminal."""
    if not _shown:
        return nullcontext()
    from tqdm import tqdm

    return tqdm.external_write_mode(sys.stderr)
