"""Whether what is on disk is what the configuration says.

Snakemake makes a product anew where a value, the code or the date of an input changed. Two
things it does not see: an input that was replaced by an older file, and a product that
somebody replaced, cut short or put back. Both are told here, from size and date, and from
the bytes only where those differ from what is on record.

Nor does it see that a job ran with code that was edited after the run had begun, when the edit
is put back before the next one: jobs are told which code their run began with, and leave a
mark where they find another, see `EditMark`. The settings of a run are kept for its jobs, which
would read an edited configuration otherwise.
"""

from __future__ import annotations

import glob
import json
import logging
import math
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radiounet.images.products import Products, Publication
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.regional_products import region_files
from radiounet.images.writing import write_json
from radiounet.publishing.records import earlier_record, touched
from radiounet.running.access import permitted, require_open
from radiounet.running.locks import is_held
from radiounet.running.snakemake_adapter import SnakemakeRun
from radiounet.running.stages import products_of_mosaic

if TYPE_CHECKING:
    from radiounet.running.job_graph import JobGraph
    from radiounet.settings.config import Config

logger = logging.getLogger(__name__)

DATE_TOLERANCE_S = 1e-3
"""Snakemake keeps dates as floating-point seconds."""
RUN_CODE = "RADIOUNET_RUN_CODE"
"""Environment variable by which a run tells its jobs which code and settings it began with."""


def settings_of_run(config: dict[str, Any]) -> dict[str, Any]:
    """Configuration that the run of this job began with; the given one where it is not on record."""
    told = json.loads(os.environ.get(RUN_CODE, "{}")).get("settings")
    return (_json(Path(told)) if told else {}) or config


class EditMark:
    """Notes that a stage ran with other code than its run began with.

    Parameters
    ----------
    stage, name : str
        Of the job.
    """

    def __init__(self, stage: str, name: str):
        told = json.loads(os.environ.get(RUN_CODE, "{}"))
        self._stage, self._expected = stage, told.get("stages", {}).get(stage)
        self._path = Path(told.get("marks", ""), f"{stage}.{name or 'all'}.json")
        self._differs = self._is_other()

    def _is_other(self) -> bool:
        if self._expected is None:
            return False
        try:  # anew, since a module may be edited before it is imported
            return bool(code_hash.__wrapped__(self._stage) != self._expected)
        except (OSError, ValueError):  # a module is gone, or half written
            return True

    def settle(self, products: Iterable[str]) -> None:
        """Note or forget it, when all products of the job are written."""
        if self._differs or self._is_other():
            logger.warning(
                "%s: its code was edited during the run; the next one does this again",
                self._stage,
            )
            write_json(self._path, {"products": list(products)})
        elif self._expected is not None:
            self._path.unlink(missing_ok=True)


class Fingerprints:
    """SHA-256 of files that no job makes; of those that look as before, from a record.

    Parameters
    ----------
    record : path
        JSON: size (bytes), date (ns) and SHA-256 by absolute path.
    """

    def __init__(self, record: str | Path):
        self._path = Path(record)
        self._known = _json(self._path)
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
    """

    def __init__(self, run: SnakemakeRun, config: Config, products: Products):
        self._run, self._config, self._products = run, config, products
        if run.is_main:
            require_open([products.root, f"{products.root}/sources", products.edit_marks()])
        self.fingerprints = Fingerprints(products.input_record())
        settings = str(Path(products.run_settings()).absolute())
        self._told: dict[str, Any] = {"marks": products.edit_marks(), "settings": settings, "stages": {}}
        self._is_model_checked = self._is_record_missed = False
        self._seen_records: set[str] = set()
        self._warned: set[str] = set()

    def code(self, stage: str) -> str:
        """Hash of a stage's code as the run begins; its jobs are told."""
        found = self._told["stages"][stage] = code_hash(stage)
        self._tell()
        return found

    def keep_settings(self) -> None:
        """Write the configuration that the run began with, for its jobs; see `settings_of_run`.

        For nobody else to read, since its URLs may hold tokens.
        """
        write_json(self._told["settings"], self._config.model_dump(mode="json"), private=True)

    def forget_settings(self) -> None:
        """Remove them, when no job of the run is left."""
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
            As `JobGraph.check_model`.
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

    @permitted()
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
                if _is_spoiled(publication, Path(record)):
                    self._run.make_again([last] if whole else [record, last])

    @permitted()
    def _check(self, paths: list[str], images: Sequence[str] = (), source: str = "") -> None:
        """Have those that were replaced made again, but for `images` that `source` knows, and itself."""
        if not self._run.is_main:
            return
        replaced = [path for path in paths if self._was_replaced(path)]
        downloaded = {*images, source}
        if downloaded & set(replaced) and _are_downloads(images, source):
            replaced = [path for path in replaced if path not in downloaded]
        for path in [path for path in replaced if path not in self._warned]:  # mosaics share some
            self._warned.add(path)
            logger.warning("%s differs from what its job wrote: it is made again", path)
        self._run.make_again(replaced)

    @permitted()
    def check_notes(self) -> None:
        """Have made again what earlier runs noted of their products; call before the job graph is built.

        Raises
        ------
        ConfigError
            A note, or a folder of products, may not be read.
        """
        self._require_open_products()
        self._check_edits()
        self._check_stopped()

    def _require_open_products(self) -> None:
        """Look at all folders of products, since Snakemake adds a traceback to an error in a rule."""
        products, root = self._products, self._products.root
        of_survey = products.configuration(), Publication(products.publication()).record("mosaic", "*")
        of_fields = products.field_image("*", "int"), products.field_source("*")
        paths = (*products_of_mosaic(self._config, products, "*"), *of_fields, *of_survey)
        for folder in sorted({one for path in paths for one in Path(path).relative_to(root).parents}):
            require_open(glob.iglob(f"{glob.escape(root)}/{folder}"))

    def _check_edits(self) -> None:
        """Have made again what was made with code that was edited during its run."""
        for mark in sorted(Path(self._products.edit_marks()).glob("[!.]*.json")):
            # the stage that merges the tables is not given the names of its products
            products = _json(mark).get("products") or self._products.of_survey()
            logger.warning(
                "%s: made with code that was edited during the run; made again where this run needs it",
                ", ".join(products),
            )
            self._run.make_again(products)

    def note_begun(self, products: Iterable[str]) -> None:
        """Note what jobs of this run will write: a run that is killed can note nothing at its end.

        Its jobs may run on, and end unseen. `note_stopped` leaves what is still to be told.
        """
        self._note(list(dict.fromkeys([*self._stopped, *products])))

    def note_stopped(self, products: Iterable[str]) -> None:
        """Note products of jobs that a run has not seen end, though they may have.

        They have no record, by which Snakemake makes a product anew when a setting changes. Those that are
        not there may come later: a job may end after its run, and file servers show files late.
        """
        left = [one for one in dict.fromkeys([*self._stopped, *products]) if self._run.ended(one) is None]
        try:
            self._note(left)
        except OSError as error:  # a full disk stops jobs, never the run that reports them
            logger.warning(
                "%s cannot be written (%s): name these in --forcerun of the next run: %s",
                *(self._products.stopped_jobs(), error, ", ".join(left)),
            )

    def _note(self, left: list[str]) -> None:
        """Write what runs of this folder may have left, beside what those of other folders have."""
        path = Path(self._products.stopped_jobs())
        notes = self._notes() | {self._records: left}
        if kept := {folder: products for folder, products in notes.items() if products}:
            write_json(path, {"products": kept})
        else:
            path.unlink(missing_ok=True)

    def _check_stopped(self) -> None:
        """Have what is there of such jobs made again, but for those of a run that still goes on."""
        left = [path for path in self._stopped if Path(path).exists() and self._run.ended(path) is None]
        self._warned.update(left)
        if left and is_held(self._products.root):
            return
        for path in left:
            logger.warning("%s: its run was stopped before it saw the job end; it is made again", path)
        self._run.make_again(left)

    @cached_property
    def _stopped(self) -> list[str]:
        """What earlier runs of this folder noted: other folders have no record of these products."""
        return self._notes().get(self._records, [])

    def _notes(self) -> dict[str, list[str]]:
        """Noted products by the folder that has Snakemake's records of them."""
        known = _json(Path(self._products.stopped_jobs())).get("products")
        notes = known.items() if isinstance(known, dict) else ()
        return {
            folder: [path for path in products if isinstance(path, str)]
            for folder, products in notes
            if isinstance(products, list)
        }

    @property
    def _records(self) -> str:
        """Where Snakemake has its records, from the products: a moved clone keeps that."""
        return os.path.relpath(Path(".snakemake").resolve(), Path(self._products.root).resolve())

    def _was_replaced(self, path: str) -> bool:
        """Whether a product has another date than its job left; unknown without Snakemake's record."""
        if not Path(path).is_file():
            return False
        ended = self._run.ended(path)
        if ended is None:
            if path not in self._warned:
                self._warn_of_no_record(path)
            return False
        date = Path(path).stat().st_mtime
        # archives such as those of tar keep whole seconds
        return date != math.floor(ended) and abs(date - ended) > DATE_TOLERANCE_S

    def _warn_of_no_record(self, path: str) -> None:
        if self._is_record_missed:
            return
        self._is_record_missed = True
        logger.warning(
            "%s is there, but %s has no record of how it was made. Such products are not made anew when a "
            "setting changes. Run in the folder in which they were made (--directory), with the same "
            "spelling of results; or, if they are what the configuration says, once with --touch --forceall",
            *(path, Path(".snakemake").resolve()),
        )


def _is_spoiled(publication: Publication, record: Path) -> bool:
    known = earlier_record(record)
    if not known:
        return True
    name = touched(publication, record, known["files"])
    if name is not None:
        logger.warning("%s is gone or was changed: it is made again", publication.at(name))
    return name is not None


def _are_downloads(images: Iterable[str], source: str) -> bool:
    """Whether those images that are there have the bytes that were once downloaded, by their record."""
    entries = _json(Path(source))
    found = (entries, *(one for one in entries.values() if isinstance(one, dict)))
    known = {one["sha256"] for one in found if "sha256" in one}
    return bool(known) and all(sha256_of(path) in known for path in filter(os.path.isfile, images))


def _json(path: Path) -> dict[str, Any]:
    """What a record holds; nothing where it is absent, cut short or something else."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        logger.warning("%s cannot be read: what it records is looked at anew", path)
        return {}
    return content
