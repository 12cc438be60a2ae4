"""A run and its publication, which all tests of publications share."""

import pytest
from astropy.table import Table

from published import HOSTILE, NAMES, SECOND_RA, SURVEY, publish_to
from radiounet.images.products import Products
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.islands import find_islands
from radiounet.publishing.publication import run_mosaics
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration
from stages import DEC, MEASURE, RA, SEGMENTATION, reject_mosaic, run_stages, write_image


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Products of the two mosaics, with a cluster at the halo of the first; a third is rejected."""
    folder = tmp_path_factory.mktemp("run")
    dates = {"DATE-OBS": "2019-05-01T10:20:30", "OBJECT": "<b>'q'</b>"}
    images = {
        "a": write_image(folder / "a.fits", **dates),
        "b": write_image(folder / "b.fits", seed=2, CRVAL1=SECOND_RA, **(dates | {"DATE-OBS": "2020-01-01"})),
    }
    products = Products(str(folder / "dr2"))
    run_stages(products, images)
    table = Table({"name": [HOSTILE], "ra": [RA], "dec": [DEC], "z": [0.2], "R500": [2.0]})
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    for name in NAMES:
        maps = products.image(name), products.probability(name), products.mask(name)
        find_islands(*maps, SURVEY, name, MEASURE, products.islands(name))
        made = products.clusters(name), products.cutouts(name)
        planes = [MosaicProducts(name, *maps)]
        measure_clusters(
            str(folder / "clusters.ecsv"), SURVEY, name, planes, SEGMENTATION.model, MEASURE, *made
        )
    reject_mosaic(products, "c", BUNIT="K")
    merge_catalogues(products.root, [*NAMES, "c"])
    write_configuration(load_config({"release": "dr2", "clusters": "own.ecsv"}), products.configuration())
    return products


@pytest.fixture(scope="session")
def published(run, tmp_path_factory):
    assert run_mosaics(run) == [*NAMES, "c"]
    return publish_to(tmp_path_factory.mktemp("out") / "publication", run)
