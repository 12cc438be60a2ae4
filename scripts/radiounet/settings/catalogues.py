"""Published cluster catalogues: where they are, and what their columns mean."""

from typing import Literal

from pydantic import Field

from radiounet.settings.section import Section, Source

CLUSTER_COLUMNS = ("name", "ra", "dec", "z", "M500", "R500")
"""Columns of a cluster table, by our names."""


class ClusterCatalogue(Section):
    """A cluster catalogue that a run fetches."""

    url: Source = Field(description="VOTable, or another table: a URL, or a local file")
    columns: dict[Literal["name", "ra", "dec", "z", "M500", "R500"], str] = Field(
        {}, description="our name of each column: its name in the table; empty: the same names"
    )
    units: dict[Literal["ra", "dec", "M500", "R500"], str] = Field(
        {},
        description="our name of a column: its unit, such as 1e14 solMass, in place of what the table states",
    )


PUBLISHED_CATALOGUES = {
    "psz2": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/594/A27/psz2"
        "&-out.max=unlimited&-out=Name&-out=RAdeg&-out=DEdeg&-out=z&-out=MSZ",
        "columns": {"name": "Name", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "M500": "MSZ"},
        "units": {"ra": "deg", "dec": "deg", "M500": "1e14 solMass"},
    },
    "mcxc": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/534/A109/mcxc"
        "&-out.max=unlimited&-out=MCXC&-out=RAdeg&-out=DEdeg&-out=z&-out=M500&-out=R500",
        "columns": {"name": "MCXC", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "R500": "R500"},
        "units": {"ra": "deg", "dec": "deg", "R500": "Mpc"},
    },
}
"""The table of catalogues: a new one is an entry here, or in `archive.clusters` of the configuration."""
