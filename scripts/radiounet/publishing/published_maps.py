"""The maps of one mosaic as they are published: checked, compressed, with FITS checksums."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.errors import ConfigError
from radiounet.images.dates import image_date
from radiounet.images.geometry import middle, pixel_area_arcsec2
from radiounet.images.image import StoredImage, open_plane, require_same_grid
from radiounet.images.noise import MAD_TO_SIGMA
from radiounet.images.origins import check_maps, mask_peak
from radiounet.images.products import Products, Publication
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import ecsv_table, fits_header
from radiounet.images.rejections import read_rejection
from radiounet.network.masks import make_mask
from radiounet.publishing.compressed_maps import PROBABILITY_STEP, compressed, compressed_file, rounded
from radiounet.publishing.coverage import (
    COVERAGE_ORDER,
    MASK_ORDER,
    covered_healpix_pixels,
    diffuse_healpix_pixels,
    moc_of,
)
from radiounet.publishing.obscore import obscore_row
from radiounet.publishing.records import JobFiles, digest_of, do_once, require_files
from radiounet.settings.releases import CITED, SOURCES
from radiounet.survey.survey import Survey

CHECKED = ("islands", "clusters")
"""Tables of a mosaic that say which mask they were made from."""


def publish_mosaic(products: Products, publication: Publication, survey: Survey, mosaic: str) -> dict:
    """Publish mask, probability map and cut-outs of a mosaic, and note what it covers.

    Parameters
    ----------
    products : Products
    publication : Publication
    survey : Survey
    mosaic : str

    Returns
    -------
    dict
        ``rejected``; or ``sources`` (SHA-256 of image, probability and mask),
        ``coverage`` and ``mask`` (MOCs as text), ``reached`` (HEALPix pixels, see
        `radiounet.publishing.coverage`),
        ``row`` (see `radiounet.publishing.obscore`), ``date``, ``rms_jy``, and ``sky`` (SHA-256 of the
        mosaics around, which decide what it owns).

    Raises
    ------
    ConfigError
        A product is missing, or is not what its run left.
    OriginError
        Image, map and mask were not made from each other.
    """
    paths = {kind: getattr(products, kind)(mosaic) for kind in ("mask", *CHECKED)}
    require_files(paths.values())
    if read_rejection(paths["mask"]):
        rejected: dict[str, object] = {"rejected": True}
        return do_once(publication, "mosaic", mosaic, rejected, lambda job_files: rejected)
    paths |= {kind: getattr(products, kind)(mosaic) for kind in ("image", "probability", "cutouts")}
    require_files(paths.values())
    made_of = {kind: sha256_of(path) for kind, path in paths.items()}
    sky = [repr(place) for place in survey.around(mosaic)]

    release = survey.release.model_dump(mode="json", exclude={*SOURCES, *CITED})

    def make(job_files: JobFiles) -> dict:
        return _publish(job_files, paths, made_of, survey, mosaic) | {"sky": digest_of(sky)}

    return do_once(publication, "mosaic", mosaic, {**made_of, "sky": sky, "release": release}, make)


def _publish(
    job_files: JobFiles, paths: Mapping[str, str], sources: dict[str, str], survey: Survey, mosaic: str
) -> dict:
    check_maps(paths["image"], paths["probability"], paths["mask"])
    image = open_plane(paths["image"])
    stored = open_plane(paths["probability"], brightness=False)
    require_same_grid(image, stored, f"{paths['image']} and {paths['probability']}")
    probability = stored.window()
    with fits.open(paths["mask"], memmap=False) as hdus:
        mask, header = hdus[0].data, hdus[0].header
    _check_mask(paths, header, probability, mask)
    _check_tables(paths, header, sources)
    job_files.put(Publication.mask(mosaic), compressed_file(compressed(mask, header)))
    chances = rounded(probability, fits_header(paths["probability"]), PROBABILITY_STEP)
    job_files.put(Publication.probability(mosaic), compressed_file(chances))
    if not read_rejection(paths["cutouts"]):
        job_files.put(Publication.cutouts(mosaic), Path(paths["cutouts"]).read_bytes())
    coverage, reached = covered_healpix_pixels(stored.wcs, probability, survey, mosaic)
    marked = diffuse_healpix_pixels(stored.wcs, mask, survey, mosaic)
    return {
        "sources": {kind: sources[kind] for kind in ("image", "probability", "mask")},
        # as text: the HEALPix pixels alone, as numbers, would take gigabytes for all mosaics of a survey
        "coverage": moc_of(coverage, COVERAGE_ORDER).to_string(),
        "mask": moc_of(marked, MASK_ORDER).to_string(),
        "reached": reached,
        "row": obscore_row(image, mosaic, survey.release, job_files.sizes, coverage),
        "date": image_date(image.header),
        "rms_jy": _rms_about_zero(image),
    }


def _check_mask(
    paths: Mapping[str, str], header: fits.Header, probability: np.ndarray, mask: np.ndarray
) -> None:
    """Raise `ConfigError` unless a mask is what follows from its probability map."""
    plane = open_plane(paths["image"])
    area = plane.beam.area_arcsec2 / float(pixel_area_arcsec2(plane.wcs, *middle(plane.data.shape)))
    expected = make_mask(probability, header["THRESH"], header["MINBEAMS"] * area, mask_peak(header))
    if not np.array_equal(expected, mask):
        count = np.count_nonzero(expected != mask)
        raise ConfigError(
            f"{paths['mask']} or {paths['probability']} was changed: {count} pixels of the mask do not "
            "follow from the probability; run the workflow again"
        )


def _check_tables(paths: Mapping[str, str], header: fits.Header, sources: Mapping[str, str]) -> None:
    """Raise `ConfigError` where a table was made from another mask; a rejected one is listed as such."""
    for kind in CHECKED:
        if read_rejection(paths[kind]):
            continue
        meta = ecsv_table(paths[kind]).meta
        for key in ("modelsha", "inputsha", "thresh", "minbeams"):
            if str(meta.get(key)) != str(header.get(key.upper())):
                raise ConfigError(
                    f"{paths[kind]} was not made from {paths['mask']}: "
                    f"{key} {meta.get(key)}, not {header.get(key.upper())}"
                )
        for source in ("mask", "probability", "cutouts"):
            known = meta.get(f"{source}_sha256", sources[source])  # not all tables have all of them
            if known != sources[source]:
                raise ConfigError(
                    f"{paths[kind]} was not made from this {paths[source]}: "
                    f"the SHA-256 of that file is {sources[source]}, not {known}"
                )


def _rms_about_zero(image: StoredImage) -> float:
    """Noise of an image by its median absolute value, Jy/beam, in every tenth row; 0 if all is blank."""
    values = image.window(slice(None, None, 10))
    known = np.abs(values[np.isfinite(values)])
    return float(f"{MAD_TO_SIGMA * np.median(known):.4g}") if known.size else 0.0
