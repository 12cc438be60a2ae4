"""A picture of one image, and of all that was found on it."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.visualization.wcsaxes import SphericalCircle, WCSAxes
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from radiounet.images.beams import beam_jacobian
from radiounet.images.geometry import jacobian, to_pixels
from radiounet.images.image import Plane, read_plane
from radiounet.images.reading import ecsv_table
from radiounet.images.words import one_line, save_figure
from radiounet.images.writing import atomic
from radiounet.measuring.islands import Island
from radiounet.publishing.pictures import (
    CLUSTER_COLOUR,
    MASK_COLOUR,
    OUTLINED,
    draw_brightness,
    draw_colour_bar,
    draw_compass,
    draw_scale_bar,
    longest_bar,
    outlines,
    stretch,
)

LARGEST_PX = 1200
"""A larger image is drawn with fewer pixels, each the mean of several."""
SIDE_INCH, LONGEST_INCH, NARROWEST_INCH = 7.0, 12.0, 4.5
"""Side of a square image, longest side of any, and width of the narrowest picture."""
LONGEST_RATIO = 6.0
"""Of the sides of a picture, whose labels need room: a longer strip of data has blank sky beside it."""
BLANK_MARGIN = 0.05
"""Of a partly blank image, what is shown around its data; of its size."""
MOST_NUMBERS = 10
"""Islands that have a number: the largest."""
MOST_NAMES = 30
"""Clusters that have a name: the first of the table."""


def write_overview(
    image: str | Path, files: Mapping[str, str], islands: Sequence[Island], title: str
) -> None:
    """Draw an image, the islands, the clusters, the beam, north and a scale.

    Parameters
    ----------
    image : path
        That the islands were found on.
    files : mapping of str to str
        From `radiounet.images.products.segment_files`: the table of clusters is read where it is there, and
        the overview is written.
    islands : sequence of Island
        From `radiounet.measuring.islands.find_islands`.
    title : str
    """
    plane, limits, islands = _seen(read_plane(image), islands)
    clusters = ecsv_table(files["clusters"]) if Path(files["clusters"]).is_file() else Table({"name": []})
    shape_px = np.ptp(limits, axis=1)
    # an elongated image is given as much paper as a square one, up to a length
    wide, high = shape_px * min(SIDE_INCH / np.sqrt(shape_px.prod()), LONGEST_INCH / shape_px.max())
    figure = Figure(figsize=(max(wide + 1.8, NARROWEST_INCH), high + 1.4), layout="constrained")
    axes = figure.add_subplot(projection=plane.wcs)
    axes.set(xlim=limits[0], ylim=limits[1])
    step = -(-max(plane.data.shape) // LARGEST_PX)
    small = coarser(plane.data, step)
    # the last of the coarse pixels may reach beyond the image
    extent = (-0.5, step * small.shape[1] - 0.5, -0.5, step * small.shape[0] - 0.5)
    shown = draw_brightness(axes, small, extent, stretch(small))
    # as high as the image, and as wide in every picture
    draw_colour_bar(figure, shown, plane, ax=axes, fraction=0.3 / wide, pad=0.2 / wide, aspect=high / 0.3)
    labels = _labels(islands, small.shape, step)
    handles = [
        *_draw_islands(axes, islands, labels, step),
        *_draw_clusters(axes, clusters, plane),
        _draw_beam(axes, plane),
    ]
    _draw_measures(axes, plane)
    handles[1:1] = _number_islands(axes, islands, labels, step, plane)  # over everything else
    _label_axes(axes)
    columns, letters = (2, 80) if figure.get_figwidth() > 7 else (1, 45)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    figure.suptitle(textwrap.fill(one_line(title), letters, max_lines=2, placeholder="…"), fontsize=11)
    with atomic(files["overview"]) as temporary:
        save_figure(figure, temporary, dpi=130)


def coarser(plane: np.ndarray, step: int) -> np.ndarray:
    """Mean of each block of ``step`` by ``step`` pixels, the last ones smaller; NaN where all are NaN.

    Parameters
    ----------
    plane : ndarray, ``[y, x]``

    Returns
    -------
    ndarray of float32, ``[y, x]``
    """
    if step == 1:
        return plane.astype(np.float32)
    rows = []
    for start in range(0, len(plane), step):  # in strips, which need little memory
        strip = plane[start : start + step].astype(np.float32)
        strip = np.pad(strip, ((0, 0), (0, -strip.shape[1] % step)), constant_values=np.nan)
        blocks = strip.reshape(len(strip), -1, step)
        seen = np.isfinite(blocks).sum(axis=(0, 2))
        rows.append(np.where(seen > 0, np.nansum(blocks, axis=(0, 2)) / np.maximum(seen, 1), np.nan))
    return np.array(rows, np.float32)


def _limits(plane: np.ndarray) -> np.ndarray:
    """Edges of the data of a plane and of a margin, ``[(x, y), (low, high)]``, pixels."""
    limits = []
    for axis, length in enumerate(plane.shape[::-1]):
        seen = np.flatnonzero(np.isfinite(plane).any(axis=axis))
        low, high = (seen[0], seen[-1] + 1) if seen.size else (0, length)
        margin = BLANK_MARGIN * (high - low)
        limits.append((max(low - margin, 0) - 0.5, min(high + margin, length) - 0.5))
    return np.array(limits)


def _seen(plane: Plane, islands: Sequence[Island]) -> tuple[Plane, np.ndarray, list[Island]]:
    """Part of a plane that is shown; on its pixels, edges of the picture (see `_limits`) and islands."""
    limits = _limits(plane.data)
    low, high = np.floor(limits[:, 0] + 0.5).astype(int), np.ceil(limits[:, 1] + 0.5).astype(int)
    part = slice(low[1], high[1]), slice(low[0], high[0])
    # a copy, so that the rest is not kept
    plane = replace(plane, data=plane.data[part].copy(), wcs=plane.wcs[part])
    islands = [replace(one, y=one.y - low[1], x=one.x - low[0]) for one in islands]
    sides = np.ptp(limits, axis=1)
    beside = np.maximum(sides.max() / LONGEST_RATIO - sides, 0) / 2
    return plane, limits - low[:, None] + np.outer(beside, [-1, 1]), islands


def _at(axes: Axes, x: float, y: float) -> np.ndarray:
    """Pixel at a fraction of the width and the height of what is shown."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return np.array([left + x * (right - left), bottom + y * (top - bottom)])


def _labels(islands: Sequence[Island], shape: tuple[int, ...], step: int) -> np.ndarray:
    """Numbers of islands from 1 on the coarse pixels of a picture, ``[y, x]``, 0 outside."""
    labels = np.zeros(shape, np.int32)
    for number, one in enumerate(islands, start=1):
        labels[one.y // step, one.x // step] = number
    return labels


def _draw_islands(axes: WCSAxes, islands: Sequence[Island], labels: np.ndarray, step: int) -> list[Line2D]:
    lines = [step * line[:, ::-1] + (step - 1) / 2 for line in outlines(labels)]
    axes.add_collection(LineCollection(lines, colors=MASK_COLOUR, linewidths=1.2))
    return [Line2D([], [], color=MASK_COLOUR, label=f"islands of diffuse emission: {len(islands)}")]


def _number_islands(
    axes: WCSAxes, islands: Sequence[Island], labels: np.ndarray, step: int, plane: Plane
) -> list[Line2D]:
    """Number the largest islands beside their right edge in the row of their centroid.

    Inside it where another island lies beyond, which the number would seem to belong to.
    """
    areas = np.array([one.row["area_arcmin2"] for one in islands], float)
    largest = np.argsort(-areas, kind="stable")[:MOST_NUMBERS]
    for index in largest:
        one = islands[index]
        _, y = to_pixels(plane.wcs, one.row["ra_deg"], one.row["dec_deg"])
        row, right = _right_edge(one, float(y))
        beyond = labels[row // step, min(right // step + 1, labels.shape[1] - 1)]
        is_free = beyond in (0, index + 1)
        text, side = (f" {index + 1}", "left") if is_free else (f"{index + 1} ", "right")
        place = min(right + 0.5, _at(axes, 0.96, 0)[0])
        axes.text(place, row, text, fontsize=9, ha=side, va="center", clip_on=True, **OUTLINED)
    if not len(largest):
        return []
    which = "" if len(largest) == len(islands) else f" of the {len(largest)} largest islands"
    return [
        Line2D(
            [], [], color="none", marker="$1$", mec="black", mfc="black", label=f"row in islands.ecsv{which}"
        )
    ]


def _right_edge(island: Island, y: float) -> tuple[int, int]:
    """Row of an island nearest to a place, and the last of its pixels there: an arc may end beside it."""
    row = island.y[np.argmin(np.abs(island.y - y))]
    return int(row), int(island.x[island.y == row].max())


def _draw_clusters(axes: WCSAxes, clusters: Table, plane: Plane) -> list[Line2D]:
    """Draw R500 and centre of the clusters that touch the image, and their names."""
    (left, bottom), (right, top) = _at(axes, 0, 0), _at(axes, 1, 1)
    drawn = 0
    for number, row in enumerate(clusters):
        radius = float(row["r500_arcmin"])
        x, y = (float(one) for one in to_pixels(plane.wcs, row["ra_deg"], row["dec_deg"]))
        radius_px = 60 * radius / plane.pixel_arcsec
        is_near = left - radius_px < x < right + radius_px and bottom - radius_px < y < top + radius_px
        if not is_near:  # NaN, too
            continue
        drawn += 1
        centre = [row["ra_deg"], row["dec_deg"]] * u.deg
        style = {"edgecolor": CLUSTER_COLOUR, "facecolor": "none", "linestyle": "--"}
        axes.add_patch(
            SphericalCircle(centre, radius * u.arcmin, transform=axes.get_transform("icrs"), **style)
        )
        is_inside = left <= x <= right and bottom <= y <= top
        if is_inside:
            axes.plot(x, y, "+", color=CLUSTER_COLOUR, markersize=9)
        if number < MOST_NAMES:
            name = textwrap.shorten(one_line(row["name"]), 40, placeholder="…")
            name += "" if is_inside else " (centre outside)"
            # inside the picture, also where the circle is not
            quarters = _at(axes, 0.25, 0)[0], _at(axes, 0.75, 0)[0]
            side = "left" if x < quarters[0] else "right" if x > quarters[1] else "center"
            place = np.clip([x, y + radius_px], _at(axes, 0, 0), _at(axes, 0.96, 0.96))
            text = OUTLINED | {"color": CLUSTER_COLOUR}
            axes.text(*place, name, fontsize=8, ha=side, va="bottom", clip_on=True, **text)
    label = f"R500 and centre (clusters: {drawn})"
    return [Line2D([], [], color=CLUSTER_COLOUR, linestyle="--", label=label)] if drawn else []


def _draw_beam(axes: Axes, plane: Plane) -> Line2D:
    """Draw the beam in the lower left corner."""
    beam = plane.made_with
    place = _at(axes, 0.06, 0.06)
    angle = np.radians(beam.angle_deg)
    along = np.linalg.solve(beam_jacobian(plane.wcs, beam, *place), [np.sin(angle), np.cos(angle)])
    scale = np.hypot(*along)
    axes.add_patch(
        Ellipse(
            (place[0], place[1]),
            beam.major_arcsec * scale,
            beam.minor_arcsec * scale,
            angle=np.degrees(np.arctan2(along[1], along[0])),
            facecolor="white",
            edgecolor="black",
        )
    )
    size = f'beam (lower left): {beam.major_arcsec:.3g}" x {beam.minor_arcsec:.3g}"'
    if beam != plane.beam:
        size += f'; brightness is per beam of {plane.beam.major_arcsec:.3g}"'
    return Line2D([], [], color="none", marker="o", mec="black", mfc="white", label=size)


def _arrow(plane: Plane, place: np.ndarray, east_north: np.ndarray) -> np.ndarray:
    """Pixels, along x and y, of a step on the sky from a place, per arcsec."""
    return np.linalg.inv(jacobian(plane.wcs, *place)) @ east_north


def _draw_measures(axes: WCSAxes, plane: Plane) -> None:
    """Draw the compass in the upper left corner and the scale bar in the lower right one."""
    nx, ny = _at(axes, 1, 1) - _at(axes, 0, 0)
    length = min(0.08 * max(nx, ny), 0.12 * min(nx, ny))
    place = _at(axes, 0, 1) + 2.2 * length * np.array([1, -1])
    arrows = [_arrow(plane, place, np.array(one)) for one in ((0.0, 1.0), (1.0, 0.0))]
    draw_compass(axes, place, *(length * one / np.hypot(*one) for one in arrows))
    arcmin_px = 60 / plane.pixel_arcsec
    arcmin, label = longest_bar(0.3 * nx / arcmin_px)
    bar = arcmin * arcmin_px
    draw_scale_bar(axes, _at(axes, 0.95, 0.05) - [bar, 0], bar, label, 0.01 * max(nx, ny))


def _label_axes(axes: WCSAxes) -> None:
    for coordinate, name in zip(axes.coords, ("Right ascension", "Declination"), strict=True):
        coordinate.set_axislabel(f"{name} (ICRS)")
        coordinate.set_ticklabel(exclude_overlapping=True, fontsize=9)
    axes.coords.grid(color="white", alpha=0.2, linewidth=0.5)
