"""Publish the maps and cut-outs of one mosaic."""

from radiounet.images.products import Publication
from radiounet.publishing.published_maps import publish_mosaic
from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("record",))
    add_settings(parser)
    parser.add_argument("--mosaic", required=True, help="its name")
    parser.add_argument("--record", required=True, help="record of the job to write (JSON)")
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph(args.settings, CHECKOUT)
        publication = Publication(graph.products.publication())
        publish_mosaic(graph.products, publication, graph.survey, args.mosaic)

    run_stage(args, work, name=args.mosaic)


if __name__ == "__main__":
    main()
