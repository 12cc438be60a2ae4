"""A survey run by regions: its catalogues are those of one piece."""

import shutil

import healpy
import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from mocpy import MOC

from radiounet.images.image import grid_wcs
from radiounet.images.products import HIPS_LAYERS, Products, Publication
from radiounet.images.regional_products import RECORD, products_at, write_index
from radiounet.images.squares import Mosaic
from radiounet.publishing.publication import publish as publish_run
from radiounet.settings.config import load_config
from radiounet.survey.fields import Field
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS
from radiounet.survey.survey import list_paths, read_survey
from skies import add_halo, draw_noise

from .conftest import Run, counted
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
OF_SETTINGS = {
    *("workflow/config/config.yaml", "ro-crate-metadata.json", "SHA256SUMS", "site/data/run.js"),
    ".made/site/all.json",
    ".made/summary/all.json",
}
"""Files of a publication that tell a survey by regions from one in one piece: its setting
`select.healpix`, and checksums and sizes of the file that has it."""


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


def publish_here(run):
    """Publish what a run made, as its jobs do, in this process."""
    config = load_config(yaml.safe_load(run.config.read_text()))
    paths = list_paths(str(run.folder / config.archive.list_folder), config.release)
    survey = read_survey(config.published_release, paths["mosaics"], paths["fields"])
    products = Products(str(run.folder / config.products.root))
    mosaics = survey.select(config.select)
    publish_run(products, Publication(products.publication()), survey, mosaics, 1, config.publish)


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
            publish_here(self)
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
    # of regions that were merged there before
    write_index(Products(str(whole.folder / "results/dr2")), {"north": "3_1", "gone": "3_1"})
    whole(status=65)
    publish_here(whole)
    parts.settings({"order": ORDER})
    refusal = parts(status=1)
    parts.run_all()
    # one process, since starting more takes longer here
    merged = parts("--set-threads", "publish=1", "--", "all", "publish", status=65)
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


def test_a_survey_in_one_piece_forgets_regions_that_were_merged_before(runs):
    products = products_at(str(runs[0].folder / "results/dr2"))
    assert products.mosaics("islands") == sorted(PLACES)


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


@pytest.mark.parametrize("options", [("--touch",), ("--touch", "--forceall")])
def test_a_region_that_is_touched_can_still_be_merged(runs, tmp_path, options):
    run = Survey(tmp_path / "parts")
    shutil.copytree(runs[1].folder, run.folder, symlinks=True)
    pixel = pixel_of(PLACES["east"])
    run.settings({"order": ORDER, "pixel": pixel})
    record = run.folder / Products("results/dr2").region(ORDER, pixel).region_file(RECORD)
    before = record.read_bytes()
    run(*options, "--forcerun", "measure_clusters")
    assert record.read_bytes() == before
    run.settings({"order": ORDER})
    assert "merge_catalogue" in run.counts("--forcerun", "merge_catalogue")


def test_a_changed_row_of_the_cluster_table_measures_again_near_it(runs, tmp_path):
    run = runs[0].copy(tmp_path / "whole")
    path = run.folder / "clusters.ecsv"
    table, ends = Table.read(path), {"merge_catalogue": 1, "report": 1, "all": 1}
    table["z"][table["name"] == "outside"] = 0.3
    table.write(path, overwrite=True)
    assert run.counts() == counted(**ends)
    table["R500"][table["name"] == "C3"] = 6.0  # in the south, 0.7 deg from the mosaic in the far north
    table.write(path, overwrite=True)
    assert run.counts() == counted(measure_clusters=3, **ends)
    run(status=65)
    after = hashes(catalogues(run), "clusters.*")
    assert after != hashes(catalogues(runs[0]), "clusters.*")
    run("--forcerun", "measure_clusters", status=65)
    assert hashes(catalogues(run), "clusters.*") == after


def publication(run, pixel=None):
    region = "" if pixel is None else f"/regions/{ORDER}_{pixel}"
    return run.folder / f"results/dr2{region}/publication"


def published(folder, pattern):
    return {str(path.relative_to(folder)): path for path in folder.glob(pattern) if path.is_file()}


def test_the_publication_is_that_of_one_piece(runs):
    whole, parts, *_ = runs
    ours, theirs = (
        {name: path.read_bytes() for name, path in published(publication(run), "**/*").items()}
        for run in (parts, whole)
    )
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == OF_SETTINGS
    kinds = ("masks/*.fz", "catalogue/*", "moc/*.fits", "hips/*/Norder7/*/*.png", "hips/*/*/Allsky.fits")
    assert all(published(publication(parts), kind) for kind in kinds)


@pytest.mark.parametrize("kind", ["masks", "probabilities", "cutouts"])
def test_each_mosaic_is_published_by_one_region_as_in_one_piece(runs, kind):
    whole, parts, *_ = runs
    found = [
        (name, path.read_bytes())
        for pixel in PIXELS
        for name, path in published(publication(parts, pixel), f"{kind}/*").items()
    ]
    expected = published(publication(whole), f"{kind}/*")
    assert sorted(found) == sorted((name, path.read_bytes()) for name, path in expected.items())
    assert {name.split("/")[1].split(".")[0] for name in expected} == {*PLACES} - {"south"}


@pytest.mark.parametrize("kind", ["coverage", "mask"])
def test_the_mocs_of_the_regions_make_that_of_one_piece(runs, kind):
    whole, parts, *_ = runs
    found = [MOC.from_fits(publication(parts, pixel) / f"moc/{kind}.fits") for pixel in PIXELS]
    one_piece = MOC.from_fits(publication(whole) / f"moc/{kind}.fits")
    assert MOC.union(*found) == one_piece
    if kind == "coverage":  # a cell of the other may hold masked pixels of two regions
        assert sum(moc.sky_fraction for moc in found) == pytest.approx(one_piece.sky_fraction)


def numbers(path):
    """Pixels of a tile and which of them show something."""
    with fits.open(path, do_not_scale_image_data=True, memmap=False) as hdus:
        data = hdus[0].data
    return data, (data != 255) if data.dtype == np.uint8 else np.isfinite(data)


@pytest.mark.parametrize("layer", HIPS_LAYERS)
def test_each_position_is_shown_by_one_region_as_in_one_piece(runs, layer):
    """Tiles at a border are shared; grey scales of PNG follow the noise of each publication."""
    whole, parts, *_ = runs
    pattern = f"hips/{layer}/Norder7/*/*.fits"
    of_regions = [published(publication(parts, pixel), pattern) for pixel in PIXELS]
    shared = alone = 0
    for name, path in published(publication(whole), pattern).items():
        expected, shown = numbers(path)
        found = [numbers(region[name]) for region in of_regions if name in region]
        np.testing.assert_array_equal(sum(part.astype(int) for _, part in found), shown)
        for data, part in found:
            np.testing.assert_array_equal(data[part], expected[part])
        shared += sum(part.any() for _, part in found) > 1
        if len(found) == 1:
            (one_region,) = (region[name] for region in of_regions if name in region)
            assert one_region.read_bytes() == path.read_bytes()
            alone += 1
    assert shared
    assert alone
