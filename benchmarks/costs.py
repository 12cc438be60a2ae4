"""Time of every rule's job at two sizes, for `resources/costs.csv`: the plan of a run rests on it.

The workflow itself runs, on one core's worth of jobs at a time, on simulated fields of
1,500 and of 6,075 px; the times are those of its benchmark files.
`python benchmarks/costs.py > resources/costs.csv`
"""

import json
import platform
import shutil
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml
from astropy.table import Table

from common import ROOT, run, snakemake
from radiounet import __version__
from radiounet.images.image import grid_wcs
from radiounet.images.products import Products
from radiounet.images.reading import fits_header
from radiounet.images.squares import Mosaic
from radiounet.images.writing import write_ecsv, write_fits
from radiounet.running.plan import FLOAT_BYTES, read_costs, seconds_of
from radiounet.settings.config import load_config
from radiounet.settings.releases import DR2
from radiounet.settings.segmentation import Segmentation
from radiounet.simulation.small_survey import draw_noise, draw_region, survey_header
from radiounet.survey.lists import CHECKSUM_COLUMNS, FIELD_COLUMNS, write_list, write_mosaic_list
from radiounet.survey.survey import list_paths

SIZES = (1500, DR2.field_px)
CENTRES = [(150.0, 35.0), (151.0, 35.0), (150.5, 35.8)]
MANY = 300  # mosaics of the catalogue, beside three
PICTURES = 60  # most that a report shows, by default
CPU = Path("/proc/cpuinfo")
GB = FLOAT_BYTES / 1e3  # of a million pixels
# unit, units in a million pixels, cores
RULES = {
    "fetch_field": ("GB", 2 * GB, 1),
    "fetch_mosaic": ("GB", GB, 1),
    "mosaic": ("Mpx of fields", len(CENTRES), 2),
    "prepare_image": ("Mpx", 1, 1),
    "segment": ("Mpx", 1, 2),
    "find_islands": ("Mpx", 1, 1),
    "measure_clusters": ("Mpx", 1, 1),
}
# a rule that a run does not have may not be given threads
NOT_IN = {"fields": ("fetch_mosaic",), "published": ("fetch_field", "mosaic")}


def write_fields(folder: Path, n_px: int) -> None:
    """Simulate three fields; a square of sky is drawn once and repeated to fill the grid."""
    tile = draw_region(*CENTRES[0], 1.5, seed=1, release=DR2).plane
    repeats = -(-n_px // len(tile))
    for index, (ra, dec) in enumerate(CENTRES):
        noise = draw_noise(n_px, np.random.default_rng(index), DR2)
        data = (np.tile(tile, (repeats, repeats))[:n_px, :n_px] + noise).astype(np.float32)
        header = survey_header(grid_wcs(ra, dec, n_px, DR2.pixel_arcsec), f"F{index}", DR2)
        for kind in ("int", "app"):
            write_fits(folder / f"F{index}" / f"image_full_low_m.{kind}.restored.fits", data, header)


def write_survey(folder: Path, n_px: int, source: str) -> Path:
    """Lists, clusters and the configuration of a survey of three mosaics."""
    mosaics = [Mosaic(f"F{i}", ra, dec, n_px) for i, (ra, dec) in enumerate(CENTRES)]
    paths = list_paths(str(folder / "lists"), "dr2")
    write_mosaic_list(paths["mosaics"], mosaics)
    write_list(paths["fields"], FIELD_COLUMNS, [(m.name, m.ra_deg, m.dec_deg, 1) for m in mosaics])
    write_list(paths["checksums"], CHECKSUM_COLUMNS, [])
    table = Table({"name": ["a", "b", "c"], "ra": [150.05, 151.05, 150.55], "dec": [35.05, 35.05, 35.85]})
    table["z"], table["R500"] = 0.2, 5.0
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv", overwrite=True)
    template = f"file://{folder}/archive/{{{'field' if source == 'fields' else 'mosaic'}}}/{{file}}"
    dr2: dict[str, object] = {"field": template} if source == "fields" else {"mosaic": template}
    if source == "published":
        dr2["mosaic_files"] = ["image_full_low_m.int.restored.fits"]
    config = folder / f"{source}.yaml"
    content = {"release": "dr2", "clusters": str(folder / "clusters.ecsv"), "mosaics": {"source": source}}
    content |= {
        "results": str(folder / source),
        "archive": {"dr2": dr2, "list_folder": str(folder / "lists")},
    }
    config.write_text(yaml.safe_dump(content))
    return config


def measure(folder: Path, n_px: int) -> dict[str, float]:
    """Median seconds of each rule's jobs, one at a time."""
    run([sys.executable, __file__, str(folder / "archive"), str(n_px)])
    times = {}
    for source in ("fields", "published"):
        config = write_survey(folder, n_px, source)
        # both cores for each, so that none runs beside it
        alone = [f"{rule}=2" for rule in RULES if rule not in ("prepare_image", *NOT_IN[source])]
        snakemake(folder, config, "--set-threads", *alone)
        for path in Path(folder / source / "dr2" / "benchmarks").iterdir():
            times[path.name] = statistics.median(map(seconds_of, path.iterdir()))
    image = str(folder / "archive" / "F0" / "image_full_low_m.int.restored.fits")
    own = {"mosaics": {"source": "images", "images": [{"name": "own", "path": image}]}}
    command = [sys.executable, str(ROOT / "scripts" / "prepare_image.py"), "--name", "own"]
    command += ["--settings", json.dumps(own), "--out", str(folder / "own.fits")]
    seconds = [run(command).seconds for _ in range(3)]
    return times | {"prepare_image": statistics.median(seconds)}


def measure_many(folder: Path) -> dict[str, float]:
    """Seconds of the catalogue and of the report with `MANY` copies of one mosaic."""
    products = Products(str(folder / "published" / "dr2"))
    names = [f"M{index:04d}" for index in range(MANY)]
    islands = Table.read(products.islands("F0"), format="ascii.ecsv")
    footprints = [np.array(text.split(), int) for text in islands.meta["footprints"]]
    for index, name in enumerate(names):
        for path_of in (products.clusters, products.mask, products.probability, products.image):
            Path(path_of(name)).parent.mkdir(exist_ok=True)
            Path(path_of(name)).symlink_to(path_of("F0"))
        # elsewhere on the sky: no mosaic shows the islands of another
        moved = footprints if index == 0 else [one + index * 10**12 for one in footprints]
        islands.meta["footprints"] = [" ".join(map(str, one)) for one in moved]
        write_ecsv(products.islands(name), islands)
    paths = list_paths(str(folder / "lists"), "dr2")
    places = [Mosaic(name, *CENTRES[0], DR2.field_px) for name in names]
    write_mosaic_list(paths["mosaics"], places)
    config = load_config(yaml.safe_load((folder / "published.yaml").read_text()))
    # all mosaics have the same centre, and would be neighbours of each other for the clusters
    settings = ["--settings", config.model_copy(update={"clusters": []}).model_dump_json()]
    # those of the run before, as Snakemake does
    shutil.rmtree(Path(products.catalogue("clusters", "vot")).parent)
    merge = run([sys.executable, str(ROOT / "scripts" / "merge_catalogue.py"), *settings])
    report = run([sys.executable, str(ROOT / "scripts" / "report.py"), *settings, "--out", products.report()])
    return {"merge_catalogue": merge.seconds, "report": report.seconds}


def line(rule: str, small: tuple[float, float], large: tuple[float, float], unit: str, cores: int) -> str:
    """Row of the table from (units, seconds) of two jobs: a start, and so much for each unit."""
    slope = max(large[1] - small[1], 0.0) / (large[0] - small[0])
    start = max(small[1] - slope * small[0], 0.0)
    return f"{rule},{start:.2f},{slope:.4f},{unit},{cores}"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        times = {}
        for n_px in SIZES:
            folder = Path(name) / str(n_px)
            folder.mkdir()
            times[n_px] = measure(folder, n_px)
        many = measure_many(folder)
        precision = fits_header(Products(str(folder / "published" / "dr2")).mask("F0"))["PRECIS"]
    mpx = {n_px: n_px**2 / 1e6 for n_px in SIZES}
    print("# Seconds of one job: seconds + seconds_per_unit * units. Printed by benchmarks/costs.py.")
    print(f"# {datetime.now(UTC):%Y-%m-%d}, {__version__}, 2 shared {platform.machine()} cores, no GPU,")
    has_amx = CPU.is_file() and "amx_bf16" in CPU.read_text(encoding="utf-8")
    precision += " (AMX)" * (has_amx and precision == "bfloat16")
    print(f"# model {Segmentation().model}, mode exact, {precision}; files on a local disk;", end=" ")
    print("slurm_job: benchmarks/slurm.py.")
    print("rule,seconds,seconds_per_unit,unit,cores")
    for rule, (unit, scale, cores) in RULES.items():
        small, large = ((scale * mpx[n_px], times[n_px][rule]) for n_px in SIZES)
        print(line(rule, small, large, unit, cores))
    few = times[DR2.field_px]
    print(line("merge_catalogue", (3, few["merge_catalogue"]), (MANY, many["merge_catalogue"]), "mosaic", 1))
    print(line("report", (3, few["report"]), (PICTURES, many["report"]), "picture", 1))
    print(f"slurm_job,{read_costs()['slurm_job'].seconds:.1f},0,,0")


if __name__ == "__main__":
    write_fields(Path(sys.argv[1]), int(sys.argv[2])) if sys.argv[1:] else main()
