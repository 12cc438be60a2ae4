import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from radiounet.errors import ConfigError
from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.learning.evaluation import evaluate
from radiounet.learning.methods import Calibration, Method
from radiounet.learning.scenes import read_scene
from radiounet.settings.train import TrainOptions

N_PX = 200


@pytest.fixture
def labelled(tmp_path):
    """An image about RA 150, Dec 40 with one labelled square south-east of its centre."""
    image = 1e-4 * np.random.default_rng(0).standard_normal((N_PX, N_PX)).astype(np.float32)
    wcs = grid_wcs(150.0, 40.0, N_PX, 4.5)
    fits.writeto(tmp_path / "i.fits", image, Plane(image, wcs, Beam(20.0, 20.0)).header())
    label = np.zeros((N_PX, N_PX), np.uint8)
    label[60:80, 50:70] = 1
    fits.writeto(tmp_path / "l.fits", label)
    # centres in px, from 0: on the square, north-west of the centre, outside
    x, y = np.array([[60.0, 70.0], [150.0, 140.0], [400.0, 70.0]]).T
    ra, dec = wcs.wcs_pix2world(x, y, 0)
    table = QTable({"name": ["A", "B", "C"], "ra": ra * u.deg, "dec": dec * u.deg, "z": [0.2, 0.2, 0.2]})
    table["R500"] = [1.5, 1.5, 1.5] * u.arcmin
    table.write(tmp_path / "c.ecsv")
    return f"{tmp_path}/i.fits:{tmp_path}/l.fits:{tmp_path}/c.ecsv"


def test_a_labelled_image_may_bring_its_clusters(labelled):
    clusters = read_scene(labelled, 0.25).clusters
    np.testing.assert_allclose(clusters["x_px"], [60, 150], atol=1e-6)
    np.testing.assert_allclose(clusters["y_px"], [70, 140], atol=1e-6)
    np.testing.assert_allclose(clusters["r500_arcmin"], 1.5)
    assert clusters["diffuse"].tolist() == [True, False]
    assert clusters["galactic"].tolist() == [False, False]  # at a galactic latitude of 52 deg
    method = Method("nothing", lambda image, *_: np.zeros_like(image))
    scores = evaluate(method, [labelled], TrainOptions().truth_snr, Calibration(0.5))
    assert (scores["clusters"]["host"], scores["clusters"]["empty"]) == (1, 1)


def test_r500_is_an_angle(labelled, tmp_path):
    """1' are 13.3 px of 4.5"; the square ends 10.5 and 14.5 px beside the two clusters' centres."""
    x, y = np.array([[79.5, 70.0], [83.5, 70.0]]).T
    ra, dec = grid_wcs(150.0, 40.0, N_PX, 4.5).wcs_pix2world(x, y, 0)
    table = QTable({"name": ["A", "B"], "ra": ra * u.deg, "dec": dec * u.deg, "z": [0.2, 0.2]})
    table["R500"] = [1.0, 1.0] * u.arcmin
    table.write(tmp_path / "near.ecsv")
    clusters = read_scene(labelled.replace("c.ecsv", "near.ecsv"), 0.25).clusters
    assert clusters["diffuse"].tolist() == [True, False]


def test_without_a_table_or_inside_none_there_are_no_clusters(labelled, tmp_path):
    assert len(read_scene(labelled.rsplit(":", 1)[0], 0.25).clusters) == 0
    far = QTable.read(tmp_path / "c.ecsv")[2:]
    far.write(tmp_path / "far.ecsv")
    assert len(read_scene(labelled.replace("c.ecsv", "far.ecsv"), 0.25).clusters) == 0


def test_a_table_without_sizes_is_refused(labelled, tmp_path):
    table = QTable.read(tmp_path / "c.ecsv")
    table.remove_column("R500")
    table.write(tmp_path / "bad.ecsv")
    with pytest.raises(ConfigError, match=r"bad\.ecsv"):
        read_scene(labelled.replace("c.ecsv", "bad.ecsv"), 0.25)
