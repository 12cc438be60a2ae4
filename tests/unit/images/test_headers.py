"""Headers as programs of this field leave them: used where they can be, refused by the real reason."""

import logging

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import (
    BrightnessError,
    CelestialError,
    GridError,
    StokesError,
    TruncatedError,
    UnreadableError,
)
from radiounet.images.frequencies import copy_frequency
from radiounet.images.geometry import middle, to_sky
from radiounet.images.headers import frequency_hz, legible
from radiounet.images.image import grid_wcs, open_plane, place_of, read_plane
from radiounet.images.resampling import prepare_image

DATA = 1e-4 * np.random.default_rng(1).standard_normal((40, 40)).astype(np.float32)


def header(**changes):
    cards = grid_wcs(150.0, 35.0, 40, 4.5).to_header()
    cards.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    for key, value in changes.items():
        if value is None:
            cards.remove(key)
        else:
            cards[key] = value
    return cards


def raw(path, key, text, integers=False):
    """Write an image of which one card holds a raw text."""
    present = key in header()
    data = (1e6 * DATA).astype(np.int16) if integers else DATA
    fits.writeto(path, data, header(**({key: 77.25} if present else {"FILLER": 77.25})), overwrite=True)
    content = path.read_bytes()
    at = content.index(f"{key if present else 'FILLER':8}=".encode())
    card = f"{key:8}= {text:>20}".ljust(80).encode("latin-1")
    path.write_bytes(content[:at] + card + content[at + 80 :])
    return path


@pytest.mark.parametrize("key", ["ORIGIN", "RESTFRQ", "OBSERVER", "SPECSYS", "VELREF", "CTYPE5", "TELESCOP"])
@pytest.mark.parametrize(
    "text", ["'a \n b'", "NaN", "'open", "1.0.0", "'\xe9\xfc'", "\x01", "'144 MHz'", "1E400"]
)
def test_cards_that_nobody_needs_cost_no_image(tmp_path, key, text):
    prepare_image(str(raw(tmp_path / "a.fits", key, text)), str(tmp_path / "b.fits"), 4.5, 20.0)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), DATA)


@pytest.mark.parametrize("text", ["NaN", "'NaN'", "nan", "-1", "1.0.0", "-Infinity"])
def test_blank_among_floats_costs_no_image(tmp_path, text):
    path = raw(tmp_path / "a.fits", "BLANK", text)
    np.testing.assert_array_equal(read_plane(path).data, DATA)
    # the same image as an extension
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    )
    primary = b"".join(card.encode().ljust(80) for card in cards).ljust(2880)
    image = b"XTENSION= 'IMAGE   '".ljust(80) + path.read_bytes()[80:]
    (tmp_path / "b.fits").write_bytes(primary + image)
    np.testing.assert_array_equal(read_plane(tmp_path / "b.fits").data, DATA)


@pytest.mark.parametrize("kind", ["CAR", "CEA", "MER"])
@pytest.mark.parametrize("longitude", [170.0, 179.99, 180.0, 190.0, -175.0, -190.0, 350.0])
def test_cylinders_reach_beyond_180_deg_from_their_reference(tmp_path, kind, longitude):
    """As the maps of the Galactic plane do, whose reference is the Galactic centre."""
    step = 4.5 / 3600
    cards = header(CTYPE1=f"GLON-{kind}", CTYPE2=f"GLAT-{kind}", CRVAL1=0.0, CRVAL2=0.0)
    for key in ("RADESYS", "LONPOLE", "LATPOLE"):
        cards.remove(key)
    cards.update(CRPIX1=20.5 + longitude / step, CRPIX2=20.5)
    fits.writeto(tmp_path / "a.fits", DATA, cards)
    plane = read_plane(tmp_path / "a.fits")
    for x in (0, 19.5, 39):
        expected = SkyCoord(longitude + (19.5 - x) * step, 0.0, unit="deg", frame="galactic").icrs
        ra, dec = to_sky(plane.wcs, x, 19.5)
        assert (ra, dec) == pytest.approx((expected.ra.deg, expected.dec.deg), abs=1e-7)


@pytest.mark.parametrize(
    "cards", [{"LATPOLE": 0.0}, {"LATPOLE": -90.0}, {"LONPOLE": 180.0}, {"LONPOLE": 90.0}]
)
def test_cylinders_with_another_pole_keep_their_coordinates(tmp_path, cards):
    step = 1.0
    given = header(CTYPE1="GLON-CAR", CTYPE2="GLAT-CAR", CRVAL1=0.0, CRVAL2=0.0, BMAJ=2.0, BMIN=2.0)
    for key in ("RADESYS", "LONPOLE", "LATPOLE"):
        given.remove(key)
    given.update(CRPIX1=190.5, CRPIX2=20.5, CDELT1=-step, CDELT2=step, **cards)
    fits.writeto(tmp_path / "a.fits", np.resize(DATA, (40, 240)), given)
    plane = open_plane(tmp_path / "a.fits", brightness=False)  # from 189 to -51 deg
    x, y = np.array([15.0, 120.0, 200.0, 235.0]), np.array([5.0, 30.0, 10.0, 38.0])
    longitude, latitude = WCS(given).wcs_pix2world(x, y, 0)
    expected = SkyCoord(longitude, latitude, unit="deg", frame="galactic").icrs
    found = SkyCoord(*to_sky(plane.wcs, x, y), unit="deg")
    assert expected.separation(found).arcsec.max() < 1e-3


@pytest.mark.parametrize(
    ("key", "text", "integers"),
    [
        *((key, text, False) for key in ("BSCALE", "BZERO") for text in ("'1.0'", "T", "'NaN'")),
        *((key, "NaN", kind) for key in ("BSCALE", "BZERO") for kind in (False, True)),
        *(("BLANK", text, True) for text in ("NaN", "'none'")),
    ],
)
def test_what_numbers_mean_must_be_a_number(tmp_path, key, text, integers):
    path = raw(tmp_path / "a.fits", key, text, integers)
    with pytest.raises(BrightnessError, match=rf"a\.fits: {key} is "):
        read_plane(path)
    assert place_of(path, 4.5) == (0.0, -90.0, 0)


@pytest.mark.parametrize("key", ["CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2"])
@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1E30", "'text'", "T", "1E400"])
def test_coordinates_that_are_no_place(tmp_path, key, text):
    with pytest.raises(CelestialError, match=r"a\.fits: its coordinates mean no place on the sky"):
        read_plane(raw(tmp_path / "a.fits", key, text))
    assert place_of(tmp_path / "a.fits", 4.5) == (0.0, -90.0, 0)


@pytest.mark.parametrize("key", ["CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2"])
def test_coordinates_that_are_missing(tmp_path, key):
    fits.writeto(tmp_path / "a.fits", DATA, header(**{key: None}))
    with pytest.raises(CelestialError, match=f"there is no {key}"):
        read_plane(tmp_path / "a.fits")


@pytest.mark.parametrize(
    "changes",
    [
        {"CDELT1": 0.0},
        {"CDELT2": 0.0},
        {"CRVAL2": 95.0},
        {"CRVAL2": -90.01},
        {"CDELT1": 5.0, "CDELT2": 5.0},
        {"CDELT1": 1e-12, "CDELT2": 1e-12},
        {"PC1_1": 0.0},
        {"PC1_2": 1.0, "PC2_1": 1.0},
        {"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"},
        {"CTYPE1": "RA---TAN"},
        {"CTYPE1": 5},
        {"CTYPE2": "RA---SIN"},
        {"CUNIT1": "parsec"},
        {"PV2_1": 1e30},
    ],
)
def test_coordinates_that_cannot_be(tmp_path, changes):
    if changes.get("PC1_1") == 0.0:
        changes = changes | {"PC2_1": 1.0}
    fits.writeto(tmp_path / "a.fits", DATA, header(**changes))
    with pytest.raises(CelestialError):
        read_plane(tmp_path / "a.fits")


def test_a_matrix_in_place_of_cdelt(tmp_path):
    cards = header(CDELT1=None, CDELT2=None)
    cards.update(CD1_1=-4.5 / 3600, CD2_2=4.5 / 3600)
    fits.writeto(tmp_path / "a.fits", DATA, cards)
    assert read_plane(tmp_path / "a.fits").pixel_arcsec == pytest.approx(4.5, rel=1e-5)
    cards["CD2_2"] = 0.0
    fits.writeto(tmp_path / "b.fits", DATA, cards)
    with pytest.raises(CelestialError):
        read_plane(tmp_path / "b.fits")


def test_both_matrices(tmp_path):
    """Against the standard, but left by programs that add the PC of astropy to a header with CD."""
    cards = header()
    cards.update(CD1_1=-4.5 / 3600, CD1_2=0.0, CD2_1=0.0, CD2_2=4.5 / 3600, PC1_1=1.0)
    fits.writeto(tmp_path / "a.fits", DATA, cards)
    cards.update(CDELT1=1.0, CDELT2=1.0, PC1_1=-4.5 / 3600, PC2_2=4.5 / 3600)
    fits.writeto(tmp_path / "b.fits", DATA, cards)
    for name in "ab":
        plane = read_plane(tmp_path / f"{name}.fits")
        assert plane.pixel_arcsec == pytest.approx(4.5, rel=1e-5)
        assert to_sky(plane.wcs, 19, 19) == (pytest.approx(150), pytest.approx(35))
    # turned by 30 deg, or another scale
    for number, changes in enumerate(
        ({"PC1_1": 0.866, "PC1_2": -0.5, "PC2_1": 0.5, "PC2_2": 0.866}, {"PC1_1": 1.0, "PC2_2": 1.0})
    ):
        odd = cards.copy()
        odd.update(changes)
        fits.writeto(tmp_path / f"{number}.fits", DATA, odd)
        with pytest.raises(CelestialError, match="CDi_j and its PCi_j"):
            read_plane(tmp_path / f"{number}.fits")


COSINE, SINE = np.cos(np.radians(30)), np.sin(np.radians(30))
TURNED = {(1, 1): COSINE, (1, 2): -SINE, (2, 1): SINE, (2, 2): COSINE}


@pytest.mark.parametrize("spelt", ["{0}{1}_{2}", "{0}{1:02d}_{2:02d}", "{0}{1:03d}{2:03d}", "{0}{1:02d}_{2}"])
@pytest.mark.parametrize("kind", ["PC", "CD"])
def test_indices_of_a_matrix_may_have_leading_zeros(tmp_path, kind, spelt):
    """CASA writes ``PC01_01``; 30 deg lie between north and up."""
    cards = header(CDELT1=None, CDELT2=None)
    scale = np.array([-4.5, 4.5]) / 3600
    if kind == "PC":
        cards.update(CDELT1=scale[0], CDELT2=scale[1])
    for (i, j), value in TURNED.items():
        cards[spelt.format(kind, i, j)] = value * (1 if kind == "PC" else scale[i - 1])
    fits.writeto(tmp_path / "a.fits", DATA, cards)
    expected = np.diag(scale) @ [[COSINE, -SINE], [SINE, COSINE]]
    np.testing.assert_allclose(read_plane(tmp_path / "a.fits").wcs.pixel_scale_matrix, expected, rtol=1e-9)


def test_the_first_of_two_spellings_counts():
    assert dict(legible(fits.Header({"PC01_02": 0.1, "PC1_2": 0.2, "PC001002": 0.3}))) == {"PC1_2": 0.1}


def test_parameters_of_a_projection_may_have_leading_zeros(tmp_path):
    for name, spelt in (("a", "PV2_{}"), ("b", "PV02_{:02d}")):
        parameters = {spelt.format(1): 0.01, spelt.format(2): 0.02}
        fits.writeto(tmp_path / f"{name}.fits", DATA, header(**parameters))
    planes = [read_plane(tmp_path / f"{name}.fits") for name in "ab"]
    assert planes[1].wcs.wcs.get_pv() == planes[0].wcs.wcs.get_pv() == [(2, 1, 0.01), (2, 2, 0.02)]


def test_a_matrix_with_leading_zeros_must_not_mix_axes(tmp_path):
    fits.writeto(tmp_path / "a.fits", DATA[None], header(CTYPE3="FREQ", PC01_03=0.5))
    with pytest.raises(CelestialError, match="PC1_3 mixes the celestial axes with another"):
        read_plane(tmp_path / "a.fits")


@pytest.mark.parametrize("terms", [("A_2_0",), ("A_0_2",), ("B_2_0", "A_1_1"), ("A_3_0", "B_1_2", "A_0_2")])
def test_a_distortion_where_the_latitude_comes_first(tmp_path, terms):
    """It belongs to the axes of the file; astropy reads the file as it is."""
    cards = header(CTYPE1="DEC--TAN-SIP", CTYPE2="RA---TAN-SIP", CRVAL1=35.0, CRVAL2=150.0)
    cards.update(CDELT1=4.5 / 3600, CDELT2=-4.5 / 3600, CRPIX1=5.0, A_ORDER=3, B_ORDER=2)
    cards.update({term: 1e-3 / (n + 1) for n, term in enumerate(terms)})
    for key in ("LONPOLE", "LATPOLE"):
        cards.remove(key)
    fits.writeto(tmp_path / "a.fits", DATA, cards)
    plane = read_plane(tmp_path / "a.fits")
    y, x = np.indices(DATA.shape)
    dec, ra = WCS(cards).all_pix2world(x, y, 0)
    np.testing.assert_array_equal(plane.data, DATA.T)
    found = to_sky(plane.wcs, y, x)
    np.testing.assert_allclose(found, (ra, dec), atol=1e-9)
    straight = {key: value for key, value in cards.items() if key not in terms}
    assert np.abs(dec - WCS(fits.Header(straight)).all_pix2world(x, y, 0)[0]).max() > 1e-5


@pytest.mark.parametrize(
    ("cards", "named"),
    [
        *(({f"CTYPE{n}": f"{kind}-{code}"}, f"CTYPE{n} '{kind}-{code}'")
          for n, kind in ((1, "RA--"), (2, "DEC-"))
          for code in ("TNX", "ZPX", "TAN-DSS", "TAN-TPD", "SIN-WAT")),
        ({"CPDIS1": "LOOKUP"}, "CPDIS1 'LOOKUP'"),
        ({"CPDIS2": "Polynomial"}, "CPDIS2 'Polynomial'"),
        ({"CQDIS1": "TPD"}, "CQDIS1 'TPD'"),
        ({"D2IMDIS2": "LOOKUP"}, "D2IMDIS2 'LOOKUP'"),
        ({"AXISCORR": 1}, "AXISCORR 1"),
    ],
)  # fmt: skip
def test_a_distortion_that_is_not_understood(tmp_path, cards, named):
    fits.writeto(tmp_path / "a.fits", DATA, header(**cards))
    with pytest.raises(CelestialError, match=f"a.fits: {named} is a distortion that is not understood"):
        read_plane(tmp_path / "a.fits")


def test_cards_of_other_axes_are_no_distortion(tmp_path):
    cards = {"CPDIS1": " ", "CPDIS3": "LOOKUP", "WAT1_001": "wtype=sin axtype=ra", "CTYPE1A": "RA---TNX"}
    fits.writeto(tmp_path / "a.fits", DATA, header(**cards))
    np.testing.assert_array_equal(read_plane(tmp_path / "a.fits").data, DATA)


@pytest.mark.parametrize(
    "cards",
    [{"CPDIS1": "none"}, {"CQDIS2": "None "}, {"D2IMDIS1": "NONE"}, {"AXISCORR": 0}, {"AXISCORR": False}],
)
def test_cards_that_name_no_distortion(tmp_path, cards):
    fits.writeto(tmp_path / "a.fits", DATA, header(**cards))
    np.testing.assert_array_equal(read_plane(tmp_path / "a.fits").data, DATA)


def test_axes_in_any_order_and_odd_ones_beside_them(tmp_path):
    cards = header()
    swapped = fits.Header([("BUNIT", "JY/BEAM"), ("BMAJ", 20 / 3600), ("BMIN", 20 / 3600)])
    for kind in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
        swapped[f"{kind}2"], swapped[f"{kind}4"] = cards[f"{kind}1"], cards[f"{kind}2"]
    swapped.update(CTYPE1="STOKES", CTYPE3="FREQ", CRVAL3=1.44e8, CDELT3=0.0, CUNIT3="nonsense", CRPIX3=0.0)
    fits.writeto(tmp_path / "a.fits", DATA.reshape(40, 1, 40, 1), swapped)
    plane = read_plane(tmp_path / "a.fits")
    np.testing.assert_array_equal(plane.data, DATA)
    expected = to_sky(grid_wcs(150.0, 35.0, 40, 4.5), 3, 7)
    np.testing.assert_allclose(to_sky(plane.wcs, 3, 7), expected, atol=1e-9)


def test_a_table_or_a_picture_before_the_image(tmp_path):
    table = fits.BinTableHDU(Table({"x": [1, 2]}), name="FLAGS")
    preview = fits.PrimaryHDU(np.zeros((10, 10), np.uint8))
    image = fits.ImageHDU(DATA, header(RESTFRQ=1.5e8), name="SCI")
    for number, before in enumerate(([fits.PrimaryHDU(), table], [preview, table])):
        path = tmp_path / f"{number}.fits"
        fits.HDUList([*before, image]).writeto(path)
        np.testing.assert_array_equal(read_plane(path).data, DATA)
        product = fits.Header()
        copy_frequency(product, path)
        assert product["RESTFRQ"] == 1.5e8


@pytest.mark.parametrize(
    ("key", "text", "error"),
    [
        ("NAXIS1", "-40", TruncatedError),
        ("NAXIS2", "-40", TruncatedError),
        ("NAXIS2", "999999999", GridError),
        ("NAXIS1", "99999999999999999999", GridError),
        ("NAXIS2", "4000", TruncatedError),
        ("NAXIS1", "'text'", UnreadableError),
        ("NAXIS", "999", UnreadableError),
        ("BITPIX", "7", UnreadableError),
    ],
)
def test_axes_of_absurd_length(tmp_path, key, text, error):
    fits.writeto(tmp_path / "a.fits", DATA, header())
    content = (tmp_path / "a.fits").read_bytes()
    at = content.index(f"{key:8}=".encode())
    card = f"{key:8}= {text:>20}".ljust(80).encode()
    (tmp_path / "a.fits").write_bytes(content[:at] + card + content[at + 80 :])
    with pytest.raises(error):
        read_plane(tmp_path / "a.fits")


AXIS = {"NAXIS": 3, "CTYPE3": "FREQ", "CRVAL3": 1.44e8, "CRPIX3": 1.0, "CDELT3": 1e6}
CUT = AXIS | {"NAXIS": 2, "NAXIS1": 40, "NAXIS2": 40, "CRPIX1": 20.5, "CRPIX2": 20.5}
"""Without the axis, whose cards are left."""


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"RESTFRQ": 1.44e8}, 1.44e8),
        ({"RESTFREQ": 1.5e8}, 1.5e8),
        ({"RESTFRQ": 1.44e8, "RESTFREQ": 1.42e9}, 1.44e8),
        (AXIS, 1.44e8),
        (AXIS | {"RESTFRQ": 1.420405752e9}, 1.44e8),
        (AXIS | {"RESTFRQ": 0.0}, 1.44e8),
        (AXIS | {"RESTFRQ": "144 MHz"}, 1.44e8),
        (AXIS | {"CRVAL3": 0.0, "RESTFRQ": 1.5e8}, 1.5e8),
        (AXIS | {"CRVAL3": 144.0, "CDELT3": 1.0, "CUNIT3": "MHz"}, 1.44e8),
        (AXIS | {"CRVAL3": 144.0, "CDELT3": 1.0, "CUNIT3": "MHZ"}, 1.44e8),
        (AXIS | {"CRVAL3": 1.4, "CDELT3": 1.0, "CUNIT3": "GHZ", "RESTFRQ": 1.420405752e9}, 1.4e9),
        (AXIS | {"CUNIT3": "HERTZ"}, 1.44e8),
        (AXIS | {"CUNIT3": "km/s", "RESTFRQ": 1.5e8}, 1.44e8),
        # the plane of a cube, whose header still has the axis
        (AXIS | {"NAXIS": 2, "RESTFRQ": 1.420405752e9}, 1.44e8),
        (AXIS | {"CRPIX3": 0.0}, 1.45e8),
        # a plane cut out of a cube: by a matrix, with and without CDELT, or by PC
        (AXIS | {"CRPIX3": -598.0, "CD3_3": 2e6}, 1.44e8 + 599 * 2e6),
        ({"CTYPE3": "FREQ", "CRVAL3": 9e8, "CRPIX3": -598.0, "CD3_3": 1e6}, 1.499e9),
        ({"CTYPE3": "FREQ", "CRVAL3": 9e8, "CRPIX3": -598.0, "PC3_3": 1e6}, 1.499e9),
        (AXIS | {"CRPIX3": -1.0, "PC3_3": 3.0}, 1.5e8),
        (AXIS | {"CRPIX3": -1.0, "CD1_1": -1.0, "CD2_2": 1.0}, 1.46e8),
        (AXIS | {"CTYPE3": "FREQ-LSR"}, 1.44e8),
        (AXIS | {"CTYPE3": "SPECLNMF", "CRVAL3": 1.28e9}, 1.28e9),
        # one that differs over the image by more than 1 % is none: here by 39 px of 5e4 Hz, or of 0.1 MHz
        (CUT | {"CD3_3": 1e6, "CD3_1": 5e4, "RESTFRQ": 1.5e8}, 1.5e8),
        (CUT | {"PC3_2": 0.1, "RESTFRQ": 1.5e8}, 1.5e8),
        (CUT | {"PC3_2": 0.1}, None),
        # in all: 0.9 % along either axis
        (CUT | {"CD3_3": 1e6, "CD3_1": 3.3e4, "CD3_2": 3.3e4, "RESTFRQ": 1.5e8}, 1.5e8),
        (CUT | {"PC3_1": 0.033, "PC3_2": -0.033}, None),
        # less is that of the middle: 10.5 px from the reference
        (CUT | {"CD3_3": 1e6, "CD3_1": 1e4, "CRPIX1": 10.0, "RESTFRQ": 1.5e8}, 1.44e8 + 10.5 * 1e4),
        # an axis of one pixel adds a constant, whether it is left or not
        (AXIS | {"PC3_4": 0.5}, 1.44e8),
        (AXIS | {"PC3_4": -1e-16, "CRPIX4": -598.0, "RESTFRQ": 1.4e9}, 1.44e8),
        (AXIS | {"NAXIS": 4, "NAXIS4": 1, "PC3_4": 0.5, "CRPIX4": -1.0}, 1.45e8),
        (AXIS | {"CD3_3": 1e6, "CD3_4": 2e6, "CRPIX4": 3.0}, 1.4e8),
        (AXIS | {"PC3_4": 0.0, "PC4_3": 0.5}, 1.44e8),
        (AXIS | {"CRVAL3": "x", "RESTFREQ": 1.5e8}, 1.5e8),
        ({"RESTFRQ": 144.0}, None),
        ({"RESTFRQ": "NaN"}, None),
        ({"RESTFRQ": -1.44e8}, None),
        ({"RESTFRQ": True}, None),
        ({}, None),
    ],
)
def test_the_frequency(cards, expected):
    assert frequency_hz(fits.Header(cards)) == (None if expected is None else pytest.approx(expected))


def test_frequencies_that_disagree_are_in_the_log(caplog):
    with caplog.at_level(logging.WARNING):
        frequency_hz(fits.Header(AXIS | {"RESTFRQ": 1.45e8}))
        assert not caplog.text
        frequency_hz(fits.Header(AXIS | {"RESTFRQ": 1.42e9}))
    assert "taken from CRVAL3" in caplog.text
    assert "RESTFRQ" in caplog.text


def test_a_frequency_that_varies_over_the_image_is_in_the_log(caplog):
    assert frequency_hz(fits.Header(CUT | {"PC3_1": 0.1})) is None
    assert caplog.messages == ["the frequency of axis 3 varies over the image (PC3_1): left out"]
    assert frequency_hz(fits.Header(CUT | {"PC3_1": 0.033, "PC3_2": 0.033})) is None
    assert "varies over the image (PC3_1, PC3_2)" in caplog.text


def test_a_legible_header_keeps_what_was_right():
    cards = header()
    cards.add_history("AIPS   CLEAN")
    clean = legible(cards)
    for key in cards:
        if key != "HISTORY":
            assert clean[key] == cards[key]
    assert list(clean["HISTORY"]) == ["AIPS   CLEAN"]


def test_the_middle_of_an_image():
    wcs = grid_wcs(150.0, 35.0, 41, 4.5)
    assert to_sky(wcs, *middle((41, 41)))[1] == pytest.approx(35 + 0.5 * 4.5 / 3600, abs=1e-8)


def with_stokes(path, *, planes=True, **cards):
    """An image of DATA with a Stokes axis, or with only its cards."""
    changes = {"CTYPE4": "STOKES", "CRVAL4": 1.0, "CRPIX4": 1.0, "CDELT4": 1.0} | cards
    given = {key: value for key, value in changes.items() if value is not None}
    fits.writeto(path, DATA[None, None] if planes else DATA, header(**given))
    return path


@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize(
    ("cards", "what"),
    [
        *(({"CRVAL4": value}, f"Stokes {name}") for value, name in ((2, "Q"), (3.0, "U"), (4, "V"))),
        *(({"CRVAL4": value, "CDELT4": -1.0}, name) for value, name in ((-3, "RL"), (-8, "YX"))),
        # the first plane of an axis whose second one is I is not I
        ({"CRVAL4": 1.0, "CRPIX4": 2.0, "CDELT4": -1.0}, "Stokes Q"),
        # the last plane of four
        ({"CRPIX4": -2.0}, "Stokes V"),
        ({"CRPIX4": -2.0, "CDELT4": None}, "Stokes V"),
        (
            {"CRPIX4": -2.0, "CDELT4": 5.0, "CD1_1": -4.5 / 3600, "CD2_2": 4.5 / 3600, "CD4_4": 1.0},
            "Stokes V",
        ),
        ({"CRPIX4": -2.0, "CDELT4": 0.5, "PC4_4": 2.0}, "Stokes V"),
        # rounding dust, and a constant from an axis of one pixel
        ({"CRVAL4": 2.0, "PC4_3": 1e-16, "CRPIX3": -598.0}, "Stokes Q"),
        ({"CRVAL4": 2.0, "PC4_3": 1.0}, "Stokes Q"),
        ({"PC4_3": 1.0, "CRPIX3": 0.0}, "Stokes Q"),
        ({"CRVAL4": 1.6}, "Stokes Q"),
    ],
)
def test_polarised_emission_is_no_total_intensity(tmp_path, cards, what, planes):
    with pytest.raises(StokesError, match=f"a.fits is of {what}, which is no total intensity"):
        read_plane(with_stokes(tmp_path / "a.fits", planes=planes, **cards))


@pytest.mark.parametrize(("value", "name"), [(-1, "RR"), (-2, "LL"), (-5, "XX"), (-6, "YY"), (9, "Stokes 9")])
def test_one_correlation_is_taken_with_a_warning(tmp_path, caplog, value, name):
    np.testing.assert_array_equal(read_plane(with_stokes(tmp_path / "a.fits", CRVAL4=value)).data, DATA)
    assert f"a.fits is of {name}" in caplog.text
    assert "taken for total intensity" in caplog.text


def test_a_stokes_axis_that_varies_over_the_image_is_told(tmp_path, caplog):
    image = with_stokes(tmp_path / "a.fits", planes=False, CRVAL4=2.0, PC4_2=0.02)
    np.testing.assert_array_equal(read_plane(image).data, DATA)
    varies = "its Stokes parameter varies over the image (PC4_2): taken for total intensity"
    assert varies in caplog.text
    with pytest.raises(StokesError, match="Stokes Q"):  # by 0.4 at most
        read_plane(with_stokes(tmp_path / "b.fits", planes=False, CRVAL4=2.0, PC4_2=0.01))
    read_plane(with_stokes(tmp_path / "c.fits", planes=False, CRVAL4=2.0, PC4_1=0.01, PC4_2=0.01))
    assert varies.replace("PC4_2", "PC4_1, PC4_2") in caplog.text


@pytest.mark.parametrize("value", [1.4999, 1.01, 0.6, -1.3])
def test_a_stokes_parameter_that_is_none_is_told(tmp_path, caplog, value):
    np.testing.assert_array_equal(read_plane(with_stokes(tmp_path / "a.fits", CRVAL4=value)).data, DATA)
    assert f"Stokes {value}, which is not known: taken for total intensity" in caplog.text


@pytest.mark.parametrize("value", [1, 1.0, 0])
def test_stokes_i_is_taken_without_a_word(tmp_path, caplog, value):
    np.testing.assert_array_equal(read_plane(with_stokes(tmp_path / "a.fits", CRVAL4=value)).data, DATA)
    assert not caplog.records
