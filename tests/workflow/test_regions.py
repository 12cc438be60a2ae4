"""A survey run by regions: its catalogues are those of one piece."""

import healpy
import numpy as np
import pytest
from astropy.table import Table

from radiounet.images.image import grid_wcs
from radiounet.images.squares import Mosaic
from radiounet.survey.cells import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS
from radiounet.survey.survey import list_paths
from skies import add_halo, draw_noise

from .conftest import Run
from .test_dag import write_list, write_mosaic_list
from .test_survey import N_PX, SIGMA, hashes, publish

pytestmark = pytest.mark.slow

ORDER = 3
RA, DEC = healpy.vec2ang(healpy.boundaries(2**ORDER, 100, step=1, nest=True).T[2], lonlat=True)
"""A corner at which four regions meet."""
OFFSETS = {"north": (0, 0.2), "far": (0, 0.45), "east": (0.2, 0), "south": (0, -0.2)}
"""Centres of the mosaics from there, deg to the east and north; they overlap."""
HALOS = [(0.0, 0.02), (0.08, 0.09), (0.0, 0.33), (-0.02, -0.25)]
KINDS = ("clusters", "islands", "rejected")


def place_at(east, north):
    dec = float(DEC[0]) + north
    return float(RA[0]) + east / np.cos(np.radians(dec)), dec


PLACES = {name: Mosaic(name, *place_at(*offset), N_PX) for name, offset in OFFSETS.items()}


def image_at(place, seed):
    """Halos of the common sky in noise of a mosaic's own."""
    rng = np.random.default_rng(seed)
    data = SIGMA * draw_noise(N_PX, 20 / 4.5, rng)
    wcs = grid_wcs(place.ra_deg, place.dec_deg, N_PX, 4.5)
    for offset in HALOS:
        x, y = wcs.world_to_pixel_values(*place_at(*offset))
        add_halo(data, y, x, 8 * SIGMA, 25.0, rng)
    return data.astype(np.float32)


def pixel_of(place):
    return int(healpy.ang2pix(2**ORDER, place.ra_deg, place.dec_deg, nest=True, lonlat=True))


PIXELS = sorted(set(map(pixel_of, PLACES.values())))


class Survey(Run):
    """A folder with the lists of the survey."""

    def settings(self, healpix=None, **more):
        select = {"select": {"healpix": healpix}} if healpix else {}
        self.write_config(
            clusters="clusters.ecsv",
            archive={"dr2": {"mosaic": "file://" + str(self.folder.parent / "archive/{mosaic}/{file}")}},
            **select,
            **more,
        )

    def run_all(self, **more):
        for pixel in PIXELS:
            self.settings({"order": ORDER, "pixel": pixel}, **more)
            # no cluster of the region in the east touches the mosaic in the south, which is rejected
            self(status=0 if pixel == pixel_of(PLACES["east"]) else 65)
        self.settings({"order": ORDER}, **more)


def make_survey(folder):
    survey = Survey(folder)
    survey.folder.mkdir()
    paths = list_paths(str(folder / "resources/footprints"), "dr2")
    write_mosaic_list(paths["mosaics"], [*PLACES.values()])
    fields = [Field(place.name, place.ra_deg, place.dec_deg) for place in PLACES.values()]
    write_list(paths["fields"], FIELD_COLUMNS, [(f.name, f.ra_deg, f.dec_deg, 1) for f in fields])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    rows = [(f"C{number}", *place_at(*halo), 0.2, 5.0) for number, halo in enumerate(HALOS)]
    rows += [("nowhere", np.nan, np.nan, 0.2, 5.0), ("outside", 10.0, -50.0, 0.2, 5.0)]
    rows += [("in bad", PLACES["south"].ra_deg, PLACES["south"].dec_deg - 0.1, 0.2, 1.0)]
    clusters = Table(rows=rows, names=["name", "ra", "dec", "z", "R500"])
    clusters["R500"].unit = "arcmin"
    clusters.write(folder / "clusters.ecsv")
    return survey


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One survey in one piece, and by regions; the mosaic in the south is in no unit of brightness."""
    root = tmp_path_factory.mktemp("regions")
    for seed, place in enumerate(PLACES.values()):
        unit = {"BUNIT": "K"} if place.name == "south" else {}
        publish(root / "archive", place, image_at(place, seed), **unit)
    whole, parts = make_survey(root / "whole"), make_survey(root / "parts")
    whole.settings()
    whole(status=65)
    parts.settings({"order": ORDER})
    refusal = parts(status=1)
    parts.run_all()
    merged = parts(status=65)
    return whole, parts, refusal, merged


def catalogues(run):
    return run.folder / "results/dr2/catalogue"


def test_the_survey_spans_regions_and_its_borders_matter(runs):
    whole = runs[0]
    assert len(PIXELS) == 3
    islands = Table.read(catalogues(whole) / "islands.vot")
    found = [path for path in (whole.folder / "results/dr2/islands").glob("*.ecsv") if path.stem != "south"]
    shown = sum(len(Table.read(path, format="ascii.ecsv")) for path in found)
    assert 2 <= len(islands) < shown  # some are shown by two mosaics, and counted once


def test_catalogues_are_those_of_one_piece(runs):
    whole, parts, refusal, merged = runs
    assert f"{len(PIXELS)} of {len(PIXELS)} regions cannot be merged yet" in refusal
    assert all(f"region {ORDER}_{pixel}: missing" in refusal for pixel in PIXELS)
    assert "1 rejected" in merged
    for kind in KINDS:
        names = hashes(catalogues(whole), f"{kind}.*")
        assert len(names) == 4
        assert hashes(catalogues(parts), f"{kind}.*") == names
    assert parts.counts() == {}
