"""How far a network of surrounded tiles sees: its result with narrower margins around the cores.

The widest margin is that of the model's card. Threshold of the masks: that of the card.
"""

import numpy as np

from common import print_table
from radiounet.network.devices import use_threads
from radiounet.network.inference import open_model
from radiounet.network.model_cards import model_folder, network_input
from radiounet.running.parsers import new_parser
from radiounet.settings.named_skies import read_sky
from radiounet.settings.simulate import HELD_OUT, SKIES
from radiounet.simulation.simulate import simulate_pair

N_PX = 1536


def main() -> None:
    """Predict fields of every sky with each margin, and print a row for each."""
    parser = new_parser(description=__doc__)
    parser.add_argument("model", nargs="?", default="lotss-classes", help="name or folder of a model")
    parser.add_argument("--core", type=int, default=512, help="side of a core, px")
    parser.add_argument("--fields", type=int, default=2, help="fields of each sky")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    use_threads(args.threads)
    predictor, card = open_model(model_folder(args.model))
    if not card.surrounded:
        parser.error(f"the tiles of {card.name} are not surrounded: its result depends on where they lie")
    margins = range(card.margin_px, card.step_px, -card.step_px)
    differences = {margin: 0.0 for margin in margins}
    shared, either = dict.fromkeys(margins, 0), dict.fromkeys(margins, 0)
    for sky in SKIES:
        for seed in range(HELD_OUT, HELD_OUT + args.fields):
            image = simulate_pair(read_sky(sky).model_copy(update={"n_px": N_PX}), seed).image
            beam_px = card.beam_arcsec / card.pixel_arcsec
            plane = network_input(card.normalisation, image, beam_px)
            whole = predictor.plane(plane, N_PX + 2 * card.margin_px, N_PX)
            for margin in margins:
                found = predictor.plane(plane, args.core + 2 * margin, args.core)
                differences[margin] = max(differences[margin], float(np.abs(found - whole).max()))
                one, other = found > card.threshold, whole > card.threshold
                shared[margin] += int((one & other).sum())
                either[margin] += int((one | other).sum())
    rows = [
        [str(margin), f"{differences[margin]:.1g}", f"{shared[margin] / max(either[margin], 1):.4f}"]
        for margin in margins
    ]
    print(f"{card.name}: fields of {N_PX} px, {args.fields} of each of {len(SKIES)} skies, in one tile")
    print(f"and in cores of {args.core} px with a margin around them\n")
    print_table(["margin, px", "largest difference of the probability", "IoU of the masks"], rows)


if __name__ == "__main__":
    main()
