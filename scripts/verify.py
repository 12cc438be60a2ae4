"""One verdict of all mosaics that were compared with reference ones."""

from pathlib import Path

from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    add_settings(parser)
    parser.add_argument("--out", required=True, help="verdict to write (JSON; a page .md beside it)")
    args = parser.parse_args()

    def work() -> None:
        from radiounet.publishing.verdict import merge_verifications

        graph = JobGraph(args.settings, CHECKOUT)
        merge_verifications([graph.products.verification(name) for name in graph.selected], args.out)

    run_stage(args, work, writes=[str(Path(args.out).with_suffix(".md"))])


if __name__ == "__main__":
    main()
