"""Mosaic fields onto a mosaic's grid, or any images with --image A --weight A [--image B ...] --like GRID."""

import os

from radiounet.images.products import Products
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.mosaics import MosaicOptions
from radiounet.survey.survey import RELEASE_HELP, read_survey, release_option

SURVEY = ("root", "release", "list", "mosaic", "fields")
ANY = ("image", "weight", "like", "out", "out_weight")


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(
        __doc__, reads=("list", "image", "weight", "like", "flux_scale"), writes=("out", "out_weight")
    )
    parser.add_argument("--root", help="folder of the release's products, such as results/dr2")
    parser.add_argument("--release", type=release_option, help=RELEASE_HELP)
    parser.add_argument("--list", help="list of the release's mosaics (CSV)")
    parser.add_argument("--mosaic", help="name of the mosaic")
    parser.add_argument("--fields", nargs="+", help="names of the fields, already fetched")
    parser.add_argument("--image", action="append", help="image to add (FITS); repeat for more")
    parser.add_argument("--weight", action="append", help="its weights, in the same order")
    parser.add_argument("--like", help="FITS file with the grid wanted")
    parser.add_argument("--out", help="image to write")
    parser.add_argument("--out-weight", help="summed weights to write")
    parser.add_argument("--threads", type=whole(1), help="threads (default: as many as cores)")
    add_options(parser, MosaicOptions)
    args = parser.parse_args()
    needed, other = (ANY, SURVEY) if args.image else (SURVEY, ANY)
    if not all(getattr(args, one) for one in needed) or any(getattr(args, one) for one in other):
        parser.error(f"give all of {', '.join(needed)}, and none of {', '.join(other)}")
    if args.image and len(args.image) != len(args.weight):
        parser.error(f"{len(args.image)} images, but {len(args.weight)} weights")
    threads = args.threads or len(os.sched_getaffinity(0))

    def work() -> None:
        if args.image:
            from radiounet.mosaicking.coadd import coadd_files

            pairs = list(zip(args.image, args.weight, strict=True))
            return coadd_files(pairs, args.like, args.out, args.out_weight, threads)
        from radiounet.mosaicking.mosaic_products import mosaic_fields

        where = args.mosaic, read_survey(args.release, args.list), args.fields, products
        return mosaic_fields(*where, options_from(args, MosaicOptions), threads)

    products = Products(args.root or "")
    # nothing could stand in for a file of the user's own
    args.on_reject = "stop" if args.image else args.on_reject
    kinds = () if args.image else (products.image, products.weights, products.sigma, products.left_out)
    run_stage(args, work, outputs=[kind(args.mosaic) for kind in kinds], name=args.mosaic or args.out)


if __name__ == "__main__":
    main()
