"""A survey: the mosaics and fields of one release, and what covers which part of the sky.

Every sky position is owned by exactly one mosaic of a published release; how, its cells say
(`radiounet.survey.cells`).
"""

import argparse
import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radiounet.errors import ConfigError
from radiounet.images.repeats import require_unique
from radiounet.images.squares import Mosaic, separation_deg, unit_vectors
from radiounet.images.words import one_line, parse_boolean
from radiounet.settings.command_line import add_settings
from radiounet.settings.mosaics import OwnImage, Selection
from radiounet.settings.releases import OWN_IMAGES, Release
from radiounet.survey.cells import cells_of
from radiounet.survey.fields import Field


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
    other_names: str = ""
    """Names of the same cluster in other lists that were merged: ``mcxc: J0041.8-0918; own: A 85``."""
    refused: bool = False
    """Whether a value from which R500 would follow is impossible, in every list that has the cluster."""
    assumed_size: bool = False
    """Whether `r500_arcmin` is that of a typical cluster, since no table gives it."""

    @property
    def measurable(self) -> bool:
        """Whether it has a position and a size."""
        return math.isfinite(self.ra_deg) and math.isfinite(self.dec_deg) and math.isfinite(self.r500_arcmin)


REACH_R500 = 3.0
"""Farther from a mosaic than this many of its R500, a cluster cannot share an island there."""


def join_notes(*notes: str) -> str:
    """Notes on one row as one text; empty ones are left out."""
    return "; ".join(filter(None, notes))


class Survey:
    """All mosaics and fields of a release, and who owns what.

    Parameters
    ----------
    release : Release
    mosaics : iterable of Mosaic
        The whole release, not only those selected: ownership does not depend
        on the selection.
    fields : iterable of Field
        Fields of the release.
    grid : iterable of Field
        Every field of the release's grid, for neighbour distances.
    """

    def __init__(
        self,
        release: Release,
        mosaics: Iterable[Mosaic],
        fields: Iterable[Field] = (),
        grid: Iterable[Field] = (),
    ):
        self.release = release
        self.cells = cells_of(release, mosaics)
        self.mosaics = self.cells.mosaics
        self.fields = {field.name: field for field in fields}
        self._grid = list(grid)
        self._reached: tuple[Sequence[Cluster], np.ndarray, np.ndarray] = ((), np.empty((0, 3)), np.empty(0))

    @cached_property
    def _grid_vectors(self) -> np.ndarray:
        return unit_vectors([f.ra_deg for f in self._grid], [f.dec_deg for f in self._grid])

    @cached_property
    def place_in_list(self) -> dict[str, int]:
        """Place of each mosaic among those of the release, from 0; it does not depend on the selection."""
        return {name: place for place, name in enumerate(self.mosaics)}

    def owner(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> np.ndarray:
        """Name of the mosaic whose cell holds each position; '' where no mosaic does, and for NaN.

        Parameters
        ----------
        ra_deg, dec_deg : array_like
            ICRS; any shape.

        Raises
        ------
        ConfigError
            Own images, which have no cells; see `owned`.
        """
        ra_deg, dec_deg = np.broadcast_arrays(np.asarray(ra_deg, float), np.asarray(dec_deg, float))
        known = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        ra_deg, dec_deg = (np.where(known, axis, 0.0) for axis in (ra_deg, dec_deg))
        return np.where(known, self.cells.owner(ra_deg, dec_deg), "")

    def owned(self, mosaic: str, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
        """Whether a mosaic's cell holds each position; NaN positions are owned by none.

        An own image owns all it shows, whatever other images show: each is a
        measurement of its own.
        """
        inside = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        inside[inside] = self.cells.owned(mosaic, ra_deg[inside], dec_deg[inside])
        return inside

    def around(self, mosaic: str) -> list[Mosaic]:
        """Mosaics that decide which sky one owns: itself, and those whose data may meet its own."""
        return self.cells.around(mosaic)

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

        Pointings: see `radiounet.survey.fields.nearest_fields`. HEALPix cells: fields whose disc of
        `field_radius_deg` meets the mosaic's square.
        """
        place = self.mosaics[mosaic]
        distances = separation_deg(unit_vectors(place.ra_deg, place.dec_deg), self._grid_vectors)
        chosen = self.cells.fields_of(place, self._grid, distances, field_radius_deg)
        names = (self._grid[index].name for index in np.flatnonzero(chosen))
        return sorted(name for name in names if name in self.fields)

    def members(
        self, mosaics: Sequence[str], ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
    ) -> dict[str, list[int]]:
        """Indices of the positions that each of some mosaics owns; own images may share one.

        Parameters
        ----------
        mosaics : sequence of str
        ra_deg, dec_deg : array_like, ``[position]``
            ICRS; NaN belongs to none.
        """
        ra_deg, dec_deg = np.asarray(ra_deg, float), np.asarray(dec_deg, float)
        if not self.cells.disjoint:
            return {name: np.flatnonzero(self.owned(name, ra_deg, dec_deg)).tolist() for name in mosaics}
        found: dict[str, list[int]] = {name: [] for name in mosaics}
        for index, owner in enumerate(self.owner(ra_deg, dec_deg).tolist() if ra_deg.size else ()):
            if owner in found:
                found[owner].append(index)
        return found

    def clusters_of(self, mosaic: str, clusters: Sequence[Cluster]) -> list[Cluster]:
        """Clusters whose position a mosaic owns."""
        places = [one.ra_deg for one in clusters], [one.dec_deg for one in clusters]
        return [clusters[index] for index in self.members([mosaic], *places)[mosaic]]

    def clusters_near(self, mosaic: str, clusters: Sequence[Cluster]) -> list[Cluster]:
        """Clusters that measurements on a mosaic may depend on (see `REACH_R500`); of an own image all."""
        if not self.cells.disjoint:
            return list(clusters)
        if clusters is not self._reached[0]:  # a run asks for the same ones of every mosaic
            vectors = unit_vectors([one.ra_deg for one in clusters], [one.dec_deg for one in clusters])
            reach = np.nan_to_num([REACH_R500 * one.r500_arcmin / 60 for one in clusters])
            self._reached = clusters, vectors, reach
        place, (_, vectors, reach) = self.mosaics[mosaic], self._reached
        distance = separation_deg(unit_vectors(place.ra_deg, place.dec_deg), vectors)
        return [clusters[n] for n in np.flatnonzero(distance <= self._radius_deg(place) + reach).tolist()]

    def _radius_deg(self, place: Mosaic) -> float:
        """Distance of a mosaic's corners from its centre, on its SIN grid."""
        half = np.radians(place.n_px * self.release.pixel_arcsec / 3600) / np.sqrt(2)
        return float(np.degrees(np.arcsin(min(half, 1.0))))

    def _centres(self, mosaics: Sequence[str]) -> tuple[list[float], list[float]]:
        places = [self.mosaics[name] for name in mosaics]
        return [place.ra_deg for place in places], [place.dec_deg for place in places]

    def region_pixels(self, mosaics: Sequence[str], order: int) -> np.ndarray:
        """HEALPix pixels (NESTED, ICRS) of an order that hold the centres of mosaics, ``[mosaic]``."""
        import healpy

        return healpy.ang2pix(2**order, *self._centres(mosaics), nest=True, lonlat=True)

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
                f"select.mosaics: {', '.join(unknown)} not in {self.release.name} "
                f"({len(self.mosaics)} mosaics, such as {next(iter(self.mosaics))})"
            )
        names = set(selection.mosaics or self.mosaics)
        if selection.region:
            region = selection.region
            centre = unit_vectors(region.ra_deg, region.dec_deg)
            centres = unit_vectors(*self._centres(list(self.mosaics)))
            near = np.flatnonzero(separation_deg(centre, centres) <= region.radius_deg)
            names &= set(self.cells.names[near].tolist())
        if selection.healpix and selection.region_pixel is not None:
            pixels = self.region_pixels(list(self.mosaics), selection.healpix.order)
            inside = np.flatnonzero(pixels == selection.region_pixel)
            names &= set(self.cells.names[inside].tolist())
        if selection.with_clusters:
            ra, dec = np.array([(c.ra_deg, c.dec_deg) for c in clusters]).reshape(-1, 2).T
            owned = self.members(sorted(names), ra, dec)
            names = {name for name in names if owned[name]}
        if not names:
            raise ConfigError(f"select: no mosaic of {self.release.name} fits {selection.model_dump()}")
        return sorted(names)


def read_list(path: str | Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read a list written by `write_list`, which must have some columns; cells without blanks around them.

    Raises
    ------
    ConfigError
        It is no such list.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            there, rows = reader.fieldnames or (), list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no list of the survey: {error}") from None
    if missing := [name for name in columns if name not in there]:
        found = one_line(", ".join(there)) or "nothing"
        raise ConfigError(f"{path} has no column {', '.join(missing)}, but {found}")
    if short := next((n for n, row in enumerate(rows, start=1) if None in row.values()), None):
        raise ConfigError(f"{path}: row {short} has too few columns")
    return [{name: cell.strip() for name, cell in row.items() if name is not None} for row in rows]


def list_paths(folder: str, release: str) -> dict[str, str]:
    """Where the lists of a release are kept."""
    return {
        "mosaics": f"{folder}/{release}_mosaics.csv",
        "fields": f"{folder}/{release}_fields.csv",
        "checksums": f"{folder}/{release}_checksums.csv",
    }


@contextmanager
def _cells(path: str | Path | None, rule: str = "positions and sizes must be numbers") -> Iterator[None]:
    """Name the file of a cell that cannot be read, and what it must be."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{path}: {rule}: {error}") from None


def read_survey(release: Release, mosaics_path: str | Path, fields_path: str | Path | None = None) -> Survey:
    """Read a survey's lists.

    Parameters
    ----------
    release : Release
    mosaics_path : path
        CSV with name, ra_deg, dec_deg, n_px.
    fields_path : path, optional
        CSV with name, ra_deg, dec_deg, and member: 1 where the release has the field.

    Raises
    ------
    ConfigError
        A file is another one than its list, a cell of it cannot be read, or a name stands twice.
    """
    place = ("name", "ra_deg", "dec_deg")
    rows = read_list(mosaics_path, (*place, "n_px"))
    require_unique(mosaics_path, "mosaic", (row["name"] for row in rows), ConfigError)
    with _cells(mosaics_path):
        mosaics = [
            Mosaic(row["name"], float(row["ra_deg"]), float(row["dec_deg"]), int(row["n_px"])) for row in rows
        ]
    rows = read_list(fields_path, (*place, "member")) if fields_path else []
    require_unique(str(fields_path), "field", (row["name"] for row in rows), ConfigError)
    with _cells(fields_path):
        grid = [Field(row["name"], float(row["ra_deg"]), float(row["dec_deg"])) for row in rows]
    with _cells(fields_path, "member must be true or false, T or F, 1 or 0"):
        members = [field for field, row in zip(grid, rows, strict=True) if parse_boolean(row["member"])]
    return Survey(release, mosaics, members, grid)


def survey_of_images(images: Iterable[OwnImage]) -> Survey:
    """Survey of the user's own images, from their headers."""
    from radiounet.images.image import place_of  # heavy, and a published release does without

    pixel = OWN_IMAGES.pixel_arcsec
    return Survey(OWN_IMAGES, [Mosaic(image.name, *place_of(image.path, pixel)) for image in images])


def add_survey_options(parser: argparse.ArgumentParser) -> None:
    """Give a stage its settings, and the list of a release's mosaics."""
    add_settings(parser)
    parser.add_argument("--list", help="list of all mosaics of the release (CSV); not for own images")


def survey_from(args: argparse.Namespace) -> Survey:
    """Survey of a stage: all mosaics of the release in its settings, or the own images there.

    Raises
    ------
    ConfigError
        The list of a release is not given.
    """
    release = args.settings.survey_release
    if not release.is_listed:
        return survey_of_images(args.settings.mosaics.images)
    if args.list is None:
        raise ConfigError(
            f"--list is needed: the list of its mosaics says who owns which sky of {release.name}"
        )
    return read_survey(release, args.list)
