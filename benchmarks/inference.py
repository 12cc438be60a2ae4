"""The engine beside plain Keras and the machine's matrix product; mode fast beside mode exact.

Speed is that of the published network at its full widths, with random weights. Then the
shipped models segment simulated mosaics in both modes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import ROOT, print_table, run
from radiounet.recipe import SimulateOptions
from radiounet.simulate import write_pair

REPEATS = 5
BATCHES = (8, 16, 32)
WINDOW_PX = 1600  # of a DR3 mosaic of 5,916 px
MOSAICS, MOSAIC_PX, FIRST_SEED = 4, 2400, 5000


def best(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest of some calls, after one that warms up, s."""
    call()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def sgemm_rate() -> float:
    """Matrix product of 4096 x 4096 float32, operations per second."""
    import tensorflow as tf

    side = 4096
    one = tf.random.normal((side, side), seed=1)
    return 2 * side**3 / best(lambda: tf.matmul(one, one).numpy())


def operations(function) -> int:
    """Floating-point operations of the convolutions of a concrete function."""
    total = 0
    for operation in function.graph.get_operations():
        if operation.type == "Conv2D":
            (height, width, channels, _), output = operation.inputs[1].shape, operation.outputs[0].shape
            total += 2 * height * width * channels * int(np.prod(output))
    return total


def speed() -> None:
    """Print the rates of plain Keras and of the engine."""
    import keras

    from radiounet.engine import Engine
    from radiounet.inference import devices, use_threads
    from radiounet.network import published_unet

    use_threads(len(os.sched_getaffinity(0)))
    keras.utils.set_random_seed(1)
    model = published_unet(192)
    rng = np.random.default_rng(1)
    peak = sgemm_rate()
    rows, plain = [], 0.0
    for batch in BATCHES:
        tiles = rng.random((batch, 192, 192, 1), np.float32)
        rate = batch * 96**2 / best(lambda tiles=tiles: model.predict_on_batch(tiles))
        plain = max(plain, rate)
        rows.append([f"Keras predict, tiles, batch {batch}", rate, ""])
    for batch, tile, core, precision in (
        *((batch, 192, (48, 144), "float32") for batch in BATCHES),
        (1, WINDOW_PX, (48, WINDOW_PX - 48), "float32"),
        (16, 192, (48, 144), "bfloat16"),
        (1, WINDOW_PX, (48, WINDOW_PX - 48), "bfloat16"),
    ):
        engine = Engine(model, "published_unet", tile, core, batch, precision)
        tiles = rng.random((batch, tile, tile, 1), np.float32)
        seconds = best(lambda engine=engine, tiles=tiles: engine(tiles))
        share = operations(engine._run) / seconds / peak if precision == "float32" else None
        name = "fast, windows of 1,600 px" if tile == WINDOW_PX else f"exact, tiles, batch {batch}"
        rate = batch * (core[1] - core[0]) ** 2 / seconds
        rows.append([f"engine, {name}, {precision}", rate, f"{share:.2f}" if share else ""])
    print(f"The published network (12.4 M) on {devices()}; matrix product {peak / 1e9:.0f} GFLOP/s:\n")
    print_table(
        [
            "what",
            "kept kpx/s",
            "against plain Keras at its best batch",
            "its operations against the matrix product",
        ],
        [[name, f"{rate / 1e3:.0f}", f"{rate / plain:.2f}", share] for name, rate, share in rows],
    )


def segment(image: Path, clusters: Path, model: str, mode: str, out: Path) -> float:
    """Segment one image in a process of its own; s."""
    command = [sys.executable, str(ROOT / "scripts" / "segment.py"), str(image), "--clusters", str(clusters)]
    return run([*command, "--model", model, "--mode", mode, "--out", str(out)]).seconds


def write_mosaic(folder: Path, seed: int) -> tuple[Path, Path]:
    """A simulated mosaic as an image with a table of its clusters."""
    from astropy.io import fits
    from astropy.table import Table

    from radiounet.image import grid_wcs

    path = folder / f"{seed}.pair.fits"
    write_pair(path, SimulateOptions(n_px=MOSAIC_PX, coarse_fraction=0.0), seed)
    wcs = grid_wcs(150.0, 35.0, MOSAIC_PX, 4.5)
    header = wcs.to_header()
    header.update(BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    image, table = folder / f"{seed}.fits", folder / f"{seed}.ecsv"
    with fits.open(path) as pair:
        fits.PrimaryHDU(pair[0].data, header).writeto(image)
        clusters = Table(pair["CLUSTERS"].data)
    ra, dec = wcs.wcs_pix2world(clusters["x_px"], clusters["y_px"], 0)
    names = [f"C{n}" for n in range(len(clusters))]
    columns = {"name": names, "ra": ra, "dec": dec, "z": [0.2] * len(names), "R500": clusters["r500_arcmin"]}
    written = Table(columns)
    for name, unit in (("ra", "deg"), ("dec", "deg"), ("R500", "arcmin")):
        written[name].unit = unit
    written.write(table)
    return image, table


def modes() -> None:
    """Print how mode fast differs from mode exact with the shipped models."""
    from astropy.io import fits
    from astropy.table import Table

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        mosaics = [write_mosaic(folder, FIRST_SEED + n) for n in range(MOSAICS)]
        for model in ("lotss-unet", "published-unet"):
            both, either, largest, decisions, same, seconds = 0, 0, 0.0, 0, 0, {"exact": 0.0, "fast": 0.0}
            for n, (image, clusters) in enumerate(mosaics):
                outs = {mode: folder / f"{model}-{mode}-{n}" for mode in seconds}
                for mode, out in outs.items():
                    seconds[mode] += segment(image, clusters, model, mode, out)
                exact, fast = (fits.getdata(out / "mask.fits") == 1 for out in outs.values())
                both, either = both + (exact & fast).sum(), either + (exact | fast).sum()
                maps = [fits.getdata(out / "probability.fits") for out in outs.values()]
                largest = max(largest, float(np.nanmax(np.abs(maps[0] - maps[1]))))
                tables = [Table.read(out / "clusters.ecsv")["p_diffuse"] for out in outs.values()]
                told = [np.ma.filled(np.ma.asarray(one, float), np.nan) for one in tables]
                known = np.isfinite(told[0]) & np.isfinite(told[1])
                decisions += known.sum()
                same += ((told[0] >= 0.5) == (told[1] >= 0.5))[known].sum()
            rows.append(
                [
                    model,
                    f"{both / max(either, 1):.4f}",
                    f"{largest:.3f}",
                    f"{same} of {decisions}",
                    f"{seconds['exact'] / MOSAICS:.1f}",
                    f"{seconds['fast'] / MOSAICS:.1f}",
                ]
            )
    print(f"\nMode fast against exact, {MOSAICS} simulated mosaics of {MOSAIC_PX} px, whole processes:\n")
    heads = [
        "model",
        "IoU of the masks",
        "largest difference of p",
        "cluster decisions alike",
        "exact, s",
        "fast, s",
    ]
    print_table(heads, rows)


def main() -> None:
    """Print both tables, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("speed", "modes"))
    only = parser.parse_args().only
    if only != "modes":
        speed()
    if only != "speed":
        modes()


if __name__ == "__main__":
    main()
