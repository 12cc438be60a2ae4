"""Fetch a table of components and bring it to our columns."""

from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.settings.urls import public_text
from radiounet.survey.archive import MAX_BYTES, fetched, fill_template
from radiounet.survey.component_tables import read_components, write_components


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--mosaic", required=True, help="name of the mosaic; of one table for all: all")
    parser.add_argument("--out", required=True, help="table to write (FITS)")
    add_settings(parser)
    args = parser.parse_args()
    options, download = args.settings.measure.components, args.settings.archive.download
    if options is None:
        parser.error("measure.components names no table")

    def work() -> None:
        url = fill_template(options.url, mosaic=args.mosaic)
        with fetched(url, f"{args.out}.download", download, check=lambda _: None, max_bytes=MAX_BYTES) as raw:
            write_components(args.out, read_components(raw, options), public_text(url))

    run_stage(args, work, outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
