"""Designs of a network of several classes, to be tried beside each other."""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import common  # noqa: F401
from radiounet.inference import use_threads
from radiounet.legs import Leg, Pool, Scoreboard, Supply, held_out
from radiounet.network import CLIP_SIGMA, check_tile, published_unet
from radiounet.recipe import LegOptions, read_sky
from radiounet.samples import cached_sample


def class_unet(
    tile_px: int,
    widths: Sequence[int],
    classes: int,
    stride: int = 2,
    block: str = "residual",
    faint: bool = True,
    dilations: Sequence[int] = (1,),
    blocks: int = 1,
) -> keras.Model:
    """U-Net whose outputs are logits of classes that may overlap, ``[tile, y, x, class]``."""
    check_tile(tile_px, stride * 2 ** (len(widths) - 1))
    inputs = keras.Input((tile_px, tile_px, 1))
    limit = float(np.arcsinh(CLIP_SIGMA))
    light = ops.sinh(ops.clip(ops.cast(inputs, "float32"), -limit, limit))
    if stride > 1:
        light = layers.AveragePooling2D(stride, dtype="float32")(light)
    x = layers.Conv2D(widths[0], 5, strides=stride, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    skips = []
    for level, width in enumerate(widths):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
            if faint:
                light = layers.AveragePooling2D(2, dtype="float32")(light)
                x = layers.Concatenate()([x, light])
        rates = dilations if level == len(widths) - 1 else (1,)
        for rate in rates:
            for _ in range(blocks):
                x = BLOCKS[block](x, width, rate)
    for width, skip in zip(reversed(widths[:-1]), reversed(skips), strict=True):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skip])
        x = BLOCKS[block](x, width, 1)
    logits = layers.Conv2D(classes, 1, padding="same", dtype="float32")(x)
    if stride > 1:
        logits = layers.UpSampling2D(stride, interpolation="bilinear", dtype="float32")(logits)
    return keras.Model(inputs, logits, name="class_unet")


def plain(x, width, rate):
    """Two convolutions, each normalised."""
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, dilation_rate=rate)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def residual(x, width, rate):
    """Two convolutions beside a short cut."""
    short = x if x.shape[-1] == width else layers.Conv2D(width, 1, use_bias=False)(x)
    y = layers.Conv2D(width, 3, padding="same", use_bias=False, dilation_rate=rate)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(width, 3, padding="same", use_bias=False, dilation_rate=rate)(y)
    y = layers.BatchNormalization()(y)
    return layers.ReLU()(layers.Add()([y, short]))


def convnext(x, width, rate):
    """Depthwise convolution of 7 px and a widening between two of 1 px (Liu et al. 2022)."""
    short = x if x.shape[-1] == width else layers.Conv2D(width, 1, use_bias=False)(x)
    y = layers.DepthwiseConv2D(7, padding="same", use_bias=False, dilation_rate=rate)(short)
    y = layers.BatchNormalization()(y)
    y = layers.Conv2D(3 * width, 1, activation="relu")(y)
    y = layers.Conv2D(width, 1, use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    return layers.Add()([y, short])


BLOCKS = {"plain": plain, "residual": residual, "convnext": convnext}


def published(tile_px: int, widths: Sequence[int], classes: int) -> keras.Model:
    """Build the published topology with logits of classes in place of its softmax."""
    model = published_unet(tile_px, widths)
    x = model.layers[-1].input
    logits = layers.Conv2D(classes, 1, padding="same", dtype="float32")(x)
    return keras.Model(model.inputs, logits)


BASE = {"widths": (32, 64, 128, 192, 256), "classes": 4}


@dataclass(frozen=True)
class Design:
    """One row: how the network is built, and what its training departs in."""

    name: str
    network: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    build: Callable = class_unet

    def builder(self) -> Callable[[int], keras.Model]:
        """Network of a given side."""
        return lambda side: self.build(side, **(BASE | self.network))


DESIGNS = (
    Design("base: residual, stride 2, four classes, bottom at 1/32"),
    Design("one output", {"classes": 1}),
    Design("stride 1", {"stride": 1, "widths": (16, 32, 64, 128, 192, 256)}),
    Design("plain blocks", {"block": "plain"}),
    Design("ConvNeXt blocks", {"block": "convnext"}),
    Design("bottom at 1/16", {"widths": (32, 64, 128, 192)}),
    Design("bottom at 1/64", {"widths": (32, 64, 128, 192, 256, 256)}),
    Design("bottom dilated 1, 2, 4", {"dilations": (1, 2, 4)}),
    Design("no faint-light pyramid", {"faint": False}),
    Design("Dice loss added", {}, {"dice": 1.0}),
    Design("other classes at full weight", {}, {"other_classes": 1.0}),
    Design("crops anywhere", {}, {"target_fraction": 0.0}),
    Design("crops of 448 px", {}, {"crop_px": 448, "batch": 16}),
    Design("float32", {}, {"precision": "float32"}),
    Design("twice the widths, two blocks", {"widths": (64, 128, 256, 384, 512), "blocks": 2}),
    Design("published architecture, full widths", {"widths": (32, 64, 128, 256, 512)}, {}, published),
)


def run_design(args: argparse.Namespace) -> dict:
    """Train one design for a given wall time and measure it on own and shifted skies."""
    design, wide = DESIGNS[args.design], read_sky("wide")
    given = {"first": args.samples, "pool": args.samples, "samples_per_step": 1e-9, "warmup": 60}
    given |= {"batch": args.batch, "crop_px": args.crop, "seed": args.seed, "average_steps": 200}
    options = LegOptions(**(given | design.options))
    supply = Supply(partial(cached_sample, args.cache, wide), args.cores)
    pool = Pool(args.samples, wide.n_px)
    for sample in itertools.islice(supply.samples(0), args.samples):
        pool.put(sample)
    supply.close()
    with tempfile.TemporaryDirectory() as folder:
        leg = Leg(design.builder(), options, folder)
        board = Scoreboard(design.builder(), held_out(args.cache, args.held_out), 1)
        leg.compile()
        began = time.monotonic()
        leg.practise(pool, TRIAL_STEPS)
        speed = TRIAL_STEPS / (time.monotonic() - began)
        # the schedule ends with the time
        steps = max(TRIAL_STEPS + 1, round(speed * args.seconds))
        leg.options = options.model_copy(update={"steps": steps, "decay": max(steps // 3, 1)})
        leg.practise(pool, steps - TRIAL_STEPS)
        trained = time.monotonic() - began
        scores = board.measure(leg.average)
    return {
        "name": design.name,
        "seed": args.seed,
        "parameters": leg.model.count_params(),
        "train_s": round(trained),
        "crops": leg.step * options.batch,
        **{key: round(value, 4) for key, value in scores.items()},
    }


TRIAL_STEPS = 20


def main() -> None:
    """Train one design and print its row as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "design", type=int, choices=range(len(DESIGNS)), metavar="design", help=f"0 to {len(DESIGNS) - 1}"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1500, help="wall time of the training")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps samples")
    args = parser.parse_args()
    use_threads(args.cores)
    print(json.dumps(run_design(args)), flush=True)


if __name__ == "__main__":
    main()
