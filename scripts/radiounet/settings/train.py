"""Options of training, and how its pairs of files are given."""

import os
from itertools import combinations, pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from radiounet.errors import ConfigError
from radiounet.settings.releases import DR2
from radiounet.settings.section import NumberRange, PositiveRange, Section, Width
from radiounet.settings.simulate import AFTER_HELD_OUT, keep_off_held_out


class ImageGrid(NamedTuple):
    """Pixel scale and beam of the images that a network is trained and evaluated on, arcsec."""

    pixel_arcsec: float
    beam_arcsec: float


Widths = Annotated[list[Width], Field(min_length=2)]

LOTSS_GRID = ImageGrid(DR2.pixel_arcsec, DR2.beam_arcsec)


def pair_files(path: str) -> tuple[str, ...]:
    """Files of a pair: that of a simulated one, or image, truth and, to evaluate on, clusters.

    Parameters
    ----------
    path : str
        ``FILE``, ``IMAGE:TRUTH`` or ``IMAGE:TRUTH:CLUSTERS``. A colon may also belong to
        a path: it is read in the one way in which all the files are there, or else most.

    Raises
    ------
    ConfigError
        All the files are there in more than one way.
    """
    parts = path.split(":")
    cuts = [cut for count in range(3) for cut in combinations(range(1, len(parts)), count)]
    readings = [
        tuple(":".join(parts[start:end]) for start, end in pairwise((0, *cut, len(parts)))) for cut in cuts
    ]
    there = [sum(os.path.isfile(file) for file in files) for files in readings]
    complete = [files for files, count in zip(readings, there, strict=True) if count == len(files)]
    if len(complete) > 1:
        ways = " or as ".join(map(str, complete))
        raise ConfigError(f"{path} can be read as {ways}: give one of these files a name without a colon")
    if not any(there) and len(parts) <= 3:
        return tuple(parts)
    return complete[0] if complete else readings[there.index(max(there))]


class TrainOptions(Section):
    """Training of a network; see `radiounet.learning.training`."""

    seed: int = Field(1, ge=0, description="seed of weights, crops and order")
    architecture: str = Field("lotss_unet", description="network to train, such as published_unet")
    widths: Widths = Field([32, 64, 128, 192, 192], description="filters per level")
    normalisation: Literal["asinh_snr", "log10"] = Field("asinh_snr", description="input of the network")
    pixel_arcsec: float = Field(DR2.pixel_arcsec, gt=0, description="pixel scale of its images, arcsec")
    beam_arcsec: float = Field(DR2.beam_arcsec, gt=0, description="FWHM of the beam of its survey, arcsec")
    crop_px: int = Field(320, gt=0, description="side of a training crop, px")
    tile_px: int = Field(512, gt=0, description="side of a tile when the model is used, px")
    core_px: int = Field(256, gt=0, description="kept part of a tile, px")
    fields: int = Field(800, ge=1, description="simulated images to train on")
    calibrate: int = Field(128, ge=1, description="simulated images to calibrate threshold and p_diffuse on")
    held_out: int = Field(48, ge=1, description="simulated images to evaluate on")
    truth_snr: float = Field(0.25, gt=0, description="truth mask: diffuse emission above this, rms")
    max_false_per_deg2: float = Field(
        1.8, gt=0, description="threshold of the mask: no more false islands in calibration images, 1/deg2"
    )
    batch: int = Field(10, ge=1, description="crops per step")
    steps: int = Field(11000, ge=1, description="optimiser steps")
    learning_rate: float = Field(2e-3, gt=0, description="peak of the cosine schedule")
    loss: Literal["cross_entropy", "focal", "dice_cross_entropy"] = Field(
        "dice_cross_entropy", description="loss"
    )
    target_fraction: float = Field(
        0.5, ge=0, le=1, description="crops centred near diffuse emission, the rest anywhere"
    )
    hard_fraction: float = Field(
        0.25, ge=0, le=1, description="crops centred on false islands, where these are given"
    )
    diffuse_scale: PositiveRange = Field(
        (0.5, 2.0), description="augmentation: factor on the diffuse emission"
    )
    added_noise_rms: NumberRange = Field((0.0, 0.7), description="augmentation: noise added, rms")
    noise_scale: PositiveRange = Field((0.8, 1.25), description="augmentation: factor on the measured noise")
    buffer: int = Field(48, ge=1, description="images held in memory at a time")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "mixed_bfloat16", description="arithmetic of training; weights are float32 throughout"
    )
    checkpoint_steps: int = Field(
        500, ge=1, description="steps between checkpoints; one is written every five minutes, too"
    )
    initial: str | None = Field(None, description="model to go on from, name or folder; null: a new start")
    hard_from: str | None = Field(
        None, description="model whose false islands are trained on, name or folder; null: none"
    )
    compare: list[str] = Field([], description="models to measure beside it, names or folders")
    frozen_layers: int = Field(0, ge=0, description="fine-tuning: first layers that stay as they are")

    @model_validator(mode="after")
    def _core_is_the_middle_of_a_tile(self) -> "TrainOptions":
        if self.core_px > self.tile_px or (self.tile_px - self.core_px) % 2:
            raise ValueError(
                f"core_px is {self.core_px} and tile_px {self.tile_px}: a core is the middle of a tile, so "
                "that it is no larger and leaves an even number of pixels"
            )
        return self

    @property
    def grid(self) -> ImageGrid:
        """Pixel scale and beam of its images."""
        return ImageGrid(self.pixel_arcsec, self.beam_arcsec)

    @property
    def model_folders(self) -> list[str]:
        """Models it starts from that are given by their folder: those may be made anew, a shipped one not."""
        return [one for one in (self.initial, self.hard_from) if one and "/" in one]


OF_EVALUATION = ("tile_px", "core_px", "max_false_per_deg2", "compare")
"""Options that the evaluation of trained weights takes as they are given."""
OF_TRAINING = tuple(
    name
    for name in TrainOptions.model_fields
    if name not in (*OF_EVALUATION, "fields", "calibrate", "held_out")
)
"""Options that a training takes; the others are of evaluation, or numbers of simulated images."""


class LegOptions(Section):
    """How a network of several classes is trained."""

    seed: int = Field(1, ge=0, description="seed of weights and crops")
    widths: Widths = Field([32, 64, 128, 192, 256, 256], description="filters per level")
    held_out: int = Field(8, ge=1, description="samples of each sky that only measure")
    crop_px: int = Field(320, gt=0, description="side of a training crop, px")
    batch: int = Field(8, ge=1, description="crops per step")
    first_seed: int = Field(
        AFTER_HELD_OUT, ge=0, description="seed of the first sample: another part of the set each leg"
    )
    first: int = Field(48, ge=1, description="samples simulated before the first step")
    samples_per_step: float = Field(1.0, gt=0, description="samples simulated for each step after it")
    pool: int = Field(512, ge=1, description="samples held in memory at a time, the newest")
    target_fraction: float = Field(0.6, ge=0, le=1, description="crops centred near diffuse emission")
    steps: int = Field(100_000, ge=1, description="end of the schedule, after which the rate is 0")
    warmup: int = Field(100, ge=1, description="steps over which the learning rate rises")
    decay: int = Field(20_000, ge=1, description="steps over which it falls to 0 at the end")
    learning_rate: float = Field(1e-4, gt=0, description="between both")
    average_steps: int = Field(300, ge=1, description="steps that the average of the weights reaches back")
    other_classes: float = Field(0.3, ge=0, description="weight of the cross-entropy of each other class")
    precision: str = Field("mixed_bfloat16", description="arithmetic, a dtype policy of Keras")

    @model_validator(mode="after")
    def _trains_on_nothing_held_out(self) -> "LegOptions":
        keep_off_held_out(self.first_seed, self.simulated(self.steps))
        return self

    def rate(self, step: int) -> float:
        """Learning rate of a step: a rise, a plateau, a fall to 0."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, max(0.0, (self.steps - step) / self.decay))
        return self.learning_rate * rise * fall

    def simulated(self, step: int) -> int:
        """Samples that have been simulated when a step begins."""
        return self.first + int(self.samples_per_step * step)
