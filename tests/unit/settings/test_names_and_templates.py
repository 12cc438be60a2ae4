"""Names, paths and templates of the configuration: what they may hold."""

from pathlib import Path

import pytest

from configs import refusal
from radiounet.settings.config import load_config

IMAGE = {"name": "a", "path": "a.fits"}


@pytest.mark.parametrize("name", ["P124+62", "hp01312", "3C-31", "a_b.c", "0"])
def test_names_of_fields_and_cells_are_accepted(name):
    assert load_config({"select": {"mosaics": [name]}}).select.mosaics == [name]


@pytest.mark.parametrize("name", ["a/b", "../a", "..", ".a", "-a", "", "a b", "a\n", "a\\b", "é"])
def test_names_that_could_leave_their_folder_are_refused(name):
    assert f"- select.mosaics.0: {name!r} is not allowed" in refusal({"select": {"mosaics": [name]}})
    images = {"source": "images", "images": [{"name": name, "path": "a.fits"}]}
    assert f"- mosaics.images.0.name: {name!r}" in refusal({"mosaics": images})
    assert f"- segmentation.model: {name!r}" in refusal({"segmentation": {"model": name}})


@pytest.mark.parametrize("length", [100, 101, 240])
def test_names_have_at_most_100_letters(length):
    raw = {"select": {"mosaics": ["a" * length]}}
    if length == 100:
        assert load_config(raw).select.mosaics == ["a" * 100]
    else:
        assert "at most 100" in refusal(raw)


def test_names_stand_once_in_a_list():
    assert "'P1' is listed 2 times" in refusal({"select": {"mosaics": ["P1", "P2", "P1"]}})
    assert "'P1' is listed 2 times" in refusal({"pointing": ["P1", "P1"]})


@pytest.mark.parametrize(
    "path", ["my image.fits", "a{b}.fits", "{mosaic}.fits", "é'\"$(x);.fits", "../x:y.fits"]
)
def test_paths_of_images_may_hold_what_a_file_system_allows(path):
    made = load_config({"mosaics": {"source": "images", "images": [IMAGE | {"path": path}]}})
    assert made.mosaics.images[0].path == path


def test_path_that_looks_like_an_option_becomes_one_that_does_not():
    made = load_config({"mosaics": {"source": "images", "images": [IMAGE | {"path": "-n.fits"}]}})
    assert made.mosaics.images[0].path == f"{Path.cwd()}/-n.fits"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"mosaics": {"compare_to": "/x/{mosaic}/{file}"}}, "unknown {file}; known: {mosaic}"),
        ({"mosaics": {"compare_to": "/x/one.fits"}}, "must contain {mosaic}"),
        ({"mosaics": {"compare_to": "/x/{mosaic"}}, "braces stand around names"),
        ({"verify": {"masks": "/x/{mosaic.__class__}"}}, "unknown {mosaic.__class__}"),
        ({"verify": {"masks": "/x/{mosaic!r}"}}, "is filled in as it is"),
        ({"verify": {"masks": "/x/{}"}}, "unknown {}"),
        (
            {"archive": {"dr2": {"mosaic": "https://x/{pixel}/{file}"}}},
            "unknown {pixel}; known: {mosaic}, {file}",
        ),
        ({"archive": {"dr3": {"field": "https://x/{mosaic}"}}}, "unknown {mosaic}; known: {field}, {file}"),
        ({"mosaics": {"options": {"noise_map": "/x/{field:>100}"}}}, "is filled in as it is"),
        ({"mosaics": {"compare_to": "https://x/{mosaic}"}}, "must be a path, not a URL"),
        ({"mosaics": {"compare_to": "file:///x/{mosaic}"}}, "must be a path, not a URL"),
        ({"mosaics": {"options": {"facets": "http://x/{field}"}}}, "must be a path, not a URL"),
        ({"archive": {"dr2": {"mosaic": "ftp://x/{mosaic}/{file}"}}}, "ftp:// cannot be fetched"),
        ({"archive": {"dr3": {"mosaic": "S3://x/{pixel}/{file}"}}}, "s3:// cannot be fetched"),
        ({"archive": {"dr2": {"field": "sftp://x/{field}/{file}"}}}, "sftp:// cannot be fetched"),
        ({"archive": {"lists": {"fields": "gs://x"}}}, "gs:// cannot be fetched"),
        ({"archive": {"clusters": {"psz2": "ftp://x"}}}, "ftp:// cannot be fetched"),
        ({"archive": {"models": {"mine": {"url": "git+ssh://x"}}}}, "git+ssh:// cannot be fetched"),
        ({"verify": {"probabilities": "ftp://x/{mosaic}"}}, "ftp:// cannot be fetched"),
    ],
)
def test_templates_hold_the_names_that_are_filled_in_and_no_others(raw, message):
    assert message in refusal(raw)
