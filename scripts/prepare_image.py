"""Bring an image to the beam and pixel scale of a model."""

from radiounet.images.beams import BEAM_HELP, Beam
from radiounet.images.resampling import prepare_image
from radiounet.network.model_cards import model_folder, read_card
from radiounet.running.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("image",), writes=("out",))
    parser.add_argument("--name", required=True, help="name of the image")
    parser.add_argument("--image", required=True, help="FITS image, Jy/beam")
    parser.add_argument("--model", required=True, help="model: its name or its folder")
    parser.add_argument("--beam", help=BEAM_HELP)
    parser.add_argument("--out", required=True, help="FITS image to write")
    args = parser.parse_args()

    def work() -> None:
        card = read_card(model_folder(args.model))
        beam = Beam.from_text(args.beam) if args.beam else None
        prepare_image(args.image, args.out, card.pixel_arcsec, card.beam_arcsec, beam)

    run_stage(args, work, outputs=[args.out], name=args.name)


if __name__ == "__main__":
    main()
