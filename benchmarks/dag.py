"""Time and memory of the dry run and of the lists for the complete releases (needs ../shared/data)."""

import re
import tempfile
from pathlib import Path

import yaml

from common import SHARED, print_table, snakemake

TABLES = SHARED / "tables"
KINDS = ("mosaics", "fields")


def main() -> None:
    """Print the table."""
    rows = []
    for release, source in (("dr2", "published"), ("dr3", "published"), ("dr3", "fields")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = folder / "config.yaml"
            config.write_text(
                yaml.safe_dump(
                    {
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
                )
            )
            lists = snakemake(folder, config, "lists")
            plan = snakemake(folder, config, "-n", "--quiet", "rules")
            jobs = re.search(r"^total\s+(\d+)", plan.output, re.MULTILINE)[1]
            costs = (f"{cost:.1f}" for cost in (lists.seconds, plan.seconds))
            count = {kind: _rows(folder / f"resources/footprints/{release}_{kind}.csv") for kind in KINDS}
            rows.append([release, source, *count.values(), jobs, *costs, f"{plan.gigabytes:.2f}"])
    heads = ["release", "source", "mosaics", "fields", "jobs", "lists, s", "dry run, s", "peak memory, GB"]
    print_table(heads, rows)


def _rows(path: Path) -> int:
    """Rows of a list: all mosaics, or the fields that are members of the release."""
    lines = path.read_text().splitlines()[1:]
    return sum(not path.stem.endswith("fields") or line.endswith(",1") for line in lines)


if __name__ == "__main__":
    main()
