"""Models scored on images with labels: what files are taken, and what numbers come out."""

import re

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from scipy import ndimage

from labelled_images import HEAD, N_PX, circle, write_image
from models import write_tiny_model
from radiounet.errors import BadDataError, ConfigError, ModelError, ShapeMismatchError
from radiounet.images.image import grid_wcs, read_plane
from radiounet.learning import score_sets
from radiounet.learning.evaluation import calibrate, evaluate
from radiounet.learning.label_planes import read_labels
from radiounet.learning.learning_curve import BASE_SEED, require_unseen
from radiounet.learning.methods import Calibration, Method
from radiounet.learning.open_scores import run_scores
from radiounet.learning.scenes import read_scene
from radiounet.learning.score_sets import SIMULATED, labelled_set, simulated_set, warn_of_unused
from radiounet.network.model_cards import model_folder, read_card
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import ImageGrid
from radiounet.simulation.simulate import write_pair


def test_a_region_of_ds9_holds_the_pixels_inside_it(tmp_path):
    wcs = write_image(tmp_path / "a.fits")
    text = HEAD + circle(wcs, 30, 40, 46.125) + circle(wcs, 80, 90, 91.35) + "-" + circle(wcs, 80, 90, 46.125)
    (tmp_path / "a.reg").write_text(text)
    labels = read_labels(tmp_path / "a.reg", read_plane(tmp_path / "a.fits")).numbers
    y, x = np.indices(labels.shape)
    expected = np.where(np.hypot(y - 40, x - 30) < 10.25, 1, 0)
    distance = np.hypot(y - 90, x - 80)
    expected[(distance < 20.3) & (distance > 10.25)] = 2
    np.testing.assert_array_equal(labels, expected)


def test_labels_of_another_part_of_the_sky_are_refused(tmp_path):
    write_image(tmp_path / "a.fits")
    header = grid_wcs(200.0, 40.0, N_PX, 9.0).to_header()
    fits.writeto(tmp_path / "l.fits", np.zeros((N_PX, N_PX), np.uint8), header)
    with pytest.raises(ShapeMismatchError, match="differ in their coordinates"):
        read_labels(tmp_path / "l.fits", read_plane(tmp_path / "a.fits"))


def test_a_region_that_is_cut_in_two_is_one_object(tmp_path):
    wcs = write_image(tmp_path / "a.fits")
    ra, dec = wcs.wcs_pix2world(60, 60, 0)
    box = f'box({ra},{dec},300",90",0)\n-box({ra},{dec},30",120",0)\n'
    (tmp_path / "a.reg").write_text(HEAD + box)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.reg", 0.25)
    assert scene.table["object"].tolist() == [1]
    assert ndimage.label(scene.mask)[1] == 2


def test_a_file_without_regions_says_that_nothing_is_diffuse(tmp_path):
    write_image(tmp_path / "a.fits")
    (tmp_path / "a.reg").write_text(HEAD)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.reg", 0.25)
    assert scene.known.all()
    assert not scene.mask.any()
    assert len(scene.table) == 0
    everywhere = Method("all", lambda image, *_: np.ones_like(image))
    scores = evaluate(everywhere, [f"{tmp_path}/a.fits:{tmp_path}/a.reg"], 0.25, Calibration(0.5))
    assert scores["false_islands"]["per_deg2"] == pytest.approx(1 / (N_PX * 4.5 / 3600) ** 2, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "point(150.0,40.0)\n", "a point has no area.*closed shape"),
        (HEAD + '# vector(150.0,40.0,60",30)\n', "a vector has no area.*closed shape"),
        (HEAD + "circle(150.0)\n", "DS9"),
        ("# Region file format: DS9\nphysical\ncircle(50,50,9)\n", "DS9"),
        (HEAD + "polygon(150,40,150.01,40)\n", "a polygon cannot be drawn|DS9"),
        ('# Region file format: DS9\nfk5;circle(150,40,60");# vector(150,40,60",30)\n', "a vector|DS9"),
        ("this is a letter\n", "DS9"),
        (HEAD + 'panda(150.0,40.0,0,360,4,5",9",1)\n', "DS9"),
    ],
)
@pytest.mark.filterwarnings("default")
def test_what_is_no_area_is_refused(tmp_path, text, said):
    write_image(tmp_path / "a.fits")
    (tmp_path / "a.reg").write_text(text)
    with pytest.raises(BadDataError, match=said):
        read_labels(tmp_path / "a.reg", read_plane(tmp_path / "a.fits"))


@pytest.mark.parametrize(
    ("labels", "error", "said"),
    [
        (np.zeros((9, N_PX)), ShapeMismatchError, "the same"),
        (np.zeros((2, N_PX, N_PX)), ShapeMismatchError, "one plane"),
        (np.full((N_PX, N_PX), 0.5), BadDataError, "holds 0.5"),
        (np.full((N_PX, N_PX), -1.0), BadDataError, "holds -1"),
        (np.pad([[np.inf]], (0, N_PX - 1)), BadDataError, "holds inf; a label is 0, 1, 2"),
        (np.pad([[-np.inf]], (0, N_PX - 1)), BadDataError, "holds -inf"),
        (np.pad([[1e300]], (0, N_PX - 1)), BadDataError, "holds inf"),
        (np.full((N_PX, N_PX), 2**24 + 1), BadDataError, "holds 16777216; a label is .* 16777215"),
        (np.full((N_PX, N_PX), 2**40), BadDataError, r"holds 1\.09951163e\+12"),
        (np.full((N_PX, N_PX), 1.0000001), BadDataError, r"holds 1\.0000001"),
    ],
)
def test_labels_that_are_no_numbers_of_regions_are_refused(tmp_path, labels, error, said):
    write_image(tmp_path / "a.fits")
    fits.writeto(tmp_path / "l.fits", labels)
    with pytest.raises(error, match=said):
        read_labels(tmp_path / "l.fits", read_plane(tmp_path / "a.fits"))


def test_an_image_of_another_survey_comes_with_its_labels_to_the_grid_of_the_model(tmp_path):
    # 9" pixels, 45" beam: each region of 10 x 10 px becomes one of 20 x 20 px; 255 stays unknown
    write_image(tmp_path / "a.fits", 9.0, 45.0)
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[20:30, 20:30], labels[30:40, 20:30], labels[100:, :] = 1, 2, 255
    fits.writeto(tmp_path / "a.labels.fits", labels)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.labels.fits", 0.25)
    assert scene.image.shape == pytest.approx((2 * N_PX, 2 * N_PX), abs=2)
    assert scene.beam_arcsec == pytest.approx(45, rel=1e-3)
    assert np.bincount(scene.objects.ravel())[1:] == pytest.approx([400, 400], rel=0.1)
    assert scene.table["object"].tolist() == [1, 2]  # which touch
    assert (~scene.known).mean() == pytest.approx(1 / 6, abs=0.02)


def test_labels_of_ones_that_touch_are_one_region(tmp_path):
    write_image(tmp_path / "a.fits")
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[20:30, 20:40], labels[60:70, 60:70] = 1, 1
    fits.writeto(tmp_path / "a.labels.fits", labels)
    scene = read_scene(f"{tmp_path}/a.fits:{tmp_path}/a.labels.fits", 0.25)
    assert np.bincount(scene.objects.ravel())[1:].tolist() == [200, 100]


def test_a_cluster_over_unknown_pixels_has_a_probability(tmp_path):
    wcs = write_image(tmp_path / "a.fits")
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[20:40, 20:40], labels[30:34, 30:34] = 1, 255
    fits.writeto(tmp_path / "a.labels.fits", labels)
    ra, dec = wcs.wcs_pix2world([30.0, 90.0], [30.0, 90.0], 0)
    table = QTable({"name": ["A", "B"], "ra": ra * u.deg, "dec": dec * u.deg, "z": [0.2, 0.2]})
    table["R500"] = [1.5, 1.5] * u.arcmin
    table.write(tmp_path / "a.clusters.ecsv")
    (path,) = labelled_set(tmp_path)
    right = Method("labels", lambda image, *_: np.clip(read_scene(path, 0.25).truth, 0.01, 0.99))
    found = calibrate(right, [path], 0.25, 1000.0, (0.5, None))
    scores = evaluate(right, [path], 0.25, found)["clusters"]
    assert (scores["host"], scores["empty"]) == (1, 1)
    assert scores["roc_auc"] == 1


def test_the_labels_of_each_image_of_a_folder(tmp_path):
    for name, ending in (("a", ".labels.fits"), ("b", ".mask.fits"), ("d", ".regions.fits")):
        write_image(tmp_path / f"{name}.fits")
        fits.writeto(tmp_path / f"{name}{ending}", np.zeros((N_PX, N_PX), np.uint8))
    write_image(tmp_path / "c.fits")
    (tmp_path / "c.reg").write_text(HEAD)
    write_pair(tmp_path / "e.fits", SimulateOptions(n_px=128), 5)
    names = [[part.rsplit("/")[-1] for part in path.split(":")] for path in labelled_set(tmp_path)]
    assert names == [
        ["a.fits", "a.labels.fits"],
        ["b.fits", "b.mask.fits"],
        ["c.fits", "c.reg"],
        ["d.fits", "d.regions.fits"],
        ["e.fits"],
    ]


def test_labels_are_looked_for_in_their_folder_first_and_then_beside_the_image(tmp_path):
    (tmp_path / "labels").mkdir()
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.fits")
        (tmp_path / f"{name}.reg").write_text(HEAD)
    (tmp_path / "labels" / "a.reg").write_text(HEAD)
    assert labelled_set(tmp_path, tmp_path / "labels") == [
        f"{tmp_path}/a.fits:{tmp_path}/labels/a.reg",
        f"{tmp_path}/b.fits:{tmp_path}/b.reg",
    ]
    with pytest.raises(ConfigError, match="no folder of labels"):
        labelled_set(tmp_path, tmp_path / "nowhere")


def test_one_file_of_labels_serves_no_two_images(tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.learning.open_scores.use_threads", lambda count: None)
    write_tiny_model(tmp_path / "tiny")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.reg").write_text(HEAD)
    sets = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "a.fits")
        sets[str(tmp_path / name)] = str(tmp_path / "out" / name)
    with pytest.raises(ConfigError, match=r"a\.reg would be the labels of .*one/a\.fits and .*two/a\.fits"):
        run_scores([str(tmp_path / "tiny")], sets, 1, 1, 1, str(tmp_path / "labels"))


def test_models_of_different_grids_are_not_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.learning.open_scores.use_threads", lambda count: None)
    write_tiny_model(tmp_path / "one")
    write_tiny_model(tmp_path / "two", pixel_arcsec=6.0)
    with pytest.raises(ConfigError, match=r'two needs pixels of 6\.0".*one grid at a time'):
        run_scores([str(tmp_path / name) for name in ("one", "two")], {"own": "x"}, 1, 1, 1)


def test_images_may_be_packed(tmp_path):
    write_image(tmp_path / "a.fits.gz")
    write_image(tmp_path / "b.FITS")
    for name in ("a", "b"):
        (tmp_path / f"{name}.reg").write_text(HEAD)
    assert [path.split(":")[1].rsplit("/")[-1] for path in labelled_set(tmp_path)] == ["a.reg", "b.reg"]


def test_labels_in_another_folder(tmp_path, caplog):
    (tmp_path / "labels").mkdir()
    write_image(tmp_path / "a.fits")
    (tmp_path / "labels" / "a.reg").write_text(HEAD)
    chosen = [f"{tmp_path}/a.fits:{tmp_path}/labels/a.reg"]
    assert labelled_set(tmp_path, tmp_path / "labels") == chosen
    # those beside the image are not used then, and not left over either
    (tmp_path / "a.labels.fits").write_bytes(b"")
    assert labelled_set(tmp_path, tmp_path / "labels") == chosen
    for folder in (tmp_path, tmp_path / "labels"):
        warn_of_unused(folder, chosen)
    assert not caplog.messages


def test_an_image_without_labels_or_with_two_is_named(tmp_path):
    write_image(tmp_path / "a.fits")
    with pytest.raises(ConfigError, match=r"a\.fits has no labels.*a\.reg.*a\.labels\.fits"):
        labelled_set(tmp_path)
    (tmp_path / "a.reg").write_text(HEAD)
    fits.writeto(tmp_path / "a.labels.fits", np.zeros((N_PX, N_PX), np.uint8))
    with pytest.raises(ConfigError, match=r"a\.fits has several"):
        labelled_set(tmp_path)


def test_a_folder_that_is_not_there_or_holds_nothing(tmp_path):
    with pytest.raises(ConfigError, match="no folder.*shifted_a"):
        labelled_set(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds no image"):
        labelled_set(tmp_path)


def write_field(folder):
    """A field as another simulator writes it: two objects, one of which is too faint, and two clusters."""
    folder.mkdir()
    wcs = write_image(folder / "image.fits")
    diffuse, owner = np.zeros((N_PX, N_PX), np.float32), np.zeros((N_PX, N_PX), np.int16)
    diffuse[20:40, 20:40], diffuse[80:90, 80:90] = 1e-3, 1e-4
    owner[20:40, 20:40], owner[80:90, 80:90] = 4, 7
    ambiguous = np.zeros((N_PX, N_PX), np.uint8)
    ambiguous[20:40, 35:40] = 1
    planes = {"DIFFUSE": diffuse, "SIGMA_1E7": np.full((N_PX, N_PX), 1000, np.int16), "OWNER": owner}
    hdus = [fits.CompImageHDU(one, name=name) for name, one in (planes | {"AMBIGUOUS": ambiguous}).items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / "truth.fits.fz")
    objects = {"id": [4, 7], "kind": ["halo", "relic"], "x": [30.0, 85.0], "y": [30.0, 85.0]}
    objects |= {"snr_int": [50.0, 2.0], "area_beams_mask": [10.0, 3.0], "peak_ujy": [1000.0, 100.0]}
    Table(objects | {"sigma_ujy": [100.0, 100.0]}).write(folder / "objects.ecsv")
    ra, dec = wcs.wcs_pix2world([30.0, 60.0], [30.0, 60.0], 0)
    clusters = {"ra": ra, "dec": dec, "x": [30.0, 60.0], "y": [30.0, 60.0], "R500": [1.5, 1.0]}
    Table(clusters | {"has_diffuse": [True, False]}).write(folder / "clusters.ecsv")


def test_a_field_of_another_simulator(tmp_path):
    write_field(tmp_path / "field")
    (path,) = labelled_set(tmp_path)
    assert labelled_set(path) == [path]
    scene = read_scene(path, 0.25)
    assert scene.table["object"].tolist() == [4]
    assert scene.table["peak_snr"].tolist() == [10]
    assert scene.known.sum() == N_PX**2 - 100
    assert scene.mask.sum() == 300 + 100  # the faint object is diffuse emission, too
    assert scene.strength.max() == pytest.approx(10, rel=0.01)  # compressed
    scores = evaluate(Method("image", lambda image, *_: scene.truth / 1e-3), [path], 0.25, Calibration(0.5))
    assert scores["objects"]["all"] == {"count": 1, "found": 1, "recall": 1.0}
    assert (scores["clusters"]["host"], scores["clusters"]["empty"]) == (1, 1)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["1", "false"], None),
        ([1, 0], None),
        ([1.0, 0.0], None),
        (np.array([1, 0], np.float32), None),
        (["True", "maybe"], "'maybe'"),
        (["T", "1.0"], "'1.0'"),
        ([1.0, 0.5], "'0.5'"),
        ([1.0, np.nan], "'nan'"),
        ([1, 2], "'2'"),
        (MaskedColumn([True, False], mask=[False, True]), "''"),
        (MaskedColumn([1.0, 0.0], mask=[False, True]), "''"),
    ],
)
def test_hosts_of_a_field_may_be_told_in_texts_and_numbers(tmp_path, told, said):
    write_field(tmp_path / "field")
    rows = Table.read(tmp_path / "field" / "clusters.ecsv")
    rows["has_diffuse"] = told
    rows.write(tmp_path / "field" / "clusters.ecsv", overwrite=True)
    if said:
        with pytest.raises(
            BadDataError, match=rf"clusters\.ecsv: column has_diffuse, row 2: {said} is neither"
        ):
            read_scene(str(tmp_path / "field"), 0.25)
    else:
        assert read_scene(str(tmp_path / "field"), 0.25).clusters["diffuse"].tolist() == [True, False]


def change_truth(folder, change):
    with fits.open(folder / "truth.fits.fz") as hdus:
        planes = {hdu.name: hdu.data.copy() for hdu in hdus[1:]}
    change(planes)
    hdus = [fits.CompImageHDU(one, name=name) for name, one in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / "truth.fits.fz", overwrite=True)


def test_a_field_whose_planes_differ_in_shape_is_refused(tmp_path):
    write_field(tmp_path / "field")
    change_truth(tmp_path / "field", lambda planes: planes.update(OWNER=planes["OWNER"][:, :-1].copy()))
    with pytest.raises(ShapeMismatchError, match="OWNER"):
        read_scene(str(tmp_path / "field"), 0.25)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_a_field_whose_truth_is_infinite_is_refused(tmp_path, infinite):
    write_field(tmp_path / "field")
    change_truth(tmp_path / "field", lambda planes: planes["DIFFUSE"].__setitem__((0, 0), infinite))
    with pytest.raises(BadDataError, match=rf"truth\.fits\.fz\[DIFFUSE\] holds {infinite} in 1 pixels"):
        read_scene(str(tmp_path / "field"), 0.25)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("clusters", "R500", 0.0), ("clusters", "R500", np.nan), ("objects", "x", np.nan)],
)
def test_a_field_with_a_row_that_has_no_number_is_refused(tmp_path, table, column, value):
    write_field(tmp_path / "field")
    path = tmp_path / "field" / f"{table}.ecsv"
    rows = Table.read(path)
    rows[column][0] = value
    rows.write(path, overwrite=True)
    with pytest.raises(BadDataError, match=f"{table}.ecsv.*{column}"):
        read_scene(str(tmp_path / "field"), 0.25)


def test_unknown_pixels_of_an_island_do_not_hide_an_object(tmp_path):
    write_image(tmp_path / "a.fits")
    labels = np.full((N_PX, N_PX), 255, np.uint8)
    labels[20:36, 20:36] = 0
    labels[22:30, 22:30] = 1
    fits.writeto(tmp_path / "a.labels.fits", labels)
    (path,) = labelled_set(tmp_path)
    # 16 of the 64 pixels of the object, and half of the image, which nobody knows
    there = np.zeros((N_PX, N_PX))
    there[26:30, 26:30] = there[30:, 30:] = 1
    scores = evaluate(Method("there", lambda image, *_: there), [path], 0.25, Calibration(0.5))
    assert scores["objects"]["all"]["found"] == 1


def test_an_object_under_ambiguous_pixels_counts_nowhere(tmp_path):
    write_field(tmp_path / "field")
    change_truth(tmp_path / "field", lambda planes: planes["AMBIGUOUS"].__setitem__(np.s_[20:40, 20:40], 1))
    (path,) = labelled_set(tmp_path)
    assert len(read_scene(path, 0.25).table) == 0
    # nor is an island there false
    there = Method("there", lambda image, *_: np.pad(np.ones((22, 22)), ((19, 79), (19, 79))))
    scores = evaluate(there, [path], 0.25, Calibration(0.5))
    assert scores["objects"]["all"]["count"] == 0
    assert scores["false_islands"]["per_deg2"] == 0


def test_a_model_is_refused_on_what_it_was_trained_on_even_beside_other_images(tmp_path):
    seen = SimulateOptions(n_px=128)
    other = SimulateOptions(n_px=128, seed=99)
    write_pair(tmp_path / "seen.fits", seen, 5)
    write_pair(tmp_path / "other.fits", other, 2000)
    paths = [f"{tmp_path}/{name}.fits" for name in ("seen", "other")]
    sets = ("radiounet.simulation.simulate, base seed {}", "radiounet.simulate, base seed {}")
    for text in (*sets, "base seed 7; base seed {}"):
        for what in ("pairs", "calibration", "host_calibration"):
            training = {what: {"set": text.format(seen.seed), "seeds": [0, 9]}}
            require_unseen("m", training, paths[1:])
            with pytest.raises(ModelError, match=f"m: its {what} used the simulated images 0 to 9"):
                require_unseen("m", training, paths)
            with pytest.raises(ModelError, match="hold out others than 5 to 5"):
                require_unseen("m", {"initial": {"training": training}}, paths)


def test_a_file_of_another_simulator_that_tells_no_seed_is_not_refused(tmp_path):
    write_pair(tmp_path / "a.fits", SimulateOptions(n_px=128), 5)
    for key in ("BASESEED", "SEED"):
        fits.delval(tmp_path / "a.fits", key)
    training = {"pairs": {"set": f"base seed {SimulateOptions().seed}", "seeds": [0, 9]}}
    require_unseen("m", training, [str(tmp_path / "a.fits")])


def told_images(training):
    """Entries of a card that name the simulated images of a model, and of those it began from."""
    if training:
        entries = {what: training.get(what) for what in ("pairs", "calibration", "host_calibration")}
        yield from ((what, entry) for what, entry in entries.items() if entry and entry.get("seeds"))
        initial = training.get("initial") or []
        for one in initial if isinstance(initial, list) else [initial]:
            yield from told_images(one.get("training"))


@pytest.mark.parametrize("shipped", ["lotss-pair", "lotss-unet", "lotss-classes", "published-unet"])
def test_a_shipped_model_is_refused_on_its_own_images(tmp_path, shipped):
    training = read_card(model_folder(shipped)).training
    entries = list(told_images(training))
    assert {"pairs", "calibration", "host_calibration"} == {what for what, _ in entries}
    for place, (what, entry) in enumerate(entries):
        named = {one for one in SIMULATED if re.search(rf"\b{one}\b", f"{entry.get('skies')} {entry['set']}")}
        bases = {int(one) for one in BASE_SEED.findall(entry["set"])}
        assert bases, f"{what} names no base seed"
        for base in bases | {read_sky(sky).seed for sky in named}:
            for seed in entry["seeds"]:
                path = tmp_path / f"{place}-{base}-{seed}.fits"
                header = fits.Header([("BASESEED", base), ("SEED", seed)])
                fits.PrimaryHDU(header=header).writeto(path)
                with pytest.raises(ModelError, match=f"^{shipped}: its "):
                    require_unseen(shipped, training, [str(path)])


def test_simulated_images_are_those_of_their_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(score_sets, "read_sky", lambda name: SimulateOptions(n_px=128))
    paths = simulated_set("own", 910_000, 2, tmp_path, 1, ImageGrid(6.0, 25.0))
    headers = [fits.getheader(path) for path in paths]
    assert [header["SEED"] for header in headers] == [910_000, 910_001]
    # as a model of another survey needs them
    assert [header["PIXARCS"] for header in headers] == [6.0, 6.0]
