"""Designs of a network of several classes, each trained for the same time on the same fields.

With PyTorch: see ``docs/method/class_network.md``. A trial on a CPU: ``python benchmarks/designs.py 0 3
--seconds 20 --workers 1 --samples 4 --held-out 1 --batch 4 --crop 128``.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as tf

import common  # noqa: F401
from radiounet.images.writing import atomic
from radiounet.learning.samples import KNOWN, Sample, be_nice, cached_sample, make_sample
from radiounet.learning.torch_training import GpuPool, GpuTraining
from radiounet.network.architectures.class_unet_torch import CLIP
from radiounet.running.parsers import new_parser
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, SKIES

WARM_UP_STEPS = 3
SAVE_S = 300.0
DROPOUT = 0.5
DICE_FLOOR_PX = 100.0
"""Added to both sides of Dice, so that crops without diffuse emission have one."""
PUBLISHED_WIDTHS = (32, 64, 128, 256, 512)


def convolution(before: int, width: int, rate: int = 1) -> nn.Sequential:
    """Convolution of 3 px and the normalisation after it."""
    weights = nn.Conv2d(before, width, 3, padding=rate, dilation=rate, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(width, eps=1e-3, momentum=0.01))


class Plain(nn.Module):
    """Two convolutions, each normalised."""

    def __init__(self, before: int, width: int, rate: int):
        super().__init__()
        self.first, self.second = convolution(before, width, rate), convolution(width, width, rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the block's width."""
        return tf.relu(self.second(tf.relu(self.first(x))))


class Residual(Plain):
    """The same beside a short cut (He et al. 2016)."""

    def __init__(self, before: int, width: int, rate: int):
        super().__init__(before, width, rate)
        self.short = nn.Conv2d(before, width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the block's width."""
        return tf.relu(self.second(tf.relu(self.first(x))) + self.short(x))


class ConvNext(nn.Module):
    """Depthwise convolution of 7 px and a widening between two of 1 px (Liu et al. 2022)."""

    def __init__(self, before: int, width: int, rate: int):
        super().__init__()
        self.short = nn.Conv2d(before, width, 1, bias=False)
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3 * rate, dilation=rate, groups=width, bias=False),
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
            nn.Conv2d(width, 3 * width, 1),
            nn.ReLU(),
            nn.Conv2d(3 * width, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the block's width."""
        x = self.short(x)
        return x + self.inner(x)


class DesignUnet(nn.Module):
    """U-Net whose outputs are logits of classes: ``[tile, 1, y, x]`` to ``[tile, class, y, x]``.

    By its defaults `radiounet.network.architectures.class_unet`.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 192, 256),
        classes: int = 4,
        stride: int = 2,
        block: type[nn.Module] = Residual,
        faint: bool = True,
        dilations: Sequence[int] = (1,),
        blocks: int = 1,
    ):
        super().__init__()
        self.stride, self.faint = stride, faint
        self.stem = nn.Conv2d(1, widths[0], 5, stride=stride, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0], eps=1e-3, momentum=0.01)
        before = [widths[0], *(one + faint for one in widths[:-1])]
        self.down = nn.ModuleList()
        for level, (low, width) in enumerate(zip(before, widths, strict=True)):
            rates = [
                rate for rate in (dilations if level == len(widths) - 1 else (1,)) for _ in range(blocks)
            ]
            parts = [block(width if number else low, width, rate) for number, rate in enumerate(rates)]
            self.down.append(nn.Sequential(*parts))
        below = zip(widths[1:], widths[:-1], strict=True)
        self.up = nn.ModuleList(block(low + here, here, 1) for low, here in below)
        self.logits = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits at full resolution."""
        light = tf.avg_pool2d(torch.sinh(x.clamp(-CLIP, CLIP)), self.stride)
        edge = 2 - self.stride // 2
        x = tf.relu(self.stem_norm(self.stem(tf.pad(x, (edge, 2, edge, 2)))))
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                skips.append(x)
                x = tf.max_pool2d(x, 2)
                light = tf.avg_pool2d(light, 2)
                if self.faint:
                    x = torch.cat([x, light.to(x.dtype)], 1)
            x = block(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([tf.interpolate(x, scale_factor=2), skips[level]], 1))
        logits = self.logits(x).float()
        if self.stride == 1:
            return logits
        return tf.interpolate(logits, scale_factor=self.stride, mode="bilinear", align_corners=False)


class Published(nn.Module):
    """`radiounet.network.architectures.published_unet` with logits of classes in place of its softmax."""

    def __init__(self, widths: Sequence[int] = PUBLISHED_WIDTHS, classes: int = 4):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, stride=2), nn.ReLU(), nn.BatchNorm2d(widths[0], 1e-3, 0.01)
        )
        self.down, self.down_short = nn.ModuleList(), nn.ModuleList()
        for before, width in itertools.pairwise(widths):
            self.down.append(_activated_twice(nn.Conv2d, before, width))
            self.down_short.append(nn.Conv2d(before, width, 1, stride=2))
        self.up, self.up_short = nn.ModuleList(), nn.ModuleList()
        for before, width in itertools.pairwise((widths[-1], *reversed(widths))):
            self.up.append(_activated_twice(nn.ConvTranspose2d, before, width))
            self.up_short.append(nn.Conv2d(before, width, 1))
        self.logits = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits at full resolution."""
        x = self.stem(tf.pad(x, (0, 1, 0, 1)))
        for block, short in zip(self.down, self.down_short, strict=True):
            x = tf.dropout(tf.max_pool2d(block(x), 2), DROPOUT, self.training) + short(x)
        for block, short in zip(self.up, self.up_short, strict=True):
            x = tf.interpolate(block(x), scale_factor=2) + short(tf.interpolate(x, scale_factor=2))
        return self.logits(x).float()


def _activated_twice(kind: type[nn.Module], before: int, width: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for low in (before, width):
        parts += [kind(low, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width, 1e-3, 0.01)]
    return nn.Sequential(*parts)


class DiceTraining(GpuTraining):
    """A training with the Dice loss of the diffuse class beside the cross-entropy, at equal weight."""

    def loss(self, logits: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
        """Return the sum of both."""
        known = bits & KNOWN > 0
        chance, label = torch.sigmoid(logits[:, 0]) * known, (bits & 1) * known
        both = 2 * (chance * label).sum() + DICE_FLOOR_PX
        dice = both / (chance.sum() + label.sum() + DICE_FLOOR_PX)
        return super().loss(logits, bits) + 1 - dice


@dataclass(frozen=True)
class Design:
    """One row: how the network is built, and what its training departs in.

    Attributes
    ----------
    network, options : dict
        Arguments of the network, and of `radiounet.learning.torch_training.GpuTraining`.
    crop : float
        Side of its crops over that of the others; the batch has as many pixels.
    kind : type
        Of its training.
    """

    name: str
    network: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    crop: float = 1.0
    build: Callable[..., nn.Module] = DesignUnet
    kind: type[GpuTraining] = GpuTraining


DESIGNS = (
    Design("base: residual, stride 2, four classes, bottom at 1/32"),
    Design("one output", {"classes": 1}),
    Design("stride 1", {"stride": 1, "widths": (16, 32, 64, 128, 192, 256)}),
    Design("plain blocks", {"block": Plain}),
    Design("ConvNeXt blocks", {"block": ConvNext}),
    Design("bottom at 1/16", {"widths": (32, 64, 128, 192)}),
    Design("bottom at 1/64", {"widths": (32, 64, 128, 192, 256, 256)}),
    Design("bottom dilated 1, 2, 4", {"dilations": (1, 2, 4)}),
    Design("no faint-light pyramid", {"faint": False}),
    Design("Dice loss added", kind=DiceTraining),
    Design("other classes at full weight", options={"other_classes": 1.0}),
    Design("crops anywhere", options={"target_fraction": 0.0}),
    Design("crops of twice the side", crop=2.0),
    Design("float32", options={"half": False}),
    Design("twice the widths, two blocks", {"widths": (64, 128, 256, 384, 512), "blocks": 2}),
    Design("published architecture, full widths", build=Published),
)


def _save(path: Path, training: GpuTraining, spent: float) -> None:
    """Write all that a training needs to go on, and the seconds that it took."""
    parts = {"model": training.model.state_dict(), "optimizer": training.optimizer.state_dict()}
    parts |= {"generator": training.generator.get_state(), "average": training.average}
    with atomic(path) as temporary:
        torch.save(parts | {"step": training.step, "spent": spent}, temporary)


def _restore(path: Path, training: GpuTraining) -> float:
    """Continue a training that was stopped; returns the seconds that it took."""
    parts = torch.load(path, map_location=training.device, weights_only=True)
    training.model.load_state_dict(parts["model"])
    training.optimizer.load_state_dict(parts["optimizer"])
    training.generator.set_state(parts["generator"].cpu())
    training.average, training.step = parts["average"], parts["step"]
    return parts["spent"]


def run_design(
    design: Design, args: argparse.Namespace, pool: GpuPool, skies: dict[str, list[Sample]], seed: int
) -> dict:
    """Train one design for the wall time and measure it on own and shifted skies."""

    def begin() -> GpuTraining:
        torch.manual_seed(seed)
        side, batch = round(design.crop * args.crop), max(1, round(args.batch / design.crop**2))
        network = design.build(**design.network)
        return design.kind(network, pool, args.device, batch, side, seed=seed, **design.options)

    # kernels are chosen and memory is taken before the clock starts
    trial = begin()
    for _ in range(WARM_UP_STEPS):
        float(trial.learn(0.0))
    del trial
    # on a CPU that others use too, the time of the processor is what two designs can have alike
    clock = time.monotonic if args.device.type == "cuda" else time.process_time
    training = begin()
    state = args.state / f"{DESIGNS.index(design)}-{seed}.pt" if args.state else None
    before = _restore(state, training) if state and state.is_file() else 0.0
    began = saved = clock()
    while (spent := before + clock() - began) < args.seconds:
        # waiting for the loss keeps the clock honest
        float(training.learn(spent / args.seconds))
        if state and clock() - saved > SAVE_S:
            _save(state, training, spent)
            saved = clock()
    if state and spent > before:
        _save(state, training, spent)
    return {
        "name": design.name,
        "seed": seed,
        "parameters": sum(one.numel() for one in training.model.parameters()),
        "train_s": round(spent),
        "steps": training.step,
        "crops": training.step * training.batch,
        **training.measure(skies),
    }


def left_to_run(
    designs: Sequence[int], seeds: Sequence[int], seconds: float, out: Path
) -> list[tuple[int, int]]:
    """Seeds and designs without a row of so long a training; those with one are named on stdout."""
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    there = {(row["name"], row["seed"]) for row in rows if row["train_s"] >= round(seconds)}
    left = []
    for seed, number in itertools.product(seeds, designs):
        name = DESIGNS[number].name
        if (name, seed) in there:
            print(f"design {number}, seed {seed}: its row is in {out}", flush=True)
        else:
            left.append((seed, number))
    return left


def main() -> None:
    """Simulate, train the designs in turn, and write a row of JSON for each."""
    parser = new_parser(description=__doc__)
    parser.add_argument(
        "designs",
        type=int,
        nargs="+",
        choices=range(len(DESIGNS)),
        metavar="design",
        help=f"0 to {len(DESIGNS) - 1}",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--seconds", type=float, default=50, help="of wall time on a GPU, of its processor on a CPU"
    )
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--held-out", type=int, default=12, help="fields of each sky")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--crop", type=int, default=384)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--threads", type=int, help="of PyTorch on a CPU")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/designs.jsonl"),
        help="rows, to which others are added; what has one of so long a training is left out",
    )
    parser.add_argument("--state", type=Path, help="folder: a program that is stopped goes on from it")
    args = parser.parse_args()
    runs = left_to_run(args.designs, args.seeds, args.seconds, args.out)
    if not runs:
        return
    args.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with ProcessPoolExecutor(args.workers, get_context("spawn"), initializer=be_nice) as executor:
        numbers = range(HELD_OUT, HELD_OUT + args.held_out)
        skies = {name: list(executor.map(partial(make_sample, read_sky(name)), numbers)) for name in SKIES}
        make = partial(cached_sample, args.state / "samples") if args.state else make_sample
        samples = executor.map(partial(make, read_sky("wide")), range(args.samples))
        pool = GpuPool(args.samples, skies["wide"][0].plane.shape[0], args.device)
        for sample in samples:
            pool.put(sample)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for seed, number in runs:
        row = json.dumps(run_design(DESIGNS[number], args, pool, skies, seed))
        print(row, flush=True)
        with open(args.out, "a") as stream:
            stream.write(f"{row}\n")


if __name__ == "__main__":
    main()
