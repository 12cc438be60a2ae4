"""Cut-outs in files, and those of islands made again, on what the stages write."""

import os
import shutil
import time

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import TruncatedError
from radiounet.images.geometry import to_sky
from radiounet.images.image import open_plane, read_plane
from radiounet.images.products import Products
from radiounet.images.reading import ecsv_table
from radiounet.measuring.cutout_files import StoredCutout, read_cutout, write_cutouts
from radiounet.measuring.cutouts import MeasuredMosaic, cut_out
from radiounet.measuring.island_cutouts import cut_out_island
from radiounet.settings.segmentation import Segmentation
from stages import DEC, HALO, RA, run_stages, write_image

NAMES = ["A 1", "twin", "twin"]
OFFSETS = [0.0, 0.06, -0.06]
"""Right ascension, deg."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Products of a mosaic with three clusters, two of one name."""
    folder = tmp_path_factory.mktemp("cutouts")
    table = Table({"name": NAMES, "ra": RA + np.array(OFFSETS), "dec": [DEC] * 3, "z": [0.2] * 3})
    table["R500"] = [2.0] * 3
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    run_stages(products, {"a": write_image(folder / "a.fits", n_px=300)}, folder / "clusters.ecsv")
    mosaic = MeasuredMosaic.read(products.image("a"), products.probability("a"), products.mask("a"))
    return products, mosaic


@pytest.mark.parametrize("number", range(3))
def test_a_cutout_comes_back_as_it_was_measured(run, number):
    products, mosaic = run
    found = read_cutout(products.cutouts("a"), NAMES[number], RA + OFFSETS[number], DEC)
    made = cut_out(mosaic, found.part)
    np.testing.assert_array_equal(found.residual.data, made.residual)
    np.testing.assert_array_equal(found.compact, made.compact)
    np.testing.assert_array_equal(found.islands, np.where(made.blanked, -1, made.labels))
    np.testing.assert_array_equal(found.image, made.residual + made.compact)
    np.testing.assert_array_equal(found.level, np.where(made.blanked, made.filled, np.nan))
    row = next(
        one
        for one in ecsv_table(products.clusters("a"))
        if one["name"] == NAMES[number] and abs(one["ra_deg"] - RA - OFFSETS[number]) < 1e-3
    )
    assert len(np.unique(found.islands[found.own])) == row["island_count"]
    assert not found.own[found.islands <= 0].any()
    assert found.residual.beam == mosaic.plane.beam
    assert found.rms_jy == np.median(made.rms[made.known])
    rows, columns = found.part
    x = columns.start + 10, rows.start + 20
    np.testing.assert_allclose(to_sky(found.residual.wcs, 10, 20), to_sky(mosaic.plane.wcs, *x), atol=1e-12)
    # the cluster is in the middle
    middle = to_sky(found.residual.wcs, *(0.5 * (one.stop - one.start) for one in (columns, rows)))
    assert abs(middle[0] - RA - OFFSETS[number]) < 0.01


@pytest.mark.parametrize("number", [1, 6, 17])
def test_a_file_that_lacks_the_last_of_its_planes_is_refused(run, tmp_path, number):
    """Also where the cluster that is asked for is still there; three clusters have six extensions each."""
    products, _ = run
    path = shutil.copy(products.cutouts("a"), tmp_path / "c.fits")
    with fits.open(path) as hdus:
        assert len(hdus) == 1 + 18
        start = hdus[1 + number]._header_offset
    os.truncate(path, start)
    with pytest.raises(TruncatedError, match=f"has {number} of 18 extensions: have it made again"):
        read_cutout(path, NAMES[0], RA, DEC)
    os.truncate(path, start - 2880)
    with pytest.raises(TruncatedError):
        read_cutout(path, NAMES[0], RA, DEC)


@pytest.fixture(scope="module")
def with_a_galaxy(tmp_path_factory):
    """Products of a halo with a resolved radio galaxy in it, and of another beside it."""
    folder = tmp_path_factory.mktemp("galaxy")
    image = write_image(folder / "a.fits", n_px=300, peak_snr=30.0)
    with fits.open(image, mode="update") as hdus:
        y, x = np.indices(hdus[0].data.shape)
        for row, column in (HALO, (HALO[0] + 60, HALO[1] + 60)):
            hdus[0].data[np.hypot((y - row) / 2, x - column) < 4] += 3e-2
    table = Table({"name": ["A"], "ra": [RA], "dec": [DEC], "z": [0.2], "R500": [9.0]})
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    run_stages(products, {"a": image}, folder / "clusters.ecsv")
    return products


def test_flux_densities_follow_from_the_file_with_blanked_pixels_at_their_level(with_a_galaxy):
    """As a reader computes them with astropy and numpy alone, see ``docs/reference/products.md``."""
    (row,) = ecsv_table(with_a_galaxy.clusters("a"))
    with fits.open(with_a_galaxy.cutouts("a")) as hdus:
        residual, islands, own, level = (
            hdus[kind, 1].data for kind in ("RESIDUAL", "ISLANDS", "OWN", "LEVEL")
        )
        header = hdus["RESIDUAL", 1].header
    summed = residual.astype(float)
    summed[level["y"], level["x"]] = level["level"]
    wcs = WCS(header)
    y, x = np.indices(summed.shape)
    cosines = 1 - np.sum(((np.stack([x, y], -1) + 1 - wcs.wcs.crpix) * np.radians(wcs.wcs.cdelt)) ** 2, -1)
    beams = (
        abs(np.prod(wcs.wcs.cdelt))
        / np.sqrt(cosines)
        / (np.pi / (4 * np.log(2)) * header["BMAJ"] * header["BMIN"])
    )
    centre = SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
    inside = wcs.pixel_to_world(x, y).separation(centre).arcmin <= row["r500_arcmin"]

    def flux_mjy(image, region):
        return 1e3 * np.nansum((image * beams)[region & inside])

    np.testing.assert_array_equal(read_cutout(with_a_galaxy.cutouts("a"), "A", RA, DEC).measured, summed)
    everywhere = np.full(inside.shape, True)
    assert flux_mjy(summed, own > 0) == pytest.approx(row["flux_mjy"], rel=1e-4)
    assert flux_mjy(summed, everywhere) == pytest.approx(row["flux_r500_mjy"], rel=1e-4)
    # and not without the level
    assert row["blanked_fraction"] > 0.005
    assert (own == 2).any()
    assert ((islands == -1) & (own == 0)).any()
    assert abs(flux_mjy(summed, own == 1) / row["flux_mjy"] - 1) > 0.01
    assert abs(flux_mjy(residual, everywhere) / row["flux_r500_mjy"] - 1) > 0.01


def test_files_of_older_versions_are_read(with_a_galaxy, tmp_path):
    with fits.open(with_a_galaxy.cutouts("a")) as hdus:
        hdus["OWN", 1].data[hdus["OWN", 1].data == 2] = 0
        del hdus["LEVEL", 1]
        hdus[0].header["NEXTEND"] = len(hdus) - 1
        hdus.writeto(tmp_path / "older.fits")
    older, newer = (
        read_cutout(path, "A", RA, DEC) for path in (tmp_path / "older.fits", with_a_galaxy.cutouts("a"))
    )
    np.testing.assert_array_equal(older.own, newer.own)
    np.testing.assert_array_equal(older.residual.data, newer.residual.data)
    assert older.level is None
    np.testing.assert_array_equal(older.measured, older.residual.data)


def test_the_same_cut_outs_are_the_same_bytes_at_any_time(with_a_galaxy, tmp_path, monkeypatch):
    cutout = read_cutout(with_a_galaxy.cutouts("a"), "A", RA, DEC)
    for now in (1e9, 2e9):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        write_cutouts(tmp_path / f"{now:.0f}.fits", [("A", cutout)], {})
    one, other = (path.read_bytes() for path in tmp_path.glob("*.fits"))
    assert one == other


def test_the_level_of_blanked_pixels_takes_little_place(with_a_galaxy):
    with fits.open(with_a_galaxy.cutouts("a")) as hdus:
        sizes = {hdu.name: hdu.filebytes() for hdu in hdus[1:]}
    assert sizes["LEVEL"] < 0.05 * sum(sizes.values())


def test_compact_sources_are_listed_where_they_are(tmp_path):
    image = write_image(tmp_path / "a.fits", peak_snr=0.0, n_px=200)

    plane = read_plane(image)
    y, x = np.indices(plane.data.shape)
    sigma = 20 / 4.5 / 2.3548
    plane.data += (5e-3 * np.exp(-((y - 140) ** 2 + (x - 60) ** 2) / (2 * sigma**2))).astype(np.float32)
    mosaic = MeasuredMosaic.of(plane, np.zeros_like(plane.data), np.zeros(plane.data.shape, np.uint8))
    whole = tuple(slice(0, side) for side in plane.data.shape)
    cutout = StoredCutout.of(cut_out(mosaic, whole), np.zeros(plane.data.shape, bool))
    write_cutouts(tmp_path / "c.fits", [("one", cutout)], {"made": "here"})
    (row,) = read_cutout(tmp_path / "c.fits", "one", RA, DEC).components
    np.testing.assert_allclose(row["peak_jy"], 5e-3, rtol=0.1)
    there = to_sky(plane.wcs, 60, 140)
    np.testing.assert_allclose([row["ra_deg"], row["dec_deg"]], there, atol=0.5 * 4.5 / 3600)
    assert fits.getheader(tmp_path / "c.fits")["HISTORY"][0] == "made: here"


def test_a_cluster_that_was_not_measured_has_none(run):
    products, _ = run
    assert read_cutout(products.cutouts("a"), "A 2", RA, DEC) is None


@pytest.mark.slow
def test_an_island_is_cut_out_of_a_window_as_of_the_whole_mosaic(tmp_path):
    products = Products(str(tmp_path))
    image = write_image(tmp_path / "a.fits", n_px=1100)
    run_stages(products, {"a": image}, segmentation=Segmentation(model="lotss-unet"))
    paths = products.image("a"), products.probability("a"), products.mask("a")
    row = max(ecsv_table(products.islands("a")), key=lambda row: row["flux_mjy"])
    found = cut_out_island(*paths, row["ra_deg"], row["dec_deg"], row["extent_arcmin"])
    mosaic = MeasuredMosaic.read(*paths)
    part = cut_out(mosaic, found.part)
    whole = StoredCutout.of(part, part.labels > 0)
    assert found.rms_jy == pytest.approx(whole.rms_jy, rel=1e-3)
    np.testing.assert_allclose(found.residual.data, whole.residual.data, atol=0.02 * whole.rms_jy)
    np.testing.assert_array_equal(found.residual.wcs.wcs.crpix, whole.residual.wcs.wcs.crpix)
    y, x = HALO[0] - found.part[0].start, HALO[1] - found.part[1].start
    number = found.islands[y, x]
    assert number > 0
    area = row["area_arcmin2"] / (4.5 / 60) ** 2
    assert (found.islands == number).sum() == pytest.approx(area, rel=0.05)
    np.testing.assert_array_equal(found.own, found.islands == number)


def test_where_the_mask_has_no_island_there_is_no_cutout(tmp_path):
    products = Products(str(tmp_path))
    run_stages(products, {"a": write_image(tmp_path / "a.fits", peak_snr=0.0)})
    paths = products.image("a"), products.probability("a"), products.mask("a")
    assert cut_out_island(*paths, RA, DEC, 2.0) is None


def test_an_arc_around_another_island_is_found_by_its_centre(tmp_path):
    """Its centre lies on the other one."""
    products = Products(str(tmp_path))
    image = write_image(tmp_path / "a.fits", peak_snr=0.0, n_px=300)
    run_stages(products, {"a": image}, segmentation=Segmentation(model="lotss-unet"))
    paths = products.image("a"), products.probability("a"), products.mask("a")
    y, x = np.indices(open_plane(image).data.shape) - 150
    arc = (np.abs(np.hypot(y, x) - 60) < 8) & (y < 20)
    centre_y, centre_x = (np.mean(one[arc]) for one in (y, x))
    blob = np.hypot(y - centre_y - 1, x - centre_x) < 6
    for path, value in zip(paths[1:], (np.float32(0.9), np.uint8(1)), strict=True):
        with fits.open(path, mode="update") as planes:
            planes[0].data[:] = 0
            planes[0].data[arc | blob] = value
    ra, dec = to_sky(open_plane(image).wcs, 150 + centre_x, 150 + centre_y)
    found = cut_out_island(*paths, float(ra), float(dec), 10.0)
    assert found.own.sum() == arc.sum()
