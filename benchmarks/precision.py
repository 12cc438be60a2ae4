"""What bfloat16 changes and saves: masks and probabilities beside those of float32, and the time of a tile.

Images of every sky; the threshold of the masks is that of the card.
"""

import statistics
import time

import numpy as np

from catalogue import segment, simulated
from common import print_table
from radiounet.network.devices import use_threads
from radiounet.network.inference import Predictor, open_model
from radiounet.network.model_cards import model_folder
from radiounet.running.parsers import new_parser
from radiounet.settings.simulate import SKIES

REPEATS = 5


def seconds_of_a_tile(predictor: Predictor, tile_px: int, core_px: int) -> float:
    """Median of `REPEATS`, after a first tile that compiles."""
    noise = np.arcsinh(np.random.default_rng(1).normal(size=(core_px, core_px))).astype(np.float32)
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        predictor.plane(noise, tile_px, core_px)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    """Predict images of every sky in both precisions, and print a row for each sky."""
    parser = new_parser(description=__doc__)
    parser.add_argument("model", nargs="?", default="lotss-pair", help="name or folder of a model")
    parser.add_argument("--images", type=int, default=4, help="of each sky")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    use_threads(args.threads)
    plain, card = open_model(model_folder(args.model), precision="float32")
    short, _ = open_model(model_folder(args.model), precision="bfloat16")
    rows = []
    for sky in ("own", *SKIES):
        shared = either = islands = alone = 0
        largest, bias = 0.0, list[float]()
        for image in simulated(sky, args.images):
            one, other = (segment(image.plane, predictor, card) for predictor in (plain, short))
            shared += int(((one.mask == 1) & (other.mask == 1)).sum())
            either += int(((one.mask == 1) | (other.mask == 1)).sum())
            for mine, its in ((one, other), (other, one)):
                labels, _ = mine.islands
                found = np.unique(labels[labels > 0])
                islands += len(found)
                alone += len(found) - len(np.unique(labels[(labels > 0) & (its.mask == 1)]))
            change = other.probability - one.probability
            largest, bias = max(largest, float(np.nanmax(np.abs(change)))), [*bias, float(np.nanmean(change))]
        rows.append(
            [
                sky,
                f"{shared / max(either, 1):.4f}",
                f"{alone} of {islands}",
                f"{largest:.4f}",
                f"{np.mean(bias):.5f}",
            ]
        )
    print(f"{card.name}, {args.images} images of each sky, {args.threads} threads\n")
    print_table(
        [
            "sky",
            "IoU of the masks",
            "islands in one mask only, of all islands in both",
            "largest difference of p",
            "mean difference",
        ],
        rows,
    )
    times = [seconds_of_a_tile(predictor, card.tile_px, card.core_px) for predictor in (plain, short)]
    print(
        f"\nA tile of {card.tile_px} px takes {times[0]:.2f} s in float32 and {times[1]:.2f} s in bfloat16."
    )


if __name__ == "__main__":
    main()
