"""Labels and clusters that do not count, or not as somebody meant: nothing of them is left out silently."""

import gzip

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from labelled_images import HEAD, N_PX, circle, write_image
from radiounet.errors import BadDataError, ConfigError
from radiounet.images.image import read_plane
from radiounet.learning.evaluation import evaluate
from radiounet.learning.evaluation_report import write_evaluation
from radiounet.learning.label_planes import read_labels
from radiounet.learning.methods import Calibration, Method
from radiounet.learning.scenes import LabelCounts, read_scene
from radiounet.learning.score_sets import labelled_set, warn_of_unused
from radiounet.running.cli import main
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.simulate import write_pair

ELSEWHERE = 'circle(330.0,-40.0,60")\n'
EVERYWHERE = Method("all", lambda image, *_: np.ones_like(image))


def drawn(folder, text):
    """Labels of regions on an image; the file of regions is read as it is on the disk."""
    if not (folder / "a.fits").exists():
        write_image(folder / "a.fits")
    (folder / "a.reg").write_bytes(text.encode())
    return read_labels(folder / "a.reg", read_plane(folder / "a.fits"))


def test_regions_that_hold_no_pixel_with_data_are_named_and_counted(tmp_path, caplog):
    wcs = write_image(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", mode="update") as hdus:
        hdus[0].data[:20] = np.nan
    ra, dec = wcs.wcs_pix2world(60.5, 60.5, 0)
    shapes = [circle(wcs, 80, 80, 45), ELSEWHERE, circle(wcs, 40, 8, 30), f'circle({ra},{dec},0.1")\n']
    shapes += [circle(wcs, 40, 90, 30), circle(wcs, 40, 90, 60), 'circle(nan,40.0,60")\n']
    (tmp_path / "a.reg").write_text(HEAD + "".join(shapes) + "-" + ELSEWHERE)
    path = f"{tmp_path}/a.fits:{tmp_path}/a.reg"
    scene = read_scene(path, 0.25)
    assert scene.table["object"].tolist() == [1, 6]
    assert scene.labels == LabelCounts(7, 5, 0)
    read_scene(path, 0.25)
    lost = ", ".join(f"region {number} (circle)" for number in (2, 3, 4, 5, 7))
    assert caplog.messages == [
        f"{tmp_path}/a.reg: 5 of 7 regions hold no pixel with data and do not count: {lost}"
    ]
    write_evaluation([evaluate(EVERYWHERE, [path], 0.25, Calibration(0.5))], tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    assert "no clusters. 5 of 7 regions hold no pixel with data and do not count.\n" in page


@pytest.mark.parametrize("ones", [False, True])
def test_numbers_that_hold_no_pixel_with_data_are_named_and_counted(tmp_path, caplog, ones):
    write_image(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", mode="update") as hdus:
        hdus[0].data[:, :20] = np.nan
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[40:50, 5:9], labels[60:70, 60:70], labels[80:90, 60:70] = (1, 1, 1) if ones else (7, 1, 1)
    fits.writeto(tmp_path / "a.labels.fits", labels)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.labels.fits", 0.25)
    # one object of two parts has a number of its own as long as another number is in the file
    assert len(scene.table) == (2 if ones else 1)
    assert scene.labels == (LabelCounts(3, 1, 0) if ones else LabelCounts(2, 1, 0))
    assert ("pixels from x = 5, y = 40" if ones else "label 7") in caplog.text


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "shape",
    [
        ELSEWHERE,
        "polygon(330,-40,331,-40,331,-41)\n",
        'ellipse(330.0,-40.0,60",30",0)\n',
        'box(330.0,-40.0,60",30",0)\n',
        'ellipse(150.0,60.0,60",30",0)\n',
        'circle(nan,40.0,60")\n',
    ],
)
def test_regions_of_another_part_of_the_sky_are_refused(tmp_path, shape):
    with pytest.raises(BadDataError, match=r"a\.reg: no region of 2 .* another part of the sky"):
        drawn(tmp_path, HEAD + 2 * shape)


@pytest.mark.parametrize(
    "text", ["# text(150.0,40.0) text={a; circle(1,1,1) || box}", "text(150.0,40.0) # text={here}"]
)
def test_a_text_of_ds9_is_left_out_with_a_warning(tmp_path, caplog, text):
    wcs = write_image(tmp_path / "a.fits")
    labels = drawn(tmp_path, f"{HEAD}{text}\n{circle(wcs, 60, 60, 45)}")
    assert labels.names == {2: "region 2 (circle)"}
    assert np.unique(labels.numbers).tolist() == [0, 2]
    assert caplog.messages == [f"{tmp_path}/a.reg: 1 text annotation left out: a text has no area"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_is_skipped(tmp_path, mark):
    wcs = write_image(tmp_path / "a.fits")
    assert list(drawn(tmp_path, mark + "fk5\n" + circle(wcs, 60, 60, 45)).names) == [1]


@pytest.mark.parametrize("joint", [" || ", "||", " ||\n", "\n", "; "])
def test_shapes_that_are_joined_on_a_line_are_all_read(tmp_path, joint):
    wcs = write_image(tmp_path / "a.fits")
    shapes = [circle(wcs, x, 60, 45).strip() for x in (30, 60, 90)]
    shapes.append("-" + circle(wcs, 90, 60, 20).strip())
    labels = drawn(tmp_path, HEAD + joint.join(shapes) + " # color=red text={a || b}\n").numbers
    for text in ('text="a || circle(9,9,9)"', "text='a || circle(9,9,9)'"):
        again = drawn(tmp_path, HEAD + joint.join(shapes) + f" # {text}\n").numbers
        np.testing.assert_array_equal(again, labels)
    assert [labels[60, x] for x in (30, 60, 82, 90)] == [1, 2, 3, 0]


def test_what_has_no_area_is_refused_after_another_shape_too(tmp_path):
    wcs = write_image(tmp_path / "a.fits")
    with pytest.raises(BadDataError, match="no area|DS9"):
        drawn(tmp_path, HEAD + circle(wcs, 60, 60, 45).strip() + " || line(150,40,150.1,40)\n")


def test_nan_in_a_mask_is_unknown_and_a_mask_without_zeros_is_named(tmp_path, caplog):
    write_image(tmp_path / "a.fits")
    labels = np.full((N_PX, N_PX), np.nan, np.float32)
    labels[40:60, 40:60] = 1
    fits.writeto(tmp_path / "a.mask.fits", labels)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.mask.fits", 0.25)
    assert scene.known.sum() == scene.mask.sum() == 400
    assert f"{tmp_path}/a.mask.fits has no pixel of 0" in caplog.text
    labels[0, 0] = 0
    fits.writeto(tmp_path / "b.mask.fits", labels)
    caplog.clear()
    read_scene(f"{tmp_path}/a.fits:{tmp_path}/b.mask.fits", 0.25)
    assert not caplog.messages


def write_clusters(path, wcs, places):
    ra, dec = wcs.wcs_pix2world(*zip(*places, strict=True), 0)
    names = [f"C{number}" for number in range(len(places))]
    table = QTable({"name": names, "ra": ra * u.deg, "dec": dec * u.deg, "z": [0.2] * len(places)})
    table["R500"] = [1.5] * len(places) * u.arcmin
    table.write(path, format="ascii.ecsv")


def test_clusters_outside_their_image_are_named_and_counted(tmp_path, caplog):
    wcs = write_image(tmp_path / "a.fits")
    (tmp_path / "a.reg").write_text(HEAD + circle(wcs, 60, 60, 45))
    write_clusters(tmp_path / "a.CLUSTERS.ECSV", wcs, [(60, 60), (300, 60), (60, -90)])
    (path,) = labelled_set(tmp_path)
    scores = evaluate(EVERYWHERE, [path], 0.25, Calibration(0.5))
    assert scores["clusters"]["host"] == 1
    assert scores["labelled"]["clusters_outside"] == 2
    assert f"2 clusters lie outside {tmp_path}/a.fits: C1, C2" in caplog.text
    write_evaluation([scores], tmp_path)
    page = (tmp_path / "evaluation.md").read_text()
    assert "Not counted either: 2 clusters outside their image." in page


def test_a_table_of_clusters_without_a_unit_is_to_be_mended_where_it_is(tmp_path):
    """Neither `score` nor `evaluate` has an option for units."""
    write_image(tmp_path / "a.fits")
    (tmp_path / "a.reg").write_text(HEAD)
    (tmp_path / "a.csv").write_text("name,ra,dec,z,R500\nA,150,40,0.2,1\n")
    with pytest.raises(ConfigError, match="R500 has no unit .*: write a unit for R500 into the table$"):
        read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.reg:{tmp_path}/a.csv", 0.25)


def test_files_that_nobody_reads_are_named(tmp_path, caplog):
    (tmp_path / "labels").mkdir()
    write_image(tmp_path / "a.fits")
    write_pair(tmp_path / "s.fits", SimulateOptions(n_px=128), 5)
    (tmp_path / "a.reg").write_text(HEAD)
    for name in ("a.clusters.csv", "b.reg", "x.clusters.ecsv", "s.clusters.ecsv", "c.LABELS.FIT.gz"):
        (tmp_path / name).write_text("")
    for name in ("a.mask.fits", "b.mask.fits"):
        (tmp_path / "labels" / name).write_text("")
    paths = labelled_set(tmp_path, tmp_path / "labels")
    warn_of_unused(tmp_path, paths)
    warn_of_unused(tmp_path / "labels", paths)
    said = [message.rsplit(": ", 1) for message in caplog.messages]
    unused = "a.clusters.csv, b.reg, c.LABELS.FIT.gz, s.clusters.ecsv, x.clusters.ecsv"
    assert [names for _, names in said] == [unused, "b.mask.fits"]
    assert said[0][0].startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("kind", ["labels", "regions", "mask"])
@pytest.mark.parametrize(
    "ending", ["fits", "fit", "fits.gz", "fit.gz", "fits.fz", "fit.fz", "FITS", "FIT.GZ"]
)
def test_labels_have_the_endings_of_images(tmp_path, capsys, kind, ending):
    write_image(tmp_path / "a.fits")
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[40:60, 40:60] = 1
    if ending.lower().endswith("fz"):
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(labels)])
    else:
        hdus = fits.HDUList([fits.PrimaryHDU(labels)])
    path = tmp_path / f"a.{kind}.{ending}"
    hdus.writeto(tmp_path / "plain")
    content = (tmp_path / "plain").read_bytes()
    path.write_bytes(gzip.compress(content) if ending.lower().endswith("gz") else content)
    assert labelled_set(tmp_path) == [f"{tmp_path}/a.fits:{path}"]
    assert read_scene(f"{tmp_path}/a.fits:{path}", 0.25).mask.sum() == 400


def test_regions_may_have_an_ending_in_upper_case(tmp_path):
    wcs = write_image(tmp_path / "a.fits")
    (tmp_path / "a.REG").write_text(HEAD + circle(wcs, 60, 60, 46.125))
    (path,) = labelled_set(tmp_path)
    assert path.endswith(":" + str(tmp_path / "a.REG"))
    assert read_scene(path, 0.25).labels == LabelCounts(1, 0, 0)


def test_the_help_lists_all_endings(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for one in ("NAME.reg", "NAME.labels.fits", "NAME.regions.fits", "NAME.mask.fits", ".fit", ".gz", ".fz"):
        assert one in said
    assert "32 images in all, which takes minutes" in said
