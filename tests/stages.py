"""The stages of a survey on small images, one after another: what a stage's test reads, they wrote."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.cards import model_folder, read_card
from radiounet.clusters import MosaicProducts, measure_clusters
from radiounet.config import MeasureOptions, Segmentation
from radiounet.errors import BadDataError
from radiounet.image import grid_wcs, place_of
from radiounet.inference import open_model, write_cores
from radiounet.islands import find_islands
from radiounet.masks import stitch_cores
from radiounet.products import Products, Rejection, write_rejected
from radiounet.resampling import prepare_image
from radiounet.sky import Mosaic, Survey
from radiounet.tiling import tile_image
from skies import BEAM_PX, add_halo, draw_noise

N_PX = 200
RA, DEC = 150.0, 35.0
HALO = (105, 99)
"""Row and column of the halo of `write_image`."""
SEGMENTATION, MEASURE = Segmentation(), MeasureOptions()


def write_image(path: Path, seed: int = 1, peak_sigma: float = 20.0, n_px: int = N_PX, **changes) -> Path:
    """A halo in noise of 0.1 mJy/beam; rows 0 to 9 blank; `changes` are cards."""
    data = 1e-4 * draw_noise(n_px, BEAM_PX, np.random.default_rng(seed))
    add_halo(data, *HALO, 1e-4 * peak_sigma, 6.0)
    data[:10] = np.nan
    header = grid_wcs(RA, DEC, n_px, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM", RADESYS="ICRS")
    header.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data.astype(np.float32), header).writeto(path, overwrite=True)
    return path


def run_stages(
    products: Products,
    images: dict[str, Path],
    clusters: Path | None = None,
    segmentation: Segmentation = SEGMENTATION,
) -> Survey:
    """Every stage on own images by name, as the rules run them; bad data is rejected."""
    card = read_card(model_folder(segmentation.model))
    predictor, _ = open_model(model_folder(segmentation.model), segmentation.batch, segmentation.precision)
    survey = Survey("images", [Mosaic(name, *place_of(path)) for name, path in images.items()])
    for name, source in images.items():
        tiles, cores = products.tiles(name), products.cores(name)
        image, probability, mask = (
            one(name) for one in (products.image, products.probability, products.mask)
        )
        try:
            prepare_image(str(source), image, card.pixel_arcsec, card.beam_arcsec)
        except BadDataError as error:
            rejection = Rejection(name, "prepare_image", str(source), f"{type(error).__name__}: {error}")
            for path in (image, probability, mask, products.islands(name), products.clusters(name)):
                write_rejected(path, rejection)
            continue
        tile_image(image, segmentation.model, segmentation.mode, tiles)
        write_cores(tiles, predictor, card, cores)
        stitch_cores(cores, image, segmentation.model, segmentation, probability, mask)
        find_islands(image, probability, mask, survey, name, MEASURE, products.islands(name))
        planes = [MosaicProducts(name, image, probability, mask)]
        table = clusters and str(clusters)
        measure_clusters(table, survey, name, planes, segmentation.model, MEASURE, products.clusters(name))
    return survey
