"""Predict the tiles of one or more mosaics with a model, loaded once."""

from functools import cache
from pathlib import Path

from radiounet.cards import model_folder
from radiounet.config import Segmentation
from radiounet.options import add_options, options_from
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage for each mosaic."""
    parser = stage_parser(__doc__)
    parser.add_argument("tiles", nargs="+", help="tiles files of scripts/tile.py, named like their mosaics")
    parser.add_argument("--out", nargs="+", required=True, help="cores files to write (HDF5), one for each")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    add_options(parser, Segmentation, "model", "batch", "precision")
    args = parser.parse_args()
    if len(args.tiles) != len(args.out):
        parser.error(f"{len(args.tiles)} tiles files, but {len(args.out)} files to write")
    options = options_from(args, Segmentation, "model", "batch", "precision")

    @cache
    def loaded():
        from radiounet.inference import open_model, use_threads

        use_threads(args.threads)
        return open_model(model_folder(options.model), options.batch, options.precision)

    for tiles, out in zip(args.tiles, args.out, strict=True):

        def work(tiles: str = tiles, out: str = out) -> None:
            from radiounet.inference import write_cores

            write_cores(tiles, *loaded(), out)

        run_stage(args, work, inputs=[tiles], outputs=[out], name=Path(tiles).stem)


if __name__ == "__main__":
    main()
