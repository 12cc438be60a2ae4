"""Catalogues of clusters and tables of labels, for tests."""

import numpy as np
from astropy.table import Table

from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import CLUSTERS, make_table

META = {"version": "1", "codehash": "0123456789ab", "model": "m"}


def catalogue_table(rows: list[dict]) -> Table:
    """Catalogue of clusters; what a row leaves out is NaN or empty."""
    blank = {name: np.nan if column.kind is float else column.kind() for name, column in CLUSTERS.items()}
    return make_table("clusters", [blank | row for row in rows], META)


def write_clusters(path, rows):
    """Write a catalogue as the workflow does, by its suffix."""
    write_catalogue(catalogue_table(rows), path)
    return path


def write_lines(path, *lines):
    """Write a text table."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
