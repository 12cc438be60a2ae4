"""Fetch the 20 arcsec images of one field: true flux (int) and apparent flux (app)."""

from dataclasses import asdict

from radiounet.errors import ConfigError
from radiounet.images.writing import write_json
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.releases import ReleaseArchive
from radiounet.survey.archive import fetch_candidates
from radiounet.survey.lists import read_checksums


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("checksums",), writes=("int_image", "app_image", "source"))
    parser.add_argument("--field", required=True, help="name of the field")
    parser.add_argument(
        "--archive", required=True, help="section archive.<release> of the configuration, as JSON"
    )
    parser.add_argument(
        "--download", required=True, help="section archive.download of the configuration, as JSON"
    )
    parser.add_argument("--checksums", nargs="*", default=[], help="tables of known checksums")
    parser.add_argument("--int-image", required=True, help="FITS image to write, true flux")
    parser.add_argument("--app-image", required=True, help="FITS image to write, apparent flux")
    parser.add_argument("--source", required=True, help="record of their origin to write (JSON)")
    args = parser.parse_args()

    def work() -> None:
        archive = ReleaseArchive.model_validate_json(args.archive)
        if archive.field is None:
            raise ConfigError("archive.<release> has no field: set it to the URL of a field's files")
        download = DownloadOptions.model_validate_json(args.download)
        known = read_checksums(args.checksums, args.field)
        wanted = {"int": (archive.field_int_files, args.int_image)}
        wanted["app"] = (archive.field_app_files, args.app_image)
        found = {
            kind: asdict(fetch_candidates(archive.field, files, path, download, known, field=args.field))
            for kind, (files, path) in wanted.items()
        }
        write_json(args.source, found)

    run_stage(args, work, outputs=[args.int_image, args.app_image, args.source], name=args.field)


if __name__ == "__main__":
    main()
