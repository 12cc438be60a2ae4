"""Training and evaluation with files that are not what their options ask for."""

import numpy as np
import pytest
from astropy.io import fits

from models import write_tiny_model
from programs import start
from radiounet.errors import ConfigError
from radiounet.learning import runs
from radiounet.learning.learning_curve import write_curve
from radiounet.learning.option_checks import network_faults, require_trainable
from radiounet.learning.runs import run_training
from radiounet.running.cli import main
from radiounet.settings.train import TrainOptions
from simulated import write_simulated
from wide import CROWDED

OPTIONS = TrainOptions(widths=[4, 8], tile_px=64, core_px=32, crop_px=64, steps=1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Weights with their learning curve, an image, and files that are something else."""
    folder = tmp_path_factory.mktemp("files")
    for name, widths in (("right", [4, 8]), ("other", [4, 8, 8])):
        write_tiny_model(folder / name, widths=widths)
        (folder / name / "network.weights.h5").rename(folder / f"{name}.weights.h5")
    (folder / "npz.npz").write_bytes((folder / "right.weights.h5").read_bytes())
    about = {"options": OPTIONS.model_dump(mode="json"), "pairs": {"number": 1, "set": "elsewhere"}}
    write_curve(folder / "right.csv", [[1, "0.5", "", "3"]], about)
    (folder / "bytes.weights.h5").write_bytes(bytes(range(256)) * 20)
    (folder / "empty.weights.h5").touch()
    (folder / "folder.weights.h5").mkdir()
    write_simulated(folder / "pair.fits", CROWDED)
    fits.PrimaryHDU(fits.getdata(folder / "pair.fits")).writeto(folder / "image.weights.h5")
    (folder / "table.csv").write_text("step,loss\n1,0.5\n")
    return folder


def evaluate(place, weights, curve, tile_px=64):
    pair = place / "pair.fits"
    files = ("--weights", place / weights, "--curve", place / curve)
    words = ("--name", "m", "--out", place / "m", "--tile-px", tile_px, "--core-px", 32)
    return start("radiounet evaluate", "--calibration-pairs", pair, "--held-out-pairs", pair, *files, *words)


@pytest.mark.parametrize(
    ("weights", "curve", "said"),
    [
        ("none.weights.h5", "right.csv", "there are no weights"),
        ("folder.weights.h5", "right.csv", "there are no weights"),
        ("image.weights.h5", "right.csv", "image.weights.h5 do not fit lotss_unet with widths [4, 8]"),
        ("bytes.weights.h5", "right.csv", "bytes.weights.h5 do not fit lotss_unet"),
        ("empty.weights.h5", "right.csv", "empty.weights.h5 do not fit lotss_unet"),
        (
            "other.weights.h5",
            "right.csv",
            "other.weights.h5 do not fit lotss_unet with widths [4, 8]: they are of",
        ),
        ("pair.fits", "right.csv", "pair.fits: its name must end in .weights.h5"),
        ("npz.npz", "right.csv", "npz.npz: its name must end in .weights.h5"),
        ("right.weights.h5", "none.csv", "there is no learning curve"),
        ("right.weights.h5", "folder.weights.h5", "there is no learning curve"),
        ("right.weights.h5", "table.csv", "table.csv is not a learning curve of radiounet train"),
        ("right.csv", "right.weights.h5", "right.weights.h5 is not a learning curve of radiounet train"),
    ],
)
def test_wrong_weights_and_curves_are_named_in_one_line(place, weights, curve, said):
    done = evaluate(place, weights, curve)
    assert done.returncode == 78, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "Error: " in line]
    assert said in line
    assert "Traceback" not in done.stderr
    assert not (place / "m").exists()


def test_an_evaluation_looks_at_its_tiles_before_its_images(place):
    done = evaluate(place, "right.weights.h5", "right.csv", tile_px=36)
    assert done.returncode != 0
    assert "a tile of 36 px is not a multiple of 8 px" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "m").exists()


def test_an_evaluation_on_the_images_that_settle_thresholds_is_refused(place):
    done = evaluate(place, "right.weights.h5", "right.csv")
    assert done.returncode == 78, done.stderr
    pair = place / "pair.fits"
    assert (
        f"{pair} is to be measured on, and has the pixels or the seeds of {pair}, which thresholds are"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (place / "m").exists()


@pytest.mark.parametrize("name", ["t1.h5", "t1.npz", "t1.keras", "t1", "weights.h5", "t1.weights.h5.bak"])
def test_weights_that_could_not_be_read_again_are_not_trained(tmp_path, monkeypatch, name):
    monkeypatch.setattr(runs, "train", None)
    with pytest.raises(ConfigError, match=rf"--weights .*{name}: its name must end in \.weights\.h5"):
        run_training(["p.fits"], [], OPTIONS, str(tmp_path / name), str(tmp_path / "c.csv"))
    assert not [*tmp_path.iterdir()]


def test_crops_are_looked_at_before_hard_places_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "hard_negatives", None)
    options = OPTIONS.model_copy(update={"crop_px": 20, "hard_from": "lotss-unet"})
    with pytest.raises(ConfigError, match="crop_px is 20 px, no multiple of 8"):
        run_training(["p.fits"], [], options, str(tmp_path / "w.weights.h5"), str(tmp_path / "c.csv"))


def test_a_training_is_not_refused_for_a_tile_of_which_its_command_has_no_option():
    """9 levels need 1024 px, more than the default of a tile, which only an evaluation sets."""
    deep = TrainOptions(widths=[4] * 9, crop_px=1024)
    require_trainable(deep)
    with pytest.raises(ConfigError, match="crop_px is 320 px, no multiple of 1024"):
        require_trainable(deep.model_copy(update={"crop_px": 320}))
    said = "tile_px is 512 px, no multiple of 1024, as lotss_unet with 9 widths needs"
    assert network_faults(deep, "crop_px", "tile_px") == [said]
    assert network_faults(deep.model_copy(update={"tile_px": 2048}), "crop_px", "tile_px") == []


@pytest.fixture
def trained(monkeypatch):
    """What a training was asked for, which does not take place."""
    asked = []
    monkeypatch.setattr("radiounet.running.model_verbs.run_stage", lambda args, *_, **__: asked.append(args))
    return asked


MADE = ("--weights", "w.weights.h5", "--curve", "c.csv")


IMAGES = ("--held-out-pairs", "h.fits", "--calibration-pairs", "c.fits", "--name", "m", "--out", "m")


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        *(("train", (f"--{name}", "2")) for name in ("fields", "calibrate", "max-false-per-deg2", "compare")),
        *((verb, ("--held-out", "2")) for verb in ("train", "evaluate")),
        *(("train", (f"--{name}", "2")) for name in ("tile-px", "core-px")),
        *(("evaluate", (f"--{name}", "2")) for name in ("fields", "calibrate", "steps", "truth-snr")),
        ("evaluate", ("--pixel-arcsec", "6", "--beam-arcsec", "25")),
        ("evaluate", ("--initial", "lotss-unet", "--frozen-layers", "20")),
    ],
)
def test_an_option_that_would_not_count_is_refused(trained, capsys, verb, options):
    with pytest.raises(SystemExit, match="2"):
        main([verb, *(("--pairs", "p.fits") if verb == "train" else IMAGES), *MADE, *options])
    assert f"unrecognized arguments: {options[0]}" in capsys.readouterr().err
    assert not trained


def test_an_evaluation_takes_all_options_that_it_has(monkeypatch):
    asked = []
    monkeypatch.setattr("radiounet.running.model_verbs.run_stage", lambda args, work, **_: work())
    monkeypatch.setattr(runs, "run_evaluation", lambda *given: asked.append(given[2]))
    given = ("--tile-px", "64", "--core-px", "32", "--max-false-per-deg2", "1", "--compare", "a", "b")
    main(["evaluate", *IMAGES, *MADE, *given])
    assert asked == [TrainOptions(tile_px=64, core_px=32, max_false_per_deg2=1, compare=["a", "b"])]


def test_pairs_are_read_from_files(tmp_path, trained):
    (tmp_path / "pairs.txt").write_text("a b.fits:mask.fits\n\né.fits\r\n", encoding="utf-8")
    listed = f"@{tmp_path}/pairs.txt"
    main(["train", "--pairs", "1.fits", listed, "--validation", listed, "2.fits", *MADE])
    (args,) = trained
    assert args.pairs == ["1.fits", "a b.fits:mask.fits", "é.fits"]
    assert args.validation == ["a b.fits:mask.fits", "é.fits", "2.fits"]


@pytest.mark.parametrize("option", ["--pairs", "--validation"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.txt", "none.txt cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("empty.txt", "empty.txt is not a text file with a name in each line"),
        ("blank.txt", "blank.txt is not a text file"),
        ("image.fits", "image.fits is not a text file"),
        ("zeros.fits", "zeros.fits is not a text file"),
        ("latin.txt", "latin.txt is not a text file"),
        ("bytes", "bytes is not a text file"),
    ],
)
def test_a_file_that_is_no_list_is_named_with_its_option(tmp_path, trained, capsys, option, name, said):
    fits.PrimaryHDU(np.full((9, 9), -1.5)).writeto(tmp_path / "image.fits")
    fits.PrimaryHDU(np.zeros((9, 9))).writeto(tmp_path / "zeros.fits")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.txt").write_text(" \n\n")
    (tmp_path / "latin.txt").write_text("é.fits\n", encoding="latin-1")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--pairs", "p.fits", option, f"@{tmp_path}/{name}", *MADE])
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"radiounet train: error: argument {option}: ")
    assert said in line
    assert not trained
