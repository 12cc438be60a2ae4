"""Bring one of the user's own images to the beam and pixel scale of a model."""

from radiounet.images.beams import Beam, beam_can_be_given
from radiounet.images.resampling import prepare_image
from radiounet.network.model_cards import model_folder, read_card
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--name", required=True, help="name of the image in mosaics.images")
    parser.add_argument("--out", required=True, help="FITS image to write")
    add_settings(parser)
    args = parser.parse_args()
    images = {image.name: image for image in args.settings.mosaics.images}
    if args.name not in images:
        parser.error(f"mosaics.images has no image {args.name}")
    image = images[args.name]

    def work() -> None:
        card = read_card(model_folder(args.settings.segmentation.model))
        beam = Beam.from_text(image.beam) if image.beam else None
        with beam_can_be_given("mosaics.images[].beam in the configuration"):
            prepare_image(image.path, args.out, card.pixel_arcsec, card.beam_arcsec, beam)

    run_stage(args, work, outputs=[args.out], reads=[image.path], name=args.name)


if __name__ == "__main__":
    main()
