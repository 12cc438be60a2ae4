"""Which sky a run covers and marks: MOCs, and the map of completeness."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import healpy
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.images.geometry import middle, outline, pixel_scales_arcsec, to_pixels, to_sky
from radiounet.images.provenance import provenance
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.survey.survey import Survey

if TYPE_CHECKING:
    from mocpy import MOC

COVERAGE_ORDER = 12
"""HEALPix order of the coverage: pixels of 52 arcsec."""
REACHED_ORDER = 8
"""Of the HEALPix pixels in which a HiPS may have something to show: 14 arcmin."""
MARGIN_HEALPIX_PIXELS = 1.75
"""More than the diagonal of a HEALPix pixel of the coverage, whose side is 1."""
MASK_ORDER = 14
"""Of the masks: 13 arcsec."""
COMPLETENESS_NSIDE = 64
"""Of the map of completeness: pixels of 55 arcmin."""


def covered_healpix_pixels(
    wcs: WCS, probability: np.ndarray, survey: Survey, mosaic: str
) -> tuple[list[int], list[int]]:
    """HEALPix pixels that a mosaic owns and has data in, and those that may show anything of it.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
    probability : ndarray, ``[y, x]``
        NaN where there is no data.
    survey : Survey
    mosaic : str

    Returns
    -------
    covered : list of int
        HEALPix pixels of `COVERAGE_ORDER`, NESTED, whose centre is owned and has data.
    reached : list of int
        HEALPix pixels of `REACHED_ORDER` that hold sky which the mosaic owns, within its square or up to
        `MARGIN_HEALPIX_PIXELS` of `COVERAGE_ORDER` beside it.
    """
    nside, shape = 2**COVERAGE_ORDER, probability.shape
    centre = unit_vectors(*to_sky(wcs, *middle(shape)))
    corners = unit_vectors(*to_sky(wcs, *outline(shape)))
    reach = np.radians(np.nanmax(separation_deg(centre, corners)))
    pixels = np.sort(healpy.query_disc(nside, centre, reach, inclusive=True, fact=1, nest=True))
    ra, dec = healpy.pix2ang(nside, pixels, nest=True, lonlat=True)
    mine = survey.owned(mosaic, ra, dec)
    near = np.unique(np.append(pixels[mine], healpy.get_all_neighbours(nside, pixels[mine], nest=True)))
    near = near[near >= 0]
    x, y = to_pixels(wcs, *healpy.pix2ang(nside, near, nest=True, lonlat=True))
    healpix_arcsec = 60 * healpy.nside2resol(nside, arcmin=True)
    margin_px = MARGIN_HEALPIX_PIXELS * healpix_arcsec / pixel_scales_arcsec(wcs, *middle(shape))[1]
    beside = _within(x, y, shape, margin_px)
    reached = np.unique(near[beside] >> 2 * (COVERAGE_ORDER - REACHED_ORDER))
    pixels, ra, dec = pixels[mine], ra[mine], dec[mine]
    x, y = to_pixels(wcs, ra, dec)
    inside = _within(x, y, shape, 0)
    pixels, x, y = pixels[inside], np.rint(x[inside]).astype(int), np.rint(y[inside]).astype(int)
    return pixels[np.isfinite(probability[y, x])].tolist(), reached.tolist()


def _within(x: np.ndarray, y: np.ndarray, shape: tuple[int, int], margin: float) -> np.ndarray:
    """Whether places lie on an image or so many pixels beside it; NaN is outside."""
    (ny, nx), least = shape, -0.5 - margin
    return (x > least) & (y > least) & (x < nx - 0.5 + margin) & (y < ny - 0.5 + margin)


def diffuse_healpix_pixels(wcs: WCS, mask: np.ndarray, survey: Survey, mosaic: str) -> list[int]:
    """HEALPix pixels (`MASK_ORDER`, NESTED) with the centre of a masked image pixel that a mosaic owns."""
    y, x = np.nonzero(mask == 1)
    if not y.size:
        return []
    ra, dec = to_sky(wcs, x, y)
    mine = survey.owned(mosaic, ra, dec)
    return np.unique(healpy.ang2pix(2**MASK_ORDER, ra[mine], dec[mine], nest=True, lonlat=True)).tolist()


def moc_of(pixels: Iterable[int], order: int) -> MOC:
    """MOC of some HEALPix pixels of one order, NESTED, which need not be sorted."""
    from mocpy import MOC

    numbers = np.fromiter(pixels, np.uint64)
    return MOC.from_healpix_cells(numbers, np.full(numbers.shape, order, np.uint8), order)


def joined(texts: Iterable[str], order: int) -> MOC:
    """Union of MOCs, each as text, such as ``5/17 12/300-302``; an empty one of this order without any."""
    from mocpy import MOC

    empty = MOC.new_empty(order)
    return empty.union(empty, *map(MOC.from_string, texts))


def moc_bytes(moc: MOC) -> dict[str, bytes]:
    """A MOC as FITS and as JSON, by suffix."""
    stream = io.BytesIO()
    hdus = moc.serialize(format="fits")
    for hdu in hdus:
        for key in ("DATE", "CREATOR"):
            hdu.header.remove(key, ignore_missing=True)
    hdus.writeto(stream)
    return {"fits": stream.getvalue(), "json": (moc.to_string(format="json").strip() + "\n").encode("ascii")}


def completeness_map(clusters: Table, covered: MOC) -> bytes | None:
    """HEALPix map (FITS) of the flux density of a halo at which 90 % are found; None without limits.

    Limits are measured at clusters, by mock halos of their size. A pixel has the median of the
    clusters in it that have a limit; their number; and the part of it that is covered. Pixels without
    such a cluster are NaN: nothing is interpolated, since limits depend on the size of the halo and on
    neighbours as much as on the noise.

    Parameters
    ----------
    clusters : Table
        Merged catalogue.
    covered : mocpy.MOC
        Of `COVERAGE_ORDER`.
    """
    limits: np.ndarray = np.ma.filled(np.ma.asarray(clusters["flux_90_mjy"], float), np.nan)
    known = np.isfinite(limits)
    if not np.any(known):
        return None
    count = healpy.nside2npix(COMPLETENESS_NSIDE)
    part = _covered_parts(covered, count)
    ra, dec = (np.asarray(clusters[key], float)[known] for key in ("ra_deg", "dec_deg"))
    place = healpy.ang2pix(COMPLETENESS_NSIDE, ra, dec, nest=True, lonlat=True)
    pixels = np.flatnonzero((part > 0) | (np.bincount(place, minlength=count) > 0))
    values = limits[known]
    found = [values[place == pixel] for pixel in pixels]
    table = Table(
        {
            "PIXEL": pixels.astype(np.int64),
            "FLUX_90": np.array([np.median(one) if one.size else np.nan for one in found], np.float32),
            "CLUSTERS": np.array([one.size for one in found], np.int32),
            "COVERAGE": part[pixels].astype(np.float32),
        }
    )
    hdu = fits.table_to_hdu(table)
    hdu.name = "COMPLETENESS"
    hdu.header["TUNIT2"] = "mJy"
    cards = {"PIXTYPE": "HEALPIX", "ORDERING": "NESTED", "NSIDE": COMPLETENESS_NSIDE, "COORDSYS": "C"}
    hdu.header.update(cards | {"INDXSCHM": "EXPLICIT", "OBJECT": "PARTIAL"})
    hdu.header.extend(provenance())
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    return stream.getvalue()


def _covered_parts(moc: MOC, count: int) -> np.ndarray:
    """Part of each pixel of a HEALPix map that a MOC of `COVERAGE_ORDER` covers, NESTED.

    The number of covered HEALPix pixels below a given one is linear along each range and constant between
    two: they themselves, a hundred million of DR3, are never listed.
    """
    ranges = (moc.to_depth29_ranges >> np.uint64(2 * (29 - COVERAGE_ORDER))).astype(np.int64)
    if not len(ranges):
        return np.zeros(count)
    per_pixel = 12 * 4**COVERAGE_ORDER // count
    ends = np.cumsum(ranges[:, 1] - ranges[:, 0])
    below = np.column_stack([np.append(0, ends[:-1]), ends])
    edges = np.arange(count + 1) * per_pixel
    return np.diff(np.interp(edges, ranges.ravel(), below.ravel())) / per_pixel
