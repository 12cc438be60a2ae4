"""Fetch a published cluster catalogue and bring it to the columns name, ra, dec, z, M500 or R500."""

from radiounet.images.writing import write_ecsv
from radiounet.running.list_sources import record_source
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.survey.archive import fetched
from radiounet.survey.catalogues import convert_catalogue


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--name", required=True, help="name of the catalogue: an entry of archive.clusters")
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    parser.add_argument("--source", required=True, help="settings and source (JSON), to be noted")
    add_settings(parser)
    args = parser.parse_args()
    archive = args.settings.archive
    if args.name not in archive.clusters:
        parser.error(f"archive.clusters has no {args.name}")
    catalogue = archive.clusters[args.name]

    def work() -> None:
        with fetched(catalogue.url, f"{args.out}.download", archive.download, check=lambda _: None) as raw:
            write_ecsv(args.out, convert_catalogue(raw, args.name, catalogue))
        record_source(args.out, args.source)

    run_stage(args, work, reads=[catalogue.url], name=args.name)


if __name__ == "__main__":
    main()
