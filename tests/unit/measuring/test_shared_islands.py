"""Which other clusters a reason names."""

import numpy as np
import pytest
from test_diffuse_classes import DEC, RA, bar, measured

from radiounet.survey.survey import Cluster

DEG_PER_PX = 4.5 / 3600


def beside(y_px):
    """A cluster at 45 px west of a ridge; its R500 of 25 px reaches the edge of it."""
    west = 45 * DEG_PER_PX / np.cos(np.radians(DEC))
    return Cluster("beside", RA - west, DEC + y_px * DEG_PER_PX, 0.2, 25 * 4.5 / 60)


@pytest.mark.parametrize(
    ("y_px", "owners"),
    [(-40, "A 1, south"), (40, "B"), (0, "A 1, south and B")],  # not all that own a part of the ridge
)
def test_a_reason_names_the_clusters_that_own_what_lies_inside_r500(y_px, owners):
    ridge = bar(0, 0, 160, 14, 0)
    south, north = (
        Cluster(name, RA, DEC + y * DEG_PER_PX, 0.2, 4.0) for name, y in (("A 1, south", -40), ("B", 40))
    )
    row = measured(ridge, beside(y_px), [south, north, beside(y_px)])
    assert (row["class"], row["island_count"], row["flag_shared"]) == ("U", 0, True)
    assert row["reason"] == f"the emission inside R500 belongs to {owners}"
    shared = measured(ridge, south, [south, north, beside(y_px)])
    assert shared["reason"].endswith("a part of an island shared with B")


def test_a_part_names_all_that_share_the_island():
    three = [
        Cluster(name, RA, DEC + y * DEG_PER_PX, 0.2, 3.0) for name, y in (("a", -60), ("b", 0), ("c", 60))
    ]
    row = measured(bar(0, 0, 220, 12, 0), three[1], three)
    assert row["reason"].endswith("a part of an island shared with a and c")
