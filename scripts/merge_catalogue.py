"""Merge the tables of all mosaics, or regions, into the catalogues of clusters, islands and rejections."""

import json
from pathlib import Path

from radiounet.images.regional_products import region_files, write_index
from radiounet.measuring.catalogue import merge_catalogues, write_catalogues
from radiounet.measuring.region_tables import join_regions, write_region_tables
from radiounet.running.job_graph import JobGraph
from radiounet.running.outputs import claim_outputs
from radiounet.running.run_notes import settings_of_run
from radiounet.running.stage import run_stage, stage_parser
from radiounet.running.stages import add_stages
from radiounet.running.survey_regions import SurveyRegions
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings
from radiounet.settings.config import load_config
from radiounet.settings.configuration_file import write_configuration


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("--made-with", type=json.loads, help="of a region: what it is made with (JSON)")
    parser.add_argument("--added-stages", type=json.loads, default=[], help="of another workflow (JSON)")
    add_settings(parser)
    args = parser.parse_args()

    def work() -> None:
        add_stages(args.added_stages)
        graph = JobGraph(args.settings, CHECKOUT)  # ten thousand names are too long for a command line
        files = [*graph.products.catalogues().values(), graph.products.configuration()]
        limits = graph.config.limits.enabled
        used = load_config(settings_of_run(args.settings.model_dump(mode="json")))
        table = next(iter(graph.cluster_table), None)
        if graph.config.select.merges_regions:
            regions = SurveyRegions(graph)
            claim_outputs([*files, graph.products.region_index()], [*graph.cluster_table, *regions.files()])
            run = join_regions(map(regions.products, regions.mosaics))
            write_catalogues(graph.products, run, graph.clusters, graph.survey, table, used)
            write_index(graph.products, regions.folders())
            write_configuration(used, graph.products.configuration())
            return
        of_region = region_files(graph.products, limits) if args.made_with else []
        claim_outputs([*files, *of_region, graph.products.region_index()], graph.cluster_table)
        # what is merged here is of one piece, whatever regions were merged here before
        Path(graph.products.region_index()).unlink(missing_ok=True)
        made = graph.products.root, graph.selected, graph.fields_used, graph.neighbours
        listed = graph.clusters, graph.survey
        run = merge_catalogues(*made, *listed, limits, graph.listed_if_rejected, table, used)
        if args.made_with:
            write_region_tables(graph.products, run, args.made_with)
        write_configuration(used, graph.products.configuration())

    run_stage(args, work)


if __name__ == "__main__":
    main()
