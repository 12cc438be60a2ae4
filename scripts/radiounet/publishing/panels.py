"""A picture of one cluster or island: image, residual and model beside each other."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.geometry import jacobian, middle, to_pixels
from radiounet.images.words import one_line
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import beam_covariance
from radiounet.measuring.profiles import ExponentialFit
from radiounet.publishing.overview import coarser
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

LARGEST_PX = 400
"""A larger cut-out is drawn with fewer pixels, each the mean of several."""
FIRST_CONTOUR = 3.0
"""Lowest contour, rms; every further one is twice as high."""
MOST_CONTOURS = 10
LINE_LETTERS = 165
"""Of the text below a picture."""


@dataclass(frozen=True)
class Subject:
    """What a picture shows of its cut-out.

    Attributes
    ----------
    row : Table.Row
        Of the catalogue.
    title : str
    r500_arcmin : float
        NaN for an island.
    arcmin_per_kpc : float
        NaN where no distance is known.
    """

    row: Table.Row
    title: str
    r500_arcmin: float
    arcmin_per_kpc: float


class _View:
    """A cut-out with few enough pixels, and the places of these in arcmin from a centre, east positive."""

    def __init__(self, cutout: StoredCutout, ra_deg: float, dec_deg: float):
        self.plane = plane = cutout.residual
        self.step = step = -(-max(plane.data.shape) // LARGEST_PX)
        self.image, self.residual, self.compact = (
            coarser(one, step) for one in (cutout.image, plane.data, cutout.compact)
        )
        self.islands = cutout.islands[::step, ::step]
        self.arcmin = step * plane.pixel_arcsec / 60
        self.centre = np.array(self.place(ra_deg, dec_deg)[::-1])
        where = middle(plane.data.shape)
        self.covariance = beam_covariance(plane, *where[::-1]) / step**2
        # pixels, along x and y, of an arcmin on the sky towards east and north
        self.to_pixels = np.linalg.inv(jacobian(plane.wcs, *where)) * 60 / step

    def place(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """Pixel of a position, x and y."""
        x, y = ((float(one) + 0.5) / self.step - 0.5 for one in to_pixels(self.plane.wcs, ra_deg, dec_deg))
        return x, y

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge."""
        ny, nx = self.image.shape
        (left, right), (bottom, top) = self.offsets([-0.5, nx - 0.5], [-0.5, ny - 0.5])
        return left, right, bottom, top

    def offsets(self, x: Iterable[float], y: Iterable[float]) -> np.ndarray:
        """Places of pixels, ``[(x, y), pixel]``."""
        return self.arcmin * np.array([self.centre[1] - np.array(x), np.array(y) - self.centre[0]])

    def direction(self, east: float, north: float) -> np.ndarray:
        """Unit vector in the picture, x and y, towards a direction on the sky."""
        x, y = self.to_pixels @ [east, north]
        return np.array([-x, y]) / np.hypot(x, y)


def draw_panels(cutout: StoredCutout, subject: Subject) -> Figure:
    """Draw the image, the residual and the model of a cluster or an island.

    The first shows the image without background; the second the same without compact sources, with the
    islands (blue), contours of 3, 6, 12, ... times the rms (white), R500 and the beam; the third the
    exponential profile of the catalogue or, where there is none, the compact sources. The reason of the
    class stands below.
    """
    row = subject.row
    view = _View(cutout, float(row["ra_deg"]), float(row["dec_deg"]))
    figure = Figure(figsize=(12.6, 4.75))
    left, middle_one, right = panels = figure.subplots(1, 3, sharex=True, sharey=True)
    figure.subplots_adjust(left=0.05, right=0.915, bottom=0.2, top=0.85, wspace=0.04)
    model, name = _model(view, row)
    norm = stretch(view.image)
    for axes, plane, title in (
        (left, view.image, "Image"),
        (middle_one, view.residual, "Without compact sources"),
        (right, model, name),
    ):
        shown = draw_brightness(axes, plane, view.extent, norm)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("Offset (arcmin)")
    left.set_ylabel("Offset (arcmin)")
    draw_colour_bar(figure, shown, view.plane, cax=figure.add_axes((0.925, 0.2, 0.012, 0.65)))
    _draw_measures(left, view, subject)
    _draw_findings(middle_one, view, cutout.rms_jy, subject.r500_arcmin)
    if np.isfinite(subject.r500_arcmin):
        for axes in (left, right):
            _draw_circle(axes, subject.r500_arcmin)
    for axes in panels:
        axes.set(xlim=view.extent[:2], ylim=view.extent[2:])
    figure.text(0.05, 0.96, textwrap.shorten(one_line(subject.title), 150, placeholder="…"), fontsize=12)
    lines = textwrap.wrap(one_line(row["reason"]), LINE_LETTERS, max_lines=2, placeholder="…")
    figure.text(0.05, 0.075, "\n".join(lines), fontsize=9, va="top")
    return figure


def _draw_circle(axes: Axes, radius: float) -> None:
    axes.add_patch(Circle((0, 0), radius, fill=False, color=CLUSTER_COLOUR, linestyle="--"))


def _draw_findings(axes: Axes, view: _View, rms_jy: float, r500_arcmin: float) -> None:
    ny, nx = view.residual.shape
    x, _ = view.offsets(range(nx), np.zeros(nx))
    _, y = view.offsets(np.zeros(ny), range(ny))
    highest = np.nanmax(view.residual)
    levels = [level for n in range(MOST_CONTOURS) if (level := FIRST_CONTOUR * rms_jy * 2**n) < highest]
    if levels:
        axes.contour(x, y, view.residual, levels, colors="white", linewidths=0.5)
    lines = [view.offsets(line[:, 1], line[:, 0]).T for line in outlines(view.islands)]
    axes.add_collection(LineCollection(lines, colors=MASK_COLOUR, linewidths=1.4))
    if np.isfinite(r500_arcmin):
        _draw_circle(axes, r500_arcmin)
        axes.annotate(
            "R500",
            (0, r500_arcmin),
            ha="center",
            va="bottom",
            fontsize=8,
            annotation_clip=True,
            **OUTLINED | {"color": CLUSTER_COLOUR},
        )
    _draw_beam(axes, view)


def _draw_beam(axes: Axes, view: _View) -> None:
    """Draw the beam in the lower left corner."""
    variances, vectors = np.linalg.eigh(view.covariance)
    minor, major = view.arcmin * np.sqrt(variances) / FWHM_TO_SIGMA
    y, x = vectors[:, 1]
    left, right, bottom, top = view.extent
    place = (left + 0.07 * (right - left), bottom + 0.07 * (top - bottom))
    angle = np.degrees(np.arctan2(y, -x))
    axes.add_patch(Ellipse(place, major, minor, angle=angle, facecolor="white", edgecolor="black"))


def _draw_measures(axes: Axes, view: _View, subject: Subject) -> None:
    left, right, bottom, top = view.extent
    width, height = left - right, top - bottom
    length = min(0.09 * height, 0.16 * width)
    place = np.array([left - 2.2 * length, top - 2.2 * length])
    draw_compass(axes, place, *(length * view.direction(*one) for one in ((0.0, 1.0), (1.0, 0.0))))
    bar, label = longest_bar(0.4 * width, subject.arcmin_per_kpc)
    start = np.array([right + 0.06 * width + bar, bottom + 0.06 * height])
    draw_scale_bar(axes, start, -bar, label, 0.02 * height)


def _model(view: _View, row: Table.Row) -> tuple[np.ndarray, str]:
    """Image of the exponential profile in a row or, where there is none, of the compact sources."""
    if not row["fit_flag"] >= 0:
        return view.compact, "Compact sources"
    angle = np.radians(float(row["fit_angle_deg"]))
    x, y = view.to_pixels @ [np.sin(angle), np.cos(angle)]
    centre_x, centre_y = view.place(float(row["fit_ra_deg"]), float(row["fit_dec_deg"]))
    fit = ExponentialFit(
        peak=1e-6 * float(row["fit_i0_ujy_arcsec2"]) * view.plane.beam.area_arcsec2,
        y=centre_y,
        x=centre_x,
        radius_px=float(row["fit_re_arcmin"]) / view.arcmin,
        ratio=float(row["fit_axis_ratio"]),
        angle_deg=float(np.degrees(np.arctan2(-x, y))),
        flag=int(row["fit_flag"]),
        **dict.fromkeys(("peak_error", "radius_error_px", "total", "total_error", "chi2"), np.nan),
    )
    name = "Exponential fit" + (f" (flag {fit.flag})" if fit.flag else "")
    return fit.draw(view.residual.shape, view.covariance), name
