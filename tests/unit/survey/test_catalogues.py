"""Published cluster catalogues, and those that a configuration adds, brought to our columns."""

from pathlib import Path

import astropy.units as u
import pytest
from astropy.table import QTable, Table
from test_cluster_tables import R500_ARCMIN, entry_of, read_back

from radiounet.errors import ConfigError
from radiounet.images.tables import TableError
from radiounet.settings.catalogues import ClusterCatalogue
from radiounet.survey.catalogues import convert_catalogue

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

PSZ2_DOUBLES = [("PSZ2 G302.41+21.60", "PSZ2 G302.49+21.53")]
MCXC_DOUBLES = [
    ("J0123.2+3327", "J0123.6+3315"),
    ("J0125.4+0144", "J0125.4+0145"),
    ("J1010.2+5430", "J1010.2+5429"),
    ("J1058.1+0135", "J1058.2+0136"),
    ("J1329.4+1143", "J1329.5+1147"),
    ("J2318.4+1843", "J2318.5+1842"),
]
"""Pairs of one redshift, to 0.01 of 1 + z, whose distance is less than half of the smaller R500."""


def test_a_published_catalogue_without_rows_or_with_words_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("Name,RAdeg,DEdeg,z,MSZ\n")
    with pytest.raises(TableError, match="psz2 has no rows"):
        convert_catalogue(tmp_path / "a.csv", "psz2", entry_of("psz2"))
    (tmp_path / "a.csv").write_text("Name,RAdeg,DEdeg,z,MSZ\nA,150,x,0.2,3\n")
    with pytest.raises(TableError, match="DEdeg of psz2 must be a number: 'x'"):
        convert_catalogue(tmp_path / "a.csv", "psz2", entry_of("psz2"))


@pytest.mark.parametrize(
    ("unit", "mass"), [("1e14 solMass", 5.0), ("solMass", 5e14), ("dex(solMass)", 14.69897)]
)
def test_a_catalogue_of_the_user_has_its_own_columns_and_units(tmp_path, unit, mass):
    rows = [("A", 150.0, 40.0, 0.2, mass)]
    Table(rows=rows, names=("Id", "lon", "lat", "zsp", "m")).write(tmp_path / "own.csv")
    columns = {"name": "Id", "ra": "lon", "dec": "lat", "z": "zsp", "M500": "m"}
    entry = ClusterCatalogue(url="own.csv", columns=columns, units={"M500": unit})
    table = convert_catalogue(tmp_path / "own.csv", "own", entry)
    assert table["M500"].to_value("solMass")[0] == pytest.approx(5e14, rel=1e-5)
    (found,) = read_back(tmp_path, table)
    assert (found.name, found.ra_deg, found.dec_deg) == ("A", 150.0, 40.0)
    assert found.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)


def test_a_catalogue_with_our_columns_needs_no_names_of_them(tmp_path):
    QTable({"name": ["A"], "ra": [150.0], "dec": [40.0], "z": [0.2], "R500": [5.0] * u.arcmin}).write(
        tmp_path / "own.ecsv"
    )
    table = convert_catalogue(tmp_path / "own.ecsv", "own", ClusterCatalogue(url="own.ecsv"))
    assert [one.r500_arcmin for one in read_back(tmp_path, table)] == [5.0]
    Table({"name": ["A"], "ra": [150.0], "R500": [5.0]}).write(tmp_path / "less.csv")
    with pytest.raises(ConfigError, match="own has no column dec"):
        convert_catalogue(tmp_path / "less.csv", "own", ClusterCatalogue(url="less.csv"))


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
@pytest.mark.parametrize(
    ("catalogue", "file", "rows", "measurable", "doubles"),
    [("psz2", "psz2.ecsv", 1653, 1094, PSZ2_DOUBLES), ("mcxc", "mcxc.csv.gz", 1743, 1743, MCXC_DOUBLES)],
)
def test_no_cluster_of_the_published_catalogues_is_refused(
    tmp_path, catalogue, file, rows, measurable, doubles
):
    """PSZ2 has redshift -1 and mass 0 where it knows none; both list some clusters twice."""
    found = read_back(tmp_path, convert_catalogue(SHARED / "tables" / file, catalogue, entry_of(catalogue)))
    assert len(found) == rows
    assert sum(one.measurable for one in found) == measurable
    notes = {one.note for one in found if not one.measurable}
    assert notes <= {"redshift -1 is outside 0.001..5; M500 0 solMass is outside 1e+12..1e+16 solMass"}
    asked = " has about this place and redshift: is this cluster listed twice?"
    noted = {one.name: one.note for one in found if one.measurable and one.note}
    assert noted == {one: other + asked for pair in doubles for one, other in (pair, pair[::-1])}
