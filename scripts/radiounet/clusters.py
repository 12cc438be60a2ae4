"""Cluster catalogues in, and what the masks say of each cluster."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits
from astropy.table import QTable, Table

from radiounet.cards import model_folder, read_card
from radiounet.catalogue import make_table, mask_provenance
from radiounet.config import MeasureOptions
from radiounet.cosmology import r500
from radiounet.errors import ConfigError
from radiounet.geometry import pixel_areas_arcsec2, pixel_scales_arcsec, to_pixels, to_sky
from radiounet.hosts import HostCalibration, beam_average, measure_aperture
from radiounet.image import Plane, read_plane
from radiounet.islands import integrate
from radiounet.noise import local_rms
from radiounet.products import sha256_of, write_ecsv
from radiounet.sky import Cluster, Survey, separation_deg, unit_vectors

BORDER_PX = 32


def read_clusters(path: str | Path, options: MeasureOptions) -> list[Cluster]:
    """Read a cluster table in any format astropy reads.

    Columns ``name, ra, dec, z`` (deg where no unit is given) and ``M500`` (mass)
    or ``R500`` (length or angle), with units. Rows without a position are left
    out, and those without redshift or size where R500 needs them.

    Raises
    ------
    ConfigError
        A column or a unit is missing.
    """
    try:
        table = QTable.read(path)
    except FileNotFoundError:
        raise ConfigError(f"there is no cluster table {path}") from None
    except Exception as error:  # every astropy reader raises its own kind
        raise ConfigError(f"the cluster table {path} cannot be read: {error}") from error
    columns = {name.lower(): table[name] for name in table.colnames}
    missing = [name for name in ("name", "ra", "dec", "z") if name not in columns]
    if missing or not {"m500", "r500"} & set(columns):
        raise ConfigError(
            f"{path} needs the columns name, ra, dec, z, and M500 or R500 with units; "
            f"it has {', '.join(table.colnames)}"
        )
    try:
        ra, dec = (_values(columns[axis], u.deg) for axis in ("ra", "dec"))
        redshift = _values(columns["z"], u.dimensionless_unscaled)
        size = _angular_size(columns, redshift, options, path)
    except (u.UnitConversionError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: ra and dec must be numbers in deg, z and sizes numbers: {error}"
        ) from error
    rows = zip(columns["name"], ra % 360, dec, redshift, size, strict=True)
    return [
        Cluster(str(name), float(a), float(d), float(z), float(r))
        for name, a, d, z, r in rows
        if r > 0 and np.isfinite([a, d]).all()
    ]


def _values(column, unit: u.UnitBase) -> np.ndarray:
    """Plain numbers in a unit (taken for granted where the column has none), NaN where masked."""
    mask = np.broadcast_to(getattr(column, "mask", False), np.shape(column))
    plain = column.unmasked if hasattr(column, "unmasked") else np.ma.getdata(column)
    values = u.Quantity(plain, getattr(column, "unit", None) or unit, dtype=float).to_value(unit)
    return np.where(mask, np.nan, values)


def _angular_size(columns: dict, redshift: np.ndarray, options: MeasureOptions, path) -> np.ndarray:
    """R500 in arcmin; NaN where it cannot be known."""
    cosmology = FlatLambdaCDM(options.h0, options.omega_m)
    known = np.isfinite(redshift) & (redshift > 0)
    safe = np.where(known, redshift, 1.0)
    key = "r500" if "r500" in columns else "m500"
    quantity = columns[key]
    if not isinstance(quantity, u.Quantity):
        raise ConfigError(f"{path}: the column {key.upper()} has no unit (such as Mpc, arcmin, 1e14 solMass)")
    if key == "m500":
        mass = _values(quantity, u.solMass)
        length = r500(np.where(mass > 0, mass, np.nan) * u.solMass, safe, cosmology)
    elif quantity.unit.physical_type == "angle":
        return _values(quantity, u.arcmin)
    else:
        length = _values(quantity, u.Mpc) * u.Mpc
    angle = (length / cosmology.angular_diameter_distance(safe)).to_value(
        u.arcmin, equivalencies=u.dimensionless_angles()
    )
    return np.where(known, angle, np.nan)


CATALOGUE_COLUMNS = {
    "psz2": {"name": "Name", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "M500": "MSZ"},
    "mcxc": {"name": "MCXC", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "R500": "R500"},
}
CATALOGUE_UNITS = {"M500": 1e14 * u.solMass, "R500": u.Mpc}


def convert_catalogue(path: str | Path, catalogue: str) -> Table:
    """Bring a published catalogue (VizieR VOTable, or ECSV/CSV with its column names) to our columns.

    Raises
    ------
    ConfigError
        A column is missing.
    """
    start = Path(path).read_bytes()[:200].lstrip()
    kind = (
        "votable" if start.startswith(b"<") else "ascii.ecsv" if start.startswith(b"# %ECSV") else "ascii.csv"
    )
    table = Table.read(path, format=kind)
    result = QTable()
    for ours, theirs in CATALOGUE_COLUMNS[catalogue].items():
        if theirs not in table.colnames:
            raise ConfigError(f"{path}: {catalogue} has no column {theirs}; it has {table.colnames}")
        column = table[theirs]
        if ours == "name":
            result[ours] = [str(name).strip() for name in column]
            continue
        values = np.ma.filled(np.ma.asarray(column, float), np.nan)
        result[ours] = values * CATALOGUE_UNITS[ours] if ours in CATALOGUE_UNITS else values
    for axis in ("ra", "dec"):
        result[axis] = result[axis] * u.deg
    return result


@dataclass
class MosaicProducts:
    """What one mosaic contributes to a cluster: its name and the paths of its products."""

    name: str
    image: str
    probability: str
    mask: str


@dataclass
class _Aperture:
    """Pixels inside R500 that one mosaic's cell owns, arrays ``[pixel]``, offsets ``[2, pixel]``.

    The solid angles, `area`, count pixels of the middle of the cluster's own mosaic.
    """

    image: np.ndarray
    probability: np.ndarray
    smooth: np.ndarray
    in_mask: np.ndarray
    offset_arcmin: np.ndarray
    sigma: np.ndarray
    area: np.ndarray

    @property
    def distance_arcmin(self) -> np.ndarray:
        """From the cluster, ``[pixel]``."""
        return np.hypot(*self.offset_arcmin)


class ClusterMeter:
    """Measures clusters on the mosaics their apertures touch; opens each mosaic once."""

    def __init__(
        self,
        survey: Survey,
        products: Sequence[MosaicProducts],
        hosts: HostCalibration | None,
        options: MeasureOptions,
    ):
        self._survey = survey
        self._hosts = hosts
        self._options = options
        self._planes: dict[str, tuple[Plane, np.ndarray, np.ndarray, np.ndarray]] = {}
        for one in products:
            plane = read_plane(one.image)
            maps = fits.getdata(one.probability), fits.getdata(one.mask)
            self._planes[one.name] = (plane, local_rms(plane.data), *maps)
        self._plane = self._planes[products[0].name][0]

    def measure(self, cluster: Cluster, mosaic: str) -> dict[str, object]:
        """Return one row, keys as in `radiounet.catalogue.CLUSTERS`.

        `p_diffuse` is the calibrated probability of the model's card (its largest
        beam-averaged probability where the card has no calibration); an aperture
        without data has NaN.
        """
        parts = [
            part
            for name, planes in self._planes.items()
            if (part := self._collect(cluster, name, *planes)) is not None
        ]
        one = _join(parts)
        full = np.pi * cluster.r500_arcmin**2
        latitude = float(SkyCoord(cluster.ra_deg, cluster.dec_deg, unit="deg").galactic.b.deg)
        row = {
            "name": cluster.name,
            "ra_deg": cluster.ra_deg,
            "dec_deg": cluster.dec_deg,
            "redshift": cluster.redshift,
            "r500_arcmin": cluster.r500_arcmin,
            "mosaic": mosaic,
            "p_max": float(one.smooth.max()) if one.smooth.size else np.nan,
            "mask_fraction": float(one.in_mask.mean()) if one.in_mask.size else np.nan,
            "flux_mjy": np.nan,
            "flux_err_mjy": np.nan,
            "island_distance_arcmin": (
                float(one.distance_arcmin[one.in_mask].min()) if one.in_mask.any() else np.nan
            ),
            "coverage": float(min(one.area.sum() * (self._plane.pixel_arcsec / 60) ** 2 / full, 1.0)),
            "galactic_latitude_deg": latitude,
            "galactic": abs(latitude) < self._options.galactic_latitude_deg,
        }
        row["p_diffuse"] = self._p_diffuse(one, row)
        if one.in_mask.any():
            flux = integrate(
                one.image[one.in_mask],
                one.sigma[one.in_mask],
                self._plane,
                self._options.calibration_error,
                one.area[one.in_mask],
            )
            row |= {"flux_mjy": 1e3 * flux.flux_jy, "flux_err_mjy": 1e3 * flux.error_jy}
        return row

    def _p_diffuse(self, one: _Aperture, row: dict[str, object]) -> float:
        if self._hosts is None or not one.image.size:
            return row["p_max"]
        features = measure_aperture(
            one.probability,
            one.smooth,
            one.image / one.sigma,
            one.in_mask,
            one.offset_arcmin,
            row["r500_arcmin"],
            self._plane.resolution_area_px / one.area.mean(),
            row["coverage"],
            row["galactic"],
        )
        return float(self._hosts.probability(features[None])[0])

    def _collect(self, cluster: Cluster, name: str, plane: Plane, rms, probability, mask) -> _Aperture | None:
        part = _box(plane, cluster)
        if part is None:
            return None
        y, x = np.mgrid[part]
        ra, dec = to_sky(plane.wcs, x.ravel(), y.ravel())
        offset = _offset_arcmin(cluster, ra, dec).reshape(2, *y.shape)
        inside = (
            (np.hypot(*offset) <= cluster.r500_arcmin)
            & ~np.isnan(probability[part])
            & np.isfinite(plane.data[part])
        )
        inside &= self._survey.owned(name, ra, dec).reshape(y.shape)
        if not inside.any():
            return None
        made_with = plane.resolution or plane.beam
        beam_arcsec = np.sqrt(made_with.major_arcsec * made_with.minor_arcsec)
        area_arcsec2 = pixel_areas_arcsec2(plane.wcs, x[inside], y[inside])
        smooth = beam_average(probability[part], beam_arcsec, float(np.sqrt(area_arcsec2.mean())))
        return _Aperture(
            plane.data[part][inside],
            probability[part][inside],
            smooth[inside],
            mask[part][inside] == 1,
            offset[:, inside],
            rms[part][inside],
            area_arcsec2 / self._plane.pixel_arcsec**2,
        )


def _offset_arcmin(cluster: Cluster, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Angles from a cluster towards east and north, ``[2, position]``; their hypotenuse is the distance."""
    ra, dec = np.radians(cluster.ra_deg), np.radians(cluster.dec_deg)
    centre = unit_vectors(cluster.ra_deg, cluster.dec_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    places = unit_vectors(ra_deg, dec_deg)
    flat = np.stack([places @ east, places @ north])
    length = np.hypot(*flat)
    distance = 60 * separation_deg(centre, places)
    return flat * np.divide(distance, length, out=np.zeros_like(length), where=length > 0)


def _join(parts: Sequence[_Aperture]) -> _Aperture:
    if not parts:
        empty, places = np.empty(0), np.empty((2, 0))
        return _Aperture(empty, empty, empty, np.empty(0, bool), places, empty, empty)
    names = [field.name for field in fields(_Aperture)]
    return _Aperture(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names))


def _box(plane: Plane, cluster: Cluster) -> tuple[slice, slice] | None:
    """Pixels around a cluster, wide enough for its aperture and for averages over a beam."""
    x, y = to_pixels(plane.wcs, cluster.ra_deg, cluster.dec_deg)
    if not (np.isfinite(x) and np.isfinite(y)):
        return None
    shortest = pixel_scales_arcsec(plane.wcs, x, y)[1]
    if not shortest > 0:  # off the sky half a pixel on
        return None
    half = 1.1 * cluster.r500_arcmin * 60 / shortest + BORDER_PX
    ny, nx = plane.data.shape
    rows = slice(max(int(y - half), 0), min(int(y + half) + 2, ny))
    columns = slice(max(int(x - half), 0), min(int(x + half) + 2, nx))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return rows, columns


def measure_clusters(
    table: str | None,
    survey: Survey,
    mosaic: str,
    products: Sequence[MosaicProducts],
    model: str,
    options: MeasureOptions,
    target: str,
) -> None:
    """Measure the clusters whose centre a mosaic's cell owns.

    Parameters
    ----------
    table : str or None
        Table of all clusters; those of other cells are left to their owners.
    products : sequence of MosaicProducts
        The mosaic itself first, then every mosaic an aperture touches.
    model : str
        Whose card holds the calibration of `p_diffuse`.
    """
    clusters = read_clusters(table, options) if table else []
    centres = np.array([(c.ra_deg, c.dec_deg) for c in clusters]).reshape(-1, 2)
    owned = survey.owned(mosaic, *centres.T)
    rows = []
    if owned.any():
        hosts = read_card(model_folder(model), check_weights=False).hosts
        meter = ClusterMeter(survey, products, hosts, options)
        for cluster, mine in zip(clusters, owned, strict=True):
            if mine:
                rows.append(meter.measure(cluster, mosaic))
    meta = mask_provenance(products[0].mask) | {
        "clusters": table or "none",
        "clusters_sha256": sha256_of(table) if table else "none",
        "cosmology": f"flat, H0 {options.h0} km/s/Mpc, Omega_m {options.omega_m}",
        "calibration_error": options.calibration_error,
    }
    write_ecsv(target, make_table("clusters", rows, meta))
