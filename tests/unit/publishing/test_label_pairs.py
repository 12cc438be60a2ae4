"""Labels given by eye become images of labels, which a training reads."""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack
from scipy import ndimage

from radiounet.errors import ConfigError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.writing import write_ecsv
from radiounet.learning.pairs import read_pair
from radiounet.measuring.cutout_files import StoredCutout, read_cutout
from radiounet.measuring.labels import read_labels
from radiounet.publishing import label_pairs, labelling
from radiounet.publishing.catalogue_objects import CatalogueObject, read_catalogues
from radiounet.publishing.known_labels import Known
from radiounet.publishing.label_pairs import write_label_pairs
from radiounet.publishing.labelling import LabelTable, candidates
from radiounet.publishing.published_tables import _links
from radiounet.running.arguments import add_training_arguments
from radiounet.running.cli import main
from radiounet.settings.train import pair_files
from stages import DEC, HALO, RA, as_segmented, run_to_catalogue, write_image

N_PX = 300
R500_ARCMIN = 4.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Products of a mosaic with one halo, in a cluster."""
    folder = tmp_path_factory.mktemp("labelled")
    image = write_image(folder / "a.fits", n_px=N_PX)
    ra, dec = grid_wcs(RA, DEC, N_PX, 4.5).all_pix2world([[HALO[1], HALO[0]]], 0)[0]
    table = Table({"name": ["A 1"], "ra": [ra], "dec": [dec], "z": [0.2], "R500": [R500_ARCMIN]})
    return run_to_catalogue(folder, image, table)


def labelled(run, folder, kind, label):
    table = LabelTable(folder / "labels.ecsv", "me")
    table.add(candidates(run.root, kind, "catalogue")[0], label)
    return str(table.path)


def test_a_cluster_that_its_own_mosaic_does_not_show_is_no_candidate(run, monkeypatch):
    """It may have a probability, from other mosaics, but no cut-out."""
    tables = read_catalogues(run.root)
    beside = Table(tables["cluster"], copy=True)
    beside["name"], beside["class"] = ["B"], ["N/A"]
    both = vstack([beside, tables["cluster"]])
    monkeypatch.setattr(labelling, "read_catalogues", lambda results: tables | {"cluster": both})
    assert [one.row["name"] for one in candidates(run.root, "cluster", "catalogue")] == ["A 1"]
    links = _links({"clusters": both, "islands": tables["island"]}, {"a"}, None)
    assert links["clusters"][0] == ""
    assert links["clusters"][1].endswith("A_1.fits")


@pytest.mark.parametrize(("kind", "label"), [("cluster", "halo"), ("island", "relic")])
def test_diffuse_emission_is_its_island_and_nothing_is_known_around_it(run, tmp_path, kind, label):
    (pair,) = write_label_pairs(run.root, labelled(run, tmp_path, kind, label), str(tmp_path / "out"))
    assert (tmp_path / "out" / "pairs.txt").read_text().split() == [pair]
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    assert plane.dtype == np.uint8
    island = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    halo = island == island[HALO]
    np.testing.assert_array_equal(plane == 1, halo)
    near = ndimage.binary_dilation(halo, iterations=5) & ~halo
    assert (plane[near] == 255).all()
    assert (plane == 0).any() == (kind == "cluster")
    assert plane[0, 0] == 255
    y, x = np.indices(plane.shape)
    assert (np.hypot(y - HALO[0], x - HALO[1])[plane == 0] * 4.5 / 60 < R500_ARCMIN + 0.1).all()


def test_of_two_images_the_one_that_was_seen_is_labelled(run, tmp_path, monkeypatch):
    tables = read_catalogues(run.root)
    tables["cluster"] = vstack([tables["cluster"]] * 2)
    tables["cluster"]["mosaic"] = ["a", "b"]
    tables["cluster"]["p_diffuse"] = [0.95, 0.5]
    monkeypatch.setattr(labelling, "read_catalogues", lambda _: tables)
    seen = candidates(run.root, "cluster", "uncertain")
    assert [one.row["mosaic"] for one in seen] == ["b"]
    table = LabelTable(tmp_path / "labels.ecsv", "me")
    table.add(seen[0], "no emission")
    ((source, label),) = label_pairs._labelled(run.root, str(table.path), table.rows)
    assert (source.row["mosaic"], label) == ("b", "no emission")
    # an empty cell costs no label; an image that is gone is named
    (row,) = table.rows
    ((source, _),) = label_pairs._labelled(run.root, "t", [row | {"mosaic": ""}])
    assert source.row["mosaic"] == "a"
    with pytest.raises(ConfigError, match=r"labels A 1 on image gone \(1 such\), which .* does not have"):
        label_pairs._labelled(run.root, "t", [row | {"mosaic": "gone"}])


def test_a_table_whose_labels_were_all_taken_back_holds_none(run, tmp_path):
    table = LabelTable(labelled(run, tmp_path, "island", "unsure"), "me")
    with pytest.raises(ConfigError, match="only labels that are unsure"):
        write_label_pairs(run.root, str(table.path), str(tmp_path / "out"))
    table.undo("island", table.names("island"))
    with pytest.raises(ConfigError, match="labels.ecsv holds no label: "):
        write_label_pairs(run.root, str(table.path), str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="labels.ecsv has no rows: "):
        read_labels(table.path)


def test_pairs_with_spaces_in_their_names_reach_the_training(run, tmp_path):
    folder = tmp_path / "by eye"
    pairs = write_label_pairs(run.root, labelled(run, tmp_path, "island", "relic"), str(folder))
    parser = argparse.ArgumentParser()
    add_training_arguments(parser)
    words = ["--pairs", f"@{folder}/pairs.txt", "--weights", "w.h5", "--curve", "c.csv"]
    assert parser.parse_args(words).pairs == pairs
    assert all(Path(file).is_file() for file in pair_files(pairs[0]))


def test_an_island_that_is_no_diffuse_emission_is_0_and_nothing_else(run, tmp_path):
    (pair,) = write_label_pairs(
        run.root, labelled(run, tmp_path, "island", "artefact"), str(tmp_path / "out")
    )
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    island = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    np.testing.assert_array_equal(plane == 0, island == island[HALO])


@pytest.mark.parametrize("first", ["cluster", "island"])
@pytest.mark.parametrize("of_cluster", ["no emission", "radio galaxy", "artefact"])
def test_an_island_is_what_its_own_label_says_in_any_order(run, tmp_path, first, of_cluster, caplog):
    """A relic in a cluster that has another label: its wings stay unknown, the rest of R500 is empty."""
    said = {"cluster": of_cluster, "island": "relic"}
    for kind in sorted(said, key=lambda kind: kind != first):
        path = labelled(run, tmp_path, kind, said[kind])
    (pair,) = write_label_pairs(run.root, path, str(tmp_path / "out"))
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    island = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    relic = island == island[HALO]
    np.testing.assert_array_equal(plane == 1, relic)
    assert (plane[ndimage.binary_dilation(relic, iterations=5) & ~relic] == 255).all()
    assert (plane == 0).any()
    assert "contradict" not in caplog.text


def test_a_halo_whose_only_island_is_something_else_is_nowhere_known(run, tmp_path, caplog):
    labelled(run, tmp_path, "cluster", "halo")
    path = labelled(run, tmp_path, "island", "radio galaxy")
    (pair,) = write_label_pairs(run.root, path, str(tmp_path / "out"))
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    island = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    np.testing.assert_array_equal(plane == 0, island == island[HALO])
    assert not (plane == 1).any()
    assert "A 1 is labelled as diffuse, but its islands have other labels: what" in caplog.text


@pytest.mark.parametrize("kind", ["cluster", "island"])
@pytest.mark.parametrize("first", [True, False])
def test_labels_of_one_kind_that_contradict_each_other_say_nothing_in_any_order(kind, first):
    cutout, rows = two_discs()
    known = Known.of(cutout.residual, cutout.residual)
    for diffuse in (first, not first):
        known.add(cutout, CatalogueObject(kind, rows[0], {}), diffuse)
    labels = known.labels()
    near = ndimage.binary_dilation(cutout.islands > 0, iterations=5)
    assert (labels[near] == 255).all()
    assert known.contradicted == np.count_nonzero(cutout.islands)


def test_a_label_says_nothing_of_islands_that_are_another_clusters(tmp_path):
    image = write_image(tmp_path / "a.fits", n_px=N_PX)
    places = np.array([[HALO[1], HALO[0]], [HALO[1], HALO[0] + 60]])
    ra, dec = grid_wcs(RA, DEC, N_PX, 4.5).all_pix2world(places, 0).T
    run = run_to_catalogue(
        tmp_path,
        image,
        Table({"name": ["A 1", "B"], "ra": ra, "dec": dec, "z": [0.2] * 2, "R500": [4.2] * 2}),
    )
    other = next(one for one in candidates(run.root, "cluster", "catalogue") if one.row["name"] == "B")
    assert other.row["islands"] == ""
    table = LabelTable(tmp_path / "labels.ecsv", "me")
    table.add(other, "no emission")
    (pair,) = write_label_pairs(run.root, str(table.path), str(tmp_path / "out"))
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    y, x = np.indices(plane.shape)
    inside = np.hypot(y - HALO[0] - 60, x - HALO[1]) * 4.5 / 60 < 4.1
    assert (inside & (mask == 1)).any()
    assert (plane[ndimage.binary_dilation(mask == 1, iterations=5)] == 255).all()
    assert (plane[inside & ~ndimage.binary_dilation(mask == 1, iterations=12)] == 0).all()


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory):
    """Two clusters: A with the one island, and B, whose R500 holds that island, too, with none of its own."""
    folder = tmp_path_factory.mktemp("neighbours")
    places = np.array([[HALO[1], HALO[0]], [HALO[1], HALO[0] + 60]])
    ra, dec = grid_wcs(RA, DEC, N_PX, 4.5).all_pix2world(places, 0).T
    table = Table({"name": ["A", "B"], "ra": ra, "dec": dec, "z": [0.2] * 2, "R500": [5.4] * 2})
    return run_to_catalogue(folder, write_image(folder / "a.fits", n_px=N_PX), table)


@pytest.mark.parametrize("label", ["halo", "relic", "halo and relic"])
@pytest.mark.parametrize(("other", "island"), [("relic", 1), ("radio galaxy", 0), ("no emission", 0)])
def test_diffuse_emission_that_no_island_shows_is_not_known(
    neighbours, tmp_path, caplog, label, other, island
):
    first, second = sorted(
        candidates(neighbours.root, "cluster", "catalogue"), key=lambda one: one.row["name"]
    )
    assert (first.row["islands"] != "", second.row["islands"]) == (True, "")
    table = LabelTable(tmp_path / "labels.ecsv", "me")
    table.add(second, label)
    with pytest.raises(ConfigError, match="no label applies to a pixel"):
        write_label_pairs(neighbours.root, str(table.path), str(tmp_path / "out"))
    assert "B is labelled as diffuse, but has no island of its own: what no other label" in caplog.text
    table.add(first, other)
    (pair,) = write_label_pairs(neighbours.root, str(table.path), str(tmp_path / "out"))
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(neighbours.mask("a"))
    y, x = np.indices(plane.shape)
    of_a, of_b = (np.hypot(y - y0, x - HALO[1]) * 4.5 / 60 for y0 in (HALO[0], HALO[0] + 60))
    shown = mask == 1
    assert (shown & (of_b < 5.3)).any()
    assert (plane[shown] == island).all()
    assert (plane[(of_b < 5.3) & ~shown] == 255).all()
    far = ~ndimage.binary_dilation(shown, iterations=12)
    assert (plane[(of_a < 5.3) & (of_b > 5.5) & far] == 0).all()


def test_of_a_shared_island_a_label_says_nothing_of_the_others_part(tmp_path):
    """Two clusters on either side of one halo, each with the half that is nearer."""
    image = write_image(tmp_path / "a.fits", n_px=N_PX)
    places = np.array([[HALO[1] - 8, HALO[0]], [HALO[1] + 8, HALO[0]]])
    ra, dec = grid_wcs(RA, DEC, N_PX, 4.5).all_pix2world(places, 0).T
    table = Table({"name": ["A", "B"], "ra": ra, "dec": dec, "z": [0.2] * 2, "R500": [4.0] * 2})
    run = run_to_catalogue(tmp_path, image, table)
    mask = fits.getdata(run.mask("a"))
    regions = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    island = regions == regions[HALO]
    own = np.zeros((2, *mask.shape), bool)
    for plane, name, place in zip(own, "AB", zip(ra, dec, strict=True), strict=True):
        cutout = read_cutout(run.cutouts("a"), name, *place)
        plane[cutout.part] = cutout.own
    assert own.any(axis=(1, 2)).all()
    assert not (own[0] & own[1]).any()
    np.testing.assert_array_equal((own[0] | own[1])[island], True)
    first = next(one for one in candidates(run.root, "cluster", "catalogue") if one.row["name"] == "A")
    labels = LabelTable(tmp_path / "labels.ecsv", "me")
    labels.add(first, "halo")
    (pair,) = write_label_pairs(run.root, str(labels.path), str(tmp_path / "out"))
    plane = fits.getdata(pair.rpartition(":")[2])
    np.testing.assert_array_equal(plane == 1, own[0])
    assert (plane[own[1]] == 255).all()


def disc(y0, x0, radius):
    y, x = np.indices((240, 240))
    return np.hypot(y - y0, x - x0) < radius


def two_discs():
    """Cut-out of a cluster with two islands of its own, and the rows of its catalogue."""
    plane = Plane(np.zeros((240, 240), np.float32), grid_wcs(RA, DEC, 240, 4.5), Beam(20, 20))
    islands = (1 * disc(120, 90, 12) + 2 * disc(120, 150, 12)).astype(np.int32)
    part = slice(0, 240), slice(0, 240)
    cutout = StoredCutout(plane, plane.data, islands, islands > 0, Table(), 1e-4, part)
    ra, dec = plane.wcs.all_pix2world([[120, 120]], 0)[0]
    return cutout, Table({"name": ["A"], "ra_deg": [ra], "dec_deg": [dec], "r500_arcmin": [8.0]})


def test_around_islands_that_are_not_diffuse_it_is_known():
    cutout, table = two_discs()
    known = Known.of(cutout.residual, cutout.residual)
    known.add(cutout, CatalogueObject("cluster", table[0], {}), diffuse=False)
    labels = known.labels()
    assert (labels[disc(120, 120, 100)] == 0).all()
    assert (labels[~disc(120, 120, 108)] == 255).all()


def test_the_label_of_a_cluster_reaches_its_islands_outside_r500(tmp_path):
    """Half an R500 outside, as relics are; and cut-outs of an older version do not tell whose they are."""
    image = write_image(tmp_path / "a.fits", n_px=N_PX)
    ra, dec = grid_wcs(RA, DEC, N_PX, 4.5).all_pix2world([[HALO[1] + 90, HALO[0]]], 0)[0]
    table = Table({"name": ["A 1"], "ra": [ra], "dec": [dec], "z": [0.2], "R500": [4.6]})
    run = run_to_catalogue(tmp_path, image, table)
    path = labelled(run, tmp_path, "cluster", "relic")
    (pair,) = write_label_pairs(run.root, path, str(tmp_path / "out"))
    plane, mask = fits.getdata(pair.rpartition(":")[2]), fits.getdata(run.mask("a"))
    y, x = np.indices(plane.shape)
    island = ndimage.label(mask == 1, np.ones((3, 3)))[0]
    assert (np.hypot(y - HALO[0], x - HALO[1] - 90)[island == island[HALO]] * 4.5 / 60 > 4.6).all()
    np.testing.assert_array_equal(plane == 1, island == island[HALO])
    with fits.open(run.cutouts("a"), mode="update") as hdus:
        del hdus["OWN", 1], hdus[0].header["NEXTEND"]
    with pytest.raises(ConfigError, match="does not say which islands belong to which cluster"):
        write_label_pairs(run.root, path, str(tmp_path / "other"))


def test_labels_that_leave_nothing_known_are_refused(neighbours, tmp_path, caplog):
    """A halo in a cluster that has no island of its own."""
    (second,) = (one for one in candidates(neighbours.root, "cluster", "catalogue") if one.row["name"] == "B")
    labels = LabelTable(tmp_path / "labels.ecsv", "me")
    labels.add(second, "halo")
    with pytest.raises(ConfigError, match="no label applies to a pixel"):
        write_label_pairs(neighbours.root, str(labels.path), str(tmp_path / "out"))
    assert "is left out: its labels apply to none of its pixels" in caplog.text
    assert not (tmp_path / "out").exists()


def test_labels_of_an_image_that_is_left_out_are_removed_and_nothing_else(run, tmp_path, caplog):
    path, out = labelled(run, tmp_path, "cluster", "halo"), tmp_path / "out"
    (pair,) = write_label_pairs(run.root, path, str(out))
    Path(out, "b.labels.fits").touch()
    mine = tmp_path / "mine.labels.fits"
    mine.touch()
    others = [f"{run.root}/b.fits:{out}/b.labels.fits", f"{run.root}/a.fits:{mine}"]
    (out / "pairs.txt").write_text("\n".join([pair, *others, ""]))
    assert write_label_pairs(run.root, path, str(out)) == [pair]
    assert sorted(one.name for one in out.iterdir()) == ["a.labels.fits", "pairs.txt"]
    assert mine.is_file()
    assert caplog.text.count("is removed: its image has no labels any more") == 1


def test_no_product_is_overwritten(run, tmp_path):
    before = {path: path.read_bytes() for path in Path(run.root, "masks").iterdir()}
    path = labelled(run, tmp_path, "cluster", "halo")
    (pair,) = write_label_pairs(run.root, path, f"{run.root}/masks")
    made = {Path(pair.rpartition(":")[2]), Path(run.root, "masks/pairs.txt")}
    for one in made:
        one.unlink()
    assert {path: path.read_bytes() for path in Path(run.root, "masks").iterdir()} == before


@pytest.mark.parametrize("label", ["radio galaxy", "artefact", "Galactic", "no emission"])
def test_what_is_no_diffuse_emission_is_0(run, tmp_path, label):
    (pair,) = write_label_pairs(run.root, labelled(run, tmp_path, "cluster", label), str(tmp_path / "out"))
    plane = fits.getdata(pair.rpartition(":")[2])
    assert plane[HALO] == 0
    assert not (plane == 1).any()
    y, x = np.indices(plane.shape)
    inside = np.hypot(y - HALO[0], x - HALO[1]) * 4.5 / 60 < R500_ARCMIN - 0.1
    assert (plane[inside] == 0).all()


def test_a_training_reads_them(run, tmp_path):
    (text,) = write_label_pairs(run.root, labelled(run, tmp_path, "cluster", "halo"), str(tmp_path / "out"))
    pair, plane = read_pair(text, 0.25), fits.getdata(text.rpartition(":")[2])
    np.testing.assert_array_equal(np.isnan(pair.truth), plane == 255)
    assert (pair.truth[plane == 1] == 1).all()
    assert (pair.truth[plane == 0] == 0).all()
    assert (plane[pair.targets[:, 0], pair.targets[:, 1]] == 1).all()


def test_labels_that_say_nothing_and_those_of_other_results_are_refused(run, tmp_path):
    path = labelled(run, tmp_path, "cluster", "unsure")
    with pytest.raises(ConfigError, match="only labels that are unsure"):
        write_label_pairs(run.root, path, str(tmp_path / "out"))
    table = Table.read(path)
    table["label"], table["name"] = ["halo"], ["another"]
    table.write(path, overwrite=True)
    with pytest.raises(ConfigError, match="labels another"):
        write_label_pairs(run.root, path, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_verb(run, tmp_path):
    path = labelled(run, tmp_path, "cluster", "halo")
    command = ["label-pairs", run.root, path, "--out", str(tmp_path / "out")]
    main(command)
    made = {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()}
    assert set(made) == {"a.labels.fits", "pairs.txt"}
    main(command)  # over its own
    assert {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()} == made
    (tmp_path / "out" / "pairs.txt").write_text("my own notes\n")
    with pytest.raises(SystemExit, match="78"):
        main(command)
    assert (tmp_path / "out" / "pairs.txt").read_text() == "my own notes\n"


def test_a_run_killed_among_its_labels_can_be_repeated(run, tmp_path, monkeypatch):
    path, out = labelled(run, tmp_path, "cluster", "halo"), tmp_path / "out"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(label_pairs, "provenance", killed)
        with pytest.raises(KeyboardInterrupt):
            write_label_pairs(run.root, path, str(out))
    (out / "a.labels.fits").write_bytes(b"written last")
    (pair,) = write_label_pairs(run.root, path, str(out))
    assert fits.getdata(pair.rpartition(":")[2]).any()


@pytest.mark.parametrize("results", ["../results/dr2", "../link/results/dr2", "../elsewhere/../results/dr2"])
def test_a_second_run_may_spell_its_folders_otherwise_and_begin_elsewhere(
    run, tmp_path, monkeypatch, results
):
    labels = labelled(run, tmp_path, "cluster", "halo")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(run.root, tmp_path / "results/dr2")
    monkeypatch.chdir(tmp_path)
    (made,) = write_label_pairs("results/dr2", labels, "out")
    monkeypatch.chdir("elsewhere")
    (again,) = write_label_pairs(results, labels, "../out")
    assert [os.path.realpath(one) for one in again.split(":")] == made.split(":")
    read_pair(made, 0.25)  # from any folder


def test_labels_that_the_list_does_not_name_are_not_overwritten(run, tmp_path):
    path, out = labelled(run, tmp_path, "cluster", "halo"), tmp_path / "out"
    out.mkdir()
    (out / "pairs.txt").write_text(f"{run.root}/b.fits:{out}/b.labels.fits\n")
    (out / "a.labels.fits").write_bytes(b"my own")
    with pytest.raises(ConfigError, match=r"a.labels.fits is there, and no pairs.txt that lists it"):
        write_label_pairs(run.root, path, str(out))
    assert (out / "a.labels.fits").read_bytes() == b"my own"


def test_labels_of_a_second_image_leave_those_of_the_first_alone(run, tmp_path):
    labels = labelled(run, tmp_path, "cluster", "halo")
    first, second = (as_segmented(run, tmp_path / name) for name in ("one", "two"))
    write_label_pairs(first, labels, str(tmp_path / "out"))
    before = {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()}
    for gone in ([], ["pairs.txt"]):
        for name in gone:
            (tmp_path / "out" / name).unlink()
            del before[name]
        with pytest.raises(ConfigError, match="give --out another folder"):
            write_label_pairs(second, labels, str(tmp_path / "out"))
        assert {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()} == before
    assert len(write_label_pairs(second, labels, str(tmp_path / "another"))) == 1


def test_a_table_that_is_not_there_is_called_missing(run, tmp_path):
    with pytest.raises(ConfigError, match="there is no file .*none.ecsv"):
        write_label_pairs(run.root, str(tmp_path / "none.ecsv"), str(tmp_path / "out"))


def test_a_row_without_its_kind_is_named(run, tmp_path):
    path = labelled(run, tmp_path, "cluster", "halo")
    table = Table.read(path)
    table["kind"] = [""]
    write_ecsv(path, table)
    with pytest.raises(ConfigError, match="labels.ecsv has a row of the kind ''"):
        write_label_pairs(run.root, path, str(tmp_path / "out"))
