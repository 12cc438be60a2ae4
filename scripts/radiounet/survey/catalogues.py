"""Published cluster catalogues, brought to the columns of a cluster table."""

from pathlib import Path

import astropy.units as u
from astropy.table import QTable, Table

from radiounet.errors import ConfigError
from radiounet.images.tables import TableError, read_table
from radiounet.images.words import writable
from radiounet.settings.catalogues import CLUSTER_COLUMNS, ClusterCatalogue
from radiounet.survey.cluster_columns import column_numbers, column_texts, parse_unit


def convert_catalogue(path: str | Path, name: str, catalogue: ClusterCatalogue) -> QTable:
    """Bring a catalogue (VizieR VOTable, or another table) to our columns.

    Parameters
    ----------
    path : path
        The fetched table.
    name : str
        Of the catalogue, for errors.
    catalogue : ClusterCatalogue
        Its columns and units; a column of neither unit has none in the result.

    Raises
    ------
    ConfigError
        A column is missing, or a unit is none.
    TableError
        Not a table, one without rows, or a number that is none.
    ServiceError
        The service answered with an error.
    """
    table = read_table(path)
    result, units = QTable(), {str(ours): unit for ours, unit in catalogue.units.items()}
    for ours, theirs in (catalogue.columns or _same_names(table)).items():
        if theirs not in table.colnames:
            raise ConfigError(f"{path}: {name} has no column {theirs}; it has {table.colnames}")
        column = table[theirs]
        if ours == "name":
            result[ours] = [writable(text) for text in column_texts(column)]
            continue
        stated = "" if ours == "z" else units.get(ours) or str(getattr(column, "unit", None) or "")
        unit = parse_unit(stated, f"{name}: column {theirs}") if stated else u.dimensionless_unscaled
        values, wrong = column_numbers(column, unit, None)
        if wrong:
            raise TableError(f"{path}: {theirs} of {name} must be a number: {next(iter(wrong.values()))!r}")
        if isinstance(unit, u.function.FunctionUnitBase):  # a logarithm
            values, unit = unit.to(unit.physical_unit, values), unit.physical_unit
        # solMass of 1e14 solMass
        plain = unit if unit.scale == 1 else u.CompositeUnit(1, unit.bases, unit.powers)
        result[ours] = values * unit.scale * plain if stated else values
    if not len(table):
        raise TableError(f"{path}: {name} has no rows")
    return result


def _same_names(table: Table) -> dict[str, str]:
    """Columns of a table that has our names; those that every cluster needs are among them."""
    needed = ("name", "ra", "dec", "z")
    return {ours: ours for ours in CLUSTER_COLUMNS if ours in needed or ours in table.colnames}
