"""Fields of a survey: which of them its releases show, and which make a pointing's mosaic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radiounet.images.squares import unit_vectors

if TYPE_CHECKING:
    from mocpy import MOC


FINEST_ORDER = 12


@dataclass(frozen=True)
class Field:
    """One LOFAR pointing: name and centre (ICRS deg)."""

    name: str
    ra_deg: float
    dec_deg: float


def fields_in_footprint(fields: Sequence[Field], moc: MOC, radius_deg: float = 1.85) -> list[bool]:
    """Tell which fields a footprint made of discs around its fields can contain.

    A field is in when the whole disc is. No list of DR3 fields is published;
    this keeps every one that may be in it, and a few more whose discs happen to
    be covered by their neighbours.
    """
    import healpy

    if moc.max_order > FINEST_ORDER:  # finer pixels than these, 52 arcsec wide, would not fit the memory
        moc = moc.degrade_to_order(FINEST_ORDER)
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
