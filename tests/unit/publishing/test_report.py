"""The report page, made of what the stages write."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table, vstack

from published import copy_of
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash
from radiounet.images.words import one_line
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.columns import COLUMNS
from radiounet.publishing.report import _clusters_in, _rows, _with_error, write_report
from radiounet.settings.archive import Dr2Archive
from radiounet.settings.config import Config
from stages import DEC, RA, pass_on, run_script, run_stages, write_image

NAMES = ["<script>alert(1)</script>", "A $\\frac{$ & <b>x</b>", "\" onerror='alert(2)' " + 60 * "y"]
UNIT = "<img src=x onerror=alert(3)>"
SENT = b"<svg/onload=alert(4)>%d</svg>"
HARMLESS = ["one", "two", "three"]


class Page(HTMLParser):
    """Elements of a page with their attributes, and all its text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.text += " " if tag == "td" else ""

    def handle_data(self, data):
        self.text += data


def write_run(folder, names, unit, sent):
    """A mosaic with clusters of these names, one in this unit, one that the archive sent as these bytes."""
    images = {"good": write_image(folder / "a.fits"), "unit": write_image(folder / "b.fits", BUNIT=unit)}
    table = Table({"name": names, "ra": [RA, RA + 0.04, RA - 0.04], "dec": [DEC, DEC + 0.03, DEC - 0.03]})
    table["z"], table["R500"] = [0.2] * 3, [2.0] * 3
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    survey = run_stages(products, images, folder / "clusters.ecsv")
    (folder / "sent.fits").write_bytes(sent)
    archive = Dr2Archive(mosaic=f"{folder}/{{mosaic}}.fits", mosaic_files=["sent.fits"]).model_dump()
    asked = ("--mosaic", "sent", "--settings", json.dumps({"archive": {"dr2": archive}}))
    image, source = products.image("sent"), products.mosaic_source("sent")
    run_script("fetch_mosaic", *asked, "--image", image, "--source", source)
    pass_on(products, "sent")
    merge_catalogues(products.root, ["good", "unit", "sent"])
    listed = [{"name": name, "path": str(path)} for name, path in images.items()]
    config = Config.model_validate({"mosaics": {"source": "images", "images": listed}, "clusters": names[0]})
    return products, config, survey


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return [
        write_run(tmp_path_factory.mktemp("run"), *words)
        for words in ((NAMES, UNIT, SENT), (HARMLESS, "K", b"Kelvin"))
    ]


@pytest.fixture(scope="module")
def pages(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "report.html"
    made = []
    for products, config, survey in runs:
        write_report(products.root, config, survey, ["good", "unit"], str(path))
        made.append(Page(path))
    return made


LINK_TO_SITE = [("a", {"href": "publication/index.html"})]
"""The report may be older than the results site, so it leads there in any case."""


def test_hostile_words_change_no_element_of_the_report(pages):
    hostile, harmless = ([(tag, sorted(attributes)) for tag, attributes in page.elements] for page in pages)
    assert hostile == harmless
    assert [one for one in pages[0].elements if one in LINK_TO_SITE] == LINK_TO_SITE
    for tag, attributes in pages[0].elements:
        if (tag, attributes) in LINK_TO_SITE:
            continue
        assert tag != "script"
        assert not [name for name in attributes if name.startswith("on") or name == "href"]
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")


def test_hostile_words_are_shown_as_they_are(pages):
    for word in (*map(one_line, NAMES), UNIT, repr(SENT[:30])):
        assert word in pages[0].text
    pictures = [attributes["alt"] for tag, attributes in pages[0].elements if tag == "img"][1:]
    assert sorted(pictures) == sorted(f"Picture of {one_line(name)}" for name in NAMES)


def test_each_table_has_its_own_descriptions(pages):
    """Also of columns that both catalogues have."""
    for page in pages:
        titles = [attributes["title"] for tag, attributes in page.elements if "title" in attributes]
        for kind in ("clusters", "islands"):
            assert COLUMNS[kind]["name"].description in titles
            assert COLUMNS[kind]["mosaic"].description in titles


@pytest.mark.parametrize("is_purged", [False, True])
def test_islands_are_in_the_order_of_the_flux_density_that_is_shown(runs, tmp_path, is_purged):
    """It counts all sources; without them the order may be another. Only what was drawn is introduced."""
    products, config, survey = runs[1]
    products = copy_of(products, tmp_path)
    islands = vstack(3 * [Table.read(products.catalogue("islands", "vot"))[:1]], metadata_conflicts="silent")
    islands["name"] = ["isl-1", "isl-2", "isl-3"]
    islands["flux_mjy"], islands["total_flux_mjy"] = [3.0, 2.0, 1.0], [10.0, 30.0, 20.0]
    islands.write(products.catalogue("islands", "vot"), format="votable", overwrite=True)
    clusters = Table.read(products.catalogue("clusters", "vot"))
    clusters["r500_arcmin"] = 0.01  # so that the islands are away from all of them
    clusters.write(products.catalogue("clusters", "vot"), format="votable", overwrite=True)
    if is_purged:
        Path(products.image("good")).unlink()
        Path(products.cutouts("good")).unlink()
    write_report(products.root, config, survey, ["good", "unit"], str(tmp_path / "report.html"))
    page = Page(tmp_path / "report.html")
    assert re.findall(r"isl-\d", page.text) == ["isl-2", "isl-3", "isl-1"]
    counts = [
        int(one)
        for one in re.findall(r"without a picture, as their [\w-]+ is not there[^:]*: (\d)", page.text)
    ]
    assert counts == ([3, 3] if is_purged else [])
    assert ("Pictures, from left to right" in page.text) is not is_purged
    assert ("Below: the brightest islands" in page.text) is not is_purged


def test_a_phone_shows_the_report_within_its_width(pages):
    """Its tables scroll, each in its own box."""
    for page in pages:
        assert (
            "meta",
            {"name": "viewport", "content": "width=device-width, initial-scale=1"},
        ) in page.elements
        assert not [attributes for _, attributes in page.elements if "width" in attributes]
        tags = [(tag, attributes.get("class")) for tag, attributes in page.elements]
        tables = [place for place, (tag, _) in enumerate(tags) if tag == "table"]
        assert [tags[place - 1] for place in tables] == [("div", "scroll")] * len(tables)


def test_the_report_counts_what_the_stages_wrote(pages):
    for page in pages:
        text = " ".join(page.text.split())
        assert "1 of 2 mosaics done, 1 rejected; 1 islands, 3 clusters, 3 of them measured." in text
        assert code_hash() in text
        assert re.search(r"unit prepare_image \S+b.fits UnitError: ", text)
        assert re.search(r"sent fetch_mosaic \S+/sent.fits NotFitsError: \S+ is not FITS", text)


def test_a_fit_that_was_not_made_has_no_flag():
    table = Table({"name": ["fitted", "not"], "fit_flag": [0, -1]})
    assert [row["fit_flag"] for row in _rows(table)] == ["0", "–"]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (12.345, 0.99, "12.35 ± 0.99"),
        (12.345, np.inf, "–"),
        (12.345, 0.0996, "12.35 ± 0.10"),  # of an error that is rounded to the next power of ten
        (123.4, 9.96, "123 ± 10"),
        (123.4, 9.94, "123.4 ± 9.9"),
        (123.4, 0.00012, "123.400 ± 0.000"),
        (9.9996e24, 9.99e22, "1.00e+25 ± 1.0e+23"),
    ],
)
def test_an_error_has_two_significant_digits(value, error, text):
    assert _with_error(value, error) == text


def test_a_cluster_that_several_images_show_counts_once(tmp_path):
    """As VOTable gives it: a position that is not known is masked."""
    ra = [1.0, 1.0, 2.0, np.nan, np.nan]
    table = Table({"name": ["A", "A", "A", "lost", "lost"], "ra_deg": ra, "dec_deg": [3.0] * 5})
    table.write(tmp_path / "t.vot", format="votable")
    read = Table.read(tmp_path / "t.vot")
    assert np.ma.is_masked(read["ra_deg"][3])
    assert _clusters_in(read) == 4
    assert _clusters_in(read[:0]) == 0


def test_the_report_shows_the_configuration_as_yaml(pages):
    shown = yaml.safe_load(pages[0].text[pages[0].text.index("Parameters") :].partition("\n")[2])
    assert Config.model_validate(shown).clusters == [NAMES[0]]
