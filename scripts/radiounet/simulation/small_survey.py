"""A small simulated survey in the form of the LoTSS archive, and a server for it.

Three overlapping DR2 fields (``int`` and ``app`` images) and two adjacent DR3
mosaics on their real HEALPix grids, with data in the 2 deg around their common
edge. The sky is the training simulator's, from another seed.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import QTable, Table
from astropy.wcs import WCS

from radiounet.images.gaussian import gaussian
from radiounet.images.image import grid_wcs, mosaic_wcs
from radiounet.images.provenance import code_hash
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.writing import write_ecsv, write_fits
from radiounet.settings.releases import DR2, DR3, Release
from radiounet.settings.simulate import SimulateOptions
from radiounet.simulation.clusters import SimulatedCluster
from radiounet.simulation.instrument import Instrument, Observation
from radiounet.simulation.simulate import draw_sky
from radiounet.survey.cells import HealpixCells

SEED = 20141
RMS_JY = 1e-4

FIELD_CENTRES = {"SIM-A": (150.0, 35.0), "SIM-B": (151.4, 35.0), "SIM-C": (150.7, 35.98)}
FIELD_PX = 1500
PRIMARY_BEAM_DEG = 2.0  # FWHM, so that the cut at 0.3 acts inside these small fields

VERIFIED = "SIM-A"
"""Mosaic that is made twice."""
SECOND_RESULTS = "second"

FOOTPRINT = "footprint.moc.fits"
"""Of the DR3 mosaics; the last file of the sample archive that is written."""
EDGE_CELLS = (900, 964)
EDGE_RADIUS_DEG = 1.0
OBSERVATION = Observation(declination_deg=45.0, hours=8.0, inner_cut_m=100.0, robust=-0.8)
CLEAN_SNR, MISSED = 4.0, 0.1
MADE_UP_DATE = "2026-01-01T00:00:00"
"""Of all images: from the same seed come the same bytes on any day."""


@dataclass
class SimulatedSky:
    """One simulated piece of sky as imaged without noise, and the grid it is drawn on."""

    plane: np.ndarray
    clusters: list[SimulatedCluster]
    grid: WCS

    def on(self, target: WCS, shape: tuple[int, int]) -> np.ndarray:
        """Noise-free image on another grid, Jy/beam; NaN outside the region."""
        from reproject import reproject_interp

        return reproject_interp(
            (self.plane, self.grid), target, shape, order="bicubic", return_footprint=False
        )


def _instrument(n_px: int, release: Release) -> tuple[Instrument, SimulateOptions]:
    # bright enough that a demo shows something
    options = SimulateOptions(
        seed=SEED,
        n_px=n_px,
        pixel_arcsec=release.pixel_arcsec,
        beam_arcsec=release.beam_arcsec,
        diffuse_fraction=(0.5, 0.6),
        empty_fraction=0.0,
        peak_snr=(5.0, 20.0),
    )
    return Instrument(options, OBSERVATION, options.beam_arcsec), options


def draw_region(ra_deg: float, dec_deg: float, side_deg: float, seed: int, release: Release) -> SimulatedSky:
    """Draw a square of simulated sky around a centre, with the pixel scale and beam of a release."""
    n_px = 2 * int(side_deg * 1800 / release.pixel_arcsec)
    instrument, options = _instrument(n_px, release)
    rms = np.full((instrument.size,) * 2, RMS_JY, np.float32)
    layers, target, clusters = draw_sky(options, instrument, rms, np.random.default_rng([SEED, seed]))
    sky = layers.compact + layers.galaxies + layers.remnants + layers.spirals + layers.galactic + target.sky
    plane = instrument.image(sky, np.zeros_like(sky), rms, CLEAN_SNR, MISSED)
    return SimulatedSky(plane, clusters, grid_wcs(ra_deg, dec_deg, instrument.size, release.pixel_arcsec))


def draw_noise(n_px: int, rng: np.random.Generator, release: Release) -> np.ndarray:
    """Noise of the images of a release, ``[y, x]``, Jy/beam."""
    return RMS_JY * _instrument(n_px, release)[0].noise(rng)[:n_px, :n_px]


def survey_header(wcs: WCS, name: str, release: Release) -> fits.Header:
    """Header of an image of a release, Jy/beam."""
    header = wcs.to_header()
    beam_deg = release.beam_arcsec / 3600
    header.update(BMAJ=beam_deg, BMIN=beam_deg, BPA=90.0, BUNIT="JY/BEAM ", OBJECT=name)
    header["RESTFRQ"] = _frequency_hz(release)
    header["ORIGIN"] = _origin()
    header["DATE"] = MADE_UP_DATE
    return header


def _origin() -> str:
    return f"simulated by radiounet, code {code_hash()}"


def _frequency_hz(release: Release) -> float:
    return release.frequency_mhz * 1e6


def write_field(folder: Path, name: str, region: SimulatedSky, rng: np.random.Generator) -> None:
    """Write one field as the survey's imager does: 4-D, apparent and true flux."""
    ra, dec = FIELD_CENTRES[name]
    wcs = grid_wcs(ra, dec, FIELD_PX, DR2.pixel_arcsec)
    y, x = np.indices((FIELD_PX, FIELD_PX)) - (FIELD_PX / 2 - 1)
    distance = np.hypot(x, y) * DR2.pixel_arcsec / 3600
    beam = gaussian(distance, PRIMARY_BEAM_DEG)
    noise = draw_noise(FIELD_PX, rng, DR2)
    apparent = beam * region.on(wcs, (FIELD_PX, FIELD_PX)) + noise
    header = survey_header(wcs, name, DR2)
    header.update(CTYPE3="STOKES", CRVAL3=1.0, CTYPE4="FREQ", CRVAL4=_frequency_hz(DR2))
    for kind, data in (("app", apparent), ("int", apparent / beam)):
        cube = data.astype(np.float32)[None, None]
        write_fits(folder / name / f"image_full_low_m.{kind}.restored.fits", cube, header)


def write_cell(
    folder: Path,
    pixel: int,
    centre: tuple[float, float],
    region: SimulatedSky,
    noise: np.ndarray,
    release: Release,
) -> None:
    """Write the mosaic of a HEALPix cell on its real grid, blank except around the common edge."""
    place = HealpixCells(release).geometry(pixel)
    wcs = mosaic_wcs(place, release.pixel_arcsec)
    shape = (place.n_px, place.n_px)
    data = np.full(shape, np.nan, np.float32)
    x, y = wcs.wcs_world2pix([centre], 0)[0]
    half = int(EDGE_RADIUS_DEG * 3600 / release.pixel_arcsec) + 40
    part = tuple(
        slice(max(int(c) - half, 0), min(int(c) + half, side)) for c, side in zip((y, x), shape, strict=True)
    )
    rows, columns = np.mgrid[part]
    ra, dec = wcs.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    distance = separation_deg(unit_vectors(*centre), unit_vectors(ra, dec)).reshape(rows.shape)
    image = region.on(wcs[part], rows.shape) + noise[: rows.shape[0], : rows.shape[1]]
    data[part] = np.where(distance < EDGE_RADIUS_DEG, image, np.nan)
    write_fits(folder / str(pixel) / "low-mosaic.fits", data, survey_header(wcs, f"HP-{pixel}", release))


def common_edge(first: int, second: int, nside: int) -> tuple[float, float]:
    """Middle of the edge that two HEALPix cells share, ICRS deg."""
    import healpy

    corners = [
        {tuple(v) for v in np.round(healpy.boundaries(nside, pixel, step=1).T, 9)}
        for pixel in (first, second)
    ]
    shared = np.array(sorted(corners[0] & corners[1]))
    ra, dec = healpy.vec2ang(shared.sum(axis=0), lonlat=True)
    return float(ra[0]), float(dec[0])


def write_archive(root: Path) -> None:
    """Write the whole sample archive below a folder, with its lists and cluster tables."""
    rng = np.random.default_rng([SEED, 99])
    region = draw_region(150.7, 35.45, 3.6, seed=1, release=DR2)
    for name in FIELD_CENTRES:
        write_field(root / "fields", name, region, rng)
    _write_clusters(root / "clusters_dr2.ecsv", region, [*FIELD_CENTRES.values()], 0.6)
    rows = [(name, *centre) for name, centre in FIELD_CENTRES.items()]
    pointings = Table(rows=rows, names=("mosaic_id", "centeralpha", "centerdelta"))
    (root / "tap").mkdir(parents=True, exist_ok=True)
    from_table(pointings).to_xml(str(root / "tap" / "sync"))
    lines = [
        "# Pointing,RA,DEC,integration time, IDs",
        *(f"{name},{ra},{dec},8.0,None" for name, ra, dec in rows),
    ]
    (root / "grid.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    centre, region = write_edge(root / "cells", EDGE_CELLS, DR3, rng)
    _write_clusters(root / "clusters_dr3.ecsv", region, [centre], 0.9 * EDGE_RADIUS_DEG)
    write_footprint(root / FOOTPRINT, centre, 0.9 * EDGE_RADIUS_DEG)


def is_written_by_this_code(root: Path) -> bool:
    """Whether a folder holds the whole sample archive, and this code simulated its images."""
    origins = {fits.getheader(path).get("ORIGIN") for path in root.glob("*/*/*.fits")}
    return (root / FOOTPRINT).is_file() and origins == {_origin()}


def write_edge(
    folder: Path, cells: tuple[int, int], release: Release, rng: np.random.Generator
) -> tuple[tuple[float, float], SimulatedSky]:
    """Write the mosaics of two adjacent HEALPix cells of a release, with data around their common edge.

    Returns
    -------
    centre : tuple of float
        Middle of the edge, ICRS deg.
    region : SimulatedSky
        The sky around it.
    """
    centre = common_edge(*cells, HealpixCells(release).nside)
    region = draw_region(*centre, 2 * EDGE_RADIUS_DEG + 0.2, seed=2, release=release)
    noise = draw_noise(2 * int(EDGE_RADIUS_DEG * 3600 / release.pixel_arcsec) + 90, rng, release)
    for pixel in cells:
        write_cell(folder, pixel, centre, region, noise, release)
    return centre, region


def write_footprint(path: Path, centre: tuple[float, float], radius_deg: float) -> None:
    """Write a footprint (FITS MOC): a disc."""
    from mocpy import MOC

    lon, lat, radius = (angle * u.deg for angle in (*centre, radius_deg))
    footprint = MOC.from_cone(lon=lon, lat=lat, radius=radius, max_depth=9)
    footprint.save(str(path), format="fits", overwrite=True)


def _write_clusters(
    path: Path, region: SimulatedSky, centres: list[tuple[float, float]], radius_deg: float
) -> None:
    """Table of the clusters put near some centres; ``simulated_diffuse`` is the truth."""
    ra, dec = region.grid.wcs_pix2world([(c.x_px, c.y_px) for c in region.clusters], 0).T
    places = unit_vectors(ra, dec)
    near = np.min([separation_deg(unit_vectors(*centre), places) for centre in centres], axis=0) < radius_deg
    clusters = [one for one, inside in zip(region.clusters, near, strict=True) if inside]
    table = QTable()
    table["name"] = [f"SIM-{index:02d}" for index in range(1, len(clusters) + 1)]
    table["ra"], table["dec"] = ra[near] * u.deg, dec[near] * u.deg
    table["z"] = [one.redshift for one in clusters]
    table["R500"] = [one.r500_arcmin for one in clusters] * u.arcmin
    table["simulated_diffuse"] = [one.diffuse for one in clusters]
    write_ecsv(path, table)


class ArchiveHandler(SimpleHTTPRequestHandler):
    """Static files with single byte ranges, as the survey's server gives them."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep silent."""

    def do_GET(self) -> None:
        """Answer with a file, or a part of it."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        start = self._start(size)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/fits" if path.suffix == ".fits" else "text/plain")
        self.send_header("Content-Length", str(size - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        with open(path, "rb") as stream:
            stream.seek(start)
            self.copyfile(stream, self.wfile)

    def _start(self, size: int) -> int:
        asked = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        return int(asked) if asked.isdigit() and int(asked) < size else 0


@contextmanager
def serve(root: Path, handler: type[ArchiveHandler] = ArchiveHandler, port: int = 0) -> Iterator[str]:
    """Serve a folder on 127.0.0.1 for as long as the context lasts; gives the URL. Port 0: any free one."""

    def make(*args: Any) -> ArchiveHandler:
        return handler(*args, directory=str(root))

    server = ThreadingHTTPServer(("127.0.0.1", port), make)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


SOURCES = {"dr2": "fields", "dr3": "published"}
"""Where the demo has the mosaics of each release from."""


def demo_config(release: str, url: str, archive: Path) -> dict:
    """Configuration of a run on the sample survey."""
    return {
        "release": release,
        "mosaics": {"source": SOURCES[release]},
        "clusters": str(archive / f"clusters_{release}.ecsv"),
        "archive": {
            "dr2": {"field": url + "/fields/{field}/{file}"},
            "dr3": {"mosaic": url + "/cells/{pixel}/{file}"},
            "lists": {
                "dr2_mosaics": f"{url}/tap/sync?REQUEST=doQuery",
                "dr3_footprint": f"{url}/{FOOTPRINT}",
                "fields": f"{url}/grid.txt",
            },
            "list_folder": "lists",
        },
    }


def second_run_configs(config: dict) -> tuple[dict, dict]:
    """Configurations of a second run of one mosaic, and of the first run compared with it (rule verify).

    Parameters
    ----------
    config : dict
        Of the first run, from `demo_config` for DR2.
    """
    selected = config | {"select": {"mosaics": [VERIFIED]}}
    references = {
        key: f"{SECOND_RESULTS}/{config['release']}/{folder}/{{mosaic}}.fits"
        for key, folder in (("masks", "masks"), ("probabilities", "probability"))
    }
    return selected | {"results": SECOND_RESULTS}, selected | {"verify": references}
