"""Compare mask and probability map of a mosaic with reference ones."""

from radiounet.config import DownloadOptions, VerifyOptions
from radiounet.options import add_options, options_from
from radiounet.products import Products
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument(
        "--download", default="{}", help="section archive.download of the configuration, as JSON"
    )
    parser.add_argument("--out", required=True, help="result to write (JSON)")
    add_options(parser, VerifyOptions)
    args = parser.parse_args()
    products = Products(args.root)

    def work() -> None:
        from radiounet.verification import verify_mosaic

        download = DownloadOptions.model_validate_json(args.download)
        verify_mosaic(args.mosaic, products, options_from(args, VerifyOptions), download, args.out)

    inputs = [products.mask(args.mosaic), products.probability(args.mosaic)]
    run_stage(args, work, inputs=inputs, outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
