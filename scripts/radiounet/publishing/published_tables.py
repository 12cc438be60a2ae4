"""The catalogues as they are published: as the run left them, with links, and in the format of CDS."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.tree import Field, VOTableFile
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES, Products, Publication, SiteFiles
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import reading
from radiounet.images.words import writable
from radiounet.measuring.columns import number_formats
from radiounet.publishing.cds_readme import cds_files
from radiounet.publishing.records import JobFiles, do_once, require_files
from radiounet.publishing.site_tables import stems_of
from radiounet.settings.releases import Release

LINK = "cutouts_url"
"""Column of the VOTables that leads to the cut-outs, or to the mask, of a row."""


def publish_catalogues(
    products: Products,
    publication: Publication,
    release: Release,
    mosaics: Sequence[str],
    creators: Sequence[str],
) -> dict[str, object]:
    """Publish the catalogues of a run.

    FITS, CSV and Parquet are those of the run. The VOTables have one more column, the address of the
    row's cut-outs from their own folder. The ReadMe of CDS describes
    tables of fixed width with the same rows.

    Parameters
    ----------
    products : Products
    publication : Publication
    release : Release
    mosaics : sequence of str
        Mosaics that were published, and so have files to link to.
    creators : sequence of str
        Authors of the ReadMe.

    Raises
    ------
    ConfigError
        A catalogue is missing, or one of its formats differs from another.
    """
    paths = {
        (kind, suffix): products.catalogue(kind, suffix)
        for kind in CATALOGUE_KINDS
        for suffix in CATALOGUE_SUFFIXES
    }
    require_files(paths.values())
    made_of: dict[str, object] = {"/".join(key): sha256_of(path) for key, path in paths.items()}

    def make(job_files: JobFiles) -> dict:
        tables = {}
        for kind in CATALOGUE_KINDS:
            tables[kind] = _checked(paths, kind)
            for suffix in CATALOGUE_SUFFIXES:
                path = paths[kind, suffix]
                content = (
                    _linked(path, tables[kind], kind, set(mosaics))
                    if suffix == "vot"
                    else Path(path).read_bytes()
                )
                job_files.put(Publication.catalogue(kind, suffix), content)
        for name, content in cds_files(tables, release, creators).items():
            job_files.put(Publication.cds(name), content)
        return {"rows": {kind: len(table) for kind, table in tables.items()}}

    made_of |= {"mosaics": sorted(mosaics), "creators": [*creators], "title": release.title}
    return do_once(publication, "catalogues", "all", made_of, make)


def read_votable(path: str | Path) -> Table:
    """Catalogue of a run with units, descriptions and UCDs, texts as str; its metadata as `meta`."""
    with reading(path):
        content = parse(str(path)).get_first_table()
        table = content.to_table()
    table.meta = {info.name: info.value for info in content.infos}
    for field in content.fields:
        column = table[field.name]
        if column.dtype.kind in "OSU":
            text = np.array([str(one) if one is not np.ma.masked else "" for one in column], str)
            table.replace_column(
                field.name, type(column)(text, name=field.name, description=column.description)
            )
        table[field.name].info.meta = {"ucd": field.ucd}
    return table


def _checked(paths: dict[tuple[str, str], str], kind: str) -> Table:
    """Return a catalogue; raise `ConfigError` where its formats do not have the same rows."""
    table = read_votable(paths[kind, "vot"])
    for suffix in ("fits", "csv", "parquet"):
        path = paths[kind, suffix]
        options = {"csv": {"format": "ascii.csv", "comment": "#"}}.get(suffix, {})
        with reading(path):
            other = Table.read(path, **options)
        if len(other) != len(table) or other.colnames != table.colnames:
            raise ConfigError(f"{path} was changed: it has other rows or columns than {paths[kind, 'vot']}")
        if suffix == "parquet" and (wrong := _other_values(table.meta, other.meta)):
            raise ConfigError(f"{path} was changed: its {wrong} differs from that of {paths[kind, 'vot']}")
        forms = number_formats(table) if suffix == "csv" else {}
        for name in table.colnames if len(table) else ():
            if not _agree(table[name], other[name], suffix, forms.get(name)):
                raise ConfigError(
                    f"{path} was changed: its column {name} differs from that of {paths[kind, 'vot']}"
                )
    return table


def _other_values(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Names of the metadata in which two formats of a catalogue differ."""
    names = ours.keys() | theirs.keys()
    return ", ".join(sorted(one for one in names if str(ours.get(one)) != writable(str(theirs.get(one)))))


def _agree(ours: Any, theirs: Any, suffix: str, form: str | None) -> bool:
    """Whether columns of two formats hold the same; `form` is how CSV rounds its numbers."""
    if ours.dtype.kind == "f":
        one, other = (_numbers(column) for column in (ours, theirs))
        if form is not None:  # more digits than its format has are no change
            rounded = np.array([float(form % value) for value in one])
            one = np.where(one == other, other, rounded)
        return np.array_equal(one, other, equal_nan=True)
    if ours.dtype.kind == "U":
        texts = [["" if one is np.ma.masked else _text(one) for one in column] for column in (ours, theirs)]
        if suffix == "fits":
            texts[0] = [one.encode("ascii", "replace").decode() for one in texts[0]]
        return [one.strip() for one in texts[0]] == [one.strip() for one in texts[1]]
    return [str(one) for one in ours] == [str(one) for one in theirs]


def _numbers(column: Any) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(column, float), np.nan)


def _text(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _linked(path: str, table: Table, kind: str, mosaics: set[str]) -> bytes:
    """VOTable of a run with the column `LINK`."""
    with reading(path):
        document = parse(path)
    if kind != "rejected":
        _add_links(document, _links(table, kind, mosaics))
    stream = io.BytesIO()
    document.to_xml(stream)
    return stream.getvalue()


def _links(table: Table, kind: str, mosaics: set[str]) -> list[str]:
    """Addresses of the cut-outs on the results site, '' for a cluster that was not measured."""
    files, links = SiteFiles(".."), []
    for row, stem in zip(table, stems_of(table), strict=True):
        is_shown = str(row["mosaic"]) in mosaics and (kind == "islands" or row["coverage"] > 0)
        links.append(files.cutout(str(row["mosaic"]), stem) if is_shown else "")
    return links


def _add_links(document: VOTableFile, links: Sequence[str]) -> None:
    content = document.get_first_table()
    old = content.array
    field = Field(
        document, name=LINK, ID=LINK, datatype="unicodeChar", arraysize="*", ucd="meta.ref.url;meta.file"
    )
    field.description = "Cut-outs of image, residual, probability and mask, relative to this table"
    content.fields.append(field)
    rows: np.ma.MaskedArray = np.ma.zeros(len(old), dtype=[*old.dtype.descr, (LINK, "O")])
    for name in old.dtype.names:
        rows[name] = old[name]
        rows[name][np.ma.getmaskarray(old[name])] = np.ma.masked
    rows[LINK] = links
    content.array = rows
