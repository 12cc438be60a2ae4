"""Tables of clusters in: which column is what, in which unit, and which rows can be measured."""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml
from scipy.spatial import KDTree

from radiounet.errors import ConfigError
from radiounet.images.provenance import sha256_of
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.tables import NUMBER, ServiceError, TableError, read_table
from radiounet.images.words import enumerated, writable
from radiounet.settings.catalogues import CLUSTER_COLUMNS
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_columns import LIMITS, TEXT, Rows, column_texts, parse_unit
from radiounet.survey.cosmology import arcmin_per_kpc, flat_cosmology, r500
from radiounet.survey.survey import Cluster, join_notes

logger = logging.getLogger(__name__)

MAX_NAMED = 10  # names in one line of the log
MAX_NOTES = 50  # lines of it

TYPICAL_R500_KPC = 1200.0
"""R500 of a cluster whose size or redshift is not known."""
TYPICAL_R500_ARCMIN = 5.0
"""The same at a redshift of 0.26, for clusters of unknown redshift. Where PSZ2 has one, the median R500
is 5.2 arcmin."""

LARGEST_ASSUMED_ARCMIN = 60.0
"""Largest R500 that is assumed, reached at a redshift of 0.016. At 0.003, 1200 kpc are 320
arcmin, which 14 mosaics of DR3 show."""

POSITION_COLUMNS = {
    "ra": ("ra", "ra_deg", "radeg", "ra_icrs", "raj2000", "_raj2000", "_ra.icrs"),
    "dec": ("dec", "dec_deg", "dedeg", "decdeg", "de_icrs", "dej2000", "_dej2000", "_de.icrs"),
}
"""What columns of positions are called, in lower case; VizieR's names included. The first that is there is
taken."""

SAME_PLACE_ARCSEC = 10.0
"""Rows that lie nearer to each other are of one cluster: half of the survey's beam."""

SIZE_PART = 0.5
"""Of R500: nearby clusters are large, and lists differ in what their centre is."""

REDSHIFT_TOLERANCE = 0.01
"""Of ``1 + z``: twice the scatter of eRASS1's photometric redshifts (Kluge et al. 2024, A&A 688, A210)."""

MERGED_LISTS = "merged_lists"
"""Key of the metadata that tells the table of merged lists from others."""


def read_clusters(path: str | Path, options: MeasureOptions, asked: bool = True) -> list[Cluster]:
    """Read a cluster table: every row of it.

    Columns ``name, ra, dec, z`` and ``M500`` (mass) or ``R500`` (length or angle),
    upper or lower case. Positions are ICRS, in deg where no unit is given, or
    sexagesimal text (RA in hours). Sizes need units; a text table has none, and
    gives M500 in 1e14 solMass or takes ``--unit``. R500 is used where a row has
    both. What a row does not tell, or what is impossible, is NaN, and `note` says
    why. The table of lists that were merged
    (`radiounet.survey.cluster_lists`) keeps the notes and sizes that it holds.

    Parameters
    ----------
    path : path
        Any format that `radiounet.images.tables.read_table` reads.
    options : MeasureOptions
        Cosmology, and units of columns that name none or a wrong one.
    asked : bool
        Whether the user can give such units; otherwise errors and notes name no option for them.

    Returns
    -------
    list of Cluster
        As many as the table has rows, in its order.

    Raises
    ------
    ConfigError
        Not a table; a column or a unit is missing or of another kind.
    TransientError
        The file system failed.
    """
    try:
        table = read_table(path)
    except FileNotFoundError:
        raise ConfigError(f"there is no cluster table {path}") from None
    except (TableError, ServiceError) as error:
        raise ConfigError(f"the cluster table cannot be read: {error}") from error
    if MERGED_LISTS in table.meta:
        merged = (table[name] for name in MERGED_COLUMNS)
        values = (np.ma.filled(one, "" if one.dtype.kind in TEXT else np.nan).tolist() for one in merged)
        return [Cluster(*row) for row in zip(*values, strict=True)]
    check_frame(table, path)
    columns = _columns(table, path)
    rows = Rows(path, len(table), _given_units(options.unit, columns) if asked else None)
    ra, no_ra = rows.values("ra", columns["ra"])
    dec, no_dec = rows.values("dec", columns["dec"])
    lost = np.isnan(ra) | np.isnan(dec)
    rows.note(lost & ~no_ra & ~no_dec, lambda _: "no position")
    redshift, bad_redshift = rows.values("z", columns["z"])
    size = _angular_size(rows, columns, redshift, bad_redshift, options)
    refused = rows.impossible & np.isnan(size)
    ra, dec, size = (np.where(lost, np.nan, one) for one in (ra % 360 % 360, dec, size))
    names = _stable_names(column_texts(columns["name"]), ra, dec, rows)
    _note_doubles(rows, names, ra, dec, redshift, size)
    texts = rows.notes(), [""] * len(names), refused.tolist()
    cells = zip(names, ra.tolist(), dec.tolist(), redshift.tolist(), size.tolist(), *texts, strict=True)
    return [Cluster(*cell) for cell in cells]


def clusters_to_measure(path: str | Path, options: MeasureOptions) -> list[Cluster]:
    """Read a cluster table as `read_clusters` does, with the size of a typical cluster where none is known.

    Where a size, mass or redshift is impossible, none is assumed, unless another list shows the cluster
    without such a value.

    Raises
    ------
    ConfigError, TransientError
        As by `read_clusters`; or the table has no rows, as only one of several lists may.
    """
    clusters = read_clusters(path, options)
    if not clusters:
        raise ConfigError(f"{path} has no rows: give a table that holds clusters")
    return [_with_size(one, options) for one in clusters]


def _with_size(cluster: Cluster, options: MeasureOptions) -> Cluster:
    if cluster.measurable or cluster.refused or not np.isfinite([cluster.ra_deg, cluster.dec_deg]).all():
        return cluster
    size = TYPICAL_R500_ARCMIN
    if np.isfinite(cluster.redshift):
        per_kpc = arcmin_per_kpc(cluster.redshift, flat_cosmology(options.h0, options.omega_m))
        size = min(TYPICAL_R500_KPC * per_kpc, LARGEST_ASSUMED_ARCMIN)
    note = join_notes(cluster.note, "R500 is assumed")  # without its value: one line of the log for all
    return replace(cluster, r500_arcmin=size, note=note, assumed_size=True)


def list_provenance(path: str | None) -> dict[str, str]:
    """Name and SHA-256 of a table of clusters, for the metadata of what was measured with it."""
    if path is None:
        return {"clusters": "none", "clusters_sha256": "none"}
    return {"clusters": Path(path).name, "clusters_sha256": sha256_of(path)}


MERGED_COLUMNS = ("name", "ra", "dec", "z", "R500", "note", "other_names", "refused")
"""Columns of the table of merged lists, in the order of the fields of `Cluster`."""


def list_states(lists: Mapping[str, MeasureOptions]) -> list[dict[str, object]]:
    """What tells lists that are merged from others: their content, and how they are read.

    Parameters
    ----------
    lists : mapping of path to MeasureOptions
    """
    return [
        {"list": list_name(path), "sha256": sha256_of(path)}
        | options.model_dump(include={"h0", "omega_m", "unit"})
        for path, options in lists.items()
    ]


def list_name(path: str | Path) -> str:
    """Name of a list before the names of its clusters in `Cluster.other_names`."""
    return Path(path).stem


def merged_from(path: str | Path, lists: Mapping[str, MeasureOptions]) -> bool:
    """Whether a table of merged lists was made of these lists as they are now, and as they are read now.

    Parameters
    ----------
    path : path
        ECSV; only its header is read.
    lists : mapping of path to MeasureOptions
    """
    if not all(Path(one).is_file() for one in lists):
        return False
    with open(path, encoding="utf-8") as stream:
        header = [line[2:].rstrip("\n") for line in takewhile(lambda line: line.startswith("# "), stream)]
    meta = dict(get_header_from_yaml(header).get("meta", {}))
    return meta.get(MERGED_LISTS) == list_states(lists)


def check_frame(table: Table, path: str | Path) -> None:
    """Refuse a table that says its positions are neither ICRS nor FK5 J2000 (the same within 0.1 arcsec)."""
    stated = [table.meta[key] for key in ("RADESYS", "RADECSYS") if isinstance(table.meta.get(key), str)]
    frames = [
        str(one).strip().lower().removeprefix("eq_") for one in (*stated, *table.meta.get("coosys", ()))
    ]
    equinox = table.meta.get("EQUINOX")
    equinox = str(equinox).strip().lstrip("J") if isinstance(equinox, str | float | int) else "2000"
    if frames and not {"icrs", "fk5"} & set(frames):
        raise ConfigError(f"{path} says its frame is {', '.join(frames)}: positions must be ICRS")
    if "icrs" not in frames and not (NUMBER.fullmatch(equinox) and float(equinox) == 2000):
        raise ConfigError(f"{path} says its equinox is {equinox}: positions must be ICRS")


def _columns(table: Table, path: str | Path) -> dict[str, object]:
    """Find the columns, by our names."""
    found = defaultdict(list)
    for name in table.colnames:
        found[name.strip().lower()].append(name)
    double = [enumerated(found[one.lower()]) for one in CLUSTER_COLUMNS if len(found[one.lower()]) > 1]
    if double:
        raise ConfigError(
            f"{path} has the columns {'; '.join(double)}: rename or remove those that are not meant"
        )
    columns = {one: table[found[one.lower()][0]] for one in CLUSTER_COLUMNS if found[one.lower()]}
    for one, names in POSITION_COLUMNS.items():
        others = [name for name in names if found[name]]
        if one not in columns and others:
            columns[one] = table[found[others[0]][0]]
    missing = [one for one in ("name", "ra", "dec", "z") if one not in columns]
    if not {"M500", "R500"} & set(columns):
        missing.append("M500 or R500")
    if missing:
        may_be_empty = not {"name", "ra", "dec"} & set(missing)
        unknown = ", or add an empty one if the values are unknown" if may_be_empty else ""
        raise ConfigError(
            f"{path} lacks {', '.join(missing)}: it needs the columns name, ra, dec, z, and M500 or R500 "
            f"with units; it has {', '.join(table.colnames)}: rename those that are meant{unknown}"
        )
    for name, column in columns.items():
        if not hasattr(column, "dtype") or column.ndim != 1 or column.dtype.kind not in f"fiu{TEXT}":
            raise ConfigError(f"{path}: the column {name} holds neither one number nor one text per row")
    return columns


def _given_units(given: Sequence[str], columns: dict[str, object]) -> dict[str, u.UnitBase]:
    units: dict[str, u.UnitBase] = {}
    # by our names, and by those in the table
    by_lower = {str(getattr(column, "name", name)).strip().lower(): name for name, column in columns.items()}
    by_lower |= {name.lower(): name for name in columns}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or name.strip().lower() not in by_lower:
            raise ConfigError(f"unit {one!r}: write COLUMN=UNIT with a column of {', '.join(columns)}")
        ours, unit = by_lower[name.strip().lower()], parse_unit(text, f"unit {one!r}")
        if units.setdefault(ours, unit) != unit:
            raise ConfigError(f"unit: {ours} is given twice, in {units[ours]} and in {unit}")
    return units


def _angular_size(
    rows: Rows, columns: dict, redshift: np.ndarray, bad_redshift: np.ndarray, options: MeasureOptions
) -> np.ndarray:
    """R500 in arcmin, ``[row]``: from R500, and from M500 where that is not known; NaN where neither is."""
    cosmology = flat_cosmology(options.h0, options.omega_m)
    known = np.isfinite(redshift)
    safe = np.where(known, redshift, 1.0)
    size = length = np.full(redshift.shape, np.nan)
    refused = np.zeros(redshift.shape, bool)
    if "R500" in columns and rows.unit("R500", columns["R500"]).is_equivalent(u.arcmin):
        size, refused = rows.values("R500", columns["R500"], LIMITS["angle"])
    elif "R500" in columns:
        length, refused = rows.values("R500", columns["R500"])
    if "M500" in columns:
        mass, bad_mass = rows.values("M500", columns["M500"])
        refused = refused | bad_mass
        length = np.where(np.isnan(length), r500(mass * u.solMass, safe, cosmology).to_value(u.Mpc), length)
    open_, limit = np.isnan(size), LIMITS["angle"]
    angle = np.degrees(length / cosmology.angular_diameter_distance(safe).to_value(u.Mpc)) * 60
    outside = open_ & known & limit.refuses(angle)
    rows.note(outside, lambda row: f"R500 at its redshift, {limit.fault(angle[row], 4)}, is outside {limit}")
    rows.note(open_ & np.isnan(length) & ~refused, lambda _: "neither M500 nor R500")
    rows.note(open_ & ~known & ~bad_redshift, lambda _: "no redshift")
    rows.impossible |= outside
    return np.where(open_, np.where(known & ~outside, angle, np.nan), size)


def _stable_names(names: list[str], ra: np.ndarray, dec: np.ndarray, rows: Rows) -> list[str]:
    """Names of one line; those missing are made from the position, or the place in the table."""
    plain = [writable(name).strip() for name in names]
    changed = np.array([one != name for one, name in zip(plain, names, strict=True)], bool)
    rows.note(changed, lambda _: "line ends or control characters of its name are spaces here")
    names = plain
    count = Counter(filter(None, names))
    rows.note(np.array([not name for name in names], bool), lambda _: "no name in the table")
    rows.note(
        np.array([count[name] > 1 for name in names], bool),
        lambda row: f"{count[names[row]]} rows have this name",
    )
    return [name or position_name(ra[row], dec[row]) or f"row {row + 1}" for row, name in enumerate(names)]


def _note_doubles(
    rows: Rows, names: list[str], ra: np.ndarray, dec: np.ndarray, redshift: np.ndarray, size: np.ndarray
) -> None:
    """Note rows that look like one cluster, whose islands would be shared out between them."""
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(size) & np.isfinite(redshift))
    if not placed.size:
        return
    places = unit_vectors(ra[placed], dec[placed])
    reach = 2 * np.sin(np.radians(SIZE_PART * size[placed] / 60) / 2)
    hits = KDTree(places).query_ball_point(places, reach)
    one, other = np.repeat(placed, [len(hit) for hit in hits]), placed[np.concatenate(hits).astype(int)]
    distance = 60 * separation_deg(unit_vectors(ra[one], dec[one]), unit_vectors(ra[other], dec[other]))
    same = np.abs(redshift[one] - redshift[other]) < REDSHIFT_TOLERANCE * (1 + redshift[one])
    same &= (distance > SAME_PLACE_ARCSEC / 60) & (distance <= SIZE_PART * np.minimum(size[one], size[other]))
    twins = dict(zip(one[same].tolist(), other[same].tolist(), strict=True))
    found = np.isin(np.arange(len(names)), list(twins))
    rows.note(
        found,
        lambda row: f"{names[twins[row]]} has about this place and redshift: is this cluster listed twice?",
    )


def position_name(ra_deg: float, dec_deg: float) -> str:
    """Name of a position, ``J1234.5+5432``, truncated as the IAU asks; '' for NaN."""
    if not np.isfinite([ra_deg, dec_deg]).all():
        return ""
    tenths = int(ra_deg * 40 + 1e-6)  # of a minute of time
    minutes = int(abs(dec_deg) * 60 + 1e-6)
    sign = "-" if dec_deg < 0 else "+"
    return f"J{tenths // 600:02d}{tenths % 600 / 10:04.1f}{sign}{minutes // 60:02d}{minutes % 60:02d}"


def first_of(names: Sequence[str]) -> str:
    """Names for one line of the log, `MAX_NAMED` at most, and how many more there are."""
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def log_notes(clusters: Sequence[Cluster], path: str | Path) -> None:
    """Say in the log what is wrong with rows of a cluster table, and with how many."""
    named = defaultdict(list)
    for cluster in clusters:
        if cluster.note:
            named[cluster.note].append(cluster.name)
    for note, names in list(named.items())[:MAX_NOTES]:
        count = "1 cluster" if len(names) == 1 else f"{len(names):,} clusters"
        logger.warning("%s of %s: %s (%s)", count, path, note, first_of(names))
    if len(named) > MAX_NOTES:
        logger.warning("%d more notes on clusters of %s: see the column note", len(named) - MAX_NOTES, path)
