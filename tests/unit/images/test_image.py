import tarfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import (
    AllBlankError,
    BeamError,
    CelestialError,
    GridError,
    NotFitsError,
    ShapeMismatchError,
    TruncatedError,
    UnitError,
)
from radiounet.images.beams import Beam
from radiounet.images.image import (
    Plane,
    check_grid,
    grid_wcs,
    open_plane,
    place_of,
    read_plane,
    require_same_grid,
)
from radiounet.images.resampling import to_model_grid
from radiounet.settings.releases import DR2
from skies import convolve_with_beam

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")


def header(**changes):
    cards = grid_wcs(150.0, 35.0, 40, 4.5).to_header()
    cards.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=90.0, BUNIT="JY/BEAM ")
    for key, value in changes.items():
        if value is None:
            del cards[key]
        else:
            cards[key] = value
    return cards


def write(path, data, cards):
    fits.PrimaryHDU(data, cards).writeto(path)
    return path


def noise(shape=(40, 40), kind=np.float32):
    return np.random.default_rng(1).standard_normal(shape).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32])
@pytest.mark.parametrize("unit", ["JY/BEAM ", "Jy/beam", "jy/beam", "Jy beam-1", "Jy.beam**-1"])
def test_any_bitpix_and_unit_case(tmp_path, kind, unit):
    data = (100 * noise()).astype(kind)
    data[data == 0] = 1
    plane = read_plane(write(tmp_path / "a.fits", data, header(BUNIT=unit)))
    assert plane.data.dtype == np.float32
    np.testing.assert_allclose(plane.data, data, rtol=1e-6)


def test_millijansky_becomes_jansky(tmp_path):
    plane = read_plane(write(tmp_path / "a.fits", noise(), header(BUNIT="mJy/beam")))
    np.testing.assert_allclose(plane.data, noise() / 1000, rtol=1e-6)


def test_scaled_integers_are_unscaled(tmp_path):
    cards = header(BSCALE=0.5, BZERO=10.0)
    hdu = fits.PrimaryHDU(np.full((40, 40), 4, np.int16), cards)
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 10.0
    hdu.writeto(tmp_path / "a.fits")
    assert (read_plane(tmp_path / "a.fits").data == 12).all()


def test_four_dimensional_image(tmp_path):
    cards = header()
    cards.update(CTYPE3="STOKES", CRVAL3=1.0, CRPIX3=1.0, CDELT3=1.0)
    cards.update(CTYPE4="FREQ", CRVAL4=1.44e8, CRPIX4=1.0, CDELT4=1e6)
    plane = read_plane(write(tmp_path / "a.fits", noise()[None, None], cards))
    np.testing.assert_array_equal(plane.data, noise())
    assert plane.wcs.naxis == 2


def test_a_cube_is_not_one_plane(tmp_path):
    cards = header()
    cards.update(CTYPE3="FREQ", CRVAL3=1.44e8, CRPIX3=1.0, CDELT3=1e6)
    with pytest.raises(CelestialError, match="more than one celestial plane"):
        read_plane(write(tmp_path / "a.fits", noise((3, 40, 40)), cards))


def test_zero_and_nan_are_blank(tmp_path):
    data = noise()
    data[:5], data[5:10] = 0, np.nan
    plane = read_plane(write(tmp_path / "a.fits", data, header()))
    assert np.isnan(plane.data[:10]).all()
    assert np.isfinite(plane.data[10:]).all()


def test_weights_need_neither_unit_nor_beam_and_keep_zeros(tmp_path):
    data = noise()
    data[0] = 0
    path = write(tmp_path / "w.fits", data, header(BUNIT=None, BMAJ=None, BMIN=None))
    window = open_plane(path, brightness=False).window()
    assert np.array_equal(window, data.astype(np.float32))


def test_negative_right_ascension(tmp_path):
    cards = grid_wcs(276.29, 30.4, 40, 4.5).to_header()
    cards.update(BMAJ=20 / 3600, BMIN=20 / 3600, BUNIT="JY/BEAM", CRVAL1=-83.71)
    plane = read_plane(write(tmp_path / "a.fits", noise(), cards))
    assert plane.wcs.wcs.crval[0] == pytest.approx(276.29)
    ra, dec, n_px = place_of(tmp_path / "a.fits", 4.5)
    assert (ra, dec) == (pytest.approx(276.29, abs=0.001), pytest.approx(30.4, abs=0.001))
    assert n_px == 40


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"BUNIT": None}, UnitError, "no BUNIT"),
        ({"BUNIT": "K"}, UnitError, "'K'"),
        ({"BMAJ": None}, BeamError, "BMAJ"),
        ({"BMIN": 0.0}, BeamError, "unusable"),
        ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, CelestialError, "celestial"),
        ({"CTYPE1": None, "CTYPE2": None}, CelestialError, "has no CTYPE1 and no CTYPE2"),
    ],
)
def test_bad_headers_have_named_errors(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        read_plane(write(tmp_path / "a.fits", noise(), header(**changes)))


def test_all_blank(tmp_path):
    with pytest.raises(AllBlankError, match="1600 pixels"):
        read_plane(write(tmp_path / "a.fits", np.full((40, 40), np.nan, np.float32), header()))


def test_not_fits_truncated_and_missing(tmp_path):
    page = tmp_path / "page.fits"
    page.write_text("<html>No suitable mosaic found</html>")
    with pytest.raises(NotFitsError):
        read_plane(page)
    path = write(tmp_path / "cut.fits", noise((300, 300)), header())
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(
        TruncatedError, match=f"cut short: it has 100000 bytes, its header says {2880 + 4 * 300**2}"
    ):
        read_plane(path)
    with fits.open(path.with_name("whole.fits"), "append") as hdus:
        hdus.append(fits.PrimaryHDU(noise((40, 40)), header()))
        hdus.append(fits.BinTableHDU(Table({"BMAJ": np.full(900, 6.0)}), name="BEAMS"))
    path.write_bytes(path.with_name("whole.fits").read_bytes()[:-5000])
    with pytest.raises(TruncatedError, match="cut short"):
        read_plane(path)
    with pytest.raises(NotFitsError, match="no file"):
        read_plane(tmp_path / "absent.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(CelestialError, match="no image"):
        read_plane(tmp_path / "empty.fits")


def test_an_unreadable_image_owns_no_sky(tmp_path):
    (tmp_path / "page.fits").write_text("<html>")
    assert place_of(tmp_path / "page.fits", 4.5) == (0.0, -90.0, 0)


def plane_of(data, pixel_arcsec, beam, ra=150.0, dec=35.0):
    return Plane(data, grid_wcs(ra, dec, data.shape[0], pixel_arcsec), Beam(*beam))


def test_same_grid_check():
    first = plane_of(noise(), 4.5, (20, 20))
    require_same_grid(first, plane_of(noise(), 4.5, (20, 20)), "a and b")
    with pytest.raises(ShapeMismatchError, match="shape"):
        require_same_grid(first, plane_of(noise((42, 42)), 4.5, (20, 20)), "a and b")
    with pytest.raises(ShapeMismatchError, match="coordinates"):
        require_same_grid(first, plane_of(noise(), 4.5, (20, 20), ra=150.01), "a and b")


def test_grids_half_a_pixel_apart_are_two():
    one, other = (plane_of(noise((100, 100)), 4.5, (20, 20)) for _ in range(2))
    one.wcs.wcs.crpix, other.wcs.wcs.crpix = (50, 50), (50.5, 50)
    with pytest.raises(ShapeMismatchError, match="a and b differ in their coordinates"):
        require_same_grid(one, other, "a and b")


def test_an_image_on_the_model_grid_is_left_alone():
    plane = plane_of(noise(), 4.5, (20, 20))
    assert to_model_grid(plane, 4.5, 20.0) is plane


def test_check_grid_names_what_does_not_fit():
    with pytest.raises(GridError, match="pixels"):
        check_grid(plane_of(noise(), 1.5, (20, 20)), 4.5, 20.0, "a.fits")
    with pytest.raises(GridError, match="beam 6.00"):
        check_grid(plane_of(noise(), 4.5, (6, 6)), 4.5, 20.0, "a.fits")


def source(n_px, pixel_arcsec, fwhm_arcsec, flux=1.0):
    """A point source of 1 Jy seen with a Gaussian beam, Jy/beam."""
    sky = np.zeros((n_px, n_px), np.float32)
    sky[n_px // 2, n_px // 2] = flux
    return (
        convolve_with_beam(sky, fwhm_arcsec / pixel_arcsec)
        / (2 * np.pi * (fwhm_arcsec / pixel_arcsec) ** 2 / (8 * np.log(2)))
        * (1.1330900354567985 * (fwhm_arcsec / pixel_arcsec) ** 2)
    )


def test_a_finer_image_is_convolved_and_regridded_with_its_flux():
    plane = plane_of(source(600, 1.5, 6.0), 1.5, (6, 6))
    result = to_model_grid(plane, 4.5, 20.0)
    assert result.pixel_arcsec == pytest.approx(4.5, rel=1e-4)
    assert result.beam.matches(20.0)
    # a point source keeps its peak in Jy/beam, and its integrated flux
    assert np.nanmax(result.data) == pytest.approx(1.0, abs=0.03)
    assert np.nansum(result.data) / result.beam_area_px == pytest.approx(1.0, abs=0.01)
    assert len(result.notes) == 2


def test_a_coarser_image_is_scaled_by_the_beam_area_with_a_warning():
    data = np.full((100, 100), 9e-3, np.float32)
    result = to_model_grid(plane_of(data, 6.0, (60, 60)), 4.5, 20.0)
    # uniform 9 mJy per 60" beam is 1 mJy per 20" beam
    assert np.nanmedian(result.data) == pytest.approx(1e-3, rel=1e-4)
    assert any(note.startswith("WARNING") for note in result.notes)
    assert "WARNING" in str(result.header()["HISTORY"])


def test_blanks_stay_blank_through_regridding():
    data = np.full((200, 200), 1e-3, np.float32)
    data[:, :100] = np.nan
    result = to_model_grid(plane_of(data, 3.0, (20, 20)), 4.5, 20.0)
    n = result.data.shape[1]
    assert np.isnan(result.data[n // 2, : n // 2 - 3]).all()
    assert np.nanmedian(result.data[n // 2, n // 2 + 3 :]) == pytest.approx(1e-3, rel=1e-3)


def test_a_south_up_image_is_turned_north_up():
    data = source(201, 4.5, 20.0)
    data[150, 60] = 5.0  # north in the flipped image is down
    plane = plane_of(data, 4.5, (20, 20))
    ra, dec = plane.wcs.wcs_pix2world([[60, 150]], 0)[0]
    flipped = Plane(data[::-1].copy(), plane.wcs.deepcopy(), plane.beam)
    flipped.wcs.wcs.cdelt = [-4.5 / 3600, -4.5 / 3600]
    flipped.wcs.wcs.crpix = [plane.wcs.wcs.crpix[0], 201 + 1 - plane.wcs.wcs.crpix[1]]
    flipped.wcs.wcs.set()
    result = to_model_grid(flipped, 4.5, 20.0)
    assert (np.diag(result.wcs.pixel_scale_matrix) > 0).tolist() == [False, True]
    y, x = np.unravel_index(np.nanargmax(result.data), result.data.shape)
    found = result.wcs.wcs_pix2world([[x, y]], 0)[0]
    np.testing.assert_allclose(found, [ra, dec], atol=1.5 * 4.5 / 3600)


@pytest.mark.realdata
@needs_shared
@pytest.mark.parametrize("field", ["P000+23", "P002+18", "P005+21", "P124+62"])
def test_grids_of_four_published_headers(field):
    import csv

    from radiounet.survey.cells import NearestPointing
    from radiounet.survey.fields import Field

    with tarfile.open(SHARED / "headers" / f"{field}.fits_headers.tar") as archive:
        name = next(n for n in archive.getnames() if "low-mosaic-blanked" in n)
        text = archive.extractfile(name).read().decode()
    cards = fits.Header.fromstring(text, sep="\n" if "\n" in text else "")
    with open(SHARED / "tables" / "lotss_grid_fields.csv", newline="") as stream:
        grid = [Field(r["name"], float(r["ra"]), float(r["dec"])) for r in csv.DictReader(stream)]
    pointing = next(one for one in grid if one.name == field)
    place = NearestPointing(DR2).geometry(pointing, grid)
    assert place.n_px == cards["NAXIS1"] == cards["NAXIS2"]
    ours = grid_wcs(cards["CRVAL1"], cards["CRVAL2"], place.n_px, 4.5).to_header()
    for key in ("CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CRVAL1", "CRVAL2"):
        assert ours[key] == pytest.approx(cards[key], rel=1e-6), key
    assert ours["CTYPE1"] == cards["CTYPE1"]


@pytest.mark.realdata
@needs_shared
def test_real_images_are_read():
    halo = read_plane(SHARED / "images" / "RXCJ1825.3+3026_lofar_hba_60arcsec.fits")
    assert halo.data.shape == (613, 613)
    assert halo.beam.major_arcsec == pytest.approx(60, abs=1)
    assert halo.wcs.wcs.crval[0] == pytest.approx(276.29, abs=0.02)
    cutout = read_plane(SHARED / "images" / "P205+55_lotss_dr1_6arcsec_cutout.fits")
    assert cutout.pixel_arcsec == pytest.approx(1.5, rel=1e-3)


def test_a_beam_written_in_arcsec_is_refused(tmp_path):
    header = grid_wcs(150.0, 35.0, 10, 4.5).to_header()
    header.update(BMAJ=20.0, BMIN=20.0, BUNIT="Jy/beam")
    fits.PrimaryHDU(np.ones((10, 10), np.float32), header).writeto(tmp_path / "a.fits")
    with pytest.raises(BeamError, match="both must be in deg"):
        read_plane(tmp_path / "a.fits")


def test_of_several_images_the_first_with_axes_is_taken_or_named(tmp_path):
    """A weight map before the image has coordinates but no unit: it is not guessed what is meant."""
    cards = grid_wcs(150.0, 35.0, 20, 4.5).to_header()
    with_unit = cards.copy()
    with_unit.update(BUNIT="Jy/beam", BMAJ=20 / 3600, BMIN=20 / 3600)
    image = fits.ImageHDU(np.full((20, 20), 2, np.float32), with_unit)
    weight = fits.ImageHDU(np.ones((20, 20), np.float32), cards, name="WEIGHT")
    fits.HDUList([fits.PrimaryHDU(), image, weight]).writeto(tmp_path / "a.fits")
    assert (read_plane(tmp_path / "a.fits").data == 2).all()
    fits.HDUList([fits.PrimaryHDU(), weight, image]).writeto(tmp_path / "b.fits")
    with pytest.raises(UnitError, match="no BUNIT in the header of its first image.* file of its own"):
        read_plane(tmp_path / "b.fits")
