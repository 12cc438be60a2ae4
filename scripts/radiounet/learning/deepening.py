"""Further levels for a trained network of `radiounet.network.architectures.class_unet`."""

from collections.abc import Mapping

import numpy as np

NamedWeights = Mapping[str, np.ndarray]


def deepened(weights: NamedWeights, network: NamedWeights) -> dict[str, np.ndarray]:
    """Weights for a network of more levels, which at first gives what the shallower one gave.

    The new levels keep their random weights, except for the block that joins them to the old bottom.
    The scale of its second normalisation is 0 (Goyal et al. 2017, arXiv:1706.02677), and its shortcut
    passes the output of the old bottom through. That output is never negative, so the last ReLU of the
    block does not change it.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Of the trained network; see `radiounet.network.architectures.keras_network.named_weights`.
    network : mapping of str to ndarray
        Random weights of the network that is to be trained.

    Returns
    -------
    dict of str to ndarray
        With the names of `network`. Where this has no more levels than `weights`: a copy of `weights`.
    """
    old, new = _levels(weights), _levels(network)
    if old >= new:
        return dict(weights)
    join = f"up{old - 1}"
    deeper = {name: one for name, one in network.items() if name not in weights} | dict(weights)
    shortcut = np.zeros_like(network[f"{join}_short/kernel"])
    width = shortcut.shape[-1]
    shortcut[0, 0, -width:] = np.eye(width)
    deeper[f"{join}_short/kernel"] = shortcut
    for weight in ("gamma", "beta"):
        deeper[f"{join}_2_norm/{weight}"] = np.zeros(width, np.float32)
    return deeper


def _levels(weights: NamedWeights) -> int:
    return sum(name.startswith("down") and name.endswith("_short/kernel") for name in weights)
