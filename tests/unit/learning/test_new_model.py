"""The files of a model, which belong together."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from astropy.io import fits

from labelled_images import N_PX, write_image
from models import tiny_card
from radiounet.images.model_files import model_files
from radiounet.learning import evaluation_report, runs
from radiounet.learning.evaluation import evaluate
from radiounet.learning.methods import Calibration, Method
from radiounet.learning.new_model import write_model
from radiounet.learning.runs import run_evaluation
from radiounet.network.architectures.keras_network import save_weights
from radiounet.network.architectures.lotss_unet import lotss_unet
from radiounet.settings.train import TrainOptions

BRIGHT = np.s_[20:40, 20:40]
OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32)
ABOUT = '{"options": {"widths": [4, 8]}, "pairs": {"number": 1}, "backend": "b"}'


def labelled(folder, name):
    write_image(folder / f"{name}.fits", bright=BRIGHT)
    labels = np.zeros((N_PX, N_PX), np.uint8)
    labels[BRIGHT] = 1
    fits.writeto(folder / f"{name}.labels.fits", labels)
    return f"{folder}/{name}.fits:{folder}/{name}.labels.fits"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    bright = Method("bright", lambda image, *_: (image > 1e-3).astype(np.float32))
    return evaluate(bright, [labelled(tmp_path_factory.mktemp("scored"), "a")], 0.25, Calibration(0.5))


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        *((shutil, "copyfile", number) for number in (1, 2)),
        *((Path, "write_text", number) for number in (1, 2, 3)),
        (evaluation_report, "save_figure", 1),
        *((os, "fsync", number) for number in range(1, 7)),
        (os, "replace", 1),
    ],
)
def test_what_cannot_be_written_leaves_a_good_model_as_it_was(
    tmp_path, fill_disk, scores, owner, name, number
):
    out = tmp_path / "m"
    for kind in ("old", "new"):
        for file in ("weights", "curve"):
            (tmp_path / f"{kind}.{file}").write_text(f"{kind} {file}")
    old, new = (
        [str(tmp_path / f"{kind}.{file}") for file in ("weights", "curve")] for kind in ("old", "new")
    )
    write_model(out, *old, tiny_card(), [scores])
    before = content(out)
    fill_disk(owner, name, number)
    with pytest.raises(OSError, match="No space"):
        write_model(out, *new, tiny_card(threshold=0.2), [scores | {"method": "other"}])
    assert before.keys() == {Path(path).name for path in model_files(str(out))}
    assert content(out) == before


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(evaluation_report, "save_figure", 1), (runs, "evaluate", 1), (os, "fsync", 6)],
)
def test_an_evaluation_that_fails_leaves_a_good_model_as_it_was(
    tmp_path, monkeypatch, fill_disk, owner, name, number
):
    """On its last file, and while it measures what the new model is compared with."""
    monkeypatch.setattr(runs, "use_threads", lambda count: None)
    (tmp_path / "b").mkdir()
    calibration = labelled(tmp_path, "a")
    image = fits.getdata(tmp_path / "a.fits")
    held_out = labelled(tmp_path / "b", "b")
    fits.update(tmp_path / "b" / "b.fits", image[::-1], fits.getheader(tmp_path / "a.fits"))

    def evaluated(seed):
        keras.utils.set_random_seed(seed)
        weights, curve = tmp_path / f"{seed}.weights.h5", tmp_path / f"{seed}.csv"
        save_weights(lotss_unet(64, OPTIONS.widths), weights)
        curve.write_text(f"# {ABOUT}\nstep,loss,validation,seconds\n{seed},1,,1\n")
        run_evaluation(
            [held_out], [calibration], OPTIONS, str(weights), str(curve), "m", str(tmp_path / "m"), 1
        )

    evaluated(1)
    before = content(tmp_path / "m")
    fill_disk(owner, name, number)
    with pytest.raises(OSError, match="No space"):
        evaluated(2)
    assert before.keys() == {Path(path).name for path in model_files("m")}
    assert content(tmp_path / "m") == before
