"""Maps that one job of several mosaics made ahead. The job of each mosaic takes its own from here.

When a job of several mosaics is killed, Snakemake removes the products of all of them. What lies on
the shelf stays, and is taken when the job is tried again.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from radiounet.images.products import Products
from radiounet.images.provenance import sha256_of
from radiounet.images.writing import atomic

MAPS = ("probability", "mask")
"""What is made of a mosaic, methods of `Products`."""


class Shelf:
    """The shelf of a run, as one job uses it.

    Parameters
    ----------
    products : Products
    made_with : str
        What decides about the maps beside the image: model, settings, code.
    """

    def __init__(self, products: Products, made_with: str):
        self._folder, self._made_with = products.shelf(), made_with

    def places(self, mosaic: str, image: str) -> list[str]:
        """Where the maps of an image lie, in the order of `MAPS`; their names tell what they are made of."""
        made_of = hashlib.sha256(f"{self._made_with} {sha256_of(image)}".encode()).hexdigest()[:16]
        return [f"{self._folder}/{mosaic}.{made_of}.{kind}.fits" for kind in MAPS]

    def has(self, mosaic: str, image: str) -> bool:
        """Whether the maps of an image are there."""
        return os.path.isfile(image) and all(map(os.path.isfile, self.places(mosaic, image)))

    def take(self, mosaic: str, image: str, targets: Sequence[str]) -> None:
        """Put the maps of an image in their place; they stay on the shelf, too."""
        for place, target in zip(self.places(mosaic, image), targets, strict=True):
            _link(place, target)
            os.utime(target)

    def lay(self, mosaic: str, image: str, made: Sequence[str]) -> None:
        """Lay the maps of an image on the shelf."""
        for place, path in zip(self.places(mosaic, image), made, strict=True):
            _link(path, place)


def _link(source: str, target: str) -> None:
    """Give a file a second name; where the file system has no such links, a copy."""
    with atomic(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def clear_shelf(products: Products) -> None:
    """Remove from the shelf what was taken: maps of mosaics whose maps are in their place."""
    for path in Path(products.shelf()).glob("[!.]*.fits"):
        mosaic = re.sub(r"\.[0-9a-f]{16}\.\w+\.fits$", "", path.name)
        if all(os.path.isfile(getattr(products, kind)(mosaic)) for kind in MAPS):
            path.unlink(missing_ok=True)
