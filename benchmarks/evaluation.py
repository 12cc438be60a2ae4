"""The shipped models and two ways without learning, measured on held-out simulated images.

Shipped models are judged as they are, with threshold and `p_diffuse` of their card;
the two ways are calibrated on images of their own. A model that saw a held-out image
is refused: give a higher `--first`.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

# the processes of the pool import this file, and need no Keras
from common import print_table
from radiounet.network.model_cards import MODELS
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions
from radiounet.simulation.simulate import write_pair

OPTIONS = TrainOptions()
MIRRORED = "lotss-unet"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="folder of SEED.fits to use instead of simulating them")
    parser.add_argument(
        "--first", type=int, default=OPTIONS.fields, help="lowest seed of calibration (default: %(default)s)"
    )
    return parser.parse_args()


def simulate(folder: Path, seed: int) -> None:
    """Write one pair."""
    write_pair(folder / f"{seed}.fits", SimulateOptions(), seed)


def measure(calibration: list[str], held_out: list[str]) -> list[dict]:
    """Scores of every model and of the ways without learning."""
    from radiounet.learning.evaluation import evaluate, settled_baselines
    from radiounet.learning.learning_curve import require_unseen
    from radiounet.learning.methods import model_method
    from radiounet.network.model_cards import read_card

    folders = [card.parent for card in sorted(MODELS.glob("*/card.yaml"))]
    for folder in folders:
        require_unseen(folder.name, read_card(folder).training, held_out)
    methods = [model_method(folder) for folder in folders]
    methods += [model_method(one, flips=True, note="flips") for one in folders if one.name == MIRRORED]
    methods += settled_baselines(calibration, OPTIONS.truth_snr, OPTIONS.max_false_per_deg2)
    return [evaluate(method, held_out, OPTIONS.truth_snr, settled) for method, settled in methods]


def main() -> None:
    """Simulate, calibrate, evaluate and print the table."""
    args = arguments()
    middle = args.first + OPTIONS.calibrate
    seeds = range(args.first, middle + OPTIONS.held_out)
    with nullcontext(args.pairs) if args.pairs else tempfile.TemporaryDirectory() as folder:
        if not args.pairs:
            with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
                list(pool.map(partial(simulate, Path(folder)), seeds))
        paths = [f"{folder}/{seed}.fits" for seed in seeds]
        scores = measure(paths[: OPTIONS.calibrate], paths[OPTIONS.calibrate :])
    from radiounet.learning.evaluation_report import evaluation_table

    print(f"{scores[0]['images']} held-out images, {scores[0]['area_deg2']:.1f} deg2, default options.\n")
    print_table(*evaluation_table(scores))


if __name__ == "__main__":
    main()
