"""Beams: where headers hide them, and what is no beam."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import BeamError, ConfigError
from radiounet.images.beams import Beam
from radiounet.images.image import grid_wcs, open_plane, read_plane

AIPS = "AIPS   CLEAN BMAJ=  {}  BMIN=  {} BPA=  {}"


def write(path, table=None, history=(), shape=(40, 40), **cards):
    header = grid_wcs(150.0, 35.0, 40, 4.5).to_header()
    header.update(BUNIT="Jy/beam", **cards)
    for line in history:
        header.add_history(line)
    hdus = [fits.PrimaryHDU(np.ones(shape, np.float32), header)]
    if table is not None:
        hdus.append(fits.BinTableHDU(table, name="BEAMS"))
    fits.HDUList(hdus).writeto(path)
    return path


def rows_of(*beams, unit="arcsec"):
    table = Table(
        rows=[(*beam, number, 0) for number, beam in enumerate(beams)],
        names=("BMAJ", "BMIN", "BPA", "CHAN", "POL"),
    )
    for name, one in zip(("BMAJ", "BMIN", "BPA"), (unit, unit, "deg"), strict=True):
        table[name].unit = one
    return table


def test_the_header_comes_first(tmp_path):
    history = [AIPS.format("9E-3", "9E-3", "1")]
    path = write(
        tmp_path / "a.fits", rows_of((40, 40, 0)), history, BMAJ=20 / 3600, BMIN=15 / 3600, BPA=-30.0
    )
    beam = read_plane(path).beam
    assert (beam.major_arcsec, beam.minor_arcsec, beam.angle_deg) == (
        pytest.approx(20),
        pytest.approx(15),
        -30,
    )


@pytest.mark.parametrize(
    "numbers", [("1.6667E-03", "8.3333E-04", "-12.50"), ("0.0016667", "8.3333D-04", "-12.5")]
)
def test_the_last_beam_of_aips_history(tmp_path, numbers):
    history = [
        "AIPS   IMNAME='X'",
        AIPS.format("5E-3", "5E-3", "0.0"),
        AIPS.format(*numbers),
        "some other line",
    ]
    beam = read_plane(write(tmp_path / "a.fits", history=history)).beam
    assert beam.major_arcsec == pytest.approx(6, rel=1e-4)
    assert beam.minor_arcsec == pytest.approx(3, rel=1e-4)
    assert beam.angle_deg == -12.5


@pytest.mark.parametrize("unit", ["arcsec", "deg", None])
def test_the_table_of_casa(tmp_path, unit):
    scale = 3600 if unit == "deg" else 1
    one = (20 / scale, 18 / scale, 25)
    for name, rows in (("one", [one]), ("equal", [one, one, one])):
        beam = read_plane(write(tmp_path / f"{name}.fits", rows_of(*rows, unit=unit), CASAMBM=True)).beam
        assert (beam.major_arcsec, beam.minor_arcsec) == (pytest.approx(20), pytest.approx(18))
        assert beam.angle_deg == pytest.approx(25)


def test_channels_with_different_beams_are_not_one_image(tmp_path):
    with pytest.raises(BeamError, match="2 beams of its table BEAMS differ"):
        read_plane(write(tmp_path / "a.fits", rows_of((20, 18, 25), (21, 18, 25))))
    with pytest.raises(BeamError, match="0 rows"):
        read_plane(write(tmp_path / "b.fits", rows_of((1, 1, 1))[:0]))
    with pytest.raises(BeamError, match="unusable"):
        read_plane(write(tmp_path / "c.fits", rows_of((np.nan, 18, 25))))


def test_none_at_all_says_how_to_give_it(tmp_path):
    path = write(tmp_path / "a.fits")
    with pytest.raises(
        BeamError, match=r"no BMAJ and no BMIN: write BMAJ, BMIN and BPA \(deg\) into its header; .* --beam"
    ):
        read_plane(path)
    assert read_plane(path, beam=Beam(20, 15, 3)).beam == Beam(20, 15, 3)


@pytest.mark.parametrize("angle", ["NaN", "'NaN     '", "1E30", "Infinity"])
def test_an_angle_that_is_none(tmp_path, angle):
    for minor, good in ((20, True), (19.7, True), (15, False)):
        path = write(tmp_path / f"{minor}.fits", BMAJ=20 / 3600, BMIN=minor / 3600, BPA=77.25)
        content = path.read_bytes()
        path.write_bytes(content.replace(b"77.25".rjust(20), angle.encode().rjust(20)))
        assert path.read_bytes() != content
        if good:
            assert read_plane(path).beam.angle_deg == 0
        else:
            with pytest.raises(BeamError, match="BPA"):
                read_plane(path)


@pytest.mark.parametrize(
    ("major", "minor", "words"),
    [
        (6 / 3600, 12 / 3600, "above BMAJ"),
        (20 / 3600, 0.0, "unusable"),
        (-20 / 3600, -20 / 3600, "unusable"),
        (1e-20, 1e-20, "4.5 arcsec"),
        (2 / 3600, 2 / 3600, "4.5 arcsec"),
        (300 / 3600, 20 / 3600, "40 x 40 pixels"),
        (20.0, 20.0, "both must be in deg"),
        ("round", 20 / 3600, "BMAJ is 'round'"),
        (20 / 3600, None, "no BMIN"),
        (None, 20 / 3600, "no BMAJ"),
        (1e30, 1e30, "unusable"),
    ],
)
def test_what_is_no_beam_of_this_image(tmp_path, major, minor, words):
    cards = {key: value for key, value in (("BMAJ", major), ("BMIN", minor)) if value is not None}
    with pytest.raises(BeamError, match=words) as caught:
        open_plane(write(tmp_path / "a.fits", BPA=0.0, **cards))
    assert caught.value.file == str(tmp_path / "a.fits")


@pytest.mark.parametrize("shape", [(20, 100), (100, 20)])
def test_a_beam_is_no_wider_than_the_shorter_side_of_its_image(tmp_path, shape):
    """30 and 20 pixels of 4.5 arcsec."""
    too_wide, widest = (
        write(tmp_path / f"{one}.fits", shape=shape, BMAJ=one / 3600, BMIN=one / 3600, BPA=0.0)
        for one in (135.0, 90.0)
    )
    with pytest.raises(BeamError, match=f"{shape[1]} x {shape[0]} pixels"):
        open_plane(too_wide)
    assert open_plane(widest).beam.major_arcsec == pytest.approx(90)


def test_an_angle_that_is_missing(tmp_path):
    """Like one that is no number: 0 would be a guess."""
    assert read_plane(write(tmp_path / "a.fits", BMAJ=20 / 3600, BMIN=19.7 / 3600)).beam.angle_deg == 0
    with pytest.raises(BeamError, match="20 x 15 arcsec with BPA nan: write BMAJ, BMIN and BPA"):
        read_plane(write(tmp_path / "b.fits", BMAJ=20 / 3600, BMIN=15 / 3600))


def test_a_beam_of_0_is_none(tmp_path):
    none = {"BMAJ": 0.0, "BMIN": 0.0, "BPA": 0.0}
    history = [AIPS.format("5.5556E-03", "5.0E-03", "12")]
    beams = [
        read_plane(write(tmp_path / "a.fits", history=history, **none)).beam,
        read_plane(write(tmp_path / "b.fits", rows_of((20, 18, 12)), **none)).beam,
        read_plane(write(tmp_path / "c.fits", rows_of((20, 18, 12)), BMAJ=0)).beam,
    ]
    for beam in beams:
        assert (beam.major_arcsec, beam.minor_arcsec) == (pytest.approx(20, 1e-3), pytest.approx(18))
        assert beam.angle_deg == 12
    with pytest.raises(BeamError, match="unusable beam of 0 x 0"):
        read_plane(write(tmp_path / "d.fits", **none))


def test_axes_that_differ_by_rounding_only(tmp_path):
    beam = read_plane(write(tmp_path / "a.fits", BMAJ=0.0055555, BMIN=0.0055556)).beam
    assert beam.major_arcsec >= beam.minor_arcsec


@pytest.mark.parametrize("cards", [{"RESBMAJ": 0.01}, {"RESBMIN": 0.01}, {"RESBMAJ": "x", "RESBMIN": 0.01},
                                   {"RESBMAJ": -0.01, "RESBMIN": 0.01}])  # fmt: skip
def test_half_a_resolution_is_refused(tmp_path, cards):
    with pytest.raises(BeamError, match="RESBMAJ"):
        read_plane(write(tmp_path / "a.fits", BMAJ=20 / 3600, BMIN=20 / 3600, **cards))


def test_a_resolution_may_be_of_integers(tmp_path):
    cards = {"RESBMAJ": 2, "RESBMIN": 1, "RESBPA": 30}
    path = write(tmp_path / "a.fits", BMAJ=20 / 3600, BMIN=20 / 3600, **cards)
    assert read_plane(path).resolution == Beam(7200, 3600, 30)
    with pytest.raises(BeamError, match="RESBPA True deg is no angle"):
        read_plane(write(tmp_path / "b.fits", BMAJ=20 / 3600, BMIN=20 / 3600, **cards | {"RESBPA": True}))


@pytest.mark.parametrize(("text", "beam"), [("20,15,-30", Beam(20, 15, -30)), ("6", Beam(6, 6))])
def test_a_beam_in_words(text, beam):
    assert Beam.from_text(text) == beam


@pytest.mark.parametrize(
    "text", ["", "20,15", "a,b,c", "20,15,0,1", "15,20,0", "0,0,0", "nan", "20,15,nan", "9e9"]
)
def test_words_that_are_no_beam(text):
    with pytest.raises(ConfigError, match="the beam"):
        Beam.from_text(text)


@pytest.mark.parametrize("text", ["20,15,nan", "20,15,400"])
def test_a_given_beam_is_not_in_a_header(text):
    with pytest.raises(ConfigError, match=f"20 x 15 arcsec with BPA {text[6:]}") as caught:
        Beam.from_text(text)
    assert "header" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Beam(20, 10, 89.5), Beam(20, 10, -90), True),
        (Beam(20, 10, -89), Beam(20, 10, 89), False),
        (Beam(20, 10, 5), Beam(20, 10, 185), True),
        (Beam(20, 10, 0), Beam(20, 10, 90), False),
        (Beam(20, 19.9, 0), Beam(20, 19.9, 90), True),
        (Beam(20, 10, 0), Beam(21, 10, 0), False),
    ],
)
def test_beams_that_are_about_the_same(one, other, same):
    """Half a turn is none, and 2 % of a quarter of a turn is 1.8 deg."""
    assert one.is_about(other) == other.is_about(one) == same
