"""Stages compare what they read: products of real stages, mixed up."""

import shutil

import h5py
import numpy as np
import pytest
from astropy.io import fits

from models import write_tiny_model
from radiounet.errors import BadDataError, OriginError
from radiounet.images.image import grid_wcs
from radiounet.images.origins import mask_peak, mask_provenance
from radiounet.images.squares import Mosaic
from radiounet.measuring.islands import find_islands
from radiounet.network.devices import cpu_threads
from radiounet.network.inference import open_model, write_cores
from radiounet.network.masks import stitch_cores
from radiounet.network.tiling import tile_image
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.releases import OWN_IMAGES
from radiounet.settings.segmentation import Segmentation
from radiounet.survey.survey import Survey

N_PX = 150
SURVEY = Survey(OWN_IMAGES, [Mosaic("a", 150.0, 35.0, N_PX)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every product of two images by one model, and of one of them by another model and threshold."""
    folder = tmp_path_factory.mktemp("origins")
    for seed, model in enumerate(("first", "second")):
        write_tiny_model(folder / model, seed=seed)
    for seed, name in enumerate("ab"):
        header = grid_wcs(150.0, 35.0, N_PX, 4.5).to_header()
        header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
        data = 1e-4 * np.random.default_rng(seed).standard_normal((N_PX, N_PX))
        data[:, :40] = np.nan
        fits.writeto(folder / f"{name}.fits", data.astype(np.float32), header)
    for name, model in (("a", "first"), ("b", "first"), ("a", "second")):
        run(folder, name, model)
    return folder


def run(folder, name, model):
    predictor, card = open_model(folder / model)
    stem = f"{folder}/{name}.{model}"
    tile_image(f"{folder}/{name}.fits", f"{folder}/{model}", "exact", f"{stem}.tiles.h5")
    write_cores(f"{stem}.tiles.h5", predictor, card, f"{stem}.cores.h5")
    stitch(folder, f"{name}.{model}.cores.h5", f"{name}.fits", model, stem)


def stitch(folder, cores, image, model, stem):
    paths = f"{stem}.p.fits", f"{stem}.m.fits"
    stitch_cores(f"{folder}/{cores}", f"{folder}/{image}", f"{folder}/{model}", Segmentation(), *paths)


def islands(folder, image, probability, mask):
    paths = (f"{folder}/{name}.fits" for name in (image, probability, mask))
    find_islands(*paths, SURVEY, "a", MeasureOptions(), f"{folder}/out.ecsv")


def changed(folder, change):
    """A copy of the cores of image a with something wrong."""
    path = folder / f"{change.__name__}.cores.h5"
    shutil.copy(folder / "a.first.cores.h5", path)
    with h5py.File(path, "r+") as store:
        change(store)
    return path.name


def without_one(store):
    for name in ("starts", "cores"):
        kept = store[name][1:]
        del store[name]
        store[name] = kept


def with_one_twice(store):
    store["starts"][1] = store["starts"][0]


def with_nan(store):
    store["cores"][2, 5, 5] = np.nan


def with_a_large_number(store):
    store["cores"][2, 5, 5] = 1.5


def test_what_belongs_together_is_taken(made):
    islands(made, "a", "a.first.p", "a.first.m")


@pytest.mark.parametrize(
    ("cores", "image", "model", "why"),
    [
        ("b.first.cores.h5", "a.fits", "first", "another image"),
        ("a.first.cores.h5", "a.fits", "second", "other weights"),
    ],
)
def test_cores_of_something_else(made, tmp_path, cores, image, model, why):
    with pytest.raises(OriginError, match=why):
        stitch(made, cores, image, model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_one, "1 of [0-9]+ cores are missing"),
        (with_one_twice, "1 of [0-9]+ cores are missing"),
        (with_nan, "no probabilities"),
        (with_a_large_number, "no probabilities"),
    ],
)
def test_cores_that_are_not_whole(made, tmp_path, change, why):
    with pytest.raises(OriginError, match=why):
        stitch(made, changed(made, change), "a.fits", "first", tmp_path / "out")


@pytest.mark.parametrize(
    ("image", "probability", "mask"),
    [
        ("b", "a.first.p", "a.first.m"),
        ("a", "b.first.p", "a.first.m"),
        ("a", "a.first.p", "b.first.m"),
        ("a", "a.second.p", "a.first.m"),
    ],
)
def test_maps_of_something_else(made, image, probability, mask):
    with pytest.raises(OriginError, match="makes it anew"):
        islands(made, image, probability, mask)


@pytest.mark.parametrize("kind", ["p", "m"])
@pytest.mark.parametrize("length", [0, 100, 3000, 20_000])
def test_a_map_that_was_cut_short_is_named(made, tmp_path, kind, length):
    for name in ("a.first.p.fits", "a.first.m.fits", "a.fits"):
        shutil.copy(made / name, tmp_path)
    path = tmp_path / f"a.first.{kind}.fits"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadDataError) as caught:
        islands(tmp_path, "a", "a.first.p", "a.first.m")
    assert caught.value.file == str(path)


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_cores_that_were_cut_short_are_named(made, tmp_path, length):
    path = tmp_path / "cut.h5"
    path.write_bytes((made / "a.first.cores.h5").read_bytes()[:length])
    paths = str(tmp_path / "p.fits"), str(tmp_path / "m.fits")
    with pytest.raises(BadDataError) as caught:
        stitch_cores(str(path), f"{made}/a.fits", f"{made}/first", Segmentation(), *paths)
    assert caught.value.file == str(path)


@pytest.mark.parametrize("name", ["model_sha256", "shape", "mode"])
def test_tiles_that_lack_something_are_named(made, tmp_path, name):
    path = tmp_path / "a.h5"
    shutil.copy(made / "a.first.tiles.h5", path)
    with h5py.File(path, "r+") as store:
        del store.attrs[name]
    with pytest.raises(BadDataError) as caught:
        write_cores(path, *open_model(made / "first"), tmp_path / "cores.h5")
    assert caught.value.file == str(path)
    assert not (tmp_path / "cores.h5").exists()


def test_islands_of_a_mask_of_an_older_version_reach_its_threshold():
    header = fits.Header({"THRESH": 0.2})
    assert mask_peak(header) == 0.2
    header["MASKPEAK"] = 0.5
    assert mask_peak(header) == 0.5


def test_tables_tell_the_threads_of_their_mask_where_no_gpu_made_it(made, tmp_path):
    mask = str(tmp_path / "mask.fits")
    shutil.copy(made / "a.first.m.fits", mask)
    assert mask_provenance(mask)["threads"] == fits.getval(mask, "THREADS") == cpu_threads()
    fits.delval(mask, "THREADS")
    assert "threads" not in mask_provenance(mask)
