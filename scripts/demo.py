"""Run the whole workflow on a small simulated survey, served on 127.0.0.1."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import yaml

from radiounet.demo import demo_config, serve, write_archive

ROOT = Path(__file__).resolve().parents[1]


def snakemake(folder: Path, config: Path, *targets: str) -> None:
    """Run the workflow in a folder; stop this program where it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "all"]
    command += ["--quiet", "rules", "host", "--", *targets]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


def main() -> None:
    """Parse the command line, make the archive, run both releases, say where the products are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default: %(default)s)")
    out = parser.parse_args().out.resolve()
    if out.exists() and not (
        out.is_dir() and ((out / "archive" / "fields").is_dir() or not any(out.iterdir()))
    ):
        parser.error(f"{out} is there and is no folder of an earlier demo: name another")
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
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    for release in ("dr2", "dr3"):
        print(f"{release.upper()}: masks      {out}/results/{release}/masks/")
        print(f"     catalogue  {out}/results/{release}/catalogue/")
        print(f"     report     {out}/results/{release}/report.html")


if __name__ == "__main__":
    main()
