import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from radiounet.errors import ConfigError
from radiounet.settings.catalogues import PUBLISHED_CATALOGUES, ClusterCatalogue
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.catalogues import convert_catalogue
from radiounet.survey.cluster_tables import clusters_to_measure, log_notes, read_clusters
from radiounet.survey.cosmology import r500
from text_tables import HEAD, read_text

# H0 = 70, Om = 0.3, z = 0.2, M500 = 5e14 Msun, G = 4.30091e-9 Mpc (km/s)^2 / Msun:
# H^2 = 4900 (0.3 1.2^3 + 0.7) = 5970.16, R500^3 = G M / (250 H^2) = 2150455 / 1492540 = 1.440802 Mpc^3
R500_MPC = 1.12945
# E = 1, 1.048475, 1.103812 at z = 0, 0.1, 0.2: Simpson's rule gives 0.190701 c/H0 = 816.7 Mpc, so
# D_A = 680.6 Mpc
R500_ARCMIN = 5.705

OPTIONS = MeasureOptions()


def entry_of(catalogue: str) -> ClusterCatalogue:
    return ClusterCatalogue.model_validate(PUBLISHED_CATALOGUES[catalogue])


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
    named = "M500 or R500" if absent == "M500" else absent
    with pytest.raises(ConfigError, match=f"lacks {named}: it needs the columns"):
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
    table = convert_catalogue(tmp_path / f"psz2.{suffix}", "psz2", entry_of("psz2"))
    assert table["name"].tolist() == ["PSZ2 G1", "PSZ2 G2"]
    first, second = read_back(tmp_path, table)
    assert first.name == "PSZ2 G1"
    assert first.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert (second.name, second.note, second.measurable) == ("PSZ2 G2", "no redshift", False)


def test_published_catalogue_without_a_column(tmp_path):
    Table({"MCXC": ["J1"], "RAdeg": [150.0]}).write(tmp_path / "mcxc.ecsv")
    with pytest.raises(ConfigError, match="mcxc has no column DEdeg"):
        convert_catalogue(tmp_path / "mcxc.ecsv", "mcxc", entry_of("mcxc"))


ROW = "A,150,35,0.2,3"


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("B,150,95,0.2,3", "declination 95 deg is outside -90..90 deg"),
        ("B,150,-90.1,0.2,3", "declination -90.1 deg is outside -90..90 deg"),
        ("B,400,35,0.2,3", "right ascension 400 deg is outside -180..360 deg"),
        ("B,-999,35,0.2,3", "right ascension -999 deg is outside -180..360 deg"),
        ("B,inf,35,0.2,3", "right ascension inf deg is outside -180..360 deg"),
        ("B,360.0001,35,0.2,3", "right ascension 360.0001 deg is outside -180..360 deg"),
        ("B,150,-90.00000001,0.2,3", "declination -90.00000001 deg is outside -90..90 deg"),
        ("B,150,35,0.0009999999,3", "redshift 0.0009999999 is outside 0.001..5"),
        ("B,150,35,1e-9,3", "redshift 1e-09 is outside 0.001..5"),
        ("B,150,35,-1,3", "redshift -1 is outside 0.001..5"),
        ("B,150,35,9.99,3", "redshift 9.99 is outside 0.001..5"),
        ("B,150,35,Infinity,3", "redshift inf is outside 0.001..5"),
        ("B,150,35,0.2,5e-14", "M500 5 solMass is outside 1e+12..1e+16 solMass"),
        (
            "B,150,35,0.2,3e14",
            "M500 3e+28 solMass is outside 1e+12..1e+16 solMass; "
            "taken in 1e+14 solMass: if it is in solar masses, give M500=solMass with --unit or, in the "
            "configuration, measure.unit",
        ),
        ("B,150,35,0.2,-3", "M500 -3e+14 solMass is outside 1e+12..1e+16 solMass"),
        # R500^3 = G M / (250 H^2), M = 9e15 Msun: 3.16 Mpc; at z c / H0 = 4.71 Mpc that is 38.5 deg
        ("B,150,35,0.0011,90", "R500 at its redshift, 2309 arcmin, is outside 0.05..320 arcmin"),
        ("B,abc,35,0.2,3", "right ascension 'abc' cannot be read"),
        ("B,10 61 00,35,0.2,3", "right ascension '10 61 00' cannot be read"),
        ("B,150,35,1_000,3", "redshift '1_000' cannot be read"),
        ("B,150,35,0x1,3", "redshift '0x1' cannot be read"),
        ("B,\u0661\u0662,35,0.2,3", "right ascension '\u0661\u0662' cannot be read"),
        ("B,,35,0.2,3", "no position"),
        ("B,150,NULL,0.2,3", "no position"),
        ("B,150,35,--,3", "no redshift"),
        ("B,150,35,nan,3", "no redshift"),
        ("B,150,35,0.2,", "neither M500 nor R500"),
        ("B,150,35", "neither M500 nor R500; no redshift"),
        ("B", "no position; neither M500 nor R500; no redshift"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name_and_the_rest_goes_on(tmp_path, row, note):
    a, b, c = read_text(tmp_path, ROW, row, ROW.replace("A", "C"))
    assert (a.note, b.note, c.note) == ("", note, "")
    assert [one.measurable for one in (a, b, c)] == [True, False, True]
    assert b.name == "B"
    assert np.isnan(b.r500_arcmin)
    lost = note.startswith(("right ascension", "declination", "no position"))
    assert np.isnan(b.ra_deg) == np.isnan(b.dec_deg) == lost


@pytest.mark.parametrize(
    ("ra", "dec", "expected"),
    [
        ("10 00 00", "-00 30 00", (150, -0.5)),
        ("10:00:00.0", "+35:30:00", (150, 35.5)),
        ("10h0m0s", "35d30m", (150, 35.5)),
        ("150.0d", "35\u00b030\u2032", (150, 35.5)),
        ("-10", "\u22125", (350, -5)),
        ("360", "90", (0, 90)),
        ("1.5D2", "3.5e1", (150, 35)),
    ],
)
def test_positions_as_text(tmp_path, ra, dec, expected):
    (one,) = read_text(tmp_path, f"A,{ra},{dec},0.2,3")
    assert (one.ra_deg, one.dec_deg) == pytest.approx(expected)
    assert one.ra_deg < 360


@pytest.mark.parametrize(("unit", "expected"), [("deg", 10), ("h:m:s", 150), ("hourangle", 150), ("h", 150)])
def test_a_unit_decides_what_sexagesimal_right_ascension_is(tmp_path, unit, expected):
    (one,) = read_text(tmp_path, "A,10:00:00,35,0.2,3", unit=[f"ra={unit}"])
    assert one.ra_deg == pytest.approx(expected)


@pytest.mark.parametrize(
    "unit",
    [
        *("10+14Msun", "10**14 solMass", "10^14 M_sun", "1E14 MSUN", "1e14solMass", "1e14 Msol"),
        "10**14 Msun",
    ],
)
@pytest.mark.parametrize("degree", ["DEGREE", "deg", "degrees"])
def test_units_as_catalogue_services_write_them_in_fits(tmp_path, unit, degree):
    table = Table({"NAME": ["A"], "RA": [150.0], "DEC": [40.0], "REDSHIFT": [0.1], "Z": [0.2], "M500": [5.0]})
    hdu = fits.table_to_hdu(table)
    hdu.header.update(TUNIT2=degree, TUNIT3=degree, TUNIT6=unit)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    (one,) = read_clusters(tmp_path / "a.fits", OPTIONS)
    assert (one.name, one.ra_deg, one.dec_deg, one.redshift) == ("A", 150, 40, 0.2)
    assert one.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)


def test_a_mass_in_solar_masses(tmp_path):
    good, bad = read_back(tmp_path, table_of(M500=[5e14, 5.0] * u.solMass))
    assert good.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert bad.note == "M500 5 solMass is outside 1e+12..1e+16 solMass"


@pytest.mark.parametrize("unit", ["[10+14Msun]", "Mpc/h", "h-1 Msun", "furlong", "erg", "1e14", "s", "dex"])
def test_a_unit_of_another_kind_is_a_mistake(tmp_path, unit):
    with pytest.raises(ConfigError, match=r"M500"):
        read_text(tmp_path, ROW, unit=[f"M500={unit}"])


def test_text_tables_have_the_documented_units_or_those_given(tmp_path):
    (one,) = read_text(tmp_path, "A,150,40,0.2,5")
    assert one.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    (one,) = read_text(tmp_path, "A,10,40,0.2,5e14", unit=["M500=Msun", "RA=hourangle"])
    assert one.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)
    assert one.ra_deg == pytest.approx(150)
    (one,) = read_text(
        tmp_path, f"A,150,40,0.2,{1e3 * R500_MPC}", head="name,ra,dec,z,R500", unit=["r500=kpc"]
    )
    assert one.r500_arcmin == pytest.approx(R500_ARCMIN, rel=1e-3)


@pytest.mark.parametrize(
    "given", ["M500", "mass=Msun", "=Msun", "M500=", "M500=Msuns", "R500=Mpc", "M500=Msun m500=kg"]
)
def test_a_unit_that_cannot_be_used(tmp_path, given):
    with pytest.raises(ConfigError, match=r"unit|M500"):
        read_text(tmp_path, ROW, unit=given.split())


@pytest.mark.parametrize("first", ["M500", "R500"])
@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_the_size_that_a_row_has_is_used(tmp_path, first, suffix):
    """Row 0 has both, the others one."""
    mass = Masked([5e14, 5e14, 0] * u.solMass, mask=[False, False, True])
    size = Masked([R500_MPC, 0, R500_MPC] * u.Mpc, mask=[False, True, False])
    sizes = {"M500": mass, "R500": size} if first == "M500" else {"R500": size, "M500": mass}
    table = {"name": list("ABC"), "ra": [1.0, 2, 3] * u.deg, "dec": [0.0] * 3 * u.deg, "z": [0.2] * 3}
    found = read_back(tmp_path, QTable(table | sizes), f"a.{suffix}")
    assert [one.r500_arcmin for one in found] == pytest.approx([R500_ARCMIN] * 3, rel=1e-3)
    assert [one.note for one in found] == [""] * 3


def test_a_refused_r500_gives_way_to_the_mass_and_says_so(tmp_path):
    found = read_back(tmp_path, table_of(M500=[5e14] * 2 * u.solMass, R500=[0.0, R500_MPC] * u.Mpc))
    assert [one.r500_arcmin for one in found] == pytest.approx([R500_ARCMIN] * 2, rel=1e-3)
    assert [one.note for one in found] == ["R500 0 Mpc is outside 0.02..4 Mpc", ""]


def test_an_angular_size_with_a_redshift_that_cannot_be(tmp_path):
    found = read_back(tmp_path, table_of(z=[-1.0, 0.2], R500=[3, 4] * u.arcmin))
    assert [one.measurable for one in found] == [True, True]
    assert np.isnan(found[0].redshift)
    assert found[0].note == "redshift -1 is outside 0.001..5"


@pytest.mark.parametrize("double", ["Z", "RA", "Dec", "Name", "m500"])
def test_two_columns_that_differ_by_case_are_not_guessed_at(tmp_path, double):
    with pytest.raises(ConfigError, match=f"columns .* and {double}"):
        read_text(tmp_path, f"{ROW},1", head=f"{HEAD},{double}")


@pytest.mark.parametrize("head", ["NAME,RA,DEC,Z,M500", "# name,ra,dec,z,m500", "Name,Ra,Dec,z,M500"])
def test_case_of_a_column_does_not_matter(tmp_path, head):
    (one,) = read_text(tmp_path, ROW, head=head)
    assert (one.name, one.redshift) == ("A", 0.2)


@pytest.mark.parametrize(("ra", "dec"), [("RA_ICRS", "DE_ICRS"), ("RAJ2000", "DEJ2000"), ("RAdeg", "DEdeg")])
def test_positions_may_have_the_names_of_vizier(tmp_path, ra, dec):
    (one,) = read_text(tmp_path, ROW, head=f"name,{ra},{dec},z,M500")
    assert one == read_text(tmp_path, ROW)[0]
    # ours are meant where both are there
    (both,) = read_text(tmp_path, f"{ROW},10,20", head=f"{HEAD},{ra},{dec}")
    assert both == one


@pytest.mark.parametrize("head", ["name,alpha,delta,z,M500", "name,ra,dec,red,M500", "name,ra,dec,z,mass"])
def test_other_columns_are_listed_with_what_is_needed(tmp_path, head):
    needed = f"needs the columns name.* it has {head.replace(',', ', ')}: rename those that are meant"
    needed += "$" if "alpha" in head else ", or add an empty one if the values are unknown$"
    with pytest.raises(ConfigError, match=needed):
        read_text(tmp_path, ROW, head=head)


@pytest.mark.parametrize("delimiter", ",;\t")
def test_columns_may_be_separated_in_several_ways(tmp_path, delimiter):
    rows = [row.replace(",", delimiter) for row in ("Abell 1,150,35,0.2,3", "B,151,36,,5")]
    found = read_text(tmp_path, *rows, head="name,ra,dec,z,M500".replace(",", delimiter))
    assert [(one.name, one.ra_deg) for one in found] == [("Abell 1", 150), ("B", 151)]


@pytest.mark.parametrize("kind", ["ecsv", "csv", "fits", "vot"])
def test_odd_names(tmp_path, kind):
    names = ["#A", "# B", "x" * 240, "<b>&\"'|$", "-rf {x}", "Große 1", "", "A", "A", "../../x"]
    names[5:6] = ["Grosse 1"] if kind == "fits" else ["Große 1"]
    count = len(names)
    table = QTable(
        {"name": names, "ra": np.full(count, 188.63) * u.deg, "dec": np.full(count, 54.54) * u.deg}
    )
    table["z"], table["M500"] = np.full(count, 0.2), np.full(count, 3.0) * u.Unit("1e14 solMass")
    options = {"format": "votable"} if kind == "vot" else {}
    table.write(tmp_path / f"a.{kind}", **options)
    found = read_clusters(tmp_path / f"a.{kind}", OPTIONS)
    names[6] = "J1234.5+5432"  # 188.63 deg = 12h 34.52m, 54.54 deg = 54 deg 32.4'
    assert [one.name for one in found] == names
    assert {one.name: one.note for one in found if one.note} == {
        "J1234.5+5432": "no name in the table",
        "A": "2 rows have this name",
    }
    assert all(one.measurable for one in found)


def test_a_name_is_one_line(tmp_path):
    (one,) = read_text(tmp_path, '"A\nB\tC",150,35,0.2,3')
    assert one.name == "A B C"
    assert one.note == "line ends or control characters of its name are spaces here"
    assert one.measurable


def test_bytes_integers_and_masked_columns(tmp_path):
    table = Table({"name": [7, 8], "ra": [150, 151], "dec": MaskedColumn([35, 36], mask=[False, True])})
    table["z"], table["M500"] = [b"0.2", b" 0.2"], np.array([3, 3]) * u.Unit("1e14 solMass")
    table.write(tmp_path / "a.fits")
    first, second = read_clusters(tmp_path / "a.fits", OPTIONS)
    assert (first.name, first.measurable) == ("7", True)
    assert (second.name, second.note) == ("8", "no position")


@pytest.mark.parametrize("column", [[[1, 2], [3, 4]], [True, False], [1j, 2j]])
def test_columns_of_another_kind(tmp_path, column):
    with pytest.raises(ConfigError, match="the column z holds neither"):
        read_back(tmp_path, table_of(z=column, R500=[3, 3] * u.arcmin))


def test_a_column_of_words_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match="redshift must be a number; z has texts such as 'spec'"):
        read_text(tmp_path, "A,150,35,spec,3", "B,150,35,phot,3")


def test_a_table_without_rows(tmp_path):
    assert read_text(tmp_path) == []


@pytest.mark.parametrize(
    "meta", [{"RADESYS": "FK4"}, {"RADECSYS": "FK4"}, {"EQUINOX": 1950.0}, {"RADESYS": "GALACTIC"}]
)
def test_another_frame_is_refused(tmp_path, meta):
    table = table_of(R500=[3, 3] * u.arcmin)
    table.meta.update(meta)
    with pytest.raises(ConfigError, match="positions must be ICRS"):
        read_back(tmp_path, table, "a.fits")


@pytest.mark.parametrize(
    "meta", [{"RADESYS": "ICRS"}, {"RADESYS": "FK5", "EQUINOX": 2000.0}, {"EQUINOX": "J2000"}]
)
def test_frames_that_are_icrs(tmp_path, meta):
    table = table_of(R500=[3, 3] * u.arcmin)
    table.meta.update(meta)
    assert len(read_back(tmp_path, table, "a.fits")) == 2


@pytest.mark.parametrize(
    ("system", "good"), [("ICRS", True), ("eq_FK5", True), ("eq_FK4", False), ("galactic", False)]
)
def test_frame_of_a_votable(tmp_path, system, good):
    from_table(Table(table_of(R500=[3, 3] * u.arcmin))).to_xml(str(tmp_path / "a.vot"))
    text = (tmp_path / "a.vot").read_text()
    text = text.replace("<RESOURCE", f'<COOSYS ID="c" system="{system}"/>\n<RESOURCE', 1)
    (tmp_path / "a.vot").write_text(text)
    if good:
        assert len(read_clusters(tmp_path / "a.vot", OPTIONS)) == 2
    else:
        with pytest.raises(ConfigError, match="positions must be ICRS"):
            read_clusters(tmp_path / "a.vot", OPTIONS)


def test_assumed_sizes_leave_room_in_the_log_for_what_is_wrong(tmp_path, caplog):
    rows = [f"N{number},150,35,{0.01 + number / 200},," for number in range(80)]
    path = tmp_path / "a.ecsv"
    table = Table.read(
        "\n".join(["name,ra,dec,z,M500", *(one[:-1] for one in rows), "B,150,35,9,"]), format="csv"
    )
    table["M500"] = np.full(len(table), np.nan) * u.solMass
    table.write(path)
    clusters = clusters_to_measure(path, OPTIONS)
    log_notes(clusters, "a")
    assert [one.split(": ")[0] for one in caplog.messages] == ["80 clusters of a", "1 cluster of a"]
    # 1200 kpc at z 0.01 are 97 arcmin
    assert clusters[0].r500_arcmin == 60


def test_a_logarithm_of_0_is_no_mass(tmp_path):
    table = Table({"name": ["A", "B"], "ra": [150.0, 150.0], "dec": [35.0, 36.0], "z": [0.2, 0.2]})
    table["M500"] = np.array([0.0, 14.5]) * u.dex(u.solMass)
    table.write(tmp_path / "a.ecsv")
    unknown, known = clusters_to_measure(tmp_path / "a.ecsv", OPTIONS)
    assert unknown.assumed_size
    assert known.measurable
    assert not known.assumed_size


def test_the_log_counts_and_names_what_cannot_be_measured(tmp_path, caplog):
    rows = [f"N{number},150,35,,3" for number in range(12)]
    clusters = read_text(tmp_path, ROW, *rows, "B,150,95,0.2,3")
    log_notes(clusters, "a.csv")
    first, second = caplog.messages
    names = ", ".join(f"N{number}" for number in range(10))
    assert first == f"12 clusters of a.csv: no redshift ({names} and 2 more)"
    assert second == "1 cluster of a.csv: declination 95 deg is outside -90..90 deg (B)"
