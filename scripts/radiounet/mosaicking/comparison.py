"""Two mosaics of the same sky compared with each other: flux densities, positions, rms, pixels."""

import logging
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from astropy.visualization import ImageNormalize
from scipy import ndimage

from radiounet.errors import NoNoiseError, NoOverlapError
from radiounet.images.beams import beam_jacobian
from radiounet.images.frequencies import copy_frequency
from radiounet.images.gaussian import FWHM_TO_SIGMA
from radiounet.images.geometry import frame_of, middle, to_sky
from radiounet.images.image import Plane, has_same_grid, read_plane
from radiounet.images.products import comparison_files
from radiounet.images.provenance import provenance, sha256_of
from radiounet.images.resampling import beam_on
from radiounet.images.words import save_figure
from radiounet.images.writing import atomic, write_ecsv, write_fits, write_json
from radiounet.mosaicking.coadd import Coadd

logger = logging.getLogger(__name__)

MATCH_BEAMS = 0.5
"""Sources of both images no further apart than this are one."""
ISOLATION_BEAMS = 3.0
"""A source nearer to another than this is compared with neither."""
LARGEST_PX = 1000
"""A larger difference is drawn with fewer pixels."""
COMPACT = 1.2
"""How much wider than the beam, in any direction, a source may be at its peak to be called compact."""


def find_compact(plane: Plane, rms_jy: float, min_snr: float) -> Table:
    """Compact isolated sources: a quadratic through the logarithms of the 3 x 3 pixels of each maximum.

    The logarithm of a Gaussian is a quadratic, so position and peak are exact but for
    noise, whatever the direction of the beam and the shape of the pixels.

    Parameters
    ----------
    plane : Plane
    rms_jy : float
        Jy/beam.
    min_snr : float
        Lowest S/N of the peak.

    Returns
    -------
    Table
        x_px, y_px (array index), ra, dec (ICRS, deg), peak_jy (Jy/beam).
    """
    bright = np.nan_to_num(plane.data, nan=-np.inf)
    covariance = np.linalg.inv(_beam_sharpness(plane, *middle(plane.data.shape)))
    near = [2 * round(width / 2) + 1 for width in np.sqrt(np.diag(covariance)[::-1]) / FWHM_TO_SIGMA]
    maxima = (bright == ndimage.maximum_filter(bright, near)) & (bright > min_snr * rms_jy)
    maxima[[0, -1]] = maxima[:, [0, -1]] = False
    y, x = np.nonzero(maxima)
    steps = np.arange(-1, 2)
    cut = plane.data[y[:, None, None] + steps[:, None], x[:, None, None] + steps]
    whole = (cut > 0).all(axis=(1, 2))
    y, x = y[whole], x[whole]
    top, slope, sharpness = _quadratic(np.log(cut[whole]))
    # of no greater variance than the beam, in any direction
    compact = _is_positive(sharpness - _beam_sharpness(plane, x, y) / COMPACT**2)
    offset = np.linalg.solve(sharpness[compact], slope[compact, :, None])[..., 0]
    x_px, y_px = np.stack([x[compact], y[compact]]) + offset.T
    ra, dec = to_sky(plane.wcs, x_px, y_px)
    peak = np.exp(top[compact] + (slope[compact] * offset).sum(axis=1) / 2)
    table = Table({"x_px": x_px, "y_px": y_px, "ra": ra, "dec": dec, "peak_jy": peak})
    table = table[(np.abs(offset) < 1).all(axis=1) & np.isfinite(ra)]
    return table[_isolated(table, ISOLATION_BEAMS * plane.beam.major_arcsec)]


def _beam_sharpness(plane: Plane, x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Inverse of the beam's covariance at pixels, ``[..., 2, 2]``, order x, y; 1/px2."""
    sky_of_pixels = beam_jacobian(plane.wcs, plane.beam, x, y)
    on_sky = np.linalg.inv(plane.beam.covariance_arcsec2)
    return np.swapaxes(sky_of_pixels, -1, -2) @ on_sky @ sky_of_pixels


def _quadratic(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quadratics fitted to ``[source, y, x]`` of 3 x 3 pixels: height and slope in the middle, and sharpness.

    The slope is ``[source, (x, y)]``; the sharpness, the second derivatives times -1, ``[source, 2, 2]``.
    """
    lines = values.mean(axis=1), values.mean(axis=2)
    slope = np.stack([(line[:, 2] - line[:, 0]) / 2 for line in lines], axis=-1)
    xx, yy = (2 * line[:, 1] - line[:, 0] - line[:, 2] for line in lines)
    xy = (values[:, 0, 2] + values[:, 2, 0] - values[:, 0, 0] - values[:, 2, 2]) / 4
    # the squares of -1, 0 and 1 have a mean of 2/3
    top = values.mean(axis=(1, 2)) + (xx + yy) / 3
    return top, slope, np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)


def _is_positive(matrix: np.ndarray) -> np.ndarray:
    """Whether symmetric matrices, ``[source, 2, 2]``, are positive definite; NaN are not."""
    return (matrix[:, 0, 0] > 0) & (matrix[:, 0, 0] * matrix[:, 1, 1] > matrix[:, 0, 1] ** 2)


def _isolated(table: Table, radius_arcsec: float) -> np.ndarray:
    from astropy.coordinates import SkyCoord, match_coordinates_sky

    if len(table) < 2:
        return np.ones(len(table), bool)
    sky = SkyCoord(table["ra"], table["dec"], unit="deg")
    return match_coordinates_sky(sky, sky, nthneighbor=2)[1].arcsec > radius_arcsec


def match(ours: Plane, published: Plane, rms_jy: tuple[float, float], min_snr: float) -> Table:
    """Compact sources of both mosaics that lie within half a beam of each other.

    Parameters
    ----------
    ours, published : Plane
        Each on its own grid.
    rms_jy : (float, float)
        Of either, Jy/beam.
    min_snr : float
        Lowest S/N of the peak, in both.

    Returns
    -------
    Table
        ra, dec (deg, by our mosaic), peak_ours, peak_published (Jy/beam), ratio, and how
        far our source lies to the east and north of theirs, d_ra and d_dec (arcsec).
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord, match_coordinates_sky

    tables = [find_compact(one, rms, min_snr) for one, rms in zip((ours, published), rms_jy, strict=True)]
    sky = [SkyCoord(table["ra"], table["dec"], unit="deg") for table in tables]
    columns = ("ra", "dec", "peak_ours", "peak_published", "ratio", "d_ra", "d_dec")
    units = ("deg", "deg", "Jy/beam", "Jy/beam", None, "arcsec", "arcsec")
    if not len(sky[0]) or not len(sky[1]):
        return Table(np.empty((0, len(columns))), names=columns, units=units)
    index, apart, _ = match_coordinates_sky(*sky)
    near = apart < MATCH_BEAMS * ours.beam.major_arcsec * u.arcsec
    here, there = sky[0][near], sky[1][index[near]]
    d_ra, d_dec = (one.to_value("arcsec") for one in there.spherical_offsets_to(here))
    peaks = tables[0]["peak_jy"][near], tables[1]["peak_jy"][index[near]]
    values = [here.ra.deg, here.dec.deg, *peaks, peaks[0] / peaks[1], d_ra, d_dec]
    return Table(values, names=columns, units=units)


def compare_mosaics(ours: str, published: str, folder: str, min_snr: float = 10.0) -> dict[str, object]:
    """Compare a mosaic with a published one of the same sky, and write what was found.

    Parameters
    ----------
    ours, published : str
        FITS images, Jy/beam; the published one is resampled where the grids differ.
    folder : str
        Written: what `radiounet.images.products.comparison_files` names; ``difference.fits`` is ours
        minus published, Jy/beam.
    min_snr : float
        Lowest S/N of the peaks of the sources matched.

    Returns
    -------
    dict
        As in ``comparison.json``: numbers of pixels and sources, median ratio of peaks
        with its scatter, offsets and their scatter in arcsec, beams, rms of both and its ratio,
        rms of the difference. Scatters and rms are 1.4826 times the median absolute deviation;
        what is not known is None.

    Raises
    ------
    NoOverlapError
        No pixel has data in both.
    NoNoiseError
        More than half of the pixels of one of them are equal.
    """
    first, second = read_plane(ours), read_plane(published)
    # angles are from north at the reference position of an image, in its own frame
    if not first.beam.is_about(beam_on(first.wcs, second.beam, second)):
        logger.warning(
            "%s has a beam of %s, %s one of %s: their Jy/beam differ, and so do their peaks and noise",
            *(ours, first.beam, published, second.beam),
        )
    there = _on_grid_of(first, second)
    both = np.isfinite(first.data) & np.isfinite(there)
    if not both.any():
        raise NoOverlapError(f"{ours} and {published} have no pixel in common")
    # resampling takes noise away, so each is measured on its own grid
    here = both if has_same_grid(first, second) else np.isfinite(_on_grid_of(second, first))
    rms = _noise(first, both, ours), _noise(second, here, published)
    sources = match(first, second, rms, min_snr)
    if not len(sources):
        logger.warning(
            "%s and %s have no compact isolated source with S/N above %g in common: "
            "no peaks and positions are compared; are the beams of their headers right?",
            *(ours, published, min_snr),
        )
    difference = first.data - there
    found: dict[str, object] = {
        "ours": ours,
        "published": published,
        "pixels_both": int(both.sum()),
        "pixels_ours_only": int((np.isfinite(first.data) & ~both).sum()),
        "pixels_published_only": int((np.isfinite(there) & ~both).sum()),
        "sources": len(sources),
        **{f"{name}_{key}": value for name, key, value in _medians(sources)},
        "beam_ours": asdict(first.beam),
        "beam_published": asdict(second.beam),
        "rms_ours_jy": rms[0],
        "rms_published_jy": rms[1],
        "rms_ratio": rms[0] / rms[1],
        "difference_rms_jy": _scatter(difference[both]),
    }
    logger.info("compared: %s", ", ".join(f"{name} {value}" for name, value in found.items()))
    files = comparison_files(folder)
    header = first.header()
    copy_frequency(header, ours)
    header.extend(provenance(inputsha=sha256_of(ours)))
    write_fits(files["difference"], difference, header)
    write_ecsv(files["sources"], sources)
    _draw(difference, first, sources, found, files["picture"])
    write_json(files["found"], found)
    return found


def _on_grid_of(grid: Plane, plane: Plane) -> np.ndarray:
    """Pixels of a plane on another's grid, NaN where it has none."""
    wcs = grid.wcs.deepcopy()
    wcs.array_shape = grid.data.shape
    coadd = Coadd(wcs)
    coadd.add(plane.wcs, plane.data.shape, lambda at: (plane.data[at], np.ones_like(plane.data[at])))
    return coadd.finish()[0]


def _noise(plane: Plane, seen: np.ndarray, path: str) -> float:
    """Scatter of the pixels that another mosaic also shows, Jy/beam, above 0."""
    values = plane.data[seen & np.isfinite(plane.data)]
    if not values.size:
        raise NoOverlapError(f"{path} has no pixel that lies on pixels with data of the other mosaic")
    scatter = _scatter(values)
    if scatter == 0:
        raise NoNoiseError(
            f"{path}: more than half of the {values.size} pixels that both mosaics show are equal, so that "
            "its noise is 0 and nothing can be compared with it; is it a model, or filled with a constant?"
        )
    return scatter


def _scatter(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation: the standard deviation of normal noise."""
    values = np.asarray(values, float)
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _medians(sources: Table) -> list[tuple[str, str, float | None]]:
    rows = []
    for name, unit in (("ratio", ""), ("d_ra", "_arcsec"), ("d_dec", "_arcsec")):
        values = np.asarray(sources[name])
        middle = float(np.median(values)) if len(values) else None
        scatter = _scatter(values) if len(values) else None
        rows += [(name, f"median{unit}", middle), (name, f"scatter{unit}", scatter)]
    return rows


def _extremes(plane: np.ndarray, step: int) -> np.ndarray:
    """Of each block of ``step`` by ``step`` pixels the value farthest from 0; NaN where all are NaN."""
    ny, nx = plane.shape
    padded = np.pad(plane, ((0, -ny % step), (0, -nx % step)), constant_values=np.nan)
    blocks = padded.reshape(len(padded) // step, step, -1, step)
    low, high = (one.reduce(blocks, axis=(1, 3)) for one in (np.fmin, np.fmax))
    return np.where(high > -low, high, low)


def _draw(difference: np.ndarray, ours: Plane, sources: Table, found: dict, path: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    figure = Figure(figsize=(13, 11), layout="constrained")
    view = figure.add_subplot(2, 2, 1, projection=ours.wcs)
    step = -(-max(difference.shape) // LARGEST_PX)
    small = _extremes(difference, step)
    limit = 5e3 * found["rms_ours_jy"]
    shown = view.imshow(
        1e3 * small,
        norm=ImageNormalize(vmin=-limit, vmax=limit),
        cmap="RdBu_r",
        origin="lower",
        extent=(-0.5, step * small.shape[1] - 0.5, -0.5, step * small.shape[0] - 0.5),
        interpolation="nearest",
    )
    figure.colorbar(shown, ax=view, label="mJy/beam", shrink=0.8)
    system = frame_of(ours.wcs).name.upper()
    names = ("RA", "Dec") if ours.wcs.wcs.ctype[0].startswith("RA") else ("longitude", "latitude")
    across, up = (f"{name} ({system})" for name in names)
    ny, nx = difference.shape
    view.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), xlabel=across, ylabel=up, facecolor="#888888")
    view.set_title(f"ours minus published, to 5 rms{f'; extremes of {step} x {step} pixels' * (step > 1)}")
    for coordinate in view.coords:
        coordinate.set_ticklabel(exclude_overlapping=True)
    ratio = figure.add_subplot(2, 2, 2)
    ratio.semilogx(1e3 * sources["peak_ours"], sources["ratio"], ".", markersize=4)
    ratio.axhline(1, color="0.5", linewidth=0.8)
    # shorter than powers of ten, which run together
    for set_formatter in (ratio.xaxis.set_major_formatter, ratio.xaxis.set_minor_formatter):
        set_formatter(LogFormatter())
    ratio.set(
        title=f"peaks of {len(sources)} compact sources",
        xlabel="our peak in mJy/beam",
        ylabel="ours / published",
    )
    offsets = figure.add_subplot(2, 2, 3)
    offsets.plot(sources["d_ra"], sources["d_dec"], ".", markersize=4)
    reach = max(float(np.abs([sources["d_ra"], sources["d_dec"]]).max(initial=0)), 0.1) * 1.1
    # east to the left, as on the sky
    offsets.set(xlim=(reach, -reach), ylim=(-reach, reach), aspect="equal", title="ours minus published")
    offsets.set(xlabel="to the east in arcsec", ylabel="to the north in arcsec")
    offsets.locator_params(nbins=6)
    for line in (offsets.axhline, offsets.axvline):
        line(0, color="0.5", linewidth=0.8)
    counts = figure.add_subplot(2, 2, 4)
    scaled = difference[np.isfinite(difference)] / found["rms_ours_jy"]
    counts.hist(np.clip(scaled, -6, 6), bins=121, range=(-6, 6), log=True, histtype="step")
    counts.set(title="difference of the pixels", xlabel="rms of our mosaic", ylabel="pixels")
    with atomic(path) as temporary:
        save_figure(figure, temporary, dpi=110)
