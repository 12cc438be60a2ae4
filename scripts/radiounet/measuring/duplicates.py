"""Islands that several mosaics show of the same emission."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radiounet.measuring.mosaic_tables import MosaicTable


@dataclass
class Names:
    """Names of the islands that stay.

    Attributes
    ----------
    at : dict
        By HEALPix pixel of footprints: names of the islands there.
    sizes : dict
        Pixels of the footprint of each.
    mosaics : dict
        Mosaic of each.
    """

    at: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    sizes: dict[str, int] = field(default_factory=dict)
    mosaics: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, mosaic: str, footprint: Collection[int]) -> None:
        """Add an island."""
        self.sizes[name], self.mosaics[name] = len(footprint), mosaic
        for pixel in footprint:
            self.at[pixel].add(name)

    def standing_for(self, name: str, mosaic: str, footprint: Collection[int]) -> list[str]:
        """Names of the islands that an island of a mosaic was dropped for; its own if it stays.

        These are the islands of other mosaics that are the same and, if they cover less than half of its
        footprint, as many more as it takes, those first that share most of it. If all together cover
        less, only those that are the same; there may be none.
        """
        if name in self.sizes:
            return [name]
        shared: dict[str, set[int]] = defaultdict(set)
        for pixel in footprint:
            for one in self.at.get(pixel, ()):
                if self.mosaics[one] != mosaic:
                    shared[one].add(pixel)

        def is_same(one: str) -> bool:
            return _is_same(len(shared[one]), len(footprint), self.sizes[one])

        chosen: list[str] = []
        covered: set[int] = set()
        for one in sorted(shared, key=lambda one: (not is_same(one), -len(shared[one]), one)):
            if is_same(one) or not _is_half(len(covered), len(footprint)):
                chosen.append(one)
                covered |= shared[one]
        return chosen if _is_half(len(covered), len(footprint)) else [*filter(is_same, chosen)]


def _is_half(part: int, whole: int) -> bool:
    return 2 * part >= whole


def _is_same(shared: int, one: int, other: int) -> bool:
    """Whether islands with footprints of two sizes are the same: they share half of the smaller one."""
    return _is_half(shared, min(one, other))


def drop_duplicates(tables: Sequence[MosaicTable]) -> tuple[list[MosaicTable], Names]:
    """Keep one of the islands that several mosaics show of the same emission.

    Islands of different mosaics are the same when they share half of the smaller
    one's footprint (see `radiounet.measuring.islands.footprint`). Islands of one mosaic that were
    cut from the same region (``parent``) are decided on together: another mosaic may
    have cut it along other lines, and a mixture would hold some sky twice, some never.

    Of a group of such islands those of one mosaic stay: the one whose cell owns the
    largest part of the group. So that nothing is lost that it does not show, an island
    of another mosaic stays as well if part of it lies in that one's cell and those kept
    of other mosaics cover less than half of its footprint. It takes the place of smaller
    ones, those of other mosaics of which it covers at least half, if its cell owns more of it
    than theirs own of what only they show; otherwise they stay, and it is dropped.
    So no two islands that stay are the same. Islands of one mosaic never drop each other.

    Parameters
    ----------
    tables : sequence of MosaicTable
        Islands of one mosaic each, with ``footprints`` in the metadata.

    Returns
    -------
    tables : list of MosaicTable
        Without the islands that were dropped.
    names : Names
        Of the islands that stay.
    """
    where = [(number, row) for number, table in enumerate(tables) for row in range(len(table.rows))]
    prints = [
        set(map(int, text.split()))
        for table in tables
        for text in table.meta.get("footprints") or [""] * len(table.rows)
    ]
    rows = [row for table in tables for row in table.rows]
    parents = [row["parent"] for row in rows]
    owned = [row["owned_fraction"] * row["area_arcmin2"] for row in rows]
    mosaics = [number for number, _ in where]
    kept: dict[int, list[int]] = defaultdict(list)
    names = Names()
    for group in _groups(_same_islands(where, prints, parents)):
        for island in _keep(group, mosaics, prints, owned):
            number, row = where[island]
            kept[number].append(row)
            names.add(rows[island]["name"], rows[island]["mosaic"], prints[island])
    left = [
        MosaicTable([table.rows[row] for row in sorted(kept[number])], table.meta)
        for number, table in enumerate(tables)
    ]
    return left, names


def _groups(labels: np.ndarray) -> list[list[int]]:
    """Members of each label."""
    members = defaultdict(list)
    for island, label in enumerate(labels.tolist()):
        members[label].append(island)
    return list(members.values())


def _keep(
    group: Sequence[int], mosaics: Sequence[int], prints: Sequence[set[int]], owned: Sequence[float]
) -> list[int]:
    """Islands of a group that stay; of two mosaics no two share half of the smaller one's footprint.

    Parameters
    ----------
    group : sequence of int
        Indices into the other three.
    mosaics, prints, owned : sequence
        By island: number of its mosaic, footprint, area inside that one's cell.
    """
    areas: dict[int, float] = defaultdict(float)
    for island in group:
        areas[mosaics[island]] += owned[island]
    winner = min(areas, key=lambda number: (-areas[number], number))
    kept = [island for island in group if mosaics[island] == winner]
    able = [island for island in group if mosaics[island] == winner or owned[island] > 0]
    able.sort(key=lambda island: (-owned[island], island))

    def alone(island: int) -> float:
        others = (prints[one] for one in able if mosaics[one] != mosaics[island])
        return owned[island] * len(prints[island].difference(*others)) / len(prints[island])

    is_settled = False
    while not is_settled:  # a place is only taken by a larger island, so this ends
        is_settled = True
        for island in (one for one in able if one not in kept):
            beside = [one for one in kept if mosaics[one] != mosaics[island]]
            covered = prints[island] & set().union(*(prints[one] for one in beside))
            if _is_half(len(covered), len(prints[island])):
                continue
            replaced = [
                one for one in beside if _is_half(len(prints[one] & prints[island]), len(prints[one]))
            ]
            if replaced and owned[island] <= sum(alone(one) for one in replaced):
                continue
            kept = [one for one in kept if one not in replaced] + [island]
            is_settled &= not replaced  # nothing may be lost that only those covered
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
    same = [pair for pair, count in shared.items() if _is_same(count, *(len(prints[one]) for one in pair))]
    first_of: dict[tuple[int, str], int] = {}
    for island, ((number, _), parent) in enumerate(zip(where, parents, strict=True)):
        same.append((first_of.setdefault((number, parent), island), island))
    first, second = np.array(same, int).reshape(-1, 2).T
    links = coo_array((np.ones(len(same)), (first, second)), shape=(len(where), len(where)))
    return connected_components(links, directed=False)[1]
