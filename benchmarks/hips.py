"""The HiPS of one mosaic of DR3 beside `reproject.hips.reproject_to_hips`, one core each, alternating.

Ours writes image, probability and mask, as FITS and PNG; the library writes the image alone, as FITS. Both
make all orders down to the same one and interpolate linearly. Then the tiles of the finest order are held
against each other.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from astropy.io import fits
from scipy import ndimage

from common import print_table, run
from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.image import grid_wcs
from radiounet.images.products import Products
from radiounet.images.writing import write_fits
from radiounet.publishing.hips import tile_order
from radiounet.running.parsers import new_parser
from radiounet.settings.releases import DR3

SEED = 36
RA_DEG, DEC_DEG = 150.0, 40.0
RMS_JY = 1e-4
CLOUD_PX, RARE, CONTRAST = 20.0, 2.5, 4.0
"""Of the probability: size of its patches, how far they stand out, and how sharply they end."""

OURS = """
import sys
from radiounet.images.image import open_plane
from radiounet.images.products import Products, Publication
from radiounet.images.squares import Mosaic
from radiounet.publishing.coverage import REACHED_ORDER, covered_healpix_pixels
from radiounet.publishing.hips import TileMaker, tile_order
from radiounet.publishing.hips_parts import TOP_ORDER
from radiounet.publishing.records import JobFiles
from radiounet.settings.releases import DR3, OWN_IMAGES
from radiounet.survey.survey import Survey
root, out, ra, dec, side, rms = sys.argv[1:]
survey = Survey(OWN_IMAGES, [Mosaic("a", float(ra), float(dec), int(side))])
products = Products(root)
plane = open_plane(products.probability("a"), brightness=False)
_, reached = covered_healpix_pixels(plane.wcs, plane.window(), survey, "a")
maker = TileMaker(survey, products, {"a": reached}, float(rms), tile_order(DR3.pixel_arcsec))
files = JobFiles(Publication(out))
parts = {pixel >> 2 * (REACHED_ORDER - TOP_ORDER) for pixel in reached}
print(sum(maker.write(part, files) for part in sorted(parts)))
"""
THEIRS = """
import sys
from reproject import reproject_interp
from reproject.hips import reproject_to_hips
image, out, order = sys.argv[1:]
reproject_to_hips(
    image, coord_system_out="equatorial", reproject_function=reproject_interp, output_directory=out,
    level=int(order), tile_size=512, order="bilinear",
)
"""


def make_mosaic(products: Products, side: int) -> str:
    """Write image, probability and mask of a mosaic ``a`` of so many pixels a side."""
    rng = np.random.default_rng(SEED)
    header = grid_wcs(RA_DEG, DEC_DEG, side, DR3.pixel_arcsec).to_header()
    blur_px = FWHM_TO_SIGMA * DR3.beam_arcsec / DR3.pixel_arcsec
    noise = ndimage.gaussian_filter(rng.standard_normal((side, side), np.float32), blur_px)
    image = np.float32(RMS_JY / noise.std()) * noise
    smooth = ndimage.gaussian_filter(noise, CLOUD_PX)
    probability = 1 / (1 + np.exp(CONTRAST * (RARE - smooth / smooth.std())))
    planes = {
        products.image("a"): (image, "Jy/beam"),
        products.probability("a"): (probability, ""),
        products.mask("a"): ((probability > 0.5).astype(np.uint8), ""),
    }
    beam = {"BMAJ": DR3.beam_arcsec / 3600, "BMIN": DR3.beam_arcsec / 3600, "BPA": 0.0}
    for path, (plane, unit) in planes.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        one = fits.Header(header, copy=True)
        one.update(beam | {"BUNIT": unit})
        write_fits(path, plane, one)
    return products.image("a")


def largest_difference(ours: Path, theirs: Path, order: int) -> tuple[int, int, float]:
    """Tiles in both, tiles that the library alone has with data, and the largest difference over the rms."""
    both, alone, largest = 0, 0, 0.0
    for path in sorted((theirs / f"Norder{order}").glob("*/Npix*.fits")):
        other = fits.getdata(path)
        mine = ours / path.relative_to(theirs)
        if not mine.is_file():
            alone += bool(np.isfinite(other).any())
            continue
        apart = np.abs(fits.getdata(mine) - other)
        both += 1
        if np.isfinite(apart).any():
            largest = max(largest, float(np.nanmax(apart)) / RMS_JY)
    return both, alone, largest


def main() -> None:
    """Measure and print two tables."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--side", type=int, default=5916, help="pixels: that of the largest mosaic of DR3")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    order = tile_order(DR3.pixel_arcsec)
    costs: dict[str, list] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as folder:
        products = Products(f"{folder}/results")
        image = make_mosaic(products, args.side)
        place = [str(RA_DEG), str(DEC_DEG), str(args.side), str(RMS_JY)]
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for number in range(args.rounds):
            ours, theirs = (Path(folder) / f"{name}{number}" for name in costs)
            command = [sys.executable, "-c", OURS, products.root, str(ours), *place]
            costs["ours"].append(run(command, **single))
            command = [sys.executable, "-c", THEIRS, image, str(theirs), str(order)]
            costs["theirs"].append(run(command, **single))
        found = largest_difference(ours / "hips" / "image", theirs, order)
    names = {"ours": "ours: three layers, FITS and PNG", "theirs": "reproject_to_hips: image, FITS"}
    rows = [
        [
            names[name],
            f"{median(one.seconds for one in several):.1f}",
            f"{median(one.cpu_seconds for one in several):.1f}",
            f"{max(one.gigabytes for one in several):.2f}",
        ]
        for name, several in costs.items()
    ]
    print_table([f"{args.side} px, order {order}", "wall s", "CPU s", "GB"], rows)
    ratio = [b.cpu_seconds / a.cpu_seconds for a, b in zip(costs["ours"], costs["theirs"], strict=True)]
    print(f"\nCPU time of the library over ours: median {median(ratio):.1f}")
    print(f"{found[0]} tiles of order {order} in both, {found[1]} in the library's alone; ", end="")
    print(f"largest difference {found[2]:.2g} rms")


if __name__ == "__main__":
    main()
