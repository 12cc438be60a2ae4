"""The version of a release stands in several files; they agree."""

import json
import re
import tomllib

import pytest
import yaml

from programs import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
RELEASED, DATE = re.search(
    r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
).groups()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("CITATION.cff", str(CITATION["version"])),
        ("codemeta.json", json.loads((ROOT / "codemeta.json").read_text())["version"]),
        ("pyproject.toml", PYPROJECT["tool"]["setuptools_scm"]["fallback_version"]),
    ],
)
def test_the_newest_version_of_the_changelog_stands_in(file, version):
    assert version == RELEASED, file


def test_the_date_of_the_citation_is_that_of_the_version():
    assert str(CITATION["date-released"]) == DATE


def test_the_workflow_needs_the_snakemake_that_its_environment_has():
    """What the adapter uses of its inside is tested on that version alone."""
    (needed,) = re.findall(r'^min_version\("(.+)"\)$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert f"snakemake=={needed}" in PYPROJECT["project"]["optional-dependencies"]["workflow"]
