import logging

import numpy as np
import pytest
from astropy.table import Table

from labelled import catalogue_table, write_clusters, write_lines
from radiounet.errors import ConfigError
from radiounet.measuring.label_matching import match_labels
from radiounet.measuring.labels import (
    Entry,
    Label,
    parse_classes,
    read_catalogue,
    read_entries,
    read_labels,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("RH", ("RH",)),
        (" rh ", ("RH",)),
        ("RH+RR", ("RH", "RR")),
        ("RR + RH", ("RH", "RR")),
        ("RH, 2 RR", ("RH", "RR")),
        ("RH+2RR", ("RH", "RR")),
        ("RH; RR (2)", ("RH", "RR")),
        ("2x RR", ("RR",)),
        ("RRs", ("RR",)),
        ("RH/cRR", ("RH", "cRR")),
        ("cRH and cRRs", ("cRH", "cRR")),
        ("crh & U", ("cRH", "U")),
        ("NDE", ("NDE",)),
        ("N/A", ("N/A",)),
        ("n/a", ("N/A",)),
        ("NA", ("N/A",)),
        ("", ()),
        ("--", ()),
        ("nan", ()),
    ],
)
def test_classes_are_read_as_people_write_them(text, classes):
    assert parse_classes(text) == classes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("halo", "'halo' is none of RH, RR"),
        ("none", "'none' is none of RH, RR"),
        ("RH+mini", "'mini' is none of"),
        ("RH?", "'rh\\?' is none of"),
        ("RH+NDE", "NDE and RH exclude each other"),
        ("N/A, U", "N/A and U exclude each other"),
        ("2", "no class in '2'"),
    ],
)
def test_other_words_are_no_classes(text, said):
    with pytest.raises(ValueError, match=said):
        parse_classes(text)


def test_meanings_stand_for_texts_and_for_words():
    meanings = {"radio halo": "RH", "relic": "RR", "1": "RH+RR", "crh": "U"}
    assert parse_classes("Radio  Halo", meanings) == ("RH",)
    assert parse_classes("RH + relic", meanings) == ("RH", "RR")
    assert parse_classes("1", meanings) == ("RH", "RR")
    assert parse_classes("cRH", meanings) == ("U",)
    assert parse_classes("RR, cRH", meanings) == ("RR", "U")


@pytest.mark.parametrize("text", ["cRR", "2 cRR", "2cRR", "2xcRR", "cRRs", "CRR"])
def test_a_meaning_of_a_class_holds_for_each_of_its_spellings(text):
    assert parse_classes(text, {"crr": "U"}) == ("U",)
    assert parse_classes(text) == ("cRR",)


def test_labels_of_islands_are_told_from_those_of_clusters(tmp_path):
    path = write_lines(tmp_path / "a.csv", "name,class,kind", "A,RH,cluster", "a,NDE,island", "B,RR,")
    assert [one.of_island for one in read_labels(path)] == [False, True, False]
    path = write_lines(tmp_path / "b.csv", "name,class", "A,RH")
    assert [one.of_island for one in read_labels(path)] == [False]


VIZIER = (
    "#RESOURCE=yCat_36600078",
    "Name\tRAJ2000\tDEJ2000\tClass",
    '\t"h:m:s"\t"d:m:s"\t',
    "------\t--------\t--------\t-----",
    "PSZ2 G1\t10 00 00\t+30 30 00\tRH+cRR",
    "PSZ2 G2\t\t\tN/A",
)


def test_a_table_as_vizier_writes_it_is_read(tmp_path):
    first, second = read_labels(write_lines(tmp_path / "a.tsv", *VIZIER))
    assert first == Label("PSZ2 G1", ("RH", "cRR"), pytest.approx(150), pytest.approx(30.5))
    assert (second.name, second.classes) == ("PSZ2 G2", ("N/A",))
    assert np.isnan([second.ra_deg, second.dec_deg]).all()


@pytest.mark.parametrize(
    ("ra", "dec", "why"),
    [
        ("12:xx", "36", "right ascension '12:xx' cannot be read"),
        ("12 34 5", "+36:61:00", "declination '+36:61:00' cannot be read"),
        ("550.5", "36", "right ascension 550.5 deg is outside -180..360 deg"),
        ("150", "95", "declination 95 deg is outside -90..90 deg"),
        ("inf", "x", "right ascension inf deg is outside -180..360 deg; declination 'x' cannot be read"),
        ("", "36", "no right ascension"),
        ("150", "--", "no declination"),
    ],
)
def test_a_position_that_cannot_be_used_is_named_and_left_out(tmp_path, caplog, ra, dec, why):
    lines = "name,class,ra,dec", "A,RH,150,2", f"B,RR,{ra},{dec}", "C,NDE,,"
    path = write_lines(tmp_path / "a.csv", *lines)
    first, second, third = read_labels(path)
    assert (first.ra_deg, first.dec_deg) == (150, 2)
    assert np.isnan([second.ra_deg, second.dec_deg, third.ra_deg, third.dec_deg]).all()
    said = "1 of 3 labels have a position that cannot be used, and are matched by name only"
    assert caplog.messages == [f"{path}: {said}: B: {why}"]


def test_positions_that_cannot_be_used_are_counted_where_not_all_are_named(tmp_path, caplog):
    names = [f"A{number}" for number in range(13)]
    table = Table({"name": names, "class": ["RH"] * 13, "RAdeg": [400.0] * 13, "DEdeg": [2.0] * 13})
    table.write(tmp_path / "a.fits")
    assert all(np.isnan(one.ra_deg) and np.isnan(one.dec_deg) for one in read_labels(tmp_path / "a.fits"))
    (message,) = caplog.messages
    assert "13 of 13 labels" in message
    assert message.endswith("A9: right ascension 400 deg is outside -180..360 deg and 3 more")


def test_positions_that_are_all_there_or_all_missing_need_no_warning(tmp_path, caplog):
    read_labels(write_lines(tmp_path / "a.tsv", *VIZIER))
    read_labels(write_lines(tmp_path / "b.csv", "name,class,RA_X,DECL", "A,RH,150,2"))
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize(("lost", "there"), [("dec", "RA"), ("ra", "DEJ2000")])
def test_one_column_of_a_position_alone_is_said(tmp_path, caplog, lost, there):
    (only,) = read_labels(write_lines(tmp_path / "a.csv", f"name,class,{there},x", "A,RH,15,2"))
    assert np.isnan([only.ra_deg, only.dec_deg]).all()
    (message,) = caplog.messages
    assert f"a.csv has no column {lost}, but name, class, {there}, x: " in message
    assert message.endswith(f"matched by name only; say which one is meant with --column {lost}=COLUMN")


@pytest.mark.parametrize(("given", "lost"), [("ra=RA_X", "dec"), ("dec=DECL", "ra")])
def test_one_column_of_a_position_that_is_named_needs_the_other(tmp_path, given, lost):
    path = write_lines(tmp_path / "a.csv", "name,class,RA_X,DECL", "A,RH,150,2")
    with pytest.raises(ConfigError, match=f"a.csv has no column {lost}, .*--column {lost}=COLUMN$"):
        read_labels(path, [given])
    (both,) = read_labels(path, ["ra=RA_X", "dec=DECL"])
    assert (both.ra_deg, both.dec_deg) == (150, 2)


@pytest.mark.parametrize("suffix", ["csv", "fits", "vot", "ecsv"])
def test_a_table_without_rows_says_so(tmp_path, suffix):
    table = Table({"name": ["A"], "class": ["RH"], "ra": [1.0], "dec": [1.0]})[:0]
    path = tmp_path / f"a.{suffix}"
    table.write(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(suffix, suffix))
    with pytest.raises(ConfigError, match=f"a.{suffix} has no rows"):
        read_labels(path)


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv"])
def test_tables_of_other_formats_are_read(tmp_path, suffix):
    table = Table({"NAME": ["A", "B"], "CLASS": ["RH", "N/A"], "RAdeg": [150.0, 151.0], "DEdeg": [1.0, 2.0]})
    table.write(tmp_path / f"a.{suffix}", format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(suffix, suffix))
    assert read_labels(tmp_path / f"a.{suffix}") == [
        Label("A", ("RH",), 150.0, 1.0),
        Label("B", ("N/A",), 151.0, 2.0),
    ]


def test_what_is_said_twice_alike_is_no_contradiction(tmp_path):
    path = write_lines(tmp_path / "a.csv", "name,class", "A,halo")
    assert read_labels(path, meanings=["halo=RH", "Halo = RH"])[0].classes == ("RH",)


def test_columns_and_words_may_be_named(tmp_path):
    path = write_lines(tmp_path / "a.csv", "cluster,Type,class", "A,halo,x", "B,NDE,y", "C,halo candidate,z")
    columns = ["name=cluster", "class=type"]
    found = read_labels(path, columns, ["Halo=RH", "candidate = cRH"])
    assert [one.classes for one in found] == [("RH",), ("NDE",), ("RH", "cRH")]
    assert all(np.isnan(one.ra_deg) for one in found)


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (["name,type", "A,RH"], {}, r"no column class, but name, type; .*--column class=COLUMN"),
        (["id,class", "A,RH"], {}, "no column name"),
        (["name,class", "A,RH"], {"columns": ["class=type"]}, "no column type"),
        (["name,class", "A,RH"], {"columns": ["z=redshift"]}, "--column z: give name, class, ra, dec"),
        (["name,class", "A,RH"], {"columns": ["class"]}, "--column 'class': two words with = between them"),
        (["name,class", "A,RH"], {"meanings": ["halo="]}, "--class 'halo='"),
        (["name,class", "A,RH"], {"meanings": ["halo=big"]}, "^--class halo=big: 'big' is none of [^-]*$"),
        (
            ["name,class", "A,rh"],
            {"meanings": ["RH=U", "RH=NDE"]},
            "^--class gives RH twice, as U and as NDE$",
        ),
        (["name,class", "A,rh"], {"meanings": ["halo=U", "x=RH", "Halo=NDE"]}, "--class gives Halo twice"),
        (
            ["name,class,x", "A,RH,U"],
            {"columns": ["class=class", "class=x"]},
            "--column gives class twice, as class and as x",
        ),
        (["name,class", "A,RH"], {"meanings": ["a=b", "c=d"]}, "^--class a=b: 'b' .*; --class c=d: 'd' "),
        (
            ["name,class", "A,RH", "B,halo", "C,RH+x"],
            {},
            "class of B: 'halo' is none .*; class of C: 'x' .*; say .* --class TEXT=CLASS",
        ),
        (["name,class", "A 1,RH", "B,U", "a1,RR"], {}, r"several rows of one name: A 1 \(rows 1, 3\)"),
        ([], {}, "cannot be read: .* is empty"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path, lines, options, said):
    path = write_lines(tmp_path / "a.csv", *lines)
    with pytest.raises(ConfigError, match=said):
        read_labels(path, **options)


def test_labels_that_are_not_there_or_of_another_frame_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no table of labels"):
        read_labels(tmp_path / "a.csv")
    table = Table({"name": ["A"], "class": ["RH"], "ra": [150.0], "dec": [1.0]}, meta={"RADESYS": "FK4"})
    table.write(tmp_path / "a.fits")
    with pytest.raises(ConfigError, match="positions must be ICRS"):
        read_labels(tmp_path / "a.fits")


def test_a_unit_that_is_none_is_to_be_mended_in_the_table(tmp_path):
    path = tmp_path / "a.ecsv"
    Table({"name": ["A"], "class": ["RH"], "ra": [150.0], "dec": [40.0]}, units={"ra": "furlong2"}).write(
        path
    )
    with pytest.raises(ConfigError, match="not a unit: .*write a unit for ra into the table") as caught:
        read_labels(path)
    assert "--unit" not in str(caught.value)


def test_rows_without_a_name_are_told_apart_by_their_place(tmp_path):
    path = write_lines(tmp_path / "a.csv", "name,class", ",RH", ",RR")
    assert [one.name for one in read_labels(path)] == ["(row 1)", "(row 2)"]


def test_many_faults_are_counted(tmp_path):
    path = write_lines(tmp_path / "a.csv", "name,class", *(f"A{n},word{n}" for n in range(13)))
    with pytest.raises(ConfigError, match=r"'word9' is none of .* and 3 more; say [^0-9]*$"):
        read_labels(path)


ROWS = [
    {"name": "A", "ra_deg": 150.0, "dec_deg": 2.0, "p_diffuse": 0.5, "class": "cRH+cRR"}
    | {"other_names": "RXC 1; Abell 7"},
    {"name": "B", "p_diffuse": NAN, "class": "", "other_names": ""},
]


@pytest.mark.parametrize("suffix", ["fits", "vot", "csv"])
def test_a_catalogue_of_any_format_has_the_same_entries(tmp_path, suffix):
    path = write_clusters(tmp_path / f"c.{suffix}", ROWS)
    first, second = read_entries(read_catalogue(path), path)
    assert first == Entry("A", ("RXC 1", "Abell 7"), ("cRH", "cRR"), 150.0, 2.0, 0.5)
    assert (second.name, second.other_names, second.classes) == ("B", (), ())
    assert np.isnan([second.ra_deg, second.dec_deg, second.p_diffuse]).all()


def test_a_catalogue_without_classes_says_so(tmp_path):
    table = catalogue_table(ROWS)
    table.remove_columns(["class", "other_names"])
    first = read_entries(table, "c.fits")[0]
    assert (first.other_names, first.classes) == ((), None)


def test_a_catalogue_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no column dec_deg, p_diffuse, ra_deg"):
        read_catalogue(write_lines(tmp_path / "c.csv", "name,p", "A,0.5"))
    for value, said in (
        (1.5, r"p_diffuse is 1\.5, not 0\.\.1"),
        (1.0000001, r"p_diffuse is 1\.0000001, not 0\.\.1"),
        ("high", "p_diffuse has texts"),
    ):
        path = write_lines(tmp_path / "c.csv", "name,ra_deg,dec_deg,p_diffuse", f"A,1,2,{value}")
        with pytest.raises(ConfigError, match=said):
            read_entries(read_catalogue(path), path)


def label(name, ra=NAN, dec=NAN):
    return Label(name, ("RH",), ra, dec)


def entry(name, *others, ra=NAN, dec=NAN):
    return Entry(name, others, None, ra, dec, 0.5)


def found(labels, entries):
    return {one.label.name: (one.entry.name, one.how) for one in match_labels(labels, entries)}


def test_labels_are_matched_by_name_then_other_name_then_position():
    entries = [
        entry("PSZ2 G1-3", "Abell 1", ra=150.0, dec=0.0),
        entry("X", "Abell 2", "abell  3", ra=151.0, dec=0.0),
        entry("Y", ra=152.0, dec=60.0),
        entry("Z", ra=153.0, dec=0.0),
    ]
    # at declination 60 deg, 3 arcmin of right ascension are 1.5 arcmin; 2.4 arcmin are too far
    labels = [
        label("psz2g1\u22123", ra=151.0, dec=0.0),
        label("ABELL 3"),
        label("other", ra=152.05, dec=60.0),
        label("far", ra=153.0, dec=0.04),
        label("no position"),
    ]
    assert found(labels, entries) == {
        "psz2g1\u22123": ("PSZ2 G1-3", "name"),
        "ABELL 3": ("X", "other name"),
        "other": ("Y", "position"),
    }
    by_name, by_other, by_position = match_labels(labels, entries)
    assert by_name.separation_arcmin == pytest.approx(60)
    assert np.isnan(by_other.separation_arcmin)
    assert by_position.separation_arcmin == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("sign", "\u2010\u2011\u2012\u2013\u2014\u2212")
def test_kinds_of_minus_signs_do_not_matter(sign):
    given = f"PSZ2 G1{sign}3"
    entries = [entry("PSZ2 G1-3"), entry("X", f"RUN J10{sign}20")]
    labels = [label(given), label("RUN J10-20")]
    assert found(labels, entries) == {given: ("PSZ2 G1-3", "name"), "RUN J10-20": ("X", "other name")}
    assert parse_classes(sign) == ()


def test_the_closest_pairs_are_matched_first_and_each_row_once():
    entries = [entry("X", ra=150.0, dec=0.0), entry("Y", ra=150.0, dec=0.02)]
    near, nearer = label("near", ra=150.0, dec=0.012), label("nearer", ra=150.0, dec=0.019)
    # nearer takes Y at 0.06 arcmin, so that near gets X, at 0.72, and not Y, at 0.48
    assert found([near, nearer], entries) == {"near": ("X", "position"), "nearer": ("Y", "position")}
    third = label("third", ra=150.0, dec=0.001)
    assert found([near, nearer, third], entries) == {"nearer": ("Y", "position"), "third": ("X", "position")}


def test_nothing_in_common_is_no_match():
    assert match_labels([label("A")], [entry("B", ra=1.0, dec=1.0)]) == []
    assert match_labels([label("", ra=1.0, dec=1.0)], [entry("", ra=2.0, dec=1.0)]) == []


def test_names_that_are_not_unique_are_refused():
    with pytest.raises(ConfigError, match=r"A is the name of 2 clusters of the catalogue \(A at RA nan"):
        match_labels([label("A")], [entry("A"), entry("a")])
    with pytest.raises(ConfigError, match=r"A is the other name of 2 clusters of the catalogue \(X at RA"):
        match_labels([label("A")], [entry("X", "A"), entry("Y", "A")])
    apart = [entry("A", ra=150.0, dec=0.0), entry("A", ra=151.0, dec=0.0)]
    with pytest.raises(
        ConfigError, match=r"A at RA 150.0000, Dec \+0.0000, A at RA 151.0000.*: give the label"
    ):
        match_labels([label("A")], apart)
    with pytest.raises(ConfigError, match="B and C are labels of one cluster, X: keep one"):
        match_labels([label("B"), label("C")], [entry("X", "B", "C")])


def test_other_names_of_merged_lists():
    from radiounet.measuring.labels import _names_of

    assert _names_of("mcxc: J1259.7+2756; own: Coma; Abell 1656") == ("J1259.7+2756", "Coma", "Abell 1656")
    assert _names_of("") == ()


def test_of_clusters_of_one_name_the_nearest_is_labelled():
    entries = [entry("Twin", ra=ra, dec=0.0) for ra in (150.0, 151.0)]
    (one,) = match_labels([label("Twin", ra=151.01, dec=0.0)], entries)
    assert (one.entry.ra_deg, one.how) == (151.0, "name")


def test_a_cluster_that_several_images_show_is_one(tmp_path):
    shown = {"name": "A", "ra_deg": 150.0, "dec_deg": 2.0, "class": "cRH", "other_names": "psz2: B"}
    rows = [shown | {"p_diffuse": p} for p in (NAN, 0.8, 0.4)]
    path = write_clusters(tmp_path / "c.csv", rows)
    entries = read_entries(read_catalogue(path), path)
    assert [one.p_diffuse for one in entries] == [0.8]
    # as the kit does, the image that has most of the cluster
    table = read_catalogue(path)
    table["coverage"] = [1.0, 0.3, 0.9]
    assert [one.p_diffuse for one in read_entries(table, path)] == [0.4]
    for one in (label("A"), label("B"), label("near", ra=150.001, dec=2.0), label("A", ra=10.0, dec=0.0)):
        assert len(match_labels([one], entries)) == 1
    with pytest.raises(ConfigError, match="A and B are labels of one cluster, A: keep one"):
        match_labels([label("A"), label("B")], entries)


def test_a_second_label_of_a_cluster_does_not_go_to_its_neighbour():
    entries = [entry("PSZ2 G1", "Coma", ra=150.0, dec=0.0), entry("SUB", ra=150.0, dec=0.02)]
    same = [label("PSZ2 G1", ra=150.0, dec=0.0), label("Coma", ra=150.0, dec=0.0)]
    with pytest.raises(ConfigError, match="PSZ2 G1 and Coma are labels of one cluster, PSZ2 G1: keep one"):
        match_labels(same, entries)
    # by another name that the catalogue does not know
    assert found([same[0], label("A1656", ra=150.0, dec=0.001)], entries) == {"PSZ2 G1": ("PSZ2 G1", "name")}
    expected = {"PSZ2 G1": ("PSZ2 G1", "name"), "A1656": ("SUB", "position")}
    assert found([same[0], label("A1656", ra=150.0, dec=0.015)], entries) == expected


def test_a_label_far_from_all_of_its_name_is_told_how_far():
    entries = [entry("Twin", ra=ra, dec=0.0) for ra in (150.0, 151.0)]
    for ra, said in ((151.05, "3"), (151 + 2.0001 / 60, r"2\.0001")):
        with pytest.raises(ConfigError, match=f"lies {said} arcmin from the nearest one, more than 2 arcmin"):
            match_labels([label("Twin", ra=ra, dec=0.0)], entries)
