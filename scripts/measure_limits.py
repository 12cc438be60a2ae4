"""Measure upper limits and completeness of the clusters whose centre a mosaic's cell owns."""

from typing import TYPE_CHECKING

from radiounet.images.products import Products
from radiounet.measuring.clusters import MosaicProducts
from radiounet.measuring.limits import measure_limits
from radiounet.network.model_cards import model_folder, read_card
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.survey.survey import add_survey_options, survey_from

if TYPE_CHECKING:  # it needs a backend
    from radiounet.network.inference import Predictor


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("clusters", "list"))
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--clusters", help="cluster table; none writes an empty table")
    parser.add_argument("--threads", type=whole(1), default=2, help="CPU threads (default: %(default)s)")
    add_survey_options(parser)
    args = parser.parse_args()

    products = Products(args.root)
    files = [one(args.mosaic) for one in (products.image, products.probability, products.mask)]
    target = products.limits(args.mosaic)
    options = args.settings.segmentation
    model = model_folder(options.model)

    def predictor() -> "Predictor":
        from radiounet.network.devices import use_threads
        from radiounet.network.inference import open_model

        use_threads(args.threads)
        return open_model(model, options.batch, options.precision)[0]

    def work() -> None:
        measure_limits(
            args.clusters,
            survey_from(args),
            MosaicProducts(args.mosaic, *files),
            read_card(model),
            predictor,
            args.settings.limits,
            args.settings.measure,
            target,
        )

    run_stage(args, work, inputs=[files[2]], outputs=[target], reads=files[:2], name=args.mosaic)


if __name__ == "__main__":
    main()
