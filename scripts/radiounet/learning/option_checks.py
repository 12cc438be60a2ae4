"""Options of a training that contradict each other, found before anything is simulated or trained."""

from radiounet.errors import ConfigError
from radiounet.network.architectures.registry import ARCHITECTURES, TRAINABLE
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import TrainOptions


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
