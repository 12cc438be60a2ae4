"""Releases, fields, mosaics, cells: what covers which part of the sky.

A DR2 mosaic belongs to a pointing and its cell holds the points nearest to
that pointing; a DR3 mosaic belongs to a HEALPix cell (nside 16, RING, ICRS).
Every sky position is owned by exactly one mosaic of a release.
"""

import argparse
import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from radiounet.errors import ConfigError
from radiounet.images.squares import PIXEL_ARCSEC, Mosaic, offsets_deg, separation_deg, unit_vectors
from radiounet.settings.mosaics import Selection
from radiounet.survey.cells import NSIDE, Field, cell_pixel, nearest_fields

NEAREST = 8  # pointings that can own a position: more never overlap there


@dataclass(frozen=True)
class Cluster:
    """One row of an input cluster catalogue: position (ICRS), redshift, R500 in arcmin; NaN if unknown."""

    name: str
    ra_deg: float
    dec_deg: float
    redshift: float
    r500_arcmin: float
    note: str = ""
    """Why it cannot be measured, or what of its row was not used."""

    @property
    def measurable(self) -> bool:
        """Whether it has a position and a size."""
        return math.isfinite(self.ra_deg) and math.isfinite(self.dec_deg) and math.isfinite(self.r500_arcmin)


class Survey:
    """All mosaics and fields of a release, and who owns what.

    Parameters
    ----------
    release : {'dr2', 'dr3', 'images'}
        Decides the shape of cells: nearest centre, or HEALPix for ``dr3``.
    mosaics : iterable of Mosaic
        The whole release, not only those selected: ownership does not depend
        on the selection.
    fields : iterable of Field
        Fields of the release.
    grid : iterable of Field
        Every field of the LoTSS grid, for neighbour distances.
    """

    def __init__(
        self,
        release: str,
        mosaics: Iterable[Mosaic],
        fields: Iterable[Field] = (),
        grid: Iterable[Field] = (),
    ):
        self.release = release
        self.mosaics = {mosaic.name: mosaic for mosaic in mosaics}
        self.fields = {field.name: field for field in fields}
        self._grid = list(grid)

    @cached_property
    def _names(self) -> np.ndarray:
        return np.array(list(self.mosaics))

    @cached_property
    def _centre_tree(self):
        from scipy.spatial import cKDTree

        places = self.mosaics.values()
        return cKDTree(unit_vectors([m.ra_deg for m in places], [m.dec_deg for m in places]))

    @cached_property
    def _grid_vectors(self) -> np.ndarray:
        return unit_vectors([f.ra_deg for f in self._grid], [f.dec_deg for f in self._grid])

    def owner(self, ra_deg, dec_deg) -> np.ndarray:
        """Name of the mosaic whose cell holds each position; '' where no mosaic does, and for NaN.

        Own images have no cells; see `owned`.

        Parameters
        ----------
        ra_deg, dec_deg : array_like
            ICRS; any shape.
        """
        ra_deg, dec_deg = np.broadcast_arrays(np.asarray(ra_deg, float), np.asarray(dec_deg, float))
        known = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        ra_deg, dec_deg = (np.where(known, axis, 0.0) for axis in (ra_deg, dec_deg))
        if self.release == "dr3":
            import healpy

            names = np.char.mod("hp%05d", healpy.ang2pix(NSIDE, ra_deg, dec_deg, lonlat=True))
            return np.where(known & np.isin(names, self._names), names, "")
        index = self._nearest(ra_deg, dec_deg)
        return np.where(known & (index >= 0), self._names[index], "")

    def _nearest(self, ra_deg, dec_deg) -> np.ndarray:
        """Index of the nearest mosaic among those whose data reach a position; -1 where none does."""
        count = min(NEAREST, len(self.mosaics))
        chord, index = self._centre_tree.query(unit_vectors(ra_deg, dec_deg), k=list(range(1, count + 1)))
        reached = chord <= self._reach[index]
        first = np.take_along_axis(index, np.argmax(reached, axis=-1)[..., None], axis=-1)[..., 0]
        return np.where(reached.any(axis=-1), first, -1)

    @cached_property
    def _reach(self) -> np.ndarray:
        """Radius of the disc of data around each DR2 centre, as a chord."""
        half_px = np.array([mosaic.n_px / 2 for mosaic in self.mosaics.values()])
        return 2 * np.sin(np.radians(half_px * PIXEL_ARCSEC / 3600) / 2)

    def owned(self, mosaic: str, ra_deg, dec_deg) -> np.ndarray:
        """Whether a mosaic's cell holds each position; NaN positions are owned by none.

        An own image owns all it shows, whatever other images show: each is a
        measurement of its own.
        """
        inside = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        if self.release == "dr3":
            import healpy

            inside[inside] = healpy.ang2pix(
                NSIDE, ra_deg[inside], dec_deg[inside], lonlat=True
            ) == cell_pixel(mosaic)
        elif self.release == "images":
            place = self.mosaics[mosaic]
            half = (place.n_px / 2 + 2) * PIXEL_ARCSEC / 3600  # rounding of the image's own grid
            east, north = offsets_deg(place.ra_deg, place.dec_deg, ra_deg[inside], dec_deg[inside])
            inside[inside] = np.maximum(np.abs(east), np.abs(north)) <= half
        else:
            index = self._names.tolist().index(mosaic)
            inside[inside] = self._nearest(ra_deg[inside], dec_deg[inside]) == index
        return inside

    def around(self, mosaic: str) -> list[Mosaic]:
        """Mosaics that decide which sky one owns: itself, and in DR2 those whose data may meet its own."""
        own = self.mosaics[mosaic]
        if self.release != "dr2":
            return [own]
        half_px = own.n_px / 2 + max(one.n_px for one in self.mosaics.values()) / 2
        chord = 2 * np.sin(np.radians(min(half_px * PIXEL_ARCSEC / 3600, 180)) / 2)
        near = self._centre_tree.query_ball_point(unit_vectors(own.ra_deg, own.dec_deg), chord)
        return sorted((self.mosaics[str(self._names[index])] for index in near), key=lambda one: one.name)

    def touched_by(self, ra_deg: float, dec_deg: float, radius_arcmin: float) -> list[str]:
        """Names of mosaics whose cells hold part of a disc, the centre's owner first.

        Empty where no mosaic owns the centre.
        """
        angle, part = np.meshgrid(np.linspace(0, 2 * np.pi, 73)[:-1], np.linspace(0, 1, 13))
        radius = np.radians(radius_arcmin / 60) * part.ravel()
        centre = unit_vectors(ra_deg, dec_deg)
        east = np.cross([0, 0, 1.0], centre)
        east /= np.linalg.norm(east)
        north = np.cross(centre, east)
        spread = np.cos(angle.ravel())[:, None] * east + np.sin(angle.ravel())[:, None] * north
        points = np.cos(radius)[:, None] * centre + np.sin(radius)[:, None] * spread
        ra = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360
        dec = np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1)))
        names = self.owner(ra, dec)
        if not names[0]:
            return []
        return [str(names[0]), *sorted(set(names.tolist()) - {"", str(names[0])})]

    def fields_of(self, mosaic: str, field_radius_deg: float) -> list[str]:
        """Names of the fields that make a mosaic.

        Pointing mode: see `nearest_fields`. HEALPix mode: fields whose disc of
        `field_radius_deg` meets the mosaic's square.
        """
        place = self.mosaics[mosaic]
        distances = separation_deg(unit_vectors(place.ra_deg, place.dec_deg), self._grid_vectors)
        if self.release == "dr3":
            chosen = self._meets_square(place, distances, field_radius_deg)
        else:
            chosen = nearest_fields(distances)
        names = (self._grid[index].name for index in np.flatnonzero(chosen))
        return sorted(name for name in names if name in self.fields)

    def _meets_square(self, place: Mosaic, distances: np.ndarray, radius_deg: float) -> np.ndarray:
        half = place.n_px / 2 * PIXEL_ARCSEC / 3600
        near = np.flatnonzero(distances < np.sqrt(2) * half + radius_deg + 1)
        ra = np.array([self._grid[index].ra_deg for index in near])
        dec = np.array([self._grid[index].dec_deg for index in near])
        beyond = [np.maximum(np.abs(o) - half, 0) for o in offsets_deg(place.ra_deg, place.dec_deg, ra, dec)]
        chosen = np.zeros(len(distances), bool)
        chosen[near[np.hypot(*beyond) < radius_deg]] = True
        return chosen

    def members(self, mosaics: Sequence[str], ra_deg, dec_deg) -> dict[str, list[int]]:
        """Indices of the positions that each of some mosaics owns; own images may share one.

        Parameters
        ----------
        mosaics : sequence of str
        ra_deg, dec_deg : array_like, ``[position]``
            ICRS; NaN belongs to none.
        """
        ra_deg, dec_deg = np.asarray(ra_deg, float), np.asarray(dec_deg, float)
        if self.release == "images":
            return {name: np.flatnonzero(self.owned(name, ra_deg, dec_deg)).tolist() for name in mosaics}
        found: dict[str, list[int]] = {name: [] for name in mosaics}
        for index, owner in enumerate(self.owner(ra_deg, dec_deg).tolist() if ra_deg.size else ()):
            if owner in found:
                found[owner].append(index)
        return found

    def select(self, selection: Selection, clusters: Sequence[Cluster] = ()) -> list[str]:
        """Names of the mosaics a selection asks for, sorted.

        Raises
        ------
        ConfigError
            A named mosaic is not in the release, or nothing is left.
        """
        unknown = sorted(set(selection.mosaics) - set(self.mosaics))
        if unknown:
            raise ConfigError(
                f"select.mosaics: {', '.join(unknown)} not in {self.release} "
                f"({len(self.mosaics)} mosaics, such as {next(iter(self.mosaics))})"
            )
        names = set(selection.mosaics or self.mosaics)
        if selection.region:
            region = selection.region
            centre = unit_vectors(region.ra_deg, region.dec_deg)
            names = {
                name
                for name in names
                if separation_deg(centre, unit_vectors(self.mosaics[name].ra_deg, self.mosaics[name].dec_deg))
                <= region.radius_deg
            }
        if selection.with_clusters:
            ra, dec = np.array([(c.ra_deg, c.dec_deg) for c in clusters]).reshape(-1, 2).T
            names = {name for name in names if self.owned(name, ra, dec).any()}
        if not names:
            raise ConfigError(f"select: no mosaic of {self.release} fits {selection.model_dump()}")
        return sorted(names)


def read_list(path: str | Path) -> list[dict[str, str]]:
    """Read a list written by `write_list`."""
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def list_paths(folder: str, release: str) -> dict[str, str]:
    """Where the lists of a release are kept."""
    return {
        "mosaics": f"{folder}/{release}_mosaics.csv",
        "fields": f"{folder}/{release}_fields.csv",
        "checksums": f"{folder}/{release}_checksums.csv",
    }


def read_survey(release: str, mosaics_path: str | Path, fields_path: str | Path | None = None) -> Survey:
    """Read a survey's lists.

    Parameters
    ----------
    release : {'dr2', 'dr3', 'images'}
    mosaics_path : path
        CSV with name, ra_deg, dec_deg, n_px.
    fields_path : path, optional
        CSV with name, ra_deg, dec_deg, and member: 1 where the release has the field.
    """
    mosaics = [
        Mosaic(row["name"], float(row["ra_deg"]), float(row["dec_deg"]), int(row["n_px"]))
        for row in read_list(mosaics_path)
    ]
    rows = read_list(fields_path) if fields_path else []
    grid = [Field(row["name"], float(row["ra_deg"]), float(row["dec_deg"])) for row in rows]
    members = [field for field, row in zip(grid, rows, strict=True) if row["member"] == "1"]
    return Survey(release, mosaics, members, grid)


def add_survey_options(parser: argparse.ArgumentParser) -> None:
    """Give a stage the options that say which sky its mosaic owns."""
    parser.add_argument(
        "--release", choices=("dr2", "dr3", "images"), required=True, help="shape of the cells"
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--list", help="list of all mosaics (CSV)")
    where.add_argument(
        "--place",
        type=_place,
        help='of an own image, in place of a list: RA,DEC,SIDE, ICRS deg and 4.5" px',
    )


def survey_from(args: argparse.Namespace) -> Survey:
    """Survey of a stage's options: all its mosaics, or the place of the stage's own image."""
    if args.place is None:
        return read_survey(args.release, args.list)
    return Survey(args.release, [Mosaic(args.mosaic, *args.place)])


def _place(text: str) -> tuple[float, float, int]:
    ra_deg, dec_deg, n_px = text.split(",")
    return float(ra_deg), float(dec_deg), int(n_px)
