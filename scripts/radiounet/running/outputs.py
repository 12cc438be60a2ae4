"""What a program may write: nothing that it reads, and nothing that is there and was not made here."""

import json
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.provenance import sha256_of
from radiounet.settings.urls import local_path

HEAD_BYTES = 1 << 18
"""As much of a file is searched for a mark."""

MARKS = (
    rb"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+: ",  # log
    rb"\A(?=SIMPLE  =)(?:.{80})*?(RUNETVER=|REJSTAGE=|HISTORY codehash: )",
    rb"\A# %ECSV.*^# *-? *\{?(codehash|rejected): ",
    rb"\A<\?xml.*<INFO [^>]*name=\"codehash\"",
    rb"\A(# (version|\{\"options\"): |name,ra_deg,dec_deg,|mosaic,region$|name,file,checksum\r?$|step,loss,)",
    rb"\A# sha256 of the lines below: [0-9a-f]{64}\n# version: ",  # configuration of a catalogue
    rb"\A<!DOCTYPE html>.*<p>radiounet [^,<]+, code [0-9a-f]{12}, ",
    rb"\A\x89PNG.*?tEXtSoftware\0radiounet \S+, code [0-9a-f]{12}",
    rb"\A# (Plan: [A-Z0-9]+, \d+ mosaics|Verdict: (identical|equal|not compared|different)|Evaluation\n)",
    rb"\A# Region file format: DS9[^\n]*\n# radiounet \S+, code [0-9a-f]{12}",
    rb"\ASite\.load\(",  # data of the results site
    rb"\A(?:[^\n]+:[^\n]+\.labels\.fits\n)+[^\n]*\Z",  # pairs of image and labels
    rb"\Aname: .*^architecture: .*^weights:\n",  # model card
)
"""How products begin, or what they hold."""

HDF5 = b"\x89HDF\r\n\x1a\n"
PARQUET = b"PAR1"

JSON_KEYS = (
    {"url", "file", "size", "sha256", "tried"},
    {"int", "app"},
    {"verdict", "counts", "mosaics"},
    {"verdict", "name", "mosaic"},
    {"rms_ratio", "difference_rms_jy"},
    {"images", "area_deg2", "objects", "clusters"},
    {"origin", "counts", "names", "scores", "confusion"},
    {"kit", "products", "files"},
    {"made_with", "mosaics", "rejections"},
    {"made_of", "files", "found"},
    {"scored_on", "methods"},
)
"""Entries that products in JSON have, one of these sets each."""


def claim_outputs(
    outputs: Iterable[str | Path], inputs: Iterable[str | Path] = (), log: str | None = None
) -> None:
    """Make sure that files may be written, before anything is removed or written.

    Parameters
    ----------
    outputs : iterable of path
        Files that will be written. Those that are there must have been made by this library.
    inputs : iterable of path
        Files and folders that are read; others, such as URLs, may be among them.
    log : path, optional
        Written as well.

    Raises
    ------
    ConfigError
        An output is also an input, by whatever name or link; lies in a folder that is an input and is
        there; is there and was not made by this library; is a folder, a device or a pipe; lies below a file;
        or two are the same.
    """
    paths = [Path(one) for one in outputs]
    if log is not None and not _is_special(Path(log)):  # such as a terminal
        paths.append(Path(log))
    taken = {name: str(one) for one in inputs for name in _names(_local(one))}
    folders = [os.path.realpath(_local(one)) for one in inputs if os.path.isdir(_local(one))]
    written: dict[object, Path] = {}
    for path in paths:
        names = _names(path)
        if source := next((taken[name] for name in names if name in taken), None):
            raise ConfigError(f"{path} would overwrite {source}, which is read: write somewhere else")
        if other := next((written[name] for name in names if name in written), None):
            raise ConfigError(f"{path} and {other} are one file, and both would be written: name another")
        written |= dict.fromkeys(names, path)
        _require_place(path)
        if path.exists() and os.path.dirname(os.path.realpath(path)) in folders:
            raise ConfigError(f"{path} lies in a folder that is read: write somewhere else")
    for path in paths:
        if path.exists() and not made_here(path, paths):
            raise ConfigError(
                f"{path} is there and was not made by this program: move it away, or write somewhere else"
            )


def made_here(path: Path, together: Iterable[Path] = ()) -> bool:
    """Whether a file is empty, or a product of this library as its content tells.

    Parameters
    ----------
    path : path
    together : iterable of path
        Files that are written with it: one of them may vouch for what bears no mark itself, a JSON file
        for a downloaded image by its checksum, a checkpoint or card for weights, a table for a picture.
    """
    with open(path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head or any(re.search(mark, head, re.MULTILINE | re.DOTALL) for mark in MARKS):
        return True
    if head.startswith(b"{") and _is_json_product(path):
        return True
    if head.startswith(HDF5) and _is_marked_hdf5(path):
        return True
    if head.startswith(PARQUET) and _is_marked_parquet(path):
        return True
    if _is_checkpoint(path):
        return True
    beside = [one for one in together if one != path and one.exists()]
    kinds = {".h5": (".csv", ".yaml"), ".png": (".md", ".json"), ".npz": (".csv",), ".ecsv": (".json",)}
    if any(one.suffix in kinds.get(path.suffix, ()) and made_here(one) for one in beside):
        return True
    return any(
        one.suffix == ".json" and sha256_of(path) in one.read_text(encoding="utf-8", errors="replace")
        for one in beside
    )


def _local(path: str | Path) -> str:
    return local_path(str(path)) or str(path)


def _names(path: str | Path) -> list[object]:
    """What a file is known by: its path without links and, where it is there, its number on the disk."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [os.path.realpath(path)]
    return [os.path.realpath(path), (status.st_dev, status.st_ino)]


def _is_special(path: Path) -> bool:
    """Whether a path is a device or a pipe: it is not read, which may take for ever, nor replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _require_place(path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, but a file is to be written there")
    if _is_special(path):
        raise ConfigError(f"{path} is a device or a pipe, but a file is to be written there")
    for folder in path.parents:
        if folder.is_dir():
            return
        if os.path.lexists(folder):
            raise ConfigError(f"{folder} is no folder: {path.name} cannot be written below it")


def _is_json_product(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    left_out = content.get("left_out", [])
    rejections = [content.get("rejected"), *(left_out if isinstance(left_out, list) else [])]
    if any(isinstance(one, dict) and {"stage", "file", "reason"} <= one.keys() for one in rejections):
        return True
    return content == {"left_out": []} or any(keys <= content.keys() for keys in JSON_KEYS)


def _is_marked_hdf5(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as store:
            return bool({"model_sha256", "rejected"} & set(store.attrs))
    except OSError:
        return False


def _is_marked_parquet(path: Path) -> bool:
    from pyarrow import ArrowException, parquet

    try:
        return b"codehash" in (parquet.read_schema(path).metadata or {})
    except ArrowException:
        return False


def _is_checkpoint(path: Path) -> bool:
    """Whether it is of a training; Snakemake removes all that lies beside it before the training goes on."""
    try:
        with zipfile.ZipFile(path) as store:
            return "about.npy" in store.namelist()
    except zipfile.BadZipFile:
        return False
