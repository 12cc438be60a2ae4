"""Single files of a publication: compressed maps, the table of images; what its verb refuses."""

import numpy as np
import pytest
from astropy.io import fits
from mocpy import MOC

from radiounet.errors import ConfigError
from radiounet.images.image import grid_wcs, open_plane
from radiounet.images.products import Publication
from radiounet.measuring.columns import EMPTY, TABLES, make_table
from radiounet.measuring.fluxes import frequency_of
from radiounet.measuring.unmeasured import NOT_MEASURED
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.cds_readme import cds_files
from radiounet.publishing.compressed_maps import PROBABILITY_STEP, compressed_file, rounded
from radiounet.publishing.hips_summary import properties
from radiounet.publishing.obscore import middle_of_band, obscore_bytes, obscore_row, obscore_table
from radiounet.running.cli import main
from radiounet.settings.releases import DR2, OWN_IMAGES
from stages import DEC, RA, write_image


def test_probabilities_from_0_to_1_keep_their_place(tmp_path):
    plane = np.array([[0, 1, np.nan, 0.5, 0.66, 4e-5, 1.5e-5, 2.5e-5]] * 3, np.float32)
    header = grid_wcs(RA, DEC, 8, 4.5).to_header()
    (tmp_path / "p.fits.fz").write_bytes(compressed_file(rounded(plane, header, PROBABILITY_STEP)))
    found = fits.getdata(tmp_path / "p.fits.fz", 1)
    expected = [0, 1, np.nan, 0.5, 0.66, 4e-5, 0, 4e-5]
    np.testing.assert_allclose(found, [expected] * 3, rtol=0, atol=1e-7)


def test_what_16_bits_cannot_hold_is_no_blank(tmp_path):
    plane = np.array([[-40000, 40000, np.nan, -32767]] * 3, np.float32)
    header = grid_wcs(RA, DEC, 4, 4.5).to_header()
    (tmp_path / "p.fits.fz").write_bytes(compressed_file(rounded(plane, header, 1.0)))
    found = fits.getdata(tmp_path / "p.fits.fz", 1)
    np.testing.assert_array_equal(found, [[-32767, 32767, np.nan, -32767]] * 3)


def test_hostile_headers_stay_text(tmp_path):
    image = write_image(tmp_path / "a.fits", OBJECT="<b onload='x'>\"q\"")
    row = obscore_row(
        open_plane(image), "a", DR2, {Publication.mask("a"): 1, Publication.probability("a"): 1025}, []
    )
    (tmp_path / "t.vot").write_bytes(obscore_bytes(obscore_table([row], DR2, "ivo://x"))["vot"])
    assert "<b onload" not in (tmp_path / "t.vot").read_text()
    table = read_votable(tmp_path / "t.vot")
    assert list(table["obs_title"]) == ["LoTSS DR2 (144 MHz), a (<b onload='x'>\"q\")"] * 2
    assert list(table["access_estsize"]) == [1, 2]
    placed = obscore_table([row], DR2, "ivo://x", "https://a.b/dr2/")
    assert placed["access_url"][0] == f"https://a.b/dr2/{Publication.mask('a')}"


@pytest.mark.parametrize(
    ("release", "cards", "middle_hz"),
    [(DR2, {}, 144e6), (OWN_IMAGES, {"RESTFRQ": 1.28e9}, 1.28e9), (OWN_IMAGES, {}, None)],
)
def test_the_table_of_images_has_the_frequency_of_the_catalogue(tmp_path, release, cards, middle_hz):
    """None where nobody said it, which is NaN in the table."""
    image = open_plane(write_image(tmp_path / "a.fits", **cards))
    sizes = {Publication.mask("a"): 1, Publication.probability("a"): 1}
    row = obscore_row(image, "a", release, sizes, [])
    assert middle_of_band(row) == (middle_hz and pytest.approx(middle_hz))
    known = frequency_of(image.header, release)
    assert known == pytest.approx(middle_hz or np.nan, nan_ok=True)
    table = obscore_table([row], release, "ivo://x")
    assert np.isnan(table["em_min"][0]) == (middle_hz is None)
    about = {"rms_jy": 1e-4, "date": "", "ra_deg": 0.0, "dec_deg": 0.0, "fov_deg": 1.0, "progenitors": ""}
    moc = MOC.from_string("3/1")
    entries = properties("mask", release, moc, about | {"frequency_hz": middle_of_band(row)}, 3)
    assert ("em_min" in entries, "em_max" in entries) == 2 * (middle_hz is not None,)


@pytest.mark.parametrize("kind", ["clusters", "islands"])
def test_the_readme_says_what_stands_where_nothing_was_measured(kind):
    row = {name: EMPTY[column.kind] for name, column in TABLES[kind].items()}
    readme = cds_files({kind: make_table(kind, [row], {})}, DR2, ["A"])["ReadMe"].decode()
    assert NOT_MEASURED in " ".join(readme.split())
    assert "whole numbers are 0" in NOT_MEASURED


def test_the_verb_refuses(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit) as end:
        main(["publish", str(tmp_path), "--out", str(folder), "--threads", "1"])
    assert end.value.code == ConfigError.exit_status
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert "is not empty and is not a publication" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    for name, said in (("none", "there is no folder"), ("empty", "is missing: nothing can be published")):
        with pytest.raises(SystemExit) as end:
            main(["publish", str(tmp_path / name), "--release", "dr2", "--out", str(tmp_path / "out")])
        assert end.value.code == ConfigError.exit_status
        assert said in capsys.readouterr().err
