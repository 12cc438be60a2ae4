"""Tables of clusters as services and papers write them."""

import numpy as np
import pytest
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import clusters_to_measure, read_clusters

# of 5e14 Msun at z = 0.2: worked out in test_cluster_tables.py
R500_MPC, R500_ARCMIN = 1.12945, 5.705
OPTIONS = MeasureOptions()
ROW = "A,150,35,0.2,3"


def read_text(tmp_path, *rows, **options):
    (tmp_path / "a.csv").write_text("\n".join(["name,ra,dec,z,M500", *rows]) + "\n")
    return read_clusters(tmp_path / "a.csv", MeasureOptions(**options))


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        ("188.645", "54.549", "J1234.5+5432"),  # 12h 34.58m, 54 deg 32.94'
        ("188.645", "-54.549", "J1234.5-5432"),
        ("359.999", "-0.999", "J2359.9-0059"),
        ("0.0", "-0.01", "J0000.0-0000"),
        ("15.0", "0.0", "J0100.0+0000"),
    ],
)
def test_a_cluster_without_a_name_is_named_after_its_truncated_position(tmp_path, ra, dec, name):
    (one,) = read_text(tmp_path, f",{ra},{dec},0.2,3")
    assert one.name == name


VIZIER = """#
#RESOURCE=yCat_35940027
#Coosys\tJ2000:\teq_FK5 J2000
#Column\tName\t(a18)\tName of source
name\tra\tdec\tz\t{column}
{units}
------------------\t---------\t---------\t------\t---------
PSZ2 G000\t{ra}\t40.0\t0.2\t{size}
PSZ2 G001\t{ra}\t 41.0\t      \t{size}
"""


@pytest.mark.parametrize(
    ("column", "unit", "size"),
    [("M500", "10+14Msun", 5.0), ("M500", "Msun", 5e14), ("R500", "kpc", 1e3 * R500_MPC), ("M500", "", 5.0)],
)
@pytest.mark.parametrize(("ra", "ra_unit"), [("150.0", "deg"), ("10 00 00", '"h:m:s"')])
def test_tables_of_vizier_in_tabs_have_their_units_above_a_rule(tmp_path, column, unit, size, ra, ra_unit):
    units = f" \t{ra_unit}\tdeg\t \t{unit}"
    (tmp_path / "a.tsv").write_text(VIZIER.format(column=column, units=units, ra=ra, size=size))
    first, second = read_clusters(tmp_path / "a.tsv", OPTIONS)
    assert (first.name, first.ra_deg, first.dec_deg, first.note) == ("PSZ2 G000", pytest.approx(150), 40, "")
    assert first.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert (second.name, second.dec_deg, second.note) == ("PSZ2 G001", 41, "no redshift")


@pytest.mark.parametrize("rule", ["----,---,---,---,---", "---,--,--,--,--"])
def test_a_rule_without_units_is_no_row(tmp_path, rule):
    (one,) = read_text(tmp_path, rule, ROW)
    assert one.name == "A"


def test_a_row_without_anything_is_a_row(tmp_path):
    """Dashes stand for what is missing; below numbers they rule nothing off."""
    found = read_text(tmp_path, ROW, "---,---,---,---,---", "--,--,--,--,--", ROW.replace("A", "B"))
    assert [one.name for one in found] == ["A", "---", "--", "B"]
    assert [one.measurable for one in found] == [True, False, False, True]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "ecsv", "fits", "vot"])
def test_a_table_without_rows_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    table = Table({name: np.empty(0) for name in ("name", "ra", "dec", "z", "M500")})
    table["M500"].unit = "solMass"
    kinds = {"tsv": "ascii.tab", "ecsv": "ascii.ecsv", "vot": "votable"}
    table.write(path, format=kinds.get(suffix, suffix))
    with pytest.raises(ConfigError, match=f"a.{suffix} has no rows: give a table that holds clusters"):
        clusters_to_measure(path, OPTIONS)


MASSES = [14.69897, 13.9, 14.2]


def test_logarithms_of_masses_are_not_taken_for_masses(tmp_path):
    """As 1e14 solMass each would be a mass that two clusters of the whole sky have."""
    rows = [f"A{number},150,35,0.2,{mass}" for number, mass in enumerate(MASSES)]
    with pytest.raises(ConfigError, match=r"M500 is 13.9..14.699, which may be logarithms.*dex\(solMass\)"):
        read_text(tmp_path, *rows, "A3,150,35,0.2,")
    first = read_text(tmp_path, *rows, unit=["M500=dex(solMass)"])[0]
    assert first.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    first = read_text(tmp_path, *rows, unit=["M500=1e14 solMass"])[0]
    assert first.r500_arcmin == pytest.approx(R500_ARCMIN * (MASSES[0] / 5) ** (1 / 3), rel=1e-3)


HEAD = "name,ra,dec,z"
GIVEN = "with --unit or, in the configuration, measure.unit"


@pytest.mark.parametrize(
    ("lines", "given", "written"),
    [
        ([f"{HEAD},R500", "A,150,35,0.2,1"], "R500=UNIT", "a unit"),
        ([f"{HEAD},R500", "h,deg,,furlongs2", "A,150,35,0.2,1"], "R500=UNIT", "a unit"),
        (
            [f"{HEAD},M500", *(f"A{n},150,35,0.2,14.{n}" for n in range(3))],
            "'M500=dex(solMass)'",
            "dex(solMass)",
        ),
        ([f"{HEAD},M500", "A,150,35,0.2,14.1"], "'M500=dex(solMass)'", "dex(solMass)"),
        ([f"{HEAD},M500", "A,150,35,0.2,5e14"], "M500=solMass", "solMass"),
    ],
)
def test_only_who_can_be_asked_for_units_is_told_of_the_option(tmp_path, lines, given, written):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    name = given.strip("'").partition("=")[0]
    for asked, advice in (
        (True, f"give {given} {GIVEN}"),
        (False, f"write {written} for {name} into the table"),
    ):
        try:
            said = "; ".join(one.note for one in read_clusters(path, OPTIONS, asked))
        except ConfigError as error:
            said = str(error)
        assert advice in said
        assert ("--unit" in said, "measure.unit" in said) == (asked, asked)


@pytest.mark.parametrize("masses", [[16.1, 13.1], [16.1, 13.1, 8.0], [14.5, 14.2, 17.0]])
def test_large_masses_are_taken(tmp_path, masses):
    rows = [f"A{number},150,35,0.2,{mass}" for number, mass in enumerate(masses)]
    assert all(one.measurable for one in read_text(tmp_path, *rows))


@pytest.mark.parametrize("header", ["name ra dec z M500", "ra dec name z M500"])
def test_units_that_are_not_one_for_each_column_are_refused(tmp_path, header):
    lines = [header, "deg deg 10+14Msun", "-- -- -- -- ---", "A 150 40 0.1 5"]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="line of units below its header has 3 entries for 5 columns"):
        read_clusters(tmp_path / "a.txt", OPTIONS)


@pytest.mark.parametrize(
    ("row", "noted"),
    [
        ("B,150.02,35,0.2,3", True),  # 1 arcmin away; R500 is 4.8
        ("B,150.02,35,0.209,3", True),
        ("B,150.02,35,0.22,3", False),  # another redshift
        ("B,150.06,35,0.2,3", False),  # 2.9 arcmin away
        ("B,150.02,35,,3", False),
    ],
)
def test_rows_that_look_like_one_cluster_are_noted(tmp_path, row, noted):
    found = read_text(tmp_path, ROW, "C,10,35,0.2,3", row, "D,,,0.2,3")
    notes = {one.name: one.note for one in found}
    asked = "{} has about this place and redshift: is this cluster listed twice?"
    assert (asked.format("B") in notes["A"], asked.format("A") in notes["B"]) == (noted, noted)
    assert notes["C"] == ""
