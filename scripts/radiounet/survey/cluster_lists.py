"""Several lists of clusters as one: which rows are the same cluster, and what is kept of them.

Lists are merged in their order. A row is the same cluster as one of the lists before when

- they lie within `RADIUS_ARCMIN`, or within `SIZE_PART` of the smaller R500, whichever is more, and
- their redshifts agree within `REDSHIFT_TOLERANCE`, or one is not known; then only `RADIUS_ARCMIN` counts.

The closest pairs come first, and a cluster takes at most one row of each list: what one list tells
apart stays apart, and a chain of rows that lie close to each other has no more rows than there are
lists. A row may be joined through any row that the cluster has already: where an X-ray position lies
between those of two SZ catalogues, all three are one cluster.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.provenance import code_hash
from radiounet.images.squares import unit_vectors
from radiounet.images.writing import write_ecsv
from radiounet.settings.measure import MeasureOptions
from radiounet.survey.cluster_tables import (
    MAX_NAMED,
    MERGED_COLUMNS,
    MERGED_LISTS,
    REDSHIFT_TOLERANCE,
    SIZE_PART,
    list_name,
    list_states,
    read_clusters,
)
from radiounet.survey.survey import Cluster, join_notes

logger = logging.getLogger(__name__)

RADIUS_ARCMIN = 5.0
"""Positions of Planck are off by minutes of arc. Of PSZ2 and MCXC, 401 pairs of one redshift lie within
2 arcmin and 519 within 5; with PSZ2 moved by 2 deg, none lies within 10."""


@dataclass(frozen=True)
class MergedLists:
    """Clusters of several lists.

    Attributes
    ----------
    clusters : list of Cluster
        In the order of the lists and of their rows.
    merged : int
        Rows that were added to a cluster of a list before.
    apart : list of str
        Names of clusters that lie within `RADIUS_ARCMIN` of one of a list before, at another redshift.
    """

    clusters: list[Cluster]
    merged: int
    apart: list[str]


def merge_lists(lists: Mapping[str, Sequence[Cluster]]) -> MergedLists:
    """Merge lists of clusters; see the head of this module for what is one cluster.

    The row of the first list is kept. A redshift or size that it lacks comes from the first list that
    has it, and its note says so. An impossible value in one list does not keep a cluster of another from
    being measured. Rows without a position are kept and not merged.

    Parameters
    ----------
    lists : mapping of str to sequence of Cluster
        Clusters by the name of their list.
    """
    clusters: list[Cluster] = []
    vectors, owners = np.empty((0, 3)), np.empty(0, int)
    apart: list[str] = []
    for name, rows in lists.items():
        partner, near = _partners(clusters, vectors, owners, rows)
        apart += [rows[row].name for row in sorted(near - set(partner))]
        indices = []
        for number, row in enumerate(rows):
            indices.append(partner.get(number, len(clusters)))
            if number in partner:
                clusters[indices[-1]] = _joined(clusters[indices[-1]], row, name)
            else:
                clusters.append(row)
        placed = [number for number, row in enumerate(rows) if np.isfinite(row.ra_deg)]
        vectors = np.concatenate([vectors, _vectors([rows[number] for number in placed])])
        owners = np.concatenate([owners, np.array(indices, int)[placed]])
    merged = sum(map(len, lists.values())) - len(clusters)
    return MergedLists(_with_shared_names_noted(clusters), merged, apart)


def merge_cluster_tables(lists: Mapping[str, MeasureOptions], target: str) -> None:
    """Read cluster tables and write one of all their clusters.

    Parameters
    ----------
    lists : mapping of path to MeasureOptions
        Tables, and how each is read, see `radiounet.survey.cluster_tables.read_clusters`.
    target : path
        Table (ECSV) of `radiounet.survey.cluster_tables.MERGED_COLUMNS`, R500 in arcmin. Its metadata
        say what was merged.

    Raises
    ------
    ConfigError
        A table cannot be read, or two have one name.
    """
    read = {list_name(path): read_clusters(path, options) for path, options in lists.items()}
    if len(read) < len(lists):
        names = ", ".join(Path(path).name for path in lists)
        raise ConfigError(f"clusters: two of {names} have the same name: rename one of these tables")
    found = merge_lists(read)
    counts = ", ".join(f"{len(rows):,} of {name}" for name, rows in read.items())
    logger.info(
        "%s: %d clusters of %s; %d rows were merged with a cluster of an earlier list",
        *(target, len(found.clusters), counts, found.merged),
    )
    if found.apart:
        logger.info(
            "%d of them lie within %g arcmin of a cluster of another list that has another redshift: %s%s",
            *(len(found.apart), RADIUS_ARCMIN, ", ".join(found.apart[:MAX_NAMED])),
            ", ..." if len(found.apart) > MAX_NAMED else "",
        )
    kinds = {"name": str, "note": str, "other_names": str, "refused": bool}
    rows = [astuple(one)[: len(MERGED_COLUMNS)] for one in found.clusters]
    dtypes = [kinds.get(name, float) for name in MERGED_COLUMNS]
    table = Table(rows=rows or None, names=MERGED_COLUMNS, dtype=dtypes)
    for name, unit in (("ra", "deg"), ("dec", "deg"), ("R500", "arcmin")):
        table[name].unit = unit
    table.meta = {
        "version": __version__,
        "codehash": code_hash(),
        MERGED_LISTS: list_states(lists),
        "rows": {name: len(rows) for name, rows in read.items()},
        "rows_merged": found.merged,
        "near_at_other_redshift": len(found.apart),
    }
    write_ecsv(target, table)


def _vectors(clusters: Sequence[Cluster]) -> np.ndarray:
    return unit_vectors([c.ra_deg for c in clusters], [c.dec_deg for c in clusters]).reshape(-1, 3)


def _partners(
    clusters: Sequence[Cluster], vectors: np.ndarray, owners: np.ndarray, rows: Sequence[Cluster]
) -> tuple[dict[int, int], set[int]]:
    """Cluster of each row that is one of those before, and rows near one at another redshift.

    Parameters
    ----------
    clusters : sequence of Cluster
    vectors : ndarray, ``[place, 3]``
        Places of all rows that the clusters were merged from.
    owners : ndarray of int, ``[place]``
        Whose place each is.
    rows : sequence of Cluster
        Of the next list.
    """
    placed = np.array([number for number, row in enumerate(rows) if np.isfinite(row.ra_deg)], int)
    if not (len(vectors) and len(placed)):
        return {}, set()
    sizes, row_sizes = (np.array([c.r500_arcmin for c in some], float) for some in (clusters, rows))
    redshifts, row_redshifts = (np.array([c.redshift for c in some], float) for some in (clusters, rows))
    largest = max(np.nan_to_num(some).max() for some in (sizes, row_sizes))
    reach = np.radians(max(RADIUS_ARCMIN, SIZE_PART * largest) / 60)
    pairs = KDTree(vectors).sparse_distance_matrix(
        KDTree(_vectors([rows[number] for number in placed])), 2 * np.sin(reach / 2), output_type="ndarray"
    )
    group, row = owners[pairs["i"]], placed[pairs["j"]]
    distance = np.degrees(2 * np.arcsin(pairs["v"] / 2)) * 60
    one, other = redshifts[group], row_redshifts[row]
    differs = np.abs(one - other) >= REDSHIFT_TOLERANCE * (1 + one)
    known = np.isfinite(one) & np.isfinite(other)
    by_size = np.where(known, SIZE_PART * np.fmin(sizes[group], row_sizes[row]), np.nan)
    same = ~differs & (distance <= np.fmax(RADIUS_ARCMIN, by_size))
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for index in np.lexsort((group, row, distance)):
        mine, theirs = int(row[index]), int(group[index])
        if same[index] and mine not in partner and theirs not in taken:
            partner[mine] = theirs
            taken.add(theirs)
    return partner, set(row[differs & (distance <= RADIUS_ARCMIN)].tolist())


def _joined(kept: Cluster, other: Cluster, name: str) -> Cluster:
    """A cluster with what it lacks from a row of another list, and the name of that."""
    named = f"{name}: {other.name.replace(';', ',')}"
    values = {"redshift": "redshift", "r500_arcmin": "R500"}
    lacks = [key for key in values if np.isnan(getattr(kept, key)) and np.isfinite(getattr(other, key))]
    notes = [f"{' and '.join(values[key] for key in lacks)} of {named}"] if lacks else []
    if other.refused:
        notes.append(f"{named}: {other.note.replace('; ', ', ')}")
    return replace(
        kept,
        **{key: getattr(other, key) for key in lacks},
        note=join_notes(kept.note, *notes),
        other_names=join_notes(kept.other_names, named),
        refused=kept.refused and other.refused,
    )


def _with_shared_names_noted(clusters: list[Cluster]) -> list[Cluster]:
    """Clusters, with a note where several that are not the same have one name."""
    count = Counter(cluster.name for cluster in clusters)
    return [
        replace(one, note=join_notes(one.note, f"{count[one.name]} clusters have this name"))
        if count[one.name] > 1 and "rows have this name" not in one.note
        else one
        for one in clusters
    ]
