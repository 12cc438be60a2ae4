"""The same command again makes what is missing, was replaced or depends on a changed value."""

import json
import os
import re
import shutil

import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

from radiounet.images.squares import Mosaic
from radiounet.running.run_notes import RUN_CODE, EditMark

from .conftest import CHAIN, ROOT, Run, counted
from .test_survey import hashes, header_at, image_of_a_halo

pytestmark = pytest.mark.slow

ENDS = {"merge_catalogue": 1, "report": 1, "all": 1}


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
    assert json.loads(product(run, "sources/run.json").read_text())["configuration"] == {}
    return run


@pytest.fixture
def run(finished, tmp_path):
    return finished.copy(tmp_path / "run")


def test_nothing_is_to_be_done_in_a_finished_run_nor_in_its_copies(finished, run):
    assert finished.counts() == {}
    assert run.counts() == {}


def test_a_catalogue_that_is_fetched_again_hides_no_changed_setting(run):
    """What is measured with it is redone in the same run."""
    catalogue = {"url": str(run.folder / "own.ecsv"), "units": {"ra": "deg", "dec": "deg"}}
    settings = yaml.safe_load(run.config.read_text()) | {
        "clusters": "listed", "archive": {"clusters": {"listed": catalogue}}
    }  # fmt: skip
    run.write_config(**settings)
    run("lists")
    run()
    assert "measure_clusters" not in run.counts("--forcerun", "fetch_clusters")
    run.write_config(**settings | {"measure": {"calibration_error": 0.2}})
    assert run.counts("--forcerun", "fetch_clusters")["measure_clusters"] == 1


@pytest.mark.parametrize("how", ["another folder", "another spelling"])
def test_results_without_a_record_are_named(run, tmp_path, how):
    """What a changed setting would redo is known by the record in the folder in which they were made."""
    results = {"results": str(run.folder / "results")}
    settings = yaml.safe_load(run.config.read_text()) | results
    other = Run(tmp_path / "other") if how == "another folder" else run
    other.folder.mkdir(exist_ok=True)
    paths = {"mosaics": {"source": "images", "images": [{"name": "a", "path": str(run.folder / "own.fits")}]}}
    other.write_config(**settings | paths | {"clusters": str(run.folder / "own.ecsv")})
    text = other("-n")
    assert "has no record of how it was made" in text
    assert str(other.folder / ".snakemake") in text
    other("--touch", "--forceall")
    assert "has no record" not in other("-n")
    other.write_config(**settings | paths | {"clusters": str(run.folder / "own.ecsv"), "measure": {"h0": 60}})
    assert other.counts()["measure_clusters"] == 1


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


def test_the_beam_of_an_own_image_redoes_that_image_alone(run):
    write_image(run.folder / "other.fits", 2, ra=160.0)
    change(run, "path: own.fits", "path: own.fits\n  - {name: b, path: other.fits}")
    run()
    change(run, "path: other.fits", "path: other.fits, beam: '20,20,0'")
    assert run.counts() == counted(prepare_image=1, **CHAIN, **ENDS)


def test_another_own_image_beside_the_first_redoes_nothing_of_it(run):
    write_image(run.folder / "other.fits", 2, ra=160.0)
    change(run, "path: own.fits", "path: own.fits\n  - {name: b, path: other.fits}")
    assert run.counts() == counted(list_images=1, prepare_image=1, **CHAIN, **ENDS)


@pytest.mark.parametrize(
    ("stage", "made", "jobs"),
    [
        ("segment", ["masks/a.fits"], CHAIN | ENDS),
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


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("segmentation: {threshold: 0.7}", "segmentation.threshold (thresh) 0.16, but"),
        ("measure: {calibration_error: 0.2}", "measure.calibration_error 0.1, but"),
    ],
)
def test_tables_without_a_record_that_contradict_the_settings_are_not_merged(run, section, said):
    """As in results that were copied without .snakemake: a changed value redoes nothing there."""
    for name in (run.folder / ".snakemake", product(run, "catalogue")):
        shutil.rmtree(name)
    before = run.config.read_text()
    run.config.write_text(before + section + "\n")
    text = run("--retries", "0", status=1)
    assert said in text
    assert not product(run, "catalogue/configuration.yaml").exists()
    run.config.write_text(before)
    run()


def test_another_program_of_aladin_with_an_older_date_is_published(run):
    program = run.folder / "aladin.js"
    program.write_text("// aladin, first")
    run.config.write_text(run.config.read_text() + "publish: {aladin: aladin.js}\n")
    run("publish")
    assert run.counts("publish") == {}
    program.write_text("// aladin, second")
    os.utime(program, (1e9, 1e9))
    assert run.counts("publish") == counted(publish=1)
    run("publish")
    assert product(run, "publication/site/aladin.js").read_text() == "// aladin, second"


def test_every_word_of_a_shell_command_is_quoted():
    """What comes from the configuration, a file name or the archive never reaches a shell bare."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")) + [ROOT / "Snakefile"]:
        for command in re.findall(r"^ +shell:\n((?: +[\"'].*[\"']\n)+)", path.read_text(), re.MULTILINE):
            for placeholder in re.findall(r"(?<!\{)\{([^{}]+)\}", command):
                allowed = placeholder.endswith(":q") or placeholder == "threads"
                assert allowed, command
