"""Images whose truth is known, as evaluation reads them."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy import ndimage

from radiounet.errors import BadDataError
from radiounet.gaussian import beam_area_px
from radiounet.masks import EIGHT_NEIGHBOURS
from radiounet.pairs import BEAM_ARCSEC, UNKNOWN, read_pair
from radiounet.sky import PIXEL_ARCSEC


@dataclass(frozen=True)
class Scene:
    """One image with its truth; planes ``[y, x]``.

    Attributes
    ----------
    image, noise : ndarray of float32
        Jy/beam, the image NaN where blank; the noise as measured on the image.
    known, mask : ndarray of bool
        Pixels that count, and among these the truth.
    truth, strength : ndarray of float32
        Diffuse emission in Jy/beam and in units of the true noise. A labelled image
        has its label for both, so that fractions of flux are fractions of area.
    objects : ndarray of int
        Number of each pixel's object, 0 for none.
    table : Table
        The objects: object, kind, y_px, x_px, peak_sigma, las_arcmin, flux_jy.
    cause : ndarray of uint8 or None
        Index into `radiounet.simulate.CAUSES`; None for a labelled image.
    clusters : Table
        y_px, x_px, r500_arcmin, diffuse, galactic; no rows for a labelled image.
    beam_arcsec : float
        FWHM of the beam; a few simulated images have a coarser one than the survey.
    """

    image: np.ndarray
    noise: np.ndarray
    known: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    strength: np.ndarray
    objects: np.ndarray
    table: Table
    cause: np.ndarray | None
    clusters: Table
    beam_arcsec: float

    @property
    def beam_area_px(self) -> float:
        """Solid angle of the beam, px."""
        return beam_area_px(self.beam_arcsec, PIXEL_ARCSEC)

    @property
    def area_deg2(self) -> float:
        """Solid angle of the pixels that count, deg2."""
        return float(self.known.sum() * (PIXEL_ARCSEC / 3600) ** 2)


def read_scene(path: str, truth_sigma: float) -> Scene:
    """Read a simulated image, or an image with its labels as ``IMAGE.fits:LABELS.fits``.

    Parameters
    ----------
    path : str
        As for `radiounet.pairs.read_pair`.
    truth_sigma : float
        The truth mask of a simulated image begins at this many times its true noise.

    Raises
    ------
    BadDataError
        As `radiounet.pairs.read_pair`; an image in other units than Jy/beam; a
        simulated image without lists of objects and clusters.
    """
    pair = read_pair(path, truth_sigma)
    if pair.normalisation is not None:
        raise BadDataError(f"{path} is in Jy/pixel; only images in Jy/beam can be evaluated")
    classes = pair.classes()
    known, mask = classes != UNKNOWN, classes == 1
    truth = np.where(known, pair.truth, 0)
    planes = (pair.image, pair.rms, known, mask, truth)
    if not pair.scalable:
        objects, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        table = _labelled(objects, count)
        return Scene(*planes, truth, objects, table, None, _no_clusters(), BEAM_ARCSEC)
    try:
        with fits.open(path) as hdus:
            beam_arcsec = 3600 * hdus[0].header["BMAJ"]
            rms, objects, cause = (hdus[name].data.copy() for name in ("RMS", "OBJECTS", "CAUSE"))
            table, clusters = (
                Table.read(hdus, hdu=name, mask_invalid=False, character_as_bytes=False)
                for name in ("OBJECT_LIST", "CLUSTERS")
            )
    except KeyError as error:
        raise BadDataError(f"{path} was simulated by an older version: {error.args[0]}") from None
    return Scene(*planes, truth / rms, objects, table, cause, clusters, beam_arcsec)


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
            "peak_sigma": unknown,
            "las_arcmin": unknown,
            "flux_jy": unknown,
        }
    )


def _no_clusters() -> Table:
    return Table({name: np.empty(0) for name in ("y_px", "x_px", "r500_arcmin", "diffuse")})
