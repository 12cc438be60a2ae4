"""Maps of chosen pixels, written as the stages write them."""

import numpy as np

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs
from radiounet.images.provenance import sha256_of
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.writing import write_fits
from radiounet.network.masks import write_maps


def write_products(paths, plane, probability, mask, **cards):
    """Write image, probability map and mask of one mosaic to three paths; `cards` are of the image."""
    image, *maps = map(str, paths)
    header = plane.header()
    header.update(cards)
    write_fits(image, plane.data, header)
    made = {"model": "m", "modelsha": "0", "imagesha": sha256_of(image), "inputsha": sha256_of(image)}
    made |= {"segmode": "exact", "precis": "float32"}
    cleaned = {"thresh": 0.5, "maskpeak": 0.5, "minbeams": 1.0}
    planes = np.asarray(probability, np.float32), np.asarray(mask, np.uint8)
    write_maps(plane, image, *planes, made, cleaned, *maps)


def arcmin_from(wcs, ra_deg, dec_deg):
    """Distances of the pixels of a grid, ``[y, x]``."""
    y, x = np.indices(wcs.array_shape)
    places = unit_vectors(*wcs.wcs_pix2world(x.ravel(), y.ravel(), 0))
    return 60 * separation_deg(unit_vectors(ra_deg, dec_deg), places).reshape(wcs.array_shape)


def broad_plane():
    """Empty plane of 300 x 2400 px of 90": those at column 2200 are by a tenth larger than in the middle."""
    wcs = grid_wcs(150.0, 0.0, 2400, 90.0)
    wcs.wcs.crpix = [1200, 150]
    return Plane(np.zeros((300, 2400), np.float32), wcs, Beam(400, 400))
