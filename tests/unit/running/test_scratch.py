import errno
import os
from pathlib import Path

import pytest

from radiounet.errors import ConfigError
from radiounet.images.products import OWNER_FILE, Products
from radiounet.running.scratch import link_scratch
from radiounet.running.stages import bulky_folders
from radiounet.settings.config import load_config


def test_bulky_folders_lie_on_scratch_and_are_found_from_results(tmp_path):
    products = Products(str(tmp_path / "results/dr3"))
    for _ in range(2):  # a later run finds its links
        link_scratch(products, str(tmp_path / "scratch"))
    assert bulky_folders() == ["fields", "mosaics", "high_resolution"]
    for name in bulky_folders():
        link = tmp_path / "results/dr3" / name
        assert link.is_symlink()
        assert link.resolve() == tmp_path / "scratch/dr3" / name


def test_a_purged_scratch_is_made_again(tmp_path):
    products = Products(str(tmp_path / "results/dr3"))
    link_scratch(products, str(tmp_path / "old"))
    for path in sorted((tmp_path / "old").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    link_scratch(products, str(tmp_path / "old"))
    assert (tmp_path / "results/dr3/mosaics").is_dir()


def test_folders_and_other_links_are_left_alone(tmp_path):
    products = Products(str(tmp_path / "results/dr3"))
    (tmp_path / "results/dr3/mosaics").mkdir(parents=True)
    with pytest.raises(ConfigError, match="mosaics is there already"):
        link_scratch(products, str(tmp_path / "scratch"))
    other = Products(str(tmp_path / "results/dr2"))
    link_scratch(other, str(tmp_path / "first"))
    with pytest.raises(ConfigError, match="is no link to"):
        link_scratch(other, str(tmp_path / "second"))


def test_variables_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    assert load_config({"scratch": "$SCRATCH/lotss"}).scratch == f"{tmp_path}/lotss"
    with pytest.raises(ConfigError, match="no such variable"):
        load_config({"scratch": "$ABSENT_FOLDER/lotss"})


def test_two_runs_on_one_scratch_are_refused(tmp_path):
    link_scratch(Products(str(tmp_path / "mine/dr3")), str(tmp_path / "scratch"))
    with pytest.raises(ConfigError, match="holds the files of the run in .*mine/dr3"):
        link_scratch(Products(str(tmp_path / "yours/dr3")), str(tmp_path / "scratch"))
    link_scratch(Products(str(tmp_path / "yours/dr2")), str(tmp_path / "scratch"))


def block(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def lead_round(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda root, home: block(home), "scratch/dr3"),
        (lambda root, home: block(home / "mosaics"), "scratch/dr3/mosaics"),
        (lambda root, home: (home / OWNER_FILE).mkdir(parents=True), f"scratch/dr3/{OWNER_FILE}"),
        (lambda root, home: lead_round(home.parent), "scratch"),
        (lambda root, home: lead_round(root / "mosaics"), "results/dr3/mosaics is there already"),
    ],
)
def test_what_is_in_the_way_is_named_in_one_line(tmp_path, spoil, place):
    root = tmp_path / "results/dr3"
    spoil(root, tmp_path / "scratch/dr3")
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/[^\n]*{place}[^\n]*$"):
        link_scratch(Products(str(root)), str(tmp_path / "scratch"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("function", ["mkdir", "write_text", "symlink_to"])
def test_a_scratch_that_takes_nothing_is_named(tmp_path, monkeypatch, function, code):
    def refuse(self, *arguments, **options):
        raise OSError(code, os.strerror(code))  # as of a write, which names no file

    monkeypatch.setattr(Path, function, refuse)
    with pytest.raises(ConfigError, match=f"^{tmp_path}/scratch/dr3 cannot be used: {os.strerror(code)}$"):
        link_scratch(Products(str(tmp_path / "results/dr3")), str(tmp_path / "scratch"))
