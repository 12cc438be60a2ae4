"""The report of a run: one self-contained HTML page."""

import base64
import io
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import astropy.units as u
import numpy as np
import yaml
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch

from radiounet import __version__
from radiounet.images.image import Plane, grid_wcs, read_plane
from radiounet.images.products import Products
from radiounet.images.provenance import code_hash
from radiounet.images.rejections import read_rejection
from radiounet.images.words import one_line, save_figure, write_page
from radiounet.measuring.columns import number_formats
from radiounet.publishing.pictures import (
    CLUSTER_COLOUR,
    CONTOUR_COLOURS,
    draw_brightness,
    draw_compass,
    draw_scale_bar,
)
from radiounet.settings.config import Config
from radiounet.settings.urls import public_text
from radiounet.survey.survey import Survey

MAP_NSIDE = 64
SMALLEST_DEG = 0.6
"""Radius of the smallest disc of the map, of about a pixel."""
MIN_HALF_ARCMIN = 8.0
MAX_ISLANDS = 200
FEW_MOSAICS = 20
STATUS_COLOURS = {"done": "#2b7a78", "rejected": "#c0392b"}


def write_report(root: str, config: Config, survey: Survey, mosaics: Sequence[str], target: str) -> None:
    """Write the page: counts, rejections, sky coverage, a picture per cluster, parameters.

    Parameters
    ----------
    root : str
        Folder of the release's products, catalogues included.
    config : Config
        The run's configuration, shown in full.
    survey : Survey
    mosaics : sequence of str
        Mosaics of this run.
    target : path
        HTML file; needs no other file.
    """
    products = Products(root)
    clusters, islands, rejected = (
        Table.read(products.catalogue(kind, "vot")) for kind in ("clusters", "islands", "rejected")
    )
    infos = parse_single_table(products.catalogue("clusters", "vot")).infos
    counts = {info.name: info.value for info in infos}
    bad = {name for name in mosaics if read_rejection(products.mask(name))}
    shown = _shown(clusters, config)
    # a purged scratch has no images; a run that needs none does not fetch them again for the page
    there = [row for row in shown if Path(products.image(str(row["mosaic"]))).is_file()]
    pictures = [(row["name"], _figure(picture_cluster(row, products, config))) for row in there]
    write_page(
        target,
        "report.html.j2",
        survey=survey.release.title,
        version=__version__,
        code=code_hash(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        done=len(mosaics) - len(bad),
        total=len(mosaics),
        rejected=_rows(rejected),
        sky=_figure(draw_coverage(survey, mosaics, bad)),
        measured=int(np.isfinite(np.ma.filled(clusters["p_diffuse"], np.nan)).sum()),
        outside=int(counts.get("clusters_outside", 0)),
        clusters=_rows(_largest_first(clusters, "p_diffuse")),
        islands=_rows(_largest_first(islands, "flux_mjy")[:MAX_ISLANDS]),
        island_count=len(islands),
        columns={name: table[name] for table in (clusters, islands) for name in table.colnames},
        pictures=pictures,
        unpictured=len(shown) - len(there),
        config=public_text(
            yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        ),
    )


def _rows(table: Table) -> list[dict[str, str]]:
    formats = number_formats(table)
    return [{name: _text(row[name], formats.get(name)) for name in table.colnames} for row in table]


def _text(value: str | float | np.generic, number: str | None) -> str:
    if value is np.ma.masked or (number and np.isnan(value)):
        return "–"
    if number:
        return number % value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return str(value)


def _largest_first(table: Table, column: str) -> Table:
    """Sort rows by one column, rows without a value last."""
    values: np.ndarray = np.ma.filled(np.ma.asarray(table[column], float), np.nan)
    return table[np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")]


def _shown(clusters: Table, config: Config) -> list[Table.Row]:
    ordered = _largest_first(clusters, "p_diffuse")
    return [row for row in ordered if np.isfinite(row["p_diffuse"])][: config.report.max_pictures]


def _figure(figure) -> str:
    stream = io.BytesIO()
    save_figure(figure, stream, dpi=110)
    return base64.b64encode(stream.getvalue()).decode()


def coverage_map(survey: Survey, mosaics: Sequence[str], bad: set[str]) -> np.ndarray:
    """HEALPix map (nside 64, RING, ICRS): NaN outside the run, 1 done, 2 rejected."""
    import healpy

    ra, dec = healpy.pix2ang(MAP_NSIDE, np.arange(healpy.nside2npix(MAP_NSIDE)), lonlat=True)
    status = np.full(ra.size, np.nan)
    placed = [name for name in mosaics if survey.mosaics[name].n_px]  # an image that cannot be read has none
    for name, mine in survey.cells.on_map(placed, ra, dec, SMALLEST_DEG):
        status[mine & ~(status == 1)] = 2 if name in bad else 1
    return status


def draw_coverage(survey: Survey, mosaics: Sequence[str], bad: set[str]):
    """All-sky map of the run: RA increases to the left, done and rejected mosaics in colour."""
    import healpy

    status = coverage_map(survey, mosaics, bad)
    figure = Figure(figsize=(9, 5), layout="tight")
    axes = figure.add_subplot(111, projection="mollweide")
    nside = MAP_NSIDE
    longitude = np.radians(np.linspace(-180, 180, 1081))
    latitude = np.radians(np.linspace(-90, 90, 541))
    lon, lat = np.meshgrid(longitude, latitude)
    # mollweide draws east to the right: the sky is seen from inside, so RA runs the other way
    pixels = healpy.ang2pix(nside, np.degrees(-lon) % 360, np.degrees(lat), lonlat=True)
    colours = ListedColormap(list(STATUS_COLOURS.values()))
    axes.pcolormesh(longitude, latitude, status[pixels], cmap=colours, vmin=0.5, vmax=2.5, rasterized=True)
    if len(mosaics) <= FEW_MOSAICS:  # too small to see on the whole sky
        places = [survey.mosaics[name] for name in mosaics if survey.mosaics[name].n_px]
        ra = np.radians([-((place.ra_deg + 180) % 360 - 180) for place in places])
        dec = np.radians([place.dec_deg for place in places])
        axes.scatter(ra, dec, s=90, facecolors="none", edgecolors="#333333", linewidths=0.8)
    axes.grid(color="#999999", linewidth=0.4)
    axes.set_xticks(np.radians(np.arange(-150, 151, 30)))
    axes.set_xticklabels([f"{(-t) % 360 // 15:.0f}h" for t in np.arange(-150, 151, 30)], fontsize=8)
    axes.set_xlabel("Right ascension (ICRS)")
    axes.set_ylabel("Declination")
    handles = [Patch(color=c, label=t) for t, c in STATUS_COLOURS.items()]
    axes.legend(handles=handles, loc="lower right", fontsize=8)
    return figure


def picture_cluster(row: Table.Row, products: Products, config: Config):
    """Image of a cluster with probability contours, R500, north, east and a scale bar."""
    mosaic = str(row["mosaic"])
    plane = read_plane(products.image(mosaic))
    probability = fits.getdata(products.probability(mosaic))
    threshold = float(fits.getheader(products.mask(mosaic))["THRESH"])
    cut, chance = _cutout(plane, probability, row)
    figure = Figure(figsize=(5.6, 5.2), layout="tight")
    axes = figure.add_subplot()
    half = cut.data.shape[1] * cut.pixel_arcsec / 120
    extent = (half, -half, -half, half)
    draw_brightness(axes, cut.data, extent, pad=0.02)
    if np.nanmax(np.nan_to_num(chance)) > threshold / 2:
        x = np.linspace(half, -half, cut.data.shape[1])
        y = np.linspace(-half, half, cut.data.shape[0])
        levels = sorted({threshold / 2, threshold, (1 + threshold) / 2})
        axes.contour(x, y, np.nan_to_num(chance), levels, colors=CONTOUR_COLOURS, linewidths=0.9)
    radius = float(row["r500_arcmin"])
    axes.add_patch(Circle((0, 0), radius, fill=False, color=CLUSTER_COLOUR, linestyle="--"))
    axes.annotate("R500", (0.71 * radius, 0.71 * radius), color=CLUSTER_COLOUR, fontsize=8)
    draw_compass(axes, half * np.array([-0.78, 0.68]), half * np.array([0, 0.16]), half * np.array([0.16, 0]))
    _scale_bar(axes, half, float(row["redshift"]), config)
    axes.set_xlabel("Offset east (arcmin)")
    axes.set_ylabel("Offset north (arcmin)")
    text = f"p_diffuse {float(row['p_diffuse']):.2f}, z {float(row['redshift']):.3f}, {mosaic}"
    name = textwrap.wrap(one_line(row["name"]), 60, max_lines=2, placeholder="…")
    axes.set_title("\n".join([*name, text]), fontsize=10)
    return figure


def _cutout(plane: Plane, probability: np.ndarray, row: Table.Row) -> tuple[Plane, np.ndarray]:
    """Square around a cluster on a north-up grid; NaN beyond the mosaic."""
    from reproject import reproject_interp

    half_arcmin = max(1.6 * float(row["r500_arcmin"]), MIN_HALF_ARCMIN)
    n_px = 2 * int(half_arcmin * 60 / plane.pixel_arcsec)
    grid = grid_wcs(float(row["ra_deg"]), float(row["dec_deg"]), n_px, plane.pixel_arcsec)
    # the centre of the picture is the cluster, not half a pixel beside it
    grid.wcs.crpix = [(n_px + 1) / 2] * 2
    stack = np.stack([plane.data, probability])
    image, chance = reproject_interp((stack, plane.wcs), grid, (n_px, n_px), return_footprint=False)
    return Plane(image, grid, plane.beam), chance


def _scale_bar(axes, half: float, redshift: float, config: Config) -> None:
    if redshift > 0:
        cosmology = FlatLambdaCDM(config.measure.h0, config.measure.omega_m)
        kpc = cosmology.kpc_proper_per_arcmin(redshift).to_value(u.kpc / u.arcmin)
        length = next((one for one in (2000, 1000, 500, 200, 100) if one / kpc < 0.8 * half), 50)
        arcmin, label = length / kpc, f"{length} kpc = {length / kpc:.1f}'"
    else:
        arcmin, label = 0.5 * half, f"{0.5 * half:.1f}'"
    # east, to the left, is positive
    draw_scale_bar(axes, half * np.array([0.9, -0.88]), -arcmin, label, 0.04 * half)
