"""What is on disk is told from what the configuration says."""

import os

import pytest

from radiounet import freshness
from radiounet.freshness import Fingerprints


@pytest.fixture
def read(monkeypatch):
    """Names of the files whose bytes were read."""
    names = []

    def noted(path):
        names.append(path.name)
        return real(path)

    real = freshness.sha256_of
    monkeypatch.setattr(freshness, "sha256_of", noted)
    return names


def test_a_file_that_looks_as_before_is_not_read_again(tmp_path, read):
    (tmp_path / "a").write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    first = record.of(tmp_path / "a")
    record.keep()
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "a") == first
    assert read == ["a"]


def test_an_older_file_in_its_place_is_another_one(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    os.utime(old, (1e9, 1e9))
    new.write_text("new")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(new)
    os.replace(old, new)
    assert Fingerprints(tmp_path / "record.json").of(new) != before


def test_a_touched_file_is_the_same_one(tmp_path, read):
    path = tmp_path / "a"
    path.write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(path)
    os.utime(path, (1e9, 1e9))
    assert record.of(path) == before
    assert len(read) == 2


def test_nothing_is_written_before_it_is_told_to(tmp_path):
    """By a dry run, or by a job."""
    (tmp_path / "a").write_text("one")
    Fingerprints(tmp_path / "record.json").of(tmp_path / "a")
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize("text", ['{"a": [', "[]", "null", ""])
def test_a_record_that_was_cut_short_costs_another_reading(tmp_path, text):
    (tmp_path / "a").write_text("one")
    record = Fingerprints(tmp_path / "record.json")
    before = record.of(tmp_path / "a")
    (tmp_path / "record.json").write_text(text)
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "a") == before
    assert Fingerprints(tmp_path / "record.json").of(tmp_path / "b") == "absent"
