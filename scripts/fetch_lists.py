"""Fetch the lists of a release: its mosaics, and the grid of fields."""

from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import Archive
from radiounet.survey.lists import fetch_lists
from radiounet.survey.survey import RELEASE_HELP, list_paths, release_option


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--release", type=release_option, required=True, help=RELEASE_HELP)
    parser.add_argument("--archive", required=True, help="section archive of the configuration, as JSON")
    args = parser.parse_args()

    def work() -> None:
        archive = Archive.model_validate_json(args.archive)
        sources = args.release.mosaics, args.release.footprint, args.release.fields
        claim_outputs(
            list_paths(archive.list_folder, args.release.name).values(), [one for one in sources if one]
        )
        fetch_lists(archive, args.release)

    run_stage(args, work, outputs=[], name=args.release.name)


if __name__ == "__main__":
    main()
