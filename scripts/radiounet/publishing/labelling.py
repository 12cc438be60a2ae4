"""Labels that people give to candidates by eye: which is next, and the table that holds them."""

import fcntl
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.table import Column, Row, Table

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.provenance import code_hash
from radiounet.images.reading import ecsv_table
from radiounet.images.words import one_line
from radiounet.images.writing import open_lock, write_ecsv
from radiounet.measuring.labels import plain_name
from radiounet.publishing.catalogue_objects import (
    CatalogueObject,
    files_of,
    places_of,
    places_text,
    read_catalogues,
)

logger = logging.getLogger(__name__)

LABELS = {
    "halo": "RH",
    "relic": "RR",
    "halo and relic": "RH+RR",
    "no emission": "NDE",
    "radio galaxy": "NDE",
    "artefact": "NDE",
    "Galactic": "NDE",
    "unsure": "U",
}
"""What a person may say, and the class of `radiounet.measuring.labels` that it means."""
CHANCE = {"cluster": "p_diffuse", "island": "p_max"}
UNDECIDED = 0.5
COLUMNS = ("name", "class", "label", "ra_deg", "dec_deg", "kind", "mosaic", "p", "who", "when")
NUMBERS = ("ra_deg", "dec_deg", "p")


def candidates(results: str, kind: str, order: str) -> list[CatalogueObject]:
    """Clusters or islands that can be labelled, in the order in which they are asked for.

    Parameters
    ----------
    results : str
        See `radiounet.publishing.catalogue_objects.read_catalogues`.
    kind : {'cluster', 'island'}
    order : {'uncertain', 'catalogue'}
        The probability nearest to 0.5 first, or the order of the catalogue.

    Raises
    ------
    ConfigError
        No cluster, or no island, was measured, or none has a name of its own. Those that share their name
        with one at another place are left out, and named in the log.
    """
    return [same[0] for same in candidates_by_name(results, kind, order).values()]


def candidates_by_name(results: str, kind: str, order: str) -> dict[str, list[CatalogueObject]]:
    """Candidates by `plain_name`, each with all images that show it; `candidates` has the first of these."""
    table = read_catalogues(results).get(kind, Table({"name": []}))
    chance: np.ndarray = (
        np.ma.filled(np.ma.asarray(table[CHANCE[kind]], float), np.nan) if len(table) else np.array([])
    )
    measured = np.asarray(table["class"]) != "N/A" if len(table) else True
    rows = np.flatnonzero(np.isfinite(chance) & measured)
    if order == "uncertain":
        rows = rows[np.argsort(np.abs(chance[rows] - UNDECIDED), kind="stable")]
    # several own images may show one cluster, and a table of labels has each name once
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(plain_name(one_line(table["name"][row])), []).append(table[int(row)])
    found = {}
    for name, same in by_name.items():
        places = places_of((kind, row) for row in same)
        if len(places) < 2:
            found[name] = [CatalogueObject(kind, row, files_of(results, str(row["mosaic"]))) for row in same]
            continue
        logger.warning(
            "left out: %d of %s are called %s, at %s: give each a name of its own",
            len(places),
            results,
            one_line(same[0]["name"]),
            places_text(places),
        )
    if not found:
        own_name = " and has a name of its own" if by_name else ""
        raise ConfigError(f"{results} has no {kind} that was measured{own_name}")
    return found


def _opened(lock: Path) -> int:
    """Descriptor of a lock file: for writing, as NFS needs it, unless another person forbids that."""
    try:
        try:
            return open_lock(lock)
        except PermissionError:
            if not lock.is_file():
                raise
            return os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigError(f"{lock} cannot be opened to lock the table: {error.strerror}") from None


def _known(column: Column, *, is_number: bool) -> np.ndarray:
    """Values of a column; an empty number is NaN, an empty text is empty."""
    if is_number:
        return np.ma.filled(np.ma.asarray(column, float), np.nan)
    return np.ma.filled(np.ma.asarray(column).astype(str), "")


def _key(row: Mapping[str, object]) -> tuple[str, str]:
    """What a label is of: a cluster may be called like an island."""
    return str(row["kind"]), plain_name(str(row["name"]))


@dataclass
class LabelTable:
    """Labels of candidates, in the order in which they were given; each change is written at once.

    Several people may label into one table at the same time. A candidate has one label: that of whoever
    gave it first.

    Parameters
    ----------
    path : path
        ECSV; labels that are there are kept. Beside it lies a hidden file that locks it.
    who : str
    """

    path: str | Path
    who: str
    rows: list[dict[str, object]] = field(default_factory=list, init=False)
    _state: tuple[int, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> None:
        """Take the labels of the file, to which another person may have added some."""
        path = Path(self.path)
        if not path.is_file():
            self.rows, self._state = [], ()
            return
        found = path.stat()
        if (state := (found.st_ino, found.st_mtime_ns, found.st_size)) == self._state:
            return
        with path.open("rb") as stream:
            if not stream.readline().startswith(b"# %ECSV"):
                raise ConfigError(f"{self.path} is no table of radiounet label, which writes ECSV")
        table = ecsv_table(self.path)
        if missing := set(COLUMNS) - set(table.colnames):
            raise ConfigError(
                f"{self.path} is no table of radiounet label: it has no {', '.join(sorted(missing))}"
            )
        try:
            columns = {name: _known(table[name], is_number=name in NUMBERS) for name in COLUMNS}
        except ValueError as error:
            raise ConfigError(f"{self.path}: {', '.join(NUMBERS)} must be numbers: {error}") from None
        self.rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        self._state = state

    def names(self, kind: str) -> set[str]:
        """Labelled names of clusters or of islands, as `plain_name` compares them."""
        return {plain_name(str(row["name"])) for row in self.rows if row["kind"] == kind}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the table, as it is now, for this program alone."""
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(_opened(path.with_name(f".{path.name}.lock"))) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError as error:
                logger.warning("%s cannot be locked (%s): let one person label at a time", path, error)
            self.read()
            yield

    def add(self, source: CatalogueObject, label: str) -> dict[str, object] | None:
        """Give a candidate a label, one of `LABELS`.

        Returns
        -------
        dict or None
            The row of another person who was faster, which stays; None where the label was written.
        """
        row, name = source.row, one_line(source.row["name"])
        values = (name, LABELS[label], label, *source.place, source.kind, str(row["mosaic"]))
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = dict(zip(COLUMNS, (*values, float(row[CHANCE[source.kind]]), self.who, when), strict=True))
        with self._alone():
            same = [one for one in self.rows if _key(one) == _key(new)]
            other = next((one for one in same if one["who"] != self.who), None)
            if other is None:
                self.rows = [one for one in self.rows if one not in same] + [new]
                self._write()
        return other

    def undo(self, kind: str, names: Collection[str]) -> str | None:
        """Take back the last label that `who` gave to one of these.

        Parameters
        ----------
        kind : {'cluster', 'island'}
        names : collection of str
            As `plain_name` gives them.

        Returns
        -------
        str or None
            The name that had the label; None where there was none.
        """
        with self._alone():
            mine = [
                number
                for number, row in enumerate(self.rows)
                if row["who"] == self.who and _key(row)[0] == kind and _key(row)[1] in names
            ]
            if not mine:
                return None
            name = str(self.rows.pop(mine[-1])["name"])
            self._write()
        return name

    def _write(self) -> None:
        table = Table(meta={"version": __version__, "codehash": code_hash()})
        for name in COLUMNS:
            kind = float if name in NUMBERS else str
            table[name] = np.array([row[name] for row in self.rows], kind)
        for name in ("ra_deg", "dec_deg"):
            table[name].unit = "deg"
        write_ecsv(self.path, table)
