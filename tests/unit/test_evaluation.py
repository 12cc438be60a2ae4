import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from models import write_tiny_model
from radiounet import evaluation
from radiounet.cards import AsinhNormalisation, read_card
from radiounet.errors import BadDataError
from radiounet.evaluation import (
    BASELINES,
    Calibration,
    Method,
    calibrate,
    evaluate,
    model_method,
    network_method,
    publish_model,
    read_field,
)
from radiounet.evaluation_report import draw_evaluation, evaluation_table, write_evaluation
from radiounet.image import Beam, Plane, grid_wcs
from radiounet.inference import predict_plane
from radiounet.network import load_model, lotss_unet
from radiounet.recipe import TrainOptions
from radiounet.simulate import CAUSES

N_PX = 192
RMS = 1e-4  # Jy/beam
BEAM_AREA = np.pi / (4 * np.log(2)) * (20 / 4.5) ** 2  # px
BRIGHT, FAINT, GALAXY = 5e-4, 0.6e-4, 8e-4  # Jy/beam
OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32, truth_sigma=0.3)
OBJECTS = {
    "object": np.array([1, 2], np.int16),
    "kind": ["halo", "relic"],
    "peak_sigma": [5.0, 0.6],
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


def write_field(path, clusters=None):
    image, truth, objects, cause = planes()
    header = fits.Header({"BUNIT": "JY/BEAM", "PIXARCS": 4.5, "BMAJ": 20 / 3600, "SEED": 1})
    hdus = [fits.PrimaryHDU(image, header)]
    for name, plane in (
        ("TRUTH", truth),
        ("RMS", np.full_like(truth, RMS)),
        ("OBJECTS", objects),
        ("CAUSE", cause),
    ):
        hdus.append(fits.ImageHDU(plane, name=name))
    rows = Table(CLUSTERS)[:] if clusters is None else Table(CLUSTERS)[clusters]
    hdus += [fits.BinTableHDU(rows, name="CLUSTERS"), fits.BinTableHDU(Table(OBJECTS), name="OBJECT_LIST")]
    fits.HDUList(hdus).writeto(path)
    return str(path)


@pytest.fixture
def field(tmp_path):
    return write_field(tmp_path / "field.fits")


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


def test_a_simulated_field_is_read(field):
    one = read_field(field, 0.3)
    assert one.mask.sum() == 800
    assert one.known.sum() == N_PX * (N_PX - 2)
    assert read_field(field, 1.0).mask.sum() == 400
    assert one.strength.max() == pytest.approx(5)
    assert one.table["kind"].tolist() == ["halo", "relic"]
    assert one.clusters["diffuse"].tolist() == [True, True, False, False]
    assert one.beam_area_px == pytest.approx(BEAM_AREA)
    with fits.open(field, mode="update") as hdus:
        hdus[0].header["BMAJ"] = 40 / 3600
    assert read_field(field, 0.3).beam_area_px == pytest.approx(4 * BEAM_AREA)


def test_a_field_of_an_older_simulator_is_refused(tmp_path, field):
    with fits.open(field) as hdus:
        hdus[:3].writeto(tmp_path / "old.fits")
    with pytest.raises(BadDataError, match="older version"):
        read_field(str(tmp_path / "old.fits"), 0.3)


def test_calibration_chooses_the_threshold_of_best_dice(field):
    # all objects: Dice 2 * 800 / (1000 + 800) up to 0.06; bright object alone: 2 * 400 / (600 + 800)
    assert calibrate(METHOD, [field], OPTIONS).threshold == pytest.approx(0.01)
    # with the faint one outside the truth, 0.07 is the first threshold without it
    bright_only = OPTIONS.model_copy(update={"truth_sigma": 1.0})
    assert calibrate(METHOD, [field], bright_only).threshold == pytest.approx(0.07)


def test_calibration_fits_hosts_where_clusters_of_both_kinds_are(tmp_path, field):
    assert calibrate(METHOD, [field], OPTIONS).hosts.clusters == 2  # the undetectable one is left out
    alike = write_field(tmp_path / "alike.fits", clusters=[0])
    assert calibrate(METHOD, [alike], OPTIONS).hosts is None
    none = write_field(tmp_path / "none.fits", clusters=[])
    assert calibrate(METHOD, [none], OPTIONS).hosts is None


def test_evaluation_by_hand(field, hosts):
    scores = evaluate(METHOD, [field], OPTIONS, Calibration(0.3, hosts))
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
    assert objects["above_4_sigma"] == {"count": 1, "found": 1, "recall": 1.0}
    assert objects["1_to_2_sigma"]["recall"] is None
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
    assert json.loads(json.dumps(scores)) == scores


def test_curves_are_of_one_length_and_fall_with_the_threshold(field):
    curves = evaluate(METHOD, [field], OPTIONS)["pixels"]["curves"]
    assert len({len(curve) for curve in curves.values()}) == 1
    rates = np.array([curves["false_rate"], curves["true_rate"], curves["recall"]])
    assert (np.diff(rates) <= 0).all()
    np.testing.assert_array_equal(rates[1], rates[2])


def test_a_low_threshold_finds_the_faint_object_too(field):
    scores = evaluate(METHOD, [field], OPTIONS, Calibration(0.05))
    assert scores["objects"]["all"]["found"] == 2
    assert "roc_auc" not in scores["clusters"]
    assert scores["clusters"]["host"] == 1


def test_faint_diffuse_emission_explains_a_false_island(field):
    options = OPTIONS.model_copy(update={"truth_sigma": 1.0})
    scores = evaluate(METHOD, [field], options, Calibration(0.05))
    assert set(scores["false_islands"]["by_cause"]) == {"faint diffuse", "radio galaxy"}


def test_islands_smaller_than_a_beam_do_not_count(field):
    def speck(image, rms, pixel_arcsec, beam_arcsec):
        score = np.zeros_like(image)
        score[80:84, 80:85] = 1  # 20 px, the beam has 22.4
        score[80:84, 120:126] = 1
        return score

    scores = evaluate(Method("speck", speck), [field], OPTIONS)
    assert scores["false_islands"]["per_deg2"] * scores["area_deg2"] == pytest.approx(1, rel=1e-3)


def test_a_labelled_image_gives_the_scores_it_can(tmp_path):
    image, truth, _, _ = planes()
    wcs = grid_wcs(150.0, 40.0, N_PX, 4.5)
    header = Plane(image, wcs, Beam(20.0, 20.0)).header()
    fits.writeto(tmp_path / "image.fits", image, header)
    labels = (truth > 0).astype(np.uint8)
    labels[150:160, 20:30] = 255  # nobody knows about half of the galaxy
    fits.writeto(tmp_path / "labels.fits", labels)
    path = f"{tmp_path}/image.fits:{tmp_path}/labels.fits"
    scores = evaluate(METHOD, [path], OPTIONS, Calibration(0.3))
    assert scores["objects"]["all"] == {"count": 2, "found": 1, "recall": 0.5}
    assert scores["pixels"]["dice"] == pytest.approx(2 * 400 / (500 + 800), rel=1e-4)
    assert list(scores["false_islands"]["by_cause"]) == ["unknown"]
    assert scores["area_deg2"] == pytest.approx((N_PX * (N_PX - 2) - 100) * (4.5 / 3600) ** 2, rel=1e-4)
    assert scores["flux"]["median"] is None
    assert scores["clusters"]["host"] == 0


class Shifted:
    """A model that says of each pixel what its left neighbour is; remembers its batches."""

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, tiles):
        self.batches.append(len(tiles))
        said = np.roll(tiles[..., 0], 1, axis=2)
        return np.stack([1 - said, said], axis=-1)


@pytest.mark.parametrize(("tile_px", "batch"), [(64, 16), (256, 16), (512, 4)])
def test_a_plane_is_predicted_tile_by_tile(tile_px, batch):
    plane = np.random.default_rng(1).random((70, 130)).astype(np.float32)
    model = Shifted()
    said = predict_plane(model, plane, tile_px, tile_px // 2)
    np.testing.assert_array_equal(said[:, 1:], plane[:, :-1])
    assert said.shape == plane.shape
    assert (said[:, 0] == 0).all()
    assert set(model.batches) == {batch}


def test_a_real_network_predicts_every_pixel():
    plane = np.random.default_rng(1).standard_normal((50, 70)).astype(np.float32)
    said = predict_plane(lotss_unet(64, (4, 8)), plane, 64, 32)
    assert said.shape == plane.shape
    assert ((said >= 0) & (said <= 1)).all()


def test_flips_average_over_the_mirrors():
    image = np.sinh(np.random.default_rng(1).random((40, 60))).astype(np.float32)
    rms = np.ones_like(image)
    method = network_method("m", Shifted(), AsinhNormalisation(kind="asinh_sigma"), 64, 32, flips=True)
    plane = np.pad(np.arcsinh(image), 1)
    # two mirrors look left, two look right
    expected = (plane[1:-1, :-2] + plane[1:-1, 2:]) / 2
    np.testing.assert_allclose(method.score(image, rms, 4.5, 20.0), expected, atol=1e-6)


def test_a_model_folder_is_a_method_with_its_threshold(tmp_path):
    write_tiny_model(tmp_path, threshold=0.4)
    method = model_method(tmp_path)
    assert (method.name, method.threshold) == ("tiny", 0.4)
    image = np.random.default_rng(1).standard_normal((50, 50)).astype(np.float32)
    model, card = load_model(tmp_path)
    plane = card.normalisation(image, np.full_like(image, 2))
    expected = predict_plane(model, plane, card.tile_px, card.core_px)
    np.testing.assert_array_equal(method.score(image, np.full_like(image, 2), 4.5, 20.0), expected)


@pytest.fixture
def published(tmp_path, field):
    network = lotss_unet(OPTIONS.tile_px, OPTIONS.widths)
    network.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "curve.csv").write_text("step,loss,seconds\n30,0.6,7\n60,0.5,12\n")
    alike = write_field(tmp_path / "alike.fits", clusters=[0])
    scores = publish_model(
        [field], [alike], f"{tmp_path}/w.weights.h5", f"{tmp_path}/curve.csv", OPTIONS, "m", f"{tmp_path}/m"
    )
    return tmp_path / "m", network, scores


def test_a_published_model_loads_and_its_card_tells_how_it_was_made(published):
    folder, network, scores = published
    card = read_card(folder)
    assert card.training["wall_time_s"] == 12
    assert card.training["options"]["widths"] == [4, 8]
    assert card.training["parameters"] == network.count_params()
    assert card.threshold == scores["threshold"]
    assert card.metrics["dice"] == scores["pixels"]["dice"]
    assert card.metrics["objects"] == 2
    assert card.hosts is None
    loaded, _ = load_model(folder)
    for a, b in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert json.loads((folder / "metrics.json").read_text()) == scores
    assert (folder / "learning_curve.csv").read_text().startswith("step")


def test_table_of_methods(field, hosts):
    dim = Method("dim", lambda *planes: 0.9 * brightness(*planes))
    methods = [evaluate(one, [field], OPTIONS, Calibration(0.3, hosts)) for one in (METHOD, dim)]
    methods[1]["false_islands"]["by_cause"] = {"noise": 2.0}
    heads, rows = evaluation_table(methods)
    assert heads == ["", "brightness", "dim"]
    table = {row[0]: row[1:] for row in rows}
    assert table["objects found, all"] == ["0.500 of 2"] * 2
    assert table["objects found, 1 to 2 sigma"] == ["–"] * 2
    assert table["... noise, 1/deg2"] == ["0.00", "2.00"]
    assert table["cluster recall at p = 0.5"] == ["1.000", "0.000"]
    assert table["flux recovered, median (16 to 84 %)"][0] == "1.00 (1.00 to 1.00)"
    names = list(table)
    assert names.index("... noise, 1/deg2") < names.index("... radio galaxy, 1/deg2")


def test_report_is_a_table_and_a_picture(field, hosts, tmp_path):
    methods = [evaluate(METHOD, [field], OPTIONS, Calibration(0.3, hosts))]
    methods += [evaluate(one, [field], OPTIONS) for one in BASELINES]
    write_evaluation(methods, tmp_path / "out")
    text = (tmp_path / "out" / "evaluation.md").read_text()
    assert "| best Dice" in text
    assert "1 clusters with detectable diffuse emission and 1 without" in text
    assert (tmp_path / "out" / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    figure = draw_evaluation(methods)
    assert [len(axes.get_title(loc="left")) > 0 for axes in figure.axes[:8]] == [True] * 8


def test_a_report_without_objects_clusters_and_false_islands_can_be_drawn(tmp_path):
    image, truth, _, _ = planes()
    fits.writeto(
        tmp_path / "i.fits", image, Plane(image, grid_wcs(1.0, 40.0, N_PX, 4.5), Beam(20, 20)).header()
    )
    fits.writeto(tmp_path / "l.fits", np.zeros(truth.shape, np.uint8))
    nothing = Method("nothing", lambda image, *_: np.zeros_like(image))
    write_evaluation([evaluate(nothing, [f"{tmp_path}/i.fits:{tmp_path}/l.fits"], OPTIONS)], tmp_path)
    assert (tmp_path / "evaluation.png").stat().st_size > 0
