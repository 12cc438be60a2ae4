"""Products of a survey that was run by regions, each of which has a folder of its own."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from radiounet.images.products import Products
from radiounet.images.reading import reading
from radiounet.images.writing import atomic

INDEX_COLUMNS = ("mosaic", "region")
RECORD = "region.json"
RECORD_ENTRIES = {"made_with": dict, "mosaics": list, "rejections": list, "sha256": dict}


@dataclass(frozen=True)
class ProductsOfRegions(Products):
    """Products of a survey of regions: those of a mosaic lie in the folder of its region.

    Parameters
    ----------
    root : str
        Folder of the survey.
    folders : dict of str to str
        Folder of each mosaic.
    """

    folders: dict[str, str] = field(hash=False)

    def of(self, mosaic: str) -> str:
        """Folder that holds the products of a mosaic."""
        return self.folders.get(mosaic, self.root)

    def mosaics(self, kind: str) -> list[str]:
        """Names of the mosaics that have a product, sorted."""
        return sorted(name for name in self.folders if Path(getattr(self, kind)(name)).is_file())


def products_at(root: str) -> Products:
    """Products in a folder: of a run, or of a survey whose regions were merged.

    Raises
    ------
    UnreadableError
        The list of the regions' mosaics is damaged.
    """
    products = Products(root)
    path = Path(products.region_index())
    return _of_regions(products, path.stat().st_mtime_ns) if path.is_file() else products


@cache
def _of_regions(products: Products, changed_ns: int) -> ProductsOfRegions:
    """Read the list once for each date that it has."""
    path = Path(products.region_index())
    with reading(path), open(path, encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
        if tuple(header) != INDEX_COLUMNS:
            raise ValueError(f"{path} is no list of the mosaics of regions")
        folders = {mosaic: f"{path.parent}/{region}" for mosaic, region in rows}
    return ProductsOfRegions(products.root, folders)


def write_index(products: Products, regions: Mapping[str, str]) -> None:
    """Write which region holds each mosaic.

    Parameters
    ----------
    products : Products
        Of the survey.
    regions : mapping of str to str
        Name of the region's folder by mosaic.
    """
    with (
        atomic(products.region_index()) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(INDEX_COLUMNS)
        writer.writerows(sorted(regions.items()))


def region_files(products: Products, limits: bool) -> list[str]:
    """Files that a region leaves, the record last."""
    kinds = ("islands", "clusters", *["limits"] * limits)
    return [*(products.region_file(f"{kind}.parquet") for kind in kinds), products.region_file(RECORD)]


def read_record(products: Products) -> dict[str, Any] | None:
    """Read the record of a region: ``made_with``, ``mosaics``, ``rejections``, ``sha256``; None without one.

    Raises
    ------
    UnreadableError
        It is damaged.
    """
    path = products.region_file(RECORD)
    if not Path(path).is_file():
        return None
    with reading(path):
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(record, dict) or any(
            not isinstance(record.get(key), kind) for key, kind in RECORD_ENTRIES.items()
        ):
            raise ValueError(f"no record of a region with {', '.join(RECORD_ENTRIES)}")
        return record
