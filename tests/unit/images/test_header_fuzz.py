"""Mutated headers: each image is used, or refused by a named error; no traceback, no nonsense accepted.

What counts as nonsense, for an image that is used:

1. its middle lies elsewhere than before, unless the header says so: a card of the coordinates
   has another finite number in it, one that is possible (a latitude up to 90 deg, a longitude up
   to 720, a middle within 360 deg of the reference pixel, pixels of 0.001 arcsec to 1 deg);
2. a card that the coordinates need is gone or holds no number;
3. its brightness is scaled by anything but what BUNIT, BSCALE and the beam say;
4. a brightness beyond 1e10 Jy/beam, or none;
5. a beam that is not finite, wider than the image, or below half a pixel, or BMIN above BMAJ;
6. pixels that are not 4.5 arcsec wide in the product, or more than 24,000 a side;
7. a frequency outside 1e6 to 1e13 Hz.
"""

import re

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import BadDataError
from radiounet.images.geometry import middle, to_sky
from radiounet.images.image import place_of, read_plane
from radiounet.images.resampling import LARGEST_SIDE_PX, prepare_image
from radiounet.images.squares import separation_deg, unit_vectors

N_PX = 24
DATA = (1e-4 * np.random.default_rng(1).standard_normal((1, 1, N_PX, N_PX))).astype(">f4")
CARDS = {
    "BSCALE": "1.0", "BZERO": "0.0", "BUNIT": "'JY/BEAM '", "BMAJ": "5.5556E-03", "BMIN": "5.5556E-03",
    "BPA": "90.0", "CTYPE1": "'RA---SIN'", "CRVAL1": "150.0", "CRPIX1": "12.0", "CDELT1": "-1.25E-03",
    "CUNIT1": "'deg     '", "CTYPE2": "'DEC--SIN'", "CRVAL2": "35.0", "CRPIX2": "12.0",
    "CDELT2": "1.25E-03", "CUNIT2": "'deg     '", "CTYPE3": "'FREQ    '", "CRVAL3": "1.44E+08",
    "CRPIX3": "1.0", "CDELT3": "4.8E+07", "CUNIT3": "'Hz      '", "CTYPE4": "'STOKES  '", "CRVAL4": "1.0",
    "CRPIX4": "1.0", "CDELT4": "1.0", "RADESYS": "'ICRS    '", "EQUINOX": "2000.0", "LONPOLE": "180.0",
    "LATPOLE": "35.0", "RESTFRQ": "1.44E+08", "DATE-OBS": "'2014-05-23T10:00:00'", "ORIGIN": "'ours'",
    "OBJECT": "'P150+35 '", "TELESCOP": "'LOFAR'",
}  # fmt: skip
ADDED = ("CD1_1", "CD1_2", "CD2_2", "CD3_1", "PC1_1", "PC2_1", "PC3_3", "CROTA2", "PV2_1", "EPOCH",
         "RESTFREQ", "RESBMAJ", "RESBMIN", "MJD-OBS", "A_ORDER", "BLANK", "WCSAXES", "SPECSYS", "VELREF",
         "HISTORY", "CTYPE1A", "CRVAL1A", "DP1", "CPDIS1", "REJECTED")  # fmt: skip
STRUCTURE = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3")
VALUES = (
    None, "NaN", "-inf", "Infinity", "'text'", "''", "'NaN'", "0", "0.0", "-1", "1", "5", "1E30", "-1E30",
    "1E-30", "1E300", "1E400", "-8", "-64", "91.0", "-90.0001", "95", "360.0", "7200.0", "T", "F",
    "(1.0, 2.0)", "9" * 40, "1.0.0", "0x10", "'a''b'", "'open", "'line \n break'", "'\xb5Jy/beam'",
    "\x00\x01", "'K'", "'MJY/BEAM'", "'mJy/beam'", "'Jy/pixel'", "'RA---XYZ'", "'GLON-SIN'", "'GLAT-SIN'",
    "'RA---CAR'", "'DEC--CAR'", "'RA---TAN'", "'DEC--TAN-SIP'", "'FK4'", "'FK5'", "'GAPPT'", "1950.0",
    "'2014-99-99'", "'CLEAN BMAJ= 1E-2 BMIN= 2E-2 BPA= 0'", "1.5", "20.0", "1000000", "2147483648", "  ",
    "1D0", "-1.25D-03",
)  # fmt: skip


def file_of(cards, path):
    """The image with these raw cards, and its data untouched."""
    head = {"SIMPLE": "T", "BITPIX": "-32", "NAXIS": "4", "NAXIS1": "24", "NAXIS2": "24"}
    lines = []
    for key, text in (head | {"NAXIS3": "1", "NAXIS4": "1"} | cards).items():
        if text is not None:
            lines.append(f"{key:8}= {text:>20}"[:80].ljust(80))
    raw = "".join([*lines, "END".ljust(80)]).encode("latin-1")
    raw += b" " * (-len(raw) % 2880)
    data = DATA.tobytes()
    path.write_bytes(raw + data + b"\0" * (-len(data) % 2880))


def mutated(rng):
    """One to three cards replaced, added or taken away."""
    keys = [*CARDS, *ADDED, *CARDS]
    weights = np.full(len(keys) + len(STRUCTURE), 1.0)
    chosen = rng.choice([*keys, *STRUCTURE], size=rng.integers(1, 4), p=weights / weights.sum())
    return {str(key): VALUES[rng.integers(len(VALUES))] for key in chosen}


def number_in(text):
    """Finite number that a card holds, or None."""
    if text is None or not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([EeDd][-+]?\d+)?", text.strip()):
        return None
    value = float(text.upper().replace("D", "E"))
    return value if np.isfinite(value) else None


def error_of(work):
    """The error by which bad data was refused, or None; any other goes on."""
    try:
        work()
    except BadDataError as error:
        return error
    return None


COORDINATES = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]|CD\d_\d|PC\d_\d|PV2_1|RADESYS|EQUINOX|EPOCH|L..POLE|A_ORDER|NAXIS\d?|MJD-OBS|DATE-OBS"
)
OTHER_PIXELS = re.compile(r"BSCALE|BZERO|BITPIX|BLANK|NAXIS\d?|CTYPE\d")
NEEDED = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")


def nonsense(changes, source, product):
    """What is wrong with an image that was used."""
    cards = CARDS | changes
    plane, made = read_plane(source), read_plane(product)
    faults = []
    place = unit_vectors(*to_sky(made.wcs, *middle(made.data.shape)))
    moved = unit_vectors(*(number_in(cards[key]) or 0 for key in ("CRVAL1", "CRVAL2")))
    only = {key for key in changes if COORDINATES.fullmatch(key)} <= {"CRVAL1", "CRVAL2"}
    if only and separation_deg(moved, place) > 0.01:
        faults.append("it lies elsewhere than CRVAL says")
    if any(number_in(cards[key]) is None for key in NEEDED):
        faults.append("a needed card is no number")
    if abs(number_in(cards["CRVAL2"]) or 0) > 90 or abs(number_in(cards["CRVAL1"]) or 0) > 720:
        faults.append("longitude or latitude beyond the sky")
    has_matrix = any(
        key.startswith("CD1_") or key.startswith("CD2_") for key, text in changes.items() if text
    )
    if not has_matrix and not all(number_in(cards[key]) for key in ("CDELT1", "CDELT2")):
        faults.append("pixels without a size")
    unit = {"'mJy/beam'": 1e-3, "'\xb5Jy/beam'": 1e-6, "'JY/BEAM '": 1.0}.get(cards["BUNIT"])
    if unit is None:
        faults.append(f"{cards['BUNIT']} is not Jy/beam")
    elif not any(OTHER_PIXELS.fullmatch(key) for key in changes) and not np.allclose(
        plane.data, unit * DATA[0, 0], rtol=1e-5, atol=0
    ):
        faults.append("its brightness changed")
    if not np.nanmax(np.abs(plane.data)) <= 1e10 or np.isnan(plane.data).all():
        faults.append("brightness beyond the sky's")
    beam = plane.beam
    sides = np.array([beam.major_arcsec, beam.minor_arcsec])
    if not (np.isfinite(sides).all() and sides[0] >= sides[1] and np.isfinite(beam.angle_deg)):
        faults.append(f"beam {beam}")
    if sides[0] > min(plane.data.shape) * plane.pixel_arcsec or sides[1] < 0.5 * plane.pixel_arcsec:
        faults.append(f"beam {beam} on pixels of {plane.pixel_arcsec}")
    if abs(made.pixel_arcsec / 4.5 - 1) > 0.01 or max(made.data.shape) > LARGEST_SIDE_PX:
        faults.append(f"product of {made.data.shape}, {made.pixel_arcsec} arcsec")
    frequency = fits.getheader(product).get("RESTFRQ", 1.44e8)
    if not 1e6 <= frequency <= 1e13:
        faults.append(f"frequency {frequency}")
    return faults


@pytest.mark.parametrize("block", range(8))
def test_mutated_headers(tmp_path, block):
    used = refused = 0
    for number in range(60):
        changes = mutated(np.random.default_rng([block, number]))
        source, product = tmp_path / "a.fits", tmp_path / "b.fits"
        file_of(CARDS | changes, source)
        place = place_of(source, 4.5)
        assert np.isfinite(place).all(), changes
        error = error_of(lambda: prepare_image(str(source), str(product), 4.5, 20.0))  # noqa: B023
        if error:
            refused += 1
            assert type(error) is not BadDataError, changes
            assert len(str(error)) > 20, changes
            continue
        used += 1
        assert not nonsense(changes, source, product), changes
        assert place[2] > 0, changes
        assert abs(place[1]) <= 90, changes
    # the mutations are neither all fatal nor all harmless
    assert used > 5, used
    assert refused > 5, refused


def test_the_image_itself_is_used(tmp_path):
    file_of(CARDS, tmp_path / "a.fits")
    prepare_image(str(tmp_path / "a.fits"), str(tmp_path / "b.fits"), 4.5, 20.0)
    assert not nonsense({}, tmp_path / "a.fits", tmp_path / "b.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), DATA[0, 0])


@pytest.mark.parametrize("key", [*CARDS, *ADDED, *STRUCTURE])
def test_every_card_alone_ends_by_name(tmp_path, key):
    for text in VALUES[len(key) % 4 :: 4]:
        file_of(CARDS | {key: text}, tmp_path / "a.fits")
        error = error_of(lambda: read_plane(tmp_path / "a.fits"))
        assert error is None or str(tmp_path / "a.fits") in str(error), text
