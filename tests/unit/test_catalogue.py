import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.catalogue import (
    COLUMNS,
    drop_duplicates,
    make_table,
    merge_catalogues,
    merge_tables,
    unique_rejections,
)
from radiounet.products import (
    CATALOGUE_SUFFIXES,
    Products,
    Rejection,
    write_ecsv,
    write_json,
    write_rejected,
)

REJECTED = Rejection("P3", "tile", "P3/image.fits", "BeamError: no BMAJ, # 'unit' is \"Jy\" " + "x" * 200)
FIELD = Rejection("P10+20", "fetch_field", "int.fits", "ChecksumError: other bytes")


def a_row(kind, **values):
    row = {name: {float: 1.5, bool: False, str: "a"}[column.kind] for name, column in COLUMNS[kind].items()}
    assert set(values) <= set(row)
    return row | values


def island(name, arcsec, mosaic="P1", in_cell=True, area=1.0):
    """Return an island some arcseconds north of (150, 40)."""
    place = {"ra_deg": 150.0, "dec_deg": 40 + arcsec / 3600}
    return a_row("islands", name=name, mosaic=mosaic, in_cell=in_cell, area_arcmin2=area, **place)


def kept(*islands, within_arcsec=60.0):
    return drop_duplicates(make_table("islands", islands, {}), within_arcsec)["name"].tolist()


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_all_columns_are_described(kind, count):
    table = make_table(kind, [a_row(kind)] * count, {"version": "1"})
    assert len(table) == count
    assert table.meta == {"version": "1"}
    assert table.colnames == list(COLUMNS[kind])
    for name, column in COLUMNS[kind].items():
        assert table[name].description == column.description
        assert table[name].info.meta["ucd"] == column.ucd
        assert str(table[name].unit or "") == (column.unit or "")
        assert table[name].dtype.kind == {float: "f", bool: "b", str: "U"}[column.kind]


def test_units_by_hand():
    table = make_table("islands", [], {})
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit}
    assert units == {
        "ra_deg": "deg",
        "dec_deg": "deg",
        "area_arcmin2": "arcmin2",
        "las_arcmin": "arcmin",
        "flux_mjy": "mJy",
        "flux_err_mjy": "mJy",
        "galactic_latitude_deg": "deg",
    }


def test_table_lives_through_ecsv(tmp_path):
    write_ecsv(tmp_path / "a.ecsv", make_table("islands", [a_row("islands")], {"version": "1"}))
    table = Table.read(tmp_path / "a.ecsv", format="ascii.ecsv")
    assert dict(table[0]) == a_row("islands")
    assert table["flux_mjy"].unit == "mJy"
    assert table["flux_mjy"].info.meta["ucd"].startswith("phot.flux.density")


def test_owner_wins_over_larger():
    assert kept(island("a", 0, "P1", False, 9.0), island("b", 30, "P2", True, 1.0)) == ["b"]
    assert kept(island("b", 30, "P2", True, 1.0), island("a", 0, "P1", False, 9.0)) == ["b"]


@pytest.mark.parametrize("in_cell", [True, False])
def test_larger_wins_among_equals(in_cell):
    assert kept(island("a", 0, "P1", in_cell, 1.0), island("b", 30, "P2", in_cell, 2.0)) == ["b"]
    assert kept(island("a", 0, "P1", in_cell, 3.0), island("b", 30, "P2", in_cell, 2.0)) == ["a"]


@pytest.mark.parametrize(("arcsec", "names"), [(59.9, ["a"]), (60.1, ["a", "b"])])
def test_only_close_islands_are_one(arcsec, names):
    assert kept(island("a", 0, "P1", True, 2.0), island("b", arcsec, "P2")) == names


def test_close_means_on_the_sky():
    east = island("b", 0, "P2") | {"ra_deg": 150 + 70 / 3600}  # 53.6" at this declination
    assert kept(island("a", 0, "P1", True, 2.0), east) == ["a"]


def test_across_zero_hours():
    a, b = island("a", 0, "P1", True, 2.0), island("b", 0, "P2")
    assert kept(a | {"ra_deg": 359.999}, b | {"ra_deg": 0.001}) == ["a"]


def test_islands_of_one_mosaic_are_never_dropped():
    assert kept(island("a", 0), island("b", 1), island("c", 2, in_cell=False)) == ["a", "b", "c"]


def test_neighbour_drops_neither_of_two_owned():
    assert kept(island("a", 0), island("b", 20), island("c", 10, "P2", False, 9.0)) == ["a", "b"]


def test_lone_island_outside_its_cell_stays():
    assert kept(island("a", 0, in_cell=False), island("b", 600, "P2")) == ["a", "b"]


def test_chain_of_islands():
    # each is 50" from the next: the middle one, if it is kept, drops both ends
    places = [("a", 0, "P1"), ("b", 50, "P2"), ("c", 100, "P3")]
    for areas, names in [((3, 2, 1), ["a", "c"]), ((1, 3, 2), ["b"]), ((1, 2, 3), ["a", "c"])]:
        rows = [island(*place, True, area) for place, area in zip(places, areas, strict=True)]
        assert kept(*rows) == names


def test_three_mosaics_show_one_island():
    rows = [island("a", 0, "P1", False, 3), island("b", 5, "P2", True, 1), island("c", 9, "P3", False, 2)]
    assert kept(*rows) == ["b"]


def test_nothing_to_drop():
    table = drop_duplicates(make_table("islands", [], {}), 60)
    assert len(table) == 0
    assert table.colnames == list(COLUMNS["islands"])


def test_rejections_are_listed_once_and_by_name():
    other = Rejection("P3", "tile", "P3/image.fits", "another reason")
    rows = unique_rejections([REJECTED, FIELD, REJECTED, other])
    assert [(row["name"], row["reason"]) for row in rows] == [
        ("P10+20", FIELD.reason),
        ("P3", REJECTED.reason),
        ("P3", "another reason"),
    ]


def test_tables_are_merged_by_right_ascension(tmp_path):
    for number, ras in enumerate([(200.0, 10.0), (), (100.0,)]):
        rows = [a_row("islands", ra_deg=ra, name=f"longer{number}") for ra in ras]
        write_ecsv(tmp_path / f"{number}.ecsv", make_table("islands", rows, {"threshold": number}))
    table, rejections = merge_tables("islands", sorted(tmp_path.iterdir()), {"version": "1"})
    assert table["ra_deg"].tolist() == [10, 100, 200]
    assert table["name"].tolist() == ["longer0", "longer2", "longer0"]
    assert table.meta == {"version": "1"}
    assert rejections == []


@pytest.fixture
def merged(tmp_path):
    root = str(tmp_path / "results")
    products = Products(root)
    rows = {
        "P1": [island("a", 0, "P1", True, 2.0), island("b", 900, "P1")],
        "P2": [
            island("a2", 20, "P2", False, 9.0),
            a_row("islands", name="c", mosaic="P2", touches_edge=True),
        ],
    }
    for mosaic, islands in rows.items():
        write_ecsv(products.islands(mosaic), make_table("islands", islands, {}))
    found = a_row("clusters", name="Abell 1", ra_deg=20.0, mosaic="P1")
    blank = a_row("clusters", name="Abell 2", ra_deg=10.0, mosaic="P1", flux_mjy=np.nan, flux_err_mjy=np.nan)
    write_ecsv(products.clusters("P1"), make_table("clusters", [found, blank], {}))
    write_ecsv(products.clusters("P2"), make_table("clusters", [], {}))
    write_rejected(products.islands("P3"), REJECTED)
    write_rejected(products.clusters("P3"), REJECTED)
    write_rejected(products.field_source("P10+20"), FIELD)
    write_json(products.field_source("P11"), {"url": "https://example.org"})
    merge_catalogues(root, ["P1", "P2", "P3"], ["P10+20", "P11"], 60.0)
    return products


def read_catalogue(products, kind, suffix):
    options = {"format": "ascii.csv", "comment": "#"} if suffix == "csv" else {}
    return Table.read(products.catalogue(kind, suffix), **options)


def rows_of(table):
    """Return rows of plain values; NaN and masked numbers are None, CSV's True and False are bool."""
    columns = []
    for name in table.colnames:
        values = np.ma.asarray(table[name]).tolist()
        values = [None if value != value else value for value in values]
        columns.append([{"True": True, "False": False}.get(value, value) for value in values])
    return list(zip(*columns, strict=True))


def expected_rows(kind):
    if kind == "islands":
        c = a_row("islands", name="c", mosaic="P2", touches_edge=True)
        rows = [c, island("a", 0, "P1", True, 2.0), island("b", 900, "P1")]
    elif kind == "clusters":
        blank = a_row("clusters", name="Abell 2", ra_deg=10.0, mosaic="P1", flux_mjy=None, flux_err_mjy=None)
        rows = [blank, a_row("clusters", name="Abell 1", ra_deg=20.0, mosaic="P1")]
    else:
        rows = [vars(FIELD), vars(REJECTED)]
    return [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_every_format_has_the_same_rows(merged, kind, suffix):
    table = read_catalogue(merged, kind, suffix)
    assert table.colnames == list(COLUMNS[kind])
    assert rows_of(table) == expected_rows(kind)


@pytest.mark.parametrize("kind", COLUMNS)
def test_fits_has_units_ucds_and_descriptions(merged, kind):
    header = fits.getheader(merged.catalogue(kind, "fits"), 1)
    for number, (name, column) in enumerate(COLUMNS[kind].items(), start=1):
        assert header[f"TTYPE{number}"] == name
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.description
        assert header.get(f"TUNIT{number}", "").replace("**", "") == (column.unit or "")
    assert any(line.startswith("codehash: ") for line in header["HISTORY"])
    assert "mosaics: 3" in list(header["HISTORY"])


@pytest.mark.parametrize("kind", COLUMNS)
def test_votable_has_units_ucds_and_descriptions(merged, kind):
    table = read_catalogue(merged, kind, "vot")
    for name, column in COLUMNS[kind].items():
        assert table[name].info.meta["ucd"] == column.ucd
        assert table[name].description == column.description
        assert str(table[name].unit or "") == (column.unit or "")


@pytest.mark.parametrize("kind", COLUMNS)
def test_csv_has_units_ucds_and_descriptions(merged, kind):
    with open(merged.catalogue(kind, "csv")) as stream:
        comments = [line.rstrip("\n") for line in stream if line.startswith("#")]
    for name, column in COLUMNS[kind].items():
        unit = f" [{column.unit}]" if column.unit else ""
        assert f"# {name}{unit}: {column.description} ({column.ucd})" in comments
    assert "# mosaics: 3" in comments


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_empty_survey(tmp_path, kind, suffix):
    products = Products(str(tmp_path))
    for empty in COLUMNS.keys() - {"rejected"}:
        write_ecsv(getattr(products, empty)("P1"), make_table(empty, [], {}))
    merge_catalogues(products.root, ["P1"], [], 60.0)
    table = read_catalogue(products, kind, suffix)
    assert len(table) == 0
    assert table.colnames == list(COLUMNS[kind])


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_everything_rejected(tmp_path, suffix):
    products = Products(str(tmp_path))
    write_rejected(products.islands("P3"), REJECTED)
    write_rejected(products.clusters("P3"), REJECTED)
    merge_catalogues(products.root, ["P3"], [], 60.0)
    assert [len(read_catalogue(products, kind, suffix)) for kind in COLUMNS] == [0, 0, 1]


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_rejection_in_any_script(tmp_path, suffix):
    products = Products(str(tmp_path))
    rejection = Rejection("P3", "tile", "größe.fits", "UnitError: 'µJy'")
    write_rejected(products.islands("P3"), rejection)
    write_rejected(products.clusters("P3"), rejection)
    merge_catalogues(products.root, ["P3"], [], 60.0)
    ((name, _, _, reason),) = rows_of(read_catalogue(products, "rejected", suffix))
    assert name == "P3"
    assert reason == ("UnitError: '?Jy'" if suffix == "fits" else "UnitError: 'µJy'")


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_cluster_name_in_any_script(tmp_path, suffix):
    products = Products(str(tmp_path))
    write_ecsv(products.islands("P1"), make_table("islands", [], {}))
    write_ecsv(products.clusters("P1"), make_table("clusters", [a_row("clusters", name="Große 1")], {}))
    merge_catalogues(products.root, ["P1"], [], 60.0)
    (row,) = rows_of(read_catalogue(products, "clusters", suffix))
    assert row[0] == ("Gro?e 1" if suffix == "fits" else "Große 1")
