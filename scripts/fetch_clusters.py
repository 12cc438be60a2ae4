"""Fetch a published cluster catalogue and bring it to the columns name, ra, dec, z, M500 or R500."""

from pathlib import Path

from radiounet.images.writing import write_ecsv
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.survey.archive import fetch
from radiounet.survey.cluster_tables import PUBLISHED, convert_catalogue


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("url",), writes=("out",))
    parser.add_argument("--catalogue", choices=tuple(PUBLISHED), required=True, help="which catalogue")
    parser.add_argument("--url", required=True, help="VOTable, or a local table with the same columns")
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        raw = Path(args.out).with_suffix(".download")
        fetch(args.url, raw, args.settings.archive.download, check=lambda _: None)
        try:
            write_ecsv(args.out, convert_catalogue(raw, args.catalogue))
        finally:
            raw.unlink()

    run_stage(args, work, outputs=[], name=args.catalogue)


if __name__ == "__main__":
    main()
