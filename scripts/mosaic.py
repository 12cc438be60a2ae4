"""Mosaic fields onto the grid of one mosaic."""

from radiounet.config import MosaicOptions
from radiounet.mosaic import mosaic_fields
from radiounet.options import add_options, options_from
from radiounet.products import Products
from radiounet.sky import read_survey
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--release", choices=("dr2", "dr3"), required=True, help="data release")
    parser.add_argument("--list", required=True, help="list of the release's mosaics (CSV)")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--fields", nargs="+", required=True, help="names of the fields, already fetched")
    add_options(parser, MosaicOptions)
    args = parser.parse_args()

    products = Products(args.root)
    name = args.mosaic
    outputs = [products.image(name), products.weights(name), products.left_out(name)]

    def work() -> None:
        place = read_survey(args.release, args.list).mosaics[name]
        options = options_from(args, MosaicOptions)
        mosaic_fields(place, args.release, args.fields, products, options)

    run_stage(args, work, outputs=outputs, name=name)


if __name__ == "__main__":
    main()
