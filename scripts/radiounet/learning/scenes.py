"""Images whose truth is known, as evaluation reads them."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.errors import BadDataError
from radiounet.images.gaussian import beam_area_px
from radiounet.images.image import read_plane
from radiounet.learning.pairs import UNKNOWN, read_files
from radiounet.network.masks import EIGHT_NEIGHBOURS
from radiounet.settings.measure import MeasureOptions
from radiounet.settings.train import LOTSS_GRID, ImageGrid, pair_files
from radiounet.survey.cluster_tables import log_notes, read_clusters


@dataclass(frozen=True)
class Scene:
    """One image with its truth; planes ``[y, x]``.

    Attributes
    ----------
    image, rms : ndarray of float32
        Jy/beam, the image NaN where blank; the rms as measured on the image.
    known, mask : ndarray of bool
        Pixels that count, and among these the truth.
    truth, strength : ndarray of float32
        Diffuse emission in Jy/beam and in units of the true noise. A labelled image
        has its label for both, so that fractions of flux are fractions of area.
    objects : ndarray of int
        Number of each pixel's object, 0 for none.
    table : Table
        The objects: object, kind, y_px, x_px, peak_snr, las_arcmin, flux_jy.
    cause : ndarray of uint8 or None
        Index into `radiounet.simulation.simulate.CAUSES`; None for a labelled image.
    clusters : Table
        y_px, x_px, r500_arcmin, diffuse, galactic; no rows for a labelled image.
    beam_arcsec : float
        FWHM of the beam; a few simulated images have a coarser one than the survey.
    grid : ImageGrid
        Its pixel scale, and the survey's beam.
    """

    image: np.ndarray
    rms: np.ndarray
    known: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    strength: np.ndarray
    objects: np.ndarray
    table: Table
    cause: np.ndarray | None
    clusters: Table
    beam_arcsec: float
    grid: ImageGrid

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam, px."""
        return beam_area_px(self.beam_arcsec, self.grid.pixel_arcsec)

    @property
    def area_deg2(self) -> float:
        """Solid angle of the pixels that count, deg2."""
        return float(self.known.sum() * (self.grid.pixel_arcsec / 3600) ** 2)


def read_scene(path: str, truth_snr: float, grid: ImageGrid = LOTSS_GRID) -> Scene:
    """Read a simulated image, or ``IMAGE.fits:LABELS.fits[:CLUSTERS]``: an image, its labels, its clusters.

    Parameters
    ----------
    path : str
        As for `radiounet.learning.pairs.read_pair`; a third file is a table of clusters as
        `radiounet.survey.cluster_tables.read_clusters` takes it. A cluster hosts diffuse emission
        where a labelled pixel lies inside its R500.
    truth_snr : float
        The truth mask of a simulated image begins at this many times its true noise.
    grid : ImageGrid
        See `radiounet.learning.pairs.read_pair`.

    Raises
    ------
    BadDataError
        As `radiounet.learning.pairs.read_pair`; an image in other units than Jy/beam; a
        simulated image without lists of objects and clusters.
    ConfigError
        As `radiounet.survey.cluster_tables.read_clusters`.
    """
    image_path, *others = pair_files(path)
    pair = read_files([image_path, *others[:1]], truth_snr, grid)
    if pair.normalisation is not None:
        raise BadDataError(f"{path} is in Jy/pixel; only images in Jy/beam can be evaluated")
    classes = pair.classes()
    known, mask = classes != UNKNOWN, classes == 1
    truth = np.where(known, pair.truth, 0)
    planes = (pair.image, pair.rms, known, mask, truth)
    if not pair.scalable:
        objects, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        table = _labelled(objects, count)
        clusters = _clusters(image_path, others[1] if others[1:] else None, mask, grid)
        return Scene(*planes, truth, objects, table, None, clusters, grid.beam_arcsec, grid)
    try:
        with fits.open(image_path) as hdus:
            beam_arcsec = 3600 * hdus[0].header["BMAJ"]
            rms, objects, cause = (hdus[name].data.copy() for name in ("RMS", "OBJECTS", "CAUSE"))
            table, clusters = (
                Table.read(hdus, hdu=name, mask_invalid=False, character_as_bytes=False)
                for name in ("OBJECT_LIST", "CLUSTERS")
            )
    except KeyError as error:
        raise BadDataError(f"{path} was simulated by an older version: {error.args[0]}") from None
    return Scene(*planes, truth / rms, objects, table, cause, clusters, beam_arcsec, grid)


def _labelled(objects: np.ndarray, count: int) -> Table:
    """List of objects of which only the pixels are known; the first of them stands for the peak."""
    numbers, unknown = np.arange(1, count + 1), np.full(count, np.nan)
    first = np.array(ndimage.maximum_position(objects > 0, objects, numbers)).reshape(-1, 2)
    return Table(
        {
            "object": numbers,
            "kind": np.full(count, "labelled"),
            "y_px": first[:, 0],
            "x_px": first[:, 1],
            "peak_snr": unknown,
            "las_arcmin": unknown,
            "flux_jy": unknown,
        }
    )


def _clusters(image_path: str, path: str | None, mask: np.ndarray, grid: ImageGrid) -> Table:
    """Real clusters on an image, those whose centre it shows."""
    names = ("y_px", "x_px", "r500_arcmin", "diffuse", "galactic")
    if path is None:
        return Table({name: np.empty(0) for name in names})
    options, wcs, rows = MeasureOptions(), read_plane(image_path).wcs, []
    clusters = read_clusters(path, options)
    log_notes(clusters, path)
    for one in filter(attrgetter("measurable"), clusters):
        x, y = (float(value) for value in wcs.wcs_world2pix(one.ra_deg, one.dec_deg, 0))
        if not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]):
            continue
        dy, dx = np.ogrid[: mask.shape[0], : mask.shape[1]]
        inside = np.hypot(dy - y, dx - x) <= one.r500_arcmin * 60 / grid.pixel_arcsec
        latitude = SkyCoord(one.ra_deg, one.dec_deg, unit="deg").galactic.b.deg
        galactic = abs(latitude) < options.galactic_latitude_deg
        rows.append((y, x, one.r500_arcmin, bool(mask[inside].any()), bool(galactic)))
    return Table(rows=rows, names=names) if rows else _clusters(image_path, None, mask, grid)
