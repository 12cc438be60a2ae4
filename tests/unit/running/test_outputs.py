"""No program removes or overwrites what it reads, or what it did not make."""

import argparse
import logging
import os
import runpy
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images import products
from radiounet.images.provenance import code_hash, provenance, sha256_of
from radiounet.images.rejections import Rejection, write_rejected
from radiounet.images.squares import Mosaic
from radiounet.images.writing import write_ecsv, write_fits, write_json
from radiounet.learning import learning_curve
from radiounet.measuring import catalogue
from radiounet.publishing.report import TEMPLATE
from radiounet.running.log import FORMAT
from radiounet.running.outputs import claim_outputs, made_here
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.config import Config
from radiounet.settings.configuration_file import write_configuration
from radiounet.survey import lists
from radiounet.survey.archive import fetch_candidates

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
NO_STAGE = ("demo", "train_leg")
WORDS = {
    *("settings", "release", "catalogue", "beam", "touched", "log"),
    *("field", "fields", "mosaic", "beside", "model", "name", "names", "root", "out", "source", "submitted"),
}
"""Options with text that is no file of its own: ``root`` and ``out`` of folders stand for what is derived."""
PAIRS = {"pairs", "validation", "held_out_pairs", "calibration_pairs"}


class _FoundError(Exception):
    pass


def parser_of(script):
    """Parser of a script, as it is when the script parses its command line."""
    with pytest.MonkeyPatch.context() as patch:

        def stop(self, *_):
            raise _FoundError(self)

        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [str(script)])
        patch.setattr(sys, "path", [str(script.parent), *sys.path])
        with pytest.raises(_FoundError) as found:
            runpy.run_path(str(script), run_name="__main__")
    return found.value.args[0]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_says_which_options_are_files(script):
    parser = parser_of(script)
    if script.stem in NO_STAGE:
        assert (
            "claim_outputs" in script.read_text() or "is no folder of an earlier demo" in script.read_text()
        )
        return
    reads, writes = (set(parser.get_default(name)) for name in ("reads", "writes"))
    texts = {
        action.dest
        for action in parser._actions
        if action.type in (None, str) and action.nargs != 0 and not action.choices
    }
    assert reads | writes <= texts
    assert not reads & writes
    assert texts - reads - writes - WORDS - PAIRS == set()
    source = script.read_text()
    assert not texts & PAIRS or "pair_files" in source
    if "out" in texts - writes:
        assert "writes=" in source or "outputs=outputs" in source


def user_file(path, content=b"my own work"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def same(tmp_path, how):
    """An input, and another name for it."""
    mine = user_file(tmp_path / "data" / "mine.fits", b"")
    other = tmp_path / "other.fits"
    if how == "dots":
        return mine, tmp_path / "data" / ".." / "data" / "mine.fits"
    if how == "relative":
        return mine, Path(os.path.relpath(mine))
    if how == "url":
        return f"file://{mine}", mine
    if how == "symbolic link":
        other.symlink_to(mine)
    elif how == "hard link":
        other.hardlink_to(mine)
    elif how == "linked folder":
        (tmp_path / "link").symlink_to(mine.parent)
        return mine, tmp_path / "link" / "mine.fits"
    elif how == "link to a link":
        (tmp_path / "between").symlink_to(mine)
        other.symlink_to(tmp_path / "between")
    elif how == "input is the link":
        other.symlink_to(mine)
        return other, mine
    elif how == "not there":
        mine.unlink()
        return mine, tmp_path / "data" / "." / "mine.fits"
    return mine, other


HOW = ("dots", "relative", "url", "symbolic link", "hard link", "linked folder", "link to a link")


@pytest.mark.parametrize("how", [*HOW, "input is the link", "not there"])
@pytest.mark.parametrize("as_log", [False, True])
def test_an_input_by_any_name_is_no_output(tmp_path, how, as_log):
    read, written = same(tmp_path, how)
    with pytest.raises(ConfigError, match="which is read"):
        claim_outputs([] if as_log else [written], [tmp_path / "x", read], str(written) if as_log else None)


def test_what_lies_in_a_folder_that_is_read_stays(tmp_path):
    card = user_file(tmp_path / "model" / "card.yaml", b"")
    with pytest.raises(ConfigError, match="in a folder that is read"):
        claim_outputs([card], [tmp_path / "model"])
    claim_outputs([tmp_path / "model" / "new.fits"], [tmp_path / "model"])
    earlier = user_file(tmp_path / "model" / "out" / "mask.fits", b"")
    claim_outputs([earlier], [tmp_path / "model"])


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(ConfigError, match="are one file"):
        claim_outputs([tmp_path / "a.fits", tmp_path / "." / "a.fits"])
    with pytest.raises(ConfigError, match="are one file"):
        claim_outputs([tmp_path / "a.fits"], log=str(tmp_path / "a.fits"))


def test_an_output_is_no_folder_and_lies_below_no_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        claim_outputs([tmp_path])
    user_file(tmp_path / "file")
    with pytest.raises(ConfigError, match="is no folder"):
        claim_outputs([tmp_path / "file" / "deep" / "mask.fits"])
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="is no folder"):
        claim_outputs([tmp_path / "nowhere" / "mask.fits"])


def test_a_device_or_a_pipe_is_no_output_but_may_be_a_log(tmp_path):
    """Reading from one to see whose it is may take for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ConfigError, match="is a device or a pipe, but a file is to be written there"):
            claim_outputs([path])
        claim_outputs([tmp_path / "mask.fits"], log=str(path))


SUFFIXES = (
    "fits",
    "ecsv",
    "vot",
    "csv",
    "json",
    "h5",
    "html",
    "md",
    "yaml",
    "png",
    "npz",
    "txt",
    "log",
    "FITS",
)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ""])
def test_what_is_there_and_is_not_ours_stays(tmp_path, suffix):
    mine = user_file(tmp_path / f"mine.{suffix}")
    beside = user_file(tmp_path / "beside.json", b'{"url": 1}')
    with pytest.raises(ConfigError, match="was not made by this program"):
        claim_outputs([mine, beside])
    claim_outputs([mine.with_name("other.fits")])


def test_files_of_others_are_not_taken_for_ours(tmp_path):
    image = tmp_path / "mask.fits"
    fits.writeto(image, np.zeros((4, 4)), fits.Header([("OBJECT", "RUNETVER= of mine")]))
    table = tmp_path / "clusters.ecsv"
    Table({"name": ["codehash: x"], "ra": [1.0]}, meta={"comments": ["codehash"]}).write(table)
    plain = tmp_path / "list.csv"
    Table({"name": ["a"], "ra": [1.0]}).write(plain)
    notes = user_file(tmp_path / "plan.md", b"# Plan: write the paper\n")
    content = user_file(tmp_path / "a.json", b'{"rejected": true, "verdict": 1, "left_out": 3}')
    for path in (image, table, plain, notes, content):
        assert not made_here(path), path


def test_products_are_known_again(tmp_path):
    """As the functions that write them write them."""
    rejection = Rejection("m", "tile", "f", "why")
    made = []
    for suffix in ("fits", "h5", "ecsv", "json"):
        made.append(tmp_path / f"rejected.{suffix}")
        write_rejected(made[-1], rejection)
    for left_out in ([], [vars(rejection)]):
        made.append(tmp_path / f"left_out_{len(left_out)}.json")
        write_json(made[-1], {"left_out": left_out})
    made.append(tmp_path / "image.fits")
    write_fits(made[-1], np.zeros((2, 2)), fits.Header(provenance()))
    meta = catalogue._merge_provenance(1)
    rows = [{"name": "m", "stage": "tile", "file": "f", "reason": "why"}]
    table = catalogue.make_table("rejected", rows, meta)
    for suffix in products.CATALOGUE_SUFFIXES:
        made.append(tmp_path / f"catalogue.{suffix}")
        catalogue.write_catalogue(table, made[-1])
    made.append(tmp_path / "table.ecsv")
    write_ecsv(made[-1], table)
    made.append(tmp_path / "mosaics.csv")
    lists.write_mosaic_list(made[-1], [Mosaic("m", 1.0, 2.0, 3.0)])
    made.append(tmp_path / "curve.csv")
    learning_curve.write_curve(made[-1], [(1, 2, 3, 4)], {"options": {}})
    made.append(tmp_path / "configuration.yaml")
    write_configuration(Config(), made[-1])
    made.append(tmp_path / "job.txt")
    handler = logging.FileHandler(made[-1])
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.emit(logging.LogRecord("radiounet.running.stage", logging.INFO, "", 0, "begins", None, None))
    handler.close()
    for path in made:
        assert made_here(path), path
        assert made_here(path.rename(path.with_suffix(".other"))), path


def test_a_record_vouches_for_a_downloaded_image(tmp_path):
    image = user_file(tmp_path / "image.fits")
    record = tmp_path / "source.json"
    with pytest.raises(ConfigError, match="was not made"):
        claim_outputs([image, record])
    entries = {"url": "u", "file": "f", "size": 1, "tried": [], "sha256": sha256_of(image)}
    write_json(record, entries)
    claim_outputs([image, record])
    user_file(image, b"something else")
    with pytest.raises(ConfigError, match="was not made"):
        claim_outputs([image, record])


def test_shipped_models_and_the_report_are_known_again():
    files = [path for path in (ROOT / "resources" / "models").glob("*/*") if path.suffix != ".npz"]
    assert {path.suffix for path in files} == {".yaml", ".md", ".png", ".csv", ".json", ".h5"}
    for path in files:
        assert made_here(path, list(path.parent.iterdir())), path


def test_page_of_a_report_is_known_again(tmp_path):
    page = tmp_path / "report.html"
    template = TEMPLATE.read_text()
    page.write_text(template.replace("{{ version }}", "0.2.0").replace("{{ code }}", code_hash()))
    assert made_here(page)
    page.write_text(template)
    assert not made_here(page)


def test_source_of_a_download_is_known_again(tmp_path):
    image, record = tmp_path / "image.fits", tmp_path / "source.json"
    fits.writeto(tmp_path / "there.fits", np.zeros((4, 4), np.float32))
    found = fetch_candidates(f"{tmp_path}/{{file}}", ["there.fits"], image, DownloadOptions(), {})
    write_json(record, asdict(found))
    claim_outputs([image, record])
    write_json(record, {"int": asdict(found), "app": asdict(found)})
    claim_outputs([image, record])
    with pytest.raises(ConfigError, match="was not made"):
        claim_outputs([tmp_path / "there.fits"])
