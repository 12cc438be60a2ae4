"""Parts of a HiPS: each has one tile of the coarsest order and all below it, and is one job of a publication.

Imported while the job graph is made, so of the package nothing heavy is loaded here.
"""

from collections.abc import Iterable

from radiounet.survey.survey import Survey

TOP_ORDER = 3
"""Coarsest order of tiles of a HiPS."""


def parts_of(survey: Survey, mosaics: Iterable[str]) -> dict[int, list[str]]:
    """Parts, by the number of their tile of `TOP_ORDER`, and the mosaics that may own something of each."""
    parts: dict[int, list[str]] = {}
    for name in sorted(mosaics):
        if not survey.mosaics[name].n_px:
            continue
        for number in survey.cells.healpix_pixels(name, TOP_ORDER):
            parts.setdefault(number, []).append(name)
    return parts
