"""Simulate one pair: an image as LoTSS would make it, and the diffuse emission in it."""

from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_settings
from radiounet.simulation.simulate import write_pair


def main() -> None:
    """Parse the command line and write one pair."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--pair", type=whole(0), required=True, help="number of the pair: its own seed")
    parser.add_argument(
        "--out", required=True, help="FITS file: image, truth, noise, objects, causes, clusters"
    )
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        write_pair(args.out, args.settings.simulate, args.pair)

    run_stage(args, work, outputs=[args.out], name=f"pair {args.pair}")


if __name__ == "__main__":
    main()
