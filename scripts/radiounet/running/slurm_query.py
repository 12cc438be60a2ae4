"""What Slurm says of jobs, so that a run loses none while Slurm does not answer."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}
"""States of a job that does not go on. After ``PREEMPTED`` Slurm may queue it again."""
NODE_FAIL = "NODE_FAIL"
"""State of a job whose node was lost: the plug-in gives it up, unless Slurm may queue it again."""
PREEMPTED = "PREEMPTED"
"""State of a job that had to make room, of which the plug-in waits for what Slurm does next."""
LOST_S = 180.0
"""A job that ``squeue`` does not show for so long, after it was queued or ran, has ended unseen, s."""
QUERY_TRIES, QUERY_PAUSE_S = 3, 5.0
"""Queries before Slurm is said not to answer, and the time between them, s."""


class SlurmQuery:
    """Wraps the plug-in's status query, so that the run goes on while Slurm does not answer.

    The plug-in forgets all jobs of a poll in which every query failed, and the run waits for ever.
    An empty table makes it ask again at its next poll, so a failed query is repeated here first.
    ``squeue`` shows no job that ended longer ago than ``MinJobAge``: one that ended so while Slurm did
    not answer counts as failed, and is tried again.

    Parameters
    ----------
    ask : callable
        Of the plug-in, whose place this takes.
    queues_again : bool
        Whether Slurm queues a job again whose node was lost (``--slurm-requeue``).
    never_again : bool
        Whether Slurm queues no job again (``--slurm-no-requeue``): one that was preempted has failed.
    """

    def __init__(
        self,
        ask: Callable[[str, logging.Logger], Awaitable[tuple[dict[str, str] | None, float | None]]],
        queues_again: bool = False,
        never_again: bool = False,
    ):
        self._ask = ask
        self._ended = ENDED if queues_again else {*ENDED, NODE_FAIL}
        self._never_again = never_again
        self._is_silent = False
        self._going: set[str] = set()
        self._missing: dict[str, float] = {}

    async def __call__(self, command: str, logger: logging.Logger) -> tuple[dict[str, str], float]:
        """States of jobs by their numbers, none where Slurm does not answer; and how long that took, s."""
        for tried in range(QUERY_TRIES):
            if tried:
                await asyncio.sleep(QUERY_PAUSE_S)
            table, took = await self._ask(command, logger)
            if table is not None:
                break
        program, is_silent = command.split()[0], table is None
        if is_silent != self._is_silent:
            words = "does not answer: the run waits, and asks again" if is_silent else "answers again"
            logger.warning(f"Slurm ({program}) {words}")
        self._is_silent = is_silent
        if table is None:
            return {}, 0.0
        if self._never_again:
            table = {number: "CANCELLED" if is_ == PREEMPTED else is_ for number, is_ in table.items()}
        self._going -= {number for number, state in table.items() if state in self._ended}
        if program == "squeue":
            lost = self._lost(table)
            for number in lost:
                logger.warning(f"Slurm does not show job {number} any more: it counts as failed")
            table = table | dict.fromkeys(lost, "ERROR")
        return table, took or 0.0

    def _lost(self, table: dict[str, str]) -> list[str]:
        self._going |= {number for number, state in table.items() if state not in self._ended}
        now = time.monotonic()
        self._missing = {one: self._missing.get(one, now) for one in self._going - table.keys()}
        lost = sorted(one for one, since in self._missing.items() if now - since >= LOST_S)
        self._going -= set(lost)
        return lost
