"""Predict the tiles of one or more mosaics with a model, loaded once.

A mosaic whose tiles are bad is rejected and the others go on; with --on-reject stop
the exit status says so at the end.
"""

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from radiounet.network.model_cards import ModelCard, model_folder
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_settings

if TYPE_CHECKING:  # it needs a backend
    from radiounet.network.inference import Predictor


def main() -> None:
    """Parse the command line and run the stage for each mosaic."""
    parser = stage_parser(__doc__, reads=("tiles",), writes=("out",))
    parser.add_argument("tiles", nargs="+", help="tiles files of scripts/tile.py, named like their mosaics")
    parser.add_argument("--out", nargs="+", required=True, help="cores files to write (HDF5), one for each")
    parser.add_argument("--threads", type=whole(1), default=2, help="CPU threads (default: %(default)s)")
    add_settings(parser)
    args = parser.parse_args()
    if len(set(args.out)) != len(args.tiles):
        parser.error(f"{len(args.tiles)} tiles files, but {len(set(args.out))} files to write")

    @cache
    def loaded() -> "tuple[Predictor, ModelCard]":
        from radiounet.network.devices import use_threads
        from radiounet.network.inference import open_model

        use_threads(args.threads)
        options = args.settings.segmentation
        return open_model(model_folder(options.model), options.batch, options.precision)

    status: str | int = 0
    for tiles, out in zip(args.tiles, args.out, strict=True):

        def work(tiles: str = tiles, out: str = out) -> None:
            from radiounet.network.inference import write_cores

            predictor, card = loaded()
            write_cores(tiles, predictor, card, out)

        try:
            run_stage(args, work, inputs=[tiles], outputs=[out], name=Path(tiles).stem)
        except SystemExit as end:
            status = end.code or status
    sys.exit(status)


if __name__ == "__main__":
    main()
