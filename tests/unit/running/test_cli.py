"""The command ``radiounet``; what its verbs write is tested with what they call."""

import argparse
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import radiounet
from models import write_tiny_model
from programs import ROOT, start
from radiounet.images.image import grid_wcs
from radiounet.images.model_files import model_files
from radiounet.images.provenance import sha256_of
from radiounet.network.model_cards import read_card
from radiounet.running.cli import VERBS, main
from radiounet.running.parsers import new_parser
from radiounet.settings.archive import PUBLISHED_MODELS
from radiounet.settings.simulate import SimulateOptions
from simulated import write_simulated
from stages import write_image as a_halo

GUARDED = """
import sys
from radiounet.running.cli import main
try:
    main()
finally:
    assert not {"tensorflow", "keras", "torch"} & set(sys.modules)
"""

NO_BACKEND = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from radiounet.running.cli import main
main()
"""


def helped(*arguments) -> str:
    command = [sys.executable, "-c", GUARDED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples_and_without_a_network(verb):
    text = helped(verb, "--help")
    assert text.startswith(f"usage: radiounet {verb} ")
    examples = text.partition("\nexamples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith((f"  radiounet {verb} ", "      --")) for line in examples)


def test_the_command_names_its_verbs_and_its_version():
    text = helped("--help")
    for verb, (_, summary) in VERBS.items():
        assert f"  {verb:<20}{summary}\n" in text
    assert "\nexamples:\n" in text
    assert helped("--version") == f"radiounet {radiounet.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: VERB"),
        (["segmnt"], "invalid choice: 'segmnt'"),
        (["segment"], "the following arguments are required: image"),
        (
            ["segment", "a.fits", "--out", "o", "--on-reject", "continue"],
            "unrecognized arguments: --on-reject",
        ),
        (["segment", "a.fits", "--out", "o", "--mode", "fast"], "invalid choice: 'fast'"),
        (["mosaic", "--like", "g.fits", "--out", "o"], "required: --image, --weight, --out-weight"),
        (
            [
                *[
                    "mosaic",
                    "--image",
                    "a",
                    "--image",
                    "b",
                    "--weight",
                    "w",
                    "--like",
                    "g",
                    "--out",
                    "o",
                    "--out-weight",
                    "p",
                ]
            ],
            "2 images, but 1 weights",
        ),
        (["compare", "--ours", "a.fits", "--out", "o"], "required: --published"),
        (["fetch-model", "--name", "mine"], "no published model is called mine: give --url or --from"),
        (["fetch-model", "--name", "mine", "--url", "u", "--from", "f"], "not allowed with argument --url"),
        (["simulate", "--pair", "-1", "--out", "p.fits"], "-1 is less than 0"),
        (["train", "--weights", "w", "--curve", "c"], "required: --pairs"),
        (["evaluate", "--name", "n"], "required: --held-out-pairs"),
        (["kit", "results/dr2", "--out", "o"], "required: NAME"),
        (["evaluate-catalogue", "c.fits"], "required: labels, --out"),
    ],
)
def test_wrong_use_is_named(capsys, arguments, said):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", PUBLISHED_MODELS)
def test_a_published_model_is_fetched_by_its_name(tmp_path, monkeypatch, name):
    asked = []
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)
    monkeypatch.setattr("radiounet.network.saved_model.fetch_model", lambda *given: asked.append(given))
    main(["fetch-model", "--name", name, "--threshold", "0.4", "--out", str(tmp_path / "m")])
    ((found, published, _, folder),) = asked
    assert (found, folder) == (name, tmp_path / "m")
    assert published.model_dump(include={"url", "checksum", "threshold"}) == PUBLISHED_MODELS[name] | {
        "threshold": 0.4
    }


def write_image(path, data, **cards):
    header = grid_wcs(150.0, 35.0, 100, 4.5).to_header()
    header.update(cards)
    fits.PrimaryHDU(np.full((100, 100), data, np.float32), header).writeto(path)
    return path


def test_two_images_are_joined_by_their_weights(tmp_path):
    given = []
    for name, value, weight in (("a", 1.0, 3.0), ("b", 2.0, 1.0)):
        image = write_image(tmp_path / f"{name}.fits", value, BUNIT="JY/BEAM")
        given += ["--image", image, "--weight", write_image(tmp_path / f"{name}.weight.fits", weight)]
    out, out_weight = tmp_path / "o.fits", tmp_path / "w.fits"
    done = start(
        "radiounet mosaic", *given, "--like", tmp_path / "a.fits", "--out", out, "--out-weight", out_weight
    )
    assert done.returncode == 0, done.stderr
    # (3 x 1 + 1 x 2) / (3 + 1)
    np.testing.assert_allclose(fits.getdata(out)[1:-1, 1:-1], 1.25, rtol=1e-6)
    np.testing.assert_allclose(fits.getdata(out_weight)[1:-1, 1:-1], 4, rtol=1e-6)


SKY = {"n_px": 128, "clusters_per_deg2": (120.0, 120.0), "diffuse_fraction": (0.5, 0.5)}


@pytest.mark.slow
def test_a_network_is_trained_and_evaluated_on_simulated_pairs(tmp_path):
    pairs = [write_simulated(tmp_path / f"{seed}.fits", SimulateOptions(**SKY), seed) for seed in range(4)]
    sky = ["--n-px", "128", "--clusters-per-deg2", "120", "120", "--diffuse-fraction", "0.5", "0.5"]
    done = start("radiounet simulate", "--pair", 2, *sky, "--out", tmp_path / "again.fits")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.fits").read_bytes() == Path(pairs[2]).read_bytes()
    made = ("--weights", tmp_path / "new.weights.h5", "--curve", tmp_path / "new.csv")
    network = [
        "--widths",
        "4",
        "8",
        "--crop-px",
        "64",
        "--batch",
        "2",
        "--steps",
        "2",
        "--checkpoint-steps",
        "2",
        "--buffer",
        "2",
    ]
    done = start("radiounet train", "--pairs", *pairs[:2], *made, *network, "--precision", "float32")
    assert done.returncode == 0, done.stderr
    assert "step 2 of 2" in done.stderr
    images = ("--calibration-pairs", pairs[2], "--held-out-pairs", pairs[3])
    where = ("--name", "new", "--out", tmp_path / "new", "--tile-px", 128, "--core-px", 64)
    done = start("radiounet evaluate", *images, *made, *where)
    assert done.returncode == 0, done.stderr
    assert sorted(map(str, (tmp_path / "new").iterdir())) == sorted(model_files(str(tmp_path / "new")))
    assert read_card(tmp_path / "new").widths == (4, 8)


def test_models_are_scored_on_a_folder_only_if_it_is_there_and_labelled(tmp_path):
    out = ("--out", tmp_path / "out")
    done = start("radiounet score", "lotss-unet", "--on", tmp_path / "nowhere", *out)
    assert done.returncode == 78
    assert "there is no folder" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "mine").mkdir()
    write_image(tmp_path / "mine" / "a.fits", 1e-4)
    done = start("radiounet score", "lotss-unet", "--on", tmp_path / "mine", *out)
    assert done.returncode == 78
    assert "a.fits has no labels" in done.stderr
    done = start("radiounet score", "lotss-unet", "--on", tmp_path / "mine", tmp_path / "x" / "mine", *out)
    assert done.returncode == 2
    assert "one folder" in done.stderr


def test_bad_data_and_a_model_that_is_not_there_have_their_own_status(tmp_path):
    kelvin = write_image(tmp_path / "k.fits", 1.0, BUNIT="K")
    done = start("radiounet segment", kelvin, "--out", tmp_path / "out" / "deep")
    assert done.returncode == 65
    # nothing of a survey was rejected
    assert "rejected" not in done.stderr
    assert f"UnitError: {kelvin} has BUNIT 'K'" in done.stderr
    assert not (tmp_path / "out").exists()
    done = start("radiounet segment", kelvin, "--model", "nothing", "--out", tmp_path / "out")
    assert done.returncode == 78
    assert "radiounet fetch-model" in done.stderr
    assert "Traceback" not in done.stderr
    for options in (("nothing.fits",), (kelvin, "--clusters", "nothing.csv")):
        done = start("radiounet segment", *options, "--out", tmp_path / "out")
        assert done.returncode == 78
        said = f"ConfigError: ({options[-1]} is not there|there is no cluster table {options[-1]})"
        assert re.search(said, done.stderr)


def test_a_missing_beam_is_to_be_given_where_it_can_be(tmp_path):
    """Of these verbs only segment has an option for it, as each of them says."""
    image = write_image(tmp_path / "a.fits", 1.0, BUNIT="JY/BEAM")
    weight = write_image(tmp_path / "w.fits", 1.0)
    out = tmp_path / "out"
    products = ("--out", out, "--out-weight", tmp_path / "ow.fits")
    for status, *arguments in (
        (65, "segment", image, "--out", out),
        (65, "compare", "--ours", image, "--published", image, "--out", out),
        (0, "mosaic", "--image", image, "--weight", weight, "--like", image, *products),
    ):
        done = start(f"radiounet {arguments[0]}", *arguments[1:])
        assert done.returncode == status
        advice = "write BMAJ, BMIN and BPA (deg) into its header; radiounet segment also takes --beam"
        assert f"{image} has no BMAJ and no BMIN: {advice}" in done.stderr


def test_a_table_of_components_that_cannot_be_used_deletes_nothing(tmp_path):
    model = tmp_path / "models" / "tiny"
    write_tiny_model(model)
    image, out = a_halo(tmp_path / "a.fits"), tmp_path / "out"
    done = start("radiounet segment", image, "--model", model, "--out", out)
    assert done.returncode == 0, done.stderr
    before = {path.name: sha256_of(path) for path in out.iterdir()}
    assert {"islands.ecsv", "mask.fits", "overview.png"} <= set(before)
    (tmp_path / "text.fits").write_text("not a table\n")
    (tmp_path / "columns.csv").write_text("name,size\na,1\n")
    for name in ("missing.fits", "text.fits", "columns.csv", "models"):
        table = tmp_path / name
        done = start("radiounet segment", image, "--model", model, "--components", table, "--out", out)
        assert done.returncode == 78
        assert str(table) in done.stderr
        assert "Traceback" not in done.stderr
        assert {path.name: sha256_of(path) for path in out.iterdir()} == before


def test_a_keras_without_a_backend_is_explained(tmp_path):
    noise = np.random.default_rng(1).normal(0.0, 1e-4, (100, 100))
    image = write_image(tmp_path / "a.fits", noise, BUNIT="JY/BEAM", BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    done = subprocess.run(
        [sys.executable, "-c", NO_BACKEND, "segment", str(image), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    assert "the networks need tensorflow, which is not installed: install radiounet[cpu]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_of_a_verb_is_empty_by_default(verb, monkeypatch):
    """A verb refuses empty words, so that a default must not be one."""
    parsers = []
    monkeypatch.setattr(
        argparse.ArgumentParser, "parse_args", lambda parser, *_: parsers.append(parser) or sys.exit(0)
    )
    module = import_module(f"radiounet.running.{VERBS[verb][0]}")
    with pytest.raises(SystemExit):
        getattr(module, verb.replace("-", "_"))([])
    defaults = {action.dest: action.default for action in parsers[-1]._actions}
    assert "log" in defaults
    assert "" not in defaults.values()


@pytest.mark.parametrize("verb", VERBS)
def test_no_help_speaks_of_null(verb, capsys):
    """A command line has none: what an option does that is not given is told in words."""
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert re.findall(r"\bnull\b|default: None", text) == []
    if verb == "segment":
        assert "begins; by default the model's own" in " ".join(text.split())


def test_no_option_can_be_abbreviated():
    """Of no program: all have their parser from one place."""
    programs = [path for folder in ("scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    makers = [path.name for path in programs if "ArgumentParser(" in path.read_text()]
    assert makers == ["parsers.py"]
    parser = new_parser()
    parser.add_argument("--version", action="store_true")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--vers"])


def test_the_command_itself_takes_no_abbreviation(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--vers"])
    assert "radiounet: error: " in capsys.readouterr().err
