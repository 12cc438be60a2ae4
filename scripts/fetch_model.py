"""Import published weights that the configuration names."""

from radiounet.images.model_files import imported_model_files
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import models_folder
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the model: an entry of archive.models")
    add_settings(parser)
    args = parser.parse_args()
    archive = args.settings.archive
    if args.name not in archive.models:
        parser.error(f"archive.models has no {args.name}")
    out = models_folder() / args.name

    def work() -> None:
        from radiounet.network.saved_model import fetch_model

        fetch_model(args.name, archive.models[args.name], archive.download, out)

    run_stage(args, work, writes=imported_model_files(str(out)), name=args.name)


if __name__ == "__main__":
    main()
