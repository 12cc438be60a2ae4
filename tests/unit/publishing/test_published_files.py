"""Single files of a publication: compressed maps, the table of images; what its verb refuses."""

import numpy as np
import pytest
from astropy.io import fits

from radiounet.errors import ConfigError
from radiounet.images.image import grid_wcs, open_plane
from radiounet.images.products import Publication
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.compressed_maps import PROBABILITY_STEP, compressed_file, rounded
from radiounet.publishing.obscore import obscore_bytes, obscore_row, obscore_table
from radiounet.running.cli import main
from radiounet.settings.releases import DR2
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
