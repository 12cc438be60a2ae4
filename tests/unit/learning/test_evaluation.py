import json
import logging
import os
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from matplotlib.transforms import Bbox

from models import write_tiny_model
from radiounet.errors import BadDataError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.model_files import model_files
from radiounet.images.provenance import code_hash
from radiounet.learning import evaluation, new_model, training
from radiounet.learning.evaluation import calibrate, evaluate, settled_baselines
from radiounet.learning.evaluation_figure import draw_evaluation
from radiounet.learning.evaluation_report import evaluation_table, write_evaluation
from radiounet.learning.learning_curve import origin_of, read_about
from radiounet.learning.methods import BASELINES, Calibration, Method, model_method
from radiounet.learning.new_model import measure_model, write_model
from radiounet.learning.scenes import read_scene
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.cluster_probability import FEATURES, HostCalibration
from radiounet.network.engine import load_model
from radiounet.network.inference import open_model
from radiounet.network.model_cards import network_input, read_card
from radiounet.running.cli import main
from radiounet.running.outputs import claim_outputs
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import ImageGrid, TrainOptions
from radiounet.simulation.simulate import CAUSES
from simulated import edit_pair, write_simulated
from wide import CROWDED

N_PX = 192
RMS = 1e-4  # Jy/beam
BEAM_AREA = np.pi / (4 * np.log(2)) * (20 / 4.5) ** 2  # px
BRIGHT, FAINT, GALAXY = 5e-4, 0.6e-4, 8e-4  # Jy/beam
TRUTH_SNR, MOST_FALSE = 0.3, 1.8
OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32, truth_snr=TRUTH_SNR)
OBJECTS = {
    "object": np.array([1, 2], np.int16),
    "kind": ["halo", "relic"],
    "peak_snr": [5.0, 0.6],
    "flux_jy": [400 * BRIGHT / BEAM_AREA, 400 * FAINT / BEAM_AREA],
    "las_arcmin": [1.5, 1.5],
    "y_px": [30.0, 110.0],
    "x_px": [30.0, 110.0],
}
# host, undetectable, empty, and one with more than half of its aperture outside
CLUSTERS = {
    "y_px": [30.0, 110.0, 60.0, 100.0],
    "x_px": [30.0, 110.0, 150.0, 191.0],
    "redshift": [0.1, 0.2, 0.3, 0.4],
    "r500_arcmin": [1.5] * 4,
    "diffuse": [True, True, False, False],
    "galactic": [False] * 4,
}
ONES = (1.0,) * len(FEATURES)
HOSTS = HostCalibration(features=FEATURES, mean=ONES, scale=ONES, weights=ONES, intercept=0.0, clusters=2)


def planes():
    """Return image, truth, objects and cause.

    Two objects of 20 x 20 px and a galaxy of 10 x 20 px, next to no noise, two blank columns.
    """
    truth, objects, cause = (np.zeros((N_PX, N_PX), kind) for kind in (np.float32, np.int16, np.uint8))
    truth[20:40, 20:40], truth[100:120, 100:120] = BRIGHT, FAINT
    objects[20:40, 20:40], objects[100:120, 100:120] = 1, 2
    cause[150:160, 20:40] = CAUSES.index("radio galaxy")
    noise = 1e-7 * np.random.default_rng(1).standard_normal(truth.shape)
    image = (truth + GALAXY * (cause > 0) + noise).astype(np.float32)
    image[:, -2:] = np.nan
    return image, truth, objects, cause


def write_scene(path, clusters=None):
    """A pair of the simulator with the pixels of `planes`, these objects, and all or some of the clusters."""
    write_simulated(path, SimulateOptions(n_px=N_PX, seed=77))
    image, truth, objects, cause = planes()
    pixels = {"PRIMARY": image, "TRUTH": truth, "RMS": np.full_like(truth, RMS)}
    rows = Table(CLUSTERS)[:] if clusters is None else Table(CLUSTERS)[clusters]
    lists = {"CLUSTERS": rows, "OBJECT_LIST": OBJECTS}
    edit_pair(path, pixels | {"OBJECTS": objects, "CAUSE": cause}, lists)
    return str(path)


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "scene.fits")


class Hosts:
    """A calibration that takes the only feature for the probability."""

    def probability(self, features):
        return features[:, 0]


@pytest.fixture
def hosts(monkeypatch):
    """Cluster probabilities by hand: the highest score within 5 px of the centre."""

    def field_features(probability, mask, image, rms, clusters, pixel_arcsec, beam_arcsec):
        cuts = [
            probability[int(row["y_px"]) - 5 :, int(row["x_px"]) - 5 :][:10, :10].max() for row in clusters
        ]
        return np.array(cuts)[:, None]

    monkeypatch.setattr(evaluation, "field_features", field_features)
    return Hosts()


def brightness(image, rms, pixel_arcsec, beam_arcsec):
    """Score 0.5 on the bright object, 0.06 on the faint one, 0.8 on the galaxy."""
    return np.clip(image / 1e-3, 0, 1)


METHOD = Method("brightness", brightness)


def test_a_simulated_image_is_read(scene):
    one = read_scene(scene, 0.3)
    assert one.mask.sum() == 800
    assert one.known.sum() == N_PX * (N_PX - 2)
    assert read_scene(scene, 1.0).mask.sum() == 400
    assert one.strength.max() == pytest.approx(5)
    assert one.table["kind"].tolist() == ["halo", "relic"]
    assert one.clusters["diffuse"].tolist() == [True, True, False, False]
    assert one.beam_area_px == pytest.approx(BEAM_AREA)
    with fits.open(scene, mode="update") as hdus:
        hdus[0].header["BMAJ"] = 40 / 3600
    assert read_scene(scene, 0.3).beam_area_px == pytest.approx(4 * BEAM_AREA)


def test_sizes_on_the_sky_are_those_of_the_grid_that_is_trained_for(scene):
    lotss = read_scene(scene, 0.3)
    with fits.open(scene, mode="update") as hdus:
        hdus[0].header["PIXARCS"] = 9.0
    other = read_scene(scene, 0.3, ImageGrid(9.0, 40.0))
    assert other.area_deg2 == pytest.approx(4 * lotss.area_deg2)
    assert other.beam_area_px == pytest.approx(lotss.beam_area_px / 4)


def test_an_image_of_an_older_simulator_is_refused(tmp_path, scene):
    with fits.open(scene) as hdus:
        hdus[:3].writeto(tmp_path / "old.fits")
    with pytest.raises(BadDataError, match="older version"):
        read_scene(str(tmp_path / "old.fits"), 0.3)


def test_calibration_takes_most_objects_of_the_masks_of_good_dice(scene, monkeypatch):
    # all objects: Dice 2 * 800 / (1000 + 800) up to 0.06; bright object alone: 2 * 400 / (600 + 800)
    assert calibrate(METHOD, [scene], TRUTH_SNR, 1e9).threshold == pytest.approx(0.04)
    # outside the truth, the faint one costs Dice: 0.57 against 0.8 without it, more than an object is worth
    assert calibrate(METHOD, [scene], 1.0, 1e9).peak == pytest.approx(0.08)
    monkeypatch.setattr(evaluation, "DICE_SHARE", 0.7)
    assert calibrate(METHOD, [scene], 1.0, 1e9).peak == pytest.approx(0.04)


def test_calibration_bounds_the_false_islands(scene):
    # the galaxy is the only false island, 17.5 per deg2 here, and scores 0.3, less than the bright object
    method = Method("wiser", lambda image, *_: np.where(image > 6e-4, 0.3, brightness(image, *_)))
    found = calibrate(method, [scene], TRUTH_SNR, 2.0)
    assert (found.threshold, found.peak) == (pytest.approx(0.04), pytest.approx(0.32))
    found = calibrate(method, [scene], TRUTH_SNR, 18.0)
    assert (found.threshold, found.peak) == (pytest.approx(0.04), pytest.approx(0.04))
    # where nothing is right without the galaxy, the best Dice counts
    assert calibrate(METHOD, [scene], TRUTH_SNR, 2.0).peak == pytest.approx(0.04)


def test_calibration_fits_hosts_where_clusters_of_both_kinds_are(tmp_path, scene):
    assert (
        calibrate(METHOD, [scene], TRUTH_SNR, MOST_FALSE).host_calibration.clusters == 2
    )  # the undetectable one is left out
    alike = write_scene(tmp_path / "alike.fits", clusters=[0])
    assert calibrate(METHOD, [alike], TRUTH_SNR, MOST_FALSE).host_calibration is None
    none = write_scene(tmp_path / "none.fits", clusters=[])
    assert calibrate(METHOD, [none], TRUTH_SNR, MOST_FALSE).host_calibration is None


def test_calibration_scores_are_not_rounded(scene, hosts, monkeypatch):
    seen = []
    monkeypatch.setattr(evaluation, "fit_host_calibration", lambda features, hosts: seen.append(features))
    fine = Method("fine", lambda image, *_: np.where(image > 4e-4, np.float32(0.50004), 0).astype(np.float32))
    calibrate(fine, [scene], TRUTH_SNR, MOST_FALSE)
    # the nearest half-precision numbers are 0.5 and 0.5005
    assert seen[0][0, 0] == np.float32(0.50004)


def test_evaluation_by_hand(scene, hosts):
    scores = evaluate(METHOD, [scene], TRUTH_SNR, Calibration(0.3, hosts))
    area = N_PX * (N_PX - 2) * (4.5 / 3600) ** 2
    assert scores["area_deg2"] == pytest.approx(area, rel=1e-4)
    assert scores["threshold"] == 0.3
    pixels = scores["pixels"]
    assert pixels["dice"] == pytest.approx(2 * 400 / (600 + 800), rel=1e-4)
    assert pixels["precision"] == pytest.approx(400 / 600, rel=1e-4)
    assert pixels["recall"] == 0.5
    # each true pixel beats all others but the 200 of the galaxy
    assert pixels["roc_auc"] == pytest.approx(1 - 200 / (N_PX * (N_PX - 2) - 800), rel=1e-4)
    objects = scores["objects"]
    assert objects["all"] == {"count": 2, "found": 1, "recall": 0.5}
    assert objects["snr_above_4"] == {"count": 1, "found": 1, "recall": 1.0}
    assert objects["snr_1_to_2"]["recall"] is None
    assert objects["by_kind"]["relic"]["found"] == 0
    assert scores["flux"]["count"] == 1
    assert scores["flux"]["median"] == pytest.approx(1, abs=1e-3)
    assert scores["false_islands"]["per_deg2"] == pytest.approx(1 / area, rel=1e-4)
    assert list(scores["false_islands"]["by_cause"]) == ["radio galaxy"]
    clusters = scores["clusters"]
    assert [clusters[key] for key in ("host", "empty", "undetectable", "uncovered")] == [1, 1, 1, 1]
    assert clusters["roc_auc"] == 1
    assert clusters["recall"] == 1  # 0.5 is yes
    assert clusters["brier"] == pytest.approx(0.125, abs=1e-3)
    assert scores["clusters_by_catalogue"] == {**scores["clusters_by_catalogue"], "host": 1, "empty": 1}
    assert scores["clusters_by_catalogue"]["roc_auc"] == 1
    assert json.loads(json.dumps(scores)) == scores


def test_the_catalogue_may_say_otherwise_than_the_image(scene, hosts):
    # the first cluster shines with what belongs to another; the third was given something unseen
    with fits.open(scene, mode="update") as hdus:
        hdus["CLUSTERS"].data["diffuse"] = [False, True, True, True]
    scores = evaluate(METHOD, [scene], TRUTH_SNR, Calibration(0.3, hosts))
    # probabilities 0.5 and 0 of the first and the third; the others are not judged
    assert [scores["clusters"][key] for key in ("accuracy", "roc_auc")] == [1, 1]
    listed = scores["clusters_by_catalogue"]
    assert [listed[key] for key in ("host", "empty", "accuracy", "recall", "precision", "roc_auc")] == [
        *(1, 1, 0, 0, 0, 0)
    ]
    assert listed["brier"] == pytest.approx((0.25 + 1) / 2, abs=1e-3)
    table = {row[0]: row[1] for row in evaluation_table([scores])[1]}
    assert table["cluster accuracy at p = 0.5"] == "1.000"
    assert table["cluster accuracy at p = 0.5, by catalogue"] == "0.000"


def test_curves_are_of_one_length_and_fall_with_the_threshold(scene):
    curves = evaluate(METHOD, [scene], TRUTH_SNR)["pixels"]["curves"]
    assert len({len(curve) for curve in curves.values()}) == 1
    rates = np.array([curves["false_rate"], curves["true_rate"], curves["recall"]])
    assert (np.diff(rates) <= 0).all()
    np.testing.assert_array_equal(rates[1], rates[2])


def test_a_low_threshold_finds_the_faint_object_too(scene):
    scores = evaluate(METHOD, [scene], TRUTH_SNR, Calibration(0.05))
    assert scores["objects"]["all"]["found"] == 2
    assert "roc_auc" not in scores["clusters"]
    assert scores["clusters"]["host"] == 1


def test_faint_diffuse_emission_explains_a_false_island(scene):
    scores = evaluate(METHOD, [scene], 1.0, Calibration(0.05))
    assert set(scores["false_islands"]["by_cause"]) == {"faint diffuse", "radio galaxy"}


def test_islands_smaller_than_a_beam_do_not_count(scene):
    def speck(image, rms, pixel_arcsec, beam_arcsec):
        score = np.zeros_like(image)
        score[80:84, 80:85] = 1  # 20 px, the beam has 22.4
        score[80:84, 120:126] = 1
        return score

    scores = evaluate(Method("speck", speck), [scene], TRUTH_SNR)
    assert scores["false_islands"]["per_deg2"] * scores["area_deg2"] == pytest.approx(1, rel=1e-3)


def write_labelled(tmp_path):
    image, truth, _, _ = planes()
    wcs = grid_wcs(150.0, 40.0, N_PX, 4.5)
    header = Plane(image, wcs, Beam(20.0, 20.0)).header()
    fits.writeto(tmp_path / "image.fits", image, header)
    labels = (truth > 0).astype(np.uint8)
    labels[150:160, 20:30] = 255  # nobody knows about half of the galaxy
    fits.writeto(tmp_path / "labels.fits", labels)
    return f"{tmp_path}/image.fits:{tmp_path}/labels.fits"


def test_a_labelled_image_gives_the_scores_it_can(tmp_path):
    scores = evaluate(METHOD, [write_labelled(tmp_path)], TRUTH_SNR, Calibration(0.3))
    assert scores["objects"]["all"] == {"count": 2, "found": 1, "recall": 0.5}
    assert scores["pixels"]["dice"] == pytest.approx(2 * 400 / (500 + 800), rel=1e-4)
    assert list(scores["false_islands"]["by_cause"]) == ["unknown"]
    assert scores["area_deg2"] == pytest.approx((N_PX * (N_PX - 2) - 100) * (4.5 / 3600) ** 2, rel=1e-4)
    assert scores["flux"]["median"] is None
    assert scores["clusters"]["host"] == 0


def test_a_model_folder_is_a_method_with_the_calibration_of_its_card(tmp_path):
    write_tiny_model(tmp_path, threshold=0.4, host_calibration=HOSTS.model_dump(mode="json"))
    method, calibration = model_method(tmp_path)
    assert (method.name, method.threshold) == ("tiny", 0.4)
    assert calibration == Calibration(0.4, HOSTS)
    assert model_method(tmp_path, note="shipped")[0].name == "tiny (shipped)"
    image = np.random.default_rng(1).standard_normal((50, 50)).astype(np.float32)
    predictor, card = open_model(tmp_path)
    plane = network_input(card.normalisation, image, 20 / 4.5)
    expected = predictor.plane(plane, card.tile_px, card.core_px)
    np.testing.assert_array_equal(method.score(image, np.full_like(image, 2), 4.5, 20.0), expected)


def test_what_the_simulator_writes_can_be_measured(tmp_path):
    sky = CROWDED.model_copy(update={"n_px": N_PX})
    paths = [write_simulated(tmp_path / f"{seed}.fits", sky, seed) for seed in (3, 4)]
    clusters, objects = (
        sum(len(Table.read(path, hdu=hdu)) for path in paths) for hdu in ("CLUSTERS", "OBJECT_LIST")
    )
    assert origin_of(paths)["number"] == 2
    scores = evaluate(METHOD, paths, TRUTH_SNR, Calibration(0.3))
    counts = scores["clusters"]
    assert sum(counts[key] for key in ("host", "empty", "undetectable", "uncovered")) == clusters > 0
    assert (
        calibrate(METHOD, paths, TRUTH_SNR, MOST_FALSE).host_calibration.clusters
        == counts["host"] + counts["empty"]
    )
    assert 0 < scores["objects"]["all"]["count"] <= objects
    write_evaluation([scores], tmp_path)
    lines = (tmp_path / "evaluation.md").read_text().splitlines()
    assert {line.count("|") for line in lines if line.startswith("|")} == {3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network after one step of training; its weights and its learning curve."""
    folder = tmp_path_factory.mktemp("trained")
    pair = write_simulated(folder / "pair.fits", CROWDED)
    options = OPTIONS.model_copy(update={"crop_px": 64, "batch": 1, "steps": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SETTLING_STEPS", 1)
        network = training.train([pair], options, folder / "checkpoint.npz", folder / "curve.csv")
    save_weights(network, folder / "w.weights.h5")
    return network, f"{folder}/w.weights.h5", f"{folder}/curve.csv"


@pytest.fixture
def publish(trained, tmp_path):
    """Publish a network that was calibrated on an image with one kind of clusters only."""
    network, *files = trained
    alike = write_scene(tmp_path / "alike.fits", clusters=[0])

    def run(held_out, name, options=OPTIONS):
        scores, card = measure_model(held_out, [alike, alike], *files, options, name)
        write_model(tmp_path / "m", *files, card, [scores])
        return tmp_path / "m", network, scores

    return run


def test_a_published_model_loads_and_its_card_tells_how_it_was_made(
    trained, publish, scene, caplog, tmp_path
):
    with caplog.at_level(logging.WARNING):
        other = str(tmp_path / "other")
        write_tiny_model(tmp_path / "other", normalisation={"kind": "asinh_snr"})
        folder, network, scores = publish([scene], "m", OPTIONS.model_copy(update={"initial": other}))
    assert "p_diffuse; it will be the bare maximum" in caplog.text
    card = read_card(folder)
    told = dict(card.training)
    about = read_about(trained[2])
    simulated = {"set": "radiounet.simulation.simulate, base seed 77", "seeds": [1, 1], "code": [code_hash()]}
    assert told.pop("options") == OPTIONS.model_dump(mode="json") | {"initial": other}
    assert told == {
        **{key: about[key] for key in ("pairs", "initial", "backend", "devices", "wall_time_s")},
        "command": f"radiounet train --widths 4 8 --truth-snr 0.3 --initial {other}",
        "calibration": simulated | {"number": 2},
        "held_out": simulated | {"number": 1},
        "parameters": network.count_params(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    assert card.threshold == scores["threshold"]
    assert card.metrics["dice"] == scores["pixels"]["dice"]
    assert card.metrics["objects"] == 2
    assert card.host_calibration is None
    loaded, _ = load_model(folder)
    for a, b in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert json.loads((folder / "metrics.json").read_text()) == scores
    assert (folder / "learning_curve.csv").read_text().splitlines()[1].startswith("step")


@pytest.mark.parametrize("renamed", [1, 2, 3, 4, 5])
def test_what_a_killed_evaluation_left_may_be_written_over(publish, scene, monkeypatch, tmp_path, renamed):
    def killed(*names, rename=os.replace):
        if len([*(tmp_path / "m").glob("[!.]*")]) == renamed:
            raise KeyboardInterrupt
        rename(*names)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        publish([scene], "m")
    assert len([*(tmp_path / "m").iterdir()]) == renamed
    claim_outputs(model_files(f"{tmp_path}/m"))


def test_a_model_names_its_configuration_only_where_that_says_the_same(publish, tmp_path, monkeypatch):
    path = write_labelled(tmp_path)
    folder, _, _ = publish([path], "lotss-unet")
    told = read_card(folder).training
    assert told["command"].startswith("radiounet train --widths 4 8")
    assert told["held_out"] == {"number": 1, "set": "images given with their truth"}
    monkeypatch.setattr(new_model, "MODEL_CONFIGS", tmp_path)
    configuration = {"train": OPTIONS.model_dump(mode="json", exclude_defaults=True)}
    (tmp_path / "lotss-unet.yaml").write_text(json.dumps(configuration))
    publish([path], "lotss-unet")
    assert read_card(folder).training["command"] == "make model MODEL=lotss-unet"


def test_the_command_of_a_card_is_one_that_can_be_given(publish, scene, monkeypatch):
    numbers = {"fields": 3, "calibrate": 2, "held_out": 1, "max_false_per_deg2": 1.0, "compare": ["a"]}
    folder, *_ = publish([scene], "m", OPTIONS.model_copy(update=numbers | {"steps": 7}))
    asked = []
    monkeypatch.setattr("radiounet.running.model_verbs.run_stage", lambda args, *_, **__: asked.append(args))
    _, *words = read_card(folder).training["command"].split()
    main([*words, "--pairs", "p.fits", "--weights", "w.weights.h5", "--curve", "c.csv"])
    assert (asked[0].widths, asked[0].steps) == ([4, 8], 7)


def test_a_baseline_by_hand_keeps_its_threshold(scene):
    settled = {method.name: found for method, found in settled_baselines([scene], TRUTH_SNR, MOST_FALSE)}
    by_hand = settled["smoothed threshold, 3 sigma"]
    assert (by_hand.threshold, by_hand.peak) == (0.5, None)
    assert settled["smoothed threshold"].peak is not None


def test_table_of_methods(scene, hosts):
    dim = Method("dim", lambda *planes: 0.9 * brightness(*planes))
    methods = [evaluate(one, [scene], TRUTH_SNR, Calibration(0.3, hosts)) for one in (METHOD, dim)]
    methods[1]["false_islands"]["by_cause"] = {"noise": 2.0}
    heads, rows = evaluation_table(methods)
    assert heads == ["", "brightness", "dim"]
    table = {row[0]: row[1:] for row in rows}
    assert table["objects found, all"] == ["0.500 of 2"] * 2
    assert "objects found, peak S/N 1 to 2" not in table
    assert table["... noise, 1/deg2"] == ["0.00", "2.00"]
    assert table["cluster recall at p = 0.5"] == ["1.000", "0.000"]
    assert table["flux in the mask (all sources in it) over truth (16 to 84 %)"][0] == "1.00 (1.00 to 1.00)"
    names = list(table)
    assert names.index("... noise, 1/deg2") < names.index("... radio galaxy, 1/deg2")


def test_report_is_a_table_and_a_picture(scene, hosts, tmp_path):
    methods = [evaluate(METHOD, [scene], TRUTH_SNR, Calibration(0.3, hosts))]
    methods += [evaluate(one, [scene], TRUTH_SNR) for one in BASELINES]
    write_evaluation(methods, tmp_path / "out")
    text = (tmp_path / "out" / "evaluation.md").read_text()
    heads, rows = evaluation_table(methods)
    for row in (heads, *rows):
        assert f"\n| {' | '.join(row)} |\n" in text
    assert "1 clusters with detectable diffuse emission and 1 without" in text
    assert (
        "By the catalogue, 1 of the same clusters were given diffuse emission of their own and 1 were" in text
    )
    assert (tmp_path / "out" / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def panel(figure, start):
    (one,) = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(start)]
    return one


def test_figures_show_the_scores(scene, hosts):
    dim = Method("dim", lambda *planes: 0.5 * brightness(*planes))
    methods = [
        evaluate(METHOD, [scene], TRUTH_SNR, Calibration(0.3, hosts)),
        evaluate(dim, [scene], TRUTH_SNR),
    ]
    methods[1]["false_islands"]["by_cause"] = {"noise": 2.0, "radio galaxy": 3.0}
    figure = draw_evaluation(methods)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["brightness", "dim"]
    roc = panel(figure, "Pixels: ROC").get_lines()
    assert [line.get_ydata().tolist() for line in roc] == [
        one["pixels"]["curves"]["true_rate"] for one in methods
    ]
    dots = [line for line in panel(figure, "Pixels: precision").get_lines() if line.get_marker() == "o"]
    assert [(*dots[0].get_xdata(), *dots[0].get_ydata())] == [
        (methods[0]["pixels"]["recall"], methods[0]["pixels"]["precision"])
    ]
    bars = panel(figure, "False islands").patches
    galaxy = methods[0]["false_islands"]["per_deg2"]
    # noise of both methods first, then galaxies on top of it
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 0), (0, 2), (0, galaxy), (2, 3)]
    sizes = panel(figure, "Objects found, by size")
    assert "extent above a tenth of the peak" in sizes.get_xlabel()
    # both objects are 1.5 arcmin large, one of them is found
    np.testing.assert_array_equal(
        sizes.containers[0].lines[0].get_ydata(), [np.nan, 0.5, np.nan, np.nan, np.nan, np.nan]
    )
    reliability = panel(figure, "Clusters: reliability").get_lines()[1]
    assert reliability.get_xdata() == pytest.approx([0, 0.5], abs=1e-3)
    assert reliability.get_ydata().tolist() == [0, 1]
    figure.draw_without_rendering()
    for start in ("Pixels: ROC", "Pixels: precision", "Pixels: Dice", "Clusters: reliability"):
        axes = panel(figure, start)
        assert Bbox.intersection(axes.get_legend().get_window_extent(), axes.bbox) is None
