"""Time of the demo and of its publication, and what it found of the clusters that were put into its sky."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.table import Table

from common import ROOT, print_table, run

RELEASES = ("dr2", "dr3")
COMMAND = Path(sys.executable).with_name("radiounet")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost = run([sys.executable, str(ROOT / "scripts" / "demo.py"), "--out", name])
        published = {
            release: run(
                [
                    str(COMMAND),
                    "publish",
                    f"{name}/results/{release}",
                    "--out",
                    f"{name}/{release}",
                    "--threads",
                    "2",
                ]
            )
            for release in RELEASES
        }
        rows = []
        for release in RELEASES:
            truth = Table.read(folder / f"archive/clusters_{release}.ecsv")
            diffuse = dict(zip(truth["name"], truth["simulated_diffuse"], strict=True))
            clusters = Table.read(folder / f"results/{release}/catalogue/clusters.vot")
            covered = clusters[np.asarray(clusters["coverage"]) > 0.5]
            has = np.array([diffuse[name] for name in covered["name"]])
            said, low = np.asarray(covered["p_diffuse"]) > 0.5, np.asarray(covered["p_diffuse"]) < 0.4
            islands = Table.read(folder / f"results/{release}/catalogue/islands.vot")
            rows.append(
                [
                    release,
                    f"{(has & said).sum()} of {has.sum()}",
                    f"{(~has & said).sum()} of {(~has).sum()}",
                    f"{(~has & low).sum()} of {(~has).sum()}",
                    len(islands),
                ]
            )
    print(f"The demo took {cost.seconds:.0f} s, simulation of its archive included.")
    seconds = ", ".join(f"{release} {one.seconds:.0f} s" for release, one in published.items())
    print(f"`radiounet publish` of its two releases, two processes each: {seconds}.\n")
    heads = (
        "release",
        "clusters with diffuse emission, p > 0.5",
        "without, p > 0.5",
        "without, p < 0.4",
        "islands",
    )
    print_table(heads, rows)


if __name__ == "__main__":
    main()
