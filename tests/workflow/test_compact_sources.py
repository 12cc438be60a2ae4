"""Compact sources around a cluster from the image, from a table of components, and from a 6 arcsec image."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.images.image import grid_wcs
from radiounet.simulation.small_survey import serve
from skies import BEAM_AREA_PX, FWHM_TO_SIGMA, draw_noise

from .conftest import CHAIN, Run, counted
from .test_freshness import write_clusters
from .test_survey import N_PX, SIGMA, image_of_a_halo, publish, read_csv, write_survey

pytestmark = pytest.mark.slow

FINE = 3
"""Pixels of 1.5 arcsec in one of the survey's."""
SOURCES_MJY = {(-0.010, 0.004): 6.0, (0.006, -0.012): 3.0, (0.012, 0.010): 1.5}
"""Flux densities of point sources in the halo, by their offsets to north and east in deg."""
ENDS = {"merge_catalogue": 1, "report": 1, "all": 1}


def add_sources(plane, wcs, place, beam_px):
    """Add all point sources, Jy/beam."""
    rows, columns = np.indices(plane.shape)
    for (north, east), flux_mjy in SOURCES_MJY.items():
        ra = place.ra_deg + east / np.cos(np.radians(place.dec_deg))
        x, y = wcs.wcs_world2pix(ra, place.dec_deg + north, 0)
        sigma = beam_px * FWHM_TO_SIGMA
        plane += flux_mjy / 1e3 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def write_fine_image(path, place):
    """A 6 arcsec image, which shows the point sources and hardly any of the halo."""
    wcs = grid_wcs(place.ra_deg, place.dec_deg, FINE * N_PX, 1.5)
    plane = 0.7 * SIGMA * draw_noise(FINE * N_PX, 4.0, np.random.default_rng(3)).astype(float)
    add_sources(plane, wcs, place, 4.0)
    header = wcs.to_header()
    header.update(BMAJ=6 / 3600, BMIN=6 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    fits.PrimaryHDU(plane.astype(np.float32), header).writeto(path)


def write_table(path, place):
    """A table of components as LoTSS publishes it, with a source too large to be compact."""
    offsets = [*SOURCES_MJY, (0.0, 0.0)]
    table = Table()
    table["RA"] = [place.ra_deg + east / np.cos(np.radians(place.dec_deg)) for _, east in offsets]
    table["DEC"] = [place.dec_deg + north for north, _ in offsets]
    table["Total_flux"] = [*SOURCES_MJY.values(), 40.0]
    table["E_Total_flux"] = table["Total_flux"] / 50
    table["DC_Maj"] = table["DC_Min"] = [*(0.0 for _ in SOURCES_MJY), 90.0]
    table["PA"] = 0.0
    for names, unit in ((("RA", "DEC", "PA"), "deg"), (("Total_flux", "E_Total_flux"), "mJy")):
        for name in names:
            table[name].unit = unit
    table["DC_Maj"].unit = table["DC_Min"].unit = "arcsec"
    table.write(path)


def test_flux_densities_of_a_halo_are_the_same_wherever_its_compact_sources_come_from(tmp_path):
    run, root = Run(tmp_path / "run"), tmp_path / "archive"
    run.folder.mkdir()
    with serve(root) as url:
        place = write_survey(run, ["one"], url)["one"]
        image = image_of_a_halo().astype(float)
        add_sources(image, grid_wcs(place.ra_deg, place.dec_deg, N_PX, 4.5), place, 20 / 4.5)
        publish(root, place, image.astype(np.float32))
        write_fine_image(root / "one/fine.fits", place)
        write_table(root / "one/components.fits", place)
        write_clusters(run.folder / "own.ecsv", "a cluster")
        archive = {"dr2": {"mosaic": url + "/{mosaic}/{file}"}}
        table = {"measure": {"components": {"url": url + "/{mosaic}/components.fits"}}}
        fine = {"mosaics": {"high_resolution": url + "/{mosaic}/fine.fits"}}
        measured = {}
        for origin, settings, first in (
            ("image", {}, {"fetch_mosaic": 1, **CHAIN}),
            ("table", table, {"fetch_components": 1, "find_islands": 1, "measure_clusters": 1}),
            ("high resolution", fine, {"fetch_high_resolution": 1, "find_islands": 1, "measure_clusters": 1}),
        ):
            run.write_config(clusters="own.ecsv", archive=archive, **settings)
            assert run.counts() == counted(**first, **ENDS)
            run()
            (row,) = read_csv(run.folder / "results/dr2/catalogue/clusters.csv")
            assert row["compact_origin"] == origin
            assert row["compact_count"] == len(SOURCES_MJY)
            assert row["compact_mjy"] == pytest.approx(sum(SOURCES_MJY.values()), rel=0.08)
            assert row["class"] == "cRH"
            measured[origin] = row
    assert measured["table"]["extended_count"] == 1
    fluxes = [one["flux_r500_mjy"] for one in measured.values()]
    assert max(fluxes) < 1.05 * min(fluxes)
    # the halo of `image_of_a_halo`: 8 rms exp(-r / 25 px), 8.9 px from the cluster; R500 is 4 arcmin
    y, x = np.indices((N_PX, N_PX))
    inside = np.hypot(y - N_PX / 2 + 0.5, x - N_PX / 2 + 0.5) <= 4 * 60 / 4.5
    halo = 8 * SIGMA * np.exp(-np.hypot(y - 190, x - 200) / 25)[inside].sum() / BEAM_AREA_PX
    assert fluxes == pytest.approx([1e3 * halo] * 3, rel=0.05)
