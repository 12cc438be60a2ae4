"""Which islands of the catalogue a cluster names in place of one that is not in it."""

import numpy as np
import pytest

from radiounet.measuring.catalogue import merge_run
from radiounet.measuring.columns import EMPTY, TABLES
from radiounet.measuring.duplicates import drop_duplicates
from radiounet.measuring.mosaic_tables import MosaicTable


def a_row(kind, **values):
    return {name: EMPTY[column.kind] for name, column in TABLES[kind].items()} | values


def mosaic(name, **islands):
    """Islands of a mosaic: of each its footprint, the area inside the mosaic's cell, its region."""
    rows = [
        a_row("islands", name=one, parent=parent, mosaic=name, owned_fraction=part, area_arcmin2=len(pixels))
        for one, (pixels, part, parent) in islands.items()
    ]
    prints = [" ".join(map(str, pixels)) for pixels, _, _ in islands.values()]
    return MosaicTable(rows, {"footprints": prints})


def standing_for(name, of, footprint, *mosaics):
    _, names = drop_duplicates(mosaics)
    return names.standing_for(name, of, footprint)


WHOLE = mosaic("east", e1=(range(195), 1.0, "e1"), e2=(range(205, 400), 1.0, "e1"))
"""One region in two pieces."""
CUT_ELSEWHERE = mosaic(
    "west", w1=(range(155), 0.1, "w1"), w2=(range(155, 245), 0.4, "w1"), w3=(range(245, 400), 0.1, "w1")
)
"""The same in three: the middle one shares 40 of its 90 pixels with each of the two."""


@pytest.mark.parametrize(
    ("shared", "size", "expected"),
    [
        (1, 10, []),
        (4, 10, []),
        (5, 10, ["x"]),  # half of the smaller footprint
        (14, 40, []),
        (15, 40, ["x"]),
        (4, 9, []),
        (5, 9, ["x"]),
    ],
)
def test_a_neighbour_is_named_only_if_it_is_the_same_island(shared, size, expected):
    east = mosaic("east", x=(range(30 - shared, 30 - shared + size), 1.0, "x"))
    assert standing_for("w", "west", range(30), east) == expected


@pytest.mark.parametrize("mosaics", [(WHOLE, CUT_ELSEWHERE), (CUT_ELSEWHERE, WHOLE)])
def test_islands_that_cover_one_together_are_named(mosaics):
    assert standing_for("w1", "west", range(155), *mosaics) == ["e1"]
    assert standing_for("w2", "west", range(155, 245), *mosaics) == ["e1", "e2"]
    assert standing_for("w3", "west", range(245, 400), *mosaics) == ["e2"]
    assert standing_for("e1", "east", range(195), *mosaics) == ["e1"]


def test_a_cluster_names_what_covers_its_island_together_and_no_note_says_it_is_lost():
    prints = {"w2": " ".join(map(str, range(155, 245)))}
    row = a_row("clusters", name="C", mosaic="west", islands="w2", reason="cRH: halo in w2", note="")
    clusters = [MosaicTable([row], {"island_footprints": prints})]
    merged, _ = merge_run({"islands": [WHOLE, CUT_ELSEWHERE], "clusters": clusters})
    (cluster,) = merged["clusters"]
    assert sorted(merged["islands"]["name"]) == ["e1", "e2"]
    assert (cluster["islands"], cluster["reason"]) == ("e1; e2", "cRH: halo in a piece of e1 and e2 on west")
    assert cluster["note"] == ""


def reason_of(kept, reason, prints, *islands):
    """Reason of a cluster of west with some islands there, after the merge."""
    texts = {name: " ".join(map(str, pixels)) for name, pixels in prints.items()}
    row = a_row("clusters", name="C", mosaic="west", islands="; ".join(prints), reason=reason, note="")
    clusters = [MosaicTable([row], {"island_footprints": texts})]
    merged, _ = merge_run({"islands": islands, "clusters": clusters})
    (cluster,) = merged["clusters"]
    assert cluster["islands"] == kept
    return cluster["reason"]


def test_a_reason_keeps_pieces_apart_that_the_catalogue_has_under_other_names():
    prints = {"w1": range(155), "w2": range(155, 245), "w3": range(245, 400)}
    reason = "w1 cRH: near the centre; w2 U: a radio galaxy; w3 cRR: turned"
    assert reason_of("e1; e2", reason, prints, WHOLE, CUT_ELSEWHERE) == (
        "a piece of e1 on west cRH: near the centre; a piece of e1 and e2 on west U: a radio galaxy; "
        "a piece of e2 on west cRR: turned"
    )


def test_two_pieces_of_one_island_of_the_catalogue_are_pieces_of_it():
    whole = mosaic("east", e=(range(100), 1.0, "e"))
    west = mosaic("west", w1=(range(50), 0.1, "w1"), w2=(range(50, 100), 0.1, "w1"))
    prints = {"w1": range(50), "w2": range(50, 100)}
    reason = reason_of("e", "w1 cRH: round; w2 cRR: turned", prints, whole, west)
    assert reason == "a piece of e on west cRH: round; a piece of e on west cRR: turned"


def test_an_island_that_one_other_stands_for_has_its_name():
    """Even if that is the name of another island of the mosaic."""
    east = mosaic("east", w2=(range(50), 1.0, "w2"), e2=(range(100, 150), 1.0, "e2"))
    west = mosaic("west", w1=(range(50), 0.1, "w1"), w3=(range(100, 150), 0.1, "w3"))
    prints = {"w1": range(50), "w3": range(100, 150)}
    reason = "w1 cRH: round; w3 cRR: turned"
    assert reason_of("w2; e2", reason, prints, east, west) == "w2 cRH: round; e2 cRR: turned"


def test_a_reason_lists_three_islands_as_a_sentence_does():
    thirds = {f"s{at}": ([*range(at, at + 6), *range(100 + at, 106 + at)], 1.0, "s0") for at in (0, 12, 24)}
    east, west = mosaic("east", **thirds), mosaic("west", w=(range(40), 0.01, "w"))
    reason = reason_of("s0; s12; s24", "cRH: halo in w", {"w": range(40)}, east, west)
    assert reason == "cRH: halo in a piece of s0, s12 and s24 on west"


def test_all_islands_that_stay_for_a_larger_one_are_named():
    """It shows half of each, 18 of its 40 pixels; they lie in the cell of their own mosaic."""
    halves = {at: [*range(at, at + 6), *range(100 + at, 106 + at)] for at in (0, 12, 24)}
    small = {f"s{at}": (pixels, 1.0, f"s{at}") for at, pixels in halves.items()}
    large = mosaic("west", w=(range(40), 0.01, "w"))
    assert standing_for("w", "west", range(40), mosaic("east", **small), large) == ["s0", "s12", "s24"]


def test_no_more_are_named_than_it_takes():
    sliver = {"b": ([0, *range(100, 130)], 1.0, "b")}
    east = mosaic("east", a=(range(10, 80), 1.0, "a"), **sliver)
    assert standing_for("w", "west", range(30), east) == ["a"]
    east = mosaic("east", a=(range(18, 80), 1.0, "a"), **sliver)
    north = mosaic("north", c=([*range(1, 6), *range(300, 330)], 1.0, "c"))
    assert standing_for("w", "west", range(30), east, north) == ["a", "c"]


def test_a_piece_of_its_own_mosaic_stands_for_none():
    """Footprints of pieces that touch share pixels."""
    west = mosaic("west", v=([*range(20, 30), *range(100, 140)], 1.0, "v"))
    east = mosaic("east", x=(range(-40, 8), 1.0, "x"))
    assert standing_for("w", "west", range(30), east, west) == []


@pytest.mark.parametrize("seed", range(30))
def test_none_that_its_mosaic_lists_in_its_cell_is_without_a_name(seed):
    rng = np.random.default_rng(seed)
    prints, mosaics = {}, []
    for letter in "abc":
        ends = np.unique(rng.integers(0, 60, 9)).tolist()
        names = {f"{letter}{at}": set(range(at, end)) for at, end in zip(ends, ends[1:], strict=False)}
        prints |= names
        shares = dict(zip(names, rng.uniform(0.05, 1, len(names)), strict=True))
        regions = {one: (sorted(names[one]), shares[one], f"{letter}{ends[0]}") for one in names}
        mosaics.append(mosaic(letter, **regions))
    left, names = drop_duplicates(mosaics)
    stay = {row["name"] for table in left for row in table.rows}
    dropped = prints.keys() - stay
    assert dropped
    for one in dropped:
        found = names.standing_for(one, one[0], prints[one])
        assert found
        assert stay.issuperset(found)
        assert all(other[0] != one[0] for other in found)
        shared = [len(prints[one] & prints[other]) for other in found]
        covered = len(prints[one] & set().union(*(prints[other] for other in found)))
        halves = [2 * n >= len(prints[other]) for n, other in zip(shared, found, strict=True)]
        assert 2 * covered >= len(prints[one]) or all(halves)
