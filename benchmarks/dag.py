"""Time and memory of planning a survey: dry run, nothing to do, parsing in a job; 841 to 10,000 mosaics.

The complete releases come from the lists of ../shared/data; a grid of pointings over
the sky, every one mosaicked from its fields, shows how the cost grows.
"""

import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from common import ROOT, SHARED, print_table, run, snakemake
from radiounet.images.squares import Mosaic
from radiounet.running.job_graph import JobGraph
from radiounet.running.stages import stages_of
from radiounet.settings.config import load_config
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths

TABLES = SHARED / "tables"
GRID = (1_571, 10_000)
GRID_PX = 2400
REPEATS = 5
MAPS = ("image", "weights", "rms", "left_out", "mosaic_source")
"""What a mosaic's image comes with, which does not stay."""


def release_config(folder: Path, release: str, source: str) -> Path:
    """Configuration of a complete release, whose lists are fetched from ../shared/data."""
    content = {
        "release": release,
        "clusters": "psz2",
        "mosaics": {"source": source},
        "archive": {
            "lists": {
                "dr2_mosaics": str(TABLES / "lotss_dr2_mosaics.csv"),
                "fields": str(TABLES / "lotss_grid_fields.csv"),
                "dr3_footprint": str(TABLES / "lotss_dr3_moc.fits"),
            },
            "clusters": {"psz2": str(TABLES / "psz2.ecsv"), "mcxc": "unused"},
            release: {"field": "file:///data/{field}/{file}"},
        },
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(content))
    snakemake(folder, config, "lists")
    return config


def grid_config(folder: Path, count: int) -> Path:
    """Configuration of a survey of `count` pointings, 4.1 deg2 each, from the north pole downwards."""
    z = 1 - (2 * np.arange(count) + 1) / max(GRID)
    dec, ra = np.degrees(np.arcsin(z)), np.degrees(np.pi * (3 - 5**0.5) * np.arange(count)) % 360
    names = [f"G{index:05d}" for index in range(count)]
    paths = list_paths(str(folder / "lists"), "dr2")
    places = list(zip(names, ra.tolist(), dec.tolist(), strict=True))
    write_mosaic_list(paths["mosaics"], [Mosaic(*place, GRID_PX) for place in places])
    write_list(paths["fields"], FIELD_COLUMNS, [(*place, 1) for place in places])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    archive = {"list_folder": "lists", "dr2": {"field": "file:///data/{field}/{file}"}}
    config = folder / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {"release": "dr2", "mosaics": {"source": "fields"}, "clusters": None, "archive": archive}
        )
    )
    return config


def touch_products(folder: Path, config: Path) -> None:
    """Make all products of a survey as empty files, in the order of the walk."""
    os.chdir(folder)
    settings = load_config(yaml.safe_load(config.read_text()))
    graph = JobGraph(settings, ROOT)
    p = settings.products
    for field in graph.fields_used:
        _touch(p.field_image(field, "int"), p.field_image(field, "app"), p.field_source(field))
    for kinds in (MAPS, *(stage.lasting for stage in stages_of(settings))):
        for mosaic in graph.selected:
            _touch(*(getattr(p, kind)(mosaic) for kind in kinds))
    _touch(*p.catalogues().values(), p.configuration(), p.report())


def _touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def measure(what: str, folder: Path, config: Path) -> tuple[list[object], float]:
    """One row: jobs, dry run, nothing to do; and the seconds of the dry run."""
    plan = snakemake(folder, config, "-n", "--quiet", "rules")
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", plan.output, re.MULTILINE)}
    run([sys.executable, __file__, str(folder), str(config)])
    idle = snakemake(folder, config, "--quiet")
    if "Nothing to be done" not in idle.output:
        raise RuntimeError(idle.output[-2000:])
    fields = counts.get("fetch_field", 0)
    seconds = (f"{plan.seconds:.1f}", f"{plan.gigabytes:.2f}", f"{idle.seconds:.1f}", f"{idle.gigabytes:.2f}")
    return [what, counts["segment"], fields, counts["total"], *seconds], plan.seconds


def start_of_a_job(folder: Path, config: Path) -> tuple[float, float]:
    """Median seconds until a job of the workflow would begin, and of a workflow of one rule."""
    (folder / "Snakefile").write_text(
        "rule segment:\n    output: '{mosaic}.txt'\n    shell: 'touch {output}'\n"
    )
    job = [
        "-n",
        "--quiet",
        "all",
        "--target-jobs",
        "segment:mosaic=hp00900",
        "--allowed-rules",
        "segment",
        "--force",
        "--mode",
        "subprocess",
    ]
    bare = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(folder / "Snakefile"),
        "--directory",
        str(folder),
    ]
    ours, alone = [], []
    for _ in range(REPEATS):
        ours.append(snakemake(folder, config, *job).seconds)
        alone.append(run([*bare, "--cores", "2", *job]).seconds)
    return statistics.median(ours), statistics.median(alone)


def main() -> None:
    """Print the tables."""
    rows, dry_runs = [], []
    for release, source in (("dr2", "published"), ("dr3", "published"), ("dr3", "fields")):
        with tempfile.TemporaryDirectory() as name:
            config = release_config(Path(name), release, source)
            rows.append(measure(f"{release}, {source}", Path(name), config)[0])
            if (release, source) == ("dr3", "fields"):
                ours, alone = start_of_a_job(Path(name), config)
    for count in GRID:
        with tempfile.TemporaryDirectory() as name:
            row, seconds = measure("grid of fields", Path(name), grid_config(Path(name), count))
            rows.append(row)
            dry_runs.append(seconds)
    heads = [
        "survey",
        "mosaics",
        "fields",
        "jobs",
        "dry run, s",
        "its memory, GB",
        "nothing to do, s",
        "its memory, GB",
    ]
    print_table(heads, rows)
    growth = dry_runs[1] / dry_runs[0]
    print(f"\nThe dry run grows {growth:.1f} times from {GRID[0]:,} to {GRID[1]:,} mosaics of the grid.")
    print(
        f"A job of the complete DR3 begins {ours:.2f} s after its Snakemake was started, one of a workflow "
        f"with a single rule {alone:.2f} s (medians of {REPEATS}): {ours - alone:.2f} s for the Snakefile."
    )


if __name__ == "__main__":
    touch_products(Path(sys.argv[1]), Path(sys.argv[2])) if sys.argv[1:] else main()
