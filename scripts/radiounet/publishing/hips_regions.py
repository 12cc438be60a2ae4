"""Regions of a HiPS, the tiles of its coarsest order: each is a job of a publication.

Imported while the job graph is made, so of the package nothing heavy is loaded here.
"""

from collections.abc import Iterable

from radiounet.survey.survey import Survey

TOP_ORDER = 3
"""Coarsest order of tiles of a HiPS; one job makes all below one tile of it."""


def regions_of(survey: Survey, mosaics: Iterable[str]) -> dict[int, list[str]]:
    """Tiles of the coarsest order, and the mosaics that may own something of each."""
    regions: dict[int, list[str]] = {}
    for name in sorted(mosaics):
        if not survey.mosaics[name].n_px:
            continue
        for number in survey.cells.healpix_pixels(name, TOP_ORDER):
            regions.setdefault(number, []).append(name)
    return regions
