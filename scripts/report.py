"""Write the report page of a run."""

from radiounet.publishing.report import write_report
from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--config", required=True, help="the whole configuration, as JSON")
    parser.add_argument("--out", required=True, help="page to write (HTML)")
    args = parser.parse_args()

    def work() -> None:
        graph = JobGraph.from_json(args.config)
        write_report(graph.products.root, graph.config, graph.survey, graph.selected, args.out)

    run_stage(args, work, outputs=[])


if __name__ == "__main__":
    main()
