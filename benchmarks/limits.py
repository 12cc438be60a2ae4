"""Limits against a direct test: how many new mock halos are found at the flux densities of 50 and 90 %.

On a simulated image of the default sky with clusters of several redshifts, without diffuse emission of
its own, segmented by the shipped model. With ``--hosts``: limits of simulated hosts that are not detected,
against their true flux densities, on held-out images.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits

from catalogue import Truth, simulated
from common import print_table
from radiounet.images.geometry import to_pixels, to_sky
from radiounet.images.image import grid_wcs, read_plane
from radiounet.images.resampling import prepare_image
from radiounet.measuring.injection import MockedImage, Trial
from radiounet.measuring.limits import Site, find_limits
from radiounet.network.inference import open_model, write_cores
from radiounet.network.masks import stitch_cores
from radiounet.network.model_cards import model_folder, read_card
from radiounet.network.tiling import tile_image
from radiounet.running.parsers import new_parser
from radiounet.settings.limits import LimitOptions
from radiounet.settings.releases import DR2
from radiounet.settings.segmentation import Segmentation
from radiounet.settings.simulate import HELD_OUT, SimulateOptions
from radiounet.simulation.simulate import simulate_pair
from radiounet.survey.survey import Cluster

SEED = HELD_OUT + 90_000
REDSHIFTS = (0.1, 0.2, 0.35, 0.5)
R500_KPC = 1000.0
HALO_R500 = 0.3
"""Farthest centre of a cluster's halo."""
COSMOLOGY = FlatLambdaCDM(70, 0.3)


def empty_sky(n_px: int) -> np.ndarray:
    """An image without diffuse emission."""
    options = SimulateOptions(
        n_px=n_px, coarse_fraction=0, blank_fraction=0, empty_fraction=1, galactic_fraction=0
    )
    return simulate_pair(options, SEED).image


def open_image(folder: Path, model: str, data: np.ndarray) -> MockedImage:
    """Segment an image by the stages, and open it for mocks."""
    header = grid_wcs(180.0, 45.0, len(data), DR2.pixel_arcsec).to_header()
    header.update(BMAJ=DR2.beam_arcsec / 3600, BMIN=DR2.beam_arcsec / 3600, BPA=0.0, BUNIT="JY/BEAM")
    fits.writeto(folder / "sky.fits", data, header)
    image, tiles, cores, chance, mask = (
        str(folder / name) for name in ("i.fits", "t.h5", "c.h5", "p.fits", "m.fits")
    )
    card, settings = read_card(model_folder(model)), Segmentation(model=model)
    prepare_image(str(folder / "sky.fits"), image, card.pixel_arcsec, card.beam_arcsec)
    tile_image(image, model, settings.mode, tiles)
    predictor, _ = open_model(model_folder(model))
    write_cores(tiles, predictor, card, cores)
    stitch_cores(cores, image, model, settings, chance, mask)
    return MockedImage(image, chance, mask, card, predictor)


def clusters_of(image: str, count: int) -> list[Cluster]:
    """Clusters at random places inside an image."""
    plane, rng = read_plane(image), np.random.default_rng(SEED)
    found = []
    for number in range(count):
        redshift = REDSHIFTS[number % len(REDSHIFTS)]
        radius = R500_KPC / COSMOLOGY.kpc_proper_per_arcmin(redshift).value
        ra, dec = to_sky(plane.wcs, *rng.uniform(0.2, 0.8, 2) * plane.data.shape[0])
        found.append(Cluster(f"C{number}", float(ra), float(dec), redshift, float(radius)))
    return found


def undetected_hosts(one: Truth, scene: MockedImage) -> list[tuple[Cluster, float]]:
    """Clusters with a halo around their centre and nothing of the mask inside R500; flux density, mJy."""
    found = []
    halos = [row for row in one.objects if "halo" in row["kind"] and row["flux_mjy"] > 0]
    for cluster in one.clusters:
        x, y = to_pixels(one.plane.wcs, cluster.ra_deg, cluster.dec_deg)
        reach = HALO_R500 * cluster.r500_arcmin * 60 / DR2.pixel_arcsec
        inside = [row for row in halos if np.hypot(row["x_px"] - x, row["y_px"] - y) < reach]
        if inside and not Site(cluster, scene, LimitOptions(), COSMOLOGY).detected:
            found.append((cluster, float(sum(row["flux_mjy"] for row in inside))))
    return found


def number_in(row: dict[str, object], name: str) -> float:
    """A number of a row of limits."""
    value = row[name]
    assert isinstance(value, float), (name, value)
    return value


def check_hosts(model: str, images: int) -> list[list[object]]:
    """Limits of undetected hosts over their flux densities."""
    ratios = []
    for one in simulated("own", images):
        with tempfile.TemporaryDirectory() as folder:
            scene = open_image(Path(folder), model, one.plane.data)
            hosts = undetected_hosts(one, scene)
            rows = find_limits([host for host, _ in hosts], scene, LimitOptions(relics=False), COSMOLOGY)
            ratios += [
                number_in(row, "flux_90_mjy") / flux for row, (_, flux) in zip(rows, hosts, strict=True)
            ]
    known = np.array([ratio for ratio in ratios if np.isfinite(ratio)])
    share = 100 * np.mean(known > 1) if known.size else np.nan
    return [
        ["undetected hosts; with a limit", f"{len(ratios)}; {known.size}"],
        ["limits above the true flux density", f"{np.count_nonzero(known > 1)} ({share:.0f} %)"],
        ["limit over true flux density, median", f"{np.median(known) if known.size else np.nan:.1f}"],
    ]


def main() -> None:
    """Measure the limits, try new mocks at them, and print a table."""
    parser = new_parser(description=__doc__)
    parser.add_argument("--model", default="lotss-pair")
    parser.add_argument("--clusters", type=int, default=12)
    parser.add_argument("--mocks", type=int, default=20, help="new ones for each flux density and cluster")
    parser.add_argument("--size", type=int, default=1500, help="side of the image, px")
    parser.add_argument(
        "--hosts", type=int, help="held-out images whose undetected hosts are looked at instead"
    )
    args = parser.parse_args()
    if args.hosts:
        print_table([args.model, ""], check_hosts(args.model, args.hosts))
        return
    options = LimitOptions(relics=False)
    with tempfile.TemporaryDirectory() as folder:
        scene = open_image(Path(folder), args.model, empty_sky(args.size))
        clusters = clusters_of(f"{folder}/i.fits", args.clusters)
        started = time.process_time()
        rows = find_limits(clusters, scene, options, COSMOLOGY)
        seconds = time.process_time() - started
        started = time.process_time()
        find_limits(clusters, scene, LimitOptions(), COSMOLOGY)
        both_kinds = time.process_time() - started
        found = {part: [0, 0] for part in (50, 90)}
        for number, (cluster, row) in enumerate(zip(clusters, rows, strict=True)):
            draw = Site(cluster, scene, options, COSMOLOGY).series()["halo"].draw
            rng = np.random.default_rng([SEED, number])
            for part, counts in found.items():
                flux_jy = 1e-3 * number_in(row, f"flux_{part}_mjy")
                if not np.isfinite(flux_jy):
                    continue
                mocks = [draw(rng, parts) for parts in rng.random((args.mocks, 2))]
                trials = [Trial(mock, flux_jy) for mock in mocks if mock is not None]
                counts[0] += sum(scene.look(trials))
                counts[1] += len(trials)
    both = sum(np.isfinite(number_in(row, "flux_90_mjy")) for row in rows)
    table: list[list[object]] = [["clusters; with both flux densities", f"{len(rows)}; {both}"]]
    for part, (yes, all_of) in found.items():
        share = 100 * yes / max(all_of, 1)
        table.append([f"new halos found at flux_{part}_mjy", f"{yes} of {all_of} ({share:.0f} %)"])
    ratio = np.array([number_in(row, "bruno_limit_mjy") / number_in(row, "flux_50_mjy") for row in rows])
    table.append(["relation of Bruno et al. over flux_50_mjy, median", f"{np.nanmedian(ratio):.2f}"])
    table.append(["CPU s per cluster, halos alone", f"{seconds / len(clusters):.1f}"])
    table.append(["CPU s per cluster, halos and relics", f"{both_kinds / len(clusters):.1f}"])
    print_table([f"{args.model}, {args.size} px", ""], table)


if __name__ == "__main__":
    main()
