"""The exponential fits of `radiounet.measuring.profiles` beside those of halo-fdca (Boxelaar et al. 2021).

Both fit an elliptical exponential of any angle to the same cut-outs, each with one halo of known size and
flux density. To install halo-fdca: ``pip install halo-fdca "pandas<3"`` (its release 1.0 fails with
pandas 3), best in an environment of its own, whose Python is then given with ``--peer``.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from common import print_table, run
from radiounet.images.beams import Beam
from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.image import Plane, grid_wcs
from radiounet.running.parsers import new_parser
from radiounet.settings.releases import DR2

SEED = 35
RMS_JY = 1e-4
FREQUENCY_HZ = 144e6
REDSHIFT = 0.2
"""Only for the units of halo-fdca: it reports radii in kpc, which are read in pixels here."""
RADIUS_PX = (6.0, 12.0)
"""E-folding radii: 90 to 180 kpc at that redshift."""
SNR = (10.0, 60.0)
"""Of the flux density within the e-folding radius."""
REACH = 4.0
"""Half a side of a cut-out, e-folding radii: as far as ours fits."""
START_ERROR = 1.3
"""Largest factor by which the radius that ours starts from is wrong; halo-fdca finds its own start."""
SIGMA_PX = DR2.beam_arcsec / DR2.pixel_arcsec * FWHM_TO_SIGMA
WALKERS, STEPS = 10, 100
"""Of halo-fdca, as in its example. It raises the walkers to 16, because there are 6 parameters."""
DEFAULT_SAMPLES, SAMPLES = 100 * 1200, 16 * STEPS
CLOSE = 0.1

OURS = """
import json, sys, time
import numpy as np
from radiounet.images.image import read_plane
from radiounet.measuring.profiles import fit_exponential
path, rms, sigma, radius = sys.argv[1], *map(float, sys.argv[2:])
plane = read_plane(path)
middle = (len(plane.data) - 1) / 2
shape = plane.data.shape
started = time.process_time()
start = middle, middle, radius
fit = fit_exponential(plane.data, np.full(shape, rms), np.ones(shape, bool), sigma**2 * np.eye(2), start)
seconds = time.process_time() - started
total, error = (1e3 * one / plane.beam_area_px for one in (fit.total, fit.total_error))
print(json.dumps([total, error, fit.radius_px, fit.ratio, seconds]))
"""
THEIRS = """
import json, os, sys
import numpy as np
from astropy.coordinates import SkyCoord
path, folder, redshift, walkers, steps, ra, dec = sys.argv[1:]
os.chdir(folder)  # where it writes its log; nor does the program of this name lie there
import halo_fdca
halo = halo_fdca.RadioHalo(
    "halo", path, loc=SkyCoord(float(ra), float(dec), unit="deg"), z=float(redshift), output_path=folder
)
np.random.seed(1)
fit = halo_fdca.Fit(halo, model="rotated_ellipse", walkers=int(walkers), steps=int(steps))
started = sum(os.times()[:4])
fit.run()
seconds = sum(os.times()[:4]) - started
total, error = (one.to_value("mJy") for one in fit.results.get_flux())
a, b = (fit.results.parameters[name] for name in ("r1", "r2"))
print(json.dumps([total, error, np.sqrt(a * b), b / a, seconds]))
"""


@dataclass(frozen=True)
class Halo:
    """What a cut-out holds: flux density to infinity, mJy; e-folding radius, px; minor over major axis."""

    total_mjy: float
    radius_px: float
    ratio: float


@dataclass(frozen=True)
class Fitted:
    """What a program found, and the CPU time of its fit alone and of its whole process, s."""

    total_mjy: float
    error_mjy: float
    radius_px: float
    ratio: float
    fit_cpu: float
    whole_cpu: float


def make_cutout(seed: int, path: Path) -> Halo:
    """Write a cut-out with noise of the beam's correlation and one halo: four axes, as halo-fdca needs."""
    rng = np.random.default_rng([SEED, seed])
    radius, snr = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (RADIUS_PX, SNR))
    ratio, angle = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)
    side = 2 * round(REACH * radius) + 1
    y0, x0 = side // 2 + radius * rng.uniform(-0.25, 0.25, 2)
    y, x = np.mgrid[:side, :side].astype(float)
    along = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    across = (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)
    profile = np.exp(-np.hypot(along * np.sqrt(ratio), across / np.sqrt(ratio)) / radius)
    wcs = grid_wcs(180.0, 45.0, side, DR2.pixel_arcsec)
    beam = Beam(DR2.beam_arcsec, DR2.beam_arcsec)
    area = Plane(profile, wcs, beam).beam_area_px
    # within the e-folding radius lies 1 - 2/e of the total, on pi r^2 / area beams
    total = snr * RMS_JY * np.sqrt(np.pi * radius**2 / area) / (1 - 2 / np.e)
    peak = total * area / (2 * np.pi * radius**2)
    noise = ndimage.gaussian_filter(rng.standard_normal((side, side)), SIGMA_PX, mode="wrap")
    image = peak * ndimage.gaussian_filter(profile, SIGMA_PX, mode="nearest") + RMS_JY * noise / noise.std()
    header = Plane(image, wcs, beam).header()
    header.update(CTYPE3="FREQ", CRVAL3=FREQUENCY_HZ, CDELT3=1e6, CRPIX3=1, CUNIT3="Hz")
    header.update(CTYPE4="STOKES", CRVAL4=1, CDELT4=1, CRPIX4=1)
    fits.writeto(path, image[None, None].astype(np.float32), header)
    return Halo(1e3 * total, radius, ratio)


def fit_both(seed: int, folder: Path, peer: str) -> tuple[Halo, Fitted, Fitted]:
    """Make a cut-out, and fit it with both programs, each in a process of its own."""
    path = folder / f"{seed}.fits"
    halo = make_cutout(seed, path)
    wrong = START_ERROR ** np.random.default_rng([SEED, seed, 1]).uniform(-1, 1)
    ours = [sys.executable, "-c", OURS, path, RMS_JY, SIGMA_PX, wrong * halo.radius_px]
    theirs = [peer, "-c", THEIRS, path, folder, REDSHIFT, WALKERS, STEPS, 180, 45]
    found = []
    for command in (ours, theirs):
        cost = run([str(word) for word in command], MPLBACKEND="agg")
        total, error, radius, ratio, cpu = json.loads(cost.output.splitlines()[-1])
        found.append(Fitted(total, error, radius, ratio, cpu, cost.cpu_seconds))
    print(halo, *found, sep="\n", file=sys.stderr, flush=True)
    return halo, found[0], found[1]


def ratios(name: str, one: np.ndarray, other: np.ndarray) -> list[str]:
    """Row of a table: the ratio of two sets of numbers, its spread, and how many are close to 1."""
    ratio = one / other
    low, middle, high = np.percentile(ratio, [16, 50, 84])
    close = f"{(abs(ratio - 1) < CLOSE).mean():.0%}".replace("%", " %")
    return [name, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", close]


def print_tables(rows: list[tuple[Halo, Fitted, Fitted]]) -> None:
    """Print what was found, and the times."""
    halos, ours, theirs = zip(*rows, strict=True)

    def column(found: tuple, field: str) -> np.ndarray:
        return np.array([getattr(one, field) for one in found])

    table = []
    for text, field in (("flux density", "total_mjy"), ("r_e", "radius_px"), ("axis ratio", "ratio")):
        true, our, their = (column(found, field) for found in (halos, ours, theirs))
        table += [ratios(f"{text}, radiounet / halo-fdca", our, their)]
        table += [ratios(f"{text}, radiounet / truth", our, true)]
        table += [ratios(f"{text}, halo-fdca / truth", their, true)]
    print(f"{len(rows)} cut-outs; flux densities to infinity.\n")
    print_table(["ratio", "median", "16 to 84 %", f"within {CLOSE:.0%}".replace("%", " %")], table)
    print()
    table = []
    more = (DEFAULT_SAMPLES / SAMPLES - 1) * column(theirs, "fit_cpu")
    for text, field in (("whole process", "whole_cpu"), ("fit alone", "fit_cpu")):
        our, their = column(ours, field), column(theirs, field)
        for chain, longer in (("example's chain", their), ("default chain, estimated", their + more)):
            medians = (f"{float(f'{np.median(one):.3g}'):,g}" for one in (our, longer, longer / our))
            table.append([f"{text}, {chain}", *medians])
    print_table(["median CPU time", "radiounet, s", "halo-fdca, s", "ratio"], table)


def main() -> None:
    """Make the cut-outs, fit them, and print the tables."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--cutouts", type=int, default=12)
    parser.add_argument("--peer", default=sys.executable, help="Python with halo-fdca (default: this one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        # not from the folder of this program, which has the name of the package
        if subprocess.run([args.peer, "-c", "import halo_fdca"], cwd=name, capture_output=True).returncode:
            sys.exit(f'halo-fdca cannot be imported by {args.peer}: pip install halo-fdca "pandas<3"')
        print_tables([fit_both(seed, Path(name), args.peer) for seed in range(args.cutouts)])


if __name__ == "__main__":
    main()
