"""Evaluate trained weights on held-out images beside other methods, and write the model's folder.

How the weights were trained is read from their learning curve; of the options, only those of
evaluation count: tiles, images, bound on false islands, models to compare with.
"""

from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.train import TrainOptions, pair_files


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("weights", "curve"))
    images = (
        "files of scripts/simulate.py, or IMAGE.fits:LABELS.fits[:CLUSTERS] (0 no, 1 diffuse, 255 no data)"
    )
    parser.add_argument("--held-out-pairs", nargs="+", required=True, help=f"to measure on: {images}")
    parser.add_argument(
        "--calibration-pairs", nargs="+", required=True, help="to settle thresholds on: alike"
    )
    parser.add_argument("--weights", required=True, help="weights of scripts/train.py")
    parser.add_argument("--curve", required=True, help="learning curve of scripts/train.py")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--out", required=True, help="folder of the model to write")
    parser.add_argument("--threads", type=whole(1), default=1, help="CPU threads")
    add_options(parser, TrainOptions)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.evaluation import compared_models, evaluate, settled_baselines
        from radiounet.learning.evaluation_report import write_evaluation
        from radiounet.learning.learning_curve import trained_options
        from radiounet.learning.new_model import publish_model
        from radiounet.network.inference import use_threads

        use_threads(args.threads)
        options = trained_options(args.curve, options_from(args, TrainOptions))
        held_out, calibration = args.held_out_pairs, args.calibration_pairs
        made = (args.weights, args.curve, options, args.name, args.out)
        bounds = options.truth_sigma, options.max_false_per_deg2
        others = compared_models(options.compare, held_out, calibration, *bounds)
        scores = [publish_model(held_out, calibration, *made)]
        for method, settled in [*others, *settled_baselines(calibration, *bounds)]:
            scores.append(evaluate(method, held_out, options.truth_sigma, settled))
        write_evaluation(scores, args.out)

    files = ["network.weights.h5", "learning_curve.csv", "metrics.json", "card.yaml"]
    files += ["evaluation.md", "evaluation.png"]
    pairs = [file for pair in (*args.held_out_pairs, *args.calibration_pairs) for file in pair_files(pair)]
    run_stage(args, work, outputs=[], reads=pairs, writes=[f"{args.out}/{file}" for file in files])


if __name__ == "__main__":
    main()
