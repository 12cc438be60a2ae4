"""Ten minutes of a GPU: simulate on its cores while it trains; see ``docs/method/class_network.md``.

``--initial`` begins a session of its own from averaged weights: the learning rate rises, stays and falls to
0 again. Of the session before, two things are kept: the averaged weights, in the half precision of their
file, and the seed of the first field that those weights have not seen. The optimiser's moments, the weights
before averaging and the fields on the GPU are not.

Needs PyTorch, NumPy, SciPy, numba, astropy, h5py, PyYAML and pydantic, no Keras. Rehearse on a CPU: ``python
benchmarks/gpu.py --minutes 1 --workers 1 --first 4 --batch 4 --crop 128 --held-out 2 --pool 32``.
"""

import csv
import logging
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

import common  # noqa: F401
from radiounet.learning.deepening import deepened
from radiounet.learning.samples import Sample, be_nice, make_sample
from radiounet.learning.torch_training import GpuPool, GpuTraining, loop
from radiounet.network.architectures.class_unet_torch import ClassUnet
from radiounet.network.model_cards import read_named_weights
from radiounet.running.parsers import new_parser
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, SKIES, keep_off_held_out
from radiounet.simulation.simulate import CLASSES


def ready(executor: ProcessPoolExecutor, name: str, first: int, ahead: int) -> Iterator[Sample | None]:
    """Yield samples in order as they are done, and None where the next is not.

    Raises
    ------
    ValueError
        The next one is held out.
    """
    make, number = partial(make_sample, read_sky(name)), first
    waiting: deque[Future] = deque()
    while True:
        while len(waiting) < ahead:
            keep_off_held_out(number, 1)
            waiting.append(executor.submit(make, number))
            number += 1
        yield waiting.popleft().result() if waiting[0].done() else None


def seed_after(weights: Path) -> int | None:
    """Seed of the first field that averaged weights have not seen; None where no curve beside them tells."""
    curve = weights.with_name("curve.csv")
    rows = list(csv.DictReader(curve.read_text().splitlines())) if curve.is_file() else []
    return int(rows[-1]["next_seed"]) if rows and "next_seed" in rows[-1] else None


def main() -> None:
    """Train for some minutes; write averaged weights, curve and log."""
    started = time.monotonic()
    parser = new_parser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    parser.add_argument(
        "--initial", type=Path, help="averaged weights to begin with, no more is kept of their training"
    )
    parser.add_argument(
        "--minutes", type=float, default=9.2, help="in all, simulation of the first samples included"
    )
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--first", type=int, default=400, help="samples before the first step")
    parser.add_argument(
        "--first-seed",
        type=int,
        help="seed of the first field (default: the next by curve.csv beside --initial, 0 without --initial)",
    )
    parser.add_argument("--pool", type=int, default=12000)
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--crop", type=int, default=384)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128, 192, 256, 256])
    args = parser.parse_args()
    if args.first_seed is None:
        args.first_seed = seed_after(args.initial) if args.initial else 0
    if args.first_seed is None:
        parser.error(f"no curve.csv beside {args.initial} tells the next seed: give --first-seed")
    args.out.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.StreamHandler(sys.stdout),
        logging.FileHandler(args.out / "log"),
    ]
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s", handlers=handlers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with ProcessPoolExecutor(args.workers, get_context("spawn"), initializer=be_nice) as executor:
        skies = {
            name: list(
                executor.map(partial(make_sample, read_sky(name)), range(HELD_OUT, HELD_OUT + args.held_out))
            )
            for name in SKIES
        }
        n_px = skies["wide"][0].plane.shape[0]
        model = ClassUnet(args.widths, len(CLASSES))
        if args.initial:
            model.set_named_weights(deepened(read_named_weights(args.initial), model.named_weights()))
        training = GpuTraining(
            model,
            GpuPool(args.pool, n_px, device),
            device,
            args.batch,
            args.crop,
            args.learning_rate,
            first_seed=args.first_seed,
        )
        spent = time.monotonic() - started
        logging.info("%s, held-out skies after %.0f s, first seed %d", device, spent, args.first_seed)
        left = 60 * args.minutes - (time.monotonic() - started)
        source = ready(executor, "wide", args.first_seed, 6 * args.workers)
        loop(training, source, skies, args.first, left, args.out)
        # samples under way are waited for: no process is left behind
        executor.shutdown(cancel_futures=True)
        logging.info("done after %.0f s", time.monotonic() - started)


if __name__ == "__main__":
    main()
