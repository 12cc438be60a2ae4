"""How a product says what it was made with: version, hash of the code, checksums."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from radiounet import __version__
from radiounet.images.words import printable

PACKAGE = Path(__file__).parents[1]
"""Folder of the package."""


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_hash(script: str | None = None) -> str:
    """First 12 digits of the SHA-256 over the files of the library.

    Parameters
    ----------
    script : str, optional
        Name of a stage script: hash only it, the modules it imports, directly or not,
        and the files of the package that these name, see `_named`. Snakemake does not
        see a change in any of them; with this among a rule's params it does, and reruns
        only the stages concerned.
    """
    if script is None:
        return hash_of_package(PACKAGE)
    sources = _imported(PACKAGE.parent, f"{script}.py")
    return _hash(sources | _named(PACKAGE, sources.values()))


def hash_of_package(folder: Path) -> str:
    """First 12 digits of the SHA-256 over all files of the package in a folder."""
    return _hash({name: (folder.parent / name).read_bytes() for name in package_files(folder)})


def package_files(folder: Path) -> list[str]:
    """Names of the files of the package in a folder, from beside it; without hidden and compiled ones."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one != "__pycache__" and not one.startswith(".")]
        kept = (one for one in names if not one.startswith(".") and not one.endswith((".pyc", "~")))
        found += [Path(place, one).relative_to(folder.parent).as_posix() for one in kept]
    return sorted(found)


def _hash(sources: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sources, key=lambda one: one.split("/")):
        digest.update(name.encode() + b"\0" + sources[name])
    return digest.hexdigest()[:12]


def _imported(folder: Path, script: str) -> dict[str, bytes]:
    """A script and every module of this library that it can reach by imports: source by name."""
    found: dict[str, bytes] = {}
    waiting = {script}
    while waiting:
        name = waiting.pop()
        found[name] = (folder / name).read_bytes()
        waiting |= _modules_in(found[name]) - found.keys()
    return found


def _named(package: Path, sources: Iterable[bytes]) -> dict[str, bytes]:
    """Files of the package that are no modules and that some modules read: content by name.

    A module reads a file if the file's name, or that of its folder, stands in quotes in it, alone or at
    the end of a path.
    """
    words = frozenset[str]().union(*map(_quoted_in, sources))
    files = [name for name in _data_files(package) if not words.isdisjoint(name.split("/")[-2:])]
    return {name: (package.parent / name).read_bytes() for name in files}


@cache
def _data_files(package: Path) -> list[str]:
    return [name for name in package_files(package) if not name.endswith(".py")]


@cache
def _quoted_in(source: bytes) -> frozenset[str]:
    """Words in quotes; of paths, their ends."""
    return frozenset(
        word.decode().rpartition("/")[2] for word in re.findall(rb"""["']([\w./-]+)(?=["'])""", source)
    )


@cache
def _modules_in(source: bytes) -> frozenset[str]:
    """Names of the modules that a module imports; a run asks for many stages, which share most of theirs."""
    names = re.findall(rb"^\s*from (radiounet\.[\w.]+) import", source, re.MULTILINE)
    return frozenset(f"{name.decode().replace('.', '/')}.py" for name in names)


def provenance(**entries: str | float | int | None) -> list[tuple[str, object, str | None]]:
    """FITS cards that say how a product was made; None entries are left out.

    Keywords are the entries' names in upper case, at most 8 letters.
    """
    cards: list[tuple[str, object, str | None]] = [
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
    "CARDSHA": None,
    "IMAGESHA": None,
    "INPUTSHA": None,
    "SEGMODE": "tiling mode",
    "PRECIS": "arithmetic of the inference",
    "THREADS": "CPU threads of the inference",
    "BKGSCALE": "arcmin, scale of the background taken away",
    "THRESH": "probability where the mask begins",
    "MASKPEAK": "probability that an island must reach",
    "MINBEAMS": "smallest island kept, beam areas",
    "NFIELDS": "fields in the mosaic",
    "NMISSING": "fields selected but missing or rejected",
    "BEAMCUT": "primary beam below which a field is cut",
    "NOISERAT": "robust rms of the image over its rms map",
}
