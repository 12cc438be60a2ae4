"""Compact sources from a table of components and from a 6" image."""

import json
import os
import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from maps import write_products
from radiounet.errors import NoOverlapError, TruncatedError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs, read_plane
from radiounet.images.rejections import Rejection, read_rejection, write_rejected
from radiounet.images.squares import Mosaic
from radiounet.measuring.clusters import ClusterMeter, MosaicProducts
from radiounet.measuring.components import CompactFiles
from radiounet.measuring.cutouts import MeasuredMosaic, cut_out
from radiounet.measuring.fluxes import region_flux
from radiounet.measuring.objects import measure_object
from radiounet.settings.components import ComponentTable
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import DR2
from radiounet.simulation.small_survey import serve
from radiounet.survey.lists import write_mosaic_list
from radiounet.survey.survey import Cluster, Survey
from skies import FWHM_TO_SIGMA, convolve_with_beam, draw_noise
from stages import run_script

RA, DEC, N_PX = 150.0, 40.0, 320
RMS = 1e-4
PART = np.s_[40:280, 40:280]
HALO_JY = 0.060
SOURCES = [(172.3, 150.6, 0.020), (148.0, 171.4, 0.008), (160.2, 159.8, 0.012), (90.0, 230.0, 0.030)]
"""Row, column and flux density, Jy; the third in the middle of the halo."""
BLEND = [(120.0, 200.0, 0.020), (120.0, 203.0, 0.002)]
"""Two sources 13.5" apart, a tenth of whom a fit at 20" cannot tell from the other."""
GRID = grid_wcs(RA, DEC, N_PX, 4.5)


def sky_of(y, x):
    return (float(one) for one in GRID.wcs_pix2world(x, y, 0))


def paint(n_px, pixel_arcsec, beam_arcsec, sources, halo=True, seed=5):
    """Image of the halo and sources in noise that is correlated like the beam, Jy/beam."""
    scale = 4.5 / pixel_arcsec
    y, x = np.mgrid[:n_px, :n_px]
    centre = (n_px / 2 - 1) - scale * (N_PX / 2 - 1)  # both grids have their reference pixel at N/2
    place = [(centre + scale * a, centre + scale * b, flux) for a, b, flux in sources]
    fwhm = beam_arcsec / pixel_arcsec
    data = RMS * draw_noise(n_px, fwhm, np.random.default_rng(seed))
    if halo:
        radius = 20 * scale
        middle = centre + scale * 159.5
        disc = np.exp(-np.hypot(y - middle, x - middle) / radius)
        data += convolve_with_beam(HALO_JY / (2 * np.pi * radius**2) * disc, fwhm)
    for a, b, flux in place:
        data += flux * np.exp(-0.5 * ((y - a) ** 2 + (x - b) ** 2) / (fwhm * FWHM_TO_SIGMA) ** 2)
    return data.astype(np.float32)


def table(path, sources=SOURCES, **changes):
    """Table of components as LoTSS has it."""
    places = [tuple(sky_of(y, x)) for y, x, _ in sources]
    columns = {
        "RA": [ra for ra, _ in places],
        "DEC": [dec for _, dec in places],
        "Total_flux": [1e3 * flux for _, _, flux in sources],
        "E_Total_flux": [0.3] * len(sources),
        "DC_Maj": [0.0] * len(sources),
        "DC_Min": [0.0] * len(sources),
        "PA": [0.0] * len(sources),
    }
    units = {"RA": "deg", "DEC": "deg", "Total_flux": "mJy", "E_Total_flux": "mJy", "PA": "deg"}
    made = Table(columns | changes, units=units | {"DC_Maj": "arcsec", "DC_Min": "arcsec"})
    made.write(path, overwrite=True)
    return str(path)


def mosaic(data, files=None, resolution=None):
    plane = Plane(data, GRID, Beam(20, 20), resolution)
    y, x = np.mgrid[:N_PX, :N_PX] - 159.5
    mask = (np.hypot(y, x) < 60).astype(np.uint8)
    return MeasuredMosaic.of(plane, np.where(mask, 0.8, 0.1).astype(np.float32), mask, compact=files)


def of_table(path, name="P1", **options):
    return CompactFiles(name, ComponentTable(url=path, **options), path)


def halo_mjy(cutout):
    found = region_flux(cutout, cutout.labels > 0, 0.0)
    return 1e3 * found.flux_jy, found


# of an exponential disc, 1 - exp(-3) (1 + 3) = 0.80 lies within three e-folding radii, which the mask has
EXPECTED_MJY = 1e3 * HALO_JY * (1 - 4 * np.exp(-3))


def test_halo_and_sources_with_a_table(tmp_path):
    files = of_table(table(tmp_path / "t.fits"))
    found = cut_out(mosaic(paint(N_PX, 4.5, 20, SOURCES), files), PART)
    components = found.components
    assert (components.origin, components.note) == ("table", "")
    order = np.argsort([-flux for *_, flux in SOURCES])
    expected = np.array(SOURCES)[order]
    np.testing.assert_allclose([components.y + 40, components.x + 40], expected[:, :2].T, atol=1e-3)
    # unresolved: the peak is the flux density, and the error is that of the table
    np.testing.assert_allclose(components.peak, expected[:, 2], rtol=1e-6)
    np.testing.assert_allclose(components.flux_error, 0.3e-3, rtol=1e-6)
    flux, inside = halo_mjy(found)
    assert flux == pytest.approx(EXPECTED_MJY, rel=0.06)
    assert inside.compact_count == 3
    assert 1e3 * inside.compact_jy == pytest.approx(40, rel=0.01)
    # the image's noise, 5 % of 40 mJy, and three times 0.3 mJy
    beams = inside.noise_jy**2 - (0.05 * inside.compact_jy) ** 2 - 3 * 0.3e-3**2
    assert 0.8 < np.sqrt(beams) / (RMS * np.sqrt(2 * np.pi * 60**2 / 22.38)) < 1.3


def test_a_blend_that_the_image_cannot_resolve(tmp_path):
    image = paint(N_PX, 4.5, 20, BLEND, halo=False)
    part = np.s_[60:260, 120:280]

    def at_the_faint(found):
        near = np.hypot(found.y + 60 - 120, found.x + 120 - 203) < 1
        return found.flux[near].sum()

    by_table = cut_out(mosaic(image, of_table(table(tmp_path / "t.fits", BLEND))), part).components
    by_image = cut_out(mosaic(image), part).components
    assert at_the_faint(by_table) == pytest.approx(0.002, rel=1e-6)
    assert abs(at_the_faint(by_image) - 0.002) > 0.001


def test_a_resolved_component_is_drawn_with_its_shape(tmp_path):
    """8" by 4" with the beam: sqrt(20^2 + 8^2) = 21.54" and sqrt(20^2 + 4^2) = 20.40"."""
    path = table(tmp_path / "t.fits", [(160, 160, 0.02)], DC_Maj=[8.0], DC_Min=[4.0], PA=[90.0])
    found = cut_out(mosaic(paint(N_PX, 4.5, 20, [(160, 160, 0.02)]), of_table(path)), PART)
    shape = np.sqrt(np.diag(found.components.shapes[0])) / FWHM_TO_SIGMA * 4.5
    np.testing.assert_allclose(shape, [20.40, 21.54], atol=0.01)  # y, x: position angle 90 is along x
    assert found.components.peak[0] == pytest.approx(0.02 * 400 / (21.54 * 20.40), rel=1e-3)
    assert found.compact.sum() == pytest.approx(0.02 * 22.377, rel=1e-3)
    assert found.components.flux[0] == pytest.approx(0.02, rel=1e-6)


def test_a_coarser_image_gets_the_flux_density_of_a_source_whole(tmp_path):
    """Per 20" beam, the peak of a source in a 40" image is a quarter."""
    image = paint(N_PX, 4.5, 40, [(160, 160, 0.02 / 4)], halo=False)
    plane = Plane(image, GRID, Beam(20, 20), Beam(40, 40))
    mask = np.zeros((N_PX, N_PX), np.uint8)
    files = of_table(table(tmp_path / "t.fits", [(160, 160, 0.02)]))
    found = cut_out(MeasuredMosaic.of(plane, mask.astype(np.float32), mask, compact=files), PART)
    assert found.components.peak[0] == pytest.approx(0.005, rel=1e-6)
    assert region_flux(found, np.ones((240, 240), bool), 0.0).compact_jy == pytest.approx(0.02, rel=0.01)
    y, x = np.mgrid[:240, :240] - 120
    assert measure_object(found, np.hypot(y, x) < 30, 0.1).central_jy == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("fwhm", [20, 40])
def test_large_components_are_left_and_counted(tmp_path, fwhm):
    """Larger than half the beam of the image, which holds so many beams of the unit."""
    units = (fwhm / 20) ** 2
    sizes = [0.0, fwhm / 2 - 0.1, fwhm / 2 + 0.1, 60.0]
    path = table(tmp_path / "t.fits", DC_Maj=sizes, DC_Min=[0.0, 5.0, 5.0, 60.0])
    image = paint(N_PX, 4.5, fwhm, [(y, x, flux / units) for y, x, flux in SOURCES])
    components = cut_out(mosaic(image, of_table(path), Beam(fwhm, fwhm)), PART).components
    assert sorted(units * components.flux) == pytest.approx([0.008, 0.020])
    np.testing.assert_allclose(components.extended + 40, [[160.2, 90.0], [159.8, 230.0]], atol=1e-3)


@pytest.mark.parametrize(
    ("y", "x", "border"),
    [
        (160.0, 282.0, (120, 239)),
        (160.0, 37.0, (120, 0)),
        (282.0, 160.0, (239, 120)),
        (37.0, 160.0, (0, 120)),
    ],
)
def test_wings_of_a_source_beyond_the_border_are_taken_away(tmp_path, y, x, border):
    outside = [(y, x, 0.05), *SOURCES]  # 3 px from the pixel at the border
    found = cut_out(
        mosaic(paint(N_PX, 4.5, 20, outside), of_table(table(tmp_path / "t.fits", outside))), PART
    )
    assert abs(found.residual[border]) < 8 * RMS
    assert found.compact[border] == pytest.approx(0.05 * np.exp(-0.5 * (3 / 1.8874) ** 2), rel=1e-3)


def test_a_table_that_lacks_most_sources_is_not_used_and_one_that_lacks_few_is(tmp_path):
    image = paint(N_PX, 4.5, 20, SOURCES)
    one, three = (
        cut_out(mosaic(image, of_table(table(tmp_path / f"{n}.fits", SOURCES[:n]))), PART).components
        for n in (1, 3)
    )
    assert one.origin == "image"
    assert one.note == "the table of components lacks 3 of 4 sources above 10 rms"
    plain = cut_out(mosaic(image), PART).components
    np.testing.assert_array_equal(one.peak, plain.peak)
    assert (three.origin, three.note) == (
        "table",
        "the table of components lacks 1 of 4 sources above 10 rms",
    )


def test_a_table_without_a_component_here(tmp_path):
    path = table(tmp_path / "t.fits", [(10.0, 10.0, 0.01)])
    components = cut_out(mosaic(paint(N_PX, 4.5, 20, SOURCES), of_table(path)), PART).components
    assert (components.origin, components.note) == ("image", "the table of components has none here")


def test_a_table_of_another_part_of_the_sky(tmp_path, caplog):
    path = table(tmp_path / "t.fits", RA=[10.0] * 4)
    files = of_table(path)
    image = paint(N_PX, 4.5, 20, SOURCES)
    assert cut_out(mosaic(image, files), PART).components.origin == "image"
    assert "it is of another part of the sky" in caplog.text
    own = CompactFiles("P1", ComponentTable(url=f"{tmp_path}/{{mosaic}}.fits"), path)
    with pytest.raises(NoOverlapError, match=r"no component on P1.*give the table of this mosaic, or none"):
        mosaic(image, own)


def test_a_mosaic_whose_table_is_not_there_or_was_rejected(tmp_path):
    image = paint(N_PX, 4.5, 20, SOURCES)
    absent = CompactFiles("P1", ComponentTable(url="/data/{mosaic}.fits"), str(tmp_path / "P1.fits"))
    write_rejected(tmp_path / "r.fits", Rejection("P1", "fetch_components", "u", "TableError: no rows"))
    rejected = CompactFiles("P1", ComponentTable(url="https://there/t.fits"), str(tmp_path / "r.fits"))
    notes = [cut_out(mosaic(image, files), PART).components.note for files in (absent, rejected)]
    assert notes == [
        "there is no table of components P1.fits",
        "no table of components: TableError: no rows",
    ]


class Fetched:
    """Cut-outs of a 6" image around a cluster, as the rule fetches them."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "high.fits"
        rows = Table({"name": ["A 1"], "ra": [RA], "dec": [DEC], "z": [0.2], "R500": [3.0]})
        rows["R500"].unit = "arcmin"
        rows.write(folder / "clusters.ecsv")

    def image(self, name="six", n_px=960, beam=6.0, **changes):
        data = paint(n_px, 1.5, beam, SOURCES, seed=7)
        header = Plane(data, grid_wcs(RA, DEC, n_px, 1.5), Beam(beam, beam)).header()
        header.update(changes)
        fits.PrimaryHDU(data, header).writeto(self.folder / f"{name}.fits")
        return self

    def run(self, template=None):
        template = template or f"{self.folder}/{{mosaic}}.fits"
        write_mosaic_list(self.folder / "mosaics.csv", [Mosaic("P1", RA, DEC, N_PX)])
        settings = {"mosaics": {"high_resolution": template}}
        settings["archive"] = {"download": {"attempts": 2, "backoff_s": 0.01}}
        run_script(
            *("fetch_high_resolution", "--mosaic", "P1", "--clusters", self.folder / "clusters.ecsv"),
            *("--list", self.folder / "mosaics.csv"),
            *("--settings", json.dumps(settings), "--out", self.out),
        )
        return CompactFiles("P1", high_resolution=str(self.out))


def test_halo_and_sources_with_a_6_arcsec_image(tmp_path):
    files = Fetched(tmp_path).image("P1").run()
    with fits.open(files.high_resolution) as hdus:
        # 2 x (1.5 x 3' + 5') and the border are 824 of 960 px
        assert [hdu.header.get("CLUSTER") for hdu in hdus] == [None, "A 1"]
        assert 2 * 9.5 * 60 / 1.5 < hdus[1].shape[0] < 960
        cut, whole = hdus[1].data, read_plane(tmp_path / "P1.fits").data
        corner = [(960 - side) // 2 for side in cut.shape]
        assert any(
            np.array_equal(cut, whole[y : y + cut.shape[0], x : x + cut.shape[1]])
            for y in range(corner[0] - 2, corner[0] + 3)
            for x in range(corner[1] - 2, corner[1] + 3)
        )
    found = cut_out(mosaic(paint(N_PX, 4.5, 20, SOURCES), files), PART)
    components = found.components
    assert (components.origin, components.note) == ("high resolution", "")
    for y, x, flux in SOURCES:
        near = np.hypot(components.y + 40 - y, components.x + 40 - x) < 0.3
        assert components.flux[near].sum() == pytest.approx(flux, abs=4 * RMS)
        assert components.flux_error[near].min() == pytest.approx(RMS, rel=0.2)
    assert halo_mjy(found)[0] == pytest.approx(EXPECTED_MJY, rel=0.06)


def test_a_part_that_the_6_arcsec_image_does_not_show(tmp_path):
    files = Fetched(tmp_path).image("P1").run()
    seen = mosaic(paint(N_PX, 4.5, 20, SOURCES), files)
    away = cut_out(seen, np.s_[0:60, 0:320]).components
    assert away.origin == "image"
    assert away.note.startswith("the 6 arcsec image shows ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"beam": 20.0}, "BeamError: .*set mosaics.high_resolution to the 6 arcsec images"),
        ({"CRVAL1": 10.0}, "NoOverlapError: .*has no data around A 1: set mosaics.high_res"),
        ({"BUNIT": "K"}, "UnitError"),
        ({"CTYPE1": "FREQ"}, "CelestialError"),
    ],
)
def test_a_6_arcsec_image_that_cannot_be_used_is_rejected_and_the_image_is_fitted(tmp_path, changes, reason):
    files = Fetched(tmp_path).image("P1", **changes).run()
    rejection = read_rejection(files.high_resolution)
    assert rejection.stage == "fetch_high_resolution"
    assert re.search(reason, rejection.reason)
    components = cut_out(mosaic(paint(N_PX, 4.5, 20, SOURCES), files), PART).components
    assert (components.origin, components.note) == ("image", f"no 6 arcsec image: {rejection.reason}")


@pytest.mark.parametrize(
    ("part", "value"),
    [(np.s_[400:440, 300:700], -9999), (np.s_[:], -9999), (np.s_[20:], -1)],  # the last fills the cut-out
)
def test_a_6_arcsec_image_with_areas_of_a_number_is_rejected(tmp_path, part, value):
    fetched = Fetched(tmp_path).image("P1")
    with fits.open(tmp_path / "P1.fits", mode="update") as hdus:
        hdus[0].data[part] = value
    rejection = read_rejection(fetched.run().high_resolution)
    assert re.search(rf"BrightnessError: .*P1.fits: areas of {value}: write NaN", rejection.reason)


def test_cut_outs_of_a_service_one_of_which_it_has_not(tmp_path):
    fetched = Fetched(tmp_path)
    rows = Table.read(tmp_path / "clusters.ecsv")
    rows.add_row(["B", RA + 0.05, DEC, 0.2, 3.0])
    rows.write(tmp_path / "clusters.ecsv", overwrite=True)
    # 2 x (1.5 x 3' + 5') are 19', or 0.3167 deg
    fetched.image("150.000000_40.000000_0.3167_19.00")
    with serve(tmp_path) as url:
        files = fetched.run(f"{url}/{{ra_deg}}_{{dec_deg}}_{{size_deg}}_{{size_arcmin}}.fits")
    assert not list(tmp_path.glob("*download*"))
    with fits.open(files.high_resolution) as hdus:
        assert [hdu.header["CLUSTER"] for hdu in hdus[1:]] == ["A 1", "B"]
        assert hdus[2].data is None
        assert hdus[2].header["REASON"].startswith("NotInArchiveError: ")
    seen = mosaic(paint(N_PX, 4.5, 20, SOURCES), files)
    assert cut_out(seen, PART).components.origin == "high resolution"


def cut_short(path, size, how):
    """Shorten a file of FITS: inside a header, inside the data of its last HDU, or by that HDU."""
    with fits.open(path) as hdus:
        last = hdus[-1]._header_offset
    os.truncate(path, {"header": 3000, "data": size - 2880, "HDU": last}[how])


@pytest.mark.parametrize("how", ["header", "data", "HDU"])
def test_cut_outs_of_which_some_are_gone_are_refused(tmp_path, how):
    fetched = Fetched(tmp_path)
    rows = Table.read(tmp_path / "clusters.ecsv")
    rows.add_row(["B", RA + 0.02, DEC, 0.2, 2.0])
    rows.write(tmp_path / "clusters.ecsv", overwrite=True)
    files = fetched.image("P1").run()
    plane = Plane(paint(N_PX, 4.5, 20, SOURCES), GRID, Beam(20, 20))
    assert len(files.sources(plane)) == 1
    cut_short(fetched.out, fetched.out.stat().st_size, how)
    with pytest.raises(TruncatedError, match=re.escape(str(fetched.out))) as error:
        files.sources(plane)
    assert error.value.file == str(fetched.out)


def test_cut_outs_of_a_version_that_did_not_count_them_are_read(tmp_path):
    files = Fetched(tmp_path).image("P1").run()
    fits.delval(files.high_resolution, "NEXTEND")
    assert len(files.sources(Plane(paint(N_PX, 4.5, 20, SOURCES), GRID, Beam(20, 20)))) == 1


def test_a_row_says_where_its_compact_sources_come_from(tmp_path):
    data = paint(N_PX, 4.5, 20, SOURCES)
    paths = [str(tmp_path / f"{kind}.fits") for kind in ("image", "probability", "mask")]
    made = mosaic(data)
    write_products(paths, Plane(data, GRID, Beam(20, 20)), made.probability, made.mask)
    survey = Survey(DR2, [Mosaic("P1", RA, DEC, 3 * N_PX)])
    rows = []
    sizes = {"DC_Maj": [0.0, 0.0, 0.0, 60.0], "DC_Min": [0.0, 0.0, 0.0, 60.0]}
    for files in (None, of_table(table(tmp_path / "t.fits", **sizes)), CompactFiles("P1")):
        cluster = Cluster("A 1", RA, DEC, 0.2, 8.0)
        meter = ClusterMeter(survey, [MosaicProducts("P1", *paths)], None, MeasureOptions(), [cluster], files)
        rows.append(meter.measure(cluster, "P1")[0])
    assert [row["compact_origin"] for row in rows] == ["image", "table", "image"]
    assert [row["extended_count"] for row in rows] == [0, 1, 0]
    assert [row["note"] for row in rows] == ["", "", ""]
    assert rows[1]["compact_mjy"] == pytest.approx(40, rel=0.02)
    # without files nothing changes
    assert all(str(rows[0][key]) == str(rows[2][key]) for key in rows[0])


def blank_at(rows, columns=np.s_[:]):
    """The image of the halo and its sources, a part of which has no data."""
    data = paint(N_PX, 4.5, 20, SOURCES)
    data[rows, columns] = np.nan
    return data


def test_components_beyond_the_data_are_in_no_number_and_no_error(tmp_path):
    """Of the two 1 Jy ones with errors of 0.1 Jy, one is compact and one is extended."""
    data = blank_at(np.s_[190:])
    mask = np.where(np.isnan(data), 255, mosaic(data).mask)
    paths = [str(tmp_path / f"{kind}.fits") for kind in ("image", "probability", "mask")]
    write_products(paths, Plane(data, GRID, Beam(20, 20)), np.where(mask == 1, 0.8, 0.1), mask)
    survey, cluster = Survey(DR2, [Mosaic("P1", RA, DEC, 3 * N_PX)]), Cluster("A 1", RA, DEC, 0.2, 4.5)
    beyond = [(205.0, 160.0, 1.0), (208.0, 150.0, 1.0)]  # R500 is 60 px
    more = {"E_Total_flux": [0.3] * 4 + [100.0] * 2, "DC_Maj": [0.0] * 5 + [60.0], "DC_Min": [0.0] * 6}
    rows = []
    for sources, columns in ((SOURCES, {}), (SOURCES + beyond, more)):
        files = of_table(table(tmp_path / "t.fits", sources, **columns))
        meter = ClusterMeter(survey, [MosaicProducts("P1", *paths)], None, MeasureOptions(), [cluster], files)
        rows.append(meter.measure(cluster, "P1")[0])
    assert [(row["compact_count"], row["extended_count"]) for row in rows] == [(3, 0)] * 2
    assert all(str(rows[0][key]) == str(rows[1][key]) for key in rows[0])


def test_a_component_in_a_hole_of_the_data_is_not_in_the_middle_of_an_island(tmp_path):
    data, measured = blank_at(np.s_[166:181]), []
    for sources in (SOURCES, [*SOURCES, (173.0, 160.0, 0.03)]):
        found = cut_out(mosaic(data, of_table(table(tmp_path / "t.fits", sources))), PART)
        measured.append(measure_object(found, (found.labels > 0) & found.known, 0.1))
    # without the source at row 172.3, which is in the hole as well
    assert [one.flux.compact_count for one in measured] == [2, 2]
    assert [one.grown.compact_count for one in measured] == [2, 2]
    assert measured[0].central_jy == pytest.approx(0.020, rel=0.1)
    assert measured[1].central_jy == pytest.approx(measured[0].central_jy, rel=0.01)


def test_sources_of_a_6_arcsec_image_beyond_the_data_do_not_count(tmp_path):
    files = Fetched(tmp_path).image("P1").run()
    found = cut_out(mosaic(blank_at(np.s_[140:157], np.s_[163:180]), files), PART)
    y, x = found.components.places + 40
    gone = np.hypot(y - 148.0, x - 171.4) < 8
    assert gone.any()
    assert region_flux(found, np.ones((240, 240), bool), 0.0).compact_count == len(y) - gone.sum()
