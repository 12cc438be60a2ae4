"""Normalise an image for a model and lay its tiles."""

from radiounet.network.tiling import tile_image
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("image",), writes=("out",))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--image", required=True, help="FITS image at the model's beam and pixel scale")
    parser.add_argument("--out", required=True, help="tiles file to write (HDF5)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        options = args.settings.segmentation
        tile_image(args.image, options.model, options.mode, args.out)

    run_stage(args, work, inputs=[args.image], outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
