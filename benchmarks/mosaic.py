"""Mosaicking beside SWarp and reproject, same inputs, whole processes; and one DR3 mosaic from twelve fields.

Needs SWarp (Debian: swarp). Inputs are written to a temporary folder (4 GB) and read
back from the page cache.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy import ndimage

from common import ROOT, Cost, print_table, run
from radiounet.images.image import grid_wcs, mosaic_wcs
from radiounet.images.products import Products
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.mosaicking.coadd import exact_pixels, lattice_of
from radiounet.running.parsers import new_parser
from radiounet.settings.releases import DR2, DR3
from radiounet.survey.cells import HealpixCells
from radiounet.survey.lists import write_mosaic_list

REPEATS = 5
FIELD_PX, GRID_PX = 3000, 2800
LARGEST, LARGE_PX = 543, 6075
PRIMARY_BEAM_DEG = 3.96  # full width at 144 MHz
SPACING_DEG = 2.6  # of the survey's fields
CLOSE_DEG = 1.0  # so that fields of 3000 px all reach most of the small grid
BEAM_PX = 20 / DR2.pixel_arcsec
SIGMA_PX = BEAM_PX / np.sqrt(8 * np.log(2))
CENTRE = (150.0, 55.0)
PLACES = {"dec 35": (150.0, 35.0), "across RA 0": (359.9, 3.0), "dec 84": (12.0, 84.0), "pole": (200.0, 89.6)}
SOURCES = 40


def around(ra: float, dec: float, count: int, spacing_deg: float) -> list[tuple[float, float]]:
    """Centres of fields: one in the middle, the others on a circle."""
    angle = np.arange(count - 1) * 2 * np.pi / (count - 1)
    ras = ra + spacing_deg * np.sin(angle) / np.cos(np.radians(dec))
    return [(ra, dec), *zip(ras % 360, dec + spacing_deg * np.cos(angle), strict=True)]


def noise(n_px: int, seed: int) -> np.ndarray:
    """Noise of 0.1 mJy/beam on scales of the beam: a square of it, repeated."""
    white = np.random.default_rng(seed).standard_normal((1024, 1024))
    tile = ndimage.gaussian_filter(white, SIGMA_PX, mode="wrap")
    repeats = -(-n_px // 1024)
    return np.tile(1e-4 * tile / tile.std(), (repeats, repeats))[:n_px, :n_px]


def sources(ra: float, dec: float, radius_deg: float) -> np.ndarray:
    """Positions (deg) of point sources around a centre, ``[source, (ra, dec)]``."""
    north, east = np.random.default_rng(5).uniform(-radius_deg, radius_deg, (2, SOURCES))
    return np.stack([ra + east / np.cos(np.radians(dec + north)), dec + north], axis=1)


def add_sources(plane: np.ndarray, wcs: WCS, sky: np.ndarray) -> None:
    """Add 1 Jy at each position that lies on the plane."""
    for x, y in wcs.wcs_world2pix(sky, 0):
        if not (50 < x < len(plane) - 50 and 50 < y < len(plane) - 50):
            continue
        rows, columns = np.mgrid[int(y) - 40 : int(y) + 41, int(x) - 40 : int(x) + 41]
        plane[rows, columns] += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * SIGMA_PX**2))


def primary_beam(n_px: int) -> np.ndarray:
    """Gaussian primary beam around a field's middle."""
    line = ((np.arange(n_px) + 1 - n_px / 2) * DR2.pixel_arcsec / 3600 / PRIMARY_BEAM_DEG) ** 2
    return np.exp(-4 * np.log(2) * (line[:, None] + line)).astype(np.float32)


def header_of(wcs: WCS, unit: str = "JY/BEAM") -> fits.Header:
    """Header of an image with the survey's beam."""
    header = wcs.to_header()
    header.update(BUNIT=unit, BMAJ=20 / 3600, BMIN=20 / 3600, BPA=0.0)
    return header


def write_seven(folder: Path) -> list[tuple[str, str]]:
    """Seven fields with their weights, and the grid they go to."""
    pairs = []
    for n, (ra, dec) in enumerate(around(*CENTRE, 7, CLOSE_DEG)):
        wcs = grid_wcs(ra, dec, FIELD_PX, DR2.pixel_arcsec)
        plane = noise(FIELD_PX, n)
        add_sources(plane, wcs, sources(*CENTRE, 1.5))
        pair = str(folder / f"f{n}.fits"), str(folder / f"f{n}.weight.fits")
        for path, data in zip(pair, (plane, (primary_beam(FIELD_PX) / 1e-4) ** 2), strict=True):
            fits.PrimaryHDU(data.astype(np.float32), header_of(wcs)).writeto(path)
        pairs.append(pair)
    grid = grid_wcs(*CENTRE, GRID_PX, DR2.pixel_arcsec)
    fits.PrimaryHDU(np.zeros((GRID_PX, GRID_PX), np.float32), grid.to_header()).writeto(folder / "grid.fits")
    return pairs


def ours(folder: Path, pairs: list[tuple[str, str]]) -> list[str]:
    """Our command line for the seven fields."""
    command = [str(Path(sys.executable).with_name("radiounet")), "mosaic", "--threads", "2"]
    for image, weight in pairs:
        command += ["--image", image, "--weight", weight]
    names = ("--like", "grid.fits"), ("--out", "ours.fits"), ("--out-weight", "ours.weight.fits")
    return command + [word for option, name in names for word in (option, str(folder / name))]


def swarp(folder: Path, pairs: list[tuple[str, str]]) -> list[str]:
    """SWarp's, on the same grid."""
    header = fits.getheader(folder / "grid.fits")
    (folder / "swarp.head").write_text(header.tostring(sep="\n", endcard=True) + "\n")
    options = {
        "IMAGEOUT_NAME": folder / "swarp.fits",
        "WEIGHTOUT_NAME": folder / "swarp.weight.fits",
        "WEIGHT_TYPE": "MAP_WEIGHT",
        "WEIGHT_IMAGE": ",".join(weight for _, weight in pairs),
        "RESAMPLING_TYPE": "BILINEAR",
        "COMBINE_TYPE": "WEIGHTED",
        "SUBTRACT_BACK": "N",
        "FSCALASTRO_TYPE": "NONE",
        "RESAMPLE_DIR": folder,
        "NTHREADS": 2,
        "WRITE_XML": "N",
        "VERBOSE_TYPE": "QUIET",
    }
    words = [str(word) for name, value in options.items() for word in (f"-{name}", value)]
    program = shutil.which("swarp") or shutil.which("SWarp")
    if program is None:
        raise SystemExit("SWarp is needed: apt install swarp")
    return [program, *(image for image, _ in pairs), "-c", "/dev/null", *words]


def reprojected(folder: Path, pairs: list[tuple[str, str]]) -> list[str]:
    """A process of this file that calls `reproject_and_coadd`."""
    return [sys.executable, __file__, "--reproject", str(folder), *(path for pair in pairs for path in pair)]


def reproject_seven(folder: Path, files: list[str]) -> None:
    """What a careful user of reproject writes."""
    from astropy.wcs import WCS
    from reproject import reproject_interp
    from reproject.mosaicking import reproject_and_coadd

    grid = WCS(fits.getheader(folder / "grid.fits"))
    data, _ = reproject_and_coadd(
        [(fits.getdata(path), WCS(fits.getheader(path))) for path in files[::2]],
        grid,
        shape_out=(GRID_PX, GRID_PX),
        input_weights=[fits.getdata(path) for path in files[1::2]],
        reproject_function=reproject_interp,
        order="bilinear",
        parallel=2,
    )
    fits.writeto(folder / "reproject.fits", data.astype(np.float32), grid.to_header(), overwrite=True)


def compare_seven(folder: Path, repeats: int) -> None:
    """Print time and memory of all three, and how their pixels differ."""
    pairs = write_seven(folder)
    commands = {"radiounet": ours, "SWarp": swarp, "reproject_and_coadd": reprojected}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    run(ours(folder, pairs))  # compiles, once a machine
    # in turn, so that a busy spell of the machine meets all
    for _ in range(repeats):
        for name, command in commands.items():
            costs[name].append(run(command(folder, pairs)))
    middle = {name: statistics.median(one.seconds for one in runs) for name, runs in costs.items()}
    rows = [
        [
            name,
            f"{middle[name]:.2f}",
            f"{middle['radiounet'] / middle[name]:.3f}",
            f"{max(c.gigabytes for c in runs):.2f}",
        ]
        for name, runs in costs.items()
    ]
    read = sum(Path(path).stat().st_size for pair in pairs for path in pair)
    written = 2 * (folder / "ours.fits").stat().st_size
    print(
        f"Seven fields of {FIELD_PX} px with weights onto {GRID_PX} px, two threads, medians of {repeats}:\n"
    )
    print_table(["program", "wall time, s", "ours / its", "peak memory, GB"], rows)
    print(f"\nLimits of the machine: {limits(folder, read, written)}\n")
    image, other = (fits.getdata(folder / f"{name}.fits") for name in ("ours", "reproject"))
    both = np.isfinite(image) & np.isfinite(other)
    local = ndimage.maximum_filter(np.abs(np.where(both, other, 0)), 27)
    apart = np.abs(image - other)[both] / local[both]
    print(
        f"Pixels against reproject_and_coadd: largest difference {apart.max():.1e} of the local peak "
        f"(2' around), {np.mean(apart > 1e-4):.1e} of them above 1e-4; defined in one alone: "
        f"{np.isfinite(image).sum() - both.sum()} and {np.isfinite(other).sum() - both.sum()} px.\n"
    )


def limits(folder: Path, read: int, written: int) -> str:
    """How long reading and writing alone take: files through a buffer, memory copied."""

    def rate(work: Callable[[], int]) -> float:
        rates = []
        for _ in range(3):
            started = time.monotonic()
            rates.append(work() / (time.monotonic() - started))
        return max(rates)

    def read_files() -> int:
        return sum(len(path.read_bytes()) for path in folder.glob("f*.fits"))

    def write_file() -> int:
        with open(folder / "limit", "wb") as stream:
            stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        return len(block)

    block = bytes(200_000_000)
    array = np.zeros(50_000_000)
    other = np.empty_like(array)

    def copy() -> int:
        np.copyto(other, array)
        return 2 * array.nbytes

    rates = [rate(one) for one in (read_files, write_file, copy)]
    return (
        f"reading {read / 1e6:.0f} MB from the page cache at {rates[0] / 1e9:.1f} GB/s takes "
        f"{read / rates[0]:.2f} s, writing and syncing {written / 1e6:.0f} MB at {rates[1] / 1e9:.1f} GB/s "
        f"{written / rates[1]:.2f} s; one core copies memory at {rates[2] / 1e9:.1f} GB/s."
    )


def coordinates() -> None:
    """Print the largest error of the coordinates over full DR3 mosaics."""
    rows = []
    rng = np.random.default_rng(1)
    for name, (ra, dec) in PLACES.items():
        grid = grid_wcs(ra, dec, 5916, DR2.pixel_arcsec)
        y, x = rng.uniform(0, 5915, (2, 100_000))
        errors, steps = [], set()
        for field_ra, field_dec in around(ra, min(dec, 87.0), 7, SPACING_DEG):
            field = grid_wcs(field_ra, min(field_dec, 89.9), LARGE_PX, DR2.pixel_arcsec)
            lattice = lattice_of(grid, field, (LARGE_PX, LARGE_PX))
            errors.append(np.abs(lattice.at(y, x) - exact_pixels(grid, field, y, x)).max())
            steps.add(lattice.step)
        rows.append([name, ", ".join(map(str, sorted(steps))), f"{max(errors):.1e}"])
    print("Coordinates against the exact WCS, 100,000 places on a mosaic of 5,916 px, seven fields each:\n")
    print_table(["mosaic at", "lattice, px", "largest error, px"], rows)


def write_large(products: Products, ra: float, dec: float) -> list[str]:
    """Twelve fields as the survey's imager writes them."""
    beam = primary_beam(LARGE_PX)
    names = []
    for n, (field_ra, field_dec) in enumerate(around(ra, dec, 12, SPACING_DEG)):
        wcs = grid_wcs(field_ra, field_dec, LARGE_PX, DR2.pixel_arcsec)
        plane = beam * 0
        add_sources(plane, wcs, sources(ra, dec, 2.0))
        apparent = beam * plane + noise(LARGE_PX, n).astype(np.float32)
        header = header_of(wcs, "Jy/beam")
        for axis, kind in ((3, "STOKES"), (4, "FREQ")):
            header.update({f"CTYPE{axis}": kind, f"CRVAL{axis}": 1.44e8 if axis == 4 else 1.0})
        names.append(f"F{n:02d}")
        for kind, data in (("app", apparent), ("int", apparent / beam)):
            path = Path(products.field_image(names[-1], kind))
            path.parent.mkdir(parents=True, exist_ok=True)
            fits.PrimaryHDU(data[None, None].astype(np.float32), header).writeto(path)
    return names


def survey_mosaic(folder: Path, repeats: int) -> None:
    """Print time, memory and flux densities of a DR3 mosaic of the largest size."""
    place = HealpixCells(DR3).geometry(LARGEST)
    products = Products(str(folder / "dr3"))
    run([sys.executable, __file__, "--write-large", products.root])
    names = [f"F{n:02d}" for n in range(12)]
    write_mosaic_list(folder / "mosaics.csv", [place])
    command = [sys.executable, str(ROOT / "scripts" / "mosaic.py"), "--root", products.root]
    command += ["--settings", '{"release": "dr3"}', "--list", str(folder / "mosaics.csv")]
    command += ["--mosaic", place.name, "--threads", "2", "--fields", *names]
    costs = [run(command) for _ in range(repeats)]
    seconds, memory = statistics.median(one.seconds for one in costs), max(one.gigabytes for one in costs)
    image, header = fits.getdata(products.image(place.name), header=True)
    ratios = fluxes(image, mosaic_wcs(place, DR2.pixel_arcsec), sources(place.ra_deg, place.dec_deg, 2.0))
    print(
        f"\nTwelve fields of {LARGE_PX} px onto a DR3 mosaic of {place.n_px} px, the survey's method with "
        f"all checksums and products: {seconds:.1f} s (median of {repeats}; goal 40), {memory:.2f} GB "
        f"(goal 1.5).\nImage noise over rms map: {header['NOISERAT']:.3f}. Flux densities of {len(ratios)} "
        f"point sources with no other near, in squares of eight beams: {ratios.min():.4f} to "
        f"{ratios.max():.4f} of the true ones (goal 0.5 %)."
    )


def fluxes(image: np.ndarray, wcs: WCS, sky: np.ndarray) -> np.ndarray:
    """Flux densities, Jy, of point sources that no other lies near, in squares of eight beams."""
    apart = separation_deg(unit_vectors(*sky.T)[:, None], unit_vectors(*sky.T)[None])
    alone = (apart < 0.15).sum(axis=1) == 1
    found = []
    half = round(4 * BEAM_PX)
    for x, y in wcs.wcs_world2pix(sky[alone], 0):
        row, column = round(float(y)), round(float(x))
        if not (half <= row < len(image) - half and half <= column < len(image) - half):
            continue
        cut = image[row - half : row + half + 1, column - half : column + half + 1]
        found.append(cut.sum(dtype=float) / (2 * np.pi * SIGMA_PX**2))
    return np.array(found)


def main() -> None:
    """Print everything, or do one part in a process of its own."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--reproject", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--write-large", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reproject:
        reproject_seven(Path(args.reproject[0]), args.reproject[1:])
        return
    if args.write_large:
        place = HealpixCells(DR3).geometry(LARGEST)
        write_large(Products(args.write_large), place.ra_deg, place.dec_deg)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare_seven(Path(folder), args.repeats)
        coordinates()
        survey_mosaic(Path(folder), args.repeats)


if __name__ == "__main__":
    main()
