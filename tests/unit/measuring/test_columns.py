import re

import numpy as np
import pandas
from astropy.table import Table

from labelled import write_clusters
from programs import ROOT
from radiounet.measuring.columns import CLUSTERS, ISLANDS, LIMITS, TABLES, number_formats

OF_LARGE_NUMBERS = {"W / Hz": 3.2e25, "solMass": 7.1e14}


def test_large_numbers_are_written_as_powers_of_ten_with_their_errors():
    columns = {
        name: one for name, one in (ISLANDS | CLUSTERS | LIMITS).items() if one.unit in OF_LARGE_NUMBERS
    }
    assert len(columns) >= 3
    table = Table({name: [OF_LARGE_NUMBERS[one.unit]] for name, one in columns.items()})
    for name, form in number_formats(table).items():
        assert len(form % table[name][0]) == len("3.200e+25")


def test_a_number_has_the_digits_of_its_column():
    table = Table({"ra_deg": [150.2449342], "dec_deg": [-0.5], "redshift": [float("nan")], "name": ["x"]})
    forms = number_formats(table)
    assert forms["ra_deg"] % table["ra_deg"][0] == "150.24493"
    assert forms["dec_deg"] % table["dec_deg"][0] == "-0.50000"
    assert forms["redshift"] % table["redshift"][0] == "nan"
    assert "name" not in forms


def test_pandas_reads_the_csv_as_the_reference_says(tmp_path):
    """Numbers stay numbers, the class N/A is no empty cell, and a number sign begins no comment."""
    call = 'pandas.read_csv(path, comment="#", keep_default_na=False, na_values=["", "nan"])'
    assert call in (ROOT / "docs/reference/products.md").read_text(encoding="utf-8")
    rows = [
        {"name": "A #2", "class": "N/A", "reason": "see #1"},
        {"name": "B", "flux_mjy": 1.5, "islands": "x"},
    ]
    path = write_clusters(tmp_path / "a.csv", rows)
    found = pandas.read_csv(path, comment="#", keep_default_na=False, na_values=["", "nan"])
    for name, column in CLUSTERS.items():
        assert (found[name].dtype.kind in "iufb") == (column.kind is not str) or found[name].isna().all()
    assert list(found["name"]) == ["A #2", "B"]
    assert list(found["class"])[0] == "N/A"
    assert list(found["reason"])[0] == "see #1"
    assert np.isnan(found["flux_mjy"][0])
    assert found["flux_mjy"][1] == 1.5


def test_every_description_can_be_read_alone():
    for kind, columns in TABLES.items():
        for name, one in columns.items():
            assert not re.match(r"(It|Its|Their|They|The same)\b", one.description), (kind, name)
