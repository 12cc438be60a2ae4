"""What the results site says of a run, apart from a publication; `tests/browser` looks at its pages."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from programs import start
from published import copy_of
from radiounet.errors import ConfigError
from radiounet.images.products import SiteFiles
from radiounet.images.words import one_line
from radiounet.publishing.catalogue_objects import read_catalogues
from radiounet.publishing.site import write_site
from radiounet.publishing.site_pictures import _islands
from radiounet.publishing.site_tables import hosts_of, shown_hosts, stems_of, value_of
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration

OWN_RELEASE = {
    "releases": {
        "deep": {
            "survey": "My Survey",
            **{"cells": "pointing", "pixel_arcsec": 4.5, "beam_arcsec": 20.0, "frequency_mhz": 1300.0},
        }
    },
    "release": "deep",
    "clusters": None,
}


@pytest.fixture
def products(run, tmp_path):
    return copy_of(run, tmp_path)


def said_of(products, folder):
    """What the page says of the run."""
    write_site(products.root, folder, None, 1)
    text = Path(SiteFiles(str(folder)).data("run")).read_text()
    return json.loads(text.removeprefix('Site.load("run",').removesuffix(");\n"))


def test_neighbours_are_no_mosaics_of_the_run(products, tmp_path, caplog):
    """Of a neighbour there is a mask, and no table of islands."""
    expected = said_of(products, tmp_path / "alone")
    assert [(one["name"], one["state"]) for one in expected["mosaics"]] == [
        *(("a", "done"), ("b", "done"), ("c", "rejected"))
    ]
    shutil.copyfile(products.mask("a"), products.mask("0_neighbour"))
    fits.setval(products.mask("0_neighbour"), "MODEL", value="other")
    assert said_of(products, tmp_path / "site") == expected
    assert "tables of" not in caplog.text


def test_tables_of_an_earlier_run_are_shown_with_a_warning(products, tmp_path, caplog):
    for kind in (products.mask, products.islands):
        shutil.copyfile(kind("b"), kind("wider"))
    found = said_of(products, tmp_path / "site")
    assert [one["name"] for one in found["mosaics"]] == ["a", "b", "c", "wider"]
    assert "has tables of 4 mosaics, its catalogue is of 3" in caplog.text


def test_what_has_no_position_is_on_no_mosaic_and_has_a_page(products, tmp_path, caplog):
    caplog.set_level("INFO", "radiounet")
    expected = said_of(products, tmp_path / "alone")["mosaics"]
    path = products.catalogue("clusters", "vot")
    table = Table.read(path)
    empty = {name: "" if table[name].dtype.kind in "OU" else 0 for name in table.colnames}
    table.add_row(empty | {"name": "nowhere", "class": "N/A", "ra_deg": np.nan, "dec_deg": np.nan})
    table.write(path, format="votable", overwrite=True)
    assert said_of(products, tmp_path / "site")["mosaics"] == expected
    assert f"islands on {len(expected)} mosaics" in caplog.messages[-1]
    files = SiteFiles(str(tmp_path / "site"))
    clusters = json.loads(re.search(r"\{.*\}", Path(files.data("clusters")).read_text(), re.DOTALL)[0])
    assert clusters["columns"]["mosaic"] == [0, None]
    assert '"nowhere"' in Path(files.mosaic("_")).read_text()


def test_a_cluster_called_like_an_island_has_files_of_its_own(run):
    """A list of clusters may be made of islands; both lie on one mosaic."""
    tables = read_catalogues(run.root)
    clusters, islands = tables["cluster"], tables["island"]
    clusters["name"] = [str(islands["name"][0])]
    clusters["mosaic"] = [str(islands["mosaic"][0])]
    stems = stems_of({"clusters": clusters, "islands": islands})
    assert stems["islands"][0] == f"{stems['clusters'][0]}~2"
    places = [
        (str(row["mosaic"]), stem.lower())
        for kind, table in (("clusters", clusters), ("islands", islands))
        for row, stem in zip(table, stems[kind], strict=True)
    ]
    assert len(set(places)) == len(places)


def test_an_island_leads_to_clusters_of_other_mosaics(products, tmp_path):
    """Merging gives an island to the clusters of all mosaics, by its name."""
    catalogue = products.catalogue("clusters", "vot")
    clusters = Table.read(catalogue)
    (island,) = set(str(clusters["islands"][0]).split("; "))
    clusters["mosaic"] = ["b"]
    clusters.write(catalogue, format="votable", overwrite=True)
    files = SiteFiles(str(tmp_path / "site"))
    write_site(products.root, files.root, None, 1)
    script = Path(files.mosaic("a")).read_text()
    entries = json.loads(script.partition(",")[2].removesuffix(");\n"))["islands"].values()
    (entry,) = [one for one in entries if one["row"]["name"] == island]
    (host,) = entry["clusters"]
    assert (host["mosaic"], host["name"]) == ("b", one_line(clusters["name"][0]))
    assert [one["clusters"] for one in entries if one is not entry] == [[]] * (len(entries) - 1)


def test_a_cluster_that_several_images_show_is_one_host():
    """That of the island's own image, where it is shown there."""
    names, mosaics = ["A", "A", "B", "B", "C"], ["a", "b", "b", "c", "a"]
    clusters = Table({"name": names, "mosaic": mosaics, "islands": ["RUN 1; RUN 2"] * 4 + [""]})
    hosts = hosts_of(clusters, ["A", "A", "B", "B", "C"])
    assert sorted(hosts) == ["RUN 1", "RUN 2"]
    for mosaic, shown in (("a", [("A", "a"), ("B", "b")]), ("c", [("B", "c"), ("A", "a")])):
        assert [(one["name"], one["mosaic"]) for one in shown_hosts(hosts["RUN 1"], mosaic)] == shown


@pytest.mark.parametrize("value", [268.4952, 26849.52, 2.684952e-3, 0.0449961])
def test_a_number_keeps_what_decides_how_a_page_rounds_it(value):
    """268.5 would be shown as 269, beside the 268 of the report."""
    assert value_of(np.float64(value)) == value


@pytest.mark.parametrize("content", [b"", b"[]", b'{"state": "ended"}', b'{"failed": [1]}', b"\xff{"])
def test_a_damaged_status_file_stops_no_site(products, tmp_path, caplog, content):
    Path(products.status_file()).write_bytes(content)
    assert said_of(products, tmp_path / "site")["status"] is None
    assert "is damaged, the site says nothing of the last run" in caplog.text


def test_only_the_site_in_the_folder_of_the_run_links_its_live_page(products, tmp_path):
    """Another site is served without it, and its address would show folders of the machine."""
    counts = {"state": "ended", "mosaics": {"done": 2}, "failed": []}
    Path(products.status_file()).write_text(json.dumps(counts))
    assert said_of(products, products.publication())["status"]["page"] == "../status.html"
    other = said_of(products, tmp_path / "site")["status"]
    assert (other["state"], other["page"]) == ("ended", None)


def test_a_release_of_the_user_has_its_title(products, tmp_path):
    write_configuration(load_config(OWN_RELEASE), products.configuration())
    assert said_of(products, tmp_path / "site")["title"] == "My Survey DEEP (1300 MHz)"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"name,ra,dec\nA,1,2\n",
        b"<!DOCTYPE html><p>there is no aladin.js",
        b"\xff\xfea\0l\0a\0d\0i\0n\0",
        b"SIMPLE  =                    T / aladin" + bytes(100),
    ],
)
def test_what_is_no_program_of_aladin_lite_is_refused_before_anything_is_written(products, tmp_path, content):
    program = tmp_path / "aladin.js"
    program.write_bytes(content)
    out = tmp_path / "site"
    with pytest.raises(ConfigError, match=r"aladin\.js is not the program of Aladin Lite"):
        write_site(products.root, out, program, 1)
    assert not out.exists()


@pytest.mark.parametrize("verb", ["site", "publish"])
def test_an_image_is_no_program_of_aladin_lite(products, tmp_path, verb):
    image, out = products.image("a"), tmp_path / "site"
    done = start(f"radiounet {verb}", products.root, "--out", out, "--aladin", image)
    assert done.returncode == 78
    assert f"ConfigError: {image} is not the program of Aladin Lite" in done.stderr
    assert not out.exists()


def test_the_program_of_aladin_lite_is_copied(products, tmp_path):
    program = tmp_path / "aladin.umd.cjs"
    program.write_text("/* Aladin Lite */ A.aladin = function (place) { return place; };", encoding="utf-8")
    write_site(products.root, tmp_path / "site", program, 1)
    copy = Path(SiteFiles(str(tmp_path / "site")).code("aladin.js"))
    assert copy.read_bytes() == program.read_bytes()


def test_the_outline_of_an_island_is_the_edge_of_its_pixels():
    """By hand, from the upper left corner: rows 0 and 1 of 4 are the lower half of the picture."""
    islands = np.zeros((4, 4), int)
    islands[:2, 1:3] = 7
    corners = np.array(re.findall(r"([\d.]+),([\d.]+)", _islands(islands)), float)
    assert corners.min(axis=0).tolist() == [1, 2]
    assert corners.max(axis=0).tolist() == [3, 4]
