"""A made-up release, a cluster catalogue and a stage after `segment`: from lists to a catalogue.

Release and catalogue are added by configuration alone, the stage in a copy of the checkout.
"""

import csv
import json
from pathlib import Path

import healpy
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.images.products import Products
from radiounet.settings.config import load_config
from radiounet.settings.releases import Release
from radiounet.simulation.small_survey import serve, write_edge, write_footprint
from workflow.added_stage import add_stage
from workflow.conftest import Run, copy_checkout, counted, run_of

NAME = "high"
PIXEL_ARCSEC, BEAM_ARCSEC, MHZ, NSIDE = 6.0, 25.0, 1300.0, 32
FIRST = int(healpy.ang2pix(NSIDE, 150.0, 30.0, lonlat=True))
CELLS = (FIRST, int(healpy.get_all_neighbours(NSIDE, FIRST)[0]))
ENTRY = {
    "cells": "healpix",
    "nside": NSIDE,
    "prefix": "sq",
    "pixel_arcsec": PIXEL_ARCSEC,
    "beam_arcsec": BEAM_ARCSEC,
    "frequency_mhz": MHZ,
}
COLUMNS = {"name": "Cluster", "ra": "RAJ2000", "dec": "DEJ2000", "z": "zsp", "R500": "size"}

REJECTING = """
from radiounet.errors import BadDataError


def measure_area(mask, target):
    raise BadDataError("no sky")
"""
"""Code with which the added stage rejects everything."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Mosaics of two cells, the footprint, a grid of fields, and a catalogue with columns of its own."""
    root = tmp_path_factory.mktemp("archive")
    release = Release(name=NAME, **ENTRY)
    (ra, dec), _ = write_edge(root / "cells", CELLS, release, np.random.default_rng(1))
    write_footprint(root / "footprint.fits", (ra, dec), 0.2)
    (root / "grid.txt").write_text("name,ra,dec\nF1,10.0,10.0\n")
    rows = [(f"C{number}", ra + offset, dec, 0.2, 4.0) for number, offset in enumerate((-0.2, 0.2))]
    Table(rows=rows, names=list(COLUMNS.values())).write(root / "clusters.csv")
    return root


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with another stage; its only model has the pixels and beam of the release."""
    root = tmp_path_factory.mktemp("checkout")
    copy_checkout(root, pixel_arcsec=PIXEL_ARCSEC, beam_arcsec=BEAM_ARCSEC)
    add_stage(root)
    return root


def settings(url, **more):
    entry = ENTRY | {"footprint": f"{url}/footprint.fits", "fields": f"{url}/grid.txt"}
    entry["archive"] = {"mosaic": url + "/cells/{pixel}/{file}"}
    catalogue = {"url": f"{url}/clusters.csv", "columns": COLUMNS, "units": {"R500": "arcmin"}}
    return {
        "releases": {NAME: entry},
        "release": NAME,
        "clusters": "mine",
        "archive": {"clusters": {"mine": catalogue}, "list_folder": "lists"},
        "segmentation": {"model": "tiny", "threshold": 0.9},
        "limits": {"enabled": True, "trials": 24, "relics": False},
        **more,
    }


def check_stage(run, products, names, checkout):
    """The added stage in a finished run: product, progress, plan, rerun, and what is made again."""
    assert run.counts() == {}
    areas = [Path(f"{products.root}/areas/{name}.ecsv") for name in names]
    for name, area in zip(names, areas, strict=True):
        (row,) = Table.read(area, format="ascii.ecsv")
        mask = fits.getdata(products.mask(name))
        assert tuple(row) == ((mask == 1).sum(), (mask != 255).sum())
    status = json.loads(Path(products.status_file()).read_text())
    assert status["stages"]["measure_area"]["done"] == 2
    assert status["mosaics"]["done"] == 2
    run("plan")
    assert "| measure_area | 2 | 2 |" in Path(products.plan()).read_text()
    again = run.counts("--config", f"pointing={names[0]}", "--", "rerun")
    assert [again[rule] for rule in ("fetch_mosaic", "segment", "measure_area")] == [1, 1, 1]
    kept = areas[0].read_bytes()
    areas[0].unlink()
    assert run.counts() == counted(measure_area=1, merge_catalogue=1, report=1, all=1)
    run()
    assert areas[0].read_bytes() == kept
    with open(checkout / "scripts/radiounet/measuring/areas.py", "a") as stream:
        stream.write(REJECTING)
    assert run.counts() == counted(measure_area=2, merge_catalogue=1, report=1, all=1)
    run(status=65)
    rejected = Table.read(products.catalogue("rejected", "fits"))
    assert {(row["name"], row["stage"]) for row in rejected} == {(name, "measure_area") for name in names}
    again = run.counts("--config", "only=rejected", "--", "rerun")
    assert [again[rule] for rule in ("fetch_mosaic", "measure_area", "merge_catalogue")] == [2, 2, 1]


@pytest.mark.slow
def test_a_new_release_catalogue_and_stage_run_together(archive, checkout, tmp_path):
    run = run_of(checkout, tmp_path)
    names = sorted(f"sq{cell:05d}" for cell in CELLS)
    with serve(archive) as url:
        run.write_config(**settings(url))
        run("lists")
        with open(tmp_path / "lists" / f"{NAME}_mosaics.csv", newline="") as stream:
            rows = {row["name"]: row for row in csv.DictReader(stream)}
        assert sorted(rows) == names
        counts = run.counts()
        rules = ("fetch_mosaic", "segment", "measure_area", "measure_clusters", "measure_limits")
        assert [counts[rule] for rule in rules] == [2, 2, 2, 2, 2]
        products = Products(f"{tmp_path}/results/{NAME}")
        run("plan")
        assert "| measure_area | 2 | 0 |" in Path(products.plan()).read_text()
        run()
    clusters = Table.read(products.catalogue("clusters", "fits"))
    assert sorted(clusters["name"].tolist()) == ["C0", "C1"]
    assert clusters["r500_arcmin"].tolist() == [4.0, 4.0]
    assert (clusters["coverage"] > 0.9).all()
    # a network without training finds nothing: the note says so
    limits = [Table.read(products.limits(name), format="ascii.ecsv") for name in names]
    trials = {row["name"]: int(row["limit_trials"]) for table in limits for row in table}
    assert dict(zip(clusters["name"], clusters["limit_trials"], strict=True)) == trials
    assert (clusters["bruno_limit_mjy"] > 0).all()
    known = np.isfinite(np.ma.filled(clusters["flux_90_mjy"], np.nan))
    assert [bool(note) for note in clusters["limit_note"][~known]] == [True] * int((~known).sum())
    owners = healpy.ang2pix(NSIDE, clusters["ra_deg"], clusters["dec_deg"], lonlat=True)
    assert clusters["mosaic"].tolist() == [f"sq{cell:05d}" for cell in owners]
    assert not len(Table.read(products.catalogue("rejected", "fits")))
    check_stage(run, products, names, checkout)
    for name in names:
        with fits.open(products.mask(name)) as hdus:
            header = hdus[0].header
        assert header["NAXIS1"] == int(rows[name]["n_px"])
        assert abs(header["CDELT1"]) * 3600 == pytest.approx(PIXEL_ARCSEC)
        assert header["BMAJ"] * 3600 == pytest.approx(BEAM_ARCSEC)
        assert header["RESTFRQ"] == MHZ * 1e6
    assert "HIGH (1300 MHz)" in (tmp_path / f"results/{NAME}/report.html").read_text()


def test_a_model_for_other_images_is_refused_before_the_run(archive, tmp_path):
    run = Run(tmp_path)
    run.write_config(**settings("https://there", segmentation={"model": "lotss-unet"}))
    said = run("-n", status=1)
    assert "segmentation.model: lotss-unet needs pixels of 4.5 arcsec and a beam of 20 arcsec" in said
    assert "the mosaics of high have 6 and 25" in said


def test_the_settings_of_the_run_are_read_back_as_they_are():
    made = load_config(settings("https://there"))
    again = type(made).model_validate_json(made.model_dump_json())
    assert again.survey_release == made.survey_release
    assert again.archive == made.archive
