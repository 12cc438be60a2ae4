"""What is needed to look at a cluster or an island again: cut-outs, regions, a mask for CLEAN."""

import difflib
import json
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
from radiounet.images.products import Products, file_stems, kit_files, segment_files
from radiounet.images.provenance import code_hash, provenance, sha256_of
from radiounet.images.reading import ecsv_table, fits_header, reading
from radiounet.images.regional_products import products_at
from radiounet.images.squares import separation_deg, unit_vectors
from radiounet.images.words import one_line, printable
from radiounet.images.writing import atomic, write_fits, write_json
from radiounet.measuring.compact import IMAGE
from radiounet.measuring.cutout_files import StoredCutout, read_cutout
from radiounet.measuring.island_cutouts import cut_out_island
from radiounet.publishing.pictures import outlines
from radiounet.settings.releases import OWN_IMAGES

logger = logging.getLogger(__name__)

COMPACT_RMS = 5.0
"""Where compact sources are in the mask for CLEAN, rms."""
NEAR_NAMES = 5
SAME_PLACE_DEG = 1 / 60
MADE_OF = {"cluster": ("cutouts", "probability", "mask"), "island": ("image", "probability", "mask")}
"""Products that a kit is made of."""
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


def find_sources(results: str, names: Sequence[str]) -> list[CatalogueObject]:
    """Find clusters and islands by their names, all of which can have a kit.

    Parameters
    ----------
    results : path
        Products of a survey, such as ``results/dr2``, or a folder of ``radiounet segment``.
    names : sequence of str

    Raises
    ------
    ConfigError
        There are no catalogues. Or one or more names have no kit, and each is told why: no catalogue has it
        (those nearest to it are named), several places have it, it was not measured, a product is not
        there any more.
    """
    tables = read_catalogues(results)
    known = {kind: [one_line(name) for name in table["name"]] for kind, table in tables.items()}
    every = list(dict.fromkeys(name for all_names in known.values() for name in all_names))
    stems = dict(zip(every, file_stems(every), strict=True))
    found, faults = [], []
    for name in map(one_line, names):
        try:
            if name not in stems:
                near = difflib.get_close_matches(name, sorted(every), NEAR_NAMES, 0.5)
                said = f"; did you mean {', '.join(near)}?" if near else ""
                raise ConfigError(f"no cluster or island of {results} is called {name}{said}")
            rows = [
                (kind, tables[kind][index])
                for kind, all_names in known.items()
                for index, other in enumerate(all_names)
                if other == name
            ]
            kind, row = _one_place(results, name, rows)
            source = CatalogueObject(kind, row, files_of(results, str(row["mosaic"])), stems[name])
            _require_products(source, *MADE_OF[kind])
            found.append(source)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError(f"no kit is written: {'; '.join(faults)}")
    return found


def _one_place(results: str, name: str, rows: list[tuple[str, Table.Row]]) -> tuple[str, Table.Row]:
    """Of several own images that show one cluster, the row of that which has most of it."""
    places = places_of(rows)
    if len(places) > 1:
        raise ConfigError(
            f"{results} has {len(places)} clusters or islands called {name}, "
            f"at {places_text(places)}: give each a name of its own in your table, and measure again"
        )
    return max(rows, key=_coverage)


def _require_products(source: CatalogueObject, *kinds: str) -> None:
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


def _coverage(found: tuple[str, Table.Row]) -> float:
    kind, row = found
    return float(np.nan_to_num(row["coverage"])) if kind == "cluster" else 0.0


def read_catalogues(results: str) -> dict[str, Table]:
    """Tables of the clusters (``cluster``) and the islands (``island``) of a run; no number is masked.

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


def require_no_other_kit(source: CatalogueObject, folder: str) -> None:
    """Raise `ConfigError` if a folder holds the kit of another cluster or island."""
    path, name = Path(kit_files(folder)["kit"]), one_line(source.row["name"])
    if path.is_file():
        other = json.loads(path.read_text(encoding="utf-8")).get("kit", name)
        if other != name:
            raise ConfigError(f"{folder} holds the kit of {other}: give another folder for that of {name}")


def write_kit(source: CatalogueObject, folder: str) -> None:
    """Write the kit of one cluster or island, see `radiounet.images.products.kit_files`.

    All planes have the same pixels, those of the mosaic: nothing is resampled.

    Parameters
    ----------
    source : CatalogueObject
    folder : path

    Raises
    ------
    ConfigError
        The source was not measured, or its mosaic is not there any more.
    """
    files, name = kit_files(folder), one_line(source.row["name"])
    cutout, read = cut(source)
    chance, marked = (part_of(source.files[kind], cutout) for kind in ("probability", "mask"))
    header = cutout_header(cutout, source, name)
    write_fits(files["image"], cutout.image, header)
    write_fits(files["residual"], cutout.residual.data, header)
    del header["BUNIT"]
    write_fits(files["probability"], chance, header)
    write_fits(files["mask"], marked.astype(np.uint8), header)
    _write_clean_mask(files["clean_mask"], _emission(cutout, marked == 1), header)
    write_regions(files["regions"], cutout, source, name)
    ra, dec = source.place
    content = {
        "kit": name,
        "kind": source.kind,
        "ra_deg": ra,
        "dec_deg": dec,
        **{key: str(source.row[key]) for key in ("class", "reason", "mosaic")},
        "rms_jy": cutout.rms_jy,
        "version": __version__,
        "codehash": code_hash(),
        "products": {path: sha256_of(path) for path in read},
        "files": {Path(path).name: sha256_of(path) for kind, path in files.items() if kind != "kit"},
    }
    write_json(files["kit"], content)
    logger.info("%s: %s", name, folder)


def cut(source: CatalogueObject) -> tuple[StoredCutout, list[str]]:
    """Cut-out of a source, and the products that it was made from.

    Raises
    ------
    ConfigError
        The source was not measured, or its mosaic is not there any more.
    """
    name, files = one_line(source.row["name"]), source.files
    maps = files["probability"], files["mask"]
    _require_products(source, MADE_OF[source.kind][0])
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


def _emission(cutout: StoredCutout, diffuse: np.ndarray) -> np.ndarray:
    """Where CLEAN has something to do: diffuse emission, compact sources and radio galaxies."""
    return diffuse | (cutout.compact > COMPACT_RMS * cutout.rms_jy) | (cutout.islands < 0)


def _write_clean_mask(path: str, emission: np.ndarray, header: fits.Header) -> None:
    """Write 0 and 1 as float32 on the axes of WSClean's images: RA, Dec, frequency, Stokes."""
    full = header.copy()
    full["WCSAXES"] = 4
    axes = {
        3: ("FREQ", header.get("RESTFRQ", 1e6 * OWN_IMAGES.frequency_mhz), 1e6, "Hz"),
        4: ("STOKES", 1.0, 1.0, ""),
    }
    for axis, (kind, value, step, unit) in axes.items():
        full[f"CTYPE{axis}"], full[f"CRPIX{axis}"], full[f"CRVAL{axis}"] = kind, 1.0, value
        full[f"CDELT{axis}"], full[f"CUNIT{axis}"] = step, unit
    write_fits(path, emission[None, None].astype(np.float32), full)


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
    lines += [f"global {' '.join(shared)}"] * bool(shared) + ["icrs"]
    for shape, words in shapes:
        own = [word for word in words if word not in shared]
        lines.append(f"{shape} # {' '.join(own)}" if own else shape)
    with atomic(path) as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="ascii")


def _places(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> str:
    """Positions as DS9 reads them: RA, Dec, RA, ..."""
    places = np.column_stack([np.ravel(ra_deg) % 360, np.ravel(dec_deg)])
    return ",".join(f"{one:.7f}" for one in places.ravel().tolist())
