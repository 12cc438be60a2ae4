"""Rows of the catalogues with what is known of them on their mosaic: files, cut-out, DS9 regions.

Kits, the results site and labels by eye are made of them.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table
from scipy.sparse.csgraph import connected_components

from radiounet import __version__
from radiounet.errors import ConfigError
from radiounet.images.geometry import to_sky
from radiounet.images.image import open_plane
from radiounet.images.products import Products, segment_files
from radiounet.images.provenance import code_hash, provenance
from radiounet.images.reading import ecsv_table, fits_header, reading
from radiounet.images.regional_products import products_at
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.words import one_line, printable
from radiounet.images.writing import atomic
from radiounet.measuring.compact import IMAGE
from radiounet.measuring.cutout_files import StoredCutout, read_cutout
from radiounet.measuring.island_cutouts import cut_out_island
from radiounet.publishing.pictures import outlines

logger = logging.getLogger(__name__)

SAME_PLACE_DEG = 1 / 60
MADE_OF = {"cluster": ("cutouts", "probability", "mask"), "island": ("image", "probability", "mask")}
"""Products that cut-out, probability and mask of a cluster or an island are taken from."""
REGION_LABEL = str.maketrans({letter: " " for letter in "{}\"'"})


@dataclass(frozen=True)
class CatalogueObject:
    """A row of a catalogue, and the files of its mosaic.

    Attributes
    ----------
    kind : str
        ``cluster`` or ``island``.
    row : Table.Row
    files : dict of str to str
        ``image``, ``probability``, ``mask``, ``cutouts``.
    stem : str
        Name of its folder, which no other row of the catalogues has; empty where none was asked for.
    """

    kind: str
    row: Table.Row
    files: dict[str, str]
    stem: str = ""

    @property
    def place(self) -> tuple[float, float]:
        """Right ascension and declination, ICRS, deg."""
        return float(self.row["ra_deg"]), float(self.row["dec_deg"])


def read_catalogues(results: str) -> dict[str, Table]:
    """Tables of the clusters (``cluster``) and the islands (``island``) of a run; no number is masked.

    Parameters
    ----------
    results : path
        Products of a survey, such as ``results/dr2``, or a folder of ``radiounet segment``.

    Raises
    ------
    ConfigError
        There are none.
    """
    if not Path(results).is_dir():
        raise ConfigError(f"there is no folder {results}: give that of a run, or of `radiounet segment`")
    own = segment_files(results)
    tables = {}
    for kind in ("cluster", "island"):
        merged = Products(results).catalogue(f"{kind}s", "vot")
        if Path(merged).is_file():
            with reading(merged):
                tables[kind] = _without_gaps(Table.read(merged))
        elif Path(own[f"{kind}s"]).is_file():
            tables[kind] = _without_gaps(ecsv_table(own[f"{kind}s"]))
    if not tables:
        raise ConfigError(
            f"{results} has no catalogues: give the folder of a release, such as results/dr2, "
            "or one of radiounet segment"
        )
    return tables


def _without_gaps(table: Table) -> Table:
    """The same table with NaN where a number is masked, as `float` of such a cell warns."""
    for name in table.colnames:
        if table[name].dtype.kind == "f" and np.ma.isMaskedArray(table[name]):
            table[name] = table[name].filled(np.nan)
    return table


def files_of(results: str, mosaic: str) -> dict[str, str]:
    """Files of a mosaic that a `CatalogueObject` names."""
    products, own = products_at(results), segment_files(results)
    if Path(own["mask"]).is_file():
        return {"image": own["prepared"], **{kind: own[kind] for kind in ("probability", "mask", "cutouts")}}
    return {kind: getattr(products, kind)(mosaic) for kind in ("image", "probability", "mask", "cutouts")}


def require_products(source: CatalogueObject, *kinds: str) -> None:
    """Raise `ConfigError` if a source was not measured, or products of its mosaic are not there any more."""
    name = one_line(source.row["name"])
    if source.kind == "cluster" and source.row["class"] == "N/A":
        raise ConfigError(
            f"{name} was not measured ({one_line(source.row['note'])}): leave it out here; or, if its row in "
            "your table of clusters is wrong, correct it and measure again"
        )
    for kind in kinds:
        if not Path(source.files[kind]).is_file():
            raise ConfigError(
                f"{source.files[kind]} is not there any more: run the workflow again for {name}"
            )


def places_of(rows: Iterable[tuple[str, Table.Row]]) -> list[tuple[float, float]]:
    """Different positions of some rows, ICRS deg; none of a row without a position.

    Several own images may show one cluster, whose position is that of its list on each; or one island,
    whose centroid is not quite the same: those that steps of less than `SAME_PLACE_DEG` join are one, and
    that of a cluster if they reach one.

    Parameters
    ----------
    rows : iterable of (str, Row)
        Each with its kind, ``cluster`` or ``island``.
    """
    found = [(kind, (float(row["ra_deg"]), float(row["dec_deg"]))) for kind, row in rows]
    found = [(kind, place) for kind, place in found if np.isfinite(place).all()]
    clusters = list(dict.fromkeys(place for kind, place in found if kind == "cluster"))
    places = list(dict.fromkeys([*clusters, *(place for _, place in found)]))
    if len(places) < 2:
        return places
    vectors = unit_vectors(*np.transpose(places))
    near = [separation_deg(one, vectors) < SAME_PLACE_DEG for one in vectors]
    _, group = connected_components(np.array(near), directed=False)
    firsts = np.sort(np.unique(group, return_index=True)[1])
    return [*clusters, *(places[first] for first in firsts if first >= len(clusters))]


def places_text(places: Sequence[tuple[float, float]]) -> str:
    """Positions in words, ICRS deg."""
    return " and ".join(f"RA {ra:.4f}, Dec {dec:+.4f}" for ra, dec in places)


def cut(source: CatalogueObject) -> tuple[StoredCutout, list[str]]:
    """Cut-out of a source, and the products that it was made from.

    Raises
    ------
    ConfigError
        The source was not measured, or its mosaic is not there any more.
    """
    name, files = one_line(source.row["name"]), source.files
    maps = files["probability"], files["mask"]
    require_products(source, MADE_OF[source.kind][0])
    if source.kind == "cluster":
        path = files["cutouts"]
        cutout = read_cutout(path, str(source.row["name"]), *source.place)
        if cutout is None:
            raise ConfigError(f"{path} has no cut-out of {name}: it belongs to another catalogue")
        return cutout, [path, *maps]
    extent = float(source.row["extent_arcmin"])
    origin = str(source.row["compact_origin"])
    if origin != IMAGE:
        logger.warning(
            "%s: compact sources are those of the image here, in the catalogue of: %s", name, origin
        )
    found = cut_out_island(files["image"], *maps, *source.place, extent)
    if found is None:
        raise ConfigError(f"{files['mask']} has no island where {name} is: it belongs to another catalogue")
    return found, [files["image"], *maps]


def part_of(path: str, cutout: StoredCutout) -> np.ndarray:
    """Part of a map that a cut-out shows, ``[y, x]``."""
    stored = open_plane(path, brightness=False)
    return stored.window(*cutout.part)


def cutout_header(cutout: StoredCutout, source: CatalogueObject, name: str) -> fits.Header:
    """Grid, beam and unit of a cut-out, its name, and how its mask was made."""
    header = cutout.header()
    header["OBJECT"] = printable(name)
    made = fits_header(source.files["mask"])
    keys = ("MODEL", "MODELSHA", "CARDSHA", "IMAGESHA", "INPUTSHA", "SEGMODE", "PRECIS", "THREADS", "THRESH")
    header.update(provenance(**{key.lower(): made.get(key) for key in keys}))
    if "freq_mhz" not in source.row.colnames:
        raise ConfigError(
            f"the catalogues have no column freq_mhz, because an older version made them ({name}): run the "
            "workflow again"
        )
    frequency_mhz = float(np.ma.filled(source.row["freq_mhz"], np.nan))
    if np.isfinite(frequency_mhz):
        header["RESTFRQ"] = (1e6 * frequency_mhz, "Hz")
    return header


def write_regions(path: str, cutout: StoredCutout, source: CatalogueObject, name: str) -> None:
    """Write DS9 regions in ICRS: R500, outlines of islands, compact sources."""
    wcs, shapes = cutout.residual.wcs, []
    if source.kind == "cluster":
        label = printable(f"R500 of {name}").translate(REGION_LABEL)
        circle = f"circle({_places(*source.place)},{float(source.row['r500_arcmin']) / 60:.7f})"
        shapes.append((circle, [f"text={{{label}}}", "color=green", "dash=1"]))
    for line in outlines(cutout.islands):
        vertices = _places(*to_sky(wcs, line[:-1, 1], line[:-1, 0]))
        shapes.append((f"polygon({vertices})", ["color=cyan"]))
    for place in zip(cutout.components["ra_deg"], cutout.components["dec_deg"], strict=True):
        shapes.append((f"point({_places(*place)})", ["color=red", "point=x"]))
    first = shapes[0][1] if shapes else []
    shared = [word for word in first if all(word in words for _, words in shapes)]
    lines = ["# Region file format: DS9", f"# radiounet {__version__}, code {code_hash()}"]
    if shared:
        lines.append(f"global {' '.join(shared)}")
    lines.append("icrs")
    for shape, words in shapes:
        own = [word for word in words if word not in shared]
        lines.append(f"{shape} # {' '.join(own)}" if own else shape)
    with atomic(path) as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="ascii")


def _places(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> str:
    """Positions as DS9 reads them: RA, Dec, RA, ..."""
    places = np.column_stack([np.ravel(ra_deg) % 360, np.ravel(dec_deg)])
    return ",".join(f"{one:.7f}" for one in places.ravel().tolist())
