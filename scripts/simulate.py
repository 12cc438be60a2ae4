"""Simulate one pair: an image as LoTSS would make it, and the diffuse emission in it."""

from radiounet.running.arguments import add_simulation_arguments
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.simulation.simulate import write_pair


def main() -> None:
    """Parse the command line and write one pair."""
    parser = stage_parser(__doc__, writes=("out",))
    add_simulation_arguments(parser)
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        write_pair(args.out, args.settings.simulate, args.pair)

    run_stage(args, work, outputs=[args.out], name=f"pair {args.pair}")


if __name__ == "__main__":
    main()
