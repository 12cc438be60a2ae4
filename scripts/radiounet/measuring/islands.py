"""The islands of a mask: measured, and cut to the cell of their mosaic."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord

from radiounet.images.background import background_arcmin
from radiounet.images.geometry import to_sky
from radiounet.images.origins import check_maps, maps_provenance
from radiounet.images.reading import fits_header
from radiounet.images.writing import write_ecsv
from radiounet.measuring.columns import make_table
from radiounet.measuring.components import CompactFiles
from radiounet.measuring.cutouts import MARGIN_BEAMS, Cutout, MeasuredMosaic, cut_out
from radiounet.measuring.diffuse_classes import FLAGS, classify_island, island_flags
from radiounet.measuring.fluxes import frequency_of
from radiounet.measuring.objects import measure_object
from radiounet.measuring.rows import (
    class_columns,
    class_means,
    fit_row,
    flux_columns,
    image_columns,
    notes_of,
)
from radiounet.measuring.table_settings import OPTIONS, settings_text
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.survey import Survey

FOOTPRINT_NSIDE = 8192
ROUNDING = 1e-6
"""Tolerance for floating-point error, in units of the last digit of a name."""


@dataclass(frozen=True)
class Island:
    """One island of a mask.

    Attributes
    ----------
    y, x : ndarray of int, ``[pixel]``
        Its pixels.
    region : int
        Number of the connected region that it is, or was cut from.
    row : dict
        What was measured; keys as in `radiounet.measuring.columns.ISLANDS`.
    """

    y: np.ndarray
    x: np.ndarray
    region: int
    row: dict[str, object]


def measure_islands(
    mosaic: MeasuredMosaic, options: MeasureOptions, chosen: Container[int] | None = None
) -> list[Island]:
    """Measure islands of a mask: connected regions, or the pieces that were cut from them.

    Parameters
    ----------
    mosaic : MeasuredMosaic
    options : MeasureOptions
    chosen : container of int, optional
        Numbers of the connected regions whose islands are measured. By default all are.

    Returns
    -------
    list of Island
        From bottom to top; the position is the centroid weighted with probability. ``mosaic``,
        ``owned_fraction`` and the columns of the image are left to `find_islands`.

    See Also
    --------
    radiounet.measuring.separation.separate : how touching objects are cut apart.
    radiounet.measuring.cutouts.cut_out : how compact sources are taken away.
    """
    if not (mosaic.mask == 1).any():
        return []
    _, regions = mosaic.islands
    shared = np.bincount(regions) > 1
    islands = []
    for index, part in enumerate(mosaic.boxes, start=1):
        region = int(regions[index - 1])
        if chosen is not None and region not in chosen:
            continue
        cutout = cut_out(mosaic, mosaic.around(part, MARGIN_BEAMS * mosaic.beam_px))
        island = (cutout.labels == index) & cutout.known
        if not island.any():  # reference mode also predicts blank pixels
            continue
        row = _measure(cutout, island, bool(shared[region]), options)
        y, x = np.nonzero(island)
        islands.append(Island(y + cutout.origin[0], x + cutout.origin[1], region, row))
    _name_parents(islands)
    return islands


def island_centre(mosaic: MeasuredMosaic, y: np.ndarray, x: np.ndarray) -> tuple[float, float, SkyCoord]:
    """Centre of an island, which it is named after: of its pixels `y`, `x`, weighted with the probability."""
    chance = mosaic.probability[y, x].astype(np.float64)
    weights = chance if chance.any() else None
    centre_y, centre_x = (float(np.average(one, weights=weights)) for one in (y, x))
    return centre_y, centre_x, SkyCoord(*to_sky(mosaic.plane.wcs, centre_x, centre_y), unit="deg")


def _name_parents(islands: Sequence[Island]) -> None:
    """Name every region after its most probable island, of equally probable ones the largest."""
    best: dict[int, object] = {}
    for one in sorted(islands, key=lambda one: (one.row["p_max"], one.row["area_arcmin2"])):
        best[one.region] = one.row["name"]
    for one in islands:
        one.row["parent"] = best[one.region]


def _measure(cutout: Cutout, island: np.ndarray, shares: bool, options: MeasureOptions) -> dict[str, object]:
    mosaic, measured = cutout.mosaic, measure_object(cutout, island, options.calibration_error)
    y, x = np.stack(np.nonzero(island)) + cutout.origin[:, None]
    plane, shape = mosaic.plane, measured.shape
    chance = mosaic.probability[y, x].astype(np.float64)
    _, _, place = island_centre(mosaic, y, x)
    latitude = float(place.galactic.b.deg)
    means = class_means(cutout, island)
    low = abs(latitude) < options.galactic_latitude_deg
    flags = island_flags(measured, means, low, touches_blank(y, x, plane.data), shares)
    decision = classify_island(measured, flags, means)
    return {
        "name": designation(place),
        "ra_deg": float(place.ra.deg),
        "dec_deg": float(place.dec.deg),
        "class": decision.label,
        "reason": decision.reason,
        "area_arcmin2": float(plane.relative_area(y, x).sum()) * (plane.pixel_arcsec / 60) ** 2,
        "extent_arcmin": shape.extent_arcmin,
        "las_arcmin": shape.las_arcmin,
        "width_arcmin": shape.width_arcmin,
        "axis_ratio": shape.axis_ratio,
        "position_angle_deg": shape.angle_deg,
        "p_mean": float(chance.mean()),
        "p_max": float(chance.max()),
        **class_columns(means),
        **flux_columns(measured),
        "note": notes_of(cutout),
        **fit_row(measured, options.calibration_error),
        "peak_snr": float(np.max((cutout.filled / cutout.rms)[island])),
        "galactic_latitude_deg": latitude,
        **{f"flag_{name}": flags[name] for name in FLAGS},
    }


def touches_blank(y: np.ndarray, x: np.ndarray, data: np.ndarray) -> bool:
    """Whether a pixel beside an island is blank, or beyond the image."""
    ny, nx = data.shape
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near_y, near_x = y + dy, x + dx
        if near_y.min() < 0 or near_x.min() < 0 or near_y.max() >= ny or near_x.max() >= nx:
            return True
        if np.isnan(data[near_y, near_x]).any():
            return True
    return False


def designation(place: SkyCoord) -> str:
    """Name from truncated coordinates, ``RUN JHHMMSS.s+DDMMSS`` (IAU rules)."""
    tenths = math.floor(place.ra.hour * 36_000 + ROUNDING) % 864_000
    dec = float(place.dec.deg) * 3600
    arcsec = math.floor(abs(dec) + ROUNDING)
    right = f"{tenths // 36_000:02}{tenths // 600 % 60:02}{tenths // 10 % 60:02}.{tenths % 10}"
    up = f"{arcsec // 3600:02}{arcsec // 60 % 60:02}{arcsec % 60:02}"
    return f"RUN J{right}{'-' if dec < -ROUNDING else '+'}{up}"


def find_islands(
    image: str,
    probability: str,
    mask: str,
    survey: Survey,
    mosaic: str,
    options: MeasureOptions,
    target: str,
    compact: CompactFiles | None = None,
) -> list[Island]:
    """Measure the islands of all connected regions that reach into a mosaic's cell.

    An island across the border of two cells is found on both mosaics; the table's
    metadata hold every island's footprint, by which
    `radiounet.measuring.duplicates.drop_duplicates` keeps one of them. Two mosaics may cut a region
    along different lines, so the pieces of a region stay together: those outside the
    cell are in the table as well, with an ``owned_fraction`` of 0.

    Compact sources are those of the files `compact`, where these cover an island.

    Returns
    -------
    list of Island
        In the order of the rows of the table.

    Raises
    ------
    OriginError
        Mask, probability map and image were not made from each other.
    """
    check_maps(image, probability, mask)
    measured = MeasuredMosaic.read(image, probability, mask, compact)
    plane = measured.plane
    # most islands of a mosaic may lie outside its cell: they are not measured
    islands = measure_islands(measured, options, _regions_in(survey, mosaic, measured))
    places = [to_sky(plane.wcs, one.x, one.y) for one in islands]
    owned = [float(survey.owned(mosaic, ra, dec).mean()) for ra, dec in places]
    of_image = image_columns(plane, frequency_of(fits_header(image), survey.release))
    rows = [
        one.row | of_image | {"mosaic": mosaic, "owned_fraction": part}
        for one, part in zip(islands, owned, strict=True)
    ]
    meta = maps_provenance(probability, mask) | {
        "measure": settings_text(options, *OPTIONS["islands"]),
        "background_arcmin": background_arcmin(plane.pixel_arcsec),
        **(compact.provenance() if compact else {}),
    }
    if survey.cells.disjoint:  # own images are not compared with each other
        meta["footprints"] = [footprint_text(*place) for place in places]
    write_ecsv(target, make_table("islands", rows, meta))
    return islands


def _regions_in(survey: Survey, name: str, mosaic: MeasuredMosaic) -> set[int]:
    """Connected regions of a mask that have a pixel with data in the cell of their mosaic."""
    if not (mosaic.mask == 1).any():
        return set()
    labels, regions = mosaic.islands
    known = (labels > 0) & np.isfinite(mosaic.plane.data)
    y, x = np.nonzero(known)
    inside = survey.owned(name, *to_sky(mosaic.plane.wcs, x, y))
    return set(regions[np.unique(labels[y[inside], x[inside]]) - 1].tolist())


def footprint_text(ra_deg: np.ndarray, dec_deg: np.ndarray) -> str:
    """Numbers of `footprint` with blanks between, as metadata of tables have them."""
    return " ".join(map(str, footprint(ra_deg, dec_deg)))


def footprint(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """HEALPix pixels (nside 8192, 26", NESTED) that positions lie in, sorted."""
    import healpy

    return np.unique(healpy.ang2pix(FOOTPRINT_NSIDE, ra_deg, dec_deg, nest=True, lonlat=True))
