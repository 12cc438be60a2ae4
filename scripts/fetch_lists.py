"""Fetch the lists of a release: its mosaics, and the grid of fields."""

from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import Archive
from radiounet.survey.lists import fetch_lists
from radiounet.survey.survey import list_paths


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--release", choices=("dr2", "dr3"), required=True, help="data release")
    parser.add_argument("--archive", required=True, help="section archive of the configuration, as JSON")
    args = parser.parse_args()

    def work() -> None:
        archive = Archive.model_validate_json(args.archive)
        claim_outputs(
            list_paths(archive.list_folder, args.release).values(), archive.lists.model_dump().values()
        )
        fetch_lists(archive, args.release)

    run_stage(args, work, outputs=[], name=args.release)


if __name__ == "__main__":
    main()
