"""Make the tiles of one part of the HiPS."""

from radiounet.images.products import Publication
from radiounet.publishing.published_tiles import publish_part
from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("record",))
    add_settings(parser)
    parser.add_argument("--part", type=whole(0, 767), required=True, help="its tile of order 3")
    parser.add_argument("--record", required=True, help="record of the job to write (JSON)")
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph(args.settings, CHECKOUT)
        publication = Publication(graph.products.publication())
        publish_part(graph.products, publication, graph.survey, graph.selected, args.part)

    run_stage(args, work, name=str(args.part))


if __name__ == "__main__":
    main()
