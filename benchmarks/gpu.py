"""Ten minutes of a GPU: simulate on its cores while it trains.

``fill``: simulate samples, run all designs one after the other (each compiles while the one
before trains), and go on simulating meanwhile. ``leg``: train one design, from its checkpoint
where there is one.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import common  # noqa: F401
from radiounet.samples import be_nice, cached_sample

HERE = Path(__file__).resolve().parent
PART_BYTES = 15 * 2**20
"""Weights are given in parts of this size: what may be transferred has a limit."""


def keep(folder: Path, options, number: int) -> int:
    """Simulate a sample onto the disk."""
    cached_sample(folder, options, number)
    return number


def fill(args: argparse.Namespace) -> None:
    """Simulate, and try all designs."""
    from designs import DESIGNS, HELD_OUT, SKIES, sky

    started = time.monotonic()
    for name in SKIES:
        (args.cache / name).mkdir(parents=True, exist_ok=True)
    simulators = ProcessPoolExecutor(args.workers, get_context("spawn"), initializer=be_nice)
    held = [
        simulators.submit(keep, args.cache / name, sky(name), HELD_OUT + n)
        for name in SKIES
        for n in range(args.held_out)
    ]
    training = [
        simulators.submit(keep, args.cache / "wide", sky("wide"), n) for n in range(args.most_samples)
    ]
    for one in [*held, *training[: args.samples]]:
        one.result()
    log(f"{len(held)} + {args.samples} samples after {time.monotonic() - started:.0f} s")
    chosen = [(n, 1) for n in range(len(DESIGNS))] + [(0, 2), (0, 3)]
    if args.designs:
        chosen = [(n, 1) for n in args.designs]

    def one(item: tuple[int, int]) -> str:
        if time.monotonic() - started > args.seconds_in_all:
            return ""
        design, seed = item
        command = [sys.executable, str(HERE / "designs.py"), str(design), "--seed", str(seed)]
        for key in ("seconds", "samples", "held-out", "batch", "crop", "cache"):
            command += [f"--{key}", str(getattr(args, key.replace("-", "_")))]
        environment = {**os.environ, "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.3"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        line = done.stdout.strip().splitlines()[-1] if done.returncode == 0 else ""
        log(line or f"{DESIGNS[design].name}: {done.stderr[-1500:]}")
        return line

    with ThreadPoolExecutor(args.at_once) as threads:
        rows = [line for line in threads.map(one, chosen) if line]
    if args.out:
        (args.out / "designs.jsonl").write_text("\n".join(rows) + "\n")
    simulators.shutdown(wait=False, cancel_futures=True)
    count = len(list((args.cache / "wide").glob("*.npz")))
    log(f"{count} samples on disk after {time.monotonic() - started:.0f} s")
    os._exit(0)


def leg(args: argparse.Namespace) -> None:
    """Train one design and measure it now and then."""
    from designs import DESIGNS, HELD_OUT, SKIES, sky
    from radiounet.legs import Leg, LegOptions, Scoreboard, Supply

    design, wide = DESIGNS[args.designs[0]], sky("wide")
    if args.network:
        design = type(design)("as given", json.loads(args.network))
    given = json.loads(args.options) if args.options else {}
    options = LegOptions(**{"batch": args.batch, "crop_px": args.crop, "first": args.samples} | given)
    skies = {
        name: [cached_sample(args.cache / name, sky(name), HELD_OUT + n) for n in range(args.held_out)]
        for name in SKIES
    }
    training = Leg(design.builder(), options, args.folder)
    board = Scoreboard(design.builder(), skies, 4)
    supply = Supply(wide, args.cache / "wide", args.workers)
    training.run(supply, wide.n_px, args.minutes, board, args.minutes / 6)
    supply.close()
    if args.out:
        shutil.copy(args.folder / "curve.csv", args.out)
        content = (args.folder / "weights.npz").read_bytes()
        for number, first in enumerate(range(0, len(content), PART_BYTES)):
            (args.out / f"weights.npz.{number}").write_bytes(content[first : first + PART_BYTES])
    os._exit(0)


def log(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("fill", "leg"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--samples", type=int, default=1200)
    parser.add_argument("--most-samples", type=int, default=12000)
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--designs", type=int, nargs="*", default=[])
    parser.add_argument("--network", help="of a leg: arguments of the network, JSON")
    parser.add_argument("--options", help="of a leg: its options, JSON")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seconds-in-all", type=float, default=520)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/leg"))
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
    {"fill": fill, "leg": leg}[args.what](args)


if __name__ == "__main__":
    main()
