"""Mosaic fields onto a mosaic's grid."""

import os

from radiounet.images.products import Products
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.survey.survey import add_survey_options, survey_from


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("list",))
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--fields", required=True, nargs="+", help="names of the fields, already fetched")
    parser.add_argument("--threads", type=whole(1), help="threads (default: as many as cores)")
    add_survey_options(parser)
    args = parser.parse_args()
    products = Products(args.root)

    def work() -> None:
        from radiounet.mosaicking.mosaic_products import mosaic_fields

        threads = args.threads or len(os.sched_getaffinity(0))
        where = args.mosaic, survey_from(args), args.fields, products
        mosaic_fields(*where, args.settings.mosaics.options, threads)

    kinds = (products.image, products.weights, products.rms, products.left_out)
    scales = list(filter(None, [args.settings.mosaics.options.flux_scale]))
    run_stage(args, work, outputs=[kind(args.mosaic) for kind in kinds], reads=scales, name=args.mosaic)


if __name__ == "__main__":
    main()
