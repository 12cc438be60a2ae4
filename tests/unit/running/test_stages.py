"""Stages that another workflow adds, and how jobs, which are processes of their own, are told of them."""

import json
import re
from dataclasses import replace

import pytest
from astropy.table import Table

from programs import ROOT, start
from radiounet.images.products import Products
from radiounet.images.regional_products import ProductsOfRegions
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.running import stages
from radiounet.running.progress import COMPARES, PUBLISHES
from radiounet.running.stages import STAGES, Stage, add_stages, options_of_added
from stages import own_image, run_stages, write_image

ROWS = {
    0: Stage("cut", "field", "part", "Mpx of fields", ("fields",)),
    7: Stage("smooth", "mosaic", "mask", "Mpx", beside=("noise",), lasting=("smoothed", "mask")),
    13: Stage("count", "survey", "number", "mosaic", bulky=("counts",), switch="limits.enabled"),
}
"""By their place in the table."""
METHODS = {
    "part": lambda self, name: f"{self.root}/parts/{name}.fits",
    "noise": lambda self, name: f"{self.root}/{self.title}/{name}/noise.fits",
    "smoothed": lambda self, name: f"{self.of(name)}/smoothed/{name}.fits",
    "number": lambda self: f"{self.root}/number.json",
}


@pytest.fixture
def added(monkeypatch):
    """What a run tells its jobs, for which the table is as before."""
    for kind, method in METHODS.items():
        monkeypatch.setattr(Products, kind, method, raising=False)
    rows = list(STAGES)
    for place, row in ROWS.items():
        rows.insert(place, row)
    with monkeypatch.context() as run:
        run.setattr(stages, "STAGES", rows)
        option, text = options_of_added(Products("out/dr3"))
    assert option == "--added-stages"
    for kind in METHODS:
        monkeypatch.delattr(Products, kind)
    monkeypatch.setattr(stages, "STAGES", list(STAGES))
    return json.loads(text)


def rules():
    """Text of each rule of the workflow, by its name."""
    found = {}
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        found |= dict(re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", path.read_text(), re.M | re.S))
    return found


def test_every_rule_is_told_its_code_but_those_whose_downloads_are_large():
    without = {name for name, text in rules().items() if '"stage ' in text and "code=" not in text}
    assert without == {stage.rule for stage in STAGES if stage.keeps_bytes} | {"fetch_model"}


def test_every_rule_that_makes_a_product_of_a_field_or_mosaic_has_a_row():
    """Those that compare or publish finished mosaics have none."""
    makes = {
        name
        for name, text in rules().items()
        if re.search(r'\{(mosaic|field)\}"', text.partition("output:")[2].partition(" log:")[0])
    }
    others = {name for name in makes if name.startswith(COMPARES + PUBLISHES)}
    assert others == {"compare_mosaic", "verify_mosaic", "publish_mosaic"}
    assert makes - others == {stage.rule for stage in STAGES if stage.each != "survey"}


def test_without_added_stages_a_job_is_told_of_none():
    assert options_of_added(Products("out/dr3")) == []


def test_a_job_has_the_rows_that_were_added_in_their_places(added):
    add_stages(added)
    assert {place: stages.STAGES[place] for place in ROWS} == ROWS
    assert [stage for stage in stages.STAGES if stage not in ROWS.values()] == STAGES
    assert hash(stages.STAGES[7]) == hash(ROWS[7])


def test_a_row_that_was_replaced_takes_the_place_of_the_other(monkeypatch):
    """Also beside one that was added, and told twice."""
    place = [stage.rule for stage in STAGES].index("segment")
    rows = [replace(one, beside=("weights",)) if one.rule == "segment" else one for one in STAGES]
    rows.insert(place, Stage("smooth", "mosaic", "mask", "Mpx"))
    with monkeypatch.context() as run:
        run.setattr(stages, "STAGES", rows)
        _, text = options_of_added(Products("out/dr3"))
    monkeypatch.setattr(stages, "STAGES", list(STAGES))
    for _ in range(2):
        add_stages(json.loads(text))
        assert rows == stages.STAGES


def test_a_job_knows_where_added_products_lie(added):
    own = Products.mask
    add_stages(added)
    one = Products("out/dr3")
    regions = ProductsOfRegions("out/dr3", {"a": "out/dr3/regions/1_2"})
    for kind in ("part", "noise", "smoothed"):
        for name in ("a", "A+b_c.d"):
            for products in (one, regions):
                assert getattr(products, kind)(name) == METHODS[kind](products, name)
    assert one.number() == "out/dr3/number.json"
    assert Products.mask is own


def test_what_an_added_stage_rejects_is_in_the_catalogue(tmp_path, monkeypatch):
    products = Products(str(tmp_path / "images"))
    image = write_image(tmp_path / "one.fits")
    run_stages(products, {"one": image})
    monkeypatch.setattr(Products, "smoothed", METHODS["smoothed"], raising=False)
    monkeypatch.setattr(
        stages, "STAGES", [*STAGES, Stage("smooth", "mosaic", "smoothed", "Mpx", lasting=("smoothed",))]
    )
    write_rejected(products.smoothed("one"), Rejection("one", "smooth", "one.fits", "no sky"))
    settings = own_image("one", image, results=str(tmp_path))
    done = start("merge_catalogue", "--settings", settings, *options_of_added(products))
    assert done.returncode == 0, done.stderr
    (row,) = Table.read(products.catalogue("rejected", "fits"))
    assert (row["name"], row["stage"], row["reason"]) == ("one", "smooth", "no sky")
