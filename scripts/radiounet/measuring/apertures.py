"""What mosaics show around a cluster, and where their masks differ."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from radiounet.images.geometry import pixel_scales_arcsec, to_pixels, to_sky
from radiounet.images.image import Plane, StoredImage
from radiounet.images.squares import unit_vectors
from radiounet.images.words import enumerated
from radiounet.measuring.cluster_sources import offset_arcmin
from radiounet.measuring.cutouts import MeasuredMosaic
from radiounet.survey.survey import Cluster, Survey

BORDER_PX = 32
NEAR_BEAMS = 2.0
"""Two masks show the same emission where one holds pixels this near to those of the other."""
LEAST_PART = 0.02
"""Part of an island inside R500 that another mask may lack without a note: the edges of islands differ."""
LINK_PX = 1.7
"""Pixels this near are of one island: more than a diagonal, and less than two."""


def box_around(
    plane: Plane | StoredImage, cluster: Cluster, reach: float = 1.1
) -> tuple[slice, slice] | None:
    """Pixels around a cluster, as many R500 wide and wide enough for averages over a beam."""
    x, y = to_pixels(plane.wcs, cluster.ra_deg, cluster.dec_deg)
    if not (np.isfinite(x) and np.isfinite(y)):
        return None
    shortest = pixel_scales_arcsec(plane.wcs, x, y)[1]
    if not shortest > 0:  # off the sky half a pixel on
        return None
    half = reach * cluster.r500_arcmin * 60 / shortest + BORDER_PX
    ny, nx = plane.data.shape
    rows = slice(max(int(y - half), 0), min(int(y + half) + 2, ny))
    columns = slice(max(int(x - half), 0), min(int(x + half) + 2, nx))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return rows, columns


def mask_differences(
    survey: Survey, mosaics: Mapping[str, MeasuredMosaic], own: str, cluster: Cluster
) -> list[str]:
    """Compare masks inside R500: that of the cluster's own mosaic, and those of the owners of other sky.

    Parameters
    ----------
    survey : Survey
    mosaics : mapping of str to MeasuredMosaic
        By name, those that the aperture touches.
    own : str
        Name of the cluster's own mosaic.
    cluster : Cluster

    Returns
    -------
    list of str
        One note of the emission that only owners of other sky hold on it, one of what only the cluster's
        own mosaic holds there, and one of what it holds on sky whose owner is not among `mosaics`; none
        of own images, which own all that they show.
    """
    if not survey.cells.disjoint:
        return []
    pixel_deg = mosaics[own].plane.pixel_arcsec / 3600
    reach_deg = NEAR_BEAMS * mosaics[own].beam_px * pixel_deg
    masked = {name: _masked(one, cluster) for name, one in mosaics.items()}
    inside = {
        name: places[:, np.hypot(*offset_arcmin(cluster, *places)) <= cluster.r500_arcmin]
        for name, places in masked.items()
    }
    others = mosaics.keys() - {own}
    lacking = []
    for name in sorted(others):
        places = inside[name]
        owners = survey.owner(*places)
        apart = owners == name
        for third in others - {name}:  # on its sky, its mask decides
            apart[owners == third] = ~_is_apart(places[:, owners == third], masked[third], reach_deg)
        apart &= _is_apart(places, masked[own], reach_deg)
        noted = _more_than_edges(places, apart, pixel_deg)
        if (owners[noted] == name).any():
            lacking.append(name)
    owners = survey.owner(*inside[own])
    apart = owners != own
    for name in others:
        apart[owners == name] = _is_apart(inside[own][:, owners == name], masked[name], reach_deg)
    noted = _more_than_edges(inside[own], apart, pixel_deg)
    alone, unused = [], []
    for name in np.unique(owners[noted]).tolist():
        if name in mosaics:
            is_shown = _shows(mosaics[name].plane, inside[own][:, noted & (owners == name)])
            alone.append(f"{name}, {'whose mask is empty there' if is_shown else 'which has no data there'}")
        else:
            unused.append(f"{name}, whose mask was not used" if name else "no mosaic")
    return _notes(own, lacking, alone, unused)


def _notes(own: str, lacking: Sequence[str], alone: Sequence[str], unused: Sequence[str]) -> list[str]:
    """Notes of mosaics that hold what `own` lacks, that lack what it holds, and that were not looked at."""
    notes = []
    if lacking:
        one, several = "mask of {} holds on its own sky", "masks of {} hold on their own sky"
        held = (one if len(lacking) == 1 else several).format(enumerated(lacking))
        what = f"inside R500 the mask of {own} lacks emission that the {held}"
        notes.append(f"{what}: flux densities and islands are of {own}")
    if alone:
        what = f"inside R500 only the mask of {own} holds emission on sky that belongs to"
        notes.append(f"{what} {', and to '.join(alone)}")
    if unused:
        notes.append(f"inside R500 the mask of {own} reaches onto sky of {', and of '.join(unused)}")
    return notes


def _masked(mosaic: MeasuredMosaic, cluster: Cluster) -> np.ndarray:
    """Right ascensions and declinations that a mask holds around a cluster, ``[2, pixel]``."""
    part = box_around(mosaic.plane, cluster)
    if part is None:
        return np.empty((2, 0))
    y, x = np.nonzero(mosaic.mask[part] == 1)
    return np.stack(to_sky(mosaic.plane.wcs, x + part[1].start, y + part[0].start))


def _is_apart(places: np.ndarray, others: np.ndarray, reach_deg: float) -> np.ndarray:
    """Which of some places, ``[2, pixel]``, have no other within reach, bool ``[pixel]``."""
    nearest, _ = KDTree(unit_vectors(*others)).query(unit_vectors(*places))
    return nearest > np.radians(reach_deg)


def _more_than_edges(places: np.ndarray, apart: np.ndarray, pixel_deg: float) -> np.ndarray:
    """Which places of a mask are apart, in islands of which more than `LEAST_PART` is, bool ``[pixel]``.

    Parameters
    ----------
    places : ndarray, ``[2, pixel]``
        Those next to each other are one island.
    apart : ndarray of bool, ``[pixel]``
    pixel_deg : float
    """
    if not apart.any():
        return apart
    pairs = KDTree(unit_vectors(*places)).query_pairs(np.radians(LINK_PX * pixel_deg), output_type="ndarray")
    linked = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=2 * [len(apart)])
    _, island = connected_components(linked, directed=False)
    return apart & (np.bincount(island, apart) > LEAST_PART * np.bincount(island))[island]


def _shows(plane: Plane, places: np.ndarray) -> bool:
    """Whether an image has data at any of some places."""
    x, y = np.rint(to_pixels(plane.wcs, *places))
    inside = (x >= 0) & (y >= 0) & (x < plane.data.shape[1]) & (y < plane.data.shape[0])
    return bool(np.isfinite(plane.data[y[inside].astype(int), x[inside].astype(int)]).any())
