"""Fetch a published cluster catalogue and bring it to the columns name, ra, dec, z, M500 or R500."""

from pathlib import Path

from radiounet.images.writing import write_ecsv
from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.catalogues import ClusterCatalogue
from radiounet.survey.archive import fetch
from radiounet.survey.catalogues import convert_catalogue


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--name", required=True, help="name of the catalogue")
    parser.add_argument(
        "--catalogue", required=True, help="entry of archive.clusters of the configuration, as JSON"
    )
    parser.add_argument(
        "--download", required=True, help="section archive.download of the configuration, as JSON"
    )
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    args = parser.parse_args()

    def work() -> None:
        catalogue = ClusterCatalogue.model_validate_json(args.catalogue)
        claim_outputs([args.out], [catalogue.url])
        raw = Path(args.out).with_suffix(".download")
        fetch(catalogue.url, raw, DownloadOptions.model_validate_json(args.download), check=lambda _: None)
        try:
            write_ecsv(args.out, convert_catalogue(raw, args.name, catalogue))
        finally:
            raw.unlink()

    run_stage(args, work, outputs=[], name=args.name)


if __name__ == "__main__":
    main()
