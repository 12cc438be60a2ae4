"""Make a model of two: a `lotss_unet` and a `class_unet` of as many levels.

The logit of diffuse emission is a weighted sum of theirs. Its weights are those of a logistic regression on
pixels of simulated fields that neither network was trained on. Then ``skies.py NAME --settle NAME`` sets
threshold and peak, and ``cluster_decision.py NAME --settle`` the calibration of `p_diffuse`.
"""

from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
from keras import ops
from sklearn.linear_model import LogisticRegression

import common  # noqa: F401
from radiounet.images.provenance import sha256_of
from radiounet.learning.samples import DIFFUSE, KNOWN, Sample, make_sample
from radiounet.network.architectures.keras_network import named_weights, set_named_weights
from radiounet.network.architectures.lotss_unet import PREFIX
from radiounet.network.architectures.unet_pair import unet_pair
from radiounet.network.engine import load_model
from radiounet.network.model_cards import Weights, model_folder, write_card, write_named_weights
from radiounet.running.parsers import new_parser
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import OWN

TILE_PX, CORE_PX = 1536, 1024
"""A margin of 256 px: see `docs/method/network.md`."""
SKIES = (OWN, "wide")
FIRST_SEED = 34_000_000
FIELDS = 160
"""Of each sky."""
PIXELS = 20_000
"""Of each field, each 2 px wide."""
REGULARISATION = 1e3
DIGITS = 2


def logits_of(network: keras.Model, sample: Sample) -> np.ndarray:
    """Logits of diffuse emission of both networks, ``[y, x, network]``, at every second pixel."""
    two, classes = network.predict_on_batch(sample.plane[None, ..., None].astype(np.float32))
    side = classes.shape[1]
    faint = ops.image.resize(two[..., 1:] - two[..., :1], (side, side), interpolation="bilinear")
    return np.concatenate([np.asarray(faint)[0], classes[0, ..., :1]], axis=-1)


def halved(plane: np.ndarray) -> np.ndarray:
    """Mean over squares of 2 px."""
    rows, columns = plane.shape
    return plane.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


def fitted_weights(weights: dict[str, np.ndarray], widths: tuple[int, ...]) -> tuple[float, float, float]:
    """Weights of both logits, and what is added."""
    rng = np.random.default_rng(1)
    side = read_sky(OWN).n_px
    whole = unet_pair(side, widths)
    set_named_weights(whole, weights)
    last = [whole.get_layer(name).output for name in (f"{PREFIX}logits", "logits")]
    network = keras.Model(whole.inputs, last)
    logits, diffuse = [], []
    for sky in SKIES:
        for seed in range(FIRST_SEED, FIRST_SEED + FIELDS):
            sample = make_sample(read_sky(sky), seed)
            known = np.flatnonzero(halved((sample.bits & KNOWN) > 0) >= 0.5)
            chosen = rng.choice(known, min(PIXELS, len(known)), replace=False)
            logits.append(logits_of(network, sample).reshape(-1, 2)[chosen])
            diffuse.append(halved((sample.bits & DIFFUSE) > 0).ravel()[chosen] >= 0.5)
    fit = LogisticRegression(C=REGULARISATION, max_iter=300)
    fit.fit(np.concatenate(logits), np.concatenate(diffuse))
    first, second, added = (round(float(one), DIGITS) for one in (*fit.coef_[0], fit.intercept_[0]))
    return first, second, added


def joined(
    weights: dict[str, np.ndarray], first: float, second: float, added: float
) -> dict[str, np.ndarray]:
    """Weights of a pair, the mean of whose logits is this weighted sum of theirs."""
    changed = {name: np.array(one, np.float32) for name, one in weights.items()}
    for name in changed:
        if name.startswith(f"{PREFIX}logits/"):
            changed[name] *= 2 * first
    changed["logits/kernel"][..., 0] *= 2 * second
    changed["logits/bias"][0] = 2 * (second * changed["logits/bias"][0] + added)
    return changed


def main() -> None:
    """Write weights and card."""
    parser = new_parser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the new model, whose name it gets")
    parser.add_argument("--first", default="lotss-unet")
    parser.add_argument("--second", default="lotss-classes")
    args = parser.parse_args()
    (first, first_card), (second, card) = (load_model(model_folder(one)) for one in (args.first, args.second))
    widths = (*first_card.widths, *card.widths)
    both = named_weights(first) | named_weights(second)
    sums = fitted_weights(both, widths)
    network = unet_pair(TILE_PX, widths)
    set_named_weights(network, joined(both, *sums))
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
        "logit": dict(zip((args.first, args.second, "added"), sums, strict=True)),
        "pairs": {
            "number": FIELDS * len(SKIES),
            "set": "; ".join(f"base seed {read_sky(sky).seed}" for sky in SKIES),
            "seeds": [FIRST_SEED, FIRST_SEED + FIELDS - 1],
        },
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
