"""What pictures of the sky share: brightness, a compass, a scale bar, and the colours of what is drawn."""

from typing import Any, TypedDict

import numpy as np
from astropy.visualization import AsinhStretch, ImageNormalize
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import AbstractPathEffect, withStroke
from scipy import ndimage
from skimage.measure import find_contours

from radiounet.images.image import Plane
from radiounet.images.noise import robust_rms

# told apart on a dark map, by the colour-blind too
CLUSTER_COLOUR = "#8aff80"
MASK_COLOUR = "#00b4d8"
BARS_KPC = (1000, 500, 200, 100, 50)
BARS_ARCMIN = (600, 300, 120, 60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)


class Style(TypedDict):
    """Arguments of a line or a text."""

    color: str
    path_effects: list[AbstractPathEffect]


OUTLINED: Style = {"color": "white", "path_effects": [withStroke(linewidth=2, foreground="black")]}
"""Of lines and texts that are seen on bright emission, too."""


def stretch(image: np.ndarray) -> ImageNormalize:
    """Stretch that shows noise and sources of an image ``[y, x]`` in Jy/beam; of values in mJy/beam."""
    rms = robust_rms(image) or float(np.nanmax(np.abs(image))) / 30  # an image without noise
    return ImageNormalize(vmin=-2e3 * rms, vmax=3e4 * rms, stretch=AsinhStretch(0.1))


def draw_brightness(
    axes: Axes, image: np.ndarray, extent: tuple[float, float, float, float], norm: ImageNormalize
) -> AxesImage:
    """Draw an image.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    image : ndarray, ``[y, x]``
        Jy/beam; NaN, where blank, is grey.
    extent : tuple of 4 float
        Left, right, bottom and top, in the units of the axes.
    norm : ImageNormalize
        From `stretch`.
    """
    axes.set_facecolor("#888888")
    return axes.imshow(1e3 * image, origin="lower", extent=extent, norm=norm, cmap="inferno")


def draw_colour_bar(figure: Figure, shown: AxesImage, plane: Plane, **where: Any) -> None:
    """Draw the colour bar of an image; ``where`` are further arguments of ``Figure.colorbar``.

    Its label names the beam of Jy/beam if that is not the resolution of the plane.
    """
    is_coarser = plane.resolution not in (None, plane.beam)
    unit = f'mJy per beam of {plane.beam.major_arcsec:.3g}"' if is_coarser else "mJy/beam"
    figure.colorbar(shown, **where).set_label(f"Brightness ({unit})")


def outlines(islands: np.ndarray) -> list[np.ndarray]:
    """Outlines of islands: of those that touch, each has its own, so that the cut between them is seen.

    Parameters
    ----------
    islands : ndarray of int, ``[y, x]``
        Islands from 1, 0 outside, below 0 where a radio galaxy was blanked.

    Returns
    -------
    list of ndarray, ``[point, (row, column)]``
        Closed lines along the edges of pixels, also at the border: of island 1, of island 2, ...
    """
    lines = []
    for number, box in enumerate(ndimage.find_objects(np.maximum(islands, 0)), start=1):
        if box is None:
            continue
        inside = np.pad(filled(islands[box], number), 1)
        corner = [part.start - 1 for part in box]
        lines += [line + corner for line in find_contours(inside.astype(float), 0.5)]
    return lines


def filled(islands: np.ndarray, number: int) -> np.ndarray:
    """Pixels of an island, with radio galaxies that were blanked inside it; bool ``[y, x]``."""
    inside, blanked = islands == number, islands < 0
    return inside | (blanked & ndimage.binary_fill_holes(inside)) if blanked.any() else inside


def draw_compass(axes: Axes, place: np.ndarray, north: np.ndarray, east: np.ndarray) -> None:
    """Draw arrows that point north and east.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    place, north, east : ndarray of 2
        Where the arrows begin, and the arrows, in the units of the axes.
    """
    style = {"arrowstyle": "-|>", "lw": 1, **OUTLINED}
    for arrow, label in ((north, "N"), (east, "E")):
        axes.annotate("", place + arrow, (place[0], place[1]), arrowprops=style)
        x, y = place + 1.25 * arrow
        axes.text(x, y, label, ha="center", va="center", fontsize=9, **OUTLINED)


def longest_bar(below_arcmin: float, arcmin_per_kpc: float = np.nan) -> tuple[float, str]:
    """Choose a scale bar that fits: the longest of `BARS_KPC` or, where none fits, of `BARS_ARCMIN`.

    Parameters
    ----------
    below_arcmin : float
        What it must be shorter than.
    arcmin_per_kpc : float
        NaN where no distance is known.

    Returns
    -------
    float
        Its length, arcmin; the shortest where none fits.
    str
        Its label.
    """
    bars = [
        *((one * arcmin_per_kpc, f"{one} kpc" if one < 1000 else "1 Mpc") for one in BARS_KPC),
        *((one, f"{one:g}'" if one < 60 else f"{one / 60:g}°") for one in BARS_ARCMIN),
    ]
    return next((one for one in bars if one[0] < below_arcmin), bars[-1])


def draw_scale_bar(axes: Axes, start: np.ndarray, length: float, label: str, rise: float) -> None:
    """Draw a horizontal bar and what it measures.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    start : ndarray of 2
        Its left end as it is seen, in the units of the axes.
    length, rise : float
        From there to the right end, and up to the text.
    label : str
    """
    x, y = start
    axes.plot([x, x + length], [y, y], linewidth=2, **OUTLINED)
    # a label may be longer than its bar, which is near the right edge
    axes.text(x + length, y + rise, label, fontsize=8, ha="right", **OUTLINED)
