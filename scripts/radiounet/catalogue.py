"""Catalogues: their columns, and the merging of all mosaics into one."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Column as TableColumn
from astropy.table import Table, vstack

from radiounet import __version__
from radiounet.products import (
    CATALOGUE_SUFFIXES,
    Products,
    Rejection,
    atomic,
    code_hash,
    read_rejection,
)
from radiounet.sky import unit_vectors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column:
    """One column of a catalogue."""

    kind: type
    unit: str | None
    ucd: str
    description: str
    digits: int = 3  # after the decimal point, where a person reads it


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
    "area_arcmin2": Column(float, "arcmin2", "phys.angArea", "Area of the island"),
    "las_arcmin": Column(float, "arcmin", "phys.angSize", "Largest angular size"),
    "p_mean": Column(float, None, "stat.probability;stat.mean", "Mean probability of diffuse emission"),
    "p_max": Column(float, None, "stat.probability;stat.max", "Largest probability of diffuse emission"),
    "flux_mjy": Column(float, "mJy", "phot.flux.density;em.radio.100-200MHz", "Flux density in the mask"),
    "flux_err_mjy": Column(float, "mJy", "stat.error;phot.flux.density", "Its error: noise and calibration"),
    "peak_sigma": Column(float, None, "stat.snr", "Brightest pixel over the local noise"),
    **_LATITUDE,
    "touches_edge": Column(bool, None, "meta.code", "The island reaches the edge of its mosaic"),
    "in_cell": Column(bool, None, "meta.code", "The mosaic's cell owns the island's position"),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic it was found on"),
}

CLUSTERS = {
    "name": Column(str, None, "meta.id;meta.main", "Name of the cluster in the input catalogue"),
    **_POSITION,
    "redshift": Column(float, None, "src.redshift", "Redshift of the input catalogue", 4),
    "r500_arcmin": Column(float, "arcmin", "phys.angSize", "Angular R500"),
    "mosaic": Column(str, None, "meta.id.part", "Mosaic whose cell holds the centre"),
    "p_diffuse": Column(
        float, None, "stat.probability", "Largest beam-averaged probability of diffuse emission inside R500"
    ),
    "mask_fraction": Column(float, None, "stat.filling", "Part of the covered aperture that is in the mask"),
    "flux_mjy": Column(
        float, "mJy", "phot.flux.density;em.radio.100-200MHz", "Flux density in the mask inside R500"
    ),
    "flux_err_mjy": Column(float, "mJy", "stat.error;phot.flux.density", "Its error: noise and calibration"),
    "island_distance_arcmin": Column(
        float, "arcmin", "pos.angDistance", "Distance of the nearest masked pixel inside R500"
    ),
    "coverage": Column(float, None, "stat.filling", "Part of the aperture with data"),
    **_LATITUDE,
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
        Provenance.
    """
    table = Table(meta=meta)
    for name, column in COLUMNS[kind].items():
        values = [row[name] for row in rows]
        table[name] = np.array(values, dtype=column.kind if rows or column.kind is not str else "U1")
        table[name].unit = column.unit
        table[name].description = column.description
        table[name].info.meta = {"ucd": column.ucd}
    return table


def merge_tables(kind: str, paths: Iterable[str | Path], meta: dict) -> tuple[Table, list[Rejection]]:
    """Put the tables of all mosaics together, rejected ones apart.

    Returns
    -------
    table : Table
        Sorted by right ascension.
    rejections : list of Rejection
        Of mosaics whose table was rejected.
    """
    tables, rejections = [], []
    for path in paths:
        if rejection := read_rejection(path):
            rejections.append(rejection)
        else:
            tables.append(Table.read(path, format="ascii.ecsv"))
    filled = [table for table in tables if len(table)]
    rows = list(vstack(filled, metadata_conflicts="silent")) if filled else []
    merged = make_table(kind, [dict(zip(row.colnames, row, strict=True)) for row in rows], meta)
    merged.sort(["ra_deg", "dec_deg"])
    return merged, rejections


def drop_duplicates(islands: Table, within_arcsec: float) -> Table:
    """Keep one of the islands that several mosaics show at the same place.

    Two islands of different mosaics closer than `within_arcsec` are one. Kept
    is the one whose position its own cell owns, else the larger. An island
    outside its cell that nobody else shows stays: its owner's mosaic has no
    data there, or sees it below the threshold.

    Parameters
    ----------
    islands : Table
        Columns as in `ISLANDS`.
    """
    if not len(islands):
        return islands
    from scipy.spatial import cKDTree

    vectors = unit_vectors(np.asarray(islands["ra_deg"]), np.asarray(islands["dec_deg"]))
    tree = cKDTree(vectors)
    radius = 2 * np.sin(np.radians(within_arcsec / 3600) / 2)
    order = np.lexsort((-np.asarray(islands["area_arcmin2"]), ~np.asarray(islands["in_cell"], bool)))
    mosaics = np.asarray(islands["mosaic"])
    dropped = np.zeros(len(islands), bool)
    for index in order:
        if not dropped[index]:
            near = np.array(tree.query_ball_point(vectors[index], radius))
            dropped[near[mosaics[near] != mosaics[index]]] = True
    return islands[~dropped]


def unique_rejections(rejections: Iterable[Rejection]) -> list[dict]:
    """Rows of ``rejected``, each once, sorted by name."""
    rows = {(r.name, r.stage, r.file, r.reason): vars(r) for r in rejections}
    return [rows[key] for key in sorted(rows)]


def merge_catalogues(root: str, mosaics: Sequence[str], fields: Sequence[str], edge_arcsec: float) -> None:
    """Merge the tables of a run into its catalogues, in every format.

    Parameters
    ----------
    root : str
        Folder of the release's products.
    mosaics : sequence of str
        Mosaics of the run.
    fields : sequence of str
        Fields used, whose own rejections are listed too.
    edge_arcsec : float
        See `drop_duplicates`.
    """
    products = Products(root)
    meta = {"version": __version__, "codehash": code_hash(), "mosaics": len(mosaics)}
    islands, from_islands = merge_tables("islands", map(products.islands, mosaics), meta)
    islands = drop_duplicates(islands, edge_arcsec)
    clusters, from_clusters = merge_tables("clusters", map(products.clusters, mosaics), meta)
    of_fields = filter(None, (read_rejection(products.field_source(field)) for field in fields))
    rows = unique_rejections([*from_islands, *from_clusters, *of_fields])
    rejected = make_table("rejected", rows, meta)
    for kind, table in (("islands", islands), ("clusters", clusters), ("rejected", rejected)):
        for suffix in CATALOGUE_SUFFIXES:
            write_catalogue(table, products.catalogue(kind, suffix))


def write_catalogue(table: Table, path: str | Path) -> None:
    """Write FITS, VOTable (``.vot``) or CSV, by the suffix of `path`.

    In FITS the description and UCD of column n are the cards ``TCOMMn`` and
    ``TUCDn``; CSV has them in comment lines before the header.
    """
    suffix = Path(path).suffix
    with atomic(path) as temporary:
        if suffix == ".vot":
            table.write(temporary, format="votable", overwrite=True)
        elif suffix == ".fits":
            _write_fits(table, temporary)
        else:
            _write_csv(table, temporary)


def _write_fits(table: Table, path: Path) -> None:
    plain = table.copy()
    plain.meta = {}
    for name in plain.colnames:
        if plain[name].dtype.kind == "U":  # FITS tables hold ASCII only
            ascii_text = np.char.encode(np.asarray(plain[name]), "ascii", "replace")
            plain.replace_column(name, TableColumn(ascii_text, unit=plain[name].unit))
    hdu = fits.table_to_hdu(plain)
    for number, name in enumerate(table.colnames, start=1):
        hdu.header[f"TCOMM{number}"] = table[name].description
        hdu.header[f"TUCD{number}"] = table[name].info.meta["ucd"]
    for key, value in table.meta.items():
        hdu.header.add_history(f"{key}: {value}")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def number_formats(table: Table) -> dict[str, str]:
    """Format of every column of numbers, as a person reads them."""
    known = ISLANDS | CLUSTERS | REJECTED
    return {name: f"%.{known[name].digits}f" for name in table.colnames if known[name].kind is float}


def _write_csv(table: Table, path: Path) -> None:
    lines = [f"# {key}: {value}" for key, value in table.meta.items()]
    for name in table.colnames:
        column = table[name]
        unit = f" [{column.unit}]" if column.unit else ""
        lines.append(f"# {name}{unit}: {column.description} ({column.info.meta['ucd']})")
    with open(path, "w") as stream:
        stream.write("\n".join(lines) + "\n")
        table.write(stream, format="ascii.csv", formats=number_formats(table))
