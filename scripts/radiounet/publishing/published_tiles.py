"""Tiles of the HiPS, one part of the sky after another; see `radiounet.publishing.hips`."""

from collections.abc import Sequence

from radiounet.images.products import Products, Publication
from radiounet.publishing.coverage import REACHED_ORDER
from radiounet.publishing.hips import TileMaker, tile_order
from radiounet.publishing.hips_parts import TOP_ORDER, parts_of
from radiounet.publishing.records import do_once, found_by, published_mosaics
from radiounet.survey.survey import Survey


def publish_part(
    products: Products, publication: Publication, survey: Survey, mosaics: Sequence[str], part: int
) -> None:
    """Write the tiles of one part of the HiPS, see `radiounet.publishing.hips_parts`."""
    near = published_mosaics(publication, parts_of(survey, mosaics).get(part, []))
    found = {name: found_by(publication, "mosaic", name) for name in near}
    shift = 2 * (REACHED_ORDER - TOP_ORDER)
    reached = {
        name: [pixel for pixel in one["reached"] if pixel >> shift == part] for name, one in found.items()
    }
    about = found_by(publication, "survey", "all")
    order = tile_order(survey.release.pixel_arcsec)
    made_of = {
        "sources": {name: found[name]["sources"] for name in near if reached[name]},
        "sky": {name: found[name]["sky"] for name in near if reached[name]},
        "reached": {name: pixels for name, pixels in reached.items() if pixels},
        "rms_jy": about["rms_jy"],
        "order": order,
    }
    maker = TileMaker(survey, products, reached, about["rms_jy"], order)
    name = f"{part:03d}"
    do_once(publication, "tiles", name, made_of, lambda job_files: {"tiles": maker.write(part, job_files)})
