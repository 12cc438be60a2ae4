"""Releases and cluster catalogues that a configuration adds."""

import json

import pytest

from configs import refusal
from radiounet.settings.catalogues import PUBLISHED_CATALOGUES
from radiounet.settings.command_line import settings_to
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR2, DR3, LISTED, OWN_IMAGES
from radiounet.settings.section import merged

GRID = {"pixel_arcsec": 6.0, "beam_arcsec": 25.0, "frequency_mhz": 1300.0}
HEALPIX = {"cells": "healpix", "nside": 8, "footprint": "moc.fits", **GRID}
FILES = {"archive": {"mosaic": "https://there/{pixel}/{file}"}}


def test_shipped_releases_with_nothing_given():
    assert load_config({}).survey_release.model_dump() == DR2.model_dump()
    assert load_config({"release": "dr3"}).published_release.model_dump() == DR3.model_dump()
    images = {"source": "images", "images": [{"name": "a", "path": "a.fits"}]}
    assert load_config({"mosaics": images}).survey_release == OWN_IMAGES


def test_section_archive_sets_the_sources_of_shipped_releases():
    raw = {"archive": {"lists": {"dr2_mosaics": "a.csv", "fields": "b.csv"}}}
    raw["archive"]["dr2"] = {"field": "https://there/{field}/{file}"}
    release = load_config(raw).published_release
    assert (release.mosaics, release.fields) == ("a.csv", "b.csv")
    assert release.archive.field == "https://there/{field}/{file}"
    assert release.archive.mosaic == DR2.archive.mosaic


def test_a_release_of_the_user():
    release = load_config({"release": "mine", "releases": {"mine": HEALPIX | FILES}}).survey_release
    assert (release.name, release.nside, release.prefix, release.title) == (
        "mine",
        8,
        "hp",
        "MINE (1300 MHz)",
    )
    assert release.fields == DR2.fields
    raw = {"release": "mine", "releases": {"mine": HEALPIX | FILES | {"fields": "own.csv"}}}
    assert load_config(raw).survey_release.fields == "own.csv"


def test_a_shipped_release_changes_in_what_is_named_alone():
    release = load_config({"releases": {"dr2": {"beam_arcsec": 21.0}}}).published_release
    assert release.model_dump() == DR2.model_dump() | {"beam_arcsec": 21.0}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"release": "dr4"}, "release: 'dr4' is not allowed; known releases are dr2, dr3"),
        (
            {"release": "her", "releases": {"his": HEALPIX}},
            "release: 'her' is not allowed; known releases are dr2, dr3, his",
        ),
        ({"releases": {"x": HEALPIX | {"nside": 12}}}, "nside must be a power of 2, not 12"),
        ({"releases": {"x": HEALPIX | {"paper": "Doe 2026"}}}, "paper and doi belong together"),
        ({"releases": {"x": HEALPIX | {"mosaics": "a.csv"}}}, "cells is 'healpix', which has no mosaics"),
        ({"releases": {"x": {"cells": "pointing", "nside": 8, **GRID}}}, "'pointing', which has no nside"),
        (
            {"releases": {"x": {"cells": "pointing", **GRID, **FILES}}},
            "cells is 'pointing', so that archive.mosaic cannot hold {pixel}",
        ),
        ({"releases": {"x": HEALPIX | {"name": "y"}}}, "x: its name is its key, not 'y'"),
        ({"releases": {"images": HEALPIX}}, "own images are no release"),
        ({"releases": {"x": {"cells": "images", **GRID}}}, "own images are no release"),
        (
            {"releases": {"dr2": {"mosaics": "a.csv"}}},
            "dr2: set where its lists and files are in archive.dr2",
        ),
        ({"releases": {"x": {"cells": "healpix"}}}, "releases.x.pixel_arcsec: is needed"),
        (
            {"release": "x", "releases": {"x": HEALPIX | FILES}, "mosaics": {"source": "fields"}},
            "mosaics.source is 'fields' but releases.x.archive.field has no URL",
        ),
    ],
)
def test_a_release_that_cannot_be_used_is_refused(raw, message):
    assert message in refusal(raw)


def test_a_cluster_catalogue_of_the_user():
    entry = {"url": "https://there", "columns": {"name": "Id", "M500": "mass"}, "units": {"M500": "solMass"}}
    made = load_config({"clusters": "mine", "archive": {"clusters": {"mine": entry, "short": "a.fits"}}})
    assert made.fetched_clusters == ["mine"]
    assert list(made.archive.clusters) == [*PUBLISHED_CATALOGUES, "mine", "short"]
    assert made.archive.clusters["mine"].model_dump() == entry
    assert made.archive.clusters["short"].url == "a.fits"
    assert not load_config({"clusters": "mine"}).fetched_clusters


def test_a_column_that_clusters_do_not_have_is_refused():
    entry = {"url": "https://there", "columns": {"mass": "M"}}
    assert "archive.clusters.mine.columns.mass" in refusal({"archive": {"clusters": {"mine": entry}}})


MOSAIC, FIELD = ("mosaic", "mosaic_files"), ("field", "field_int_files", "field_app_files")
OWN = {
    "cells": "pointing", "pixel_arcsec": 4.5, "beam_arcsec": 20.0, "frequency_mhz": 144.0,
    "mosaics": "list.csv", "archive": {"mosaic": "/data/{mosaic}/{file}"},
}  # fmt: skip
"""Of a release of the user's own."""


def told(raw, names):
    """What a download is told of the release."""
    made = load_config(raw)
    return settings_to(made, *made.keys_of_files(*names))


def read_back(made, *keys):
    """What a download makes of what it is told, beside the keys that change no file."""
    told = merged(*(json.loads(settings_to(made, *some)) for some in (made.keys_of_downloads, keys)))
    return load_config(told)


@pytest.mark.parametrize(
    ("raw", "mosaic", "field"),
    [
        ({"archive": {"dr2": {"field": "http://x/{field}/{file}"}}}, False, True),
        ({"archive": {"dr2": {"field_int_files": ["i.fits"]}}}, False, True),
        ({"archive": {"dr2": {"field_app_files": ["a.fits"]}}}, False, True),
        ({"archive": {"dr2": {"mosaic": "http://x/{mosaic}/{file}"}}}, True, False),
        ({"archive": {"dr2": {"mosaic_files": ["m.fits"]}}}, True, False),
        ({"archive": {"dr3": {"mosaic": "http://x/{mosaic}/{file}"}}}, False, False),
        ({"releases": {"dr2": {"bandwidth_mhz": 47.0}}}, False, False),
        ({"releases": {"dr2": {"frequency_mhz": 150.0, "blank": "none", "field_px": 9}}}, False, False),
        ({"archive": {"lists": {"fields": "grid.txt"}}}, False, False),
        ({"release": "dr3"}, True, True),
    ],
)
def test_a_download_is_told_the_keys_that_it_uses_and_no_more(raw, mosaic, field):
    assert (told(raw, MOSAIC) != told({}, MOSAIC)) == mosaic
    assert (told(raw, FIELD) != told({}, FIELD)) == field


@pytest.mark.parametrize(
    ("change", "mosaic"),
    [
        ({"bandwidth_mhz": 10.0}, False),
        ({"frequency_mhz": 54.0}, False),
        ({"beam_arcsec": 15.0}, False),
        ({"pixel_arcsec": 3.0}, False),
        ({"mosaics": "other.csv"}, False),
        ({"archive": {"mosaic": OWN["archive"]["mosaic"], "field": "/data/{field}/{file}"}}, False),
        ({"archive": {"mosaic": "/other/{mosaic}/{file}"}}, True),
    ],
)
def test_a_download_of_a_release_of_ones_own_is_told_the_same(change, mosaic):
    raw, other = ({"release": "mine", "releases": {"mine": entry}} for entry in (OWN, OWN | change))
    assert (told(raw, MOSAIC) != told(other, MOSAIC)) == mosaic


@pytest.mark.parametrize(
    "raw",
    [
        {"release": "dr3", "archive": {"dr3": {"mosaic": "http://x/{pixel}/{file}"}}},
        {"releases": {"dr2": {"frequency_mhz": 20.0, "bandwidth_mhz": 10.0}}},
        {"release": "mine.1", "releases": {"mine.1": OWN}},
        {
            "release": "hp",
            "releases": {
                "hp": OWN | {"cells": "healpix", "nside": 16, "mosaics": None}
                | {"archive": {"mosaic": "/data/{pixel}/{file}", "field": "/data/{field}.fits"}}
            },
        },
    ],
)  # fmt: skip
def test_a_download_finds_its_files_as_the_run_does(raw):
    made = load_config(raw)
    for names in (MOSAIC, FIELD):
        archive = read_back(made, *made.keys_of_files(*names)).release_archive
        assert all(getattr(archive, one) == getattr(made.release_archive, one) for one in names)
    lists = read_back(made, *made.keys_of_lists).published_release
    assert all(getattr(lists, one) == getattr(made.published_release, one) for one in LISTED)


@pytest.mark.parametrize("kind", ["keys_of_cells", "keys_of_lists"])
def test_what_is_only_published_reaches_no_stage_that_makes_products(kind):
    names = {name for key in getattr(load_config({}), kind) for name in key}
    assert {"releases", "cells"} < names
    assert not {"paper", "doi", "survey", "facility", "instrument"} & names
