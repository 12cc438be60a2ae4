"""Catalogues of clusters and tables of labels, for tests."""

from contextlib import contextmanager

import numpy as np
import pytest
from astropy.table import Table

from radiounet.measuring.catalogue import write_catalogue
from radiounet.measuring.columns import CLUSTERS, Column, make_table

META = {"version": "1", "codehash": "0123456789ab", "model": "m"}
CLASSIFIED = ("other_names", "class")


@contextmanager
def with_classes():
    """The catalogue has these columns."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CLASSIFIED:
            patch.setitem(CLUSTERS, name, CLUSTERS.get(name, Column(str, None, "meta.code", name)))
        yield


def catalogue_table(rows: list[dict]) -> Table:
    """Catalogue of clusters; what a row leaves out is NaN or empty."""
    blank = {name: np.nan if column.kind is float else column.kind() for name, column in CLUSTERS.items()}
    with with_classes():
        return make_table("clusters", [blank | row for row in rows], META)


def write_clusters(path, rows):
    """Write a catalogue as the workflow does, by its suffix."""
    table = catalogue_table(rows)
    with with_classes():
        write_catalogue(table, path)
    return path


def write_lines(path, *lines):
    """Write a text table."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
