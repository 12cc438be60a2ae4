"""Which island of the catalogue a cluster names in place of one that is not in it."""

import pytest

from radiounet.measuring.duplicates import Names


@pytest.mark.parametrize(
    ("shared", "size", "name"),
    [
        (1, 10, "w"),
        (4, 10, "w"),
        (5, 10, "x"),  # half of the smaller footprint
        (14, 40, "w"),
        (15, 40, "x"),
        (4, 9, "w"),
        (5, 9, "x"),
    ],
)
def test_a_neighbour_is_named_only_if_it_is_the_same_island(shared, size, name):
    names = Names()
    names.add("x", range(30 - shared, 30 - shared + size))
    assert names.same("w", range(30)) == name


def test_of_several_the_one_that_shares_most_is_named():
    names = Names()
    names.add("a", range(5))
    names.add("b", range(10, 18))
    names.add("c", range(18, 200))  # shares more, but not half
    assert names.same("w", range(30)) == "b"
    names.add("w", range(20, 24))
    assert names.same("w", range(30)) == "w"
