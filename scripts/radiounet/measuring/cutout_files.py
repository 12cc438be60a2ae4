"""Files of the cut-outs that clusters were measured on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.images.provenance import provenance
from radiounet.images.words import printable
from radiounet.images.writing import atomic
from radiounet.measuring.cutouts import Cutout

PLANES = ("RESIDUAL", "COMPACT", "ISLANDS")
"""Extensions of each cluster: residual and compact sources, Jy/beam; islands, 0 none, -1 blanked."""


def write_cutouts(
    path: str | Path, cutouts: Sequence[tuple[str, Cutout]], meta: Mapping[str, object]
) -> None:
    """Write the cut-outs of the clusters of a mosaic as one FITS file.

    Each cluster has three image extensions (`PLANES`) of one ``EXTVER``, with its name in ``CLUSTER`` and
    their WCS; residual and compact sources add up to the image without its background.

    Parameters
    ----------
    cutouts : sequence of (str, Cutout)
        Name of a cluster, and its cut-out.
    meta : mapping
        Provenance, as HISTORY.
    """
    primary = fits.PrimaryHDU(header=fits.Header(provenance()))
    for key, value in meta.items():
        primary.header.add_history(printable(f"{key}: {value}"))
    hdus: list[fits.hdu.base.ExtensionHDU] = []
    for number, (name, cutout) in enumerate(cutouts, start=1):
        header = cutout.mosaic.plane.header()
        for axis, start in zip((2, 1), cutout.origin, strict=True):
            header[f"CRPIX{axis}"] -= int(start)
        header["CLUSTER"] = printable(name)
        islands = np.where(cutout.blanked, -1, cutout.labels).astype(np.int32)
        for kind, plane in zip(PLANES, (cutout.residual, cutout.compact, islands), strict=True):
            hdu = fits.ImageHDU(plane, header, name=kind)
            hdu.ver = number
            if kind == "ISLANDS":
                del hdu.header["BUNIT"]
            hdus.append(hdu)
    with atomic(path) as temporary:
        fits.HDUList([primary, *hdus]).writeto(temporary, overwrite=True)
