"""The columns of the catalogues, and tables with their units, UCDs and descriptions.

Tables are those of astropy and not of pandas, whose columns would lose these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from radiounet.images.words import writable
from radiounet.network.architectures.registry import OTHER_CLASSES
from radiounet.survey.survey import Cluster


@dataclass(frozen=True)
class Column:
    """One column of a catalogue."""

    kind: type
    unit: str | None
    ucd: str
    description: str
    digits: int = 3  # after the decimal point, where a person reads it


def class_column(name: str) -> str:
    """Column of the mean probability of a class."""
    return f"p_{name.lower().replace(' ', '_')}"


_POSITION = {
    "ra_deg": Column(float, "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS", 5),
    "dec_deg": Column(float, "deg", "pos.eq.dec;meta.main", "Declination, ICRS", 5),
}
_LATITUDE = {
    "galactic_latitude_deg": Column(float, "deg", "pos.galactic.lat", "Galactic latitude"),
    "galactic": Column(bool, None, "meta.code", "Close to the Galactic plane (limit in the configuration)"),
}
ISLANDS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the island"),
    **_POSITION,
    "parent": Column(
        str,
        None,
        "meta.id.parent",
        "Name of its connected region: that of the most probable piece",
    ),
    "area_arcmin2": Column(float, "arcmin2", "phys.angArea", "Area of the island"),
    "las_arcmin": Column(float, "arcmin", "phys.angSize", "Largest angular size"),
    "p_mean": Column(float, None, "stat.probability;stat.mean", "Mean probability of diffuse emission"),
    "p_max": Column(float, None, "stat.probability;stat.max", "Largest probability of diffuse emission"),
    **{
        class_column(name): Column(
            float, None, "stat.probability;stat.mean", f"Mean probability of the class {name}"
        )
        for name in OTHER_CLASSES
    },
    "flux_mjy": Column(
        float,
        "mJy",
        "phot.flux.density;em.radio.100-200MHz",
        "Flux density in the mask, above the background",
    ),
    "flux_err_mjy": Column(float, "mJy", "stat.error;phot.flux.density", "Its error: noise and calibration"),
    "peak_sigma": Column(float, None, "stat.snr", "Brightest pixel over the local noise"),
    **_LATITUDE,
    "touches_edge": Column(bool, None, "meta.code", "The island reaches the edge of the data"),
    "owned_fraction": Column(float, None, "stat.filling", "Part of the island inside the mosaic's cell"),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic it was found on"),
}
CLUSTERS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the cluster in the input catalogue"),
    "other_names": Column(str, None, "meta.id", "Its names in the other input catalogues, LIST: NAME; ..."),
    **_POSITION,
    "redshift": Column(float, None, "src.redshift", "Redshift of the input catalogue", 4),
    "r500_arcmin": Column(float, "arcmin", "phys.angSize", "Angular R500"),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic whose cell holds the centre"),
    "p_diffuse": Column(
        float, None, "stat.probability", "Probability of hosting detectable diffuse emission"
    ),
    "p_max": Column(
        float, None, "stat.probability;stat.max", "Largest beam-averaged probability of a pixel inside R500"
    ),
    "mask_fraction": Column(float, None, "stat.filling", "Part of the covered aperture that is in the mask"),
    "flux_mjy": Column(
        float,
        "mJy",
        "phot.flux.density;em.radio.100-200MHz",
        "Flux density in the mask inside R500, above the background",
    ),
    "flux_err_mjy": Column(float, "mJy", "stat.error;phot.flux.density", "Its error: noise and calibration"),
    "island_distance_arcmin": Column(
        float, "arcmin", "pos.angDistance", "Distance of the nearest masked pixel inside R500"
    ),
    "coverage": Column(float, None, "stat.filling", "Part of the aperture with data"),
    **_LATITUDE,
    "note": Column(str, None, "meta.note", "Why it was not measured, or what of it was not used"),
}
REJECTED = {
    "name": Column(str, None, "meta.id;meta.main", "Mosaic or field"),
    "stage": Column(str, None, "meta.code.class", "Stage that rejected it"),
    "file": Column(str, None, "meta.file", "File that was at fault"),
    "reason": Column(str, None, "meta.note", "Named error and what was found"),
}
COLUMNS = {"islands": ISLANDS, "clusters": CLUSTERS, "rejected": REJECTED}


def make_table(kind: str, rows: Sequence[dict], meta: dict) -> Table:
    """Build a catalogue table with unit, UCD and description of every column.

    Parameters
    ----------
    kind : {'islands', 'clusters', 'rejected'}
    rows : sequence of dict
        One value per column.
    meta : dict
        Provenance. Line ends and control characters become spaces in all texts.
    """
    table = Table(
        meta={key: writable(value) if isinstance(value, str) else value for key, value in meta.items()}
    )
    for name, column in COLUMNS[kind].items():
        values = [writable(str(row[name])) if column.kind is str else row[name] for row in rows]
        table[name] = np.array(values, dtype=column.kind if rows or column.kind is not str else "U1")
        table[name].unit = column.unit
        table[name].description = column.description
        table[name].info.meta = {"ucd": column.ucd}
    return table


def unmeasured_cluster(cluster: Cluster, mosaic: str, galactic_latitude_deg: float) -> dict[str, object]:
    """Row of a cluster that says what its input row does; all that is measured is NaN."""
    row = {name: np.nan for name, column in CLUSTERS.items() if column.kind is float}
    latitude = np.nan
    if np.isfinite(cluster.ra_deg):
        latitude = float(SkyCoord(cluster.ra_deg, cluster.dec_deg, unit="deg").galactic.b.deg)
    return row | {
        "name": cluster.name,
        "other_names": cluster.other_names,
        "ra_deg": cluster.ra_deg,
        "dec_deg": cluster.dec_deg,
        "redshift": cluster.redshift,
        "r500_arcmin": cluster.r500_arcmin,
        "mosaic": mosaic,
        "galactic_latitude_deg": latitude,
        "galactic": abs(latitude) < galactic_latitude_deg,
        "note": cluster.note,
    }


def number_formats(table: Table) -> dict[str, str]:
    """Format of every column of numbers, as a person reads them."""
    known = ISLANDS | CLUSTERS | REJECTED
    return {name: f"%.{known[name].digits}f" for name in table.colnames if known[name].kind is float}
