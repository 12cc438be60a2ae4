"""What stands above the rows of a text table: names of columns, units, comments."""

import numpy as np
import pytest

from radiounet.errors import ConfigError
from text_tables import read_text

R500_ARCMIN = 5.705
"""Of 5e14 solar masses at z = 0.2, see `test_cluster_tables.py`."""


@pytest.mark.parametrize("head", ["name|ra|dec|z|M500", "#name|ra|dec|z|M500", "name | ra | dec | z | M500"])
@pytest.mark.parametrize("name", ["A", "Abell 1"])
def test_columns_separated_by_bars_are_named_as_that(tmp_path, head, name):
    with pytest.raises(ConfigError, match=r"separates its columns by \|: save it with commas or tabs"):
        read_text(tmp_path, f"{name}|150|35|0.2|3", head=head)


@pytest.mark.parametrize(
    "lines",
    [
        ("name,ra,dec,z,M500", ",hour,deg,,1e14 Msun"),
        ("name,ra,dec,z,M500", "-,[h:m:s],[deg],-,[1e14solMass]"),
        ("# name,ra,dec,z,M500", "# -,hour,deg,-,1e14Msun"),
        ("name;ra;dec;z;M500", "---;hour;deg;;10+14Msun"),
        ("name,ra,dec,z,M500", "text,hours,degrees,,1e14 Msol"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_a_line_of_units_below_the_header_is_no_cluster(tmp_path, lines, number):
    head, units = lines
    rows = [f"A{n},10,40,0.2,5".replace(",", ";" if ";" in head else ",") for n in range(number)]
    found = read_text(tmp_path, units, *rows, head=head)
    assert [one.name for one in found] == [f"A{n}" for n in range(number)]
    assert found[0].ra_deg == pytest.approx(150)
    assert found[0].r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert found[0].note == ""


@pytest.mark.parametrize("second", ["A2", "3C 295", "2A 0335"])
@pytest.mark.parametrize(
    "first", ["A1,,,,", "deg,150,40,0.2,5", "J,150,40,0.2,5", "min,,,0.2,", "1,150,35,,3"]
)
def test_a_first_row_of_odd_values_is_no_line_of_units(tmp_path, first, second):
    found = read_text(tmp_path, first, f"{second},151,40,0.2,5")
    assert [one.name for one in found] == [first.partition(",")[0], second]


def test_names_that_are_numbers_are_no_units(tmp_path):
    found = read_text(tmp_path, "1,150,35,0.2,3", "2,151,36,0.2,3")
    assert [(one.name, one.ra_deg) for one in found] == [("1", 150), ("2", 151)]


@pytest.mark.parametrize("value", ["10", "10:00:00", "10 00 00.0", "nan"])
def test_a_line_of_units_stands_above_numbers_of_any_form(tmp_path, value):
    found = read_text(tmp_path, ",h:m:s,deg,,dex(solMass)", f"A,{value},\u221240:00,0.2,14.7")
    assert [one.name for one in found] == ["A"]
    if value != "nan":
        assert (found[0].ra_deg, found[0].dec_deg) == pytest.approx((150, -40))
        assert found[0].r500_arcmin == pytest.approx(R500_ARCMIN, rel=0.01)


@pytest.mark.parametrize("sign", "\u2010\u2011\u2012\u2013\u2014\u2212")
def test_a_dash_for_a_minus_sign_is_one_in_positions_units_and_where_there_is_nothing(tmp_path, sign):
    units = f"{sign},deg,deg,{sign},10+14 Msun"
    one, two = read_text(
        tmp_path, units, f"A,150,{sign}5.5,0.2,3", f"B,10d00m00s,{sign}5:30:00,{sign},{sign}1"
    )
    assert [(found.ra_deg, found.dec_deg) for found in (one, two)] == [(150, -5.5), (10, -5.5)]
    assert (one.redshift, one.note) == (0.2, "")
    assert np.isnan(two.redshift)
    assert two.note == "M500 -1e+14 solMass is outside 1e+12..1e+16 solMass; no redshift"


@pytest.mark.parametrize("masses", [(14.6,), (14.6, 13.2)])
def test_masses_of_one_or_two_clusters_that_may_be_logarithms_are_noted(tmp_path, masses):
    rows = [f"A{n},150,40,0.2,{mass}" for n, mass in enumerate(masses)]
    for one, mass in zip(read_text(tmp_path, *rows), masses, strict=True):
        assert f"M500 {mass:g} was taken for 1e14 solMass; if it is a logarithm" in one.note
        assert one.measurable
    for one in read_text(tmp_path, *rows, unit=["M500=1e14 solMass"]):
        assert one.note == ""


@pytest.mark.parametrize(
    ("ra", "unit", "is_doubted"),
    [("10:00:00", "deg", True), ("10d00m00s", "deg", False), ("10", "deg", False), ("10:00:00", "h", False)],
)
def test_right_ascensions_of_hours_in_a_column_of_degrees_are_told(tmp_path, ra, unit, is_doubted):
    (one,) = read_text(tmp_path, f"A,{ra},35,0.2,3", unit=[f"ra={unit}"])
    told = f"the right ascension {ra} was read in degrees, as its unit says; if it is in hours, "
    assert (told in one.note) is is_doubted


@pytest.mark.parametrize("name", ["RAJ2000", "ra", "raj2000"])
def test_a_unit_may_name_the_column_as_the_table_does(tmp_path, name):
    head = "name,RAJ2000,DEJ2000,z,M500"
    (one,) = read_text(tmp_path, "A,10,35,0.2,3", head=head, unit=[f"{name}=hourangle"])
    assert one.ra_deg == pytest.approx(150)
