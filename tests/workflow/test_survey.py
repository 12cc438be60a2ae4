"""Small surveys end to end: bad data, a restless server."""

import hashlib
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

from radiounet.images.image import grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.simulation.small_survey import ArchiveHandler, serve
from radiounet.survey.fields import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS
from radiounet.survey.survey import list_paths
from skies import add_halo, draw_noise

from .conftest import Run
from .test_dag import write_list, write_mosaic_list

SIGMA = 1e-4
N_PX = 384


def read_csv(path):
    return Table.read(path, format="ascii.csv", comment="#")


def hashes(folder, pattern):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
    }


def image_of_a_halo(seed=1, halo=True):
    rng = np.random.default_rng(seed)
    data = SIGMA * draw_noise(N_PX, 20 / 4.5, rng)
    if halo:
        add_halo(data, 190, 200, 8 * SIGMA, 25.0, rng)
    return data.astype(np.float32)


def header_at(place, **changes):
    header = grid_wcs(place.ra_deg, place.dec_deg, N_PX, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM ")
    header.update(changes)
    return header


def write_survey(run, names, url):
    """Lists of mosaics one degree apart, and a configuration that fetches them from a server."""
    places = [Mosaic(name, 150.0 + index, 35.0, N_PX) for index, name in enumerate(names)]
    paths = list_paths(str(run.folder / "resources/footprints"), "dr2")
    write_mosaic_list(paths["mosaics"], places)
    grid = [Field(place.name, place.ra_deg, place.dec_deg) for place in places]
    write_list(paths["fields"], FIELD_COLUMNS, [(f.name, f.ra_deg, f.dec_deg, 1) for f in grid])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    download = {"timeout_s": 2.0, "attempts": 4, "backoff_s": 0.05}
    template = url + "/{mosaic}/{file}"
    run.write_config(archive={"dr2": {"mosaic": template}, "download": download})
    return {place.name: place for place in places}


def publish(root, place, data, **changes):
    path = root / place.name / "low-mosaic-blanked.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data, header_at(place, **changes)).writeto(path)
    return path


class RestlessHandler(ArchiveHandler):
    """503 twice, then half of the file and a broken connection, then as it should be."""

    asked: dict[str, int] = {}
    lock = threading.Lock()

    def do_GET(self):
        with self.lock:
            count = self.asked[self.path] = self.asked.get(self.path, 0) + 1
        if "restless" in self.path and count <= 2:
            self.send_error(503)
        elif "restless" in self.path and count == 3:
            body = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif "page" in self.path:
            body = b"<!DOCTYPE html><html>No suitable mosaic found</html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()


@pytest.mark.slow
def test_bad_data_is_rejected_by_name_and_the_other_mosaics_finish(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    root = tmp_path / "archive"
    names = ["good", "restless", "page", "absent", "cut", "blank", "kelvin", "fine", "beamless"]
    with serve(root, RestlessHandler) as url:
        places = write_survey(run, names, url)
        for seed, name in enumerate(("good", "restless")):
            publish(root, places[name], image_of_a_halo(seed))
        whole = publish(root, places["cut"], image_of_a_halo())
        whole.write_bytes(whole.read_bytes()[:100_000])
        publish(root, places["blank"], np.full((N_PX, N_PX), np.nan, np.float32))
        publish(root, places["kelvin"], image_of_a_halo(), BUNIT="K")
        publish(root, places["fine"], image_of_a_halo(), CDELT1=-1.5 / 3600, CDELT2=1.5 / 3600)
        publish(root, places["beamless"], image_of_a_halo(), BMAJ=0.0)
        text = run(status=65)
        assert "7 rejected" in text
        rejected = {row["name"]: row for row in read_csv(run.folder / "results/dr2/catalogue/rejected.csv")}
        assert {name: row["reason"].split(":")[0] for name, row in rejected.items()} == {
            "page": "NotFitsError",
            "absent": "NotInArchiveError",
            "cut": "TruncatedError",
            "blank": "AllBlankError",
            "kelvin": "UnitError",
            "fine": "GridError",
            "beamless": "BeamError",
        }
        assert {row["stage"] for row in rejected.values()} == {"fetch_mosaic", "segment"}
        for name in ("good", "restless"):
            mask = fits.getdata(run.folder / f"results/dr2/masks/{name}.fits")
            assert (mask == 1).sum() > 500
        islands = read_csv(run.folder / "results/dr2/catalogue/islands.csv")
        assert set(islands["mosaic"]) == {"good", "restless"}
        report = (run.folder / "results/dr2/report.html").read_text()
        assert "<b>2</b> of 9 mosaics done" in report
        assert "UnitError" in report
        left = [path.name for path in run.folder.rglob("*.part*")]
        left += [path.name for path in run.folder.rglob(".image*")]
        assert left == []
        assert run.counts() == {}

        # a rejected mosaic tried again, as the README says: its branch alone
        again = ("--forcerun", "results/dr2/mosaics/kelvin/image.fits")
        counts = run.counts(*again)
        assert {rule: counts[rule] for rule in ("fetch_mosaic", "segment", "find_islands")} == {
            "fetch_mosaic": 1,
            "segment": 1,
            "find_islands": 1,
        }
        # bad data has its exit status in every run that meets it, and in no other
        image = "results/dr2/mosaics/kelvin/image.fits"
        assert "rejected (in" not in run("--force", "--", "results/dr2/mosaics/good/image.fits")
        blank = "results/dr2/masks/blank.fits"
        text = run("--force", "--", blank, status=65)
        assert "1 rejected (in segment): see results/dr2/logs" in text
        run(blank)
        run("--forcerun", image, "--until", "segment", status=65)
        # asked to stop at bad data, the run says so
        text = run(*again, "--config", "on_reject=stop", "--retries", "0", status=1)
        assert "UnitError" in text
        assert "Trying to restart" not in text


@pytest.mark.slow
def test_a_rejected_neighbour_and_a_bad_field_are_listed_too(tmp_path):
    from radiounet.images.image import grid_wcs as grid

    run = Run(tmp_path)
    root = tmp_path / "archive"
    places = write_survey(run, ["one", "two", "far"], "unused")
    # both close together: the cluster between them needs both, only the first is selected
    places["two"] = Mosaic("two", 150.35, 35.0, N_PX)
    paths = list_paths(str(run.folder / "resources/footprints"), "dr2")
    write_mosaic_list(paths["mosaics"], places.values())
    members = [(place.name, place.ra_deg, place.dec_deg, 1) for place in places.values()]
    write_list(paths["fields"], FIELD_COLUMNS, members)
    clusters = Table({"name": ["between"], "ra": [150.15], "dec": [35.0], "z": [0.2], "R500": [6.0]})
    clusters["R500"].unit = "arcmin"
    clusters.write(run.folder / "clusters.ecsv")
    for name, place in places.items():
        n_px = 700
        header = header_at(place)
        header.update(grid(place.ra_deg, place.dec_deg, n_px, 4.5).to_header())
        noise = SIGMA * draw_noise(n_px, 20 / 4.5, np.random.default_rng(1))
        for kind in ("int", "app"):
            data = noise if kind == "int" or name != "far" else noise[:-2]
            path = root / name / f"image_full_low_m.{kind}.restored.fits"
            path.parent.mkdir(parents=True, exist_ok=True)
            fits.PrimaryHDU(data.astype(np.float32), header).writeto(path)
    (root / "two" / "image_full_low_m.app.restored.fits").write_text("<html>busy</html>")

    def rejected(**options):
        run.write_config(
            mosaics={"source": "fields", "options": {"rms_box_px": 300, **options}},
            select={"mosaics": ["one"]},
            clusters="clusters.ecsv",
            archive={"dr2": {"field": f"file://{root}/{{field}}/{{file}}"}},
        )
        run(status=65)
        rows = read_csv(run.folder / "results/dr2/catalogue/rejected.csv")
        assert all(str(row["file"]) for row in rows)
        assert listed() == sorted((row["name"], row["stage"], row["reason"]) for row in rows)
        return {(row["name"], row["stage"], row["reason"].split(":")[0]) for row in rows}

    def listed():
        status = json.loads((run.folder / "results/dr2/status.json").read_text())
        reasons = [row["reason"].replace("results/dr2/", "") for row in status["rejected"]]
        return sorted(
            (row["name"], row["stage"], why) for row, why in zip(status["rejected"], reasons, strict=True)
        )

    # the field that is a page rejects every mosaic that needs it; nothing is lost on the way
    assert ("two", "fetch_field", "NotFitsError") in rejected(missing_field="reject")
    found = rejected(missing_field="skip")
    assert ("two", "fetch_field", "NotFitsError") in found
    assert ("far", "mosaic", "ShapeMismatchError") in found
    # those of an earlier run as well
    before = listed()
    (run.folder / "results/dr2/report.html").unlink()
    run()
    assert listed() == before
    clusters = read_csv(run.folder / "results/dr2/catalogue/clusters.csv")
    assert clusters["coverage"][0] > 0.9
    # keys that no download of fields uses
    archive = {"dr2": {"mosaic": "http://x/{mosaic}/{file}", "field": f"file://{root}/{{field}}/{{file}}"}}
    run.write_config(**yaml.safe_load(run.config.read_text()) | {"archive": archive})
    assert "fetch_field" not in run.counts()
    archive["dr2"]["field"] = "http://x/{field}/{file}"
    run.write_config(**yaml.safe_load(run.config.read_text()) | {"archive": archive})
    assert run.counts()["fetch_field"] == 3
    archive["dr2"]["field"] = f"file://{root}/{{field}}/{{file}}"
    run.write_config(**yaml.safe_load(run.config.read_text()) | {"archive": archive})
    run()
    # a damaged record of what was left out
    record = run.folder / "results/dr2/sources/left_out/one.json"
    before = record.read_bytes()
    record.write_bytes(before[:40])
    os.utime(record, (1e9, 1e9))
    assert run.counts()["mosaic"] == 1
    assert run.counts("rerun", "--config", "only=rejected")["fetch_field"] == 2
    run(status=65)
    assert record.read_bytes() == before
    assert run.counts() == {}


@pytest.mark.slow
def test_where_bad_data_is_to_stop_the_run_nothing_begins_after_it(tmp_path):
    """Although the profiles tell Snakemake to go on."""
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    with serve(tmp_path / "archive") as url:  # which has none of them
        write_survey(run, ["one", "two", "three"], url)
        run.config.write_text(run.config.read_text() + "on_reject: stop\n")
        run("--cores", "1", "--retries", "0", status=1)
    assert len(list((run.folder / "results/dr2/logs/fetch_mosaic").iterdir())) == 1
