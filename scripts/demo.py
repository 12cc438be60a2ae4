"""Run the whole workflow on a small simulated survey, served on 127.0.0.1; one mosaic twice."""

import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

from radiounet.running.parsers import new_parser
from radiounet.settings.checkout import CHECKOUT
from radiounet.simulation import small_survey


def snakemake(folder: Path, name: str, content: dict, *targets: str) -> None:
    """Run the workflow in a folder, with a configuration of this name; stop this program where it fails."""
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    where = ["--snakefile", str(CHECKOUT / "Snakefile"), "--directory", str(folder)]
    command = [sys.executable, "-m", "snakemake", *where, "--configfile", str(config), "--cores", "all"]
    command += ["--quiet", "rules", "host", "--", *targets]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


def main() -> None:
    """Parse the command line, make the archive, run both releases, say where the products are."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default: %(default)s)")
    out = parser.parse_args().out.resolve()
    earlier = (out / "archive" / "fields").is_dir()
    if out.exists() and not earlier and not (out.is_dir() and not any(out.iterdir())):
        parser.error(f"{out} is there and is no folder of an earlier demo: name another")
    started, archive = time.monotonic(), out / "archive"
    if not small_survey.is_written_by_this_code(archive):
        print("Simulating the sample archive ...", flush=True)
        small_survey.write_archive(archive)
    with small_survey.serve(archive) as url:
        configs = {release: small_survey.demo_config(release, url, archive) for release in ("dr2", "dr3")}
        for release, config in configs.items():
            snakemake(out, release, config, "lists")
            snakemake(out, release, config)
        second, verify = small_survey.second_run_configs(configs["dr2"])
        snakemake(
            out, "second", second, f"{small_survey.SECOND_RESULTS}/dr2/masks/{small_survey.VERIFIED}.fits"
        )
        snakemake(out, "verify", verify, "verify")
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    for release in configs:
        for what in ("masks/", "catalogue/", "report.html"):
            print(f"{release.upper()}: {out}/results/{release}/{what}")
    verdict = json.loads((out / "results/dr2/verification.json").read_text(encoding="utf-8"))["verdict"]
    print(f"{small_survey.VERIFIED} made twice: {verdict}, see {out}/results/dr2/verification.md")
    sys.exit(verdict != "identical")


if __name__ == "__main__":
    main()
