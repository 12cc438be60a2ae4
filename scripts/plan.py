"""Say what a run will take: jobs, core-hours, gigabytes, wall time. Runs nothing."""

import json
import os
import sys

from radiounet.images.writing import atomic
from radiounet.running.job_graph import JobGraph
from radiounet.running.plan import CONNECTIONS, COSTS, JOBS, Plan, read_costs
from radiounet.running.stage import run_stage, stage_parser, whole
from radiounet.running.stages import add_stages
from radiounet.settings.checkout import CHECKOUT
from radiounet.settings.command_line import add_settings
from radiounet.survey.cluster_tables import log_notes


def main() -> None:
    """Parse the command line and run the stage."""
    parser = stage_parser(__doc__, reads=("costs",), writes=("out",))
    add_settings(parser)
    parser.add_argument("--added-stages", type=json.loads, default=[], help="of another workflow (JSON)")
    parser.add_argument("--costs", default=str(COSTS), help="measured costs (CSV, default: %(default)s)")
    parser.add_argument(
        "--jobs", type=whole(1), default=JOBS, help="at once on a cluster (default: %(default)s)"
    )
    parser.add_argument(
        "--connections", type=whole(1), default=CONNECTIONS, help="downloads at once (default: %(default)s)"
    )
    parser.add_argument("--submitted", nargs="*", default=[], help="rules of downloads that a cluster runs")
    parser.add_argument(
        "--cores", type=whole(1), default=len(os.sched_getaffinity(0)), help="here (default: %(default)s)"
    )
    parser.add_argument(
        "--field-px", type=whole(1), help="side of a field's image (default: as the release says)"
    )
    parser.add_argument("--out", required=True, help="page to write (Markdown)")
    args = parser.parse_args()

    def work() -> None:
        add_stages(args.added_stages)
        graph = JobGraph(args.settings, CHECKOUT)
        field_px, downloads = args.field_px or graph.release.field_px, (args.connections, args.submitted)
        plan = Plan(graph.config, graph, read_costs(args.costs), field_px, *downloads)
        text = plan.text(args.jobs, args.cores)
        for table in graph.cluster_table:
            log_notes(graph.clusters, table)
        with atomic(args.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        sys.stdout.write(text)

    run_stage(args, work)


if __name__ == "__main__":
    main()
