"""Merge the lists of clusters that the configuration names into one table."""

from radiounet.running.job_graph import JobGraph
from radiounet.running.stage import run_stage, stage_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings
from radiounet.survey.cluster_lists import merge_cluster_tables


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, writes=("out",))
    parser.add_argument("--out", required=True, help="table to write (ECSV)")
    add_settings(parser)
    args = parser.parse_args()
    lists = JobGraph(args.settings, CHECKOUT).cluster_lists

    def work() -> None:
        merge_cluster_tables(lists, args.out)

    run_stage(args, work, reads=list(lists))


if __name__ == "__main__":
    main()
