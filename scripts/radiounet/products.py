"""Every file of a run: its name, how it is written, and what a rejected one looks like.

Stages meet in files only, and no file name is made anywhere else. The Snakefile
imports this module in every job, so the readers of file formats come with the
functions that need them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from radiounet import __version__
from radiounet.errors import BadDataError
from radiounet.reading import ecsv_table, fits_header, hdf5_store, reading
from radiounet.words import one_line, printable, save_figure, visible

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9+_.-]*"
"""What a field or mosaic may be called: it becomes part of a path."""


@dataclass(frozen=True)
class Products:
    """Names of all products of one run.

    Parameters
    ----------
    root : str
        ``results/<release>``; every other name lies below it. A name may be a
        concrete mosaic or a Snakemake wildcard such as ``{mosaic}``.
    """

    root: str

    def field_image(self, field: str, kind: str) -> str:
        """20" image of a field: `kind` is ``int`` or ``app``."""
        return f"{self.root}/fields/{field}/{kind}.fits"

    def field_source(self, field: str) -> str:
        """Where a field's images came from (JSON)."""
        return f"{self.root}/sources/fields/{field}.json"

    def image(self, mosaic: str) -> str:
        """20" image of a mosaic, Jy/beam."""
        return f"{self.root}/mosaics/{mosaic}/image.fits"

    def weights(self, mosaic: str) -> str:
        """Summed weights of a mosaic made from fields, (beam/Jy)^2."""
        return f"{self.root}/mosaics/{mosaic}/weights.fits"

    def sigma(self, mosaic: str) -> str:
        """Noise of a mosaic made from fields by its weights, Jy/beam."""
        return f"{self.root}/mosaics/{mosaic}/sigma.fits"

    def left_out(self, mosaic: str) -> str:
        """Fields that a mosaic was made without, and why (JSON)."""
        return f"{self.root}/sources/left_out/{mosaic}.json"

    def comparison(self, mosaic: str) -> str:
        """Folder of what a mosaic shows beside a published one, see `comparison_files`."""
        return f"{self.root}/comparison/{mosaic}"

    def verification(self, mosaic: str) -> str:
        """What a mosaic's masks share with reference ones (JSON)."""
        return f"{self.root}/verification/{mosaic}.json"

    def verdict(self) -> str:
        """Verdict of all mosaics (JSON)."""
        return f"{self.root}/verification.json"

    def verdict_page(self) -> str:
        """The same as a page of Markdown."""
        return f"{self.root}/verification.md"

    def mosaic_source(self, mosaic: str) -> str:
        """Where a downloaded mosaic came from (JSON)."""
        return f"{self.root}/sources/mosaics/{mosaic}.json"

    def tiles(self, mosaic: str) -> str:
        """Normalised plane, starts of the cores and local noise (HDF5)."""
        return f"{self.root}/tiles/{mosaic}.h5"

    def cores(self, mosaic: str) -> str:
        """Predicted cores (HDF5)."""
        return f"{self.root}/cores/{mosaic}.h5"

    def probability(self, mosaic: str) -> str:
        """Probability of diffuse emission per pixel, 0..1, NaN where blank."""
        return f"{self.root}/probability/{mosaic}.fits"

    def mask(self, mosaic: str) -> str:
        """0 no, 1 diffuse, 255 no data."""
        return f"{self.root}/masks/{mosaic}.fits"

    def islands(self, mosaic: str) -> str:
        """Islands of one mosaic."""
        return f"{self.root}/islands/{mosaic}.ecsv"

    def clusters(self, mosaic: str) -> str:
        """Clusters whose centre the mosaic's cell owns."""
        return f"{self.root}/clusters/{mosaic}.ecsv"

    def catalogue(self, kind: str, suffix: str) -> str:
        """`kind` is ``clusters``, ``islands`` or ``rejected``."""
        return f"{self.root}/catalogue/{kind}.{suffix}"

    def lasting(self, mosaic: str) -> list[str]:
        """Everything of one mosaic that stays after a run, whatever its image was made from."""
        kinds = (self.probability, self.mask, self.islands, self.clusters)
        return [kind(mosaic) for kind in kinds]

    def image_list(self) -> str:
        """Places of own images (CSV)."""
        return f"{self.root}/mosaics.csv"

    def of_survey(self) -> list[str]:
        """Catalogues and report."""
        catalogues = [
            self.catalogue(kind, suffix) for kind in CATALOGUE_KINDS for suffix in CATALOGUE_SUFFIXES
        ]
        return [*catalogues, self.report()]

    def input_record(self) -> str:
        """Size, date and hash of the user's own files that the run was made from (JSON)."""
        return f"{self.root}/sources/inputs.json"

    def run_settings(self) -> str:
        """Configuration that a run began with (JSON), as long as it runs."""
        return f"{self.root}/sources/run.json"

    def edit_marks(self) -> str:
        """Folder of notes on jobs whose code was edited during their run."""
        return f"{self.root}/sources/edited"

    def log(self, stage: str, name: str = "all") -> str:
        """Log of one job."""
        return f"{self.root}/logs/{stage}/{name}.log"

    def benchmark(self, stage: str, name: str = "all") -> str:
        """Time and memory of one job, as Snakemake measures them."""
        return f"{self.root}/benchmarks/{stage}/{name}.tsv"

    def status_file(self) -> str:
        """How the latest run stands (JSON)."""
        return f"{self.root}/status.json"

    def status_page(self) -> str:
        """The same as a page that reloads itself."""
        return f"{self.root}/status.html"

    def plan(self) -> str:
        """What a run will take (Markdown)."""
        return f"{self.root}/plan.md"

    def report(self) -> str:
        """The run's report page."""
        return f"{self.root}/report.html"


def comparison_files(folder: str) -> dict[str, str]:
    """Files of a comparison of two mosaics: what was found, sources, difference image, picture."""
    names = {
        "found": "comparison.json",
        "sources": "sources.ecsv",
        "difference": "difference.fits",
        "picture": "comparison.png",
    }
    return {kind: f"{folder}/{name}" for kind, name in names.items()}


LOCK_FILE = ".radiounet.lock"
"""Who works in a folder of products."""
OWNER_FILE = "owner.txt"
"""Whose run a folder on scratch belongs to."""

CATALOGUE_KINDS = ("clusters", "islands", "rejected")
CATALOGUE_SUFFIXES = ("fits", "vot", "csv")


@dataclass(frozen=True)
class Rejection:
    """Why a field or mosaic could not be used: one row of ``rejected``."""

    name: str
    stage: str
    file: str
    reason: str


class RejectedInputError(BadDataError):
    """An input product of a stage is itself rejected; the rejection is passed on."""

    def __init__(self, rejection: Rejection):
        super().__init__(rejection.reason)
        self.rejection = rejection


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; sync and rename on success, remove on failure.

    A killed job leaves no half product under the final name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the name of a product may be as long as the file system allows
    prefix = f".{path.name[:120]}.{_host()}-{os.getpid()}."
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]


@cache
def _umask() -> int:
    """Permissions that the user takes away; asking sets it, so it is asked once, and put back."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


LEFTOVER = re.compile(r"^\..+\.(?P<host>\w+)-(?P<pid>\d+)\.\w{8}(\.\w+)?$")
"""Temporary names of `atomic`."""
LEFTOVER_S = 3600.0
"""Without a change for so long, a temporary file of another machine is nobody's."""


def remove_leftovers(folder: str | Path, below: bool = True) -> list[Path]:
    """Remove what killed jobs left half written, in a folder, below it, and in folders it links to.

    A file of this machine goes when its process has ended, one of another machine when
    nothing was written to it for an hour.

    Parameters
    ----------
    folder : path
    below : bool
        False: only in the folder itself.

    Returns
    -------
    list of path
        What was removed.
    """
    removed = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(root))
        # a link may lead back
        folders[:] = [one for one in folders if below and os.path.realpath(Path(root, one)) not in seen]
        for name in names:
            found = LEFTOVER.match(name)
            path = Path(root, name)
            if found and not _is_being_written(path, found["host"], int(found["pid"])):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _is_being_written(path: Path, host: str, pid: int) -> bool:
    if host == _host():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it runs, by somebody else
            return True
        return True
    try:
        return time.time() - path.stat().st_mtime < LEFTOVER_S
    except FileNotFoundError:  # renamed in the meantime
        return True


def write_json(path: str | Path, content: dict) -> None:
    """Write a small JSON product."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_fits(
    path: str | Path,
    data: np.ndarray,
    header: fits.Header,
    tables: dict[str, Table | None] | None = None,
    classes: dict[str, np.ndarray] | None = None,
) -> None:
    """Write one plane, ``[y, x]``, as the primary HDU, and extensions of the given names.

    Parameters
    ----------
    tables : mapping of str to Table or None
        None is left out.
    classes : mapping of str to ndarray of uint8, ``[y, x]``
        Probabilities, 255 for 1; read back as 0..1.
    """
    from astropy.io import fits

    hdus = fits.HDUList([fits.PrimaryHDU(data, header)])
    for name, plane in (classes or {}).items():
        hdu = fits.CompImageHDU(plane, name=class_extension(name))
        hdu.header["BSCALE"], hdu.header["BZERO"] = 1 / 255, 0.0
        hdus.append(hdu)
    for name, table in (tables or {}).items():
        if table is not None:
            hdus.append(fits.BinTableHDU(table, name=name))
    with atomic(path) as temporary:
        hdus.writeto(temporary, overwrite=True)


def class_extension(name: str) -> str:
    """Name of the FITS extension that holds the probability of a class."""
    return name.upper().replace(" ", "_")


def write_ecsv(path: str | Path, table: Table) -> None:
    """Write a table with units, descriptions and metadata."""
    import io

    from radiounet.tables import quote_number_signs

    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv")
    with atomic(path) as temporary:
        temporary.write_text(quote_number_signs(stream.getvalue(), " "), encoding="utf-8")


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_hash(script: str | None = None) -> str:
    """First 12 digits of the SHA-256 over the library's source.

    Parameters
    ----------
    script : str, optional
        Name of a stage script: hash only it and the modules it imports, directly
        or not. Snakemake does not see a change in an imported module; with this
        among a rule's params it does, and reruns only the stages concerned.
    """
    library = Path(__file__).parent
    wanted = _imported(library.parent / f"{script}.py") if script else set(library.glob("*.py"))
    digest = hashlib.sha256()
    for path in sorted(wanted):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _imported(script: Path) -> set[Path]:
    """A script and every module of this library that it can reach by imports."""
    library = Path(__file__).parent
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        found.add(path)
        names = re.findall(r"^\s*from radiounet\.(\w+) import", path.read_text(), re.MULTILINE)
        waiting += [library / f"{name}.py" for name in names if library / f"{name}.py" not in found]
    return found


def provenance(**entries: str | float | int | None) -> list[tuple[str, object, str]]:
    """FITS cards that say how a product was made; None entries are left out.

    Keywords are the entries' names in upper case, at most 8 letters.
    """
    cards = [
        ("RUNETVER", __version__, "version of the workflow"),
        ("CODEHASH", code_hash(), "hash of radiounet's source"),
    ]
    for name, value in entries.items():
        if value is not None:
            keyword = name.upper()
            text = printable(value) if isinstance(value, str) else value
            cards.append((keyword, text, PROVENANCE_COMMENTS[keyword]))
    return cards


PROVENANCE_COMMENTS = {
    "MODEL": None,  # a long name and 64 digits leave no room for a comment
    "MODELSHA": None,
    "IMAGESHA": None,
    "INPUTSHA": None,
    "SEGMODE": "tiling mode",
    "PRECIS": "arithmetic of the inference",
    "BKGSCALE": "arcmin, scale of the background taken away",
    "THRESH": "probability where the mask begins",
    "MASKPEAK": "probability that an island must reach",
    "MINBEAMS": "smallest island kept, beam areas",
    "NFIELDS": "fields in the mosaic",
    "NMISSING": "fields selected but missing or rejected",
    "BEAMCUT": "primary beam below which a field is cut",
    "NOISERAT": "robust noise of the image over its sigma map",
}


def write_rejected(path: str | Path, rejection: Rejection) -> None:
    """Write the stand-in of a product that could not be made.

    FITS: a primary HDU with no data and the rejection in its header. HDF5: no
    data set, the rejection as attributes. ECSV and JSON: a ``rejected`` entry. PNG: a
    picture of the reason, for people only.
    """
    from astropy.io import fits
    from astropy.table import Table

    # a file name may hold bytes that are no text, which no file could take
    entries = {name: visible(text) for name, text in asdict(rejection).items()}
    suffix = Path(path).suffix
    if suffix == ".fits":
        header = fits.Header([("REJECTED", True, "no product: see REJSTAGE, REJFILE, REJREASN")])
        for key, name in _REJECTION_CARDS.items():
            header[key] = printable(entries[name])
        with atomic(path) as temporary:
            fits.PrimaryHDU(None, header).writeto(temporary, overwrite=True)
    elif suffix == ".h5":
        import h5py

        with atomic(path) as temporary, h5py.File(temporary, "w") as store:
            store.attrs["rejected"] = json.dumps(entries)
    elif suffix == ".ecsv":
        write_ecsv(path, Table(names=["name"], dtype=[str], meta={"rejected": entries}))
    elif suffix == ".png":
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 2))
        text = one_line(f"{rejection.name} rejected in {rejection.stage}: {rejection.reason}")
        figure.text(0.02, 0.5, textwrap.fill(text, 100), va="center")
        with atomic(path) as temporary:
            save_figure(figure, temporary, dpi=110)
    else:
        write_json(path, {"rejected": entries})


_REJECTION_CARDS = {"REJNAME": "name", "REJSTAGE": "stage", "REJFILE": "file", "REJREASN": "reason"}


def read_rejection(path: str | Path) -> Rejection | None:
    """Return the rejection that stands in a product's place, or None."""
    suffix = Path(path).suffix
    if suffix == ".fits":
        with reading(path), open(path, "rb") as stream:
            block = stream.read(2880)
        # a card of its own; the same letters may stand in a HISTORY
        if not any(block.startswith(b"REJECTED=", start) for start in range(0, len(block), 80)):
            return None
        header = fits_header(path)
        return Rejection(**{name: header[key] for key, name in _REJECTION_CARDS.items()})
    if suffix == ".h5":
        with hdf5_store(path) as store:
            entries = json.loads(store.attrs.get("rejected", "null"))
    elif suffix == ".ecsv":
        entries = ecsv_table(path).meta.get("rejected")
    else:
        entries = _json(path).get("rejected")
    return Rejection(**entries) if entries else None


def _json(path: str | Path) -> dict:
    with reading(path):
        return json.loads(Path(path).read_text())


def read_left_out(path: str | Path) -> list[Rejection]:
    """Fields that a mosaic was made without."""
    content = _json(path)
    return [Rejection(**entries) for entries in content.get("left_out", [])]
