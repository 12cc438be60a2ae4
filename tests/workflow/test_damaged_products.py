"""Products that were damaged or replaced are made or fetched again by the same command, of every kind."""

import json
import os
import re
import shutil

import pytest
import yaml

from radiounet.running.stages import products_of_mosaic
from radiounet.settings.config import load_config
from radiounet.simulation.small_survey import serve
from stages import write_image

from .conftest import CHAIN, Run, counted, counts_in, note_stopped
from .test_compact_sources import write_fine_image, write_table
from .test_dag import write_lists
from .test_freshness import ENDS, write_clusters
from .test_survey import hashes, image_of_a_halo, publish, write_survey

MEASURED = {"find_islands": 1, "measure_clusters": 1}
FETCHED = {
    "high_resolution/one.fits": {"fetch_high_resolution": 1, **MEASURED},
    "components/all.fits": {"fetch_components": 1, **MEASURED},
    "sources/mosaics/one.json": {"fetch_mosaic": 1, **CHAIN},
}
"""What is fetched beside an image, and the jobs that it takes to have it again."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    with serve(root) as url:
        yield root, url


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    """A finished run on one mosaic, with a table of components and a 6 arcsec image."""
    root, url = archive
    run = Run(tmp_path_factory.mktemp("finished") / "run")
    run.folder.mkdir()
    place = write_survey(run, ["one"], url)["one"]
    publish(root, place, image_of_a_halo())
    write_fine_image(root / "one/fine.fits", place)
    write_table(root / "table.fits", place)
    write_clusters(run.folder / "own.ecsv", "c")
    settings = yaml.safe_load(run.config.read_text()) | {"clusters": "own.ecsv"}
    components = {"measure": {"components": {"url": f"{url}/table.fits"}}}
    run.write_config(**settings | components, mosaics={"high_resolution": url + "/{mosaic}/fine.fits"})
    run()
    assert run.counts() == {}
    return run


@pytest.mark.slow
@pytest.mark.parametrize("date", ["older", "newer"])
def test_damaged_files_beside_an_image_are_fetched_again(finished, tmp_path, date):
    """Each alone as the jobs of a dry run tell, and all of them in one run."""
    run = finished.copy(tmp_path / "run")
    results = run.folder / "results/dr2"

    def state():
        tables = ("islands/*", "clusters/*", "catalogue/*.csv")
        return [(results / name).read_bytes() for name in FETCHED], [hashes(results, one) for one in tables]

    def damage(path):
        path.write_bytes(path.read_bytes()[: 3000 if path.suffix == ".fits" else 100])
        os.utime(path, (1e9, 1e9) if date == "older" else None)

    before = state()
    for name, jobs in FETCHED.items():
        path = results / name
        shutil.copy2(path, tmp_path / "whole")
        damage(path)
        assert run.counts() == counted(**jobs, **ENDS)
        shutil.copy2(tmp_path / "whole", path)
    assert run.counts() == {}
    for name in FETCHED:
        damage(results / name)
    run()
    assert state() == before
    assert run.counts() == {}


@pytest.mark.slow
def test_a_record_that_lost_its_date_fetches_nothing(finished, tmp_path):
    run = finished.copy(tmp_path / "run")
    os.utime(run.folder / "results/dr2/sources/mosaics/one.json", (1e9, 1e9))
    assert run.counts() == {}


def outputs(text, *mosaics):
    """What the jobs of a dry run write that have one of these mosaics as their wildcard."""
    jobs = re.findall(r"^ +output: (.*)\n(?:^ +.*\n)*?^ +wildcards: mosaic=(\S+)$", text, re.MULTILINE)
    return {path for paths, mosaic in jobs if mosaic in mosaics for path in paths.split(", ")}


COMPACT = {
    "mosaics": {"high_resolution": "https://there/{mosaic}.fits"},
    "measure": {"components": {"url": "https://there/gaul.fits"}},
}
SETTINGS = {
    "published": {"clusters": "psz2", "limits": {"enabled": True}, **COMPACT},
    "fields": {
        "mosaics": {"source": "fields"},
        "archive": {"dr2": {"field": "file:///there/{field}/{file}"}},
    },
    "images": {"mosaics": {"source": "images", "images": [{"name": "P124+62", "path": "own.fits"}]}},
}


@pytest.mark.parametrize("source", SETTINGS)
def test_the_table_of_stages_names_all_that_the_jobs_of_a_mosaic_write(run, source):
    """A product that it lacks is not looked at before a run."""
    write_lists(run)
    write_image(run.folder / "own.fits", n_px=40)
    run.write_config(**SETTINGS[source])
    config = load_config(SETTINGS[source])
    named = set(products_of_mosaic(config, config.products, "P124+62"))
    assert outputs(run("-n"), "P124+62", "all") == named


def test_all_files_of_a_field_are_looked_at(run):
    """Each of them is replaced, without a record of Snakemake's: the first is named."""
    write_lists(run)
    run.write_config(**SETTINGS["fields"])
    for name in ("fields/P124+62/int.fits", "fields/P124+62/app.fits", "sources/fields/P124+62.json"):
        path = run.folder / "results/dr2" / name
        path.parent.mkdir(parents=True)
        path.touch()
        assert f"results/dr2/{name} is there, but" in run("-n")
        shutil.rmtree(path.parent)


@pytest.mark.slow
def test_a_product_of_a_job_that_was_not_seen_to_end_is_made_again(finished, tmp_path):
    """As if the run had been stopped between the end of the job and the next look at it."""
    run = finished.copy(tmp_path / "run")
    mask = "results/dr2/masks/one.fits"
    run("--cleanup-metadata", mask)
    assert "segment" not in run.counts()  # whoever put it there: nothing is known of it
    stopped = note_stopped(run, mask, "results/dr2/masks/gone.fits")
    text = run("-n")
    assert counts_in(text) == counted(**CHAIN, **ENDS)
    words = "1 product whose run was stopped before it saw the job end, made again where this run needs it"
    assert f"{words}: {mask}\n" in text
    run()
    assert run.counts() == {}
    assert json.loads(stopped.read_text())["products"] == ["results/dr2/masks/gone.fits"]  # it may come


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("results/training/pairs/0.fits", {"simulate": {"seed": 7}}),
        ("resources/clusters/psz2.ecsv", {}),
    ],
)
def test_what_no_mosaic_needs_is_made_again_as_well(run, target, settings):
    """A changed setting follows, which without a record it would not."""
    run.write_config(**settings)
    path = run.folder / target
    path.parent.mkdir(parents=True)
    path.touch()
    assert run.counts(target) == {}
    note_stopped(run, target)
    assert run.counts(target)["total"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masks", "probability"])
def test_a_folder_in_the_place_of_a_product_stops_the_run_and_rejects_nothing(finished, tmp_path, kind):
    run = finished.copy(tmp_path / "run")
    islands = run.folder / "results/dr2/islands/one.ecsv"
    path = f"results/dr2/{kind}/one.fits"
    before = islands.read_bytes()
    (run.folder / path).unlink()
    (run.folder / path).mkdir()
    for targets in ((), ("results/dr2/islands/one.ecsv",)):
        text = run("--quiet", "rules", "host", "--", *targets, status=1)
        assert f"Error: {path} is a folder, but a product of this run: move it away\n" in text
        assert "Traceback" not in text
    assert islands.read_bytes() == before
    (run.folder / path).rmdir()
    assert run.counts() == counted(**CHAIN, **ENDS)
