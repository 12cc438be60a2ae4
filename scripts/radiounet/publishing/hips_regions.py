"""Regions of a HiPS, the tiles of its coarsest order: each is a job of a publication.

Imported while the job graph is made, so of the package nothing heavy is loaded here.
"""

from collections.abc import Iterable

import healpy
import numpy as np

from radiounet.survey.survey import Survey

TOP_ORDER = 3
"""Coarsest order of tiles of a HiPS; one job makes all below one tile of it."""
REGION_MARGIN_DEG = 0.2


def regions_of(survey: Survey, mosaics: Iterable[str]) -> dict[int, list[str]]:
    """Tiles of the coarsest order, and the mosaics that may show something of each."""
    regions: dict[int, list[str]] = {}
    for name in sorted(mosaics):
        place = survey.mosaics[name]
        if not place.n_px:
            continue
        radius = np.radians(np.sqrt(2) * survey.cells.half_deg(place) + REGION_MARGIN_DEG)
        centre = healpy.ang2vec(place.ra_deg, place.dec_deg, lonlat=True)
        for number in healpy.query_disc(2**TOP_ORDER, centre, radius, inclusive=True, nest=True).tolist():
            regions.setdefault(number, []).append(name)
    return regions
