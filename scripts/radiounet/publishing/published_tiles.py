"""Tiles of the HiPS, one part of the sky after another; see `radiounet.publishing.hips`."""

from collections.abc import Sequence

from radiounet.images.products import Products, Publication
from radiounet.publishing.coverage import REACHED_ORDER
from radiounet.publishing.hips import TileMaker, tile_order
from radiounet.publishing.hips_regions import TOP_ORDER, regions_of
from radiounet.publishing.records import do_once, found_by, published_mosaics
from radiounet.survey.survey import Survey


def publish_region(
    products: Products, publication: Publication, survey: Survey, mosaics: Sequence[str], region: int
) -> None:
    """Write all tiles below one of the coarsest order, itself included."""
    near = published_mosaics(publication, regions_of(survey, mosaics).get(region, []))
    found = {name: found_by(publication, "mosaic", name) for name in near}
    shift = 2 * (REACHED_ORDER - TOP_ORDER)
    reached = {
        name: [cell for cell in one["reached"] if cell >> shift == region] for name, one in found.items()
    }
    about = found_by(publication, "survey", "all")
    order = tile_order(survey.release.pixel_arcsec)
    made_of = {
        "sources": {name: found[name]["sources"] for name in near if reached[name]},
        "sky": {name: found[name]["sky"] for name in near if reached[name]},
        "reached": {name: cells for name, cells in reached.items() if cells},
        "rms_jy": about["rms_jy"],
        "order": order,
    }
    maker = TileMaker(survey, products, reached, about["rms_jy"], order)
    name = f"{region:03d}"
    do_once(publication, "tiles", name, made_of, lambda job_files: {"tiles": maker.write(region, job_files)})
