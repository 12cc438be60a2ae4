"""Finish the publication of a run: HiPS, research object, citation texts, results site, checksums."""

from radiounet.images.products import Publication
from radiounet.images.regional_products import products_at
from radiounet.publishing.hips_parts import parts_of
from radiounet.publishing.publication import finish, publish
from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("record",))
    add_settings(parser)
    parser.add_argument("--record", required=True, help="record of the job to write (JSON)")
    parser.add_argument("--threads", type=whole(1), default=1, help="processes (default: %(default)s)")
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph(args.settings, CHECKOUT)
        publication = Publication(graph.products.publication())
        options = args.settings.publish
        if args.settings.select.merges_regions:
            products = products_at(graph.products.root)
            publish(products, publication, graph.survey, graph.selected, args.threads, options)
            return
        parts = sorted(parts_of(graph.survey, graph.selected))
        finish(graph.products, publication, graph.release, graph.selected, parts, options, args.threads)

    run_stage(args, work)


if __name__ == "__main__":
    main()
