"""Models side by side on the own, the wide and the shifted skies, at the same false islands.

Each model gets threshold and peak on calibration images of all these skies together, whose seeds
are not measured: of the masks with at most one false island per deg2 the one that finds most
objects. ``--settle NAME`` also writes them into that model's card; ``cluster_decision.py`` must then
calibrate its `p_diffuse` anew.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

# the processes of the pool import this file, and need no Keras
from common import print_table
from radiounet.errors import ModelError
from radiounet.images.processes import end_with_parent
from radiounet.learning.score_sets import CALIBRATION, SIMULATED
from radiounet.network.model_cards import model_folder, read_card, write_card
from radiounet.running.parsers import new_parser
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import MEASURED
from radiounet.settings.train import TrainOptions
from radiounet.simulation.simulate import write_pair

if TYPE_CHECKING:
    from radiounet.learning.methods import Calibration

FALSE_PER_DEG2 = 1.0
ROWS = {
    "threshold, peak": lambda s: f"{s['threshold']:g}, {s['peak'] or s['threshold']:g}",
    "Dice (best of all thresholds)": lambda s: f"{s['pixels']['dice']:.3f} ({s['pixels']['best_dice']:.3f})",
    "average precision": lambda s: f"{s['pixels']['average_precision']:.3f}",
    "diffuse part of the pixels with p of 0 to 0.1, 0.1 to 0.2, ...": lambda s: ", ".join(
        f"{float('nan') if one['fraction'] is None else one['fraction']:.2f}"
        for one in s["pixels"]["reliability"]
    ),
    "objects found": lambda s: _share(s["objects"]["all"]),
    "false islands, 1/deg2": lambda s: f"{s['false_islands']['per_deg2']:.2f}",
    "cluster ROC-AUC": lambda s: f"{s['clusters'].get('roc_auc') or float('nan'):.3f}",
}


def _share(block: dict) -> str:
    return f"{block['found']} of {block['count']}"


def sky_of(path: str) -> str:
    """Sky of an image that `simulate` wrote."""
    return Path(path).stem.split("-")[0]


def simulate(folder: Path, item: tuple[str, int]) -> str:
    """Write one pair of a sky where it is not there yet."""
    sky, seed = item
    path = folder / f"{sky}-{seed}.fits"
    if not path.exists():
        write_pair(path, read_sky(sky), seed)
    return str(path)


def main() -> None:
    """Simulate, calibrate, evaluate and print a table per sky."""
    parser = new_parser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["lotss-pair", "lotss-classes", "lotss-unet"])
    parser.add_argument("--held-out", type=int, default=16, help="images of each sky")
    parser.add_argument("--calibration", type=int, default=16, help="images of each sky")
    parser.add_argument("--pairs", type=Path, help="folder to keep the images in")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--settle", help="model whose card gets threshold and peak")
    args = parser.parse_args()
    if args.settle and args.settle not in args.models:
        parser.error(f"--settle {args.settle} is none of {args.models}")
    try:
        for name in args.models:  # before the images are simulated
            read_card(model_folder(name))
    except ModelError as error:
        parser.error(str(error))
    settling = [(sky, CALIBRATION + n) for sky in SIMULATED for n in range(args.calibration)]
    wanted = settling + [(sky, MEASURED + n) for sky in SIMULATED for n in range(args.held_out)]
    with nullcontext(args.pairs) if args.pairs else tempfile.TemporaryDirectory() as folder:
        Path(folder).mkdir(exist_ok=True)
        with ProcessPoolExecutor(args.workers, get_context("spawn"), end_with_parent) as pool:
            paths = list(pool.map(partial(simulate, Path(folder)), wanted))
        measure(args, paths[: len(settling)], paths[len(settling) :])


def measure(args: argparse.Namespace, calibration: list[str], held_out: list[str]) -> None:
    """Calibrate and evaluate every model."""
    from radiounet.learning.evaluation import calibrate, evaluate
    from radiounet.learning.methods import model_method

    truth_snr = TrainOptions().truth_snr
    columns: dict[str, dict[str, dict]] = {}
    for name in args.models:
        method, _ = model_method(model_folder(name))
        settled = calibrate(method, calibration, truth_snr, FALSE_PER_DEG2)
        columns[name] = {
            sky: evaluate(
                method,
                [one for one in held_out if Path(one).name.startswith(f"{sky}-")],
                truth_snr,
                settled,
            )
            for sky in SIMULATED
        }
        if name == args.settle:
            settle(name, settled, args.calibration)
    for sky in SIMULATED:
        images = columns[args.models[0]][sky]
        print(f"\n{sky}: {images['images']} images, {images['area_deg2']:.1f} deg2\n")
        rows = [[row, *(text(columns[name][sky]) for name in args.models)] for row, text in ROWS.items()]
        print_table(["", *args.models], rows)


def settle(name: str, settled: "Calibration", images: int) -> None:
    """Write threshold and peak into a model's card, and the images that they were set on."""
    card = read_card(model_folder(name))
    made = {
        "number": images * len(SIMULATED),
        "skies": list(SIMULATED),
        "set": "; ".join(f"base seed {read_sky(sky).seed}" for sky in SIMULATED),
        "seeds": [CALIBRATION, CALIBRATION + images - 1],
    }
    change = {
        "threshold": settled.threshold,
        "peak": settled.peak,
        "training": card.training | {"calibration": made},
    }
    write_card(model_folder(name), card.model_copy(update=change))


if __name__ == "__main__":
    main()
