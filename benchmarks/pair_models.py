"""Make a model of two: the mean of a `lotss_unet` and a `class_unet` of as many levels.

Then ``skies.py NAME --settle NAME`` sets threshold and peak, and ``cluster_decision.py NAME --settle`` the
calibration of `p_diffuse`.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import common  # noqa: F401
from radiounet.images.provenance import sha256_of
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.network.architectures.unet_pair import unet_pair
from radiounet.network.engine import load_model
from radiounet.network.model_cards import Weights, model_folder, write_card, write_named_weights

TILE_PX, CORE_PX = 1536, 1024
"""A margin of 256 px: see `docs/method/network.md`."""


def main() -> None:
    """Write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the new model, whose name it gets")
    parser.add_argument("--first", default="lotss-unet")
    parser.add_argument("--second", default="lotss-classes")
    args = parser.parse_args()
    (first, first_card), (second, card) = (load_model(model_folder(one)) for one in (args.first, args.second))
    widths = (*first_card.widths, *card.widths)
    network = unet_pair(TILE_PX, widths)
    set_named_weights(network, named_weights(first) | named_weights(second))
    args.out.mkdir(parents=True)
    weights = args.out / "weights.npz"
    write_named_weights(weights, named_weights(network))
    made = {
        "command": f"benchmarks/pair_models.py {args.out.name} --first {args.first} --second {args.second}",
        "parameters": network.count_params(),
        "date": datetime.now(UTC).date().isoformat(),
        "initial": [
            {"name": one.name, "sha256": one.weights.sha256, "training": one.training}
            for one in (first_card, card)
        ],
    }
    change = {
        "name": args.out.name,
        "architecture": "unet_pair",
        "widths": widths,
        "tile_px": TILE_PX,
        "core_px": CORE_PX,
        "host_calibration": None,
        "training": made,
        "weights": Weights(file=weights.name, sha256=sha256_of(weights)),
    }
    write_card(args.out, card.model_copy(update=change))


if __name__ == "__main__":
    main()
