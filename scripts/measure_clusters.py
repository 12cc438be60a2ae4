"""Measure the clusters whose centre a mosaic's cell owns."""

from radiounet.images.products import Products
from radiounet.images.rejections import read_rejection
from radiounet.measuring.clusters import MosaicProducts, measure_clusters
from radiounet.measuring.components import CompactFiles
from radiounet.running.stage import run_stage, stage_parser
from radiounet.survey.survey import add_survey_options, survey_from


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("clusters", "list", "components", "high_resolution"))
    parser.add_argument("--root", required=True, help="folder of the release's products, such as results/dr2")
    parser.add_argument("--mosaic", required=True, help="name of the mosaic")
    parser.add_argument("--touched", nargs="*", default=[], help="other mosaics that apertures touch")
    parser.add_argument("--clusters", help="cluster table; none writes an empty table")
    parser.add_argument("--components", help="table of components; none: without")
    parser.add_argument("--high-resolution", help="cut-outs of a 6 arcsec image; none: without")
    add_survey_options(parser)
    args = parser.parse_args()

    products = Products(args.root)
    mask = products.mask(args.mosaic)
    table, cutouts = products.clusters(args.mosaic), products.cutouts(args.mosaic)

    def work() -> None:
        options, model = args.settings.measure, args.settings.segmentation.model
        names = [args.mosaic, *(n for n in args.touched if not read_rejection(products.mask(n)))]
        planes = [
            MosaicProducts(n, products.image(n), products.probability(n), products.mask(n)) for n in names
        ]
        survey = survey_from(args)
        compact = CompactFiles(args.mosaic, options.components, args.components, args.high_resolution)
        written = options, table, cutouts
        measure_clusters(args.clusters, survey, args.mosaic, planes, model, *written, compact=compact)

    planes = [
        kind(n) for n in (args.mosaic, *args.touched) for kind in (products.image, products.probability)
    ]
    masks = [products.mask(n) for n in args.touched]
    run_stage(args, work, inputs=[mask], outputs=[table, cutouts], reads=[*planes, *masks], name=args.mosaic)


if __name__ == "__main__":
    main()
