"""Facets of a field: their polygons, astrometric offsets, and which of them are bad.

The files are those of ddf-pipeline: ``*.tessel.reg`` (regions of DDFacet),
``pslocal-facet_offsets.fits`` (matches with Pan-STARRS) and ``Badfacets.txt``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from radiounet.errors import FacetError
from radiounet.images.geometry import to_pixels, to_sky
from radiounet.images.repeats import require_unique
from radiounet.mosaicking.flaws import Window
from radiounet.mosaicking.kernels import facets_of_pixels

MIN_PEAK_OVER_ERROR = 2.0
NUMBER = r"\s*([-+\d.eE]+)\s*"
LINE = re.compile(rf"line\({NUMBER},{NUMBER},")
POINT = re.compile(rf"point\({NUMBER},{NUMBER}\).*text=\{{\[.*_S(\d+)\]\}}")


@dataclass(frozen=True)
class Facets:
    """Facets of one field, numbered from 0 in the order of their labels.

    Attributes
    ----------
    labels : tuple of int
        By facet: the n of ``[F0_Sn]``.
    corners : ndarray of float64, ``[corner, 2]``
        Row and column in the field of all polygons' corners, one polygon after another.
    starts : ndarray of int
        Where each polygon begins, and the end of the last.
    numbers : ndarray of int
        Facet of each polygon; -1 for one that is left out.
    offsets_arcsec : ndarray of float64, ``[facet, 2]``
        How far sources lie to the east and north (ICRS) of their true place.
    shifts : ndarray of float64, ``[facet, 2]``
        The same in rows and columns of the field, px, in the middle of each facet.
    bad : tuple of int
        Facets left out.
    replaced : tuple of int
        Facets whose offset was not well measured: the median of the others stands for it.
    """

    labels: tuple[int, ...]
    corners: np.ndarray
    starts: np.ndarray
    numbers: np.ndarray
    offsets_arcsec: np.ndarray
    shifts: np.ndarray
    bad: tuple[int, ...] = ()
    replaced: tuple[int, ...] = ()

    def of_pixels(self, window: Window) -> np.ndarray:
        """Facet of each pixel of a part of the field, int16 ``[y, x]``, -1 for none."""
        rows, columns = window
        shape = rows.stop - rows.start, columns.stop - columns.start
        return facets_of_pixels(self.corners, self.starts, self.numbers, rows.start, columns.start, shape)


def read_facets(
    regions: str | Path, wcs: WCS, offsets: str | Path | None = None, bad: str | Path | None = None
) -> Facets:
    """Read the facets of a field.

    Parameters
    ----------
    regions : path
        Polygons as runs of ``line(ra, dec, ...)``, ICRS deg, followed by points that carry
        the labels, ``text={[F0_S12]}``.
    wcs : astropy.wcs.WCS
        Of the field.
    offsets : path, optional
        Table: RA_offset and DEC_offset, arcsec, image minus true position, east and
        north; RA_peak, DEC_peak and their ..._error; Facet_id, the label, or else one
        row per facet. Where a peak is less than twice its error the median of the good
        offsets is taken. ddf-pipeline means to do so too, but writes the medians into a
        copy of the rows; and it takes the n-th row for the n-th facet, which is another
        where a label has no polygon.
    bad : path, optional
        Facets to leave out, numbered as here: the list in brackets in the second line.

    Raises
    ------
    FacetError
        A file cannot be read, or they do not fit together.
    """
    polygons, of_polygon = _read_regions(regions, wcs)
    labels = tuple(sorted(set(of_polygon)))
    numbers = np.array([labels.index(label) for label in of_polygon])
    arcsec = np.zeros((len(labels), 2))
    replaced: tuple[int, ...] = ()
    if offsets is not None:
        arcsec, replaced = _read_offsets(offsets, labels)
    middles = []
    for label in labels:
        own = [polygon for polygon, other in zip(polygons, of_polygon, strict=True) if other == label]
        middles.append(np.concatenate(own).mean(axis=0))
    rows, columns = np.transpose(middles)
    middle = SkyCoord(*to_sky(wcs, columns, rows), unit="deg")
    # both in the same way, so that no offset is no shift to the last bit
    true, seen = (middle.spherical_offsets_by(*(part * arcsec.T * u.arcsec)) for part in (0, 1))
    there, here = (np.stack(to_pixels(wcs, one.ra.deg, one.dec.deg)[::-1], axis=1) for one in (seen, true))
    left_out = _read_bad(bad, len(labels)) if bad is not None else ()
    numbers[np.isin(numbers, left_out)] = -1
    starts = np.cumsum([0, *map(len, polygons)])
    corners = np.concatenate(polygons)
    return Facets(labels, corners, starts, numbers, arcsec, there - here, left_out, replaced)


def _read_regions(path: str | Path, wcs: WCS) -> tuple[list[np.ndarray], list[int]]:
    """Polygons ``[corner, (row, column)]`` and the label that lies in each."""
    sky: list[list[tuple[float, float]]] = [[]]
    marks = []
    for text in _text(path).splitlines():
        try:
            if line := LINE.match(text):
                sky[-1].append((float(line[1]), float(line[2])))
                continue
            if sky[-1]:
                sky.append([])
            if point := POINT.match(text):
                marks.append((float(point[1]), float(point[2]), int(point[3])))
        except ValueError as error:
            raise FacetError(f"{path}: {text!r} cannot be read: {error}") from None
    polygons = [np.stack(to_pixels(wcs, *np.transpose(one))[::-1], axis=1) for one in sky if one]
    if not all(np.isfinite(one).all() for one in polygons):
        raise FacetError(f"{path}: corners of facets lie where the image has no sky")
    labels: list[set[int]] = [set() for _ in polygons]
    for ra, dec, label in marks:
        column, row = map(float, to_pixels(wcs, ra, dec))
        for own, polygon in zip(labels, polygons, strict=True):
            if _holds(polygon, row, column):
                own.add(label)
    without = labels.count(set())
    if not polygons or without:
        raise FacetError(
            f"{path}: {without} of {len(polygons)} polygons hold no label; DDFacet's *.tessel.reg is needed"
        )
    texts = [", ".join(f"S{label}" for label in sorted(own)) for own in labels]
    names = (f"{n} ({text})" for n, text in enumerate(texts, start=1) for _ in labels[n - 1])
    require_unique(path, "polygon", names, FacetError, row="label")
    return polygons, [label for own in labels for label in own]


def _holds(polygon: np.ndarray, row: float, column: float) -> bool:
    """Whether a point lies in a polygon, by the even-odd rule."""
    (y0, x0), (y1, x1) = polygon.T, np.roll(polygon, -1, axis=0).T
    across = (y0 <= row) != (y1 <= row)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
    return bool(np.count_nonzero(across & (crossing > column)) % 2)


def _read_offsets(path: str | Path, labels: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Offsets ``[facet, (east, north)]``, arcsec, and the facets for which the median stands."""
    try:
        table = Table.read(path, format="fits", mask_invalid=False)
        offsets = np.stack([np.asarray(table[f"{a}_offset"], float) for a in ("RA", "DEC")], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            trust = [np.asarray(table[f"{a}_peak"] / table[f"{a}_peak_error"], float) for a in ("RA", "DEC")]
        known = np.asarray(table["Facet_id"], int).tolist() if "Facet_id" in table.colnames else labels
    except (OSError, KeyError, ValueError, TypeError, fits.VerifyError) as error:
        raise FacetError(f"{path}: no table of facet offsets: {error}") from error
    if len(known) != len(table):
        raise FacetError(f"{path}: offsets of {len(table)} facets, but there are {len(labels)}")
    require_unique(path, "facet", known, FacetError)
    rows = dict(zip(known, range(len(table)), strict=True))
    absent = [label for label in labels if label not in rows]
    if absent:
        raise FacetError(f"{path}: no offset for facet {', '.join(map(str, absent))}")
    order = [rows[label] for label in labels]
    offsets, trust = offsets[order], np.min(trust, axis=0)[order]
    good = (trust >= MIN_PEAK_OVER_ERROR) & np.isfinite(offsets).all(axis=1)
    offsets[~good] = np.median(offsets[good], axis=0) if good.any() else 0
    return offsets, tuple(np.flatnonzero(~good).tolist())


def _read_bad(path: str | Path, count: int) -> tuple[int, ...]:
    lines = _text(path).splitlines()
    found = re.search(r",\s*\[([\d\s,]*)\]", lines[1]) if len(lines) > 1 else None
    if found is None:
        raise FacetError(
            f"{path}: its second line must be a name, a comma and a list of facets, as in P1,[0, 7]"
        )
    bad = tuple(sorted({int(number) for number in re.findall(r"\d+", found[1])}))
    if bad and bad[-1] >= count:
        raise FacetError(f"{path}: facet {bad[-1]} is called bad, but there are {count}, counted from 0")
    return bad


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FacetError(f"{path} cannot be read: {error}") from error
