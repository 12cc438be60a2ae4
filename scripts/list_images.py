"""Write the list of own images: name, centre and size, from their headers."""

from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.survey.lists import write_mosaic_list
from radiounet.survey.survey import survey_of_images


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--out", required=True, help="list to write (CSV)")
    add_settings(parser)
    args = parser.parse_args()
    images = args.settings.mosaics.images
    if not images:
        parser.error("mosaics.images names none")

    def work() -> None:
        write_mosaic_list(args.out, list(survey_of_images(images).mosaics.values()))

    run_stage(args, work, reads=[image.path for image in images])


if __name__ == "__main__":
    main()
