"""Merging the tables of a survey of DR3's size: seconds and memory of the whole process."""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import print_table, run
from radiounet.images.products import Products
from radiounet.images.writing import write_ecsv
from radiounet.measuring.catalogue import merge_catalogues
from radiounet.measuring.columns import CLUSTERS, EMPTY, LIMITS, TABLES, make_table
from radiounet.running.parsers import new_parser
from radiounet.settings.releases import DR3
from radiounet.survey.cells import HealpixCells
from radiounet.survey.survey import Cluster, Survey

MOSAICS, CLUSTER_ROWS, ISLANDS = 1571, 3821, 32
RUNS = 3
META = {"modelsha": "a", "segmode": "exact", "thresh": 0.3, "minbeams": 1.0}


def survey_and_clusters() -> tuple[Survey, list[Cluster]]:
    """As many cells as DR3 has, and clusters in their centres."""
    survey = Survey(DR3, map(HealpixCells(DR3).geometry, range(MOSAICS)))
    places = np.array_split(np.arange(CLUSTER_ROWS), MOSAICS)
    clusters = [
        Cluster(f"clusters {number}", mosaic.ra_deg, mosaic.dec_deg, 0.2, 3.0)
        for mosaic, numbers in zip(survey.mosaics.values(), places, strict=True)
        for number in numbers
    ]
    return survey, clusters


def row(kind: str, rng: np.random.Generator, **values: object) -> dict[str, object]:
    """A row of plausible numbers, with some values given."""
    numbers = {
        name: float(rng.uniform(0, 10)) if column.kind is float else EMPTY[column.kind]
        for name, column in TABLES[kind].items()
    }
    return numbers | values


def write_tables(root: Path, survey: Survey, clusters: Sequence[Cluster]) -> None:
    """Write the tables of all mosaics of a survey."""
    rng, products = np.random.default_rng(1), Products(str(root))
    held = survey.members([*survey.mosaics], [c.ra_deg for c in clusters], [c.dec_deg for c in clusters])
    for name, mine in held.items():
        names = [f"islands {name} {number}" for number in range(ISLANDS)]
        islands = [
            row("islands", rng, name=one, parent=one, mosaic=name, owned_fraction=1.0)
            | {"ra_deg": float(rng.uniform(0, 360)), "dec_deg": float(rng.uniform(0, 80))}
            for one in names
        ]
        prints = [" ".join(map(str, rng.integers(0, 800_000_000, 30))) for _ in islands]
        write_ecsv(products.islands(name), make_table("islands", islands, META | {"footprints": prints}))
        measured = [
            row("clusters", rng, name=one.name, ra_deg=one.ra_deg, dec_deg=one.dec_deg, mosaic=name)
            for one in (clusters[index] for index in mine)
        ]
        write_ecsv(products.clusters(name), make_table("clusters", measured, META))
        shared = [{key: one[key] for key in LIMITS if key in CLUSTERS} for one in measured]
        limits = [row("limits", rng) | values for values in shared]
        write_ecsv(products.limits(name), make_table("limits", limits, META | {"limits": "{}"}))


def main() -> None:
    """Write the tables, merge them in processes of their own, and print what it took."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--merge", help="merge the tables in this folder: what is measured")
    args = parser.parse_args()
    survey, clusters = survey_and_clusters()
    if args.merge:
        merge_catalogues(args.merge, [*survey.mosaics], clusters=clusters, survey=survey, limits=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), survey, clusters)
        costs = [run([sys.executable, __file__, "--merge", folder]) for _ in range(RUNS)]
    wall, processor, memory = (
        statistics.median(getattr(cost, name) for cost in costs)
        for name in ("seconds", "cpu_seconds", "gigabytes")
    )
    head = ["mosaics", "clusters", "islands", "wall", "processor", "memory"]
    counts = [MOSAICS, CLUSTER_ROWS, MOSAICS * ISLANDS]
    print_table(head, [[*counts, f"{wall:.0f} s", f"{processor:.0f} s", f"{memory:.2f} GB"]])


if __name__ == "__main__":
    main()
