"""Fetch the lists of a release: its mosaics, and the grid of fields."""

from radiounet.running.list_sources import record_source
from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.survey.lists import fetch_lists
from radiounet.survey.survey import list_paths


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--source", required=True, help="settings and sources (JSON), to be noted")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        archive, release = args.settings.archive, args.settings.published_release
        sources = release.mosaics, release.footprint, release.fields
        paths = list_paths(archive.list_folder, release.name)
        claim_outputs(paths.values(), filter(None, sources))
        fetch_lists(archive, release)
        record_source(paths["mosaics"], args.source)

    run_stage(args, work)


if __name__ == "__main__":
    main()
