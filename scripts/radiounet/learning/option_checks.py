"""Options of a training that contradict each other, found before anything is simulated or trained."""

from collections.abc import Sequence

from radiounet.errors import ConfigError
from radiounet.network.architectures.registry import ARCHITECTURES, TRAINABLE
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions

LEAST_COARSEST_PX = 4
"""Side of a crop at the coarsest level from which statistics of crops held for whole images.

What lies outside a crop is 0, and takes part in what a small one shows there. This was measured on
`lotss-unet` alone, which has five levels. It gives 2 % of the pixels of two images a probability above 0.5.
With the same weights, but statistics of 60 batches of crops, it does so for 3 % with crops of 256 px (4 px at
the coarsest level), for 15 % with 128 px, and for 99 % with 64 px, in batches of 2 crops or of 64.
"""


def network_faults(options: TrainOptions, *sides: str) -> list[str]:
    """Which of some sides, such as ``crop_px``, the levels of the network do not divide, one text each."""
    network, levels = ARCHITECTURES[options.architecture], len(options.widths)
    step = network.tile_step(levels)
    return [
        f"{name} is {side} px, no multiple of {step}, as {options.architecture} with {levels} widths needs"
        for name in sides
        if (side := getattr(options, name)) % step
    ]


def require_trainable(options: TrainOptions) -> None:
    """Refuse a network that pairs do not train, or whose levels do not divide its crops.

    Tiles are an option of the evaluation, which looks at them.

    Raises
    ------
    ConfigError
    """
    if options.architecture not in TRAINABLE:
        raise ConfigError(f"no pairs train {options.architecture}: give one of {', '.join(TRAINABLE)}")
    if faults := network_faults(options, "crop_px"):
        raise ConfigError("; ".join(faults))


def small_crops(architecture: str, widths: Sequence[int], crop_px: int) -> str:
    """What may be wrong with crops of few pixels at the coarsest level; empty where they have enough."""
    side_px = crop_px // ARCHITECTURES[architecture].tile_step(len(widths))
    if side_px >= LEAST_COARSEST_PX:
        return ""
    return (
        f"crops of {crop_px} px have {side_px} px a side at the coarsest level, and statistics of such crops "
        "may not hold for whole images (with lotss-unet, the only network tried, they did from "
        f"{LEAST_COARSEST_PX} px on)"
    )


def pair_faults(options: TrainOptions, sky: SimulateOptions) -> list[str]:
    """What simulated pairs would have that the training on them does not take, one text each."""
    faults = [
        f"{name} is {getattr(options, name):g}, but simulate.{name} is {getattr(sky, name):g}"
        for name in ("pixel_arcsec", "beam_arcsec")
        if getattr(options, name) != getattr(sky, name)
    ]
    if options.crop_px > sky.n_px:
        faults.append(f"crop_px is {options.crop_px}, more than simulate.n_px, {sky.n_px}")
    return faults
