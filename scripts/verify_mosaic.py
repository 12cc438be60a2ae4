"""Compare mask and probability map of a mosaic with reference ones."""

from radiounet.images.products import Products
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--out", required=True, help="result to write (JSON)")
    add_settings(parser)
    args = parser.parse_args()
    products = Products(args.root)

    def work() -> None:
        from radiounet.publishing.verification import verify_mosaic

        settings = args.settings
        verify_mosaic(args.mosaic, products, settings.verify, settings.archive.download, args.out)

    inputs = [products.mask(args.mosaic), products.probability(args.mosaic)]
    run_stage(args, work, inputs=inputs, outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
