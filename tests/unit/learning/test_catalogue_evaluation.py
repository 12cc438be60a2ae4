"""From a catalogue and labels to scores, as files."""

import json

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from labelled import catalogue_table, write_clusters, write_lines
from programs import start
from radiounet.errors import ConfigError
from radiounet.images.products import catalogue_evaluation_files
from radiounet.images.provenance import sha256_of
from radiounet.learning.catalogue_evaluation import evaluate_catalogue
from radiounet.learning.catalogue_figure import draw_labels
from radiounet.measuring.columns import CLUSTERS
from radiounet.measuring.label_scores import CONFUSION
from radiounet.running.outputs import claim_outputs, made_here

NAN = float("nan")
# name, other names, p_diffuse, class in the catalogue, label, class of the label
CLUSTERS_AND_LABELS = [
    ("A", "", 0.9, "cRH", "a", "RH"),
    ("B", "Abell 2; X", 0.8, "cRR", "ABELL 2", "cRR"),
    ("C", "", 0.3, "NDE", "C", "RH, 2 RR"),
    ("D", "", 0.6, "cRH", "D", "NDE"),
    ("E", "", 0.2, "NDE", "E", "NDE"),
    ("F", "", 0.1, "NDE", "F", "NDE"),
    ("G", "", 0.7, "cRH", "G", "U"),
    ("H", "", NAN, "", "H", "RH"),
    ("I|J", "", 0.4, "U", None, None),
    (None, None, None, None, "K", "NDE"),
]


def write_both(folder, rows, suffix="fits"):
    """Catalogue and labels of rows as in `CLUSTERS_AND_LABELS`."""
    names = ("name", "other_names", "p_diffuse", "class")
    clusters = [dict(zip(names, row[:4], strict=True)) for row in rows if row[0]]
    catalogue = write_clusters(folder / f"clusters.{suffix}", clusters)
    lines = [f'{name},"{label}"' for *_, name, label in rows if name]
    return str(catalogue), str(write_lines(folder / "labels.csv", "name,class", *lines))


def enough(count=25, shift=0.0):
    """As many hosts as empty clusters; every fifth is on the wrong side."""
    rows = []
    for number in range(count):
        for host in (True, False):
            p_diffuse = (0.85 if host == (number % 5 > 0) else 0.15) + shift + 0.001 * number
            rows.append((f"{host}{number}", "", p_diffuse, "NDE", f"{host}{number}", "RR" if host else "NDE"))
    return [*rows, ("Z", "", NAN, "", "Z", "RH")]


def evaluated(folder, rows, **options):
    evaluate_catalogue(*write_both(folder, rows), str(folder / "out"), **options)
    return json.loads((folder / "out" / "evaluation.json").read_text())


def test_a_catalogue_is_scored_and_all_clusters_are_accounted_for(tmp_path):
    found = evaluated(tmp_path, CLUSTERS_AND_LABELS)
    assert found["counts"] == {
        "labels": 9,
        "clusters in the catalogue": 9,
        "matched": 8,
        "matched by name": 7,
        "matched by other name": 1,
        "matched by position": 0,
        "hosts": 3,
        "empty clusters": 3,
        "labels without a cluster in the catalogue": 1,
        "clusters of the catalogue without a label": 1,
        "not measured, p_diffuse is missing": 1,
        "left out, the label is U": 1,
        "true positives": 2,
        "false negatives": 1,
        "false positives": 1,
        "true negatives": 2,
    }
    assert found["names"] == {
        "labels without a cluster in the catalogue": ["K"],
        "clusters of the catalogue without a label": ["I|J"],
        "not measured, p_diffuse is missing": ["H"],
        "left out, the label is U": ["G"],
    }
    scores = found["scores"]["p_diffuse"]
    assert (scores["recall"]["value"], scores["roc_auc"]["value"]) == (0.66667, 0.88889)
    assert found["classes"] == list(CONFUSION)
    all_of_them, detected = (np.array(found["confusion"][which]) for which in ("all", "detected"))
    assert (all_of_them.sum(), detected.sum()) == (8, 4)
    assert all_of_them[CONFUSION.index("RH+RR"), CONFUSION.index("NDE")] == 1
    assert all_of_them[CONFUSION.index("RH"), CONFUSION.index("none")] == 1
    assert detected[CONFUSION.index("NDE"), CONFUSION.index("RH")] == 1


def test_the_page_the_table_and_the_picture_are_written(tmp_path):
    evaluated(tmp_path, CLUSTERS_AND_LABELS)
    page = (tmp_path / "out" / "evaluation.md").read_text()
    assert "| recall: hosts that are found | 0.667 (0.387 to 0.864) |" in page
    assert "- clusters of the catalogue without a label: I\\|J\n" in page
    assert "| RH+RR | 0 | 0 | 0 | 0 | 1 | 0 | 0 |" in page
    assert "Recalibrated" not in page
    table = Table.read(tmp_path / "out" / "labels_matched.ecsv")
    assert table["label_name"].tolist() == ["a", "ABELL 2", *"CDEFGH"]
    assert table["verdict"].tolist() == [
        *("true positive", "true positive", "false negative", "false positive"),
        *("true negative", "true negative", "left out", "not measured"),
    ]
    assert table.meta["labels_sha256"] == sha256_of(tmp_path / "labels.csv")
    with Image.open(tmp_path / "out" / "evaluation.png") as picture:
        assert min(picture.size) > 1000
    assert not (tmp_path / "out" / "catalogue_recalibrated.ecsv").exists()


@pytest.mark.parametrize("rows", [CLUSTERS_AND_LABELS, enough()])
def test_legends_cover_nothing(tmp_path, rows):
    found = evaluated(tmp_path, rows)
    for scores in (found["scores"], found["scores"] | {"recalibrated": found["scores"]["p_diffuse"]}):
        for confusions in (None, found["confusion"]):
            figure = draw_labels(scores, confusions)
            figure.draw_without_rendering()
            legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
            assert [len(one.get_texts()) for one in legends] == [len(scores)] * 2
            boxes = [one.get_window_extent() for one in legends]
            labels = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
            others = [*(axes.bbox for axes in figure.axes), *labels]
            assert not any(box.overlaps(other) for box in boxes for other in others)


def test_candidates_may_be_left_out(tmp_path):
    found = evaluated(tmp_path, CLUSTERS_AND_LABELS, meanings=["cRR=U"])
    assert found["names"]["left out, the label is U"] == ["ABELL 2", "G"]
    assert found["scores"]["p_diffuse"]["recall"]["value"] == 0.5


def test_labels_of_one_kind_have_scores_but_no_curve(tmp_path):
    found = evaluated(tmp_path, CLUSTERS_AND_LABELS[:3])
    scores = found["scores"]["p_diffuse"]
    assert scores["recall"]["value"] == 0.66667
    assert scores["roc_auc"] == {"value": None, "low": None, "high": None}
    assert "| ROC-AUC | – |" in (tmp_path / "out" / "evaluation.md").read_text()


def test_labels_of_islands_do_not_count_for_the_clusters_beside_them(tmp_path):
    """A radio galaxy beside a cluster says nothing of its halo."""
    places = {"ra_deg": 150.0, "dec_deg": 30.0}
    rows = [{"name": name, "p_diffuse": p, **places} for name, p in (("A", 0.9), ("B", 0.1))]
    catalogue = str(write_clusters(tmp_path / "clusters.fits", rows))
    lines = ["RUN J1000+3000,NDE,150.01,30.0,island", "A,RH,150.0,30.0,cluster", "B,NDE,150.0,30.0,cluster"]
    labels = write_lines(tmp_path / "labels.csv", "name,class,ra,dec,kind", *lines)
    evaluate_catalogue(catalogue, str(labels), str(tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["names"]["left out, the label is of an island"] == ["RUN J1000+3000"]
    assert (found["counts"]["matched"], found["counts"]["false positives"]) == (2, 0)
    write_lines(tmp_path / "labels.csv", "name,class,ra,dec,kind", lines[0])
    with pytest.raises(ConfigError, match=r"all labels of .* are of islands: give labels of clusters"):
        evaluate_catalogue(catalogue, str(labels), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([CLUSTERS_AND_LABELS[8], CLUSTERS_AND_LABELS[9]], {}, r"no name and no position of .* \(1 rows\)"),
        (CLUSTERS_AND_LABELS[6:8], {}, "no cluster has both p_diffuse and a label"),
        (CLUSTERS_AND_LABELS, {"recalibrate": True}, "3 hosts and 3 empty clusters"),
        (
            [(*row[:2], 1 - row[2], *row[3:]) for row in enough()],
            {"recalibrate": True},
            "the labels contradict p_diffuse",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_nothing_is_written(tmp_path, rows, options, said):
    with pytest.raises(ConfigError, match=said):
        evaluated(tmp_path, rows, **options)
    assert not (tmp_path / "out").exists()


def test_a_recalibrated_catalogue_is_recalibrated_anew(tmp_path):
    catalogue, labels = write_both(tmp_path, enough(), "vot")
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    first = tmp_path / "out" / "catalogue_recalibrated.ecsv"
    evaluate_catalogue(str(first), labels, str(tmp_path / "again"), recalibrate=True)
    before, after = Table.read(first), Table.read(tmp_path / "again" / "catalogue_recalibrated.ecsv")
    assert after.colnames == before.colnames
    np.testing.assert_array_equal(after["p_diffuse_recalibrated"], before["p_diffuse_recalibrated"])


@pytest.mark.parametrize("suffix", ["fits", "vot", "csv"])
def test_a_recalibrated_copy_has_one_more_column(tmp_path, suffix):
    catalogue, labels = write_both(tmp_path, enough(), suffix)
    before = sha256_of(catalogue)
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    assert sha256_of(catalogue) == before
    copy = Table.read(tmp_path / "out" / "catalogue_recalibrated.ecsv")
    old = [name for name in copy.colnames if name != "p_diffuse_recalibrated"]
    assert set(old) == {*CLUSTERS, "other_names", "class"}
    new = copy["p_diffuse_recalibrated"]
    assert (new.unit, new.info.meta["ucd"]) == (None, "stat.probability")
    assert "brought to labels" in new.description
    # p_diffuse of 0.85 and more become about 21/27 of 20 hosts and 5 empty clusters; none stays none
    p_diffuse = np.ma.filled(copy["p_diffuse"], NAN)
    new = np.ma.filled(new, NAN)
    assert np.isnan(new).tolist() == np.isnan(p_diffuse).tolist() == [False] * 50 + [True]
    np.testing.assert_allclose(new[p_diffuse > 0.5], 0.78, atol=0.04)
    np.testing.assert_allclose(new[p_diffuse < 0.5], 0.22, atol=0.04)
    for name, column in CLUSTERS.items():
        assert copy[name].info.meta["ucd"] == column.ucd
        assert copy[name].unit == column.unit
        assert copy[name].dtype.kind == {float: "f", int: "i", bool: "b", str: "U"}[column.kind]
    assert copy.meta["labels"] == "labels.csv"
    assert copy.meta["labels_sha256"] == sha256_of(labels)
    assert copy.meta["catalogue_sha256"] == before
    assert (copy.meta["recalibration_hosts"], copy.meta["recalibration_empty_clusters"]) == (25, 25)


def in_text(folder, change):
    """Catalogue with a flag and a number of islands in every other row, changed and saved as text."""
    rows = enough()
    flags = [number % 2 == 0 for number in range(len(rows))]
    clusters = [
        {"name": row[0], "p_diffuse": row[2], "flag_edge": flag, "island_count": 3 * flag}
        for row, flag in zip(rows, flags, strict=True)
    ]
    table = catalogue_table(clusters)
    for name in ("flag_edge", "island_count", "p_diffuse"):
        table[name] = table[name].astype("U20")
    change(table)
    table.write(folder / "clusters.csv", format="ascii.csv")
    _, labels = write_both(folder, rows)
    return flags, str(folder / "clusters.csv"), labels


@pytest.mark.parametrize("spelt", [("true", "false"), ("TRUE", "FALSE"), ("T", "F"), ("1", "0")])
def test_flags_that_other_programs_wrote_stay_as_they_are(tmp_path, spelt):
    def respell(table):
        table["flag_edge"] = np.where(table["flag_edge"] == "True", *spelt)

    flags, catalogue, labels = in_text(tmp_path, respell)
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    copy = Table.read(tmp_path / "out" / "catalogue_recalibrated.ecsv")
    assert copy["flag_edge"].tolist() == flags
    assert copy["island_count"].tolist() == [3 * flag for flag in flags]


def test_what_a_text_table_leaves_out_stays_missing(tmp_path):
    def empty(table):
        for name in ("flag_edge", "island_count", "p_diffuse"):
            table[name][0] = "--"

    flags, catalogue, labels = in_text(tmp_path, empty)
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    copy = Table.read(tmp_path / "out" / "catalogue_recalibrated.ecsv")
    for name in ("flag_edge", "island_count"):
        assert np.flatnonzero(copy[name].mask).tolist() == [0]
    assert copy["flag_edge"].dtype.kind == "b"
    assert copy["flag_edge"][1:].tolist() == flags[1:]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("flag_edge", "maybe", "'maybe' in row 3 of flag_edge, not true or false"),
        ("island_count", "two", "'two' in row 3 of island_count, not a whole number"),
        ("island_count", "2.5", "'2.5' in row 3 of island_count, not a whole number"),
        ("flux_mjy", "faint", "'faint' in row 3 of flux_mjy, not a number"),
    ],
)
def test_a_cell_of_another_type_is_named_and_nothing_is_written(tmp_path, name, text, said):
    def spoil(table):
        table[name] = table[name].astype("U20")
        table[name][2] = text

    _, catalogue, labels = in_text(tmp_path, spoil)
    with pytest.raises(ConfigError, match=said):
        evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    assert not (tmp_path / "out").exists()


def test_scores_of_held_out_clusters_stand_beside_those_of_the_catalogue(tmp_path):
    found = evaluated(tmp_path, enough(shift=0.1), recalibrate=True)
    before, after = (found["scores"][name]["brier"]["value"] for name in ("p_diffuse", "recalibrated"))
    assert after < before
    page = (tmp_path / "out" / "evaluation.md").read_text()
    assert "| score | p\\_diffuse | recalibrated |" in page
    assert "Recalibrated: p = expit(" in page


def test_an_evaluation_is_done_again_in_its_folder_and_leaves_nothing_old(tmp_path):
    catalogue, labels = write_both(tmp_path, enough())
    files = catalogue_evaluation_files(str(tmp_path / "out"))
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    first = {name: sha256_of(path) for name, path in files.items()}
    assert all(made_here(tmp_path / "out" / path) for path in files.values())
    claim_outputs(files.values())
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"), recalibrate=True)
    assert {name: sha256_of(path) for name, path in files.items()} == first
    evaluate_catalogue(catalogue, labels, str(tmp_path / "out"))
    assert not (tmp_path / "out" / "catalogue_recalibrated.ecsv").exists()


def test_the_command_evaluates_a_catalogue(tmp_path):
    catalogue, labels = write_both(tmp_path, CLUSTERS_AND_LABELS)
    command = ["radiounet evaluate-catalogue", catalogue, labels, "--out", tmp_path / "out"]
    done = start(*command, "--class", "cRR=U", "--class", "NDE=NDE", "--column", "name=NAME")
    assert done.returncode == 0, done.stderr
    assert "p_diffuse: recall 0.500" in done.stderr
    done = start(*command, "--recalibrate")
    assert done.returncode == 78
    assert "a recalibration needs 20 of each" in done.stderr
