"""Fetch the 20 arcsec image of one published mosaic."""

from dataclasses import asdict

from radiounet.images.writing import write_json
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.releases import ReleaseArchive
from radiounet.survey.archive import fetch_candidates
from radiounet.survey.cells import cell_pixel
from radiounet.survey.lists import read_checksums


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("checksums",), writes=("image", "source"))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument(
        "--archive", required=True, help="section archive.<release> of the configuration, as JSON"
    )
    parser.add_argument(
        "--download", required=True, help="section archive.download of the configuration, as JSON"
    )
    parser.add_argument("--checksums", nargs="*", default=[], help="tables of known checksums")
    parser.add_argument("--image", required=True, help="FITS image to write")
    parser.add_argument("--source", required=True, help="record of its origin to write (JSON)")
    args = parser.parse_args()

    def work() -> None:
        archive = ReleaseArchive.model_validate_json(args.archive)
        names = {"mosaic": args.mosaic}
        if "{pixel}" in archive.mosaic:
            names["pixel"] = cell_pixel(args.mosaic)
        fetched = fetch_candidates(
            archive.mosaic,
            archive.mosaic_files,
            args.image,
            DownloadOptions.model_validate_json(args.download),
            read_checksums(args.checksums, args.mosaic),
            **names,
        )
        write_json(args.source, asdict(fetched))

    run_stage(args, work, outputs=[args.image, args.source], name=args.mosaic)


if __name__ == "__main__":
    main()
