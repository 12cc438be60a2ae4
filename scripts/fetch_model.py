"""Import the published weights: fetch their zip, or take a local one or an unpacked SavedModel."""

import re
import tempfile
from pathlib import Path

from radiounet.errors import ConfigError
from radiounet.images.products import NAME_PATTERN
from radiounet.network.model_cards import MODELS, LogNormalisation
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.archive import DownloadOptions, PublishedModel
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.section import LONGEST_NAME
from radiounet.survey.archive import MAX_BYTES, fetch


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("url",))
    parser.add_argument("--name", required=True, help="name of the model")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="where its zip is")
    where.add_argument("--from", dest="url", help="local zip or folder of a SavedModel")
    add_options(
        parser, PublishedModel, "checksum", "low", "high", "floor", "threshold", "pixel_arcsec", "beam_arcsec"
    )
    parser.add_argument(
        "--download", default="{}", help="section archive.download of the configuration, as JSON"
    )
    parser.add_argument("--out", help="folder to write (default: resources/models/NAME)")
    args = parser.parse_args()
    out = Path(args.out or MODELS / args.name)

    def work() -> None:
        from radiounet.network.saved_model import import_saved_model

        model = options_from(args, PublishedModel)
        if not re.fullmatch(NAME_PATTERN, args.name) or len(args.name) > LONGEST_NAME:
            raise ConfigError(f"{args.name!r} cannot be the name of a model")
        is_folder = Path(model.url).is_dir()
        if is_folder and model.checksum:
            raise ConfigError("a folder has no checksum: give the zip")
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(model.url) if is_folder else Path(scratch) / "model.zip"
            if not is_folder:
                options = DownloadOptions.model_validate_json(args.download)
                accept = {"check": lambda _: None, "max_bytes": MAX_BYTES}
                fetch(model.url, source, options, checksum=model.checksum, **accept)
            scale = {name: getattr(model, name) for name in ("low", "high", "floor")}
            log10 = LogNormalisation(kind="log10", **scale)
            grid = {"pixel_arcsec": model.pixel_arcsec, "beam_arcsec": model.beam_arcsec}
            import_saved_model(source, args.name, out, log10, model.threshold, model.url, **grid)

    writes = [out / "network.weights.h5", out / "card.yaml"]
    run_stage(args, work, outputs=[], writes=writes, name=args.name)


if __name__ == "__main__":
    main()
