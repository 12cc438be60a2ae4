"""Training of `radiounet.network.architectures.class_unet_torch` on a GPU.

Samples are simulated by other processes and stay on the GPU, where crops are cut from them; the
GPU never waits. The learning rate follows the clock, since what counts is what can be had in
the minutes that a GPU is lent for. Weights have the names of the Keras layers, so they go from
one framework to the other.
"""

import copy
import csv
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

try:
    import torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "training on a GPU needs PyTorch, which is not installed: pip install 'radiounet[torch]'",
        name="torch",
    ) from error
from torch import nn
from torch.nn import functional as tf

from radiounet.images.writing import atomic
from radiounet.learning.samples import KNOWN, TARGETS, Sample
from radiounet.measuring.scores import precision_summary
from radiounet.network.model_cards import write_named_weights

logger = logging.getLogger(__name__)

BINS = 400
SECONDS_BETWEEN_LINES = 20


class GpuPool:
    """The newest samples on a device, and crops of them."""

    def __init__(self, capacity: int, n_px: int, device: torch.device):
        self._planes = torch.zeros((capacity, n_px, n_px), dtype=torch.float16, device=device)
        self._bits = torch.zeros((capacity, n_px, n_px), dtype=torch.uint8, device=device)
        self._places = torch.zeros((capacity, TARGETS, 2), dtype=torch.int32, device=device)
        self._capacity, self._n_px, self._device = capacity, n_px, device
        self.count = 0

    def put(self, sample: Sample) -> None:
        """Take in a sample in place of the oldest."""
        slot = self.count % self._capacity
        self._planes[slot] = torch.from_numpy(sample.plane).to(self._device)
        self._bits[slot] = torch.from_numpy(sample.bits).to(self._device)
        self._places[slot] = torch.from_numpy(sample.places.astype(np.int32)).to(self._device)
        self.count += 1

    def crops(
        self, batch: int, size: int, target_fraction: float, noise_scale: float, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut random crops, turned and flipped, their noise off by up to a factor.

        Returns
        -------
        planes : float32, ``[crop, 1, y, x]``
        bits : uint8, ``[crop, y, x]``
        """

        def random(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, device=self._device, generator=generator)

        slot = (random(batch) * min(self.count, self._capacity)).long()
        chosen = self._places[slot, (random(batch) * TARGETS).long()]
        highest = self._n_px - size
        near = chosen - size // 2 + ((random(batch, 2) - 0.5) * (2 * size // 3)).int()
        anywhere = (random(batch, 2) * (highest + 1)).int()
        centred = random(batch, 1) < target_fraction
        corner = torch.where(centred, near, anywhere).clamp(0, highest).long()
        step = torch.arange(size, device=self._device)
        flipped = random(batch, 2, 1) < 0.5
        along = corner[:, :, None] + torch.where(flipped, size - 1 - step, step)
        where = slot[:, None, None], along[:, 0, :, None], along[:, 1, None, :]
        planes, bits = self._planes[where].float(), self._bits[where]
        half = batch // 2
        planes = torch.cat([planes[:half].transpose(1, 2), planes[half:]])
        bits = torch.cat([bits[:half].transpose(1, 2), bits[half:]])
        factor = torch.exp((2 * random(batch, 1, 1) - 1) * float(np.log(noise_scale)))
        return torch.asinh(torch.sinh(planes) * factor)[:, None], bits


def class_loss(logits: torch.Tensor, bits: torch.Tensor, other_classes: float) -> torch.Tensor:
    """As `radiounet.learning.legs.class_loss`, of logits ``[crop, class, y, x]``, bits ``[crop, y, x]``."""
    known = (bits & KNOWN > 0).float()
    numbers = torch.arange(logits.shape[1], device=bits.device, dtype=torch.uint8)
    labels = ((bits[:, None] >> numbers[None, :, None, None]) & 1).float()
    entropy = tf.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    weights = torch.full((logits.shape[1],), other_classes, device=bits.device)
    weights[0] = 1.0
    return (entropy * known[:, None] * weights[None, :, None, None]).sum() / (known.sum() + 1)


def _state(model: nn.Module) -> list[torch.Tensor]:
    """Weights and statistics of a network, in the order of its layers."""
    return [*model.parameters(), *(one for one in model.buffers() if one.is_floating_point())]


@dataclass
class GpuTraining:
    """A training on a device for a given time.

    Attributes
    ----------
    model : nn.Module
        ``[tile, 1, y, x]`` to logits of classes ``[tile, class, y, x]``, diffuse first.
    noise_scale : float
        Largest factor that the measured noise is wrong by.
    half : bool
        Compute in bfloat16 where PyTorch deems it safe.
    first_seed : int
        Seed of the first sample of the pool; the curve tells that of the next.
    """

    model: nn.Module
    pool: GpuPool
    device: torch.device
    batch: int = 128
    crop_px: int = 384
    learning_rate: float = 2e-3
    target_fraction: float = 0.6
    other_classes: float = 0.3
    half: bool = True
    seed: int = 1
    noise_scale: float = 1.2
    warmup: float = 0.03
    plateau: float = 0.35
    average_steps: int = 400
    first_seed: int = 0
    rows: list[dict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.to(self.device, memory_format=torch.channels_last)
        fused = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), self.learning_rate, weight_decay=1e-4, fused=fused
        )
        self.average = [one.detach().clone().float() for one in _state(self.model)]
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.step = 0

    def rate(self, part: float) -> float:
        """Learning rate after a part of the time: a rise, a plateau, a half cosine to 0."""
        if part < self.warmup:
            return self.learning_rate * (part + 0.01 * self.warmup) / self.warmup
        fall = min(max((part - self.plateau) / (1 - self.plateau), 0.0), 1.0)
        return self.learning_rate * 0.5 * (1 + float(np.cos(np.pi * fall)))

    def loss(self, logits: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
        """What a step makes smaller, of logits and bits as in `class_loss`."""
        return class_loss(logits, bits, self.other_classes)

    def learn(self, part: float) -> torch.Tensor:
        """One step; returns the loss, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(part)
        planes, bits = self.pool.crops(
            self.batch, self.crop_px, self.target_fraction, self.noise_scale, self.generator
        )
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.model(planes.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits, bits)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        share = 1 - float(np.exp(-1 / min(self.average_steps, max(self.step / 5, 1))))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, _state(self.model), share)
        return loss.detach()

    def averaged(self) -> nn.Module:
        """A copy of the network with the averaged weights."""
        network = copy.deepcopy(self.model)
        with torch.no_grad():
            for one, mean in zip(_state(network), self.average, strict=True):
                one.copy_(mean)
        return network.eval()

    def measure(self, skies: dict[str, list[Sample]]) -> dict[str, float]:
        """Best Dice and average precision of the averaged weights, by sky."""
        model = self.averaged()
        scores: dict[str, float] = {}
        for name, samples in skies.items():
            counts = np.zeros((2, BINS))
            for sample in samples:
                counts += self._histogram(model, sample)
            scores |= {f"{name} {key}": round(one, 4) for key, one in precision_summary(counts).items()}
        return scores

    @torch.no_grad()
    def _histogram(self, model: nn.Module, sample: Sample) -> np.ndarray:
        plane = torch.from_numpy(sample.plane).to(self.device).float()[None, None]
        bits = torch.from_numpy(sample.bits).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = model(plane)[0, 0].float()
        bins = ((logits + 8) * (BINS / 16)).long().clamp(0, BINS - 1)
        flat = ((bits & 1).long() * BINS + bins)[bits & KNOWN > 0]
        return torch.bincount(flat, minlength=2 * BINS).reshape(2, BINS).cpu().numpy()

    def mark(self, skies: dict[str, list[Sample]], loss: float, seconds: float, folder: Path) -> None:
        """Measure, log, and write averaged weights and curve."""
        row: dict[str, float] = {
            "step": self.step,
            "crops": self.step * self.batch,
            "samples": self.pool.count,
            "next_seed": self.first_seed + self.pool.count,
        }
        row |= {"seconds": round(seconds), "loss": round(loss, 5)} | self.measure(skies)
        self.rows.append(row)
        logger.info("%s", row)
        write_named_weights(folder / "weights.npz", self.averaged().named_weights())
        with (
            atomic(folder / "curve.csv") as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows(self.rows)


def loop(
    training: GpuTraining, source, skies: dict[str, list[Sample]], first: int, seconds: float, folder: Path
) -> None:
    """Train for a time while samples come in.

    Parameters
    ----------
    source : iterator of Sample or None
        None where no sample is ready.
    first : int
        Samples to wait for before the first step.
    """
    started = time.monotonic()
    while training.pool.count < first:
        sample = next(source)
        if sample is None:
            time.sleep(0.05)
        else:
            training.pool.put(sample)
    begun = lined = marked = time.monotonic()
    total = seconds - (begun - started)
    logger.info("%d samples after %.0f s", training.pool.count, begun - started)
    losses, steps = torch.zeros(1, device=training.device), 0
    while (spent := time.monotonic() - begun) < total:
        for _ in range(8):
            sample = next(source)
            if sample is None:
                break
            training.pool.put(sample)
        losses += training.learn(spent / total)
        steps += 1
        if time.monotonic() - lined > SECONDS_BETWEEN_LINES:
            mean, speed = float(losses) / steps, steps / (time.monotonic() - lined)
            text = "%.0f s, step %d, loss %.4f, %.2f steps/s, %d samples"
            logger.info(text, spent, training.step, mean, speed, training.pool.count)
            if time.monotonic() - marked > total / 6:
                training.mark(skies, mean, spent, folder)
                marked = time.monotonic()
            losses.zero_()
            steps, lined = 0, time.monotonic()
    if steps:
        training.mark(skies, float(losses) / steps, time.monotonic() - begun, folder)
