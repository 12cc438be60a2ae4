"""Segment one image: probability, mask, islands and clusters, in one process.

The image may have any pixel scale; it is brought to the model's beam and grid.
"""

from radiounet.images.beams import BEAM_HELP, Beam
from radiounet.network.model_cards import model_folder
from radiounet.running.segmentation import PRODUCTS, segment_image
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.segmentation import Segmentation


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("image", "clusters"))
    parser.add_argument("image", help="FITS image, Jy/beam")
    parser.add_argument("--clusters", help="cluster table: name, ra, dec, z, and M500 or R500")
    parser.add_argument("--beam", help=BEAM_HELP)
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument(
        "--model", default=Segmentation().model, help="model: its name or its folder (default: %(default)s)"
    )
    others = [name for name in Segmentation.model_fields if name != "model"]
    add_options(parser, Segmentation, *others)
    add_options(parser, MeasureOptions)
    args = parser.parse_args()

    def work() -> None:
        measure = options_from(args, MeasureOptions)
        segmentation = options_from(args, Segmentation, *others)
        beam = Beam.from_text(args.beam) if args.beam else None
        segment_image(args.image, args.model, segmentation, measure, args.clusters, args.out, beam)

    products = [f"{args.out}/{name}" for name in PRODUCTS]
    run_stage(args, work, outputs=[], writes=products, reads=[model_folder(args.model)], name=args.image)


if __name__ == "__main__":
    main()
