"""The maps of one mosaic as they are published: checked, compressed, with FITS checksums."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from radiounet.errors import ConfigError
from radiounet.images.geometry import middle, pixel_area_arcsec2
from radiounet.images.image import StoredImage, open_plane, require_same_grid
from radiounet.images.origins import check_maps
from radiounet.images.products import Products, Publication
from radiounet.images.provenance import sha256_of
from radiounet.images.reading import ecsv_table, fits_header
from radiounet.images.rejections import read_rejection
from radiounet.network.masks import make_mask
from radiounet.publishing.coverage import covered_cells, diffuse_cells
from radiounet.publishing.obscore import obscore_row
from radiounet.publishing.records import Shelf, do_once
from radiounet.survey.survey import Survey

PROBABILITY_STEP = 4e-5
"""Published probabilities are whole multiples of this: an error of 2e-5 at most. 1 is 25000, in 16 bits."""
BLANK = -32768
TILE_ROWS = 16
CHECKED = ("islands", "clusters")
"""Tables of a mosaic that say which mask they were made from."""
DATES = ("DATE-MAP", "DATE", "DATE-OBS")


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
        ``rejected`` and the reason; or ``sources`` (SHA-256 of image, probability and mask),
        ``coverage``, ``reached`` and ``mask`` (HEALPix cells, see `radiounet.publishing.coverage`),
        ``row`` (see `radiounet.publishing.obscore`), ``date``, ``rms_jy``.

    Raises
    ------
    ConfigError
        A product is missing, or is not what its run left.
    OriginError
        Image, map and mask were not made from each other.
    """
    paths = {kind: getattr(products, kind)(mosaic) for kind in ("mask", *CHECKED)}
    require_files(paths.values())
    rejected = read_rejection(paths["mask"])
    if rejected:
        return do_once(
            *(publication, "mosaic", mosaic, {"rejected": rejected.reason}),
            lambda shelf: {"rejected": rejected.reason},
        )
    paths |= {kind: getattr(products, kind)(mosaic) for kind in ("image", "probability", "cutouts")}
    require_files(paths.values())
    made_of = {kind: sha256_of(path) for kind, path in paths.items()}
    sky = [repr(place) for place in survey.around(mosaic)]

    def make(shelf: Shelf) -> dict:
        return _publish(shelf, paths, made_of, survey, mosaic)

    return do_once(publication, "mosaic", mosaic, {**made_of, "sky": sky}, make)


def require_files(paths) -> None:
    """Raise `ConfigError` where a file is not there; it names the file."""
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(
                f"{path} is missing: nothing can be published without it, run the workflow again"
            )


def _publish(
    shelf: Shelf, paths: Mapping[str, str], sources: dict[str, str], survey: Survey, mosaic: str
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
    shelf.put(Publication.mask(mosaic), compressed(mask, header))
    shelf.put(Publication.probability(mosaic), quantised(probability, fits_header(paths["probability"])))
    shelf.put(Publication.cutouts(mosaic), Path(paths["cutouts"]).read_bytes())
    coverage, reached = covered_cells(stored.wcs, probability, survey, mosaic)
    return {
        "sources": {kind: sources[kind] for kind in ("image", "probability", "mask")},
        "coverage": coverage,
        "mask": diffuse_cells(stored.wcs, mask, survey, mosaic),
        "reached": reached,
        "row": obscore_row(image, mosaic, survey.release, shelf.sizes, coverage),
        "date": next((str(image.header[key]) for key in DATES if key in image.header), ""),
        "rms_jy": _robust_rms(image),
    }


def _check_mask(
    paths: Mapping[str, str], header: fits.Header, probability: np.ndarray, mask: np.ndarray
) -> None:
    """Raise `ConfigError` unless a mask is what follows from its probability map."""
    plane = open_plane(paths["image"])
    area = plane.beam.area_arcsec2 / float(pixel_area_arcsec2(plane.wcs, *middle(plane.data.shape)))
    expected = make_mask(
        probability, header["THRESH"], header["MINBEAMS"] * area, header.get("MASKPEAK", header["THRESH"])
    )
    if not np.array_equal(expected, mask):
        count = np.count_nonzero(expected != mask)
        raise ConfigError(
            f"{paths['mask']} was changed: {count} of its pixels do not follow from {paths['probability']}"
        )


def _check_tables(paths: Mapping[str, str], header: fits.Header, sources: Mapping[str, str]) -> None:
    """Raise `ConfigError` where a table was made from another mask."""
    for kind in CHECKED:
        meta = ecsv_table(paths[kind]).meta
        for key in ("modelsha", "inputsha", "thresh", "minbeams"):
            if str(meta.get(key)) != str(header.get(key.upper())):
                raise ConfigError(
                    f"{paths[kind]} was not made from {paths['mask']}: "
                    f"{key} {meta.get(key)}, not {header.get(key.upper())}"
                )
        for source in ("mask", "probability"):
            known = meta.get(f"{source}_sha256", sources[source])  # results of earlier versions lack it
            if known != sources[source]:
                raise ConfigError(
                    f"{paths[source]} was changed after {paths[kind]} was made from it: "
                    f"its SHA-256 is {sources[source]}, not {known}"
                )


def quantised(probability: np.ndarray, header: fits.Header) -> bytes:
    """Tile-compressed FITS file of a probability map, ``[y, x]`` 0..1, NaN where there is no data."""
    whole = np.full(probability.shape, BLANK, np.int16)
    known = np.isfinite(probability)
    whole[known] = np.round(np.clip(probability[known], 0, 1) / PROBABILITY_STEP).astype(np.int16)
    header = header.copy()
    header.add_history(f"rounded to multiples of {PROBABILITY_STEP:g}; BLANK where there is no data")
    return compressed(whole, header, scale=PROBABILITY_STEP)


def compressed(plane: np.ndarray, header: fits.Header, scale: float | None = None) -> bytes:
    """Tile-compressed FITS file of integers (Rice), with checksums that hold no date.

    Parameters
    ----------
    plane : ndarray of uint8 or int16, ``[y, x]``
    header : astropy.io.fits.Header
    scale : float, optional
        What 1 stands for; int16 has `BLANK` where there is no data then.
    """
    hdu = fits.CompImageHDU(
        plane,
        header,
        name="COMPRESSED_IMAGE",
        compression_type="RICE_1",
        tile_shape=(min(TILE_ROWS, plane.shape[0]), plane.shape[1]),
    )
    if scale is not None:
        hdu.header["BSCALE"], hdu.header["BZERO"] = scale, 0.0
        hdu.header["BLANK"] = BLANK
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    stream.seek(0)
    with fits.open(stream, disable_image_compression=True, memmap=False) as hdus:
        return with_checksums(hdus)


def with_checksums(hdus: fits.HDUList) -> bytes:
    """Bytes of a FITS file with CHECKSUM and DATASUM, whose comments are no dates as astropy's are."""
    for hdu in hdus:
        hdu.add_checksum(when="of the HDU")
        hdu.header.comments["DATASUM"] = "of the data unit"
        hdu.add_checksum(when="of the HDU", override_datasum=False)
    stream = io.BytesIO()
    hdus.writeto(stream)
    return stream.getvalue()


def _robust_rms(image: StoredImage) -> float:
    """Noise of an image by its median absolute value, Jy/beam: every tenth row is enough."""
    values = image.window(slice(None, None, 10))
    known = np.abs(values[np.isfinite(values)])
    return float(f"{1.4826 * np.median(known):.4g}") if known.size else float("nan")
