"""Failures that need no cluster: a full disk, an archive that is away, a purged scratch, counted in jobs."""

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
from astropy.io import fits

from radiounet.simulation.small_survey import serve

from .conftest import Run
from .test_survey import hashes, image_of_a_halo, publish, read_csv, write_survey

pytestmark = pytest.mark.slow

CHAIN = {"tile": 1, "infer": 1, "stitch": 1, "find_islands": 1, "measure_clusters": 1}
SURVEY = {"merge_catalogue": 1, "report": 1, "all": 1}


def counted(**jobs):
    return jobs | {"total": sum(jobs.values())}


@pytest.fixture
def survey(tmp_path):
    """Two mosaics in an archive that is up."""
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    root = tmp_path / "archive"
    with serve(root) as url:
        places = write_survey(run, ["one", "two"], url)
        for seed, name in enumerate(places):
            publish(root, places[name], image_of_a_halo(seed))
        yield run


def half_products(run):
    return [path for path in (run.folder / "results").rglob(".*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_no_half_product_and_the_next_run_goes_on(survey):
    results = survey.folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", results], check=True)
    try:
        survey("results/dr2/mosaics/one/image.fits")
        ballast = results / "ballast"
        with open(ballast, "wb") as stream:
            free = shutil.disk_usage(results).free
            stream.write(b"0" * (free - 100_000))  # the tiles take 600 kB
        text = survey("--retries", "0", "--", "results/dr2/masks/one.fits", status=1)
        assert "No space left on device" in text
        assert not (results / "dr2/tiles/one.h5").exists()
        assert half_products(survey) == []
        ballast.unlink()
        assert survey.counts("--", "results/dr2/masks/one.fits") == counted(tile=1, infer=1, stitch=1)
        survey("results/dr2/masks/one.fits")
        assert (fits.getdata(results / "dr2/masks/one.fits") == 1).sum() > 500
    finally:
        subprocess.run(["umount", results], check=True)


def test_an_archive_that_is_away_for_seconds_costs_no_job(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    root = tmp_path / "archive"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    places = write_survey(run, ["one"], f"http://127.0.0.1:{port}")
    publish(root, places["one"], image_of_a_halo())
    opened = threading.Event()

    def open_late():
        from http.server import ThreadingHTTPServer

        from radiounet.simulation.small_survey import ArchiveHandler

        time.sleep(4)
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), lambda *args: ArchiveHandler(*args, directory=str(root))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.set()
        return server

    config = run.config.read_text().replace("attempts: 4", "attempts: 20")
    run.config.write_text(config.replace("backoff_s: 0.05", "backoff_s: 0.5"))
    holder = []
    thread = threading.Thread(target=lambda: holder.append(open_late()))
    thread.start()
    try:
        text = run("--retries", "0", "--", "results/dr2/mosaics/one/image.fits")
        assert opened.is_set()
        assert "1 of 1 jobs" in text
    finally:
        thread.join()
        holder[0].shutdown()
        holder[0].server_close()


def test_an_archive_that_stays_away_fails_its_downloads_and_the_next_run_makes_what_is_missing(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    root = tmp_path / "archive"
    with serve(root) as url:
        places = write_survey(run, ["one", "two"], url)
        for seed, name in enumerate(places):
            publish(root, places[name], image_of_a_halo(seed))
        run("results/dr2/masks/one.fits")
    text = run("--retries", "1", status=1)  # nobody answers at that port any more
    assert "1 failed" in text
    assert half_products(run) == []
    with serve(root) as url:
        config = run.config.read_text()
        run.config.write_text(config.replace(config.split("mosaic: ")[1].split("/{")[0], url))
        # the tables of `one` were made meanwhile; another address is no reason to fetch it again
        assert run.counts("--rerun-triggers", "mtime") == counted(fetch_mosaic=1, **CHAIN, **SURVEY)
        run("--rerun-triggers", "mtime")
    assert read_csv(run.folder / "results/dr2/catalogue/rejected.csv")["name"].size == 0


def test_a_single_pointing_is_redone_with_exactly_what_depends_on_it(survey):
    survey()
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
    assert "rerun what?" in survey("rerun", status=1)
    # nothing is rejected, so that nothing is to do
    assert survey.counts("rerun", "--config", "only=rejected") in ({}, {"rerun": 1, "total": 1})


def test_in_an_unfinished_survey_a_rerun_leaves_the_rest_alone(survey):
    survey("results/dr2/masks/one.fits")
    again = counted(fetch_mosaic=1, **CHAIN, rerun=1)
    assert survey.counts("rerun", "--config", "pointing=one") == again


def test_a_purged_scratch_costs_nothing_until_its_files_are_needed(survey, tmp_path):
    scratch = tmp_path / "scratch"
    survey.config.write_text(survey.config.read_text() + f"scratch: {scratch}\n")
    survey()
    assert (survey.folder / "results/dr2/mosaics").is_symlink()
    assert (scratch / "dr2/mosaics/one/image.fits").is_file()
    shutil.rmtree(scratch)
    assert survey.counts() == {}
    again = counted(fetch_mosaic=1, **CHAIN, merge_catalogue=1, report=1, rerun=1)
    assert survey.counts("rerun", "--config", "pointing=one") == again
    survey("--config", "pointing=one", "--", "rerun")
    assert (scratch / "dr2/mosaics/one/image.fits").is_file()
    assert not (scratch / "dr2/mosaics/two").exists()


def test_a_folder_that_is_in_the_way_of_scratch_is_named_and_stays(survey, tmp_path):
    survey("results/dr2/mosaics/one/image.fits")
    survey.config.write_text(survey.config.read_text() + f"scratch: {tmp_path}/scratch\n")
    text = survey("results/dr2/masks/one.fits", status=1)
    assert "results/dr2/mosaics is there already" in text
    assert (survey.folder / "results/dr2/mosaics/one/image.fits").is_file()
