"""Outlines of islands, as all pictures and regions have them."""

import numpy as np
import pytest

from radiounet.publishing.pictures import filled, outlines

TOUCHING = np.array([[4, 4, 2, 0], [4, 4, 2, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("islands", "ends"),
    [
        # by hand: first and last row and column of each line; that of island 2 first
        (TOUCHING, [((-0.5, 1.5), (1.5, 2.5)), ((-0.5, -0.5), (1.5, 1.5))]),
        (np.array([[3, 3, 3], [3, -1, 3], [3, 3, 3]]), [((-0.5, -0.5), (2.5, 2.5))]),
        (np.array([[3, 3, 3], [3, 0, 3], [3, 3, 3]]), [((-0.5, -0.5), (2.5, 2.5)), ((0.5, 0.5), (1.5, 1.5))]),
        (np.array([[0, -1], [-1, 0]]), []),
        (np.zeros((2, 2), int), []),
    ],
)
def test_every_island_has_a_closed_outline_at_the_edge_of_its_pixels(islands, ends):
    lines = outlines(islands)
    assert [(tuple(line.min(axis=0)), tuple(line.max(axis=0))) for line in lines] == ends
    for line in lines:
        np.testing.assert_array_equal(line[0], line[-1])


def test_only_what_was_blanked_inside_an_island_fills_it():
    islands = np.array([[3, 3, 3, -1], [3, -1, 3, -1], [3, 3, 3, 0], [3, 0, 0, 5]])
    expected = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]], bool)
    np.testing.assert_array_equal(filled(islands, 3), expected)
    notched = np.array([[3, 3, 3], [3, -1, -1], [3, 3, 3]])  # open to one side: no hole
    np.testing.assert_array_equal(filled(notched, 3), notched == 3)
