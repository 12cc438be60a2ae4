"""The cut-out of one island, made again from the products of its mosaic."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radiounet.images.geometry import pixel_scales_arcsec, to_pixels
from radiounet.images.image import open_plane, read_part
from radiounet.images.noise import BOX_PX, whole_boxes
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import MARGIN_BEAMS, MeasuredMosaic, cut_out
from radiounet.measuring.islands import island_centre
from radiounet.network.class_maps import read_classes

if TYPE_CHECKING:
    from radiounet.measuring.components import CompactFiles

MARGIN_PX = 4 * BOX_PX
"""What the level of the background depends on, around an island."""


def cut_out_island(
    image: str | Path,
    probability: str | Path,
    mask: str | Path,
    ra_deg: float,
    dec_deg: float,
    extent: float,
    compact: CompactFiles | None = None,
) -> StoredCutout | None:
    """Cut an island out of its mosaic as it was measured.

    Only a window of the mosaic is read. Its background and noise are those of the whole mosaic to about
    1 % of the rms.

    Parameters
    ----------
    image, probability, mask : path
        Products of the mosaic.
    ra_deg, dec_deg : float
        Of the island in its table, ICRS.
    extent : float
        Its largest size, arcmin.
    compact : CompactFiles, optional
        Where its compact sources come from, beside the image itself.

    Returns
    -------
    StoredCutout or None
        Its islands have numbers of their own, not those of the mosaic. None where the mask has no island.
    """
    maps = [open_plane(path, brightness=False) for path in (probability, mask)]
    x, y = to_pixels(maps[1].wcs, ra_deg, dec_deg)
    half = 60 * extent / float(pixel_scales_arcsec(maps[1].wcs, x, y)[1])
    ny, nx = maps[1].data.shape
    window = _span(float(y), half, ny), _span(float(x), half, nx)
    chance, marked = (one.window(*window) for one in maps)
    classes = read_classes(str(probability), *window)
    mosaic = MeasuredMosaic.of(read_part(image, *window), chance, marked.astype(np.uint8), classes, compact)
    if not mosaic.boxes:
        return None
    number = _nearest(mosaic, float(y) - window[0].start, float(x) - window[1].start)
    cutout = cut_out(mosaic, mosaic.around(mosaic.boxes[number - 1], MARGIN_BEAMS * mosaic.beam_px))
    stored = StoredCutout.of(cutout, cutout.labels == number)
    rows_there, columns_there = (
        slice(inner.start + outer.start, inner.stop + outer.start)
        for inner, outer in zip(stored.part, window, strict=True)
    )
    return replace(stored, part=(rows_there, columns_there))


def _nearest(mosaic: MeasuredMosaic, y: float, x: float) -> int:
    """Number of the island whose centre lies nearest: that of an arc may lie on another island."""
    distances = []
    for number, (rows, columns) in enumerate(mosaic.boxes, start=1):
        inside_y, inside_x = np.nonzero(mosaic.islands[0][rows, columns] == number)
        centre_y, centre_x, _ = island_centre(mosaic, inside_y + rows.start, inside_x + columns.start)
        distances.append(math.hypot(centre_y - y, centre_x - x))
    return int(np.argmin(distances)) + 1


def _span(centre: float, half: float, side: int) -> slice:
    return whole_boxes(int(centre - half) - MARGIN_PX, int(centre + half) + MARGIN_PX, side)
