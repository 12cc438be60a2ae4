"""Tables of the results site: what lists show of every cluster and island, and all numbers of one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from radiounet.images.products import file_stems
from radiounet.measuring.columns import COLUMNS

LISTED = {
    "clusters": (
        "name",
        "ra_deg",
        "dec_deg",
        "redshift",
        "r500_arcmin",
        "class",
        "p_diffuse",
        "flux_mjy",
        "flux_err_mjy",
        "flux_r500_mjy",
        "flux_r500_err_mjy",
        "halo_flux_mjy",
        "halo_flux_err_mjy",
        "relic_flux_mjy",
        "relic_flux_err_mjy",
        "upper_limit_mjy",
        "coverage",
    ),
    "islands": (
        "name",
        "ra_deg",
        "dec_deg",
        "class",
        "total_flux_mjy",
        "total_flux_err_mjy",
        "las_arcmin",
        "area_arcmin2",
        "p_mean",
        "p_max",
        "peak_snr",
    ),
}
"""Columns of lists; all others are shown on the page of a cluster or island."""
NOWHERE = "_"
"""In place of the mosaic of a cluster without a position; no mosaic can be called so."""
DIGITS = 7
"""Significant digits of a number: with fewer, a page that rounds again may show another one."""
PLACES = {"ra_deg": 5, "dec_deg": 5, "fit_ra_deg": 5, "fit_dec_deg": 5}
"""Decimal places of positions: 0.04 arcsec."""


def value_of(cell: Any, places: int | None = None) -> Any:
    """A cell as JSON can hold it: a number, a text, a bool; None where it is empty."""
    if cell is None or cell is np.ma.masked:
        return None
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, float):
        if not np.isfinite(cell):
            return None
        short = round(cell, places) if places is not None else float(f"{cell:.{DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e9 else short
    return str(cell) or None if isinstance(cell, str) else cell


def flag_names(table: Table) -> list[str]:
    """Columns of flags, in the order of their bits in `list_of`."""
    return [name for name in table.colnames if name.startswith("flag_")]


def rows_by_mosaic(table: Table) -> dict[str, list[int]]:
    """Rows of each mosaic, in the order of the table; those of none under `NOWHERE`."""
    found: dict[str, list[int]] = {}
    for row, mosaic in enumerate(table["mosaic"].tolist()):
        found.setdefault(value_of(mosaic) or NOWHERE, []).append(row)
    return found


def stems_of(tables: Mapping[str, Table]) -> dict[str, list[str]]:
    """Names of files of every row of some tables.

    They are unique within a mosaic, over all tables: a cluster may be called like an island.
    """
    stems = {kind: [""] * len(table) for kind, table in tables.items()}
    by_mosaic: dict[str, list[tuple[str, int]]] = {}
    for kind, table in tables.items():
        for mosaic, rows in rows_by_mosaic(table).items():
            by_mosaic.setdefault(mosaic, []).extend((kind, row) for row in rows)
    for places in by_mosaic.values():
        names = [str(tables[kind]["name"][row]) for kind, row in places]
        for (kind, row), stem in zip(places, file_stems(names), strict=True):
            stems[kind][row] = stem
    return stems


def hosts_of(clusters: Table, stems: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Clusters that each island belongs to, by its name: their mosaics, stems and names.

    Several own images may show one cluster: each is a host, see `shown_hosts`.
    """
    found: dict[str, list[dict[str, str]]] = {}
    if "islands" in clusters.colnames:
        for row, stem in zip(clusters, stems, strict=True):
            host = {"mosaic": value_of(row["mosaic"]) or NOWHERE, "stem": stem, "name": str(row["name"])}
            for name in filter(None, (value_of(row["islands"]) or "").split("; ")):
                found.setdefault(name, []).append(host)
    return found


def shown_hosts(hosts: Sequence[dict[str, str]], mosaic: str) -> list[dict[str, str]]:
    """Each cluster once: as the mosaic of the island shows it, if it does."""
    by_name: dict[str, dict[str, str]] = {}
    for host in sorted(hosts, key=lambda one: one["mosaic"] != mosaic):
        by_name.setdefault(host["name"], host)
    return list(by_name.values())


def list_of(kind: str, table: Table, stems: Sequence[str], mosaics: Sequence[str]) -> dict[str, Any]:
    """What lists and maps show of all rows, column by column.

    Parameters
    ----------
    kind : {'clusters', 'islands'}
    table : Table
    stems : sequence of str
        From `stems_of`.
    mosaics : sequence of str
        Names of all mosaics, to which ``mosaic`` counts; it is null without one.

    Returns
    -------
    dict
        ``count``, ``classes`` (to which ``class`` counts) and ``columns``: those of `LISTED`, ``mosaic``,
        ``stem`` (null where it is the name with underscores), and ``flags``, the sum of 2^bit.
    """
    columns: dict[str, list] = {
        name: [value_of(cell, PLACES.get(name)) for cell in table[name].tolist()] for name in LISTED[kind]
    }
    classes = sorted({one or "" for one in columns["class"]})
    columns["class"] = [classes.index(one or "") for one in columns["class"]]
    number = {name: index for index, name in enumerate(mosaics)}
    mosaics_of = map(value_of, table["mosaic"].tolist())
    columns["mosaic"] = [number[one] if one is not None else None for one in mosaics_of]
    names = [str(one) for one in table["name"]]
    columns["stem"] = [
        None if stem == name.replace(" ", "_") else stem for stem, name in zip(stems, names, strict=True)
    ]
    bits = np.zeros(len(table), int)
    for bit, name in enumerate(flag_names(table)):
        bits |= np.asarray(np.ma.filled(table[name], fill_value=False), bool).astype(int) << bit
    columns["flags"] = bits.tolist()
    return {"count": len(table), "classes": classes, "columns": columns}


def row_of(row: Table.Row) -> dict[str, Any]:
    """All cells of a row that are not empty."""
    cells = {name: value_of(row[name], PLACES.get(name)) for name in row.colnames}
    return {name: cell for name, cell in cells.items() if cell is not None and cell is not False}


def columns_of(kind: str, table: Table) -> dict[str, list[Any]]:
    """Unit, description and decimal places of every column of a catalogue."""
    return {
        name: [known.unit or "", known.description, 0 if known.kind is int else known.digits]
        for name, known in COLUMNS[kind].items()
        if name in table.colnames
    }
