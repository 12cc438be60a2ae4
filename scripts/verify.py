"""One verdict of all mosaics that were compared with reference ones."""

from pathlib import Path

from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--config", required=True, help="configuration that the tables depend on, as JSON")
    parser.add_argument("--out", required=True, help="verdict to write (JSON; a page .md beside it)")
    args = parser.parse_args()

    def work() -> None:
        from radiounet.publishing.verification import merge_verifications

        graph = JobGraph.from_json(args.config)
        merge_verifications([graph.products.verification(name) for name in graph.selected], args.out)

    run_stage(args, work, outputs=[], writes=[str(Path(args.out).with_suffix(".md"))])


if __name__ == "__main__":
    main()
