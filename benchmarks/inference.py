"""The engine beside plain Keras and the machine's matrix product.

The network is the published one at its full widths, with random weights.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from common import print_table
from radiounet.network.architectures.registry import Precision, Span

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction

REPEATS = 5
BATCHES = (8, 16, 32)
WINDOW_PX = 1600  # as wide as the tiles of `class_unet`


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


def operations(function: "ConcreteFunction") -> int:
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

    from radiounet.network.architectures.published_unet import published_unet
    from radiounet.network.devices import devices, use_threads
    from radiounet.network.engine import Engine

    use_threads(len(os.sched_getaffinity(0)))
    keras.utils.set_random_seed(1)
    model = published_unet(192)
    rng = np.random.default_rng(1)
    peak = sgemm_rate()
    rows: list[tuple[str, float, str]] = []
    plain = 0.0
    for batch in BATCHES:
        tiles = rng.random((batch, 192, 192, 1), np.float32)
        rate = batch * 96**2 / best(partial(model.predict_on_batch, tiles))
        plain = max(plain, rate)
        rows.append((f"Keras predict, tiles, batch {batch}", rate, ""))
    runs: tuple[tuple[int, int, Span, Precision], ...] = (
        *((batch, 192, (48, 144), "float32") for batch in BATCHES),
        (1, WINDOW_PX, (48, WINDOW_PX - 48), "float32"),
        (16, 192, (48, 144), "bfloat16"),
        (1, WINDOW_PX, (48, WINDOW_PX - 48), "bfloat16"),
    )
    for batch, tile, core, precision in runs:
        engine = Engine(model, "published_unet", tile, core, batch, precision)
        tiles = rng.random((batch, tile, tile, 1), np.float32)
        seconds = best(partial(engine, tiles))
        share = operations(engine._run) / seconds / peak if precision == "float32" else None
        name = "one tile of 1,600 px" if tile == WINDOW_PX else f"tiles of 192 px, batch {batch}"
        rate = batch * (core[1] - core[0]) ** 2 / seconds
        rows.append((f"engine, {name}, {precision}", rate, f"{share:.2f}" if share else ""))
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


if __name__ == "__main__":
    speed()
