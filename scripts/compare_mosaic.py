"""Compare a mosaic with a published one of the same sky: flux densities, positions, noise, pixels."""

from pathlib import Path

from radiounet.images.products import comparison_files
from radiounet.running.arguments import add_comparison_arguments
from radiounet.running.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("ours", "published"))
    add_comparison_arguments(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.mosaicking.comparison import compare_mosaics

        compare_mosaics(args.ours, args.published, args.out, args.min_snr)

    outputs = list(comparison_files(args.out).values())
    run_stage(args, work, outputs=outputs, inputs=[args.ours], name=Path(args.out).name)


if __name__ == "__main__":
    main()
