"""What the rules of the workflow ask for: inputs, params and resources.

``workflow/rules/common.smk`` makes one `Rules`; no logic stands in a Snakefile.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from radiounet.errors import ConfigError
from radiounet.images.products import Publication
from radiounet.images.regional_products import region_files
from radiounet.publishing.records import all_records
from radiounet.running.access import permitted
from radiounet.running.freshness import Freshness
from radiounet.running.job_graph import JobGraph
from radiounet.running.locks import is_held
from radiounet.running.log import open_streams
from radiounet.running.rerun import Rerun
from radiounet.running.run_hooks import RunHooks
from radiounet.running.run_notes import settings_of_run
from radiounet.running.snakemake_adapter import SnakemakeRun
from radiounet.running.stages import lasting_products
from radiounet.running.status import settle_status
from radiounet.running.survey_regions import SurveyRegions
from radiounet.running.training_inputs import check_training
from radiounet.settings.command_line import settings_to, shell_word
from radiounet.settings.config import Config, load_config
from radiounet.settings.yaml_file import require_one_configfile, require_single_keys
from radiounet.survey.survey import list_paths

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


BESIDE = "RADIOUNET_BESIDE"
"""Environment variable that holds the mosaics which a job segments."""
SEGMENT_MIN, EACH_MIN, LEAST_MIN = 60, 5, 15
"""Time limits of jobs that segment, min: of one with ``mosaics_per_job: 1``, of each mosaic of another,
and the least of another, since loading libraries from a busy file system takes minutes."""
MODEL_RESOURCE = "models"
"""Resource of which the jobs of one process that loads a model ask for one each."""


class MosaicWildcards(Protocol):
    """Wildcards of a rule that makes something of one mosaic."""

    mosaic: str


class Rules:
    """Everything that the rules of one run share.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    raw : dict
        Configuration as Snakemake read it.

    Attributes
    ----------
    hooks : RunHooks

    Raises
    ------
    ConfigError
        The configuration, or a file that it names, cannot be used.
    """

    @permitted()
    def __init__(self, workflow: Workflow, raw: dict[str, Any]):
        open_streams()
        self.run = run = SnakemakeRun(workflow, levels=2)  # of workflow/rules
        if run.is_main:  # not again in every job
            require_one_configfile(sys.argv)
            require_single_keys(run.config_files)
        self.config: Config = load_config(raw if run.is_main else settings_of_run(raw))
        self.products = self.config.products
        self.graph = JobGraph(self.config, run.folder, run.is_main)
        self.freshness = Freshness(run, self.config, self.products)
        self.hooks = RunHooks(run, self.config, self.graph, self.freshness)
        self._reruns = False
        if run.is_main:
            settings_to(self.config)  # not longer than a command line
            self.graph.check()
            if self.config.model_fields_set & {"train", "simulate"}:
                check_training(self.config, self.graph.models)
            settle_status(self.products, is_held(self.products.root) is not False)
            run.around_graph(self.freshness.check_notes, self._graph_is_built)
            run.warn_without_profile()

    @property
    def merged(self) -> dict[str, str]:
        """All that rule ``merge_catalogue`` writes; a region also leaves its tables for the survey."""
        select, limits = self.config.select, self.config.limits.enabled
        made = self.products.catalogues() | {"configuration": self.products.configuration()}
        if select.merges_regions:
            return made | {"index": self.products.region_index()}
        if select.region_pixel is None:
            return made
        return made | {Path(path).stem: path for path in region_files(self.products, limits)}

    def made_with(self, wildcards: object) -> list[str]:
        """Option that tells a region what it is made with."""
        if self.config.select.region_pixel is None:
            return []
        return ["--made-with", json.dumps(SurveyRegions(self.graph).made_with())]

    @property
    def lists(self) -> dict[str, str]:
        """Lists of the release."""
        return list_paths(self.config.archive.list_folder, self.config.release)

    @property
    def shell_prefix(self) -> str:
        """Words that come before each shell command; nothing of this changes a product."""
        script = f'{shell_word(self.run.python)} {shell_word(f"{self.run.folder}/scripts")}/"$1.py"'
        download = shell_word(settings_to(self.config, *self.config.keys_of_downloads))
        return (
            f'stage() {{{{ {script} "${{{{@:2}}}}"; }}}};'
            f" ON_REJECT={self.config.on_reject}; DOWNLOAD={download};"
            " export TF_CPP_MIN_LOG_LEVEL=${{TF_CPP_MIN_LOG_LEVEL:-2}}; "
        )

    @property
    def _mosaics_per_job(self) -> int:
        """Mosaics that one job segments: where bad data is to stop the run, it stops no other mosaic."""
        on_cluster, stops = self.run.on_cluster, self.config.on_reject == "stop"
        return self.config.segmentation.mosaics_per_job if on_cluster and not stops else 1

    def _group_name(self, mosaic: str) -> str:
        place = self.graph.survey.place_in_list[self.graph.known(mosaic)]
        return f"segment{place // self._mosaics_per_job:04d}"

    def group_of_segment(self, wildcards: MosaicWildcards) -> str | None:
        """Jobs of this group are submitted as one: mosaics that follow each other in the release."""
        if self._mosaics_per_job == 1:
            return None
        group = self._group_name(wildcards.mosaic)
        self.run.join(group, self._mosaics_per_job, MODEL_RESOURCE)
        # no param: which mosaics share a job changes no product
        os.environ[BESIDE] = " ".join(
            mosaic for rule, mosaic in self.run.targets if rule == "segment" and mosaic
        )
        return group

    def minutes_of_segment(self, wildcards: MosaicWildcards, attempt: int) -> int:
        """Time of one mosaic of a job, which has that of all of them."""
        most, minutes = self._mosaics_per_job, SEGMENT_MIN
        if most > 1:
            shared_by = self.run.jobs_in(self._group_name(wildcards.mosaic))
            minutes = max(SEGMENT_MIN // most, EACH_MIN, math.ceil(LEAST_MIN / max(shared_by, 1)))
        return doubling(minutes)(wildcards, attempt)

    def settings(self, *keys: str | tuple[str, ...]) -> Callable[[object], str]:
        """Settings that a stage is given, as a param: JSON of these keys of the configuration.

        A function, since Snakemake takes braces in text for wildcards.
        """
        text = settings_to(self.config, *keys)
        return lambda wildcards: text

    def settings_of_mosaic(self, *keys: str | tuple[str, ...]) -> Callable[[MosaicWildcards], str]:
        """The same for a stage of one mosaic, with the keys that say which sky it owns."""
        config, keys = self.config, (*self.config.keys_of_cells, *keys)
        if config.survey_release.is_listed:
            return self.settings(*keys)
        return lambda wildcards: settings_to(config.of_image(wildcards.mosaic), *keys)

    def image(self, wildcards: MosaicWildcards) -> str:
        """A mosaic's image; what was replaced of that mosaic is marked to be made again."""
        self.freshness.check_mosaic(wildcards.mosaic)
        return self.products.image(wildcards.mosaic)

    def model(self, wildcards: object) -> list[str]:
        """Card and weights of a model that the run fetches; any other must be there."""
        self.freshness.check_model(self.graph)
        return self.graph.fetched_model

    def fields(self, wildcards: MosaicWildcards) -> list[str]:
        """The fields of a mosaic; images of fields that were replaced are marked to be made again."""
        names = self.graph.fields_of(wildcards.mosaic)
        for name in names:
            self.freshness.check_field(name)
        return names

    def masks(self, wildcards: object) -> list[str]:
        """Masks of the run."""
        self.freshness.check_model(self.graph)
        return [self.products.mask(mosaic) for mosaic in self._mosaics]

    def lasting(self, wildcards: object) -> list[str]:
        """All that stays of each mosaic of the run."""
        return [
            path for mosaic in self._mosaics for path in lasting_products(self.config, self.products, mosaic)
        ]

    @property
    def _mosaics(self) -> list[str]:
        """Mosaics that the run works on: none where it merges regions."""
        return [] if self.config.select.merges_regions else self.graph.selected

    def _graph_is_built(self) -> None:
        asked = [name for name in ("pointing", "only") if getattr(self.config, name)]
        if asked and not self._reruns:
            raise ConfigError(
                f"{asked[0]} is for the target rerun, which was not asked for: "
                f"snakemake rerun --config {asked[0]}=...; select.* says which mosaics are part of the run"
            )
        self.freshness.tell_replaced()

    def _require_mosaics(self, target: str) -> None:
        if self.config.select.merges_regions:
            raise ConfigError(
                f"{target} works on the mosaics of a region, and this run only merges regions: "
                "add its pixel to select.healpix"
            )

    def around_clusters(self, wildcards: MosaicWildcards) -> dict[str, list[str]]:
        """Products of a mosaic and of those that the apertures of its clusters touch."""
        names = [wildcards.mosaic, *self.graph.touched_by_clusters_of(wildcards.mosaic)]
        return {
            "images": [self.products.image(name) for name in names],
            "probabilities": [self.products.probability(name) for name in names],
            "masks": [self.products.mask(name) for name in names],
        }

    def compact(self, wildcards: MosaicWildcards) -> list[str]:
        """Files of compact sources of a mosaic that the run fetches."""
        return self.config.fetched_compact(self.products, wildcards.mosaic)

    def compact_options(self, wildcards: MosaicWildcards) -> list[str]:
        """Options that give a stage the files of compact sources."""
        files = self.config.compact_files(self.products, wildcards.mosaic)
        return [word for name, path in files.items() for word in (f"--{name.replace('_', '-')}", path)]

    def tables(self, wildcards: object) -> dict[str, list[str]]:
        """What the catalogue is merged from."""
        self.freshness.check_survey()
        graph, products = self.graph, self.products
        if self.config.select.merges_regions:
            regions = SurveyRegions(graph)
            if self.run.is_main:
                regions.require_all()
            return {"regions": regions.files()}
        made = [*graph.selected, *graph.neighbours] if graph.fields_used else []
        return {
            "islands": [products.islands(mosaic) for mosaic in graph.selected],
            "clusters": [products.clusters(mosaic) for mosaic in graph.selected],
            "limits": [products.limits(mosaic) for mosaic in graph.selected if self.config.limits.enabled],
            "others": graph.listed_if_rejected,
            "neighbours": [products.mask(mosaic) for mosaic in graph.neighbours],
            "sources": [products.field_source(field) for field in graph.fields_used],
            "left_out": [products.left_out(mosaic) for mosaic in made],
        }

    def publication_record(self, job: str, name: str = "all") -> str:
        """Record of a job of the publication."""
        return Publication(self.products.publication()).record(job, name)

    def before_publishing(self, wildcards: object) -> dict[str, list[str]]:
        """What the last job of a publication follows; that of regions is one job."""
        merges, publication = self.config.select.merges_regions, Publication(self.products.publication())
        if self.run.is_main:
            records = [self.publication_record(job) for job in ("summary", "site")]
            if merges:
                records += all_records(publication)
            self.freshness.check_publication(publication, records, True)
        if merges:
            return {"catalogues": [*self.merged.values()]}
        return {
            "configuration": [self.products.configuration()],
            "mosaics": self.published_mosaics(wildcards),
            "tiles": self.published_tiles(wildcards),
            "catalogues": [*self._records("catalogues", ["all"]), *self._records("survey", ["all"])],
        }

    @property
    def publication_minutes(self) -> int:
        """Time of the last job of a publication, which of regions makes all of it.

        Its third try stays within 24 h, the longest job of many clusters. Each goes on where the last
        stopped.
        """
        return 360 if self.config.select.merges_regions else 120

    def published_mosaics(self, wildcards: object) -> list[str]:
        """Records of all mosaics; those whose published files are gone are marked to be made again."""
        return self._records("mosaic", self.graph.selected)

    def published_tiles(self, wildcards: object) -> list[str]:
        """Records of all parts of the sky that have tiles."""
        from radiounet.publishing.hips_parts import parts_of

        parts = parts_of(self.graph.survey, self.graph.selected)
        return self._records("tiles", [f"{part:03d}" for part in sorted(parts)])

    def mosaics_of_tiles(self, wildcards: Any) -> dict[str, list[str]]:
        """What the tiles of one part of the sky are made from."""
        from radiounet.publishing.hips_parts import parts_of

        names = parts_of(self.graph.survey, self.graph.selected)[int(wildcards.part)]
        kinds = ("image", "probability", "mask")
        return {
            "records": self._records("mosaic", names),
            "planes": [getattr(self.products, kind)(name) for name in names for kind in kinds],
        }

    def _records(self, job: str, names: Iterable[str]) -> list[str]:
        records = [self.publication_record(job, name) for name in names]
        if self.run.is_main:
            self.freshness.check_publication(Publication(self.products.publication()), records, False)
        return records

    def verifications(self, wildcards: object) -> list[str]:
        """Comparisons with reference masks, of all mosaics."""
        self._require_mosaics("verify")
        self.freshness.check_verdict(self.graph.selected)
        return [self.products.verification(mosaic) for mosaic in self.graph.selected]

    def rerun_targets(self, wildcards: object) -> list[str]:
        """What depends on the pointings asked for, which Snakemake makes anew even where they are."""
        self._require_mosaics("rerun")
        self._reruns = True
        rerun = Rerun(self.config, self.graph, self.products)
        self.run.make_again(rerun.starts())
        return rerun.targets()

    def runs_beside_snakemake(self, rule: str) -> bool:
        """Whether a download runs beside Snakemake, since no profile names a partition for it."""
        return not self.run.has_partition(rule)


def fixed(value: Any) -> Callable[[object], Any]:
    """A param as a function, since Snakemake takes braces in text for wildcards."""
    return lambda wildcards: value


def doubling(base: int) -> Callable[[object, int], int]:
    """A resource that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)
