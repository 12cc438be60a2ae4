"""The stages from an image to its catalogues, each from files to files.

Every function here is one rule of the job graph; `segment_image` is all of
them in one process, for one image.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits

from radiounet import __version__
from radiounet.cards import Card, read_card
from radiounet.catalogue import make_table
from radiounet.clusters import ClusterMeter, MosaicProducts
from radiounet.config import MeasureOptions, Segmentation
from radiounet.image import check_grid, place_of, read_plane, to_model_grid
from radiounet.masks import make_mask, measure_islands
from radiounet.products import code_hash, provenance, sha256_of, write_ecsv, write_fits
from radiounet.sky import Cluster, Mosaic, Survey
from radiounet.tiling import Mode, read_layout, stitch, write_tiles

MODELS = Path(__file__).resolve().parents[2] / "resources" / "models"


def model_folder(name: str) -> Path:
    """Folder of a model: a name in ``resources/models``, or a path."""
    return MODELS / name if (MODELS / name).is_dir() else Path(name)


def prepare_image(source: str, target: str, card: Card) -> None:
    """Bring the user's own image to a model's beam and pixel scale."""
    plane = to_model_grid(read_plane(source), card.pixel_arcsec, card.beam_arcsec)
    header = plane.header()
    header.extend(provenance(inputsha=sha256_of(source)))
    write_fits(target, plane.data, header)


def tile_image(image: str, model: str, mode: Mode, target: str) -> None:
    """Normalise an image for a model and write its tiles file.

    Raises
    ------
    BadDataError
        The image is unreadable, or not at the model's beam and pixel scale.
    """
    card = read_card(model_folder(model))
    plane = read_plane(image)
    check_grid(plane, card.pixel_arcsec, card.beam_arcsec, image)
    meta = {"model": card.name, "model_sha256": card.weights.sha256, "image_sha256": sha256_of(image)}
    write_tiles(target, plane.data, card, mode, meta)


def stitch_cores(
    cores: str, image: str, model: str, options: Segmentation, probability_path: str, mask_path: str
) -> None:
    """Join cores into the probability map, and make the mask.

    In ``exact`` mode the probability is NaN where the image is; in ``reference``
    mode blank pixels keep what the network said, and only the border that it
    never predicts is NaN.
    """
    card = read_card(model_folder(model))
    plane = read_plane(image)
    with h5py.File(cores, "r") as store:
        where = read_layout(store, card)
        probability = stitch(store["cores"], store["origins"][...], where)
        attributes = dict(store.attrs)
    if attributes["mode"] == "exact":
        probability[np.isnan(plane.data)] = np.nan
    threshold = card.threshold if options.threshold is None else options.threshold
    min_area_px = options.min_island_beams * plane.beam_area_px
    mask = make_mask(probability, threshold, min_area_px)
    header = plane.header()
    header.extend(
        provenance(
            model=card.name,
            modelsha=card.weights.sha256,
            inputsha=attributes["image_sha256"],
            segmode=attributes["mode"],
            precis=attributes["precision"],
        )
    )
    header["BUNIT"] = ("", "probability, 0..1")
    write_fits(probability_path, probability, header)
    header["BUNIT"] = ("", "0 no, 1 diffuse, 255 no data")
    header.extend(provenance(thresh=threshold, minbeams=options.min_island_beams)[-2:])
    write_fits(mask_path, mask, header)


def find_islands(
    image: str, probability: str, mask: str, survey: Survey, mosaic: str, options: MeasureOptions, target: str
) -> None:
    """Measure the islands of a mosaic that its cell owns, or nearly so."""
    plane = read_plane(image)
    rows = measure_islands(fits.getdata(mask), fits.getdata(probability), plane, options.calibration_error)
    kept = []
    for row in rows:
        touched = survey.touched_by(row["ra_deg"], row["dec_deg"], options.edge_arcsec / 60)
        if mosaic in touched:
            row["in_cell"] = touched[0] == mosaic
            row["mosaic"] = mosaic
            row["galactic"] = abs(row["galactic_latitude_deg"]) < options.galactic_latitude_deg
            kept.append(row)
    write_ecsv(target, make_table("islands", kept, table_meta(mask)))


def table_meta(mask: str) -> dict[str, object]:
    """Provenance of a table made from a mask."""
    header = fits.getheader(mask)
    keys = ("MODEL", "MODELSHA", "SEGMODE", "PRECIS", "THRESH", "MINBEAMS")
    return {"version": __version__, "codehash": code_hash(), **{key.lower(): header[key] for key in keys}}


def measure_clusters(
    clusters: Sequence[Cluster],
    survey: Survey,
    mosaic: str,
    products: Sequence[MosaicProducts],
    options: MeasureOptions,
    target: str,
) -> None:
    """Measure the clusters whose centre a mosaic's cell owns.

    Parameters
    ----------
    clusters : sequence of Cluster
        All of the catalogue; those of other cells are left to their owners.
    products : sequence of MosaicProducts
        The mosaic itself first, then every mosaic an aperture touches.
    """
    owners = survey.owner([c.ra_deg for c in clusters], [c.dec_deg for c in clusters]) if clusters else []
    mine = [cluster for cluster, owner in zip(clusters, owners, strict=True) if owner == mosaic]
    rows = []
    if mine:
        meter = ClusterMeter(survey, products, options)
        for cluster in mine:
            row = meter.measure(cluster, mosaic)
            row["galactic"] = abs(row["galactic_latitude_deg"]) < options.galactic_latitude_deg
            rows.append(row)
    write_ecsv(target, make_table("clusters", rows, table_meta(products[0].mask)))


def segment_image(
    image: str,
    model: str,
    segmentation: Segmentation,
    measure: MeasureOptions,
    clusters: Sequence[Cluster] | None,
    folder: str,
) -> None:
    """Run every stage on one image, and leave its products in a folder.

    Writes ``probability.fits``, ``mask.fits``, ``islands.ecsv`` and, given
    clusters, ``clusters.ecsv``.
    """
    from radiounet.inference import write_cores

    card = read_card(model_folder(model))
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    probability, mask = str(out / "probability.fits"), str(out / "mask.fits")
    with tempfile.TemporaryDirectory(dir=out, prefix=".segment.") as scratch:
        prepared, tiles, cores = (f"{scratch}/{name}" for name in ("image.fits", "tiles.h5", "cores.h5"))
        prepare_image(image, prepared, card)
        tile_image(prepared, model, segmentation.mode, tiles)
        write_cores(tiles, model_folder(model), cores, segmentation.batch)
        stitch_cores(cores, prepared, model, segmentation, probability, mask)
        survey = Survey("images", [Mosaic("image", *place_of(prepared))])
        find_islands(prepared, probability, mask, survey, "image", measure, str(out / "islands.ecsv"))
        if clusters is not None:
            products = [MosaicProducts("image", prepared, probability, mask)]
            measure_clusters(clusters, survey, "image", products, measure, str(out / "clusters.ecsv"))
