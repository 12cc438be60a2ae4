"""The demo, local: what the workflow adds to its stages' own times, and its plan compared with the run."""

import sys
import tempfile
from pathlib import Path

import yaml

from common import ROOT, print_table, run, snakemake
from radiounet.running.job_graph import JobGraph
from radiounet.running.plan import Plan, read_costs, seconds_of
from radiounet.settings.config import load_config
from radiounet.simulation.small_survey import FIELD_PX, demo_config, serve, write_archive

LOADED = ("fetch_lists", "fetch_clusters")


def own_times(folder: Path) -> dict[str, list[float]]:
    """Seconds of every job by its benchmark file, by rule."""
    rules = sorted(path for path in folder.iterdir() if path.name not in LOADED)
    return {rule.name: [seconds_of(path) for path in rule.iterdir()] for rule in rules}


def main() -> None:
    """Print both tables."""
    rows, errors = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([sys.executable, __file__, str(folder / "archive")])
        with serve(folder / "archive") as url:
            for release in ("dr2", "dr3"):
                config = folder / f"{release}.yaml"
                content = demo_config(release, url, folder / "archive")
                content["archive"]["list_folder"] = str(folder / "lists")
                config.write_text(yaml.safe_dump(content | {"results": str(folder / "results")}))
                snakemake(folder, config, "lists")
                settings = load_config(yaml.safe_load(config.read_text()))
                plan = Plan(settings, JobGraph(settings, ROOT), read_costs(), FIELD_PX)
                whole = snakemake(folder, config, "--cores", "1").seconds
                times = own_times(folder / "results" / release / "benchmarks")
                own = sum(map(sum, times.values()))
                jobs = sum(map(len, times.values()))
                rows.append([release, jobs, f"{own:.1f}", f"{whole:.1f}", f"{100 * (whole / own - 1):.0f} %"])
                planned = {stage.stage.rule: stage.jobs * stage.seconds for stage in plan.stages}
                for rule, seconds in planned.items():
                    took = sum(times[rule])
                    errors.append(
                        [
                            release,
                            rule,
                            f"{seconds:.1f}",
                            f"{took:.1f}",
                            f"{100 * (seconds / took - 1):+.0f} %",
                        ]
                    )
                total = sum(planned.values())
                errors.append(
                    [release, "all", f"{total:.1f}", f"{own:.1f}", f"{100 * (total / own - 1):+.0f} %"]
                )
    print_table(["survey", "jobs", "stages' own times, s", "whole run, one core, s", "overhead"], rows)
    print()
    print_table(["survey", "rule", "planned, s", "took, s", "error"], errors)


if __name__ == "__main__":
    write_archive(Path(sys.argv[1])) if sys.argv[1:] else main()
