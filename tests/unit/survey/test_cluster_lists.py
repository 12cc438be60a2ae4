"""Several lists of clusters as one table."""

import logging
from dataclasses import astuple, replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from mocpy import MOC

from radiounet.errors import ConfigError
from radiounet.images.squares import unit_vectors
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import make_table
from radiounet.measuring.unmeasured import unmeasured_cluster
from radiounet.settings.catalogues import PUBLISHED_CATALOGUES, ClusterCatalogue
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2
from radiounet.survey.catalogues import convert_catalogue
from radiounet.survey.cells import NearestPointing
from radiounet.survey.cluster_lists import merge_cluster_tables, merge_lists
from radiounet.survey.cluster_tables import clusters_to_measure, merged_from, read_clusters
from radiounet.survey.fields import Field
from radiounet.survey.survey import Cluster, Survey

TABLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "tables"
NAN = float("nan")
OPTIONS = MeasureOptions()
READ = {"fits": {}, "vot": {}, "csv": {"format": "ascii.csv", "comment": "#"}}
HEAD = "name,ra,dec,z,M500\n"


def at(arcmin, redshift=0.2, r500_arcmin=5.0, name="B"):
    """A cluster this far north of RA 150, Dec 40."""
    return Cluster(name, 150.0, 40.0 + arcmin / 60, redshift, r500_arcmin)


A = at(0, name="A")


def merged(*lists):
    return merge_lists(dict(zip(("one", "two", "three"), lists, strict=False)))


@pytest.mark.parametrize(
    ("row", "is_same"),
    [
        (at(0), True),
        (at(4.99), True),
        (at(5.01), False),
        # 0.01 (1 + 0.2) = 0.012
        (at(1, redshift=0.2119), True),
        (at(1, redshift=0.2121), False),
        (at(1, redshift=0.1879), False),
        (at(4.99, redshift=NAN), True),
        (at(4.99, r500_arcmin=NAN), True),
        (at(1, redshift=NAN, r500_arcmin=NAN), True),
    ],
)
def test_two_rows_of_two_lists_are_one_cluster(row, is_same):
    found = merged([A], [row])
    assert found.merged == is_same
    assert [one.name for one in found.clusters] == (["A"] if is_same else ["A", "B"])
    assert found.clusters[0].other_names == ("two: B" if is_same else "")
    assert found.clusters[0].r500_arcmin == 5.0


@pytest.mark.parametrize(
    ("row", "is_same"),
    [
        (at(9.9, r500_arcmin=20.0), True),
        (at(10.1, r500_arcmin=20.0), False),  # half of the smaller R500 is 10
        (at(10.1, r500_arcmin=NAN), True),  # half of the one that is known is 15
        (at(15.1, r500_arcmin=NAN), False),
        (at(5.1, redshift=NAN, r500_arcmin=30.0), False),  # a size says nothing without both redshifts
    ],
)
def test_a_large_cluster_reaches_farther(row, is_same):
    large = replace(A, r500_arcmin=30.0)
    assert merged([large], [row]).merged == is_same
    assert merged([row], [large]).merged == is_same


def test_rows_of_one_list_stay_apart():
    """Each takes the row that is closest to it, whatever comes first in the lists."""
    found = merged([A, at(3, name="A2")], [at(2.9, name="B2"), at(1.4, name="B1"), at(1, name="B3")])
    assert [(one.name, one.other_names) for one in found.clusters] == [
        ("A", "two: B3"),
        ("A2", "two: B2"),
        ("B1", ""),
    ]
    assert found.merged == 2


def test_a_chain_joins_lists_but_not_rows_of_one_list():
    """C is 8 arcmin from A and 4 from B: A, B and C are one; D, of the list of C, is not."""
    lists = [A], [at(4)], [at(8, name="C"), at(8.5, name="D")]
    found = merged(*lists)
    assert [(one.name, one.other_names) for one in found.clusters] == [("A", "two: B; three: C"), ("D", "")]
    assert [one.name for one in merged(*lists[::-1]).clusters] == ["C", "D"]


def test_the_order_of_the_lists_decides_whose_row_is_kept():
    other = at(2, redshift=0.205, r500_arcmin=6.0)
    assert astuple(merged([A], [other]).clusters[0]) == astuple(replace(A, other_names="two: B"))
    assert astuple(merged([other], [A]).clusters[0]) == astuple(replace(other, other_names="two: A"))


def test_what_a_row_lacks_comes_from_the_first_list_that_has_it():
    unknown = replace(A, redshift=NAN, r500_arcmin=NAN, note="redshift -1 is outside 0.001..5")
    rows = at(1, r500_arcmin=NAN), at(1, name="C", redshift=0.205, r500_arcmin=6.0)
    (one,) = merged([unknown], *([row] for row in rows)).clusters
    assert (one.name, one.redshift, one.r500_arcmin) == ("A", 0.2, 6.0)
    assert one.measurable
    assert one.note == "redshift -1 is outside 0.001..5; redshift of two: B; R500 of three: C"
    assert one.other_names == "two: B; three: C"


@pytest.mark.parametrize("order", [1, -1])
def test_a_size_is_assumed_where_no_list_has_one_in_either_order(tmp_path, order):
    """1200 kpc at z = 0.2 are 6.06 arcmin. A mass and a redshift of two lists are not combined."""
    rows = {
        "one": ["known,150,40,,5", "z of two,20,40,,5", "nothing,10,40,,5", "z 9,30,40,9,5"],
        "two": ["known,150,40.01,0.2,5", "z of two,20,40.01,0.2,", "z 9,30,40.01,,"],
    }
    lists, target = dict(list(write(tmp_path, **rows).items())[::order]), tmp_path / "merged.ecsv"
    merge_cluster_tables(lists, str(target))
    found = {one.name: one for one in clusters_to_measure(target, OPTIONS)}
    assert {name: one.r500_arcmin for name, one in found.items()} == pytest.approx(
        {"known": 5.705, "z of two": 6.06, "nothing": 5.0, "z 9": 5.0}, rel=0.01
    )
    assert [one.name for one in found.values() if not one.assumed_size] == ["known"]
    assert "R500 is assumed" in found["z of two"].note
    assert all("assumed" not in one.note for one in read_clusters(target, OPTIONS))


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("bad", ["z 9,30,40.01,9,", "M,30,40.01,,1e6"])
def test_an_impossible_value_of_one_list_does_not_cost_the_cluster_of_another(tmp_path, bad, order):
    rows = {"good": ["good,30,40,0.2,"], "bad": [bad], "worse": ["nowhere near,60,40,9,"]}
    lists, target = dict(list(write(tmp_path, **rows).items())[::order]), tmp_path / "merged.ecsv"
    merge_cluster_tables(lists, str(target))
    found = {one.ra_deg: one for one in clusters_to_measure(target, OPTIONS)}
    good, worse = found[30.0], found[60.0]
    assert (good.redshift, good.r500_arcmin) == pytest.approx((0.2, 6.06), rel=0.01)
    assert "outside" in good.note
    assert not worse.measurable


def test_a_redshift_that_was_filled_in_counts_for_the_next_list():
    unknown = replace(A, redshift=NAN)
    found = merged([unknown], [at(1)], [at(1, name="C", redshift=0.5)])
    assert [one.name for one in found.clusters] == ["A", "C"]
    assert found.apart == ["C"]


def test_rows_without_a_position_are_kept():
    nowhere = Cluster("A", NAN, NAN, 0.2, NAN, "no position")
    found = merged([nowhere, A], [nowhere, at(1)])
    assert (len(found.clusters), found.merged) == (3, 1)
    assert len(merged([nowhere], [nowhere]).clusters) == 2


def test_across_right_ascension_0_and_at_the_pole():
    east, west = (Cluster(name, ra, 0.0, 0.2, 5.0) for name, ra in (("A", 359.99), ("B", 0.01)))
    assert merged([east], [west]).merged == 1
    poles = [Cluster(name, ra, 89.99, 0.2, 5.0) for name, ra in (("A", 0.0), ("B", 180.0))]
    assert merged(*([one] for one in poles)).merged == 1


def test_one_name_for_clusters_that_are_not_one_is_noted():
    found = merged([A], [at(60, name="A")], [at(0, name="C")])
    assert [one.note for one in found.clusters] == ["2 clusters have this name"] * 2


def test_semicolons_only_separate_names():
    (one,) = merged([A], [at(0, name="B; C")]).clusters
    assert one.other_names == "two: B, C"


def write(folder, **lists):
    """Tables of these rows, and how they are read."""
    for name, rows in lists.items():
        (folder / f"{name}.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return {str(folder / f"{name}.csv"): OPTIONS for name in lists}


ROWS = {
    "one": ["A,150,40,0.2,5", "double,10,40,0.2,5", "double,20,40,0.2,5", "no z,30,40,,5", "lost,,,0.2,5"],
    "two": ["B,150,40.01,0.2,4", "odd;ü,30,40,0.3,5", "far,10,40.01,0.5,5"],
}


def test_a_table_of_merged_lists_is_read_as_it_was_merged(tmp_path, caplog):
    lists, target = write(tmp_path, **ROWS), tmp_path / "merged.ecsv"
    with caplog.at_level(logging.INFO):
        merge_cluster_tables(lists, str(target))
    found = read_clusters(target, OPTIONS)
    expected = merge_lists({Path(path).stem: read_clusters(path, OPTIONS) for path in lists}).clusters
    np.testing.assert_equal([astuple(one) for one in found], [astuple(one) for one in expected])
    assert [(one.name, one.other_names) for one in found] == [
        ("A", "two: B"),
        ("double", ""),
        ("double", ""),
        ("no z", "two: odd,ü"),
        ("lost", ""),
        ("far", ""),
    ]
    notes = {one.name: one.note for one in found}
    assert notes["double"] == "2 rows have this name"
    assert notes["no z"] == "no redshift; redshift and R500 of two: odd,ü"
    assert notes["lost"] == "no position"
    meta = Table.read(target, format="ascii.ecsv").meta
    assert meta["rows"] == {"one": 5, "two": 3}
    assert (meta["rows_merged"], meta["near_at_other_redshift"]) == (2, 1)
    assert "6 clusters of 5 of one, 3 of two; 2 rows were merged" in caplog.text
    assert "1 of them lie within 5 arcmin of a cluster of another list" in caplog.text
    assert caplog.text.count("far") == 1


def test_a_table_of_merged_lists_tells_when_the_lists_change(tmp_path):
    lists, target = write(tmp_path, **ROWS), tmp_path / "merged.ecsv"
    merge_cluster_tables(lists, str(target))
    assert merged_from(target, lists)
    assert not merged_from(target, dict(reversed(lists.items())))
    assert not merged_from(target, dict.fromkeys(lists, MeasureOptions(h0=71.0)))
    assert merged_from(target, dict.fromkeys(lists, MeasureOptions(calibration_error=0.2)))
    write(tmp_path, two=ROWS["two"][:2])
    assert not merged_from(target, lists)
    (tmp_path / "two.csv").unlink()
    assert not merged_from(target, lists)
    assert not merged_from(next(iter(lists)), lists)


@pytest.mark.parametrize("rows", [ROWS["one"], []])
def test_a_list_without_rows(tmp_path, rows):
    lists, target = write(tmp_path, one=rows, two=[]), tmp_path / "merged.ecsv"
    merge_cluster_tables(lists, str(target))
    assert [one.name for one in read_clusters(target, OPTIONS)] == [row.split(",")[0] for row in rows]


def test_two_tables_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    lists = write(tmp_path, one=ROWS["one"]) | write(tmp_path / "other", one=ROWS["two"])
    with pytest.raises(ConfigError, match="have the same name: rename"):
        merge_cluster_tables(lists, str(tmp_path / "merged.ecsv"))


@pytest.mark.parametrize(("name", "size"), [("mcxc2", 1.0), ("erass1", 1000.0), ("act_dr5", 5.0)])
def test_each_published_list_has_its_own_columns(tmp_path, name, size):
    """R500 of 1 Mpc, in Mpc or kpc, or M500 of 5e14 solMass, whose R500 is 1.129 Mpc at redshift 0.2."""
    entry = ClusterCatalogue.model_validate(PUBLISHED_CATALOGUES[name])
    row = {"name": "A", "ra": 150.0, "dec": 40.0, "z": 0.2, "R500": size, "M500": size}
    table = Table({theirs: [row[ours]] for ours, theirs in entry.columns.items()})
    table.write(tmp_path / "fetched.fits")
    convert_catalogue(tmp_path / "fetched.fits", name, entry).write(tmp_path / "list.ecsv")
    (found,) = read_clusters(tmp_path / "list.ecsv", OPTIONS)
    assert (found.name, found.ra_deg, found.dec_deg, found.redshift) == ("A", 150.0, 40.0, 0.2)
    mpc = 1.12945 if "M500" in entry.columns else 1.0
    assert found.r500_arcmin == pytest.approx(5.705 * mpc / 1.12945, rel=1e-3)  # see test_cluster_tables.py
    assert all(theirs in entry.url for theirs in entry.columns.values() if "vizier" in entry.url)


def fetched(folder, name, file):
    """A published list as a run fetches it."""
    entry = ClusterCatalogue.model_validate(PUBLISHED_CATALOGUES[name])
    convert_catalogue(TABLES / file, name, entry).write(folder / f"{name}.ecsv")
    return str(folder / f"{name}.ecsv")


@pytest.mark.realdata
@pytest.mark.skipif(not TABLES.is_dir(), reason="../shared/data is not here")
def test_psz2_and_mcxc_are_one_list(tmp_path):
    lists = {"psz2": "psz2.ecsv", "mcxc": "mcxc.csv.gz"}
    read = {name: read_clusters(fetched(tmp_path, name, file), OPTIONS) for name, file in lists.items()}
    found = merge_lists(read)
    assert len(found.clusters) + found.merged == 1653 + 1743
    assert sum(one.other_names.startswith("mcxc: ") for one in found.clusters) == found.merged == 526
    assert len(found.apart) == 10
    # Planck has no redshift of this one
    filled = [one for one in found.clusters if "redshift and R500 of mcxc" in one.note]
    assert [one.name for one in filled] == ["PSZ2 G086.28+74.76"]
    coma = next(one for one in found.clusters if one.name == "PSZ2 G057.80+88.00")
    assert coma.other_names == "mcxc: J1259.7+2756"
    shifted = [replace(one, dec_deg=one.dec_deg - 2) for one in read["psz2"] if one.dec_deg > -88]
    assert merge_lists({"psz2": shifted, "mcxc": read["mcxc"]}).merged <= 1


@pytest.mark.realdata
@pytest.mark.skipif(not TABLES.is_dir(), reason="../shared/data is not here")
def test_the_309_clusters_of_psz2_in_dr2(tmp_path):
    """Botteon et al. (2022, A&A 660, A78) count all rows of PSZ2 in DR2, with and without redshift.

    The footprint that the survey publishes (dr2-moc.moc, made by make_moc.py of
    github.com/mhardcastle/lotss-hba-survey) has the HEALPix pixels of order 10 that discs of 1.85 deg
    around the pointings touch. The mosaics have data a bit less or more far out, by the distances of
    their neighbours; a run measures what they show.
    """
    clusters = read_clusters(fetched(tmp_path, "psz2", "psz2.ecsv"), OPTIONS)
    places = np.array([(one.ra_deg, one.dec_deg) for one in clusters]) * u.deg
    pointings, grid = (
        [Field(str(row["name"]), row["ra"], row["dec"]) for row in Table.read(TABLES / name)]
        for name in ("lotss_dr2_mosaics.csv", "lotss_grid_fields.csv")
    )
    discs = [
        MOC.from_cone(one.ra_deg * u.deg, one.dec_deg * u.deg, radius=1.85 * u.deg, max_depth=10)
        for one in pointings
    ]
    footprint = discs[0].union(*discs[1:])
    published = {
        one.name for one, is_in in zip(clusters, footprint.contains_lonlat(*places.T), strict=True) if is_in
    }
    assert len(published) == 309
    cells = NearestPointing(DR2)
    survey = Survey(DR2, [cells.geometry(one, grid) for one in pointings])
    shown = {one.name for one, owner in zip(clusters, survey.owner(*places.T.value), strict=True) if owner}
    assert len(shown) == 311
    assert published - shown == {"PSZ2 G059.76+14.59", "PSZ2 G199.75+46.59"}
    outside = [one for one in clusters if one.name in shown - published]
    centres = unit_vectors([one.ra_deg for one in pointings], [one.dec_deg for one in pointings])
    for one in outside:  # beyond 1.85 deg of every pointing
        assert np.degrees(np.arccos((centres @ unit_vectors(one.ra_deg, one.dec_deg)).max())) > 1.9


@pytest.mark.parametrize("suffix", ["fits", "vot", "csv"])
def test_all_names_reach_the_catalogue(tmp_path, suffix):
    clusters = merged([A], [at(1)], [at(2, name="C")]).clusters
    rows = [unmeasured_cluster(one, "P1") for one in clusters]
    write_catalogue(make_table("clusters", rows, {}), tmp_path / f"clusters.{suffix}")
    (row,) = Table.read(tmp_path / f"clusters.{suffix}", **READ[suffix])
    assert (row["name"], row["other_names"]) == ("A", "two: B; three: C")


@pytest.mark.parametrize(("arcmin", "apart"), [(4, ["B"]), (8, [])])
def test_a_row_at_another_redshift_is_told_only_where_it_is_near(arcmin, apart):
    """However far the size of a cluster reaches, here 10 arcmin: only 5 arcmin count."""
    found = merged([replace(A, r500_arcmin=20.0)], [at(arcmin, redshift=0.3)])
    assert len(found.clusters) == 2
    assert found.apart == apart
