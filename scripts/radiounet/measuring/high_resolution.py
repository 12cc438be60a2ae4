"""Cut-outs of a 6" image around the clusters of a mosaic, from files, a server, or a service of cut-outs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.errors import BadDataError, BeamError, BrightnessError, NoOverlapError
from radiounet.images.image import Plane, StoredImage, open_plane
from radiounet.images.provenance import provenance
from radiounet.images.words import printable
from radiounet.images.writing import write_extensions
from radiounet.measuring.apertures import box_around
from radiounet.measuring.components import COMPACT_BEAMS
from radiounet.measuring.diffuse_classes import RELIC_R500
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.urls import local_path, public_text
from radiounet.survey.archive import fetched, fill_template
from radiounet.survey.survey import Cluster

logger = logging.getLogger(__name__)

AROUND_ARCMIN = 5.0
"""What is cut out beyond 1.5 R500: islands that begin there are measured with their surroundings."""


def fetch_high_resolution(
    template: str,
    mosaic: Mapping[str, str | int],
    clusters: Sequence[Cluster],
    beam_arcsec: float,
    download: DownloadOptions,
    target: str | Path,
) -> None:
    """Write the cut-outs of a 6" image around some clusters as one FITS file.

    Each cluster has one extension, with its name in ``CLUSTER``: the cut-out, Jy/beam, or none and the card
    ``REASON``. A local image is read by window; another is fetched whole and removed.

    Parameters
    ----------
    template : str
        Path or URL of the image of a mosaic, or of a cut-out at a position.
    mosaic : mapping of str to str or int
        What stands for ``{mosaic}`` and ``{pixel}``.
    clusters : sequence of Cluster
        Those of the mosaic that can be measured.
    beam_arcsec : float
        Of the image that is measured.

    Raises
    ------
    BadDataError
        Nothing could be cut out: the first reason.
    TransientError
        See `radiounet.survey.archive.fetch`.
    ConfigError
        The template has unknown names, or the server wants credentials.
    """
    hdus, errors = [], []
    urls = {number: _address(template, mosaic, one) for number, one in enumerate(clusters)}
    for url, numbers in groupby(urls, key=urls.__getitem__):
        some = [clusters[number] for number in numbers]
        try:
            with _opened(url, target, download) as stored:
                found = [_cut(stored, one, url, beam_arcsec) for one in some]
        except BadDataError as error:
            found = [error for _ in some]
        for cluster, one in zip(some, found, strict=True):
            if isinstance(one, BadDataError):
                logger.warning("%s: %s", cluster.name, one)
                errors.append(one)
            hdus.append(_hdu(cluster, one))
    if errors and len(errors) == len(clusters):
        raise errors[0]
    primary = fits.PrimaryHDU(header=fits.Header(provenance()))
    primary.header.add_history(printable(f"high_resolution: {public_text(template)}"))
    write_extensions(target, primary, hdus)


def reach_arcmin(cluster: Cluster) -> float:
    """Half of the side of a cut-out, arcmin."""
    return RELIC_R500 * cluster.r500_arcmin + AROUND_ARCMIN


def _address(template: str, mosaic: Mapping[str, str | int], cluster: Cluster) -> str:
    size = 2 * reach_arcmin(cluster)
    place = {"ra_deg": f"{cluster.ra_deg:.6f}", "dec_deg": f"{cluster.dec_deg:.6f}"}
    sizes = {"size_deg": f"{size / 60:.4f}", "size_arcmin": f"{size:.2f}"}
    return fill_template(template, **mosaic, **place, **sizes)


@contextmanager
def _opened(url: str, target: str | Path, download: DownloadOptions) -> Iterator[StoredImage]:
    """A 6" image: the user's own where it lies, or one that is removed after use."""
    local = local_path(url)
    if local is not None:
        yield open_plane(local)
        return
    with fetched(url, target, download) as raw:
        yield open_plane(raw)


def _cut(stored: StoredImage, cluster: Cluster, url: str, beam_arcsec: float) -> Plane | BadDataError:
    """The part of an image around a cluster, or why there is none."""
    shown, beam = public_text(url), stored.beam
    widest = COMPACT_BEAMS * beam_arcsec
    error: BadDataError
    if beam.major_arcsec > widest:
        error = BeamError(
            f"{shown}: beam {beam.major_arcsec:.2f} x {beam.minor_arcsec:.2f} arcsec; compact sources of an "
            f"image with {beam_arcsec:g} arcsec need {widest:g} or less: set mosaics.high_resolution to the "
            "6 arcsec images"
        )
        error.file = shown
        return error
    box = box_around(stored, replace(cluster, r500_arcmin=reach_arcmin(cluster)), 1.0)
    data = None if box is None else stored.window(*box)
    if box is None or data is None or np.isnan(data).all():
        error = NoOverlapError(
            f"{shown} has no data around {cluster.name}: set mosaics.high_resolution to the images of the "
            "same sky as the mosaics"
        )
        error.file = shown
        return error
    try:
        stored.require_brightness(data, *box)
    except BrightnessError as reason:
        error = BrightnessError(str(reason).replace(str(stored.path), shown))
        error.file = shown
        return error
    return Plane(data, stored.wcs[box[0], box[1]], beam)


def _hdu(cluster: Cluster, found: Plane | BadDataError) -> fits.ImageHDU:
    if isinstance(found, Plane):
        hdu = fits.ImageHDU(found.data, found.header())
    else:
        hdu = fits.ImageHDU()
        hdu.header["REASON"] = printable(f"{type(found).__name__}: {found}")
    hdu.header["CLUSTER"] = printable(cluster.name)
    return hdu
