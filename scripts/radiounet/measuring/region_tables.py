"""What a region of a survey leaves for the catalogue of the survey: the tables of its mosaics, unmerged.

Islands at the border of two regions are shown by mosaics of both, and only who has the tables of both can
tell which to keep. So the survey is merged from the same rows as in one piece, by the same code; a region
spares it the reading of one file for each mosaic.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from radiounet.errors import UnreadableError
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.reading import reading
from radiounet.images.regional_products import RECORD, read_record
from radiounet.images.rejections import Rejection
from radiounet.images.writing import atomic, write_json
from radiounet.measuring.columns import TABLES
from radiounet.measuring.mosaic_tables import MosaicTable, RunTables

_TYPES = {float: "float64", int: "int64", bool: "bool", str: "string"}


def write_region_tables(products: Products, run: RunTables, made_with: Mapping[str, Any]) -> None:
    """Write the tables of the mosaics of a region.

    Parameters
    ----------
    products : Products
        Of the region.
    run : RunTables
    made_with : mapping
        What its products depend on (JSON), see `read_record`.
    """
    checksums = {}
    for kind, tables in run.tables.items():
        path = products.region_file(f"{kind}.parquet")
        _write(path, kind, tables)
        checksums[kind] = sha256_of(path)
    write_json(
        products.region_file(RECORD),
        {
            "made_with": dict(made_with),
            "mosaics": run.mosaics,
            "sha256": checksums,
            "rejections": [asdict(one) for one in run.rejections],
        },
    )


def _write(path: str, kind: str, tables: Iterable[MosaicTable | Rejection]) -> None:
    import pyarrow
    from pyarrow import parquet

    rows: list[dict] = []
    about: list[dict] = []
    for one in tables:
        if isinstance(one, Rejection):
            about.append({"rejected": asdict(one)})
        else:
            about.append({"rows": len(one.rows), "meta": one.meta})
            rows += one.rows
    columns = {
        name: pyarrow.array([row[name] for row in rows], _TYPES[column.kind])
        for name, column in TABLES[kind].items()
    }
    meta = {"codehash": code_hash(), "tables": json.dumps(about, default=str)}
    with atomic(path) as temporary:
        parquet.write_table(pyarrow.table(columns).replace_schema_metadata(meta), temporary)


def read_region_tables(products: Products) -> RunTables:
    """Read what `write_region_tables` wrote.

    Raises
    ------
    UnreadableError
        A file is damaged, absent, or not that of the record.
    """
    record = read_record(products)
    if record is None:
        raise UnreadableError(f"{products.region_file(RECORD)} is missing: run this region again")
    tables = {}
    for kind, checksum in record["sha256"].items():
        path = products.region_file(f"{kind}.parquet")
        if not Path(path).is_file() or sha256_of(path) != checksum:
            raise UnreadableError(f"{path} is missing or was changed: run this region again")
        tables[kind] = _read(path)
    rejections = [Rejection(**one) for one in record["rejections"]]
    return RunTables(record["mosaics"], tables, rejections)


def _read(path: str) -> list[MosaicTable | Rejection]:
    from pyarrow import parquet

    with reading(path):
        content = parquet.read_table(path)
        about = json.loads(content.schema.metadata[b"tables"])
        rows = iter(content.to_pylist())
    return [
        Rejection(**one["rejected"])
        if "rejected" in one
        else MosaicTable(list(islice(rows, one["rows"])), one["meta"])
        for one in about
    ]


def join_regions(regions: Iterable[Products]) -> RunTables:
    """What the regions of a survey left, as if it had been run in one piece.

    Parameters
    ----------
    regions : iterable of Products
        No two have a mosaic in common.
    """
    names: list[str] = []
    entries: dict[str, list[MosaicTable | Rejection]] = defaultdict(list)
    rejections: list[Rejection] = []
    for region in regions:
        run = read_region_tables(region)
        names += run.mosaics
        for kind, tables in run.tables.items():
            entries[kind] += tables
        rejections += run.rejections
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = {kind: [found[index] for index in order] for kind, found in entries.items()}
    return RunTables([names[index] for index in order], ordered, rejections)
