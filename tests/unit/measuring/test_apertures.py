"""What part of a mosaic is read around a cluster."""

import numpy as np

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.measuring.apertures import box_around
from radiounet.survey.survey import Cluster


def test_the_box_around_a_cluster_counts_the_shorter_side_of_a_pixel():
    """1.1 R500 of 15.02' are 220.3 rows of 4.5", and 32 more; with the longer side there would be 142."""
    wcs = grid_wcs(150.0, 40.0, 1000, 4.5)
    wcs.wcs.cdelt = [-9 / 3600, 4.5 / 3600]
    wcs.wcs.set()
    plane = Plane(np.zeros((1000, 1000), np.float32), wcs, Beam(20, 20))
    rows, columns = box_around(plane, Cluster("C", 150.0, 40.0, 0.2, 15.02))
    assert (rows.start, rows.stop) == (columns.start, columns.stop) == (246, 753)
