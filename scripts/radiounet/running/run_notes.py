"""What a run notes for its jobs and for the next one.

Snakemake does not see that a job ran with code that was edited after the run had begun, when the edit
is put back before the next one: jobs are told which code their run began with, and leave a mark where
they find another, see `EditMark`. The settings of a run are kept for its jobs, which would read an edited
configuration otherwise. Nor does it see what jobs wrote whose run was stopped, see `StoppedJobs`; such
jobs may go on for hours, and write nothing once another run has begun, see `require_own_run`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radiounet.errors import SupersededError
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash
from radiounet.images.writing import write_json

if TYPE_CHECKING:
    from radiounet.running.snakemake_adapter import SnakemakeRun

logger = logging.getLogger(__name__)

RUN_CODE = "RADIOUNET_RUN_CODE"
"""Environment variable by which a run tells its jobs which code and settings it began with."""


def recorded(path: str | Path) -> dict[str, Any]:
    """What a record holds (JSON); nothing where it is absent, cut short or something else."""
    if not Path(path).is_file():
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        logger.warning("%s cannot be read: what it records is looked at anew", path)
        return {}
    return content


def told_by_run() -> dict[str, Any]:
    """What the run of this process told it; nothing where it is no job of a run."""
    return dict(json.loads(os.environ.get(RUN_CODE, "{}")))


def note_run(told: dict[str, Any], config: dict[str, Any]) -> None:
    """Write which run works in a folder of results, and the configuration that it began with.

    The run stays on record when its configuration is forgotten, see `require_own_run`. The configuration is
    for nobody else to read, since URLs may hold tokens.
    """
    write_json(told["settings"], {"run": told["run"], "configuration": config}, private=bool(config))


def settings_of_run(config: dict[str, Any]) -> dict[str, Any]:
    """Configuration that the run of this job began with; the given one where it is not on record.

    Raises
    ------
    SupersededError
        As `require_own_run`.
    """
    return _noted_of_own_run().get("configuration") or config


def require_own_run() -> None:
    """Refuse to go on where the run of this job was stopped, and another has begun in its place.

    That run makes the products of this job anew, perhaps with other settings.

    A file server may show a job what an earlier run noted. It writes nothing then, and is tried again.

    Raises
    ------
    SupersededError
    """
    _noted_of_own_run()


def _noted_of_own_run() -> dict[str, Any]:
    told = told_by_run()
    try:
        noted = recorded(told["settings"]) if "settings" in told else {}
    except PermissionError:  # a run of another person goes on
        noted = {"run": None}
    if "run" not in told:  # of a run without hooks, which notes nothing: these are another one's
        return {}
    if "run" in told and noted and noted.get("run") != told["run"]:
        raise SupersededError(
            "the run of this job was stopped, and another one has begun in its place, as "
            f"{told['settings']} says; it makes what this job would write: nothing is written"
        )
    return noted


class EditMark:
    """Notes that a stage ran with other code than its run began with.

    Parameters
    ----------
    stage, name : str
        Of the job.
    """

    def __init__(self, stage: str, name: str):
        told = told_by_run()
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


class StoppedJobs:
    """Products of jobs that Snakemake had not seen end when their run was stopped.

    They have no record, by which Snakemake makes a product anew when a setting changes. So the note lies
    in the folder of the records: it moves with them, and a run of another release sees what is noted of
    files that both share. Each folder of results has a note of its own, since several runs may go on at once.

    Parameters
    ----------
    run : SnakemakeRun
    products : Products
        Of the run.
    """

    def __init__(self, run: SnakemakeRun, products: Products):
        self._run, self._products = run, products

    @property
    def folder(self) -> Path:
        """Folder of the notes of all runs."""
        return self._run.records / "radiounet"

    @property
    def _path(self) -> Path:
        name = hashlib.sha256(os.fsencode(self._products.root)).hexdigest()[:16]
        return self.folder / f"{name}.json"

    def left(self) -> dict[str, list[str]]:
        """What is there of the noted products, and has no record, by the folder of results of its run.

        Of the runs of other results, that is what lies outside these, and may be shared.
        """
        found: dict[str, list[str]] = {self._products.root: self._earlier}
        for path in sorted(self.folder.glob("[!.]*.json")):
            known = recorded(path)
            root, noted = known.get("results"), _words(known.get("products"))
            if isinstance(root, str):
                found.setdefault(root, [one for one in noted if not Path(one).is_relative_to(root)])
        return {
            root: [path for path in products if Path(path).exists() and self._run.ended(path) is None]
            for root, products in found.items()
        }

    def note_begun(self, products: Iterable[str]) -> None:
        """Note what jobs of this run will write: a run that is killed can note nothing at its end.

        Its jobs may run on, and end unseen. `note_ended` leaves what is still to be told.
        """
        self._note(list(dict.fromkeys([*self._earlier, *products])))

    def note_ended(self, stopped: Iterable[str]) -> None:
        """Note products of jobs that a run has not seen end, though they may have.

        Those that are not there may come later: a job may end after its run, and file servers show files
        late.
        """
        left = [one for one in dict.fromkeys([*self._earlier, *stopped]) if self._run.ended(one) is None]
        try:
            self._note(left)
        except OSError as error:  # a full disk stops jobs, never the run that reports them
            logger.warning(
                "%s cannot be written (%s): name these in --forcerun of the next run: %s",
                self._path,
                error,
                ", ".join(left),
            )

    def _note(self, left: list[str]) -> None:
        if left:
            write_json(self._path, {"results": self._products.root, "products": left})
        else:
            self._path.unlink(missing_ok=True)

    @cached_property
    def _earlier(self) -> list[str]:
        """What earlier runs noted of these results."""
        return _words(recorded(self._path).get("products"))


def _words(content: object) -> list[str]:
    return [one for one in content if isinstance(one, str)] if isinstance(content, list) else []
