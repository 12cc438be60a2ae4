"""Mixtures of two sets of weights of the class network, on held-out fields of all three skies.

The first may have fewer levels than the second. ``--write SHARE FILE`` keeps one mixture, to go on from.
"""

from pathlib import Path

import numpy as np

from common import print_table
from radiounet.learning.deepening import deepened
from radiounet.learning.legs import Scoreboard, held_out
from radiounet.network.architectures.class_unet import class_unet
from radiounet.network.architectures.keras_network import set_named_weights
from radiounet.network.devices import use_threads
from radiounet.network.model_cards import read_named_weights, write_named_weights
from radiounet.running.parsers import new_parser
from radiounet.settings.simulate import SKIES
from radiounet.settings.train import LegOptions


def main() -> None:
    """Measure and print a row for each share of the second."""
    parser = new_parser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0, 0.3, 0.5, 0.7, 1], help="of the second"
    )
    parser.add_argument("--held-out", type=int, default=16, help="fields of each sky")
    parser.add_argument("--fields", type=Path, default=Path("results/fields"), help="folder to keep them in")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", nargs=2, metavar=("SHARE", "FILE"), help="mixture to keep")
    args = parser.parse_args()
    use_threads(args.threads)
    widths = LegOptions().widths
    second = read_named_weights(args.second)
    # levels that the first lacks are those of the second
    first = deepened(read_named_weights(args.first), second)

    def mixture(share: float) -> dict[str, np.ndarray]:
        return {name: (1 - share) * first[name] + share * one for name, one in second.items()}

    if args.write:
        write_named_weights(args.write[1], mixture(float(args.write[0])))
    board = Scoreboard(lambda side: class_unet(side, widths), held_out(args.fields, args.held_out), 1)
    model, rows = class_unet(320, widths), []
    for share in args.shares:
        set_named_weights(model, mixture(share))
        found = board.measure(model.get_weights())
        cells = [f"{found[f'{sky} dice']:.3f}, {found[f'{sky} ap']:.3f}" for sky in SKIES]
        mean = np.mean([found[f"{sky} ap"] for sky in SKIES])
        rows.append([f"{share:g}", *cells, f"{mean:.3f}"])
    print_table(["share of the second", *(f"{sky}: Dice, AP" for sky in SKIES), "mean AP"], rows)


if __name__ == "__main__":
    main()
