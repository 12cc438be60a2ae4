"""Join predicted cores into a probability map and a mask."""

from radiounet.network.masks import stitch_cores
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("cores", "image"), writes=("probability", "mask"))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--cores", required=True, help="cores file of scripts/infer.py")
    parser.add_argument("--image", required=True, help="image the tiles were made from")
    parser.add_argument("--probability", required=True, help="probability map to write (FITS)")
    parser.add_argument("--mask", required=True, help="mask to write (FITS)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        options = args.settings.segmentation
        stitch_cores(args.cores, args.image, options.model, options, args.probability, args.mask)

    run_stage(args, work, inputs=[args.cores], outputs=[args.probability, args.mask], name=args.mosaic)


if __name__ == "__main__":
    main()
