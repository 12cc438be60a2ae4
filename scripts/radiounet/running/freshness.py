"""Whether what is on disk is what the configuration says.

Snakemake makes a product anew where a value, the code or the date of an input changed. Two
things it does not see: an input that was replaced by an older file, and a product that
somebody replaced, cut short or put back. Both are told here, from size and date, and from
the bytes only where those differ from what is on record.
"""

from __future__ import annotations

import glob
import json
import logging
import math
import os
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radiounet.errors import ConfigError
from radiounet.images.products import REGIONS, Products, Publication
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.regional_products import region_files
from radiounet.images.writing import write_json
from radiounet.publishing.records import earlier_record, file_changed_since_record
from radiounet.running.access import require_open, require_readable
from radiounet.running.job_graph import CLUSTER_FOLDER
from radiounet.running.locks import is_held
from radiounet.running.run_notes import RUN_CODE, StoppedJobs, note_run, recorded
from radiounet.running.snakemake_adapter import SnakemakeRun, is_output_folder
from radiounet.running.stages import products_of_mosaic

if TYPE_CHECKING:
    from radiounet.running.job_graph import JobGraph
    from radiounet.settings.config import Config

logger = logging.getLogger(__name__)

DATE_TOLERANCE_S = 1e-3
"""Snakemake keeps dates as floating-point seconds."""
MOST_NAMED = 3
"""So many products are named where more are made again for one reason."""
LOST_DATES = (
    ". Most products of this run have another date, as after a copy without dates (`cp -r`): "
    "if nothing else changed, run once with --touch, and nothing is made again"
)


class Fingerprints:
    """SHA-256 of files that no job makes; of those that look as before, from a record.

    Parameters
    ----------
    record : path
        JSON: size (bytes), date (ns) and SHA-256 by absolute path.
    """

    def __init__(self, record: str | Path):
        self._path = Path(record)
        self._known = recorded(self._path)
        self._changed = False

    def of(self, path: str | Path) -> str:
        """SHA-256 of a file, or ``absent``."""
        source = Path(path).absolute()
        if not source.is_file():
            return "absent"
        found = source.stat()
        looks = [found.st_size, found.st_mtime_ns]
        known = self._known.get(str(source))
        if not isinstance(known, list) or known[:2] != looks:
            known = self._known[str(source)] = [*looks, sha256_of(source)]
            self._changed = True
        return str(known[2])

    def of_all(self, paths: Iterable[str]) -> list[str]:
        """The same of several files."""
        return [self.of(path) for path in paths]

    def keep(self) -> None:
        """Write the record, where something is new: by a run that has its products for itself."""
        if self._changed:
            write_json(self._path, self._known)
            self._changed = False


def as_inputs(*paths: str) -> list[str]:
    """Files of the user's own that a rule can have as inputs.

    Snakemake takes braces in their names for wildcards, also those that a function returns. Such
    a file is left to the rule's params, which hold its path and its fingerprint.
    """
    return [path for path in paths if not set(path) & set("{}")]


class Freshness:
    """Products of a run that are no longer what their jobs left.

    Parameters
    ----------
    run : SnakemakeRun
    config : Config
    products : Products

    Attributes
    ----------
    fingerprints : Fingerprints
    stopped : StoppedJobs
    """

    def __init__(self, run: SnakemakeRun, config: Config, products: Products):
        self._run, self._config, self._products = run, config, products
        if run.is_main:
            require_open([products.root, f"{products.root}/sources", products.edit_marks()])
        self.fingerprints = Fingerprints(products.input_record())
        self.stopped = StoppedJobs(run, products)
        settings = str(Path(products.run_settings()).absolute())
        self._told: dict[str, Any] = {"marks": products.edit_marks(), "settings": settings, "stages": {}}
        self._is_model_checked = self._is_record_missed = False
        self._seen_records: set[str] = set()
        self._stopped: set[str] = set()
        self._has_other_date: dict[str, bool] = {}  # of products with a record
        self._replaced: list[str] = []
        self._unpublished: list[str] = []

    def code(self, stage: str) -> str:
        """Hash of a stage's code as the run begins; its jobs are told."""
        found = self._told["stages"][stage] = code_hash(stage)
        self._tell()
        return found

    def keep_settings(self) -> None:
        """Note which run has begun, and with which configuration, for its jobs and those of earlier runs."""
        self._told["run"] = f"{os.uname().nodename} {os.getpid()} {time.time_ns()}"
        self._tell()
        note_run(self._told, self._config.model_dump(mode="json"))

    def forget_settings(self) -> None:
        """Forget them, when no job of the run is left; jobs of earlier runs may be."""
        if "run" in self._told:
            try:
                note_run(self._told, {})
            except OSError:  # a full disk stops jobs, never the run that reports them
                Path(self._told["settings"]).unlink(missing_ok=True)

    def _tell(self) -> None:
        if self._run.is_main:
            os.environ[RUN_CODE] = json.dumps(self._told)

    def check_mosaic(self, mosaic: str) -> None:
        """Have whatever was replaced of a mosaic made again; call while the job graph is built."""
        source = self._products.mosaic_source(mosaic)
        paths = products_of_mosaic(self._config, self._products, mosaic)
        self._check(paths, [self._products.image(mosaic)], source)

    def check_field(self, field: str) -> None:
        """The same of a field's images and their record."""
        images = [self._products.field_image(field, kind) for kind in ("int", "app")]
        source = self._products.field_source(field)
        self._check([*images, source], images, source)

    def check_model(self, graph: JobGraph) -> None:
        """Look at the model that segments; have a fetched one of mismatched files fetched again.

        Raises
        ------
        ConfigError
            As `radiounet.running.inputs.check_model`.
        """
        if not self._run.is_main or self._is_model_checked:
            return
        self._is_model_checked = True
        graph.check_model()
        if spoiled := graph.spoiled_model:
            logger.warning("not whole, fetched again: %s", ", ".join(spoiled))
            self._run.make_again(spoiled)

    def check_verdict(self, mosaics: Iterable[str]) -> None:
        """Have what was replaced of comparisons with references made again."""
        self._check([self._products.verification(mosaic) for mosaic in mosaics])
        self._check([self._products.verdict(), self._products.verdict_page()])

    def check_survey(self) -> None:
        """The same of catalogues and report, of the list of own images, and of a region's tables."""
        self._check([*self._products.of_survey(), self._products.image_list()])
        self._check(region_files(self._products, self._config.limits.enabled))

    def check_publication(self, publication: Publication, records: Iterable[str], whole: bool) -> None:
        """Have jobs of a publication done again whose record or files are gone, or were changed since.

        The last job follows, since a run that was stopped may have made what it would follow.

        Parameters
        ----------
        publication : Publication
        records : iterable of str
            Of the jobs.
        whole : bool
            Whether all of them are done by the last job.
        """
        last = publication.record("summary", "all")
        for record in records:
            if record not in self._seen_records:
                self._seen_records.add(record)
                if self._is_spoiled(publication, Path(record)):
                    self._run.make_again([last] if whole else [record, last])

    def _check(self, paths: list[str], images: Sequence[str] = (), source: str = "") -> None:
        """Have those that were replaced made again, but for `images` that `source` knows, and itself."""
        if not self._run.is_main:
            return
        replaced = [path for path in paths if self._was_replaced(path)]
        downloaded = {*images, source}
        if downloaded & set(replaced) and _are_downloads(images, source):
            replaced = [path for path in replaced if path not in downloaded]
        self._replaced += replaced
        self._run.make_again(replaced)

    def tell_replaced(self) -> None:
        """Say in few lines what the checks found, and how lost dates are mended; call after the job graph."""
        differ = sum(self._has_other_date.values())
        is_lost = 2 * differ > len(self._has_other_date) and not self._run.touches
        _tell_made_again("with another date than on record", self._replaced, LOST_DATES if is_lost else "")
        _tell_made_again("gone or changed since publication", self._unpublished)

    def check_notes(self) -> None:
        """Have made again what earlier runs noted of their products; call before the job graph is built.

        Raises
        ------
        PermissionError
            A note, or a folder that the run reads, may not be read.
        """
        require_open(self._folders())
        self._check_edits()
        self._check_stopped()

    def _folders(self) -> list[str]:
        """Folders in which the run looks for products and notes, those below a folder after it."""
        config, products = self._config, self._products
        paths = [
            *products_of_mosaic(config, products, "*"),
            products.field_image("*", "int"),
            products.field_source("*"),
            products.high_resolution("*"),
            products.verification("*"),
            f"{products.comparison('*')}/*",
            products.configuration(),
            Publication(products.publication()).record("*", "*"),
            products.region_file("*"),
            Products(f"{products.root}/{REGIONS}/*").region_file("*"),
            f"{config.archive.list_folder}/*",
            f"{CLUSTER_FOLDER}/*",
            str(self.stopped.folder / "*"),
        ]
        patterns = {folder for path in paths for folder in _folders_of(path, products.root)}
        return [
            folder
            for pattern in sorted(patterns)
            for folder in (
                glob.iglob(glob.escape(pattern).replace("[*]", "*")) if "*" in pattern else [pattern]
            )
        ]

    def _check_edits(self) -> None:
        """Have made again what was made with code that was edited during its run."""
        # the stage that merges the tables is not given the names of its products
        made = [
            recorded(mark).get("products") or self._products.of_survey()
            for mark in sorted(Path(self._products.edit_marks()).glob("[!.]*.json"))
        ]
        self._make_again_if_needed("made with code that was edited during the run", chain.from_iterable(made))

    def _check_stopped(self) -> None:
        """Have what jobs of stopped runs left made again, but not that of a run that still goes on."""
        left = self.stopped.left()
        self._stopped.update(path for products in left.values() for path in products)
        again = [path for root, products in left.items() if not is_held(root) for path in products]
        self._make_again_if_needed("whose run was stopped before it saw the job end", again)

    def _make_again_if_needed(self, why: str, noted: Iterable[str]) -> None:
        """Have those made again that the graph will have."""
        products = list(noted)
        _tell_made_again(why, products)
        self._run.make_again(products)

    def _is_spoiled(self, publication: Publication, record: Path) -> bool:
        _require_file(record)
        known = earlier_record(record)
        if not known:
            return True
        name = file_changed_since_record(publication, record, known["files"])
        if name is not None:
            self._unpublished.append(publication.at(name))
        return name is not None

    def _was_replaced(self, path: str) -> bool:
        """Whether a product has another date than its job left; unknown without Snakemake's record."""
        _require_file(path)
        if not Path(path).is_file():
            return False
        require_readable(path)  # Snakemake takes a checksum of small files, and blames its own folder
        ended = self._run.ended(path)
        if ended is None:
            if path not in self._stopped:
                self._warn_of_no_record(path)
            return False
        date = Path(path).stat().st_mtime
        # archives such as those of tar keep whole seconds
        differs = date != math.floor(ended) and abs(date - ended) > DATE_TOLERANCE_S
        self._has_other_date[path] = differs
        return differs

    def _warn_of_no_record(self, path: str) -> None:
        if self._is_record_missed:
            return
        self._is_record_missed = True
        logger.warning(
            "%s is there, but %s has no record of how it was made. Such products are not made anew when a "
            "setting changes. Run in the folder in which they were made (--directory), with the same "
            "spelling of results; or, if they are what the configuration says, once with --touch --forceall",
            path,
            Path(".snakemake").resolve(),
        )


def _folders_of(path: str, root: str) -> list[str]:
    """Folders above a path, up to `root`; of one elsewhere up to the last that is named without ``*``."""
    parents = list(map(str, Path(path).parents))
    inside = [one for one in parents if Path(one).is_relative_to(root)]
    return inside or parents[: 1 + sum("*" in one for one in parents)]


def _require_file(path: str | Path) -> None:
    """Refuse what is there in the place of a product, and is no file: it may be worth keeping.

    Raises
    ------
    ConfigError
        It says what to do.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not is_output_folder(path):
        kind = "a folder" if os.path.isdir(path) else "no file"
        raise ConfigError(f"{path} is {kind}, but a product of this run: move it away")


def _tell_made_again(why: str, found: Iterable[str], advice: str = "") -> None:
    """Say how many products there are of one kind, in one line."""
    products = list(dict.fromkeys(found))
    if products:
        count, them = ("1 product", "it") if len(products) == 1 else (f"{len(products)} products", "them")
        more = f" and {len(products) - MOST_NAMED} more" if len(products) > MOST_NAMED else ""
        named = ", ".join(products[:MOST_NAMED]) + more + advice
        logger.warning("%s %s, made again where this run needs %s: %s", count, why, them, named)


def _are_downloads(images: Iterable[str], source: str) -> bool:
    """Whether those images that are there have the bytes that were once downloaded, by their record."""
    entries = recorded(source)
    found = (entries, *(one for one in entries.values() if isinstance(one, dict)))
    known = {one["sha256"] for one in found if "sha256" in one}
    return bool(known) and all(sha256_of(path) in known for path in filter(os.path.isfile, images))
