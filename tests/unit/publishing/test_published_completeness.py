"""The map of completeness of a run whose limits were measured."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from published import NAMES, SECOND_RA, SURVEY, bytes_of, copy_of, publish_to
from radiounet.images.image import open_plane
from radiounet.images.products import Publication
from radiounet.images.rejections import read_rejection, write_rejected
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.limits import measure_limits
from radiounet.network.inference import open_model
from radiounet.network.model_cards import model_folder, read_card
from radiounet.publishing.coverage import covered_healpix_pixels
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration
from radiounet.settings.limits import LimitOptions
from stages import DEC, MEASURE, RA, SEGMENTATION


def measure_with_limits(products, folder):
    """Measure two clusters away from the halo of the first mosaic, one in each, with their limits."""
    sky = {"name": ["one", "two"], "ra": [RA - 0.06, SECOND_RA + 0.04], "dec": [DEC - 0.03, DEC + 0.02]}
    clusters = Table(sky | {"z": [0.3, 0.3], "R500": [2.0, 2.0]})
    clusters["R500"].unit = "arcmin"
    clusters.write(folder / "clusters.ecsv")
    table, model = str(folder / "clusters.ecsv"), model_folder(SEGMENTATION.model)
    network, card = open_model(model, SEGMENTATION.batch, SEGMENTATION.precision)[0], read_card(model)
    options = LimitOptions(enabled=True, trials=24, relics=False)
    Path(products.limits("a")).parent.mkdir()
    for name in NAMES:
        plane = MosaicProducts(name, products.image(name), products.probability(name), products.mask(name))
        made = products.clusters(name), products.cutouts(name)
        measure_clusters(table, SURVEY, name, [plane], SEGMENTATION.model, MEASURE, *made)
        measure_limits(table, SURVEY, plane, card, lambda: network, options, MEASURE, products.limits(name))
    write_rejected(products.limits("c"), read_rejection(products.mask("c")))
    config = load_config({"release": "dr2", "clusters": "own.ecsv", "limits": options.model_dump()})
    merge_catalogues(products.root, [*NAMES, "c"], limits=True, config=config)
    write_configuration(config, products.configuration())


@pytest.mark.slow
def test_measured_limits_are_published_as_a_map(run, tmp_path):
    products = copy_of(run, tmp_path)
    measure_with_limits(products, tmp_path)
    out = publish_to(tmp_path / "out", products)
    found = Table.read(out.at(Publication.completeness()), hdu=1)
    fine: list[int] = []
    for name in NAMES:
        plane = open_plane(products.probability(name), brightness=False)
        fine += covered_healpix_pixels(plane.wcs, plane.window(), SURVEY, name)[0]
    pixels, counts = np.unique(np.array(fine) >> 12, return_counts=True)
    assert found["PIXEL"].tolist() == pixels.tolist()
    np.testing.assert_array_equal(found["COVERAGE"], np.float32(counts / 4096))
    limits = [Table.read(products.limits(name), format="ascii.ecsv")["flux_90_mjy"] for name in NAMES]
    assert np.all(np.isfinite(np.concatenate(limits)))
    # both clusters lie in the same pixel
    assert (len(pixels), found["CLUSTERS"].tolist()) == (1, [2])
    np.testing.assert_allclose(found["FLUX_90"], [np.mean(np.concatenate(limits))], rtol=1e-6)
    before = bytes_of(out)
    assert bytes_of(publish_to(tmp_path / "out", products)) == before
