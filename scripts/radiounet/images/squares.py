"""Squares of sky on which mosaics are made, and angles between directions; needs no astropy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SCALE_TOLERANCE = 0.01
"""Part by which pixels may differ from a pixel scale."""
BEAM_TOLERANCE = 0.02
"""Part by which a beam may differ from another, and its axes from each other."""


@dataclass(frozen=True)
class Mosaic:
    """One square of sky: name, centre (ICRS deg) and side in pixels of its release."""

    name: str
    ra_deg: float
    dec_deg: float
    n_px: int


def unit_vectors(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> np.ndarray:
    """Unit vectors, ``[..., 3]``, of positions in degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def separation_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between unit vectors, deg; exact for small and large angles (Vincenty)."""
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(cross, np.sum(a * b, axis=-1)))


def offsets_deg(
    ra0_deg: float, dec0_deg: float, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Spherical offsets in RA and Dec of positions from a centre, deg.

    Longitude and latitude in the frame whose origin is the centre, as
    ``SkyCoord.spherical_offsets_to`` of astropy gives them.
    """
    x, y, z = np.moveaxis(unit_vectors(np.subtract(ra_deg, ra0_deg), dec_deg), -1, 0)
    dec0 = np.radians(dec0_deg)
    forward = x * np.cos(dec0) + z * np.sin(dec0)
    up = z * np.cos(dec0) - x * np.sin(dec0)
    return np.degrees(np.arctan2(y, forward)), np.degrees(np.arcsin(np.clip(up, -1, 1)))
