"""Predict the tiles of a mosaic with a model."""

from radiounet.cards import model_folder
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--tiles", required=True, help="tiles file of scripts/tile.py")
    parser.add_argument("--model", required=True, help="model: its name or its folder")
    parser.add_argument(
        "--batch", type=int, default=16, help="tiles per call of the network (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--out", required=True, help="cores file to write (HDF5)")
    args = parser.parse_args()

    def work() -> None:
        from radiounet.inference import use_threads, write_cores

        use_threads(args.threads)
        write_cores(args.tiles, model_folder(args.model), args.out, args.batch)

    run_stage(args, work, inputs=[args.tiles], outputs=[args.out], name=args.mosaic)


if __name__ == "__main__":
    main()
