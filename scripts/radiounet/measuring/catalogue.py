"""The merging of the tables of all mosaics into the catalogues of a run."""

import logging
import re
from collections import Counter, defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
from astropy.table import Table

from radiounet import __version__
from radiounet.images.products import CATALOGUE_SUFFIXES, Products
from radiounet.images.provenance import code_hash
from radiounet.images.rejections import Rejection
from radiounet.images.words import enumerated
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import PAGE, make_table
from radiounet.measuring.duplicates import Names, drop_duplicates
from radiounet.measuring.mosaic_tables import MosaicTable, RunTables, read_run_tables
from radiounet.measuring.table_settings import require_one_of_each, require_settings_of_run
from radiounet.measuring.unmeasured import unmeasured_cluster
from radiounet.settings.config import Config
from radiounet.survey.cluster_tables import list_provenance, log_notes
from radiounet.survey.survey import Cluster, Survey, join_notes

logger = logging.getLogger(__name__)

PER_MOSAIC = (
    "footprints",
    "island_footprints",
    "imagesha",
    "inputsha",
    "mask_sha256",
    "probability_sha256",
    "cutouts_sha256",
    "version",
    "codehash",
)


def merge_islands(found: Iterable[MosaicTable | Rejection]) -> tuple[Table, list[Rejection], Names]:
    """Put the islands of all mosaics together, each once; see `merge_tables` and `drop_duplicates`."""
    tables, rejections = _apart(found)
    kept, names = drop_duplicates(tables)
    return _merged("islands", _with_lost_parents(kept), len(rejections)), rejections, names


def merge_tables(kind: str, found: Iterable[MosaicTable | Rejection]) -> tuple[Table, list[Rejection]]:
    """Put the tables of all mosaics together, rejected ones apart.

    Parameters
    ----------
    kind : {'clusters', 'limits'}
    found : iterable of MosaicTable or Rejection
        One of each mosaic.

    Returns
    -------
    table : Table
        Sorted by right ascension; its metadata are those of the mosaics.
    rejections : list of Rejection
        Of mosaics whose table was rejected.
    """
    tables, rejections = _apart(found)
    return _merged(kind, tables, len(rejections)), rejections


def _apart(found: Iterable[MosaicTable | Rejection]) -> tuple[list[MosaicTable], list[Rejection]]:
    listed = list(found)
    tables = [one for one in listed if not isinstance(one, Rejection)]
    return tables, [one for one in listed if isinstance(one, Rejection)]


def _merged(kind: str, tables: Sequence[MosaicTable], rejected: int) -> Table:
    rows = [row for table in tables for row in table.rows]
    merged = make_table(kind, rows, _merge_provenance(len(tables) + rejected) | _common_meta(tables))
    merged.sort(["ra_deg", "dec_deg"])
    return merged


def _with_kept_names(table: MosaicTable, names: Names, catalogued: Container[str]) -> MosaicTable:
    """Clusters with the names of islands that the catalogue of islands has, whichever mosaic shows them.

    A note names those that it does not have.
    """
    prints = {name: [*map(int, one.split())] for name, one in table.meta.get("island_footprints", {}).items()}
    rows = []
    for row in table.rows:
        own = [*filter(None, str(row["islands"]).split("; "))]
        kept = {one: names.standing_for(one, row["mosaic"], prints.get(one, ())) or [one] for one in own}
        listed = dict.fromkeys(one for some in kept.values() for one in some)
        reason = _with_pieces(row["reason"], kept, row["mosaic"])
        lost, why = [one for one in listed if one not in catalogued], ""
        if lost:
            shown = f"{', '.join(lost)} on {row['mosaic']}"
            why = f"not in the catalogue of islands, as no mosaic lists it in its own cell: {shown}"
        held = "; ".join(one for one in listed if one in catalogued)
        rows.append(row | {"reason": reason, "islands": held, "note": join_notes(row["note"], why)})
    return MosaicTable(rows, table.meta)


def _with_pieces(reason: str, kept: Mapping[str, Sequence[str]], mosaic: str) -> str:
    """Reason of a cluster that names what the catalogue has in place of each island.

    Where that is several, or one that also stands for another island, what was measured is a piece of it.
    """
    uses = Counter(one for some in kept.values() for one in some)
    texts = {
        one: some[0] if [uses[name] for name in some] == [1] else f"a piece of {enumerated(some)} on {mosaic}"
        for one, some in kept.items()
    }
    # in one pass, as a name that was put in may be that of another island
    known = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    return re.sub(known, lambda found: texts[found[0]], reason) if texts else reason


def _rows(table: Table) -> list[dict]:
    return [dict(zip(table.colnames, row, strict=True)) for row in table]


def _merge_provenance(mosaics: int) -> dict[str, object]:
    return {"version": __version__, "codehash": code_hash(), "documentation": PAGE, "mosaics": mosaics}


def _common_meta(tables: Sequence[MosaicTable]) -> dict[str, object]:
    """Metadata of all tables: one value, or all that occur; per-mosaic entries are left out."""
    keys = dict.fromkeys(key for table in tables for key in table.meta if key not in PER_MOSAIC)
    values = {key: sorted({str(table.meta[key]) for table in tables if key in table.meta}) for key in keys}
    return {key: ", ".join(found) for key, found in values.items()}


def _with_lost_parents(tables: Sequence[MosaicTable]) -> list[MosaicTable]:
    """Where the island that names a region was dropped, let the most probable of those left name it."""
    regions = defaultdict(list)
    for row in (row for table in tables for row in table.rows):
        regions[row["mosaic"], row["parent"]].append(row)
    names = {}
    for (mosaic, parent), islands in regions.items():
        if parent not in (row["name"] for row in islands):
            best = max(islands, key=lambda row: (row["p_max"], row["area_arcmin2"]))
            names[mosaic, parent] = best["name"]
    return [
        MosaicTable(
            [row | {"parent": names.get((row["mosaic"], row["parent"]), row["parent"])} for row in one.rows],
            one.meta,
        )
        for one in tables
    ]


def join_limits(
    clusters: Iterable[MosaicTable | Rejection], limits: Iterable[MosaicTable | Rejection]
) -> list[MosaicTable | Rejection]:
    """Tables of clusters with the limits that were measured on the same mosaic, by name and position.

    The upper limit of a cluster is the flux density at which nine of ten mock halos are found, where
    no mask holds anything inside R500, be it that of the mosaics that own the sky or of the cluster's
    own mosaic, no halo was measured, and enough of R500 has data (``flag_coverage``).
    """
    return [
        one if isinstance(one, Rejection) or isinstance(limit, Rejection) else _with_limits(one, limit)
        for one, limit in zip(clusters, limits, strict=True)
    ]


def _with_limits(table: MosaicTable, limits: MosaicTable) -> MosaicTable:
    waiting: dict[tuple, deque[dict]] = defaultdict(deque)  # a list may have a cluster twice
    for row in limits.rows:
        waiting[_place_of(row)].append(row)
    rows = []
    for row in table.rows:
        found = waiting[_place_of(row)]
        limit = found.popleft() if found else {}
        joined = row | {name: value for name, value in limit.items() if name in row}
        is_empty = joined["mask_fraction"] == 0 and not limit.get("detected")
        is_empty &= bool(np.isnan(joined["halo_flux_mjy"])) and not joined["flag_coverage"]
        if is_empty and np.isfinite(joined["flux_90_mjy"]):
            joined |= {"upper_limit_mjy": joined["flux_90_mjy"], "flag_upper_limit": True}
        rows.append(joined)
    return MosaicTable(rows, table.meta)


def _place_of(row: Mapping) -> tuple:
    return row["name"], row["ra_deg"], row["dec_deg"]


def merge_run(
    tables: Mapping[str, Sequence[MosaicTable | Rejection]],
) -> tuple[dict[str, Table], list[Rejection]]:
    """Merge all tables of a run.

    Parameters
    ----------
    tables : mapping of str to sequence
        See `RunTables`.

    Returns
    -------
    merged : dict of str to Table
        Islands, and clusters with their limits, if there are any.
    rejections : list of Rejection
    """
    islands, rejections, names = merge_islands(tables["islands"])
    limits, catalogued = tables.get("limits"), set(islands["name"].tolist())
    clusters = [
        one if isinstance(one, Rejection) else _with_kept_names(one, names, catalogued)
        for one in tables["clusters"]
    ]
    measured, rejected = merge_tables("clusters", join_limits(clusters, limits) if limits else clusters)
    rejections += rejected
    if limits:
        found, rejected = merge_tables("limits", limits)
        kept = ("limits", "limits_precis", "limits_threads")
        measured.meta |= {key: found.meta[key] for key in kept if key in found.meta}
        rejections += rejected
    return {"islands": islands, "clusters": measured}, rejections


def unique_rejections(rejections: Iterable[Rejection]) -> list[dict]:
    """Rows of ``rejected``, each once, sorted by name."""
    rows = {(r.name, r.stage, r.file, r.reason): vars(r) for r in rejections}
    return [rows[key] for key in sorted(rows)]


def add_unmeasured(
    table: Table,
    clusters: Sequence[Cluster],
    survey: Survey,
    mosaics: Sequence[str],
    rejected: Mapping[str, Rejection],
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
    rejected : mapping of str to Rejection
        Those of them whose table of clusters was rejected.
    """
    held = survey.members(mosaics, [c.ra_deg for c in clusters], [c.dec_deg for c in clusters])
    with_rows = set(table["mosaic"])
    unplaced = [cluster for cluster in clusters if not np.isfinite(cluster.ra_deg)]
    log_notes(unplaced, "the input")
    added = [unmeasured_cluster(cluster, "") for cluster in unplaced]
    inside = {index for indices in held.values() for index in indices}
    outside = len(clusters) - len(inside) - len(unplaced)
    for mosaic, indices in held.items():
        if not indices or mosaic in with_rows:
            continue
        rejection = rejected.get(mosaic)
        why = f"rejected: {rejection.reason}" if rejection else "not in the table of its mosaic"
        added += [unmeasured_cluster(clusters[index], mosaic, why) for index in indices]
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
    limits: bool = False,
    others: Sequence[str] = (),
    table: str | None = None,
    config: Config | None = None,
) -> RunTables:
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
    limits : bool
        Join the tables of upper limits.
    others : sequence of str
        Further products, whose rejections are listed: files of compact sources, what other stages made.
    table : str, optional
        The input table, for the metadata.
    config : Config, optional
        Settings of the run, which those of the tables must not contradict.

    Returns
    -------
    RunTables
        What was merged.

    Raises
    ------
    ConfigError
        See `write_catalogues`.
    """
    products = Products(root)
    run = read_run_tables(products, mosaics, fields, neighbours, limits, others)
    write_catalogues(products, run, clusters, survey, table, config)
    return run


def write_catalogues(
    products: Products,
    run: RunTables,
    clusters: Sequence[Cluster] = (),
    survey: Survey | None = None,
    table: str | None = None,
    config: Config | None = None,
) -> None:
    """Write the catalogues of a run from its tables, or of a survey from those of its regions.

    Parameters
    ----------
    products : Products
        Name the catalogues.
    run : RunTables
    clusters, survey, table, config
        See `merge_catalogues`.

    Raises
    ------
    ConfigError
        The tables were made in different ways, or not with the settings of the run.
    """
    require_one_of_each(run)
    if config:
        require_settings_of_run(run, config)
    merged, rejections = merge_run(run.tables)
    measured = merged["clusters"]
    measured.meta |= list_provenance(table)
    if clusters and survey:
        tables = zip(run.mosaics, run.tables["clusters"], strict=True)
        without = {mosaic: one for mosaic, one in tables if isinstance(one, Rejection)}
        measured = add_unmeasured(measured, clusters, survey, run.mosaics, without)
    rows = unique_rejections([*rejections, *run.rejections])
    rejected = make_table("rejected", rows, _merge_provenance(len(run.mosaics)))
    for kind, one in (("islands", merged["islands"]), ("clusters", measured), ("rejected", rejected)):
        for suffix in CATALOGUE_SUFFIXES:
            write_catalogue(one, products.catalogue(kind, suffix))
