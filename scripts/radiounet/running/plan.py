"""What a run will take, before anything runs: jobs, core-hours, bytes, wall time.

Times are those of `resources/costs.csv` (`benchmarks/costs.py` measures them),
stretched by what this machine's own jobs took where the run has left
benchmark files already.
"""

import csv
import statistics
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from radiounet.errors import ModelError
from radiounet.images.regional_products import products_at
from radiounet.images.words import enumerated
from radiounet.running.job_graph import JobGraph
from radiounet.running.stages import Stage, are_done, stages_of
from radiounet.running.status import duration
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.components import ALL
from radiounet.settings.config import Config

if TYPE_CHECKING:
    from radiounet.running.snakemake_adapter import SnakemakeRun

COSTS = CHECKOUT / "resources" / "costs.csv"
ASSUMED_MB_PER_S = 20.0  # of one connection to the archive; never measured
CONNECTIONS = 4  # of the profiles default and slurm
JOBS = 200  # at once on a cluster: of the profile slurm
FLOAT_BYTES = 4
CLASS_BYTES = 0.42
"""Of a compressed map of a class, for each pixel: measured on one mosaic of 5,916 px."""
SLURM = "slurm_job"
STATUS_S = 40.0  # between two looks of the Slurm executor at its jobs; a job that ended waits for half of it


@dataclass(frozen=True)
class Cost:
    """Time of one rule's job: ``seconds + seconds_per_unit * units``."""

    seconds: float
    seconds_per_unit: float
    unit: str
    cores: int


@dataclass(frozen=True)
class PlannedStage:
    """One stage of the plan."""

    stage: Stage
    jobs: int
    submissions: int  # jobs of a cluster
    done: int
    seconds: float  # of one job, mean
    longest: float
    cores: int
    stretch: float | None  # this machine over the shipped costs; None where it has run none

    @property
    def core_hours(self) -> float:
        """Core-hours of all its jobs."""
        return self.jobs * self.seconds * self.cores / 3600


UNMEASURED = Cost(0.0, 0.0, "", 1)


def read_costs(path: str | Path = COSTS) -> dict[str, Cost]:
    """Read the shipped costs: rule, seconds, seconds_per_unit, unit, cores."""
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        return {
            row["rule"]: Cost(
                float(row["seconds"]), float(row["seconds_per_unit"]), row["unit"], int(row["cores"])
            )
            for row in rows
        }


class Plan:
    """The plan of a configured survey.

    Parameters
    ----------
    config : Config
    graph : JobGraph
        Its lists must be there.
    costs : dict of str to Cost
    field_px : int
        Side of a field's image.
    connections : int
        Downloads at once.
    submitted : collection of str
        Rules of downloads that are jobs of the cluster, too; others run beside Snakemake.
    """

    def __init__(
        self,
        config: Config,
        graph: JobGraph,
        costs: dict[str, Cost],
        field_px: int,
        connections: int = CONNECTIONS,
        submitted: Collection[str] = (),
    ):
        self._config, self._graph, self._costs = config, graph, costs
        self._field_px, self._connections, self._submitted = field_px, connections, submitted
        products = config.products
        # a list of regions may be left of an earlier run
        self._products = products_at(products.root) if config.select.merges_regions else products
        self._mosaics = [*graph.selected, *graph.neighbours]
        self.stages = [self._planned(stage) for stage in stages_of(config)]

    def _names(self, stage: Stage) -> list[str]:
        names = {
            "field": self._graph.fields_used,
            "mosaic": self._mosaics,
            "selected": self._graph.selected,
            "table": self._graph.component_tables,
        }
        return names.get(stage.each, [self._config.survey])

    def _units(self, stage: Stage, name: str) -> float:
        """Size of one job, in units of the costs."""
        if stage.unit == "GB":
            pixels = 2e-6 * self._field_px**2 if stage.each == "field" else self.mpx(name)
            return pixels * FLOAT_BYTES / 1e3
        if stage.unit == "picture":
            # and at most as many of islands away from clusters, which nobody knows before the run
            most = self._config.report.max_pictures
            return min(self._graph.cluster_count, most) + most
        if stage.unit == "mosaic":
            return len(self._graph.selected) if name in (self._config.survey, ALL) else 1
        if stage.unit == "cluster":
            return self._graph.clusters_of(name)
        sizes = {"Mpx": self.mpx, "Mpx of fields": self._field_mpx, "Mpx of apertures": self._aperture_mpx}
        return sizes[stage.unit](name)

    def mpx(self, mosaic: str) -> float:
        """Millions of pixels of a mosaic."""
        return self._graph.survey.mosaics[mosaic].n_px ** 2 / 1e6

    def _field_mpx(self, mosaic: str) -> float:
        side = min(self._field_px, self._graph.survey.mosaics[mosaic].n_px)
        return len(self._graph.fields_of(mosaic)) * side**2 / 1e6

    def _aperture_mpx(self, mosaic: str) -> float:
        if not self._graph.has_clusters(mosaic):
            return 0.0
        return sum(self.mpx(name) for name in (mosaic, *self._graph.touched_by_clusters_of(mosaic)))

    def _planned(self, stage: Stage) -> PlannedStage:
        cost, names = self._costs.get(stage.rule, UNMEASURED), self._names(stage)
        units = {name: self._units(stage, name) for name in names}
        predicted = {name: cost.seconds + cost.seconds_per_unit * units[name] for name in names}
        if stage.unit == "GB" and self._over_network():
            predicted = {name: predicted[name] + 1e3 * units[name] / ASSUMED_MB_PER_S for name in names}
        stretch = self._stretch(stage.rule, predicted)
        times = [seconds * (stretch or 1) for seconds in predicted.values()] or [0.0]
        done = are_done(stage, self._products, names)
        mean = statistics.fmean(times)
        submissions = self._batches(names) if stage.on_gpu else len(names)
        return PlannedStage(stage, len(names), submissions, done, mean, max(times), cost.cores, stretch)

    def _batches(self, mosaics: list[str]) -> int:
        """Jobs of a cluster that segment these mosaics: each one, where bad data is to stop the run."""
        place, most = self._graph.survey.place_in_list, self._config.segmentation.mosaics_per_job
        if self._config.on_reject == "stop":
            return len(mosaics)
        return len({place[name] // most for name in mosaics})

    def _over_network(self) -> bool:
        if self._config.mosaics.source == "images":
            return False
        archive = self._config.release_archive
        url = archive.field if self._config.mosaics.source == "fields" else archive.mosaic
        return urlsplit(url or "").scheme in ("http", "https") and urlsplit(url).hostname not in (
            "127.0.0.1", "localhost",
        )  # fmt: skip

    def _stretch(self, rule: str, predicted: dict[str, float]) -> float | None:
        """Time that this run's own jobs took over that of the shipped costs."""
        took, expected = 0.0, 0.0
        for name, seconds in predicted.items():
            path = Path(self._products.benchmark(rule, name if name != self._config.survey else "all"))
            if path.is_file():
                took += seconds_of(path)
                expected += seconds
        return took / expected if expected else None

    def gigabytes(self) -> dict[str, float]:
        """Size of what is downloaded, kept, and on scratch at most, GB: images, masks and class maps."""
        made = 1e6 * sum(self.mpx(name) for name in self._mosaics) / 1e9
        planes = {"fields": 3, "published": 1, "images": 1}[self._config.mosaics.source]
        fields = 2 * len(self._graph.fields_used) * self._field_px**2 * FLOAT_BYTES / 1e9
        published = made * FLOAT_BYTES if self._config.mosaics.source == "published" else 0.0
        return {
            "download": fields + published,
            "keep": made * (FLOAT_BYTES + 1 + CLASS_BYTES * self._classes()),
            "scratch": fields + made * FLOAT_BYTES * planes,
        }

    def _classes(self) -> int:
        """Number of class maps that the model makes; none if it is not there yet."""
        # heavy, and what parses the workflow imports this module
        from radiounet.network.model_cards import model_folder, read_card

        try:
            card = read_card(model_folder(self._config.segmentation.model), check_weights=False)
        except ModelError:
            return 0
        return len(card.classes)

    def wall_s(self, jobs: int, overhead_s: float = 0.0, cores: int | None = None) -> float:
        """Wall time with `jobs` at a time, s.

        The work of all chains spread over the jobs (or over `cores` of this machine),
        or the downloads if those take longer, then one whole chain of the largest
        mosaic (with those that share its jobs), the catalogue and the report.
        `overhead_s` is added to each job that is submitted; a download keeps its connection for so long.
        """
        chain = [planned for planned in self.stages if planned.stage.each != "survey"]
        fetch = [planned for planned in chain if planned.stage.fetches]
        ends = [stage for stage in self.stages if stage not in chain]
        spent = [s.jobs * s.seconds + overhead_s * s.submissions * self._is_submitted(s) for s in fetch]
        downloading = sum(spent) / min(self._connections, jobs)
        if cores:
            working = sum(s.jobs * s.seconds * min(s.cores, cores) for s in chain if s not in fetch) / cores
        else:
            submitted = [s for s in chain if self._is_submitted(s)]
            working = sum(s.jobs * s.seconds + s.submissions * overhead_s for s in submitted) / jobs
        # a job of a cluster that does several mosaics does them one after another
        together = {s.stage: 1 if cores else -(-s.jobs // max(s.submissions, 1)) for s in chain}
        one = sum(s.longest * together[s.stage] + overhead_s * self._is_submitted(s) for s in chain)
        last = sum(stage.longest + overhead_s for stage in ends)
        return max(downloading, working, one) + last

    def _is_submitted(self, planned: PlannedStage) -> bool:
        return not planned.stage.fetches or planned.stage.rule in self._submitted

    def text(self, jobs: int, cores: int) -> str:
        """The plan as Markdown.

        Parameters
        ----------
        jobs : int
            At once on a cluster.
        cores : int
            Of this machine.
        """
        overhead = self._costs[SLURM].seconds + STATUS_S / 2
        lines = [
            f"# Plan: {self._config.survey.upper()}, {len(self._graph.selected)} mosaics",
            "",
            "| rule | jobs | of them done | s each | core-hours | against shipped costs |",
            "|---|---|---|---|---|---|",
        ]
        for s in self.stages:
            stretch = f"{s.stretch:.2f}, measured here" if s.stretch else "none run here"
            if s.stage.rule not in self._costs:
                stretch = "its cost is not measured"
            lines.append(
                f"| {s.stage.rule} | {s.jobs:,} | {s.done:,} | {s.seconds:.1f} | {s.core_hours:.2f} "
                f"| {stretch} |"
            )
        total, done = sum(s.jobs for s in self.stages), sum(s.done for s in self.stages)
        hours = sum(s.core_hours for s in self.stages)
        lines += [f"| all | {total:,} | {done:,} | | {hours:.2f} | |", ""]
        if unknown := [s.stage.rule for s in self.stages if s.jobs and not s.seconds]:
            lines += [f"Sums and wall times leave out {enumerated(unknown)}, whose cost is not known.", ""]
        lines += [*self._cluster_lines(), *self._data_lines(), *self._time_lines(jobs, cores, overhead)]
        return "\n".join(lines) + "\n"

    def _cluster_lines(self) -> list[str]:
        clusters, here = self._graph.clusters, self._graph.cluster_count
        if not clusters:
            return []
        can = sum(cluster.measurable for cluster in clusters)
        line = f"Clusters: {len(clusters):,} in the table, {can:,} of them can be measured"
        # own images measure those that they show, which is not known before the run
        if self._graph.survey.cells.disjoint:
            line += f", {here:,} of these on the mosaics of this run"
        return [f"{line}.", ""]

    def _data_lines(self) -> list[str]:
        size = self.gigabytes()
        return [
            "| | GB |",
            "|---|---|",
            f"| to download | {size['download']:,.1f} |",
            f"| to keep (probability maps, masks) | {size['keep']:,.1f} |",
            f"| scratch (fields, mosaics) | {size['scratch']:,.1f} |",
            "",
        ]

    def _time_lines(self, jobs: int, cores: int, overhead: float) -> list[str]:
        segment = next(planned for planned in self.stages if planned.stage.on_gpu)
        gpu = (segment.jobs * segment.seconds + segment.submissions * self._costs[SLURM].seconds) / 3600
        submissions = sum(planned.submissions for planned in self.stages if self._is_submitted(planned))
        rate = (
            f"; downloads at {ASSUMED_MB_PER_S:.0f} MB/s a connection are assumed"
            if self._over_network()
            else ""
        )
        return [
            "| | wall time |",
            "|---|---|",
            f"| {cores} cores of this machine | {duration(self.wall_s(cores, cores=cores) / 3600)} |",
            f"| Slurm, {jobs} jobs and {self._connections} downloads at once, {overhead:.0f} s more for each "
            f"job until its end is seen | {duration(self.wall_s(jobs, overhead) / 3600)} |",
            "",
            f"Jobs of Slurm{'' if self._submitted else ' beside downloads'}: {submissions:,}; "
            f"the {segment.jobs:,} of rule {segment.stage.rule} are submitted as {segment.submissions:,}, "
            "which load the model once each.",
            "",
            f"GPU-hours on Slurm: at most {gpu:.1f}, as if a GPU were no faster than {segment.cores} cores "
            f"(none was measured). Waiting in the queue is not in the wall time{rate}.",
            "",
            f"Whole run, finished parts included: {sum(s.done for s in self.stages):,} of "
            f"{sum(s.jobs for s in self.stages):,} jobs have left their product already.",
        ]


def seconds_of(path: str | Path) -> float:
    """Wall time of a job by its benchmark file, s."""
    with open(path, encoding="utf-8", newline="") as stream:
        return float(next(csv.DictReader(stream, delimiter="\t"))["s"])


def options_of_run(run: "SnakemakeRun", config: Config) -> list[str]:
    """Options that tell the plan what is done at once, and where: as profiles and the command line say."""
    rules = [stage.rule for stage in stages_of(config) if stage.fetches and run.has_partition(stage.rule)]
    given = {"--jobs": run.jobs_at_once, "--connections": run.connections}
    numbers = [word for option, number in given.items() if number for word in (option, str(number))]
    return [*numbers, *(["--submitted", *rules] if rules else [])]
