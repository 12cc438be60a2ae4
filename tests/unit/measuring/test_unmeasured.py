"""Every row of the input table of clusters is in the catalogue, or counted."""

import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table

from radiounet.images.products import CATALOGUE_SUFFIXES, Products
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.writing import write_ecsv
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.columns import COLUMNS
from walk import MADE, SURVEY, copy_of, make_walk, open_lines, read_catalogue, rows_of


@pytest.fixture(scope="module", autouse=True)
def walk(tmp_path_factory):
    make_walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture
def accounted(tmp_path):
    """Two mosaics, of which one was rejected, and a cluster table whose rows lie everywhere."""
    root = str(tmp_path / "results")
    products = Products(root)
    copy_of(products, ("islands", "P1"), ("clusters", "P3"), ("islands", "P3"))
    table = MADE["clusters"].copy()
    table["p_diffuse"][0] = 0.5
    write_ecsv(products.clusters("P1"), table)
    merge_catalogues(root, ["P1", "P3"], clusters=MADE["input"], survey=SURVEY)
    return products


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_every_cluster_is_in_the_catalogue_or_counted(accounted, suffix):
    rows = {row[0]: row for row in rows_of(read_catalogue(accounted, "clusters", suffix))}
    assert set(rows) == {"in P1", "no z", "z 9", "in P3", "dec 95", "row 8"}
    column = list(COLUMNS["clusters"]).index
    notes = {name: row[column("note")] or "" for name, row in rows.items()}
    assert notes == {
        "in P1": "",
        "no z": "no redshift; R500 is assumed",
        "z 9": "redshift 9 is outside 0.001..5",
        "in P3": f"rejected: {MADE['rejections']['P3'].reason}",
        "dec 95": "declination 95 deg is outside -90..90 deg",
        "row 8": "no position; neither M500 nor R500; no redshift; no name in the table",
    }
    mosaics = {name: row[column("mosaic")] or "" for name, row in rows.items()}
    assert mosaics == {"in P1": "P1", "no z": "P1", "z 9": "P1", "in P3": "P3", "dec 95": "", "row 8": ""}
    assert rows["in P1"][column("p_diffuse")] == 0.5
    assert rows["no z"][column("p_diffuse")] is not None
    assert [bool(rows[name][column("flag_r500")]) for name in ("in P1", "no z", "z 9")] == [
        False,
        True,
        False,
    ]
    for name in rows.keys() - {"in P1", "no z"}:
        assert (rows[name][column("class")], rows[name][column("reason")]) == ("N/A", notes[name])
    assert [rows[name][column("ra_deg")] for name in ("in P3", "dec 95")] == [30.0, None]


def test_clusters_without_a_position_are_counted_and_named_in_the_log(caplog, accounted):
    text = "\n".join(record.getMessage() for record in caplog.get_records("setup"))
    assert "1 cluster of the input: declination 95 deg is outside -90..90 deg (dec 95)" in text
    assert "no name in the table (row 8)" in text


def test_the_counts_of_clusters_add_up(accounted):
    history = list(fits.getheader(accounted.catalogue("clusters", "fits"), 1)["HISTORY"])
    assert {"clusters_rows: 8", "clusters_outside: 2"} <= set(history)
    comments = open_lines(accounted.catalogue("clusters", "csv"))
    assert {"# clusters_rows: 8", "# clusters_outside: 2"} <= set(comments)
    infos = parse_single_table(accounted.catalogue("clusters", "vot")).infos
    assert {("clusters_rows", "8"), ("clusters_outside", "2")} <= {(one.name, one.value) for one in infos}
    assert len(read_catalogue(accounted, "clusters", "csv")) + 2 == 8


def test_what_only_the_limits_rejected_is_listed(tmp_path):
    products = Products(str(tmp_path))
    copy_of(products, ("islands", "P1"), ("clusters", "P1"))
    write_rejected(
        products.limits("P1"), Rejection("P1", "measure_limits", "mask.fits", "OriginError: other")
    )
    merge_catalogues(products.root, ["P1"], limits=True)
    ((name, stage, _, reason),) = rows_of(read_catalogue(products, "rejected", "csv"))
    assert (name, stage, reason) == ("P1", "measure_limits", "OriginError: other")
    assert len(read_catalogue(products, "clusters", "csv")) == len(MADE["clusters"])
