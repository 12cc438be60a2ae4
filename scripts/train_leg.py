"""Train the network of lotss-classes for a limited time. Run it again with the same folder to continue."""

from functools import partial
from pathlib import Path
from typing import Any

from radiounet.errors import ConfigError
from radiounet.images.provenance import code_hash
from radiounet.running.outputs import claim_outputs
from radiounet.running.parsers import new_parser
from radiounet.running.stage import positive, whole
from radiounet.settings.command_line import add_options, options_from
from radiounet.settings.named_skies import read_sky
from radiounet.settings.train import LegOptions


def main() -> None:
    """Parse options, train, and leave checkpoint, averaged weights and learning curve in the folder."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="checkpoint, curve and weights")
    parser.add_argument("--initial", help="averaged weights to begin with where there is no checkpoint")
    parser.add_argument("--minutes", type=positive, default=100, help="length of the leg")
    parser.add_argument("--cores", type=whole(1), default=1, help="of the network, and as many to simulate")
    add_options(parser, LegOptions)
    args = parser.parse_args()

    from radiounet.learning.legs import Leg, Scoreboard, Supply, held_out
    from radiounet.learning.samples import make_sample
    from radiounet.network.architectures.class_unet import class_unet
    from radiounet.network.devices import use_threads
    from radiounet.running.log import configure

    files = [args.folder / name for name in ("checkpoint.npz", "weights.npz", "curve.csv")]
    try:
        options = options_from(args, LegOptions)
        claim_outputs([] if files[0].is_file() else files, [args.initial or ""], args.folder / "log")
    except ConfigError as error:
        parser.error(str(error))
    configure(args.folder / "log")
    use_threads(args.cores)
    sky = read_sky("wide")
    supply = Supply(partial(make_sample, sky), args.cores)

    def build(side: int) -> Any:
        return class_unet(side, options.widths)

    try:
        made_with = f"{code_hash('train_leg')} {sky.model_dump_json()}"
        leg = Leg(build, options, args.folder, args.initial, made_with)
        board = Scoreboard(build, held_out(args.folder / "samples", options.held_out), 1)
        leg.run(supply, sky.n_px, args.minutes, board)
    finally:
        supply.close()


if __name__ == "__main__":
    main()
