"""The report of a run: one self-contained HTML page."""

import base64
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml
from astropy.io.votable import parse_single_table
from astropy.table import Table
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radiounet import __version__
from radiounet.images.products import Products
from radiounet.images.provenance import PACKAGE, code_hash
from radiounet.images.regional_products import products_at
from radiounet.images.rejections import read_rejection
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.words import save_figure, write_page
from radiounet.measuring.columns import number_formats
from radiounet.measuring.components import CompactFiles
from radiounet.measuring.cutout_files import read_cutout
from radiounet.measuring.diffuse_classes import RELIC_R500
from radiounet.measuring.island_cutouts import cut_out_island
from radiounet.measuring.table_settings import require_settings_of_catalogue
from radiounet.publishing.panels import Subject, draw_panels
from radiounet.settings.config import Config
from radiounet.settings.urls import public_text
from radiounet.survey.cosmology import arcmin_per_kpc, flat_cosmology
from radiounet.survey.survey import Survey

TEMPLATE = PACKAGE / "templates/report.html.j2"
MAP_NSIDE = 64
SMALLEST_DEG = 0.6
"""Radius of the smallest disc of the map, of about a pixel."""
MAX_ISLANDS = 200
FEW_MOSAICS = 20
LARGE = 1e5
"""Larger numbers have a power of ten."""
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

    Raises
    ------
    ConfigError
        The catalogues were made with other settings.
    """
    products = products_at(root)
    clusters, islands, rejected = (
        Table.read(products.catalogue(kind, "vot")) for kind in ("clusters", "islands", "rejected")
    )
    infos = parse_single_table(products.catalogue("clusters", "vot")).infos
    counts = {info.name: info.value for info in infos}
    require_settings_of_catalogue(counts, config, products.catalogue("clusters", "vot"))
    bad = {name for name in mosaics if read_rejection(products.mask(name))}
    # a purged scratch has no mosaics; a run that needs none does not fetch them again for the page
    limit = config.report.max_pictures
    probable = _largest_first(clusters, "p_diffuse")
    shown = [row for row in probable if np.isfinite(row["p_diffuse"])][:limit]
    pictures = _pictures(shown, lambda row: picture_cluster(row, products, config))
    brightest = _largest_first(islands, "total_flux_mjy")
    others = [*away_from_clusters(brightest, clusters)[:limit]]
    island_pictures = _pictures(others, lambda row: picture_island(row, products, config))
    write_page(
        target,
        TEMPLATE,
        survey=survey.release.title,
        version=__version__,
        code=code_hash(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        done=len(mosaics) - len(bad),
        total=len(mosaics),
        rejected=_rows(rejected),
        sky=_figure(draw_coverage(survey, mosaics, bad)),
        cluster_count=_clusters_in(clusters),
        measured=_clusters_in(clusters[np.isfinite(np.ma.filled(clusters["p_diffuse"], np.nan))]),
        outside=int(counts.get("clusters_outside", 0)),
        clusters=_rows(probable),
        islands=_rows(brightest[:MAX_ISLANDS]),
        island_count=len(islands),
        columns={"clusters": clusters.columns, "islands": islands.columns},
        pictures=pictures,
        island_pictures=island_pictures,
        unpictured=len(shown) - len(pictures),
        islands_unpictured=len(others) - len(island_pictures),
        config=public_text(
            yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        ),
    )


def _rows(table: Table) -> list[dict[str, str]]:
    """Texts of a table; behind a value with an error column stands its error."""
    formats = number_formats(table)
    errors = {name.replace("_err_", "_"): name for name in formats if "_err_" in name}
    return [
        {
            name: _with_error(row[name], row[errors[name]])
            if name in errors
            else _text(row[name], formats.get(name))
            for name in table.colnames
        }
        for row in table
    ]


def _with_error(value: float, error: float) -> str:
    both = [float(np.ma.filled(one, np.nan)) for one in (value, error)]
    if not (np.isfinite(both).all() and error > 0):
        return "–"
    if abs(value) >= LARGE:
        return f"{value:.2e} ± {error:.1e}"
    power = int(f"{error:.1e}".partition("e")[2])  # of the error as it is rounded
    digits = min(max(1 - power, 0), 3)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _text(value: str | float | np.generic, number: str | None) -> str:
    if value is np.ma.masked or (number and np.isnan(value)):
        return "–"
    if number:
        return number % value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, np.integer) and value < 0:  # `fit_flag` without a fit
        return "–"
    return str(value)


def _clusters_in(rows: Table) -> int:
    """How many clusters some rows are of: several may be of one; each without a position counts."""
    places = (np.ma.filled(rows[name].astype(float), np.nan) for name in ("ra_deg", "dec_deg"))
    found = zip(map(str, rows["name"]), *places, strict=True)
    return len({(*one, number if np.isnan(one[1:]).any() else -1) for number, one in enumerate(found)})


def _largest_first(table: Table, column: str) -> Table:
    """Sort rows by one column, rows without a value last."""
    values: np.ndarray = np.ma.filled(np.ma.asarray(table[column], float), np.nan)
    return table[np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")]


def _pictures(rows: Sequence[Table.Row], draw: Callable[[Table.Row], Figure | None]) -> list[tuple[str, str]]:
    """Names, and pictures of those that can be drawn."""
    drawn = ((str(row["name"]), draw(row)) for row in rows)
    return [(name, _figure(figure)) for name, figure in drawn if figure is not None]


def _figure(figure: Figure) -> str:
    stream = io.BytesIO()
    save_figure(figure, stream, dpi=80)
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


def draw_coverage(survey: Survey, mosaics: Sequence[str], bad: set[str]) -> Figure:
    """All-sky map of the run: RA increases to the left, done and rejected mosaics in colour."""
    import healpy

    status = coverage_map(survey, mosaics, bad)
    figure = Figure(figsize=(9, 5), layout="tight")
    axes = figure.add_subplot(111, projection="mollweide")
    nside = MAP_NSIDE
    longitude = np.radians(np.linspace(-180, 180, 721))
    latitude = np.radians(np.linspace(-90, 90, 361))
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


def picture_cluster(row: Table.Row, products: Products, config: Config) -> Figure | None:
    """Image, residual and model of a cluster; None where its cut-out is not there."""
    path, place = products.cutouts(str(row["mosaic"])), (float(row["ra_deg"]), float(row["dec_deg"]))
    cutout = read_cutout(path, str(row["name"]), *place) if Path(path).is_file() else None
    if cutout is None:
        return None
    keys = ("r500_arcmin", "redshift", "p_diffuse")
    radius, redshift, chance = (float(np.ma.filled(row[key], np.nan)) for key in keys)
    distance = f", z {redshift:.3f}" if redshift > 0 else ""
    title = f"{row['name']}: {row['class']}, p_diffuse {chance:.2f}{distance}"
    cosmology = flat_cosmology(config.measure.h0, config.measure.omega_m)
    per_kpc = arcmin_per_kpc(redshift, cosmology) if redshift > 0 else np.nan
    return draw_panels(cutout, Subject(row, title, radius, per_kpc))


def picture_island(row: Table.Row, products: Products, config: Config) -> Figure | None:
    """Image, residual and model of an island; None where its mosaic is not there."""
    mosaic = str(row["mosaic"])
    paths = products.image(mosaic), products.probability(mosaic), products.mask(mosaic)
    if not all(Path(path).is_file() for path in paths):
        return None
    ra, dec, extent = (float(row[key]) for key in ("ra_deg", "dec_deg", "extent_arcmin"))
    compact = CompactFiles.of_run(config, products, mosaic)
    cutout = cut_out_island(*paths, ra, dec, extent, compact)
    if cutout is None:
        return None
    title = f"{row['name']}: {row['class']}, p_max {float(row['p_max']):.2f}, {mosaic}"
    return draw_panels(cutout, Subject(row, title, np.nan, np.nan))


def away_from_clusters(islands: Table, clusters: Table) -> Table:
    """Islands farther than 1.5 R500 from every cluster."""
    vectors = [
        unit_vectors(*(np.ma.filled(np.ma.asarray(one[key], float), np.nan) for key in ("ra_deg", "dec_deg")))
        for one in (islands, clusters)
    ]
    radius = RELIC_R500 * np.ma.filled(np.ma.asarray(clusters["r500_arcmin"], float), np.nan) / 60
    far = [not (separation_deg(one, vectors[1]) <= radius).any() for one in vectors[0]]
    return islands[np.array(far, bool)]
