"""The demo, both releases end to end: what is in its products, and a second run of one mosaic."""

import json
import os
import shutil

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy import ndimage

from programs import start
from radiounet.simulation.small_survey import SECOND_RESULTS, VERIFIED, is_written_by_this_code

from .conftest import ROOT, Run

TARGETS = {
    "dr2": "all",
    "dr3": "all",
    "second": f"{SECOND_RESULTS}/dr2/masks/{VERIFIED}.fits",
    "verify": "verify",
}
"""What the demo asks for with each of its configurations."""

MADE = ROOT / "demo"
"""Where `make demo` puts it."""


def is_what_this_code_makes(folder):
    """Whether this code simulated the archive of a demo, and nothing of it is to be done."""
    is_complete = (folder / "results/dr2/verification.json").is_file()
    if not is_complete or not is_written_by_this_code(folder / "archive"):
        return False
    run = Run(folder)
    for name, target in TARGETS.items():
        run.config = folder / f"{name}.yaml"
        if run.counts(target):
            return False
    return True


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A copy of the demo that `make demo` made, where it is what this code makes; else one made here."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    if is_what_this_code_makes(MADE):
        shutil.copytree(MADE, folder, symlinks=True)
    else:
        done = start("demo", "--out", folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{VERIFIED} made twice: identical" in done.stdout
        assert is_what_this_code_makes(folder)
    return folder


def verdict_of(folder):
    return json.loads((folder / "results/dr2/verification.json").read_text())


@pytest.mark.slow
def test_a_second_run_is_identical_and_one_changed_pixel_is_found(demo):
    found = verdict_of(demo)
    assert found["verdict"] == "identical"
    (mosaic,) = found["mosaics"]
    assert mosaic["identical"] == {"mask": True, "probability": True}
    assert mosaic["differences"] == []
    clusters = Table.read(demo / f"results/dr2/clusters/{VERIFIED}.ecsv")
    assert len(clusters) > 0
    assert [one["name"] for one in mosaic["clusters"]] == list(clusters["name"])

    # one pixel in the middle of the largest island of the reference is taken away
    islands = Table.read(demo / f"results/dr2/islands/{VERIFIED}.ecsv")
    (demo / "changed").mkdir()
    with fits.open(demo / f"second/dr2/masks/{VERIFIED}.fits") as hdus:
        mask = hdus[0].data
        labels, count = ndimage.label(mask == 1, np.ones((3, 3)))
        largest = 1 + np.argmax(ndimage.sum_labels(mask == 1, labels, np.arange(1, count + 1)))
        y, x = np.argwhere(labels == largest)[(labels == largest).sum() // 2]
        mask[y, x] = 0
        ra, dec = WCS(hdus[0].header).wcs_pix2world([[x, y]], 0)[0]
        hdus.writeto(demo / f"changed/{VERIFIED}.fits")
    run = Run(demo)
    run.config = demo / "changed.yaml"
    config = yaml.safe_load((demo / "verify.yaml").read_text())
    config["verify"]["masks"] = "changed/{mosaic}.fits"
    config["verify"]["min_iou"] = 1.0
    run.config.write_text(yaml.safe_dump(config))
    counts = run.counts("verify")
    assert counts == {"verify_mosaic": 1, "verify": 1, "total": 2}
    run("verify")
    found = verdict_of(demo)
    assert found["verdict"] == "different"
    (place,) = found["mosaics"][0]["differences"]
    assert (place["kind"], place["pixels"], place["x_px"], place["y_px"]) == ("mask", 1, x, y)
    assert (place["ours"], place["reference"]) == (1, 0)
    assert [place["ra_deg"], place["dec_deg"]] == pytest.approx([ra, dec], abs=1e-6)
    assert place["island"] in list(islands["name"])
    page = (demo / "results/dr2/verification.md").read_text()
    assert f"RA {ra:.5f}, Dec {dec:+.5f}" in page

    # another reference under the same name, with an older date
    assert run.counts("verify") == {}
    shutil.copy(demo / f"second/dr2/masks/{VERIFIED}.fits", demo / f"changed/{VERIFIED}.fits")
    os.utime(demo / f"changed/{VERIFIED}.fits", (1e9, 1e9))
    assert run.counts("verify") == counts


@pytest.mark.slow
@pytest.mark.parametrize("release", ["dr2", "dr3"])
def test_simulated_clusters_are_told_apart(demo, release):
    truth = Table.read(demo / f"archive/clusters_{release}.ecsv")
    diffuse = dict(zip(truth["name"], truth["simulated_diffuse"], strict=True))
    clusters = Table.read(demo / f"results/{release}/catalogue/clusters.vot")
    assert len(clusters) == len(truth)
    covered = clusters[np.asarray(clusters["coverage"]) > 0.6]
    chance = np.asarray(covered["p_diffuse"])
    has = np.array([diffuse[name] for name in covered["name"]])
    # half of the simulated emission is brighter than 2.4 sigma at its peak
    assert (chance[has] > 0.5).mean() >= 0.5
    assert (chance[~has] < 0.5).mean() >= 0.5
    # of these little is known
    unseen = (np.asarray(covered["mask_fraction"]) == 0) & (np.asarray(covered["p_beam_max"]) < 0.15)
    assert (chance[unseen] < 0.3).all()
    right_way_round = chance[has][:, None] > chance[~has]
    assert right_way_round.mean() >= 0.8
    assert np.median(chance[has]) > np.median(chance[~has]) + 0.4


@pytest.mark.slow
@pytest.mark.parametrize("release", ["dr2", "dr3"])
def test_no_island_stands_twice_where_mosaics_overlap(demo, release):
    from radiounet.images.squares import separation_deg, unit_vectors

    islands = Table.read(demo / f"results/{release}/catalogue/islands.vot")
    places = unit_vectors(np.asarray(islands["ra_deg"]), np.asarray(islands["dec_deg"]))
    mosaics = np.asarray(islands["mosaic"])
    for index, place in enumerate(places):
        near = separation_deg(place, places) * 3600 < 60
        assert set(mosaics[near]) == {mosaics[index]}
    on_masks = sum(
        ndimage.label(fits.getdata(path) == 1, np.ones((3, 3)))[1]
        for path in (demo / f"results/{release}/masks").glob("*.fits")
    )
    # the two cells show the same emission around their edge; the catalogue has it once.
    # A connected region may be cut into several islands, which share their parent
    regions = len(set(islands["parent"]))
    assert set(islands["parent"]) <= set(islands["name"])
    assert regions < on_masks if release == "dr3" else regions <= on_masks


@pytest.mark.slow
def test_products_say_how_they_were_made(demo):
    from radiounet.network.devices import multiplies_bfloat16

    mask = fits.getheader(demo / "results/dr2/masks/SIM-A.fits")
    image = fits.getheader(demo / "results/dr2/mosaics/SIM-A/image.fits")
    assert mask["MODEL"] == "lotss-pair"
    assert len(mask["MODELSHA"]) == len(mask["INPUTSHA"]) == 64
    assert mask["SEGMODE"] == "exact"
    assert mask["PRECIS"] == ("bfloat16" if multiplies_bfloat16() else "float32")
    assert 0 < mask["THRESH"] <= mask["MASKPEAK"] < 1
    assert image["NFIELDS"] == 3
    assert image["RESTFRQ"] == mask["RESTFRQ"] == 1.44e8
    for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CTYPE1"):
        assert mask[key] == image[key]
    table = Table.read(demo / "results/dr2/islands/SIM-A.ecsv")
    assert table.meta["modelsha"] == mask["MODELSHA"]
    assert {column.description is not None for column in table.columns.values()} == {True}


@pytest.mark.slow
def test_flux_of_a_mosaic_source_is_that_of_the_sky(demo):
    """The brightest compact source of the overlap has the same peak on all three mosaics."""
    from radiounet.images.image import read_plane

    planes = {
        n: read_plane(demo / f"results/dr2/mosaics/{n}/image.fits") for n in ("SIM-A", "SIM-B", "SIM-C")
    }
    first = planes["SIM-A"]
    for position in np.argsort(np.nan_to_num(first.data), axis=None)[:-200000:-1]:
        y, x = np.unravel_index(position, first.data.shape)
        ra, dec = first.wcs.wcs_pix2world([[x, y]], 0)[0]
        sums = []
        for plane in planes.values():
            px, py = np.round(plane.wcs.wcs_world2pix([[ra, dec]], 0)[0]).astype(int)
            part = plane.data[max(py - 6, 0) : py + 7, max(px - 6, 0) : px + 7]
            if part.shape == (13, 13) and np.isfinite(part).all():
                sums.append(float(part.sum()))
        if len(sums) >= 2:  # the brightest pixel that two mosaics show
            break
    assert len(sums) >= 2
    np.testing.assert_allclose(sums, sums[0], rtol=0.02)


@pytest.mark.slow
def test_every_job_left_a_log_and_a_benchmark(demo):
    for stage in ("fetch_field", "mosaic", "segment", "find_islands", "measure_clusters"):
        for name in ("SIM-A", "SIM-B", "SIM-C"):
            assert (demo / f"results/dr2/logs/{stage}/{name}.log").stat().st_size > 0
            assert (demo / f"results/dr2/benchmarks/{stage}/{name}.tsv").stat().st_size > 0
