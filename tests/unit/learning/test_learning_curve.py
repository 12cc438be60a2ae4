import pytest

from radiounet.errors import ModelError
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
    (tmp_path / "old.csv").write_text("step,loss\n1,0.5\n")
    assert read_about(tmp_path / "old.csv") == {}


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
    (tmp_path / "old.csv").write_text("step,loss\n")
    assert trained_options(tmp_path / "old.csv", given) == given
