"""Merge the tables of all mosaics into the catalogues of clusters, islands and rejections."""

from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.running.job_graph import JobGraph
from radiounet.running.outputs import claim_outputs
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph(args.settings, CHECKOUT)  # ten thousand names are too long for a command line
        files = [graph.products.catalogue(kind, s) for kind in CATALOGUE_KINDS for s in CATALOGUE_SUFFIXES]
        claim_outputs(files, graph.cluster_table)
        merge_catalogues(
            *(graph.products.root, graph.selected, graph.fields_used, graph.neighbours),
            clusters=graph.clusters,
            survey=graph.survey,
            limits=graph.config.limits.enabled,
            compact=graph.config.fetched_compact(graph.products, *graph.selected),
        )

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
