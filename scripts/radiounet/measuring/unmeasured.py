"""Rows of clusters before anything is measured, or that could not be measured."""

import numpy as np
from astropy.coordinates import SkyCoord

from radiounet.measuring.columns import CLUSTERS, EMPTY
from radiounet.survey.survey import Cluster, join_notes

NOT_MEASURED = (
    "A number with decimals that was not measured is missing: NaN, or an empty field in the tables for CDS. "
    "Whole numbers and flags are never missing: where nothing was measured, whole numbers are 0, but "
    "fit_flag is -1, and flags are False. limit_trials is also 0 if limits were not measured. In clusters "
    "these are the rows whose class is N/A: leave them out when you count. They have what needs no "
    "measurement, such as flag_r500. Two kinds of them have more. Where the mosaics have data, but none "
    "inside R500, flag_coverage is True, and the frequency and the beam of the image are given. Where only "
    "the cluster's own mosaic has no data there, what the others show inside R500 is given, such as "
    "p_diffuse, mask_fraction and rms_ujy, and flag_coverage is True."
)
"""What the columns hold where nothing was measured, in a few sentences for people."""


def galactic_latitude_deg(ra_deg: float, dec_deg: float) -> float:
    """Galactic latitude of an ICRS position; NaN for NaN."""
    if not np.isfinite([ra_deg, dec_deg]).all():
        return float("nan")
    return float(SkyCoord(ra_deg, dec_deg, unit="deg").galactic.b.deg)


def unmeasured_cluster(cluster: Cluster, mosaic: str, why: str = "") -> dict[str, object]:
    """Row of a cluster with what its input row says, and `why` it was not measured; the rest is empty."""
    note = join_notes(cluster.note, why)
    row: dict[str, object] = {name: EMPTY[column.kind] for name, column in CLUSTERS.items()}
    return row | {
        "name": cluster.name,
        "other_names": cluster.other_names,
        "ra_deg": cluster.ra_deg,
        "dec_deg": cluster.dec_deg,
        "redshift": cluster.redshift,
        "r500_arcmin": cluster.r500_arcmin,
        "mosaic": mosaic,
        "galactic_latitude_deg": galactic_latitude_deg(cluster.ra_deg, cluster.dec_deg),
        "flag_r500": cluster.assumed_size,
        "fit_flag": -1,
        "class": "N/A",
        "reason": note,
        "note": note,
    }
