import json
import shutil
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from pyarrow import parquet

from radiounet.images.products import CATALOGUE_SUFFIXES, Products
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.writing import write_ecsv, write_json
from radiounet.measuring.catalogue import merge_catalogues, merge_islands, merge_run, unique_rejections
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import COLUMNS, make_table
from radiounet.measuring.duplicates import drop_duplicates
from radiounet.measuring.mosaic_tables import MosaicTable, read_tables
from walk import MADE, a_row, copy_of, make_walk, read_catalogue, rows_of


@pytest.fixture(scope="module", autouse=True)
def walk(tmp_path_factory):
    make_walk(tmp_path_factory.mktemp("walk"))


def island(name, pixels, owned=1.0, area=1.0, parent=None, **values):
    """Return an island and its footprint."""
    values |= {"name": name, "parent": parent or name, "owned_fraction": owned, "area_arcmin2": area}
    return a_row("islands", **values), " ".join(map(str, pixels))


def mosaic(*islands):
    rows, footprints = zip(*islands, strict=True) if islands else ([], [])
    return make_table("islands", list(rows), MADE["islands"].meta | {"footprints": list(footprints)})


def mosaic_table(table):
    return MosaicTable([dict(zip(table.colnames, row, strict=True)) for row in table], table.meta)


def kept(*mosaics):
    return [[row["name"] for row in one.rows] for one in drop_duplicates([*map(mosaic_table, mosaics)])[0]]


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
        assert table[name].dtype.kind == {float: "f", int: "i", bool: "b", str: "U"}[column.kind]


def test_units_by_hand():
    table = make_table("islands", [], {})
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit}
    by_suffix = {
        "_deg": "deg",
        "_arcmin": "arcmin",
        "_arcmin2": "arcmin2",
        "_mjy": "mJy",
        "_ujy_arcsec2": "uJy / arcsec2",
        "_arcsec": "arcsec",
        "_mhz": "MHz",
    }
    assert len(units) == 26
    for name, unit in units.items():
        assert unit == next(one for end, one in by_suffix.items() if name.endswith(end)), name


def test_table_lives_through_ecsv(tmp_path):
    write_ecsv(tmp_path / "a.ecsv", make_table("islands", [a_row("islands")], {"version": "1"}))
    table = Table.read(tmp_path / "a.ecsv", format="ascii.ecsv")
    assert rows_of(table) == [plain("islands", a_row("islands"))]
    assert table["flux_mjy"].unit == "mJy"
    assert table["flux_mjy"].info.meta["ucd"].startswith("phot.flux.density")


def test_the_mosaic_that_owns_more_of_an_island_keeps_it():
    one, two = island("a", range(10), owned=0.3), island("b", range(1, 11), owned=0.7)
    assert kept(mosaic(one), mosaic(two)) == [[], ["b"]]
    assert kept(mosaic(two), mosaic(one)) == [["b"], []]


def test_owned_area_counts_not_the_fraction():
    assert kept(mosaic(island("a", range(10), 0.2, 10.0)), mosaic(island("b", range(10), 0.9, 1.0))) == [
        ["a"],
        [],
    ]


def test_half_of_the_smaller_footprint_makes_two_islands_one():
    assert kept(mosaic(island("a", range(10), 0.6)), mosaic(island("b", range(8, 12), 0.4))) == [["a"], []]
    assert kept(mosaic(island("a", range(10), 0.6)), mosaic(island("b", range(9, 12), 0.4))) == [
        ["a"],
        ["b"],
    ]


def test_fragments_on_one_mosaic_are_one_island_on_the_other():
    pieces = mosaic(island("left", range(4), 1.0, 4.0), island("right", range(6, 10), 0.5, 4.0))
    assert kept(pieces, mosaic(island("whole", range(10), 0.2, 10.0))) == [["left", "right"], []]
    assert kept(pieces, mosaic(island("whole", range(10), 0.7, 10.0))) == [[], ["whole"]]


def test_islands_of_one_mosaic_are_never_dropped_for_each_other():
    assert kept(mosaic(island("a", range(5)), island("b", range(5)))) == [["a", "b"]]


def test_pieces_of_one_region_stay_together():
    """Each mosaic owns more of one piece; a mixture would hold 4 and 5 twice, as their lines differ."""
    one = mosaic(island("a", range(6), 0.9, 6.0, "a"), island("b", range(6, 10), 0.1, 4.0, "a"))
    other = mosaic(island("c", range(4), 0.1, 4.0, "d"), island("d", range(4, 10), 0.8, 6.0, "d"))
    assert kept(one, other) == [["a", "b"], []]
    assert kept(other, one) == [[], ["a", "b"]]


def test_a_piece_is_one_region_on_the_other_mosaic():
    one = mosaic(island("a", range(6), 0.2, 6.0, "a"), island("b", range(6, 10), 0.0, 4.0, "a"))
    assert kept(one, mosaic(island("c", range(10), 0.8, 10.0))) == [[], ["c"]]
    other = mosaic(island("c", range(6), 0.8, 6.0), island("d", range(6, 10), 1.0, 4.0))
    assert kept(one, other) == [[], ["c", "d"]]


def test_a_piece_that_the_winner_does_not_show_stays():
    one = mosaic(island("a", range(6), 0.2, 6.0, "a"), island("b", range(6, 10), 0.9, 4.0, "a"))
    assert kept(one, mosaic(island("c", range(7), 0.8, 7.0))) == [["b"], ["c"]]
    # nor is it lost where a third mosaic shows it as well, and it is there once
    third = mosaic(island("d", range(6, 11), 0.1, 5.0))
    assert kept(one, mosaic(island("c", range(7), 0.8, 7.0)), third) == [["b"], ["c"], []]


def test_what_the_owner_of_its_cell_does_not_show_is_dropped():
    one = mosaic(island("a", range(6), 0.2, 6.0, "a"), island("b", range(6, 10), 0.0, 4.0, "a"))
    assert kept(one, mosaic(island("c", range(6), 0.8, 6.0))) == [[], ["c"]]


def test_two_islands_of_different_cells_are_one_on_a_third_mosaic():
    """The large one shares half of both others, and neither of those is lost."""
    left, right = mosaic(island("left", range(5), 1.0, 5.0)), mosaic(island("right", range(5, 10), 0.9, 5.0))
    assert kept(mosaic(island("both", range(10), 0.1, 10.0)), left, right) == [[], ["left"], ["right"]]


def test_a_larger_island_takes_the_place_of_one_that_it_contains():
    small, large = mosaic(island("a", range(10), 1.0, 10.0)), mosaic(island("b", range(30), 0.3, 30.0))
    assert kept(small, large) == [[], ["b"]]
    assert kept(large, small) == [["b"], []]
    # of two pieces of a region it has one, and of the other less than half
    pieces = mosaic(island("a", range(10), 1.0, 10.0), island("c", range(28, 40), 0.5, 12.0, "a"))
    assert kept(pieces, large) == [["c"], ["b"]]


def test_a_larger_island_that_owns_next_to_nothing_takes_no_place():
    """It shows half of each of five islands, which lie in the cell of their own mosaic."""
    small = mosaic(*(island(f"a{at}", range(at, at + 10), 1.0, 10.0) for at in range(0, 50, 10)))
    halves = [at + pixel for at in range(0, 50, 10) for pixel in range(5)]
    pixels = [*halves, *range(50, 80)]
    assert kept(small, mosaic(island("b", pixels, 0.01, 55.0))) == [["a0", "a10", "a20", "a30", "a40"], []]
    # its cell owns 26 of it, and theirs 25 of what it does not show
    assert kept(small, mosaic(island("b", pixels, 26 / 55, 55.0))) == [[], ["b"]]


def test_of_two_larger_islands_that_whose_cell_owns_more_takes_the_place():
    small = mosaic(island("a", range(10), 1.0, 10.0))
    first, second = island("b", range(30), 0.2, 30.0), island("c", range(31), 0.25, 31.0)
    assert kept(small, mosaic(first), mosaic(second)) == [[], [], ["c"]]


def test_nothing_is_lost_that_only_the_replaced_island_covered():
    one = mosaic(island("a", range(10), 1.0, 10.0))
    other = mosaic(island("b", range(4), 1.0, 4.0), island("c", range(4, 30), 0.1, 26.0))
    assert kept(one, other) == [[], ["b", "c"]]


def test_small_islands_of_one_mosaic_on_one_pixel_both_stay():
    one = mosaic(island("a", range(8), 1.0, 8.0))
    pieces = [island(name, pixels, 1.0, 1.0, "b") for name, pixels in (("b", [0]), ("c", [20]), ("d", [20]))]
    assert kept(one, mosaic(*pieces)) == [["a"], ["c", "d"]]


@pytest.mark.parametrize("seed", range(30))
def test_of_what_several_mosaics_show_all_is_kept_and_nothing_twice(seed):
    rng = np.random.default_rng(seed)
    prints, mosaics = {}, []
    for letter in "abc":
        ends = np.unique(rng.integers(0, 60, 8)).tolist()
        for start, stop in zip(ends[::2], ends[1::2], strict=False):
            prints[f"{letter}{start}"] = set(range(start, stop))
        names = [name for name in prints if name[0] == letter]
        owned, parent = rng.uniform(0.05, 1, len(names)), names[0] if seed % 2 else None
        islands = [(name, sorted(prints[name]), part) for name, part in zip(names, owned, strict=True)]
        mosaics.append(mosaic(*(island(*one, area=float(len(one[1])), parent=parent) for one in islands)))
    left = [name for one in kept(*mosaics) for name in one]
    for name, pixels in prints.items():
        others = [prints[one] for one in left if one[0] != name[0]]
        assert name in left or 2 * len(pixels & set().union(*others)) >= len(pixels)
        if name in left:
            assert all(2 * len(pixels & other) < min(len(pixels), len(other)) for other in others)


@pytest.mark.parametrize("name", ["a2", "a"])
def test_a_region_is_named_after_an_island_of_its_own_that_stays(tmp_path, name):
    """An island may have the name that another mosaic gave to what is dropped for it."""
    one = [
        island("a", range(6), 0.2, 6.0, "a", mosaic="P1", p_max=0.9),
        island("b", range(6, 10), 0.9, 4.0, "a", mosaic="P1", p_max=0.7),
        island("c", range(10, 14), 0.9, 4.0, "a", mosaic="P1", p_max=0.8),
    ]
    other = [island(name, range(7), 1.0, 9.0, mosaic="P2")]
    for stem, islands in (("P1", one), ("P2", other)):
        write_ecsv(tmp_path / f"{stem}.ecsv", mosaic(*islands))
    tables = [*read_tables("islands", sorted(tmp_path.iterdir()))]
    before = [dict(row) for one in tables for row in one.rows]
    table, _, _ = merge_islands(tables)
    assert dict(zip(table["name"], table["parent"], strict=True)) == {name: name, "b": "c", "c": "c"}
    # a region leaves its tables for the survey, which asks again what is dropped
    assert [row for one in tables for row in one.rows] == before


def test_clusters_name_islands_as_the_catalogue_does():
    """Whichever mosaic measured the cluster: the island that stays is that of another one."""
    one = mosaic(island("RUN a", range(6), 0.2, mosaic="P1"), island("RUN c", range(20, 23), mosaic="P1"))
    other = mosaic(
        island("RUN b", range(7), 0.8, 7.0, mosaic="P2"), island("RUN d2", range(30, 34), mosaic="P2")
    )
    named = {"islands": "RUN a; RUN c", "reason": "RUN a: centroid at 0.1 R500"}
    rows = [a_row("clusters", name="X", mosaic="P1", ra_deg=10.0, **named)]
    rows += [a_row("clusters", name="Y", mosaic="P2", ra_deg=11.0, islands="RUN b", reason="RUN b: far")]
    # of the third no mosaic owns a part: the mosaic of the cluster shows it, and does not list it
    rows[0] |= {"islands": "RUN a; RUN c; RUN d", "reason": "RUN a: centroid at 0.1 R500; RUN d: far"}
    prints = {"RUN a": "1 2 3", "RUN c": "20 21", "RUN d": "30 31"}, {"RUN b": "1 2 3 4"}
    clusters = [
        make_table("clusters", [row], MADE["clusters"].meta | {"island_footprints": one})
        for row, one in zip(rows, prints, strict=True)
    ]
    tables = {"islands": [one, other], "clusters": clusters}
    merged, _ = merge_run({kind: [*map(mosaic_table, some)] for kind, some in tables.items()})
    assert sorted(merged["islands"]["name"]) == ["RUN b", "RUN c", "RUN d2"]
    assert merged["clusters"]["islands"].tolist() == ["RUN b; RUN c; RUN d2", "RUN b"]
    reasons = ["RUN b: centroid at 0.1 R500; RUN d2: far", "RUN b: far"]
    assert merged["clusters"]["reason"].tolist() == reasons
    assert "island_footprints" not in merged["clusters"].meta


def test_three_mosaics_show_one_island():
    three = (mosaic(island(name, range(5), owned)) for name, owned in (("a", 0.2), ("b", 0.5), ("c", 0.3)))
    assert kept(*three) == [[], ["b"], []]


def test_equal_shares_go_to_the_first_mosaic():
    assert kept(mosaic(island("a", range(5), 0.5)), mosaic(island("b", range(5), 0.5))) == [["a"], []]


def test_islands_without_footprints_all_stay():
    meta = {key: value for key, value in MADE["islands"].meta.items() if key != "footprints"}
    tables = [make_table("islands", [a_row("islands", name=name)], meta) for name in ("a", "b")]
    assert kept(*tables) == [["a"], ["b"]]


def test_nothing_to_drop():
    assert kept(make_table("islands", [], {})) == [[]]


def test_rejections_are_listed_once_and_by_name():
    rejected, field = MADE["rejections"]["P3"], MADE["rejections"]["P10+20"]
    other = replace(rejected, reason="another reason")
    rows = unique_rejections([rejected, field, rejected, other])
    assert [(row["name"], row["reason"]) for row in rows] == [
        ("P10+20", field.reason),
        ("P3", rejected.reason),
        ("P3", "another reason"),
    ]


def test_tables_are_merged_by_right_ascension(tmp_path):
    for number, ras in enumerate([(200.0, 10.0), (), (100.0,)]):
        rows = [a_row("islands", ra_deg=ra, name=f"longer{number}") for ra in ras]
        meta = MADE["islands"].meta | {"footprints": "", "threshold": number}
        write_ecsv(tmp_path / f"{number}.ecsv", make_table("islands", rows, meta))
    table, rejections, _ = merge_islands(read_tables("islands", sorted(tmp_path.iterdir())))
    assert table["ra_deg"].tolist() == [10, 100, 200]
    assert table["name"].tolist() == ["longer0", "longer2", "longer0"]
    assert (table.meta["mosaics"], table.meta["threshold"]) == (3, "0, 1, 2")
    assert rejections == []


@pytest.fixture(scope="module")
def merged(walk, tmp_path_factory):
    root = str(tmp_path_factory.mktemp("merged") / "results")
    products = Products(root)
    a, b, a2 = (island(*one) for one in (("a", [1, 2], 0.9), ("b", [7], 1.0), ("a2", [1, 2], 0.1)))
    c = (a_row("islands", name="c", parent="c", flag_edge=True), "9")
    for name, islands in (("P1", (a, b)), ("P2", (a2, c))):
        write_ecsv(products.islands(name), mosaic(*islands))
    left_out = json.loads(Path(MADE["left out"].left_out("P1")).read_text())
    for name, without in (("P1", left_out), ("P2", left_out | {"left_out": []})):
        write_json(products.left_out(name), without)
        write_json(products.left_out("P4"), without)
    write_rejected(products.left_out("P3"), MADE["rejections"]["P3"])
    copy_of(products, ("islands", "P3"), ("clusters", "P3"), ("mask", "P4"), ("field_source", "P10+20"))
    found = a_row("clusters", name="Abell 1", ra_deg=20.0, mosaic="P1", islands="b")
    blank = found | {"name": "Abell 2", "ra_deg": 10.0, "flux_mjy": np.nan, "flux_err_mjy": np.nan}
    meta = MADE["clusters"].meta
    write_ecsv(products.clusters("P1"), make_table("clusters", [found, blank], meta))
    write_ecsv(products.clusters("P2"), make_table("clusters", [], meta))
    shutil.copyfile(MADE["left out"].field_source("good"), products.field_source("P11"))
    merge_catalogues(root, ["P1", "P2", "P3"], ["P10+20", "P11"], ["P4"])
    return products


def plain(kind, row, suffix=""):
    """Values of a row as `rows_of` gives them; CSV rounds numbers."""
    values = []
    for name, value in row.items():
        value = None if value != value else value
        if suffix == "csv" and isinstance(value, float):
            column = COLUMNS[kind][name]
            value = float(f"{value:.{column.digits}{'e' if column.exponent else 'f'}}")
        values.append(value)
    return tuple(values)


def expected_rows(kind, suffix):
    if kind == "islands":
        c = a_row("islands", name="c", parent="c", flag_edge=True)
        rows = [island("a", [], 0.9)[0], island("b", [], 1.0)[0], c]
    elif kind == "clusters":
        found = a_row("clusters", name="Abell 1", ra_deg=20.0, mosaic="P1", islands="b")
        rows = [found | {"name": "Abell 2", "ra_deg": 10.0, "flux_mjy": None, "flux_err_mjy": None}, found]
    else:
        rows = [vars(MADE["rejections"][name]) for name in ("P10+20", "P12", "P13", "P3", "P4")]
    return [plain(kind, row, suffix) for row in rows]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_every_format_has_the_same_rows(merged, kind, suffix):
    table = read_catalogue(merged, kind, suffix)
    assert table.colnames == list(COLUMNS[kind])
    assert rows_of(table) == expected_rows(kind, suffix)


@pytest.mark.parametrize("kind", COLUMNS)
def test_fits_has_units_ucds_and_descriptions(merged, kind):
    header = fits.getheader(merged.catalogue(kind, "fits"), 1)
    assert header["EXTNAME"] == kind.upper()
    for number, (name, column) in enumerate(COLUMNS[kind].items(), start=1):
        assert header[f"TTYPE{number}"] == name
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.description
        assert u.Unit(header.get(f"TUNIT{number}", "")) == u.Unit(column.unit or "")
    assert any(line.startswith("codehash: ") for line in header["HISTORY"])
    assert {"mosaics: 3", "documentation: docs/reference/columns.md"} <= set(header["HISTORY"])


@pytest.mark.parametrize("kind", COLUMNS)
def test_votable_has_units_ucds_and_descriptions(merged, kind):
    table = read_catalogue(merged, kind, "vot")
    for name, column in COLUMNS[kind].items():
        assert table[name].info.meta["ucd"] == column.ucd
        # a long text is wrapped in XML
        assert " ".join(table[name].description.split()) == column.description
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
def test_parquet_has_units_ucds_and_descriptions(merged, kind):
    schema = parquet.read_schema(merged.catalogue(kind, "parquet"))
    assert schema.names == list(COLUMNS[kind])
    for name, column in COLUMNS[kind].items():
        entries = {"unit": column.unit or "", "ucd": column.ucd, "description": column.description}
        assert schema.field(name).metadata == {key.encode(): one.encode() for key, one in entries.items()}
    assert schema.metadata[b"mosaics"] == b"3"
    # astropy reads them from its own entry
    table = read_catalogue(merged, kind, "parquet")
    assert table.meta["mosaics"] == 3
    assert [str(table[name].unit or "") for name in table.colnames] == [
        column.unit or "" for column in COLUMNS[kind].values()
    ]


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_the_same_table_makes_the_same_bytes(tmp_path, suffix):
    table = make_table("clusters", [a_row("clusters")], MADE["clusters"].meta)
    written = []
    for _ in range(2):
        write_catalogue(table, tmp_path / f"a.{suffix}")
        written.append((tmp_path / f"a.{suffix}").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_empty_survey(tmp_path, kind, suffix):
    products = Products(str(tmp_path))
    for empty in COLUMNS.keys() - {"rejected"}:
        write_ecsv(getattr(products, empty)("P1"), make_table(empty, [], MADE[empty].meta))
    merge_catalogues(products.root, ["P1"])
    table = read_catalogue(products, kind, suffix)
    assert len(table) == 0
    assert table.colnames == list(COLUMNS[kind])


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_everything_rejected(tmp_path, suffix):
    products = Products(str(tmp_path))
    copy_of(products, ("islands", "P3"), ("clusters", "P3"))
    merge_catalogues(products.root, ["P3"])
    assert [len(read_catalogue(products, kind, suffix)) for kind in COLUMNS] == [0, 0, 1]


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_rejection_in_any_script(tmp_path, suffix):
    products = Products(str(tmp_path))
    rejection = Rejection("P3", "tile", "größe.fits", "UnitError: 'µJy'")
    for path in (products.islands("P3"), products.clusters("P3")):
        write_rejected(path, rejection)
    merge_catalogues(products.root, ["P3"])
    ((name, _, _, reason),) = rows_of(read_catalogue(products, "rejected", suffix))
    assert name == "P3"
    assert reason == ("UnitError: '?Jy'" if suffix == "fits" else "UnitError: 'µJy'")


@pytest.mark.parametrize("suffix", CATALOGUE_SUFFIXES)
def test_cluster_name_in_any_script(tmp_path, suffix):
    products = Products(str(tmp_path))
    copy_of(products, ("islands", "P1"))
    table = make_table("clusters", [a_row("clusters", name="Große 1")], MADE["clusters"].meta)
    write_ecsv(products.clusters("P1"), table)
    merge_catalogues(products.root, ["P1"])
    (row,) = rows_of(read_catalogue(products, "clusters", suffix))
    assert row[0] == ("Gro?e 1" if suffix == "fits" else "Große 1")


ODD = '#A <b>&"x"\'|$é\n{y}\x07'  # one line of it: "#A <b>&\"x\"'|$é {y} "


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", [*CATALOGUE_SUFFIXES, "ecsv"])
def test_any_text_comes_back_from_every_format(tmp_path, kind, suffix):
    texts = [ODD, "x" * 240, " -rf", "a,b;c\td", '"', "\u2028\udce9", "--", ""]
    rows = [a_row(kind, name=text) for text in texts]
    table = make_table(kind, rows, {"clusters": f"/é\n{ODD}\udce9"})
    path = tmp_path / f"a.{suffix}"
    if suffix == "ecsv":
        write_ecsv(path, table)
        found = Table.read(path)
    else:
        write_catalogue(table, path)
        options = {"format": "ascii.csv", "comment": "#"} if suffix == "csv" else {}
        found = Table.read(path, **options)
    expected = ['#A <b>&"x"\'|$é {y} ', "x" * 240, " -rf", "a,b;c d", '"', "  ", "--", ""]
    if suffix == "fits":
        expected[0] = expected[0].replace("é", "?")
    names = ["" if name is np.ma.masked else str(name) for name in found["name"]]
    assert [name.strip() for name in names] == [name.strip() for name in expected]
