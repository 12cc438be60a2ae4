"""Measure the islands of a mask: position, size, probability, flux density."""

from radiounet.measuring.components import CompactFiles
from radiounet.measuring.islands import find_islands
from radiounet.running.stage import run_stage, stage_parser
from radiounet.survey.survey import add_survey_options, survey_from

READS = ("image", "probability", "mask", "list", "components", "high_resolution")


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=READS, writes=("out",))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--image", required=True, help="its image")
    parser.add_argument("--probability", required=True, help="its probability map")
    parser.add_argument("--mask", required=True, help="its mask")
    parser.add_argument("--components", help="table of components; none: without")
    parser.add_argument("--high-resolution", help="cut-outs of a 6 arcsec image; none: without")
    add_survey_options(parser)
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    args = parser.parse_args()

    def work() -> None:
        survey = survey_from(args)
        options = args.settings.measure
        compact = CompactFiles(args.mosaic, options.components, args.components, args.high_resolution)
        maps = args.image, args.probability, args.mask
        find_islands(*maps, survey, args.mosaic, options, args.out, compact)

    run_stage(args, work, inputs=[args.mask], outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
