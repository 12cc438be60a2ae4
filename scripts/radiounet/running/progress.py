"""How a run stands: one line in the terminal, a status file and a page, from Snakemake's own log events.

A handler of Snakemake's logger, which the Snakefile attaches when jobs begin to run. It is no
logger plugin: it comes with the workflow and knows its mosaics.
"""

import logging
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from radiounet.errors import RadioUNetError
from radiounet.images.products import Products
from radiounet.images.rejections import Rejection, read_left_out, read_rejection
from radiounet.images.words import one_line
from radiounet.running.snakemake_adapter import JobEvent, PlannedJob, job_event, terminal_handlers
from radiounet.running.status import Status, write_status

STATES = ("waiting", "running", "done", "failed")
COMPARES, PUBLISHES = ("compare", "verify"), ("publish",)
"""How the names of rules begin that work on finished mosaics."""
HOLD_REJECTIONS = (".json", ".fits", ".ecsv")
"""Kinds of products in whose place a rejection may stand, the quickest to read first."""
TERMINAL_S, LOG_S, FILES_S = 5.0, 60.0, 10.0
"""Time between lines on a terminal, between lines elsewhere, and between status files, s."""
SILENT_S = 120.0
"""A status file that says "running" and is older than this is that of a killed run, s."""
REASONS = (
    re.compile(r"slurmstepd.*(limit|CANCELLED|FAIL|oom_kill)"),
    re.compile(r" (ERROR|CRITICAL) "),
    re.compile(r" WARNING radiounet\.running\.stage: rejected "),  # by a run that is to stop there
    re.compile(r"^\w*Error\b"),
)
"""Where a log says why a job failed, best first: Slurm, a stage's log, a traceback."""
REFUSED = "SLURM sbatch failed"
"""How the executor begins to speak of a job that never began."""


@dataclass
class Job:
    """One job of the run."""

    planned: PlannedJob
    state: str = "waiting"
    began: float = 0.0
    attempts: int = 0


class Progress(logging.Handler):
    """Counts Snakemake's events, and writes how things stand while the run lasts.

    Parameters
    ----------
    products : Products
        Names the status file and page.
    jobs : iterable of PlannedJob
        All jobs of the run's graph, in the order of the walk. Mosaics on which none works that is to run,
        but to publish or compare them, are done. A product of each job is read for rejections: now, or
        when the job is done. A mosaic whose image or mask was rejected counts as rejected from then on.
    quiet : bool
        Keep Snakemake's words on single jobs off the terminal, where the line stands for
        them; warnings and errors stay, and its log file has all.
    stream : TextIO, optional
        Takes the line (default: standard error).

    Attributes
    ----------
    rejected : dict of Rejection
        What jobs of this run rejected, or passed on as rejected, each once.
    stopped : list of str
        Products of jobs that were running when the run ended.
    told_to_stop : bool
        Whether the run was: a job that ends as failed after that, without an error in its log, was told as
        well, and counts as one that was running.
    """

    def __init__(
        self,
        products: Products,
        jobs: Iterable[PlannedJob],
        quiet: bool = True,
        stream: TextIO | None = None,
    ):
        super().__init__()
        self._products = products
        self._release = products.title
        all_jobs = list(jobs)
        needed = [job for job in all_jobs if job.needed]
        self._jobs = {job.number: Job(job) for job in needed}
        self._of_mosaic: dict[str, list[Job]] = defaultdict(list)
        for job in self._jobs.values():
            if job.planned.mosaic and not job.planned.rule.startswith(COMPARES + PUBLISHES):
                self._of_mosaic[job.planned.mosaic].append(job)
        self._in_group = Counter(job.group for job in needed if job.group)
        # a comparison leaves the page of the survey as it is
        self._keeps_files = not all(job.rule.startswith(COMPARES) for job in needed)
        self._quiet = quiet
        self._silenced: list[logging.Handler] = []
        self._stream = stream or sys.stderr
        self._began = time.time()
        self._spent: dict[str, list[float]] = defaultdict(list)
        self._failures: dict[int, dict[str, Any]] = {}
        self._rejections: dict[Rejection, None] = {}  # each once: stages pass them on
        self.rejected: dict[Rejection, None] = {}
        self.stopped: list[str] = []
        self.told_to_stop = False
        self._rejected: set[str] = set()
        self._before = {job.mosaic for job in all_jobs if job.mosaic} - set(self._of_mosaic)
        for made in all_jobs:
            if not made.needed:
                self._look_for_rejections(made)
        self._last_line = self._last_files = 0.0
        self._width = 0
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True, name="progress")

    def start(self, logger: logging.Logger) -> "Progress":
        """Attach this handler to Snakemake's logger, and begin to write."""
        for handler in terminal_handlers(logger) if self._quiet else []:
            handler.addFilter(_is_no_chatter)
            self._silenced.append(handler)
        logger.addHandler(self)
        self._ticker.start()
        return self

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of one event."""
        if (told := job_event(record)) is None:
            return
        for number in self._jobs.keys() & told.numbers:
            if told.kind == "started":
                self._job_started(number)
            elif told.kind == "finished":
                self._job_finished(self._jobs[number])
            elif not self.told_to_stop or last_words(told.logs):
                self._job_failed(number, told)

    def _job_started(self, number: int) -> None:
        job = self._jobs[number]
        job.state, job.began = "running", time.time()
        job.attempts += 1
        self._failures.pop(number, None)

    def _job_finished(self, job: Job) -> None:
        job.state = "done"
        planned = job.planned
        # jobs of a group begin and end together, and share its time
        shared_by = self._in_group[planned.group] if planned.group else 1
        self._spent[planned.rule].append((time.time() - job.began) / shared_by)
        self.rejected |= dict.fromkeys(self._look_for_rejections(planned))

    def _look_for_rejections(self, job: PlannedJob) -> list[Rejection]:
        """Read one product of a job of a field or mosaic: a rejection stands in place of all of them."""
        kinds = {Path(path).suffix: path for path in job.outputs}
        path = next((kinds[kind] for kind in HOLD_REJECTIONS if kind in kinds), None)
        if path is None or not (job.field or job.mosaic) or job.rule.startswith(PUBLISHES):
            return []
        with suppress(RadioUNetError, OSError):  # whoever needs the product says what is wrong with it
            found = read_rejection(path)
            if found and job.mosaic and self._leaves_no_mask(job):
                self._rejected.add(job.mosaic)
            is_list = job.mosaic and path == self._products.left_out(job.mosaic)
            rejections = [found] if found else read_left_out(path) if is_list else []
            self._rejections |= dict.fromkeys(rejections)
            return rejections
        return []

    def _leaves_no_mask(self, job: PlannedJob) -> bool:
        """Whether without the products of a job its mosaic has no mask; other stages come after."""
        of_mosaic = {self._products.image(job.mosaic or ""), self._products.mask(job.mosaic or "")}
        return not of_mosaic.isdisjoint(job.outputs)

    def _job_failed(self, number: int, told: JobEvent) -> None:
        job = self._jobs[number]
        job.state = "failed"
        of_group = self._failures.get(number, {"log": "", "last_words": ""})  # told before its jobs
        words = told.message or of_group["last_words"]
        if not words.startswith(REFUSED):  # else its log is that of an earlier try
            words = last_words(told.logs) or words
        self._failures[number] = {
            "rule": job.planned.rule,
            "name": job.planned.mosaic or job.planned.field or "",
            "attempts": job.attempts,
            "log": told.logs[0] if told.logs else of_group["log"],
            "last_words": words,
        }

    def finished(self, rule: str) -> bool:
        """Whether a job of this rule has ended well in this run."""
        return bool(self._spent[rule])

    @property
    def has_failed(self) -> bool:
        """Whether a job has failed that was not tried again since."""
        return bool(self._failures)

    def status(self, state: str) -> Status:
        """Say how things stand."""
        self.acquire()
        try:
            jobs = Counter(job.state for job in self._jobs.values())
            stages: dict[str, Counter[str]] = defaultdict(Counter)
            for job in self._jobs.values():
                stages[job.planned.rule][job.state] += 1
            mosaics = Counter(self._mosaic_state(name, state) for name in self._of_mosaic)
            finished = sum(self._is_finished(name) for name in self._of_mosaic)
            mosaics.update("rejected" if name in self._rejected else "done" for name in self._before)
            hours = (time.time() - self._began) / 3600
            return Status(
                release=self._release,
                began=_clock(self._began),
                now=_clock(time.time()),
                valid_until=_clock(time.time() + SILENT_S) if state == "running" else None,
                state=state,
                jobs={one: jobs[one] for one in STATES},
                mosaics={one: mosaics[one] for one in (*STATES, "rejected")},
                stages={rule: {one: found[one] for one in STATES} for rule, found in stages.items()},
                mosaics_per_hour=finished / hours if finished else None,
                hours_left=self._hours_left(hours),
                failed=list(self._failures.values()),
                rejected=[asdict(one) for one in self._rejections],
            )
        finally:
            self.release()

    def _mosaic_state(self, name: str, run: str) -> str:
        states = {job.state for job in self._of_mosaic[name]}
        if "failed" in states:
            return "failed"
        if name in self._rejected:  # what is left for it to do is to pass that on
            return "rejected"
        if self._is_finished(name):
            return "done"
        # a run that has ended works on a mosaic only as long as a job of it goes on
        goes_on = "running" in states or (run == "running" and states != {"waiting"})
        return "running" if goes_on else "waiting"

    def _is_finished(self, name: str) -> bool:
        return all(job.state == "done" for job in self._of_mosaic[name])

    def _hours_left(self, hours: float) -> float | None:
        """Work left over work done, each rule's jobs weighted by their mean time so far."""
        if not any(self._spent.values()):
            return None
        means = {rule: sum(spent) / len(spent) for rule, spent in self._spent.items() if spent}
        typical = sum(means.values()) / len(means)
        work = {True: 0.0, False: 0.0}
        for job in self._jobs.values():
            work[job.state == "done"] += means.get(job.planned.rule, typical)
        return hours * work[False] / work[True] if work[True] and work[False] else None

    def _tick(self) -> None:
        while not self._ended.wait(TERMINAL_S):
            self.write("running")

    def write(self, state: str, at_once: bool = False) -> None:
        """Write line, status file and page, each no more often than is useful."""
        now = time.monotonic()
        terminal = self._stream.isatty()
        line_due = at_once or now - self._last_line >= (TERMINAL_S if terminal else LOG_S)
        files_due = self._keeps_files and (at_once or now - self._last_files >= FILES_S)
        if not (line_due or files_due):
            return
        status = self.status(state)
        if line_due:
            self._last_line = now
            self._write_line(status.line(), terminal and not at_once)
        if files_due:
            self._last_files = now
            try:
                write_status(status, self._products)
            except OSError as error:  # a full disk stops jobs, never the run that reports them
                self._say(f"status not written: {one_line(error)}\n")

    def _write_line(self, text: str, in_place: bool) -> None:
        padded = text.ljust(self._width)
        self._width = len(text) if in_place else 0
        self._say(f"\r{padded}" if in_place else f"{padded}\n")

    def _say(self, text: str) -> None:
        with suppress(OSError):  # a terminal that is lost costs its line, never the run or its page
            self._stream.write(text)
            self._stream.flush()

    def end(self, state: str) -> None:
        """Write the last word of a run."""
        self._ended.set()
        self._ticker.join()
        for handler in self._silenced:
            handler.removeFilter(_is_no_chatter)
        running = (job.planned.outputs for job in self._jobs.values() if job.state == "running")
        self.stopped = [path for paths in running for path in paths]
        self.write(state, at_once=True)


def _is_no_chatter(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO


def last_words(logs: Iterable[str]) -> str:
    """Why a job failed: Slurm's own words where it was killed, or the last error of its log."""
    lines = [
        line
        for log in map(Path, logs)
        if log.is_file()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    for pattern in REASONS:
        if found := [line for line in lines if pattern.search(line)]:
            return found[-1].strip()
    return ""


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
