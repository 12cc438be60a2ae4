"""Normalise the image of a mosaic, predict it with a model, and write its probability map and mask."""

from radiounet.network.model_cards import model_folder
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("image",), writes=("probability", "mask"))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--image", required=True, help="FITS image at the model's beam and pixel scale")
    parser.add_argument("--model", required=True, help="model: its name or its folder")
    parser.add_argument("--probability", required=True, help="probability map to write (FITS)")
    parser.add_argument("--mask", required=True, help="mask to write (FITS)")
    parser.add_argument("--threads", type=whole(1), default=2, help="CPU threads (default: %(default)s)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.network.inference import open_model, use_threads
        from radiounet.network.model_cards import read_card
        from radiounet.network.segmenting import read_for, write_segmentation

        options, folder = args.settings.segmentation, model_folder(args.model)
        image = read_for(args.image, read_card(folder), options.mode)
        use_threads(args.threads)
        predictor, card = open_model(folder, options.batch, options.precision)
        write_segmentation(image, predictor, card, options, args.probability, args.mask)

    run_stage(args, work, inputs=[args.image], outputs=[args.probability, args.mask], name=args.mosaic)


if __name__ == "__main__":
    main()
