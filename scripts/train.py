"""Train a network on pairs of image and truth; a training that was stopped goes on from its checkpoint."""

from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_settings
from radiounet.settings.train import pair_files


def main() -> None:
    """Parse the command line, train, write weights and learning curve."""
    parser = stage_parser(__doc__, writes=("weights", "curve"))
    parser.add_argument("--pairs", nargs="+", required=True, help="pairs to train on")
    parser.add_argument("--validation", nargs="+", default=[], help="pairs for the validation loss")
    parser.add_argument("--weights", required=True, help="weights to write (.weights.h5); checkpoint beside")
    parser.add_argument("--curve", required=True, help="learning curve to write (CSV)")
    parser.add_argument("--threads", type=whole(1), help="CPU threads of the network (default: all)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.runs import run_training

        options = args.settings.train
        run_training(args.pairs, args.validation, options, args.weights, args.curve, args.threads)

    pairs = [file for pair in (*args.pairs, *args.validation) for file in pair_files(pair)]
    run_stage(args, work, outputs=[], reads=pairs, writes=[f"{args.weights}.checkpoint.npz"])


if __name__ == "__main__":
    main()
