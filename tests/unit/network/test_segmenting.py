"""Segmentation in memory against tile, infer and stitch, which exchange files."""

import numpy as np
import pytest
from astropy.io import fits

from models import write_tiny_model
from programs import start
from radiounet.errors import OriginError
from radiounet.network import devices
from radiounet.network.inference import Predictor, open_model, write_cores
from radiounet.network.masks import stitch_cores
from radiounet.network.model_cards import model_folder, read_card
from radiounet.network.segmenting import read_for, write_segmentation
from radiounet.network.tiling import tile_image
from radiounet.settings.segmentation import Segmentation
from stages import write_image


def by_files(image: str, model: str, options: Segmentation, stem: str) -> None:
    predictor, card = open_model(model_folder(model), options.batch)
    tile_image(image, model, options.mode, f"{stem}.tiles.h5")
    write_cores(f"{stem}.tiles.h5", predictor, card, f"{stem}.cores.h5")
    maps = (f"{stem}.probability.fits", f"{stem}.mask.fits")
    stitch_cores(f"{stem}.cores.h5", image, model, options, *maps)


def in_memory(image: str, model: str, options: Segmentation, stem: str) -> None:
    predictor, card = open_model(model_folder(model), options.batch)
    maps = (f"{stem}.probability.fits", f"{stem}.mask.fits")
    write_segmentation(read_for(image, card, options.mode), predictor, card, options, *maps)


@pytest.mark.parametrize(
    ("architecture", "mode", "changes"),
    [
        ("lotss_unet", "exact", {}),
        ("published_unet", "exact", {"threshold": 0.5}),
        ("published_unet", "reference", {"min_island_beams": 3.0}),
    ],
)
def test_the_same_bytes_as_by_files(tmp_path, architecture, mode, changes):
    write_tiny_model(tmp_path / "model", architecture=architecture)
    image = str(write_image(tmp_path / "image.fits"))
    options = Segmentation(mode=mode, batch=4, **changes)
    for way in (by_files, in_memory):
        way(image, str(tmp_path / "model"), options, f"{tmp_path}/{way.__name__}")
    for kind in ("probability", "mask"):
        ours, theirs = (tmp_path / f"{way.__name__}.{kind}.fits" for way in (in_memory, by_files))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_network_of_several_classes_as_well(tmp_path):
    image = str(write_image(tmp_path / "image.fits"))
    for way in (by_files, in_memory):
        way(image, "lotss-classes", Segmentation(batch=1), f"{tmp_path}/{way.__name__}")
    for kind in ("probability", "mask"):
        ours, theirs = (tmp_path / f"{way.__name__}.{kind}.fits" for way in (in_memory, by_files))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_maps_say_how_many_threads_predicted_them(tmp_path, threads):
    write_tiny_model(tmp_path / "model")
    image, maps = write_image(tmp_path / "image.fits"), ("--probability", "p.fits", "--mask", "m.fits")
    common = ("--settings", '{"segmentation": {"model": "model"}}')
    count, about = ("--threads", threads), ("--mosaic", "one", "--image", image, *common)
    by_files = ("tile", *about, "--out", "t.h5"), ("infer", "t.h5", *common, *count, "--out", "c.h5")
    for programs in (
        [("segment", *about, *count, *maps)],
        [*by_files, ("stitch", *about, "--cores", "c.h5", *maps)],
    ):
        for words in programs:
            done = start(*words, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        for name in ("p.fits", "m.fits"):
            assert fits.getheader(tmp_path / name)["THREADS"] == threads


def test_maps_tell_which_card_made_them(tmp_path):
    write_tiny_model(tmp_path / "model", architecture="published_unet")
    image = str(write_image(tmp_path / "image.fits"))
    in_memory(image, str(tmp_path / "model"), Segmentation(), f"{tmp_path}/a")
    card = read_card(tmp_path / "model")
    for kind in ("probability", "mask"):
        assert fits.getval(f"{tmp_path}/a.{kind}.fits", "CARDSHA") == card.sha256
    described = {"name": "mine", "licence": "none", "citation": "me", "training": {}, "metrics": {}}
    assert card.model_copy(update=described).sha256 == card.sha256
    log10 = read_card(model_folder("published-unet")).normalisation
    for other in ({"threshold": 0.51}, {"normalisation": log10}, {"tile_px": 2 * card.tile_px}):
        assert card.model_copy(update=other).sha256 != card.sha256


def test_the_threads_of_a_gpu_are_not_told(monkeypatch):
    assert devices.cpu_threads() >= 1
    monkeypatch.setattr(devices, "gpus", lambda: ["a GPU"])
    assert devices.cpu_threads() is None


def test_another_threshold_than_that_of_the_calibration_is_told(tmp_path, caplog):
    tiny = write_tiny_model(tmp_path / "model")
    fitted = read_card(model_folder("lotss-unet")).host_calibration
    card = tiny.model_copy(update={"host_calibration": fitted, "peak": 0.9})
    image = str(write_image(tmp_path / "image.fits"))
    predictor, _ = open_model(tmp_path / "model")
    maps = (f"{tmp_path}/probability.fits", f"{tmp_path}/mask.fits")
    for threshold, told in ((None, 0), (card.threshold, 1), (0.77, 2)):
        options = Segmentation(threshold=threshold)
        write_segmentation(read_for(image, card, "exact"), predictor, card, options, *maps)
        assert caplog.text.count("p_diffuse is calibrated for masks of") == told


def test_numbers_that_are_no_probabilities_are_refused(tmp_path, monkeypatch):
    card = write_tiny_model(tmp_path / "model")
    image = str(write_image(tmp_path / "image.fits"))
    predictor, _ = open_model(tmp_path / "model")
    right = Predictor.cores

    def wrong(self, plane, starts, where):
        for some, part in right(self, plane, starts, where):
            yield some, np.full_like(part, np.nan)

    monkeypatch.setattr(Predictor, "cores", wrong)
    maps = (f"{tmp_path}/probability.fits", f"{tmp_path}/mask.fits")
    with pytest.raises(OriginError, match="no probabilities"):
        write_segmentation(read_for(image, card, "exact"), predictor, card, Segmentation(), *maps)
