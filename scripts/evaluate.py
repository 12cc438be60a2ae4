"""Evaluate trained weights on held-out images beside other methods, and write the model's folder.

How the weights were trained is read from their learning curve; of section train, only what concerns
evaluation counts: tiles, images, bound on false islands, models to compare with.
"""

from radiounet.images.products import model_files
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.command_line import add_settings
from radiounet.settings.train import pair_files


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
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.runs import run_evaluation

        images = args.held_out_pairs, args.calibration_pairs
        made = args.weights, args.curve, args.name, args.out
        run_evaluation(*images, args.settings.train, *made, args.threads)

    pairs = [file for pair in (*args.held_out_pairs, *args.calibration_pairs) for file in pair_files(pair)]
    run_stage(args, work, outputs=[], reads=pairs, writes=model_files(args.out))


if __name__ == "__main__":
    main()
