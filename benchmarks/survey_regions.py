"""A survey of 100,000 mosaics by regions: planning of one region, and the last merge; products are empty.

Pointings are spread evenly over the sky. Each process is measured as a whole: wall time, time of
the processor (which other work on the machine changes less), and peak memory.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from astropy.table import Table

from common import ROOT, Cost, print_table, run, snakemake
from radiounet.images.squares import Mosaic
from radiounet.measuring.mosaic_tables import MosaicTable, RunTables
from radiounet.measuring.region_tables import write_region_tables
from radiounet.running.job_graph import JobGraph
from radiounet.running.parsers import new_parser
from radiounet.running.stages import lasting_products
from radiounet.running.survey_regions import SurveyRegions
from radiounet.settings.config import Config, load_config
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths

MOSAICS, CLUSTERS, N_PX = 100_000, 10_000, 720
ORDER, PIXEL = 2, 17
META = {"modelsha": "a", "segmode": "exact", "thresh": 0.3, "minbeams": 1.0}


def write_survey(folder: Path, source: str) -> Path:
    """Lists of a survey over the whole sky, clusters at random places, and a configuration."""
    index = np.arange(MOSAICS)
    dec = np.degrees(np.arcsin(1 - (2 * index + 1) / MOSAICS))
    ra = np.degrees(np.pi * (3 - 5**0.5) * index) % 360
    names = [f"G{number:06d}" for number in index]
    places = list(zip(names, ra.tolist(), dec.tolist(), strict=True))
    paths = list_paths(str(folder / "lists"), "dr2")
    write_mosaic_list(paths["mosaics"], [Mosaic(*place, N_PX) for place in places])
    write_list(paths["fields"], FIELD_COLUMNS, [(*place, 1) for place in places])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    rng = np.random.default_rng(1)
    clusters = Table(
        {
            "name": [f"C{number}" for number in range(CLUSTERS)],
            "ra": rng.uniform(0, 360, CLUSTERS),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, CLUSTERS))),
            "z": np.full(CLUSTERS, 0.2),
            "R500": np.full(CLUSTERS, 6.0),
        }
    )
    clusters["R500"].unit = "arcmin"
    clusters.write(folder / "clusters.ecsv")
    content = {
        "release": "dr2",
        "mosaics": {"source": source},
        "clusters": "clusters.ecsv",
        "archive": {"list_folder": "lists", "dr2": {"field": "file:///data/{field}/{file}"}},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(content))
    return config


def select(healpix: dict[str, int]) -> list[str]:
    """Options that select a region, or the merging of all."""
    return ["--config", f"select={json.dumps({'healpix': healpix})}"]


def settings_of(config: Path, healpix: dict[str, int]) -> Config:
    """The same for this process."""
    return load_config(yaml.safe_load(config.read_text()) | {"select": {"healpix": healpix}})


def touch_region(config: Path) -> None:
    """Make the products of the mosaics of one region as empty files, in the order of the walk."""
    graph = JobGraph(settings_of(config, {"order": ORDER, "pixel": PIXEL}), ROOT)
    products = graph.products
    for mosaic in (*graph.selected, *graph.neighbours):
        lasting = lasting_products(graph.config, products, mosaic)
        for path in map(Path, (products.image(mosaic), products.mosaic_source(mosaic), *lasting)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def write_regions(config: Path) -> None:
    """Write what each region leaves for the survey: tables without rows."""
    regions = SurveyRegions(JobGraph(settings_of(config, {"order": ORDER}), ROOT))
    made_with = regions.made_with()
    for pixel, names in regions.mosaics.items():
        tables: dict = {kind: [MosaicTable([], META) for _ in names] for kind in ("islands", "clusters")}
        write_region_tables(regions.products(pixel), RunTables(names, tables, []), made_with)


def row(what: str, cost: Cost) -> list[object]:
    """One row: what was planned or done, its jobs, times and memory."""
    jobs = re.search(r"^total\s+(\d+)$", cost.output, re.MULTILINE)
    times = f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}"
    return [what, jobs[1] if jobs else "-", *times, f"{cost.gigabytes:.2f}"]


def measure(source: str) -> Iterator[list[object]]:
    """Rows of one kind of survey, each as soon as it is measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_survey(folder, source)
        one, merge = select({"order": ORDER, "pixel": PIXEL}), select({"order": ORDER})
        dry_run = ["-n", "--quiet", "rules"]
        yield row(f"region from {source}, planned", snakemake(folder, config, *dry_run, *one))
        if source != "published":
            return
        itself = [sys.executable, __file__, "--folder", name]
        run([*itself, "--make", "regions"])
        target = ["--", "results/dr2/catalogue/clusters.fits"]
        yield row("last merge, planned", snakemake(folder, config, *dry_run, *merge, *target))
        yield row("last merge, done", snakemake(folder, config, "--quiet", *merge, *target))
        run([*itself, "--make", "region"])
        dry_run += ["--rerun-triggers", "mtime"]
        yield row("region, its products are there", snakemake(folder, config, *dry_run, *one))


def main() -> None:
    """Print the table."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--folder", help="of a survey that is there already")
    parser.add_argument("--make", choices=("region", "regions"), help="make empty products there")
    args = parser.parse_args()
    if args.folder:
        os.chdir(args.folder)
        config = Path("config.yaml")
        touch_region(config) if args.make == "region" else write_regions(config)
        return
    print(f"{MOSAICS:,} mosaics, {CLUSTERS:,} clusters, {12 * 4**ORDER} regions of order {ORDER}.\n")
    print_table(["what", "jobs", "wall, s", "CPU, s", "memory, GB"], [])
    for source in ("published", "fields"):
        for cells in measure(source):
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
