"""Evaluate trained weights on held-out images beside other methods, and write the model's folder.

How the weights were trained is read from their learning curve; of section train, only what concerns
evaluation counts: tiles, images, bound on false islands, models to compare with.
"""

from radiounet.images.model_files import model_files
from radiounet.running.arguments import add_evaluation_arguments
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.command_line import add_settings
from radiounet.settings.train import pair_files


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("weights", "curve"))
    add_evaluation_arguments(parser)
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        from radiounet.learning.runs import run_evaluation

        images = args.held_out_pairs, args.calibration_pairs
        made = args.weights, args.curve, args.settings.segmentation.model, args.out
        run_evaluation(*images, args.settings.train, *made, args.threads)

    pairs = [file for pair in (*args.held_out_pairs, *args.calibration_pairs) for file in pair_files(pair)]
    run_stage(args, work, reads=pairs, writes=model_files(args.out))


if __name__ == "__main__":
    main()
