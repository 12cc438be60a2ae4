"""Published cluster catalogues: where they are, and what their columns mean."""

from typing import Literal

from pydantic import Field

from radiounet.settings.section import FileOrUrl, Section

CLUSTER_COLUMNS = ("name", "ra", "dec", "z", "M500", "R500")
"""Columns of a cluster table, by our names."""


class ClusterCatalogue(Section):
    """A cluster catalogue that a run fetches."""

    url: FileOrUrl = Field(description="VOTable, or another table: a URL, or a local file")
    columns: dict[Literal["name", "ra", "dec", "z", "M500", "R500"], str] = Field(
        {}, description="our name of each column: its name in the table; empty: the same names"
    )
    units: dict[Literal["ra", "dec", "M500", "R500"], str] = Field(
        {},
        description="our name of a column: its unit, such as 1e14 solMass, in place of what the table states",
    )


PUBLISHED_CATALOGUES = {
    # Planck Collaboration 2016, A&A 594, A27; ReadMe of J/A+A/594/A27
    "psz2": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/594/A27/psz2"
        "&-out.max=unlimited&-out=Name&-out=RAdeg&-out=DEdeg&-out=z&-out=MSZ",
        "columns": {"name": "Name", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "M500": "MSZ"},
        "units": {"ra": "deg", "dec": "deg", "M500": "1e14 solMass"},
    },
    # Piffaretti et al. 2011, A&A 534, A109; ReadMe of J/A+A/534/A109
    "mcxc": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/534/A109/mcxc"
        "&-out.max=unlimited&-out=MCXC&-out=RAdeg&-out=DEdeg&-out=z&-out=M500&-out=R500",
        "columns": {"name": "MCXC", "ra": "RAdeg", "dec": "DEdeg", "z": "z", "R500": "R500"},
        "units": {"ra": "deg", "dec": "deg", "R500": "Mpc"},
    },
    # Sadibekova et al. 2024, A&A 688, A187; _RAJ2000 and _DEJ2000 are computed by VizieR for any catalogue;
    # R500 in Mpc, as in the first release, whose names of columns it continues
    "mcxc2": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/688/A187/mcxcii"
        "&-out.max=unlimited&-oc.form=dec&-out=MCXC&-out=_RAJ2000&-out=_DEJ2000&-out=z&-out=R500",
        "columns": {"name": "MCXC", "ra": "_RAJ2000", "dec": "_DEJ2000", "z": "z", "R500": "R500"},
        "units": {"ra": "deg", "dec": "deg", "R500": "Mpc"},
    },
    # primary catalogue, Bulbul et al. 2024, A&A 685, A106; R500 in kpc, as in its erass1cl_primary_v3.2.fits
    "erass1": {
        "url": "https://vizier.cds.unistra.fr/viz-bin/votable?-source=J/A%2BA/685/A106/emain"
        "&-out.max=unlimited&-oc.form=dec&-out=Name&-out=RAJ2000&-out=DEJ2000&-out=zBest&-out=R500",
        "columns": {"name": "Name", "ra": "RAJ2000", "dec": "DEJ2000", "z": "zBest", "R500": "R500"},
        "units": {"ra": "deg", "dec": "deg", "R500": "kpc"},
    },
    # Hilton et al. 2021, ApJS 253, 3, as LAMBDA has it. M500c follows the scaling relation of Arnaud et al.
    # 2010; M500cCal, with weak lensing, is M500c / 0.69
    "act_dr5": {
        "url": "https://lambda.gsfc.nasa.gov/data/suborbital/ACT/ACT_dr5/DR5_cluster-catalog_v1.1.fits",
        "columns": {"name": "name", "ra": "RADeg", "dec": "decDeg", "z": "redshift", "M500": "M500c"},
        "units": {"ra": "deg", "dec": "deg", "M500": "1e14 solMass"},
    },
}
"""The table of catalogues: a new one is an entry here, or in `archive.clusters` of the configuration."""
