"""The demo's DR3 survey on a real Slurm of this machine: time of each job beside its work, and of the run.

For throw-away machines only (root, Debian): `python -m tests.cluster.slurm install` first, then
`PYTHONPATH=. python benchmarks/slurm.py`.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

import yaml
from tests.cluster.slurm import Slurm, obstacle

from common import ROOT, print_table, run
from radiounet.images.products import Products
from radiounet.running.plan import seconds_of
from radiounet.simulation.small_survey import demo_config, serve, write_archive

QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--slurm-status-command", "squeue")


def main() -> None:
    """Print the table."""
    if reason := obstacle():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_archive(folder / "archive")
        slurm = Slurm(folder / "slurm")
        try:
            with serve(folder / "archive") as url:
                config = folder / "dr3.yaml"
                config.write_text(yaml.safe_dump(demo_config("dr3", url, folder / "archive")))
                command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
                command += ["--profile", str(ROOT / "slurm"), *QUICK, "--directory", str(folder)]
                command += ["--configfile", str(config), "--jobs", "1", "--"]
                os.environ["RADIOUNET_NETWORK_PARTITION"] = "net"
                run([*command, "lists"])
                whole = run([*command, "all"]).seconds
            products = Products(f"{folder}/results/dr3")
            rows, beside = [], []
            for job in slurm.jobs():
                mosaic = job.comment.rpartition("_wildcards_")[2] if "_wildcards_" in job.comment else "all"
                work = seconds_of(products.benchmark(job.rule, mosaic))
                beside.append(job.seconds - work)
                rows.append([job.rule, mosaic, f"{job.seconds:.0f}", f"{work:.1f}", f"{beside[-1]:.1f}"])
        finally:
            slurm.stop()
    print_table(["rule", "mosaic", "in Slurm, s", "its work, s", "beside it, s"], rows)
    print(
        f"\nBeside its work a job takes {statistics.median(beside):.1f} s (median); "
        f"the run, a job at a time, {whole:.0f} s."
    )


if __name__ == "__main__":
    main()
