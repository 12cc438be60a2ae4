"""Time and peak memory of every stage on one DR3 mosaic of full size, as whole processes.

The image is simulated on the real grid of the largest mosaic of the release (5,916 px).
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from common import ROOT, print_table, run
from radiounet.images.image import mosaic_wcs
from radiounet.images.products import Products
from radiounet.images.writing import write_fits
from radiounet.settings.releases import DR2, DR3
from radiounet.settings.segmentation import Segmentation
from radiounet.simulation.small_survey import draw_noise, draw_region, survey_header
from radiounet.survey.cells import HealpixCells
from radiounet.survey.lists import write_mosaic_list

LARGEST = 543
REPEATS = 3


def write_image(path: str) -> None:
    """Simulate the mosaic; a square of sky is drawn once and repeated to fill the grid."""
    place = HealpixCells(DR3).geometry(LARGEST)
    n_px = place.n_px
    rng = np.random.default_rng(1)
    tile = draw_region(150.0, 35.0, 1.5, seed=1, release=DR2).plane
    repeats = -(-n_px // len(tile))
    data = np.tile(tile, (repeats, repeats))[:n_px, :n_px] + draw_noise(n_px, rng, DR2)
    write_fits(
        path, data.astype(np.float32), survey_header(mosaic_wcs(place, DR2.pixel_arcsec), place.name, DR2)
    )


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        products = Products(f"{folder}/dr3")
        name = "hp00543"
        # in a process of its own: a child counts the memory its parent had when it was started
        run([sys.executable, __file__, products.image(name)])
        n_px = HealpixCells(DR3).geometry(LARGEST).n_px
        mosaics = f"{folder}/mosaics.csv"
        write_mosaic_list(mosaics, [HealpixCells(DR3).geometry(LARGEST)])
        tiles, cores = f"{folder}/tiles.h5", f"{folder}/cores.h5"
        maps = ["--probability", products.probability(name), "--mask", products.mask(name)]
        stages = {
            "tile": ["--image", products.image(name), "--out", tiles],
            "infer": [tiles, "--out", cores],
            "stitch": ["--cores", cores, "--image", products.image(name), *maps],
            "segment": ["--image", products.image(name), *maps],
            "find_islands": [
                *("--image", products.image(name), "--probability", products.probability(name)),
                *("--mask", products.mask(name), "--list", mosaics, "--settings", '{"release": "dr3"}'),
                *("--out", products.islands(name)),
            ],
        }
        rows = []
        for stage, arguments in stages.items():
            command = [sys.executable, str(ROOT / "scripts" / f"{stage}.py"), *arguments]
            command += [] if stage == "infer" else ["--mosaic", name]
            costs = [run(command) for _ in range(REPEATS)]
            seconds = statistics.median(cost.seconds for cost in costs)
            memory = max(cost.gigabytes for cost in costs)
            rows.append([stage, f"{seconds:.1f}", f"{memory:.2f}"])
        for path in (tiles, cores):
            rows.append([f"({Path(path).stem} file)", f"{Path(path).stat().st_size / 1e6:.0f} MB", ""])
        apart = sum(float(row[1]) for row in rows[:3])
        rows.insert(3, ["these three, which segment does at once", f"{apart:.1f}", ""])
        model = Segmentation().model
        print(f"One mosaic of {n_px} px, model {model}, mode exact, medians of {REPEATS}:\n")
        print_table(["stage", "wall time, s", "peak memory, GB"], rows)


if __name__ == "__main__":
    write_image(sys.argv[1]) if sys.argv[1:] else main()
