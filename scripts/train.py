"""Train lotss-unet on simulated pairs."""

from radiounet.config import TrainOptions
from radiounet.options import add_options, options_from
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line, train, write weights and learning curve."""
    parser = stage_parser(__doc__)
    parser.add_argument("--pairs", nargs="+", required=True, help="files of scripts/simulate.py")
    parser.add_argument("--weights", required=True, help="weights to write (.weights.h5)")
    parser.add_argument("--curve", required=True, help="learning curve to write (CSV)")
    add_options(parser, TrainOptions)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.training import read_pair, save_weights, train

        options = options_from(args, TrainOptions)
        pairs = [read_pair(path, options) for path in args.pairs]
        save_weights(train(pairs, options, args.curve), args.weights)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
