"""A clone that is moved together with its results has nothing to do."""

import shutil

import pytest

from stages import write_image

from .conftest import copy_checkout, counted, run_of
from .test_freshness import ENDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("place", [".", "work"])
def test_a_copy_of_a_clone_and_its_results_makes_nothing_anew(tmp_path, place):
    """Run in the clone itself, or in a folder of its own; the model lies in the clone."""
    first, second = tmp_path / "first", tmp_path / "elsewhere" / "second"
    copy_checkout(first)
    run = run_of(first, first / place)
    run.folder.mkdir(exist_ok=True)
    write_image(run.folder / "own.fits")
    (run.folder / "clusters.csv").write_text("name,ra,dec,z,M500\nA 1,150.0,35.0,0.3,5\n")
    run.write_config(
        mosaics={"source": "images", "images": [{"name": "a", "path": "own.fits"}]},
        segmentation={"model": "tiny"},
        clusters="clusters.csv",
        limits={"enabled": True, "trials": 24, "relics": False},
    )
    run("all")
    shutil.copytree(first, second, symlinks=True)
    moved = run_of(second, second / place)
    assert moved.counts() == {}
    # another model in the same place is another one
    with open(second / "resources/models/tiny/card.yaml", "a") as card:
        card.write("# edited\n")
    assert moved.counts() == counted(
        prepare_image=1, segment=1, find_islands=1, measure_clusters=1, measure_limits=1, **ENDS
    )
