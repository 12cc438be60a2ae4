"""Catalogues: their columns, and the merging of all mosaics into one.

Tables are those of astropy and not of pandas, whose columns would lose their units, UCDs and
descriptions.
"""

import io
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info
from astropy.table import Column as TableColumn
from astropy.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.products import CATALOGUE_SUFFIXES, Products
from radiounet.images.provenance import code_hash
from radiounet.images.reading import ecsv_table
from radiounet.images.rejections import Rejection, read_left_out, read_rejection
from radiounet.images.tables import quote_number_signs
from radiounet.images.words import printable, writable
from radiounet.images.writing import atomic
from radiounet.network.architectures.registry import OTHER_CLASSES
from radiounet.survey.cluster_tables import log_notes
from radiounet.survey.survey import Cluster, Survey

logger = logging.getLogger(__name__)


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

ONE_OF_A_RUN = ("modelsha", "segmode", "thresh", "minbeams")
"""What a catalogue may not mix."""
PER_MOSAIC = ("footprints", "inputsha", "version", "codehash")
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
        "ra_deg": cluster.ra_deg,
        "dec_deg": cluster.dec_deg,
        "redshift": cluster.redshift,
        "r500_arcmin": cluster.r500_arcmin,
        "mosaic": mosaic,
        "galactic_latitude_deg": latitude,
        "galactic": abs(latitude) < galactic_latitude_deg,
        "note": cluster.note,
    }


def merge_tables(kind: str, paths: Iterable[str | Path]) -> tuple[Table, list[Rejection]]:
    """Put the tables of all mosaics together, rejected ones apart.

    Returns
    -------
    table : Table
        Sorted by right ascension; its metadata are those of the mosaics.
    rejections : list of Rejection
        Of mosaics whose table was rejected.
    """
    tables, rejections = [], []
    for path in paths:
        if rejection := read_rejection(path):
            rejections.append(rejection)
        else:
            tables.append(ecsv_table(path))
    if kind == "islands":
        tables = drop_duplicates(tables)
    rows = [row for table in tables for row in _rows(table)]
    if kind == "islands":
        _name_lost_parents(rows)
    meta = _merge_provenance(len(tables) + len(rejections)) | _common_meta(tables)
    merged = make_table(kind, rows, meta)
    merged.sort(["ra_deg", "dec_deg"])
    return merged, rejections


def _rows(table: Table) -> list[dict]:
    """Rows of a catalogue; ECSV has empty texts as masked."""
    full = table.filled("") if table.has_masked_columns else table
    return [dict(zip(full.colnames, row, strict=True)) for row in full]


def _merge_provenance(mosaics: int) -> dict[str, object]:
    return {"version": __version__, "codehash": code_hash(), "mosaics": mosaics}


def _common_meta(tables: Sequence[Table]) -> dict[str, object]:
    """Metadata of all tables: one value, or all that occur; per-mosaic entries are left out."""
    keys = [key for table in tables[:1] for key in table.meta if key not in PER_MOSAIC]
    values = {key: sorted({str(table.meta.get(key)) for table in tables}) for key in keys}
    for key in ONE_OF_A_RUN:
        if len(found := values.get(key, ())) > 1:
            raise ConfigError(f"the tables of this run differ in {key} ({', '.join(found)}): make them anew")
    return {key: ", ".join(found) for key, found in values.items()}


def _name_lost_parents(rows: Sequence[dict]) -> None:
    """Where the island that names a region was dropped, let the most probable of those left name it."""
    regions = defaultdict(list)
    for row in rows:
        regions[row["mosaic"], row["parent"]].append(row)
    for (_, parent), islands in regions.items():
        if parent not in (row["name"] for row in islands):
            best = max(islands, key=lambda row: (row["p_max"], row["area_arcmin2"]))
            for row in islands:
                row["parent"] = best["name"]


def drop_duplicates(tables: Sequence[Table]) -> list[Table]:
    """Keep one of the islands that several mosaics show of the same emission.

    Islands of different mosaics are the same when they share half of the smaller
    one's footprint (see `radiounet.measuring.islands.footprint`). Islands of one mosaic that were
    cut from the same region (``parent``) are decided on together: another mosaic may
    have cut it along other lines, and a mixture would hold some sky twice, some never.

    Of a group of such islands those of one mosaic stay: the one whose cell owns the
    largest part of the group. So that nothing is lost that it does not show, an island
    of another mosaic stays as well if part of it lies in that one's cell and those kept
    cover less than half of its footprint.

    Parameters
    ----------
    tables : sequence of Table
        Islands of one mosaic each, with ``footprints`` in the metadata.
    """
    where = [(number, row) for number, table in enumerate(tables) for row in range(len(table))]
    prints = [
        set(map(int, text.split()))
        for table in tables
        for text in table.meta.get("footprints") or [""] * len(table)
    ]
    parents = [str(parent) for table in tables for parent in table["parent"]]
    owned = [float(row["owned_fraction"] * row["area_arcmin2"]) for table in tables for row in table]
    mosaics = [number for number, _ in where]
    kept: dict[int, list[int]] = defaultdict(list)
    for group in _groups(_same_islands(where, prints, parents)):
        for island in _keep(group, mosaics, prints, owned):
            number, row = where[island]
            kept[number].append(row)
    return [table[np.array(sorted(kept[number]), int)] for number, table in enumerate(tables)]


def _groups(labels: np.ndarray) -> list[list[int]]:
    """Members of each label."""
    members = defaultdict(list)
    for island, label in enumerate(labels.tolist()):
        members[label].append(island)
    return list(members.values())


def _keep(
    group: Sequence[int], mosaics: Sequence[int], prints: Sequence[set[int]], owned: Sequence[float]
) -> list[int]:
    """Islands of a group that stay.

    Parameters
    ----------
    group : sequence of int
        Indices into the other three.
    mosaics, prints, owned : sequence
        By island: number of its mosaic, footprint, area inside that one's cell.
    """
    areas = Counter()
    for island in group:
        areas[mosaics[island]] += owned[island]
    winner = min(areas, key=lambda number: (-areas[number], number))
    kept = [island for island in group if mosaics[island] == winner]
    covered = set().union(*(prints[island] for island in kept))

    def share(island: int) -> float:
        return len(prints[island] & covered) / len(prints[island])

    others = [island for island in group if mosaics[island] != winner and owned[island] > 0]
    others = [island for island in others if share(island) < 0.5]
    for island in sorted(others, key=lambda island: (-owned[island], island)):
        if share(island) < 0.5:  # of what has been kept by now
            kept.append(island)
            covered |= prints[island]
    return kept


def _same_islands(
    where: Sequence[tuple[int, int]], prints: Sequence[set[int]], parents: Sequence[str]
) -> np.ndarray:
    """Label islands that are the same, by their footprints, or were cut from the same region."""
    at: dict[int, list[int]] = defaultdict(list)
    for island, pixels in enumerate(prints):
        for pixel in pixels:
            at[pixel].append(island)
    shared = Counter(
        pair
        for islands in at.values()
        for pair in combinations(islands, 2)
        if where[pair[0]][0] != where[pair[1]][0]
    )
    same = [p for p, count in shared.items() if count >= 0.5 * min(len(prints[p[0]]), len(prints[p[1]]))]
    first_of: dict[tuple[int, str], int] = {}
    for island, ((number, _), parent) in enumerate(zip(where, parents, strict=True)):
        same.append((first_of.setdefault((number, parent), island), island))
    first, second = np.array(same, int).reshape(-1, 2).T
    links = coo_array((np.ones(len(same)), (first, second)), shape=(len(where), len(where)))
    return connected_components(links, directed=False)[1]


def unique_rejections(rejections: Iterable[Rejection]) -> list[dict]:
    """Rows of ``rejected``, each once, sorted by name."""
    rows = {(r.name, r.stage, r.file, r.reason): vars(r) for r in rejections}
    return [rows[key] for key in sorted(rows)]


def add_unmeasured(
    table: Table,
    clusters: Sequence[Cluster],
    survey: Survey,
    mosaics: Sequence[str],
    products: Products,
    galactic_latitude_deg: float,
) -> Table:
    """Add the clusters that no mosaic could measure, so that every row of the input is accounted for.

    Clusters without a position, and those of rejected mosaics, become rows with a
    note. Those outside the mosaics are counted in the metadata: ``clusters_rows`` of
    the input are the clusters in the catalogue and ``clusters_outside``. Several own
    images may show one cluster, which then has several rows.

    Parameters
    ----------
    table : Table
        Measured clusters of all mosaics.
    clusters : sequence of Cluster
        All rows of the input table.
    mosaics : sequence of str
        Mosaics of the run.
    """
    held = survey.members(mosaics, [c.ra_deg for c in clusters], [c.dec_deg for c in clusters])
    with_rows = set(table["mosaic"])
    unplaced = [cluster for cluster in clusters if not np.isfinite(cluster.ra_deg)]
    log_notes(unplaced, "the input")
    added = [unmeasured_cluster(cluster, "", galactic_latitude_deg) for cluster in unplaced]
    inside = {index for indices in held.values() for index in indices}
    outside = len(clusters) - len(inside) - len(unplaced)
    for mosaic, indices in held.items():
        if not indices or mosaic in with_rows:
            continue
        rejection = read_rejection(products.clusters(mosaic))
        why = f"rejected: {rejection.reason}" if rejection else "not in the table of its mosaic"
        for index in indices:
            row = unmeasured_cluster(clusters[index], mosaic, galactic_latitude_deg)
            added.append(row | {"note": "; ".join(filter(None, (row["note"], why)))})
    logger.info(
        "clusters: %d rows in the input, %d of them outside the mosaics of this run, "
        "%d without a position, %d in the catalogue",
        *(len(clusters), outside, len(unplaced), len(table) + len(added)),
    )
    meta = table.meta | {"clusters_rows": len(clusters), "clusters_outside": outside}
    full = make_table("clusters", _rows(table) + added, meta)
    full.sort(["ra_deg", "dec_deg"])
    return full


def merge_catalogues(
    root: str,
    mosaics: Sequence[str],
    fields: Sequence[str] = (),
    neighbours: Sequence[str] = (),
    clusters: Sequence[Cluster] = (),
    survey: Survey | None = None,
    galactic_latitude_deg: float = 10.0,
) -> None:
    """Merge the tables of a run into its catalogues, in every format.

    Parameters
    ----------
    root : str
        Folder of the release's products.
    mosaics : sequence of str
        Mosaics of the run.
    fields : sequence of str
        Fields used; those rejected or left out of a mosaic are listed too.
    neighbours : sequence of str
        Mosaics made only because the aperture of a cluster touches them.
    clusters : sequence of Cluster
        All rows of the input table; see `add_unmeasured`.
    survey : Survey, optional
        Who owns them.
    """
    products = Products(root)
    islands, from_islands = merge_tables("islands", map(products.islands, mosaics))
    measured, from_clusters = merge_tables("clusters", map(products.clusters, mosaics))
    if clusters and survey:
        measured = add_unmeasured(measured, clusters, survey, mosaics, products, galactic_latitude_deg)
    others = [products.field_source(field) for field in fields] + [products.mask(n) for n in neighbours]
    rejections = [*from_islands, *from_clusters, *filter(None, map(read_rejection, others))]
    if fields:
        rejections += [
            one for name in (*mosaics, *neighbours) for one in read_left_out(products.left_out(name))
        ]
    rejected = make_table("rejected", unique_rejections(rejections), _merge_provenance(len(mosaics)))
    for kind, table in (("islands", islands), ("clusters", measured), ("rejected", rejected)):
        for suffix in CATALOGUE_SUFFIXES:
            write_catalogue(table, products.catalogue(kind, suffix))


def write_catalogue(table: Table, path: str | Path) -> None:
    """Write FITS, VOTable (``.vot``) or CSV, by the suffix of `path`.

    In FITS the description and UCD of column n are the cards ``TCOMMn`` and
    ``TUCDn``; CSV has them in comment lines before the header. FITS holds ASCII
    only: any other letter is a question mark there.
    """
    suffix = Path(path).suffix
    with atomic(path) as temporary:
        if suffix == ".vot":
            _write_votable(table, temporary)
        elif suffix == ".fits":
            _write_fits(table, temporary)
        else:
            _write_csv(table, temporary)


def _write_votable(table: Table, path: Path) -> None:
    content = from_table(table)
    content.get_first_table().infos.extend(
        Info(name=key, value=writable(str(v))) for key, v in table.meta.items()
    )
    content.to_xml(str(path))


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
        hdu.header.add_history(printable(f"{key}: {value}"))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def number_formats(table: Table) -> dict[str, str]:
    """Format of every column of numbers, as a person reads them."""
    known = ISLANDS | CLUSTERS | REJECTED
    return {name: f"%.{known[name].digits}f" for name in table.colnames if known[name].kind is float}


def _write_csv(table: Table, path: Path) -> None:
    lines = [writable(f"# {key}: {value}") for key, value in table.meta.items()]
    for name in table.colnames:
        column = table[name]
        unit = f" [{column.unit}]" if column.unit else ""
        lines.append(f"# {name}{unit}: {column.description} ({column.info.meta['ucd']})")
    stream = io.StringIO("\n".join(lines) + "\n")
    stream.seek(0, io.SEEK_END)
    table.write(stream, format="ascii.csv", formats=number_formats(table))
    path.write_text(quote_number_signs(stream.getvalue(), ","), encoding="utf-8")
