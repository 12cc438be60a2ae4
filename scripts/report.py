"""Write the report page of a run."""

from radiounet.publishing.report import write_report
from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    add_settings(parser)
    parser.add_argument("--out", required=True, help="page to write (HTML)")
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph(args.settings, CHECKOUT)
        write_report(graph.products.root, graph.config, graph.survey, graph.selected, args.out)

    run_stage(args, work)


if __name__ == "__main__":
    main()
