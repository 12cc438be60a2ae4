import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from radiounet.cluster_tables import convert_catalogue, read_clusters
from radiounet.config import MeasureOptions
from radiounet.cosmology import r500
from radiounet.errors import ConfigError

# H0 = 70, Om = 0.3, z = 0.2, M500 = 5e14 Msun, G = 4.30091e-9 Mpc (km/s)^2 / Msun:
# H^2 = 4900 (0.3 1.2^3 + 0.7) = 5970.16, R500^3 = G M / (250 H^2) = 2150455 / 1492540 = 1.440802 Mpc^3
R500_MPC = 1.12945
# E = 1, 1.048475, 1.103812 at z = 0, 0.1, 0.2: Simpson's rule gives 0.190701 c/H0 = 816.7 Mpc, so
# D_A = 680.6 Mpc
R500_ARCMIN = 5.705

OPTIONS = MeasureOptions()


def table_of(**columns):
    rows = {"name": ["A", "B"], "ra": [150.0, -10.0] * u.deg, "dec": [40.0, -5.0] * u.deg, "z": [0.2, 0.2]}
    return QTable({**rows, **columns})


def read_back(tmp_path, table, name="clusters.ecsv"):
    table.write(tmp_path / name)
    return read_clusters(tmp_path / name, OPTIONS)


def test_r500_by_hand():
    found = r500(5e14 * u.solMass, 0.2, FlatLambdaCDM(70, 0.3))
    assert found.unit == u.Mpc
    assert found.value == pytest.approx(R500_MPC, rel=1e-4)


def test_r500_goes_with_the_cube_root_of_mass():
    assert r500([1, 8] * u.solMass, [0.3, 0.3], FlatLambdaCDM(70, 0.3)).value @ [2, -1] == pytest.approx(0)


@pytest.mark.parametrize(
    "size",
    [
        {"M500": [5.0, 5.0] * (1e14 * u.solMass)},
        {"M500": [5e14, 5e14] * u.solMass},
        {"R500": [R500_MPC, R500_MPC] * u.Mpc},
        {"R500": [1e3 * R500_MPC, 1e3 * R500_MPC] * u.kpc},
        {"R500": [R500_ARCMIN, R500_ARCMIN] * u.arcmin},
        {"r500": [60 * R500_ARCMIN, 60 * R500_ARCMIN] * u.arcsec},
    ],
    ids=["1e14 Msun", "Msun", "Mpc", "kpc", "arcmin", "arcsec"],
)
@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_all_sizes_give_the_same_clusters(tmp_path, size, suffix):
    a, b = read_back(tmp_path, table_of(**size), f"clusters.{suffix}")
    assert (a.name, a.ra_deg, a.dec_deg, a.redshift) == ("A", 150.0, 40.0, 0.2)
    assert (b.name, b.ra_deg, b.dec_deg, b.redshift) == ("B", 350.0, -5.0, 0.2)
    assert [a.r500_arcmin, b.r500_arcmin] == pytest.approx([R500_ARCMIN] * 2, rel=1e-3)


def test_cosmology_is_that_of_the_options(tmp_path):
    table_of(R500=[1, 1] * u.Mpc).write(tmp_path / "a.ecsv")
    near, far = (
        read_clusters(tmp_path / "a.ecsv", MeasureOptions(h0=h0))[0].r500_arcmin for h0 in (70.0, 35.0)
    )
    assert near == pytest.approx(2 * far)  # half H0, twice the distance


def test_r500_is_taken_before_m500(tmp_path):
    both = {"M500": [1e14, 1e14] * u.solMass, "R500": [3.0, 3.0] * u.arcmin}
    assert read_back(tmp_path, table_of(**both))[0].r500_arcmin == pytest.approx(3)


def test_positions_without_unit_are_degrees(tmp_path):
    table = table_of(ra=[150.0, 10.0], dec=[40.0, 5.0], R500=[3, 3] * u.arcmin)
    assert [c.ra_deg for c in read_back(tmp_path, table)] == [150, 10]


def test_positions_in_another_unit_are_converted(tmp_path):
    table = table_of(ra=[10.0, 1.0] * u.hourangle, R500=[3, 3] * u.arcmin)
    assert [c.ra_deg for c in read_back(tmp_path, table)] == pytest.approx([150, 15])


@pytest.mark.parametrize("size", [{"M500": [5, 5] * (1e14 * u.solMass)}, {"R500": [1, 1] * u.Mpc}])
@pytest.mark.parametrize(
    "redshift",
    [MaskedColumn([0.2, 0.3], mask=[False, True]), [0.2, -1.0], [0.2, 0.0], [0.2, np.nan]],
    ids=["masked", "negative", "zero", "nan"],
)
@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_rows_without_redshift_come_out_unmeasured(tmp_path, size, redshift, suffix):
    found = read_back(tmp_path, table_of(z=redshift, **size), f"clusters.{suffix}")
    assert [cluster.name for cluster in found] == ["A", "B"]
    assert [cluster.measurable for cluster in found] == [True, False]
    assert np.isnan([found[1].redshift, found[1].r500_arcmin]).all()
    assert found[1].note in (
        "no redshift",
        "redshift -1 is outside 0.001..5",
        "redshift 0 is outside 0.001..5",
    )
    assert ("outside" in found[1].note) == (np.ma.asarray(redshift)[1] in (-1, 0))


def test_angular_size_needs_no_redshift(tmp_path):
    found = read_back(tmp_path, table_of(z=[0.2, np.nan], R500=[3, 4] * u.arcmin))
    assert [cluster.r500_arcmin for cluster in found] == pytest.approx([3, 4])


@pytest.mark.parametrize("unit", [1e14 * u.solMass, u.Mpc, u.arcmin], ids=["mass", "length", "angle"])
@pytest.mark.parametrize("size", [np.nan, 0.0, -1.0, None])
def test_rows_without_size_come_out_unmeasured(tmp_path, unit, size):
    values = np.array([2.0, size or 0.0]) * unit
    column = "M500" if values.unit.is_equivalent(u.solMass) else "R500"
    if size is None:
        values = Masked([2.0, 3.0] * unit, mask=[False, True])
    found = read_back(tmp_path, table_of(**{column: values}))
    assert [cluster.name for cluster in found] == ["A", "B"]
    assert [cluster.measurable for cluster in found] == [True, False]
    if size in (0.0, -1.0):
        assert f"{column} {size:g}" in found[1].note
        assert "is outside" in found[1].note
    else:
        assert found[1].note == "neither M500 nor R500"


@pytest.mark.parametrize("absent", ["name", "ra", "dec", "z", "M500"])
def test_missing_column(tmp_path, absent):
    table = table_of(M500=[5e14, 5e14] * u.solMass)
    table.remove_column(absent)
    with pytest.raises(ConfigError, match="needs the columns"):
        read_back(tmp_path, table)


@pytest.mark.parametrize(
    ("column", "suffix"),
    [("M500", "ecsv"), ("M500", "fits"), ("R500", "ecsv"), ("R500", "fits"), ("R500", "csv")],
)
def test_missing_unit(tmp_path, column, suffix):
    with pytest.raises(ConfigError, match=f"column {column} has no unit"):
        read_back(tmp_path, table_of(**{column: [5.0, 5.0]}), f"clusters.{suffix}")


def test_csv_loses_its_units(tmp_path):
    with pytest.raises(ConfigError, match="has no unit"):
        read_back(tmp_path, table_of(R500=[3, 3] * u.arcmin), "clusters.csv")


def test_no_such_table(tmp_path):
    with pytest.raises(ConfigError, match="there is no cluster table"):
        read_clusters(tmp_path / "clusters.fits", OPTIONS)


@pytest.mark.parametrize("name", ["clusters.fits", "clusters.ecsv", "clusters.xyz"])
def test_not_a_table(tmp_path, name):
    (tmp_path / name).write_text("<html>not found</html>")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_clusters(tmp_path / name, OPTIONS)


@pytest.mark.parametrize(
    ("suffix", "kind"), [("ecsv", "ascii.ecsv"), ("csv", "ascii.csv"), ("vot", "votable")]
)
def test_published_catalogue_becomes_a_cluster_table(tmp_path, suffix, kind):
    rows = {"Name": ["PSZ2 G1 ", "PSZ2 G2"], "RAdeg": [150.0, 10.0], "DEdeg": [40.0, 5.0]}
    published = Table({**rows, "z": MaskedColumn([0.2, 0], mask=[False, True]), "MSZ": [5.0, 5.0]})
    published.write(tmp_path / f"psz2.{suffix}", format=kind)
    table = convert_catalogue(tmp_path / f"psz2.{suffix}", "psz2")
    assert table["name"].tolist() == ["PSZ2 G1", "PSZ2 G2"]
    first, second = read_back(tmp_path, table)
    assert first.name == "PSZ2 G1"
    assert first.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert (second.name, second.note, second.measurable) == ("PSZ2 G2", "no redshift", False)


def test_published_catalogue_without_a_column(tmp_path):
    Table({"MCXC": ["J1"], "RAdeg": [150.0]}).write(tmp_path / "mcxc.ecsv")
    with pytest.raises(ConfigError, match="mcxc has no column DEdeg"):
        convert_catalogue(tmp_path / "mcxc.ecsv", "mcxc")
