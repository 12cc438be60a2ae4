"""The shipped models and two ways without learning, measured on held-out simulated fields."""

import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from common import print_table
from radiounet.cards import MODELS
from radiounet.recipe import SimulateOptions, TrainOptions
from radiounet.simulate import write_pair


def simulate(folder: Path, seed: int) -> str:
    """Write one pair and return its path."""
    path = str(folder / f"{seed}.fits")
    write_pair(path, SimulateOptions(), seed)
    return path


def main() -> None:
    """Simulate, calibrate, evaluate and print the table."""
    options = TrainOptions()
    first, last = options.fields, options.fields + options.calibrate + options.held_out
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            paths = list(pool.map(partial(simulate, Path(folder)), range(first, last)))
        # Keras starts threads, which the processes of the pool must not inherit
        from radiounet.evaluation import BASELINES, calibrate, evaluate, model_method
        from radiounet.evaluation_report import evaluation_table

        calibration, held_out = paths[: options.calibrate], paths[options.calibrate :]
        models = [model_method(card.parent) for card in sorted(MODELS.glob("*/card.yaml"))]
        scores = [
            evaluate(method, held_out, options, calibrate(method, calibration, options))
            for method in (*models, *BASELINES)
        ]
    print(f"{len(held_out)} held-out fields, {scores[0]['area_deg2']:.1f} deg2, default options.\n")
    print_table(*evaluation_table(scores))


if __name__ == "__main__":
    main()
