"""No image both settles thresholds and measures."""

import shutil

import numpy as np
import pytest
from astropy.io import fits

from labelled_images import HEAD, write_image
from models import write_tiny_model
from radiounet.errors import ConfigError
from radiounet.learning import score_sets
from radiounet.learning.open_scores import run_scores
from radiounet.learning.scenes import FIELD_FILES, require_apart
from radiounet.learning.score_sets import CALIBRATION
from radiounet.settings.simulate import SimulateOptions
from simulated import edit_pair, write_simulated

SKY = SimulateOptions(n_px=64)


@pytest.fixture
def images(tmp_path):
    """One image of each kind by which thresholds are settled."""
    write_simulated(tmp_path / "s.fits", SKY, 5)
    write_image(tmp_path / "a.fits")
    (tmp_path / "a.reg").write_text(HEAD)
    (tmp_path / "field").mkdir()
    write_image(tmp_path / "field" / FIELD_FILES[0], bright=np.s_[3:9, 3:9])
    return tmp_path


def settling(images):
    return [f"{images}/s.fits", f"{images}/a.fits:{images}/a.reg", f"{images}/field"]


def anew(images):
    """The same simulated image, with other bytes."""
    write_simulated(images / "again.fits", SKY, 5)
    edit_pair(images / "again.fits", CODEHASH="another")
    return f"{images}/again.fits"


def copied(images):
    shutil.copy(images / "a.fits", images / "copy.fits")
    return f"{images}/copy.fits:{images}/other.reg"


def linked(images):
    (images / "link.fits").symlink_to(images / "a.fits")
    return f"{images}/link.fits:{images}/a.reg"


def copied_field(images):
    shutil.copytree(images / "field", images / "field 2")
    return f"{images}/field 2"


def with_labels(images):
    """A simulated image with labels of its own."""
    return f"{images}/s.fits:{images}/a.reg"


@pytest.mark.parametrize(
    ("same", "of"), [(anew, 0), (with_labels, 0), (copied, 1), (linked, 1), (copied_field, 2)]
)
def test_an_image_in_both_is_refused_by_its_names(images, same, of):
    path, paths = same(images), settling(images)
    with pytest.raises(ConfigError) as caught:
        require_apart([path], paths)
    start = f"{path} is to be measured on, and has the pixels or the seeds of {paths[of]}, which "
    assert str(caught.value).startswith(start)
    with pytest.raises(ConfigError):
        require_apart(paths, [path])


@pytest.mark.parametrize(("options", "seed"), [(SKY, 6), (SKY.model_copy(update={"seed": 99}), 5)])
def test_other_images_are_taken(images, options, seed):
    write_simulated(images / "other.fits", options, seed)
    write_image(images / "b.fits", bright=np.s_[:2, :2])
    require_apart([f"{images}/other.fits", f"{images}/b.fits:{images}/a.reg"], settling(images))


def test_scores_of_an_image_that_settles_them_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("radiounet.learning.open_scores.use_threads", lambda count: None)
    monkeypatch.setattr(score_sets, "read_sky", lambda name: SKY)
    write_tiny_model(tmp_path / "tiny")
    (tmp_path / "mine").mkdir()
    write_simulated(tmp_path / "mine" / "s.fits", SKY, CALIBRATION)
    assert fits.getval(tmp_path / "mine" / "s.fits", "SEED") == CALIBRATION
    with pytest.raises(ConfigError, match=r"mine/s\.fits is to be measured on"):
        run_scores([str(tmp_path / "tiny")], {str(tmp_path / "mine"): str(tmp_path / "out")}, 1, 1, 1)
    assert not (tmp_path / "out").exists()
