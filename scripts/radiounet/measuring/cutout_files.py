"""Files of the cut-outs that clusters were measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from radiounet.images.beams import read_beam, read_resolution
from radiounet.images.fits_planes import celestial_plane
from radiounet.images.geometry import middle, to_pixels, to_sky
from radiounet.images.headers import legible
from radiounet.images.image import Plane
from radiounet.images.provenance import provenance
from radiounet.images.reading import whole_fits
from radiounet.images.words import printable
from radiounet.images.writing import write_extensions
from radiounet.measuring.cutouts import Cutout

PLANES = ("RESIDUAL", "COMPACT", "ISLANDS", "OWN")
"""Extensions of each cluster: residual and compact sources, Jy/beam; islands, 0 none, -1 blanked; 1 where an
island, or this part of it, is the cluster's, 2 where it is blanked."""
LEVEL = "LEVEL"
"""Extension of each cluster: row and column (from 0) of blanked pixels, and what they count with, Jy/beam."""
COMPONENTS = "COMPONENTS"
"""Extension of each cluster: its compact sources as a table."""


@dataclass(frozen=True)
class StoredCutout:
    """A cut-out without the rest of its mosaic, as its file has it; planes ``[y, x]``.

    Attributes
    ----------
    residual : Plane
        Jy/beam above the background, without compact sources; NaN where there is no data.
    compact : ndarray of float32
        Compact sources that were taken away, Jy/beam.
    islands : ndarray of int32
        Islands of the mosaic from 1, 0 outside, -1 where a resolved radio galaxy was blanked.
    own : ndarray of bool or None
        Where `islands` has an island of this cluster, or the part of one that is its own; the island, where
        the cut-out is of one; False where blanked. None in a file of an older version, which does not tell.
    components : Table
        Compact sources: ``ra_deg``, ``dec_deg`` (ICRS), ``peak_jy``, ``error_jy`` (per beam).
    rms_jy : float
        Median of the local noise, Jy/beam.
    part : (slice, slice)
        Rows and columns of the mosaic.
    own_blanked : ndarray of bool or None
        Blanked pixels of these islands. None as of `own`.
    level : ndarray of float32 or None
        What blanked pixels count with in flux densities, Jy/beam; NaN elsewhere. None in a file of an older
        version.
    """

    residual: Plane
    compact: np.ndarray
    islands: np.ndarray
    own: np.ndarray | None
    components: Table
    rms_jy: float
    part: tuple[slice, slice]
    own_blanked: np.ndarray | None = None
    level: np.ndarray | None = None

    @classmethod
    def of(cls, cutout: Cutout, own: np.ndarray) -> "StoredCutout":
        """Keep of a cut-out what its file holds; `own` reaches over what was blanked."""
        plane, rows, columns = cutout.mosaic.plane, *cutout.part
        residual = Plane(cutout.residual, plane.wcs[rows, columns], plane.beam, plane.resolution)
        islands = np.where(cutout.blanked, -1, cutout.labels).astype(np.int32)
        found = cutout.components
        ra, dec = to_sky(residual.wcs, found.x, found.y)
        components = Table(
            {"ra_deg": ra, "dec_deg": dec, "peak_jy": found.peak, "error_jy": found.error},
            units={"ra_deg": "deg", "dec_deg": "deg", "peak_jy": "Jy/beam", "error_jy": "Jy/beam"},
        )
        rms = float(np.median(cutout.rms[cutout.known])) if cutout.known.any() else np.nan
        parts = own & (islands > 0), components, rms, cutout.part, own & cutout.blanked
        level = np.where(cutout.blanked, cutout.filled, np.float32(np.nan))
        return cls(residual, cutout.compact, islands, *parts, level)

    @property
    def image(self) -> np.ndarray:
        """Jy/beam above the background, ``[y, x]``."""
        return self.residual.data + self.compact

    @property
    def measured(self) -> np.ndarray:
        """What flux densities are sums of: the residual, or `level` where it is blanked; Jy/beam, ``[y, x]``.

        Of a file of an older version the residual.
        """
        if self.level is None:
            return self.residual.data
        return np.where(np.isfinite(self.level), self.level, self.residual.data)

    def header(self) -> fits.Header:
        """Header with the grid, beam and unit, and where in the mosaic this is."""
        header = self.residual.header()
        if np.isfinite(self.rms_jy):
            header["RMS"] = (self.rms_jy, "Jy/beam, median of the local noise")
        for axis, one in zip((2, 1), self.part, strict=True):
            header[f"CORNER{axis}"] = (one.start, "first pixel in the mosaic, from 0")
        return header

    def hdus(self, name: str, number: int) -> list[fits.hdu.base.ExtensionHDU]:
        """Extensions of one cluster (`PLANES`, `LEVEL` and `COMPONENTS`), numbered as ``EXTVER``."""
        header = self.header()
        header["CLUSTER"] = printable(name)
        # only those of other versions have none, and are not written
        assert self.own is not None
        assert self.own_blanked is not None
        own = self.own + 2 * self.own_blanked.astype(np.uint8)
        planes = (self.residual.data, self.compact, self.islands, own)
        hdus: list[fits.hdu.base.ExtensionHDU] = [
            fits.ImageHDU(plane, header, name=kind) for kind, plane in zip(PLANES, planes, strict=True)
        ]
        for kind in ("ISLANDS", "OWN"):
            del hdus[PLANES.index(kind)].header["BUNIT"]
        for kind, table in ((LEVEL, self._levels()), (COMPONENTS, self.components)):
            hdus.append(fits.table_to_hdu(table))
            hdus[-1].header["CLUSTER"] = header["CLUSTER"]
            hdus[-1].name = kind
        for hdu in hdus:
            hdu.ver = number
        return hdus

    def _levels(self) -> Table:
        """Blanked pixels with what they count with."""
        assert self.level is not None
        y, x = np.nonzero(np.isfinite(self.level))
        places = {"y": y.astype(np.int32), "x": x.astype(np.int32)}
        return Table(places | {"level": self.level[y, x]}, units={"level": "Jy/beam"})


def write_cutouts(
    path: str | Path, cutouts: Sequence[tuple[str, StoredCutout]], meta: Mapping[str, object]
) -> None:
    """Write the cut-outs of the clusters of a mosaic as one FITS file.

    Each cluster has four image extensions (`PLANES`) and two tables (`LEVEL`, `COMPONENTS`) of one
    ``EXTVER``, with its name in ``CLUSTER`` and their WCS; residual and compact sources add up to the image
    without its background. Flux densities are sums over the residual, or the level where it is blanked.

    Parameters
    ----------
    cutouts : sequence of (str, StoredCutout)
        Name of a cluster, and its cut-out.
    meta : mapping
        Provenance, as HISTORY.
    """
    primary = fits.PrimaryHDU(header=fits.Header(provenance()))
    for key, value in meta.items():
        primary.header.add_history(printable(f"{key}: {value}"))
    hdus = [
        hdu for number, (name, cutout) in enumerate(cutouts, start=1) for hdu in cutout.hdus(name, number)
    ]
    write_extensions(path, primary, hdus)


def read_cutout(path: str | Path, name: str, ra_deg: float, dec_deg: float) -> StoredCutout | None:
    """Read the cut-out of a cluster; None where the file has none.

    Parameters
    ----------
    path : path
        From `write_cutouts`.
    name : str
    ra_deg, dec_deg : float
        Of the cluster, ICRS: of several clusters of one name the nearest is meant.

    Raises
    ------
    UnreadableError
        The file is damaged, or not whole.
    """
    with whole_fits(path) as hdus:
        found = [
            hdu for hdu in hdus[1:] if hdu.name == PLANES[0] and hdu.header["CLUSTER"] == printable(name)
        ]
        places = [celestial_plane(hdu.data, legible(hdu.header), path)[0] for hdu in found]
        if not found:
            return None
        offsets = [
            np.hypot(*np.subtract(to_pixels(wcs, ra_deg, dec_deg), middle(hdu.shape)))
            for wcs, hdu in zip(places, found, strict=True)
        ]
        first = found[int(np.argmin(offsets))]
        compact, islands, components = (hdus[kind, first.ver] for kind in ("COMPACT", "ISLANDS", COMPONENTS))
        own = hdus["OWN", first.ver].data if ("OWN", first.ver) in hdus else None
        level = None
        if (LEVEL, first.ver) in hdus:
            level, blanked = np.full(compact.shape, np.nan, np.float32), hdus[LEVEL, first.ver].data
            level[blanked["y"], blanked["x"]] = blanked["level"]
        header = legible(first.header)
        wcs, data = celestial_plane(first.data, header, path)
        beam = read_beam(header, None, path)
        residual = Plane(_native(data), wcs, beam, read_resolution(header, beam, path))
        starts = [int(header[f"CORNER{axis}"]) for axis in (2, 1)]
        rows, columns = (slice(start, start + side) for start, side in zip(starts, data.shape, strict=True))
        return StoredCutout(
            residual,
            _native(compact.data),
            _native(islands.data),
            None if own is None else own == 1,
            Table.read(components),
            float(header.get("RMS", np.nan)),
            (rows, columns),
            None if own is None else own == 2,
            level,
        )


def _native(plane: np.ndarray) -> np.ndarray:
    """Numbers in the machine's own order of bytes."""
    return plane.astype(plane.dtype.newbyteorder("="))
