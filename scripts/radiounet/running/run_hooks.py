"""What a run does at its begin and at its end, apart from its jobs."""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from radiounet.errors import BadDataError, RadioUNetError
from radiounet.images.regional_products import RECORD
from radiounet.images.writing import remove_leftovers
from radiounet.running.freshness import Freshness
from radiounet.running.job_graph import CLUSTER_FOLDER, JobGraph
from radiounet.running.locks import hold, let_go, require_free
from radiounet.running.progress import Progress
from radiounet.running.scratch import link_scratch
from radiounet.running.shelf import clear_shelf
from radiounet.running.snakemake_adapter import SnakemakeRun, snakemake_logger
from radiounet.running.stages import stages_of
from radiounet.running.status import summary
from radiounet.running.survey_regions import folders_at_rest, folders_of_run
from radiounet.settings.config import Config


class RunHooks:
    """Hooks of one run of Snakemake.

    Parameters
    ----------
    run : SnakemakeRun
    config : Config
    graph : JobGraph
    freshness : Freshness
    """

    def __init__(self, run: SnakemakeRun, config: Config, graph: JobGraph, freshness: Freshness):
        self._run, self._config, self._graph, self._freshness = run, config, graph, freshness
        self._products = graph.products
        self._progress: Progress | None = None
        self._begun: list[str] = []
        self._had_failed: bool | None = None
        """When the run was told to stop; None before."""
        self._handlers: dict[int, Any] = {}

    def begin(self) -> None:
        """Have the products for this run alone, clear up after one that was killed, and show progress.

        What fails leaves nothing of this run on record: Snakemake calls no hook for its end then.
        """
        with ExitStack() as undone:
            undone.callback(self._let_go)
            for folder in folders_of_run(self._graph):
                hold(folder)
            for folder in folders_at_rest(self._graph):
                require_free(folder)
            if self._config.scratch:
                link_scratch(self._products, self._config.scratch)
            self._freshness.fingerprints.keep()
            self._freshness.keep_settings()  # from here on, jobs of the run before write nothing
            undone.callback(self._freshness.forget_settings)
            self._clear_up()
            self._make_ready()
            undone.pop_all()

    def _make_ready(self) -> None:
        """Note what jobs will write, and show progress."""
        if self._config.on_reject == "stop":
            self._run.stop_at_failure()
        self._note_stop()
        self._run.watch_cluster()
        jobs = list(self._run.jobs())
        self._begun = [path for job in jobs if job.needed for path in job.outputs]
        rules = {job.rule for job in jobs if job.needed}
        makes = any(stage.lasting and stage.rule in rules for stage in stages_of(self._config))
        if makes and not self._run.touches:
            Path(self._products.region_file(RECORD)).unlink(missing_ok=True)  # no merge before they are made
        if self._config.select.merges_regions or any(job.mosaic or job.field for job in jobs):
            progress = Progress(self._products, jobs, quiet=not self._run.prints_jobs)
            self._run.tell_all_ends()
            self._progress = progress.start(snakemake_logger())
        self._freshness.stopped.note_begun(self._begun)  # at last, since nothing takes it back

    def _note_stop(self) -> None:
        """Note when the run is told to stop, and do then what Snakemake does.

        A terminal, ``timeout`` and Slurm tell the jobs as well, which then end as if they had failed.
        """
        if threading.current_thread() is not threading.main_thread():  # no signal reaches it
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            known = signal.getsignal(number)
            if callable(known):
                signal.signal(number, partial(self._stop, self._run.without_deadlock(known)))
                self._handlers[number] = known

    def _stop(
        self, known: Callable[[int, FrameType | None], Any], number: int, frame: FrameType | None
    ) -> None:
        self._had_failed = self._has_failed
        if self._progress is not None:
            self._progress.told_to_stop = True
        known(number, frame)

    @property
    def _has_failed(self) -> bool:
        """Whether a job or what runs jobs has failed, and not only since the run was told to stop."""
        of_jobs = self._progress is not None and self._progress.has_failed
        return of_jobs or (self._run.has_failed if self._had_failed is None else self._had_failed)

    def end(self, state: str) -> int:
        """Say how the run ended; returns its exit status: bad data has one of its own.

        Parameters
        ----------
        state : {'finished', 'failed'}
            As Snakemake says, which takes a run that was told to stop for failed.

        Raises
        ------
        RadioUNetError
            The run was told to stop, and no job had failed before.
        """
        progress = self._progress
        if state == "failed" and not self._has_failed:
            state = "stopped"
        try:
            if progress is not None:
                progress.end(state)
            self._run.read_records_anew()
            unseen = self._begun if state != "finished" else []
            self._freshness.stopped.note_ended(unseen if progress is None else progress.stopped)
        finally:
            try:
                self._freshness.forget_settings()
                self._clear_up()
            finally:  # also where nothing can be removed any more, as on a read-only disk
                self._let_go()
        rejected = 0 if progress is None else self._tell_rejected(progress)
        if state == "stopped":
            raise RadioUNetError(
                "the run was told to stop, and no job had failed before: the same command goes on"
            )
        return BadDataError.exit_status if rejected else 0

    def _let_go(self) -> None:
        for number, known in self._handlers.items():
            signal.signal(number, known)
        self._handlers.clear()
        for folder in folders_of_run(self._graph):
            let_go(folder)

    def _tell_rejected(self, progress: Progress) -> int:
        """Say how many were rejected, and where to look."""
        rejected = len(progress.rejected)
        if progress.finished("merge_catalogue") and not self._run.touches:
            listed, text = summary(self._products)
            snakemake_logger().info(text)
            rejected = rejected or listed
        elif rejected:
            stages = ", ".join(sorted({one.stage for one in progress.rejected}))
            logs = Path(self._products.log(stages)).parents[1]
            snakemake_logger().info(f"{rejected} rejected (in {stages}): see {logs}")
        return rejected

    def _clear_up(self) -> None:
        """Remove what killed jobs left half written, of this run or of one before."""
        clear_shelf(self._products)
        lists, training = self._config.archive.list_folder, f"{self._config.results}/training"
        notes = str(self._freshness.stopped.folder)
        for folder in (self._products.root, training, lists, CLUSTER_FOLDER, self._graph.model_folder, notes):
            merges = folder == self._products.root and self._config.select.merges_regions
            for path in remove_leftovers(folder, below=not merges):
                snakemake_logger().info(f"removed {path}, which a killed job left")
