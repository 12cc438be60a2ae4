"""What a mosaic of files has of their headers, and which files make none."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import FrequencyError, StokesError, UnitError
from radiounet.images.headers import frequency_hz
from radiounet.images.image import grid_wcs, read_plane
from radiounet.mosaicking.coadd import coadd_files

GRID = grid_wcs(150.0, 35.0, 40, 4.5)
BEAM = {"BMAJ": 20 / 3600, "BMIN": 20 / 3600, "BPA": 0.0}


@pytest.fixture
def join(tmp_path):
    """Make a mosaic of images of ones with further cards each; its header, and its pixels."""

    def run(*images, weights=None, tables=None):
        pairs = []
        for n, cards in enumerate(images):
            header = GRID.to_header()
            header.update({"BUNIT": "Jy/beam"} | cards)
            if "HISTORY" in cards:
                del header["HISTORY"]
                header.add_history(cards["HISTORY"])
            paths = [str(tmp_path / f"{name}{n}.fits") for name in ("image", "weight")]
            table = [fits.BinTableHDU(tables[n], name="BEAMS")] if tables and tables[n] is not None else []
            plane = np.full((40, 40), 1 + n, np.float32)
            fits.HDUList([fits.PrimaryHDU(plane, header), *table]).writeto(paths[0])
            weight = np.ones((40, 40), np.float32) if weights is None else weights[n]
            fits.PrimaryHDU(weight, GRID.to_header()).writeto(paths[1])
            pairs.append(tuple(paths))
        out = str(tmp_path / "out.fits")
        coadd_files(pairs, pairs[0][0], out, str(tmp_path / "weights.fits"))
        return fits.getheader(out), fits.getdata(out)

    return run


def test_the_result_has_the_mean_frequency_of_the_images(join):
    axis = {"CTYPE3": "FREQ", "CRVAL3": 1.30e9, "CUNIT3": "Hz"}
    header, _ = join(BEAM | axis, BEAM | {"RESTFRQ": 1.34e9})
    assert frequency_hz(header) == pytest.approx(1.32e9, rel=1e-12)


def test_images_that_give_nothing_have_no_say(join):
    empty = np.zeros((40, 40), np.float32)
    given = BEAM | {"RESTFRQ": 1.30e9}, {"BMAJ": 6 / 3600, "BMIN": 6 / 3600, "BPA": 0.0, "RESTFRQ": 1.34e9}
    header, _ = join(*given, weights=[np.ones_like(empty), empty])
    assert header["RESTFRQ"] == 1.30e9
    assert header["BMAJ"] == pytest.approx(20 / 3600)


def test_images_of_different_frequencies_make_no_mosaic(join, tmp_path):
    with pytest.raises(FrequencyError, match=r"image1.fits is of 144 MHz, .*image0.fits of 152 MHz"):
        join(BEAM | {"RESTFRQ": 152e6}, BEAM | {"RESTFRQ": 144e6})
    assert not (tmp_path / "out.fits").exists()


def test_an_image_without_a_frequency_is_named(join, caplog):
    header, _ = join(BEAM | {"RESTFRQ": 144e6}, BEAM)
    assert header["RESTFRQ"] == 144e6
    assert "image1.fits: the result has that of the others" in caplog.text
    assert "image0.fits" not in caplog.text


def test_images_without_any_frequency_make_one_without(join, caplog):
    header, _ = join(BEAM)
    assert "RESTFRQ" not in header
    assert "image0.fits: the result has none" in caplog.text


def test_milli_and_mega_are_two_units(join):
    with pytest.raises(UnitError, match="image1.fits is in 'mJy/beam', .*image0.fits in 'MJy/beam'"):
        join({"BUNIT": "MJy/beam"}, {"BUNIT": "mJy/beam"})


def test_a_unit_that_may_be_either_is_refused(join):
    with pytest.raises(UnitError, match="image1.fits has BUNIT 'MJY/BEAM', which may be milli- or mega"):
        join({"BUNIT": "mJy/beam"}, {"BUNIT": "MJY/BEAM"})


@pytest.mark.parametrize(
    ("first", "second"), [("Jy beam-1", "JY/BEAM"), ("mJy/beam", "1e-3 Jy beam**-1"), ("K", "K"), ("?", "?")]
)
def test_one_unit_may_be_spelt_in_two_ways(join, first, second):
    header, plane = join(BEAM | {"BUNIT": first}, BEAM | {"BUNIT": second})
    assert header["BUNIT"] == first
    np.testing.assert_allclose(plane, 1.5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, -1.0])
def test_a_weight_that_is_none_leaves_the_other_image_alone(join, caplog, value):
    weights = [np.ones((40, 40), np.float32), np.full((40, 40), 3, np.float32)]
    weights[1][10, 20:25] = value
    _, plane = join(BEAM, BEAM, weights=weights)
    expected = np.full((40, 40), (1 + 3 * 2) / 4)
    expected[10, 20:25] = 1
    np.testing.assert_allclose(plane, expected)
    assert "weight1.fits is infinite or below 0 at 5 pixels: left out" in caplog.text


def test_a_beam_of_aips_or_casa_is_kept(join):
    history = {"HISTORY": "AIPS   CLEAN BMAJ=  5.5556E-03 BMIN=  5.5556E-03 BPA=   0.00"}
    casa = Table({"BMAJ": [20.0], "BMIN": [20.0], "BPA": [0.0]}, units=("arcsec", "arcsec", "deg"))
    header, _ = join(history, {}, tables=[None, casa])
    assert 3600 * header["BMAJ"] == pytest.approx(20, abs=1e-3)
    assert 3600 * header["BMIN"] == pytest.approx(20, abs=1e-3)


def test_beams_that_differ_in_the_last_digits_are_one(join, caplog):
    header, _ = join(BEAM, BEAM | {"BMAJ": 0.00555556, "BPA": 90.0})
    assert header["BMAJ"] == pytest.approx(20 / 3600)
    assert "beam in its header" not in caplog.text
    assert "differ in" not in caplog.text


@pytest.mark.parametrize(
    ("cards", "said"),
    [({"BMAJ": 6 / 3600, "BMIN": 6 / 3600, "BPA": 0.0}, "image1.fits has 6 x 6"), ({}, "no BMAJ")],
)
def test_images_of_different_beams_make_one_without(join, caplog, cards, said):
    header, _ = join(BEAM, cards)
    assert "BMAJ" not in header
    assert said in caplog.text
    assert "beam" in caplog.text


@pytest.mark.parametrize("unit", ["Jy/pixel", "JY/PIXEL", "mJy pix-1", "Jypx-1", "Jy.pixel**-1", "MJY/PIXEL"])
def test_a_unit_per_pixel_is_refused(join, tmp_path, unit):
    """On other pixels the numbers mean something else."""
    with pytest.raises(
        UnitError, match=r"image0.fits is in '.*', which .* size of the pixels: convert .*Jy/beam"
    ):
        join(BEAM | {"BUNIT": unit})
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize(
    ("minor", "told"), [(20.0, False), (9.0, False), (8.5, True), (6.0, True), (None, False)]
)
def test_pixels_wider_than_half_a_beam_are_told(join, caplog, minor, told):
    """The grid has pixels of 4.5 arcsec; the beam of one image is 20 arcsec, another has none."""
    fine = BEAM | {"BMAJ": 20 / 3600, "BMIN": minor / 3600} if minor else {}
    join(BEAM, {}, fine)
    assert ("4.5 arcsec, are wider than half of the beam of" in caplog.text) == told
    assert ("image2.fits, 20 x" in caplog.text) == told
    assert "image1.fits has no BMAJ and no BMIN" in caplog.text


def test_the_resolution_of_a_coarser_image_is_kept(join, tmp_path):
    header, _ = join(BEAM, BEAM | {"RESBMAJ": 45 / 3600, "RESBMIN": 30 / 3600, "RESBPA": 40.0})
    assert (header["RESBMAJ"], header["RESBPA"]) == pytest.approx((45 / 3600, 40))
    assert read_plane(tmp_path / "out.fits").resolution.minor_arcsec == pytest.approx(30)


def test_resolutions_of_other_directions_are_told(join, caplog):
    coarse = BEAM | {"RESBMAJ": 60 / 3600, "RESBMIN": 25 / 3600}
    header, _ = join(coarse | {"RESBPA": 0.0}, coarse | {"RESBPA": 90.0})
    assert header["RESBPA"] in (0, 90)
    assert "the result has the resolution 60 x 25 arcsec" in caplog.text


def test_the_direction_of_a_beam_is_that_on_the_grid_of_the_result(tmp_path):
    """On a Galactic image it is from the Galactic north."""
    place = SkyCoord(150.0, 35.0, unit="deg").galactic
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["GLON-SIN", "GLAT-SIN"], [place.l.deg, place.b.deg]
    wcs.wcs.crpix, wcs.wcs.cdelt = [20.5, 20.5], [-4.5 / 3600, 4.5 / 3600]
    cards = wcs.to_header()
    cards.update(BUNIT="Jy/beam", BMAJ=25 / 3600, BMIN=15 / 3600, BPA=45.0)
    ones = np.ones((40, 40), np.float32)
    fits.writeto(tmp_path / "image.fits", ones, cards)
    fits.writeto(tmp_path / "weight.fits", ones, wcs.to_header())
    fits.writeto(tmp_path / "grid.fits", ones, GRID.to_header())
    pair = str(tmp_path / "image.fits"), str(tmp_path / "weight.fits")
    coadd_files([pair], str(tmp_path / "grid.fits"), str(tmp_path / "out.fits"), str(tmp_path / "w.fits"))
    along = place.directional_offset_by(45 * u.deg, 10 * u.arcsec).icrs
    expected = place.icrs.position_angle(along).deg % 180
    assert fits.getheader(tmp_path / "out.fits")["BPA"] == pytest.approx(expected, abs=0.1)
    # on its own grid, where nothing moves, it is that of the image
    coadd_files([pair], pair[0], str(tmp_path / "own.fits"), str(tmp_path / "w.fits"))
    assert fits.getheader(tmp_path / "own.fits")["BPA"] == 45


EARLY = {"DATE-OBS": "2014-05-01T00:00:00.000", "MJD-OBS": 56778.0}
LATE = {"DATE-OBS": "2019-01-02T12:00:00.000", "MJD-OBS": 58485.5}
GIVEN = "DATE-OBS", "MJD-OBS"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([EARLY], EARLY),
        ([EARLY, EARLY], EARLY),
        ([{"DATE-OBS": EARLY["DATE-OBS"]}, EARLY], EARLY),
        ([EARLY, LATE], {}),
        ([EARLY, {}], {}),
        ([{}, {}], {}),
    ],
)
@pytest.mark.parametrize("frame", ["ICRS", "FK4"])
def test_the_date_is_that_of_the_images_not_of_the_grid(tmp_path, images, expected, frame):
    grid, ones = GRID.to_header(), np.ones((40, 40), np.float32)
    grid["RADESYS"] = frame
    pairs = []
    for n, cards in enumerate(images):
        paths = [str(tmp_path / f"{name}{n}.fits") for name in ("image", "weight")]
        for path in paths:
            fits.writeto(path, ones, fits.Header(grid.cards) + fits.Header(cards))
        pairs.append(tuple(paths))
    grid.update({"DATE-OBS": "1999-01-02T03:04:05", "MJD-OBS": 51180.1})
    fits.writeto(tmp_path / "like.fits", ones, grid)
    out, weights = str(tmp_path / "out.fits"), str(tmp_path / "w.fits")
    coadd_files(pairs, str(tmp_path / "like.fits"), out, weights)
    for path in (out, weights):
        header = fits.getheader(path)
        assert {key: header[key] for key in GIVEN if key in header} == expected


def test_polarised_emission_makes_no_mosaic(join):
    with pytest.raises(StokesError, match="image1.fits is of Stokes Q"):
        join(BEAM, BEAM | {"CTYPE4": "STOKES", "CRVAL4": 2.0})
