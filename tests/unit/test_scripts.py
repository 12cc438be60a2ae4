import hashlib
import json
import os
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

from models import write_tiny_model
from programs import SCRIPTS as FOLDER
from programs import run_program, start
from radiounet.images.image import grid_wcs
from radiounet.settings.releases import DR2
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.small_survey import survey_header
from simulated import write_simulated
from skies import add_halo, draw_noise
from stages import own_image

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_explains_itself_and_is_short(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="^0$"):
        runpy.run_path(str(script), run_name="__main__")
    assert "usage:" in capsys.readouterr().out
    assert len(script.read_text().splitlines()) < 60


def test_every_rule_has_a_script_of_its_name():
    text = "\n".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for rule, body in re.findall(r"rule (\w+):(.*?)(?=\n\s*rule |\Z)", text, re.DOTALL):
        if "shell:" in body:
            assert f'"stage {rule} ' in body
            assert (ROOT / "scripts" / f"{rule}.py").is_file()
            for directive in ("log:", "threads:", "mem_mb=", "runtime=", "params:"):
                assert directive in body, (rule, directive)
            for inside, files in re.findall(r"^( +)(?:input|output):\n((?:\1 .*\n)+)", body, re.MULTILINE):
                entries = re.findall(rf"^{inside}    ([^\s)\]].*)$", files, re.MULTILINE)
                assert entries
                assert [one for one in entries if not re.match(r"\w+=|\*\*|unpack\(", one)] == [], rule


def test_modules_stay_below_400_lines():
    package = ROOT / "scripts/radiounet"
    sizes = {
        str(path.relative_to(package)): len(path.read_text().splitlines()) for path in package.rglob("*.py")
    }
    assert len(sizes) > 80
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def image(path, **changes):
    rng = np.random.default_rng(4)
    data = 1e-4 * draw_noise(300, 20 / 4.5, rng)
    add_halo(data, 150, 150, 1e-3, 20.0, rng)
    header = survey_header(grid_wcs(150.0, 35.0, 300, 4.5), "test", DR2)
    header.update(changes)
    fits.PrimaryHDU(data.astype(np.float32), header).writeto(path)
    return path


def test_one_image_from_the_command_line(tmp_path):
    clusters = Table({"name": ["A", "far"], "ra": [150.0, 10.0], "dec": [35.0, 10.0], "z": [0.2, 0.2]})
    clusters["R500"] = [5.0, 5.0]
    clusters["R500"].unit = "arcmin"
    clusters.write(tmp_path / "clusters.ecsv")
    done = start(
        "radiounet segment",
        *(image(tmp_path / "a.fits"), "--model", "lotss-unet", "--mode", "exact"),
        *("--clusters", tmp_path / "clusters.ecsv", "--out", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    planes = ["mask.fits", "overview.png", "prepared.fits", "probability.fits"]
    assert made == ["clusters.ecsv", "cutouts.fits", "islands.ecsv", *planes]
    probability = fits.getdata(tmp_path / "out" / "probability.fits")
    mask = fits.getdata(tmp_path / "out" / "mask.fits")
    assert probability.shape == mask.shape == (300, 300)
    assert mask[150, 150] == 1
    assert mask[10, 10] == 0
    rows = Table.read(tmp_path / "out" / "clusters.ecsv")
    assert list(rows["name"]) == ["A"]
    assert rows["p_diffuse"][0] > 0.9
    islands = Table.read(tmp_path / "out" / "islands.ecsv")
    assert islands["flux_mjy"].unit == "mJy"
    header = fits.getheader(tmp_path / "out" / "mask.fits")
    assert header["INPUTSHA"] == hashlib.sha256((tmp_path / "a.fits").read_bytes()).hexdigest()
    assert header["RESTFRQ"] == 1.44e8
    again = start(
        "radiounet segment", tmp_path / "a.fits", "--model", "lotss-unet", "--out", tmp_path / "out"
    )
    assert again.returncode == 0, again.stderr
    gone = f"{tmp_path}/out/clusters.ecsv, {tmp_path}/out/cutouts.fits"
    assert f"removed, since no clusters are given: {gone}" in again.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["islands.ecsv", *planes]


def test_a_folder_that_was_there_stays_where_an_image_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    done = start("radiounet segment", image(tmp_path / "k.fits", BUNIT="K"), "--out", tmp_path / "out")
    assert done.returncode == 65
    assert list((tmp_path / "out").iterdir()) == []


def test_bad_data_by_hand_is_an_error_and_in_a_survey_a_stand_in(tmp_path):
    path = image(tmp_path / "k.fits", BUNIT="K")
    arguments = ("--mosaic", "m", "--image", path, "--out", tmp_path / "t.h5")
    done = start("tile", *arguments)
    assert done.returncode == 65
    assert "UnitError" in done.stderr
    assert not (tmp_path / "t.h5").exists()
    done = start("tile", *arguments, "--on-reject", "continue", "--log", tmp_path / "tile.log")
    assert done.returncode == 0
    assert "UnitError" in (tmp_path / "tile.log").read_text()
    # the next stage passes the rejection on
    done = start(
        *("infer", tmp_path / "t.h5"),
        *("--out", tmp_path / "c.h5", "--on-reject", "continue"),
    )
    assert done.returncode == 0
    assert "rejected m in tile" in done.stderr


def test_a_rejection_by_a_stage_of_no_mosaic_leaves_no_gaps(tmp_path):
    pair = write_simulated(tmp_path / "pair.fits", SimulateOptions(n_px=128))
    files = ("--weights", tmp_path / "w.weights.h5", "--curve", tmp_path / "curve.csv")
    settings = ("--settings", '{"train": {"pixel_arcsec": 3.0, "crop_px": 64}}')
    done = start("train", "--pairs", pair, "--validation", pair, *files, *settings)
    assert done.returncode == 65
    said = done.stderr.rstrip("\n").partition("WARNING radiounet.running.stage: ")[2]
    assert said.startswith("rejected in train: GridError: ")
    assert not said.endswith("()")


def test_an_unknown_model_is_a_mistake_not_bad_data(tmp_path):
    path = image(tmp_path / "a.fits")
    model = ("--settings", '{"segmentation": {"model": "nothing"}}')
    done = start("tile", "--mosaic", "m", "--image", path, *model, "--out", tmp_path / "t.h5")
    assert done.returncode == 78
    assert "no model card" in done.stderr


def test_a_crash_leaves_its_reason_in_the_log(tmp_path):
    """A mistake of the program itself, which no error of ours names."""
    script = tmp_path / "broken.py"
    script.write_text(
        "from radiounet.running.stage import run_stage, stage_parser\n"
        "run_stage(stage_parser('Broken.').parse_args(), lambda: {}['ra_deg'])\n"
    )
    done = run_program(script, "--log", tmp_path / "log")
    assert done.returncode == 1
    assert "KeyError: 'ra_deg'" in (tmp_path / "log").read_text()


def test_segment_with_a_model_of_ones_own_leaves_nothing_of_another_image(tmp_path):
    write_tiny_model(tmp_path / "own")
    path, out = image(tmp_path / "a.fits"), tmp_path / "a-segmented"  # where it writes without --out
    options = ("radiounet segment", path, "--model", tmp_path / "own")
    done = start(*options, "--clusters", tmp_path / "absent.ecsv", cwd=tmp_path)
    assert done.returncode == 78
    assert "there is no cluster table" in done.stderr
    assert not out.exists()
    table = Table({"name": ["A"], "ra": [150.0], "dec": [35.0], "z": [0.2], "R500": [5.0]})
    table["R500"].unit = "arcmin"
    table.write(tmp_path / "clusters.ecsv")
    done = start(*options, "--clusters", tmp_path / "clusters.ecsv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (out / "clusters.ecsv").is_file()
    left = out / ".mask.fits.node0042-77.abcd1234.fits"  # of a program that was killed
    left.write_text("half")
    os.utime(left, (1e9, 1e9))
    done = start(*options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = sorted(one.name for one in out.iterdir())
    assert made == ["islands.ecsv", "mask.fits", "overview.png", "prepared.fits", "probability.fits"]
    before = {one: one.read_bytes() for one in out.iterdir()}
    kelvin = image(tmp_path / "k.fits", BUNIT="K")
    constant = image(tmp_path / "c.fits")
    with fits.open(constant, mode="update") as hdus:
        hdus[0].data[:] = 1e-4  # no noise
    for wrong, status in (("typo.fits", 78), (kelvin, 65), (constant, 65)):
        done = start("radiounet segment", wrong, "--model", tmp_path / "own", "--out", out)
        assert done.returncode == status
        assert str(wrong) in done.stderr
        assert ".prepared" not in done.stderr  # the copy that is read is gone by then
        assert {one: one.read_bytes() for one in out.iterdir()} == before
    card = tmp_path / "own" / "card.yaml"
    described = yaml.safe_load(card.read_text())
    other = described | {"widths": [2 * width for width in described["widths"]]}
    card.write_text(yaml.safe_dump(other))
    done = start("radiounet segment", path, "--model", tmp_path / "own", "--out", out)
    card.write_text(yaml.safe_dump(described))
    assert done.returncode == 78
    assert "do not fit" in done.stderr
    assert {one: one.read_bytes() for one in out.iterdir()} == before
    done = start(*options, "--unit", "R500=Mpc", tmp_path / "clusters.ecsv", cwd=tmp_path)
    assert done.returncode == 78
    assert "give --clusters too, before --unit" in done.stderr


def catalogue_at(url):
    return "--settings", json.dumps({"archive": {"clusters": {"psz2": {"url": str(url)}}}})


def test_a_catalogue_service_that_answers_with_an_error_is_tried_again(tmp_path):
    (tmp_path / "answer").write_text(
        '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        '<INFO name="QUERY_STATUS" value="ERROR">come back at noon</INFO></RESOURCE></VOTABLE>'
    )
    out = tmp_path / "psz2.ecsv"
    done = start(
        *("fetch_clusters", "--source", "{}", "--name", "psz2", *catalogue_at(tmp_path / "answer")),
        *("--out", out),
    )
    assert done.returncode == 75
    assert "come back at noon" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer"]


COMMANDS = {
    "segment, clusters": ("radiounet segment", "a.fits", "--clusters", "clusters.ecsv", "--out", "."),
    "segment, image": ("radiounet segment", "mask.fits", "--out", "."),
    "segment, a file of another program": ("radiounet segment", "a.fits", "--out", "."),
    "segment, log": ("radiounet segment", "a.fits", "--out", "new", "--log", "a.fits"),
    "segment, out is a file": ("radiounet segment", "a.fits", "--out", "notes.txt"),
    "segment, the model": (
        "radiounet segment",
        "a.fits",
        "--model",
        "model",
        "--out",
        "new",
        "--log",
        "model/card.yaml",
    ),
    "prepare_image": (
        *("prepare_image", "--name", "m", "--settings", own_image("m", "link.fits")),
        *("--out", "a.fits"),
    ),
    "tile": ("tile", "--mosaic", "m", "--image", "a.fits", "--out", "notes.txt"),
    "infer": ("infer", "notes.txt", "--out", "./notes.txt"),
    "mosaic": (
        *("radiounet mosaic", "--image", "a.fits", "--weight", "mask.fits", "--like", "a.fits"),
        *("--out", "new.fits", "--out-weight", "mask.fits"),
    ),
    "mosaic, twice the same": (
        *("radiounet mosaic", "--image", "a.fits", "--weight", "a.fits", "--like", "a.fits"),
        *("--out", "new.fits", "--out-weight", "new.fits"),
    ),
    "compare": (
        "radiounet compare",
        "--ours",
        "a.fits",
        "--published",
        "mask.fits",
        "--out",
        "notes.txt",
    ),
    "simulate": ("radiounet simulate", "--pair", "1", "--out", "a.fits"),
    "list_images": ("list_images", "--settings", own_image("a", "a.fits"), "--out", "link.fits"),
    "fetch_clusters": (
        *("fetch_clusters", "--source", "{}", "--name", "psz2", *catalogue_at("clusters.ecsv")),
        *("--out", "clusters.ecsv"),
    ),
    "merge_clusters": (
        *("merge_clusters", "--settings", json.dumps({"clusters": ["clusters.ecsv", "a.fits"]})),
        *("--out", "clusters.ecsv"),
    ),
    "fetch-model": ("radiounet fetch-model", "--name", "mine", "--from", "a.fits", "--out", "model"),
    "train": ("radiounet train", "--pairs", "a.fits:mask.fits", "--weights", "mask.fits", "--curve", "c.csv"),
    "train_leg": ("train_leg", "--folder", "notes.txt"),
    "plan": ("plan", "--out", "notes.txt"),
    "demo": ("demo", "--out", "."),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_is_read_or_is_not_ours_stays_as_it_is(tmp_path, command):
    image(tmp_path / "a.fits")
    image(tmp_path / "mask.fits")
    (tmp_path / "link.fits").symlink_to("a.fits")
    (tmp_path / "clusters.ecsv").write_text("a table of the user's own")
    (tmp_path / "notes.txt").write_text("notes of the user")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.yaml").write_text("a card of the user")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = start(*command, cwd=tmp_path)
    assert done.returncode in (2, 78), done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert any(reason in said for reason in ("is read", "was not made by", "is no f", "are one file")), said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


COMPARED = ("radiounet compare", "--ours", "a.fits", "--published", "b.fits", "--out", "o")


def test_section_in_json_that_cannot_be_used_is_named(tmp_path):
    table = tmp_path / "t.ecsv"
    done = start(
        *("fetch_clusters", "--source", "{}", "--name", "psz2", "--out", table),
        *("--settings", '{"archive": {"download": {"attempts": 0}}}'),
    )
    assert done.returncode == 2
    assert "argument --settings" in done.stderr
    assert "- archive.download.attempts: 0 is not allowed" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("radiounet simulate", "--pair", "-1", "--out", "p.fits"), "argument --pair: -1 is less than 0"),
        (
            ("radiounet simulate", "--pair", "1.5", "--out", "p.fits"),
            "argument --pair: invalid whole number value: '1.5'",
        ),
        (("infer", "t.h5", "--out", "c.h5", "--threads", "0"), "0 is less than 1"),
        (
            ("radiounet label", "r", "--out", "l.ecsv", "--port", "70000"),
            "argument --port: 70000 is more than 65535",
        ),
        (("radiounet label", "r", "--out", "l.ecsv", "--port", "-1"), "argument --port: -1 is less than 0"),
        ((*COMPARED, "--min-snr", "nan"), "argument --min-snr: nan is not a finite number above 0"),
        ((*COMPARED, "--min-snr=-1"), "argument --min-snr: -1 is not a finite number above 0"),
        ((*COMPARED, "--min-snr", "inf"), "argument --min-snr: inf is not a finite number above 0"),
        ((*COMPARED, "--min-snr", "ten"), "argument --min-snr: invalid number value: 'ten'"),
        (("train_leg", "--folder", "leg", "--minutes", "nan"), "argument --minutes: nan is not a finite"),
        (("publish_tiles", "--part", "768", "--record", "r"), "argument --part: 768 is more than 767"),
        (("publish_tiles", "--part", "-1", "--record", "r"), "argument --part: -1 is less than 0"),
        (("infer", "t.h5", "--out", "c.h5"), "ConfigError: there is no file t.h5"),
        (
            ("tile", "--mosaic", "m", "--image", "no.fits", "--out", "t"),
            "there is no file no.fits",
        ),
        (("radiounet segment", "no.fits", "--out", "new", "--h0", "inf"), "h0: inf is not allowed"),
        (
            ("radiounet segment", "no.fits", "--out", "new", "--model", "/etc/passwd"),
            "no model card at /etc/passwd/card.yaml",
        ),
        (("radiounet fetch-model", "--name", "a" * 240, "--url", "x"), "cannot be the name of a model"),
        (("radiounet fetch-model", "--name", "../x", "--url", "x"), "cannot be the name of a model"),
        (("fetch_model", "--name", "../x"), "archive.models has no ../x"),
        (
            ("fetch_clusters", "--source", "{}", "--name", "none", "--out", "c.ecsv"),
            "archive.clusters has no none",
        ),
        (("plan", "--settings", "[1]", "--out", "p.md"), "give keys of the configuration in braces"),
        (
            ("prepare_image", "--name", "b", "--settings", own_image("a", "a.fits"), "--out", "b.fits"),
            "no image b",
        ),
        (("list_images", "--out", "l.csv"), "mosaics.images names none"),
        (("mosaic", "--root", "r", "--mosaic", "m", "--fields", "f"), "--list is needed"),
        (("plan", "--settings", "{", "--out", "p.md"), "argument --settings: Expecting property name"),
        (("tile", "--settings", '{"segmentation": {"mod": "exact"}}'), "segmentation.mod"),
        (("radiounet segment", "no.fits", "--out", ""), "ConfigError: out is empty"),
        (("train_leg", "--folder", "leg", "--cores", "0"), "argument --cores: 0 is less than 1"),
        (("train_leg", "--folder", "leg", "--first-seed", "899990"), "those that no network is trained on"),
        (("radiounet compare", "--ours", "a", "--published", "b", "--out="), "ConfigError: out is empty"),
        (("infer", "t.h5", "", "--out", "a", "b"), "ConfigError: tiles is empty"),
        (
            (*("fetch_field", "--field", "f", "--int-image", "i", "--app-image", "a", "--source", "s"),),
            "archive.<release> has no field",
        ),
    ],
)
def test_mistakes_of_the_command_line_are_named(tmp_path, command, said):
    done = start(*command, cwd=tmp_path)
    assert done.returncode in (2, 78), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
