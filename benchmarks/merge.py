"""Merging the tables of a survey of DR3's size: seconds and memory of the whole process."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from common import print_table, run
from radiounet.images.products import Products
from radiounet.images.writing import write_ecsv
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.columns import CLUSTERS, EMPTY, LIMITS, TABLES, make_table

MOSAICS, CLUSTER_ROWS, ISLANDS = 1571, 3821, 32
META = {"modelsha": "a", "segmode": "exact", "thresh": 0.3, "minbeams": 1.0}


def row(kind: str, number: int, rng: np.random.Generator) -> dict[str, object]:
    """A row of plausible numbers, with a name and a place of its own."""
    values: dict[str, object] = {}
    for name, column in TABLES[kind].items():
        values[name] = float(rng.uniform(0, 10)) if column.kind is float else EMPTY[column.kind]
    place = {"ra_deg": float(rng.uniform(0, 360)), "dec_deg": float(rng.uniform(0, 80))}
    return values | place | {"name": f"{kind} {number}"}


def write_tables(root: Path) -> list[str]:
    """Write the tables of all mosaics of a survey; return their names."""
    rng, products = np.random.default_rng(1), Products(str(root))
    names = [f"hp{number:05d}" for number in range(MOSAICS)]
    share = np.array_split(np.arange(CLUSTER_ROWS), MOSAICS)
    for number, (name, mine) in enumerate(zip(names, share, strict=True)):
        islands = [row("islands", ISLANDS * number + one, rng) for one in range(ISLANDS)]
        for one in islands:
            one |= {"parent": one["name"], "mosaic": name, "owned_fraction": 1.0}
        prints = [" ".join(map(str, rng.integers(0, 8e8, 30))) for _ in islands]
        write_ecsv(products.islands(name), make_table("islands", islands, META | {"footprints": prints}))
        clusters = [row("clusters", one, rng) | {"mosaic": name} for one in mine]
        write_ecsv(products.clusters(name), make_table("clusters", clusters, META))
        limits = [
            row("limits", 0, rng) | {key: one[key] for key in LIMITS if key in CLUSTERS} for one in clusters
        ]
        write_ecsv(products.limits(name), make_table("limits", limits, META | {"limits": "{}"}))
    return names


def main() -> None:
    """Write the tables, merge them in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merge", help="merge the tables in this folder: what is measured")
    args = parser.parse_args()
    if args.merge:
        names = [f"hp{number:05d}" for number in range(MOSAICS)]
        merge_catalogues(args.merge, names, limits=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder))
        cost = run([sys.executable, __file__, "--merge", folder])
    head = ["mosaics", "clusters", "islands", "wall", "memory"]
    counts = [MOSAICS, CLUSTER_ROWS, MOSAICS * ISLANDS]
    print_table(head, [[*counts, f"{cost.seconds:.0f} s", f"{cost.gigabytes:.2f} GB"]])


if __name__ == "__main__":
    main()
