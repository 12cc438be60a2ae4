import re

from astropy.table import Table

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


def test_every_description_can_be_read_alone():
    for kind, columns in TABLES.items():
        for name, one in columns.items():
            assert not re.match(r"(It|Its|Their|They|The same)\b", one.description), (kind, name)
