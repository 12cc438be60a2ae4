"""Pictures of the results site: brightness and probability as JPEG, and what is drawn over them as paths."""

import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.geometry import jacobian, middle, to_pixels
from radiounet.measuring.cutout_files import StoredCutout
from radiounet.measuring.cutouts import beam_covariance
from radiounet.publishing.overview import coarser
from radiounet.publishing.panels import FIRST_CONTOUR, MOST_CONTOURS
from radiounet.publishing.pictures import outlines, stretch

LARGEST_PX = 400
"""A larger cut-out has fewer pixels in its picture, each the mean of several."""
QUALITY = 85
BLANK = (136, 136, 136)
TOLERANCE_PX = 0.4
"""How far a line may be from the contour that it draws."""
SHORTEST_CONTOUR = 12
"""Contours with fewer points are single noise peaks."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of one cut-out.

    Attributes
    ----------
    files : dict of str to bytes
        JPEG of ``image``, ``residual`` and ``probability``; north is about up.
    view : dict
        What the page draws over them, in pixels from the upper left corner: ``size`` (width, height),
        ``scale`` (arcmin per pixel), ``centre``, ``north`` and ``east`` (unit vectors), ``beam`` (major and
        minor axis in pixels, angle in deg), ``range`` (mJy/beam), ``islands`` and ``contours`` (SVG paths).
    """

    files: dict[str, bytes]
    view: dict[str, object]


def draw_pictures(cutout: StoredCutout, probability: np.ndarray, ra_deg: float, dec_deg: float) -> Pictures:
    """Draw a cut-out around a position.

    Parameters
    ----------
    cutout : StoredCutout
    probability : ndarray, ``[y, x]``
        0..1, NaN where there is no data.
    ra_deg, dec_deg : float
        ICRS.
    """
    plane = cutout.residual
    step = -(-max(plane.data.shape) // LARGEST_PX)
    image, residual, chance = (coarser(one, step) for one in (cutout.image, cutout.measured, probability))
    ny, nx = image.shape
    norm = stretch(image)
    files = {"image": _jpeg(norm(1e3 * image), "inferno"), "residual": _jpeg(norm(1e3 * residual), "inferno")}
    files["probability"] = _jpeg(chance, "cividis")
    x, y = ((float(one) + 0.5) / step - 0.5 for one in to_pixels(plane.wcs, ra_deg, dec_deg))
    where = middle(plane.data.shape)
    to_px = np.linalg.inv(jacobian(plane.wcs, *where))
    variances, vectors = np.linalg.eigh(beam_covariance(plane, *where[::-1]) / step**2)
    minor, major = np.sqrt(variances) / FWHM_TO_SIGMA
    along_y, along_x = vectors[:, 1]
    levels = [level for n in range(MOST_CONTOURS) if (level := FIRST_CONTOUR * cutout.rms_jy * 2**n) > 0]
    view: dict[str, object] = {
        "size": [nx, ny],
        "scale": _short(step * plane.pixel_arcsec / 60),
        "centre": [_short(x + 0.5), _short(ny - 0.5 - y)],
        "north": _direction(to_px @ [0.0, 1.0]),
        "east": _direction(to_px @ [1.0, 0.0]),
        "beam": [_short(major), _short(minor), _short(np.degrees(np.arctan2(-along_y, along_x)))],
        "range": [_short(norm.vmin), _short(norm.vmax)],
        "rms": _short(1e3 * cutout.rms_jy),
        "islands": _islands(cutout.islands[::step, ::step]),
        "contours": "".join(
            _path(line, ny)
            for level in levels
            if level < np.nanmax(residual, initial=-np.inf, where=np.isfinite(residual))
            for line in find_contours(np.nan_to_num(residual), level)
            if len(line) >= SHORTEST_CONTOUR
        ),
    }
    return Pictures(files, view)


def _jpeg(values: np.ndarray, colours: str) -> bytes:
    """Picture of values 0..1, ``[y, x]``, the first row at the bottom; grey where they are NaN."""
    shown = matplotlib.colormaps[colours](np.ma.masked_invalid(values).filled(0), bytes=True)[..., :3]
    shown[~np.isfinite(np.ma.filled(values, np.nan))] = BLANK
    stream = io.BytesIO()
    Image.fromarray(shown[::-1]).save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


def _islands(islands: np.ndarray) -> str:
    return "".join(_path(line, len(islands)) for line in outlines(islands))


def _path(line: np.ndarray, height: int) -> str:
    """Path of a contour ``[point, (row, column)]``, counted from the middle of the lowest left pixel."""
    points = approximate_polygon(line, TOLERANCE_PX)
    return "M" + " ".join(f"{x + 0.5:.1f},{height - 0.5 - y:.1f}" for y, x in points)


def _direction(vector: np.ndarray) -> list[float]:
    x, y = vector / np.hypot(*vector)
    return [_short(x), _short(-y)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
