"""Failures that need no cluster: a killed run, a full disk, an archive that is away, a purged scratch.

What is redone is counted in jobs.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from astropy.io import fits

from radiounet.settings.section import merged
from radiounet.simulation.small_survey import serve
from waiting import wait_until

from .conftest import CHAIN, NOTE, Run, counted
from .test_survey import hashes, image_of_a_halo, publish, read_csv, write_survey

pytestmark = pytest.mark.slow

SURVEY = {"merge_catalogue": 1, "report": 1, "all": 1}


@dataclass
class Archive:
    """Images of two mosaics, served only where a test says so."""

    root: Path
    port: int

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def up(self):
        return serve(self.root, port=self.port)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return Archive(tmp_path_factory.mktemp("archive"), sock.getsockname()[1])


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    """A finished run over two mosaics."""
    run = Run(tmp_path_factory.mktemp("finished") / "run")
    run.folder.mkdir()
    places = write_survey(run, ["one", "two"], archive.url)
    for seed, name in enumerate(places):
        publish(archive.root, places[name], image_of_a_halo(seed))
    with archive.up():
        run()
    assert run.counts() == {}
    return run


@pytest.fixture
def survey(archive, finished, tmp_path):
    """A copy of the finished run; the archive is up."""
    with archive.up():
        yield finished.copy(tmp_path / "run")


@pytest.fixture
def unfinished(finished, tmp_path):
    """A copy of which the mask of one mosaic is left, and what that was made from."""
    run = finished.copy(tmp_path / "run")
    results = run.folder / "results/dr2"
    shutil.rmtree(results / "mosaics/two")
    for folder in ("islands", "clusters", "catalogue"):
        shutil.rmtree(results / folder)
    for name in ("masks/two.fits", "probability/two.fits", "report.html"):
        (results / name).unlink()
    return run


def forget_products(run):
    """As before the first run."""
    for folder in ("results", ".snakemake"):
        shutil.rmtree(run.folder / folder)


def half_products(run):
    return [path for path in (run.folder / "results").rglob(".*") if path.is_file()]


def test_a_killed_run_goes_on_to_the_same_bytes(finished, survey):
    forget_products(survey)
    process = subprocess.Popen(
        survey.command(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=survey.environment,
        start_new_session=True,
    )
    first = survey.folder / "results/dr2/mosaics/one/image.fits"
    wait_until(lambda: first.exists() or process.poll() is not None)
    log = survey.folder / "results/dr2/logs/segment/one.log"
    wait_until(lambda: log.exists() or process.poll() is not None)
    assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(0.5)  # while the model is loaded
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (survey.folder / "results/dr2/catalogue").exists()
    stopped = survey.folder / NOTE
    noted = json.loads(stopped.read_text())["products"]
    assert {f"results/dr2/masks/{name}.fits" for name in ("one", "two")} < set(noted)
    survey("--unlock")
    survey()
    assert not stopped.exists()
    for pattern in ("masks/*.fits", "probability/*.fits", "islands/*.ecsv", "catalogue/*.csv"):
        expected = hashes(finished.folder / "results/dr2", pattern)
        assert expected
        assert hashes(survey.folder / "results/dr2", pattern) == expected
    assert half_products(survey) == []


def test_a_mask_that_is_gone_and_another_setting_need_no_download(survey):
    mask = survey.folder / "results/dr2/masks/one.fits"
    content, dates = mask.read_bytes(), (mask.stat().st_atime_ns, mask.stat().st_mtime_ns)
    mask.unlink()
    assert survey.counts() == counted(**CHAIN, **SURVEY)
    mask.write_bytes(content)
    os.utime(mask, ns=dates)
    assert survey.counts() == {}

    survey.config.write_text(survey.config.read_text() + "segmentation: {min_island_beams: 3.0}\n")
    counts = survey.counts()
    assert "fetch_mosaic" not in counts
    assert counts["segment"] == 2


def test_a_download_that_lost_its_date_is_kept_and_one_that_changed_is_fetched_again(survey):
    """As after a copy of the results without their dates: what the archive sent is told by its hash."""
    image = survey.folder / "results/dr2/mosaics/one/image.fits"
    os.utime(image, (1e9, 1e9))
    assert survey.counts("results/dr2/masks/one.fits") == {}
    with open(image, "r+b") as stream:
        stream.seek(-100, os.SEEK_END)
        stream.write(b"\x01")
    os.utime(image, (1e9, 1e9))
    again = counted(fetch_mosaic=1, segment=1)
    assert survey.counts("results/dr2/masks/one.fits") == again


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_no_half_product_and_the_next_run_goes_on(survey):
    forget_products(survey)
    results = survey.folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", results], check=True)
    try:
        survey("results/dr2/mosaics/one/image.fits")
        ballast = results / "ballast"
        with open(ballast, "wb") as stream:
            free = shutil.disk_usage(results).free
            stream.write(b"0" * (free - 100_000))  # a probability map takes 600 kB
        text = survey("--retries", "0", "--", "results/dr2/masks/one.fits", status=1)
        told = r"\[Errno 28\] No space left on device: '\S*results/dr2/probability/one\.fits'"
        assert re.search(told, text)
        assert not (results / "dr2/probability/one.fits").exists()
        assert half_products(survey) == []
        ballast.unlink()
        assert survey.counts("--", "results/dr2/masks/one.fits") == counted(segment=1)
        survey("results/dr2/masks/one.fits")
        assert (fits.getdata(results / "dr2/masks/one.fits") == 1).sum() > 500
    finally:
        subprocess.run(["umount", results], check=True)


def test_an_archive_that_is_away_for_seconds_costs_no_job(archive, finished, tmp_path):
    run = finished.copy(tmp_path / "run")
    forget_products(run)
    config = run.config.read_text().replace("attempts: 4", "attempts: 20")
    run.config.write_text(config.replace("backoff_s: 0.05", "backoff_s: 0.5"))
    opened, over = threading.Event(), threading.Event()

    def open_late():
        time.sleep(4)
        with archive.up():
            opened.set()
            over.wait()

    thread = threading.Thread(target=open_late)
    thread.start()
    try:
        text = run("--retries", "0", "--", "results/dr2/mosaics/one/image.fits")
        assert opened.is_set()
        assert "1 of 1 jobs" in text
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("change", "fetched"),
    [
        ({"archive": {"dr2": {"field": "http://x/{field}/{file}"}}}, 0),
        ({"archive": {"dr3": {"mosaic": "http://x/{mosaic}/{file}"}}}, 0),
        ({"releases": {"dr2": {"bandwidth_mhz": 47.0}}}, 0),
        ({"archive": {"dr2": {"mosaic": "http://x/{mosaic}/{file}"}}}, 2),
        ({"archive": {"dr2": {"mosaic_files": ["other.fits"]}}}, 2),
    ],
)
def test_a_key_that_a_download_uses_fetches_again_and_no_other(finished, tmp_path, change, fetched):
    run = finished.copy(tmp_path / "run")
    run.write_config(**merged(yaml.safe_load(run.config.read_text()), change))
    assert run.counts().get("fetch_mosaic", 0) == fetched


def test_an_archive_that_stays_away_fails_its_downloads_and_the_next_run_makes_what_is_missing(
    archive, unfinished, tmp_path
):
    text = unfinished("--retries", "1", status=1)  # nobody answers at that port
    assert "1 failed" in text
    assert half_products(unfinished) == []
    # the tables of `one` were made meanwhile
    missing = counted(fetch_mosaic=1, **CHAIN, **SURVEY)
    assert unfinished.counts() == missing
    # another address is no reason to fetch `one` again where dates alone count
    elsewhere = unfinished.copy(tmp_path / "elsewhere")
    content = elsewhere.config.read_text()
    elsewhere.config.write_text(content.replace(archive.url, "http://127.0.0.1:9"))
    assert elsewhere.counts("--rerun-triggers", "mtime") == missing
    with archive.up():
        unfinished()
    assert read_csv(unfinished.folder / "results/dr2/catalogue/rejected.csv")["name"].size == 0


def test_a_single_pointing_is_redone_with_exactly_what_depends_on_it(survey):
    again = counted(fetch_mosaic=1, **CHAIN, merge_catalogue=1, report=1, rerun=1)
    assert survey.counts("rerun", "--config", "pointing=one") == again
    before = hashes(survey.folder / "results/dr2", "masks/*.fits")
    times = {
        name: (survey.folder / f"results/dr2/masks/{name}.fits").stat().st_mtime_ns for name in ("one", "two")
    }
    survey("--config", "pointing=one", "--", "rerun")
    assert hashes(survey.folder / "results/dr2", "masks/*.fits") == before
    assert (survey.folder / "results/dr2/masks/one.fits").stat().st_mtime_ns > times["one"]
    assert (survey.folder / "results/dr2/masks/two.fits").stat().st_mtime_ns == times["two"]
    assert survey.counts() == {}
    assert "no such pointing" in survey("--config", "pointing=P999+99", "--", "rerun", status=1)
    assert "pointing is for the target rerun" in survey("--config", "pointing=one", status=1)
    assert "only is for the target rerun" in survey("--config", "only=rejected", status=1)
    assert "say what to rerun:" in survey("rerun", status=1)
    # nothing is rejected, so that nothing is to do
    assert survey.counts("rerun", "--config", "only=rejected") in ({}, {"rerun": 1, "total": 1})


def test_in_an_unfinished_survey_a_rerun_leaves_the_rest_alone(unfinished):
    again = counted(fetch_mosaic=1, **CHAIN, rerun=1)
    assert unfinished.counts("rerun", "--config", "pointing=one") == again


def test_scratch_is_taken_into_use_as_its_error_says_and_its_purge_costs_nothing(survey, tmp_path):
    scratch, results = tmp_path / "scratch", survey.folder / "results/dr2"
    survey.config.write_text(survey.config.read_text() + f"scratch: {scratch}\n")
    (results / "report.html").unlink()
    text = survey(status=1)
    assert "results/dr2/mosaics is there already" in text
    assert (results / "mosaics/one/image.fits").is_file()
    advice = re.search(r"mv \S+/\* \S+ && rmdir [^,\s]+", text)
    subprocess.run(advice[0], shell=True, check=True, cwd=survey.folder)
    assert survey.counts() == counted(report=1, all=1)
    survey()
    assert (results / "mosaics").is_symlink()
    assert (scratch / "dr2/mosaics/one/image.fits").is_file()

    shutil.rmtree(scratch)
    assert survey.counts() == {}
    again = counted(fetch_mosaic=1, **CHAIN, merge_catalogue=1, report=1, rerun=1)
    assert survey.counts("rerun", "--config", "pointing=one") == again
    survey("--config", "pointing=one", "--", "rerun")
    assert (scratch / "dr2/mosaics/one/image.fits").is_file()
    assert not (scratch / "dr2/mosaics/two").exists()
