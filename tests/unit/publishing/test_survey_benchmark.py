"""`benchmarks/publish_survey.py`: which record it takes, and what it says where there is none."""

import runpy
import sys

import pytest

from programs import ROOT
from radiounet.images.products import Products, Publication
from radiounet.images.writing import write_json

PROGRAM = ROOT / "benchmarks/publish_survey.py"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    return runpy.run_path(str(PROGRAM))


def write(publication, mosaic, **found):
    write_json(Publication(str(publication)).record("mosaic", mosaic), {"found": {"of": mosaic, **found}})


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_record_by_name_of_a_mosaic_of_dr3_is_taken(program, tmp_path, order):
    write(tmp_path, "P124+62")
    write(tmp_path, "hp00001", rejected="blank")
    for mosaic in ("hp00900", "hp00964", "hp01000")[::order]:
        write(tmp_path, mosaic)
    assert program["record_of_dr3"](str(tmp_path))["found"]["of"] == "hp00900"


@pytest.mark.parametrize("mosaics", [(), ("P124+62", "SIM-A")])
def test_a_publication_without_a_mosaic_of_dr3_is_named(program, tmp_path, monkeypatch, mosaics):
    for mosaic in mosaics:
        write(tmp_path, mosaic)
    products = Products(str(tmp_path / "dr3"))
    monkeypatch.setattr(sys, "argv", ["publish_survey.py", products.root, str(tmp_path)])
    with pytest.raises(SystemExit, match="dr3 has no catalogue of clusters: give the results of a finished"):
        program["main"]()
    (tmp_path / "dr3/catalogue").mkdir(parents=True)
    (tmp_path / "dr3/catalogue/clusters.vot").touch()
    with pytest.raises(SystemExit, match=f"{tmp_path}.* has no record of a mosaic of DR3: give the publi"):
        program["main"]()
