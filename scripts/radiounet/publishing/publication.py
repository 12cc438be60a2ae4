"""A publication: its jobs, one after another or, in the workflow, side by side.

1. each mosaic: maps and cut-outs, and what it covers (`radiounet.publishing.published_maps`)
2. the catalogues (`radiounet.publishing.published_tables`)
3. the survey: MOCs, completeness, table of images (`radiounet.publishing.published_survey`)
4. each part of the sky: tiles of the HiPS (`radiounet.publishing.published_tiles`)
5. what stands beside the tiles, the research object, citation texts, results site, checksums
"""

import hashlib
import logging
import os
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mocpy import MOC

from radiounet.errors import ConfigError
from radiounet.images.geometry import to_sky
from radiounet.images.image import covering_square, open_plane
from radiounet.images.products import Products, Publication
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.rejections import read_rejection
from radiounet.images.squares import Mosaic
from radiounet.images.words import write_if_changed
from radiounet.images.writing import remove_leftovers, write_json
from radiounet.publishing.catalogue_check import read_votable
from radiounet.publishing.hips import tile_order
from radiounet.publishing.hips_parts import parts_of
from radiounet.publishing.hips_summary import write_summary
from radiounet.publishing.published_maps import publish_mosaic
from radiounet.publishing.published_survey import publish_survey
from radiounet.publishing.published_tables import publish_catalogues
from radiounet.publishing.published_tiles import publish_part
from radiounet.publishing.records import (
    JobFiles,
    all_records,
    do_once,
    earlier_record,
    file_changed_since_record,
    files_not_as_recorded,
    found_by,
    published_mosaics,
    read_record,
    remove_file,
    require_files,
)
from radiounet.publishing.research_object import NO_LIMITS, research_files
from radiounet.publishing.side_by_side import side_by_side
from radiounet.publishing.site import restore_page, write_site
from radiounet.publishing.workflow_files import check_configuration, workflow_files
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import SOURCES, Release
from radiounet.survey.survey import Survey

logger = logging.getLogger(__name__)

MOST_NAMED = 5


def publish(
    products: Products,
    publication: Publication,
    survey: Survey,
    mosaics: Sequence[str],
    processes: int,
    options: PublishOptions,
) -> None:
    """Publish a finished run: all jobs, those of mosaics and tiles side by side.

    Parameters
    ----------
    products : Products
    publication : Publication
    survey : Survey
    mosaics : sequence of str
        Of the run.
    processes : int
    options : PublishOptions
    """
    check_configuration(products, survey.release, _metadata(products))
    remove_leftovers(publication.root)
    side_by_side(partial(publish_mosaic, products, publication, survey), mosaics, processes, "mosaics")
    publish_catalogues(products, publication, survey.release, mosaics, options)
    publish_survey(products, publication, survey.release, mosaics, options)
    parts = sorted(parts_of(survey, mosaics))
    make = partial(publish_part, products, publication, survey, mosaics)
    side_by_side(make, parts, processes, "parts of the sky")
    finish(products, publication, survey.release, mosaics, parts, options, processes)


def run_mosaics(products: Products) -> list[str]:
    """Names of the mosaics of a finished run, by its products.

    Raises
    ------
    ConfigError
        There are none, or fewer or more than were merged into the catalogue.
    """
    names = products.mosaics("islands")
    catalogue = products.catalogue("islands", "vot")
    require_files([catalogue])
    merged = int(str(read_votable(catalogue).meta.get("mosaics", 0)))
    if not names or merged != len(names):
        lost = sorted(set(products.mosaics("mask")) - set(names))
        why = f"; missing are perhaps {_some([products.islands(name) for name in lost])}" if lost else ""
        if len(names) > merged:
            why = (
                "; some may be of an earlier, wider selection: publish with the workflow "
                "(snakemake publish), which knows the mosaics of this one"
            )
        raise ConfigError(
            f"{products.root} has tables of {len(names)} mosaics, its catalogue is of {merged}{why}"
        )
    return names


def survey_of_run(products: Products, release: Release, mosaics: Sequence[str]) -> Survey:
    """Survey of the mosaics of a run alone, from their images: other mosaics have no say."""
    places = []
    for name in mosaics:
        require_files([products.mask(name)])
        if read_rejection(products.mask(name)):
            places.append(Mosaic(name, 0.0, -90.0, 0))
            continue
        require_files([products.image(name)])
        places.append(_place(products.image(name), name, release))
    return Survey(release, places)


def _place(path: str, name: str, release: Release) -> Mosaic:
    """Square of a mosaic: of a survey's, with the reference pixel of its grid as its centre."""
    image = open_plane(path)
    shape = image.data.shape
    if release.is_listed:
        ra, dec = (float(one) for one in to_sky(image.wcs, shape[1] / 2 - 1, shape[0] / 2 - 1))
        return Mosaic(name, ra, dec, max(shape))
    place = covering_square(image.wcs, shape, release.pixel_arcsec, path)
    return Mosaic(name, place.ra_deg, place.dec_deg, place.n_px)


def finish(
    products: Products,
    publication: Publication,
    release: Release,
    mosaics: Sequence[str],
    parts: Sequence[int],
    options: PublishOptions,
    processes: int,
) -> None:
    """Write what stands beside the tiles, the research object, citation texts, results site and checksums.

    Raises
    ------
    ConfigError
        A file that another job made is missing or was changed.
    """
    about = found_by(publication, "survey", "all")
    if not about["date"]:
        logger.warning("no image has a date: the HiPS and the research object are dated 1970")
    if not options.creators:
        logger.warning("publish.creators names nobody: the research object and the citation say so")
    jobs = [("mosaic", name) for name in mosaics] + [("tiles", f"{part:03d}") for part in parts]
    jobs += [("catalogues", "all"), ("survey", "all")]
    files = _recorded_files(publication, jobs)
    if Publication.completeness() not in files:
        logger.info(NO_LIMITS)
    _remove_others(publication, jobs, files)
    _finish_summary(products, publication, release, mosaics, options, about, files)
    files |= read_record(publication.record("summary", "all"))["files"]
    _finish_site(products, publication, mosaics, options, processes, files)


def _recorded_files(publication: Publication, jobs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """SHA-256 of the files of some jobs, by name; raise `ConfigError` where one is not as published."""
    files: dict[str, str] = {}
    for job, name in jobs:
        record = read_record(publication.record(job, name))
        if changed := files_not_as_recorded(publication, record):
            raise ConfigError(
                f"{publication.at(changed[0])} is missing or was changed since it was published: "
                f"remove {publication.record(job, name)} and publish again"
            )
        files |= record["files"]
    return files


def _finish_summary(
    products: Products,
    publication: Publication,
    release: Release,
    mosaics: Sequence[str],
    options: PublishOptions,
    about: Mapping[str, Any],
    files: Mapping[str, str],
) -> None:
    """Write what stands beside the tiles, the workflow, the research object and citation texts."""
    meta = _checked_metadata(products, release)
    workflow = workflow_files(products.configuration())

    def make(job_files: JobFiles) -> dict:
        if published_mosaics(publication, mosaics):
            moc = MOC.from_fits(publication.at(Publication.moc("coverage", "fits")))
            order = tile_order(release.pixel_arcsec)
            write_summary(publication, release, moc, about, order, files, job_files)
        for name, content in workflow.items():
            job_files.put(name, content)
        known = {**files, **job_files.files}
        for name, content in research_files(release, meta, known, about["date"], options).items():
            job_files.put(name, content)
        return {}

    made_of = {
        "files": files,
        "about": about,
        "meta": meta,
        "workflow": {name: hashlib.sha256(content).hexdigest() for name, content in workflow.items()},
        "options": options.model_dump(include={"creators", "date", "license"}),
        "release": release.model_dump(mode="json", exclude={*SOURCES}),
    }
    do_once(publication, "summary", "all", made_of, make)


def _checked_metadata(products: Products, release: Release) -> dict[str, Any]:
    """Metadata of the catalogue of clusters, with which the configuration agrees."""
    meta = _metadata(products)
    if meta.get("codehash") != code_hash():
        logger.warning(
            "the run was made with code %s, its publication carries the workflow of this code, %s",
            meta.get("codehash"),
            code_hash(),
        )
    check_configuration(products, release, meta)
    return meta


def _metadata(products: Products) -> dict[str, Any]:
    """Metadata of the catalogue of clusters."""
    path = products.catalogue("clusters", "vot")
    require_files([path])
    return read_votable(path).meta


def _remove_others(publication: Publication, jobs: Sequence[tuple[str, str]], files: dict[str, str]) -> None:
    """Remove what earlier jobs left that are none of this publication any more."""
    kept = {Path(publication.record(job, name)) for job, name in [*jobs, ("summary", "all"), ("site", "all")]}
    for record in all_records(publication):
        if Path(record) not in kept:
            for name in earlier_record(record).get("files", {}).keys() - files.keys():
                remove_file(publication, name)
            Path(record).unlink()


def _finish_site(
    products: Products,
    publication: Publication,
    mosaics: Sequence[str],
    options: PublishOptions,
    processes: int,
    files: dict[str, str],
) -> None:
    """Write the results site, anew where its files were changed, and the checksums of all files."""
    record = Path(publication.record("site", "all"))
    earlier = earlier_record(record)
    before, made_at = earlier.get("files", {}), os.stat(record).st_mtime if earlier else 0
    for name in files_not_as_recorded(publication, {"files": before}):
        Path(publication.at(name)).unlink(missing_ok=True)
    for name in set(earlier.get("others", [])) - files.keys():  # Snakemake removes the record that lists them
        remove_file(publication, name)
    if before:
        restore_page(publication.root)
    paths = write_site(
        products.root, publication.root, options.aladin, processes, mosaics, files, with_status=False
    )
    made = {}
    for path in paths:
        name = Path(path).relative_to(publication.root).as_posix()
        is_known = name in before and os.stat(path).st_mtime <= made_at
        made[name] = before[name] if is_known else sha256_of(path)
    sums = Publication.checksums()
    known = files | made
    text = "".join(f"{known[name]}  {name}\n" for name in sorted(known)).encode()
    write_if_changed(publication.at(sums), text)
    made[sums] = hashlib.sha256(text).hexdigest()
    found = {"files": made, "others": sorted(files)}
    if found != earlier:
        write_json(record, found)
    elif file_changed_since_record(publication, record, made):
        os.utime(record)
    _warn_of_others(publication, known)


def _warn_of_others(publication: Publication, known: Container[str]) -> None:
    """Warn of files that do not belong to the publication."""
    others = []
    for folder, folders, names in os.walk(publication.root):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for one in names:
            name = Path(folder, one).relative_to(publication.root).as_posix()
            if name not in known and name != Publication.checksums() and not one.startswith("."):
                others.append(publication.at(name))
    if others:
        logger.warning(
            "%d files do not belong to this publication and have no checksum: %s",
            len(others),
            _some(others),
        )


def _some(paths: Sequence[str]) -> str:
    """The first of many paths, for a message."""
    return ", ".join(paths[:MOST_NAMED]) + (", ..." if len(paths) > MOST_NAMED else "")
