"""Import the published weights: fetch their zip, or take a local one or an unpacked SavedModel."""

import tempfile
from pathlib import Path

from radiounet.archive import fetch
from radiounet.cards import MODELS, LogNormalisation
from radiounet.config import DownloadOptions
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the model")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="where its zip is")
    where.add_argument("--from", dest="source", help="zip or folder of a SavedModel")
    parser.add_argument("--checksum", help="of the zip at the URL, such as gitblob:HEX")
    parser.add_argument(
        "--download", default="{}", help="section archive.download of the configuration, as JSON"
    )
    for name, value in (("low", 1e-7), ("high", 1e-2), ("floor", 1e-9)):
        text = f"{name} of the log10 normalisation, Jy/beam (default: %(default)s)"
        parser.add_argument(f"--{name}", type=float, default=value, help=text)
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="where the mask begins (default: %(default)s)"
    )
    parser.add_argument("--out", help="folder to write (default: resources/models/NAME)")
    args = parser.parse_args()

    def work() -> None:
        from radiounet.saved_model import import_saved_model

        normalisation = LogNormalisation(kind="log10", low=args.low, high=args.high, floor=args.floor)
        out = Path(args.out or MODELS / args.name)
        with tempfile.TemporaryDirectory() as scratch:
            source = args.source
            if args.url:
                source = Path(scratch) / Path(args.url).name
                options = DownloadOptions.model_validate_json(args.download)
                fetch(args.url, source, options, checksum=args.checksum, check=lambda _: None)
            import_saved_model(source, args.name, out, normalisation, args.threshold, args.url or "")

    run_stage(args, work, outputs=[], name=args.name)


if __name__ == "__main__":
    main()
