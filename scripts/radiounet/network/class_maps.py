"""Maps of the other classes that a network tells beside diffuse emission."""

import numpy as np
from astropy.io import fits

from radiounet.images.reading import reading
from radiounet.images.writing import class_extension
from radiounet.network.architectures.registry import OTHER_CLASSES


def read_classes(
    probability: str, rows: slice = slice(None), columns: slice = slice(None)
) -> dict[str, np.ndarray]:
    """Other classes in the extensions of a probability map, ``[y, x]`` uint8, 255 for a probability of 1.

    Parameters
    ----------
    probability : str
        Path of the map.
    rows, columns : slice
        Part of the planes to read; all of them by default.
    """
    with reading(probability), fits.open(probability, do_not_scale_image_data=True) as hdus:
        held = {hdu.name for hdu in hdus}
        return {
            name: hdus[class_extension(name)].section[rows, columns]
            for name in OTHER_CLASSES
            if class_extension(name) in held
        }
