"""Run the whole workflow on a small simulated survey, served on 127.0.0.1; one mosaic twice."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

from radiounet.demo import SECOND_RESULTS, VERIFIED, demo_config, second_run_configs, serve, write_archive
from radiounet.products import Products

ROOT = Path(__file__).resolve().parents[1]


def snakemake(folder: Path, config: Path, *targets: str) -> None:
    """Run the workflow in a folder; stop this program where it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "all"]
    command += ["--quiet", "rules", "host", "--", *targets]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


def verify_again(folder: Path, config: dict) -> str:
    """Make one mosaic a second time, hold the first run against it; returns the verdict."""
    paths = []
    for name, content in zip(("second", "verify"), second_run_configs(config), strict=True):
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(content))
    release = config["release"]
    snakemake(folder, paths[0], Products(f"{SECOND_RESULTS}/{release}").mask(VERIFIED))
    snakemake(folder, paths[1], "verify")
    return json.loads((folder / Products(f"results/{release}").verdict()).read_text())["verdict"]


def main() -> None:
    """Parse the command line, make the archive, run both releases, say where the products are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default: %(default)s)")
    out = parser.parse_args().out.resolve()
    started = time.monotonic()
    archive = out / "archive"
    if not (archive / "footprint.moc.fits").is_file():
        print("Simulating the sample archive ...", flush=True)
        write_archive(archive)
    with serve(archive) as url:
        for release in ("dr2", "dr3"):
            config = out / f"{release}.yaml"
            config.write_text(yaml.safe_dump(demo_config(release, url, archive)))
            snakemake(out, config, "lists")
            snakemake(out, config)
        verdict = verify_again(out, demo_config("dr2", url, archive))
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    for release in ("dr2", "dr3"):
        print(f"{release.upper()}: masks      {out}/results/{release}/masks/")
        print(f"     catalogue  {out}/results/{release}/catalogue/")
        print(f"     report     {out}/results/{release}/report.html")
    print(f"{VERIFIED} made twice: {verdict}, see {out}/results/dr2/verification.md")
    if verdict != "identical":
        sys.exit(1)


if __name__ == "__main__":
    main()
