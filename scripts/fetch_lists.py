"""Fetch the lists of a release: its mosaics, and the grid of fields."""

from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.survey.lists import fetch_lists
from radiounet.survey.survey import list_paths


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        archive, release = args.settings.archive, args.settings.published_release
        sources = release.mosaics, release.footprint, release.fields
        claim_outputs(list_paths(archive.list_folder, release.name).values(), filter(None, sources))
        fetch_lists(archive, release)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
