"""Who owns which sky: HEALPix cells, pointings, own images; their squares, and the fields that make them.

What differs between releases in this stands here, one class for each kind of cell; `cells_of` chooses it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from radiounet.errors import ConfigError
from radiounet.images.squares import Mosaic, offsets_deg, separation_deg, unit_vectors
from radiounet.settings.releases import Release
from radiounet.survey.fields import Field, nearest_fields

if TYPE_CHECKING:
    from mocpy import MOC
    from scipy.spatial import cKDTree

SQUARE_MARGIN = 1.15  # mosaics are 15 % larger than they must be
NEAREST = 8  # pointings that are looked at first: of LoTSS no more reach one position
ROUNDING_PX = 2  # by which the grid of an own image may differ from its square


class _ByName(dict[str, Mosaic]):
    """Mosaics of a list, by name; one that it lacks is a mistake of the user."""

    def __missing__(self, name: str) -> Mosaic:
        raise ConfigError(
            f"the mosaic {name} is not in the list of mosaics ({len(self)}, such as {next(iter(self), None)})"
            ": is it the list of another release?"
        )


class Cells(ABC):
    """Who owns which sky in one release.

    Parameters
    ----------
    release : Release
    mosaics : iterable of Mosaic
        All of the release.
    """

    disjoint: ClassVar[bool] = True
    """Whether no two mosaics own the same sky."""

    def __init__(self, release: Release, mosaics: Iterable[Mosaic] = ()):
        self.release = release
        self.mosaics: dict[str, Mosaic] = _ByName((mosaic.name, mosaic) for mosaic in mosaics)

    @cached_property
    def names(self) -> np.ndarray:
        """Names of all mosaics, ``[mosaic]``."""
        return np.array(list(self.mosaics))

    def half_deg(self, mosaic: Mosaic) -> float:
        """Half of the side of a mosaic's square, deg."""
        return mosaic.n_px / 2 * self.release.pixel_arcsec / 3600

    @abstractmethod
    def owner(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Name of the mosaic that owns each position (finite, ICRS deg), of the same shape; '' for none."""

    @abstractmethod
    def owned(self, mosaic: str, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Whether a mosaic owns each position (finite, ICRS deg), ``[position]``."""

    def around(self, mosaic: str) -> list[Mosaic]:
        """Mosaics that decide which sky one owns: itself, where no other has a say in it."""
        return [self.mosaics[mosaic]]

    def reach_deg(self, mosaic: Mosaic) -> float:
        """Largest distance from a mosaic's centre of sky that it owns, deg."""
        return np.sqrt(2) * (self.half_deg(mosaic) + ROUNDING_PX * self.release.pixel_arcsec / 3600)

    def healpix_pixels(self, mosaic: str, order: int) -> list[int]:
        """HEALPix pixels (NESTED) of an order that may hold sky which a mosaic owns."""
        import healpy

        place = self.mosaics[mosaic]
        centre, radius = unit_vectors(place.ra_deg, place.dec_deg), np.radians(self.reach_deg(place))
        return healpy.query_disc(2**order, centre, radius, inclusive=True, nest=True).tolist()

    def owns_pixel(self, mosaic: str, order: int, pixel: int) -> bool:
        """Whether a mosaic surely owns all of a HEALPix pixel (NESTED); False where that is not known."""
        return False

    def on_map(
        self, names: Sequence[str], ra_deg: np.ndarray, dec_deg: np.ndarray, least_deg: float
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Where a map of the sky shows each of some mosaics: a disc, bool ``[position]``.

        Parameters
        ----------
        names : sequence of str
        ra_deg, dec_deg : ndarray, ``[position]``
        least_deg : float
            Radius of the smallest disc that can be seen.
        """
        vectors = unit_vectors(ra_deg, dec_deg)
        for name in names:
            place = self.mosaics[name]
            distance = separation_deg(unit_vectors(place.ra_deg, place.dec_deg), vectors)
            yield name, distance < max(self.half_deg(place), least_deg)

    @abstractmethod
    def fields_of(
        self, place: Mosaic, grid: Sequence[Field], distances_deg: np.ndarray, radius_deg: float
    ) -> np.ndarray:
        """Which fields make a mosaic.

        Parameters
        ----------
        place : Mosaic
        grid : sequence of Field
        distances_deg : ndarray, ``[field]``
            From the centre of the mosaic.
        radius_deg : float
            Of the disc that a field shows.

        Returns
        -------
        ndarray of bool, ``[field]``
        """


class HealpixCells(Cells):
    """One mosaic per HEALPix cell (RING, ICRS), named ``hp01312``."""

    @property
    def nside(self) -> int:
        """Of the cells."""
        if self.release.nside is None:
            raise ConfigError(f"release {self.release.name} has no nside")
        return self.release.nside

    def name(self, pixel: int) -> str:
        """Name of a cell's mosaic: ``hp01312``."""
        return f"{self.release.prefix}{pixel:05d}"

    def geometry(self, pixel: int) -> Mosaic:
        """Centre and side of a cell's mosaic (ddf-pipeline `mosaic_healpix.py`).

        R is the largest spherical offset in RA or Dec from the centre of the cell
        to its four corners.
        """
        import healpy

        ra, dec = healpy.pix2ang(self.nside, pixel, lonlat=True)
        corner_ra, corner_dec = healpy.vec2ang(healpy.boundaries(self.nside, pixel, step=1).T, lonlat=True)
        offsets = np.abs(offsets_deg(ra, dec, corner_ra, corner_dec))
        side = grid_side(offsets.max(), self.release.pixel_arcsec)
        return Mosaic(self.name(pixel), float(ra), float(dec), side)

    def of_footprint(self, moc: MOC) -> list[int]:
        """HEALPix pixels of the mosaics: those that a footprint reaches.

        The footprint is widened by one of its own pixels (7' for the published
        order-9 MOC of DR3), since the images reach a little beyond the circles it is made
        of; that gives the 1,571 cells of DR3.

        Parameters
        ----------
        moc : mocpy.MOC
            At least as fine as the cells.

        Raises
        ------
        ConfigError
            It is coarser.
        """
        import healpy

        order = healpy.nside2order(self.nside)
        if moc.max_order < order:
            raise ConfigError(
                f"the footprint of {self.release.name} has the order {moc.max_order}, "
                f"which is coarser than its cells of nside {self.nside}"
            )
        wide = moc.union(moc).add_neighbours()  # a new one: add_neighbours changes its own
        if moc.max_order > order:  # mocpy warns where the orders are the same
            wide = wide.degrade_to_order(order)
        nested = np.asarray(wide.flatten()).astype(np.int64)
        return sorted(int(pixel) for pixel in healpy.nest2ring(self.nside, nested))

    def owner(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Name of the mosaic whose cell holds each position; '' where it is none of the release."""
        import healpy

        pixels = healpy.ang2pix(self.nside, ra_deg, dec_deg, lonlat=True)
        names = np.char.mod(f"{self.release.prefix}%05d", pixels)
        return np.where(np.isin(names, self.names), names, "")

    def owned(self, mosaic: str, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Whether each position lies in a mosaic's cell, ``[position]``."""
        import healpy

        return healpy.ang2pix(self.nside, ra_deg, dec_deg, lonlat=True) == cell_pixel(mosaic)

    def healpix_pixels(self, mosaic: str, order: int) -> list[int]:
        """HEALPix pixels (NESTED) of an order that a mosaic's cell is in, or that are in it."""
        import healpy

        cell = int(healpy.ring2nest(self.nside, cell_pixel(mosaic)))
        finer = 2 * (order - healpy.nside2order(self.nside))
        return [cell >> -finer] if finer < 0 else list(range(cell << finer, (cell + 1) << finer))

    def owns_pixel(self, mosaic: str, order: int, pixel: int) -> bool:
        """Whether a HEALPix pixel (NESTED) lies in a mosaic's cell."""
        import healpy

        finer = 2 * (order - healpy.nside2order(self.nside))
        return finer >= 0 and pixel >> finer == healpy.ring2nest(self.nside, cell_pixel(mosaic))

    def on_map(
        self, names: Sequence[str], ra_deg: np.ndarray, dec_deg: np.ndarray, least_deg: float
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Where a map of the sky shows each of some mosaics: its cell, bool ``[position]``."""
        import healpy

        pixels = healpy.ang2pix(self.nside, ra_deg, dec_deg, lonlat=True)
        for name in names:
            yield name, pixels == cell_pixel(name)

    def fields_of(
        self, place: Mosaic, grid: Sequence[Field], distances_deg: np.ndarray, radius_deg: float
    ) -> np.ndarray:
        """Fields whose disc meets the mosaic's square, bool ``[field]``."""
        half = self.half_deg(place)
        near = np.flatnonzero(distances_deg < np.sqrt(2) * half + radius_deg + 1).tolist()
        ra = np.array([grid[index].ra_deg for index in near])
        dec = np.array([grid[index].dec_deg for index in near])
        beyond = [np.maximum(np.abs(o) - half, 0) for o in offsets_deg(place.ra_deg, place.dec_deg, ra, dec)]
        chosen = np.zeros(len(distances_deg), bool)
        chosen[np.asarray(near, int)[np.hypot(*beyond) < radius_deg]] = True
        return chosen


class NearestPointing(Cells):
    """One mosaic per pointing, which owns what is nearest to it."""

    def geometry(self, pointing: Field, grid: Sequence[Field]) -> Mosaic:
        """Centre and side of a pointing's mosaic: R is half the largest neighbour distance.

        Tested against four published headers (`tests/unit/survey/test_sky.py`).
        """
        vectors = unit_vectors([f.ra_deg for f in grid], [f.dec_deg for f in grid])
        distances = separation_deg(unit_vectors(pointing.ra_deg, pointing.dec_deg), vectors)
        chosen = distances[nearest_fields(distances)]
        side = grid_side(chosen.max() / 2, self.release.pixel_arcsec)
        return Mosaic(pointing.name, pointing.ra_deg, pointing.dec_deg, side)

    @cached_property
    def _centre_tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        places = self.mosaics.values()
        return cKDTree(unit_vectors([m.ra_deg for m in places], [m.dec_deg for m in places]))

    @cached_property
    def _largest_half_deg(self) -> float:
        return max(map(self.half_deg, self.mosaics.values()))

    @cached_property
    def _reach(self) -> np.ndarray:
        """Radius of the disc of data around each centre, as a chord."""
        half = np.array([self.half_deg(mosaic) for mosaic in self.mosaics.values()])
        return 2 * np.sin(np.radians(half) / 2)

    def _nearest(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Index of the nearest mosaic among those whose data reach a position; -1 where none does."""
        places = unit_vectors(ra_deg, dec_deg)
        count, total = min(NEAREST, len(self.mosaics)), len(self.mosaics)
        nearest = np.full(places.shape[:-1], -1)
        left = np.ones(nearest.shape, bool)
        while left.any():
            chord, index = self._centre_tree.query(places[left], k=list(range(1, count + 1)))
            reached = chord <= self._reach[index]
            first = np.take_along_axis(index, np.argmax(reached, axis=-1)[..., None], axis=-1)[..., 0]
            nearest[left] = np.where(reached.any(axis=-1), first, -1)
            # where many small mosaics are near, a large one farther away may reach
            more = (count < total) & ~reached.any(axis=-1) & (chord[..., -1] <= self._reach.max())
            left[left] = more
            count = min(4 * count, total)
        return nearest

    def owner(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Name of the nearest mosaic that reaches each position; '' where none does."""
        index = self._nearest(ra_deg, dec_deg)
        return np.where(index >= 0, self.names[index], "")

    def _index(self, mosaic: str) -> int:
        return self.names.tolist().index(self.mosaics[mosaic].name)

    def owned(self, mosaic: str, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Whether a mosaic is the nearest that reaches each position, ``[position]``."""
        return self._nearest(ra_deg, dec_deg) == self._index(mosaic)

    def reach_deg(self, mosaic: Mosaic) -> float:
        """Largest distance from a mosaic's centre of sky that it owns: the radius of its data, deg."""
        return self.half_deg(mosaic)

    def owns_pixel(self, mosaic: str, order: int, pixel: int) -> bool:
        """Whether a mosaic's data reach all of a HEALPix pixel (NESTED), and no other is as near."""
        import healpy

        centre = np.array(healpy.pix2vec(2**order, pixel, nest=True))
        radius = np.degrees(healpy.max_pixrad(2**order))
        distances = separation_deg(centre, self._centre_tree.data)
        own = self._index(mosaic)
        others = np.delete(distances, own)
        is_nearest = distances[own] + radius < others.min(initial=np.inf) - radius
        return bool(is_nearest and distances[own] + radius < self.half_deg(self.mosaics[mosaic]))

    def around(self, mosaic: str) -> list[Mosaic]:
        """Mosaics that decide which sky one owns: itself, and those whose data may meet its own."""
        own = self.mosaics[mosaic]
        reach_deg = min(self.half_deg(own) + self._largest_half_deg, 180)
        chord = 2 * np.sin(np.radians(reach_deg) / 2)
        near = self._centre_tree.query_ball_point(unit_vectors(own.ra_deg, own.dec_deg), chord)
        return sorted((self.mosaics[str(self.names[index])] for index in near), key=lambda one: one.name)

    def fields_of(
        self, place: Mosaic, grid: Sequence[Field], distances_deg: np.ndarray, radius_deg: float
    ) -> np.ndarray:
        """Fields nearest to a mosaic, see `nearest_fields`; bool ``[field]``."""
        return nearest_fields(distances_deg)


class OwnImages(Cells):
    """The user's own images: each owns all it shows, whatever others show, as a measurement of its own."""

    disjoint = False

    def owner(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Raise: several images may own a position, see `owned`."""
        raise ConfigError("own images have no cells: several may show the same sky")

    def owned(self, mosaic: str, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Whether each position lies in an image's square, ``[position]``."""
        place = self.mosaics[mosaic]
        half = self.half_deg(place) + ROUNDING_PX * self.release.pixel_arcsec / 3600
        east, north = offsets_deg(place.ra_deg, place.dec_deg, ra_deg, dec_deg)
        return np.maximum(np.abs(east), np.abs(north)) <= half

    def fields_of(
        self, place: Mosaic, grid: Sequence[Field], distances_deg: np.ndarray, radius_deg: float
    ) -> np.ndarray:
        """None: own images are not made of fields; bool ``[field]``."""
        return np.zeros(len(grid), bool)


def cells_of(release: Release, mosaics: Iterable[Mosaic] = ()) -> Cells:
    """Cells of a release, of the kind that it names."""
    kinds: dict[str, Callable[[Release, Iterable[Mosaic]], Cells]] = {
        "pointing": NearestPointing,
        "healpix": HealpixCells,
        "images": OwnImages,
    }
    return kinds[release.cells](release, mosaics)


def grid_side(half_deg: float, pixel_arcsec: float) -> int:
    """Side of a mosaic, ``2 floor(1.15 R / cell)`` px (ddf-pipeline `mosaic_pointing.py`)."""
    return 2 * int(SQUARE_MARGIN * half_deg * 3600 / pixel_arcsec)


def cell_pixel(name: str) -> int:
    """HEALPix pixel of a mosaic's name, the digits at its end.

    Raises
    ------
    ConfigError
        There are none.
    """
    digits = re.search(r"\d+$", name)
    if not digits:
        raise ConfigError(f"{name} is no name of a HEALPix cell, such as hp01312")
    return int(digits[0])
