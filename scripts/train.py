"""Train a network on pairs of image and truth; a training that was stopped goes on from its checkpoint."""

from radiounet.running.arguments import add_training_arguments
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.settings.train import pair_files


def main() -> None:
    """Parse the command line, train, write weights and learning curve."""
    parser = stage_parser(__doc__, writes=("weights", "curve"))
    add_training_arguments(parser)
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.runs import run_training

        options = args.settings.train
        run_training(args.pairs, args.validation, options, args.weights, args.curve, args.threads)

    pairs = [file for pair in (*args.pairs, *args.validation) for file in pair_files(pair)]
    run_stage(args, work, reads=pairs, writes=[f"{args.weights}.checkpoint.npz"])


if __name__ == "__main__":
    main()
