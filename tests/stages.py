"""The stages of a survey on small images, one after another: what a stage's test reads, they wrote."""

import json
import runpy
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import BadDataError
from radiounet.images.image import grid_wcs, place_of
from radiounet.images.products import Products, segment_files
from radiounet.images.rejections import Rejection, read_rejection
from radiounet.images.resampling import prepare_image
from radiounet.images.squares import Mosaic
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.islands import find_islands
from radiounet.mosaicking.mosaic_products import mosaic_fields
from radiounet.network.inference import open_model
from radiounet.network.model_cards import model_folder
from radiounet.network.segmenting import read_for, write_segmentation
from radiounet.settings.archive import Dr2Archive
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.mosaics import MosaicOptions
from radiounet.settings.releases import DR3, OWN_IMAGES
from radiounet.settings.segmentation import Segmentation
from radiounet.survey.cluster_tables import clusters_to_measure
from radiounet.survey.survey import Survey
from skies import BEAM_PX, add_halo, draw_noise, write_field

SCRIPTS = Path(__file__).parents[1] / "scripts"
N_PX = 200
RA, DEC = 150.0, 35.0
HALO = (105, 99)
"""Row and column of the halo of `write_image`."""
SEGMENTATION, MEASURE = Segmentation(), MeasureOptions()


def write_image(path: Path, seed: int = 1, peak_snr: float = 20.0, n_px: int = N_PX, **changes) -> Path:
    """A halo in noise of 0.1 mJy/beam; rows 0 to 9 blank; `changes` are cards."""
    data = 1e-4 * draw_noise(n_px, BEAM_PX, np.random.default_rng(seed))
    add_halo(data, *HALO, 1e-4 * peak_snr, 6.0)
    data[:10] = np.nan
    header = grid_wcs(RA, DEC, n_px, 4.5).to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM", RADESYS="ICRS")
    header.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(data.astype(np.float32), header).writeto(path, overwrite=True)
    return path


def run_script(name: str, *arguments: object) -> None:
    """Run the script of a rule as a survey does, where bad data is written as rejected, in this process."""
    command = [f"{SCRIPTS}/{name}.py", *map(str, arguments), "--on-reject", "continue"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("radiounet.running.stage.configure", lambda _: None)  # pytest has a log of its own
        patch.setattr("sys.argv", command)
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            if end.code:
                pytest.fail(f"{name} ended with status {end.code}")


def own_image(name: str, path: str | Path, beam: str | None = None, **sections: object) -> str:
    """Settings of a stage of an own image, as a run gives them, with other sections of the configuration."""
    image = {"name": name, "path": str(path), "beam": beam}
    return json.dumps({"mosaics": {"source": "images", "images": [image]}, **sections})


def pass_on(products: Products, mosaic: str) -> None:
    """Run the stages after an image that is rejected, or that `segment` rejects."""
    image, probability, mask = (one(mosaic) for one in (products.image, products.probability, products.mask))
    name, own = ("--mosaic", mosaic), ("--settings", own_image(mosaic, image))
    maps = ("--image", image, "--probability", probability, "--mask", mask)
    run_script("segment", *name, *maps)
    run_script("find_islands", *name, *maps, *own, "--out", products.islands(mosaic))
    run_script("measure_clusters", *name, *own, "--root", products.root)


def reject_mosaic(products: Products, mosaic: str, **changes) -> Rejection:
    """Let the stages reject a mosaic whose image has these cards, as `write_image` takes them."""
    write_image(Path(products.image(mosaic)), **changes)
    pass_on(products, mosaic)
    return read_rejection(products.mask(mosaic))


def fetch_field(products: Products, field: str, folder: Path) -> None:
    """Fetch the images of a field as `skies.write_field` wrote them to a folder, or reject it."""
    archive = Dr2Archive(
        field=f"{folder}/{{field}}.{{file}}", field_int_files=["int.fits"], field_app_files=["app.fits"]
    )
    images = {kind: products.field_image(field, kind) for kind in ("int", "app")}
    run_script(
        "fetch_field",
        *("--field", field, "--settings", json.dumps({"archive": {"dr2": archive.model_dump()}})),
        *("--int-image", images["int"], "--app-image", images["app"]),
        *("--source", products.field_source(field)),
    )


def leave_out(products: Products, mosaic: Mosaic, folder: Path, fault: str, beyond: str) -> None:
    """Mosaic three fields: one that is good, one of two shapes, and one somewhere else on the sky."""
    write_field(folder, "good", ra=mosaic.ra_deg, dec=mosaic.dec_deg)
    write_field(folder, beyond, ra=mosaic.ra_deg + 50, dec=mosaic.dec_deg)
    write_field(folder, fault, ra=mosaic.ra_deg, dec=mosaic.dec_deg)
    other = write_field(folder / "other", "other", n_px=100)
    shutil.copyfile(other.app_path, folder / f"{fault}.app.fits")
    fields = ["good", beyond, fault]
    for name in fields:
        fetch_field(products, name, folder)
    mosaic_fields(mosaic.name, Survey(DR3, [mosaic]), fields, products, MosaicOptions(rms_box_px=120))


@cache
def _opened(model: str, batch: int | None, precision: str):
    return open_model(model_folder(model), batch, precision)


def run_stages(
    products: Products,
    images: dict[str, Path],
    clusters: Path | None = None,
    segmentation: Segmentation = SEGMENTATION,
) -> Survey:
    """Every stage on own images by name, as the rules run them; bad data is rejected."""
    predictor, card = _opened(segmentation.model, segmentation.batch, segmentation.precision)
    survey = Survey(OWN_IMAGES, [Mosaic(name, *place_of(path, 4.5)) for name, path in images.items()])
    for name, source in images.items():
        image, probability, mask = (
            one(name) for one in (products.image, products.probability, products.mask)
        )
        try:
            prepare_image(str(source), image, card.pixel_arcsec, card.beam_arcsec)
        except BadDataError:
            settings = own_image(name, source, segmentation=segmentation.model_dump())
            run_script("prepare_image", "--name", name, "--settings", settings, "--out", image)
            pass_on(products, name)
            continue
        laid = read_for(image, card, segmentation.mode)
        write_segmentation(laid, predictor, card, segmentation, probability, mask)
        find_islands(image, probability, mask, survey, name, MEASURE, products.islands(name))
        planes = [MosaicProducts(name, image, probability, mask)]
        table = clusters and str(clusters)
        made = products.clusters(name), products.cutouts(name)
        measure_clusters(table, survey, name, planes, segmentation.model, MEASURE, *made)
    return survey


def run_to_catalogue(folder: Path, image: Path, clusters: Table) -> Products:
    """Every stage on one own image, ``a``, with clusters whose R500 is in arcmin, and the catalogues."""
    clusters["R500"].unit = "arcmin"
    clusters.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    survey = run_stages(products, {"a": image}, folder / "clusters.ecsv")
    listed = clusters_to_measure(folder / "clusters.ecsv", MEASURE)
    merge_catalogues(products.root, ["a"], clusters=listed, survey=survey)
    own = {"source": "images", "images": [{"name": "a", "path": str(image)}]}
    config = load_config({"mosaics": own, "clusters": str(folder / "clusters.ecsv")})
    write_configuration(config, products.configuration())
    return products


def as_segmented(products, folder):
    """Copy the products of the mosaic ``a`` to where ``radiounet segment`` writes; return the folder."""
    own = segment_files(str(folder))
    folder.mkdir()
    for name in ("probability", "mask", "cutouts", "islands", "clusters"):
        shutil.copyfile(getattr(products, name)("a"), own[name])
    shutil.copyfile(products.image("a"), own["prepared"])
    return str(folder)
