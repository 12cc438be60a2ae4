import pytest

from radiounet.errors import ConfigError, ModelError, UnreadableError
from radiounet.images.provenance import code_hash
from radiounet.learning.learning_curve import (
    COLUMNS,
    origin_of,
    read_about,
    require_unseen,
    trained_options,
    write_curve,
)
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions
from simulated import edit_pair, write_simulated


def simulated(folder, seed, base=7, **cards):
    path = folder / f"{base}-{seed}.fits"
    write_simulated(path, SimulateOptions(n_px=64, seed=base), seed)
    edit_pair(path, **cards)
    return str(path)


def test_a_curve_comes_back_with_what_was_said_of_it(tmp_path):
    write_curve(tmp_path / "c.csv", [[1, "0.5", "", "3"]], {"devices": "2 CPU threads"})
    assert read_about(tmp_path / "c.csv") == {"devices": "2 CPU threads"}
    assert (tmp_path / "c.csv").read_text().splitlines()[1:] == [",".join(COLUMNS), "1,0.5,,3"]


TOLD = '# {"options": {}}\n'
COMPLETE = "step,loss,validation,seconds\n1,0.5,,3\n"


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "\n",
            "a,b\n1,2\n",
            COMPLETE,
            "# a comment\n" + COMPLETE,
            "# 5\n" + COMPLETE,
            "# [1]\n" + COMPLETE,
        ),
        *(
            TOLD,
            TOLD + "step,loss\n1,0.5\n",
            TOLD + TOLD + COMPLETE,
            TOLD[2:] + COMPLETE,
            b"\x89HDF\r\n\xff\xfe",
        ),
        *(b"\0" * 3000, b"SIMPLE  =                    T" + b" " * 2850),
    ],
)
def test_what_is_no_learning_curve_is_refused_by_name(tmp_path, content):
    path = tmp_path / "c.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (read_about, lambda path: trained_options(path, TrainOptions())):
        with pytest.raises(
            ConfigError, match=r"c\.csv is not a learning curve of radiounet train, .* step, loss"
        ):
            read(path)


def test_a_learning_curve_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ConfigError, match=f"there is no learning curve {path}"):
            read_about(path)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"devices": "2 CPU threads"}, "does not say with which options"),
        ({"options": [1]}, "does not say with which options"),
        ({"options": {"steps": 0}}, "steps: 0 is not allowed"),
        ({"options": {"truth_sigma": 0.25}}, "truth_sigma: unknown key .* now called truth_snr"),
    ],
)
def test_options_that_a_learning_curve_does_not_tell_are_not_made_up(tmp_path, about, says):
    write_curve(tmp_path / "c.csv", [], about)
    with pytest.raises(ConfigError, match=rf"c\.csv [\s\S]*{says}"):
        trained_options(tmp_path / "c.csv", TrainOptions())


def test_images_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "text.fits").write_text("text")
    for name in ("none.fits", "text.fits"):
        for read in (origin_of, lambda paths: require_unseen("m", {}, paths)):
            with pytest.raises(UnreadableError, match=name):
                read([str(tmp_path / name)])


def test_origin_of_images(tmp_path):
    paths = [simulated(tmp_path, 3), simulated(tmp_path, 9, CODEHASH="def"), "image.fits:truth.fits"]
    assert origin_of(paths) == {
        "number": 3,
        "set": "radiounet.simulation.simulate, base seed 7; images given with their truth",
        "seeds": [3, 9],
        "code": sorted([code_hash(), "def"]),
    }
    assert origin_of(["image.fits:truth.fits"]) == {"number": 1, "set": "images given with their truth"}


@pytest.mark.parametrize(
    ("seed", "base", "refused"), [(4, 7, True), (9, 7, True), (10, 7, False), (2, 7, False), (4, 8, False)]
)
@pytest.mark.parametrize("what", ["pairs", "calibration"])
@pytest.mark.parametrize("before", [False, True])
def test_models_are_not_measured_on_what_they_were_made_with(tmp_path, seed, base, refused, what, before):
    training = {what: origin_of([simulated(tmp_path, 3), simulated(tmp_path, 9)])}
    if before:
        training = {"pairs": {"set": "elsewhere"}, "initial": {"name": "first", "training": training}}
    (tmp_path / "other").mkdir()
    held_out = [simulated(tmp_path / "other", seed, base)]
    if refused:
        with pytest.raises(ModelError, match=f"tiny: its {what} .* images 3 to 9: .* {seed} to {seed}"):
            require_unseen("tiny", training, held_out)
    else:
        require_unseen("tiny", training, held_out)


@pytest.mark.parametrize("training", [{}, {"data": "elsewhere", "initial": None}])
def test_a_model_that_tells_no_images_is_measured(tmp_path, training):
    require_unseen("tiny", training, [simulated(tmp_path, 3)])


def test_options_are_those_of_the_training_but_for_evaluation(tmp_path):
    """As after fine-tuning, whose options nobody repeats when evaluating."""
    trained = TrainOptions(steps=500, learning_rate=1e-4, initial="lotss-unet", tile_px=256)
    write_curve(tmp_path / "c.csv", [], {"options": trained.model_dump(mode="json")})
    given = TrainOptions(compare=["lotss-unet"], held_out=9)
    merged = trained_options(tmp_path / "c.csv", given)
    assert (merged.steps, merged.learning_rate, merged.initial) == (500, 1e-4, "lotss-unet")
    assert (merged.compare, merged.held_out, merged.tile_px) == (["lotss-unet"], 9, 512)
