import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import NoNoiseError, NoOverlapError
from radiounet.images.beams import Beam
from radiounet.images.geometry import jacobian
from radiounet.images.image import Plane, grid_wcs, has_same_grid, read_plane
from radiounet.images.writing import write_json
from radiounet.mosaicking.comparison import compare_mosaics, find_compact
from radiounet.running.outputs import claim_outputs
from skies import BEAM_PX, FWHM_TO_SIGMA, draw_noise

RA, DEC = 150.0, 35.0


def write_mosaic(path, wcs, n_px, *, scale=1.0, east=0.0, north=0.0, seed=1, noise=1e-5):
    """The same forty point sources, 3 mJy to 1 Jy, scaled and shifted (arcsec)."""
    rng = np.random.default_rng(9)
    ra, dec = RA + rng.uniform(-0.4, 0.4, 40), DEC + rng.uniform(-0.3, 0.3, 40)
    flux = 10 ** rng.uniform(-2.5, 0, 40)
    image = noise * draw_noise(n_px, BEAM_PX, np.random.default_rng(seed))
    y, x = np.indices(image.shape)
    places = wcs.wcs_world2pix(ra + east / 3600 / np.cos(np.radians(DEC)), dec + north / 3600, 0)
    for column, row, one in zip(*places, flux, strict=True):
        r2 = (x - column) ** 2 + (y - row) ** 2
        image += scale * one * np.exp(-r2 / (2 * (BEAM_PX * FWHM_TO_SIGMA) ** 2))
    header = wcs.to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    fits.PrimaryHDU(image.astype(np.float32), header).writeto(path)
    return str(path)


def test_positions_and_peaks_of_sources_are_exact(tmp_path):
    wcs = grid_wcs(RA, DEC, 700, 4.5)
    path = write_mosaic(tmp_path / "a.fits", wcs, 700, noise=1e-9)
    table = find_compact(read_plane(path), 1e-5, 10)
    assert len(table) > 25
    rng = np.random.default_rng(9)
    ra, dec = RA + rng.uniform(-0.4, 0.4, 40), DEC + rng.uniform(-0.3, 0.3, 40)
    flux = 10 ** rng.uniform(-2.5, 0, 40)
    x, y = wcs.wcs_world2pix(ra, dec, 0)
    for row in table:
        nearest = np.argmin(np.hypot(x - row["x_px"], y - row["y_px"]))
        assert np.hypot(x[nearest] - row["x_px"], y[nearest] - row["y_px"]) < 0.005
        assert row["peak_jy"] == pytest.approx(flux[nearest], rel=0.003)


def oblong(across, up, turn=0.0, kind="SIN", crval=(RA, DEC), row=150.5):
    """Grid of 300 x 300 pixels of two lengths, arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = [f"RA---{kind}", f"DEC--{kind}"], crval
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.crpix, wcs.wcs.cd = [150.5, row], np.array([[-c, s], [s, c]]) @ np.diag([across, up]) / 3600
    return wcs


def with_gaussians(wcs, beam, places, wider=1.0):
    """Plane of Gaussians of 1 Jy/beam at (x, y): the beam, its minor axis so many times as wide."""
    data = np.zeros((300, 300))
    y, x = np.indices(data.shape)
    angle = np.radians(beam.angle_deg)
    for column, row in places:
        east, north = np.einsum("ij,jyx->iyx", jacobian(wcs, column, row), np.stack([x - column, y - row]))
        along, across = (
            east * np.sin(angle) + north * np.cos(angle),
            east * np.cos(angle) - north * np.sin(angle),
        )
        radius2 = (along / beam.major_arcsec) ** 2 + (across / beam.minor_arcsec / wider) ** 2
        data += np.exp(-4 * np.log(2) * radius2)
    return Plane(data.astype(np.float32), wcs, beam)


PLACES = [(70.3, 60.4), (200.1, 90.6), (120.45, 230.2), (239.9, 220.0)]
GRIDS = {
    "square": oblong(4.5, 4.5),
    "finer up": oblong(9.0, 4.5),
    "finer across": oblong(3.0, 8.0),
    "oblong and turned": oblong(3.0, 6.0, 35.0),
    "plate carree at 60 deg": oblong(4.5, 4.5, kind="CAR", crval=(RA, 0.0), row=150.5 - 60 * 800),
}


@pytest.mark.parametrize("beam", [Beam(20, 20), Beam(20, 12, 45), Beam(20, 12, -30), Beam(24, 14, 110)])
@pytest.mark.parametrize("grid", GRIDS)
def test_sources_are_found_on_pixels_of_any_shape_with_a_beam_of_any_direction(grid, beam):
    table = find_compact(with_gaussians(GRIDS[grid], beam, PLACES), 1e-4, 10)
    table.sort("y_px")
    found = np.stack([table["x_px"], table["y_px"]], axis=1)
    np.testing.assert_allclose(found, sorted(PLACES, key=lambda place: place[1]), atol=2e-3)
    np.testing.assert_allclose(table["peak_jy"], 1, rtol=1e-3)


@pytest.mark.parametrize(("dec", "across"), [(90.0, 0.0), (-90.0, 0.0), (88.0, 1600.0), (80.0, 1600.0)])
def test_sources_are_found_where_local_north_is_not_that_of_the_reference(dec, across):
    """An image has one beam all over its plane; its local angle changes, most of all near a pole."""
    wcs = oblong(4.5, 4.5, crval=(RA, dec))
    wcs.wcs.crpix = [150.5 + across, 150.5]
    near = oblong(4.5, 4.5)  # where both are one
    data = with_gaussians(near, Beam(40, 20, 30), PLACES).data
    assert len(find_compact(Plane(data, wcs, Beam(40, 20, 30)), 1e-4, 10)) == 4


@pytest.mark.parametrize("grid", GRIDS)
def test_a_source_wider_than_the_beam_in_one_direction_is_not_compact(grid):
    """Of a beam of 20 x 12 arcsec, 12 arcsec become 13.2, which is compact, or 15.6, which is not."""
    beam = Beam(20, 12, 60)
    assert len(find_compact(with_gaussians(GRIDS[grid], beam, PLACES, 1.1), 1e-4, 10)) == 4
    assert len(find_compact(with_gaussians(GRIDS[grid], beam, PLACES, 1.3), 1e-4, 10)) == 0


def test_a_saddle_is_no_source():
    """Two ridges that cross: a maximum along rows and columns, but a minimum along a diagonal."""
    plane = with_gaussians(GRIDS["square"], Beam(20, 20), [])
    y, x = np.mgrid[-2:3, -2:3]
    plane.data[98:103, 98:103] = np.exp(-(x**2 + y**2 - 2.4 * x * y) / 6)
    plane.data[99, 99] = plane.data[101, 101] = 0.99
    assert len(find_compact(plane, 1e-4, 10)) == 0


@pytest.mark.parametrize("apart", [(0.0, 50.0), (50.0, 0.0)])
def test_neighbours_are_so_on_the_sky(apart):
    """At 50 arcsec, 2.5 beams, sources are not isolated; at 70 they are, whatever the pixels."""
    beam, wcs = Beam(20, 20), GRIDS["finer up"]
    for scale, count in ((1.0, 0), (1.4, 2)):
        x, y = 100 + scale * apart[0] / 9.0, 100 + scale * apart[1] / 4.5
        assert len(find_compact(with_gaussians(wcs, beam, [(100, 100), (x, y)]), 1e-4, 10)) == count


def test_a_turned_beam_moves_no_source(tmp_path):
    """Of two grids a third of a pixel apart."""
    paths = []
    for n, shift in enumerate((0.0, 0.35)):
        wcs = oblong(4.5, 4.5)
        wcs.wcs.crpix += shift
        plane = with_gaussians(wcs, Beam(20, 10, 45), np.array(PLACES) + shift)
        plane.data += 1e-5 * draw_noise(300, BEAM_PX, np.random.default_rng(n)).astype(np.float32)
        paths.append(str(tmp_path / f"{n}.fits"))
        fits.writeto(paths[-1], plane.data, plane.header())
    found = compare_mosaics(*paths, str(tmp_path / "out"))
    assert found["sources"] == 4
    assert found["ratio_median"] == pytest.approx(1, abs=1e-3)
    assert (found["d_ra_median_arcsec"], found["d_dec_median_arcsec"]) == pytest.approx((0, 0), abs=0.01)


def test_scale_and_shift_between_mosaics_are_found(tmp_path):
    ours = write_mosaic(
        tmp_path / "a.fits", grid_wcs(RA, DEC, 700, 4.5), 700, scale=1.03, east=0.6, north=-0.4
    )
    published = write_mosaic(
        tmp_path / "b.fits", grid_wcs(RA + 0.03, DEC + 0.02, 720, 4.5), 720, seed=2, noise=2e-5
    )
    folder = tmp_path / "out"
    found = compare_mosaics(ours, published, str(folder))
    assert found["sources"] > 20
    assert found["ratio_median"] == pytest.approx(1.03, abs=0.003)
    assert found["d_ra_median_arcsec"] == pytest.approx(0.6, abs=0.03)
    assert found["d_dec_median_arcsec"] == pytest.approx(-0.4, abs=0.03)
    assert found["rms_ratio"] == pytest.approx(0.5, abs=0.1)
    assert found["pixels_ours_only"] > 0
    assert json.loads((folder / "comparison.json").read_text()) == found
    assert len(Table.read(folder / "sources.ecsv")) == found["sources"]
    assert fits.getdata(folder / "difference.fits").shape == (700, 700)
    assert (folder / "comparison.png").stat().st_size > 10000
    claim_outputs(folder.iterdir())  # they are known again


def test_a_mosaic_is_like_itself(tmp_path):
    path = write_mosaic(tmp_path / "a.fits", grid_wcs(RA, DEC, 300, 4.5), 300)
    found = compare_mosaics(path, path, str(tmp_path / "out"))
    assert found["ratio_median"] == pytest.approx(1)
    assert found["rms_ratio"] == pytest.approx(1)
    assert found["difference_rms_jy"] < 1e-9
    assert found["pixels_ours_only"] == found["pixels_published_only"] == 0


def test_one_source_that_differs_is_all_that_is_found(tmp_path):
    path = write_mosaic(tmp_path / "a.fits", grid_wcs(RA, DEC, 300, 4.5), 300)
    with fits.open(path) as hdus:
        hdus[0].data[120:180, 120:180] *= 1.02
        hdus.writeto(tmp_path / "b.fits")
    found = compare_mosaics(str(tmp_path / "b.fits"), path, str(tmp_path / "out"))
    assert found["difference_rms_jy"] < 1e-9
    assert fits.getdata(tmp_path / "out" / "difference.fits")[:100].max() < 1e-6


def test_noise_is_measured_on_each_one_s_own_grid(tmp_path):
    """Half a pixel apart, resampling would take 3 % of the noise of one of them away."""
    half = 2.25 / 3600
    paths = [
        write_mosaic(tmp_path / f"{n}.fits", grid_wcs(RA, DEC + n * half, 600, 4.5), 600, seed=n, noise=1e-4)
        for n in range(2)
    ]
    ratios = [compare_mosaics(*pair, str(tmp_path / "out"))["rms_ratio"] for pair in (paths, paths[::-1])]
    np.testing.assert_allclose(ratios, 1, atol=0.015)


def test_mosaics_without_common_sky_or_sources(tmp_path, caplog):
    ours = write_mosaic(tmp_path / "a.fits", grid_wcs(RA, DEC, 300, 4.5), 300)
    far = write_mosaic(tmp_path / "b.fits", grid_wcs(RA + 20, DEC, 300, 4.5), 300)
    with pytest.raises(NoOverlapError, match="no pixel in common"):
        compare_mosaics(ours, far, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    found = compare_mosaics(ours, ours, str(tmp_path / "out"), min_snr=1e9)
    assert found["sources"] == 0
    assert found["ratio_median"] is None
    assert "no compact isolated source with S/N above 1e+09 in common" in caplog.text


def test_grids_of_one_shape_that_are_shifted_are_two_grids(tmp_path):
    """Each has data only where the other shows the sky: in its left, and in its right 150 columns."""
    shifted = grid_wcs(RA, DEC, 300, 4.5)
    shifted.wcs.crpix = [300, 150]
    paths = [
        write_mosaic(tmp_path / f"{n}.fits", wcs, 300, seed=n, noise=(1 + n) * 1e-4)
        for n, wcs in enumerate((grid_wcs(RA, DEC, 300, 4.5), shifted))
    ]
    for path, gone in zip(paths, (slice(150, None), slice(150)), strict=True):
        with fits.open(path, mode="update") as hdus:
            hdus[0].data[:, gone] = np.nan
    found = compare_mosaics(*paths, str(tmp_path / "out"))
    # noise of 1e-4 and 2e-4, in the 150 x 300 pixels that both show
    assert found["rms_ours_jy"] == pytest.approx(1e-4, rel=0.1)
    assert found["rms_ratio"] == pytest.approx(0.5, rel=0.1)
    assert found["sources"] == 3
    assert found["ratio_median"] == pytest.approx(1, abs=0.02)


def test_a_transposed_grid_is_another_grid(tmp_path):
    """Its first and last pixels lie where those of the other do."""
    wcs = grid_wcs(RA, DEC, 300, 4.5)
    wcs.wcs.crpix = [150.5, 150.5]
    path = write_mosaic(tmp_path / "a.fits", wcs, 300)
    turned = wcs.deepcopy()
    turned.wcs.cdelt = [1, 1]
    turned.wcs.pc = np.array([[0, -4.5], [4.5, 0]]) / 3600
    data = fits.getdata(path)
    # right ascension falls with y, declination grows with x
    header = turned.to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    fits.PrimaryHDU(data.T, header).writeto(tmp_path / "b.fits")
    assert not has_same_grid(read_plane(path), read_plane(tmp_path / "b.fits"))
    found = compare_mosaics(path, str(tmp_path / "b.fits"), str(tmp_path / "out"))
    assert found["difference_rms_jy"] < 1e-8


def test_a_mosaic_without_noise_is_refused(tmp_path):
    path = write_mosaic(tmp_path / "a.fits", grid_wcs(RA, DEC, 300, 4.5), 300)
    with fits.open(path) as hdus:
        hdus[0].data[:] = 1e-3
        hdus[0].data[100:110, 100:110] = 2e-3
        hdus.writeto(tmp_path / "flat.fits")
    for pair in ((path, str(tmp_path / "flat.fits")), (str(tmp_path / "flat.fits"), path)):
        with pytest.raises(NoNoiseError, match="flat.fits: more than half of the 90000 pixels"):
            compare_mosaics(*pair, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_beams_that_differ_are_told(tmp_path, caplog):
    path = write_mosaic(tmp_path / "a.fits", grid_wcs(RA, DEC, 300, 4.5), 300)
    with fits.open(path) as hdus:
        hdus[0].header["BMAJ"] = 25 / 3600
        hdus.writeto(tmp_path / "b.fits")
    compare_mosaics(path, str(tmp_path / "b.fits"), str(tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["beam_ours"] == pytest.approx({"major_arcsec": 20, "minor_arcsec": 20, "angle_deg": 0})
    assert found["beam_published"] == pytest.approx({"major_arcsec": 25, "minor_arcsec": 20, "angle_deg": 0})
    assert "20 x 20 arcsec" in caplog.text
    assert "25 x 20 arcsec" in caplog.text


@pytest.mark.parametrize(("angle", "differs"), [(30.0, True), (120.1, False)])
def test_beams_of_two_frames_are_compared_on_the_sky(tmp_path, caplog, angle, differs):
    """The north of the Galaxy is at a position angle of 90.1 deg there."""
    place = SkyCoord(RA, DEC, unit="deg").galactic
    galactic = WCS(naxis=2)
    galactic.wcs.ctype, galactic.wcs.crval = ["GLON-SIN", "GLAT-SIN"], [place.l.deg, place.b.deg]
    galactic.wcs.crpix, galactic.wcs.cdelt = [150.5, 150.5], [-4.5 / 3600, 4.5 / 3600]
    paths = [write_mosaic(tmp_path / f"{n}.fits", grid_wcs(RA, DEC, 300, 4.5), 300, seed=n) for n in range(2)]
    for path, turned, cards in zip(paths, (30.0, angle), (galactic.to_header(), {}), strict=True):
        with fits.open(path, mode="update") as hdus:
            hdus[0].header.update(cards)
            hdus[0].header.update(BMAJ=30 / 3600, BMIN=15 / 3600, BPA=turned)
    compare_mosaics(*paths, str(tmp_path / "out"))
    assert ("their Jy/beam differ" in caplog.text) == differs


def test_json_holds_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"a": [np.nan, 1.5, {"b": np.float64("inf")}], "c": (None, "NaN")})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": [None, 1.5, {"b": None}],
        "c": [None, "NaN"],
    }
