"""The same command again makes what is missing, was replaced or depends on a changed value."""

import json
import os
import re
import shutil

import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.images.squares import Mosaic
from radiounet.running.freshness import RUN_CODE, EditMark
from radiounet.simulation.small_survey import serve

from .conftest import ROOT, Run
from .test_survey import hashes, header_at, image_of_a_halo, publish, write_survey

pytestmark = pytest.mark.slow

CHAIN = {"tile": 1, "infer": 1, "stitch": 1, "find_islands": 1, "measure_clusters": 1}
ENDS = {"merge_catalogue": 1, "report": 1, "all": 1}


def counted(**jobs):
    return jobs | {"total": sum(jobs.values())}


def write_image(path, seed, ra=150.0):
    header = header_at(Mosaic("a", ra, 35.0, 384))
    fits.PrimaryHDU(image_of_a_halo(seed), header).writeto(path, overwrite=True)


def write_clusters(path, name):
    table = Table({"name": [name], "ra": [150.0], "dec": [35.0], "z": [0.2], "R500": [4.0]})
    table["R500"].unit = "arcmin"
    table.write(path, format="ascii.ecsv", overwrite=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on one image of the user's own, and its table of clusters."""
    run = Run(tmp_path_factory.mktemp("finished") / "run")
    run.folder.mkdir()
    write_image(run.folder / "own.fits", 1)
    write_clusters(run.folder / "own.ecsv", "first")
    run.write_config(
        clusters="own.ecsv", mosaics={"source": "images", "images": [{"name": "a", "path": "own.fits"}]}
    )
    run()
    assert run.counts() == {}
    assert not product(run, "sources/run.json").exists()
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run with all its dates; relative paths lead to its own files."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    copy = Run(tmp_path / "run")
    assert copy.counts() == {}
    return copy


def product(run, name):
    return run.folder / "results/images" / name


def change(run, text, other):
    content = run.config.read_text()
    assert text in content
    run.config.write_text(content.replace(text, other))


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("probability/a.fits", CHAIN | ENDS),
        ("masks/a.fits", CHAIN | ENDS),
        ("islands/a.ecsv", {"find_islands": 1} | ENDS),
        ("clusters/a.ecsv", {"measure_clusters": 1} | ENDS),
        ("catalogue/islands.vot", ENDS),
        ("report.html", {"report": 1, "all": 1}),
    ],
)
@pytest.mark.parametrize("how", ["deleted", "cut short", "replaced by an older file"])
def test_what_is_missing_or_was_replaced_is_made_again(run, name, jobs, how):
    path = product(run, name)
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:3000])
        date = {"cut short": path.stat().st_mtime + 5, "replaced by an older file": 1e9}[how]
        os.utime(path, (date, date))
    assert run.counts() == counted(**jobs)


def test_products_come_back_byte_for_byte(run):
    before = hashes(product(run, ""), "[mp]*/a.fits")
    product(run, "masks/a.fits").write_bytes(b"")
    product(run, "probability/a.fits").unlink()
    run()
    assert hashes(product(run, ""), "[mp]*/a.fits") == before
    assert run.counts() == {}


@pytest.mark.parametrize("date", ["newer", "older"])
def test_another_image_in_the_place_of_an_input(run, date):
    write_image(run.folder / "own.fits", 2, ra=160.0)
    seconds = os.stat(run.folder / "config.yaml").st_mtime + (9 if date == "newer" else -1e8)
    os.utime(run.folder / "own.fits", (seconds, seconds))
    assert run.counts() == counted(list_images=1, prepare_image=1, **CHAIN, **ENDS)
    if date == "older":
        run()
        assert fits.getheader(product(run, "masks/a.fits"))["CRVAL1"] == 160
        assert Table.read(product(run, "catalogue/islands.fits"))["ra_deg"][0] == pytest.approx(160, abs=0.3)


def test_another_own_image_beside_the_first_redoes_nothing_of_it(run):
    write_image(run.folder / "other.fits", 2, ra=160.0)
    change(run, "path: own.fits", "path: own.fits\n  - {name: b, path: other.fits}")
    assert run.counts() == counted(list_images=1, prepare_image=1, **CHAIN, **ENDS)


@pytest.mark.parametrize(
    ("stage", "made", "jobs"),
    [
        ("infer", ["cores/a.h5"], CHAIN | ENDS),
        ("find_islands", ["islands/a.ecsv"], {"find_islands": 1} | ENDS),
        ("merge_catalogue", [], ENDS),
        ("report", ["report.html"], {"report": 1, "all": 1}),
    ],
)
def test_what_code_made_that_was_edited_and_put_back_is_made_again(run, monkeypatch, stage, made, jobs):
    marks = product(run, "sources/edited")
    monkeypatch.setenv(RUN_CODE, json.dumps({"marks": str(marks), "stages": {stage: "of the run"}}))
    EditMark(stage, "a").settle(f"results/images/{path}" for path in made)
    assert run.counts() == counted(**jobs)


def test_another_cluster_table_with_an_older_date(run):
    write_clusters(run.folder / "own.ecsv", "second")
    os.utime(run.folder / "own.ecsv", (1e9, 1e9))
    assert run.counts() == counted(measure_clusters=1, **ENDS)


@pytest.mark.parametrize(
    ("section", "jobs"),
    [
        ("segmentation: {threshold: 0.31}", CHAIN | ENDS),
        ("segmentation: {model: lotss-classes}", {"prepare_image": 1} | CHAIN | ENDS),
        ("measure: {calibration_error: 0.2}", {"find_islands": 1, "measure_clusters": 1} | ENDS),
        ("report: {max_pictures: 3}", {"report": 1, "all": 1}),
        ("archive: {download: {attempts: 9}}", {"report": 1, "all": 1}),  # which shows it
    ],
)
def test_a_changed_value_redoes_what_depends_on_it_and_nothing_else(run, section, jobs):
    run.config.write_text(run.config.read_text() + section + "\n")
    assert run.counts() == (counted(**jobs) if jobs else {})


def test_a_download_that_lost_its_date_is_kept_and_one_that_changed_is_fetched_again(tmp_path):
    """As after a copy of the results without their dates: what the archive sent is told by its hash."""
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    with serve(tmp_path / "archive") as url:
        places = write_survey(run, ["one"], url)
        publish(tmp_path / "archive", places["one"], image_of_a_halo())
        run("results/dr2/masks/one.fits")
        image = run.folder / "results/dr2/mosaics/one/image.fits"
        os.utime(image, (1e9, 1e9))
        assert run.counts("results/dr2/masks/one.fits") == {}
        with open(image, "r+b") as stream:
            stream.seek(-100, os.SEEK_END)
            stream.write(b"\x01")
        os.utime(image, (1e9, 1e9))
        again = counted(fetch_mosaic=1, tile=1, infer=1, stitch=1)
        assert run.counts("results/dr2/masks/one.fits") == again


def test_every_word_of_a_shell_command_is_quoted():
    """What comes from the configuration, a file name or the archive never reaches a shell bare."""
    quoted_already = {"params.options", "params.mask", "params.beam", "threads"}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")) + [ROOT / "Snakefile"]:
        for command in re.findall(r"^ +shell:\n((?: +[\"'].*[\"']\n)+)", path.read_text(), re.MULTILINE):
            for placeholder in re.findall(r"(?<!\{)\{([^{}]+)\}", command):
                allowed = placeholder.endswith(":q") or placeholder in quoted_already
                assert allowed or (placeholder, "fetch_model" in command) == ("params.model", True), command
