"""Brightness units as programs of this field spell them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import UnitError
from radiounet.images.image import grid_wcs, read_plane
from radiounet.images.units import factor_to, unit_factor

FACTORS = {
    1.0: [
        *("Jy/beam", "JY/BEAM", "jy/beam", "Jy/Beam", "JY/BM", "Jy/bm", "Jy beam-1", "beam-1 Jy"),
        *("Jy.beam-1", "Jy*beam**-1", "JyBeam-1", "jybeam-1", "jybm-1", "JY / BEAM", "Jy/beams"),
        *("Jansky/beam", "Jy beam^-1", "JY BEAM**-1", "BEAM-1 JY", "beam^-1*Jy", "Jy  beam-1 ", "1 Jy/beam"),
    ],
    1e-3: [
        "mJy/beam",
        "mJy beam-1",
        "beam-1 mJy",
        "mjy/beam",
        "mJY/BEAM",
        "mJy/bm",
        "1e-3 Jy/beam",
        "0.001 Jy/beam",
    ],
    1e-6: ["uJy/beam", "UJY/BEAM", "\xb5Jy/beam", "μJy/beam", "uJy beam-1", "10**-6 Jy/beam"],
    1e-9: ["nJy/beam"],
    1e3: ["kJy/beam", "KJY/BEAM"],
    1e6: ["MJy/beam", "MJy beam-1"],
}
SPELLINGS = [(text, factor) for factor, texts in FACTORS.items() for text in texts]


@pytest.mark.parametrize(("text", "factor"), SPELLINGS)
def test_every_spelling_has_its_factor(text, factor):
    assert unit_factor({"BUNIT": text}, "a.fits") == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("text", ["MJY/BEAM", "MJY BEAM-1", "Mjy/beam", "MJY/BM"])
def test_milli_or_mega_is_not_guessed(text):
    with pytest.raises(UnitError, match="write mJy/beam or MJy/beam"):
        unit_factor({"BUNIT": text}, "a.fits")


@pytest.mark.parametrize(
    "text",
    [
        "K",
        "Jy",
        "Jy/pixel",
        "JY/PIXEL",
        "Jy/sr",
        "MJy/sr",
        "W m-2 Hz-1",
        "Jy/beam km/s",
        "Jy beam",
        "Jy2/beam",
        "beam/Jy",
        "counts",
        "TJyx/beam",
        "0 Jy/beam",
        "-1 Jy/beam",
        "1e400 Jy/beam",
        "Jy/beam/beam",
        "?Jy/beam",
        "(" * 60,
        "**",
        5,
        True,
    ],
)
def test_other_units_are_refused(text):
    with pytest.raises(UnitError, match=r"a\.fits has BUNIT"):
        unit_factor({"BUNIT": text}, "a.fits")


def test_no_unit():
    with pytest.raises(UnitError, match="no BUNIT"):
        unit_factor({}, "a.fits")
    assert unit_factor({}, "a.fits", default="mJy/beam") == pytest.approx(1e-3)


@pytest.mark.parametrize("raw", ["µJy/beam".encode("latin-1"), "µJy/beam".encode()])
def test_a_micro_sign_in_the_file(tmp_path, raw):
    header = grid_wcs(150.0, 35.0, 40, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BUNIT="xyzJy/beam")
    fits.writeto(tmp_path / "a.fits", np.ones((40, 40), np.float32), header)
    content = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(content.replace(b"xyzJy/beam", raw.ljust(10)))
    np.testing.assert_allclose(read_plane(tmp_path / "a.fits").data, 1e-6, rtol=1e-6)
    (tmp_path / "a.fits").write_bytes(content.replace(b"xyzJy/beam", b"\xe9Jy/beam".ljust(10)))
    with pytest.raises(UnitError):
        read_plane(tmp_path / "a.fits")


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        *((text, 1.0) for text in ("Jy/pixel", "JY/PIXEL", "Jy/pix", "Jy pixel-1", "pixel^-1*Jy", "jypix-1")),
        *(
            ("mJy/px", 1e-3),
            ("uJY/Pixels", 1e-6),
            ("Jy/beam", None),
            ("Jy pixel", None),
            ("K", None),
            ("", None),
        ),
    ],
)
def test_units_per_pixel(text, factor):
    assert factor_to(u.Jy / u.pix, text, "a.fits") == (factor and pytest.approx(factor, rel=1e-12))
