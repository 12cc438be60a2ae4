"""Train or fine-tune a network on pairs of image and truth.

A pair is a file of scripts/simulate.py, or IMAGE.fits:TRUTH.fits: an image in
Jy/pixel and its noise-free model, or an image in Jy/beam (20", 4.5" pixels) and
its labels (0 no, 1 diffuse, 255 no data). A run that was stopped goes on from
its last checkpoint when the same command is given again.
"""

from radiounet.network.model_cards import model_folder, read_card
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.train import TrainOptions, pair_files


def main() -> None:
    """Parse the command line, train, write weights and learning curve."""
    parser = stage_parser(__doc__, writes=("weights", "curve"))
    parser.add_argument("--pairs", nargs="+", required=True, help="pairs to train on")
    parser.add_argument("--validation", nargs="+", default=[], help="pairs for the validation loss")
    parser.add_argument("--weights", required=True, help="weights to write (.weights.h5); checkpoint beside")
    parser.add_argument("--curve", required=True, help="learning curve to write (CSV)")
    parser.add_argument("--threads", type=whole(1), help="CPU threads of the network (default: all)")
    add_options(parser, TrainOptions)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.hard_negatives import hard_negatives
        from radiounet.learning.training import train
        from radiounet.network.architectures.keras_network import save_weights
        from radiounet.network.inference import use_threads

        options = options_from(args, TrainOptions)
        for model in options.compare:
            read_card(model_folder(model))  # a model that is not there must not stop the evaluation later
        if args.threads:
            use_threads(args.threads)
        hard = None
        if options.hard_from:
            first, sizes = model_folder(options.hard_from), (options.crop_px, options.truth_sigma)
            hard = hard_negatives(first, args.pairs, *sizes, args.weights)
        model = train(
            args.pairs,
            options,
            f"{args.weights}.checkpoint.npz",
            args.curve,
            validation=args.validation,
            initial=options.initial and model_folder(options.initial),
            hard=hard,
        )
        save_weights(model, args.weights)

    pairs = [file for pair in (*args.pairs, *args.validation) for file in pair_files(pair)]
    run_stage(args, work, outputs=[], reads=pairs, writes=[f"{args.weights}.checkpoint.npz"])


if __name__ == "__main__":
    main()
