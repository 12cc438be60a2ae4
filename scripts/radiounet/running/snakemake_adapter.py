"""All that touches the inside of Snakemake; tested against the version that pyproject.toml pins."""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from radiounet.errors import ConfigError, RadioUNetError
from radiounet.images.provenance import PACKAGE, code_hash, hash_of_package
from radiounet.running.access import permitted, refuse_protected
from radiounet.running.slurm_query import SlurmQuery

if TYPE_CHECKING:
    from snakemake.dag import DAG
    from snakemake.rules import Rule
    from snakemake.workflow import Workflow


@dataclass(frozen=True)
class PlannedJob:
    """One job of the graph."""

    number: int
    rule: str
    mosaic: str | None
    needed: bool
    """Whether it is to run."""
    group: str | None
    """Jobs of one group are submitted as one."""
    field: str | None = None
    outputs: tuple[str, ...] = ()


class SnakemakeRun:
    """The workflow object of Snakemake, as far as it is used here.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The global of that name in a Snakefile.
    levels : int
        How far below the workflow's folder the Snakefile lies that is read now.

    Attributes
    ----------
    folder : str
        Of this workflow, also where it is a module of another one.

    Raises
    ------
    ConfigError
        The workflow is no folder here, or the installed package has other code than that of this
        checkout, which its scripts would use.
    """

    def __init__(self, workflow: Workflow, levels: int = 0):
        self._workflow = workflow
        self._counted, self._in_group = 0, Counter[str | None]()
        here = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).absolute()
        self.folder = folder = str([here, *here.parents][levels])
        own = Path(folder, "scripts", "radiounet")
        if not Path(folder).is_dir():
            raise ConfigError(f"{folder} is no folder: a module must be a clone on this file system")
        if own.is_dir() and own.resolve() != PACKAGE.resolve() and hash_of_package(own) != code_hash():
            raise ConfigError(
                f"Python has radiounet from {PACKAGE}, but this workflow is that of {folder}: "
                f"run `make env` there and use its .venv, or `pip install --editable {folder}`"
            )

    @property
    def is_main(self) -> bool:
        """Whether this process decides what is run; a job reads the Snakefile as well."""
        return bool(self._workflow.is_main_process)

    @property
    def config_files(self) -> list[str]:
        """Configuration files, in the order in which they are merged."""
        return [str(path) for path in self._workflow.configfiles]

    @property
    def python(self) -> str:
        """The Python of the jobs: this one, or that of the environment which Snakemake makes for them."""
        return "python" if self._workflow.deployment_settings.deployment_method else sys.executable

    @property
    def jobs_at_once(self) -> int | None:
        """Jobs that are submitted at once; None without a cluster."""
        nodes: int | None = self._workflow.resource_settings.nodes
        return nodes

    @property
    def connections(self) -> int | None:
        """Downloads at once; None where neither a profile nor the command line limits them."""
        limit: int | None = self._workflow.global_resources.get("connections").value
        return limit

    def warn_without_profile(self) -> None:
        """Say that no profile of this workflow is in use; Snakemake does not find those of a module."""
        if self.connections is None:
            snakemake_logger().warning(
                "nothing limits downloads (resource connections), so no profile of this workflow is in use, "
                "and failed jobs may not be tried again: "
                f"add --workflow-profile {self.folder}/profiles/default"
            )

    @property
    def prints_jobs(self) -> bool:
        """Whether the user asked to see every job."""
        asked = self._workflow.output_settings
        return bool(asked.verbose or asked.printshellcmds)

    @property
    def touches(self) -> bool:
        """Whether jobs only mark their products as new (``--touch``)."""
        return bool(self._workflow.touch)

    def around_graph(self, look: Callable[[], None], tell: Callable[[], None]) -> None:
        """Call one function before the job graph is built, whatever its targets are, and one after it.

        An error that it raises on purpose ends the run in one line, and so does a product that cannot be
        used. The same holds for the functions of rules, and for what the run does when jobs begin and end.
        """
        from snakemake.dag import DAG

        known = DAG.init

        async def init(graph: DAG, progress: bool = False) -> None:
            with in_one_line():
                if graph.workflow is self._workflow:
                    self._guard_hooks()
                    look()
                await known(graph, progress=progress)
                if graph.workflow is self._workflow:
                    tell()

        DAG.init = init
        self._guard_functions()
        self._guard_outputs()

    def _guard_outputs(self) -> None:
        """Have outputs that may not be overwritten end the run in one line, with all that it would write."""
        from snakemake.dag import DAG
        from snakemake.exceptions import ProtectedOutputException

        known = DAG.check_jobs

        async def check_jobs(graph: DAG) -> None:
            with in_one_line():
                try:
                    await known(graph)
                except ProtectedOutputException:
                    refuse_protected(path for job in graph.needrun_jobs() for path in job.output)
                    raise

        DAG.check_jobs = check_jobs

    def _guard_functions(self) -> None:
        """Have errors of the functions of rules end the run, also where Snakemake would go on without.

        It takes a product that is there for up to date when its rule cannot say what it is made from.
        """
        from snakemake.exceptions import InputFunctionException
        from snakemake.rules import Rule

        known = Rule.apply_input_function

        def apply(rule: Rule, *args: Any, **options: Any) -> Any:
            with in_one_line():
                try:
                    return known(rule, *args, **options)
                except InputFunctionException as error:
                    if isinstance(error.__context__, RadioUNetError | OSError):
                        raise error.__context__ from None
                    raise

        Rule.apply_input_function = apply

    def _guard_hooks(self) -> None:
        for name in ("_onstart", "_onsuccess", "_onerror"):
            setattr(self._workflow, name, in_one_line()(getattr(self._workflow, name)))

    def watch_cluster(self) -> None:
        """Lose no job that Slurm does not answer for, and no word of why one failed; call before jobs run."""
        if self.jobs_at_once is None:
            return
        settings = self._workflow.executor_settings  # none for --touch, which submits nothing
        plugin = sys.modules.get("snakemake_executor_plugin_slurm")  # imported whatever the executor is
        if plugin and isinstance(settings, plugin.ExecutorSettings):
            query = SlurmQuery(plugin.query_job_status, settings.requeue, settings.no_requeue)
            vars(plugin)["query_job_status"] = query
        tell_why_groups_fail()

    def tell_all_ends(self) -> None:
        """Have Snakemake tell when jobs end, also with ``--quiet``; call when jobs are about to run."""
        self._workflow.scheduler.print_progress = True

    def without_deadlock(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A handler of signals that does not wait for a lock of the thread that it interrupts.

        That of Snakemake's scheduler does, and then the run never ends. It waits in a thread of its own here.
        """
        if handler != self._workflow.scheduler.exit_gracefully:
            return handler
        return lambda *told: Thread(target=handler, args=told, daemon=True).start()

    @property
    def has_failed(self) -> bool:
        """Whether a job or what runs jobs has failed for good: a run may end early since it was stopped."""
        scheduler = self._workflow.scheduler
        return bool(scheduler.failed or scheduler._executor_error)

    def stop_at_failure(self) -> None:
        """Begin no job after one has failed, whatever a profile says; call when jobs are about to run."""
        self._workflow.scheduler.keepgoing = False

    def has_partition(self, rule: str) -> bool:
        """Whether a profile or the command line names a partition for a rule."""
        return "slurm_partition" in self._workflow.resource_settings.overwrite_resources.get(rule, {})

    @property
    def targets(self) -> list[tuple[str, str | None]]:
        """Rule and mosaic of the jobs that this process was started for; none in the main one."""
        return [
            (spec.rulename, (spec.wildcards_dict or {}).get("mosaic"))
            for spec in sorted(self._workflow.dag_settings.target_jobs, key=repr)
        ]

    @property
    def on_cluster(self) -> bool:
        """Whether jobs are submitted, or this is a job of those."""
        return self.jobs_at_once is not None or not self.is_main

    def join(self, group: str, most: int, one_at_a_time: str) -> None:
        """Submit all jobs of a group together, at most so many, and run them one after another.

        Without this, Snakemake joins only jobs of a group that depend on each other, and runs the
        others at the same time.

        Parameters
        ----------
        group : str
        most : int
        one_at_a_time : str
            Resource of which each job asks for one.
        """
        settings = self._workflow.group_settings
        settings.group_components = {**settings.group_components, group: most}
        self._workflow.register_resource(one_at_a_time, 1)
        self._workflow.resource_scopes[one_at_a_time] = "local"

    def jobs_in(self, group: str) -> int:
        """Jobs of a group that are to run; 0 while the job graph is built."""
        needed = self._workflow.dag._needrun
        if len(needed) != self._counted:  # counting again for every job would take minutes
            self._counted, self._in_group = len(needed), Counter(job.group for job in needed)
        return self._in_group[group]

    def make_again(self, paths: Iterable[str]) -> None:
        """Have files made again even where they are; call while the job graph is built."""
        self._workflow.dag.forcefiles.update(paths)

    @property
    def records(self) -> Path:
        """Folder of Snakemake's records; known when the job graph is built."""
        return Path(self._workflow.persistence.path)

    def ended(self, path: str) -> float | None:
        """Date that a product had when its job ended (Unix time); None where that is not on record."""
        record = self._workflow.persistence._read_record(path)
        return None if record is None else record.endtime

    def read_records_anew(self) -> None:
        """Have `ended` know of the last jobs: Snakemake keeps in mind that they had no record before."""
        self._workflow.persistence._clear_cache()

    def jobs(self) -> Iterator[PlannedJob]:
        """Jobs of the graph, each after those that it depends on."""
        dag = self._workflow.dag
        for level in dag.toposorted():
            for job in level:
                mosaic, field = map(job.wildcards_dict.get, ("mosaic", "field"))
                about = mosaic, bool(dag.needrun(job)), job.group, field, tuple(map(str, job.output))
                yield PlannedJob(dag.jobid(job), job.rule.name, *about)


@contextmanager
def in_one_line() -> Iterator[None]:
    """End the run with the words of an error that was raised on purpose: Snakemake would add a traceback."""
    from snakemake.exceptions import CliException

    try:
        with permitted():
            yield
    except RadioUNetError as error:
        raise CliException(str(error)) from None


@contextmanager
def in_one_line_while_parsing() -> Iterator[None]:
    """The same while a Snakefile is read: there Snakemake adds a traceback to its own errors, too."""
    try:
        yield
    except RadioUNetError as error:
        sys.exit(f"Error: {error}")


def is_output_folder(path: str | Path) -> bool:
    """Whether a folder is what a job left in the place of an output that is a folder."""
    return Path(path, ".snakemake_timestamp").exists()


def snakemake_logger() -> logging.Logger:
    """The logger of Snakemake, whose records tell how jobs fare."""
    from snakemake.logging import logger

    found: logging.Logger = logger
    return found


def tell_why_groups_fail() -> None:
    """Have the error of a group say why it failed, which Snakemake drops, such as the words of ``sbatch``."""
    from snakemake.jobs import GroupJob

    known = GroupJob.log_error

    def log_error(
        group: GroupJob, msg: str | None = None, aux_logs: list[str] | None = None, **about: object
    ) -> None:
        words = _reason(msg)
        if words:
            snakemake_logger().error(f"{group.groupid}: {words}")
        known(group, aux_logs=aux_logs, words=words, **about)

    GroupJob.log_error = log_error


def _reason(message: str | None) -> str:
    """What a message of an executor says of a failure, without the long command of a submission."""
    reason = re.split(r"\n\s*sbatch call:|For further error details", message or "")[0]
    return " ".join(reason.split())


def terminal_handlers(logger: logging.Logger) -> list[logging.Handler]:
    """What prints the words of Snakemake's logger on the terminal."""
    # a log file is a stream handler, too
    return [
        handler
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
    ]


@dataclass(frozen=True)
class JobEvent:
    """What Snakemake tells of jobs while it runs them.

    Attributes
    ----------
    kind : {'started', 'finished', 'failed'}
    numbers : tuple of int
        Of the jobs, as in `PlannedJob`.
    logs : tuple of str
        Log files of a job that failed.
    message : str
        What the executor says of it.
    """

    kind: str
    numbers: tuple[int, ...]
    logs: tuple[str, ...] = ()
    message: str = ""


def job_event(record: logging.LogRecord) -> JobEvent | None:
    """What a record of Snakemake's logger tells of jobs; None for any other record."""
    told = vars(record)  # what Snakemake tells of an event is no part of Python's own record
    event = str(told.get("event", ""))
    if event == "job_started":  # a group is told by a name of its own
        return JobEvent("started", tuple(told["jobs"]))
    if event == "group_info":  # of a group that begins
        return JobEvent("started", tuple(job.jobid for job in told["jobs"]))
    if event == "job_finished":
        return JobEvent("finished", (told["job_id"],))
    if event == "group_error":  # before those of its jobs; only this one has the log of Slurm
        numbers = tuple(job["jobid"] for job in told["job_error_info"])
        return JobEvent("failed", numbers, tuple(map(str, told["aux_logs"])), told.get("words", ""))
    if event == "job_error":
        logs = tuple(str(path) for path in told["log"] or ())
        return JobEvent("failed", (told["jobid"],), logs, _reason(told["rule_msg"]))
    return None
