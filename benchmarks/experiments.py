"""Experiments on network, loss and sampling: same data, same budget, three seeds each.

Every row but the published architecture is the shipped design with what its name says
changed. Networks are built here, so that what did not pay need not stay in the library.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from common import print_table
from radiounet.products import write_json

TRAINING, TESTING = 96, 16
BUDGET = {"crop_px": 256, "tile_px": 512, "core_px": 384, "batch": 8, "steps": 300, "buffer": 32}
WIDTHS = [32, 64, 128, 192, 192]


@dataclass(frozen=True)
class Experiment:
    """What differs from the shipped design: options of training, and of the network."""

    name: str
    options: dict = field(default_factory=dict)
    network: dict = field(default_factory=dict)
    averaged: bool = True
    flips: bool = False


PLAIN = {"diffuse_scale": (1.0, 1.0), "added_noise_sigma": (0.0, 0.0)}
EXPERIMENTS = (
    Experiment("shipped design"),
    Experiment("without faint-light pyramid", network={"faint": False}),
    Experiment("means over 60 and 120 arcsec instead", network={"faint": False, "smoothed": True}),
    Experiment("with compact sources removed as a channel", network={"opened": True}),
    Experiment("log10 input, no pyramid", {"normalisation": "log10"}, {"faint": False}),
    Experiment(
        "published architecture, half widths, log10 input",
        {
            "architecture": "published_unet",
            "widths": [16, 32, 64, 128, 256],
            "normalisation": "log10",
            # at that of the others it learns nothing
            "learning_rate": 5e-4,
        },
    ),
    Experiment("without skip connections", network={"skips": False}),
    Experiment("finest level at stride 2", {"widths": [16, 32, 64, 128, 192, 192]}, {"stem": 1}),
    Experiment("one level less", {"widths": [32, 64, 128, 192]}),
    Experiment("half the widths", {"widths": [16, 32, 64, 96, 96]}),
    Experiment("bottom dilated 2 and 4", network={"dilation": (2, 4)}),
    Experiment("attention at the bottom", network={"attention": True}),
    Experiment("deep supervision: the loss at every level too", network={"deep": True}),
    Experiment("cross-entropy", {"loss": "cross_entropy"}),
    Experiment("focal loss", {"loss": "focal"}),
    Experiment("crops anywhere", {"target_fraction": 0.0}),
    Experiment("hard negatives of the shipped model", {"hard_from": "lotss-unet"}),
    Experiment("no scaled emission, no added noise", PLAIN),
    Experiment("no average of the weights", averaged=False),
    Experiment("mean of four mirrored predictions", flips=True),
)


def build(
    tile_px: int,
    widths: list[int],
    stem: int = 2,
    faint: bool = True,
    opened: bool = False,
    smoothed: bool = False,
    skips: bool = True,
    dilation: tuple[int, ...] = (1, 1),
    attention: bool = False,
    deep: bool = False,
) -> Callable:
    """Build `radiounet.network.lotss_unet` with parts left out, added or changed."""
    import keras
    from keras import layers, ops

    def twice(x, width, rates=(1, 1)):
        for rate in rates:
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, dilation_rate=rate)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    def pooled(plane, size):
        return layers.AveragePooling2D(size, dtype="float32")(plane)

    inputs = keras.Input((tile_px, tile_px, 1))
    limit = float(np.arcsinh(3))
    light = ops.sinh(ops.clip(ops.cast(inputs, "float32"), -limit, limit))
    if opened:
        # a grey opening of the beam-smoothed plane keeps what is wider than two beams
        smooth = layers.AveragePooling2D(5, 1, padding="same", dtype="float32")(inputs)
        low = -layers.MaxPooling2D(9, 1, padding="same", dtype="float32")(-smooth)
        wide = layers.MaxPooling2D(9, 1, padding="same", dtype="float32")(low)
        light = layers.Concatenate(dtype="float32")([light, wide])
    x = inputs
    if smoothed:
        # 13 and 27 px of 4.5"
        wide = [layers.AveragePooling2D(one, 1, padding="same", dtype="float32")(light) for one in (13, 27)]
        x = layers.Concatenate(dtype="float32")([x, *wide])
    light = pooled(light, 2**stem)
    for number, width in enumerate([widths[0] // 2, widths[0]][-stem:]):
        x = layers.Conv2D(width, 3 if number else 5, strides=2, padding="same", activation="relu")(x)
    kept = []
    for level, width in enumerate(widths):
        if level:
            kept.append(x)
            x, light = layers.MaxPooling2D(2)(x), pooled(light, 2)
            if faint and level + stem > 2:
                x = layers.Concatenate()([x, light])
        x = twice(x, width, dilation if level == len(widths) - 1 else (1, 1))
    if attention:
        side = tile_px // 2 ** (stem + len(widths) - 1)
        tokens = layers.LayerNormalization()(layers.Reshape((side * side, widths[-1]))(x))
        mixed = layers.MultiHeadAttention(4, widths[-1] // 4)(tokens, tokens)
        x = layers.Add()([x, layers.Reshape((side, side, widths[-1]))(mixed)])
    deeper = []
    for width, skip in zip(reversed(widths[:-1]), reversed(kept), strict=True):
        deeper.append(x)
        x = layers.UpSampling2D(2)(x)
        x = twice(layers.Concatenate()([x, skip]) if skips else x, width)

    def classes(x, factor):
        logits = layers.Conv2D(2, 1, dtype="float32")(x)
        logits = layers.UpSampling2D(factor, interpolation="bilinear", dtype="float32")(logits)
        return layers.Softmax(dtype="float32")(logits)

    outputs = classes(x, 2**stem)
    if deep:
        more = [
            classes(one, 2 ** (stem + n)) for n, one in zip(range(len(deeper), 0, -1), deeper, strict=True)
        ]
        outputs = layers.Concatenate(dtype="float32")([outputs, *more])
    return keras.Model(inputs, outputs)


class Plain:
    """Predicts with any network; `radiounet.inference.Predictor` knows only the shipped ones."""

    def __init__(self, model) -> None:
        self._model = model

    def plane(self, plane: np.ndarray, tile_px: int, core_px: int) -> np.ndarray:
        """Probability of a plane, in the tiles of mode ``exact``."""
        from radiounet.tiling import layout, stitch

        where = layout(plane.shape, tile_px, core_px, "exact")
        padded = np.pad(plane, [(0, n - m) for n, m in zip(where.padded, plane.shape, strict=True)])
        starts = where.starts()
        cores = []
        for (y, x), (v, u) in zip(*where.origins(starts), strict=True):
            tile = padded[None, y : y + tile_px, x : x + tile_px, None]
            cores.append(self._model.predict_on_batch(tile)[0, v : v + core_px, u : u + core_px, 1])
        return stitch(np.stack(cores), starts, where)


def _at_every_level(loss: Callable, truth, prediction):
    """Loss of the network's output, and half the mean loss of those of its deeper levels."""
    deeper = range(2, prediction.shape[-1], 2)
    extra = sum(loss(truth, prediction[..., n : n + 2]) for n in deeper) / len(deeper)
    return loss(truth, prediction) + 0.5 * extra


def _without_average(make: Callable, options):
    optimizer = make(options)
    optimizer.use_ema = False
    return optimizer


def run_one(task: tuple[Experiment, int, str, str, int]) -> dict[str, float]:
    """Train and score one experiment with one seed, on one core."""
    one, seed, folder, precision, steps = task
    os.environ["OMP_NUM_THREADS"] = "1"
    from radiounet import network, training
    from radiounet.cards import model_folder
    from radiounet.evaluation import network_method
    from radiounet.inference import use_threads
    from radiounet.pairs import BEAM_ARCSEC, NORMALISATIONS, PIXEL_ARCSEC, read_pair
    from radiounet.recipe import TrainOptions
    from radiounet.scores import PixelCounts

    use_threads(1)
    if one.network:
        network.ARCHITECTURES["lotss_unet"] = lambda tile_px, widths: build(tile_px, widths, **one.network)
    if one.network.get("deep"):
        training.LOSSES = {name: partial(_at_every_level, loss) for name, loss in training.LOSSES.items()}
    if not one.averaged:
        training._optimizer = partial(_without_average, training._optimizer)
    options = TrainOptions(
        **{"widths": WIDTHS, "seed": seed, "precision": precision, **BUDGET, "steps": steps, **one.options}
    )
    pairs = [f"{folder}/{n}.fits" for n in range(TRAINING)]
    with tempfile.TemporaryDirectory() as scratch:
        hard = options.hard_from and training.hard_negatives(
            model_folder(options.hard_from), pairs, options, f"{folder}/experiments"
        )
        started = time.monotonic()
        model = training.train(pairs, options, f"{scratch}/checkpoint.npz", f"{scratch}/curve.csv", hard=hard)
        seconds = time.monotonic() - started
    normalisation = NORMALISATIONS[options.normalisation]
    sides = options.tile_px, options.core_px
    method = network_method(one.name, Plain(model), normalisation, *sides, flips=one.flips)
    counts = PixelCounts()
    for n in range(TRAINING, TRAINING + TESTING):
        pair = read_pair(f"{folder}/{n}.fits", options.truth_sigma)
        classes = pair.classes()
        known = classes >= 0
        probability = method.score(pair.image, pair.rms, PIXEL_ARCSEC, BEAM_ARCSEC)
        counts.add(probability[known], classes[known] == 1)
    return {
        "dice": float(counts.dice().max()),
        "ap": float(counts.average_precision()),
        "seconds": seconds,
        "parameters": model.count_params(),
    }


def identity(folder: str) -> str:
    """Hash of the pairs and of the code that trains on them."""
    from radiounet.pairs import check_pairs
    from radiounet.products import code_hash

    pairs = [f"{folder}/{n}.fits" for n in range(TRAINING + TESTING)]
    return f"{check_pairs(pairs, BUDGET['crop_px'])[:12]} {code_hash('train')}"


def _key(one: Experiment, seed: int, made_from: str, precision: str) -> str:
    what = [one.name, one.options, one.network, one.averaged, one.flips]
    return json.dumps([*what, BUDGET, TRAINING, TESTING, made_from, precision, seed])


def main() -> None:
    """Run all experiments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", required=True, help="folder with 0.fits, 1.fits, ... of scripts/simulate.py"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", default="experiments.json", help="results so far; what is there is not run again"
    )
    parser.add_argument("--only", nargs="*", help="names of experiments")
    parser.add_argument("--steps", type=int, default=BUDGET["steps"], help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one core each")
    parser.add_argument("--precision", default="mixed_bfloat16")
    args = parser.parse_args()
    BUDGET["steps"] = args.steps
    results = json.loads(Path(args.out).read_text()) if Path(args.out).exists() else {}
    chosen = [one for one in EXPERIMENTS if not args.only or one.name in args.only]
    tasks = [
        (one, seed, args.pairs, args.precision, args.steps) for seed in range(args.seeds) for one in chosen
    ]
    made_from = identity(args.pairs)
    keys = [_key(one, seed, made_from, args.precision) for one, seed, *_ in tasks]
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in results}
    # a process of its own for each: TensorFlow takes its threads once
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for key, result in zip(missing, pool.map(run_one, missing.values()), strict=True):
            results[key] = result
            write_json(args.out, results)
    rows = []
    for one in chosen:
        runs = [results[_key(one, seed, made_from, args.precision)] for seed in range(args.seeds)]
        row = [one.name, runs[0]["parameters"]]
        for key in ("dice", "ap"):
            values = [run[key] for run in runs]
            row.append(f"{np.mean(values):.3f} +- {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}")
        rows.append([*row, f"{np.median([run['seconds'] for run in runs]):.0f}"])
    print_table(["experiment", "parameters", "best Dice", "average precision", "training, s"], rows)


if __name__ == "__main__":
    main()
