"""Maps of the other classes that a network tells beside diffuse emission."""

import numpy as np
from astropy.io import fits

from radiounet.images.reading import reading
from radiounet.images.writing import class_extension
from radiounet.network.architectures.registry import OTHER_CLASSES


def read_classes(probability: str) -> dict[str, np.ndarray]:
    """Other classes in the extensions of a probability map, ``[y, x]`` uint8, 255 for a probability of 1."""
    with reading(probability), fits.open(probability, do_not_scale_image_data=True) as hdus:
        held = {hdu.name for hdu in hdus}
        return {
            name: hdus[class_extension(name)].data for name in OTHER_CLASSES if class_extension(name) in held
        }
