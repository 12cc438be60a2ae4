"""Where mosaics lie: HEALPix cells and pointings, the squares around them, and the fields that make them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radiounet.images.squares import PIXEL_ARCSEC, Mosaic, offsets_deg, separation_deg, unit_vectors

NSIDE = 16
FIELD_PX = 6075
"""Side of a field's 20 arcsec image as DDFacet pads it, px."""
SQUARE_MARGIN = 1.15  # mosaics are 15 % larger than they must be


@dataclass(frozen=True)
class Field:
    """One LOFAR pointing: name and centre (ICRS deg)."""

    name: str
    ra_deg: float
    dec_deg: float


def grid_side(half_deg: float, pixel_arcsec: float = PIXEL_ARCSEC) -> int:
    """Side of a mosaic, ``2 floor(1.15 R / cell)`` px (ddf-pipeline `mosaic_pointing.py`)."""
    return 2 * int(SQUARE_MARGIN * half_deg * 3600 / pixel_arcsec)


def cell_name(pixel: int) -> str:
    """Name of a DR3 mosaic: ``hp01312``."""
    return f"hp{pixel:05d}"


def cell_pixel(name: str) -> int:
    """HEALPix pixel of a DR3 mosaic's name."""
    return int(name.removeprefix("hp"))


def cell_geometry(pixel: int, pixel_arcsec: float = PIXEL_ARCSEC) -> Mosaic:
    """Centre and side of a DR3 mosaic (ddf-pipeline `mosaic_healpix.py`).

    R is the largest spherical offset in RA or Dec from the centre of the cell
    to its four corners.
    """
    import healpy

    ra, dec = healpy.pix2ang(NSIDE, pixel, lonlat=True)
    corner_ra, corner_dec = healpy.vec2ang(healpy.boundaries(NSIDE, pixel, step=1).T, lonlat=True)
    offsets = np.abs(offsets_deg(ra, dec, corner_ra, corner_dec))
    return Mosaic(cell_name(pixel), float(ra), float(dec), grid_side(offsets.max(), pixel_arcsec))


def cells_of_footprint(moc) -> list[int]:
    """HEALPix pixels of DR3 mosaics: those a footprint reaches.

    The footprint is widened by one of its own pixels (7' for the published
    order-9 MOC), since the images reach a little beyond the circles it is made
    of; that gives the 1,571 cells of the release.

    Parameters
    ----------
    moc : mocpy.MOC
    """
    import healpy

    wide = moc.union(moc).add_neighbours()  # a new one: add_neighbours changes its own
    nested = np.asarray(wide.degrade_to_order(4).flatten()).astype(np.int64)
    return sorted(int(pixel) for pixel in healpy.nest2ring(NSIDE, nested))


def fields_in_footprint(fields: Sequence[Field], moc, radius_deg: float = 1.85) -> list[bool]:
    """Tell which fields a footprint made of discs around its fields can contain.

    A field is in when the whole disc is. No list of DR3 fields is published;
    this keeps every one that may be in it, and a few more whose discs happen to
    be covered by their neighbours.
    """
    import healpy

    nside = 2**moc.max_order
    covered = np.zeros(healpy.nside2npix(nside), bool)
    covered[healpy.nest2ring(nside, np.asarray(moc.flatten()).astype(np.int64))] = True
    centres = unit_vectors([f.ra_deg for f in fields], [f.dec_deg for f in fields])
    radius = np.radians(radius_deg)
    return [bool(covered[healpy.query_disc(nside, centre, radius)].all()) for centre in centres]


def nearest_fields(distances_deg: np.ndarray) -> np.ndarray:
    """Fields that make a pointing's mosaic (ddf-pipeline `find_mosaic_pointings.py`).

    The field itself and its six nearest, and further ones within 1.1 times the
    distance of the sixth; the last of these is dropped by a strict comparison,
    as the survey's code does.

    Parameters
    ----------
    distances_deg : ndarray, ``[field]``
        From the pointing to every field of the grid, itself included.

    Returns
    -------
    ndarray of bool, ``[field]``
    """
    ordered = np.sort(distances_deg)
    if len(ordered) <= 7:
        return np.ones(len(ordered), bool)
    end = 7
    for index in range(7, min(20, len(ordered))):
        if ordered[index] / ordered[6] < 1.1:
            end = index
    return distances_deg < ordered[end]


def pointing_geometry(pointing: Field, grid: Sequence[Field]) -> Mosaic:
    """Centre and side of a DR2 mosaic: R is half the largest neighbour distance.

    Tested against four published headers (`tests/unit/test_sky.py`).
    """
    distances = _distances(pointing, grid)
    chosen = distances[nearest_fields(distances)]
    return Mosaic(pointing.name, pointing.ra_deg, pointing.dec_deg, grid_side(chosen.max() / 2))


def _distances(place: Field | Mosaic, grid: Sequence[Field]) -> np.ndarray:
    vectors = unit_vectors([f.ra_deg for f in grid], [f.dec_deg for f in grid])
    return separation_deg(unit_vectors(place.ra_deg, place.dec_deg), vectors)
