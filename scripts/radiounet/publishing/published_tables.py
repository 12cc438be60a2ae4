"""The catalogues as they are published: as the run left them, with links, and in the format of CDS."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.tree import Field, VOTableFile
from astropy.table import Table

from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES, Products, Publication, SiteFiles
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import reading
from radiounet.publishing.catalogue_check import check_merged, same_in_all_formats
from radiounet.publishing.cds_readme import cds_files
from radiounet.publishing.records import (
    JobFiles,
    digest_of,
    do_once,
    published_mosaics,
    read_record,
    require_files,
)
from radiounet.publishing.site_tables import stems_of
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import Release

LINK = "cutouts_url"
"""Column of the VOTables that leads to the cut-outs, or to the mask, of a row."""


def publish_catalogues(
    products: Products,
    publication: Publication,
    release: Release,
    mosaics: Sequence[str],
    options: PublishOptions,
) -> dict[str, object]:
    """Publish the catalogues of a run.

    FITS, CSV and Parquet are those of the run. The VOTables have one more column, the address of the
    row's cut-outs: below `options.url`, or else from their own folder. The ReadMe of CDS describes
    tables of fixed width with the same rows.

    Parameters
    ----------
    products : Products
    publication : Publication
    release : Release
    mosaics : sequence of str
        Of the run, all of them published or rejected.
    options : PublishOptions
        Address of the publication, and authors of the ReadMe.

    Raises
    ------
    ConfigError
        A catalogue is missing, one of its formats differs from another, or it was not merged from the
        tables of the mosaics.
    """
    paths = {
        (kind, suffix): products.catalogue(kind, suffix)
        for kind in CATALOGUE_KINDS
        for suffix in CATALOGUE_SUFFIXES
    }
    require_files(paths.values())
    made_of: dict[str, object] = {"/".join(key): sha256_of(path) for key, path in paths.items()}

    def make(job_files: JobFiles) -> dict:
        shown = set(published_mosaics(publication, mosaics))
        tables = {}
        for kind in CATALOGUE_KINDS:
            tables[kind] = same_in_all_formats(paths, kind)
        check_merged(products, mosaics, tables)
        links = _links(tables, shown, options.url)
        for kind in CATALOGUE_KINDS:
            for suffix in CATALOGUE_SUFFIXES:
                path = paths[kind, suffix]
                content = _linked(path, links.get(kind)) if suffix == "vot" else Path(path).read_bytes()
                job_files.put(Publication.catalogue(kind, suffix), content)
        for name, content in cds_files(tables, release, options.creators).items():
            job_files.put(Publication.cds(name), content)
        return {"rows": {kind: len(table) for kind, table in tables.items()}}

    merged = {}
    for name in sorted(mosaics):
        limits = products.limits(name)
        of_limits = sha256_of(limits) if Path(limits).is_file() else None
        merged[name] = read_record(publication.record("mosaic", name))["made_of"], of_limits
    made_of |= {"mosaics": digest_of(merged), "title": release.title}
    made_of |= options.model_dump(include={"creators", "url"})
    return do_once(publication, "catalogues", "all", made_of, make)


def _linked(path: str, links: Sequence[str] | None) -> bytes:
    """VOTable of a run with the column `LINK`, or as it is without links."""
    with reading(path):
        document = parse(path)
    if links is not None:
        _add_links(document, links)
    stream = io.BytesIO()
    document.to_xml(stream)
    return stream.getvalue()


def _links(tables: dict[str, Table], mosaics: set[str], url: str | None) -> dict[str, list[str]]:
    """Addresses of the cut-outs on the results site, '' for a cluster that was not measured."""
    files = SiteFiles(url.rstrip("/") if url else "..")
    links: dict[str, list[str]] = {}
    for kind, stems in stems_of({kind: tables[kind] for kind in ("clusters", "islands")}).items():
        links[kind] = []
        for row, stem in zip(tables[kind], stems, strict=True):
            is_measured = kind == "islands" or (row["coverage"] > 0 and row["class"] != "N/A")
            is_shown = str(row["mosaic"]) in mosaics and is_measured
            links[kind].append(files.cutout(str(row["mosaic"]), stem) if is_shown else "")
    return links


def _add_links(document: VOTableFile, links: Sequence[str]) -> None:
    content = document.get_first_table()
    old = content.array
    field = Field(
        document, name=LINK, ID=LINK, datatype="unicodeChar", arraysize="*", ucd="meta.ref.url;meta.file"
    )
    field.description = (
        "Cut-outs of image, residual, probability and mask; an address, or a path from this table"
    )
    content.fields.append(field)
    rows: np.ma.MaskedArray = np.ma.zeros(len(old), dtype=[*old.dtype.descr, (LINK, "O")])
    for name in old.dtype.names:
        rows[name] = old[name]
        rows[name][np.ma.getmaskarray(old[name])] = np.ma.masked
    rows[LINK] = links
    content.array = rows
