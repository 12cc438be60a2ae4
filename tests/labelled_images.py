"""Images with labels, as people give them to `radiounet score`."""

import numpy as np
from astropy.io import fits

from radiounet.images.beams import Beam
from radiounet.images.image import Plane, grid_wcs

N_PX = 120
HEAD = "# Region file format: DS9\nfk5\n"


def write_image(path, pixel_arcsec=4.5, beam_arcsec=20.0, n_px=N_PX, bright=None):
    """Noise of 0.1 mJy/beam about RA 150, Dec 40, and 10 mJy/beam on a part of it."""
    image = 1e-4 * np.random.default_rng(3).standard_normal((n_px, n_px)).astype(np.float32)
    if bright is not None:
        image[bright] = 1e-2
    wcs = grid_wcs(150.0, 40.0, n_px, pixel_arcsec)
    fits.writeto(path, image, Plane(image, wcs, Beam(beam_arcsec, beam_arcsec)).header())
    return wcs


def circle(wcs, x, y, radius_arcsec):
    ra, dec = wcs.wcs_pix2world(x, y, 0)
    return f'circle({ra},{dec},{radius_arcsec}")\n'
