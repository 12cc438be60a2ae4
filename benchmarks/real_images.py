"""What the shipped model says of the two real images (needs ../shared/data)."""

import sys
import tempfile
from pathlib import Path

from astropy.table import Table

from common import ROOT, print_table, run


def main() -> None:
    """Print clusters and islands of config/examples/real_images.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", "2", "--directory", str(ROOT)]
        command += ["--configfile", str(ROOT / "config/examples/real_images.yaml")]
        run([*command, "--config", f"results={folder}"])
        catalogue = Path(folder) / "images" / "catalogue"
        clusters = Table.read(catalogue / "clusters.vot")
        islands = Table.read(catalogue / "islands.vot")
        noted = {}
        for name in ("RXCJ1825", "P205+55-cutout"):
            log = (Path(folder) / f"images/logs/prepare_image/{name}.log").read_text()
            noted[name] = [line.split(": ", 1)[1] for line in log.splitlines() if "WARNING" in line]
    names = ["name", "p_diffuse", "mask_fraction", "flux_mjy", "flux_err_mjy", "coverage"]
    print_table(names, [[_short(row[name]) for name in names] for row in clusters])
    print()
    names = ["mosaic", "name", "area_arcmin2", "las_arcmin", "p_mean", "flux_mjy", "flux_err_mjy"]
    islands.sort("flux_mjy", reverse=True)
    print_table(names, [[_short(row[name]) for name in names] for row in islands])
    for name, lines in noted.items():
        print(f"\n{name}: {'; '.join(lines) or 'no warning'}")


def _short(value: object) -> str:
    return f"{value:.3g}" if hasattr(value, "dtype") and value.dtype.kind == "f" else str(value)


if __name__ == "__main__":
    main()
