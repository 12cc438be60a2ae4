"""Evaluate trained weights on held-out simulated pairs, and write the model's card."""

from radiounet.config import TrainOptions
from radiounet.options import add_options, options_from
from radiounet.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--pairs", nargs="+", required=True, help="held-out files of scripts/simulate.py")
    parser.add_argument("--weights", required=True, help="weights of scripts/train.py")
    parser.add_argument("--curve", required=True, help="learning curve of scripts/train.py")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--out", required=True, help="folder of the model to write")
    add_options(parser, TrainOptions)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.evaluation import publish_model

        options = options_from(args, TrainOptions)
        publish_model(args.pairs, args.weights, args.curve, options, args.name, args.out)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
