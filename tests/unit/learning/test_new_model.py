"""The files of a model, which belong together."""

import os
import shutil
from pathlib import Path

import pytest

from models import tiny_card
from radiounet.learning.new_model import _write

FILES = {"card.yaml", "learning_curve.csv", "metrics.json", "network.weights.h5"}


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        *((shutil, "copyfile", number) for number in (1, 2)),
        *((Path, "write_text", number) for number in (1, 2)),
        *((os, "fsync", number) for number in (1, 2, 3, 4)),
        (os, "replace", 1),
    ],
)
def test_what_cannot_be_written_leaves_a_good_model_as_it_was(tmp_path, fill_disk, owner, name, number):
    out = tmp_path / "m"
    for kind in ("old", "new"):
        for file in ("curve", "weights"):
            (tmp_path / f"{kind}.{file}").write_text(f"{kind} {file}")
    old, new = (
        [str(tmp_path / f"{kind}.{file}") for file in ("curve", "weights")] for kind in ("old", "new")
    )
    _write(out, *old, {"dice": 0.5}, tiny_card())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    fill_disk(owner, name, number)
    with pytest.raises(OSError, match="No space"):
        _write(out, *new, {"dice": 0.6}, tiny_card(threshold=0.2))
    assert before.keys() == FILES
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
